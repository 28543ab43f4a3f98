// Draws the next token with one workgroup: repeat penalty, top-k, top-p, min-p, temperature, draw.
// Definition and references: src/ops/sample.c. Everything after exp() is integer, and exp() is a
// fixed sequence of exactly rounded operations, so the token does not depend on the device.
//
// Top-k, top-p and the draw are one question: the largest key at which a running sum, from the
// largest key down, reaches a target. Radix descent answers it: a histogram of the sums by 8 bits
// of the key, one digit after another. The keys are logits in an order-preserving integer form
// (weights 1 for top-k, masses for top-p), or complemented ids (the draw: masses, lowest id first).
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "state.glsl"
#include "sample.glsl"

layout(local_size_x_id = 0) in;

layout(push_constant) uniform push_block
{
    lp_sample_params p;
};

// Written by one invocation and read by others of the workgroup.
layout(buffer_reference, std430, buffer_reference_align = 4) coherent buffer key_buffer {
    uint v[];
};

const uint MASS_ONE = 0x40000000u, KEY_LOWEST = 0x007fffffu; // of -inf

shared uint bins_low[256], bins_high[256]; // 64-bit sums
shared uint group_low[16], group_high[16];
shared uint best_key, best_id;
shared uint digit;
shared uvec2 rest; // target minus what lies above the digit; in the first pass, the total

// ---- Radix descent -----------------------------------------------------------------------------

const uint BY_COUNT = 0u, BY_MASS = 1u, BY_ID = 2u;

// What is still in play, and how heavy it is; the same in every invocation.
struct candidates {
    float largest;
    uint least_key;      // what top-k and top-p leave
    uint least_mass;     // min-p
    float inverse;       // 1 / temperature
};

uint weight(uint kind, candidates c, uint key)
{
    if (kind == BY_COUNT) {
        return 1u;
    }
    if (key < c.least_key || key <= KEY_LOWEST) {
        return 0u;
    }
    precise float d = max(value_of(key) - c.largest, -LARGEST);
    uint m = mass(d);
    if (kind == BY_MASS || m < c.least_mass) {
        return kind == BY_MASS ? m : 0u;
    }
    precise float scaled = d * c.inverse;
    return mass(scaled);
}

// The target from the sum of all weights: how much of the sum, from the top, is wanted. At least 1.
uvec2 target_of(uint kind, uvec2 total, uvec2 want)
{
    uvec2 t = want;
    if (kind == BY_MASS) { // want.x / 2^24 of it
        uvec2 a = multiply(total.y, want.x), b = multiply(total.x, want.x);
        t = add64(uvec2(a.x << 8, (a.y << 8) | (a.x >> 24)), uvec2((b.y << 8) | (b.x >> 24), 0u));
    } else if (kind == BY_ID) { // want / 2^64 of it; the id of number r is where the sum exceeds r
        t = add64(multiply_high64(total, want), uvec2(1u, 0u));
    }
    return (t.x | t.y) == 0u ? uvec2(1u, 0u) : t;
}

uint descend(uint kind, candidates c, uvec2 want)
{
    key_buffer keys = key_buffer(p.keys);
    uint id = gl_LocalInvocationID.x, size = gl_WorkGroupSize.x, prefix = 0u;
    for (int shift = 24; shift >= 0; shift -= 8) {
        for (uint i = id; i < 256u; i += size) {
            bins_low[i] = 0u;
            bins_high[i] = 0u;
        }
        barrier();
        for (uint i = id; i < p.n_vocab; i += size) {
            uint key = keys.v[i], sorted = kind == BY_ID ? ~i : key;
            if (shift < 24 && (sorted >> (shift + 8)) != prefix) {
                continue;
            }
            uint w = weight(kind, c, key);
            if (w != 0u) {
                uint bin = (sorted >> shift) & 255u;
                uint before = atomicAdd(bins_low[bin], w);
                if (before + w < w) { // carry
                    atomicAdd(bins_high[bin], 1u);
                }
            }
        }
        barrier();
        if (id < 16u) {
            uvec2 sum = uvec2(0u);
            for (uint i = 16u * id; i < 16u * id + 16u; i++) {
                sum = add64(sum, uvec2(bins_low[i], bins_high[i]));
            }
            group_low[id] = sum.x;
            group_high[id] = sum.y;
        }
        barrier();
        if (id == 0u) {
            uvec2 left = rest;
            if (shift == 24) {
                uvec2 total = uvec2(0u);
                for (int i = 0; i < 16; i++) {
                    total = add64(total, uvec2(group_low[i], group_high[i]));
                }
                left = target_of(kind, total, want);
            }
            int g = 15;
            for (; g > 0 && less64(uvec2(group_low[g], group_high[g]), left); g--) {
                left = subtract64(left, uvec2(group_low[g], group_high[g]));
            }
            int d = 16 * g + 15;
            for (; d > 16 * g && less64(uvec2(bins_low[d], bins_high[d]), left); d--) {
                left = subtract64(left, uvec2(bins_low[d], bins_high[d]));
            }
            rest = left;
            digit = uint(d);
        }
        barrier();
        prefix = (prefix << 8) | digit;
        barrier();
    }
    return prefix;
}

