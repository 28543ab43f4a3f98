/* Python pickles, read as data: https://docs.python.org/3/library/pickle.html and the comments of
 * CPython's Lib/pickletools.py. A pickle is a program for a stack machine, and Python's own reader
 * runs it: it imports what the file names and calls it. This one imports and calls nothing. It
 * knows the opcodes of protocol 2 that make plain values; names that the caller lists become
 * values, a call becomes a record of what would have been called. Everything else is refused by its
 * name. */
#ifndef LP_TENSOR_PICKLE_H
#define LP_TENSOR_PICKLE_H

#include "base/arena.h"

typedef enum lp_pickle_kind {
    LP_PICKLE_NONE,
    LP_PICKLE_BOOL,
    LP_PICKLE_INT,
    LP_PICKLE_FLOAT,
    LP_PICKLE_TEXT,
    LP_PICKLE_TUPLE,
    LP_PICKLE_LIST,
    LP_PICKLE_DICT,       /* keys and values take turns */
    LP_PICKLE_GLOBAL,     /* a listed name */
    LP_PICKLE_CALL,       /* a listed name and the arguments */
    LP_PICKLE_PERSISTENT, /* a reference out of the pickle: the parts of its id */
    LP_PICKLE_N_KINDS
} lp_pickle_kind;

/* A name that may occur. */
typedef struct lp_pickle_global {
    const char *module, *name;
    bool makes_dict; /* a call without arguments makes an empty dictionary */
} lp_pickle_global;

typedef struct lp_pickle_value lp_pickle_value;
struct lp_pickle_value {
    lp_pickle_kind kind;
    const lp_pickle_global *global; /* of GLOBAL and CALL */
    int64_t number;                 /* of BOOL and INT; of PERSISTENT: the caller's to use */
    const char *text;               /* of TEXT: not terminated, borrowed from the pickle */
    size_t bytes;
    lp_pickle_value **items; /* of TUPLE, LIST, DICT, CALL, PERSISTENT */
    size_t n, room;
};

typedef struct lp_pickle {
    const lp_pickle_global *globals; /* set by the caller; ends with a NULL module */
    lp_arena arena;                  /* holds the values; the caller's to destroy */
    lp_pickle_value *root;
    lp_pickle_value **references; /* every PERSISTENT in the pickle */
    size_t n_references, reference_room;
} lp_pickle;

/* Reads the pickle that begins at *at, and moves *at behind it. Memory stays proportional to the
 * pickle's bytes. Cycles are possible, as in Python: walk values to a fixed depth. */
lp_status lp_pickle_read(lp_context *ctx, const char *where, const uint8_t *data, size_t bytes,
                         size_t *at, lp_pickle *pickle);

/* "integer", "tuple" ... for messages. */
const char *lp_pickle_kind_name(const lp_pickle_value *value);
/* Whether a TEXT equals `text`. */
bool lp_pickle_is_text(const lp_pickle_value *value, const char *text);
/* Value of a TEXT key in a DICT, or NULL. */
const lp_pickle_value *lp_pickle_get(const lp_pickle_value *dict, const char *key);

#endif
