#!/usr/bin/env bash
# The command as a user or a script sees it: usage errors, help, broken files of each kind, empty and
# long prompts, streams that are closed or full, interruption, JSON that parses. LAPILLI is the
# command; models are made by `lapilli synth`.
# shellcheck disable=SC2015 # A && B || fail is meant as written
set -u

# shellcheck source=tests/support/shell.sh
. "$(dirname "$0")/support/shell.sh"

# expect CODE STDERR-PATTERN ARGUMENT...: runs the command without a terminal. The pattern (of grep
# -E, "" for anything) must be found in stderr.
expect()
{
    local code=$1 pattern=$2 got
    shift 2
    "$LAPILLI" "$@" > "$out/stdout" 2> "$out/stderr" < /dev/null
    got=$?
    if [ $got -ne "$code" ]; then
        fail "exit code $got instead of $code: lapilli $*"
    elif [ -n "$pattern" ] && ! grep -Eq "$pattern" "$out/stderr"; then
        fail "stderr lacks \"$pattern\": lapilli $*"
    elif [ "$code" -eq 2 ] && [ -s "$out/stdout" ]; then
        fail "a usage error must leave stdout empty: lapilli $*"
    fi
}

# The same, and stderr must be exactly one line.
expect_line()
{
    expect "$@"
    [ "$(wc -l < "$out/stderr")" -eq 1 ] || fail "not one line: lapilli ${*:3}"
}

stdout_has() # PATTERN
{
    grep -Eq -- "$1" "$out/stdout" || fail "stdout lacks \"$1\""
}

# --- Usage ---------------------------------------------------------------------------------------
expect 2 "^Usage: lapilli COMMAND"
expect 0 "" --help
stdout_has "^Usage: lapilli COMMAND"
stdout_has "Exit codes: 0 success; 1 failure"
expect 0 "" --version
stdout_has "^lapilli [0-9]+\.[0-9]+\.[0-9]+$"
[ "$(env -u OMP_WAIT_POLICY "$LAPILLI" --version)" = "$("$LAPILLI" --version)" ] ||
    fail "starting itself again changed the output"
expect_line 2 'there is no command "frobnicate"; see lapilli --help' frobnicate
for command in run chat check doctor devices inspect plan bench synth perplexity; do
    expect 0 "" $command --help
    stdout_has "^Usage: lapilli $command "
    expect 0 "" help $command
    stdout_has "^Usage: lapilli $command "
    expect_line 2 "^lapilli $command: there is no option --frobnicate" $command --frobnicate
    expect_line 2 "^lapilli $command: there is no option -Z; see lapilli $command --help" $command -Z
done
expect_line 2 '^lapilli run: -n needs an argument' run -n
expect_line 2 '^lapilli run: -n wants a whole number from 0 to 4,294,967,295, not "x"' run -n x
expect_line 2 'not "-1"' run -n -1
expect_line 2 'not " 1"' run -n " 1"
expect_line 2 'not "1e3"' run -n 1e3
expect_line 2 'not "4294967296"' run -n 4294967296
expect_line 2 'not "99999999999999999999999"' run -s 99999999999999999999999
expect_line 2 '^lapilli run: --temp wants a number from 0 to 100, not "nan"' run --temp nan
expect_line 2 'not "-0.5"' run --temp=-0.5
expect_line 2 'not "1.5"' run --top-p 1.5
expect_line 2 '^lapilli run: --cache-type is f16, f32 or q8_0, not "q4_0"' run --cache-type q4_0
expect_line 2 '^lapilli run: only one prompt can be given' run -p a -p b
expect_line 2 '^lapilli run: "hello" is not an option; a prompt is given with -p' run hello
expect_line 2 '^lapilli run: --stop wants a text that is not empty' run --stop ""
expect_line 2 '^lapilli run: --dry-breaker wants a text that is not empty' run --dry-breaker ""
expect_line 2 '^lapilli run: --dry-base wants a number from 1 to 100, not "0.5"' run --dry-base 0.5
expect_line 2 '^lapilli run: --typical wants a number from 0.001 to 1, not "2"' run --typical 2
expect_line 2 '^lapilli run: --mirostat is 2' run --mirostat 1
expect_line 2 '^lapilli run: --dry-allowed-length wants a whole number from 1 to ' run --dry-allowed-length 0
for bias in "" = a a= =1 "a=x" "5+" "5+1x" "a=inf" "a=nan"; do
    expect_line 2 '^lapilli run: --logit-bias wants ID=BIAS or TEXT=BIAS' run --logit-bias "$bias"
