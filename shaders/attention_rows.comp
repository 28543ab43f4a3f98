// Attention of many tokens on a CPU implementation of Vulkan: ROWS query rows per invocation.
//
// There the invocations of a subgroup are lanes of a vector, a load from an address that differs
// between them is a load per lane, and shared memory is no faster than any other. So nothing is
// shared and every key and value is loaded from an address that is the same in all invocations: one
// scalar load for all lanes. Online softmax as in attention_prefill.comp, over tiles of KEYS keys.
// Tiles begin at multiples of KEYS, and one that a row does not see leaves it as it is, to the bit: a
// row's result does not depend on the rows beside it.
//
// groups: x blocks of rows, y K/V heads.   KV_F16, KV_F32 or KV_Q8_0: the cache's type.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "state.glsl"
#include "attention.glsl"

void main()
{
    const uint TILE_ROWS = gl_WorkGroupSize.x * ROWS;
    uint g = gl_WorkGroupID.y, heads = group_heads(), n_rows = p.n_tokens * heads;
    uint row0 = (p.first_block + gl_WorkGroupID.x) * TILE_ROWS;
    uint token0 = row0 / heads, token1 = (min(row0 + TILE_ROWS, n_rows) - 1u) / heads;
    int first = seen_first(token0) / int(KEYS) * int(KEYS), end = seen_end(token1);

    vec4 q[ROWS * DK4], sum[ROWS * DV4];
    float largest[ROWS], total[ROWS];
    query_row rows[ROWS];
    [[unroll]] for (uint r = 0u; r < ROWS; r++) {
        uint row = row0 + r * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
        rows[r] = query_of(row, g);
        rows[r].to = min(rows[r].to, end); // past the last row
        largest[r] = first_largest(rows[r]);
        total[r] = first_total(true);
        [[unroll]] for (uint i = 0u; i < DK4; i++) {
            q[r * DK4 + i] = load_query(row, g, i); // zero past the last row
        }
        [[unroll]] for (uint i = 0u; i < DV4; i++) {
            sum[r * DV4 + i] = vec4(0.0);
        }
    }
    for (int key0 = first; key0 < end; key0 += int(KEYS)) {
        if (hidden(key0, min(key0 + int(KEYS), end), token0, token1)) {
            continue;
        }
        cache_head keys = cache_from(p.keys, key0, p.key_stride, g, DK);
        cache_head values = cache_from(p.values, key0, p.value_stride, g, DV);
        uint last = min(KEYS, uint(end - key0)) - 1u; // read again for the keys past it
        float s[ROWS * KEYS];
        [[unroll]] for (uint k = 0u; k < ROWS * KEYS; k++) {
            s[k] = 0.0;
        }
        [[unroll]] for (uint i = 0u; i < DK4; i++) {
            [[unroll]] for (uint k = 0u; k < KEYS; k++) {
                vec4 x = load4(keys, min(k, last), i, DK);
                [[unroll]] for (uint r = 0u; r < ROWS; r++) {
                    vec4 y = q[r * DK4 + i];
                    s[r * KEYS + k] =
                        fma(x.w, y.w, fma(x.z, y.z, fma(x.y, y.y, fma(x.x, y.x, s[r * KEYS + k]))));
                }
            }
        }
        float shrink[ROWS];
        [[unroll]] for (uint r = 0u; r < ROWS; r++) {
            float most = largest[r];
            [[unroll]] for (uint k = 0u; k < KEYS; k++) {
                float x = seen_score(rows[r], key0 + int(k), s[r * KEYS + k]);
                s[r * KEYS + k] = x;
                most = max(most, x);
            }
            shrink[r] = most == largest[r] ? 1.0 : exp(largest[r] - most);
            largest[r] = most;
            total[r] *= shrink[r];
            [[unroll]] for (uint k = 0u; k < KEYS; k++) {
                float x = s[r * KEYS + k];
                x = x == NONE ? 0.0 : exp(x - most);
                s[r * KEYS + k] = x;
                total[r] += x;
            }
        }
        [[unroll]] for (uint i = 0u; i < DV4; i++) {
            [[unroll]] for (uint r = 0u; r < ROWS; r++) {
                sum[r * DV4 + i] *= shrink[r];
            }
            [[unroll]] for (uint k = 0u; k < KEYS; k++) {
                vec4 x = load4(values, min(k, last), i, DV);
                [[unroll]] for (uint r = 0u; r < ROWS; r++) {
                    sum[r * DV4 + i] = fma(vec4(s[r * KEYS + k]), x, sum[r * DV4 + i]);
                }
            }
        }
    }
    [[unroll]] for (uint r = 0u; r < ROWS; r++) {
        uint row = row0 + r * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
        if (row < n_rows) {
            [[unroll]] for (uint i = 0u; i < DV4; i++) { // a row that sees no key is zero
                store_output(row, g, i, total[r] == 0.0 ? vec4(0.0) : sum[r * DV4 + i] / total[r]);
            }
        }
    }
}
