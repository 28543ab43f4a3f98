/* Row-major shapes: dim[0] is the outermost, as in PyTorch. GGUF lists the same dimensions in
 * reverse. */
#ifndef LP_TENSOR_SHAPE_H
#define LP_TENSOR_SHAPE_H

#include <stdbool.h>
#include <stdint.h>

#define LP_MAX_DIMS 4

typedef struct lp_shape {
    int n;                    /* 1 to LP_MAX_DIMS */
    int64_t dim[LP_MAX_DIMS]; /* unused ones are 1 */
} lp_shape;

#define LP_SHAPE1(a)       ((lp_shape){1, {(a), 1, 1, 1}})
#define LP_SHAPE2(a, b)    ((lp_shape){2, {(a), (b), 1, 1}})
#define LP_SHAPE3(a, b, c) ((lp_shape){3, {(a), (b), (c), 1}})

/* Product of all dimensions; -1 if a dimension is < 0 or the product does not fit in int64. */
int64_t lp_shape_elements(lp_shape shape);
/* Elements of one index of dim[0] (1 for one-dimensional shapes). */
int64_t lp_shape_row(lp_shape shape);
bool lp_shape_equal(lp_shape a, lp_shape b);
/* "[768, 2304]" into `text` (at least 96 bytes); returns `text`. */
char *lp_shape_print(lp_shape shape, char *text);

#endif