// ---- The token ---------------------------------------------------------------------------------

// Keys of the penalised logits, their maximum and its lowest id.
void prepare(lp_words settings, int end)
{
    key_buffer keys = key_buffer(p.keys);
    lp_floats logits = lp_floats(p.logits);
    uint id = gl_LocalInvocationID.x, size = gl_WorkGroupSize.x;
    if (id == 0u) {
        best_key = 0u;
        best_id = 0xffffffffu;
    }
    for (uint i = id; i < p.n_vocab; i += size) {
        keys.v[i] = key_of(clean(logits.v[i]));
    }
    float penalty = uintBitsToFloat(settings.v[LP_SAMPLER_PENALTY]);
    int window = int(settings.v[LP_SAMPLER_WINDOW]);
    memoryBarrierBuffer();
    barrier();
    if (penalty >= SMALLEST && penalty <= LARGEST && penalty != 1.0 && window > 0) {
        int first = end > window ? end - window : 0, last = min(end, int(p.history_size));
        for (int i = first + int(id); i < last; i += int(size)) {
            uint token = uint(lp_ints(p.history).v[i]);
            if (token < p.n_vocab) { // a token that came twice is written twice, with one value
                float x = clean(logits.v[token]);
                precise float product = x * penalty;
                keys.v[token] = key_of(x > 0.0 ? quotient(x, penalty) : clean(product));
            }
        }
    }
    memoryBarrierBuffer();
    barrier();
    uint most = 0u;
    for (uint i = id; i < p.n_vocab; i += size) {
        most = max(most, keys.v[i]);
    }
    atomicMax(best_key, most);
    barrier();
    for (uint i = id; i < p.n_vocab; i += size) {
        if (keys.v[i] == best_key) {
            atomicMin(best_id, i);
            break;
        }
    }
    barrier();
}

uint draw(lp_words settings, uint draws)
{
    float temperature = uintBitsToFloat(settings.v[LP_SAMPLER_TEMPERATURE]);
    float top_p = uintBitsToFloat(settings.v[LP_SAMPLER_TOP_P]);
    float min_p = uintBitsToFloat(settings.v[LP_SAMPLER_MIN_P]);
    int top_k = int(settings.v[LP_SAMPLER_TOP_K]);
    if (best_key <= KEY_LOWEST) {
        return 0u;
    }
    if (!(temperature >= SMALLEST)) {
        return best_id;
    }
    candidates c = candidates(value_of(best_key), 0u, 0u, quotient(1.0, min(temperature, LARGEST)));
    if (top_k > 0 && uint(top_k) < p.n_vocab) {
        c.least_key = descend(BY_COUNT, c, uvec2(uint(top_k), 0u));
    }
    if (top_p < 1.0) {
        uint part = top_p > 0.0 ? uint(top_p * 16777216.0) : 0u;
        c.least_key = max(c.least_key, descend(BY_MASS, c, uvec2(part, 0u)));
    }
    c.least_mass = min_p > 0.0 ? uint(min(min_p, 1.0) * float(MASS_ONE)) : 0u;
    uvec2 random = philox(draws, settings.v[LP_SAMPLER_SEED_LO], settings.v[LP_SAMPLER_SEED_HI]);
    return ~descend(BY_ID, c, random);
}

void main()
{
    lp_words settings = lp_words(p.settings);
    lp_ints cursor = lp_ints(p.cursor), history = lp_ints(p.history);
    int end = cursor.v[LP_CURSOR_POSITION] + int(p.advance);
    uint draws = uint(cursor.v[LP_CURSOR_DRAWS]);
    prepare(settings, end);
    uint token = draw(settings, draws);
    if (gl_LocalInvocationID.x == 0u) {
        if (end >= 0 && uint(end) < p.history_size) {
            history.v[end] = int(token);
        }
        cursor.v[LP_CURSOR_POSITION] = end;
        cursor.v[LP_CURSOR_DRAWS] = int(draws + 1u);
    }
}
