// The state after token t: y[t] = (1 - z) s' + z tanh(n + U_n (r s')), from gates = r s', z, n [3 n] and
// the rows of u from 2 n on (src/ops/gated.c). One workgroup per unit.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "gated.glsl"

layout(push_constant, std430) uniform push_block {
    lp_gated_state_params p;
};

void main()
{
    const uint j = lp_gated_group();
    if (j >= p.n)
        return;
    const float product = lp_gated_dot(lp_row_words(p.u, 2u * p.n + j, p.n), p.gates, p.n);
    if (gl_LocalInvocationID.x != 0u)
        return;
    const float z = lp_floats(p.gates).v[p.n + j];
    const float n = lp_tanh(lp_floats(p.gates).v[2u * p.n + j] + product);
    lp_floats(lp_row_words(p.y, p.t, p.y_stride)).v[j] =
        (1.0 - z) * lp_floats(p.before).v[j] + z * n;
}
