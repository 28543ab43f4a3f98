/* The restricted pickle reader, see pickle.h. One loop over opcodes, a stack of values, a stack of
 * marks (heights of the first) and the memo. Values lie in the arena and are shared by pointers, as
 * Python objects are. */
#include "tensor/pickle.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PROTOCOL = 2 };

/* https://github.com/python/cpython/blob/main/Lib/pickletools.py */
typedef enum opcode {
    OP_MARK = '(',
    OP_STOP = '.',
    OP_POP = '0',
    OP_FLOAT64 = 'G',
    OP_INT32 = 'J',
    OP_UINT8 = 'K',
    OP_UINT16 = 'M',
    OP_NONE = 'N',
    OP_PERSISTENT = 'Q',
    OP_REDUCE = 'R',
    OP_STRING = 'T',
    OP_SHORT_STRING = 'U',
    OP_UNICODE = 'X',
    OP_APPEND = 'a',
    OP_BUILD = 'b',
    OP_GLOBAL = 'c',
    OP_APPENDS = 'e',
    OP_GET = 'h',
    OP_LONG_GET = 'j',
    OP_PUT = 'q',
    OP_LONG_PUT = 'r',
    OP_SETITEM = 's',
    OP_TUPLE = 't',
    OP_SETITEMS = 'u',
    OP_EMPTY_LIST = ']',
    OP_EMPTY_DICT = '}',
    OP_EMPTY_TUPLE = ')',
    OP_PROTOCOL = 0x80,
    OP_TUPLE1 = 0x85,
    OP_TUPLE2 = 0x86,
    OP_TUPLE3 = 0x87,
    OP_TRUE = 0x88,
    OP_FALSE = 0x89,
    OP_LONG = 0x8a
} opcode;

/* Names of those that are refused. */
static const struct {
    uint8_t code;
    const char *name;
} refused[] = {
    {'1', "POP_MARK"},      {'2', "DUP"},
    {'F', "FLOAT"},         {'I', "INT"},
    {'L', "LONG"},          {'P', "PERSID"},
    {'S', "STRING"},        {'V', "UNICODE"},
    {'B', "BINBYTES"},      {'C', "SHORT_BINBYTES"},
    {'d', "DICT"},          {'g', "GET"},
    {'i', "INST"},          {'l', "LIST"},
    {'o', "OBJ"},           {'p', "PUT"},
    {0x81, "NEWOBJ"},       {0x82, "EXT1"},
    {0x83, "EXT2"},         {0x84, "EXT4"},
    {0x8b, "LONG4"},        {0x8c, "SHORT_BINUNICODE"},
    {0x8d, "BINUNICODE8"},  {0x8e, "BINBYTES8"},
    {0x8f, "EMPTY_SET"},    {0x90, "ADDITEMS"},
    {0x91, "FROZENSET"},    {0x92, "NEWOBJ_EX"},
    {0x93, "STACK_GLOBAL"}, {0x94, "MEMOIZE"},
    {0x95, "FRAME"},        {0x96, "BYTEARRAY8"},
    {0x97, "NEXT_BUFFER"},  {0x98, "READONLY_BUFFER"},
};

typedef lp_pickle_value value;

typedef struct machine {
    lp_context *ctx;
    const char *where;
    const uint8_t *data;
    size_t bytes, at, begin; /* the pickle begins at `begin` */
    size_t op_at;            /* of the opcode being run */
    lp_pickle *pickle;
    value **stack, **memo; /* memo: NULL where nothing was put */
    size_t n_stack, stack_room, n_memo;
    size_t *marks;
    size_t n_marks, mark_room;
} machine;

static lp_status broken(machine *m, const char *what)
{
    return lp_fail(m->ctx, LP_E_FORMAT, "%s: pickle: byte %zu: %s", m->where, m->op_at, what);
}

static lp_status no_memory(machine *m)
{
    return lp_fail_memory(m->ctx, m->where);
}

/* Room for one more element; the array starts small and doubles. */
static lp_status reserve(machine *m, void **array, size_t n, size_t *room, size_t size)
{
    if (n < *room)
        return LP_OK;
    size_t more = *room ? 2 * *room : 64;
    void *grown = more > SIZE_MAX / size ? NULL : realloc(*array, more * size);
    if (!grown)
        return no_memory(m);
    *array = grown;
    *room = more;
    return LP_OK;
}

