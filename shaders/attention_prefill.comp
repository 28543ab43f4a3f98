// Attention of many tokens: flash attention (Dao et al. 2022, arXiv:2205.14135), in f32.
//
// A workgroup owns a tile of query rows of one K/V head and walks over tiles of keys. Invocation
// (rows, column) with 8 columns: ROWS rows interleaved by workgroup / 8, keys 4 c ... 4 c + 3 of
// every 32, output elements 4 c ... 4 c + 3 of every 32. Keys and values pass through shared memory
// in chunks of 32 of their elements, so heads of any size fit in 16 KiB. Tiles that no row sees are
// never visited, and keys past the last visible one are never read.
//
// groups: x tiles of rows, y K/V heads.   KV_F16, KV_F32 or KV_Q8_0: the cache's type.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "state.glsl"
#include "attention.glsl"

layout(constant_id = 6) const bool RESIDENT = false; // all of q's tile stays in shared memory

const uint ROW_GROUPS = gl_WorkGroupSize.x / 8u, TILE_ROWS = ROW_GROUPS * ROWS;
const uint KEY_GROUPS = KEYS / 32u; // of 4 keys, per invocation
const uint DK_CHUNKS = (DK + 31u) / 32u, DV_CHUNKS = (DV + 31u) / 32u;
const uint Q_STRIDE = (RESIDENT ? DK_CHUNKS * 8u : 8u) + 1u, P_STRIDE = KEYS / 4u + 1u;

shared vec4 queries[TILE_ROWS * Q_STRIDE];
shared vec4 tile[KEYS * 9u]; // a chunk of keys or values
shared vec4 weights[TILE_ROWS * P_STRIDE];
shared float partial[TILE_ROWS * 8u];

void load_queries(uint row0, uint g, uint first, uint n)
{
    for (uint i = gl_LocalInvocationID.x; i < TILE_ROWS * n; i += gl_WorkGroupSize.x) {
        uint row = i / n, at = i % n;
        queries[row * Q_STRIDE + at] = load_query(row0 + row, g, first + at);
    }
}

void load_tile(uvec2 cache, uint stride, uint g, uint size, uint chunk, int key0, int end)
{
    cache_head rows = cache_from(cache, key0, stride, g, size);
    for (uint i = gl_LocalInvocationID.x; i < KEYS * 8u; i += gl_WorkGroupSize.x) {
        uint k = i / 8u;
        vec4 x = vec4(0.0);
        if (key0 + int(k) < end) {
            x = load4(rows, k, 8u * chunk + i % 8u, size);
        }
        tile[k * 9u + i % 8u] = x;
    }
}

