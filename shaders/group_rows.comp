// The rows of a linear with many matrices in the order of these, cut into tiles of at most TILE rows of
// one matrix, so that kernels for many tokens serve them: a counting sort, stable, so that a run gives
// the same bits every time. One group.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(push_constant, std430) uniform push_block {
    lp_group_rows_params p;
};
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint EXPERTS = 1u;
layout(constant_id = 2) const uint TILE = 16u;
layout(constant_id = 3) const uint HAS_ROUTES = 1u;

const uint SIZE = gl_WorkGroupSize.x;

shared uint counts[EXPERTS]; // rows of each; then where its next one goes
shared uint part_rows[SIZE], part_tiles[SIZE]; // of the experts that an invocation looks after
shared uint experts[SIZE]; // of the rows that are being placed

// What is no expert's number counts as 0, as in lp_expert_of().
uint expert_of(uint row)
{
    if (HAS_ROUTES == 0u)
        return row % EXPERTS;
    const float id = lp_floats(p.routes).v[row / p.n_slots * p.routes_stride + 2u * (row % p.n_slots)];
    return id >= 0.0 && id < float(EXPERTS) ? uint(id) : 0u;
}

void put_tiles(uint me)
{
    const uint share = (EXPERTS + SIZE - 1u) / SIZE;
    const uint begin = min(me * share, EXPERTS), end = min(begin + share, EXPERTS);
    uint n_rows = 0u, n_tiles = 0u;
    for (uint e = begin; e < end; e++) {
        n_rows += counts[e];
        n_tiles += (counts[e] + TILE - 1u) / TILE;
    }
    part_rows[me] = n_rows;
    part_tiles[me] = n_tiles;
    barrier();
    uint row = 0u, tile = 0u, n_used = 0u;
    for (uint i = 0u; i < SIZE; i++) {
        row += i < me ? part_rows[i] : 0u;
        tile += i < me ? part_tiles[i] : 0u;
        n_used += part_tiles[i];
    }
    for (uint e = begin; e < end; e++) {
        const uint n = counts[e];
        counts[e] = row;
        for (uint first = 0u; first < n; first += TILE)
            lp_words4(p.groups).v[tile++] = uvec4(e, row + first, min(TILE, n - first), 0u);
        row += n;
    }
    for (uint i = n_used + me; i < p.n_tiles; i += SIZE)
        lp_words4(p.groups).v[i] = uvec4(0u);
}

void main()
{
    const uint me = gl_LocalInvocationID.x;
    for (uint e = me; e < EXPERTS; e += SIZE)
        counts[e] = 0u;
    barrier();
    for (uint row = me; row < p.n_rows; row += SIZE)
        atomicAdd(counts[expert_of(row)], 1u);
    barrier();
    put_tiles(me);
    barrier();
    for (uint first = 0u; first < p.n_rows; first += SIZE) {
        const uint row = first + me;
        const bool there = row < p.n_rows;
        // loads may come ahead of the test
        const uint expert = there ? expert_of(min(row, p.n_rows - 1u)) : EXPERTS;
        experts[me] = expert;
        barrier();
        uint rank = 0u, n = 0u; // of the rows here that have the same expert
        for (uint i = 0u; i < SIZE; i++) {
            const uint same = experts[i] == expert ? 1u : 0u;
            rank += i < me ? same : 0u;
            n += same;
        }
        if (there)
            lp_words(p.groups).v[4u * p.n_tiles + counts[expert] + rank] = row;
        barrier();
        if (there && rank == 0u)
            counts[expert] += n;
        barrier();
    }
}
