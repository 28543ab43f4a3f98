#!/usr/bin/env bash
# lapilli synth of a config.json: folders and GGUF files of all families, which run and say the same.
# LAPILLI is the command.
set -u

here=$(cd "$(dirname "$0")" && pwd)
fixtures=$here/fixtures/models
# shellcheck source=tests/support/shell.sh
. "$here/support/shell.sh"

bench() # MODEL
{
    "$LAPILLI" bench -d cpu -p 4 -n 4 -r 1 -m "$1" > "$out/stdout" 2> "$out/stderr" ||
        fail "$1: $(tail -n 1 "$out/stderr")"
}

for family in gpt2 llama3 qwen2_moe deepseek_v2 deepseek_v3 gpt_oss gemma3 phi3-longrope falcon-40b; do
    "$LAPILLI" synth "$fixtures/$family" -t f32 -s 7 -o "$out/$family" 2> "$out/stderr" ||
        fail "$family: $(tail -n 1 "$out/stderr")"
    bench "$out/$family"
done
"$LAPILLI" check -d cpu --quick -m "$out/deepseek_v3" > "$out/stdout" 2> "$out/stderr" || fail "check"
for family in bert t5 t5encoder bart modernbert switch; do
    "$LAPILLI" synth "$fixtures/$family/config.json" -t bf16 -o "$out/$family" 2> "$out/stderr" ||
        fail "$family: $(tail -n 1 "$out/stderr")"
    "$LAPILLI" check -d cpu --quick -m "$out/$family" > "$out/stdout" 2> "$out/stderr" ||
        fail "check of $family: $(tail -n 1 "$out/stderr")"
done

# the same seed, the same weights; a GGUF file leaves no folder behind
"$LAPILLI" synth "$fixtures/llama3" -t f32 -s 7 -o "$out/again" 2> "$out/stderr" || fail "again"
cmp -s "$out/again/model.safetensors" "$out/llama3/model.safetensors" || fail "other weights"
"$LAPILLI" synth "$fixtures/llama3" -t f32 -s 8 -o "$out/other" 2> "$out/stderr" || fail "other"
cmp -s "$out/other/model.safetensors" "$out/llama3/model.safetensors" && fail "the seed does nothing"
"$LAPILLI" synth "$fixtures/llama3" -t q8_0 -o "$out/m.gguf" 2> "$out/stderr" || fail "GGUF"
bench "$out/m.gguf"
[ ! -e "$out/m.gguf.folder" ] || fail "a folder is left"

# what goes wrong
"$LAPILLI" synth "$fixtures/llama3" -o "$out/again" 2> "$out/stderr" && fail "over a folder"
grep -q "File exists" "$out/stderr" || fail "$(cat "$out/stderr")"
"$LAPILLI" synth "$fixtures/llama3" -t q8_0 -o "$out/q8" 2> "$out/stderr" && fail "Q8_0 in a folder"
grep -q "weights of a folder are F32, F16 or BF16" "$out/stderr" || fail "$(cat "$out/stderr")"
"$LAPILLI" synth "$fixtures/opt" -o "$out/opt.gguf" 2> "$out/stderr" && fail "OPT as GGUF"
grep -q "are not written" "$out/stderr" || fail "$(cat "$out/stderr")"
[ ! -e "$out/opt.gguf.folder" ] || fail "a folder is left after a failure"
echo '{"model_type": "gpt2"}' > "$out/bad.json"
"$LAPILLI" synth "$out/bad.json" -o "$out/bad" 2> "$out/stderr" && fail "a config without sizes"
grep -q "vocab_size is missing" "$out/stderr" || fail "$(cat "$out/stderr")"
[ ! -e "$out/bad" ] || fail "a folder of nothing"

[ $failures -eq 0 ] && echo "all as expected"
exit $((failures > 0))
