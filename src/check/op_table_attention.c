/* Rows of the op table for attention: sizes, places and batches of plain causal attention; then
 * every mask and every extra; then keys and values that are activations, as encoders have them. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "check/op_table.h"

#define N_OF(array) (sizeof(array) / sizeof *(array))

enum {
    A_T,
    A_H,
    A_G,
    A_DK,
    A_DV,
    A_C,
    A_KV_MAX,
    A_POSITION,
    A_WINDOW,
    A_TYPE,
    A_VIEW,
    A_SCALE, /* of q: 0, 1, or many */
    A_MASK,
    A_STRIDE,
    A_SUMMARY,
    A_EXTRAS,
    A_REACH,  /* of the table by distance */
    A_SOURCE, /* tokens of the source, NO_SOURCE: none; 0: all keys are seen */
    A_BLOCK,  /* of LP_MASK_BLOCKS */
    A_OFFSET,
    A_PERIOD, /* keys that share a length; 0: there are no lengths */
    N_ARGS
};

enum { NO_SOURCE = -1 };
enum { SOFTCAP = 1, SLOPES = 2, TABLE = 4, SINKS = 8, ACTIVATIONS = 16 /* no cache */ };

/* Keys that some token may see: the others are NaN. */
static int64_t keys_seen(const int64_t *arg)
{
    const int64_t so_far = arg[A_POSITION] + arg[A_T];
    if (arg[A_MASK] == LP_MASK_PREFIX)
        return arg[A_SOURCE] > so_far ? arg[A_SOURCE] : so_far;
    if (arg[A_MASK] == LP_MASK_BLOCKS) {
        const int64_t since = arg[A_POSITION] + arg[A_T] - 1 - arg[A_OFFSET];
        const int64_t n = since < 0 ? 0 : (since / arg[A_STRIDE] + 1) * arg[A_BLOCK];
        return n < arg[A_KV_MAX] ? n : arg[A_KV_MAX];
    }
    if (arg[A_MASK] != LP_MASK_FULL)
        return so_far;
    if (arg[A_SOURCE] == NO_SOURCE)
        return 0;
    return arg[A_SOURCE] > 0 && arg[A_SOURCE] < arg[A_KV_MAX] ? arg[A_SOURCE] : arg[A_KV_MAX];
}

static lp_tensor_id bias(lp_case_build *c, const int64_t *arg)
{
    enum { MOST = 4096 }; /* the largest of these tables */
    const int64_t n = arg[A_H] * (2 * arg[A_REACH] + 1);
    float values[MOST];
    char name[160];
    if (arg[A_EXTRAS] & SLOPES) /* half of them small, so that far keys count, too */
        return lp_case_weight(c, arg[A_T] % 2 ? LP_F32 : LP_F16, LP_SHAPE1(arg[A_H]),
                              (lp_case_fill){0.2f, 0.2f});
    if (!(arg[A_EXTRAS] & TABLE))
        return LP_NONE;
    assert(n <= MOST);
    for (int64_t i = 0; i < n; i++)
        values[i] = 3 * lp_case_uniform(c);
    snprintf(name, sizeof name, "%s/bias", c->row->name);
    return lp_table_tensor(c->b, name, LP_SHAPE2(arg[A_H], 2 * arg[A_REACH] + 1), values);
}

static lp_tensor_id keys(lp_case_build *c, const int64_t *arg, int64_t d)
{
    if (arg[A_EXTRAS] & ACTIVATIONS)
        return lp_case_heads(c, arg[A_C], arg[A_G], d, arg[A_VIEW], LP_CASE_UNIT);
    return lp_case_cache(c, (lp_dtype)arg[A_TYPE], LP_SHAPE3(arg[A_C], arg[A_G], d),
                         keys_seen(arg) * arg[A_G] * d, false);
}