done
expect_line 2 '^lapilli run: --guard wants a number from 0 to 1, not "2"' run --guard=2
expect_line 2 'takes no argument' run --quiet=yes
expect_line 2 '^lapilli run: --top-p wants a number from 0.001 to 1, not "0"' run --top-p 0
expect_line 2 '^lapilli run: -m wants a name that is not empty' run -m ""
expect_line 2 '^lapilli run: -f wants a name that is not empty' run -f ""
expect_line 2 '^lapilli bench: -m wants a name that is not empty' bench -m ""
expect_line 2 '^lapilli synth: -o wants a name that is not empty' synth gpt2 -o ""
expect_line 2 '^lapilli inspect: FILE|DIR wants a name that is not empty' inspect ""
expect_line 2 '^lapilli check: --runs wants a whole number from 1 to 1,000, not "0"' check --runs 0
expect_line 2 '^lapilli check: --cache-type is f16, f32 or q8_0, not "q8"' check --cache-type q8
expect_line 2 '^lapilli check: only one prompt can be given' check -p a -f b
expect_line 2 '^lapilli check: "hello" is not an option; a prompt is given with -p' check hello
expect_line 2 '^lapilli inspect: one FILE or DIR is expected, not 0' inspect
expect_line 2 '^lapilli inspect: one FILE or DIR is expected, not 2' inspect a b
expect_line 2 '^lapilli devices: nothing is expected' devices x
expect_line 2 '^lapilli doctor: nothing is expected' doctor x
expect_line 2 '^lapilli bench: -p 0 -n 0 leaves nothing to measure' bench -p 0 -n 0
expect_line 2 '^lapilli bench: -r wants a whole number from 1 to 1,000, not "0"' bench -r 0
expect_line 2 '^lapilli synth: one SHAPE is expected, not 0' synth -o "$out/x"
expect_line 2 '^lapilli synth: -o FILE is missing' synth gpt2
expect_line 2 '^lapilli synth: --type is one of F32, .*, TQ2_0, not "Q3"' synth gpt2 -t Q3

# --- Planted faults: there only in builds for developers ------------------------------------------
if "$LAPILLI" run --plant list > "$out/stdout" 2> "$out/stderr"; then
    stdout_has "^missing-barrier  +[a-z]"
    [ "$(wc -l < "$out/stdout")" -ge 30 ] || fail "few faults"
    expect_line 1 '^lapilli: faults are planted in plans; cpu has none' run -qd cpu -n 1 --plant nan
else
    expect_line 1 '^lapilli: this build has no faults to plant .configure with' run --plant list
    expect_line 1 '^lapilli: this build has no faults to plant .configure with' run -qn 1 --plant nan
fi

# --- inspect without a tokenizer ------------------------------------------------------------------
fixture=$(dirname "$0")/fixtures/models/gpt_oss
expect 0 "^lapilli: warning: .*/gpt_oss: no tokenizer: neither tokenizer.json nor" inspect "$fixture"
stdout_has '^tokenizer +none$'
expect 0 "no tokenizer" inspect --json "$fixture"
stdout_has '"tokenizer": "none"'
expect_line 1 "^lapilli: .*/gpt_oss: no tokenizer: neither" check -m "$fixture" -d cpu -p x
mkdir "$out/odd"
cp "$fixture"/{config.json,model.safetensors} "$out/odd"
echo '{"model": {"type": "Odd"}}' > "$out/odd/tokenizer.json"
expect 0 "^lapilli: warning: $out/odd/tokenizer.json: " inspect "$out/odd"
stdout_has '^experts +5$'
expect_line 1 "^lapilli: $out/odd/tokenizer.json: " run -m "$out/odd" -p x -d cpu

