/* A template being evaluated: what its parts share. Whatever happens, it ends: every node, every
 * item of a list and every few bytes of text cost a step, and steps, memory, output and depth are
 * limited.
 */
#ifndef LP_TEXT_JINJA_RUN_H
#define LP_TEXT_JINJA_RUN_H

#include "text/buffer.h"
#include "text/jinja_node.h"
#include "text/jinja_text.h"

#define LP_JINJA_MAX_STEPS  ((uint64_t)10000000) /* about half a second */
#define LP_JINJA_MAX_MEMORY ((size_t)256 << 20)
#define LP_JINJA_MAX_OUTPUT ((size_t)64 << 20)
#define LP_JINJA_MAX_RANGE  100000 /* as jinja2's sandbox has it */

/* Variables. Reading looks outwards, setting sets here. */
typedef struct lp_jinja_scope lp_jinja_scope;
struct lp_jinja_scope {
    lp_jinja_scope *parent;
    lp_jinja_text *names;
    lp_jinja_value *values;
    size_t n, room;
};

typedef enum lp_jinja_flow { LP_JINJA_GO_ON, LP_JINJA_LEAVE, LP_JINJA_NEXT } lp_jinja_flow;

typedef struct lp_jinja {
    lp_context *ctx;
    const char *where;
    lp_arena arena;
    size_t memory; /* taken from the arena */
    uint64_t steps;
    unsigned depth;
    const lp_jinja_node *at; /* for messages */
    lp_text out;             /* the text, and behind it those that are being put together */
    lp_jinja_flow flow;
    int64_t now;
} lp_jinja;

struct lp_jinja_macro {
    const lp_jinja_node *node; /* MACRO_OF */
    lp_jinja_scope *scope;     /* where it was defined */
};

struct lp_jinja_loop {
    const lp_jinja_value *items;
    size_t n, index;
    unsigned depth;            /* of recursion, from 0 */
    const lp_jinja_node *node; /* FOR */
    lp_jinja_scope *scope;     /* around it */
    lp_jinja_value changed;    /* what changed() was last asked about; MISSING: never */
};

typedef struct lp_jinja_arguments {
    const lp_jinja_value *values; /* by position */
    size_t n;
    const lp_jinja_text *names;
    const lp_jinja_value *named;
    size_t n_named;
} lp_jinja_arguments;

/* A filter, a test, a method, a function: `value` is what it is applied to. */
typedef lp_status (*lp_jinja_bound_fn)(lp_jinja *run, lp_jinja_value value,
                                       const lp_jinja_value *arguments, lp_jinja_value *result);
typedef lp_status (*lp_jinja_raw_fn)(lp_jinja *run, lp_jinja_value value,
                                     const lp_jinja_arguments *arguments, lp_jinja_value *result);
#define LP_JINJA_MAX_PARAMETERS 6
struct lp_jinja_function {
    const char *name;
    /* Their names, separated by spaces; with "/" in front: only by position. bound() gets MISSING
     * for those that are not given. */
    const char *parameters;
    unsigned n_required;
    lp_jinja_bound_fn bound;
    /* Instead of bound: gets the arguments as they are. Neither: templates must not use it. */
    lp_jinja_raw_fn raw;
};

struct lp_jinja_method {
    const lp_jinja_function *row;
    lp_jinja_value self;
};

/* --- Limits and errors (jinja_run.c) ------------------------------------------------------------
 */

/* "WHERE: line 3, column 7: ..." */
lp_status lp_jinja_fail(lp_jinja *run, lp_status status, const char *format, ...) LP_PRINTF(3, 4);
lp_status lp_jinja_charge(lp_jinja *run, size_t steps);
/* One level deeper; the caller takes `depth` back. */
lp_status lp_jinja_enter(lp_jinja *run);
/* Zeroed; an array of n elements. */
lp_status lp_jinja_alloc(lp_jinja *run, size_t n, size_t size, void **memory);

/* Texts are put together at the end of `out`: remember out.n, put, take. */
lp_status lp_jinja_put(lp_jinja *run, lp_jinja_text text);
lp_status lp_jinja_put_code(lp_jinja *run, uint32_t code);
lp_status lp_jinja_put_repeated(lp_jinja *run, char c, size_t n);
lp_status lp_jinja_take(lp_jinja *run, size_t mark, lp_jinja_value *string);

