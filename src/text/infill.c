/* Prompts for the middle of a text: see infill.h. The order and what is left out (the texts are
 * only text: no token is recognised in them) are llama.cpp's. */
#include "text/infill.h"

#include <stdlib.h>
#include <string.h>

static lp_status check_tokens(lp_context *ctx, const lp_special_tokens *special)
{
    const struct {
        int32_t id;
        const char *name;
    } all[] = {{special->fim_prefix, "prefix"},
               {special->fim_suffix, "suffix"},
               {special->fim_middle, "middle"}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].id < 0)
            return lp_fail(ctx, LP_E_UNSUPPORTED,
                           "this model cannot fill in the middle: its vocabulary has no token for "
                           "the %s (as <fim_%s>)",
                           all[i].name, all[i].name);
    return LP_OK;
}

lp_status lp_infill_tokens(lp_context *ctx, const lp_tokenizer *tokenizer, lp_tokenizer_text prefix,
                           lp_tokenizer_text suffix, bool suffix_first, int32_t **tokens,
                           size_t *n_tokens)
{
    const lp_special_tokens special = lp_tokenizer_special(tokenizer);
    const int32_t marks[2] = {special.fim_prefix, special.fim_suffix};
    const lp_tokenizer_text texts[2] = {prefix, suffix};
    int32_t *pieces[2] = {NULL, NULL};
    size_t n_pieces[2], n = 0;
    lp_status status = LP_OK;
    *tokens = NULL;
    *n_tokens = 0;
    LP_TRY(check_tokens(ctx, &special));
    for (int i = 0; i < 2; i++)
        LP_CHECK(lp_tokenize(ctx, tokenizer, texts[i].data, texts[i].bytes, 0, &pieces[i],
                             &n_pieces[i]));
    int32_t *all = malloc((n_pieces[0] + n_pieces[1] + 4) * sizeof *all);
    if (all == NULL) {
        status = lp_fail_memory(ctx, "a prompt");
        goto cleanup;
    }
    if (special.add_bos && special.bos >= 0)
        all[n++] = special.bos;
    for (int k = 0; k < 2; k++) {
        const int i = suffix_first ? 1 - k : k;
        all[n++] = marks[i];
        if (n_pieces[i] > 0)
            memcpy(all + n, pieces[i], n_pieces[i] * sizeof *all);
        n += n_pieces[i];
    }
    all[n++] = special.fim_middle;
    *tokens = all;
    *n_tokens = n;
cleanup:
    free(pieces[0]);
    free(pieces[1]);
    return status;
}
