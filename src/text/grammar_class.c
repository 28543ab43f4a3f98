/* Character classes as UTF-8: a class of ASCII characters is a set of bytes; another one becomes a
 * rule whose alternatives are sequences of byte ranges. A range of code points is cut where the
 * length changes and where a sequence of ranges would say too much (as in Russ Cox, "Regular
 * Expression Matching in the Wild", 2010). */
#include <stdlib.h>

#include "text/buffer.h"
#include "text/grammar_build.h"
#include "text/utf8.h"

#define LAST_CODE 0x10ffffu

static int compare_ranges(const void *a, const void *b)
{
    const uint32_t x = ((const lp_code_range *)a)->first, y = ((const lp_code_range *)b)->first;
    return x < y ? -1 : x > y;
}

size_t lp_code_ranges_join(lp_code_range *ranges, size_t n)
{
    size_t kept = 0;
    if (n > 1)
        qsort(ranges, n, sizeof *ranges, compare_ranges);
    for (size_t i = 0; i < n; i++)
        if (kept > 0 && ranges[i].first <= ranges[kept - 1].last + 1) {
            if (ranges[i].last > ranges[kept - 1].last)
                ranges[kept - 1].last = ranges[i].last;
        } else {
            ranges[kept++] = ranges[i];
        }
    return kept;
}

static lp_status add_set(lp_grammar_builder *b, const lp_byte_set *set, lp_symbol *symbol)
{
    lp_byte_set *sets =
        lp_list_grow(b->grammar->sets, b->n_sets, &b->sets_room, sizeof *b->grammar->sets);
    if (sets == NULL)
        return lp_fail_memory(b->ctx, "a grammar");
    b->grammar->sets = sets;
    sets[b->n_sets] = *set;
    *symbol = lp_symbol_make(LP_SYMBOL_SET, b->n_sets++);
    return LP_OK;
}

static void add_bytes(lp_byte_set *set, unsigned first, unsigned last)
{
    for (unsigned i = first; i <= last; i++)
        set->bits[i >> 6] |= 1ull << (i & 63);
}

static lp_status byte_range(lp_grammar_builder *b, unsigned first, unsigned last, lp_symbol *symbol)
{
    lp_byte_set set = {{0}};
    *symbol = lp_symbol_make(LP_SYMBOL_BYTE, first);
    if (first == last)
        return LP_OK;
    add_bytes(&set, first, last);
    return add_set(b, &set, symbol);
}

/* Alternatives for code points of one encoded length. */
static lp_status add_sequences(lp_grammar_builder *b, uint32_t rule, uint32_t first, uint32_t last)
{
    char low[4], high[4];
    lp_symbol symbols[4];
    const unsigned n = lp_utf8_encode(first, low);
    for (unsigned i = 1; i < n; i++) {
        const uint32_t m = (1u << 6 * i) - 1; /* the bits of the last i bytes */
        if ((first & ~m) == (last & ~m))
            continue;
        if ((first & m) != 0) {
            LP_TRY(add_sequences(b, rule, first, first | m));
            return add_sequences(b, rule, (first | m) + 1, last);
        }
        if ((last & m) != m) {
            LP_TRY(add_sequences(b, rule, first, (last & ~m) - 1));
            return add_sequences(b, rule, last & ~m, last);
        }
    }
    lp_utf8_encode(last, high);
    for (unsigned i = 0; i < n; i++)
        LP_TRY(byte_range(b, (uint8_t)low[i], (uint8_t)high[i], &symbols[i]));
    return lp_grammar_add_alternative(b, rule, symbols, n);
}

/* A range [first, last] beyond ASCII, without surrogates, which no UTF-8 has. */
static lp_status add_range(lp_grammar_builder *b, uint32_t rule, uint32_t first, uint32_t last)
{
    static const lp_code_range parts[] = {
        {0x80, 0x7ff}, {0x800, 0xd7ff}, {0xe000, 0xffff}, {0x10000, LAST_CODE}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const uint32_t from = first > parts[i].first ? first : parts[i].first;
        const uint32_t to = last < parts[i].last ? last : parts[i].last;
        if (from <= to)
            LP_TRY(add_sequences(b, rule, from, to));
    }
    return LP_OK;
}

typedef struct class
{
    lp_grammar_builder *b;
    size_t where;
    lp_byte_set ascii;
    bool has_ascii, has_rule;
    uint32_t rule;
} class;

static lp_status add_part(class *c, uint32_t first, uint32_t last)
{
    if (first <= 0x7f) {
        add_bytes(&c->ascii, first, last < 0x7f ? last : 0x7f);
        c->has_ascii = true;
    }
    if (last <= 0x7f || (first >= 0xd800 && last <= 0xdfff))
        return LP_OK;
    if (!c->has_rule)
        LP_TRY(lp_grammar_add_rule(c->b, c->where, &c->rule));
    c->has_rule = true;
    return add_range(c->b, c->rule, first, last);
}

lp_status lp_grammar_add_class(lp_grammar_builder *b, size_t where, lp_code_range *ranges, size_t n,
                               bool negated, lp_symbol *symbol)
{
    class c = {.b = b, .where = where};
    uint32_t next = 0; /* behind the latest range */
    n = lp_code_ranges_join(ranges, n);
    for (size_t i = 0; i < n; i++) {
        if (!negated)
            LP_TRY(add_part(&c, ranges[i].first, ranges[i].last));
        else if (ranges[i].first > next)
            LP_TRY(add_part(&c, next, ranges[i].first - 1));
        next = ranges[i].last + 1;
    }
    if (negated && next <= LAST_CODE)
        LP_TRY(add_part(&c, next, LAST_CODE));
    if (!c.has_ascii && !c.has_rule)
        return lp_grammar_fail(b, LP_E_FORMAT, where, "no character is in this class");
    if (c.has_ascii)
        LP_TRY(add_set(b, &c.ascii, symbol));
    if (!c.has_rule)
        return LP_OK;
    if (c.has_ascii)
        LP_TRY(lp_grammar_add_alternative(b, c.rule, symbol, 1));
    *symbol = lp_symbol_make(LP_SYMBOL_RULE, c.rule);
    return LP_OK;
}