/* --- Values (jinja_value.c)
 * ----------------------------------------------------------------------- */

lp_status lp_jinja_sequence_create(lp_jinja *run, lp_jinja_form form, const lp_jinja_value *items,
                                   size_t n, lp_jinja_value *result);
/* A list with room for n items, which the caller fills in. */
lp_status lp_jinja_items(lp_jinja *run, size_t n, lp_jinja_value **items);
lp_status lp_jinja_dict_create(lp_jinja *run, lp_jinja_value *result);
/* NULL if the key is not there. */
lp_status lp_jinja_dict_find(lp_jinja *run, const lp_jinja_dict *dict, lp_jinja_value key,
                             lp_jinja_value **found);
lp_status lp_jinja_dict_set(lp_jinja *run, lp_jinja_dict *dict, lp_jinja_value key,
                            lp_jinja_value value);
/* As the transformers library has it: no names with an underscore at their start. */
lp_status lp_jinja_namespace_set(lp_jinja *run, lp_jinja_dict *dict, lp_jinja_text name,
                                 lp_jinja_value value);
lp_status lp_jinja_from_json(lp_jinja *run, yyjson_val *json, lp_jinja_value *value);
/* What a `for` goes through. */
lp_status lp_jinja_iterate(lp_jinja *run, lp_jinja_value value, const lp_jinja_value **items,
                           size_t *n);
/* An error for what is undefined: "'x' is undefined". */
lp_status lp_jinja_refuse_undefined(lp_jinja *run, lp_jinja_value value);
/* Any value as a number where Python takes one. */
lp_status lp_jinja_as_integer(lp_jinja *run, lp_jinja_value value, int64_t *integer);
lp_status lp_jinja_as_text(lp_jinja *run, lp_jinja_value value, lp_jinja_text *text);

lp_status lp_jinja_get(lp_jinja *run, lp_jinja_value object, lp_jinja_text name,
                       lp_jinja_value *result); /* a.b */
lp_status lp_jinja_get_item(lp_jinja *run, lp_jinja_value object, lp_jinja_value index,
                            lp_jinja_value *result); /* a[b] */
/* a[start:stop:step]; NONE for those left out. */
lp_status lp_jinja_slice(lp_jinja *run, lp_jinja_value object, const lp_jinja_value bounds[3],
                         lp_jinja_value *result);

/* --- Operators (jinja_operators.c)
 * ---------------------------------------------------------------- */

bool lp_jinja_truth(lp_jinja_value value);
lp_status lp_jinja_equal(lp_jinja *run, lp_jinja_value a, lp_jinja_value b, bool *equal);
/* <0, 0, >0; an error for what has no order. `sign` for the message: "<". */
lp_status lp_jinja_order(lp_jinja *run, const char *sign, lp_jinja_value a, lp_jinja_value b,
                         int *order);
lp_status lp_jinja_contains(lp_jinja *run, lp_jinja_value all, lp_jinja_value item, bool *found);
lp_status lp_jinja_length_of(lp_jinja *run, lp_jinja_value value, int64_t *n);
lp_status lp_jinja_operate(lp_jinja *run, lp_jinja_op op, lp_jinja_value a, lp_jinja_value b,
                           lp_jinja_value *result);
lp_status lp_jinja_compare(lp_jinja *run, lp_jinja_op op, lp_jinja_value a, lp_jinja_value b,
                           bool *result);

/* "%s is %d" with values (a tuple counts as several): jinja_format.c */
lp_status lp_jinja_format(lp_jinja *run, lp_jinja_text format, const lp_jinja_value *values,
                          size_t n, lp_jinja_value *result);

/* str.format() */
lp_status lp_jinja_str_format(lp_jinja *run, lp_jinja_value self,
                              const lp_jinja_arguments *arguments, lp_jinja_value *result);

/* --- Text of values (jinja_print.c)
 * ---------------------------------------------------------------- */