/* Of the keys of every period: none, some, all. */
static lp_tensor_id lengths(lp_case_build *c, const int64_t *arg)
{
    enum { MOST = 1024 };
    int32_t values[MOST];
    if (arg[A_PERIOD] == 0)
        return LP_NONE;
    const int64_t n = (arg[A_C] + arg[A_PERIOD] - 1) / arg[A_PERIOD];
    assert(n <= MOST);
    for (int64_t i = 0; i < n; i++)
        values[i] = (int32_t)(i % 4 == 1   ? arg[A_PERIOD]
                              : i % 7 == 3 ? 0
                                           : (i * 5 + 2) % (arg[A_PERIOD] + 1));
    return lp_case_state(c, LP_I32, LP_SHAPE1(n), values, false);
}

static void build_attention(lp_case_build *c, const int64_t *arg)
{
    int32_t cursor[LP_CURSOR_WORDS] = {0};
    cursor[LP_CURSOR_POSITION] = (int32_t)arg[A_POSITION];
    cursor[LP_CURSOR_SOURCE] = arg[A_SOURCE] > 0 ? (int32_t)arg[A_SOURCE] : 0;
    lp_node node = lp_case_node(c, LP_OP_ATTENTION);
    node.p.attention.scale = 1 / sqrtf((float)arg[A_DK]);
    node.p.attention.kv_max = (int32_t)arg[A_KV_MAX];
    node.p.attention.window = (int32_t)arg[A_WINDOW];
    node.p.attention.mask = (lp_mask_kind)arg[A_MASK];
    node.p.attention.stride = (int32_t)arg[A_STRIDE];
    node.p.attention.summary = (int32_t)arg[A_SUMMARY];
    node.p.attention.from_source = arg[A_SOURCE] != 0 && arg[A_MASK] == LP_MASK_FULL;
    node.p.attention.block = (int32_t)arg[A_BLOCK];
    node.p.attention.offset = (int32_t)arg[A_OFFSET];
    node.p.attention.period = (int32_t)arg[A_PERIOD];
    node.p.attention.softcap = arg[A_EXTRAS] & SOFTCAP ? arg[A_SCALE] > 1 ? 30 : 1.5f : 0;
    node.src[0] = lp_case_heads(c, arg[A_T], arg[A_H], arg[A_DK], arg[A_VIEW],
                                (lp_case_fill){0, (float)arg[A_SCALE]});
    node.src[1] = keys(c, arg, arg[A_DK]);
    node.src[2] = keys(c, arg, arg[A_DV]);
    node.src[3] = lp_case_state(c, LP_I32, LP_SHAPE1(LP_CURSOR_WORDS), cursor, false);
    node.src[4] = bias(c, arg);
    if (arg[A_EXTRAS] & SINKS)
        node.src[5] = lp_case_weight(c, arg[A_T] % 2 ? LP_BF16 : LP_F32, LP_SHAPE1(arg[A_H]),
                                     (lp_case_fill){0, 3});
    node.src[6] = lengths(c, arg);
    lp_case_emit(c, &node);
}

static void attention(lp_case_table *table, const int64_t arg[N_ARGS])
{
    static const char *const masks[] = {"",       " full",   " chunked", " strided",
                                        " fixed", " prefix", " blocks"};
    const int64_t x = arg[A_EXTRAS];
    char mask[64] = "", extras[64];
    if (arg[A_MASK] > LP_MASK_FULL)
        snprintf(mask, sizeof mask, "%s%d", masks[arg[A_MASK]],
                 (int)(arg[A_MASK] == LP_MASK_PREFIX ? arg[A_SOURCE] : arg[A_STRIDE]));
    else
        snprintf(mask, sizeof mask, "%s", masks[arg[A_MASK]]);
    const size_t n = strlen(mask);
    if (arg[A_BLOCK] > 0)
        snprintf(mask + n, sizeof mask - n, ":%d from%d lengths%d", (int)arg[A_BLOCK],
                 (int)arg[A_OFFSET], (int)arg[A_PERIOD]);
    snprintf(extras, sizeof extras, "%s%s%s%s%s", x & SOFTCAP ? " softcap" : "",
             x & SLOPES ? " slopes" : "", x & TABLE ? " table" : "", x & SINKS ? " sinks" : "",
             x & ACTIVATIONS ? " no-cache" : "");
    lp_case *row = lp_case_add(
        table, LP_OP_ATTENTION, build_attention,
        "attention %s T%d H%d/%d D%d/%d C%d kv%d position%d window%d view%d scale%d%s%s",
        lp_dtype_table[arg[A_TYPE]].name, (int)arg[A_T], (int)arg[A_H], (int)arg[A_G],
        (int)arg[A_DK], (int)arg[A_DV], (int)arg[A_C], (int)arg[A_KV_MAX], (int)arg[A_POSITION],
        (int)arg[A_WINDOW], (int)arg[A_VIEW], (int)arg[A_SCALE], mask, extras);
    memcpy(row->arg, arg, N_ARGS * sizeof *arg);
    row->n_tokens = (int32_t)arg[A_T];
    /* A score of several hundred is rounded by up to 2^-16, which is a relative error of its
     * weight. */
    if (arg[A_SCALE] > 1)
        row->gate = (lp_case_gate){1e-9, 1e-3};
}

