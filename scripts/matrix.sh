#!/usr/bin/env bash
# The cross-driver matrix: which driver passed what, out of the log of the latest test run, as a
# Markdown table on standard output.
#
#   scripts/matrix.sh [BUILD-FOLDER]           default: build
#   scripts/matrix.sh --write [BUILD-FOLDER]   to docs/MATRIX.md
#
# One row per driver: the op table (cases, how many as they were expected; the largest error of any
# element in units of what rounding does), and lapilli check on the model that ships.
set -euo pipefail
cd "$(dirname "$0")/.."

write=no
if [ "${1:-}" = --write ]; then
    write=yes
    shift
fi
log=${1:-build}/Testing/Temporary/LastTest.log
[ -s "$log" ] || {
    echo "matrix: $log: no tests were run there" >&2
    exit 1
}

# Output of the test NAME and, as the last line, its result.
block()
{
    awk -v name="$1" '
        $0 ~ "^[0-9]+/[0-9]+ Testing: " { inside = ($3 == name) }
        inside && /^(Test Passed|Test Failed|Test Skipped)\./ { print; exit }
        inside { print }' "$log"
}

# One driver.
row()
{
    local driver=$1 ops check cases worst result verdict sigma nmse top subgroup
    ops=$(block "ops.$driver")
    check=$(block "check.$driver")
    [ -n "$ops$check" ] || return 0
    cases=$(printf '%s\n' "$ops" | sed -n 's/^[a-z0-9_]*: \([0-9]*\) cases$/\1/p' | awk '{n += $1} END {print n + 0}')
    worst=$(printf '%s\n' "$ops" | sed -n '/^in units of sigma/,$p' | awk '
        /^ +[0-9.]+ +/ { if ($1 + 0 > most) most = $1 + 0 } END { printf "%.2f", most }')
    result=$(printf '%s\n' "$ops" | tail -n 1 | sed 's/^Test //; s/\.$//' | tr '[:upper:]' '[:lower:]')
    verdict=$(printf '%s\n' "$check" | sed -n 's/^shipped model: //p')
    sigma=$(printf '%s\n' "$verdict" | sed -n 's/.* within \([0-9.e+-]*\) sigma .*/\1/p')
    nmse=$(printf '%s\n' "$verdict" | sed -n 's/.* and NMSE \([0-9.e+-]*\) of .*/\1/p')
    top=$(printf '%s\n' "$verdict" | sed -n 's/.*same likeliest token in \([0-9]* of [0-9]*\).*/\1/p')
    subgroup=$(printf '%s\n' "$verdict" | sed 's/ \(dis\)\{0,1\}agrees with .*//')
    local right="not run"
    [ -z "$ops" ] || right="$([ "$result" = passed ] && echo "$cases" || echo "$result,") of $cases"
    printf '| %s | %s | %s | %s | %s | %s | %s | %s |\n' "$driver" "${subgroup:-?}" \
        "$right" "$worst" \
        "$([ -n "$sigma" ] && echo agrees || echo "${verdict:+disagrees}")" "${sigma:-}" "${nmse:-}" "${top:-}"
}

table()
{
    echo "| driver | device | op table: right | largest error, σ | shipped model | largest error, σ | logits NMSE | same likeliest token |"
    echo "|---|---|---|---|---|---|---|---|"
    for driver in lavapipe128 lavapipe lavapipe512 swiftshader cpu gpu; do
        row $driver
    done
}

if [ $write = no ]; then
    table
    exit 0
fi
{
    echo "# The cross-driver matrix"
    echo
    echo "What the tests saw on each driver; made by \`scripts/matrix.sh --write\` after"
    echo "\`scripts/test.sh --all\`. The op table is every operation × type × awkward shape, in the"
    echo "variants that the device itself uses and in those that a GPU would; the shipped model is"
    echo "\`lapilli check\` on \`models/story\`, 12 passes of 1 to 64 tokens. Errors are in units of the"
    echo "standard deviation that rounding gives an element (σ); the bound is 8. AMD's drivers, without"
    echo "the hardware: [AMD.md](AMD.md)."
    echo
    table
} > docs/MATRIX.md.part
mv docs/MATRIX.md.part docs/MATRIX.md
