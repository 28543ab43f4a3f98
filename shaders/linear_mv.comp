// y [T, N] = x [T, K] w^T [N, K] with the epilogue, for few tokens: matrix times COLUMNS vectors.
//
// A team of LANES invocations takes ROWS rows of w (of both matrices, if gated) and walks them in
// chunks of W_CHUNK elements; sums are joined in shared memory, or by the subgroup in the variant
// SUBGROUP, where a team is a subgroup. LANES = 1 (CPU implementations): an invocation is a SIMD lane
// with rows of its own, the loads of x are uniform, and nothing is joined.
// Groups: x, y rows of w, split for devices that count only to 65535; z tiles of COLUMNS tokens (one
// with many matrices, where every row may have another, unless rows are grouped).
#version 460
#extension GL_GOOGLE_include_directive : require
#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif
#include "quant.glsl"
#include "epilogue.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint LANES = 64u; // a power of two, at most SIZE
layout(constant_id = 2) const uint ROWS = 2u;
layout(constant_id = 3) const uint COLUMNS = 1u;

const uint SIZE = gl_WorkGroupSize.x;
const uint TEAMS = SIZE / LANES;
const uint SUMS = ROWS * COLUMNS;
const uint GROUPS_OF_FOUR = W_CHUNK / 4u;

#ifndef SUBGROUP
const bool JOIN = LANES > 1u;
shared float parts[JOIN ? MATRICES * SUMS * SIZE : 1u];
#endif

float sums[SUMS], gate_sums[SUMS];

// sums, gate_sums += chunk i of the rows times all columns. Both matrices in one walk: as two, the
// compiler would keep all of x in registers for the second.
void add_chunk(lp_chunk w[ROWS], lp_chunk v[ROWS], uvec2 x_rows[COLUMNS], uint i)
{
    float part[SUMS], gate_part[SUMS];
    [[unroll]] for (uint s = 0u; s < SUMS; s++) {
        part[s] = W_UNSCALED ? 0.0 : sums[s];
        gate_part[s] = W_UNSCALED ? 0.0 : gate_sums[s];
    }
    [[unroll]] for (uint g = 0u; g < GROUPS_OF_FOUR; g++) {
        vec4 w4[ROWS], v4[ROWS];
        [[unroll]] for (uint r = 0u; r < ROWS; r++) {
            w4[r] = lp_chunk_four(w[r], g);
            if (HAS_GATE)
                v4[r] = lp_chunk_four(v[r], g);
        }
        [[unroll]] for (uint c = 0u; c < COLUMNS; c++) {
            vec4 x = lp_x_four(x_rows[c], 0u, i * W_CHUNK + 4u * g);
            [[unroll]] for (uint r = 0u; r < ROWS; r++) {
                const uint s = r * COLUMNS + c;
                part[s] = lp_dot_add(w4[r], x, part[s]);
                if (HAS_GATE)
                    gate_part[s] = lp_dot_add(v4[r], x, gate_part[s]);
            }
        }
    }
    [[unroll]] for (uint s = 0u; s < SUMS; s++) {
        sums[s] = W_UNSCALED ? fma(w[s / COLUMNS].scale, part[s], sums[s]) : part[s];
        if (HAS_GATE)
            gate_sums[s] = W_UNSCALED ? fma(v[s / COLUMNS].scale, gate_part[s], gate_sums[s])
                                       : gate_part[s];
    }
}

void store(lp_tile tile, uint column, uint n, float value, float gate)
{
    if (column < tile.n)
        lp_linear_store(tile, lp_tile_row(tile, column), n, value, gate);
}

void main()
{
#ifdef SUBGROUP
    const uint team = LANES > 1u ? gl_SubgroupID : gl_LocalInvocationID.x;
    const uint lane = LANES > 1u ? gl_SubgroupInvocationID : 0u;
#else
    const uint team = gl_LocalInvocationID.x / LANES, lane = gl_LocalInvocationID.x % LANES;
#endif
    const uint group = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
    const uint n0 = group * TEAMS * ROWS; // of the workgroup
    const uint my_n = team * ROWS;
    const lp_tile tile = lp_tile_at(gl_WorkGroupID.z, COLUMNS);
    if (n0 >= p.n_outputs || (GROUPED && tile.n == 0u))
        return;

    // Rows and tokens past the end repeat the last one; they are not stored.
    const uint n_rows = p.n_experts * p.n_outputs, first = tile.expert * p.n_outputs + n0;
    const lp_weight w = lp_weight_at(p.w, n_rows, p.n_inputs, first);
    const lp_weight v = lp_weight_at(p.gate, n_rows, p.n_inputs, first);
    uint rows[ROWS];
    uvec2 x_rows[COLUMNS];
    [[unroll]] for (uint r = 0u; r < ROWS; r++)
        rows[r] = min(my_n + r, p.n_outputs - 1u - n0);
    [[unroll]] for (uint c = 0u; c < COLUMNS; c++) {
        const uint row = lp_tile_base(tile) + lp_tile_row(tile, min(c, tile.n - 1u));
        x_rows[c] = lp_row_words(p.x, lp_x_of(row), p.x_stride);
    }
    [[unroll]] for (uint s = 0u; s < SUMS; s++) {
        sums[s] = 0.0;
        gate_sums[s] = 0.0;
    }

    const uint n_chunks = (p.n_inputs + W_CHUNK - 1u) / W_CHUNK;
    for (uint i = lane; i < n_chunks; i += LANES) {
        lp_chunk chunks[ROWS], gates[ROWS];
        [[unroll]] for (uint r = 0u; r < ROWS; r++) {
            chunks[r] = lp_chunk_load(w, rows[r], i);
            if (HAS_GATE)
                gates[r] = lp_chunk_load(v, rows[r], i);
        }
        add_chunk(chunks, gates, x_rows, i);
    }

#ifdef SUBGROUP
    [[unroll]] for (uint s = 0u; s < SUMS; s++) {
        float value = sums[s], gate = gate_sums[s];
        if (LANES > 1u) {
            value = subgroupAdd(value);
            if (HAS_GATE)
                gate = subgroupAdd(gate);
        }
        if (lane == s % LANES)
            store(tile, s % COLUMNS, n0 + my_n + s / COLUMNS, value, gate);
    }
#else
    if (!JOIN) {
        [[unroll]] for (uint s = 0u; s < SUMS; s++)
            store(tile, s % COLUMNS, n0 + my_n + s / COLUMNS, sums[s], gate_sums[s]);
        return;
    }
    const uint me = gl_LocalInvocationID.x;
    [[unroll]] for (uint s = 0u; s < SUMS; s++) {
        parts[s * SIZE + me] = sums[s];
        if (HAS_GATE)
            parts[(SUMS + s) * SIZE + me] = gate_sums[s];
    }
    for (uint half_team = LANES / 2u; half_team > 0u; half_team /= 2u) {
        barrier();
        if (lane < half_team)
            [[unroll]] for (uint s = 0u; s < MATRICES * SUMS; s++)
                parts[s * SIZE + me] += parts[s * SIZE + me + half_team];
    }
    barrier();
    for (uint s = lane; s < SUMS; s += LANES) {
        float gate = HAS_GATE ? parts[(SUMS + s) * SIZE + team * LANES] : 0.0;
        store(tile, s % COLUMNS, n0 + my_n + s / COLUMNS, parts[s * SIZE + team * LANES], gate);
    }
#endif
}
