/* The CPU executor: walks the graph with the ops' C functions. Two devices share it: `reference`,
 * the judge, and `cpu`, the fallback when there is no usable Vulkan device. */
#ifndef LP_CPU_BACKEND_H
#define LP_CPU_BACKEND_H

#include "graph/backend.h"

lp_status lp_cpu_backend_create(lp_context *ctx, bool fast, lp_backend **backend);

/* One node of a program of this executor, for walking a graph step by step. sigma: see lp_cpu_call;
 * may be NULL. */
lp_status lp_cpu_program_node(lp_program *program, uint32_t node, float *sigma);

#endif