# --- synth and inspect ---------------------------------------------------------------------------
expect 0 "" synth --list
stdout_has "^llama-15m  .*dim 288, 6 layers"
expect_line 1 '^lapilli: no shape is called gpt9; there are ' synth gpt9 -o "$out/x"
expect_line 1 '^lapilli: /nonexistent/x: No such file or directory' synth gpt2 -o /nonexistent/x
for shape in tiny-gpt2 tiny-llama tiny-llama3; do
    expect 0 "" synth $shape -t q8_0 -o "$out/$shape.gguf"
    expect 0 "" inspect --metadata "$out/$shape.gguf"
    stdout_has "^  token_embd.weight +Q8_0 +\[[0-9]+, 64\] "
    stdout_has "^  general.name +\"$shape random\""
    stdout_has "[0-9] tensors, [0-9,]+ parameters, [0-9,]+ bytes \("
    expect 0 "" inspect --json "$out/$shape.gguf"
    stdout_has '"general.name": "'$shape' random"'
    stdout_has '"embedding_length": 64'
done
model=$out/tiny-llama.gguf
expect 0 "" synth tiny-llama -t f32 -s 5 -o "$out/a.gguf"
expect 0 "" synth tiny-llama -t f32 -s 5 -o "$out/b.gguf"
cmp -s "$out/a.gguf" "$out/b.gguf" || fail "the same seed gave another file"

# --- Broken files --------------------------------------------------------------------------------
size=$(stat -c %s "$model")
head -c $((size - 40)) "$model" > "$out/cut.gguf"
head -c 700 "$model" > "$out/header.gguf"
printf 'GGUF\003\000\000\000\377\377\377\377\377\377\377\377\000\000\000\000\000\000\000\000' \
    > "$out/absurd.gguf"
printf 'PK\003\004 not a model' > "$out/zip.gguf"
: > "$out/empty.gguf"
mkdir "$out/folder" "$out/badjson"
echo '{"model_type": "llama",' > "$out/badjson/config.json"
for how in "run -p x -m" inspect "bench -m" "check -m"; do
    # shellcheck disable=SC2086 # the subcommand and its options
    {
        expect_line 1 "^lapilli: $out/cut.gguf: tensor .*: [0-9,]+ bytes expected, file ends after" \
            $how "$out/cut.gguf"
        expect_line 1 "^lapilli: $out/header.gguf: .*metadata key " $how "$out/header.gguf"
        expect_line 1 "^lapilli: $out/absurd.gguf: .* tensors do not fit" $how "$out/absurd.gguf"
        expect_line 1 "^lapilli: $out/zip.gguf: not a GGUF file" $how "$out/zip.gguf"
        expect_line 1 "^lapilli: $out/empty.gguf: not a GGUF file" $how "$out/empty.gguf"
        expect_line 1 "^lapilli: $out/folder/config.json: No such file" $how "$out/folder"
        expect_line 1 "^lapilli: $out/badjson/config.json: JSON: " $how "$out/badjson"
        expect_line 1 "^lapilli: $out/none.gguf: No such file or directory" $how "$out/none.gguf"
        expect_line 1 "^lapilli: /dev/null: a device or pipe" $how /dev/null
    }
done

# --- Workarounds ---------------------------------------------------------------------------------
echo '{"lapilli": "0.1.0", "device": "CPU", "driver": "", "no_fusion": true}' > "$out/good.json"
echo '{"lapilli": "0.1.0", "device": "CPU", "driver": "1.2"}' > "$out/driver.json"
echo '{"lapilli": "0.1.0", "device": "GPU", "driver": "1.2"}' > "$out/device.json"
head -c 20 "$out/good.json" > "$out/cut.json"
printf '{"a\000": 1}' > "$out/zero.json"
expect 0 "" run -q -d cpu -m "$model" -p a -n 4 --temp 0 --workaround "$out/good.json"
mv "$out/stdout" "$out/with"
expect 0 "" run -q -d cpu -m "$model" -p a -n 4 --temp 0
cmp -s "$out/with" "$out/stdout" || fail "without fusion the text is another one"
for how in "run -q -p x" bench; do
    # shellcheck disable=SC2086 # the subcommand and its options
    {
        expect_line 1 '^lapilli: [^:]*: workaround: this is for the driver 1.2, but CPU has none' \
            $how -d cpu -m "$model" --workaround "$out/driver.json"
        expect_line 1 '^lapilli: [^:]*: workaround: this is for the device GPU, not for CPU' \
            $how -d cpu -m "$model" --workaround "$out/device.json"
        expect_line 1 '^lapilli: [^:]*: workaround: JSON: ' $how -d cpu -m "$model" \
            --workaround "$out/cut.json"
        expect_line 1 "^lapilli: $out/zero.json: not a text" $how --workaround "$out/zero.json"
        expect_line 1 "^lapilli: $out/none.json: No such file" $how --workaround "$out/none.json"
    }
