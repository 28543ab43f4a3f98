// Puts the splits of attention_decode.comp together: y = sum exp(m_s - m) x_s / sum exp(m_s - m) l_s
// over the splits s that saw a key. One invocation per output element.
//
// partial [G, rows, splits, Dv], stats [G, rows, splits, (m, l)], y [T, H, Dv]; a row is (token,
// head of the group).
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(local_size_x_id = 0) in;

layout(push_constant) uniform push_block
{
    lp_attention_merge_params p;
};

void main()
{
    uint i = (gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * gl_WorkGroupSize.x +
             gl_LocalInvocationID.x;
    uint d = i % p.head, h = i / p.head % p.n_heads, t = i / p.head / p.n_heads;
    if (t >= p.n_tokens) {
        return;
    }
    uint heads = p.n_heads / p.n_groups;
    uint slot = (h / heads * p.n_tokens * heads + t * heads + h % heads) * p.n_splits;
    lp_floats stats = lp_floats(p.stats);
    float largest = -3.4e38;
    for (uint s = slot; s < slot + p.n_splits; s++) {
        if (stats.v[2u * s + 1u] != 0.0) {
            largest = max(largest, stats.v[2u * s]);
        }
    }
    float sum = 0.0, total = 0.0;
    for (uint s = slot; s < slot + p.n_splits; s++) {
        float l = stats.v[2u * s + 1u];
        if (l != 0.0) {
            float w = exp(stats.v[2u * s] - largest);
            total += w * l;
            sum += w * lp_floats(p.partial).v[s * p.head + d];
        }
    }
    lp_floats(p.y).v[t * p.y_stride + h * p.head + d] = total == 0.0 ? 0.0 : sum / total;
}
