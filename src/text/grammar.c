/* Grammars in the making, and what is asked of them at the end: that all rules are there, that each
 * has a finite text, and that none begins with itself. All of it takes time in proportion to the
 * grammar, whose author may mean no good. */
#include "text/grammar.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/buffer.h"
#include "text/grammar_build.h"
#include "text/utf8.h"

void lp_grammar_destroy(lp_grammar *grammar)
{
    if (grammar == NULL)
        return;
    free(grammar->symbols);
    free(grammar->starts);
    free(grammar->rules);
    free(grammar->sets);
    free(grammar);
}

lp_status lp_grammar_fail(const lp_grammar_builder *b, lp_status status, size_t where,
                          const char *format, ...)
{
    char message[256];
    size_t line = 1, column = 1;
    va_list args;
    for (size_t i = 0; i < where && i < b->bytes; i++) {
        const uint8_t byte = (uint8_t)b->text[i];
        if (byte == '\n') {
            line++;
            column = 1;
        } else {
            column += (byte & 0xc0) != 0x80; /* characters, not bytes */
        }
    }
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return lp_fail(b->ctx, status, "grammar, line %zu, column %zu: %s", line, column, message);
}

/* ---- Building ------------------------------------------------------------------------------ */

lp_status lp_grammar_begin(lp_grammar_builder *b)
{
    b->grammar = calloc(1, sizeof *b->grammar);
    return b->grammar != NULL ? LP_OK : lp_fail_memory(b->ctx, "a grammar");
}

void lp_grammar_builder_free(lp_grammar_builder *b)
{
    lp_grammar_destroy(b->grammar);
    lp_trie_destroy(&b->names);
    free(b->rules);
    free(b->alternatives);
}

lp_status lp_grammar_add_rule(lp_grammar_builder *b, size_t where, uint32_t *rule)
{
    const uint32_t n = b->grammar->n_rules;
    if (n == LP_GRAMMAR_MAX_RULES)
        return lp_grammar_fail(b, LP_E_LIMIT, where, "more than %u rules and groups", n);
    lp_rule_draft *rules = lp_list_grow(b->rules, n, &b->rules_room, sizeof *rules);
    if (rules == NULL)
        return lp_fail_memory(b->ctx, "a grammar");
    b->rules = rules;
    rules[n] = (lp_rule_draft){.where = where, .defined = true};
    *rule = b->grammar->n_rules++;
    return LP_OK;
}

lp_status lp_grammar_find_rule(lp_grammar_builder *b, size_t where, size_t bytes, uint32_t *rule)
{
    const char *name = b->text + where;
    const uint32_t node =
        b->names.n_nodes > 0 ? lp_trie_walk(&b->names, LP_TRIE_ROOT, name, bytes) : LP_TRIE_NONE;
    if (node != LP_TRIE_NONE && lp_trie_value(&b->names, node) >= 0) {
        *rule = (uint32_t)lp_trie_value(&b->names, node);
        return LP_OK;
    }
    if (bytes > 255)
        return lp_grammar_fail(b, LP_E_LIMIT, where, "a name of more than 255 characters");
    LP_TRY(lp_grammar_add_rule(b, where, rule));
    b->rules[*rule].n_bytes = (uint16_t)bytes;
    b->rules[*rule].defined = false;
    return lp_trie_add(b->ctx, &b->names, name, bytes, (int32_t)*rule);
}

lp_status lp_grammar_add_alternative(lp_grammar_builder *b, uint32_t rule, const lp_symbol *symbols,
                                     size_t n)
{
    lp_grammar *g = b->grammar;
    if (n >= LP_GRAMMAR_MAX_SYMBOLS - g->n_symbols)
        return lp_grammar_fail(b, LP_E_LIMIT, b->rules[rule].where,
                               "the grammar becomes too large here: more than %u symbols",
                               LP_GRAMMAR_MAX_SYMBOLS);
    void *alternatives = lp_list_grow(b->alternatives, b->n_alternatives, &b->alternatives_room,
                                      sizeof *b->alternatives);
    if (alternatives == NULL)
        return lp_fail_memory(b->ctx, "a grammar");
    b->alternatives = alternatives;
    b->alternatives[b->n_alternatives].rule = rule;
    b->alternatives[b->n_alternatives++].start = g->n_symbols;
    b->rules[rule].n++;
    for (size_t i = 0; i <= n; i++) {
        lp_symbol *grown = lp_list_grow(g->symbols, g->n_symbols, &b->symbols_room, sizeof *grown);
        if (grown == NULL)
            return lp_fail_memory(b->ctx, "a grammar");
        g->symbols = grown;
        grown[g->n_symbols++] = i < n ? symbols[i] : lp_symbol_make(LP_SYMBOL_END, 0);
    }
    return LP_OK;
}

