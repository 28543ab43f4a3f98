// Layer norm, RMS norm or softmax of the rows of x [T, N], or of x + residual, which is then stored as
// well: y = (s - mean) / sqrt(mean((s - mean)^2) + eps) * gain + bias, mean = 0 for RMS;
// softmax: y = exp(s - max) / sum(exp(s - max)) * gain + bias.
// One workgroup per row. Every invocation walks the same elements in each pass, so that it reads back
// only what it wrote itself. The variance is taken around the mean in a second pass. The mean is kept
// as a float and the mean of what is left after it: where |mean| >> deviation, one float is too coarse.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(push_constant, std430) uniform push_block {
    lp_norm_params p;
};
layout(local_size_x_id = 0) in;                  // a power of two
layout(constant_id = 1) const uint KIND = 0u;    // lp_norm_kind

const uint LP_NORM_LAYER = 0u, LP_NORM_RMS = 1u, LP_NORM_SOFTMAX = 2u;

const uint SIZE = gl_WorkGroupSize.x;
shared float parts[SIZE];

// The sum of all invocations' values, or the largest (NaN if one is).
float over_group(float value, bool largest)
{
    const uint me = gl_LocalInvocationID.x;
    parts[me] = value;
    for (uint n = SIZE / 2u; n > 0u; n /= 2u) {
        barrier();
        if (me < n) {
            const float a = parts[me], b = parts[me + n];
            parts[me] = !largest ? a + b : b <= a || a != a ? a : b;
        }
    }
    barrier();
    float result = parts[0];
    barrier();
    return result;
}

uvec2 row_of(uvec2 tensor, uint t, uint stride, uint head)
{
    return lp_row_words(lp_row_words(tensor, t, stride), head, p.n);
}

// s - mean
float deviation(uvec2 row, uint i, vec2 mean)
{
    return (lp_floats(row).v[i] - mean.x) - mean.y;
}

// Mean over the row of s - mean, or of its square.
float moment(uvec2 row, vec2 mean, bool square)
{
    float sum = 0.0;
    for (uint i = gl_LocalInvocationID.x; i < p.n; i += SIZE) {
        float d = deviation(row, i, mean);
        sum += square ? d * d : d;
    }
    return over_group(sum, false) / float(p.n);
}

float largest_of(uvec2 row)
{
    float largest = lp_floats(row).v[0];
    for (uint i = gl_LocalInvocationID.x; i < p.n; i += SIZE) {
        const float s = lp_floats(row).v[i];
        largest = s <= largest || largest != largest ? largest : s;
    }
    return over_group(largest, true);
}

float exponentials(uvec2 row, vec2 largest)
{
    float sum = 0.0;
    for (uint i = gl_LocalInvocationID.x; i < p.n; i += SIZE)
        sum += exp(deviation(row, i, largest));
    return over_group(sum, false);
}

void main()
{
    const uint r = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
    if (r >= p.n_rows)
        return;
    const uint t = r / p.n_heads, head = r % p.n_heads;
    uvec2 row = row_of(p.x, t, p.x_stride, head);
    const uvec2 y = row_of(p.y, t, p.y_stride, head);
    if (lp_present(p.residual)) {
        // without a place for the sum it lies in y until it is normalised
        const uvec2 residual = row_of(p.residual, t, p.residual_stride, head);
        const uvec2 to = lp_present(p.sum) ? row_of(p.sum, t, p.sum_stride, head) : y;
        for (uint i = gl_LocalInvocationID.x; i < p.n; i += SIZE)
            lp_floats(to).v[i] = lp_floats(row).v[i] + lp_floats(residual).v[i];
        row = to;
    }

    vec2 mean = vec2(0.0);
    float scale;
    if (KIND == LP_NORM_SOFTMAX) {
        mean.x = largest_of(row);
        scale = 1.0 / exponentials(row, mean);
    } else {
        if (KIND == LP_NORM_LAYER) {
            mean.x = moment(row, mean, false);
            mean.y = moment(row, mean, false);
        }
        scale = 1.0 / sqrt(moment(row, mean, true) + p.eps);
    }
    const uint vector = p.gain_per_head * head * p.n;
    for (uint i = gl_LocalInvocationID.x; i < p.n; i += SIZE) {
        const float d = deviation(row, i, mean);
        float value = (KIND == LP_NORM_SOFTMAX ? exp(d) : d) * scale;
        if (lp_present(p.gain))
            value *= lp_floats(p.gain).v[vector + i];
        if (lp_present(p.bias))
            value += lp_floats(p.bias).v[vector + i];
        lp_floats(y).v[i] = value;
    }
}
