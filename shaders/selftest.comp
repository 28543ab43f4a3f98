// The arithmetic of common.glsl on given values, for tests: what every other kernel relies on and no
// result of theirs would show clearly. Per invocation, in [n, 6] words: address low, high, row, stride,
// two floats by their bits; out [n, 8] words: lp_row(), lp_offset() by the stride, lp_row_words(), the
// floats as halves, and the low half of the first word as a float.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(push_constant, std430) uniform push_block {
    lp_selftest_params p;
};
layout(local_size_x_id = 0) in;

void main()
{
    const uint i = gl_GlobalInvocationID.x;
    if (i >= p.n)
        return;
    lp_words from = lp_words(p.from), to = lp_words(p.to);
    const uvec2 address = uvec2(from.v[6u * i], from.v[6u * i + 1u]);
    const uint row = from.v[6u * i + 2u], stride = from.v[6u * i + 3u];
    const vec2 x = uintBitsToFloat(uvec2(from.v[6u * i + 4u], from.v[6u * i + 5u]));

    const uvec2 a = lp_row(address, row, stride), b = lp_offset(address, stride);
    const uvec2 c = lp_row_words(address, row, stride & 0x3fffffffu);
    const uint words[8] = {a.x, a.y, b.x, b.y, c.x, c.y, lp_pack_halves(x.x, x.y),
                           floatBitsToUint(unpackHalf2x16(address.x).x)};
    [[unroll]] for (uint k = 0u; k < 8u; k++)
        to.v[8u * i + k] = words[k];
}
