#!/usr/bin/env bash
# run --grammar: texts of many seeds are texts of the grammar (grep judges), the seed holds, an end
# ends, mistakes are named, and what contradicts each other is refused. The model is the one that ships.
# shellcheck disable=SC2015 # A && B || fail is meant as written
set -u

# shellcheck source=tests/support/shell.sh
. "$(dirname "$0")/support/shell.sh"

run() # ARGUMENT...: stdout and stderr into files; returns the exit code
{
    "$LAPILLI" run -d cpu --no-echo "$@" > "$out/stdout" 2> "$out/stderr" < /dev/null
}

# matches PATTERN ARGUMENT...: for 6 seeds, the whole text is one match of grep's pattern. The texts of
# the grammar must be finite: nothing else ends them.
matches()
{
    local pattern=$1 seed
    shift
    for seed in 1 2 3 4 5 6; do
        run -q -s $seed -n 0 "$@" || fail "exit code $? with seed $seed: $*"
        # all lines as one, so that the pattern may hold them
        tr '\n' '~' < "$out/stdout" | LC_ALL=C.UTF-8 grep -Exq "$pattern" || fail "seed $seed: no match of $pattern: $*"
    done
}

refused() # CODE PATTERN ARGUMENT...: one line on stderr, nothing on stdout
{
    local code=$1 pattern=$2 got
    shift 2
    run -q "$@"
    got=$?
    [ $got -eq "$code" ] || fail "exit code $got instead of $code: $*"
    [ "$(wc -l < "$out/stderr")" -eq 1 ] && grep -Eq "$pattern" "$out/stderr" || fail "not one line with \"$pattern\": $*"
    [ ! -s "$out/stdout" ] || fail "stdout is not empty: $*"
}

matches '( yes| no)~' -p "Is it big?" --grammar 'root ::= " yes" | " no"'
matches '( [a-z]+){4}\.~' -p "Once upon a time there was" --grammar 'root ::= (" " [a-z]+){4} "."'
matches '(- [A-Z][a-z]{2,8}~){3}~' -p "A list:" --grammar 'root ::= ("- " [A-Z] [a-z]{2,8} "\n"){3}'
matches '(à|á|â|ã|ä|å|æ|ç|è|é|ê|ë|ì|í|î|ï|ð|ñ|ò|ó|ô|õ|ö){4}(😀|é)~' -p "Once" --grammar 'root ::= [à-ö]{4} ("😀" | "\u00e9")'
matches ' exactly~' -p "" --grammar 'root ::= " exactly"' # a space that was asked for stays
matches '~' -p "Once" --grammar 'root ::= ""'
matches '\([()x]{0,20}\)~' -p "Once" --temp 1.5 --grammar $'root ::= "(" s{0,20} ")" # a comment\ns ::= ( "("\n | ")" | "x"\n )'

# The same seed, the same text; greedy takes the likeliest of what is allowed. (A sampler that
# cannot be done on a device goes with a grammar, too.)
run -q -s 9 -p "Once" -n 20 --grammar 'root ::= [a-z ]+' && cp "$out/stdout" "$out/first"
run -q -s 9 -p "Once" -n 20 --grammar 'root ::= [a-z ]+'
cmp -s "$out/first" "$out/stdout" || fail "the same seed, another text"
run -q -s 10 -p "Once" -n 20 --grammar 'root ::= [a-z ]+'
cmp -s "$out/first" "$out/stdout" && fail "another seed, the same text"
run -q --temp 0 -n 12 -p "Once upon a" && cp "$out/stdout" "$out/first"
run -q --temp 0 -n 12 -p "Once upon a" --grammar 'root ::= .*'
cmp -s "$out/first" "$out/stdout" || fail "a grammar that allows all changed the text"
matches ' [a-z]{3,9}!~' -p "Once" --mirostat 2 --dry-multiplier 0.8 --grammar 'root ::= " " [a-z]{3,9} "!"'

# How it ends.
run -p "Once" -n 5 --grammar 'root ::= " x"'
grep -q "ended: the grammar's text is complete" "$out/stderr" || fail "not said how it ended"
run -p "Once" -n 5 --grammar 'root ::= [a-z]{100}'
grep -q "ended: as many tokens as asked for" "$out/stderr" || fail "not said how it ended"

# From a file, and mistakes.
printf 'root ::= " " word\nword ::= [a-c]{3}\n' > "$out/words.gbnf"
matches ' [a-c]{3}~' -p "Once" --grammar-file "$out/words.gbnf"
refused 1 '^lapilli: grammar, line 1, column 10: there is no rule "item"' -p x --grammar 'root ::= item'
refused 1 '^lapilli: grammar, line 1, column 1: rule "root" begins with itself' -p x \
    --grammar 'root ::= root "a" | "b"'
