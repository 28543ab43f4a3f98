// Faults planted on purpose, to see that checks find them: changes chosen elements of what a node
// has just computed. Not part of an ordinary build (see src/check/faults.h).
//
// Elements first, first + step, ... (count of them) of y [., n], counted through its rows.
// Groups: x, y pieces of SIZE of these elements.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(push_constant, std430) uniform push_block {
    lp_fault_params p;
};
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint MODE = 0u; // as in src/check/fault_table.c

const uint SET = 0u, MULTIPLY = 1u, ADD_VECTOR = 2u, HALF = 3u, MASK = 4u;

void main()
{
    const uint group = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
    const uint k = group * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (k >= p.count)
        return;
    if (lp_present(p.counter)) { // with a counter there is one element only
        const uint runs = lp_words(p.counter).v[0];
        lp_words(p.counter).v[0] = runs + 1u;
        if (runs % p.every != p.every - 1u)
            return;
    }
    const uint i = p.first + k * p.step, column = i % p.n;
    lp_floats y = lp_floats(p.y); // the same address everywhere: see quant.glsl
    const uint at = i / p.n * p.y_stride + column;
    const float x = y.v[at];
    switch (MODE) {
    case SET:
        y.v[at] = uintBitsToFloat(p.bits);
        break;
    case MULTIPLY:
        y.v[at] = x * uintBitsToFloat(p.bits);
        break;
    case ADD_VECTOR:
        y.v[at] = x + lp_floats(p.vector).v[column];
        break;
    case HALF: {
        const float unit = uintBitsToFloat(p.bits);
        y.v[at] = unpackHalf2x16(lp_half_bits(x / unit)).x * unit;
        break;
    }
    case MASK:
        y.v[at] = uintBitsToFloat(floatBitsToUint(x) & p.bits);
        break;
    }
}
