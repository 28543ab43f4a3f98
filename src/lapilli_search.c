/* The public API of encoder-decoders: a source text, and answers to it. */
#include <stdlib.h>

#include "base/arena.h"
#include "lapilli_private.h"
#include "models/network.h"
#include "text/generation_config.h"
#include "text/search.h"
#include "text/tokenizer.h"

bool lp_model_reads_source(const lp_model *model)
{
    const lp_hparams *hp = &lp_model_network(model)->hparams;
    return hp->encoder.n_layer > 0 && hp->retrieval.chunk == 0;
}

bool lp_model_generates(const lp_model *model)
{
    return !lp_model_network(model)->hparams.both_ways;
}

lp_search_options lp_model_search(const lp_model *model)
{
    return lp_model_generation(model)->options;
}

lp_status lp_session_source(lp_session *session, const int32_t *tokens, size_t n_tokens)
{
    return lp_runner_source(lp_session_runner(session), tokens, n_tokens);
}

lp_status lp_session_neighbours(lp_session *session, uint32_t chunk, const int32_t *tokens,
                                const uint32_t *lengths, uint32_t n)
{
    return lp_runner_neighbours(lp_session_runner(session), chunk, tokens, lengths, n);
}

lp_status lp_session_source_text(lp_session *session, const char *text, size_t bytes)
{
    int32_t *tokens = NULL;
    size_t n_tokens = 0;
    LP_TRY(lp_model_tokenize(lp_session_model(session), text, bytes,
                             LP_TOKENS_SPECIAL | LP_TOKENS_PARSE, &tokens, &n_tokens));
    const lp_status status = lp_session_source(session, tokens, n_tokens);
    free(tokens);
    return status;
}

/* ---- Answers ------------------------------------------------------------------------------- */

typedef struct own_answers {
    lp_answers public; /* first: it is what the caller holds */
    lp_arena arena;
} own_answers;

static bool is_end(const lp_search_rules *rules, int32_t token)
{
    for (uint32_t i = 0; i < rules->n_ends; i++)
        if (rules->ends[i] == token)
            return true;
    return false;
}

/* Tokens and text of a sequence, without the start token, the forced one behind it, and the end. */
static lp_status fill(const lp_model *model, lp_arena *arena, lp_sequence sequence,
                      lp_answer *answer)
{
    lp_context *ctx = lp_model_context_of(model);
    const lp_search_rules *rules = &lp_model_generation(model)->rules;
    const int32_t *from = sequence.tokens + 1;
    uint32_t n = sequence.n - 1;
    if (n > 0 && rules->first != -1) {
        from++;
        n--;
    }
    if (n > 0 && is_end(rules, from[n - 1]))
        n--;
    int32_t *tokens = lp_arena_array(arena, n + 1u, sizeof *tokens);
    uint32_t n_text = 0, n_vocab = lp_tokenizer_size(lp_model_target_tokenizer(model));
    if (tokens == NULL)
        return lp_fail_memory(ctx, "an answer");
    *answer = (lp_answer){.tokens = tokens, .n_tokens = n, .score = sequence.score};
    int32_t *known =
        malloc((n + 1u) * sizeof *known); /* rows that pad the embedding have no text */
    if (known == NULL)
        return lp_fail_memory(ctx, "an answer");
    for (uint32_t i = 0; i < n; i++) {
        tokens[i] = from[i];
        if ((uint32_t)from[i] < n_vocab)
            known[n_text++] = from[i];
    }
    char *text = NULL;
    size_t bytes = 0;
    lp_status status =
        lp_decode(ctx, lp_model_target_tokenizer(model), known, n_text, false, &text, &bytes);
    free(known);
    LP_TRY(status);
    answer->text = lp_arena_strndup(arena, text, bytes);
    answer->bytes = bytes;
    free(text);
    return answer->text != NULL ? LP_OK : lp_fail_memory(ctx, "an answer");
}

lp_status lp_session_search(lp_session *session, const lp_search_options *options,
                            int (*stop)(void *user), void *user, lp_answers **answers)
{
    lp_status status = LP_OK;
    const lp_model *model = lp_session_model(session);
    lp_context *ctx = lp_model_context_of(model);
    lp_beams *beams = NULL;
    own_answers *own = NULL;
    lp_answer *at = NULL;
    *answers = NULL;
    if (!lp_model_reads_source(model))
        return lp_fail(ctx, LP_E_UNSUPPORTED, "%s models do not answer a source text",
                       lp_model_architecture(model));
    LP_TRY(lp_model_needs_tokenizer(model));
    LP_CHECK(lp_search(ctx, lp_session_runner(session), &lp_model_generation(model)->rules, options,
                       stop, user, &beams));
    LP_CHECK(lp_session_check_fault(session));
    own = calloc(1, sizeof *own);
    if (own != NULL)
        at = lp_arena_array(&own->arena, options->n_best, sizeof *at);
    if (at == NULL) {
        status = lp_fail_memory(ctx, "answers");
        goto cleanup;
    }
    own->public.at = at;
    for (; own->public.n < options->n_best && own->public.n < lp_beams_n_ended(beams);
         own->public.n++)
        LP_CHECK(fill(model, &own->arena, lp_beams_ended(beams, (uint32_t)own->public.n),
                      &at[own->public.n]));
    *answers = &own->public;
    own = NULL;
cleanup:
    lp_beams_destroy(beams);
    lp_answers_destroy((lp_answers *)own);
    return status;
}

void lp_answers_destroy(lp_answers *answers)
{
    own_answers *own = (own_answers *)answers;
    if (own == NULL)
        return;
    lp_arena_destroy(&own->arena);
    free(own);
}
