/* Types whose blocks are super-blocks of 256 elements: runs of them share an integer scale, and
 * these share one or two halves. See super.c for the formats. */
#ifndef LP_TENSOR_SUPER_H
#define LP_TENSOR_SUPER_H

#include <stddef.h>
#include <stdint.h>

enum { LP_SUPER = 256, LP_SUPER_RUNS = 16 };

/* A super-block as numbers: element i of run r is d scale[r] (q[i] - offset) - dmin min[r], or has
 * values[q[i]] for q[i] - offset. */
typedef struct lp_super {
    uint16_t d, dmin;            /* f16 */
    int8_t scale[LP_SUPER_RUNS]; /* of as many runs as there are */
    uint8_t min[LP_SUPER_RUNS];  /* 0 of types without */
    uint8_t q[LP_SUPER];
} lp_super;

typedef struct lp_super_kind {
    int run;                  /* elements */
    int offset, levels;       /* q < levels */
    const int8_t *values;     /* NULL: there are none */
    int scale_low, scale_top; /* the range of scales; scale_low is 0 if there are minima */
    int min_top;              /* the largest of minima; 0: there are none */
    int low_bits, high_bits;  /* of q in plane 0 */
    uint32_t bytes;           /* of a block in files */
    uint32_t scale_bytes;     /* in plane 1 */
    void (*load)(const uint8_t *block, lp_super *s);
    void (*store)(const lp_super *s, uint8_t *block);
    void (*scales)(const lp_super *s, uint8_t *plane);
} lp_super_kind;

extern const int8_t lp_iq4_values[16];

/* A run of a kind without integers and minima: its levels, and its scale as a half. */
uint16_t lp_super_fit_run(const lp_super_kind *kind, const float *x, uint8_t *levels);

/* The numbers that come nearest x in the sum of squared errors, as far as a search finds them. */
void lp_super_fit(const lp_super_kind *kind, const float x[LP_SUPER], lp_super *s);

/* The conversions of dtype.h, for n elements. */
#define LP_SUPER_TYPE(name)                                                                        \
    void lp_##name##_to_f32(const void *from, float *to, size_t n);                                \
    void lp_##name##_from_f32(const float *from, void *to, size_t n);                              \
    void lp_##name##_to_planes(const void *from, uint8_t *quants, uint8_t *scales, size_t n);
LP_SUPER_TYPE(q2_k)
LP_SUPER_TYPE(q3_k)
LP_SUPER_TYPE(q4_k)
LP_SUPER_TYPE(q5_k)
LP_SUPER_TYPE(q6_k)
LP_SUPER_TYPE(iq4_xs)
LP_SUPER_TYPE(tq1_0)
LP_SUPER_TYPE(tq2_0)
#undef LP_SUPER_TYPE

#endif
