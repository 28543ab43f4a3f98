/* The public API of synthetic models. */
#include "lapilli.h"

#include <stdlib.h>
#include <string.h>

#include "models/synth.h"
#include "text/convert.h"

static bool is_shape(const char *name)
{
    for (size_t i = 0; i < lp_synth_shape_count; i++)
        if (strcmp(lp_synth_shapes[i].name, name) == 0)
            return true;
    return false;
}

/* By way of a folder beside the file. */
static lp_status file_of_config(lp_context *ctx, const char *config, lp_dtype type, uint64_t seed,
                                const char *path, lp_progress_fn progress, void *user)
{
    static const char ending[] = ".folder";
    const bool plain = type == LP_F32 || type == LP_F16 || type == LP_BF16;
    const lp_convert_options options = {.type = type};
    lp_convert_result result;
    char *folder = malloc(strlen(path) + sizeof ending);
    if (folder == NULL)
        return LP_E_MEMORY;
    strcpy(folder, path);
    strcat(folder, ending);
    lp_status status =
        lp_synth_folder(ctx, config, plain ? type : LP_F16, seed, folder, progress, user);
    if (status == LP_OK)
        status = lp_convert_file(ctx, folder, path, &options, &result);
    if (lp_path_is_folder(folder))
        lp_synth_folder_remove(folder);
    free(folder);
    return status;
}

lp_status lp_synth(lp_context *ctx, const char *shape, lp_dtype type, uint64_t seed,
                   const char *path, lp_progress_fn progress, void *user)
{
    const size_t n = strlen(path);
    if (is_shape(shape) || !lp_path_exists(shape))
        return lp_synth_write(ctx, shape, type, seed, path, progress, user);
    if (n >= 5 && strcmp(path + n - 5, ".gguf") == 0)
        return file_of_config(ctx, shape, type, seed, path, progress, user);
    return lp_synth_folder(ctx, shape, type, seed, path, progress, user);
}

size_t lp_synth_n_shapes(void)
{
    return lp_synth_shape_count;
}

lp_fact lp_synth_shape(size_t index)
{
    return (lp_fact){.name = lp_synth_shapes[index].name, .value = lp_synth_shapes[index].text};
}
