/* The loader, the instance, and the list of devices. */
#include <stdlib.h>
#include <string.h>

#include "vulkan/vulkan_internal.h"

lp_status lp_vulkan_fail(lp_context *ctx, VkResult result, const char *what)
{
    const char *name = "an unknown error";
    lp_status status = LP_E_DEVICE;
    switch (result) {
    case VK_ERROR_DEVICE_LOST:
        return lp_fail(ctx, LP_E_DEVICE_LOST, "%s: the device was lost (VK_ERROR_DEVICE_LOST)",
                       what);
    case VK_ERROR_OUT_OF_HOST_MEMORY:
        status = LP_E_MEMORY;
        name = "VK_ERROR_OUT_OF_HOST_MEMORY";
        break;
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
        status = LP_E_MEMORY;
        name = "VK_ERROR_OUT_OF_DEVICE_MEMORY";
        break;
    case VK_ERROR_INITIALIZATION_FAILED:
        name = "VK_ERROR_INITIALIZATION_FAILED";
        break;
    case VK_ERROR_INCOMPATIBLE_DRIVER:
        status = LP_E_MISSING;
        name = "VK_ERROR_INCOMPATIBLE_DRIVER";
        break;
    case VK_ERROR_LAYER_NOT_PRESENT:
        status = LP_E_MISSING;
        name = "VK_ERROR_LAYER_NOT_PRESENT";
        break;
    case VK_ERROR_EXTENSION_NOT_PRESENT:
        name = "VK_ERROR_EXTENSION_NOT_PRESENT";
        break;
    case VK_ERROR_FEATURE_NOT_PRESENT:
        name = "VK_ERROR_FEATURE_NOT_PRESENT";
        break;
    case VK_ERROR_TOO_MANY_OBJECTS:
        name = "VK_ERROR_TOO_MANY_OBJECTS";
        break;
    case VK_ERROR_INVALID_SHADER_NV:
        name = "VK_ERROR_INVALID_SHADER_NV";
        break;
    default:
        return lp_fail(ctx, status, "%s: Vulkan error %d", what, (int)result);
    }
    return lp_fail(ctx, status, "%s: %s", what, name);
}

static VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                                 VkDebugUtilsMessageTypeFlagsEXT types,
                                                 const VkDebugUtilsMessengerCallbackDataEXT *data,
                                                 void *user)
{
    lp_vulkan *vulkan = user;
    (void)severity;
    (void)types;
    vulkan->n_errors++;
    lp_log(vulkan->ctx, LP_LOG_ERROR, "validation: %s", data->pMessage);
    return VK_FALSE;
}

static bool has_instance_extension(const char *name)
{
    uint32_t n = 0;
    bool found = false;
    if (vkEnumerateInstanceExtensionProperties(NULL, &n, NULL) != VK_SUCCESS || n == 0)
        return false;
    VkExtensionProperties *list = calloc(n, sizeof *list);
    if (list != NULL && vkEnumerateInstanceExtensionProperties(NULL, &n, list) >= 0)
        for (uint32_t i = 0; i < n; i++)
            found |= strcmp(list[i].extensionName, name) == 0;
    free(list);
    return found;
}

