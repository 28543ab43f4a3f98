/* What the parsers of statements and of expressions share: a place in the list of tokens. */
#ifndef LP_TEXT_JINJA_PARSE_H
#define LP_TEXT_JINJA_PARSE_H

#include "text/jinja_node.h"

typedef struct lp_jinja_parser {
    lp_context *ctx;
    const char *where;
    lp_arena *arena;
    const lp_jinja_token *token; /* the one to be read next */
    unsigned depth;              /* of what is within what */
    unsigned n_loops;            /* around this place, within the same macro: for break, continue */
    unsigned mentions;           /* by what was read of the macro around this place */
} lp_jinja_parser;

/* "WHERE: line 3, column 7: ..." */
lp_status lp_jinja_parse_fail(lp_jinja_parser *p, lp_status status, const char *format, ...)
    LP_PRINTF(3, 4);
/* "... expected, not \"x\"" */
lp_status lp_jinja_parse_expected(lp_jinja_parser *p, const char *what);
/* Goes one level deeper; the caller takes `depth` back. LP_E_LIMIT. */
lp_status lp_jinja_parse_enter(lp_jinja_parser *p);

bool lp_jinja_at_name(const lp_jinja_parser *p, const char *name);
bool lp_jinja_at_operator(const lp_jinja_parser *p, const char *operator);
/* If the token is that one, it is read. */
bool lp_jinja_skip_name(lp_jinja_parser *p, const char *name);
bool lp_jinja_skip_operator(lp_jinja_parser *p, const char *operator);
lp_status lp_jinja_expect_operator(lp_jinja_parser *p, const char *operator);
lp_status lp_jinja_expect_name(lp_jinja_parser *p, lp_jinja_text *name);

/* A node at the token's place. */
lp_status lp_jinja_node_create(lp_jinja_parser *p, lp_jinja_node_type type, lp_jinja_node **node);
/* Appends to a node's list, which may hold NULLs. */
lp_status lp_jinja_node_append(lp_jinja_parser *p, lp_jinja_node *node, lp_jinja_node *child);
lp_status lp_jinja_node_argument(lp_jinja_parser *p, lp_jinja_node *node,
                                 lp_jinja_argument argument);

/* An expression; without `condition` no "a if b else c" at its top. */
lp_status lp_jinja_parse_expression(lp_jinja_parser *p, bool condition, lp_jinja_node **node);
/* The same, or several with commas between them: a tuple. `end`: a name that ends it, or NULL. */
lp_status lp_jinja_parse_tuple(lp_jinja_parser *p, bool condition, const char *end,
                               lp_jinja_node **node);
/* "a", "a, b" or, if `attribute`, "a.b": what can be set. */
lp_status lp_jinja_parse_target(lp_jinja_parser *p, bool attribute, lp_jinja_node **node);
/* "| a | b(c)" behind `node`; `first`: "a | b(c)". */
lp_status lp_jinja_parse_filters(lp_jinja_parser *p, bool first, lp_jinja_node **node);
/* "(a, b=c, *d, **e)" into the node's arguments. */
lp_status lp_jinja_parse_arguments(lp_jinja_parser *p, lp_jinja_node *node);
/* An expression with only what stands behind a primary one: "a.b[c](d)", as {% call %} wants it. */
lp_status lp_jinja_parse_postfix(lp_jinja_parser *p, lp_jinja_node **node);

#endif