static void plain(lp_case_table *table)
{
    static const int64_t sizes[][2] = {{8, 8},     {20, 20},   {64, 64},   {80, 80},   {96, 96},
                                       {128, 128}, {192, 128}, {256, 256}, {576, 512}, {10, 6}};
    static const int64_t groups[][2] = {{3, 3}, {6, 2}, {8, 2}, {8, 1}};
    static const int64_t few[] = {1, 2, 3, 4, 5, 6, 7, 8}, many[] = {9, 33, 64};
    unsigned n = 0;
    for (unsigned s = 0; s < N_OF(sizes); s++)
        for (unsigned p = 0; p < 8;
             p++, n++) { /* where: at 0, in the middle, at the end, kv_max < C */
            const int64_t t = p < 4 ? few[(s + 3 * p) % N_OF(few)] : many[(s + p) % N_OF(many)];
            const int64_t kv_max = p % 4 == 3 ? 150 : 330;
            const int64_t *g = groups[(s + p) % N_OF(groups)];
            attention(table,
                      (int64_t[N_ARGS]){t, g[0], g[1], sizes[s][0], sizes[s][1], 330, kv_max,
                                        p % 4 == 0   ? 0
                                        : p % 4 == 1 ? 70
                                                     : kv_max - t,
                                        n % 3 == 1 ? 17 : 0, n % 2 ? LP_F16 : LP_F32, n / 2 % 2,
                                        n % 11 == 7   ? 200
                                        : n % 13 == 5 ? 0
                                                      : 1});
        }
    for (int64_t t = 1; t <= 9; t++) /* all small batches, all groupings, one key at first */
        for (unsigned g = 0; g < N_OF(groups); g++)
            attention(table, (int64_t[N_ARGS]){t, groups[g][0], groups[g][1], 64, 64, 16, 16,
                                               (t + g) % 2 ? 0 : 7, 0, LP_F16, 0, 1});
    /* long: splits that see no key yet, tiles that a window skips */
    for (int64_t position = 0; position < 4000; position += 1333)
        for (int64_t window = 0; window < 2000; window += 900) {
            attention(table, (int64_t[N_ARGS]){1, 8, 2, 64, 64, 4096, 4096, position, window,
                                               LP_F16, 0, 1});
            attention(table, (int64_t[N_ARGS]){20, 4, 2, 64, 64, 4096, 4096, position, window,
                                               LP_F16, 0, 1});
        }
}

/* T, H, G, Dk, Dv, C, kv_max, position, and a type of cache: few tokens and many, one tile of keys
 * and more, heads of every kind. */
static const int64_t places[][9] = {
    {1, 6, 2, 20, 12, 330, 330, 200, LP_F32},     {3, 5, 5, 64, 64, 330, 150, 147, LP_F16},
    {8, 3, 1, 10, 6, 90, 90, 60, LP_F16},         {9, 12, 4, 32, 32, 128, 128, 0, LP_F32},
    {40, 6, 3, 64, 64, 330, 300, 77, LP_F16},     {70, 3, 3, 80, 80, 200, 200, 100, LP_F32},
    {1, 10, 2, 64, 64, 3000, 3000, 2900, LP_F16},
};

