/* Inside the Vulkan executor, and for tests that poison memory or run hand-made plans. */
#ifndef LP_VULKAN_INTERNAL_H
#define LP_VULKAN_INTERNAL_H

#include <volk.h>

#include "vulkan/vulkan_backend.h"

/* Headers before 1.4.303 (Ubuntu 24.04) lack VK_NV_cooperative_matrix2; drivers may have it all
 * the same. Facts from the Vulkan registry. */
#ifndef VK_NV_cooperative_matrix2
#define VK_NV_COOPERATIVE_MATRIX_2_EXTENSION_NAME "VK_NV_cooperative_matrix2"
#define VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_FEATURES_NV \
    ((VkStructureType)1000593000)
typedef struct VkPhysicalDeviceCooperativeMatrix2FeaturesNV {
    VkStructureType sType;
    void *pNext;
    VkBool32 cooperativeMatrixWorkgroupScope;
    VkBool32 cooperativeMatrixFlexibleDimensions;
    VkBool32 cooperativeMatrixReductions;
    VkBool32 cooperativeMatrixConversions;
    VkBool32 cooperativeMatrixPerElementOperations;
    VkBool32 cooperativeMatrixTensorAddressing;
    VkBool32 cooperativeMatrixBlockLoads;
} VkPhysicalDeviceCooperativeMatrix2FeaturesNV;
#endif

/* ---- instance.c, caps.c -------------------------------------------------------------------- */

/* What a logical device is created with; found out together with the facts in lp_gpu. */
typedef struct gpu_record {
    lp_gpu facts;
    VkPhysicalDevice physical;
    uint32_t queue_family;
    uint64_t max_buffer_bytes; /* of one allocation and one buffer */
    bool size_control; /* subgroups are full and of one size on request … */
    bool size_request; /* … which is named, unless there is only one */
    bool memory_model;         /* what cooperative matrices rely on */
    bool round_nearest;        /* float controls can ask for it in 32 bits, by itself */
    bool statistics;           /* tells about compiled kernels: compiler.c */
    bool portability;          /* a layered implementation, which wants that acknowledged */
    uint32_t max_workgroup_subgroups;
    VkPhysicalDeviceMemoryProperties memory;
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
    bool cached;     /* the host reads it at the speed of its own memory */
    uint64_t bytes;
} gpu_buffer;

/* Bytes behind every buffer that belong to nobody. llvmpipe goes through the body of a loop once more
 * when no invocation is active any longer; what that loads from addresses that are the same for all
 * invocations is not masked, and lies behind the end of a row or of a tile of keys. Nothing is done
 * with it, but the page must be there. */
#define BUFFER_SLACK (64u << 10)

typedef enum buffer_kind {
    BUFFER_DEVICE, /* device-local; mapped where such memory is host-visible */
    BUFFER_HOST    /* host-visible, coherent, cached where possible */
} buffer_kind;

typedef struct gpu_place {
    uint32_t buffer; /* index in vulkan_backend.buffers */
    uint64_t offset;
} gpu_place;

typedef struct pipeline_entry {
    const lp_kernel *kernel; /* NULL: free */
    uint32_t spec[LP_MAX_SPEC], n_spec;
    VkPipeline pipeline;
} pipeline_entry;

#define STAGING_SLOTS 2
#define STAGING_BYTES (8u << 20)
#define SUBMIT_LOG    64 /* latest submits, whose names are known if the device is lost */

typedef struct submit_entry {
    uint64_t ticket;
    char what[64];
} submit_entry;

typedef struct vulkan_backend {
    lp_backend base;
    lp_vulkan *vulkan;
    const gpu_record *gpu;
    lp_vulkan_options options;
    bool compiler; /* only compiles, and tells about it: compiler.c */
    struct VolkDeviceTable vk;
    VkDevice device;
    VkQueue queue;
    VkCommandPool pool;
    VkSemaphore timeline;
    uint64_t ticket; /* latest value that will be signalled */
    bool lost;
    submit_entry log[SUBMIT_LOG]; /* of ticket t: log[t % SUBMIT_LOG] */

    gpu_buffer *buffers; /* slots of the store */
    uint32_t n_buffers;
    gpu_place *places; /* per slot */
    lp_store *store;
    gpu_buffer arena; /* of all programs; replaced only while nothing is in flight */
    uint64_t arena_generation;
    const lp_program *arena_holder; /* whose activations are in it; NULL: nobody's */
    uint32_t n_programs;
    gpu_buffer staging[STAGING_SLOTS]; /* made when first needed */
    VkCommandBuffer staging_commands[STAGING_SLOTS];
    uint64_t staging_ticket[STAGING_SLOTS];
    uint32_t staging_next;
    uint64_t bytes[4]; /* weights, states, activations, staging */

    VkPipelineLayout layout;
    VkPipelineCache cache;
    char *cache_path; /* NULL: not kept */
    bool cache_changed;
    uint64_t cache_checksum; /* of what the file held; 0: nothing */
    pipeline_entry *pipelines; /* open addressing; capacity 0 or a power of two */
    uint32_t n_pipelines, pipeline_capacity;
} vulkan_backend;

/* A device of the list, if it can be used. */
lp_status lp_vk_usable(lp_context *ctx, const lp_vulkan *vulkan, uint32_t index,
                       const gpu_record **gpu);
/* The logical device and its functions, nothing else. */
lp_status lp_vk_device_create(vulkan_backend *vb);

