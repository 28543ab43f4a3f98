// A token's k experts and their weights; see src/ops/route.c, which says why the choice is made of
// integers and `precise` arithmetic: functions with a twin there must stay bit for bit the same.
// STAGE 0: groups x, y are tokens; an expert's place is the number of experts before it.
// STAGE 1: one group; what an expert gets beyond its capacity, in the order of tokens, has weight 0.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(push_constant, std430) uniform push_block {
    lp_route_params p;
};
layout(local_size_x_id = 0) in; // 64: the order of the total
layout(constant_id = 1) const uint STAGE = 0u;
layout(constant_id = 2) const uint SCORE = 0u; // lp_route_score
layout(constant_id = 3) const uint ORDER = 0u; // 0 by logit, 1 by sigmoid, 2 by softmax
layout(constant_id = 4) const uint FLAGS = 0u;
layout(constant_id = 5) const uint EXPERTS = 1u;

const uint SIZE = gl_WorkGroupSize.x;
const bool HAS_BIAS = (FLAGS & 1u) != 0u, HAS_GROUPS = (FLAGS & 2u) != 0u;
const bool NORMALISE = (FLAGS & 4u) != 0u;
const bool OF_ALL = SCORE == 0u, SIGMOID = SCORE == 1u;
const uint MAX_CHOSEN = 32u, MAX_GROUPS = 64u;

shared uint keys[EXPERTS];
shared uint parts[SIZE];
shared uint groups[HAS_GROUPS ? MAX_GROUPS : 1u];
shared float chosen[MAX_CHOSEN]; // logits, then weights

float route_exp(float x)
{
    const float taylor[7] = float[](1.38888889e-3, 8.33333333e-3, 4.16666667e-2, 1.66666667e-1,
                                    0.5, 1.0, 1.0);
    if (!(x >= -87.0))
        return (floatBitsToUint(x) & 0x7fffffffu) > 0x7f800000u ? x : 0.0;
    precise float z = x * 1.44269504;
    z = z - 0.5;
    const int n = int(z);
    precise float high = float(n) * 0.693359375;
    precise float low = float(n) * 2.12194440e-4;
    precise float f = x - high;
    f = f + low;
    precise float sum = 1.98412698e-4;
    [[unroll]] for (int i = 0; i < 7; i++) {
        sum = sum * f;
        sum = sum + taylor[i];
    }
    precise float scaled = sum * uintBitsToFloat(uint(n + 127) << 23);
    return scaled;
}

float route_reciprocal(float d)
{
    precise float r = 0.470588235 * d;
    r = 1.41176471 - r;
    [[unroll]] for (int i = 0; i < 3; i++) {
        precise float e = d * r;
        e = 2.0 - e;
        r = r * e;
    }
    return r;
}

float route_sigmoid(float x)
{
    const float t = route_exp(-abs(x));
    precise float d = 1.0 + t;
    const float r = route_reciprocal(d);
    precise float y = t * r;
    return x < 0.0 ? y : r;
}

