/* One answer of a chat: the conversation becomes text, the text tokens; those that the session has
 * already are not computed again. */
#define _POSIX_C_SOURCE 200809L /* sigaction */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "chat.h"

/* --- Ctrl-C
 * ---------------------------------------------------------------------------------------- */

static volatile sig_atomic_t n_interrupts;

static void on_interrupt(int number)
{
    (void)number;
    if (n_interrupts < 100)
        n_interrupts = n_interrupts + 1;
}

void cli_interrupts_begin(void)
{
    struct sigaction action = {.sa_handler = on_interrupt}; /* reading ends: no SA_RESTART */
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
}

int cli_interrupts_take(void)
{
    const int n = n_interrupts;
    n_interrupts = 0;
    return n;
}

bool cli_interrupts_pending(void)
{
    return n_interrupts > 0;
}

/* --- The prompt
 * ------------------------------------------------------------------------------------ */

/* Tokens of the conversation without its `skip` oldest messages. */
static lp_status make_tokens(cli_chat *chat, size_t skip, int32_t **tokens, size_t *n)
{
    char *text = NULL;
    size_t bytes;
    lp_status status = cli_conversation_render(&chat->conversation, chat->job.ctx, chat->job.model,
                                               chat->chat_template, skip, true, &text, &bytes);
    if (status == LP_OK)
        status = lp_chat_tokenize(chat->job.model, text, bytes, tokens, n);
    free(text);
    return status;
}

/* The same, without as many of the oldest exchanges as leave room for an answer. */
static lp_status fit_tokens(cli_chat *chat, int32_t **tokens, size_t *n, size_t *skip)
{
    const uint32_t n_ctx = lp_session_n_ctx(chat->job.session);
    uint32_t room = n_ctx / 4; /* for the answer */
    if (chat->max_tokens > 0 && chat->max_tokens < room)
        room = chat->max_tokens;
    *skip = 0;
    for (;;) {
        const lp_status status = make_tokens(chat, *skip, tokens, n);
        if (status != LP_OK || *n + room <= n_ctx)
            return status;
        const size_t more = cli_conversation_oldest(&chat->conversation, *skip);
        if (more == 0)
            return LP_OK;
        *skip += more;
        free(*tokens);
        *tokens = NULL;
    }
}

/* Brings the session to these tokens; *n_kept: how many of them it had. The last one is computed in
 * any case: the answer begins from what it gives. */
static lp_status sync_session(lp_session *session, const int32_t *tokens, size_t n,
                              uint32_t *n_kept)
{
    const uint32_t n_had = lp_session_n_tokens(session);
    int32_t *had = malloc((n_had + 1) * sizeof *had);
    uint32_t n_common = 0;
    if (!had)
        return LP_E_MEMORY;
    lp_status status = lp_session_tokens(session, 0, n_had, had);
    while (n_common < n_had && n_common + 1 < n && had[n_common] == tokens[n_common])
        n_common++;
    free(had);
    if (status == LP_OK)
        status = lp_session_rewind(session, n_common);
    if (status == LP_OK)
        status = lp_session_feed(session, tokens + n_common, n - n_common);
    *n_kept = n_common;
    return status;
}

/* --- The answer
 * ------------------------------------------------------------------------------------ */

/* Tokenizers put a space before a word: at the start of an answer it is kept for the history, but
 * not shown. */
static int take_text(void *user, const char *text, size_t bytes)
{
    cli_chat *chat = user;
    if (chat->n_answer + bytes > chat->room) {
        const size_t room = 2 * (chat->n_answer + bytes) + 1024;
        char *grown = realloc(chat->answer, room);
        if (!grown) {
            chat->no_memory = true;
            return 1;
        }
        chat->answer = grown;
        chat->room = room;
    }
    memcpy(chat->answer + chat->n_answer, text, bytes);
    const bool space = chat->n_answer == 0 && bytes > 0 && *text == ' ';
    chat->n_answer += bytes;
    const bool written = chat->json || cli_write(text + space, bytes - space);
    return !written || cli_stop_signal() || cli_interrupts_pending();
}

