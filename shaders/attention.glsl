// What the attention kernels share: their parameters, query rows, masks and biases, loads of keys
// and values.
//
// The query rows of K/V head g are a list of T * R, R = H / G heads of the group: row r is token
// r / R, head g R + r % R. Token t sees keys of [seen_first(t), seen_end(t)) only, and neither bound
// falls from token to token.
#ifndef LP_ATTENTION_GLSL
#define LP_ATTENTION_GLSL

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint ROWS = 1u;  // prefill: query rows per invocation; decode: per group
layout(constant_id = 2) const uint KEYS = 32u; // per tile
layout(constant_id = 3) const uint DK = 32u;
layout(constant_id = 4) const uint DV = 32u;
layout(constant_id = 5) const bool WIDE = false; // heads are whole 16-byte loads, or 8 quants of a block

// constant 6 is the kernel's own
layout(constant_id = 7) const uint FLAGS = 0u; // LP_ATTENTION_... of params.h
layout(constant_id = 8) const uint STRIDE = 1u;
layout(constant_id = 9) const uint SUMMARY = 1u;
layout(constant_id = 10) const uint BLOCK = 1u;
layout(constant_id = 11) const uint OFFSET = 0u;
layout(constant_id = 12) const uint PERIOD = 1u; // keys that share a length

const uint MASK = FLAGS & LP_ATTENTION_MASK;
const uint LP_MASK_CAUSAL = 0u, LP_MASK_FULL = 1u, LP_MASK_CHUNKED = 2u, LP_MASK_STRIDED = 3u,
           LP_MASK_FIXED = 4u, LP_MASK_PREFIX = 5u, LP_MASK_BLOCKS = 6u;
const bool SOFTCAP = (FLAGS & LP_ATTENTION_SOFTCAP) != 0u;
const bool SLOPES = (FLAGS & LP_ATTENTION_SLOPES) != 0u;
const bool TABLE = (FLAGS & LP_ATTENTION_TABLE) != 0u;
const bool SINKS = (FLAGS & LP_ATTENTION_SINKS) != 0u;
const bool SOURCE = (FLAGS & LP_ATTENTION_SOURCE) != 0u;
const bool LENGTHS = (FLAGS & LP_ATTENTION_LENGTHS) != 0u;

layout(push_constant) uniform push_block
{
    lp_attention_params p;
};

const uint DK4 = (DK + 3u) / 4u, DV4 = (DV + 3u) / 4u;
const float NONE = -3.4e38; // the score of a masked key; real ones are kept above it
const float LEAST = -3.3e38;

uint group_heads()
{
    return p.n_heads / p.n_groups;
}

int position()
{
    return lp_ints(p.cursor).v[LP_CURSOR_POSITION];
}

// First key of the block that the token at i sees; the end where no such block is there, -BLOCK where
// there is none yet.
int block_first(int i)
{
    int since = i + p.mask_shift - int(OFFSET), n = int(p.kv_max);
    if (since < 0) {
        return -int(BLOCK);
    }
    int b = since / int(STRIDE);
    return b > n / int(BLOCK) ? n : min(b * int(BLOCK), n);
}

int seen_first(uint t)
{
    int i = position() + int(t);
    if (MASK == LP_MASK_BLOCKS) {
        return max(block_first(i), 0);
    }
    if (MASK == LP_MASK_CHUNKED) {
        return i / int(STRIDE) * int(STRIDE);
    }
    int behind = MASK == LP_MASK_FULL ? int(p.window / 2u) : int(p.window) - 1;
    return p.window == 0u ? 0 : max(i - behind, 0);
}

int seen_end(uint t)
{
    int i = position() + int(t);
    if (MASK == LP_MASK_PREFIX) {
        i = max(i, lp_ints(p.cursor).v[LP_CURSOR_SOURCE] - 1);
    }
    if (MASK == LP_MASK_BLOCKS) {
        return min(block_first(i) + int(BLOCK), int(p.kv_max));
    }
    if (MASK != LP_MASK_FULL) {
        return clamp(i + p.mask_shift + 1, 0, int(p.kv_max));
    }
    int n = int(p.kv_max);
    if (SOURCE) {
        n = clamp(lp_ints(p.cursor).v[LP_CURSOR_SOURCE], 0, n);
    }
    return p.window == 0u ? n : min(i + int(p.window / 2u) + 1, n);
}

