#version 460
// Does the shader compiler know GL_NV_cooperative_matrix2 with tensor addressing?
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_NV_cooperative_matrix2 : require
layout(local_size_x = 128) in;
layout(buffer_reference, std430, buffer_reference_align = 16) buffer Halves { float16_t v[]; };
layout(push_constant) uniform Push { uvec2 a; };
void main()
{
    tensorLayoutNV<2> t = createTensorLayoutNV(2);
    t = setTensorLayoutDimensionNV(t, 64u, 64u);
    coopmat<float16_t, gl_ScopeWorkgroup, 64, 64, gl_MatrixUseA> m;
    coopMatLoadTensorNV(m, Halves(a).v, 0u, sliceTensorLayoutNV(t, 0u, 64u, 0u, 64u));
    coopMatStoreTensorNV(m, Halves(a).v, 0u, sliceTensorLayoutNV(t, 0u, 64u, 0u, 64u));
}
