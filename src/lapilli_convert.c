/* The public API of conversion. */
#include "lapilli.h"

#include "text/convert.h"

lp_status lp_convert(lp_context *ctx, const char *from, const char *to,
                     const lp_convert_options *options, lp_convert_result *result)
{
    lp_convert_result ignored;
    return lp_convert_file(ctx, from, to, options, result ? result : &ignored);
}
