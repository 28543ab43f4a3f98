// Additive attention: scores[j] = align . tanh(query + keys[j]) of the source's tokens; src/ops/gated.c.
// One workgroup per key.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "gated.glsl"
#include "state.glsl"

layout(push_constant, std430) uniform push_block {
    lp_gated_scores_params p;
};

void main()
{
    const uint j = lp_gated_group();
    if (j >= p.n_keys || int(j) >= lp_ints(p.cursor).v[LP_CURSOR_SOURCE])
        return;
    const uvec2 key = lp_row_words(p.keys, j, p.n_align);
    float sum = 0.0;
    for (uint k = gl_LocalInvocationID.x; k < p.n_align; k += SIZE)
        sum = fma(lp_floats(p.align).v[k],
                  lp_tanh(lp_floats(p.query).v[k] + lp_floats(key).v[k]), sum);
    sum = lp_gated_combine(sum, false);
    if (gl_LocalInvocationID.x == 0u)
        lp_floats(p.scores).v[j] = sum;
}
