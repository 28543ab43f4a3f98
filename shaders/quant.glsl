// Weights in device layout (src/tensor/dtype.h): rows padded with zeros to a multiple of 64 elements,
// plane 0 the values or quants, plane 1 the scales. One block below per type, chosen by -D W_…; each
// gives the sizes and two ways to read row `row` (counted from the matrix's first), in whole words:
//   lp_chunk_load(w, row, i)  chunk i: W_CHUNK consecutive elements; group g (a constant) of four by
//                             lp_chunk_four(), if W_UNSCALED times chunk.scale
//   lp_weight_four(w, row, i) elements 4 i to 4 i + 3, scaled
// Where W_UNSCALED, sums of quants may be taken before the scale is applied.
//
// A workgroup points the matrix at its own first row, in 64 bits; the rest is an index. So addresses
// are the same in all invocations, which devices compute once, and lavapipe of Mesa 26.1 with 512-bit
// vectors needs: there, joining two words to an address that differs by lane overflows a buffer.
#ifndef LP_QUANT_GLSL
#define LP_QUANT_GLSL

#include "common.glsl"

#if !defined(W_F32) && !defined(W_F16) && !defined(W_BF16) && !defined(W_Q8_0) && !defined(W_Q4_0) && \
    !defined(W_MXFP4)
#define W_SUPER
#endif

struct lp_chunk {
    uvec4 q;
    float scale;
#ifdef W_SUPER
    uvec2 high;
    vec4 map;
#endif
};

// A weight matrix from some row on: where its planes begin there and how far apart rows are.
struct lp_weight {
    uvec2 quants, scales;
    uint quant_row, scale_row; // bytes
};

// Scale of block i of a row from plane 1.
float lp_weight_scale(lp_weight w, uint row, uint i)
{
#ifdef W_MXFP4 // half of 2^(e - 127), four bytes e in a word
    uint e = lp_words(w.scales).v[row * (w.scale_row / 4u) + (i >> 2)] >> ((i & 3u) * 8u) & 0xffu;
    return uintBitsToFloat(e < 2u ? 0x00200000u << e : (e - 1u) << 23);
#else // f16, two in a word
    vec2 pair = unpackHalf2x16(lp_words(w.scales).v[row * (w.scale_row / 4u) + (i >> 1)]);
    return (i & 1u) == 0u ? pair.x : pair.y;
#endif
}

// Four bytes below 128.
vec4 lp_bytes_small(uint word)
{
    return vec4(uvec4(word, word >> 8, word >> 16, word >> 24) & 0xffu);
}

#if defined(W_F32)

// Bytes of quants per 32 elements, of scales per 256.
const uint W_CHUNK = 4u, W_QUANT_BYTES = 128u, W_SCALE_BYTES = 0u;

lp_chunk lp_chunk_load(lp_weight w, uint row, uint i)
{
    return lp_chunk(lp_words4(w.quants).v[row * (w.quant_row / 16u) + i], 1.0);
}

vec4 lp_chunk_four(lp_chunk c, uint g)
{
    return uintBitsToFloat(c.q);
}

vec4 lp_weight_four(lp_weight w, uint row, uint i)
{
    return lp_floats4(w.quants).v[row * (w.quant_row / 16u) + i];
}

#elif defined(W_F16) || defined(W_BF16)

const uint W_CHUNK = 8u, W_QUANT_BYTES = 64u, W_SCALE_BYTES = 0u;

vec4 lp_unpack_pairs(uint a, uint b)
{
#ifdef W_F16
    return vec4(unpackHalf2x16(a), unpackHalf2x16(b));
#else
    return uintBitsToFloat(uvec4(a << 16, a & 0xffff0000u, b << 16, b & 0xffff0000u));
#endif
}

lp_chunk lp_chunk_load(lp_weight w, uint row, uint i)
{
    return lp_chunk(lp_words4(w.quants).v[row * (w.quant_row / 16u) + i], 1.0);
}

vec4 lp_chunk_four(lp_chunk c, uint g)
{
    return g == 0u ? lp_unpack_pairs(c.q.x, c.q.y) : lp_unpack_pairs(c.q.z, c.q.w);
}

