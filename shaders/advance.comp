// cursor.position += advance, for batches after which nothing is drawn.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "state.glsl"

layout(local_size_x_id = 0) in;

layout(push_constant) uniform push_block
{
    lp_advance_params p;
};

void main()
{
    if (gl_GlobalInvocationID.x == 0u) {
        lp_ints(p.cursor).v[LP_CURSOR_POSITION] += int(p.advance);
    }
}