static int print_json(const cli_chat *chat, const lp_generation *g, uint32_t n_prompt,
                      uint32_t n_kept, size_t skip)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, root);
    cli_json_text(doc, root, "role", "assistant");
    cli_json_bytes(doc, root, "content", chat->answer ? chat->answer : "", chat->n_answer);
    cli_json_text(doc, root, "ending",
                  g->ending == LP_ENDED_CALLER ? "interrupted" : lp_ending_text(g->ending));
    yyjson_mut_obj_add_uint(doc, root, "tokens", g->n_tokens);
    yyjson_mut_obj_add_uint(doc, root, "prompt_tokens", n_prompt);
    yyjson_mut_obj_add_uint(doc, root, "reused_tokens", n_kept);
    yyjson_mut_obj_add_uint(doc, root, "messages_left_out", skip);
    char *line = doc ? yyjson_mut_write(doc, 0, NULL) : NULL;
    yyjson_mut_doc_free(doc);
    if (!line) {
        cli_error("out of memory");
        return CLI_FAILED;
    }
    cli_write(line, strlen(line));
    cli_write("\n", 1);
    free(line);
    return CLI_OK;
}

static void print_ending(cli_chat *chat, const lp_generation *g, size_t skip)
{
    if (g->ending == LP_ENDED_CONTEXT)
        cli_error("the context of %u tokens is full: the answer ends here",
                  lp_session_n_ctx(chat->job.session));
    if (g->ending == LP_ENDED_LENGTH && !chat->job.quiet)
        cli_error("the answer ends after %u tokens (-n)", g->n_tokens);
    if (skip > 0 && !chat->told_forgotten && !chat->job.quiet) {
        cli_error("the conversation is longer than the context: its oldest messages are left out");
        chat->told_forgotten = true;
    }
    if (chat->job.verbose)
        cli_error("%u tokens of the prompt computed, %u of the answer, %.2f s", g->n_prompt,
                  g->n_tokens, g->seconds);
}

static int fail(const cli_chat *chat, lp_status status)
{
    if (status != LP_E_MEMORY)
        return cli_failed(chat->job.ctx, status);
    cli_error("out of memory");
    return CLI_FAILED;
}

/* Every answer has random numbers of its own, and begins a grammar anew. */
static lp_status start_sampling(cli_chat *chat)
{
    lp_sampling sampling = chat->sampling.values;
    sampling.seed += chat->n_answers++;
    return lp_session_sampling(chat->job.session, &sampling);
}

int cli_chat_answer(cli_chat *chat)
{
    lp_session *session = chat->job.session;
    lp_generation g = {0};
    int32_t *tokens = NULL;
    size_t n = 0, skip = 0;
    uint32_t n_kept = 0;
    lp_status status = fit_tokens(chat, &tokens, &n, &skip);
    if (status == LP_OK && (n == 0 || n >= lp_session_n_ctx(session))) {
        cli_error(n == 0 ? "the template makes no text of this conversation"
                         : "this message does not fit: %zu tokens with the system prompt, the "
                           "context has %u (-c)",
                  n, lp_session_n_ctx(session));
        free(tokens);
        return CLI_FAILED;
    }
    if (status == LP_OK)
        status = sync_session(session, tokens, n, &n_kept);
    free(tokens);
    if (status == LP_OK)
        status = start_sampling(chat);
    chat->n_answer = 0;
    chat->no_memory = false;
    const lp_generate_options options = {.max_tokens = chat->max_tokens,
                                         .stop = chat->sampling.stops,
                                         .n_stop = chat->sampling.n_stops,
                                         .on_text = take_text,
                                         .user = chat};
    if (status == LP_OK)
        status = lp_session_generate(session, &options, &g);
    if (status == LP_OK && chat->no_memory)
        status = LP_E_MEMORY;
    if (!chat->json && chat->n_answer > 0)
        cli_write("\n", 1);
    if (status != LP_OK)
        return fail(chat, status);
    if (!cli_conversation_add(&chat->conversation, "assistant", chat->answer ? chat->answer : "",
                              chat->n_answer))
        return CLI_FAILED;
    print_ending(chat, &g, skip);
    return chat->json ? print_json(chat, &g, (uint32_t)n, n_kept, skip) : CLI_OK;
}
