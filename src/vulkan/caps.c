/* Facts of a device: probed, never assumed. A device that cannot be used is described all the same,
 * with the reason. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vulkan/vulkan_internal.h"

typedef struct extension_list {
    VkExtensionProperties *list; /* NULL: none known */
    uint32_t n;
} extension_list;

static extension_list list_extensions(VkPhysicalDevice physical)
{
    extension_list e = {0};
    if (vkEnumerateDeviceExtensionProperties(physical, NULL, &e.n, NULL) == VK_SUCCESS && e.n > 0)
        e.list = calloc(e.n, sizeof *e.list);
    if (e.list == NULL || vkEnumerateDeviceExtensionProperties(physical, NULL, &e.n, e.list) < 0)
        e.n = 0;
    return e;
}

static bool has(const extension_list *e, const char *name)
{
    for (uint32_t i = 0; i < e->n; i++)
        if (strcmp(e->list[i].extensionName, name) == 0)
            return true;
    return false;
}

static lp_gpu_type gpu_type(VkPhysicalDeviceType type)
{
    switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
        return LP_GPU_DISCRETE;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
        return LP_GPU_INTEGRATED;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
        return LP_GPU_VIRTUAL;
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
        return LP_GPU_CPU;
    default:
        return LP_GPU_OTHER;
    }
}

/* A queue family for compute: one with graphics if there is a choice, because those are the ones
 * that drivers tune for. UINT32_MAX: none. */
static uint32_t compute_family(VkPhysicalDevice physical)
{
    VkQueueFamilyProperties families[32];
    uint32_t n = 32, found = UINT32_MAX;
    vkGetPhysicalDeviceQueueFamilyProperties(physical, &n, families);
    for (uint32_t i = 0; i < n; i++)
        if ((families[i].queueFlags & VK_QUEUE_COMPUTE_BIT) && families[i].queueCount > 0 &&
            (found == UINT32_MAX || ((families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT) &&
                                     !(families[found].queueFlags & VK_QUEUE_GRAPHICS_BIT))))
            found = i;
    return found;
}

static void describe_memory(VkPhysicalDevice physical, gpu_record *gpu)
{
    lp_gpu *facts = &gpu->facts;
    VkPhysicalDeviceMemoryProperties *memory = &gpu->memory;
    vkGetPhysicalDeviceMemoryProperties(physical, memory);
    facts->uma = true;
    for (uint32_t i = 0; i < memory->memoryHeapCount; i++)
        if (memory->memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) {
            if (memory->memoryHeaps[i].size > facts->memory_bytes)
                facts->memory_bytes = memory->memoryHeaps[i].size;
        } else {
            facts->uma = false;
        }
}

/* Cores as vendors count them; 0 if this driver does not tell. */
static uint32_t count_cores(VkPhysicalDevice physical, const extension_list *extensions)
{
    VkPhysicalDeviceShaderSMBuiltinsPropertiesNV nv = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_SM_BUILTINS_PROPERTIES_NV};
    VkPhysicalDeviceShaderCoreProperties2AMD amd = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_PROPERTIES_2_AMD};
    VkPhysicalDeviceShaderCoreBuiltinsPropertiesARM arm = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_BUILTINS_PROPERTIES_ARM};
    VkPhysicalDeviceProperties2 properties = {.sType =
                                                  VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
    if (has(extensions, VK_NV_SHADER_SM_BUILTINS_EXTENSION_NAME))
        properties.pNext = &nv;
    else if (has(extensions, VK_AMD_SHADER_CORE_PROPERTIES_2_EXTENSION_NAME))
        properties.pNext = &amd;
    else if (has(extensions, VK_ARM_SHADER_CORE_BUILTINS_EXTENSION_NAME))
        properties.pNext = &arm;
    else
        return 0;
    vkGetPhysicalDeviceProperties2(physical, &properties);
    return nv.shaderSMCount + amd.activeComputeUnitCount + arm.shaderCoreCount;
}

/* Cores and pessimistic speeds, by kind of device: they only decide where submits are cut and how
 * finely work is split. */
static void describe_speed(lp_gpu_type type, uint32_t n_cores, lp_caps *caps)
{
    long n_threads = sysconf(_SC_NPROCESSORS_ONLN);
    switch (type) {
    case LP_GPU_CPU:
        caps->is_cpu = true;
        caps->n_cores = n_threads > 0 ? (uint32_t)n_threads : 1;
        caps->flops = 2e9 * caps->n_cores;
        caps->bytes_per_second = 2e9;
        return;
    case LP_GPU_DISCRETE:
        caps->n_cores = 32;
        caps->flops = 1e12;
        caps->bytes_per_second = 80e9;
        break;
    default:
        caps->n_cores = 16;
        caps->flops = 1e11;
        caps->bytes_per_second = 10e9;
        break;
    }
    if (n_cores != 0)
        caps->n_cores = n_cores;
}

