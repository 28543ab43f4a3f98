#!/usr/bin/env bash
# Certificates on the device under test: the same bytes twice and with any number of threads, what
# differs is named, hostile files are refused with one line.
# shellcheck disable=SC2015 # A && B || fail is meant as written
set -u

models=$LAPILLI_TEST_DIR/fixtures/models
device=$LAPILLI_TEST_DEVICE
# shellcheck source=tests/support/shell.sh
. "$(dirname "$0")/support/shell.sh"

certify() # FILE THREADS OPTION...
{
    local file=$1 threads=$2
    shift 2
    OMP_NUM_THREADS=$threads "$LAPILLI" check --device "$device" --certificate "$file" "$@" \
        > "$out/stdout" 2> "$out/stderr" || fail "no certificate: $*"
    grep -q "^Certificate: $file$" "$out/stdout" || fail "stdout does not name $file"
}

# diff CODE A B STDOUT-PATTERN
diff_is()
{
    local got
    "$LAPILLI" certificate diff "$2" "$3" > "$out/stdout" 2> "$out/stderr"
    got=$?
    [ $got -eq "$1" ] || fail "exit code $got instead of $1: $2 $3"
    grep -Eq -- "$4" "$out/stdout" || fail "stdout lacks \"$4\""
}

# --- The same bytes ------------------------------------------------------------------------------
model=$models/llama2.gguf
certify "$out/a.json" 1 -m "$model" -p "ba be bi"
certify "$out/b.json" 1 -m "$model" -p "ba be bi"
certify "$out/c.json" 2 -m "$model" -p "ba be bi" --runs 1
cmp -s "$out/a.json" "$out/b.json" || fail "two certificates of the same check differ"
cmp -s "$out/a.json" "$out/c.json" || fail "certificates differ by the number of threads"
cp "$model" "$out/copy.gguf" # no path is in it
certify "$out/d.json" 2 -m "$out/copy.gguf" -p "ba be bi"
cmp -s "$out/a.json" "$out/d.json" || fail "the place of the model makes another certificate"
diff_is 0 "$out/a.json" "$out/d.json" "^The same bits: [0-9]+ nodes in 12 passes, and the logits\.$"
for threads in 1 2; do
    OMP_NUM_THREADS=$threads "$LAPILLI" run -q -d "$device" -m "$model" -p "ba be" -n 40 -s 7 -c 256 \
        > "$out/text$threads" 2> "$out/stderr" || fail "no text"
done
cmp -s "$out/text1" "$out/text2" || fail "the same seed gives other texts with other threads"

python3 - "$out/a.json" "$model" "$device" << 'END' || fail "the certificate is not as documented"
import hashlib, json, sys
c = json.load(open(sys.argv[1]))
assert c["model"]["sha256"] == hashlib.sha256(open(sys.argv[2], "rb").read()).hexdigest()
assert c["agrees"] is True and len(c["passes"]) == 12
for p in c["passes"]:
    assert len(p["sha256"]) == 64, p["name"]
    for n in p["nodes"]:
        assert len(n["sha256"]) == 64 and n["finding"] == "", n
used = {k for p in c["passes"] for n in p["nodes"] for k in n["kernels"].split(" + ")} - {""}
assert used == {k["name"] for k in c["kernels"]}
assert bool(used) == sys.argv[3].startswith("vulkan")
assert bool(c["device"]["vulkan"]) == sys.argv[3].startswith("vulkan")
END

