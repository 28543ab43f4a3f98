/* A grammar in the making: between its reader (grammar_gbnf.c), character classes and the checks at
 * the end. */
#ifndef LP_TEXT_GRAMMAR_BUILD_H
#define LP_TEXT_GRAMMAR_BUILD_H

#include "text/grammar.h"
#include "text/trie.h"

typedef struct lp_rule_draft {
    size_t where;     /* offset in the text: of its name or parenthesis, or of its first use */
    uint32_t n;       /* alternatives */
    uint16_t n_bytes; /* of its name; 0: it has none */
    bool defined;
    bool loop; /* made for * or +: its last symbol may be itself */
} lp_rule_draft;

typedef struct lp_grammar_builder {
    lp_context *ctx;
    const char *text;
    size_t bytes;
    lp_grammar *grammar; /* symbols and sets so far */
    lp_trie names;       /* rules by name */
    lp_rule_draft *rules;
    struct {
        uint32_t rule, start;
    } * alternatives;
    uint32_t n_alternatives;
    size_t rules_room, symbols_room, sets_room, alternatives_room;
    uint32_t n_sets;
} lp_grammar_builder; /* zero-initialise, but for ctx, text and bytes */

/* LP_E_FORMAT (or LP_E_LIMIT) with line and column of an offset in the text before the message. */
lp_status lp_grammar_fail(const lp_grammar_builder *b, lp_status status, size_t where,
                          const char *format, ...) LP_PRINTF(4, 5);

lp_status lp_grammar_begin(lp_grammar_builder *b);
lp_status lp_grammar_add_rule(lp_grammar_builder *b, size_t where, uint32_t *rule);
/* The rule of a name, made on its first use. */
lp_status lp_grammar_find_rule(lp_grammar_builder *b, size_t where, size_t bytes, uint32_t *rule);
/* One more alternative of a rule. */
lp_status lp_grammar_add_alternative(lp_grammar_builder *b, uint32_t rule, const lp_symbol *symbols,
                                     size_t n);
/* Checks all and gives the grammar out. */
lp_status lp_grammar_end(lp_grammar_builder *b, lp_grammar **grammar);
void lp_grammar_builder_free(lp_grammar_builder *b);

typedef struct lp_code_range {
    uint32_t first, last;
} lp_code_range;
/* Sorts, and joins what touches; returns how many are left. */
size_t lp_code_ranges_join(lp_code_range *ranges, size_t n);
/* A symbol for one character of a class: ranges[n] of code points, which this joins. LP_E_FORMAT if
 * there is none. */
lp_status lp_grammar_add_class(lp_grammar_builder *b, size_t where, lp_code_range *ranges, size_t n,
                               bool negated, lp_symbol *symbol);

#endif
