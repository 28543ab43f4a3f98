#!/usr/bin/env bash
# lapilli embed and fill, on the CPU: the numbers are those of the library, which other tests judge;
# here it is formats, options and what must be refused.
# shellcheck disable=SC2015 # A && B || fail is meant as written
set -u

# shellcheck source=tests/support/shell.sh
. "$(dirname "$0")/support/shell.sh"
fixtures=$LAPILLI_TEST_DIR/fixtures/models

# expect CODE STDERR-PATTERN COMMAND ARGUMENT...
expect()
{
    local code=$1 pattern=$2 command=$3 got
    shift 3
    "$LAPILLI" "$command" -d cpu "$@" > "$out/stdout" 2> "$out/stderr" < "$out/input"
    got=$?
    [ $got -eq "$code" ] || fail "exit code $got instead of $code: $command $*"
    [ -z "$pattern" ] || grep -Eq -- "$pattern" "$out/stderr" ||
        fail "stderr lacks \"$pattern\": $command $*"
}

stdout_has() # PATTERN
{
    grep -Eq -- "$1" "$out/stdout" || fail "stdout lacks \"$1\""
}

stdout_lines() # COUNT
{
    [ "$(wc -l < "$out/stdout")" -eq "$1" ] || fail "stdout has not $1 lines"
}

: > "$out/input"
bert=$out/bert
mkdir "$bert"
cp "$fixtures"/bert/config.json "$fixtures"/bert/model.safetensors "$bert"
{
    printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' the a cat dog sat on mat .
    seq -f 'word%g' 54
} > "$bert/vocab.txt"

# --- embed
expect 0 'pooling mean, vectors of length 1' embed -m "$bert" "the cat sat" "the dog sat" "a mat"
stdout_has '^   1    1\.000 +-?[01]\.[0-9]{3} +-?[01]\.[0-9]{3}$'
expect 0 '' embed -q -m "$bert" "the cat sat"
stdout_lines 1
[ ! -s "$out/stderr" ] || fail "-q is not quiet"
[ "$(tr , '\n' < "$out/stdout" | awk '{ n++; s += $1 * $1 } END { print n, (s > 0.99999 && s < 1.00001) }')" = "36 1" ] ||
    fail "not 36 numbers of length 1"
expect 0 'as they come' embed --no-normalize -m "$bert" --pooling cls a
expect 0 'pooling pooler' embed -m "$bert" --pooling pooler --no-normalize a
[ "$(tr , '\n' < "$out/stdout" | awk '$1 < -1 || $1 > 1')" = "" ] || fail "a tanh beyond 1"
expect 0 '' embed -q -m "$bert" --json "a \"cat\""
stdout_lines 1
stdout_has '"normalized":true,"length":36,"embeddings":\[\{"text":"a \\"cat\\"","n_tokens":6,"vector":\['
printf 'the cat\n\na dog\n' > "$out/input"
expect 0 '' embed -q -m "$bert" --format csv -f - "a mat"
stdout_lines 4
expect 0 '' embed -q -m "$bert" --format csv
stdout_lines 3
printf 'the cat\n\na dog\n' > "$out/texts"
expect 0 '' embed -q -m "$bert" -o "$out/vectors.npy" -f "$out/texts"
[ "$(wc -c < "$out/vectors.npy")" -eq $((128 + 3 * 36 * 4)) ] || fail "the .npy has another size"
head -c 128 "$out/vectors.npy" | grep -aq "'descr': '<f4', 'fortran_order': False, 'shape': (3, 36)" ||
    fail "not a header of NumPy's"
expect 0 '' embed -q -m "$bert" -o "$out/vectors.json" a
grep -q '"vector":\[' "$out/vectors.json" || fail "no JSON in the file"
expect 0 'pooling last' embed -m "$LAPILLI_TEST_DIR/../models/story/story.gguf" "a cat" "a dog"

# too long: 48 positions
long=$(seq -f 'word%g' 60 | tr '\n' ' ')
expect 1 'text 2 has 62 tokens, 48 are possible' embed -m "$bert" a "$long"
[ ! -s "$out/stdout" ] || fail "half an output"
expect 0 '' embed -q -m "$bert" --truncate "$long"
expect 1 'text 1 has 62 tokens, 48 are' embed -m "$bert" -o "$out/no.npy" "$long"
[ ! -e "$out/no.npy" ] || fail "a file in spite of an error"
expect 1 '' embed -m "$bert" -c 100 a
expect 2 'is expected' embed -m "$bert" --pooling max a
expect 2 'ends in none of .json, .csv and .npy' embed -m "$bert" -o . a
expect 2 'npy, csv or json, not "tsv"' embed -m "$bert" --format tsv a
expect 2 'ends in none of .json, .csv and .npy' embed -m "$bert" -o "$out/vectors.txt" a
expect 2 '-m MODEL is missing' embed a
expect 1 'no-such' embed -m "$bert" -f "$out/no-such" a
expect 1 'no pooled output' embed -m "$fixtures/../../../models/story/story.gguf" --pooling pooler a