uint route_key(float x)
{
    uint bits = floatBitsToUint(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return 0xffffffffu;
    if (bits == 0x80000000u)
        bits = 0u;
    return (bits & 0x80000000u) != 0u ? ~bits : bits | 0x80000000u;
}

float value_of_key(uint key)
{
    return uintBitsToFloat(key == 0xffffffffu          ? 0x7fc00000u
                           : (key & 0x80000000u) != 0u ? key & 0x7fffffffu
                                                       : ~key);
}

float largest_logit(uvec2 logits)
{
    const uint me = gl_LocalInvocationID.x;
    uint key = 0u;
    for (uint i = me; i < EXPERTS; i += SIZE)
        key = max(key, route_key(lp_floats(logits).v[i]));
    parts[me] = key;
    for (uint half_size = SIZE / 2u; half_size > 0u; half_size /= 2u) {
        barrier();
        if (me < half_size)
            parts[me] = max(parts[me], parts[me + half_size]);
    }
    barrier();
    key = parts[0];
    barrier();
    return value_of_key(key);
}

// The sum over all experts of exp(logit - largest), in the order of route_total().
float total_of_all(uvec2 logits, float largest)
{
    const uint me = gl_LocalInvocationID.x;
    precise float sum = 0.0;
    for (uint i = me; i < EXPERTS; i += SIZE) {
        precise float d = lp_floats(logits).v[i] - largest;
        sum = sum + route_exp(d);
    }
    parts[me] = floatBitsToUint(sum);
    for (uint half_size = SIZE / 2u; half_size > 0u; half_size /= 2u) {
        barrier();
        if (me < half_size) {
            precise float both = uintBitsToFloat(parts[me]) + uintBitsToFloat(parts[me + half_size]);
            parts[me] = floatBitsToUint(both);
        }
    }
    barrier();
    return uintBitsToFloat(parts[0]);
}

// What orders the experts.
float order_score(float logit, float bias, float largest, float total)
{
    precise float score = logit;
    if (ORDER == 1u)
        score = route_sigmoid(logit);
    if (ORDER == 2u) {
        precise float d = logit - largest;
        score = route_exp(d);
        bias = HAS_BIAS ? bias * total : bias;
    }
    if (HAS_BIAS)
        score = score + bias;
    return score;
}

// Keys of groups that are not used become 0. All keys are there.
void drop_groups()
{
    const uint me = gl_LocalInvocationID.x, n = EXPERTS / p.n_groups;
    for (uint g = me; g < p.n_groups; g += SIZE) {
        uint best = 0u, second = 0u;
        for (uint i = g * n; i < (g + 1u) * n; i++) {
            const uint key = keys[i];
            second = key > best ? best : max(key, second);
            best = max(key, best);
        }
        precise float both = value_of_key(best) + value_of_key(second);
        groups[g] = p.group_best == 1u ? best : route_key(both);
    }
    barrier();
    for (uint i = me; i < EXPERTS; i += SIZE) {
        const uint g = i / n, mine = groups[g];
        uint rank = 0u;
        for (uint other = 0u; other < p.n_groups; other++)
            rank += uint(groups[other] > mine || (groups[other] == mine && other < g));
        if (rank >= p.n_groups_used)
            keys[i] = 0u;
    }
    barrier();
}

void choose(uint t)
{
    const uint me = gl_LocalInvocationID.x;
    const uvec2 logits = lp_row_words(p.logits, t, p.logits_stride);
    const uvec2 routes = lp_row_words(p.routes, t, p.routes_stride);
    float largest = 0.0, total = 0.0;
    if (OF_ALL) { // needed for weights, at least
        largest = largest_logit(logits);
        total = total_of_all(logits, largest);
    }
    for (uint i = me; i < EXPERTS; i += SIZE) {
        const float bias = HAS_BIAS ? lp_floats(p.bias).v[i] : 0.0;
        keys[i] = route_key(order_score(lp_floats(logits).v[i], bias, largest, total));
    }
    barrier();
    if (HAS_GROUPS)
        drop_groups();
    for (uint i = me; i < EXPERTS; i += SIZE) {
        const uint mine = keys[i];
        uint place = 0u;
        for (uint other = 0u; other < EXPERTS && place < p.n_slots; other++)
            place += uint(keys[other] > mine || (keys[other] == mine && other < i));
        if (place < p.n_slots) {
            lp_floats(routes).v[2u * place] = float(i);
            chosen[place] = lp_floats(logits).v[i];
        }
    }
    barrier();
    float weight = 0.0;
    if (me < p.n_slots) {
        if (SIGMOID) {
            weight = route_sigmoid(chosen[me]);
        } else if (OF_ALL) {
            weight = route_exp(chosen[me] - largest) / total;
        } else {
            uint key = 0u;
            for (uint s = 0u; s < p.n_slots; s++)
                key = max(key, route_key(chosen[s]));
            for (uint s = 0u; s < p.n_slots; s++)
                total += route_exp(chosen[s] - value_of_key(key));
            weight = route_exp(chosen[me] - value_of_key(key)) / total;
        }
    }
    if (NORMALISE) {
        barrier();
        if (me < p.n_slots)
            chosen[me] = weight;
        barrier();
        float sum = 1e-20;
        for (uint s = 0u; s < p.n_slots; s++)
            sum += chosen[s];
        weight /= sum;
    }
    if (me < p.n_slots)
        lp_floats(routes).v[2u * me + 1u] = weight * p.scale;
}

void limit()
{
    for (uint expert = gl_LocalInvocationID.x; expert < EXPERTS; expert += SIZE) {
        uint n = 0u;
        for (uint t = 0u; t < p.n_tokens; t++) {
            const uvec2 routes = lp_row_words(p.routes, t, p.routes_stride);
            for (uint s = 0u; s < p.n_slots; s++)
                if (lp_floats(routes).v[2u * s] == float(expert) && n++ >= p.capacity)
                    lp_floats(routes).v[2u * s + 1u] = 0.0;
        }
    }
}

void main()
{
    const uint t = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
    if (STAGE == 1u)
        limit();
    else if (t < p.n_tokens)
        choose(t);
}