refused 1 '^lapilli: /nonexistent: No such file' -p x --grammar-file /nonexistent
refused 2 '^lapilli run: only one grammar or JSON schema can be given' -p x --grammar 'root ::= "a"' \
    --grammar-file "$out/words.gbnf"
refused 2 '^lapilli run: --grammar-file wants a name' -p x --grammar-file ""

# A mistake is found before anything is loaded: the model is not even looked for.
refused 1 '^lapilli: grammar, line 1, column 10: there is no rule "item"' -p x -m /nonexistent \
    --grammar 'root ::= item'

# lapilli grammar: which texts match, and where others leave the grammar.
tried() # CODE EXPECTED ARGUMENT...: the whole of stdout
{
    local code=$1 expected=$2 got
    shift 2
    "$LAPILLI" grammar "$@" > "$out/stdout" 2> "$out/stderr"
    got=$?
    [ $got -eq "$code" ] || fail "grammar: exit code $got instead of $code: $*"
    [ "$(cat "$out/stdout")" = "$expected" ] || fail "grammar: \"$(cat "$out/stdout")\": $*"
}
tried 0 'matches   aa
matches   aaa' --grammar 'root ::= "a"{2,3}' aa aaa
tried 1 'matches   aa
too short a
differs   aaéa  (line 1, column 3: "éa")' --grammar 'root ::= "a"{2,3}' aa a aaéa
printf '{"a": 1,\n "b": tru}' > "$out/text.json"
tried 1 'differs   {"a": 1,? "b": tru}  (line 2, column 10: "}")' --json-schema '{}' -f "$out/text.json"
tried 0 '' --json-schema '{"type": "integer"}'
tried 1 '' -q --json-schema '{"type": "boolean"}' 1
tried 1 '' --json-schema '{"type": "number", "multipleOf": 3}'
grep -q multipleOf "$out/stderr" || fail "the keyword is not named"
tried 2 '' aa
"$LAPILLI" grammar --print --json-schema '{"enum": ["x", 7]}' | grep -q '^root ::= ' || fail "no grammar was printed"
"$LAPILLI" grammar --print --json-schema '{"enum": ["x", 7]}' > "$out/printed.gbnf"
tried 1 'matches   7
differs   8  (line 1, column 1: "8")' --grammar-file "$out/printed.gbnf" 7 8

# JSON: texts that satisfy the schema, given as text or in a file.
run -q -s 4 -n 0 -p "Once" --json-schema '{"type": "object", "properties": {"a": {"type": "integer",
    "minimum": 10, "maximum": 19}, "b": {"enum": ["x", null]}}, "required": ["a", "b"]}'
tr -d ' \t\n' < "$out/stdout" | grep -Exq '\{"a":1[0-9],"b":("x"|null)\}' || fail "not what the schema asks for"
echo '{"type": "string", "pattern": "^[a-c]{3}$"}' > "$out/schema.json"
matches '"[a-c]{3}"~' -p "Once" --json-schema "$out/schema.json"
run -q -s 1 -n 200 -p "Once" --temp 2 --json-schema '{}' || fail "any JSON: exit code $?"
refused 1 '^lapilli: JSON schema, /properties/a/not: this keyword is not supported' -p x \
    --json-schema '{"properties": {"a": {"not": {}}}}'
refused 1 '^lapilli: JSON schema: .* at byte ' -p x --json-schema '{"type": '
refused 1 '^lapilli: /nonexistent.json: No such file' -p x --json-schema /nonexistent.json
refused 2 'only one grammar or JSON schema can be given' -p x --json-schema '{}' --grammar 'root ::= "a"'

# Guesses that are checked change nothing, with a grammar as without.
run -q -s 2 -n 30 -p "Once" --grammar 'root ::= [a-z ]+' && cp "$out/stdout" "$out/first"
run -q -s 2 -n 30 -p "Once" --draft-lookup --grammar 'root ::= [a-z ]+'
cmp -s "$out/first" "$out/stdout" || fail "guesses changed the text"

# The middle of a text: a model without the tokens for it.
refused 1 'cannot fill in the middle: its vocabulary has no token for the prefix' -p x --suffix y
refused 2 '^lapilli run: --spm-infill wants --suffix TEXT' -p x --spm-infill

[ $failures -eq 0 ] && echo "all passed"
exit $((failures > 0))
