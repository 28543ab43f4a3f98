#!/usr/bin/env bash
# lapilli tokenize and detokenize: every kind of file that holds a tokenizer, the forms of output, the
# way back, and what goes wrong. LAPILLI is the command.
set -u

fixtures=$(cd "$(dirname "$0")" && pwd)/fixtures/tokenizer
# shellcheck source=tests/support/shell.sh
. "$(dirname "$0")/support/shell.sh"

same() # NAME WANTED GOT
{
    [ "$2" = "$3" ] || fail "$1: got \"$3\", expected \"$2\""
}

# line CODE PATTERN ARGUMENT...: exactly one line on stderr, nothing on stdout.
line()
{
    local code=$1 pattern=$2 got
    shift 2
    "$LAPILLI" "$@" > "$out/stdout" 2> "$out/stderr" < /dev/null
    got=$?
    [ $got -eq "$code" ] || fail "exit code $got instead of $code: $*"
    [ "$(wc -l < "$out/stderr")" -eq 1 ] || fail "not one line: $*"
    grep -Eq -- "$pattern" "$out/stderr" || fail "stderr lacks \"$pattern\": $(cat "$out/stderr")"
    [ -s "$out/stdout" ] && fail "stdout is not empty: $*"
}

ids() # MODEL ARGUMENT...
{
    "$LAPILLI" tokenize --ids -m "$fixtures/$1" "${@:2}"
}

# --- Every kind of file ----------------------------------------------------------------------------
bert=$(ids bert "the White Rabbit")
for form in bert/tokenizer.json bert-txt bert-txt/vocab.txt bert.gguf; do
    same $form "$bert" "$(ids $form "the White Rabbit")"
done
same roberta-bpe/vocab.json "$(ids roberta "a <mask> b")" "$(ids roberta-bpe/vocab.json "a <mask> b")"
same t5-spm/spiece.model "$(ids t5-spm "Alice was")" "$(ids t5-spm/spiece.model "Alice was")"
for form in gpt2 gpt2.gguf qwen2 llama3 llama2 spm.gguf t5 t5.gguf user-spm marian clip roberta; do
    text="Alice was beginning to get very tired"
    [ $form = clip ] && text=${text,,}
    same "$form and back" "$text" "$(ids $form "$text" | "$LAPILLI" detokenize -m "$fixtures/$form")"
done

# --- Forms of output -------------------------------------------------------------------------------
same count "$(ids gpt2 "a b c" | wc -w)" "$("$LAPILLI" tokenize --count -m "$fixtures/gpt2" "a b c")"
same stdin "$(ids gpt2 "a b")" "$(echo "a b" | ids gpt2)"
echo "a b" > "$out/text"
same file "$(ids gpt2 "a b")" "$(ids gpt2 -f "$out/text")"
printf '"a b"\n"c\\u0000\\nd"\n""\n' > "$out/lines"
"$LAPILLI" tokenize --json-lines -m "$fixtures/gpt2" -f "$out/lines" > "$out/stdout"
same "lines" 3 "$(wc -l < "$out/stdout")"
same "first line" "$(ids gpt2 "a b")" "$(head -n 1 "$out/stdout")"
same "second line" "$(printf 'c\0\nd' | ids gpt2)" "$(sed -n 2p "$out/stdout")"
same "lines and back" "$(tr -d '\n' < "$out/lines")" \
    "$("$LAPILLI" detokenize --json-lines -m "$fixtures/gpt2" -f "$out/stdout" | tr -d '\n')"
"$LAPILLI" tokenize -m "$fixtures/bert" --pair "one" $'the\tWhite' > "$out/stdout"
grep -Eq '^ +0 +2 +0  \[CLS\]$' "$out/stdout" || fail "the table lacks [CLS]: $(cat "$out/stdout")"
grep -Eq '^ +[0-9]+ +[0-9]+ +0  the +" the"$' "$out/stdout" || fail "the table lacks \"the\""
grep -Eq '^ +[0-9]+ +[0-9]+ +1  \[SEP\]$' "$out/stdout" || fail "the table lacks segment 1"
grep -Eq '^[0-9]+ tokens for 12 bytes; WordPiece$' "$out/stdout" || fail "no sum below the table"
printf 'a\xff\x1b[31m' | "$LAPILLI" tokenize -m "$fixtures/gpt2" > "$out/stdout"
grep -q '"\\x1B"' "$out/stdout" || fail "a control character was printed"
grep -q '"\\xFF"' "$out/stdout" || fail "a broken byte was printed"
"$LAPILLI" tokenize --json -m "$fixtures/gpt2" "a b" | python3 -c '
import json, sys
d = json.load(sys.stdin)
assert d["bytes"] == 3 and "".join(t["text"] for t in d["tokens"]) == "a b", d
assert all(isinstance(t["id"], int) and t["piece"] for t in d["tokens"]), d
' || fail "the JSON of tokenize"
same json '{"tokenizer":"BPE(byte-level)","tokens":2,"text":"ab"}' \
    "$(ids gpt2 "a b" | "$LAPILLI" detokenize --json -m "$fixtures/gpt2" | tr -d ' \n')"
