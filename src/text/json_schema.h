/* JSON Schema as a grammar: GBNF for JSON texts that satisfy a schema (docs/GRAMMARS.md says which
 * keywords, and what is chosen where a schema leaves more open than a writer needs). */
#ifndef LP_TEXT_JSON_SCHEMA_H
#define LP_TEXT_JSON_SCHEMA_H

#include "text/buffer.h"
#include "text/grammar.h"

/* Appends the grammar to `gbnf`. LP_E_FORMAT for what is no schema, or one that no text satisfies;
 * LP_E_UNSUPPORTED for a keyword that would be left unheeded: both name it by its JSON pointer. */
lp_status lp_json_schema_to_gbnf(lp_context *ctx, const char *schema, size_t bytes, lp_text *gbnf);
/* The same, read. LP_E_FORMAT also for a schema that refers to itself without end. */
lp_status lp_json_schema_read(lp_context *ctx, const char *schema, size_t bytes,
                              lp_grammar **grammar);

/* Of a grammar in GBNF and a JSON schema the one that is there; the other is NULL. */
lp_status lp_grammar_open(lp_context *ctx, const char *gbnf, const char *schema,
                          lp_grammar **grammar);

#endif
