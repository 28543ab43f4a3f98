// What the linear kernels share: parameters, constants 6 and 7, and the epilogue
//   y[t, n] = act(value + bias[n]) * (gate + gate_bias[n]) + residual[t, n].
// With many matrices the weights and biases of a row are those of its expert.
#ifndef LP_EPILOGUE_GLSL
#define LP_EPILOGUE_GLSL

#include "common.glsl"

layout(push_constant, std430) uniform push_block {
    lp_linear_params p;
};

layout(constant_id = 6) const uint ACT = 0u;   // lp_act_kind
layout(constant_id = 7) const uint FLAGS = 0u; // as in src/ops/linear.c

const bool HAS_BIAS = (FLAGS & 1u) != 0u;
const bool HAS_GATE = (FLAGS & 2u) != 0u;
const bool HAS_GATE_BIAS = (FLAGS & 4u) != 0u;
const bool HAS_RESIDUAL = (FLAGS & 8u) != 0u;
const bool X_WHOLE = (FLAGS & 16u) != 0u; // rows of x: whole vec4, K a multiple of 32
const bool HAS_ROUTES = (FLAGS & 32u) != 0u; // in linear_mv, with one row per workgroup
const bool IN_TURNS = (FLAGS & 64u) != 0u; // likewise; row t has matrix t mod E
const bool GROUPED = (FLAGS & 128u) != 0u; // instead of either: the rows of a tile have one matrix
const uint MATRICES = HAS_GATE ? 2u : 1u;

// The row of x that row t of y is made of.
uint lp_x_of(uint t)
{
    return HAS_ROUTES || GROUPED ? t / p.rows_per_x : t;
}

// The matrix of row t of y: the same in the whole workgroup. What is no expert's number counts as 0.
uint lp_expert_of(uint t)
{
    if (!HAS_ROUTES)
        return IN_TURNS ? t % p.n_experts : 0u;
    uvec2 routes = lp_row_words(p.routes, t / p.n_slots, p.routes_stride);
    float id = lp_floats(routes).v[2u * (t % p.n_slots)];
    return id >= 0.0 && id < float(p.n_experts) ? uint(id) : 0u;
}

// The rows of y that a workgroup makes, and their matrix; the same in the whole workgroup.
struct lp_tile {
    uint expert, first, n;
};

// Tile i of at most `most` rows. Of groups some may be empty.
lp_tile lp_tile_at(uint i, uint most)
{
    if (GROUPED) {
        const uvec4 tile = lp_words4(p.groups).v[i];
        return lp_tile(tile.x, tile.y, tile.z);
    }
    const uint first = i * most;
    return lp_tile(lp_expert_of(first), first, min(most, p.n_tokens - first));
}

// Row t of a tile, counted from lp_tile_base().
uint lp_tile_row(lp_tile tile, uint t)
{
    return GROUPED ? lp_words(p.groups).v[4u * p.n_tiles + tile.first + t] : t;
}

uint lp_tile_base(lp_tile tile)
{
    return GROUPED ? 0u : tile.first;
}

// Elements k to k + 3 of the row that begins at x[first], 0 past its end.
vec4 lp_x_four(uvec2 x, uint first, uint k)
{
    if (X_WHOLE)
        return lp_floats4(x).v[(first + k) >> 2];
    vec4 four = vec4(0.0);
    [[unroll]] for (uint i = 0u; i < 4u; i++)
        if (k + i < p.n_inputs)
            four[i] = lp_floats(x).v[first + k + i];
    return four;
}

// sum + a . b, in one chain of fused products where the device has them
float lp_dot_add(vec4 a, vec4 b, float sum)
{
    return fma(a.w, b.w, fma(a.z, b.z, fma(a.y, b.y, fma(a.x, b.x, sum))));
}

// Output n of a row of a tile, as lp_tile_row() counts it. Addresses are the same in the whole
// workgroup (see quant.glsl).
void lp_linear_store(lp_tile tile, uint row, uint n, float value, float gate)
{
    const uint base = lp_tile_base(tile);
    if (n >= p.n_outputs)
        return;
    if (HAS_BIAS)
        value += lp_floats(lp_row_words(p.bias, tile.expert, p.n_outputs)).v[n];
    value = lp_activate(ACT, value);
    if (HAS_GATE_BIAS)
        gate += lp_floats(lp_row_words(p.gate_bias, tile.expert, p.n_outputs)).v[n];
    if (HAS_GATE)
        value *= gate;
    if (HAS_RESIDUAL) {
        uvec2 residual = lp_row_words(p.residual, base, p.residual_stride);
        value += lp_floats(residual).v[row * p.residual_stride + n];
    }
    lp_floats(lp_row_words(p.y, base, p.y_stride)).v[row * p.y_stride + n] = value;
}

#endif