/* Alternatives in the order of their rules. */
static lp_status sort_alternatives(lp_grammar_builder *b)
{
    lp_grammar *g = b->grammar;
    uint32_t sum = 0;
    g->rules = calloc((size_t)g->n_rules + 1, sizeof *g->rules);
    g->starts = calloc((size_t)b->n_alternatives + 1, sizeof *g->starts);
    if (g->rules == NULL || g->starts == NULL)
        return lp_fail_memory(b->ctx, "a grammar");
    for (uint32_t r = 0; r < g->n_rules; r++) {
        g->rules[r].first = sum;
        sum += b->rules[r].n;
    }
    for (uint32_t i = 0; i < b->n_alternatives; i++) {
        lp_grammar_rule *rule = &g->rules[b->alternatives[i].rule];
        g->starts[rule->first + rule->n++] = b->alternatives[i].start;
    }
    return LP_OK;
}

/* ---- Checks -------------------------------------------------------------------------------- */

/* How the text calls a rule, for messages. */
static const char *rule_name(const lp_grammar_builder *b, uint32_t rule, char to[LP_QUOTE_TEXT])
{
    return lp_utf8_quote(b->text + b->rules[rule].where, b->rules[rule].n_bytes, to);
}

static lp_status check_defined(const lp_grammar_builder *b)
{
    char name[LP_QUOTE_TEXT];
    for (uint32_t r = 0; r < b->grammar->n_rules; r++)
        if (!b->rules[r].defined)
            return lp_grammar_fail(b, LP_E_FORMAT, b->rules[r].where, "there is no rule %s",
                                   rule_name(b, r, name));
    return LP_OK;
}

/* Where each rule is used: alternatives uses[first[r]] … uses[first[r + 1] - 1]. */
typedef struct usage {
    uint32_t *first, *uses;
    uint32_t *left;  /* per alternative: uses of rules that are not known to hold */
    uint32_t *queue; /* rules that hold */
} usage;

static void free_usage(usage *u)
{
    free(u->first);
    free(u->uses);
    free(u->left);
    free(u->queue);
}

static lp_status find_usage(const lp_grammar_builder *b, usage *u)
{
    const lp_grammar *g = b->grammar;
    u->first = calloc((size_t)g->n_rules + 2, sizeof *u->first);
    u->uses = calloc((size_t)g->n_symbols + 1, sizeof *u->uses);
    u->left = calloc((size_t)b->n_alternatives + 1, sizeof *u->left);
    u->queue = calloc((size_t)g->n_rules + 1, sizeof *u->queue);
    if (u->first == NULL || u->uses == NULL || u->left == NULL || u->queue == NULL)
        return lp_fail_memory(b->ctx, "a grammar");
    for (uint32_t i = 0; i < g->n_symbols; i++)
        if (lp_symbol_kind_of(g->symbols[i]) == LP_SYMBOL_RULE)
            u->first[lp_symbol_value(g->symbols[i]) + 2]++;
    for (uint32_t r = 0; r < g->n_rules; r++)
        u->first[r + 2] += u->first[r + 1];
    for (uint32_t a = 0; a < b->n_alternatives; a++)
        for (uint32_t i = b->alternatives[a].start; g->symbols[i] != 0; i++)
            if (lp_symbol_kind_of(g->symbols[i]) == LP_SYMBOL_RULE)
                u->uses[u->first[lp_symbol_value(g->symbols[i]) + 1]++] = a;
    return LP_OK;
}

/* holds[r]: whether rule r has a text (`empty`: the empty one). An alternative has one as soon as
 * all its rules have. */
static void derive(const lp_grammar_builder *b, usage *u, bool empty, bool *holds)
{
    const lp_grammar *g = b->grammar;
    uint32_t n = 0;
    for (uint32_t a = 0; a < b->n_alternatives; a++) {
        u->left[a] = 0;
        for (uint32_t i = b->alternatives[a].start; g->symbols[i] != 0; i++)
            u->left[a] += empty || lp_symbol_kind_of(g->symbols[i]) == LP_SYMBOL_RULE;
        const uint32_t rule = b->alternatives[a].rule;
        if (u->left[a] == 0 && !holds[rule]) {
            holds[rule] = true;
            u->queue[n++] = rule;
        }
    }
    for (uint32_t k = 0; k < n; k++)
        for (uint32_t i = u->first[u->queue[k]]; i < u->first[u->queue[k] + 1]; i++) {
            const uint32_t a = u->uses[i], rule = b->alternatives[a].rule;
            if (--u->left[a] == 0 && !holds[rule]) {
                holds[rule] = true;
                u->queue[n++] = rule;
            }
        }
}

