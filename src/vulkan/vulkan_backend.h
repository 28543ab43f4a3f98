/* The Vulkan executor. Nothing of Vulkan is visible here. */
#ifndef LP_VULKAN_BACKEND_H
#define LP_VULKAN_BACKEND_H

#include "graph/backend.h"

typedef enum lp_gpu_type {
    LP_GPU_DISCRETE,
    LP_GPU_INTEGRATED,
    LP_GPU_VIRTUAL,
    LP_GPU_CPU,
    LP_GPU_OTHER
} lp_gpu_type;

/* What `lapilli devices` shows of a device. */
typedef struct lp_gpu {
    char name[256], driver[256]; /* driver: name, version and build */
    lp_gpu_type type;
    char unusable[256]; /* "" or why it cannot be used */
    bool uma, fp16, bf16, storage16, storage8, int64, int_dot, coopmat, coopmat2;
    uint32_t vendor_id, device_id, api_version, driver_version;
    uint64_t memory_bytes, max_allocation_bytes;
    uint8_t uuid[16], driver_uuid[16];
    lp_caps caps;
} lp_gpu;

/* The loader and its devices. LP_E_MISSING if there is no Vulkan loader or no driver; the message
 * says which. */
typedef struct lp_vulkan lp_vulkan;
lp_status lp_vulkan_create(lp_context *ctx, bool validation, lp_vulkan **vulkan);
void lp_vulkan_destroy(lp_vulkan *vulkan);
uint32_t lp_vulkan_count(const lp_vulkan *vulkan);
const lp_gpu *lp_vulkan_gpu(const lp_vulkan *vulkan, uint32_t index);
/* Messages of the validation layers so far (0 when they are off). */
uint32_t lp_vulkan_validation_errors(const lp_vulkan *vulkan);

#define LP_SUBMIT_SECONDS 0.25
typedef struct lp_vulkan_options {
    const char *cache_folder; /* for the pipeline cache; NULL: none */
    double submit_seconds;    /* estimated length at which submits are cut; 0: LP_SUBMIT_SECONDS */
    /* For tests: */
    uint64_t guard_bytes; /* unused bytes after every slot */
    bool staged; /* as if the host could not see device memory, so that copies go the long way */
} lp_vulkan_options;
/* The most that a backend takes for copies. */
uint64_t lp_vulkan_staging_most(void);
/* `vulkan` must outlive the backend. */
lp_status lp_vulkan_backend_create(lp_context *ctx, lp_vulkan *vulkan, uint32_t index,
                                   lp_vulkan_options options, lp_backend **backend);

/* A device that compiles kernels as a program would and tells what became of them. It has no memory
 * and runs nothing, so it also serves drivers that compile without a GPU. `vulkan` must outlive it.
 * LP_E_UNSUPPORTED if the driver tells nothing (VK_KHR_pipeline_executable_properties). */
typedef struct lp_gpu_compiler lp_gpu_compiler;
lp_status lp_gpu_compiler_create(lp_context *ctx, lp_vulkan *vulkan, uint32_t index,
                                 lp_gpu_compiler **compiler);
void lp_gpu_compiler_destroy(lp_gpu_compiler *compiler);

/* In the driver's words: {"VGPRs", 24}. Which ones there are, and in which unit, is up to it. */
typedef struct lp_gpu_statistic {
    char name[64];
    double value;
} lp_gpu_statistic;

typedef struct lp_gpu_statistics {
    uint32_t subgroup_size;
    uint32_t n;
    lp_gpu_statistic list[64]; /* more than drivers have; those beyond are left out */
} lp_gpu_statistics;

/* Of the kernel of a dispatch with its specialization constants. */
lp_status lp_gpu_compile(lp_gpu_compiler *compiler, const lp_dispatch *dispatch,
                         lp_gpu_statistics *statistics);
/* The value with this name, or NAN. */
double lp_gpu_statistic_find(const lp_gpu_statistics *statistics, const char *name);

#endif
