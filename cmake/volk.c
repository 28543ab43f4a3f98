// The one translation unit that carries volk, the loader of Vulkan entry points. It is compiled
// from volk's header because libvolk.a of some distributions is not position independent.
#define VOLK_IMPLEMENTATION
#include <volk.h>
