/* Templates as trees, and the tokens that they are parsed from. */
#ifndef LP_TEXT_JINJA_NODE_H
#define LP_TEXT_JINJA_NODE_H

#include "base/arena.h"
#include "text/jinja.h"
#include "text/jinja_value.h"

typedef enum lp_jinja_token_type {
    LP_JINJA_T_DATA, /* text between tags */
    LP_JINJA_T_BLOCK_BEGIN,
    LP_JINJA_T_BLOCK_END,
    LP_JINJA_T_VARIABLE_BEGIN,
    LP_JINJA_T_VARIABLE_END,
    LP_JINJA_T_NAME,
    LP_JINJA_T_STRING,
    LP_JINJA_T_INT,
    LP_JINJA_T_FLOAT,
    LP_JINJA_T_OPERATOR,
    LP_JINJA_T_END
} lp_jinja_token_type;

typedef struct lp_jinja_token {
    lp_jinja_token_type type;
    uint32_t line, column; /* from 1 */
    lp_jinja_text text;    /* as written; of DATA and STRING: what it stands for */
    int64_t integer;       /* INT */
    double number;         /* FLOAT */
} lp_jinja_token;

typedef struct lp_jinja_tokens {
    lp_jinja_token *list; /* malloc'ed; the last one is END */
    size_t n, room;
} lp_jinja_tokens;

/* Takes a template apart. Texts lie in the arena. The list must be freed also after a failure. */
lp_status lp_jinja_lex(lp_context *ctx, const char *where, const char *source, size_t bytes,
                       lp_arena *arena, lp_jinja_tokens *tokens);

/* What a node's fields hold is said per type; those not named are empty. */
typedef enum lp_jinja_node_type {
    /* Expressions. */
    LP_JINJA_CONSTANT,  /* value */
    LP_JINJA_NAME,      /* name */
    LP_JINJA_TUPLE_OF,  /* list */
    LP_JINJA_LIST_OF,   /* list */
    LP_JINJA_DICT_OF,   /* list: key, value, key, value, ... */
    LP_JINJA_NEGATE,    /* a */
    LP_JINJA_PLUS,      /* a */
    LP_JINJA_NOT,       /* a */
    LP_JINJA_AND,       /* a, b */
    LP_JINJA_OR,        /* a, b */
    LP_JINJA_BINARY,    /* op, a, b */
    LP_JINJA_CONCAT,    /* list */
    LP_JINJA_COMPARE,   /* a; list: COMPARE nodes with op and b, one per comparison of the chain */
    LP_JINJA_CONDITION, /* a: test, b, c or NULL: else */
    LP_JINJA_ATTRIBUTE, /* a, name */
    LP_JINJA_ITEM,      /* a, b */
    LP_JINJA_SLICE,     /* a; list: start, stop, step, each may be NULL */
    LP_JINJA_CALL,      /* a, arguments */
    LP_JINJA_FILTER,    /* a (NULL: what a block wrote), name, row, arguments */
    LP_JINJA_TEST,      /* a, name, row, arguments */
    /* Statements. */
    LP_JINJA_BODY,       /* list */
    LP_JINJA_DATA,       /* value */
    LP_JINJA_OUTPUT,     /* a */
    LP_JINJA_IF,         /* list: test, body, test, body, ...; c or NULL: else */
    LP_JINJA_FOR,        /* a: target, b: iterable, c or NULL: filter; list: body, else or NULL;
                            recursive */
    LP_JINJA_SET,        /* a: target, b: value */
    LP_JINJA_SET_BLOCK,  /* a: target, b: body, c or NULL: filters */
    LP_JINJA_MACRO_OF,   /* name; arguments: parameters with defaults or NULL; b: body; mentions */
    LP_JINJA_CALL_BLOCK, /* a: CALL, c: MACRO_OF, the caller */
    LP_JINJA_FILTER_BLOCK, /* b: body, c: filters */
    LP_JINJA_WITH,         /* list: target, value, target, value, ...; b: body */
    LP_JINJA_GENERATION,   /* b: body */
    LP_JINJA_BREAK,
    LP_JINJA_CONTINUE
} lp_jinja_node_type;

typedef enum lp_jinja_op {
    LP_JINJA_ADD,
    LP_JINJA_SUB,
    LP_JINJA_MUL,
    LP_JINJA_DIV,
    LP_JINJA_FLOORDIV,
    LP_JINJA_MOD,
    LP_JINJA_POW,
    LP_JINJA_EQ,
    LP_JINJA_NE,
    LP_JINJA_LT,
    LP_JINJA_LE,
    LP_JINJA_GT,
    LP_JINJA_GE,
    LP_JINJA_IN,
    LP_JINJA_NOT_IN,
    LP_JINJA_N_OPS
} lp_jinja_op;

/* Names that a macro's body looks at: only then it accepts what goes there. */
enum { LP_JINJA_VARARGS = 1, LP_JINJA_KWARGS = 2, LP_JINJA_CALLER = 4 };

typedef struct lp_jinja_node lp_jinja_node;

typedef struct lp_jinja_argument {
    lp_jinja_text name; /* data NULL: by position */
    int stars;          /* 1: *list, 2: **dict */
    lp_jinja_node *node;
} lp_jinja_argument;

struct lp_jinja_node {
    lp_jinja_node_type type;
    uint32_t line, column;
    lp_jinja_op op;
    bool recursive;
    unsigned mentions;
    lp_jinja_text name;
    lp_jinja_value value;
    lp_jinja_node *a, *b, *c;
    lp_jinja_node **list;
    size_t n;
    lp_jinja_argument *arguments;
    size_t n_arguments;
    const void *row; /* of the table of filters or tests; NULL: there is none of that name */
};

struct lp_jinja_template {
    lp_arena arena;
    char *where;
    lp_jinja_node *body;
};

#define LP_JINJA_MAX_SOURCE ((size_t)1 << 20)
#define LP_JINJA_MAX_DEPTH  500 /* of nested statements, expressions, calls, values */

#endif
