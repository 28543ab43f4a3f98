// Types of super-blocks of 256 elements (src/tensor/super.c has the formats and their planes): the part
// of quant.glsl where they differ. A chunk is 32 elements, of one or two runs that share a scale; its
// groups of four come scaled: x = scale q + zero. All products q scale are exact, so these are the
// numbers of the reference, bit for bit.
#ifndef LP_QUANT_SUPER_GLSL
#define LP_QUANT_SUPER_GLSL

const uint W_CHUNK = 32u;

// Of q: bits per element in the two parts of plane 0, and what is taken off.
#if defined(W_Q4_K)
const uint W_LOW = 4u, W_HIGH = 0u, W_SCALE_BYTES = 16u;
const float W_OFFSET = 0.0;
#elif defined(W_Q5_K)
const uint W_LOW = 4u, W_HIGH = 1u, W_SCALE_BYTES = 16u;
const float W_OFFSET = 0.0;
#else
const uint W_LOW = 4u, W_HIGH = 2u, W_SCALE_BYTES = 20u;
const float W_OFFSET = 32.0;
#endif
const uint W_QUANT_BYTES = 4u * (W_LOW + W_HIGH);
const uint W_WORDS = 8u * (W_LOW + W_HIGH); // of a super-block in plane 0

// Scale and zero of the first 16 elements of chunk i, then of the others.
vec4 lp_super_map(lp_weight w, uint row, uint i)
{
    const uint j = i & 7u;
#if defined(W_Q4_K) || defined(W_Q5_K)
    const uvec4 s = lp_words4(w.scales).v[row * (w.scale_row / 16u) + (i >> 3)];
    const vec2 d = unpackHalf2x16(s.x);
    const uint scale = (s.y >> 4u * j & 15u) | (s.w >> 2u * j & 3u) << 4;
    const uint least = (s.z >> 4u * j & 15u) | (s.w >> 16u + 2u * j & 3u) << 4;
    return vec2(d.x * float(scale), -(d.y * float(least))).xyxy;
#else
    const uint first = row * (w.scale_row / 4u) + (i >> 3) * 5u;
    const float d = unpackHalf2x16(lp_words(w.scales).v[first + 4u]).x;
    const uint word = lp_words(w.scales).v[first + (j >> 1)] >> 16u * (j & 1u);
    const vec2 scales = d * vec2(ivec2(word << 24, word << 16) >> 24);
    return vec4(scales.x, 0.0, scales.y, 0.0);
#endif
}

// Group g of four elements from their word of low bits and their words of high ones.
vec4 lp_super_four(uint low, uint high, uint g, vec4 map)
{
    uint q = low >> (g & 4u) & 0x0f0f0f0fu;
    if (W_HIGH == 1u)
        q |= (high >> g & 0x01010101u) << 4;
    if (W_HIGH == 2u)
        q |= (high >> (g >> 1) * 2u & 0x03030303u) << 4;
    const vec2 m = g < 4u ? map.xy : map.zw;
    return fma(lp_bytes_small(q) - W_OFFSET, vec4(m.x), vec4(m.y));
}

lp_chunk lp_chunk_load(lp_weight w, uint row, uint i)
{
    const uint block = i >> 3, j = i & 7u;
    lp_chunk c;
    c.q = lp_words4(w.quants).v[row * (w.quant_row / 16u) + block * (W_WORDS / 4u) + j];
    c.scale = 1.0;
    c.high = uvec2(0u);
    if (W_HIGH == 1u)
        c.high.x = lp_words(w.quants).v[row * (w.quant_row / 4u) + block * W_WORDS + 8u * W_LOW + j];
    if (W_HIGH == 2u)
        c.high = lp_words2(w.quants).v[row * (w.quant_row / 8u) + block * (W_WORDS / 2u) + 4u * W_LOW + j];
    c.map = lp_super_map(w, row, i);
    return c;
}

vec4 lp_chunk_four(lp_chunk c, uint g)
{
    return lp_super_four(c.q[g & 3u], W_HIGH == 2u ? c.high[g & 1u] : c.high.x, g, c.map);
}

vec4 lp_weight_four(lp_weight w, uint row, uint i)
{
    const uint first = row * (w.quant_row / 4u) + (i >> 6) * W_WORDS, j = i >> 3 & 7u, g = i & 7u;
    const uint low = lp_words(w.quants).v[first + W_LOW * j + (g & 3u)];
    uint high = 0u;
    if (W_HIGH != 0u)
        high = lp_words(w.quants).v[first + 8u * W_LOW + W_HIGH * j + (g & (W_HIGH - 1u))];
    return lp_super_four(low, high, g, lp_super_map(w, row, i >> 3));
}

#endif
