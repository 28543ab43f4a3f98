/* Values of GGUF metadata: looked up by key, converted, printed. gguf.c has checked that all of
 * them lie inside the file. */
#include "tensor/gguf_private.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/half.h"

const uint8_t lp_gguf_value_bytes[LP_GGUF_N_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
static const char *const type_names[LP_GGUF_N_TYPES] = {
    "u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64"};

uint64_t lp_gguf_load(const uint8_t *data, int bytes)
{
    uint64_t value = 0;
    for (int i = bytes - 1; i >= 0; i--)
        value = value << 8 | data[i];
    return value;
}

int lp_gguf_compare(lp_gguf_string a, lp_gguf_string b)
{
    size_t n = a.bytes < b.bytes ? a.bytes : b.bytes;
    int order = n ? memcmp(a.data, b.data, n) : 0;
    return order ? order : (a.bytes > b.bytes) - (a.bytes < b.bytes);
}

/* --- Conversion ------------------------------------------------------------------------------ */

static const lp_gguf_pair *find(const lp_gguf *gguf, const char *key)
{
    lp_gguf_string wanted = {key, strlen(key)};
    size_t low = 0, high = gguf->n_pairs;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = lp_gguf_compare(wanted, gguf->sorted[middle]->key);
        if (order == 0)
            return gguf->sorted[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

static const lp_gguf_pair *find_array(const lp_gguf *gguf, const char *key)
{
    const lp_gguf_pair *pair = find(gguf, key);
    return pair && pair->type == LP_GGUF_ARRAY ? pair : NULL;
}

/* A number of any of the file's types. Integers are given as sign and magnitude, so that all of
 * u64 and i64 fit. */
typedef struct number {
    enum { NONE, INTEGER, REAL } kind;
    bool negative;
    uint64_t magnitude;
    double real;
} number;

static number load_number(lp_gguf_type type, const uint8_t *data)
{
    int bytes = lp_gguf_value_bytes[type];
    uint64_t bits = bytes ? lp_gguf_load(data, bytes) : 0;
    number value = {.kind = INTEGER, .magnitude = bits};
    switch (type) {
    case LP_GGUF_U8:
    case LP_GGUF_U16:
    case LP_GGUF_U32:
    case LP_GGUF_U64:
        break;
    case LP_GGUF_I8:
    case LP_GGUF_I16:
    case LP_GGUF_I32:
    case LP_GGUF_I64:
        value.negative = bits >> (8 * bytes - 1);
        if (value.negative) /* two's complement of that width */
            value.magnitude = (~bits + 1) & (UINT64_MAX >> (64 - 8 * bytes));
        break;
    case LP_GGUF_F32:
        return (number){.kind = REAL, .real = (double)lp_bits_f32((uint32_t)bits)};
    case LP_GGUF_F64:
        value.kind = REAL;
        memcpy(&value.real, &bits, 8);
        break;
    default:
        value.kind = NONE;
    }
    return value;
}

static bool to_f32(number value, float *to)
{
    if (value.kind == NONE)
        return false;
    double real = value.real;
    if (value.kind == INTEGER)
        real = value.negative ? -(double)value.magnitude : (double)value.magnitude;
    if (!(fabs(real) <= (double)FLT_MAX))
        return false;
    *to = (float)real;
    return true;
}

static bool to_i32(number value, int32_t *to)
{
    if (value.kind != INTEGER || value.magnitude > (uint64_t)INT32_MAX + value.negative)
        return false;
    *to = (int32_t)(value.negative ? -(int64_t)value.magnitude : (int64_t)value.magnitude);
    return true;
}

bool lp_gguf_get_u32(const lp_gguf *gguf, const char *key, uint32_t *value)
{
    const lp_gguf_pair *pair = find(gguf, key);
    number n = pair ? load_number(pair->type, pair->data) : (number){.kind = NONE};
    if (n.kind != INTEGER || n.negative || n.magnitude > UINT32_MAX)
        return false;
    *value = (uint32_t)n.magnitude;
    return true;
}

bool lp_gguf_get_f32(const lp_gguf *gguf, const char *key, float *value)
{
    const lp_gguf_pair *pair = find(gguf, key);
    return pair && to_f32(load_number(pair->type, pair->data), value);
}

bool lp_gguf_get_bool(const lp_gguf *gguf, const char *key, bool *value)
{
    const lp_gguf_pair *pair = find(gguf, key);
    if (!pair || pair->type != LP_GGUF_BOOL)
        return false;
    *value = pair->data[0] != 0;
    return true;
}

bool lp_gguf_get_string(const lp_gguf *gguf, const char *key, lp_gguf_string *value)
{
    const lp_gguf_pair *pair = find(gguf, key);
    if (!pair || pair->type != LP_GGUF_STRING)
        return false;
    *value = pair->strings[0];
    return true;
}

bool lp_gguf_get_array(const lp_gguf *gguf, const char *key, lp_gguf_type *type, uint64_t *n)
{
    const lp_gguf_pair *pair = find_array(gguf, key);
    if (!pair)
        return false;
    *type = pair->element;
    *n = pair->n;
    return true;
}

lp_gguf_string lp_gguf_array_string(const lp_gguf *gguf, const char *key, uint64_t i)
{
    const lp_gguf_pair *pair = find_array(gguf, key);
    if (!pair || !pair->strings || i >= pair->n)
        return (lp_gguf_string){"", 0};
    return pair->strings[i];
}

bool lp_gguf_array_f32(const lp_gguf *gguf, const char *key, float *to, uint64_t n)
{
    const lp_gguf_pair *pair = find_array(gguf, key);
    if (!pair || n > pair->n)
        return false;
    for (uint64_t i = 0; i < n; i++)
        if (!to_f32(load_number(pair->element, pair->data + i * lp_gguf_value_bytes[pair->element]),
                    &to[i]))
            return false;
    return true;
}

bool lp_gguf_array_i32(const lp_gguf *gguf, const char *key, int32_t *to, uint64_t n)
{
    const lp_gguf_pair *pair = find_array(gguf, key);
    if (!pair || n > pair->n)
        return false;
    if (pair->element == LP_GGUF_BOOL) { /* such as which layers have a window */
        for (uint64_t i = 0; i < n; i++)
            to[i] = pair->data[i] != 0;
        return true;
    }
    for (uint64_t i = 0; i < n; i++)
        if (!to_i32(load_number(pair->element, pair->data + i * lp_gguf_value_bytes[pair->element]),
                    &to[i]))
            return false;
    return true;
}

/* --- Listing --------------------------------------------------------------------------------- */

size_t lp_gguf_count(const lp_gguf *gguf)
{
    return gguf->n_pairs;
}

lp_gguf_string lp_gguf_key(const lp_gguf *gguf, size_t index)
{
    return gguf->pairs[index].key;
}

lp_gguf_type lp_gguf_value_type(const lp_gguf *gguf, size_t index)
{
    return gguf->pairs[index].type;
}

uint64_t lp_gguf_length(const lp_gguf *gguf, size_t index)
{
    return gguf->pairs[index].n;
}

/* One number or boolean; returns the characters that it needs. */
static int print_value(lp_gguf_type type, const uint8_t *data, char *text, size_t n)
{
    if (type == LP_GGUF_BOOL)
        return snprintf(text, n, "%s", data[0] ? "true" : "false");
    number value = load_number(type, data);
    if (value.kind == REAL) /* enough digits for the value's own type */
        return snprintf(text, n, "%.*g", type == LP_GGUF_F32 ? 7 : 15, value.real);
    return snprintf(text, n, "%s%" PRIu64, value.negative ? "-" : "", value.magnitude);
}

/* Quoted; cut after 64 bytes or where `text` ends, never inside a character. */
static void print_string(lp_gguf_string string, char *text, size_t n)
{
    size_t room = n - 6 < 64 ? n - 6 : 64; /* quotes, dots, end */
    size_t m = string.bytes < room ? string.bytes : room;
    while (m < string.bytes && m > 0 && ((uint8_t)string.data[m] & 0xc0) == 0x80)
        m--;
    char *p = text;
    *p++ = '"';
    for (size_t i = 0; i < m; i++) { /* control characters (C0, DEL, C1) would upset a terminal */
        uint8_t c = (uint8_t)string.data[i];
        uint8_t next = i + 1 < m ? (uint8_t)string.data[i + 1] : 0;
        bool c1 = c == 0xc2 && next >= 0x80 && next < 0xa0;
        *p++ = c < 0x20 || c == 0x7f || c1 ? ' ' : (char)c;
        i += c1;
    }
    strcpy(p, m < string.bytes ? "\"..." : "\"");
}

char *lp_gguf_print(const lp_gguf *gguf, size_t index, char *text, size_t n)
{
    const lp_gguf_pair *pair = &gguf->pairs[index];
    if (pair->type == LP_GGUF_STRING) {
        print_string(pair->strings[0], text, n);
        return text;
    }
    if (pair->type != LP_GGUF_ARRAY) {
        print_value(pair->type, pair->data, text, n);
        return text;
    }
    int bytes = lp_gguf_value_bytes[pair->element];
    if (bytes && pair->n <= 8) { /* few numbers: themselves, if they fit */
        size_t at = 0;
        text[at++] = '[';
        for (uint64_t i = 0; i < pair->n && at + 3 < n; i++) {
            at += (size_t)snprintf(text + at, n - at, "%s", i ? ", " : "");
            at += (size_t)print_value(pair->element, pair->data + i * (uint64_t)bytes, text + at,
                                      n - at);
        }
        if (at + 2 <= n) {
            strcpy(text + at, "]");
            return text;
        }
    }
    snprintf(text, n, "[%s x %" PRIu64 "]", type_names[pair->element], pair->n);
    return text;
}
