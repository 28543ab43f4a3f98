// Radix descent: the largest key at which a running sum, from the largest key down, reaches a target.
// A histogram of the sums by 8 bits of the key, one digit after another. The keys are logits in an
// order-preserving integer form (weights 1 for top-k, masses for top-p), or complemented ids (the
// draw: masses, lowest id first). All sums are integers, so the order of additions is of no effect.
#ifndef LP_SAMPLE_DESCENT_GLSL
#define LP_SAMPLE_DESCENT_GLSL

// Written by one invocation and read by others of the workgroup.
layout(buffer_reference, std430, buffer_reference_align = 4) coherent buffer key_buffer {
    uint v[];
};

const uint MASS_ONE = 0x40000000u, KEY_LOWEST = 0x007fffffu; // of -inf
const uint MOST_LISTED = 256u;

shared uint bins_low[256], bins_high[256]; // 64-bit sums
shared uint group_low[16], group_high[16];
shared uint digit;
shared uvec2 rest; // target minus what lies above the digit

// Once top-k has left few, they are listed (in no order), and nothing else is looked at any more.
shared uint list_key[MOST_LISTED], list_id[MOST_LISTED];
shared uint n_left, n_listed;
bool listed = false; // the same in every invocation

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

// Sums of the weights by the 8 bits from `shift` of those keys whose higher bits are `prefix`.
void count(uint kind, candidates c, int shift, uint prefix)
{
    key_buffer keys = key_buffer(p.keys);
    uint id = gl_LocalInvocationID.x, size = gl_WorkGroupSize.x;
    for (uint i = id; i < 256u; i += size) {
        bins_low[i] = 0u;
        bins_high[i] = 0u;
    }
    barrier();
    uint n = listed ? n_listed : p.n_vocab;
    for (uint i = id; i < n; i += size) {
        uint key = listed ? list_key[i] : keys.v[i];
        uint sorted = kind == BY_ID ? ~(listed ? list_id[i] : i) : key;
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
}

// The digit in which the target lies, by one invocation.
void choose(uint kind, bool first, uvec2 want)
{
    uvec2 left = rest;
    if (first) {
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
    n_left = want.x - left.x + bins_low[d]; // of top-k: those above the digit, and those in it
}

// Lists what is left: keys whose bits from `shift` are `least` or more.
void list(uint least, int shift)
{
    key_buffer keys = key_buffer(p.keys);
    for (uint i = gl_LocalInvocationID.x; i < p.n_vocab; i += gl_WorkGroupSize.x) {
        uint key = keys.v[i];
        if (key >> shift >= least) {
            uint at = atomicAdd(n_listed, 1u);
            list_key[at] = key;
            list_id[at] = i;
        }
    }
    listed = true;
    barrier();
}

uint descend(uint kind, candidates c, uvec2 want)
{
    int top = 24;
    while (kind == BY_ID && top > 0 && p.n_vocab <= 1u << top) { // the digit is the same in all ids
        top -= 8;
    }
    uint prefix = top == 24 ? 0u : 0xffffffffu >> (top + 8);
    for (int shift = top; shift >= 0; shift -= 8) {
        count(kind, c, shift, prefix);
        if (gl_LocalInvocationID.x == 0u) {
            choose(kind, shift == top, want);
        }
        barrier();
        prefix = (prefix << 8) | digit;
        if (kind == BY_COUNT && !listed && n_left <= MOST_LISTED) {
            list(prefix, shift);
        }
        barrier();
    }
    return prefix;
}

#endif