static void place(int64_t arg[N_ARGS], unsigned p)
{
    memset(arg, 0, N_ARGS * sizeof *arg);
    memcpy(arg, places[p], 8 * sizeof *arg);
    arg[A_TYPE] = places[p][8];
    arg[A_VIEW] = p % 2;
    arg[A_SCALE] = 1;
    arg[A_REACH] = p % 3 == 0 ? 1 : p % 3 == 1 ? 30 : 128;
}

static void masks(lp_case_table *table)
{
    static const struct {
        int64_t mask, window, stride, summary;
    } kinds[] = {
        {LP_MASK_FULL, 0, 0, 0},      {LP_MASK_FULL, 33, 0, 0},    {LP_MASK_FULL, 2, 0, 0},
        {LP_MASK_CHUNKED, 0, 8, 0},   {LP_MASK_CHUNKED, 0, 50, 0}, {LP_MASK_STRIDED, 0, 7, 0},
        {LP_MASK_STRIDED, 0, 150, 0}, {LP_MASK_FIXED, 0, 16, 3},   {LP_MASK_FIXED, 0, 150, 1}};
    static const int64_t extras[] = {0, SINKS, TABLE | SOFTCAP, 0, SLOPES | SINKS};
    int64_t arg[N_ARGS];
    for (unsigned k = 0; k < N_OF(kinds); k++)
        for (unsigned p = 0; p < N_OF(places); p++) {
            place(arg, p);
            arg[A_MASK] = kinds[k].mask;
            arg[A_WINDOW] = kinds[k].window;
            arg[A_STRIDE] = kinds[k].stride;
            arg[A_SUMMARY] = kinds[k].summary;
            arg[A_EXTRAS] = extras[(k + p) % N_OF(extras)];
            attention(table, arg);
        }
}

static void extras(lp_case_table *table)
{
    static const int64_t kinds[] = {SOFTCAP, SLOPES, TABLE, SINKS, SOFTCAP | SLOPES | SINKS};
    int64_t arg[N_ARGS];
    for (unsigned k = 0; k < N_OF(kinds); k++)
        for (unsigned p = 0; p < N_OF(places); p++) {
            place(arg, p);
            arg[A_EXTRAS] = kinds[k];
            arg[A_WINDOW] = (k + p) % 3 == 2 ? 40 : 0;
            if (p % 2 == 0 && (kinds[k] & SOFTCAP) != 0) /* scores far beyond it */
                arg[A_SCALE] = 200;
            attention(table, arg);
        }
    static const struct {
        int64_t dk, dv, extras, mask, window, stride, summary;
    } large[] = {{128, 128, TABLE, LP_MASK_FULL, 0, 0, 0},
                 {128, 128, SLOPES, LP_MASK_CAUSAL, 0, 0, 0},
                 {128, 128, SINKS, LP_MASK_STRIDED, 0, 20, 0},
                 {128, 128, SOFTCAP, LP_MASK_FIXED, 0, 20, 2},
                 {192, 128, TABLE | SINKS, LP_MASK_STRIDED, 0, 9, 0},
                 {256, 256, SOFTCAP, LP_MASK_CAUSAL, 30, 0, 0},
                 {256, 256, TABLE, LP_MASK_STRIDED, 0, 11, 0},
                 {576, 512, SLOPES | SINKS, LP_MASK_CAUSAL, 0, 0, 0}};
    for (unsigned k = 0; k < N_OF(large); k++)
        for (int64_t t = 2; t <= 20; t += 18) /* where registers are short */
            attention(table, (int64_t[N_ARGS]){t, 4, 2, large[k].dk, large[k].dv, 100, 100, 60,
                                               large[k].window, k % 2 ? LP_F32 : LP_F16, 0, 1,
                                               large[k].mask, large[k].stride, large[k].summary,
                                               large[k].extras, 16});
    for (int64_t t = 1; t <= 10; t += 9) /* many splits that see no key, beside a sink */
        attention(table, (int64_t[N_ARGS]){t, 8, 2, 64, 64, 4096, 4096, 3, 0, LP_F16, 0, 1, 0, 0, 0,
                                           SINKS});
}

