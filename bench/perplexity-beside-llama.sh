#!/usr/bin/env bash
# Perplexities of lapilli and of llama.cpp's llama-perplexity, of the same text on the same files.
#
#   LLAMA_PERPLEXITY=/path/to/llama-perplexity bench/perplexity-beside-llama.sh MODEL.gguf ...
#
# TEXT (default: the stories of the tests), CONTEXT (256), DEVICE (lapilli's: cpu), CHUNKS (all).
# llama.cpp runs on the CPU. Keys and values in F32, where only rounding differs, in F16 and in Q8_0
# (which llama.cpp rounds by a rule a little different: see src/tensor/state.h). Other weights than F32: llama.cpp rounds activations to F16 or int8, lapilli does not.
set -euo pipefail
cd "$(dirname "$0")/.."
lapilli=${LAPILLI:-build/lapilli}
llama=${LLAMA_PERPLEXITY:?path of llama-perplexity}
[ $# -gt 0 ] || { echo "usage: bench/perplexity-beside-llama.sh MODEL.gguf ..." >&2; exit 2; }
text=${TEXT:-tests/data/stories.txt} context=${CONTEXT:-256}
chunks=()
[ -z "${CHUNKS:-}" ] || chunks=(--chunks "$CHUNKS")

ours() # MODEL TYPE
{
    "$lapilli" perplexity -q -m "$1" -c "$context" -d "${DEVICE:-cpu}" --cache-type "$2" \
        "${chunks[@]}" "$text" | awk '/^perplexity/ {print $2 " ± " $4}'
}
theirs() # MODEL TYPE
{
    local attention=on
    [ "$2" != f32 ] || attention=off
    "$llama" -m "$1" -f "$text" -c "$context" -ngl 0 -dev none -ctk "$2" -ctv "$2" \
        -fa $attention "${chunks[@]}" 2>&1 |
        awk '/Final estimate/ {sub(/.*PPL = /, ""); sub(/\+\/-/, "±"); print}'
}

echo "| model | keys and values | lapilli | llama.cpp |"
echo "|---|---|---:|---:|"
for model in "$@"; do
    for type in f32 f16 q8_0; do
        echo "| $(basename "$model") | $type | $(ours "$model" $type) | $(theirs "$model" $type) |"
    done
done