lp_status lp_jinja_put_value(lp_jinja *run, lp_jinja_value value); /* str() */
lp_status lp_jinja_put_repr(lp_jinja *run, lp_jinja_value value);
lp_status lp_jinja_put_escaped(lp_jinja *run, lp_jinja_text text); /* & < > ' " for HTML */
/* str() as a value; a string stays as it is. */
lp_status lp_jinja_to_string(lp_jinja *run, lp_jinja_value value, lp_jinja_text *text);

typedef struct lp_jinja_json {
    bool ascii, sort, pretty;
    lp_jinja_text indent, comma, colon;
} lp_jinja_json;
lp_status lp_jinja_put_json(lp_jinja *run, const lp_jinja_json *how, lp_jinja_value value,
                            size_t level);

/* --- Filters, tests, methods, functions
 * ------------------------------------------------------------- */

const lp_jinja_function *lp_jinja_filter_find(lp_jinja_text name);
const lp_jinja_function *lp_jinja_test_find(lp_jinja_text name);
const lp_jinja_function *lp_jinja_global_find(lp_jinja_text name);
/* Of str, list and dict; NULL if there is none. */
const lp_jinja_function *lp_jinja_method_find(lp_jinja_value self, lp_jinja_text name);
const lp_jinja_function *lp_jinja_row_find(const lp_jinja_function *rows, size_t n,
                                           lp_jinja_text name);
/* Checks and orders the arguments, and calls. */
lp_status lp_jinja_apply(lp_jinja *run, const lp_jinja_function *row, lp_jinja_value value,
                         const lp_jinja_arguments *arguments, lp_jinja_value *result);
/* By name, with an error if there is none. */
lp_status lp_jinja_filter(lp_jinja *run, const lp_jinja_function *row, lp_jinja_text name,
                          lp_jinja_value value, const lp_jinja_arguments *arguments,
                          lp_jinja_value *result);
lp_status lp_jinja_test(lp_jinja *run, const lp_jinja_function *row, lp_jinja_text name,
                        lp_jinja_value value, const lp_jinja_arguments *arguments, bool *result);
/* Rows of the filters that work on lists. */
const lp_jinja_function *lp_jinja_list_filters(size_t *n);
/* `count` times at most; -1: everywhere. */
lp_status lp_jinja_replace(lp_jinja *run, lp_jinja_text text, lp_jinja_text from, lp_jinja_text to,
                           int64_t count, lp_jinja_value *result);
/* All its characters in another case. */
lp_status lp_jinja_put_case(lp_jinja *run, lp_jinja_case to, lp_jinja_text text);

/* --- Evaluation (jinja_eval.c, jinja_exec.c)
 * --------------------------------------------------------- */

lp_status lp_jinja_scope_create(lp_jinja *run, lp_jinja_scope *parent, lp_jinja_scope **scope);
lp_status lp_jinja_scope_set(lp_jinja *run, lp_jinja_scope *scope, lp_jinja_text name,
                             lp_jinja_value value);
lp_status lp_jinja_eval(lp_jinja *run, lp_jinja_scope *scope, const lp_jinja_node *node,
                        lp_jinja_value *result);
/* A FILTER node, or a chain of them, whose innermost value is `input`. */
lp_status lp_jinja_eval_filters(lp_jinja *run, lp_jinja_scope *scope, const lp_jinja_node *node,
                                lp_jinja_value input, lp_jinja_value *result);
/* A CALL node; `caller`: the body of {% call %}, or NULL. */
lp_status lp_jinja_eval_call(lp_jinja *run, lp_jinja_scope *scope, const lp_jinja_node *node,
                             const lp_jinja_value *caller, lp_jinja_value *result);
lp_status lp_jinja_call_macro(lp_jinja *run, const lp_jinja_macro *macro,
                              const lp_jinja_arguments *arguments, lp_jinja_value *result);
lp_status lp_jinja_call_loop(lp_jinja *run, const lp_jinja_loop *loop,
                             const lp_jinja_arguments *arguments, lp_jinja_value *result);
lp_status lp_jinja_loop_get(lp_jinja *run, lp_jinja_loop *loop, lp_jinja_text name,
                            lp_jinja_value *result);
lp_status lp_jinja_exec(lp_jinja *run, lp_jinja_scope *scope, const lp_jinja_node *body);

#endif
