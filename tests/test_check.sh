#!/usr/bin/env bash
# lapilli check as a user sees it, on the device under test: exit codes, what is on which stream,
# JSON that parses, files that are whole or not there, the page in a browser where there is one.
# shellcheck disable=SC2015 # A && B || fail is meant as written
set -u

models=$LAPILLI_TEST_DIR/fixtures/models
device=$LAPILLI_TEST_DEVICE
# shellcheck source=tests/support/shell.sh
. "$(dirname "$0")/support/shell.sh"

# expect CODE STDERR-PATTERN ARGUMENT...
expect()
{
    local code=$1 pattern=$2 got
    shift 2
    "$LAPILLI" check --device "$device" "$@" > "$out/stdout" 2> "$out/stderr" < /dev/null
    got=$?
    [ $got -eq "$code" ] || fail "exit code $got instead of $code: check $*"
    grep -Eq -- "$pattern" "$out/stderr" || fail "stderr lacks \"$pattern\": check $*"
}

stdout_has() # PATTERN
{
    grep -Eq -- "$1" "$out/stdout" || fail "stdout lacks \"$1\""
}

no_file() # PATTERN
{
    ! compgen -G "$1" > /dev/null || fail "there is a file $1"
}

# --- A device that computes rightly --------------------------------------------------------------
for model in llama2.gguf llama-q8_0.gguf llama-q4_0.gguf gpt2.gguf; do
    expect 0 "^lapilli: checking .* \($device\) against CPU reference \(reference\)$" \
        -m "$models/$model" -p "ba be bi" --quick
    head -n 1 "$out/stdout" | grep -q "agrees with" || fail "the first line is no verdict: $model"
    stdout_has "^prompt  .* 0 .* same  +5/5  "
    [ "$(grep -vc ": warning: " "$out/stderr")" -eq 1 ] || fail "more than one line on stderr: $model"
done
model=$models/llama2.gguf
expect 0 "" -m "$model" -p "it's" --quick --cache-type f32 --runs 3 -v
stdout_has "^   0  [a-z_]+ "
stdout_has "^Again: lapilli check -m $model -p 'it'\\\\''s' --device $device --against reference "
stdout_has " --cache-type f32 --runs 3 --quick$"
eval "LAPILLI_AGAIN=\"\$LAPILLI\"; lapilli() { \"\$LAPILLI_AGAIN\" \"\$@\"; };
    $(sed -n 's/^Again: //p' "$out/stdout")" > "$out/again" 2> /dev/null ||
    fail "the command that repeats the check does not work"
[ "$(head -n 1 "$out/again")" = "$(head -n 1 "$out/stdout")" ] || fail "repeated: another verdict"

# --- The model that ships: for the table that scripts/matrix.sh makes ------------------------------
expect 0 ""
echo "shipped model: $(head -n 1 "$out/stdout")"

# --- Machine-readable ----------------------------------------------------------------------------
expect 0 "" -m "$model" -p "ba be" --quick --json --html "$out/report.html"
jq -e '.schema == 1 and .agrees and .bad == null and (.passes | length > 0) and
       all(.passes[]; (.nodes | length > 0) and
           all(.nodes[]; .finding == "none" and (.isolated == null or .isolated.n > 0)))' \
    "$out/stdout" > /dev/null || fail "the JSON is not as documented"
grep -o 'id="report">.*' "$out/report.html" | sed 's/^id="report">//; s/<\/script>.*//' |
    jq -S . > "$out/page.json"
jq -S . "$out/stdout" | cmp -s - "$out/page.json" || fail "the page holds another report"
no_file "$out/*.part"

# --- Files ---------------------------------------------------------------------------------------
echo old > "$out/old.html"
ln -s old.html "$out/link.html"
expect 0 "" -m "$model" -p ba --quick --html "$out/link.html"
stdout_has "^Report: $out/link.html$"
[ -L "$out/link.html" ] && grep -q '</html>' "$out/old.html" || fail "a link was not followed"
expect 1 "^lapilli: /nonexistent/a.html: No such file or directory$" -m "$model" --html /nonexistent/a.html
expect 1 "^lapilli: $out: exists and is a folder$" -m "$model" --html "$out"
expect 1 "^lapilli: /dev/full: exists and is no regular file$" -m "$model" --html /dev/full
expect 1 "^lapilli: $out/none: No such file or directory$" -m "$model" --workaround "$out/none"
expect 0 "^lapilli: $out/w.json is not written: there is no workaround$" \
    -m "$model" -p ba --quick --workaround-out "$out/w.json"
