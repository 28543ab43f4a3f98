/* The public API of whole texts: vectors, and guesses at masked words. */
#include <stdlib.h>

#include "base/context.h"
#include "lapilli_private.h"
#include "text/embedding.h"
#include "text/runner.h"
#include "text/tokenizer.h"

uint32_t lp_model_embedding_length(const lp_model *model)
{
    const lp_network *network = lp_model_network(model);
    return lp_network_projects(network) ? network->hparams.n_projected : network->hparams.n_embd;
}

lp_status lp_model_embedding(const lp_model *model, lp_embedding *embedding)
{
    return lp_embedding_of(lp_model_context_of(model), lp_model_network(model), embedding);
}

const char *lp_pooling_text(lp_pooling pooling)
{
    static const char *const texts[] = {"mean", "cls", "last", "pooler"};
    return (unsigned)pooling < LP_N_POOLINGS ? texts[pooling] : "?";
}

int32_t lp_model_mask(const lp_model *model)
{
    const lp_tokenizer *tokenizer = lp_model_target_tokenizer(model);
    return tokenizer != NULL ? lp_tokenizer_special(tokenizer).mask : -1;
}

lp_status lp_model_token_text(const lp_model *model, int32_t token, const char **text,
                              size_t *bytes)
{
    LP_TRY(lp_model_needs_tokenizer(model));
    return lp_token_text(lp_model_context_of(model), lp_model_target_tokenizer(model), token, text,
                         bytes);
}

/* Of CLIP's: the text goes as far as the token that stands for it; what is behind, that does not
 * see.
 */
static lp_status find_end(const lp_model *model, const int32_t *tokens, size_t *n_tokens)
{
    const lp_hparams *hp = &lp_model_network(model)->hparams;
    if (!hp->arch->whole_causal || *n_tokens == 0)
        return LP_OK;
    const size_t end = lp_hparams_text_end(hp, tokens, *n_tokens);
    if (end == *n_tokens)
        return lp_fail(lp_model_context_of(model), LP_E_ARG,
                       "the text has no end token (%u), which stands for it", hp->end_token);
    *n_tokens = end + 1;
    return LP_OK;
}

lp_status lp_session_embed(lp_session *session, const int32_t *tokens, size_t n_tokens,
                           lp_embedding embedding, float *vector)
{
    const lp_model *model = lp_session_model(session);
    const size_t n = lp_model_embedding_length(model);
    lp_status status;
    LP_TRY(lp_embedding_check(lp_model_context_of(model), lp_model_network(model), embedding));
    LP_TRY(find_end(model, tokens, &n_tokens));
    if (embedding.pooling == LP_POOLING_POOLER) {
        LP_TRY(lp_runner_view(lp_session_runner(session), tokens, n_tokens, "pooled", vector));
    } else {
        /* a text that is too long is refused below; it needs no room */
        const size_t n_rows = n_tokens <= lp_session_n_ctx(session) ? n_tokens : 1;
        float *hidden = malloc((n_rows + 1) * n * sizeof *hidden);
        if (hidden == NULL)
            return lp_fail_memory(lp_model_context_of(model), "a text's vectors");
        status = lp_runner_view(lp_session_runner(session), tokens, n_tokens, "hidden", hidden);
        if (status == LP_OK)
            lp_embedding_pool(embedding.pooling, hidden, n_tokens, n, vector);
        free(hidden);
        LP_TRY(status);
    }
    if (embedding.normalised)
        lp_embedding_normalise(vector, n);
    return lp_session_check_fault(session);
}

lp_status lp_session_fill(lp_session *session, const int32_t *tokens, size_t n_tokens,
                          const uint32_t *places, size_t n_places, uint32_t k, lp_guess *guesses)
{
    const lp_model *model = lp_session_model(session);
    const lp_network *network = lp_model_network(model);
    lp_context *ctx = lp_model_context_of(model);
    const uint32_t n_vocab = lp_model_vocabulary(model);
    if (!network->hparams.both_ways)
        return lp_fail(ctx, LP_E_UNSUPPORTED,
                       "%s is no encoder: it continues texts and fills no masks in them",
                       lp_model_architecture(model));
    if (k < 1 || k > n_vocab)
        return lp_fail(ctx, LP_E_ARG, "%u guesses; the vocabulary has %u", k, n_vocab);
    for (size_t i = 0; i < n_places; i++)
        if (places[i] >= n_tokens)
            return lp_fail(ctx, LP_E_ARG, "place %u of %zu tokens", places[i], n_tokens);
    const size_t n_rows = n_tokens <= lp_session_n_ctx(session) ? n_tokens : 1;
    float *logits = malloc((n_rows + 1) * n_vocab * sizeof *logits);
    if (logits == NULL)
        return lp_fail_memory(ctx, "logits");
    lp_status status =
        lp_runner_view(lp_session_runner(session), tokens, n_tokens, "logits", logits);
    for (size_t i = 0; i < n_places && status == LP_OK; i++)
        lp_guess_best(logits + (size_t)places[i] * n_vocab, n_vocab, k, guesses + i * k);
    free(logits);
    LP_TRY(status);
    return lp_session_check_fault(session);
}
