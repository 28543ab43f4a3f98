/* The public API of grammars: see text/grammar.h and text/json_schema.h. */
#include <string.h>

#include "base/context.h"
#include "lapilli.h"
#include "text/json_schema.h"
#include "text/recognizer.h"

lp_status lp_grammar_match(lp_context *ctx, const char *gbnf, const char *json_schema,
                           const char *text, size_t bytes, size_t *n_matched, bool *complete)
{
    lp_grammar *grammar = NULL;
    lp_recognizer *recognizer = NULL;
    lp_status status = LP_OK;
    *n_matched = 0;
    *complete = false;
    LP_CHECK(lp_grammar_open(ctx, gbnf, json_schema, &grammar));
    LP_CHECK(lp_recognizer_create(ctx, grammar, &recognizer));
    lp_grammar_state state = lp_recognizer_start(recognizer);
    for (; *n_matched < bytes; ++*n_matched) {
        lp_grammar_state next;
        LP_CHECK(lp_recognizer_step(recognizer, state, (uint8_t)text[*n_matched], &next));
        if (next == LP_GRAMMAR_DEAD)
            break;
        state = next;
    }
    *complete = *n_matched == bytes && lp_recognizer_may_end(recognizer, state);
cleanup:
    lp_recognizer_destroy(recognizer);
    lp_grammar_destroy(grammar);
    return status;
}

lp_status lp_grammar_from_schema(lp_context *ctx, const char *json_schema, char **gbnf)
{
    lp_text text = {0};
    lp_status status = lp_json_schema_to_gbnf(ctx, json_schema, strlen(json_schema), &text);
    if (status == LP_OK)
        status = lp_text_append(ctx, &text, "", 1); /* terminated */
    if (status != LP_OK)
        lp_text_free(&text);
    *gbnf = text.data;
    return status;
}
