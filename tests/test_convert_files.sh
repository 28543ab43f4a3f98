#!/usr/bin/env bash
# lapilli convert and lapilli quantize: the way through files, and what goes wrong on it. What is in the
# files, test_convert.c looks at. LAPILLI is the command.
set -u

here=$(cd "$(dirname "$0")" && pwd)
story=$here/../models/story/story.gguf
fixtures=$here/fixtures/models
# shellcheck source=tests/support/shell.sh
. "$here/support/shell.sh"

# expect CODE STDERR-PATTERN ARGUMENT...: at most three lines on stderr, nothing on stdout.
expect()
{
    local code=$1 pattern=$2 got
    shift 2
    "$LAPILLI" "$@" > "$out/stdout" 2> "$out/stderr" < /dev/null
    got=$?
    [ $got -eq "$code" ] || fail "exit code $got instead of $code: $*"
    [ "$(wc -l < "$out/stderr")" -le 3 ] || fail "more than three lines: $*"
    grep -Eq -- "$pattern" "$out/stderr" || fail "stderr lacks \"$pattern\": $*"
    [ ! -s "$out/stdout" ] || fail "stdout is not empty: $*"
}

greedy() # MODEL
{
    "$LAPILLI" run -q -d cpu --temp 0 -n 24 -m "$1" -p "Once upon a time"
}

nothing_left() # no output, no part of one
{
    [ "$(find "$out" -name '*.gguf*' | wc -l)" -eq "$1" ] || fail "$(ls "$out") is left"
}

# --- There and back --------------------------------------------------------------------------------
expect 0 "38 tensors, 29 in another type; 6.8 MiB before, 13.5 MiB after" convert -t f32 "$story" "$out/f32.gguf"
expect 0 "38 tensors, 29 in another type; 13.5 MiB before, 6.8 MiB after" quantize "$out/f32.gguf" "$out/f16.gguf" F16
[ "$(greedy "$story")" = "$(greedy "$out/f32.gguf")" ] || fail "F32 writes another text"
[ "$(greedy "$story")" = "$(greedy "$out/f16.gguf")" ] || fail "F16 and back writes another text"
expect 0 "6.8 MiB before, 3.6 MiB after" quantize "$story" "$out/q8.gguf" q8_0
expect 0 "6.8 MiB before, 2.3 MiB after" quantize "$story" "$out/q4.gguf" q4_0
case $(greedy "$out/q8.gguf") in "Once upon a time"*) ;; *) fail "Q8_0 writes no story" ;; esac
"$LAPILLI" inspect "$out/q4.gguf" > "$out/stdout"
grep -Eq '^  blk.0.attn_q.weight +Q4_0 ' "$out/stdout" || fail "a matrix is not Q4_0"
grep -Eq '^  token_embd.weight +Q8_0 ' "$out/stdout" || fail "the head, here the embedding, is not Q8_0"
grep -Eq '^  output_norm.weight +F32 ' "$out/stdout" || fail "a gain is not F32"
"$LAPILLI" convert -q "$out/q8.gguf" "$out/q8.gguf" || fail "a file cannot be written over itself"
[ "$("$LAPILLI" inspect "$out/q8.gguf" | tail -n 1)" = \
    "38 tensors, 3,541,248 parameters, 3,769,344 bytes (3.6 MiB)" ] || fail "other tensors"

# --- Without a tokenizer ---------------------------------------------------------------------------
expect 0 "llama2: no tokenizer: .*; the file is written without one" convert "$fixtures/llama2" "$out/ids.gguf"
expect 1 "tokenizer.ggml.model: the file was written without a tokenizer" run -p a -m "$out/ids.gguf"
for model in "$fixtures/llama2" "$out/ids.gguf"; do
    "$LAPILLI" check -d cpu --quick -m "$model" > "$out/stdout" 2> "$out/stderr" || fail "check of $model"
    head -n 1 "$out/stdout" | grep -q " agrees with " || fail "check: $(head -n 1 "$out/stdout")"
    "$LAPILLI" bench -d cpu -p 4 -n 4 -r 1 -m "$model" > "$out/stdout" 2> "$out/stderr" || fail "bench of $model"
    grep -q "| *tg4 |" "$out/stdout" || fail "bench says nothing of tg4"
done
expect 1 "written without a tokenizer" check -d cpu -p a -m "$out/ids.gguf"
rm "$out/ids.gguf"

# --- What goes wrong -------------------------------------------------------------------------------
expect 1 "blk.0.attn_q.weight is Q4_0 already; .* must be allowed \(--allow-requantize\)" quantize "$out/q4.gguf" "$out/x.gguf" Q8_0
nothing_left 4
expect 0 "in another type" quantize --allow-requantize "$out/q4.gguf" "$out/x.gguf" Q8_0
rm "$out/x.gguf"
expect 1 "GGUF files of the architecture opt are not written" convert "$fixtures/opt" "$out/x.gguf"
expect 1 "No such file or directory" convert "$out/none" "$out/x.gguf"
expect 1 "not a GGUF file" convert "$0" "$out/x.gguf"
head -c 100000 "$story" > "$out/cut"
expect 1 "file ends after" convert "$out/cut" "$out/x.gguf"
expect 1 "No such file or directory" convert "$story" "$out/none/x.gguf"
expect 1 "is a folder" convert "$story" "$out"
expect 1 "no regular file" convert "$story" /dev/full
nothing_left 4
# A limit on the size of files is like a disk that is full.
echo precious > "$out/x.gguf"
(
    trap '' XFSZ
    ulimit -f 1000
    exec "$LAPILLI" convert "$story" "$out/x.gguf"
) > "$out/stdout" 2> "$out/stderr"
[ $? -eq 1 ] || fail "a full disk is not noticed"
grep -q "File too large" "$out/stderr" || fail "the reason is not told"
[ "$(cat "$out/x.gguf")" = precious ] || fail "the old file is gone"
nothing_left 5
expect 2 "TYPE is one of F32, .*, TQ2_0, Q4_K_M, Q5_K_M, not \"Q6_K_M\"" quantize "$story" "$out/x.gguf" Q6_K_M
expect 2 "3 operands are expected, not 2" quantize "$story" "$out/x.gguf"
expect 2 "2 operands are expected, not 1" convert "$story"
"$LAPILLI" quantize --help | grep -q -- "--allow-requantize" || fail "no help"

[ $failures -eq 0 ] && echo "all as expected"
exit $((failures > 0))
