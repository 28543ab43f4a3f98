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

const lp_kernel *lp_kernel_find(const lp_caps *caps, const char *family, const char *variant)
{
    for (unsigned i = 0; i < lp_n_kernels; i++) {
        const lp_kernel *k = &lp_kernels[i];
        if ((k->needs & ~caps->has) == 0 && strcmp(k->family, family) == 0 &&
            strcmp(k->variant, variant) == 0)
            return k;
    }
    return NULL;
}
