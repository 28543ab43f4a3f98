#!/usr/bin/env bash
# lapilli image, on the CPU: a picture to latents and back, in one step or in two, and what must be refused
# without leaving anything behind.
set -u

# shellcheck source=tests/support/shell.sh
. "$(dirname "$0")/support/shell.sh"
model=$LAPILLI_TEST_DIR/fixtures/autoencoder/kl
pictures=$LAPILLI_TEST_DIR/fixtures/pictures

# expect CODE STDERR-PATTERN ARGUMENT...
expect()
{
    local code=$1 pattern=$2
    shift 2
    expect_command "$code" "$pattern" "$LAPILLI" image -d cpu "$@"
}

# --- latents to a picture, that picture to latents and on; both halves in one step
latents=$LAPILLI_TEST_DIR/fixtures/autoencoder/kl/expected.safetensors
expect 0 'decoded: 6 x 4 latents of 3 channels' -m "$model" --from-latents "$latents" -o "$out/a.png"
grep -q 'AutoencoderKL on ' "$out/stderr" || fail "no device"
expect 0 '' -q -m "$model" --from-latents "$latents" -o "$out/a.png"
[ -s "$out/stderr" ] && fail "not quiet"
[ "$(head -c 26 "$out/a.png" | tail -c 10 | od -An -tu1 | tr -s ' ')" = ' 0 0 0 24 0 0 0 16 8 2' ] ||
    fail "no such PNG"
expect 0 'encoded: 6 x 4 latents' -m "$model" -i "$out/a.png" --save-latents "$out/a.safetensors"
expect 0 '' -m "$model" --from-latents "$out/a.safetensors" -o "$out/two.png"
expect 0 '' -m "$model" -i "$out/a.png" -o "$out/one.png" --save-latents "$out/b.safetensors"
cmp "$out/one.png" "$out/two.png" || fail "one step and two differ"
cmp "$out/a.safetensors" "$out/b.safetensors" || fail "latents differ"

# --- what makes no sense
expect 2 '-m DIR of an autoencoder' -i "$out/a.png" -o "$out/no.png"
expect 2 'either -i' -m "$model" -o "$out/no.png"
expect 2 'either -i' -m "$model" -i a --from-latents b -o "$out/no.png"
expect 2 '-o PNG or' -m "$model" -i "$out/a.png"
expect 2 'is no option' -m "$model" -i "$out/a.png" -o "$out/no.png" more

# --- what is wrong with files
head -c 200 "$out/a.png" > "$out/cut.png"
expect 1 'cut.png: this picture cannot be read' -m "$model" -i "$out/cut.png" -o "$out/no.png"
expect 1 'sides that are multiples of 4' -m "$model" -i "$pictures/picture.png" -o "$out/no.png"
expect 1 'no picture that is known' -m "$model" -i "$latents" -o "$out/no.png"
expect 1 'no-such.png' -m "$model" -i "$out/no-such.png" -o "$out/no.png"
expect 1 'no config.json' -m "$pictures" -i "$out/a.png" -o "$out/no.png"
expect 1 'latents of 5 channels; .* has 3' -m "$model" -o "$out/no.png" \
    --from-latents "$LAPILLI_TEST_DIR/fixtures/autoencoder/tiny/expected.safetensors"
mkdir "$out/half"
cp "$model/config.json" "$out/half"
sed 's/decoder\.conv_in\.weight/decoder.conv_xx.weight/' "$model/diffusion_pytorch_model.safetensors" \
    > "$out/half/diffusion_pytorch_model.safetensors"
expect 1 'there is no decoder in it' -m "$out/half" -i "$out/a.png" -o "$out/no.png"
expect 1 'no-folder' -m "$model" -i "$out/a.png" -o "$out/no-folder/no.png"
[ ! -e "$out/no.png" ] && [ ! -e "$out/no-folder" ] || fail "something was written"
find "$out" -name '*.png*' | sort > "$out/stdout"
[ "$(wc -l < "$out/stdout")" -eq 4 ] || fail "something is left behind"

[ $failures -eq 0 ] && echo "all passed"
exit $failures
