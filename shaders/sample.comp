// Draws the next token with one workgroup: repeat penalty, top-k, top-p, min-p, temperature, draw.
// Definition and references: src/ops/sample.c. Everything after exp() is integer, and exp() is a
// fixed sequence of exactly rounded operations, so the token does not depend on the device.
// Top-k, top-p and the draw are three radix descents (sample_descent.glsl).
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

#include "sample_descent.glsl"

shared uint best_key, best_id;
shared bool not_finite; // one of the logits, and not just -inf

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
        n_listed = 0u;
        not_finite = false;
    }
    bool bad = false;
    for (uint i = id; i < p.n_vocab; i += size) {
        float x = logits.v[i];
        keys.v[i] = key_of(clean(x));
        bad = bad || is_bad(x);
    }
    float penalty = uintBitsToFloat(settings.v[LP_SAMPLER_PENALTY]);
    int window = int(settings.v[LP_SAMPLER_WINDOW]);
    memoryBarrierBuffer();
    barrier();
    if (penalty >= SMALLEST && penalty <= LARGEST && penalty != 1.0 && window > 0) {
        int first = end > window ? end - window : 0, last = min(end, int(p.n_history));
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
    if (bad) {
        not_finite = true; // several may write it, all the same
    }
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
        if (end >= 0 && uint(end) < p.n_history) {
            history.v[end] = int(token);
            if (not_finite && history.v[p.n_history] == 0) {
                history.v[p.n_history] = end + 1;
            }
        }
        cursor.v[LP_CURSOR_POSITION] = end;
        cursor.v[LP_CURSOR_DRAWS] = int(draws + 1u);
    }
}
