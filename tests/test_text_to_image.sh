#!/usr/bin/env bash
# lapilli image -p, on the CPU: pictures of texts, what goes into their files, strips, previews, an
# interruption; and what must be refused without leaving anything behind.
set -u

# shellcheck source=tests/support/shell.sh
. "$(dirname "$0")/support/shell.sh"
fixtures=$LAPILLI_TEST_DIR/fixtures/pipeline
model=$fixtures/sd

# expect CODE STDERR-PATTERN ARGUMENT...
expect()
{
    local code=$1 pattern=$2
    shift 2
    expect_command "$code" "$pattern" "$LAPILLI" image -d cpu "$@"
}

# size FILE: width and height as in a PNG's header
size()
{
    head -c 24 "$1" | tail -c 8 | od -An -tu1 | tr -s ' '
}

# --- A picture, and what it says of itself
expect 0 "^lapilli: $model on .*CPU.*\(cpu\)" -m "$model" -p "A small dög" --negative blurry -s 7 \
    --steps 3 --cfg-scale 2.5 -o "$out/a.png"
grep -Eq '^lapilli: .*a.png: seed 7, 3 steps in ' "$out/stderr" || fail "no summary"
[ "$(size "$out/a.png")" = ' 0 0 0 24 0 0 0 24' ] || fail "another size"
"$LAPILLI" inspect "$out/a.png" > "$out/stdout" 2> "$out/stderr" || fail "inspect"
for line in 'picture of 24 x 24 pixels' 'prompt  *A small dög' 'negative prompt  *blurry' 'seed  *7' \
    'steps  *3' 'sampler  *ddim' 'guidance  *2.5' 'model SHA-256  *[0-9a-f]{64}' 'device  *.*CPU'; do
    grep -Eq "^$line" "$out/stdout" || fail "inspect lacks \"$line\""
done
"$LAPILLI" inspect -j "$out/a.png" | jq -e '.width == 24 and .texts.seed == "7"' > /dev/null ||
    fail "inspect -j"
expect 0 '' -q -m "$model" -p "A small dög" --negative blurry -s 7 --steps 3 --cfg-scale 2.5 -o "$out/b.png"
[ -s "$out/stderr" ] && fail "not quiet"
cmp "$out/a.png" "$out/b.png" || fail "the same seed makes another picture"

"$LAPILLI" inspect "$model" > "$out/stdout" 2> "$out/stderr" || fail "inspect a folder"
grep -Eq '^autoencoder  *AutoencoderKL$' "$out/stdout" && grep -Eq '^multiple  *4$' "$out/stdout" ||
    fail "inspect does not know the folder"
"$LAPILLI" inspect -j "$model" | jq -e '.width == 24 and .tokens == 11' > /dev/null || fail "inspect -j DIR"

# --- Several, each by its own seed; from a picture, in a part of it
expect 0 'c-8.png: seed 8' -m "$model" -p "A small dög" --negative blurry -s 7 --steps 3 --cfg-scale 2.5 \
    -b 2 -o "$out/c.png"
cmp "$out/a.png" "$out/c-7.png" || fail "the first of several is another picture"
cmp -s "$out/c-7.png" "$out/c-8.png" && fail "other seeds make the same picture"
expect 0 'seed 1, 2 steps' -m "$model" -p dog -s 1 --steps 4 --strength 0.5 -i "$fixtures/init.png" \
    --mask "$fixtures/mask.png" --sampler euler-ancestral -o "$out/d.png"
[ "$(size "$out/d.png")" = ' 0 0 0 40 0 0 0 24' ] || fail "not the size of the first picture"
expect 0 'seed 1, 4 steps' -m "$model" -p dog -s 1 --steps 4 -W 28 -H 20 --sampler euler --schedule karras \
    --filmstrip "$out/strip.png" -o "$out/e.png"
[ "$(size "$out/strip.png")" = ' 0 0 0 122 0 0 0 46' ] || fail "a strip of another size"

expect 0 'seed 1' -m "$model" -p "a small dog" -s 1 --steps 2 --attention dog -o "$out/h.png"
[ "$(size "$out/h-attention.png")" = "$(size "$out/h.png")" ] || fail "no overlay"
expect 0 'seed 1' -m "$model" -p "a small dog" -s 1 --steps 2 -o "$out/i.png"
cmp "$out/h.png" "$out/i.png" || fail "an overlay changes the picture"
expect 1 '"cat" is not in the prompt' -m "$model" -p "a small dog" --attention cat -o "$out/j.png"

# --- What a check found: it is obeyed, or refused for another driver
echo '{"lapilli": "0.1.0", "device": "CPU", "driver": "", "no_fusion": true}' > "$out/good.json"
echo '{"lapilli": "0.1.0", "device": "CPU", "driver": "1.2", "no_fusion": true}' > "$out/driver.json"
expect 0 'seed 1' -m "$model" -p "a small dog" -s 1 --steps 2 --workaround "$out/good.json" -o "$out/k.png"
expect 1 'driver.json: workaround: this is for the driver 1.2' -m "$model" -p dog --workaround "$out/driver.json"

# --- A preview, though nobody looks; Ctrl-C leaves a picture
for way in blocks kitty iterm sixel; do
    expect 0 $'\033' -m "$model" -p dog -s 1 --steps 2 --preview=$way -o "$out/f.png"
done
"$LAPILLI" image -d cpu -m "$model" -p dog -s 1 --steps 900 -W 48 -H 48 --preview=blocks \
    -o "$out/g.png" > "$out/stdout" 2> "$out/stderr" &
