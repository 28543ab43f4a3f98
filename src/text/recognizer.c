/* States and transitions: see recognizer.h.
 *
 * A state has items (symbol, below): the symbol comes next, and when its alternative is done, the
 * text goes on as `below` says, which is a state whose items are the places behind rules that were
 * entered. A place at the end of its alternative is left out: the state below takes its part, so
 * right recursion does not grow. Two special states: 0 has no stack at all, 1 has the empty one. */
#include "text/recognizer.h"

#include <stdlib.h>
#include <string.h>

#include "text/buffer.h"

enum { DEAD = LP_GRAMMAR_DEAD, BOTTOM };

#define MAX_ITEMS (1u << 22)
#define MAX_EDGES (1u << 21)
#define MAX_WORK  (1u << 26) /* items looked at between two calls of lp_recognizer_begin() */
#define N_UNIONS  4096u      /* slots for unions that are remembered */

typedef struct item {
    uint32_t symbol; /* index in the grammar's symbols */
    lp_grammar_state below;
} item;

typedef struct state {
    uint32_t first, n; /* items, by symbol */
    uint32_t depth;    /* of the deepest stack */
    bool may_end;      /* the empty stack is one of them */
} state;

typedef struct edge {
    lp_grammar_state from; /* DEAD: a free slot */
    uint32_t byte;
    lp_grammar_state to;
} edge;

struct lp_recognizer {
    lp_context *ctx;
    const lp_grammar *grammar;
    lp_grammar_state start;
    state *states;
    item *items;
    size_t n_states, n_items, states_room, items_room;
    uint32_t *slots; /* hash table of states, 0: free */
    size_t n_slots;  /* a power of two */
    edge *edges;     /* hash table */
    size_t n_edge_slots, n_edges;
    edge unions[N_UNIONS]; /* from | byte = to */
    uint64_t work;
    item *scratch; /* items of states that are being made */
    size_t n_scratch, scratch_room;
    /* while a state is made, by symbol: */
    lp_grammar_state *below; /* DEAD: not there */
    bool *waiting;           /* in the queue */
    uint32_t *queue;         /* a ring [n_symbols] */
    uint32_t queue_at, n_queue;
    uint32_t *there; /* symbols that are there */
    uint32_t n_there;
    bool may_end;
};

static lp_status work(lp_recognizer *r, size_t n)
{
    r->work += n;
    return r->work <= MAX_WORK ? LP_OK
                               : lp_fail(r->ctx, LP_E_LIMIT,
                                         "grammar: too ambiguous; finding out what may follow "
                                         "takes too long");
}

/* ---- States, once each --------------------------------------------------------------------- */

static uint32_t hash_items(const item *items, size_t n, bool may_end)
{
    uint64_t hash = may_end;
    for (size_t i = 0; i < n; i++) {
        hash = (hash ^ items[i].symbol) * 0x9e3779b97f4a7c15u;
        hash = (hash ^ hash >> 29 ^ items[i].below) * 0xbf58476d1ce4e5b9u;
    }
    return (uint32_t)(hash ^ hash >> 32);
}

static uint32_t *find_slot(const lp_recognizer *r, const item *items, size_t n, bool may_end)
{
    size_t at = hash_items(items, n, may_end) & (r->n_slots - 1);
    for (; r->slots[at] != DEAD; at = (at + 1) & (r->n_slots - 1)) {
        const state *s = &r->states[r->slots[at]];
        if (s->n == n && s->may_end == may_end &&
            (n == 0 || memcmp(r->items + s->first, items, n * sizeof *items) == 0))
            break;
    }
    return &r->slots[at];
}

static lp_status grow_slots(lp_recognizer *r)
{
    if (r->n_slots / 2 > r->n_states)
        return LP_OK;
    uint32_t *old = r->slots;
    const size_t n_old = r->n_slots, n = n_old > 0 ? 2 * n_old : 256;
    uint32_t *slots = calloc(n, sizeof *slots);
    if (slots == NULL)
        return lp_fail_memory(r->ctx, "a grammar's states");
    r->slots = slots;
    r->n_slots = n;
    for (size_t i = 0; i < n_old; i++)
        if (old[i] != DEAD) {
            const state *s = &r->states[old[i]];
            *find_slot(r, r->items + s->first, s->n, s->may_end) = old[i];
        }
    free(old);
    return LP_OK;
}