void main()
{
    uint c = gl_LocalInvocationID.x % 8u, group = gl_LocalInvocationID.x / 8u;
    uint g = gl_WorkGroupID.y, heads = group_heads(), n_rows = p.n_tokens * heads;
    uint row0 = (p.first_block + gl_WorkGroupID.x) * TILE_ROWS;
    uint token0 = row0 / heads, token1 = (min(row0 + TILE_ROWS, n_rows) - 1u) / heads;
    int first = seen_first(token0), end = seen_end(token1);

    vec4 sum[ROWS * DV_CHUNKS];
    float largest[ROWS], total[ROWS];
    query_row rows[ROWS];
    [[unroll]] for (uint i = 0u; i < ROWS; i++) {
        rows[i] = query_of(row0 + i * ROW_GROUPS + group, g);
        largest[i] = first_largest(rows[i]);
        total[i] = first_total(c == 0u);
        [[unroll]] for (uint d = 0u; d < DV_CHUNKS; d++) {
            sum[i * DV_CHUNKS + d] = vec4(0.0);
        }
    }
    if (RESIDENT) {
        load_queries(row0, g, 0u, DK_CHUNKS * 8u);
    }

    for (int key0 = first; key0 < end; key0 += int(KEYS)) {
        if (hidden(key0, min(key0 + int(KEYS), end), token0, token1)) {
            continue;
        }
        // scores
        vec4 s[ROWS * KEY_GROUPS];
        [[unroll]] for (uint i = 0u; i < ROWS * KEY_GROUPS; i++) {
            s[i] = vec4(0.0);
        }
        for (uint chunk = 0u; chunk < DK_CHUNKS; chunk++) {
            if (!RESIDENT) {
                load_queries(row0, g, 8u * chunk, 8u);
            }
            load_tile(p.keys, p.key_stride, g, DK, chunk, key0, end);
            barrier();
            for (uint d = 0u; d < 8u; d++) {
                vec4 q[ROWS];
                [[unroll]] for (uint i = 0u; i < ROWS; i++) {
                    q[i] = queries[(i * ROW_GROUPS + group) * Q_STRIDE +
                                   (RESIDENT ? 8u * chunk : 0u) + d];
                }
                [[unroll]] for (uint k = 0u; k < KEY_GROUPS; k++) {
                    uint at = (32u * k + 4u * c) * 9u + d;
                    vec4 k0 = tile[at], k1 = tile[at + 9u], k2 = tile[at + 18u], k3 = tile[at + 27u];
                    [[unroll]] for (uint i = 0u; i < ROWS; i++) {
                        s[i * KEY_GROUPS + k] += vec4(dot(q[i], k0), dot(q[i], k1),
                                                      dot(q[i], k2), dot(q[i], k3));
                    }
                }
            }
            barrier();
        }

        // mask, and the largest score of every row
        [[unroll]] for (uint i = 0u; i < ROWS; i++) {
            float most = NONE;
            [[unroll]] for (uint k = 0u; k < KEY_GROUPS; k++) {
                int j = key0 + int(32u * k + 4u * c);
                vec4 x = s[i * KEY_GROUPS + k];
                x = vec4(seen_score(rows[i], j, x.x), seen_score(rows[i], j + 1, x.y),
                         seen_score(rows[i], j + 2, x.z), seen_score(rows[i], j + 3, x.w));
                s[i * KEY_GROUPS + k] = x;
                most = max(most, max(max(x.x, x.y), max(x.z, x.w)));
            }
            partial[(i * ROW_GROUPS + group) * 8u + c] = most;
        }
        barrier();

        // weights; everything so far is rescaled to the new largest score
        [[unroll]] for (uint i = 0u; i < ROWS; i++) {
            uint row = i * ROW_GROUPS + group;
            float most = largest[i];
            for (uint k = 0u; k < 8u; k++) {
                most = max(most, partial[row * 8u + k]);
            }
            float shrink = exp(largest[i] - most);
            largest[i] = most;
            total[i] *= shrink;
            [[unroll]] for (uint d = 0u; d < DV_CHUNKS; d++) {
                sum[i * DV_CHUNKS + d] *= shrink;
            }
            [[unroll]] for (uint k = 0u; k < KEY_GROUPS; k++) {
                vec4 x = s[i * KEY_GROUPS + k];
                vec4 w = mix(exp(x - most), vec4(0.0), equal(x, vec4(NONE)));
                total[i] += w.x + w.y + w.z + w.w;
                weights[row * P_STRIDE + 8u * k + c] = w;
            }
        }

        // values
        [[unroll]] for (uint d = 0u; d < DV_CHUNKS; d++) {
            load_tile(p.values, p.value_stride, g, DV, d, key0, end);
            barrier();
            for (uint k = 0u; k < KEYS / 4u; k++) {
                uint at = 4u * k * 9u + c;
                vec4 v0 = tile[at], v1 = tile[at + 9u], v2 = tile[at + 18u], v3 = tile[at + 27u];
                [[unroll]] for (uint i = 0u; i < ROWS; i++) {
                    vec4 w = weights[(i * ROW_GROUPS + group) * P_STRIDE + k];
                    sum[i * DV_CHUNKS + d] += w.x * v0 + w.y * v1 + w.z * v2 + w.w * v3;
                }
            }
            barrier();
        }
    }

    [[unroll]] for (uint i = 0u; i < ROWS; i++) {
        partial[(i * ROW_GROUPS + group) * 8u + c] = total[i];
    }
    barrier();
    [[unroll]] for (uint i = 0u; i < ROWS; i++) {
        uint row = i * ROW_GROUPS + group;
        float all = 0.0;
        for (uint k = 0u; k < 8u; k++) {
            all += partial[row * 8u + k];
        }
        if (row0 + row >= n_rows) {
            continue;
        }
        [[unroll]] for (uint d = 0u; d < DV_CHUNKS; d++) {
            if (32u * d + 4u * c < DV) { // a row that sees no key is zero
                vec4 y = all == 0.0 ? vec4(0.0) : sum[i * DV_CHUNKS + d] / all;
                store_output(row0 + row, g, 8u * d + c, y);
            }
        }
    }
}
