// A hostile JSON Schema: a grammar, or one line that says what is wrong. GBNF that was made of a schema can
// be read, unless a schema refers to itself for ever.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text/json_schema.h"
#include "text/recognizer.h"

static void read_grammar(lp_context *ctx, const lp_text *gbnf)
{
    lp_grammar *grammar;
    lp_recognizer *r;
    const lp_status status = lp_grammar_read(ctx, gbnf->data, gbnf->n, &grammar);
    if (status == LP_E_FORMAT && !strstr(ctx->message, "never ends") &&
        !strstr(ctx->message, "left recursion"))
        abort();
    if (status == LP_OK && lp_recognizer_create(ctx, grammar, &r) == LP_OK) {
        if (!lp_recognizer_may_go_on(r, lp_recognizer_start(r)))
            abort(); // JSON has no empty text
        lp_recognizer_destroy(r);
    }
    lp_grammar_destroy(grammar);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lp_context ctx = {0};
    lp_text gbnf = {0};
    if (lp_json_schema_to_gbnf(&ctx, (const char *)data, size, &gbnf) == LP_OK)
        read_grammar(&ctx, &gbnf);
    else if (!ctx.message[0] || strchr(ctx.message, '\n'))
        abort();
    lp_text_free(&gbnf);
    return 0;
}