static lp_status add_state(lp_recognizer *r, const item *items, size_t n, bool may_end)
{
    state *states = lp_list_grow(r->states, r->n_states, &r->states_room, sizeof *states);
    if (states == NULL)
        return lp_fail_memory(r->ctx, "a grammar's states");
    r->states = states;
    state *s = &states[r->n_states];
    *s = (state){.first = (uint32_t)r->n_items, .n = (uint32_t)n, .may_end = may_end};
    for (size_t i = 0; i < n; i++) {
        item *grown = lp_list_grow(r->items, r->n_items, &r->items_room, sizeof *grown);
        if (grown == NULL)
            return lp_fail_memory(r->ctx, "a grammar's states");
        r->items = grown;
        grown[r->n_items++] = items[i];
        if (states[items[i].below].depth >= s->depth)
            s->depth = states[items[i].below].depth + 1;
    }
    r->n_states++;
    return LP_OK;
}

/* The state of these items, which are in the order of their symbols. */
static lp_status intern(lp_recognizer *r, const item *items, size_t n, bool may_end,
                        lp_grammar_state *result)
{
    *result = DEAD;
    if (n == 0 && !may_end)
        return LP_OK;
    LP_TRY(grow_slots(r));
    uint32_t *slot = find_slot(r, items, n, may_end);
    if (*slot == DEAD) {
        if (n > MAX_ITEMS - r->n_items || r->n_states >= MAX_ITEMS)
            return lp_fail(r->ctx, LP_E_LIMIT,
                           "grammar: too ambiguous; its states take more than "
                           "%u items",
                           MAX_ITEMS);
        LP_TRY(add_state(r, items, n, may_end));
        *slot = (uint32_t)r->n_states - 1;
    }
    *result = *slot;
    return LP_OK;
}

static lp_status push_scratch(lp_recognizer *r, item value)
{
    item *scratch = lp_list_grow(r->scratch, r->n_scratch, &r->scratch_room, sizeof *scratch);
    if (scratch == NULL)
        return lp_fail_memory(r->ctx, "a grammar's states");
    r->scratch = scratch;
    scratch[r->n_scratch++] = value;
    return LP_OK;
}

/* All stacks of both: items with the same symbol become one, above the union of what is below. Goes
 * no deeper than the stacks. */
static lp_status unite(lp_recognizer *r, lp_grammar_state a, lp_grammar_state b,
                       lp_grammar_state *result)
{
    if (a == b || b == DEAD || a == DEAD) {
        *result = a != DEAD ? a : b;
        return LP_OK;
    }
    edge *known = &r->unions[(a * 0x9e3779b1u ^ b * 0x85ebca77u) >> 20 & (N_UNIONS - 1)];
    if (known->from == a && known->byte == b) {
        *result = known->to;
        return LP_OK;
    }
    const size_t mark = r->n_scratch;
    const state sa = r->states[a], sb = r->states[b];
    LP_TRY(work(r, (size_t)sa.n + sb.n + 1));
    for (uint32_t i = 0, k = 0; i < sa.n || k < sb.n;) {
        const item x = i < sa.n ? r->items[sa.first + i] : (item){UINT32_MAX, DEAD};
        const item y = k < sb.n ? r->items[sb.first + k] : (item){UINT32_MAX, DEAD};
        item both = x.symbol < y.symbol ? x : y;
        if (x.symbol == y.symbol)
            LP_TRY(unite(r, x.below, y.below, &both.below));
        i += x.symbol <= y.symbol;
        k += y.symbol <= x.symbol;
        LP_TRY(push_scratch(r, both));
    }
    LP_TRY(intern(r, r->scratch + mark, r->n_scratch - mark, sa.may_end || sb.may_end, result));
    r->n_scratch = mark;
    *known = (edge){a, b, *result};
    return LP_OK;
}

/* ---- Making a state ------------------------------------------------------------------------ */

/* Stacks with this symbol on top of `below`. What was known of the symbol before is still there. */
static lp_status add(lp_recognizer *r, uint32_t symbol, lp_grammar_state below)
{
    const lp_grammar_state before = r->below[symbol];
    lp_grammar_state now;
    LP_TRY(work(r, 1));
    LP_TRY(unite(r, before, below, &now));
    if (now == before)
        return LP_OK;
    if (before == DEAD)
        r->there[r->n_there++] = symbol;
    r->below[symbol] = now;
    if (!r->waiting[symbol]) {
        const uint32_t n = r->grammar->n_symbols;
        r->waiting[symbol] = true;
        r->queue[(r->queue_at + r->n_queue++) % n] = symbol;
    }
    return LP_OK;
}