/* --- Values ---------------------------------------------------------------------------------- */

static lp_status make(machine *m, lp_pickle_kind kind, value **result)
{
    *result = lp_arena_alloc(&m->pickle->arena, sizeof(**result));
    if (!*result)
        return no_memory(m);
    (*result)->kind = kind;
    return LP_OK;
}

static lp_status push(machine *m, value *v)
{
    void *stack = m->stack;
    lp_status status = reserve(m, &stack, m->n_stack, &m->stack_room, sizeof(*m->stack));
    m->stack = stack;
    LP_TRY(status);
    m->stack[m->n_stack++] = v;
    return LP_OK;
}

static lp_status push_number(machine *m, lp_pickle_kind kind, int64_t number)
{
    value *v;
    LP_TRY(make(m, kind, &v));
    v->number = number;
    return push(m, v);
}

/* What lies above the last mark may be taken, nothing below. */
static size_t available(const machine *m)
{
    return m->n_stack - (m->n_marks ? m->marks[m->n_marks - 1] : 0);
}

static lp_status pop(machine *m, value **v)
{
    *v = NULL;
    if (available(m) == 0)
        return broken(m, "the stack is empty");
    *v = m->stack[--m->n_stack];
    return LP_OK;
}

static lp_status put_mark(machine *m)
{
    void *marks = m->marks;
    lp_status status = reserve(m, &marks, m->n_marks, &m->mark_room, sizeof(*m->marks));
    m->marks = marks;
    LP_TRY(status);
    m->marks[m->n_marks++] = m->n_stack;
    return LP_OK;
}

/* The values since the last mark, which goes with them; they lie on the stack until the next push.
 */
static lp_status pop_to_mark(machine *m, value ***items, size_t *n)
{
    *items = NULL;
    *n = 0;
    if (m->n_marks == 0)
        return broken(m, "there is no mark");
    *n = available(m);
    m->n_stack -= *n;
    m->n_marks--;
    *items = m->stack ? m->stack + m->n_stack : NULL;
    return LP_OK;
}

/* Appends to the items of a list, dictionary or tuple. */
static lp_status append(machine *m, value *v, value **items, size_t n)
{
    if (n > v->room - v->n) {
        size_t room = 2 * v->room + n;
        value **grown = lp_arena_array(&m->pickle->arena, room, sizeof(*grown));
        if (!grown)
            return no_memory(m);
        if (v->n)
            memcpy(grown, v->items, v->n * sizeof(*grown));
        v->items = grown;
        v->room = room;
    }
    if (n)
        memcpy(v->items + v->n, items, n * sizeof(*items));
    v->n += n;
    return LP_OK;
}

static lp_status push_tuple(machine *m, size_t n)
{
    value *v;
    if (available(m) < n)
        return broken(m, "the stack holds too little for a tuple");
    LP_TRY(make(m, LP_PICKLE_TUPLE, &v));
    if (n > 0) /* there may be no stack yet */
        LP_TRY(append(m, v, m->stack + m->n_stack - n, n));
    m->n_stack -= n;
    return push(m, v);
}

/* --- Reading --------------------------------------------------------------------------------- */

static lp_status take(machine *m, size_t n, const uint8_t **data)
{
    *data = NULL;
    if (n > m->bytes - m->at)
        return lp_fail(m->ctx, LP_E_FORMAT,
                       "%s: pickle: ends in the middle of what begins at byte "
                       "%zu",
                       m->where, m->op_at);
    *data = m->data + m->at;
    m->at += n;
    return LP_OK;
}

/* `n` <= 8 bytes, little-endian. */
static lp_status take_number(machine *m, size_t n, uint64_t *number)
{
    const uint8_t *data;
    LP_TRY(take(m, n, &data));
    *number = 0;
    for (size_t i = n; i-- > 0;)
        *number = *number << 8 | data[i];
    return LP_OK;
}

