/* Facts of a device: probed, never assumed. A device that cannot be used is described all the same,
 * with the reason. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vulkan/vulkan_internal.h"

bool lp_has_extension(VkPhysicalDevice physical, const char *name)
{
    uint32_t n = 0;
    bool found = false;
    if (vkEnumerateDeviceExtensionProperties(physical, NULL, &n, NULL) != VK_SUCCESS || n == 0)
        return false;
    VkExtensionProperties *list = calloc(n, sizeof *list);
    if (list != NULL && vkEnumerateDeviceExtensionProperties(physical, NULL, &n, list) >= 0)
        for (uint32_t i = 0; i < n; i++)
            found |= strcmp(list[i].extensionName, name) == 0;
    free(list);
    return found;
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

/* The first queue family with compute (on most drivers the one that they tune for); UINT32_MAX. */
static uint32_t compute_family(VkPhysicalDevice physical)
{
    VkQueueFamilyProperties families[32];
    uint32_t n = 32;
    vkGetPhysicalDeviceQueueFamilyProperties(physical, &n, families);
    for (uint32_t i = 0; i < n; i++)
        if ((families[i].queueFlags & VK_QUEUE_COMPUTE_BIT) && families[i].queueCount > 0)
            return i;
    return UINT32_MAX;
}

static void describe_memory(VkPhysicalDevice physical, lp_gpu *facts)
{
    VkPhysicalDeviceMemoryProperties memory;
    vkGetPhysicalDeviceMemoryProperties(physical, &memory);
    facts->uma = true;
    for (uint32_t i = 0; i < memory.memoryHeapCount; i++)
        if (memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) {
            if (memory.memoryHeaps[i].size > facts->memory_bytes)
                facts->memory_bytes = memory.memoryHeaps[i].size;
        } else {
            facts->uma = false;
        }
}

/* Cores and pessimistic speeds, by kind of device: they only decide where submits are cut and how
 * finely work is split. */
static void describe_speed(const lp_gpu *facts, lp_caps *caps)
{
    long n_threads = sysconf(_SC_NPROCESSORS_ONLN);
    switch (facts->type) {
    case LP_GPU_CPU:
        caps->is_cpu = true;
        caps->n_cores = n_threads > 0 ? (uint32_t)n_threads : 1;
        caps->flops = 2e9 * caps->n_cores;
        caps->bytes_per_second = 2e9;
        break;
    case LP_GPU_DISCRETE:
        caps->n_cores = 64;
        caps->flops = 1e12;
        caps->bytes_per_second = 80e9;
        break;
    default:
        caps->n_cores = 16;
        caps->flops = 1e11;
        caps->bytes_per_second = 10e9;
        break;
    }
}

