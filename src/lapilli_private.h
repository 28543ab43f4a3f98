/* Between the files of the public API's implementation. */
#ifndef LP_LAPILLI_PRIVATE_H
#define LP_LAPILLI_PRIVATE_H

#include "graph/backend.h"
#include "lapilli.h"

struct lp_network;
const struct lp_network *lp_model_network(const lp_model *model);
lp_context *lp_devices_context(const lp_devices *devices);
/* Opens a listed device. `cache_folder` may be NULL. */
lp_status lp_devices_open(lp_devices *devices, size_t index, const char *cache_folder,
                          lp_backend **backend);

#endif
