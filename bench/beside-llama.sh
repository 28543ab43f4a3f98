#!/usr/bin/env bash
# Measures lapilli and llama.cpp's llama-bench in turn on the same files and the same device, and
# prints the median of the ratios, pair by pair. Absolute times on a shared machine mean little;
# ratios of alternating runs mean something.
#
#   LLAMA_BENCH=/path/to/llama-bench bench/beside-llama.sh DEVICE [SHAPE:TYPE ...]
#
# DEVICE: vulkan (lapilli's vulkan:0 beside llama.cpp's Vulkan0) or cpu. On lavapipe, llama.cpp gets
# the switches with which it is fastest there; on other drivers set LLAMA_ENV= to leave it as it is.
# PAIRS (default 5), PROMPT (128), TOKENS (32). THREADS: of the CPU, for both (default: each as it
# likes). On a machine that other programs use, take 1: llama.cpp's threads spin while they wait for
# each other, and a second one makes it slower, not faster. Models are made by `lapilli synth`.
set -euo pipefail
cd "$(dirname "$0")/.."
lapilli=${LAPILLI:-build/lapilli}
llama=${LLAMA_BENCH:?path of llama-bench}
device=${1:?usage: bench/beside-llama.sh vulkan|cpu [SHAPE:TYPE ...]}
shift
[ $# -gt 0 ] || set -- llama-15m:F16 llama-15m:Q8_0 llama-15m:Q4_0
pairs=${PAIRS:-5} prompt=${PROMPT:-128} tokens=${TOKENS:-32}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

case $device in
vulkan)
    ours=(-d vulkan:0)
    theirs=(-ngl 99 -dev Vulkan0)
    fastest="GGML_VK_VISIBLE_DEVICES=0 GGML_VK_DISABLE_COOPMAT=1 GGML_VK_DISABLE_COOPMAT2=1 GGML_VK_DISABLE_F16=1"
    ;;
cpu)
    ours=(-d cpu)
    theirs=(-ngl 0 -dev none -fa on)
    fastest=""
    ;;
*)
    echo "no such device: $device" >&2
    exit 2
    ;;
esac
read -ra env <<<"${LLAMA_ENV-$fastest}"
if [ -n "${THREADS:-}" ]; then
    theirs+=(-t "$THREADS")
    export OMP_NUM_THREADS=$THREADS
fi

# Both print JSON with "avg_ts": tokens per second of the prompt, then of generation.
speeds()
{
    awk -F'[:,]' '/"avg_ts"/ {printf "%s ", $2} END {print ""}'
}
run_ours()
{
    "$lapilli" bench -m "$1" -p "$prompt" -n "$tokens" -r 1 -j "${ours[@]}" 2>>"$folder/log" | speeds
}
run_theirs()
{
    env "${env[@]}" "$llama" -m "$1" -p "$prompt" -n "$tokens" -r 1 -o json "${theirs[@]}" \
        2>>"$folder/log" | speeds
}
median()
{
    sort -g | awk '{v[NR] = $1} END {print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2}'
}

echo "| model | test | lapilli t/s | llama.cpp t/s | ratio |"
echo "|---|---|---:|---:|---:|"
for model in "$@"; do
    file=$folder/${model%:*}-${model#*:}.gguf
    "$lapilli" synth "${model%:*}" -t "${model#*:}" -o "$file" >>"$folder/log" 2>&1
    : >"$folder/ours"
    : >"$folder/theirs"
    for _ in $(seq "$pairs"); do
        run_ours "$file" >>"$folder/ours"
        run_theirs "$file" >>"$folder/theirs"
    done
    paste -d ' ' "$folder/ours" "$folder/theirs" >"$folder/pairs" # ours pp tg, theirs pp tg
    column=1
    for test in "pp$prompt" "tg$tokens"; do
        a=$(awk -v c=$column '{print $c}' "$folder/ours" | median)
        b=$(awk -v c=$column '{print $c}' "$folder/theirs" | median)
        ratio=$(awk -v c=$column '{print $c / $(c + 2)}' "$folder/pairs" | median)
        awk -v m="${model/:/ }" -v t="$test" -v a="$a" -v b="$b" -v r="$ratio" \
            'BEGIN {printf "| %s | %s | %.1f | %.1f | %.2f |\n", m, t, a, b, r}'
        column=2
    done
done