done

# --- doctor --------------------------------------------------------------------------------------
# the CPU needs no Vulkan, and a driver that cannot be loaded does not come up
echo '{"file_format_version": "1.0.0", "ICD": {"library_path": "/nonexistent.so", "api_version": "1.2.0"}}' \
    > "$out/icd.json"
VK_DRIVER_FILES=$out/icd.json VK_LOADER_DEBUG=all "$LAPILLI" run -q -d cpu -m "$model" -p a -n 1 \
    > /dev/null 2> "$out/stderr" || fail "run -d cpu beside a broken driver"
! grep -q "icd.json" "$out/stderr" || fail "run -d cpu opened the Vulkan loader"
expect 0 "" doctor --quick -d cpu -m "$model"
stdout_has "^cpu +good +CPU$"
stdout_has "^ +all [0-9]+ computations agree with the reference$"
stdout_has "^ +F32 +F16 +BF16 +Q8_0 +Q4_0 +MXFP4 +Q4_1$"
stdout_has "^  linear( +[0-9]+){7}$"
stdout_has "^  shipped model +llama .*6 of 6 tokens as on the reference"
[ "$(awk '{ if (length > longest) longest = length } END { print longest }' "$out/stdout")" -le 80 ] ||
    fail "doctor writes more than 80 columns"
expect 0 "" doctor --quick --json -d cpu -m "$model"
stdout_has '"health": "good"'
stdout_has '"operation": "linear"'
expect 0 "" doctor -d reference
stdout_has "^reference +judge "
expect_line 1 "^lapilli: no device \"nowhere\"; there are: " doctor -d nowhere
expect_line 1 "^lapilli: $out/none.gguf: No such file or directory" doctor -m "$out/none.gguf"
expect 0 "" doctor --forget
stdout_has "^cpu +nothing was remembered$"

# --- devices -------------------------------------------------------------------------------------
expect 0 "" devices
stdout_has "^cpu: .* \| host \| "
stdout_has "^chosen: .*\("
expect 0 "" devices --json
stdout_has '"id": "cpu"'
stdout_has '"chosen": '
stdout_has '"api_version": "([0-9]+[.][0-9]+[.][0-9]+)?"'
expect 1 '^lapilli: no device "quantum"; there are: .*cpu' devices --device quantum

# --- run -----------------------------------------------------------------------------------------
expect 0 "^lapilli: llama .* on CPU \(cpu\): asked for" \
    run -m "$model" --device cpu -p "ba be" -n 8 --temp 0
stdout_has "^ba be"
grep -Eq "^lapilli: 8 tokens.*; ended: as many tokens as asked for$" "$out/stderr" ||
    fail "no summary"
cp "$out/stdout" "$out/first"
expect 0 "" run -m "$model" --device cpu -p "ba be" -n 8 --temp 0 --no-echo -q
[ ! -s "$out/stderr" ] || fail "--quiet was not quiet"
[ "$(cat "$out/first")" = "ba be$(cat "$out/stdout")" ] || fail "--no-echo changed the text"
expect 0 "^lapilli: guard: [0-9]* nodes recomputed" \
    run -m "$model" --device cpu -p "ba be" -n 8 --temp 0 --guard=1
cmp -s "$out/stdout" "$out/first" || fail "--guard changed the text"
expect 0 "" run -m "$model" --device cpu -p "ba be" -n 8 --temp 0 -q --guard
[ ! -s "$out/stderr" ] || fail "--guard --quiet was not quiet"
for seed in 1 2; do
    for again in a b; do
        expect 0 "; seed $seed$" run -m "$model" -d cpu -p "ba" -n 20 --temp 1.5 -s $seed
        cp "$out/stdout" "$out/seed-$seed-$again"
    done
    cmp -s "$out/seed-$seed-a" "$out/seed-$seed-b" || fail "seed $seed gave two texts"
done
cmp -s "$out/seed-1-a" "$out/seed-2-a" && fail "two seeds gave one text"
for how in "--logit-bias 5=0" "--logit-bias 5+0 --samplers top_k;temperature --temperature 0" \
    "--typical 1 --tail-free 1 --logit-bias x=0"; do # drawn by the host
    # shellcheck disable=SC2086 # several options
    expect 0 "" run -m "$model" -d cpu -p "ba be" -n 8 --temp 0 $how
    cmp -s "$out/stdout" "$out/first" || fail "$how changed the text"