/* Enters a rule whose end is followed by what stands behind `symbol`. */
static lp_status enter(lp_recognizer *r, uint32_t symbol, lp_grammar_state below)
{
    const lp_grammar *g = r->grammar;
    const lp_grammar_rule *rule = &g->rules[lp_symbol_value(g->symbols[symbol])];
    if (lp_symbol_kind_of(g->symbols[symbol + 1]) != LP_SYMBOL_END) {
        const item behind = {symbol + 1, below};
        if (r->states[below].depth >= LP_GRAMMAR_MAX_DEPTH)
            return LP_OK;
        LP_TRY(intern(r, &behind, 1, false, &below));
    }
    for (uint32_t i = 0; i < rule->n; i++)
        LP_TRY(add(r, g->starts[rule->first + i], below));
    return LP_OK;
}

/* The end of an alternative: goes on with what is below. */
static lp_status leave(lp_recognizer *r, lp_grammar_state below)
{
    const state s = r->states[below];
    r->may_end |= s.may_end;
    for (uint32_t i = 0; i < s.n; i++) {
        const item behind = r->items[s.first + i];
        LP_TRY(add(r, behind.symbol, behind.below));
    }
    return LP_OK;
}

static int compare_symbols(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Follows rules and ends until only bytes come next. An item that grows goes through the queue
 * again; as no rule begins with itself, that comes to an end. */
static lp_status close_state(lp_recognizer *r, lp_grammar_state *result)
{
    const lp_grammar *g = r->grammar;
    const size_t mark = r->n_scratch;
    while (r->n_queue > 0) {
        const uint32_t symbol = r->queue[r->queue_at];
        r->queue_at = (r->queue_at + 1) % g->n_symbols;
        r->n_queue--;
        r->waiting[symbol] = false;
        const lp_symbol_kind kind = lp_symbol_kind_of(g->symbols[symbol]);
        if (kind == LP_SYMBOL_RULE)
            LP_TRY(enter(r, symbol, r->below[symbol]));
        else if (kind == LP_SYMBOL_END)
            LP_TRY(leave(r, r->below[symbol]));
    }
    qsort(r->there, r->n_there, sizeof *r->there, compare_symbols);
    for (uint32_t i = 0; i < r->n_there; i++) {
        const lp_symbol_kind kind = lp_symbol_kind_of(g->symbols[r->there[i]]);
        if (kind == LP_SYMBOL_BYTE || kind == LP_SYMBOL_SET)
            LP_TRY(push_scratch(r, (item){r->there[i], r->below[r->there[i]]}));
    }
    LP_TRY(intern(r, r->scratch + mark, r->n_scratch - mark, r->may_end, result));
    return LP_OK;
}

static void clear_making(lp_recognizer *r)
{
    for (uint32_t i = 0; i < r->n_there; i++) {
        r->below[r->there[i]] = DEAD;
        r->waiting[r->there[i]] = false;
    }
    r->n_there = r->n_queue = r->queue_at = 0;
    r->n_scratch = 0;
    r->may_end = false;
}

static bool matches(const lp_grammar *g, uint32_t symbol, uint8_t byte)
{
    const uint32_t value = lp_symbol_value(g->symbols[symbol]);
    return lp_symbol_kind_of(g->symbols[symbol]) == LP_SYMBOL_BYTE
               ? value == byte
               : (g->sets[value].bits[byte >> 6] >> (byte & 63) & 1) != 0;
}

static lp_status make_step(lp_recognizer *r, lp_grammar_state from, uint8_t byte,
                           lp_grammar_state *to)
{
    const state s = r->states[from];
    lp_status status = LP_OK;
    LP_CHECK(work(r, s.n));
    for (uint32_t i = 0; i < s.n; i++) {
        const item next = r->items[s.first + i];
        if (matches(r->grammar, next.symbol, byte))
            LP_CHECK(add(r, next.symbol + 1, next.below));
    }
    LP_CHECK(close_state(r, to));
cleanup:
    clear_making(r);
    return status;
}

/* ---- Transitions --------------------------------------------------------------------------- */

static edge *find_edge(const lp_recognizer *r, lp_grammar_state from, uint32_t byte)
{
    const uint64_t hash = ((uint64_t)from << 8 | byte) * 0x9e3779b97f4a7c15u;
    size_t at = (size_t)(hash ^ hash >> 32) & (r->n_edge_slots - 1);
    while (r->edges[at].from != DEAD && (r->edges[at].from != from || r->edges[at].byte != byte))
        at = (at + 1) & (r->n_edge_slots - 1);
    return &r->edges[at];
}

static lp_status grow_edges(lp_recognizer *r)
{
    edge *old = r->edges;
    const size_t n_old = r->n_edge_slots, n = n_old > 0 ? 2 * n_old : 1024;
    edge *edges = n <= 2 * MAX_EDGES ? calloc(n, sizeof *edges) : NULL;
    if (n > 2 * MAX_EDGES)
        return lp_fail(r->ctx, LP_E_LIMIT, "grammar: more than %u transitions", MAX_EDGES);
    if (edges == NULL)
        return lp_fail_memory(r->ctx, "a grammar's states");
    r->edges = edges;
    r->n_edge_slots = n;
    for (size_t i = 0; i < n_old; i++)
        if (old[i].from != DEAD)
            *find_edge(r, old[i].from, old[i].byte) = old[i];
    free(old);
    return LP_OK;
}

lp_status lp_recognizer_step(lp_recognizer *r, lp_grammar_state from, uint8_t byte,
                             lp_grammar_state *to)
{
    *to = DEAD;
    if (from == DEAD || r->states[from].n == 0)
        return LP_OK;
    edge *known = find_edge(r, from, byte);
    if (known->from != DEAD) {
        *to = known->to;
        return LP_OK;
    }
    LP_TRY(make_step(r, from, byte, to));
    *known = (edge){from, byte, *to};
    return ++r->n_edges < r->n_edge_slots / 2 ? LP_OK : grow_edges(r);
}

bool lp_recognizer_may_end(const lp_recognizer *r, lp_grammar_state of)
{
    return r->states[of].may_end;
}

bool lp_recognizer_may_go_on(const lp_recognizer *r, lp_grammar_state of)
{
    return r->states[of].n > 0;
}

lp_grammar_state lp_recognizer_start(const lp_recognizer *r)
{
    return r->start;
}

/* ---- Beginning and end --------------------------------------------------------------------- */

/* Only the special states and the start. */
static lp_status start_anew(lp_recognizer *r)
{
    const lp_grammar *g = r->grammar;
    const lp_grammar_rule *root = &g->rules[g->root];
    lp_grammar_state bottom;
    lp_status status = LP_OK;
    r->n_states = r->n_items = r->n_edges = 0;
    r->work = 0;
    memset(r->unions, 0, sizeof r->unions);
    if (r->n_slots > 0)
        memset(r->slots, 0, r->n_slots * sizeof *r->slots);
    if (r->n_edge_slots > 0)
        memset(r->edges, 0, r->n_edge_slots * sizeof *r->edges);
    else
        LP_TRY(grow_edges(r));
    LP_TRY(add_state(r, NULL, 0, false)); /* DEAD; no slot holds it */
    LP_TRY(intern(r, NULL, 0, true, &bottom));
    for (uint32_t i = 0; i < root->n; i++)
        LP_CHECK(add(r, g->starts[root->first + i], bottom));
    LP_CHECK(close_state(r, &r->start));
cleanup:
    clear_making(r);
    return status;
}

lp_status lp_recognizer_begin(lp_recognizer *r, bool *forgot)
{
    r->work = 0;
    *forgot =
        r->n_items > MAX_ITEMS / 2 || r->n_states > MAX_ITEMS / 2 || r->n_edges > MAX_EDGES / 2;
    return *forgot ? start_anew(r) : LP_OK;
}

lp_status lp_recognizer_create(lp_context *ctx, const lp_grammar *grammar, lp_recognizer **result)
{
    const size_t n = grammar->n_symbols;
    lp_status status = LP_OK;
    lp_recognizer *r = calloc(1, sizeof *r);
    *result = NULL;
    if (r == NULL)
        return lp_fail_memory(ctx, "a grammar's states");
    r->ctx = ctx;
    r->grammar = grammar;
    r->below = calloc(n, sizeof *r->below);
    r->waiting = calloc(n, sizeof *r->waiting);
    r->queue = calloc(n, sizeof *r->queue);
    r->there = calloc(n, sizeof *r->there);
    r->scratch = lp_list_grow(NULL, 0, &r->scratch_room, sizeof *r->scratch);
    if (r->below == NULL || r->waiting == NULL || r->queue == NULL || r->there == NULL ||
        r->scratch == NULL) {
        status = lp_fail_memory(ctx, "a grammar's states");
        goto cleanup;
    }
    LP_CHECK(start_anew(r));
    *result = r;
    return LP_OK;
cleanup:
    lp_recognizer_destroy(r);
    return status;
}

void lp_recognizer_destroy(lp_recognizer *r)
{
    if (r == NULL)
        return;
    free(r->states);
    free(r->items);
    free(r->slots);
    free(r->edges);
    free(r->scratch);
    free(r->below);
    free(r->waiting);
    free(r->queue);
    free(r->there);
    free(r);
}
