// What goes wrong around the Vulkan executor: pipeline caches of all kinds of brokenness, tensors
// that are too large, plans that no device may see, lost devices, cancelled loading.
#include "support/vulkan_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"

// ---- The pipeline cache
// --------------------------------------------------------------------------

static int only_file(const char *folder, char *path, size_t size)
{
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    int n = 0;
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        if (e->d_name[0] != '.') {
            snprintf(path, size, "%s/%s", folder, e->d_name);
            n++;
        }
    closedir(dir);
    return n;
}

static void run_with_cache(const char *folder)
{
    rig r;
    uint64_t ticket;
    rig_create(&r, 0, (lp_vulkan_options){.cache_folder = folder}, false);
    rig_ok(r.backend->table->submit(r.program, 5, &ticket));
    rig_wait(r.backend, ticket);
    rig_check_cache(&r, 5);
    rig_destroy(&r);
}

static void pipeline_cache(void **state)
{
    (void)state;
    char root[] = "/tmp/lapilli-test-XXXXXX", folder[64], path[512];
    assert_non_null(mkdtemp(root));
    snprintf(folder, sizeof folder, "%s/a/b", root); // made when needed
    run_with_cache(folder);
    assert_int_equal(only_file(folder, path, sizeof path), 1);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    ino_t before = info.st_ino;
    run_with_cache(folder);
    assert_int_equal(stat(path, &info), 0);
    if (rig_driver("lavapipe")) // others need not give the same bytes every time
        assert_int_equal(info.st_ino, before); // nothing new, not written again
    size_t bytes = (size_t)info.st_size;
    uint8_t *good = malloc(bytes + 8), *bad = malloc(bytes + 8);
    assert_true(good != NULL && bad != NULL && bytes > 24);
    FILE *f = fopen(path, "rb");
    assert_true(f != NULL && fread(good, 1, bytes, f) == bytes);
    fclose(f);
    // flipped bits in the header, the driver's part and the end; shorter, longer, empty, foreign
    for (int kind = 0; kind < 8; kind++) {
        size_t n = kind == 3   ? bytes / 2
                   : kind == 4 ? bytes + 8
                   : kind == 5 ? 0
                   : kind == 6 ? 5
                               : bytes;
        memset(bad, 0x5a, bytes + 8);
        if (kind != 7)
            memcpy(bad, good, bytes);
        if (kind < 3)
            bad[kind == 0 ? 9 : kind == 1 ? 30 : bytes - 1] ^= 0x10;
        rig_ok(lp_file_write(&rig_ctx, path, bad, n));
        run_with_cache(folder);
        assert_int_equal(only_file(folder, path, sizeof path), 1);
    }
    // what was written over it is whole again
    lp_file file;
    rig_ok(lp_file_open(&rig_ctx, path, &file));
    assert_true(file.bytes > 24 && memcmp(file.data, "lapilli1", 8) == 0);
    lp_file_close(&file);
    // a folder that cannot be: nothing is kept, everything works
    snprintf(folder, sizeof folder, "/proc/lapilli/none");
    run_with_cache(folder);
    free(good);
    free(bad);
    unlink(path);
    snprintf(folder, sizeof folder, "%s/a/b", root);
    assert_int_equal(rmdir(folder), 0);
    snprintf(folder, sizeof folder, "%s/a", root);
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(rmdir(root), 0);
}

// ---- Failures
// ------------------------------------------------------------------------------------