done
token=$(sed 's/^ba be//' "$out/first" | cut -c 1-2)
expect 0 "" run -m "$model" -d cpu -p "ba be" -n 8 --temp 0 --logit-bias "$token=-inf"
cmp -s "$out/stdout" "$out/first" && fail "a banned token came"
for how in "--typical 0.5" "--tail-free 0.5" "--top-n-sigma 1" "--mirostat 2 --mirostat-ent 3" \
    "--xtc-probability 0.5 --xtc-threshold 0.01" "--frequency-penalty 0.5 --presence-penalty -0.5" \
    "--dry-multiplier 1 --dry-breaker none" "--samplers top_p;temperature;min-p"; do
    # shellcheck disable=SC2086 # several options
    expect 0 "" run -q -m "$model" -d cpu -p "ba be" -n 30 -s 3 --temp 1.5 $how
    cp "$out/stdout" "$out/once"
    # shellcheck disable=SC2086
    expect 0 "" run -q -m "$model" -d cpu -p "ba be" -n 30 -s 3 --temp 1.5 $how
    cmp -s "$out/stdout" "$out/once" || fail "the same seed gave two texts: $how"
done
expect_line 1 '^lapilli: samplers: there is no "nucleus"; there are penalties, dry, ' \
    run -q -m "$model" -d cpu -p ba --samplers "top_k;nucleus"
expect_line 1 '^lapilli: logit bias: token 999999; the vocabulary has ' \
    run -q -m "$model" -d cpu -p ba --logit-bias 999999=1
printf 'ba be\n' > "$out/prompt"
expect 0 "" run -m "$model" -d cpu -f "$out/prompt" -n 8 --temp 0
cmp -s "$out/first" "$out/stdout" || fail "-f gave another text than -p"
"$LAPILLI" run -m "$model" -d cpu -n 8 --temp 0 - < "$out/prompt" > "$out/stdout" 2> "$out/stderr"
cmp -s "$out/first" "$out/stdout" || fail "- gave another text than -p"
expect 0 "" run -m "$model" -d cpu -p "" -n 4 # begins with BOS
expect 0 "" run -d cpu -p "" -n 4 --temp 0 # the shipped model's text begins with a word, not a space
stdout_has "^[^ ]"
expect 0 "^lapilli: memory: weights [0-9.]+ [KM]?i?B, keys and values " \
    run -v -m "$model" -d cpu -p ba -n 4
expect 0 "" run -m "$model" -d cpu -n 4      # no terminal: not asked
expect_line 1 "^lapilli: the prompt is empty" run -q -m "$out/tiny-gpt2.gguf" -d cpu -p "" -n 4
expect_line 1 "^lapilli: $out/nowhere: No such file" run -m "$model" -f "$out/nowhere"
expect_line 1 '^lapilli: no device "quantum"' run -m "$model" -p x -d quantum
expect 0 "ended: the context is full|ended: the model ended the text" \
    run -m "$model" -d cpu -p "ba" -n 4294967295 -c 32 -s 1 --no-context-shift
expect 0 "^lapilli: 100 tokens, .*; half of the context forgotten [45] times" \
    run -m "$model" -d cpu -p "ba" -n 100 -c 32 --temp 0
expect 0 "ended: as many tokens as asked for; half of the context forgotten [0-9]+ times" \
    run -m "$model" -d cpu -p "ba be bi" -n 100 -c 32 --temp 0 --keep all
expect_line 2 '^lapilli run: --keep wants a whole number from 0 to 4,294,967,295, not "some"' \
    run --keep some
expect_line 1 "^lapilli: a context of 4294967295 tokens; at most 67108864 are possible$" \
    run -q -m "$model" -d cpu -p ba -c 4294967295
head -c 20000 /dev/zero | tr '\0' 'x' > "$out/long"
expect 1 "context" run -q -m "$model" -d cpu -f "$out/long" -n 4
[ "$(wc -l < "$out/stderr")" -eq 1 ] || fail "a prompt longer than the context: not one line"
head -c 3000 /dev/urandom > "$out/noise" # any bytes are a prompt
expect 1 "context" run -q -m "$model" -d cpu -c 64 -f "$out/noise" -n 4
expect 0 "" run -m "$model" -d cpu -p "$(printf 'ba\377\300be')" -n 4

