/* Choosing kernels from the catalogue: see kernel.h. */
#include "graph/kernel.h"

#include <string.h>

const lp_caps lp_caps_minimum = {
    .subgroup_size = 1,
    .subgroup_min = 1,
    .subgroup_max = 1,
    .max_workgroup_invocations = 128,
    .max_shared_bytes = 16384,
    .max_groups = {65535, 65535, 65535},
    .n_cores = 8,
    .flops = 20e9,
    .bytes_per_second = 5e9,
};

bool lp_kernel_set_has(const lp_kernel_set *set, const lp_kernel *kernel)
{
    const size_t row = (size_t)(kernel - lp_kernels);
    return row < LP_MAX_KERNELS && (set->words[row / 32] >> row % 32 & 1) != 0;
}

void lp_kernel_set_add(lp_kernel_set *set, const lp_kernel *kernel)
{
    const size_t row = (size_t)(kernel - lp_kernels);
    if (row < LP_MAX_KERNELS)
        set->words[row / 32] |= 1u << row % 32;
}

const lp_kernel *lp_kernel_by_name(const char *name)
{
    for (unsigned i = 0; i < lp_n_kernels; i++)
        if (strcmp(lp_kernels[i].name, name) == 0)
            return &lp_kernels[i];
    return NULL;
}

const lp_kernel *lp_kernel_find(const lp_caps *caps, const lp_kernel_set *refused,
                                const char *family, const char *variant)
{
    for (unsigned i = 0; i < lp_n_kernels; i++) {
        const lp_kernel *k = &lp_kernels[i];
        if ((k->needs & ~caps->has) == 0 && strcmp(k->family, family) == 0 &&
            strcmp(k->variant, variant) == 0 &&
            (refused == NULL || !lp_kernel_set_has(refused, k)))
            return k;
    }
    return NULL;
}