vec4 lp_weight_four(lp_weight w, uint row, uint i)
{
    uvec2 q = lp_words2(w.quants).v[row * (w.quant_row / 8u) + i];
    return lp_unpack_pairs(q.x, q.y);
}

#elif defined(W_Q8_0)

const uint W_CHUNK = 16u, W_QUANT_BYTES = 32u, W_SCALE_BYTES = 16u;

lp_chunk lp_chunk_load(lp_weight w, uint row, uint i)
{
    return lp_chunk(lp_words4(w.quants).v[row * (w.quant_row / 16u) + i], lp_weight_scale(w, row, i >> 1));
}

vec4 lp_chunk_four(lp_chunk c, uint g)
{
    return lp_bytes_signed(c.q[g]);
}

vec4 lp_weight_four(lp_weight w, uint row, uint i)
{
    return lp_bytes_signed(lp_words(w.quants).v[row * (w.quant_row / 4u) + i]) * lp_weight_scale(w, row, i >> 3);
}

#elif defined(W_Q4_0) || defined(W_MXFP4)

// Word j of a block: elements 4 j … 4 j + 3 in the low nibbles, 16 + 4 j … in the high ones.
const uint W_CHUNK = 32u, W_QUANT_BYTES = 16u;
#ifdef W_Q4_0
const uint W_SCALE_BYTES = 16u;

// The low nibbles of four bytes.
vec4 lp_nibbles(uint word)
{
    return lp_bytes_small(word & 0x0f0f0f0fu) - 8.0;
}
#else
const uint W_SCALE_BYTES = 8u;

// The same; nibbles are E2M1, 0, 0.5, 1, 1.5, 2, 3, 4, 6 and a sign, and twice that is returned.
vec4 lp_nibbles(uint word)
{
    uint m = word & 0x07070707u, odd = m & ((m >> 2 & 0x01010101u) * 3u); // 1, 2, 3 of 5, 6, 7
    vec4 size = lp_bytes_small(m + odd + ((odd & odd >> 1 & 0x01010101u) << 1)); // m + 1, 2, 5
    uvec4 sign = uvec4(word << 28, word << 20, word << 12, word << 4) & 0x80000000u;
    return uintBitsToFloat(floatBitsToUint(size) | sign);
}
#endif

lp_chunk lp_chunk_load(lp_weight w, uint row, uint i)
{
    return lp_chunk(lp_words4(w.quants).v[row * (w.quant_row / 16u) + i], lp_weight_scale(w, row, i));
}

vec4 lp_chunk_four(lp_chunk c, uint g)
{
    return lp_nibbles(c.q[g & 3u] >> (g & 4u));
}

vec4 lp_weight_four(lp_weight w, uint row, uint i)
{
    uint word = lp_words(w.quants).v[row * (w.quant_row / 4u) + ((i >> 3) << 2) + (i & 3u)];
    return lp_nibbles(word >> (i & 4u)) * lp_weight_scale(w, row, i >> 3);
}

#else
#include "quant_super.glsl"
#endif

#ifdef W_SUPER
const bool W_UNSCALED = false;
#else
const bool W_UNSCALED = W_SCALE_BYTES != 0u;
#endif

// The rows from `first` on of a matrix [n_rows, n_columns] at `base`.
lp_weight lp_weight_at(uvec2 base, uint n_rows, uint n_columns, uint first)
{
    lp_weight w;
    uint blocks = (n_columns + 63u) / 64u * 2u;
    w.quant_row = blocks * W_QUANT_BYTES;
    w.scale_row = (blocks * W_SCALE_BYTES / 8u + 3u) & ~3u;
    w.quants = lp_row(base, first, w.quant_row);
    w.scales = uvec2(0u);
    if (W_SCALE_BYTES != 0u) { // plane 1 begins on the next multiple of 256; base is one
        w.scales = lp_offset(lp_row(base, n_rows, w.quant_row), 255u);
        w.scales.x &= ~255u;
        w.scales = lp_row(w.scales, first, w.scale_row);
    }
    return w;
}

#endif