/* Text behind its length of `width` bytes. */
static lp_status push_text(machine *m, size_t width)
{
    uint64_t n;
    const uint8_t *data;
    value *v;
    LP_TRY(take_number(m, width, &n));
    LP_TRY(take(m, (size_t)n, &data));
    LP_TRY(make(m, LP_PICKLE_TEXT, &v));
    v->text = (const char *)data;
    v->bytes = (size_t)n;
    return push(m, v);
}

/* A signed integer of up to eight bytes behind its length. */
static lp_status push_long(machine *m)
{
    uint64_t n, bits;
    LP_TRY(take_number(m, 1, &n));
    if (n > 8)
        return broken(m, "an integer of more than 64 bits");
    LP_TRY(take_number(m, (size_t)n, &bits));
    if (n && n < 8 && bits >> (8 * n - 1)) /* the sign goes on */
        bits |= UINT64_MAX << 8 * n;
    return push_number(m, LP_PICKLE_INT, (int64_t)bits);
}

/* Up to the end of the line. */
static lp_status take_line(machine *m, const char **text, size_t *n)
{
    const uint8_t *begin = m->data + m->at;
    const uint8_t *end = m->at < m->bytes ? memchr(begin, '\n', m->bytes - m->at) : NULL;
    const uint8_t *skipped;
    *text = (const char *)begin;
    *n = end ? (size_t)(end - begin) : 0;
    return take(m, end ? *n + 1 : SIZE_MAX, &skipped);
}

static bool same(const char *name, const char *text, size_t n)
{
    return strlen(name) == n && memcmp(name, text, n) == 0;
}

static lp_status push_global(machine *m)
{
    const char *module, *name;
    size_t n, k;
    value *v;
    LP_TRY(take_line(m, &module, &n));
    LP_TRY(take_line(m, &name, &k));
    const lp_pickle_global *g = m->pickle->globals;
    while (g->module && !(same(g->module, module, n) && same(g->name, name, k)))
        g++;
    if (!g->module)
        return lp_fail(m->ctx, LP_E_UNSUPPORTED,
                       "%s: pickle: byte %zu: global %.*s.%.*s is refused: nothing in a model file "
                       "is executed",
                       m->where, m->op_at, (int)(n < 100 ? n : 100), module,
                       (int)(k < 100 ? k : 100), name);
    LP_TRY(make(m, LP_PICKLE_GLOBAL, &v));
    v->global = g;
    return push(m, v);
}

/* A call is not made, only recorded. */
static lp_status push_call(machine *m)
{
    value *arguments, *callee, *v;
    LP_TRY(pop(m, &arguments));
    LP_TRY(pop(m, &callee));
    if (callee->kind != LP_PICKLE_GLOBAL || arguments->kind != LP_PICKLE_TUPLE)
        return lp_fail(m->ctx, LP_E_UNSUPPORTED,
                       "%s: pickle: byte %zu: a call of %s with %s is "
                       "refused",
                       m->where, m->op_at, lp_pickle_kind_name(callee),
                       lp_pickle_kind_name(arguments));
    bool is_dict = callee->global->makes_dict && arguments->n == 0;
    LP_TRY(make(m, is_dict ? LP_PICKLE_DICT : LP_PICKLE_CALL, &v));
    v->global = callee->global;
    if (!is_dict)
        LP_TRY(append(m, v, arguments->items, arguments->n));
    return push(m, v);
}

static lp_status push_reference(machine *m)
{
    value *id, *v;
    LP_TRY(pop(m, &id));
    if (id->kind != LP_PICKLE_TUPLE)
        return broken(m, "a persistent id is no tuple");
    LP_TRY(make(m, LP_PICKLE_PERSISTENT, &v));
    LP_TRY(append(m, v, id->items, id->n));
    lp_pickle *p = m->pickle;
    if (p->n_references == p->reference_room) {
        size_t room = p->reference_room ? 2 * p->reference_room : 64;
        value **grown = lp_arena_array(&p->arena, room, sizeof(*grown));
        if (!grown)
            return no_memory(m);
        if (p->n_references)
            memcpy(grown, p->references, p->n_references * sizeof(*grown));
        p->references = grown;
        p->reference_room = room;
    }
    p->references[p->n_references++] = v;
    return push(m, v);
}

