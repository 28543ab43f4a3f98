/* Noise: the same for a seed on every device, because the host makes it. */
#ifndef LP_IMAGE_NOISE_H
#define LP_IMAGE_NOISE_H

#include <stddef.h>
#include <stdint.h>

/* n standard normal numbers of one of the seed's streams, by Box & Muller 1958 from Philox4x32-10;
 * counter: number / 4, stream. */
void lp_noise_fill(uint64_t seed, uint32_t stream, float *values, size_t n);

#endif
