/* More types with blocks of 32 elements than dtype.c has: see blocks.c. */
#ifndef LP_TENSOR_BLOCKS_H
#define LP_TENSOR_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

/* The conversions of dtype.h, for n elements. */
#define LP_BLOCK_TYPE(name)                                                                        \
    void lp_##name##_to_f32(const void *from, float *to, size_t n);                                \
    void lp_##name##_from_f32(const float *from, void *to, size_t n);                              \
    void lp_##name##_to_planes(const void *from, uint8_t *quants, uint8_t *scales, size_t n);
LP_BLOCK_TYPE(q4_1)
LP_BLOCK_TYPE(q5_0)
LP_BLOCK_TYPE(q5_1)
LP_BLOCK_TYPE(iq4_nl)
#undef LP_BLOCK_TYPE

#endif