static void huge_tensors(void **state)
{
    (void)state;
    lp_store store = {0};
    uint32_t index;
    const lp_slot slot = {.name = "blk.7.enormous",
                          .kind = LP_SLOT_STATE,
                          .dtype = LP_F32,
                          .shape = LP_SHAPE2(1 << 24, 1 << 20)};
    rig_ok(lp_store_slot(&rig_ctx, &store, &slot, &index));
    lp_backend *b = rig_open(0, (lp_vulkan_options){0});
    assert_int_equal(b->table->load(b, &store, NULL, NULL), LP_E_LIMIT);
    assert_non_null(strstr(rig_ctx.message, "blk.7.enormous"));
    b->table->destroy(b);
    lp_store_destroy(&store);

    lp_builder builder;
    lp_graph *graph;
    lp_program *program;
    lp_store empty = {0};
    rig_ok(lp_builder_start(&builder, &rig_ctx, &empty, NULL, 1));
    lp_tensor_id x = lp_input(&builder, "x", LP_SHAPE2(1 << 20, 1 << 22));
    lp_output(&builder, lp_act(&builder, "act", LP_ACT_RELU, x), "y");
    rig_ok(lp_builder_finish(&builder, false, &graph));
    b = rig_open(0, (lp_vulkan_options){0});
    rig_ok(b->table->load(b, &empty, NULL, NULL));
    assert_int_equal(b->table->program_create(b, graph, (lp_plan_options){0}, &program),
                     LP_E_LIMIT);
    b->table->destroy(b);
    lp_graph_destroy(graph);
    lp_store_destroy(&empty);
}

static int cancel_at_third(void *user, uint64_t done, uint64_t total)
{
    assert_true(done <= total && total > 0);
    return ++*(int *)user == 3;
}

static int count_progress(void *user, uint64_t done, uint64_t total)
{
    ++*(int *)user;
    assert_true(done <= total);
    return 0;
}

static void loading(void **state)
{
    (void)state;
    rig r;
    int calls = 0;
    rig_store(&r, false);
    r.backend = rig_open(0, (lp_vulkan_options){.staged = true});
    assert_int_equal(
        r.backend->table->program_create(r.backend, r.graph, (lp_plan_options){0}, &r.program),
        LP_E_ARG); // not loaded yet
    assert_null(r.program);
    assert_int_equal(r.backend->table->load(r.backend, &r.store, cancel_at_third, &calls),
                     LP_E_CANCELLED);
    assert_int_equal(calls, 3);
    r.backend->table->destroy(r.backend);
    r.backend = rig_open(0, (lp_vulkan_options){0});
    rig_ok(r.backend->table->load(r.backend, &r.store, count_progress, &calls));
    assert_true(calls >= 3 + (int)r.store.n_slots);
    assert_int_equal(r.backend->table->load(r.backend, &r.store, NULL, NULL), LP_E_ARG);
    rig_destroy(&r);
}

// Plans that would be undefined behaviour on the device are refused.
static void broken_plans(void **state)
{
    (void)state;
    rig r;
    rig_create(&r, 0, (lp_vulkan_options){0}, false);
    const lp_caps *caps = lp_vulkan_backend_caps(r.backend);
    for (int kind = 0; kind < 7; kind++) {
        lp_plan *plan;
        lp_program *program;
        rig_ok(lp_plan_create(&rig_ctx, r.graph, caps, (lp_plan_options){0}, &plan));
        lp_dispatch *d = &plan->dispatches[0];
        switch (kind) {
        case 0:
            break; // nothing wrong
        case 1:
            if (caps->max_groups[1] == UINT32_MAX)
                d->spec[0] = 1u << 20;
            d->groups[1] = caps->max_groups[1];
            d->groups[1] += d->groups[1] != UINT32_MAX;
            break;
        case 2:
            d->spec[0] = caps->max_workgroup_invocations + 1;
            break;
        case 3:
            d->relocations[0].buffer = r.store.n_slots + 1;
            break;
        case 4:
            d->relocations[0].push_offset = (uint16_t)(d->n_push - 4);
            break;
        case 5:
            d->writes[0].bytes = plan->arena.bytes + 1;
            break;
        case 6:
            d->reads[0].offset = UINT64_MAX - 3;
            break;
        }
        lp_status status = lp_vulkan_program_from_plan(r.backend, r.graph, plan, &program);
        if (kind == 0)
            rig_ok(status);
        else
            assert_true(status == LP_E_LIMIT || status == LP_E_ARG);
        assert_true((kind == 0) == (program != NULL));
        r.backend->table->program_destroy(program);
    }
    rig_destroy(&r);
}

