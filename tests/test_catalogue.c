// The kernel catalogue (shaders/kernels.txt, embedded by cmake/LapilliShaders.cmake): names are
// unique, every (family, variant) pair is found once, every module is SPIR-V and passes spirv-val.
#include "graph/kernel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SPIRV_MAGIC 0x07230203u
#define SPIRV_VERSION_1_6 0x00010600u

static void names_are_unique(void **state)
{
    (void)state;
    for (unsigned i = 0; i < lp_n_kernels; i++) {
        assert_non_null(lp_kernels[i].name);
        assert_non_null(lp_kernels[i].family);
        assert_non_null(lp_kernels[i].variant);
        for (unsigned j = 0; j < i; j++) {
            assert_string_not_equal(lp_kernels[i].name, lp_kernels[j].name);
        }
    }
}

static void modules_are_spirv(void **state)
{
    (void)state;
    for (unsigned i = 0; i < lp_n_kernels; i++) {
        assert_true(lp_kernels[i].spirv_bytes > 5 * sizeof(uint32_t));
        assert_int_equal(lp_kernels[i].spirv_bytes % sizeof(uint32_t), 0);
        assert_int_equal(lp_kernels[i].spirv[0], SPIRV_MAGIC);
    }
}

static void modules_pass_spirv_val(void **state)
{
    (void)state;
    if (system("command -v spirv-val > /dev/null 2>&1") != 0) {
        print_message("spirv-val is not installed\n");
        skip();
    }
    for (unsigned i = 0; i < lp_n_kernels; i++) {
        const lp_kernel *k = &lp_kernels[i];
        char command[128];
        snprintf(command, sizeof command, "spirv-val --target-env vulkan1.%d -",
                 k->spirv[1] >= SPIRV_VERSION_1_6 ? 3 : 2);
        FILE *pipe = popen(command, "w");
        assert_non_null(pipe);
        const size_t written = fwrite(k->spirv, 1, k->spirv_bytes, pipe);
        const int rc = pclose(pipe);
        if (rc != 0 || written != k->spirv_bytes) {
            fail_msg("spirv-val rejects kernel %s", k->name);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_unique),
        cmocka_unit_test(modules_are_spirv),
        cmocka_unit_test(modules_pass_spirv_val),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