/* Encoders: keys are activations, all of them seen. Then cross-attention, over activations and over
 * a cache: the source has fewer or more tokens than the text, or none. */
static void sources(lp_case_table *table)
{
    static const int64_t tokens[] = {1, 5, 9, 64, 77, 150};
    static const int64_t cross[][4] = {
        {1, 0, 37, 300},        {1, 50, 299, 300},       {7, 3, 2, 300},    {20, 100, 1, 300},
        {65, 0, 300, 300},      {30, 11, 50, 50},        {30, 0, 9000, 60}, {1, 0, 1500, 2000},
        {1, 0, NO_SOURCE, 300}, {12, 3, NO_SOURCE, 300},
    }; /* T, position, source, C */
    static const int64_t more[] = {0, TABLE, SLOPES, SOFTCAP | SINKS};
    int64_t arg[N_ARGS];
    for (unsigned i = 0; i < N_OF(tokens); i++)
        for (int window = 0; window < 2; window++) {
            place(arg, (i + 3 * (unsigned)window) % N_OF(places));
            arg[A_T] = arg[A_C] = arg[A_KV_MAX] = tokens[i];
            arg[A_POSITION] = 0;
            arg[A_TYPE] = LP_F32;
            arg[A_MASK] = window || i != 3 ? LP_MASK_FULL : LP_MASK_CAUSAL;
            arg[A_WINDOW] = window ? 24 : 0;
            arg[A_EXTRAS] = ACTIVATIONS | more[(i + 2 * (unsigned)window) % N_OF(more)];
            attention(table, arg);
        }
    for (unsigned i = 0; i < N_OF(cross); i++) {
        place(arg, i % N_OF(places));
        arg[A_T] = cross[i][0];
        arg[A_POSITION] = cross[i][1];
        arg[A_SOURCE] = cross[i][2];
        arg[A_C] = arg[A_KV_MAX] = cross[i][3];
        arg[A_MASK] = LP_MASK_FULL;
        arg[A_EXTRAS] = (i % 3 == 1 ? ACTIVATIONS : 0) | more[i / 2 % N_OF(more)];
        if (arg[A_EXTRAS] & ACTIVATIONS)
            arg[A_TYPE] = LP_F32;
        attention(table, arg);
    }
}

/* Causal behind a beginning that all see, which has other tokens of the graph or none; or is empty.
 */
static void prefixes(lp_case_table *table)
{
    static const int64_t kinds[][4] = {
        {40, 0, 40, 300}, {40, 0, 23, 300},  {9, 0, 9, 16},         {1, 60, 33, 300},
        {5, 33, 33, 90},  {70, 20, 61, 300}, {150, 0, 77, 150},     {8, 0, NO_SOURCE, 60},
        {30, 11, 5, 50},  {1, 0, 1, 300},    {1, 2900, 1200, 3000}, {3, 4, 5, 64},
    }; /* T, position, beginning, C */
    static const int64_t more[] = {0, SINKS, TABLE, SLOPES | SOFTCAP};
    int64_t arg[N_ARGS];
    for (unsigned i = 0; i < N_OF(kinds); i++) {
        place(arg, i % N_OF(places));
        arg[A_T] = kinds[i][0];
        arg[A_POSITION] = kinds[i][1];
        arg[A_SOURCE] = kinds[i][2];
        arg[A_C] = arg[A_KV_MAX] = kinds[i][3];
        arg[A_MASK] = LP_MASK_PREFIX;
        arg[A_EXTRAS] = more[i / 2 % N_OF(more)];
        attention(table, arg);
    }
}

/* Caches of Q8_0: every mask, few tokens and many; heads that are whole words (64, 32) and heads
 * that share words and blocks with their neighbours (20 and 12, 10 and 6). */