// Do the patterns of Child et al. hide keys [key0, key1) from all tokens t0 ... t1? All of these keys
// lie before seen_end(t1).
bool hidden(int key0, int key1, uint t0, uint t1)
{
    int stride = int(STRIDE), i = position() + int(t0);
    if (MASK == LP_MASK_STRIDED) {
        int near = i - (key1 - 1), far = position() + int(t1) - key0;
        return near >= stride && far / stride * stride < near;
    }
    if (MASK == LP_MASK_FIXED) {
        int left = stride - int(SUMMARY) - key0 % stride; // keys before the next one that all see
        return key1 <= i / stride * stride && key0 + max(left, 0) >= key1;
    }
    return false;
}

// ---- Query rows --------------------------------------------------------------------------------

struct query_row {
    int place, from, to; // of its token in the text; the keys [from, to) that it may see
    uint head;
    float slope;
};

query_row query_of(uint r, uint g)
{
    uint heads = group_heads(), t = r / heads;
    query_row q;
    q.place = position() + int(t);
    q.from = seen_first(t);
    q.to = seen_end(t);
    q.head = g * heads + r % heads;
    q.slope = 0.0;
    if (SLOPES) {
        q.slope = lp_floats(p.bias).v[q.head];
    }
    return q;
}

// Largest score and total of a row before its first key; the total belongs to one of the
// invocations that share the row.
float first_largest(query_row q)
{
    float largest = NONE;
    if (SINKS) {
        largest = lp_floats(p.sinks).v[q.head];
    }
    return largest;
}

float first_total(bool mine)
{
    return SINKS && mine ? 1.0 : 0.0;
}

// What softmax takes, of s = scale q k for key j: NONE if the mask hides the key.
float seen_score(query_row q, int j, float s)
{
    if (SOFTCAP) {
        s = p.softcap * lp_tanh(s / p.softcap);
    }
    if (SLOPES) {
        s -= q.slope * float(abs(q.place - j));
    }
    if (TABLE) {
        int reach = int(p.bias_reach);
        s += lp_floats(p.bias)
                 .v[int(q.head) * (2 * reach + 1) + clamp(j - q.place, -reach, reach) + reach];
    }
    bool seen = j >= q.from && j < q.to;
    int stride = int(STRIDE);
    if (MASK == LP_MASK_STRIDED) {
        int behind = q.place - j;
        seen = seen && (behind < stride || behind % stride == 0);
    }
    if (MASK == LP_MASK_FIXED) {
        seen = seen && (j / stride == q.place / stride || j % stride >= stride - int(SUMMARY));
    }
    if (LENGTHS && seen) {
        seen = j % int(PERIOD) < lp_ints(p.lengths).v[j / int(PERIOD)];
    }
    return !seen ? NONE : s < LEAST ? LEAST : s;
}

// ---- Memory ------------------------------------------------------------------------------------

// A head of keys or values from some key on. Addresses are the same in all invocations, what differs
// is a 32-bit index: cheaper, and llvmpipe at 512 bits crashes otherwise.
struct cache_head {
    uvec2 base;
    uint stride; // from key to key: elements, of Q8_0 words
    uint first;  // Q8_0: the head's first element in a row
    uint scales; // Q8_0: words before a row's scales
};

#ifdef KV_Q8_0

// Rows are those of src/tensor/state.h: quants, then scales, padded to multiples of 64 elements.
cache_head cache_from(uvec2 cache, int key, uint stride, uint g, uint size)
{
    uint words = stride / 64u * 17u;
    return cache_head(lp_row(cache, uint(key), words * 4u), words, g * size, stride / 4u);
}

// The scale of element e of the row whose first word is `row`.
float scale_at(cache_head c, uint row, uint e)
{
    vec2 pair = unpackHalf2x16(lp_words(c.base).v[row + c.scales + e / 64u]);
    return (e & 32u) == 0u ? pair.x : pair.y;
}

// Elements e and e + 1; e is even.
vec2 load2(cache_head c, uint row, uint e)
{
    uint pair = lp_words(c.base).v[row + e / 4u] >> (8u * (e & 2u));
    return scale_at(c, row, e) * vec2(ivec2(pair << 24, pair << 16) >> 24);
}