/* The items on the stack go into the list or dictionary below them. */
static lp_status fill(machine *m, lp_pickle_kind kind, value **items, size_t n)
{
    if (available(m) == 0)
        return broken(m, "the stack is empty");
    value *target = m->stack[m->n_stack - 1];
    if (target->kind != kind || (kind == LP_PICKLE_DICT && n % 2))
        return lp_fail(m->ctx, LP_E_FORMAT, "%s: pickle: byte %zu: %zu items for %s", m->where,
                       m->op_at, n, lp_pickle_kind_name(target));
    return append(m, target, items, n);
}

static lp_status fill_one(machine *m, lp_pickle_kind kind, size_t n)
{
    value *items[2];
    for (size_t i = n; i-- > 0;)
        LP_TRY(pop(m, &items[i]));
    return fill(m, kind, items, n);
}

static lp_status fill_many(machine *m, lp_pickle_kind kind)
{
    value **items;
    size_t n;
    LP_TRY(pop_to_mark(m, &items, &n));
    return fill(m, kind, items, n);
}

/* Attributes of a dictionary (the versions of modules) say nothing about tensors. */
static lp_status drop_attributes(machine *m)
{
    value *attributes;
    LP_TRY(pop(m, &attributes));
    if (available(m) == 0 || m->stack[m->n_stack - 1]->kind != LP_PICKLE_DICT)
        return broken(m, "attributes of anything but a dictionary are refused");
    return LP_OK;
}

/* Python numbers its memo from 0, a put takes two bytes at least: a larger number is no pickle's.
 */
static lp_status put_memo(machine *m, uint64_t index)
{
    if (available(m) == 0)
        return broken(m, "the stack is empty");
    if (index >= m->at - m->begin)
        return broken(m, "a number in the memo that no pickle of this size needs");
    if (index >= m->n_memo) {
        size_t n = 2 * (size_t)index + 64;
        value **grown = realloc(m->memo, n * sizeof(*grown));
        if (!grown)
            return no_memory(m);
        for (size_t i = m->n_memo; i < n; i++)
            grown[i] = NULL;
        m->memo = grown;
        m->n_memo = n;
    }
    m->memo[index] = m->stack[m->n_stack - 1];
    return LP_OK;
}

static lp_status get_memo(machine *m, uint64_t index)
{
    if (index >= m->n_memo || !m->memo[index])
        return broken(m, "nothing has this number in the memo");
    return push(m, m->memo[index]);
}

static lp_status push_empty(machine *m, lp_pickle_kind kind)
{
    value *v;
    LP_TRY(make(m, kind, &v));
    return push(m, v);
}

static lp_status refuse(machine *m, uint8_t code)
{
    const char *name = "unknown";
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
        if (refused[i].code == code)
            name = refused[i].name;
    return lp_fail(m->ctx, LP_E_UNSUPPORTED, "%s: pickle: byte %zu: opcode 0x%02x (%s) is refused",
                   m->where, m->op_at, code, name);
}

