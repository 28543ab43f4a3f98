// A hostile grammar, then a text: the input is GBNF, and if there is a NUL, the text behind it.
// Whatever the text begins with must be possible to go on with or to end.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text/recognizer.h"

static void follow(lp_context *ctx, const lp_grammar *grammar, const uint8_t *text, size_t n)
{
    lp_recognizer *r;
    if (lp_recognizer_create(ctx, grammar, &r) != LP_OK)
        return; // too ambiguous
    lp_grammar_state state = lp_recognizer_start(r);
    for (size_t i = 0; i < n && state != LP_GRAMMAR_DEAD; i++) {
        lp_grammar_state next, again;
        bool any = lp_recognizer_may_end(r, state);
        if (lp_recognizer_step(r, state, text[i], &next) != LP_OK)
            break;
        for (int byte = 0; byte < 256 && !any; byte++)
            any = lp_recognizer_step(r, state, (uint8_t)byte, &again) != LP_OK ||
                  again != LP_GRAMMAR_DEAD;
        if (!any || lp_recognizer_step(r, state, text[i], &again) != LP_OK || again != next)
            abort();
        state = next;
    }
    lp_recognizer_destroy(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lp_context ctx = {0};
    lp_grammar *grammar = NULL;
    const uint8_t *end = size ? memchr(data, 0, size) : NULL;
    const size_t n = end ? (size_t)(end - data) : size;
    const char *usual = "(a1 \"\xc3\xa9\\n\", {}) aab";
    if (lp_grammar_read(&ctx, (const char *)data, n, &grammar) == LP_OK) {
        follow(&ctx, grammar, end ? end + 1 : (const uint8_t *)usual,
               end ? size - n - 1 : strlen(usual));
    } else if (grammar || !ctx.message[0] || strchr(ctx.message, '\n')) {
        abort();
    }
    lp_grammar_destroy(grammar);
    return 0;
}
