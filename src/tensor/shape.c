/* Row-major shapes. Dimensions come out of files, so products are checked. */
#include "tensor/shape.h"

#include <stdio.h>

int64_t lp_shape_elements(lp_shape shape)
{
    bool empty = false;
    for (int i = 0; i < shape.n; i++) {
        if (shape.dim[i] < 0)
            return -1;
        empty |= shape.dim[i] == 0;
    }
    if (empty) /* whatever the other dimensions are */
        return 0;
    int64_t n = 1;
    for (int i = 0; i < shape.n; i++) {
        if (n > INT64_MAX / shape.dim[i])
            return -1;
        n *= shape.dim[i];
    }
    return n;
}

int64_t lp_shape_row(lp_shape shape)
{
    lp_shape row = {.n = shape.n - 1, .dim = {1, 1, 1, 1}};
    for (int i = 1; i < shape.n; i++)
        row.dim[i - 1] = shape.dim[i];
    return lp_shape_elements(row);
}

bool lp_shape_equal(lp_shape a, lp_shape b)
{
    if (a.n != b.n)
        return false;
    for (int i = 0; i < a.n; i++)
        if (a.dim[i] != b.dim[i])
            return false;
    return true;
}

char *lp_shape_print(lp_shape shape, char *text)
{
    char *p = text;
    *p++ = '[';
    for (int i = 0; i < shape.n && i < LP_MAX_DIMS; i++)
        p += snprintf(p, 24, "%s%lld", i ? ", " : "", (long long)shape.dim[i]);
    *p++ = ']';
    *p = '\0';
    return text;
}
