#!/usr/bin/env bash
# lapilli classify and embed with pictures, on the CPU: labels and probabilities are those of the
# transformers library from the file to the end (fixtures/pictures/answers.json), and what must be refused.
set -u

# shellcheck source=tests/support/shell.sh
. "$(dirname "$0")/support/shell.sh"
fixtures=$LAPILLI_TEST_DIR/fixtures/models
pictures=$LAPILLI_TEST_DIR/fixtures/pictures
picture=$pictures/picture.png

# expect CODE STDERR-PATTERN COMMAND ARGUMENT...
expect()
{
    local code=$1 pattern=$2 command=$3 got
    shift 3
    "$LAPILLI" "$command" -d cpu "$@" > "$out/stdout" 2> "$out/stderr" < /dev/null
    got=$?
    [ $got -eq "$code" ] || fail "exit code $got instead of $code: $command $*"
    [ -z "$pattern" ] || grep -Eq -- "$pattern" "$out/stderr" ||
        fail "stderr lacks \"$pattern\": $command $*"
}

stdout_has() # PATTERN
{
    grep -Eq -- "$1" "$out/stdout" || fail "stdout lacks \"$1\""
}

# near NAME JQ: what the filter makes of stdout, an array, is near that of the answers.
near()
{
    jq -e --slurpfile a "$pictures/answers.json" "[$2, \$a[0].$1] | transpose | map(.[0] - .[1]) | map(. < 1e-5 and . > -1e-5) | all" \
        "$out/stdout" > "$out/near" || fail "$1: not the library's: $(cat "$out/stdout")"
}

vit=$out/vit clip=$out/clip
mkdir "$vit" "$clip"
cp "$fixtures"/vit/config.json "$fixtures"/vit/model.safetensors "$vit"
cp "$fixtures"/clip/config.json "$fixtures"/clip/model.safetensors "$pictures"/clip/* "$clip"
labels=$(jq -r '.labels | join(",")' "$pictures/answers.json")

# --- labels of a ViT
expect 1 'preprocessor_config.json' classify -m "$vit" "$picture"
echo '{"size": 20}' > "$vit/preprocessor_config.json"
expect 0 'vit .* on ' classify -m "$vit" "$picture"
[ "$(wc -l < "$out/stdout")" -eq 5 ] || fail "not five labels"
head -n 1 "$out/stdout" | grep -q '^  0.3367  great white shark$' || fail "not the likeliest label"
expect 0 '' classify -q -m "$vit" -k 1000 --json "$picture"
near vit '.pictures[0].labels | sort_by(.index) | map(.probability)'
jq -e '.pictures[0].labels[2].label == "tiger \"shark\""' "$out/stdout" > "$out/near" || fail "no name"
expect 0 '' classify -q -m "$vit" -k 1 "$picture" "$pictures/photo.jpg" "$pictures/grey.png"
stdout_has 'photo.jpg$'
[ "$(wc -l < "$out/stdout")" -eq 8 ] || fail "not three pictures"

# --- a check with a picture
check()
{
    "$LAPILLI" check -d cpu --quick "$@" > "$out/stdout" 2> "$out/stderr" < /dev/null
}
check -m "$vit" --image "$picture" || fail "check of a picture: $(cat "$out/stderr")"
stdout_has '^picture +26 .* same +5/5 '
check -m "$vit" && fail "a check of a ViT without a picture"
grep -q 'given with --image$' "$out/stderr" || fail "not told to give a picture"
check -m "$vit" --image "$picture" -p text && fail "a ViT's text"
check -m "$fixtures/gpt2" --image "$picture" && fail "a GPT-2's picture"
grep -q 'gpt2 models read no pictures$' "$out/stderr" || fail "not told that it reads none"

# --- texts with a CLIP
expect 1 'preprocessor_config.json' classify -m "$clip" --labels "$labels" "$picture"
echo '{"image_processor": {"size": 15, "crop_size": {"height": 15, "width": 15}}}' > "$clip/processor_config.json"
expect 0 '' classify -q -m "$clip" --labels "$labels" --json "$picture"
near clip '.pictures[0].labels | sort_by(.index) | map(.probability)'
expect 0 '' classify -q -m "$clip" --labels " a dog , the Tench" -k 1 "$picture"
stdout_has '^  0\.[0-9]{4}  the Tench$'
expect 0 'pooling pooler, vectors of length 1' embed -m "$clip" --image "$picture" "a dog" "the Tench" --json
jq '[.embeddings[] | .vector] | [.[0], .[2]], [.[1], .[2]] | transpose | map(.[0] * .[1]) | add' \
    "$out/stdout" | jq -s . > "$out/cosines"
cp "$out/cosines" "$out/stdout"
near 'cosines[1:3]' '.'
expect 0 '' embed -q -m "$clip" --image "$picture" "a dog"
stdout_has '^   2  .*picture.png$'
stdout_has '^   2    0.091   1.000$'
expect 0 '' embed -q -m "$vit" --image "$picture"
[ "$(tr -dc , < "$out/stdout" | wc -c)" -eq 35 ] || fail "not 36 numbers"
expect 0 'pooling mean' embed -m "$vit" --pooling mean --image "$picture"

# --- what cannot be
expect 2 'there is no picture' classify -m "$vit"
expect 2 '-m MODEL is missing' classify "$picture"
expect 2 'empty label' classify -m "$clip" --labels "a,,b" "$picture"
expect 2 'empty label' classify -m "$clip" --labels "" "$picture"
expect 2 '-k' classify -m "$vit" -k 0 "$picture"
expect 1 'no labels of their own' classify -m "$clip" "$picture"
expect 1 'vit models read no texts' classify -m "$vit" --labels a "$picture"
expect 1 'llama models read no pictures' classify -m "$LAPILLI_TEST_DIR/../models/story/story.gguf" "$picture"
expect 1 'cases.json: no picture that is known' classify -m "$vit" "$pictures/cases.json"
expect 1 'no-such.png' classify -m "$vit" "$out/no-such.png"
expect 1 'vit models read no texts' embed -m "$vit" "a dog"
expect 1 'their pooling is "pooler"' embed -m "$clip" --pooling mean "a dog"
expect 1 'vit is an encoder, which lapilli run does not take; see lapilli classify' run -m "$vit" -p a
expect 1 'vit models read no texts' run -m "$LAPILLI_TEST_DIR/../models/story/story.gguf" --draft "$vit" -p a
expect 1 'vit models read pictures: one is given with --image' check -m "$vit"
echo '{"size": 24}' > "$vit/preprocessor_config.json"
expect 1 'becomes one of 24 x 24 pixels; the model reads 20 x 20' classify -m "$vit" "$picture"
echo '{"size": 20, "image_std": [0, 1, 1]}' > "$vit/preprocessor_config.json"
expect 1 'preprocessor_config.json: image_std' classify -m "$vit" "$picture"
echo '{"size": 20}' > "$vit/preprocessor_config.json"
sed -i 's/"0": "tench/"9": "tench/' "$vit/config.json"
expect 1 'id2label: "9" is no number of one of 7 labels' classify -m "$vit" "$picture"

[ $failures -eq 0 ] && echo "all passed"
exit $failures
