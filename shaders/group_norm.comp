// Group norm (Wu & He 2018, arXiv:1803.08494) of x [n_rows, C]: y = act((x - mean) / sqrt(variance + eps)
// gain + bias), mean and variance over all rows of a group of C / n_groups channels. Many workgroups
// share a group, so there are three dispatches, by STAGE:
//   0  moments of a piece of the rows; groups: x pieces, y groups of channels
//   1  moments of a group from those of its pieces (Chan, Golub & LeVeque 1983); groups: x
//   2  the result, PIECE elements per workgroup; groups: x, y
// A mean is a float and the mean of what is left after it; squares are taken around it: where
// |mean| >> deviation, one float is too coarse, and E[x^2] - E[x]^2 loses everything.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(push_constant, std430) uniform push_block {
    lp_group_norm_params p;
};
layout(local_size_x_id = 0) in; // a power of two
layout(constant_id = 1) const uint STAGE = 0u;
layout(constant_id = 2) const uint PER_INVOCATION = 4u;
layout(constant_id = 3) const uint ACT = 0u; // lp_act_kind

const uint SIZE = gl_WorkGroupSize.x, PIECE = SIZE * PER_INVOCATION;
shared float sums[SIZE];

float over_group(float value)
{
    const uint me = gl_LocalInvocationID.x;
    sums[me] = value;
    for (uint n = SIZE / 2u; n > 0u; n /= 2u) {
        barrier();
        if (me < n)
            sums[me] += sums[me + n];
    }
    barrier();
    const float result = sums[0];
    barrier();
    return result;
}

float deviation(float x, vec2 mean)
{
    return (x - mean.x) - mean.y;
}

// Sum over a piece of x - mean, or of its square.
float piece_sum(uvec2 x, uint n_rows, uint width, vec2 mean, bool square)
{
    float sum = 0.0;
    for (uint i = gl_LocalInvocationID.x; i < n_rows * width; i += SIZE) {
        const float d = deviation(lp_floats(x).v[i / width * p.x_stride + i % width], mean);
        sum += square ? d * d : d;
    }
    return over_group(sum);
}

void moments_of_piece()
{
    const uint width = p.n_channels / p.n_groups, group = gl_WorkGroupID.y;
    const uint first = gl_WorkGroupID.x * p.piece_rows, n_rows = min(p.piece_rows, p.n_rows - first);
    const uvec2 x = lp_offset(lp_row_words(p.x, first, p.x_stride), 4u * group * width);
    const float n = float(n_rows * width);
    vec2 mean = vec2(0.0);
    mean.x = piece_sum(x, n_rows, width, mean, false) / n;
    mean.y = piece_sum(x, n_rows, width, mean, false) / n;
    const float squares = piece_sum(x, n_rows, width, mean, true);
    if (gl_LocalInvocationID.x == 0u) {
        const uint at = 3u * (group * p.n_pieces + gl_WorkGroupID.x);
        lp_floats(p.pieces).v[at] = mean.x;
        lp_floats(p.pieces).v[at + 1u] = mean.y;
        lp_floats(p.pieces).v[at + 2u] = squares;
    }
}

float piece_elements(uint piece)
{
    return float(min(p.piece_rows, p.n_rows - piece * p.piece_rows) * (p.n_channels / p.n_groups));
}

// The mean of a piece as seen from the first one's.
float piece_mean(uint at, float origin)
{
    return (lp_floats(p.pieces).v[at] - origin) + lp_floats(p.pieces).v[at + 1u];
}

void moments_of_group()
{
    const uint group = gl_WorkGroupID.x, first = 3u * group * p.n_pieces;
    const float origin = lp_floats(p.pieces).v[first];
    const float n = float(p.n_rows) * float(p.n_channels / p.n_groups);
    float sum = 0.0;
    for (uint i = gl_LocalInvocationID.x; i < p.n_pieces; i += SIZE)
        sum += piece_elements(i) * piece_mean(first + 3u * i, origin);
    const float rest = over_group(sum) / n;
    sum = 0.0;
    for (uint i = gl_LocalInvocationID.x; i < p.n_pieces; i += SIZE) {
        const float d = piece_mean(first + 3u * i, origin) - rest;
        sum += lp_floats(p.pieces).v[first + 3u * i + 2u] + piece_elements(i) * (d * d);
    }
    const float scale = 1.0 / sqrt(over_group(sum) / n + p.eps);
    if (gl_LocalInvocationID.x == 0u) {
        lp_floats(p.stats).v[3u * group] = origin;
        lp_floats(p.stats).v[3u * group + 1u] = rest;
        lp_floats(p.stats).v[3u * group + 2u] = scale;
    }
}

void normalise()
{
    const uint first = (gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * PIECE;
    const uint width = p.n_channels / p.n_groups;
    [[unroll]] for (uint j = 0u; j < PER_INVOCATION; j++) {
        const uint i = first + j * SIZE + gl_LocalInvocationID.x;
        const uint row = i / p.n_channels, c = i % p.n_channels;
        if (row >= p.n_rows)
            continue;
        const uint at = 3u * (c / width);
        const vec2 mean = vec2(lp_floats(p.stats).v[at], lp_floats(p.stats).v[at + 1u]);
        const float d = deviation(lp_floats(p.x).v[row * p.x_stride + c], mean);
        float value = d * lp_floats(p.stats).v[at + 2u];
        if (lp_present(p.gain))
            value *= lp_floats(p.gain).v[c];
        if (lp_present(p.bias))
            value += lp_floats(p.bias).v[c];
        lp_floats(p.y).v[row * p.y_stride + c] = lp_activate(ACT, value);
    }
}

void main()
{
    if (STAGE == 0u)
        moments_of_piece();
    else if (STAGE == 1u)
        moments_of_group();
    else
        normalise();
}