job=$!
for _ in $(seq 600); do # until a step is shown
    [ "$(grep -c ▀ "$out/stderr")" -gt 0 ] && break
    sleep 0.05
done
kill -TERM $job # a background job of a script does not hear INT
wait $job
[ $? -eq 143 ] || fail "an interruption"
[ "$(size "$out/g.png")" = ' 0 0 0 48 0 0 0 48' ] || fail "an interruption leaves no picture"
"$LAPILLI" inspect "$out/g.png" > "$out/stdout" 2> "$out/stderr"
grep -Eq '^steps  *[1-9][0-9]{0,2}$' "$out/stdout" || fail "steps of an interrupted picture"

# --- What makes no sense
find "$out" ! -name before | sort > "$out/before"
no=(-o "$out/no.png")
expect 2 '-p PROMPT is missing' "${no[@]}"
expect 2 '--steps' -m "$model" -p dog --steps 100000 "${no[@]}"
expect 2 '--sampler: "magic" is none of ddim, ddpm' -m "$model" -p dog --sampler magic "${no[@]}"
expect 2 '--schedule' -m "$model" -p dog --schedule magic "${no[@]}"
expect 2 '--preview' -m "$model" -p dog --preview=magic "${no[@]}"
expect 2 '--strength needs a picture' -m "$model" -p dog --strength 0.5 "${no[@]}"
expect 2 '-p PROMPT is missing: one of the options' -m "$model/vae" -i "$out/a.png" --steps 3 "${no[@]}"
expect 2 '--mask needs a picture' -m "$model" -p dog --mask "$fixtures/mask.png" "${no[@]}"
expect 2 'without -b' -m "$model" -p dog -b 2 --filmstrip "$out/no.png"
expect 2 'goes with neither' -m "$model" -p dog --save-latents "$out/no.st"
expect 1 'multiples of 4' -m "$model" -p dog -W 30 "${no[@]}"
expect 1 'strength of 0.1 leaves none of 4 steps' -m "$model" -p dog --steps 4 --strength 0.1 \
    -i "$fixtures/init.png" "${no[@]}"
expect 1 'ddim has no Karras' -m "$model" -p dog --schedule karras "${no[@]}"
expect 1 'no-such.png' -m "$model" -p dog -i "$out/no-such.png" "${no[@]}"
expect 1 'no picture that is known' -m "$model" -p dog -i "$model/model_index.json" "${no[@]}"
expect 1 'no-folder' -m "$model" -p dog --steps 1 -o "$out/no-folder/no.png"

# --- What is wrong with a folder
expect 1 'no model_index.json' -m "$fixtures" -p dog "${no[@]}"
broken=$out/broken
# break_part FILE SED-SCRIPT
break_part()
{
    rm -rf "$broken"
    cp -r "$model" "$broken"
    LC_ALL=C sed "$2" "$model/$1" > "$broken/$1"
}
break_part model_index.json 's/StableDiffusionPipeline/FluxPipeline/'
expect 1 'a FluxPipeline; StableDiffusionPipeline is supported' -m "$broken" -p dog "${no[@]}"
break_part unet/diffusion_pytorch_model.safetensors 's/mid_block.resnets.0.conv1.weight/mid_block.resnets.0.conv9.weight/'
expect 1 'mid_block.resnets.0.conv1.weight' -m "$broken" -p dog "${no[@]}"
break_part unet/config.json 's/"cross_attention_dim": 12/"cross_attention_dim": 13/'
expect 1 'attn2.to_k.weight: want \[4, 13\], file has \[4, 12\]' -m "$broken" -p dog "${no[@]}"
break_part vae/config.json 's/"scaling_factor": 0.7/"scaling_factor": 0/'
expect 1 'scaling_factor' -m "$broken" -p dog "${no[@]}"
break_part tokenizer/tokenizer_config.json 's/11/1/'
expect 1 'model_max_length is 1' -m "$broken" -p dog "${no[@]}"
rm -rf "$broken"
cp -r "$model" "$broken"
rm -r "$broken/text_encoder"
expect 1 'broken/text_encoder' -m "$broken" -p dog "${no[@]}"
# a weight that is no number: the last two bytes of the file are one of a convolution
rm -rf "$broken"
cp -r "$model" "$broken"
bytes=$(wc -c < "$model/unet/diffusion_pytorch_model.safetensors")
head -c $((bytes - 2)) "$model/unet/diffusion_pytorch_model.safetensors" \
    > "$broken/unet/diffusion_pytorch_model.safetensors"
printf '\xff\x7f' >> "$broken/unet/diffusion_pytorch_model.safetensors"
expect 1 'finite|nan' -m "$broken" -p dog "${no[@]}"
rm -rf "$broken"

# --- A full disk: the old file stays
echo old > "$out/old.png"
(
    trap '' XFSZ
    ulimit -f 1
    "$LAPILLI" image -d cpu -m "$model" -p dog --steps 1 -W 48 -H 48 -o "$out/old.png" \
        > "$out/stdout" 2> "$out/stderr"
)
[ $? -eq 1 ] && grep -q "old.png: File too large" "$out/stderr" || fail "a full disk was not noticed"
[ "$(cat "$out/old.png")" = old ] || fail "half a picture"
rm "$out/old.png"
find "$out" ! -name before | sort | diff - "$out/before" > "$out/stdout" || fail "something is left behind"

[ $failures -eq 0 ] && echo "all passed"
exit $failures
