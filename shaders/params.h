/* Parameters of every kernel: one struct per kernel family, included by C and by GLSL, so that both
 * sides cannot differ. Push constants: at most 128 bytes; an LP_ADDRESS is a buffer device address
 * as two words, so that shaders need no int64. Offsets and strides are in elements of what they
 * point to unless the name says otherwise. */
#ifndef LP_PARAMS_H
#define LP_PARAMS_H

#ifdef __cplusplus
#error "C and GLSL only"
#endif
#ifdef GL_core_profile /* GLSL */
#define LP_UINT    uint
#define LP_INT     int
#define LP_FLOAT   float
#define LP_ADDRESS uvec2
#define LP_PARAMS(name) struct name
#else
#include <stdint.h>
#define LP_UINT    uint32_t
#define LP_INT     int32_t
#define LP_FLOAT   float
#define LP_ADDRESS struct lp_address
#define LP_PARAMS(name)                                                                            \
    typedef struct name name;                                                                      \
    struct name
struct lp_address {
    _Alignas(8) uint32_t low;
    uint32_t high;
};
#endif

#endif