# --- run --prompt-cache --------------------------------------------------------------------------
expect 0 "^lapilli: prompt cache $out/pc: 0 of 3 tokens found; written$" \
    run -m "$model" -d cpu -p "ba be" -n 8 --temp 0 --prompt-cache "$out/pc"
cmp -s "$out/first" "$out/stdout" || fail "--prompt-cache changed the text"
cp "$out/pc" "$out/pc1"
expect 0 "^lapilli: prompt cache $out/pc: 3 of 3 tokens found$" \
    run -m "$model" -d cpu -p "ba be" -n 8 --temp 0 --prompt-cache "$out/pc"
cmp -s "$out/first" "$out/stdout" || fail "from the prompt cache another text"
grep -Eq "\(prompt: 0 tokens\)" "$out/stderr" || fail "the prompt was computed again"
expect 0 "^lapilli: prompt cache $out/pc: 2 of 3 tokens found$" \
    run -m "$model" -d cpu -p "ba bo" -n 8 --prompt-cache "$out/pc" --prompt-cache-ro
cmp -s "$out/pc" "$out/pc1" || fail "--prompt-cache-ro wrote the file"
expect 0 "" run -q -m "$model" -d cpu -p "ba bo" -n 8 --prompt-cache "$out/pc"
[ ! -s "$out/stderr" ] && ! cmp -s "$out/pc" "$out/pc1" || fail "not written anew, or not quietly"
expect_line 1 "^lapilli: $out/pc: blk.0.attn_k_cache is F16 .* for a token, in this session F32 " \
    run -q -m "$model" -d cpu -p "ba be" --cache-type f32 --prompt-cache "$out/pc"
[ ! -s "$out/stdout" ] || fail "the prompt was printed before the file was refused"
expect_line 1 "^lapilli: $out/pc: .*another model" \
    run -q -m "$out/tiny-gpt2.gguf" -d cpu -p "ba be" --prompt-cache "$out/pc"
expect_line 1 "^lapilli: $model: not a prompt cache that lapilli wrote" \
    run -q -m "$model" -d cpu -p "ba be" --prompt-cache "$model"
expect_line 1 "^lapilli: $out/none: No such file" \
    run -q -m "$model" -d cpu -p "ba be" --prompt-cache "$out/none" --prompt-cache-ro
expect 1 "^lapilli: /nonexistent/pc: No such file" \
    run -q -m "$model" -d cpu -p "ba be" -n 1 --prompt-cache /nonexistent/pc
expect_line 2 "^lapilli run: --prompt-cache-ro wants --prompt-cache FILE" run -p a --prompt-cache-ro

# --- Adapters ------------------------------------------------------------------------------------
adapters=$LAPILLI_TEST_DIR/fixtures/adapters
base=$LAPILLI_TEST_DIR/fixtures/models/llama2.gguf
expect 0 "" run -q -m "$base" -d cpu -p "hello" -n 12 --temp 0
cp "$out/stdout" "$out/without"
expect 0 "^lapilli: with the adapter $adapters/llama2-all.gguf times 1$" run -m "$base" -d cpu \
    -p "hello" -n 12 --temp 0 --lora "$adapters/llama2-all.gguf" --prompt-cache "$out/lora"
cp "$out/stdout" "$out/with"
cmp -s "$out/with" "$out/without" && fail "--lora changed nothing"
expect 0 "" run -q -m "$base" -d cpu -p "hello" -n 12 --temp 0 --lora "$adapters/llama2-all"
cmp -s "$out/with" "$out/stdout" || fail "the same adapter from PEFT's folder gives another text"
expect 0 "" run -q -m "$base" -d cpu -p "hello" -n 12 --temp 0 \
    --lora-scaled "$adapters/llama2-all:0.25" --lora-scaled "$adapters/llama2-all.gguf:0.75"
cmp -s "$out/with" "$out/stdout" || fail "a quarter and three quarters are not the whole"
expect 0 "" run -q -m "$base" -d cpu -p "hello" -n 12 --temp 0 --lora-scaled "$adapters/llama2-all:0"
cmp -s "$out/without" "$out/stdout" || fail "an adapter times 0 changed the text"
expect_line 1 "^lapilli: $out/lora: .*another model" run -q -m "$base" -d cpu -p "hello" \
    --lora-scaled "$adapters/llama2-all.gguf:0.5" --prompt-cache "$out/lora"
