// New keys or values x [T, G, D] f32 go to rows position + t of a cache [C, G, D] of Q8_0, whose rows
// src/tensor/state.h describes, with the rule for the quants that lp_state_store() follows, too. One
// invocation per four elements, a word of quants; eight make a block, sixteen write a word of scales.
// Rows from C on are dropped: the tokens that would need them are discarded by the host.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "state.glsl"

layout(local_size_x_id = 0) in; // a multiple of 16

layout(push_constant) uniform push_block
{
    lp_kv_write_params p;
};

const uint SIZE = gl_WorkGroupSize.x, HALF_NAN = 0x7e00u;

shared uint shared_words[SIZE];

// The bits of 127 d; those of numbers that are not negative are in their order.
uint reach(uint scale)
{
    return floatBitsToUint(127.0 * unpackHalf2x16(scale).x);
}

// The scale of a block. largest: bits of its largest |x|.
uint scale_of(uint largest)
{
    if (largest > floatBitsToUint(127.0 * 65504.0)) {
        return HALF_NAN;
    }
    uint near = lp_half_bits(uintBitsToFloat(largest) * (1.0 / 127.0));
    return near + uint(reach(near) < largest);
}

// The quant of x, as a byte.
uint quant_of(float x, uint scale)
{
    if (scale == 0u || scale == HALF_NAN) {
        return min(scale, 1u);
    }
    float d = unpackHalf2x16(scale).x;
    uint size = floatBitsToUint(x) & 0x7fffffffu;
    float q = floor(uintBitsToFloat(size) / d + 0.5);
    if (floatBitsToUint((q + 0.5) * d) <= size) {
        q += 1.0;
    } else if (q > 0.0 && floatBitsToUint((q - 0.5) * d) > size) {
        q -= 1.0;
    }
    int signed = int(q);
    return uint((floatBitsToUint(x) >> 31) != 0u ? -signed : signed) & 0xffu;
}

void main()
{
    uint id = gl_LocalInvocationID.x;
    uint i = (gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * SIZE + id;
    uint words = (p.row + 63u) / 64u * 16u, k = i % words, t = i / words; // of a padded row
    uint row = uint(lp_ints(p.cursor).v[LP_CURSOR_POSITION]) + t; // a negative one is large
    bool live = t < p.n_tokens && row < p.cache_rows;

    vec4 x = vec4(0.0);
    uint from = t * p.x_stride + 4u * k;
    if (live && 4u * k < p.row) {
        x.x = lp_floats(p.x).v[from];
        x.y = lp_floats(p.x).v[from + 1u];
    }
    if (live && 4u * k + 2u < p.row) {
        x.z = lp_floats(p.x).v[from + 2u];
        x.w = lp_floats(p.x).v[from + 3u];
    }
    uvec4 size = floatBitsToUint(x) & 0x7fffffffu; // NaN is the largest
    shared_words[id] = max(max(size.x, size.y), max(size.z, size.w));
    barrier();
    uint first = id / 8u * 8u, largest = 0u;
    for (uint j = 0u; j < 8u; j++) {
        largest = max(largest, shared_words[first + j]);
    }
    uint scale = scale_of(largest);
    barrier();
    shared_words[id] = scale;
    barrier();

    if (live) {
        lp_words cache = lp_words(p.cache);
        uint start = row * (words / 16u * 17u);
        cache.v[start + k] = quant_of(x.x, scale) | (quant_of(x.y, scale) << 8) |
                             (quant_of(x.z, scale) << 16) | (quant_of(x.w, scale) << 24);
        if (k % 16u == 0u) {
            cache.v[start + words + k / 16u] = scale | (shared_words[id + 8u] << 16);
        }
    }
}
