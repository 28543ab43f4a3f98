/* Normal random numbers: see noise.h. */
#include "image/noise.h"

#include <math.h>

#include "ops/draw.h"

#define TWO_PI 6.283185307179586

void lp_noise_fill(uint64_t seed, uint32_t stream, float *values, size_t n)
{
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    for (size_t at = 0; at < n; at += 4) {
        const uint64_t block = at / 4;
        const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), stream, 0};
        uint32_t bits[4];
        lp_draw_philox(counter, key, bits);
        for (size_t i = 0; i < 4 && at + i < n; i++) {
            const double radius = sqrt(-2 * log((bits[i & ~1u] + 1.0) / 4294967296.0));
            const double angle = TWO_PI * bits[i | 1] / 4294967296.0;
            values[at + i] = (float)(radius * (i % 2 == 0 ? cos(angle) : sin(angle)));
        }
    }
}
