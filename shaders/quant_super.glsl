// Types of super-blocks of 256 elements, and those with blocks of 32 that have minima, fifth bits or a
// table (formats and planes: src/tensor/super.c, blocks.c): the part of quant.glsl where they differ.
// A chunk is 32 elements, of one or two runs that share a scale; its groups of four come scaled:
// x = scale q + zero. With a zero all products q scale are exact, so these are the numbers of the
// reference, bit for bit.
#ifndef LP_QUANT_SUPER_GLSL
#define LP_QUANT_SUPER_GLSL

const uint W_CHUNK = 32u;

// Bits of q in the two parts of plane 0, or of plane 1 if W_HIGH_APART; what is taken off q; bytes of
// plane 1 per 256 elements.
#if defined(W_Q4_1)
const uint W_LOW = 4u, W_HIGH = 0u, W_SCALE_BYTES = 32u;
#elif defined(W_Q5_0)
#define W_HIGH_APART
const uint W_LOW = 4u, W_HIGH = 1u, W_SCALE_BYTES = 48u;
const float W_OFFSET = 16.0;
#elif defined(W_Q5_1)
#define W_HIGH_APART
const uint W_LOW = 4u, W_HIGH = 1u, W_SCALE_BYTES = 64u;
#elif defined(W_IQ4_NL)
#define W_TABLE
const uint W_LOW = 4u, W_HIGH = 0u, W_SCALE_BYTES = 16u;
#elif defined(W_Q2_K)
const uint W_LOW = 2u, W_HIGH = 0u, W_SCALE_BYTES = 20u;
#elif defined(W_Q3_K)
const uint W_LOW = 2u, W_HIGH = 1u, W_SCALE_BYTES = 16u;
const float W_OFFSET = 4.0;
#elif defined(W_Q4_K)
const uint W_LOW = 4u, W_HIGH = 0u, W_SCALE_BYTES = 16u;
#elif defined(W_Q5_K)
const uint W_LOW = 4u, W_HIGH = 1u, W_SCALE_BYTES = 16u;
#elif defined(W_Q6_K)
const uint W_LOW = 4u, W_HIGH = 2u, W_SCALE_BYTES = 20u;
const float W_OFFSET = 32.0;
#elif defined(W_IQ4_XS)
#define W_TABLE
const uint W_LOW = 4u, W_HIGH = 0u, W_SCALE_BYTES = 8u;
#elif defined(W_TQ2_0)
const uint W_LOW = 2u, W_HIGH = 0u, W_SCALE_BYTES = 2u;
const float W_OFFSET = 1.0;
#else
#error "no weight type"
#endif
#if defined(W_Q4_1) || defined(W_Q5_1) || defined(W_Q2_K) || defined(W_Q4_K) || defined(W_Q5_K)
const float W_OFFSET = 0.0;
#endif

#ifdef W_HIGH_APART
const uint W_QUANT_BYTES = 4u * W_LOW;
#else
const uint W_QUANT_BYTES = 4u * (W_LOW + W_HIGH);
#endif
const uint W_WORDS = 2u * W_QUANT_BYTES; // of a super-block in plane 0

uint lp_scale_word(lp_weight w, uint row, uint i)
{
    return lp_words(w.scales).v[row * (w.scale_row / 4u) + i];
}

// Scale and zero of the first 16 elements of chunk i, then of the others.
vec4 lp_super_map(lp_weight w, uint row, uint i)
{
    const uint j = i & 7u, block = i >> 3;
#if defined(W_Q4_1)
    return unpackHalf2x16(lp_scale_word(w, row, i)).xyxy;
#elif defined(W_Q5_1)
    return unpackHalf2x16(lp_scale_word(w, row, 2u * i)).xyxy;
#elif defined(W_Q5_0)
    const vec2 pair = unpackHalf2x16(lp_scale_word(w, row, (i >> 1) * 3u));
    return vec2((i & 1u) == 0u ? pair.x : pair.y, 0.0).xyxy;
#elif defined(W_IQ4_NL)
    return vec2(lp_weight_scale(w, row, i), 0.0).xyxy;
#elif defined(W_TQ2_0)
    return vec2(lp_weight_scale(w, row, block), 0.0).xyxy;
#elif defined(W_Q2_K)
    const vec2 d = unpackHalf2x16(lp_scale_word(w, row, block * 5u + 4u));
    const uint word = lp_scale_word(w, row, block * 5u + (j >> 1)) >> 16u * (j & 1u);
    const vec4 parts = vec4(uvec4(word, word >> 4, word >> 8, word >> 12) & 15u);
    return parts * vec4(d.x, -d.y, d.x, -d.y);
#elif defined(W_Q3_K)
    const uvec4 s = lp_words4(w.scales).v[row * (w.scale_row / 16u) + block];
    const uint low = (j < 4u ? s.x : s.y) >> 8u * (j & 3u), top = s.z >> 4u * j;
    const vec2 scales = vec2((uvec2(low, low >> 4) & 15u) | (uvec2(top, top >> 2) & 3u) << 4) - 32.0;
    return unpackHalf2x16(s.w).x * vec4(scales.x, 0.0, scales.y, 0.0);
#elif defined(W_Q4_K) || defined(W_Q5_K)
    const uvec4 s = lp_words4(w.scales).v[row * (w.scale_row / 16u) + block];
    const vec2 d = unpackHalf2x16(s.x);
    const uint scale = (s.y >> 4u * j & 15u) | (s.w >> 2u * j & 3u) << 4;
    const uint least = (s.z >> 4u * j & 15u) | (s.w >> 16u + 2u * j & 3u) << 4;
    return vec2(d.x * float(scale), -(d.y * float(least))).xyxy;
#elif defined(W_Q6_K)
    const float d = unpackHalf2x16(lp_scale_word(w, row, block * 5u + 4u)).x;
    const uint word = lp_scale_word(w, row, block * 5u + (j >> 1)) >> 16u * (j & 1u);
    const vec2 scales = d * vec2(ivec2(word << 24, word << 16) >> 24);
    return vec4(scales.x, 0.0, scales.y, 0.0);
#else // W_IQ4_XS
    const uvec2 s = lp_words2(w.scales).v[row * (w.scale_row / 8u) + block];
    const uint scale = (s.y >> 4u * j & 15u) | (s.x >> 16u + 2u * j & 3u) << 4;
    return vec2(unpackHalf2x16(s.x).x * (float(scale) - 32.0), 0.0).xyxy;
#endif
}