# what sentence-transformers' files say counts
mkdir "$bert/1_Pooling"
echo '[{"type": "sentence_transformers.models.Transformer", "path": ""},
 {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}]' > "$bert/modules.json"
echo '{"pooling_mode_cls_token": true}' > "$bert/1_Pooling/config.json"
expect 0 'pooling cls, vectors as they come' embed -m "$bert" a
expect 0 'pooling mean, vectors of length 1' embed -m "$bert" --pooling mean --normalize a
echo '{"max_seq_length": 8, "do_lower_case": false}' > "$bert/sentence_bert_config.json"
expect 1 'text 2 has 62 tokens, 8 are possible' embed -m "$bert" a "$long"
expect 0 '' embed -q -m "$bert" -c 9 "a a a a a a a"
expect 0 '' embed -q --truncate --deterministic -m "$bert" "$long"
echo '{"max_seq_length": -1}' > "$bert/sentence_bert_config.json"
expect 1 'sentence_bert_config.json: max_seq_length is no number' embed -m "$bert" a
echo '{"max_seq_length": null}' > "$bert/sentence_bert_config.json"
expect 0 '' embed -q -m "$bert" a
rm "$bert/sentence_bert_config.json"
echo '[' > "$bert/modules.json"
expect 1 'modules.json: JSON' embed -m "$bert" a
rm -r "$bert/modules.json" "$bert/1_Pooling"

# what config.json asks for and is not there
sed -i 's/"position_embedding_type": "absolute"/"position_embedding_type": "relative_key"/' "$bert/config.json"
expect 1 'position_embedding_type "relative_key" is not supported' embed -m "$bert" a
cp "$fixtures/bert/config.json" "$bert"
sed -i 's/"hidden_size"/"is_decoder": true, "hidden_size"/' "$bert/config.json"
expect 1 'is_decoder is not supported' embed -m "$bert" a
cp "$fixtures/bert/config.json" "$bert"

# --- T5's encoder alone
t5=$out/t5
mkdir "$t5"
cp "$fixtures"/t5encoder/{config.json,model.safetensors} "$fixtures"/../translate/t5/tokenizer* "$t5"
expect 0 'pooling mean, vectors of length 1' embed -m "$t5" "The dog came" "a white cat"
expect 0 '' embed -q -m "$t5" "The dog came"
cp "$out/stdout" "$out/vector"
[ "$(tr , '\n' < "$out/vector" | awk '{ n++; s += $1 * $1 } END { print n, (s > 0.99999 && s < 1.00001) }')" = "24 1" ] ||
    fail "not 24 numbers of length 1"
"$LAPILLI" convert -q -t f32 "$t5" "$out/t5.gguf" || fail "T5's encoder as GGUF"
expect 0 '' embed -q -m "$out/t5.gguf" "The dog came"
cmp -s "$out/vector" "$out/stdout" || fail "the GGUF file makes another vector"
expect 1 'no head that predicts masked tokens|has no mask token' fill -m "$t5" "a [MASK]"
expect 1 't5 is an encoder, which lapilli translate does not take; see lapilli embed' translate -m "$t5" -p a

# --- fill
expect 0 '' fill -q -m "$bert" -k 3 "the [MASK] sat on the [MASK]."
stdout_has '^mask 2 \(token 6\)$'
stdout_lines 10
expect 0 '' fill -q -m "$bert" --json -k 2 "a [MASK]"
stdout_has '"position": 2'
stdout_has '"probability": 0\.'
printf 'a [MASK]\n[MASK]\n' > "$out/input"
expect 0 '' fill -q -m "$bert" -k 1
[ "$(grep -c '^mask 1' "$out/stdout")" -eq 2 ] || fail "not both lines are filled"
: > "$out/input"
expect 1 'there is no text' fill -m "$bert"
expect 1 'text 1 has no \[MASK\]: there is nothing to fill' fill -m "$bert" "the cat"
expect 0 '' fill -q -m "$bert" -k 1000 "a [MASK]" # as many as the vocabulary has
stdout_lines 69
expect 1 'a text of 6. tokens; the context has 48' fill -m "$bert" "[MASK] $long"
expect 1 'has no mask token' fill -m "$LAPILLI_TEST_DIR/../models/story/story.gguf" "a [MASK]"
expect 2 '-k' fill -m "$bert" -k 0 "a [MASK]"

# --- what an encoder cannot do
expect 1 'bert is an encoder' run -m "$bert" -p "the cat"
expect 1 'bert is an encoder' perplexity -m "$bert" -c 4 "$out/texts"
expect 1 'bert is an encoder' bench -m "$bert" -p 8 -n 0 -r 1
[ ! -s "$out/stdout" ] || fail "the head of a table without rows"

# --- what it can: a check needs two devices, and the fast CPU is one
"$LAPILLI" check -m "$bert" -d cpu --quick -p "the cat sat on a mat" > "$out/stdout" 2> "$out/stderr" ||
    fail "check of an encoder"
stdout_has 'agrees with CPU reference on bert 24\.7K F16 within .* NMSE .* of the results, on these shapes: 56 nodes in 2 passes of 1 to 8 tokens'

[ $failures -eq 0 ] && echo "all passed"
exit $failures