static const char *why_unusable(const gpu_record *gpu, const VkPhysicalDeviceVulkan12Features *v12)
{
    const lp_caps *caps = &gpu->facts.caps;
    if (gpu->facts.api_version < VK_API_VERSION_1_2)
        return "its driver is older than Vulkan 1.2";
    if (!v12->bufferDeviceAddress)
        return "it lacks the feature bufferDeviceAddress";
    if (!v12->timelineSemaphore)
        return "it lacks the feature timelineSemaphore";
    if (gpu->queue_family == UINT32_MAX)
        return "it has no queue for compute";
    if (caps->max_shared_bytes < lp_caps_minimum.max_shared_bytes)
        return "it has less than 16 KiB of shared memory";
    if (caps->max_workgroup_invocations < lp_caps_minimum.max_workgroup_invocations)
        return "its workgroups are smaller than 128";
    return "";
}

/* Adds a structure to a chain. */
static void chain(void **head, void *structure)
{
    VkBaseOutStructure *s = structure;
    s->pNext = *head;
    *head = s;
}

/* Everything beyond Vulkan 1.1. */
static void describe_features(VkPhysicalDevice physical, gpu_record *gpu,
                              const extension_list *extensions)
{
    lp_gpu *facts = &gpu->facts;
    lp_caps *caps = &facts->caps;
    bool v13 = facts->api_version >= VK_API_VERSION_1_3;
    bool has_size_control = v13 || has(extensions, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
    bool has_int_dot = v13 || has(extensions, VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME);
    bool has_statistics = has(extensions, VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME);
    bool has_coopmat = has(extensions, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME);
    /* its kernels are SPIR-V 1.6, hence 1.3 */
    bool has_coopmat2 = v13 && has(extensions, VK_NV_COOPERATIVE_MATRIX_2_EXTENSION_NAME);

    /* Only structures that the device knows are asked for. */
    VkPhysicalDeviceCooperativeMatrix2FeaturesNV coopmat2 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_FEATURES_NV};
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR coopmat = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR};
    VkPhysicalDeviceShaderIntegerDotProductFeatures int_dot = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES};
    VkPhysicalDeviceSubgroupSizeControlFeatures size_control = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES};
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR statistics = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR};
    VkPhysicalDeviceVulkan12Features v12 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
    VkPhysicalDeviceVulkan11Features v11 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES};
    VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
    if (has_coopmat2)
        chain(&features.pNext, &coopmat2);
    if (has_coopmat)
        chain(&features.pNext, &coopmat);
    if (has_int_dot)
        chain(&features.pNext, &int_dot);
    if (has_size_control)
        chain(&features.pNext, &size_control);
    if (has_statistics)
        chain(&features.pNext, &statistics);
    chain(&features.pNext, &v12);
    chain(&features.pNext, &v11);
    vkGetPhysicalDeviceFeatures2(physical, &features);

    VkPhysicalDeviceSubgroupSizeControlProperties sizes = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES};
    VkPhysicalDeviceMaintenance4Properties buffers = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES,
        .maxBufferSize = UINT64_MAX};
    VkPhysicalDeviceVulkan12Properties p12 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES};
    VkPhysicalDeviceVulkan11Properties p11 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES};
    VkPhysicalDeviceProperties2 properties = {.sType =
                                                  VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
    if (has_size_control)
        chain(&properties.pNext, &sizes);
    if (v13)
        chain(&properties.pNext, &buffers);
    chain(&properties.pNext, &p12);
    chain(&properties.pNext, &p11);
    vkGetPhysicalDeviceProperties2(physical, &properties);

    if (p12.driverInfo[0] != '\0')
        snprintf(facts->driver, sizeof facts->driver, "%.120s %.120s", p12.driverName,
                 p12.driverInfo);
    else /* the string tells one build from another, so it needs something of it */
        snprintf(facts->driver, sizeof facts->driver, "%.120s %08x", p12.driverName,
                 facts->driver_version);
    memcpy(facts->uuid, p11.deviceUUID, sizeof facts->uuid);
    memcpy(facts->driver_uuid, p11.driverUUID, sizeof facts->driver_uuid);
    facts->fp16 = v12.shaderFloat16;
    facts->bf16 = has(extensions, "VK_KHR_shader_bfloat16"); /* reported only, not enabled */
    facts->storage16 = v11.storageBuffer16BitAccess;
    facts->storage8 = v12.storageBuffer8BitAccess && v12.shaderInt8;
    facts->int64 = features.features.shaderInt64;
    facts->int_dot = int_dot.shaderIntegerDotProduct;
    gpu->statistics = statistics.pipelineExecutableInfo;
    gpu->memory_model = v12.vulkanMemoryModel && v12.vulkanMemoryModelDeviceScope;
    facts->coopmat = coopmat.cooperativeMatrix && gpu->memory_model;
    /* Tensor addressing, block loads and workgroup scope are more than this need promises. */
    facts->coopmat2 = facts->coopmat && coopmat2.cooperativeMatrixFlexibleDimensions &&
                      coopmat2.cooperativeMatrixReductions &&
                      coopmat2.cooperativeMatrixConversions &&
                      coopmat2.cooperativeMatrixPerElementOperations;
    facts->max_allocation_bytes = p11.maxMemoryAllocationSize;
    gpu->max_buffer_bytes = p11.maxMemoryAllocationSize < buffers.maxBufferSize
                                ? p11.maxMemoryAllocationSize
                                : buffers.maxBufferSize;
    gpu->max_buffer_bytes -= BUFFER_SLACK;
    gpu->size_request = (sizes.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0;
    gpu->size_control = size_control.subgroupSizeControl && size_control.computeFullSubgroups &&
                        (gpu->size_request || sizes.minSubgroupSize == sizes.maxSubgroupSize);
    gpu->max_workgroup_subgroups = sizes.maxComputeWorkgroupSubgroups;
    /* Asking for it in 32 bits alone must leave the other widths free. */
    gpu->round_nearest = p12.shaderRoundingModeRTEFloat32 &&
                         p12.roundingModeIndependence != VK_SHADER_FLOAT_CONTROLS_INDEPENDENCE_NONE;

    caps->subgroup_size = p11.subgroupSize;
    caps->subgroup_min = gpu->size_control ? sizes.minSubgroupSize : p11.subgroupSize;
    caps->subgroup_max = gpu->size_control ? sizes.maxSubgroupSize : p11.subgroupSize;
    bool arithmetic = gpu->size_control &&
                      (p11.subgroupSupportedOperations & VK_SUBGROUP_FEATURE_ARITHMETIC_BIT) &&
                      (p11.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT);
    caps->has = (facts->fp16 ? LP_NEED_FP16 : 0u) | (facts->storage16 ? LP_NEED_STORAGE16 : 0u) |
                (facts->storage8 ? LP_NEED_STORAGE8 : 0u) | (facts->int64 ? LP_NEED_INT64 : 0u) |
                (arithmetic ? LP_NEED_SUBGROUP_ARITH : 0u) |
                (facts->int_dot ? LP_NEED_INT8DOT : 0u) | (facts->coopmat ? LP_NEED_COOPMAT : 0u) |
                (facts->coopmat2 ? LP_NEED_COOPMAT2 : 0u);
    snprintf(facts->unusable, sizeof facts->unusable, "%s", why_unusable(gpu, &v12));
}

void lp_gpu_describe(VkPhysicalDevice physical, gpu_record *gpu)
{
    lp_gpu *facts = &gpu->facts;
    lp_caps *caps = &facts->caps;
    gpu->physical = physical;
    gpu->queue_family = compute_family(physical);

    VkPhysicalDeviceProperties basic;
    vkGetPhysicalDeviceProperties(physical, &basic);
    snprintf(facts->name, sizeof facts->name, "%s", basic.deviceName);
    facts->type = gpu_type(basic.deviceType);
    facts->vendor_id = basic.vendorID;
    facts->device_id = basic.deviceID;
    facts->api_version = basic.apiVersion;
    facts->driver_version = basic.driverVersion;
    describe_memory(physical, gpu);
    *caps = lp_caps_minimum;
    caps->max_workgroup_invocations = basic.limits.maxComputeWorkGroupInvocations;
    if (basic.limits.maxComputeWorkGroupSize[0] < caps->max_workgroup_invocations)
        caps->max_workgroup_invocations = basic.limits.maxComputeWorkGroupSize[0];
    caps->max_shared_bytes = basic.limits.maxComputeSharedMemorySize;
    memcpy(caps->max_groups, basic.limits.maxComputeWorkGroupCount, sizeof caps->max_groups);

    extension_list extensions = list_extensions(physical);
    gpu->portability = has(&extensions, "VK_KHR_portability_subset");
    describe_speed(facts->type, 0, caps);
    if (basic.apiVersion < VK_API_VERSION_1_2) {
        snprintf(facts->driver, sizeof facts->driver, "driver %u", basic.driverVersion);
        snprintf(facts->unusable, sizeof facts->unusable, "%s", why_unusable(gpu, NULL));
    } else {
        describe_speed(facts->type, count_cores(physical, &extensions), caps);
        describe_features(physical, gpu, &extensions);
    }
    free(extensions.list);
}
