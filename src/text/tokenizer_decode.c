/* Ids to text: token by token, and a whole text at once. */
#include "text/tokenizer_build.h"

/* Control tokens, the unknown one, and gaps give no text. */
static bool has_text(const lp_token *token)
{
    return token->type == LP_TOKEN_NORMAL || token->type == LP_TOKEN_BYTE ||
           token->type == LP_TOKEN_USER;
}

lp_status lp_detokenize(lp_context *ctx, const lp_tokenizer *tokenizer, int32_t token,
                        const char **bytes, size_t *n_bytes)
{
    LP_TRY(lp_token_text(ctx, tokenizer, token, bytes, n_bytes));
    const lp_token *t = &tokenizer->vocab.tokens[token];
    *bytes = t->decoded;
    *n_bytes = has_text(t) ? t->decoded_bytes : 0;
    return LP_OK;
}

lp_status lp_decode_next(lp_context *ctx, lp_decoder *decoder, int32_t token, const char **bytes,
                         size_t *n_bytes)
{
    const lp_tokenizer *tokenizer = decoder->tokenizer;
    LP_TRY(lp_token_text(ctx, tokenizer, token, bytes, n_bytes));
    const lp_token *t = &tokenizer->vocab.tokens[token];
    if (!has_text(t) && !decoder->special) {
        *n_bytes = 0;
        return LP_OK;
    }
    bool first = !decoder->started, wordpiece = tokenizer->model == LP_MODEL_WORDPIECE;
    decoder->started = true;
    if (first && wordpiece && tokenizer->rest_prefix[0])
        return LP_OK; /* the first one as it is */
    *bytes = t->decoded;
    *n_bytes = t->decoded_bytes;
    if (first && (wordpiece || tokenizer->special.space_prefix) && *n_bytes > 0 &&
        (*bytes)[0] == ' ') {
        ++*bytes;
        --*n_bytes;
    }
    if (decoder->space) { /* it lies before the decoded bytes */
        --*bytes;
        ++*n_bytes;
    }
    decoder->space = t->flags & LP_TOKEN_WORD_END;
    *n_bytes -= decoder->space;
    return LP_OK;
}

lp_status lp_decode(lp_context *ctx, const lp_tokenizer *tokenizer, const int32_t *tokens,
                    size_t n_tokens, bool special, char **text, size_t *bytes)
{
    lp_decoder decoder = {.tokenizer = tokenizer, .special = special};
    lp_text all = {0};
    lp_status status = LP_OK;
    *text = NULL;
    *bytes = 0;
    for (size_t i = 0; i < n_tokens; i++) {
        const char *piece;
        size_t n;
        LP_CHECK(lp_decode_next(ctx, &decoder, tokens[i], &piece, &n));
        LP_CHECK(lp_text_append(ctx, &all, piece, n));
    }
    *bytes = all.n;
    LP_CHECK(lp_text_append(ctx, &all, "", 1));
    *text = all.data;
    all.data = NULL;
cleanup:
    lp_text_free(&all);
    if (status != LP_OK)
        *bytes = 0;
    return status;
}
