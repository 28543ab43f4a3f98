#version 460
// Does the shader compiler know GL_EXT_integer_dot_product?
#extension GL_EXT_integer_dot_product : require
layout(local_size_x = 32) in;
layout(push_constant) uniform Push { uint a; uint b; };
shared int sum[32];
void main()
{
    sum[gl_LocalInvocationIndex] = dotPacked4x8EXT(int(a), int(b));
}
