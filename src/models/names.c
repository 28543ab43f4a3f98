/* Weight names, see names.h. */
#include "models/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NAME 128

/* Whether `name` is `pattern` with a number below n_layer in the place of "%d", then `suffix`. */
static bool matches(const char *pattern, const char *suffix, const char *name, uint32_t n_layer,
                    uint32_t *layer)
{
    char want[MAX_NAME];
    const char *hole = strstr(pattern, "%d");
    if (hole) {
        size_t before = (size_t)(hole - pattern);
        if (strncmp(pattern, name, before) != 0 || name[before] < '0' || name[before] > '9')
            return false;
        char *end;
        unsigned long number = strtoul(name + before, &end, 10);
        if (number >= n_layer)
            return false;
        *layer = (uint32_t)number;
        snprintf(want, sizeof want, "%.*s%lu%s%s", (int)before, pattern, number, hole + 2, suffix);
    } else {
        snprintf(want, sizeof want, "%s%s", pattern, suffix);
    }
    return strcmp(want, name) == 0;
}

/* Row that `name` belongs to, or NULL. *suffix is ".weight" or ".bias". */
static const lp_weight_name *find_row(const lp_hparams *hp, bool hf, const char *name,
                                      uint32_t *layer, const char **suffix)
{
    static const char *const suffixes[] = {".weight", ".bias"};
    for (const lp_weight_name *row = hp->arch->names; row->name; row++) {
        const char *pattern = hf ? row->hf : row->name;
        for (int s = 0; pattern && s < 2; s++) {
            if (matches(pattern, suffixes[s], name, hp->n_layer, layer)) {
                *suffix = suffixes[s];
                return row;
            }
        }
    }
    return NULL;
}

static bool is_ignored(const lp_hparams *hp, const char *name)
{
    uint32_t layer;
    for (const char *const *pattern = hp->arch->hf_ignored; *pattern; pattern++)
        if (matches(*pattern, "", name, hp->n_layer, &layer))
            return true;
    return false;
}

static lp_status fail_unknown(lp_context *ctx, const char *where, const lp_hparams *hp,
                              const char *name)
{
    return lp_fail(ctx, LP_E_UNSUPPORTED,
                   "%s: tensor %.200s is not part of a %s model with %u layers", where, name,
                   hp->arch->hf, hp->n_layer);
}

/* [in, out] becomes [out, in], in blocks that stay in the cache. */
static void transpose(const uint8_t *from, uint8_t *to, int64_t rows, int64_t columns, size_t size)
{
    const int64_t block = 32;
    for (int64_t r0 = 0; r0 < rows; r0 += block)
        for (int64_t c0 = 0; c0 < columns; c0 += block)
            for (int64_t r = r0; r < rows && r < r0 + block; r++)
                for (int64_t c = c0; c < columns && c < c0 + block; c++)
                    memcpy(to + (size_t)(c * rows + r) * size,
                           from + (size_t)(r * columns + c) * size, size);
}

static lp_status transpose_weight(lp_context *ctx, const char *where, lp_weights *weights,
                                  lp_weight *weight)
{
    LP_TRY(lp_weight_usable(ctx, weight));
    const lp_dtype_info *type = &lp_dtype_table[weight->dtype];
    char shape[96];
    if (weight->shape.n != 2 || type->block != 1)
        return lp_fail(ctx, LP_E_SHAPE, "%s: %s: a matrix expected, file has %s %s", where,
                       weight->name, type->name, lp_shape_print(weight->shape, shape));
    if (weight->bytes == 0)
        return LP_OK;
    lp_file memory;
    LP_TRY(lp_file_memory(ctx, weight->bytes, weight->name, &memory));
    transpose(weight->data, (uint8_t *)memory.data, weight->shape.dim[0], weight->shape.dim[1],
              type->bytes);
    const uint8_t *data = memory.data;
    lp_status status = lp_weights_own_file(ctx, weights, &memory);
    if (status != LP_OK) {
        lp_file_close(&memory);
        return status;
    }
    lp_file_forget(weight->data, weight->bytes);
    weight->data = data;
    weight->shape = LP_SHAPE2(weight->shape.dim[1], weight->shape.dim[0]);
    return LP_OK;
}

lp_status lp_names_from_hf(lp_context *ctx, const char *where, const lp_hparams *hp,
                           lp_weights *weights)
{
    const char *prefix = hp->arch->hf_prefix;
    size_t n = strlen(prefix);
    for (size_t i = 0; i < lp_weights_count(weights); i++) {
        lp_weight *weight = lp_weights_at(weights, i);
        const char *name = weight->name, *suffix = "";
        if (strncmp(name, prefix, n) == 0)
            name += n;
        if (is_ignored(hp, name))
            continue;
        uint32_t layer = 0;
        const lp_weight_name *row = find_row(hp, true, name, &layer, &suffix);
        if (!row)
            return fail_unknown(ctx, where, hp, weight->name);
        if (row->conv1d && strcmp(suffix, ".weight") == 0)
            LP_TRY(transpose_weight(ctx, where, weights, weight));
        char canonical[MAX_NAME];
        const char *hole = strstr(row->name, "%d");
        if (hole)
            snprintf(canonical, sizeof canonical, "%.*s%u%s%s", (int)(hole - row->name), row->name,
                     layer, hole + 2, suffix);
        else
            snprintf(canonical, sizeof canonical, "%s%s", row->name, suffix);
        LP_TRY(lp_weights_rename(ctx, weights, i, canonical));
    }
    return LP_OK;
}

lp_status lp_names_check(lp_context *ctx, const char *where, const lp_hparams *hp,
                         lp_weights *weights)
{
    for (size_t i = 0; i < lp_weights_count(weights); i++) {
        const char *suffix, *name = lp_weights_at(weights, i)->name;
        uint32_t layer;
        if (!find_row(hp, false, name, &layer, &suffix))
            return fail_unknown(ctx, where, hp, name);
    }
    return LP_OK;
}