// Elements 4 i ... 4 i + 3 of a head of n elements, k keys further on; zeros past its end.
vec4 load4(cache_head c, uint k, uint i, uint n)
{
    uint row = k * c.stride, e = c.first + 4u * i;
    if (4u * i >= n) {
        return vec4(0.0);
    }
    if (WIDE) {
        return scale_at(c, row, e) * lp_bytes_signed(lp_words(c.base).v[row + e / 4u]);
    }
    return vec4(load2(c, row, e), 4u * i + 2u < n ? load2(c, row, e + 2u) : vec2(0.0));
}

#else

cache_head cache_from(uvec2 cache, int key, uint stride, uint g, uint size)
{
#ifdef KV_F16
    const uint ELEMENT_BYTES = 2u;
#else
    const uint ELEMENT_BYTES = 4u;
#endif
    uvec2 base = lp_row(cache, uint(key), stride * ELEMENT_BYTES);
    return cache_head(lp_offset(base, g * size * ELEMENT_BYTES), stride, 0u, 0u);
}

// Elements 4 i ... 4 i + 3 of a head of n elements, k keys further on; zeros past its end.
vec4 load4(cache_head c, uint k, uint i, uint n)
{
    if (4u * i >= n) {
        return vec4(0.0);
    }
    uint at = k * c.stride + 4u * i;
#ifdef KV_F16
    if (WIDE) {
        uvec2 w = lp_words2(c.base).v[at / 4u];
        return vec4(unpackHalf2x16(w.x), unpackHalf2x16(w.y));
    }
    lp_words words = lp_words(c.base);
    vec2 low = unpackHalf2x16(words.v[at / 2u]);
    return vec4(low, 4u * i + 2u < n ? unpackHalf2x16(words.v[at / 2u + 1u]) : vec2(0.0));
#else
    if (WIDE) {
        return lp_floats4(c.base).v[at / 4u];
    }
    lp_floats x = lp_floats(c.base);
    vec2 high = vec2(0.0);
    if (4u * i + 2u < n) {
        high = vec2(x.v[at + 2u], x.v[at + 3u]);
    }
    return vec4(x.v[at], x.v[at + 1u], high);
#endif
}

#endif

// Elements 8 i ... 8 i + 7.
void load8(cache_head c, uint k, uint i, uint n, out vec4 a, out vec4 b)
{
#ifdef KV_F16
    if (WIDE) {
        uvec4 w = lp_words4(c.base).v[k * c.stride / 8u + i];
        a = vec4(unpackHalf2x16(w.x), unpackHalf2x16(w.y));
        b = vec4(unpackHalf2x16(w.z), unpackHalf2x16(w.w));
        return;
    }
#endif
#ifdef KV_Q8_0
    if (WIDE) {
        uint row = k * c.stride, e = c.first + 8u * i;
        lp_words words = lp_words(c.base);
        float scale = scale_at(c, row, e);
        a = scale * lp_bytes_signed(words.v[row + e / 4u]);
        b = scale * lp_bytes_signed(words.v[row + e / 4u + 1u]);
        return;
    }
#endif
    a = load4(c, k, 2u * i, n);
    b = load4(c, k, 2u * i + 1u, n);
}

// scale q of row r, elements 4 i ... 4 i + 3.
vec4 load_query(uint r, uint g, uint i)
{
    uint heads = group_heads(), t = r / heads, h = g * heads + r % heads;
    if (t >= p.n_tokens || 4u * i >= DK) {
        return vec4(0.0);
    }
    lp_floats q = lp_floats(p.q);
    uint at = t * p.q_stride + h * DK + 4u * i;
    vec4 x = vec4(q.v[at], q.v[at + 1u], 0.0, 0.0);
    if (4u * i + 2u < DK) {
        x.zw = vec2(q.v[at + 2u], q.v[at + 3u]);
    }
    return p.scale * x;
}

// Elements 4 i ... 4 i + 3 of a row of Dv that starts at index `at` of p.y.
void store4(uint at, uint i, vec4 x)
{
    lp_floats y = lp_floats(p.y);
    at += 4u * i;
    y.v[at] = x.x;
    y.v[at + 1u] = x.y;
    if (4u * i + 2u < DV) {
        y.v[at + 2u] = x.z;
        y.v[at + 3u] = x.w;
    }
}

// y of row r, elements 4 i ... 4 i + 3.
void store_output(uint r, uint g, uint i, vec4 x)
{
    uint heads = group_heads();
    store4(r / heads * p.y_stride + (g * heads + r % heads) * DV, i, x);
}

#endif
