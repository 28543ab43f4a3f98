// Attention of few tokens: the keys are split over workgroups (Flash-Decoding, Dao et al. 2023).
//
// A workgroup owns ROWS query rows of one K/V head and a share of the visible keys, which it walks
// in tiles of KEYS: one key per invocation for the scores, then four output elements per invocation,
// the keys of the tile dealt to as many invocations as there are left. The share is computed from
// the cursor, so that one recorded plan serves every length and all workgroups stay busy. With one
// split y is written; otherwise the unnormalised sum, its largest score and its total, which
// attention_merge.comp puts together. A split without keys has total 0 and writes no sum.
//
// groups: x blocks of rows, y K/V heads, z splits.   KV_F16, KV_F32 or KV_Q8_0: the cache's type.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "state.glsl"
#include "attention.glsl"

layout(constant_id = 6) const bool SPLIT = false;

const uint SIZE = gl_WorkGroupSize.x;
const uint DK8 = (DK + 7u) / 8u;
const uint LANES = SIZE / ROWS < 16u ? SIZE / ROWS : 16u; // per row in the softmax
const uint COLUMNS = DV4 < SIZE ? DV4 : SIZE, DEALS = SIZE / COLUMNS;
const uint PASSES = (DV4 + SIZE - 1u) / SIZE; // over the output elements

shared vec4 queries[ROWS * DK8 * 2u];
shared float weights[ROWS * KEYS];
shared float partial[ROWS * LANES], shrinks[ROWS];
shared vec4 sums[SIZE];

void main()
{
    uint id = gl_LocalInvocationID.x, g = gl_WorkGroupID.y, heads = group_heads();
    uint n_rows = p.n_tokens * heads, row0 = (p.first_block + gl_WorkGroupID.x) * ROWS;
    uint token0 = row0 / heads, token1 = (min(row0 + ROWS, n_rows) - 1u) / heads;
    int first = seen_first(token0), end = seen_end(token1);
    uint n_tiles = (uint(max(end - first, 0)) + KEYS - 1u) / KEYS;
    int share = int((n_tiles + gl_NumWorkGroups.z - 1u) / gl_NumWorkGroups.z * KEYS);
    first += int(gl_WorkGroupID.z) * share;
    end = min(end, first + share);

    for (uint i = id; i < ROWS * DK8 * 2u; i += SIZE) {
        queries[i] = load_query(row0 + i / (DK8 * 2u), g, i % (DK8 * 2u));
    }
    uint lane = id % LANES, row = id / LANES; // in the softmax
    uint column = id % COLUMNS, deal = id / COLUMNS;
    float largest = NONE, total = 0.0;
    if (gl_WorkGroupID.z == 0u) { // sinks are counted once
        largest = first_largest(query_of(row0 + row, g));
        total = first_total(lane == 0u);
    }
    query_row rows[ROWS];
    [[unroll]] for (uint r = 0u; r < ROWS; r++) {
        rows[r] = query_of(row0 + r, g);
        rows[r].to = min(rows[r].to, end); // of this split
    }
    vec4 sum[ROWS * PASSES];
    [[unroll]] for (uint i = 0u; i < ROWS * PASSES; i++) {
        sum[i] = vec4(0.0);
    }
    barrier();

    for (int key0 = first; key0 < end; key0 += int(KEYS)) {
        if (hidden(key0, min(key0 + int(KEYS), end), token0, token1)) {
            continue;
        }
        // scores
        cache_head keys = cache_from(p.keys, key0, p.key_stride, g, DK);
        cache_head values = cache_from(p.values, key0, p.value_stride, g, DV);
        for (uint k = id; k < KEYS; k += SIZE) {
            float s[ROWS];
            [[unroll]] for (uint r = 0u; r < ROWS; r++) {
                s[r] = 0.0;
            }
            int j = key0 + int(k);
            if (j < end) {
                for (uint i = 0u; i < DK8; i++) {
                    vec4 a, b;
                    load8(keys, k, i, DK, a, b);
                    [[unroll]] for (uint r = 0u; r < ROWS; r++) {
                        s[r] += dot(queries[(r * DK8 + i) * 2u], a) +
                                dot(queries[(r * DK8 + i) * 2u + 1u], b);
                    }
                }
            }
            [[unroll]] for (uint r = 0u; r < ROWS; r++) {
                weights[r * KEYS + k] = seen_score(rows[r], j, s[r]);
            }
        }
        barrier();

        // softmax
        if (row < ROWS) {
            float most = NONE;
            for (uint k = lane; k < KEYS; k += LANES) {
                most = max(most, weights[row * KEYS + k]);
            }
            partial[row * LANES + lane] = most;
        }
        barrier();
        if (row < ROWS) {
            float most = largest;
            for (uint k = 0u; k < LANES; k++) {
                most = max(most, partial[row * LANES + k]);
            }
            float shrink = exp(largest - most);
            largest = most;
            total *= shrink;
            for (uint k = lane; k < KEYS; k += LANES) {
                float x = weights[row * KEYS + k];
                float w = x == NONE ? 0.0 : exp(x - most);
                total += w;
                weights[row * KEYS + k] = w;
            }
            if (lane == 0u) {
                shrinks[row] = shrink;
            }
        }
        barrier();

        // values
        [[unroll]] for (uint r = 0u; r < ROWS; r++) {
            [[unroll]] for (uint pass = 0u; pass < PASSES; pass++) {
                sum[r * PASSES + pass] *= shrinks[r];
            }
        }
        if (deal < DEALS) {
            uint n = min(KEYS, uint(end - key0));
            for (uint k = deal; k < n; k += DEALS) {
                [[unroll]] for (uint pass = 0u; pass < PASSES; pass++) {
                    vec4 v = load4(values, k, column + pass * SIZE, DV);
                    [[unroll]] for (uint r = 0u; r < ROWS; r++) {
                        sum[r * PASSES + pass] += weights[r * KEYS + k] * v;
                    }
                }
            }
        }
        barrier();
    }

    if (row < ROWS) {
        partial[row * LANES + lane] = total;
    }
    [[unroll]] for (uint r = 0u; r < ROWS; r++) {
        [[unroll]] for (uint pass = 0u; pass < PASSES; pass++) {
            sums[id] = sum[r * PASSES + pass];
            barrier();
            uint at = id + pass * SIZE;
            if (id < COLUMNS && at < DV4 && row0 + r < n_rows) {
                vec4 x = vec4(0.0);
                [[dont_unroll]] for (uint k = 0u; k < DEALS; k++) {
                    x += sums[k * COLUMNS + id];
                }
                float all = 0.0;
                [[dont_unroll]] for (uint k = 0u; k < LANES; k++) {
                    all += partial[r * LANES + k];
                }
                uint slot = (g * n_rows + row0 + r) * gl_NumWorkGroups.z + gl_WorkGroupID.z;
                if (!SPLIT) { // a row that sees no key is zero
                    store_output(row0 + r, g, at, all == 0.0 ? vec4(0.0) : x / all);
                } else if (all != 0.0) {
                    store4(slot * DV, at, x);
                }
                if (SPLIT && at == 0u) {
                    lp_floats(p.stats).v[2u * slot + 1u] = all;
                }
            }
            barrier();
        }
    }
    if (SPLIT && row < ROWS && lane == 0u && row0 + row < n_rows) {
        uint slot = (g * n_rows + row0 + row) * gl_NumWorkGroups.z + gl_WorkGroupID.z;
        lp_floats(p.stats).v[2u * slot] = largest;
    }
}
