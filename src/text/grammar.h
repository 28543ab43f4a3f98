/* Context-free grammars over bytes, read from GBNF (llama.cpp's notation; docs/GRAMMARS.md).
 *
 * A grammar describes Unicode text, but tokens may end within a character. So every character class
 * is compiled to the byte sequences of its characters' UTF-8, and all that works with a grammar
 * sees bytes only: half a character is a state like any other. */
#ifndef LP_TEXT_GRAMMAR_H
#define LP_TEXT_GRAMMAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/context.h"

typedef enum lp_symbol_kind {
    LP_SYMBOL_END,  /* of an alternative */
    LP_SYMBOL_BYTE, /* this byte */
    LP_SYMBOL_SET,  /* one byte of lp_grammar.sets[value] */
    LP_SYMBOL_RULE  /* a text of lp_grammar.rules[value] */
} lp_symbol_kind;

typedef uint32_t lp_symbol; /* value << 2 | kind */

static inline lp_symbol lp_symbol_make(lp_symbol_kind kind, uint32_t value)
{
    return value << 2 | (uint32_t)kind;
}

static inline lp_symbol_kind lp_symbol_kind_of(lp_symbol symbol)
{
    return (lp_symbol_kind)(symbol & 3);
}

static inline uint32_t lp_symbol_value(lp_symbol symbol)
{
    return symbol >> 2;
}

typedef struct lp_byte_set {
    uint64_t bits[4];
} lp_byte_set;

/* Alternatives begin at symbols[starts[first]], …, symbols[starts[first + n - 1]]. */
typedef struct lp_grammar_rule {
    uint32_t first, n;
} lp_grammar_rule;

/* Every rule has a finite text, and none begins with itself (left recursion): so whatever is a
 * beginning of a text can be finished, and predicting rules comes to an end. */
typedef struct lp_grammar {
    lp_symbol *symbols;
    uint32_t *starts;
    lp_grammar_rule *rules;
    lp_byte_set *sets;
    uint32_t n_symbols, n_rules;
    uint32_t root;
} lp_grammar;

/* Beyond these a grammar is refused (LP_E_LIMIT). */
#define LP_GRAMMAR_MAX_SYMBOLS (1u << 21)
#define LP_GRAMMAR_MAX_RULES   (1u << 20)
#define LP_GRAMMAR_MAX_REPEAT  10000u
#define LP_GRAMMAR_MAX_GROUPS  256u /* parentheses within parentheses */

/* Reads GBNF. Errors (LP_E_FORMAT, LP_E_LIMIT) name line and column. */
lp_status lp_grammar_read(lp_context *ctx, const char *text, size_t bytes, lp_grammar **grammar);
void lp_grammar_destroy(lp_grammar *grammar);

#endif
