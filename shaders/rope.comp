// Rotary position embedding: y [T, H, D] = x [T, H, D], the first n_rotated elements of every head
// turned by pairs. One invocation per pair of elements; what is not rotated is copied. With a front
// [T, H, F] the turned ones are the last of x's heads, and y [T, H, F + n_rotated] has the front before
// them.
//
// With TWO_AXES the second half of the pairs is turned by another position, see src/ops/rope.c.
//
// table [256 + n, n_rotated / 2, 2]: (cos, sin) of the angles of positions 0 ... 255, then of
// 256 b; the angle of position 256 b + a is the sum of two, so its cos and sin are the product of
// two complex numbers. There is no sine here: its precision is not guaranteed.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "state.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const bool HALVES = false; // pairs (k, k + n/2) instead of (2k, 2k + 1)
layout(constant_id = 2) const bool TWO_AXES = false;

layout(push_constant) uniform push_block
{
    lp_rope_params p;
};

// The position of the token at `place`, on the axis that is meant.
uint position_of(uint place, bool second)
{
    uint n_source = uint(lp_ints(p.cursor).v[LP_CURSOR_SOURCE]);
    if (place < n_source) {
        return second ? 0u : place;
    }
    return second ? place - n_source + 1u : uint(lp_ints(p.cursor).v[LP_CURSOR_BLANK]);
}

void main()
{
    uint i = (gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * gl_WorkGroupSize.x +
             gl_LocalInvocationID.x;
    uint per_head = p.y_head / 2u;
    uint k = i % per_head, h = i / per_head % p.n_heads, t = i / per_head / p.n_heads;
    if (t >= p.n_tokens) {
        return;
    }
    lp_floats x = lp_floats(p.x), y = lp_floats(p.y);
    uint pairs = p.n_rotated / 2u;
    uint from = t * p.x_stride + h * p.head + p.first, to = t * p.y_stride + h * p.y_head;
    if (2u * k < p.n_front) {
        uint at = t * p.front_stride + h * p.n_front + 2u * k;
        lp_floats front = lp_floats(p.front);
        y.v[to + 2u * k] = front.v[at];
        y.v[to + 2u * k + 1u] = front.v[at + 1u];
        return;
    }
    k -= p.n_front / 2u;
    to += p.n_front;
    if (k >= pairs) {
        y.v[to + 2u * k] = x.v[from + 2u * k];
        y.v[to + 2u * k + 1u] = x.v[from + 2u * k + 1u];
        return;
    }
    uint position = uint(lp_ints(p.cursor).v[LP_CURSOR_POSITION]) + t;
    uint per_axis = TWO_AXES ? pairs / 2u : pairs;
    if (TWO_AXES) {
        position = position_of(position, k >= per_axis);
    }
    if (p.period > 0u) {
        position = p.place_after + (position + p.place_first) % p.period;
    }
    uint row = min(256u + (position >> 8u), p.table_rows - 1u); // past the context: never used
    lp_floats table = lp_floats(p.table);
    uint low = ((position & 255u) * pairs + k) * 2u, high = (row * pairs + k) * 2u;
    float ca = table.v[low], sa = table.v[low + 1u], cb = table.v[high], sb = table.v[high + 1u];
    float c = ca * cb - sa * sb, s = sa * cb + ca * sb;

    uint first = HALVES ? k + k / per_axis * per_axis : 2u * k;
    uint second = HALVES ? first + per_axis : 2u * k + 1u;
    float a = x.v[from + first], b = x.v[from + second];
    y.v[to + first] = a * c - b * s;
    y.v[to + second] = a * s + b * c;
}
