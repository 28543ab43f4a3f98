#!/usr/bin/env bash
# lapilli chat: templates, turns that compute only what is new, commands, a full context, JSON,
# interruption. LAPILLI is the command; the model that ships stands in for one that can talk.
set -u

# shellcheck source=tests/support/shell.sh
. "$(dirname "$0")/support/shell.sh"
templates=$(cd "$(dirname "$0")" && pwd)/fixtures/chat/templates

same() # NAME WANTED GOT
{
    [ "$2" = "$3" ] || fail "$1: got \"$3\", expected \"$2\""
}

# chat CODE STDERR-PATTERN ARGUMENT...: with $input as standard input.
input=""
chat()
{
    local code=$1 pattern=$2 got
    shift 2
    printf '%b' "$input" | "$LAPILLI" chat -d cpu "$@" > "$out/stdout" 2> "$out/stderr"
    got=$?
    [ $got -eq "$code" ] || fail "exit code $got instead of $code: $*"
    [ -z "$pattern" ] || grep -Eq -- "$pattern" "$out/stderr" || fail "stderr lacks \"$pattern\": $*"
}

field() # NAME LINE: a number or a string of a line of JSON
{
    sed -n "${2}s/.*\"$1\":\"\{0,1\}\([^,\"}]*\).*/\1/p" "$out/stdout"
}

content() # LINE: of the message in a line of JSON
{
    printf '%b' "$(sed -n "${1}s/.*\"content\":\"\(.*\)\",\"ending\".*/\1/p" "$out/stdout" | sed 's/\\"/"/g')"
}

# --- Templates -------------------------------------------------------------------------------------
chat 1 'this model has no chat template.*--template:$' -p x
grep -q '^  llama3 ' "$out/stderr" || fail "the templates are not listed"
[ -s "$out/stdout" ] && fail "stdout is not empty"
chat 1 '^lapilli: nosuch: no such file, and no template of that name in the model' --template nosuch -p x
printf 'a\n{{ messages[0].x.y }}' > "$out/bad.jinja"
chat 1 "^lapilli: $out/bad.jinja: line 2, column [0-9]+: a dict has no 'x'" --template "$out/bad.jinja" -p x
printf '{%% for m in messages %%}' > "$out/bad.jinja"
chat 1 "^lapilli: $out/bad.jinja: line 1, column [0-9]+: \{% endfor %\} expected" --template "$out/bad.jinja" -p x
printf '{%% for i in range(99999) %%}{%% for j in range(99999) %%}{%% endfor %%}{%% endfor %%}' > "$out/bad.jinja"
chat 1 "^lapilli: $out/bad.jinja: line 1, column [0-9]+: the template does not come to an end" \
    --template "$out/bad.jinja" -p x
chat 1 'the template refuses this conversation: There is no system role' --template "$templates/gemma.jinja" \
    --system x -p y

chat 0 '' --template llama3 --system "Be kind." -p "Hi" --print-prompt
same print-prompt "$(printf '<s><|start_header_id|>system<|end_header_id|>\n\nBe kind.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n.')" \
    "$(cat "$out/stdout"; echo .)"
chat 0 '' --template "$templates/qwen3.jinja" -p "Hi" --set enable_thinking=false --print-prompt
grep -qx '</think>' "$out/stdout" || fail "--set did not reach the template"
echo '[{"type": "function", "function": {"name": "clock", "parameters": {}}}]' > "$out/tools.json"
chat 0 '' --template "$templates/qwen3.jinja" -p "Hi" --tools "$out/tools.json" --print-prompt
grep -qFx '{"type": "function", "function": {"name": "clock", "parameters": {}}}' "$out/stdout" ||
    fail "--tools did not reach the template"

# --- What is wrong on the command line ---------------------------------------------------------------
chat 2 '^lapilli chat: "hello" is not an option; a message is given with -p' hello
chat 2 '^lapilli chat: --set wants NAME=VALUE, not "x"' --set x
chat 2 '^lapilli chat: --temp wants a number' --temp x
chat 1 '^lapilli: /nonexistent: No such file' --template chatml --load /nonexistent
echo '{"messages": [{}]}' > "$out/load.json"
chat 1 'message 1 has no "role"' --template chatml --load "$out/load.json"
echo '[{"role": "user", "content": "x"}, {"role": "robot", "content": "x"}]' > "$out/load.json"
chat 1 'message 2 has the role "robot"' --template chatml --load "$out/load.json"
printf ' \n' > "$out/empty.jinja"
chat 1 'empty.jinja: an empty template' --template "$out/empty.jinja" -p x
printf 'Hello\n' > "$out/message"
chat 0 '' --template chatml --print-prompt -f "$out/message"
grep -q '^Hello<|im_end|>$' "$out/stdout" || fail "-f: not the message"
chat 2 'only one message can be given' --template chatml -p x -f "$out/message"
chat 0 'guard: [0-9]+ nodes? recomputed' --template chatml -p x -n 3 --guard=1
echo '{"messages": ' > "$out/load.json"
chat 1 'load.json: JSON: ' --template chatml --load "$out/load.json"
chat 1 'load.json: JSON: ' --template chatml --tools "$out/load.json"

# --- Turns -------------------------------------------------------------------------------------------
talk=(--template vicuna -s 7 -n 12)
chat 0 '^lapilli: the answer ends after 12 tokens' "${talk[@]}" -p "Once upon a time"
once=$(cat "$out/stdout")
[ -n "$once" ] || fail "no answer"
same "the same seed" "$once" "$("$LAPILLI" chat -qd cpu "${talk[@]}" -p "Once upon a time")"
input='Once upon a time\n\nAnd then?\n'
chat 0 '' "${talk[@]}" --json -q
same "objects" 2 "$(wc -l < "$out/stdout")"
same "the first answer" " $once" "$(content 1)"
same "role" assistant "$(field role 2)"
same "nothing to reuse" 0 "$(field reused_tokens 1)"
[ "$(field reused_tokens 2)" -ge $(($(field prompt_tokens 1) + 6)) ] ||
    fail "the second turn computed the first one again"
