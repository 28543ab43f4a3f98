/* Values of templates: what JSON has, and what templates make themselves. All are immutable but
 * namespaces, so they are shared freely; all live in the arena of the run that made them. */
#ifndef LP_TEXT_JINJA_VALUE_H
#define LP_TEXT_JINJA_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef enum lp_jinja_kind {
    LP_JINJA_MISSING, /* an argument that was not given; no value of a template is this */
    LP_JINJA_UNDEFINED,
    LP_JINJA_NONE,
    LP_JINJA_BOOL,
    LP_JINJA_INT,
    LP_JINJA_FLOAT,
    LP_JINJA_STRING,
    LP_JINJA_SEQUENCE,
    LP_JINJA_DICT,
    LP_JINJA_NAMESPACE,
    LP_JINJA_LOOP,
    LP_JINJA_MACRO,
    LP_JINJA_FUNCTION,
    LP_JINJA_METHOD
} lp_jinja_kind;

/* What Python has several types for. */
typedef enum lp_jinja_form {
    LP_JINJA_LIST,
    LP_JINJA_TUPLE,
    LP_JINJA_RANGE,
    LP_JINJA_KEYS, /* of a dict, as the next two */
    LP_JINJA_VALUES,
    LP_JINJA_ITEMS,
    LP_JINJA_GENERATOR /* what map, select, ... give: can be gone through once */
} lp_jinja_form;

/* UTF-8, not terminated. */
typedef struct lp_jinja_text {
    const char *data;
    size_t n; /* bytes */
} lp_jinja_text;

typedef struct lp_jinja_sequence lp_jinja_sequence;
typedef struct lp_jinja_dict lp_jinja_dict;
typedef struct lp_jinja_loop lp_jinja_loop;
typedef struct lp_jinja_macro lp_jinja_macro;
typedef struct lp_jinja_function lp_jinja_function;
typedef struct lp_jinja_method lp_jinja_method;

typedef struct lp_jinja_value {
    lp_jinja_kind kind;
    bool safe; /* STRING: marked by the filter `safe`; adding to it escapes the other one */
    lp_jinja_kind owner; /* UNDEFINED: what lacks it; NONE of the kinds (MISSING): a variable */
    union {
        bool truth;
        int64_t integer;
        double number;
        lp_jinja_text text; /* STRING; UNDEFINED: its name */
        lp_jinja_sequence *sequence;
        lp_jinja_dict *dict; /* DICT, NAMESPACE */
        lp_jinja_loop *loop;
        const lp_jinja_macro *macro;
        const lp_jinja_function *function;
        const lp_jinja_method *method;
    };
} lp_jinja_value;

struct lp_jinja_sequence {
    lp_jinja_form form;
    const lp_jinja_value *items;
    size_t n;
};

/* In the order of insertion, as Python's. */
struct lp_jinja_dict {
    lp_jinja_value *keys, *values;
    size_t n, room;
};

#define LP_JINJA_TEXT(literal) ((lp_jinja_text){(literal), sizeof(literal) - 1})

static inline lp_jinja_value lp_jinja_none(void)
{
    return (lp_jinja_value){.kind = LP_JINJA_NONE};
}

static inline lp_jinja_value lp_jinja_bool(bool truth)
{
    return (lp_jinja_value){.kind = LP_JINJA_BOOL, .truth = truth};
}

static inline lp_jinja_value lp_jinja_int(int64_t integer)
{
    return (lp_jinja_value){.kind = LP_JINJA_INT, .integer = integer};
}

static inline lp_jinja_value lp_jinja_float(double number)
{
    return (lp_jinja_value){.kind = LP_JINJA_FLOAT, .number = number};
}

static inline lp_jinja_value lp_jinja_string(lp_jinja_text text)
{
    return (lp_jinja_value){.kind = LP_JINJA_STRING, .text = text};
}

static inline lp_jinja_value lp_jinja_undefined(lp_jinja_kind owner, lp_jinja_text name)
{
    return (lp_jinja_value){.kind = LP_JINJA_UNDEFINED, .owner = owner, .text = name};
}

static inline bool lp_jinja_text_is(lp_jinja_text text, const char *literal)
{
    return strlen(literal) == text.n && memcmp(text.data, literal, text.n) == 0;
}

static inline bool lp_jinja_text_equal(lp_jinja_text a, lp_jinja_text b)
{
    return a.n == b.n && memcmp(a.data, b.data, a.n) == 0;
}

/* Booleans are numbers in Python. */
static inline bool lp_jinja_is_integer(lp_jinja_value v)
{
    return v.kind == LP_JINJA_INT || v.kind == LP_JINJA_BOOL;
}

static inline bool lp_jinja_is_number(lp_jinja_value v)
{
    return lp_jinja_is_integer(v) || v.kind == LP_JINJA_FLOAT;
}

static inline int64_t lp_jinja_integer(lp_jinja_value v)
{
    return v.kind == LP_JINJA_BOOL ? v.truth : v.integer;
}

static inline double lp_jinja_number(lp_jinja_value v)
{
    return v.kind == LP_JINJA_FLOAT ? v.number : (double)lp_jinja_integer(v);
}

/* Name of a value's type as Python has it, for messages. */
const char *lp_jinja_type_name(lp_jinja_value v);

#endif