static lp_status run(machine *m, uint8_t code)
{
    uint64_t number;
    value *dropped;
    value **items;
    size_t n;
    switch ((opcode)code) {
    case OP_PROTOCOL:
        LP_TRY(take_number(m, 1, &number));
        if (number > MAX_PROTOCOL)
            return lp_fail(m->ctx, LP_E_UNSUPPORTED, "%s: pickle: protocol %u, at most %d is read",
                           m->where, (unsigned)number, MAX_PROTOCOL);
        return LP_OK;
    case OP_MARK:
        return put_mark(m);
    case OP_POP:
        return pop(m, &dropped);
    case OP_NONE:
        return push_empty(m, LP_PICKLE_NONE);
    case OP_TRUE:
        return push_number(m, LP_PICKLE_BOOL, 1);
    case OP_FALSE:
        return push_number(m, LP_PICKLE_BOOL, 0);
    case OP_INT32:
        LP_TRY(take_number(m, 4, &number));
        return push_number(m, LP_PICKLE_INT, (int64_t)(number ^ 0x80000000u) - 0x80000000);
    case OP_UINT8:
    case OP_UINT16:
        LP_TRY(take_number(m, code == OP_UINT8 ? 1 : 2, &number));
        return push_number(m, LP_PICKLE_INT, (int64_t)number);
    case OP_LONG:
        return push_long(m);
    case OP_FLOAT64: /* its value is not needed: tensors are described by integers */
        LP_TRY(take_number(m, 8, &number));
        return push_empty(m, LP_PICKLE_FLOAT);
    case OP_SHORT_STRING:
        return push_text(m, 1);
    case OP_STRING:
    case OP_UNICODE:
        return push_text(m, 4);
    case OP_EMPTY_LIST:
        return push_empty(m, LP_PICKLE_LIST);
    case OP_EMPTY_DICT:
        return push_empty(m, LP_PICKLE_DICT);
    case OP_EMPTY_TUPLE:
        return push_tuple(m, 0);
    case OP_TUPLE1:
        return push_tuple(m, 1);
    case OP_TUPLE2:
        return push_tuple(m, 2);
    case OP_TUPLE3:
        return push_tuple(m, 3);
    case OP_TUPLE: /* only the mark goes: the items become the tuple's */
        LP_TRY(pop_to_mark(m, &items, &n));
        m->n_stack += n;
        return push_tuple(m, n);
    case OP_APPEND:
        return fill_one(m, LP_PICKLE_LIST, 1);
    case OP_APPENDS:
        return fill_many(m, LP_PICKLE_LIST);
    case OP_SETITEM:
        return fill_one(m, LP_PICKLE_DICT, 2);
    case OP_SETITEMS:
        return fill_many(m, LP_PICKLE_DICT);
    case OP_GLOBAL:
        return push_global(m);
    case OP_REDUCE:
        return push_call(m);
    case OP_BUILD:
        return drop_attributes(m);
    case OP_PERSISTENT:
        return push_reference(m);
    case OP_PUT:
    case OP_LONG_PUT:
        LP_TRY(take_number(m, code == OP_PUT ? 1 : 4, &number));
        return put_memo(m, number);
    case OP_GET:
    case OP_LONG_GET:
        LP_TRY(take_number(m, code == OP_GET ? 1 : 4, &number));
        return get_memo(m, number);
    case OP_STOP:
        break; /* the loop's */
    }
    return refuse(m, code);
}

lp_status lp_pickle_read(lp_context *ctx, const char *where, const uint8_t *data, size_t bytes,
                         size_t *at, lp_pickle *pickle)
{
    machine m = {.ctx = ctx,
                 .where = where,
                 .data = data,
                 .bytes = bytes,
                 .at = *at,
                 .begin = *at,
                 .pickle = pickle};
    lp_status status = LP_OK;
    const uint8_t *code;
    pickle->root = NULL;
    for (;;) {
        m.op_at = m.at;
        LP_CHECK(take(&m, 1, &code));
        if (*code == OP_STOP)
            break;
        LP_CHECK(run(&m, *code));
    }
    if (m.n_stack != 1 || m.n_marks != 0) {
        status = broken(&m, "the pickle stops without one result");
        goto cleanup;
    }
    pickle->root = m.stack[0];
    *at = m.at;
cleanup:
    free(m.stack);
    free(m.memo);
    free(m.marks);
    return status;
}

/* --- Values, for the caller ------------------------------------------------------------------ */

const char *lp_pickle_kind_name(const lp_pickle_value *v)
{
    static const char *const names[LP_PICKLE_N_KINDS] = {
        "nothing", "a truth value", "an integer", "a float", "a text",      "a tuple",
        "a list",  "a dictionary",  "a global",   "a call",  "a reference",
    };
    return names[v->kind];
}

bool lp_pickle_is_text(const lp_pickle_value *v, const char *text)
{
    return v->kind == LP_PICKLE_TEXT && same(text, v->text, v->bytes);
}

const lp_pickle_value *lp_pickle_get(const lp_pickle_value *dict, const char *key)
{
    for (size_t i = 0; dict->kind == LP_PICKLE_DICT && i + 1 < dict->n; i += 2)
        if (lp_pickle_is_text(dict->items[i], key))
            return dict->items[i + 1];
    return NULL;
}