static const char *why_unusable(const gpu_record *gpu, uint32_t api_version,
                                const VkPhysicalDeviceVulkan12Features *v12)
{
    if (api_version < VK_API_VERSION_1_2)
        return "its driver is older than Vulkan 1.2";
    if (!v12->bufferDeviceAddress)
        return "it lacks the feature bufferDeviceAddress";
    if (!v12->timelineSemaphore)
        return "it lacks the feature timelineSemaphore";
    if (gpu->queue_family == UINT32_MAX)
        return "it has no queue for compute";
    return "";
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
    describe_memory(physical, facts);
    *caps = lp_caps_minimum;
    describe_speed(facts, caps);
    if (basic.apiVersion < VK_API_VERSION_1_2) {
        snprintf(facts->driver, sizeof facts->driver, "driver %u", basic.driverVersion);
        snprintf(facts->unusable, sizeof facts->unusable, "%s",
                 why_unusable(gpu, basic.apiVersion, NULL));
        return;
    }

    bool v13 = basic.apiVersion >= VK_API_VERSION_1_3;
    bool has_size_control =
        v13 || lp_has_extension(physical, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
    bool has_int_dot =
        v13 || lp_has_extension(physical, VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME);
    bool has_coopmat = lp_has_extension(physical, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME);
    bool has_coopmat2 = lp_has_extension(physical, VK_NV_COOPERATIVE_MATRIX_2_EXTENSION_NAME);

    /* Only structures that the device knows are asked for. */
    VkPhysicalDeviceCooperativeMatrix2FeaturesNV coopmat2 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_FEATURES_NV};
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR coopmat = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR,
        .pNext = has_coopmat2 ? &coopmat2 : NULL};
    VkPhysicalDeviceShaderIntegerDotProductFeatures int_dot = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES,
        .pNext = has_coopmat ? (void *)&coopmat : has_coopmat2 ? (void *)&coopmat2 : NULL};
    VkPhysicalDeviceSubgroupSizeControlFeatures size_control = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES,
        .pNext = has_int_dot ? &int_dot : int_dot.pNext};
    VkPhysicalDeviceVulkan12Features v12 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
        .pNext = has_size_control ? &size_control : size_control.pNext};
    VkPhysicalDeviceVulkan11Features v11 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES, .pNext = &v12};
    VkPhysicalDeviceFeatures2 features = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &v11};
    vkGetPhysicalDeviceFeatures2(physical, &features);

    VkPhysicalDeviceSubgroupSizeControlProperties sizes = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES};
    VkPhysicalDeviceMaintenance3Properties limits = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES,
        .pNext = has_size_control ? &sizes : NULL};
    VkPhysicalDeviceIDProperties id = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES, .pNext = &limits};
    VkPhysicalDeviceDriverProperties driver = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES, .pNext = &id};
    VkPhysicalDeviceSubgroupProperties subgroup = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES, .pNext = &driver};
    VkPhysicalDeviceProperties2 properties = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &subgroup};
    vkGetPhysicalDeviceProperties2(physical, &properties);

    snprintf(facts->driver, sizeof facts->driver, "%.120s%s%.120s", driver.driverName,
             driver.driverInfo[0] ? " " : "", driver.driverInfo);
    memcpy(facts->uuid, id.deviceUUID, sizeof facts->uuid);
    memcpy(facts->driver_uuid, id.driverUUID, sizeof facts->driver_uuid);
    facts->fp16 = v12.shaderFloat16;
    facts->bf16 = lp_has_extension(physical, "VK_KHR_shader_bfloat16");
    facts->storage16 = v11.storageBuffer16BitAccess;
    facts->storage8 = v12.storageBuffer8BitAccess;
    facts->int64 = features.features.shaderInt64;
    facts->int_dot = has_int_dot && int_dot.shaderIntegerDotProduct;
    facts->coopmat = has_coopmat && coopmat.cooperativeMatrix;
    facts->coopmat2 = facts->coopmat && has_coopmat2 && coopmat2.cooperativeMatrixWorkgroupScope;
    facts->max_allocation_bytes = limits.maxMemoryAllocationSize;
    gpu->max_buffer_bytes = limits.maxMemoryAllocationSize;
    gpu->size_control = has_size_control && size_control.subgroupSizeControl &&
                        size_control.computeFullSubgroups &&
                        (sizes.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT);

    caps->subgroup_size = subgroup.subgroupSize;
    caps->subgroup_min = gpu->size_control ? sizes.minSubgroupSize : subgroup.subgroupSize;
    caps->subgroup_max = gpu->size_control ? sizes.maxSubgroupSize : subgroup.subgroupSize;
    caps->max_workgroup_invocations = basic.limits.maxComputeWorkGroupInvocations;
    caps->max_shared_bytes = basic.limits.maxComputeSharedMemorySize;
    for (int i = 0; i < 3; i++)
        caps->max_groups[i] = basic.limits.maxComputeWorkGroupCount[i];
    bool arithmetic = gpu->size_control &&
                      (subgroup.supportedOperations & VK_SUBGROUP_FEATURE_ARITHMETIC_BIT) &&
                      (subgroup.supportedStages & VK_SHADER_STAGE_COMPUTE_BIT);
    caps->has = (facts->fp16 ? LP_NEED_FP16 : 0u) | (facts->storage16 ? LP_NEED_STORAGE16 : 0u) |
                (facts->storage8 && v12.shaderInt8 ? LP_NEED_STORAGE8 : 0u) |
                (facts->int64 ? LP_NEED_INT64 : 0u) | (arithmetic ? LP_NEED_SUBGROUP_ARITH : 0u) |
                (facts->int_dot ? LP_NEED_INT8DOT : 0u) | (facts->coopmat ? LP_NEED_COOPMAT : 0u) |
                (facts->coopmat2 ? LP_NEED_COOPMAT2 : 0u);
    snprintf(facts->unusable, sizeof facts->unusable, "%s",
             why_unusable(gpu, basic.apiVersion, &v12));
}