static lp_status create_instance(lp_vulkan *vulkan, bool validation)
{
    const char *extensions[2];
    const char *layer = "VK_LAYER_KHRONOS_validation";
    VkDebugUtilsMessengerCreateInfoEXT messages = {
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
        .messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT |
                           VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
        .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT |
                       VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT,
        .pfnUserCallback = on_message,
        .pUserData = vulkan};
    VkApplicationInfo app = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                             .pApplicationName = "lapilli",
                             .pEngineName = "lapilli",
                             /* the newest that is used where a device has it: subgroup size
                                control is core in 1.3 */
                             .apiVersion = VK_API_VERSION_1_3};
    VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                 .pApplicationInfo = &app,
                                 .ppEnabledExtensionNames = extensions};
    if (validation) {
        info.enabledLayerCount = 1;
        info.ppEnabledLayerNames = &layer;
        info.pNext = &messages;
        extensions[info.enabledExtensionCount++] = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
    }
    if (has_instance_extension(VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME)) {
        extensions[info.enabledExtensionCount++] = VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME;
        info.flags |= VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR;
    }
    VkResult result = vkCreateInstance(&info, NULL, &vulkan->instance);
    if (result == VK_ERROR_INCOMPATIBLE_DRIVER)
        return lp_fail(vulkan->ctx, LP_E_MISSING, "no Vulkan driver is installed");
    LP_VK(vulkan->ctx, result, "creating the Vulkan instance");
    volkLoadInstanceOnly(vulkan->instance);
    if (!validation)
        return LP_OK;
    /* Not volk's global pointer: another instance without the extension would have reset it. */
    PFN_vkCreateDebugUtilsMessengerEXT listen =
        (PFN_vkCreateDebugUtilsMessengerEXT)vkGetInstanceProcAddr(vulkan->instance,
                                                                  "vkCreateDebugUtilsMessengerEXT");
    if (listen == NULL)
        return lp_fail(vulkan->ctx, LP_E_MISSING, "the validation layer gives no messages");
    LP_VK(vulkan->ctx, listen(vulkan->instance, &messages, NULL, &vulkan->messenger),
          "listening to the validation layer");
    return LP_OK;
}

static lp_status list_devices(lp_vulkan *vulkan)
{
    uint32_t n = 0;
    VkResult result = vkEnumeratePhysicalDevices(vulkan->instance, &n, NULL);
    if (result != VK_SUCCESS || n == 0)
        return lp_fail(vulkan->ctx, LP_E_MISSING, "no Vulkan driver offers a device");
    VkPhysicalDevice *list = calloc(n, sizeof *list);
    vulkan->gpus = calloc(n, sizeof *vulkan->gpus);
    if (list == NULL || vulkan->gpus == NULL) {
        free(list);
        return lp_fail_memory(vulkan->ctx, "the list of devices");
    }
    if (vkEnumeratePhysicalDevices(vulkan->instance, &n, list) >= 0) {
        vulkan->n_gpus = n;
        for (uint32_t i = 0; i < n; i++)
            lp_gpu_describe(list[i], &vulkan->gpus[i]);
    }
    free(list);
    return LP_OK;
}

lp_status lp_vulkan_create(lp_context *ctx, bool validation, lp_vulkan **result)
{
    *result = NULL;
    if (volkGetInstanceVersion() == 0 && volkInitialize() != VK_SUCCESS)
        return lp_fail(ctx, LP_E_MISSING, "no Vulkan loader (libvulkan.so.1) is installed");
    if (volkGetInstanceVersion() < VK_API_VERSION_1_2)
        return lp_fail(ctx, LP_E_MISSING, "the Vulkan loader is older than Vulkan 1.2");
    lp_vulkan *vulkan = calloc(1, sizeof *vulkan);
    if (vulkan == NULL)
        return lp_fail_memory(ctx, "the list of devices");
    vulkan->ctx = ctx;
    lp_status status = create_instance(vulkan, validation);
    if (status == LP_OK)
        status = list_devices(vulkan);
    if (status != LP_OK) {
        lp_vulkan_destroy(vulkan);
        return status;
    }
    *result = vulkan;
    return LP_OK;
}

void lp_vulkan_destroy(lp_vulkan *vulkan)
{
    if (vulkan == NULL)
        return;
    if (vulkan->messenger != VK_NULL_HANDLE) {
        PFN_vkDestroyDebugUtilsMessengerEXT stop =
            (PFN_vkDestroyDebugUtilsMessengerEXT)vkGetInstanceProcAddr(
                vulkan->instance, "vkDestroyDebugUtilsMessengerEXT");
        stop(vulkan->instance, vulkan->messenger, NULL);
    }
    if (vulkan->instance != VK_NULL_HANDLE)
        vkDestroyInstance(vulkan->instance, NULL);
    free(vulkan->gpus);
    free(vulkan);
}

uint32_t lp_vulkan_count(const lp_vulkan *vulkan)
{
    return vulkan->n_gpus;
}

const lp_gpu *lp_vulkan_gpu(const lp_vulkan *vulkan, uint32_t index)
{
    return index < vulkan->n_gpus ? &vulkan->gpus[index].facts : NULL;
}

uint32_t lp_vulkan_validation_errors(const lp_vulkan *vulkan)
{
    return vulkan->n_errors;
}
