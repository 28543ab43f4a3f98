#!/usr/bin/env bash
# Which architectures were tested, out of the log of the latest test run: the last column of the
# tables in docs/MODELS.md.
#
#   scripts/models.sh [BUILD-FOLDER]           the new docs/MODELS.md on standard output; default: build
#   scripts/models.sh --write [BUILD-FOLDER]   to docs/MODELS.md
#
# A fixture belongs to the architecture that its config.json names. A row counts as tested on a driver
# if a fixture of it passed there, in test_models.c; "configs" are the changed keys of config.json whose effect
# is that of the transformers library (test_configs.c), "mutants" the mechanisms that were broken
# and noticed (test_mutants.c).
set -euo pipefail
cd "$(dirname "$0")/.."

write=no
if [ "${1:-}" = --write ]; then
    write=yes
    shift
fi
log=${1:-build}/Testing/Temporary/LastTest.log
[ -s "$log" ] || {
    echo "models: $log: no tests were run there" >&2
    exit 1
}

# "FIXTURE MODEL_TYPE" of all folders, or the class where that is what makes a row of its own.
types()
{
    local config type
    for config in tests/fixtures/models/*/config.json; do
        type=$(sed -n 's/^  "model_type": *"\([^"]*\)".*/\1/p' "$config" | tail -n 1)
        grep -q '"T5EncoderModel"' "$config" && type=T5EncoderModel
        printf '%s %s\n' "$(basename "$(dirname "$config")")" "$type"
    done
}

page()
{
    types | awk -v log_file="$log" '
        # 1. fixtures and their model_type
        FILENAME == "-" { type[$1] = $2; next }
        # 2. the log: what each test saw, counted if it passed
        FILENAME == log_file {
            if ($0 ~ /^[0-9]+\/[0-9]+ Testing: /) { test = $3; delete seen; delete n }
            else if ($1 == "tested:") seen[$2] = 1
            else if ((test == "configs" || test == "mutants") && match($0, /  [a-z0-9_.-]+: /)) {
                name = substr($0, RSTART + 2, RLENGTH - 4)
                n[name]++
            } else if ($0 == "Test Passed.") {
                for (f in seen) {
                    gguf = sub(/\.gguf$/, "", f)
                    driver = substr(test, 8)
                    if (f in type && gguf) twin[type[f]] = 1
                    else if (f in type) on[type[f], driver] = 1
                }
                for (f in n) if (f in type) count[type[f], test] += n[f]
            }
            next
        }
        # 3. the page: the last cell of rows whose third or first cell is a model_type
        {
            cells = split($0, cell, " *\\| *")
            key = cell[4] ~ /^`[A-Za-z0-9_-]+`$/ ? cell[4] : cell[2]
            if ($0 !~ /^\|/ || key !~ /^`[A-Za-z0-9_-]+`$/ || key == "`model_type`") { print; next }
            gsub(/`/, "", key)
            text = ""
            split("cpu lavapipe swiftshader gpu", drivers, " ")
            for (d = 1; d <= 4; d++)
                if ((key, drivers[d]) in on) text = text (text == "" ? "" : ", ") drivers[d]
            if (text == "") text = "not tested"
            if (key in twin) text = text ", GGUF"
            if ((key, "configs") in count) text = text "; " count[key, "configs"] " config" (count[key, "configs"] > 1 ? "s" : "")
            if ((key, "mutants") in count) text = text "; " count[key, "mutants"] " mutants"
            cell[cells - 1] = text
            line = "|"
            for (i = 2; i < cells; i++) line = line " " cell[i] " |"
            print line
        }' - "$log" docs/MODELS.md
}

if [ $write = no ]; then
    page
    exit 0
fi
page > docs/MODELS.md.part
mv docs/MODELS.md.part docs/MODELS.md