#ifdef W_TABLE
// The values of IQ4_NL and IQ4_XS, four signed bytes in a word.
float lp_table_value(uint q)
{
    const uint word = q < 8u ? (q < 4u ? 0xbfad9881u : 0xf6eaddcfu) : (q < 12u ? 0x26190d01u : 0x71594535u);
    return float(int(word << 24u - 8u * (q & 3u)) >> 24);
}
#endif

// Group g of four elements from their word of low bits and their word of high ones.
vec4 lp_super_four(uint low, uint high, uint g, vec4 map)
{
    uint q = W_LOW == 4u ? low >> (g & 4u) & 0x0f0f0f0fu : low >> (g >> 1) * 2u & 0x03030303u;
    if (W_HIGH == 1u)
        q |= (high >> g & 0x01010101u) << W_LOW;
    if (W_HIGH == 2u)
        q |= (high >> (g >> 1) * 2u & 0x03030303u) << W_LOW;
    const vec2 m = g < 4u ? map.xy : map.zw;
#ifdef W_TABLE
    const uvec4 e = uvec4(q, q >> 8, q >> 16, q >> 24) & 15u;
    return m.x * vec4(lp_table_value(e.x), lp_table_value(e.y), lp_table_value(e.z), lp_table_value(e.w));
#else
    return fma(lp_bytes_small(q) - W_OFFSET, vec4(m.x), vec4(m.y));
#endif
}

// Word n of the high bits of chunk i.
uint lp_super_high(lp_weight w, uint row, uint i, uint n)
{
#if defined(W_Q5_0)
    return lp_scale_word(w, row, (i >> 1) * 3u + 1u + (i & 1u));
#elif defined(W_Q5_1)
    return lp_scale_word(w, row, 2u * i + 1u);
#else
    const uint first = row * (w.quant_row / 4u) + (i >> 3) * W_WORDS + 8u * W_LOW;
    return W_HIGH == 0u ? 0u : lp_words(w.quants).v[first + W_HIGH * (i & 7u) + n];
#endif
}

lp_chunk lp_chunk_load(lp_weight w, uint row, uint i)
{
    const uint block = i >> 3, j = i & 7u;
    lp_chunk c;
    if (W_LOW == 4u)
        c.q = lp_words4(w.quants).v[row * (w.quant_row / 16u) + block * (W_WORDS / 4u) + j];
    else
        c.q = lp_words2(w.quants).v[row * (w.quant_row / 8u) + block * (W_WORDS / 2u) + j].xyxy;
    c.scale = 1.0;
    c.high = uvec2(lp_super_high(w, row, i, 0u), W_HIGH == 2u ? lp_super_high(w, row, i, 1u) : 0u);
    c.map = lp_super_map(w, row, i);
    return c;
}

vec4 lp_chunk_four(lp_chunk c, uint g)
{
    return lp_super_four(c.q[g & 3u], W_HIGH == 2u ? c.high[g & 1u] : c.high.x, g, c.map);
}

vec4 lp_weight_four(lp_weight w, uint row, uint i)
{
    const uint chunk = i >> 3, g = i & 7u;
    const uint first = row * (w.quant_row / 4u) + (chunk >> 3) * W_WORDS + W_LOW * (chunk & 7u);
    const uint low = lp_words(w.quants).v[first + (g & (W_LOW - 1u))];
    return lp_super_four(low, lp_super_high(w, row, chunk, g & (W_HIGH == 2u ? 1u : 0u)), g,
                         lp_super_map(w, row, chunk));
}

#endif
