#!/usr/bin/env bash
# lapilli perplexity on the device under test, beside two judges: llama.cpp's llama-perplexity 0.7.0
# (chunks; F32 keys and values) and transformers 5.12 (strides, in fp32), of stories that the model
# that ships has written (seeds 1 to 12). The judges' values were recorded; they are not run here.
# shellcheck disable=SC2015 # A && B || fail is meant as written
set -u

# shellcheck source=tests/support/shell.sh
. "$(dirname "$0")/support/shell.sh"
text=$LAPILLI_TEST_DIR/data/stories.txt

# expect CODE STDERR-PATTERN ARGUMENT...
expect()
{
    local code=$1 pattern=$2 got
    shift 2
    "$LAPILLI" perplexity -d "$LAPILLI_TEST_DEVICE" "$@" > "$out/stdout" 2> "$out/stderr" < /dev/null
    got=$?
    [ $got -eq "$code" ] || fail "exit code $got instead of $code: perplexity $*"
    [ -z "$pattern" ] || grep -Eq -- "$pattern" "$out/stderr" || fail "stderr lacks \"$pattern\": perplexity $*"
}

stdout_has() # PATTERN
{
    grep -Eq -- "$1" "$out/stdout" || fail "stdout lacks \"$1\""
}

# near VALUE UNCERTAINTY: four digits of both.
near()
{
    awk -v p="$1" -v u="$2" '/^perplexity / {
        exit !($2 - p < p / 1e4 && p - $2 < p / 1e4 && $4 - u < u / 1e3 && u - $4 < u / 1e3) }' \
        "$out/stdout" || fail "not $1 ± $2"
}

expect 0 "" --cache-type f32 -c 128 --chunks 4 "$text"
near 2.2302 0.25715
case $LAPILLI_TEST_DRIVER in
swiftshader*) # it takes minutes for the rest
    [ $failures -eq 0 ] && echo "all passed"
    exit $((failures > 0))
    ;;
esac
expect 0 "^lapilli: llama .*: asked for$" -c 256 --cache-type f32 "$text"
near 3.4992 0.22947
stdout_has "^1,397 of 2,956 tokens counted; 11 chunks of 256, the second half of each$"
[ "$(wc -l < "$out/stderr")" -eq 1 ] || fail "progress without a terminal"
expect 0 "" -q -c 256 -b 64 "$text" # other pieces and f16, where llama.cpp has 3.4990
near 3.4991 0.22947
[ ! -s "$out/stderr" ] || fail "--quiet was not quiet"
expect 0 "^lapilli: chunk 1 of 3: [0-9.]+$" -v -c 128 --chunks 3 "$text"
stdout_has "^189 of 2,956 tokens counted; 3 chunks of 128, the second half of each$"
expect 0 "" --stride 300 --cache-type f32 "$text"
near 4.35826 0.1842
stdout_has "^2,955 of 2,956 tokens counted; 10 chunks of 512, stride 300$"
expect 0 "" --stride 128 -c 128 --cache-type f32 "$text"
near 6.10531 0.2925
stdout_has "^2,932 of 2,956 tokens counted; 24 chunks of 128, stride 128$"
expect 0 "" -q --json --stride 16 --chunks 2 -c 32 "$text"
stdout_has '"n_counted": 47,'
stdout_has '"running": \['

expect 1 "stories.txt: 2956 tokens, at least 4096 are needed to fill the context" -c 4096 "$text"
expect 1 "a stride of 65 would leave tokens out: the context has 64" --stride 65 -c 64 "$text"
expect 1 "^lapilli: $out/none: No such file" "$out/none"
: > "$out/empty"
expect 1 "empty: 1 tokens, at least 2 are needed$" --stride 16 "$out/empty"
expect 2 "^lapilli perplexity: one FILE is expected, not 0" -c 64
expect 2 "^lapilli perplexity: -c wants a whole number from 4 " -c 3 "$text"
expect 2 "^lapilli perplexity: --stride wants a whole number from 1 " --stride 0 "$text"

[ $failures -eq 0 ] && echo "all passed"
exit $((failures > 0))
