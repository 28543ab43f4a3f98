/* See tokenizer_ids.h. */
#include "support/tokenizer_ids.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

void check_ids(const char *name, size_t index, const lp_tokenizer *tokenizer, const char *text,
               size_t bytes, unsigned flags, const int32_t *want, size_t n_want)
{
    lp_context ctx = {0};
    int32_t *ids;
    size_t n;
    if (lp_tokenize(&ctx, tokenizer, text, bytes, flags, &ids, &n) != LP_OK)
        fail_msg("%s, text %zu: %s", name, index, ctx.message);
    assert_non_null(ids);
    for (size_t i = 0; i < n || i < n_want; i++)
        if (i >= n || i >= n_want || ids[i] != want[i])
            fail_msg("%s, text %zu: %zu ids, expected %zu; the first difference is at %zu", name,
                     index, n, n_want, i);
    free(ids);
}