[ -s "$out/stderr" ] && fail "-q says something"

# Guesses change nothing, over several turns, but how much is computed.
chat 0 '' "${talk[@]}" --json -q --deterministic
plain=$(cat "$out/stdout")
"$LAPILLI" quantize -q "$(dirname "$0")/../models/story/story.gguf" "$out/draft.gguf" Q4_0 || fail "quantize"
for draft in --draft-lookup "--draft=$out/draft.gguf"; do
    chat 0 '^lapilli: draft: [0-9]+ of [0-9]+ guesses right' "${talk[@]}" --json --deterministic "$draft"
    same "$draft" "$plain" "$(cat "$out/stdout")"
done
chat 2 'want --draft or --draft-lookup' "${talk[@]}" --draft-max 3 -p x
chat 1 'nosuch: No such file' "${talk[@]}" --draft nosuch -p x

# A conversation in one go and one that was saved and loaded give the same answers.
input="Hello\n/save $out/saved.json\nAnd then?\n"
chat 0 'saved.json: 2 messages' "${talk[@]}" --temp 0
second=$(tail -n +2 "$out/stdout")
input="And then?\n"
chat 0 '' "${talk[@]}" --temp 0 --load "$out/saved.json"
same "loaded" "$second" "$(cat "$out/stdout")"
input="/load $out/saved.json\nAnd then?\n"
chat 0 'saved.json: 2 messages' "${talk[@]}" --temp 0
same "/load" "$second" "$(cat "$out/stdout")"

# Greedy answers do not depend on what the session computed before.
input="One\n/regenerate\n/reset\nHello\n/system Be brief.\n/system\n/regenerate\n"
chat 0 '' "${talk[@]}" --temp 0 --json
same "/regenerate" "$(content 1)" "$(content 2)"
same "/reset and /system" "$(content 3)" "$(content 4)"
same "/regenerate computes one token" $(($(field prompt_tokens 2) - 1)) "$(field reused_tokens 2)"

input='two \\\nlines\n/save '"$out/lines.json"'\n'
chat 0 '' "${talk[@]}"
grep -q '"content": "two \\nlines"' "$out/lines.json" || fail "a backslash does not join lines"
for line in /nosuch /save /load "/load /nonexistent" /regenerate "/save /nonexistent/x"; do
    input="$line\n"
    chat 1 '^lapilli: ' "${talk[@]}" -q
done
input='/help\n/exit\nnever answered\n'
chat 0 '^/regenerate ' "${talk[@]}"
[ -s "$out/stdout" ] && fail "an answer after /exit"

# --- A full context ------------------------------------------------------------------------------------
input=''
for i in 1 2 3 4 5 6; do input="${input}Tell me about animal number $i in the forest\n"; done
chat 0 'its oldest messages are left out$' --template vicuna --system "Be brief." -s 1 -n 16 -c 96 --json
same "answers" 6 "$(wc -l < "$out/stdout")"
[ "$(field messages_left_out 6)" -ge 4 ] || fail "nothing was left out"
[ "$(field prompt_tokens 6)" -le 80 ] || fail "the prompt leaves no room for an answer"
chat 1 'this message does not fit: [0-9]+ tokens with the system prompt, the context has 16' \
    --template vicuna -c 16 -p "$(printf 'word %.0s' $(seq 30))"
chat 0 'the context of 32 tokens is full' --template vicuna -s 1 -c 32 -p "A long time ago in the forest"

"$LAPILLI" chat -qd cpu "${talk[@]}" > "$out/stdout" 2> "$out/stderr" <&-
same "a closed standard input" 1 $?
"$LAPILLI" chat -qd cpu "${talk[@]}" > "$out/stdout" 2> "$out/stderr" < "$out"
same "a directory as standard input" "1lapilli: standard input: Is a directory" "$?$(cat "$out/stderr")"
"$LAPILLI" chat -qd cpu "${talk[@]}" -p x > /dev/full 2> "$out/stderr"
same "a full disk" 1 $?

# --- Ctrl-C ---------------------------------------------------------------------------------------------
# Through a pipe it ends the program, as everywhere; on a terminal the answer.
if command -v script > "$out/stdout"; then
    mkfifo "$out/keys"
    script -qec "'$LAPILLI' chat -d cpu --template vicuna -s 3 -n 0 -c 400 --logit-bias '</s>=-inf'" /dev/null \
        < "$out/keys" > "$out/stdout" 2>&1 &
    exec 3> "$out/keys"
    wait_for() # PATTERN COUNT
    {
        for _ in $(seq 300); do
            [ "$(grep -c -- "$1" "$out/stdout")" -ge "$2" ] && return
            sleep 0.1
        done
        fail "the terminal does not show \"$1\""
    }
    wait_for '^> ' 1
    printf 'Once upon a time\n' >&3
    sleep 0.5
    printf '\003' >&3
    wait_for '^> ' 2
    printf '/save %s\n' "$out/cut.json" >&3
    wait_for 'cut.json: 2 messages' 1
    printf '\003' >&3
    wait_for 'to leave' 1
    printf '\003' >&3
    wait $!
    same "twice Ctrl-C" 0 $?
    exec 3>&-
fi

[ "$failures" -eq 0 ] || exit 1
echo "chat: ok"
