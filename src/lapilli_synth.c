/* The public API of synthetic models. */
#include "lapilli.h"

#include "models/synth.h"

lp_status lp_synth(lp_context *ctx, const char *shape, lp_dtype type, uint64_t seed,
                   const char *path, lp_progress_fn progress, void *user)
{
    return lp_synth_write(ctx, shape, type, seed, path, progress, user);
}

size_t lp_synth_n_shapes(void)
{
    return lp_synth_shape_count;
}

lp_fact lp_synth_shape(size_t index)
{
    return (lp_fact){.name = lp_synth_shapes[index].name, .value = lp_synth_shapes[index].text};
}
