# shellcheck shell=bash
# What the tests that are shell scripts share: a folder for output, $out, and failures that are
# counted in $failures and shown with the beginning of $out/stdout and $out/stderr.
out=$(mktemp -d "${TMPDIR:-/tmp}/lapilli-test-XXXXXX")
trap 'rm -rf "$out"' EXIT
failures=0

fail() # MESSAGE
{
    local stream
    echo "FAILED: $1"
    for stream in stdout stderr; do
        [ ! -f "$out/$stream" ] ||
            sed "s/^/    $stream: /" "$out/$stream" | cut -c 1-300 | head -n 20
    done
    failures=$((failures + 1))
}

# Runs it, without input; its output goes where fail() finds it.
expect_command() # CODE STDERR-PATTERN COMMAND...
{
    local code=$1 pattern=$2 got
    shift 2
    "$@" > "$out/stdout" 2> "$out/stderr" < /dev/null
    got=$?
    [ $got -eq "$code" ] || fail "exit code $got instead of $code: $*"
    [ -z "$pattern" ] || grep -Eq -- "$pattern" "$out/stderr" ||
        fail "stderr lacks \"$pattern\": $*"
}