static void quantised(lp_case_table *table)
{
    static const int64_t kinds[][5] = {
        {LP_MASK_CAUSAL, 0, 0, 0, 0},
        {LP_MASK_CAUSAL, 40, 0, 0, SINKS},
        {LP_MASK_FULL, 0, 0, 0, TABLE},
        {LP_MASK_FULL, 33, 0, 0, 0},
        {LP_MASK_CHUNKED, 0, 50, 0, 0},
        {LP_MASK_STRIDED, 0, 7, 0, SLOPES},
        {LP_MASK_FIXED, 0, 16, 3, SOFTCAP | SINKS},
        {LP_MASK_PREFIX, 0, 0, 0, 0},
    }; /* mask, window, stride, summary, extras */
    int64_t arg[N_ARGS];
    for (unsigned k = 0; k < N_OF(kinds); k++)
        for (unsigned many = 0; many < 2; many++) {
            place(arg, many ? 3 + k % 2 : 2 * (k % 2));
            arg[A_TYPE] = LP_Q8_0;
            arg[A_MASK] = kinds[k][0];
            arg[A_WINDOW] = kinds[k][1];
            arg[A_STRIDE] = kinds[k][2];
            arg[A_SUMMARY] = kinds[k][3];
            arg[A_EXTRAS] = kinds[k][4];
            arg[A_SOURCE] = kinds[k][0] == LP_MASK_PREFIX ? 70 : 0;
            attention(table, arg);
        }
    for (int64_t t = 1; t <= 12; t += 11)
        attention(table, (int64_t[N_ARGS]){t, 4, 1, 192, 128, 100, 100, 60, 0, LP_Q8_0, 0, 1});
    attention(table, (int64_t[N_ARGS]){12, 4, 2, 80, 80, 100, 100, 60, 0, LP_Q8_0, 1, 1});
    attention(table, (int64_t[N_ARGS]){1, 8, 2, 64, 64, 4096, 4096, 2666, 0, LP_Q8_0, 0, 1});
}

/* Chunks of tokens and blocks of keys: T, position, kv_max, C, stride, block, offset, period of
 * lengths. Before the first block, at seams, behind the last one; blocks longer and shorter than a
 * tile, than the chunk. */
static void blocks(lp_case_table *table)
{
    static const int64_t kinds[][8] = {
        {1, 3, 60, 60, 8, 20, 7, 10},
        {1, 7, 60, 60, 8, 20, 7, 10},
        {1, 300, 1280, 1280, 64, 256, 63, 128},
        {4, 5, 60, 60, 8, 20, 7, 10},
        {8, 22, 60, 60, 8, 20, 7, 5},
        {8, 120, 1024, 1024, 64, 512, 63, 128},
        {9, 0, 66, 80, 7, 22, 6, 11},
        {40, 0, 110, 110, 7, 22, 6, 11},
        {40, 13, 300, 300, 7, 33, 6, 0},
        {65, 30, 1280, 1280, 64, 256, 63, 128},
        {128, 64, 1280, 1280, 64, 256, 63, 128},
        {44, 22, 110, 110, 11, 11, 0, 11},
        {44, 22, 40, 48, 22, 7, 0, 0},
        {70, 0, 600, 600, 200, 150, 0, 50},
        {12, 90, 60, 60, 8, 20, 7, 10},
        {33, 0, 6, 6, 33, 3, 0, 3},
    };
    static const int64_t extras[] = {0, 0, SOFTCAP, SINKS};
    int64_t arg[N_ARGS];
    for (unsigned k = 0; k < N_OF(kinds); k++) {
        place(arg, (k + 3 * (k % 2)) % N_OF(places));
        arg[A_T] = kinds[k][0];
        arg[A_POSITION] = kinds[k][1];
        arg[A_KV_MAX] = kinds[k][2];
        arg[A_C] = kinds[k][3];
        arg[A_MASK] = LP_MASK_BLOCKS;
        arg[A_STRIDE] = kinds[k][4];
        arg[A_BLOCK] = kinds[k][5];
        arg[A_OFFSET] = kinds[k][6];
        arg[A_PERIOD] = kinds[k][7];
        arg[A_EXTRAS] = extras[(k + k / 4) % N_OF(extras)];
        attention(table, arg);
    }
}

void lp_cases_attention(lp_case_table *table)
{
    plain(table);
    masks(table);
    extras(table);
    sources(table);
    prefixes(table);
    quantised(table);
    blocks(table);
}