expect_line 1 "^lapilli: $adapters/llama2-all.gguf: general.architecture is \"llama\"" \
    run -q -m "$out/tiny-gpt2.gguf" -d cpu -p a --lora "$adapters/llama2-all.gguf"
expect_line 2 '^lapilli run: --lora wants a name that is not empty' run --lora ""
expect_line 2 '^lapilli run: --lora-scaled wants FILE:SCALE, not "a"' run --lora-scaled a
expect_line 2 '^lapilli run: --lora-scaled wants FILE:SCALE, not ":1"' run --lora-scaled :1
expect_line 2 '^lapilli check: SCALE of --lora-scaled wants a number' check --lora-scaled a:b
expect 0 "" check -m "$base" -d cpu -p "hello" --quick --lora-scaled "$adapters/llama2-few:-2"
stdout_has "^Again: lapilli check .* --lora-scaled $adapters/llama2-few:-2 "
"$LAPILLI" check -m "$base" -d cpu -p "hello" --quick -v --lora "$adapters/llama2-few" |
    grep -q 'blk.1.ffn_down.lora_b.0' || fail "check does not see the adapter"
seq 40 > "$out/numbers"
expect 0 "" perplexity -q -m "$base" -d cpu -c 32 "$out/numbers"
cp "$out/stdout" "$out/without"
expect 0 "" perplexity -q -m "$base" -d cpu -c 32 --lora "$adapters/llama2-all" "$out/numbers"
cmp -s "$out/without" "$out/stdout" && fail "perplexity --lora changed nothing"

# --- run --draft ---------------------------------------------------------------------------------
expect 0 "" run -q -m "$base" -d cpu -p "hello" -n 24 -s 3 --deterministic
cp "$out/stdout" "$out/without"
for guess in "--draft $base --draft-max 3" "--draft-lookup" "--draft $base --draft-min-p 0.1"; do
    # shellcheck disable=SC2086 # options
    expect 0 "^lapilli: draft: [0-9]+ of [0-9]+ guesses right" \
        run -m "$base" -d cpu -p "hello" -n 24 -s 3 --deterministic $guess
    cmp -s "$out/without" "$out/stdout" || fail "another text with $guess"
done
expect_line 1 "^lapilli: the draft has another vocabulary: token [0-9]+ is \"" \
    run -q -m "$base" -d cpu -p "hello" --draft "$model"
expect_line 1 "^lapilli: $out/none: No such file" run -q -m "$base" -d cpu -p a --draft "$out/none"
expect_line 2 "^lapilli run: guesses come from --draft or --draft-lookup, not both" \
    run -p a --draft b --draft-lookup
expect_line 2 "^lapilli run: --draft-max and --draft-min-p want --draft or" run -p a --draft-max 3
expect_line 2 "^lapilli run: --draft-max wants a whole number from 1 to 64" run --draft-max 65

# --- plan ----------------------------------------------------------------------------------------
expect 0 "" plan -m "$model" -d cpu -c 128 --cache-type f32
stdout_has "^weights +[0-9.]+ KiB   [0-9]+ matrices and vectors, in their mapped files$"
stdout_has "^states +[0-9.]+ KiB   128 tokens of context, 512 B each \\(f32\\)$"
stdout_has "^together +[0-9.]+ KiB   0.0 % of [0-9.]+ GiB of this machine$"
expect 0 "" plan -m "$model" -d cpu -c 128 --cache-type f32 --json
stdout_has '"state_bytes_per_token": 512,$'
stdout_has '"fits": true$'
# more than this machine has, if it has less than the 8 GiB x 2 that a cache may hold
memory=$(sed -n 's/.*"memory_bytes": \([0-9]*\).*/\1/p' "$out/stdout")
tokens=$((memory / 512 + 100000))
if [ "$tokens" -lt 67000000 ]; then
    expect 1 "" plan -m "$model" -d cpu -c "$tokens" --cache-type f32
    stdout_has "^It does not fit: .* too much. What changes that:$"
    stdout_has "^  --cache-type q8_0 +[0-9.]+ GiB   fits$"
    stdout_has "^  -c [0-9]+ +[0-9.]+ GiB   fits$"