# --- What differs --------------------------------------------------------------------------------
certify "$out/quick.json" 2 -m "$model" -p "ba be bi" --quick
certify "$out/text.json" 2 -m "$model" -p "ba be bo" --quick
certify "$out/cache.json" 2 -m "$model" -p "ba be bi" --quick --cache-type f32
certify "$out/other.json" 2 -m "$models/llama-q8_0.gguf" -p "ba be bi" --quick
diff_is 1 "$out/a.json" "$out/other.json" "^These are certificates of different models"
diff_is 1 "$out/quick.json" "$out/text.json" "^These are certificates of different texts"
diff_is 1 "$out/quick.json" "$out/cache.json" "^They were made under different conditions\.$"
diff_is 1 "$out/a.json" "$out/quick.json" "; 10 passes are in one of the two only\.$"
python3 - "$out" << 'END' # one other bit, in the sixth node of the second pass
import json, sys
c = json.load(open(sys.argv[1] + "/a.json"))
node = c["passes"][1]["nodes"][5]
node["sha256"] = ("0" if node["sha256"][0] != "0" else "1") + node["sha256"][1:]
open(sys.argv[1] + "/name", "w").write(node["name"])
json.dump(c, open(sys.argv[1] + "/bit.json", "w"))
c["lapilli"] = "0.0.9"
json.dump(c, open(sys.argv[1] + "/version.json", "w"))
END
diff_is 1 "$out/a.json" "$out/bit.json" \
    "^Not the same: 1 of [0-9]+ nodes have other bits, first $(cat "$out/name") \([a-z_]+, shape .* in the pass \"decode\"; other logits in 0 of 12 passes\.$"
diff_is 1 "$out/a.json" "$out/version.json" "^They are of different versions of lapilli"

# --- Hostile files -------------------------------------------------------------------------------
python3 - "$out" << 'END'
import copy, json, sys
folder = sys.argv[1]
good = json.load(open(folder + "/quick.json"))
def write(name, change):
    c = copy.deepcopy(good)
    change(c)
    json.dump(c, open(f"{folder}/bad-{name}.json", "w"))
def put(c, value, *path):
    for key in path[:-1]:
        c = c[key]
    c[path[-1]] = value
write("schema", lambda c: put(c, 2, "certificate"))
write("missing", lambda c: c["passes"][0]["nodes"][1].pop("op"))
write("extra", lambda c: put(c, 1, "device", "serial"))
write("digest", lambda c: put(c, "0" * 63 + "g", "model", "sha256"))
write("short", lambda c: put(c, "00", "passes", 0, "nodes", 0, "sha256"))
write("type", lambda c: put(c, "1", "tokens", "count"))
write("number", lambda c: put(c, "huge", "passes", 0, "nodes", 0, "nmse"))
write("escape", lambda c: put(c, "\x1b[2J", "device", "name"))
write("nul", lambda c: put(c, "a\0b", "verdict"))
write("shape", lambda c: put(c, [1, 2, 3, 4, 5], "passes", 0, "nodes", 0, "shape"))
write("negative", lambda c: put(c, [-1], "passes", 0, "nodes", 0, "shape"))
write("passes", lambda c: put(c, {}, "passes"))
write("kernels", lambda c: put(c, [{"name": str(i), "sha256": "0" * 64} for i in range(300)], "kernels"))
open(f"{folder}/bad-other.json", "w").write('{"schema": 1}')
open(f"{folder}/bad-cut.json", "w").write(open(folder + "/quick.json").read()[:-20])
open(f"{folder}/bad-deep.json", "w").write("[" * 100000)
END
for file in "$out"/bad-*.json; do
    for pair in "$file $out/quick.json" "$out/quick.json $file"; do
        # shellcheck disable=SC2086 # two words
        "$LAPILLI" certificate diff $pair > "$out/stdout" 2> "$out/stderr"
        [ $? -eq 1 ] && [ ! -s "$out/stdout" ] && [ "$(wc -l < "$out/stderr")" -eq 1 ] &&
            grep -q "^lapilli: $file: " "$out/stderr" || fail "not refused as it should: $file"
    done
done
"$LAPILLI" certificate diff "$out/none" "$out/a.json" > "$out/stdout" 2> "$out/stderr"
[ $? -eq 1 ] && grep -q "$out/none: No such file" "$out/stderr" || fail "a missing file"
for arguments in "" "diff" "diff a" "diff a b c" "sum a b" "--nonsense"; do
    # shellcheck disable=SC2086 # words
    "$LAPILLI" certificate $arguments > "$out/stdout" 2> "$out/stderr"
    [ $? -eq 2 ] || fail "no wrong usage: certificate $arguments"
done

[ $failures -eq 0 ] && echo "all passed"
exit $((failures > 0))
