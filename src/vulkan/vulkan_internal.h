/* Inside the Vulkan executor, and for tests that poison memory or run hand-made plans. */
#ifndef LP_VULKAN_INTERNAL_H
#define LP_VULKAN_INTERNAL_H

#include <volk.h>

#include "vulkan/vulkan_backend.h"

/* ---- instance.c, caps.c -------------------------------------------------------------------- */

/* What a logical device is created with; found out together with the facts in lp_gpu. */
typedef struct gpu_record {
    lp_gpu facts;
    VkPhysicalDevice physical;
    uint32_t queue_family;
    uint64_t max_buffer_bytes; /* of one allocation and one buffer */
    bool size_control;         /* subgroup size can be requested, full subgroups too */
} gpu_record;

struct lp_vulkan {
    lp_context *ctx;
    VkInstance instance;
    VkDebugUtilsMessengerEXT messenger;
    uint32_t n_errors;
    gpu_record *gpus;
    uint32_t n_gpus;
};

void lp_gpu_describe(VkPhysicalDevice physical, gpu_record *gpu);
bool lp_has_extension(VkPhysicalDevice physical, const char *name);
/* LP_E_DEVICE_LOST, LP_E_MEMORY or LP_E_DEVICE with Vulkan's own name for it. */
lp_status lp_vulkan_fail(lp_context *ctx, VkResult result, const char *what);

#define LP_VK(ctx, call, what)                                                                     \
    do {                                                                                           \
        VkResult lp_vk_result_ = (call);                                                           \
        if (lp_vk_result_ != VK_SUCCESS)                                                           \
            return lp_vulkan_fail(ctx, lp_vk_result_, what);                                       \
    } while (0)

/* ---- device.c ------------------------------------------------------------------------------ */

typedef struct gpu_buffer {
    VkBuffer buffer;
    VkDeviceMemory memory;
    VkDeviceAddress address;
    uint8_t *mapped; /* NULL: the host does not see it */
    uint64_t bytes;
} gpu_buffer;

typedef enum buffer_kind {
    BUFFER_DEVICE, /* device-local; mapped where such memory is host-visible */
    BUFFER_HOST    /* host-visible, coherent, cached where possible */
} buffer_kind;

typedef struct gpu_place {
    uint32_t buffer; /* index in vulkan_backend.buffers */
    uint64_t offset;
} gpu_place;

typedef struct pipeline_entry {
    const lp_kernel *kernel;
    uint32_t spec[LP_MAX_SPEC], n_spec;
    VkPipeline pipeline;
} pipeline_entry;

#define STAGING_SLOTS 2

typedef struct vulkan_backend {
    lp_backend base;
    lp_vulkan *vulkan;
    const gpu_record *gpu;
    struct VolkDeviceTable vk;
    VkDevice device;
    VkQueue queue;
    VkCommandPool pool;
    VkSemaphore timeline;
    uint64_t ticket; /* latest value that will be signalled */
    double submit_seconds;

    gpu_buffer *buffers; /* slots of the store */
    uint32_t n_buffers;
    gpu_place *places; /* per slot */
    lp_store *store;
    gpu_buffer arena; /* of all programs; grows only while nothing is in flight */
    uint64_t arena_generation;
    gpu_buffer staging[STAGING_SLOTS];
    VkCommandBuffer staging_commands[STAGING_SLOTS];
    uint64_t staging_ticket[STAGING_SLOTS];
    uint32_t staging_next;
    uint64_t bytes[4]; /* weights, states, activations, staging */

    VkPipelineLayout layout;
    VkPipelineCache cache;
    char *cache_path; /* NULL: not kept */
    bool cache_changed;
    pipeline_entry *pipelines;
    uint32_t n_pipelines, pipeline_capacity;
} vulkan_backend;

lp_status lp_vk_wait(vulkan_backend *vb, uint64_t ticket);
/* Submits recorded commands; the timeline reaches *ticket when they are done. */
lp_status lp_vk_submit(vulkan_backend *vb, const VkCommandBuffer *commands, uint32_t n,
                       uint64_t *ticket);

/* ---- memory.c ------------------------------------------------------------------------------ */

lp_status lp_vk_buffer_create(vulkan_backend *vb, buffer_kind kind, uint64_t bytes,
                              const char *what, gpu_buffer *buffer);
void lp_vk_buffer_destroy(vulkan_backend *vb, gpu_buffer *buffer);
/* Host copies, in pieces through staging memory where the buffer is not mapped. Nothing that uses
 * the bytes may be in flight. */
lp_status lp_vk_read(vulkan_backend *vb, const gpu_buffer *buffer, uint64_t offset, void *to,
                     uint64_t bytes);
lp_status lp_vk_write(vulkan_backend *vb, const gpu_buffer *buffer, uint64_t offset,
                      const void *from, uint64_t bytes);

/* ---- upload.c ------------------------------------------------------------------------------ */

lp_status lp_vk_load(lp_backend *backend, lp_store *store, lp_progress_fn progress, void *user);

/* ---- pipelines.c --------------------------------------------------------------------------- */

lp_status lp_vk_pipelines_start(vulkan_backend *vb, const char *cache_folder);
void lp_vk_pipelines_end(vulkan_backend *vb); /* saves the cache if it changed */
lp_status lp_vk_pipeline(vulkan_backend *vb, const lp_dispatch *dispatch, VkPipeline *pipeline);

/* ---- program.c ----------------------------------------------------------------------------- */

lp_status lp_vk_program_create(lp_backend *backend, const lp_graph *graph, lp_plan_options options,
                               lp_program **program);
void lp_vk_program_destroy(lp_program *program);
lp_status lp_vk_program_submit(lp_program *program, unsigned count, uint64_t *ticket);
lp_status lp_vk_tensor_read(lp_program *program, lp_tensor_id tensor, float *to);
lp_status lp_vk_tensor_write(lp_program *program, lp_tensor_id tensor, const float *from);

/* ---- For tests ----------------------------------------------------------------------------- */

/* A program from a plan made elsewhere; takes the plan over, also when it fails. */
lp_status lp_vulkan_program_from_plan(lp_backend *backend, const lp_graph *graph, lp_plan *plan,
                                      lp_program **program);
const lp_plan *lp_vulkan_program_plan(const lp_program *program);
/* How many submits one run of the program takes. */
uint32_t lp_vulkan_program_submits(const lp_program *program);
const lp_caps *lp_vulkan_backend_caps(const lp_backend *backend);
/* Raw bytes of a plan's buffer (LP_BUFFER_ARENA, LP_BUFFER_SLOT(i)); nothing may be in flight. */
lp_status lp_vulkan_raw_read(lp_backend *backend, uint32_t buffer, uint64_t offset, void *to,
                             uint64_t bytes);
lp_status lp_vulkan_raw_write(lp_backend *backend, uint32_t buffer, uint64_t offset,
                              const void *from, uint64_t bytes);

#endif