fi
for fixture in flan-t5 bert retro clip vit luong gemma2; do
    expect 0 "" plan -m "$LAPILLI_TEST_DIR/fixtures/models/$fixture" -d reference
done
expect 2 "is not an option" plan x
expect 1 "at most" plan -m "$model" -d cpu -c 4000000000

# --- bench ---------------------------------------------------------------------------------------
expect 0 "" bench -m "$model" -d cpu -p 16 -n 4 -r 2
stdout_has "^\| llama .* \| +pp16 \| +[0-9.]+ ± [0-9.]+ \|$"
stdout_has "^\| llama .* \| +tg4 \| "
stdout_has "^lapilli [0-9.]+; keys and values f16$"
expect 0 "" bench -m "$model" -d cpu -p 16 -n 0 -r 2 --json
stdout_has '"test": "pp16"'
stdout_has '"quantisation": "Q8_0"'
expect 0 "" bench -m "$LAPILLI_TEST_DIR/fixtures/models/chatglm" -d cpu -p 5 -n 3 -r 1
stdout_has "\| +pp5 \| "
stdout_has "\| +tg3 \| "
expect_line 1 "do not fit into the model's context of 256" bench -m "$model" -d cpu -p 1000

# --- On a terminal -------------------------------------------------------------------------------
if command -v script > /dev/null; then # makes a terminal
    script -qec "timeout -s INT 3 '$LAPILLI' synth llama-110m -t f32 -o '$out/bar.gguf'" /dev/null \
        < /dev/null > "$out/stdout" 2> "$out/stderr"
    grep -q 'writing \[#.*\]  *[0-9]*%' "$out/stdout" || fail "no progress bar on a terminal"
    rm -f "$out/bar.gguf"
    echo "ba be" | script -qec "'$LAPILLI' run -m '$model' -d cpu -n 8 --temp 0" /dev/null \
        > "$out/stdout" 2> "$out/stderr"
    grep -q "Prompt: " "$out/stdout" && grep -qF "$(cat "$out/first")" "$out/stdout" ||
        fail "not asked for a prompt on a terminal"
fi

# --- Streams and signals -------------------------------------------------------------------------
"$LAPILLI" inspect "$model" > /dev/full 2> "$out/stderr"
[ $? -eq 1 ] && grep -q "^lapilli: standard output: No space left on device" "$out/stderr" ||
    fail "a full disk was not noticed (inspect)"
"$LAPILLI" run -q -m "$model" -d cpu -p ba -n 8 > /dev/full 2> "$out/stderr"
[ $? -eq 1 ] && grep -q "^lapilli: standard output: No space left" "$out/stderr" ||
    fail "a full disk was not noticed (run)"
"$LAPILLI" --version >&- 2> "$out/stderr"
[ $? -eq 1 ] && grep -q "^lapilli: standard output: Bad file descriptor" "$out/stderr" ||
    fail "a closed stdout was not noticed"
{
    "$LAPILLI" run -q -m "$model" -d cpu -p ba -n 0 2> "$out/stderr"
    echo $? > "$out/code"
} | head -c 1 > /dev/null
[ "$(cat "$out/code")" -eq 141 ] && [ ! -s "$out/stderr" ] ||
    fail "a reader that goes: exit code $(cat "$out/code")"
"$LAPILLI" synth gpt2-medium -t f32 -o "$out/big.gguf" > "$out/stdout" 2> "$out/stderr" &
pid=$!
sleep 0.3
kill -TERM $pid # (a shell without job control makes its children deaf to INT)
wait $pid
code=$?
[ $code -eq 143 ] || [ $code -eq 0 ] || fail "exit code $code after SIGTERM"
[ $code -eq 0 ] || ! compgen -G "$out/big*" > /dev/null || fail "an interrupted file was left behind"

expect 0 "" synth llama-15m -t q4_0 -o "$out/15m.gguf"
timeout --preserve-status -s INT 1 "$LAPILLI" run -q -m "$out/15m.gguf" -d cpu -p ba -n 0 --temp 0 \
    > "$out/stdout" 2> "$out/stderr"
code=$?
[ $code -eq 130 ] && [ ! -s "$out/stderr" ] || fail "exit code $code after Ctrl-C"

[ $failures -eq 0 ] && echo "all passed"
exit $((failures > 0))