/* A batch of recorded commands: submitted together, done at one value of the timeline. */
typedef struct gpu_batch {
    uint32_t first, n;
} gpu_batch;
/* Submits batches of `commands` in order, each with a ticket of its own; `what` and its number name
 * them if the device is lost. *ticket: of the last. Allocates nothing. */
lp_status lp_vk_submit(vulkan_backend *vb, const VkCommandBuffer *commands,
                       const gpu_batch *batches, uint32_t n_batches, const char *what,
                       uint64_t *ticket);
lp_status lp_vk_wait(vulkan_backend *vb, uint64_t ticket);
/* lp_vulkan_fail() that remembers a lost device and names the submit that it was lost in. */
lp_status lp_vk_fail(vulkan_backend *vb, VkResult result, const char *what);

/* ---- memory.c ------------------------------------------------------------------------------ */

lp_status lp_vk_buffer_create(vulkan_backend *vb, buffer_kind kind, uint64_t bytes,
                              const char *what, gpu_buffer *buffer);
void lp_vk_buffer_destroy(vulkan_backend *vb, gpu_buffer *buffer);
/* Rows of a buffer, `stride` bytes apart, and contiguous host memory: host copies, in pieces
 * through staging memory where the buffer is not mapped. Direct copies need that nothing which uses
 * the bytes is in flight; staged ones come after everything submitted before. */
typedef struct gpu_rows {
    uint64_t offset, row_bytes, n_rows, stride;
} gpu_rows;
lp_status lp_vk_read_rows(vulkan_backend *vb, const gpu_buffer *buffer, gpu_rows rows, void *to);
lp_status lp_vk_write_rows(vulkan_backend *vb, const gpu_buffer *buffer, gpu_rows rows,
                           const void *from);
lp_status lp_vk_read(vulkan_backend *vb, const gpu_buffer *buffer, uint64_t offset, void *to,
                     uint64_t bytes);
lp_status lp_vk_write(vulkan_backend *vb, const gpu_buffer *buffer, uint64_t offset,
                      const void *from, uint64_t bytes);
/* Every word of a range becomes `word`; offset and bytes are multiples of 4. */
lp_status lp_vk_fill(vulkan_backend *vb, const gpu_buffer *buffer, uint64_t offset, uint64_t bytes,
                     uint32_t word);
/* The next piece of staging memory, STAGING_BYTES that the host may write. */
lp_status lp_vk_staging(vulkan_backend *vb, uint32_t *slot, uint8_t **memory);
/* Copies from staging memory that the caller filled. */
lp_status lp_vk_staging_send(vulkan_backend *vb, uint32_t slot, const gpu_buffer *to,
                             const VkBufferCopy *regions, uint32_t n_regions);

/* ---- upload.c ------------------------------------------------------------------------------ */

lp_status lp_vk_load(lp_backend *backend, lp_store *store, lp_progress_fn progress, void *user);

/* ---- pipelines.c --------------------------------------------------------------------------- */

lp_status lp_vk_pipelines_start(vulkan_backend *vb, const char *cache_folder);
void lp_vk_pipelines_end(vulkan_backend *vb); /* saves the cache if it changed */
lp_status lp_vk_pipeline(vulkan_backend *vb, const lp_dispatch *dispatch, VkPipeline *pipeline);

/* ---- spirv.c ------------------------------------------------------------------------------- */

/* A copy of a module that asks for rounding to nearest in 32 bits (RoundingModeRTE), malloc'ed;
 * NULL when out of memory or if the module is not one that this can be added to. */
uint32_t *lp_spirv_round_nearest(const uint32_t *spirv, size_t bytes, size_t *new_bytes);

/* ---- program.c ----------------------------------------------------------------------------- */

lp_status lp_vk_program_create(lp_backend *backend, const lp_graph *graph, lp_plan_options options,
                               lp_program **program);
void lp_vk_program_destroy(lp_program *program);
lp_status lp_vk_program_submit(lp_program *program, unsigned count, uint64_t *ticket);
lp_status lp_vk_tensor_read(lp_program *program, lp_tensor_id tensor, float *to);
lp_status lp_vk_tensor_write(lp_program *program, lp_tensor_id tensor, const float *from);

/* ---- For checks and tests ------------------------------------------------------------------ */

/* A program from a plan made elsewhere; takes the plan over, also when it fails. */
lp_status lp_vulkan_program_from_plan(lp_backend *backend, const lp_graph *graph, lp_plan *plan,
                                      lp_program **program);
const lp_plan *lp_vulkan_program_plan(const lp_program *program);
/* How many submits one run of the program takes. */
uint32_t lp_vulkan_program_submits(const lp_program *program);
const lp_caps *lp_vulkan_backend_caps(const lp_backend *backend);
/* Raw bytes of a plan's buffer (LP_BUFFER_ARENA, LP_BUFFER_SLOT(i)), guard bytes included; nothing
 * may be in flight. The arena's offsets are the plan's. */
uint64_t lp_vulkan_raw_bytes(const lp_backend *backend, uint32_t buffer);
lp_status lp_vulkan_raw_read(lp_backend *backend, uint32_t buffer, uint64_t offset, void *to,
                             uint64_t bytes);
lp_status lp_vulkan_raw_write(lp_backend *backend, uint32_t buffer, uint64_t offset,
                              const void *from, uint64_t bytes);
lp_status lp_vulkan_raw_fill(lp_backend *backend, uint32_t buffer, uint64_t offset, uint64_t bytes,
                             uint32_t word);

#endif
