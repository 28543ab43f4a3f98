// New keys or values x [T, G, D] f32 go to rows position + t of the cache [C, G, D]. One invocation
// per two elements: in an f16 cache they are one 32-bit word, so no 16-bit stores are needed.
// Rows from C on are dropped: the tokens that would need them are discarded by the host.
//
// KV_F16 or KV_F32: the cache's type. Q8_0 has kv_write_q8_0.comp.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "state.glsl"

layout(local_size_x_id = 0) in;

layout(push_constant) uniform push_block
{
    lp_kv_write_params p;
};

void main()
{
    uint i = (gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * gl_WorkGroupSize.x +
             gl_LocalInvocationID.x;
    uint pairs = p.row / 2u, k = i % pairs, t = i / pairs;
    uint row = uint(lp_ints(p.cursor).v[LP_CURSOR_POSITION]) + t; // a negative one is large
    if (t >= p.n_tokens || row >= p.cache_rows) {
        return;
    }
    uint from = t * p.x_stride + 2u * k, to = row * p.row + 2u * k; // uniform bases, short indices
    float a = lp_floats(p.x).v[from], b = lp_floats(p.x).v[from + 1u];
#ifdef KV_F16
    lp_words(p.cache).v[to / 2u] = lp_pack_halves(a, b);
#else
    lp_floats(p.cache).v[to] = a;
    lp_floats(p.cache).v[to + 1u] = b;
#endif
}
