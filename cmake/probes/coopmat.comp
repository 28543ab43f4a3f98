#version 460
// Does the shader compiler know GL_KHR_cooperative_matrix, loading through a buffer reference?
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_cooperative_matrix : require
layout(local_size_x = 32) in;
layout(buffer_reference, std430, buffer_reference_align = 16) buffer Halves { float16_t v[]; };
layout(push_constant) uniform Push { uvec2 a; uvec2 c; };
void main()
{
    coopmat<float16_t, gl_ScopeSubgroup, 16, 16, gl_MatrixUseA> m;
    coopMatLoad(m, Halves(a).v, 0u, 16u, gl_CooperativeMatrixLayoutRowMajor);
    coopMatStore(m, Halves(c).v, 0u, 16u, gl_CooperativeMatrixLayoutRowMajor);
}
