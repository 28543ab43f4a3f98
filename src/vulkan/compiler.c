/* What the driver makes of a kernel: registers, spills, shared memory, code size, from
 * VK_KHR_pipeline_executable_properties. A logical device of its own, with nothing but pipelines:
 * drivers that stand in for absent hardware can compile, but have no semaphores to create. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vulkan/vulkan_internal.h"

struct lp_gpu_compiler {
    vulkan_backend vb; /* device and pipelines; all else is empty */
};

lp_status lp_gpu_compiler_create(lp_context *ctx, lp_vulkan *vulkan, uint32_t index,
                                 lp_gpu_compiler **result)
{
    lp_status status = LP_OK;
    const gpu_record *gpu = NULL;
    *result = NULL;
    LP_TRY(lp_vk_usable(ctx, vulkan, index, &gpu));
    if (!gpu->statistics)
        return lp_fail(ctx, LP_E_UNSUPPORTED,
                       "%s tells nothing about compiled kernels "
                       "(VK_KHR_pipeline_executable_properties)",
                       gpu->facts.name);
    lp_gpu_compiler *c = calloc(1, sizeof *c);
    if (c == NULL)
        return lp_fail_memory(ctx, "a compiler");
    c->vb = (vulkan_backend){.base = {.ctx = ctx, .name = gpu->facts.name},
                             .vulkan = vulkan,
                             .gpu = gpu,
                             .compiler = true};
    LP_CHECK(lp_vk_device_create(&c->vb));
    LP_CHECK(lp_vk_pipelines_start(&c->vb, NULL));
    *result = c;
    return LP_OK;
cleanup:
    lp_gpu_compiler_destroy(c);
    return status;
}

void lp_gpu_compiler_destroy(lp_gpu_compiler *compiler)
{
    if (compiler == NULL)
        return;
    if (compiler->vb.device != VK_NULL_HANDLE) {
        lp_vk_pipelines_end(&compiler->vb);
        compiler->vb.vk.vkDestroyDevice(compiler->vb.device, NULL);
    }
    free(compiler);
}

static double value_of(const VkPipelineExecutableStatisticKHR *s)
{
    switch (s->format) {
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR:
        return s->value.b32;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR:
        return (double)s->value.i64;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR:
        return (double)s->value.u64;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_FLOAT64_KHR:
        return s->value.f64;
    default:
        return NAN;
    }
}

/* Of the pipeline's first executable; a compute pipeline has one (on some drivers several, for
 * several subgroup sizes). */
static lp_status ask(const vulkan_backend *vb, VkPipeline pipeline, const char *what,
                     lp_gpu_statistics *result)
{
    lp_context *ctx = vb->base.ctx;
    VkPipelineInfoKHR which = {.sType = VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR, .pipeline = pipeline};
    VkPipelineExecutablePropertiesKHR properties = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR};
    uint32_t n = 1;
    VkResult told =
        vb->vk.vkGetPipelineExecutablePropertiesKHR(vb->device, &which, &n, &properties);
    if (told != VK_INCOMPLETE)
        LP_VK(ctx, told, what);
    if (n == 0)
        return lp_fail(ctx, LP_E_UNSUPPORTED, "%s: the driver tells nothing about it", what);
    result->subgroup_size = properties.subgroupSize;

    VkPipelineExecutableInfoKHR first = {.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR,
                                         .pipeline = pipeline};
    const uint32_t most = sizeof result->list / sizeof *result->list;
    VkPipelineExecutableStatisticKHR *list = calloc(most, sizeof *list);
    if (list == NULL)
        return lp_fail_memory(ctx, "statistics");
    for (uint32_t i = 0; i < most; i++)
        list[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR;
    n = most;
    told = vb->vk.vkGetPipelineExecutableStatisticsKHR(vb->device, &first, &n, list);
    if (told == VK_SUCCESS || told == VK_INCOMPLETE)
        result->n = n;
    for (uint32_t i = 0; i < result->n; i++) {
        snprintf(result->list[i].name, sizeof result->list[i].name, "%.63s", list[i].name);
        result->list[i].value = value_of(&list[i]);
    }
    free(list);
    if (told != VK_INCOMPLETE)
        LP_VK(ctx, told, what);
    return LP_OK;
}

lp_status lp_gpu_compile(lp_gpu_compiler *compiler, const lp_dispatch *dispatch,
                         lp_gpu_statistics *statistics)
{
    VkPipeline pipeline;
    *statistics = (lp_gpu_statistics){0};
    LP_TRY(lp_vk_pipeline(&compiler->vb, dispatch, &pipeline));
    return ask(&compiler->vb, pipeline, dispatch->kernel->name, statistics);
}

double lp_gpu_statistic_find(const lp_gpu_statistics *statistics, const char *name)
{
    for (uint32_t i = 0; i < statistics->n; i++)
        if (strcmp(statistics->list[i].name, name) == 0)
            return statistics->list[i].value;
    return NAN;
}