static VKAPI_ATTR VkResult VKAPI_CALL lose_submit(VkQueue queue, uint32_t n,
                                                  const VkSubmitInfo *submits, VkFence fence)
{
    (void)queue, (void)n, (void)submits, (void)fence;
    return VK_ERROR_DEVICE_LOST;
}

static VKAPI_ATTR VkResult VKAPI_CALL lose_wait(VkDevice device, const VkSemaphoreWaitInfo *info,
                                                uint64_t timeout)
{
    (void)device, (void)info, (void)timeout;
    return VK_ERROR_DEVICE_LOST;
}

// A lost device is an error that names the work, at every later call, too; and all can be
// destroyed.
static void lost_device(void **state)
{
    (void)state;
    for (int in_submit = 0; in_submit < 2; in_submit++) {
        rig r;
        uint64_t ticket;
        rig_create(&r, 0, (lp_vulkan_options){0}, false);
        struct VolkDeviceTable *vk = &((vulkan_backend *)r.backend)->vk;
        if (in_submit)
            vk->vkQueueSubmit = lose_submit;
        else
            vk->vkWaitSemaphores = lose_wait;
        lp_status status = r.backend->table->submit(r.program, 1, &ticket);
        if (!in_submit) {
            rig_ok(status);
            status = r.backend->table->wait(r.backend, ticket);
        }
        assert_int_equal(status, LP_E_DEVICE_LOST);
        assert_non_null(strstr(rig_ctx.message, lp_vulkan_gpu(rig_vulkan, 0)->name));
        assert_int_equal(r.backend->table->submit(r.program, 1, &ticket), LP_E_DEVICE_LOST);
        assert_int_equal(r.backend->table->wait(r.backend, 1), LP_E_DEVICE_LOST);
        rig_destroy(&r);
    }
}

// ---- SPIR-V
// --------------------------------------------------------------------------------------

static void round_nearest(void **state)
{
    (void)state;
    assert_true(lp_n_kernels > 0);
    for (unsigned i = 0; i < lp_n_kernels; i++) {
        const lp_kernel *k = &lp_kernels[i];
        size_t bytes = 0, n = k->spirv_bytes / 4;
        uint32_t *new = lp_spirv_round_nearest(k->spirv, k->spirv_bytes, &bytes);
        assert_non_null(new);
        assert_int_equal(bytes, k->spirv_bytes + 6 * 4);
        size_t same = 0; // what was there is there in its order, around two new instructions
        uint32_t added[6], n_added = 0;
        for (size_t j = 0; j < bytes / 4; j++)
            if (same < n && new[j] == k->spirv[same] && n_added != 1 &&
                !(n_added > 2 && n_added < 6))
                same++;
            else if (n_added < 6)
                added[n_added++] = new[j];
        assert_int_equal(n_added, 6);
        assert_int_equal(same, n);
        assert_int_equal(added[1], 4467); // RoundingModeRTE
        assert_int_equal(added[4], 4462);
        assert_int_equal(added[5], 32);
        free(new);
    }
    const uint32_t broken[8] = {0x07230203, 0x10500, 0, 9, 0, 900u << 16 | 17};
    size_t bytes;
    assert_null(lp_spirv_round_nearest(broken, sizeof broken, &bytes));
    assert_null(lp_spirv_round_nearest(broken, 4, &bytes));
    assert_null(lp_spirv_round_nearest(lp_kernels[0].spirv + 1, 64, &bytes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pipeline_cache), cmocka_unit_test(huge_tensors),
        cmocka_unit_test(loading),        cmocka_unit_test(broken_plans),
        cmocka_unit_test(lost_device),    cmocka_unit_test(round_nearest),
    };
    const struct CMUnitTest without[] = {cmocka_unit_test(round_nearest)};
    const char *device = getenv("LAPILLI_TEST_DEVICE");
    if (device == NULL || strcmp(device, "cpu") == 0)
        return cmocka_run_group_tests(without, rig_set_up, rig_tear_down);
    return cmocka_run_group_tests(tests, rig_set_up, rig_tear_down);
}
