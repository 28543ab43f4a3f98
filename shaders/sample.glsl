// Arithmetic of the sampler that gives the same bits on every device: single operations of f32 that
// Vulkan rounds exactly (multiplication, addition), and integers of 64 bits as (low, high).
#ifndef LP_SAMPLE_GLSL
#define LP_SAMPLE_GLSL

const float LARGEST = 3.40282347e38, SMALLEST = 1.17549435e-38;

// NaN is -inf, +inf the largest finite number, subnormals 0.
float clean(float x)
{
    uint u = floatBitsToUint(x), a = u & 0x7fffffffu;
    if (a > 0x7f800000u) {
        return uintBitsToFloat(0xff800000u);
    }
    return a < 0x00800000u ? 0.0 : u == 0x7f800000u ? LARGEST : x;
}

// NaN or +inf.
bool is_bad(float x)
{
    uint u = floatBitsToUint(x);
    return u == 0x7f800000u || (u & 0x7fffffffu) > 0x7f800000u;
}

uint key_of(float x)
{
    uint u = floatBitsToUint(x);
    return (u & 0x80000000u) != 0u ? ~u : u | 0x80000000u;
}

float value_of(uint key)
{
    return uintBitsToFloat((key & 0x80000000u) != 0u ? key & 0x7fffffffu : ~key);
}

// a / b of positive normal numbers, nearest even, by long division: a device's own quotient may be
// off by 2.5 units. Subnormal results are 0, overflow is the largest finite number.
float quotient(float a, float b)
{
    uint ua = floatBitsToUint(a), ub = floatBitsToUint(b);
    if (ua == 0u) {
        return 0.0;
    }
    int e = int(ua >> 23) - int(ub >> 23) + 127;
    uint rest_of = (ua & 0x7fffffu) | 0x800000u, by = (ub & 0x7fffffu) | 0x800000u;
    if (rest_of < by) {
        rest_of <<= 1;
        e--;
    }
    uint q = 0u;
    for (int i = 0; i < 24; i++) {
        uint bit = uint(rest_of >= by);
        q = (q << 1) | bit;
        rest_of = (rest_of - bit * by) << 1;
    }
    if (e < 1) {
        return 0.0;
    }
    q += uint(rest_of > by || (rest_of == by && (q & 1u) != 0u));
    uint u = (uint(e) << 23) + (q - 0x800000u); // a carry goes into the exponent
    return e > 254 || u >= 0x7f800000u ? LARGEST : uintBitsToFloat(u);
}

// floor(exp(d) 2^30), d <= 0: see src/ops/draw.c.
uint mass(float d)
{
    if (!(d >= -21.0)) {
        return 0u;
    }
    precise float k = 0.5 - d * 1.44269504;
    int shift = int(k);
    precise float n = -float(shift);
    precise float r = (d - n * 0.693359375) - n * -2.12194440e-4;
    precise float y = 1.98412698e-4;
    y = y * r + 1.38888889e-3;
    y = y * r + 8.33333333e-3;
    y = y * r + 4.16666667e-2;
    y = y * r + 1.66666667e-1;
    y = y * r + 0.5;
    y = y * r + 1.0;
    y = y * r + 1.0;
    return (uint(y * 16777216.0) << 6) >> uint(shift);
}

uvec2 add64(uvec2 a, uvec2 b)
{
    uint carry;
    uint low = uaddCarry(a.x, b.x, carry);
    return uvec2(low, a.y + b.y + carry);
}

bool less64(uvec2 a, uvec2 b)
{
    return a.y != b.y ? a.y < b.y : a.x < b.x;
}

uvec2 subtract64(uvec2 a, uvec2 b)
{
    uint borrow;
    uint low = usubBorrow(a.x, b.x, borrow);
    return uvec2(low, a.y - b.y - borrow);
}

uvec2 multiply(uint a, uint b)
{
    uint high, low;
    umulExtended(a, b, high, low);
    return uvec2(low, high);
}

// floor(a b / 2^64)
uvec2 multiply_high64(uvec2 a, uvec2 b)
{
    uvec2 middle = add64(multiply(a.y, b.x), uvec2(multiply(a.x, b.x).y, 0u));
    uvec2 other = add64(multiply(a.x, b.y), uvec2(middle.x, 0u));
    return add64(add64(multiply(a.y, b.y), uvec2(middle.y, 0u)), uvec2(other.y, 0u));
}

// Two words of Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
uvec2 philox(uint counter, uint key0, uint key1)
{
    uvec4 c = uvec4(counter, 0u, 0u, 0u);
    for (int i = 0; i < 10; i++) {
        uvec2 a = multiply(0xD2511F53u, c.x), b = multiply(0xCD9E8D57u, c.z);
        c = uvec4(b.y ^ c.y ^ key0, b.x, a.y ^ c.w ^ key1, a.x);
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return c.xy;
}

#endif