static lp_status check_finite(const lp_grammar_builder *b, const bool *finite)
{
    char name[LP_QUOTE_TEXT];
    for (uint32_t r = 0; r < b->grammar->n_rules; r++)
        if (!finite[r] && b->rules[r].n_bytes > 0) /* a group's cause is a rule with a name */
            return lp_grammar_fail(b, LP_E_FORMAT, b->rules[r].where,
                                   "rule %s never ends: no finite text can satisfy it",
                                   rule_name(b, r, name));
    return LP_OK;
}

typedef struct visit {
    uint32_t rule, alternative, at; /* the next symbol to look at */
} visit;

/* Depth first through the rules that a rule's text can begin with: one that is met on the way to
 * itself is left-recursive. The repetition that * stands for may end with itself after nothing;
 * that leads nowhere new. */
static lp_status check_left(const lp_grammar_builder *b, const bool *empty, visit *path,
                            uint8_t *seen)
{
    enum { ON_PATH = 1, DONE };
    const lp_grammar *g = b->grammar;
    char name[LP_QUOTE_TEXT];
    for (uint32_t root = 0; root < g->n_rules; root++) {
        uint32_t n = 0;
        if (seen[root])
            continue;
        seen[root] = ON_PATH;
        path[n++] = (visit){root, 0, g->starts[g->rules[root].first]};
        while (n > 0) {
            visit *v = &path[n - 1];
            const lp_grammar_rule *rule = &g->rules[v->rule];
            const lp_symbol symbol = g->symbols[v->at];
            const uint32_t inner = lp_symbol_value(symbol);
            const bool is_rule = lp_symbol_kind_of(symbol) == LP_SYMBOL_RULE;
            if (!is_rule || (b->rules[v->rule].loop && inner == v->rule)) {
                if (++v->alternative < rule->n) {
                    v->at = g->starts[rule->first + v->alternative];
                } else {
                    seen[v->rule] = DONE;
                    n--;
                }
                continue;
            }
            if (seen[inner] == ON_PATH) {
                uint32_t k = n - 1;
                while (b->rules[path[k].rule].n_bytes == 0 && path[k].rule != inner)
                    k--;
                return lp_grammar_fail(b, LP_E_FORMAT, b->rules[path[k].rule].where,
                                       "rule %s begins with itself (left recursion); put what "
                                       "repeats behind, or use * or +",
                                       rule_name(b, path[k].rule, name));
            }
            if (!seen[inner]) { /* comes back to this symbol, then DONE */
                seen[inner] = ON_PATH;
                path[n++] = (visit){inner, 0, g->starts[g->rules[inner].first]};
            } else if (empty[inner]) {
                v->at++;
            } else { /* as if it were a byte */
                v->at++;
                while (g->symbols[v->at] != 0)
                    v->at++;
            }
        }
    }
    return LP_OK;
}

static lp_status check_all(const lp_grammar_builder *b)
{
    const size_t n = (size_t)b->grammar->n_rules + 1;
    lp_status status = LP_OK;
    usage u = {0};
    bool *finite = calloc(n, sizeof *finite), *empty = calloc(n, sizeof *empty);
    uint8_t *seen = calloc(n, sizeof *seen);
    visit *path = calloc(n, sizeof *path);
    if (finite == NULL || empty == NULL || seen == NULL || path == NULL) {
        status = lp_fail_memory(b->ctx, "a grammar");
        goto cleanup;
    }
    LP_CHECK(find_usage(b, &u));
    derive(b, &u, false, finite);
    LP_CHECK(check_finite(b, finite));
    derive(b, &u, true, empty);
    LP_CHECK(check_left(b, empty, path, seen));
cleanup:
    free_usage(&u);
    free(finite);
    free(empty);
    free(seen);
    free(path);
    return status;
}

lp_status lp_grammar_end(lp_grammar_builder *b, lp_grammar **grammar)
{
    const uint32_t root =
        b->names.n_nodes > 0 ? lp_trie_walk(&b->names, LP_TRIE_ROOT, "root", 4) : LP_TRIE_NONE;
    LP_TRY(check_defined(b));
    if (root == LP_TRIE_NONE || lp_trie_value(&b->names, root) < 0)
        return lp_grammar_fail(b, LP_E_FORMAT, b->bytes,
                               "there is no rule \"root\", with which every text begins");
    b->grammar->root = (uint32_t)lp_trie_value(&b->names, root);
    LP_TRY(sort_alternatives(b));
    LP_TRY(check_all(b));
    *grammar = b->grammar;
    b->grammar = NULL;
    return LP_OK;
}