no_file "$out/w.json*"
echo old > "$out/old.html" # a full disk: no file may grow beyond 8 KiB (which drivers do not survive)
(
    trap '' XFSZ
    ulimit -f 8
    "$LAPILLI" check --device cpu -m "$model" -p ba --quick --html "$out/old.html" \
        > "$out/stdout" 2> "$out/stderr"
)
[ $? -eq 1 ] && grep -q "^lapilli: $out/old.html: File too large$" "$out/stderr" ||
    fail "a file that could not be written was not noticed"
[ "$(cat "$out/old.html")" = old ] || fail "half a file"
no_file "$out/*.part"
"$LAPILLI" check --device "$device" -m "$model" -p ba --quick > /dev/full 2> "$out/stderr"
[ $? -eq 1 ] && grep -q "^lapilli: standard output: No space left on device" "$out/stderr" ||
    fail "a full disk was not noticed"

# --- A device that computes wrongly: a fault of the kernel that one node uses --------------------
if "$LAPILLI" check --plant list > /dev/null 2>&1 && [ "$device" != cpu ]; then
    expect 0 "" -m "$model" -p "ba be" --quick --json
    kernel=$(jq -r 'first(.passes[0].nodes[] | select(.name == "blk.1.attn_output")).kernels' \
        "$out/stdout")
    fault=nan@blk.1.attn_output/$kernel
    expect 1 "^lapilli: checking " -m "$model" -p "ba be" --quick --plant "$fault" \
        --html "$out/bad.html" --workaround-out "$out/fix.json"
    head -n 1 "$out/stdout" | grep -q " disagrees with .* first at blk.1.attn_output .*$kernel" ||
        fail "the first line names another node"
    stdout_has "^First bad node: blk.1.attn_output: NaN or infinity$"
    stdout_has "^  isolated   worst at \\[[0-9]+, [0-9]+\\]: expected -?[0-9.e-]+, got nan, inf sigma "
    stdout_has "^  right      without the kernel $kernel: "
    stdout_has "^Smallest change that makes it right: without the kernel $kernel$"
    stdout_has "^Workaround: lapilli run --workaround $out/fix.json$"
    grep -q '"finding":"not_finite"' "$out/bad.html" || fail "the page does not know of it"
    expect 0 "" -m "$model" -p "ba be" --quick --plant "$fault" --workaround "$out/fix.json"
    head -n 1 "$out/stdout" | grep -q " agrees with " || fail "the workaround does not help"
    expect 1 "" -m "$model" -p "ba be" --quick --json --plant "$fault"
    grep -q '^{"schema":1,.*"agrees":false,' "$out/stdout" || fail "JSON of a bad node"
fi

# --- What cannot be checked ----------------------------------------------------------------------
expect 1 '^lapilli: no device "quantum"' -m "$model" --against quantum
expect 1 "^lapilli: $device would be compared with itself" -m "$model" --against "$device"
expect 1 "^lapilli: .*context" -m "$model" -c 4 -p "ba be bi bo bu"
[ -s "$out/stdout" ] && fail "a check that was not made has a verdict"

# --- The page in a browser -----------------------------------------------------------------------
if command -v chromium > /dev/null; then
    "$LAPILLI" check --device "$device" -m "$model" -p "ba be" --html "$out/page.html" \
        > "$out/stdout" 2> "$out/stderr"
    chromium --headless --no-sandbox --disable-gpu --user-data-dir="$out/browser" \
        --enable-logging=stderr --dump-dom "file://$out/page.html" > "$out/dom" 2> "$out/stderr"
    ! grep CONSOLE "$out/stderr" || fail "the page's program complains"
    grep -q '<title>lapilli check: agrees, ' "$out/dom" || fail "the page has no verdict"
    [ "$(grep -o '<tr class="row' "$out/dom" | wc -l)" -gt 20 ] || fail "the page has no tables"
    grep -q '<circle ' "$out/dom" || fail "the page has no chart"
else
    echo "no chromium here: the page was not opened"
fi

[ $failures -eq 0 ] && echo "all passed"
exit $((failures > 0))