same "without special tokens" "$(ids bert "the" | cut -d' ' -f2)" "$(ids bert --no-special the)"
same "special tokens" "[CLS] the [SEP]" "$(ids bert the | "$LAPILLI" detokenize -s -m "$fixtures/bert")"
[ "$(ids gpt2 --no-parse "<|im_start|>" | wc -w)" -gt 1 ] || fail "--no-parse"
same "ids with commas" "a b" "$("$LAPILLI" detokenize -m "$fixtures/gpt2" "[$(ids gpt2 "a b" | tr ' ' ,)]")"
same "the model that ships" "Once upon a time" "$("$LAPILLI" tokenize --ids "Once upon a time" | "$LAPILLI" detokenize)"

# --- What goes wrong -------------------------------------------------------------------------------
line 2 'one TEXT or one -f FILE is expected' tokenize -m "$fixtures/gpt2" a b
line 2 'exclude each other' tokenize --ids --json -m "$fixtures/gpt2" a
line 2 'not both' detokenize -f "$out/text" -m "$fixtures/gpt2" 1
line 1 '/nonexistent: No such file' tokenize -m /nonexistent a
line 1 '/nonexistent: No such file' tokenize -m "$fixtures/gpt2" -f /nonexistent
mkdir "$out/empty"
line 1 'empty: no tokenizer: neither tokenizer.json nor vocab.txt' tokenize -m "$out/empty" a
line 1 'token 99999: the vocabulary has [0-9]+' detokenize -m "$fixtures/gpt2" 99999
line 1 '"x" is no token id' detokenize -m "$fixtures/gpt2" 1 x
line 1 '"-1" is no token id' detokenize -m "$fixtures/gpt2" -- -1
line 1 'line 1: a JSON string is expected' tokenize --json-lines -m "$fixtures/gpt2" plain
head -c 3000 "$fixtures/t5-spm/spiece.model" > "$out/cut.model"
line 1 'cut.model: no SentencePiece model: ' tokenize -m "$out/cut.model" a
head -c 3000 "$fixtures/bert/tokenizer.json" > "$out/cut.json"
line 1 'cut.json: JSON: ' tokenize -m "$out/cut.json" a
printf 'a\nb\na\n' > "$out/twice.txt"
line 1 'twice.txt: tokens 0 and 2 are both "a"' tokenize -m "$out/twice.txt" a
mkdir "$out/albert"
cp "$fixtures/t5-spm/spiece.model" "$out/albert"
echo '{"tokenizer_class": "AlbertTokenizerFast"}' > "$out/albert/tokenizer_config.json"
line 1 'class AlbertTokenizer needs its tokenizer.json' tokenize -m "$out/albert" a
mkdir "$out/ctrl"
cp "$fixtures/roberta-bpe/"{vocab.json,merges.txt} "$out/ctrl"
echo '{"tokenizer_class": "CTRLTokenizer"}' > "$out/ctrl/tokenizer_config.json"
line 1 'class CTRLTokenizer needs its tokenizer.json' tokenize -m "$out/ctrl" a
echo 'Ġt he x' > "$out/ctrl/merges.txt"
echo '{"tokenizer_class": "RobertaTokenizer"}' > "$out/ctrl/tokenizer_config.json"
line 1 'merges.txt: merge 0: ' tokenize -m "$out/ctrl" a
echo '{}' > "$out/ctrl/vocab.json"
line 1 'vocab.json: the vocabulary is empty' tokenize -m "$out/ctrl" a

[ $failures -eq 0 ] && echo "all as expected"
exit $((failures > 0))
