/* A grammar being made of a JSON Schema: between json_schema*.c.
 *
 * What applies to one place of the text is a conjunction of schemas ("parts"): the one that stands
 * there, what its $ref names, all of its allOf, one branch of each anyOf. Keywords are read over
 * all parts: the largest minimum, the union of required, and so on; for a property, the parts are
 * what each part says of it. Equal conjunctions share a rule, which is how recursion comes to an
 * end. */
#ifndef LP_TEXT_JSON_SCHEMA_BUILD_H
#define LP_TEXT_JSON_SCHEMA_BUILD_H

#include <yyjson.h>

#include "base/arena.h"
#include "text/buffer.h"

#define LP_SCHEMA_MAX_PARTS    64
#define LP_SCHEMA_MAX_RULES    4000
#define LP_SCHEMA_MAX_DEPTH    128
#define LP_SCHEMA_MAX_COMPARED 20000

typedef struct lp_schema_part {
    yyjson_val *schema;  /* an object */
    const char *pointer; /* where it stands */
    bool any_of, one_of; /* a branch of it was taken */
} lp_schema_part;

typedef struct lp_schema_node {
    lp_schema_part parts[LP_SCHEMA_MAX_PARTS];
    size_t n; /* 0: anything */
    bool impossible;
} lp_schema_node;

enum {
    LP_SCHEMA_NULL = 1,
    LP_SCHEMA_BOOLEAN = 2,
    LP_SCHEMA_INTEGER = 4,
    LP_SCHEMA_FRACTION = 8, /* numbers that are no integers */
    LP_SCHEMA_STRING = 16,
    LP_SCHEMA_ARRAY = 32,
    LP_SCHEMA_OBJECT = 64,
    LP_SCHEMA_ALL = 127
};

typedef struct lp_schema_rule {
    const lp_schema_node *node;
    const char *name;
    bool impossible;
} lp_schema_rule;

typedef struct lp_schema_writer {
    lp_context *ctx;
    yyjson_val *root;
    lp_arena arena;
    lp_text *out;
    lp_schema_rule *rules;
    size_t n_rules, rules_room;
    unsigned n_names; /* made so far */
    unsigned depth;
    unsigned n_compared; /* pairs of branches, and of their properties */
    bool no_memory;      /* something could not be appended */
} lp_schema_writer;

/* LP_E_FORMAT or LP_E_UNSUPPORTED with "JSON schema, POINTER: " before the message. `key` may be
 * NULL. */
lp_status lp_schema_fail(lp_schema_writer *w, lp_status status, const char *pointer,
                         const char *key, const char *format, ...) LP_PRINTF(5, 6);

/* Appending GBNF. A failure is remembered in the writer. */
void lp_schema_put(lp_schema_writer *w, lp_text *to, const char *text);
void lp_schema_printf(lp_schema_writer *w, lp_text *to, const char *format, ...) LP_PRINTF(3, 4);
/* text[n] as a literal of GBNF. */
void lp_schema_put_literal(lp_schema_writer *w, lp_text *to, const char *text, size_t n);
/* A JSON value as it is written, as a literal. */
lp_status lp_schema_put_value(lp_schema_writer *w, lp_text *to, yyjson_val *value);

/* A copy in the arena; "" and a note in the writer when memory runs out. */
const char *lp_schema_keep(lp_schema_writer *w, const char *text);
/* "POINTER/key", in the arena. */
const char *lp_schema_pointer(lp_schema_writer *w, const char *pointer, const char *key);

/* What follows for one place from a schema, its $ref and allOf: more parts. */
lp_status lp_schema_add(lp_schema_writer *w, lp_schema_node *node, yyjson_val *schema,
                        const char *pointer);
lp_status lp_schema_new_node(lp_schema_writer *w, lp_schema_node **node);
/* Whether no value satisfies both: sure if true. */
bool lp_schema_disjoint(lp_schema_writer *w, const lp_schema_node *a, const lp_schema_node *b);
/* The types that a conjunction allows; of those, only what its other keywords are about if it
 * names none. */
unsigned lp_schema_types(const lp_schema_node *node, bool *any);
lp_status lp_schema_check_type(lp_schema_writer *w, const lp_schema_part *part);
/* The types of values that a keyword is about; 0: it is about all, or says nothing of the text. */
unsigned lp_schema_about(const char *keyword);
/* Whether a value passes the types and lists of all parts. */
bool lp_schema_passes(const lp_schema_node *node, yyjson_val *value);
/* The first part with a list, if there is one: `list` of values, or a single `constant`. */
const lp_schema_part *lp_schema_find_list(const lp_schema_node *node, yyjson_val **list,
                                          yyjson_val **constant);
/* Whether an object must have a property. */
bool lp_schema_requires(const lp_schema_node *node, const char *name);

/* The values of a list that pass. */
lp_status lp_schema_put_list(lp_schema_writer *w, const lp_schema_node *node,
                             const lp_schema_part *part, yyjson_val *list, yyjson_val *constant,
                             lp_text *to, bool *possible);
/* One rule per branch of the first anyOf or oneOf that is left; *found: there was one. */
lp_status lp_schema_put_branches(lp_schema_writer *w, const lp_schema_node *node, lp_text *to,
                                 bool *found, bool *possible);
/* The rule of a conjunction; *name NULL: no text satisfies it. */
lp_status lp_schema_value(lp_schema_writer *w, const lp_schema_node *node, const char **name);

/* Texts of one type, appended to a rule's right-hand side. *possible: there are any. */
lp_status lp_schema_object(lp_schema_writer *w, const lp_schema_node *node, lp_text *to,
                           bool *possible);
lp_status lp_schema_array(lp_schema_writer *w, const lp_schema_node *node, lp_text *to,
                          bool *possible);
lp_status lp_schema_string(lp_schema_writer *w, const lp_schema_node *node, lp_text *to,
                           bool *possible);
lp_status lp_schema_number(lp_schema_writer *w, const lp_schema_node *node, bool fractions,
                           lp_text *to, bool *possible);
/* The characters of a JSON string that match a regular expression (ECMA-262). */
lp_status lp_schema_pattern(lp_schema_writer *w, const char *pointer, const char *pattern, size_t n,
                            lp_text *to);

/* The largest of the parts' minimum counts `key`, or the smallest maximum: a whole number. *value
 * stays as it is without any. */
lp_status lp_schema_count(lp_schema_writer *w, const lp_schema_node *node, const char *key,
                          bool largest, uint32_t *value);

#endif
