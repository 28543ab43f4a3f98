#!/usr/bin/env bash
# lapilli translate: texts in, texts out, as the transformers library does it (fixtures/translate/make.py);
# forms of input and output; what goes wrong. On the CPU: test_search.c has the devices. LAPILLI is the
# command.
set -u

fixtures=$(cd "$(dirname "$0")" && pwd)/fixtures
# shellcheck source=tests/support/shell.sh
. "$(dirname "$0")/support/shell.sh"

# Folders as users have them: a checkpoint with its tokenizer.
for model in t5 marian; do
    mkdir "$out/$model"
    cp "$fixtures/models/$model"/{config.json,model.safetensors} "$fixtures/translate/$model"/* \
        "$out/$model"
done

translate() # ARGUMENT...
{
    "$LAPILLI" translate -d cpu -q --cache-type f32 "$@" 2> "$out/stderr"
}

same() # NAME WANTED GOT
{
    [ "$2" = "$3" ] || fail "$1: got \"$3\", expected \"$2\""
}

# line CODE PATTERN ARGUMENT...: exactly one line on stderr, nothing on stdout.
line()
{
    local code=$1 pattern=$2 got
    shift 2
    "$LAPILLI" translate "$@" > "$out/stdout" 2> "$out/stderr" < /dev/null
    got=$?
    [ $got -eq "$code" ] || fail "exit code $got instead of $code: $*"
    [ "$(wc -l < "$out/stderr")" -eq 1 ] || fail "not one line: $*"
    grep -Eq -- "$pattern" "$out/stderr" || fail "stderr lacks \"$pattern\": $(cat "$out/stderr")"
    [ -s "$out/stdout" ] && fail "stdout is not empty: $*"
}

# --- Answers ---------------------------------------------------------------------------------------
n=0
while IFS= read -r row; do
    IFS=$'\x1f' read -r model options source _ <<< "${row//$'\t'/$'\x1f'}" # keeps empty columns
    # shellcheck disable=SC2086 # words are meant
    translate -m "$out/$model" $options -p "$source" > "$out/stdout" || fail "$model $options: exit code"
    n_answers=$((($(awk -F'\t' '{ print NF }' <<< "$row") - 3) / 2))
    if [ $n_answers -eq 1 ]; then
        same "$model $options: $source" "$(cut -f 5 <<< "$row")" "$(cat "$out/stdout")"
    else
        same "$model $options: $source" "$(cut -f 4- <<< "$row" | tr '\t' '\n' | paste - - | cut -f 2)" \
            "$(head -n $n_answers "$out/stdout" | cut -f 2)"
        cut -f 4- <<< "$row" | tr '\t' '\n' | paste - - | paste - "$out/stdout" | head -n $n_answers |
            awk -F'\t' '$1 - $3 > 2e-4 || $3 - $1 > 2e-4 { exit 1 }' || fail "scores: $row"
        same "the end of a list" "" "$(sed -n $((n_answers + 1))p "$out/stdout")"
    fi
    n=$((n + 1))
done < "$fixtures/translate/answers.tsv"
[ $n -gt 20 ] || fail "$n answers were compared"

# --- Forms of input and output ----------------------------------------------------------------------
one=$(translate -m "$out/t5" -n 8 -p "The dog came")
two=$(translate -m "$out/t5" -n 8 -p "a white cat")
same "standard input" "$one"$'\n\n'"$two" "$(printf 'The dog came\n\na white cat' | translate -m "$out/t5" -n 8)"
same "CR LF" "$one"$'\n'"$two" "$(printf 'The dog came\r\na white cat\r\n' | translate -m "$out/t5" -n 8 -)"
printf 'The dog came\n' > "$out/text"
same "a file" "$one" "$(translate -m "$out/t5" -n 8 -f "$out/text")"
same "a prefix" "$one" "$(translate -m "$out/t5" -n 8 --prefix "The dog " -p "came")"
same "nothing" "" "$(translate -m "$out/t5" < /dev/null)"
translate -m "$out/t5" -n 8 --json -B 3 --n-best 2 -p "The dog" > "$out/stdout"
grep -Eq '^\{"source":"The dog","answers":\[\{"text":"[^"]*","score":-[0-9.]+,"tokens":\[[0-9,]+\]\},\{.*\}\]\}$' \
    "$out/stdout" || fail "--json"
answer=$("$LAPILLI" run -q -d cpu --cache-type f32 --temp 0 -n 8 -m "$out/t5" -p "The dog came" 2> "$out/stderr")
same "lapilli run" "$one" "$answer"
"$LAPILLI" translate -d cpu -m "$out/t5" -n 8 -p "The dog" > "$out/stdout" 2> "$out/stderr"
grep -Eq '^lapilli: 1 text, [0-9]+ tokens, .*; 1 beam$' "$out/stderr" || fail "the summary"
echo '{"decoder_start_token_id": 0, "eos_token_id": 1, "num_beams": 2, "max_new_tokens": 3}' \
    > "$out/t5/generation_config.json"
"$LAPILLI" translate -d cpu -m "$out/t5" -p "The dog" > "$out/stdout" 2> "$out/stderr"
grep -q '; 2 beams$' "$out/stderr" || fail "generation_config.json is not heeded"
"$LAPILLI" check -d cpu --quick -m "$out/t5" -p "The dog came" > "$out/stdout" 2>&1 || fail "check"
grep -q '^source ' "$out/stdout" || fail "check has no pass for the source"

# --- What goes wrong --------------------------------------------------------------------------------
line 2 "-m MODEL is missing" -p "The dog"
line 2 "not both" -m "$out/t5" -p a -f b
line 2 "\"x\" is not an option" -m "$out/t5" x
line 2 "n-best=3: more answers than -B 2 beams" -m "$out/t5" -d cpu -B 2 --n-best 3 -p a
line 2 "1 to 64" -m "$out/t5" -B 65 -p a
line 2 "early-stopping" -m "$out/t5" --early-stopping soon -p a
"$LAPILLI" translate -q -d cpu -m "$out/t5" <&- > "$out/stdout" 2> "$out/stderr" &&
    fail "a standard input that is closed was read"
grep -q '^lapilli: standard input: Bad file descriptor$' "$out/stderr" || fail "a closed standard input"
for command in "chat -p a" "perplexity $out/text" bench "embed a"; do
    # shellcheck disable=SC2086 # words are meant
    "$LAPILLI" $command -d cpu -m "$out/t5" > "$out/stdout" 2> "$out/stderr" < /dev/null &&
        fail "$command takes an encoder-decoder"
    grep -q 't5 is an encoder-decoder, which .* does not take; see lapilli translate$' "$out/stderr" ||
        fail "$command of an encoder-decoder: $(cat "$out/stderr")"
done
line 1 "does not exist|No such file" -m "$out/t5" -q -d cpu -f "$out/none"
line 1 "story.gguf: llama is a decoder, which lapilli translate does not take" -m "$fixtures/../../models/story/story.gguf" -p a
printf 'The dog\n%s\n' "$(printf 'the %.0s' {1..700})" > "$out/long"
"$LAPILLI" translate -q -d cpu -m "$out/t5" -f "$out/long" > "$out/stdout" 2> "$out/stderr" &&
    fail "a text that is too long was answered"
grep -q "^lapilli: line 2 of .*/long: a source text of .* tokens; the context has 512$" "$out/stderr" ||
    fail "the line that is too long"
same "answers before it" 1 "$(wc -l < "$out/stdout")"
for change in '"eos_token_id": -1' '"early_stopping": 3' '"num_beam_groups": 2' '"bad_words_ids": [[]]'; do
    echo "{\"decoder_start_token_id\": 0, $change}" > "$out/t5/generation_config.json"
    line 1 "generation_config.json: [a-z_]+(:| is not supported)" -m "$out/t5" -q -d cpu -p a
done
echo '{"decoder_start_token_id": 131}' > "$out/t5/generation_config.json"
line 1 "start token is 131; the vocabulary has 131" -m "$out/t5" -q -d cpu -p a
echo '{"num_beams": 100}' > "$out/t5/generation_config.json"
line 1 "100 beams; 1 to 64" -m "$out/t5" -q -d cpu -p a
head -c 300 "$out/marian/target.spm" > "$out/cut" && mv "$out/cut" "$out/marian/target.spm"
line 1 "target.spm" -m "$out/marian" -q -d cpu -p a

echo "$failures failed"
[ $failures -eq 0 ]
