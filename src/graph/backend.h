/* What a session needs of an executor: the CPU's and Vulkan's are used through this alone. */
#ifndef LP_GRAPH_BACKEND_H
#define LP_GRAPH_BACKEND_H

#include "graph/plan.h"

typedef struct lp_backend lp_backend;
typedef struct lp_program lp_program; /* a graph made ready to run on one backend */

typedef struct lp_backend_table {
    void (*destroy)(lp_backend *backend);

    /* Creates all slots and uploads weights and tables; freezes the store. Pages of the files that
     * were copied are given back (lp_file_forget). */
    lp_status (*load)(lp_backend *backend, lp_store *store, lp_progress_fn progress, void *user);

    /* Plans and records. The graph must outlive the program. */
    lp_status (*program_create)(lp_backend *backend, const lp_graph *graph, lp_plan_options options,
                                lp_program **program);
    void (*program_destroy)(lp_program *program); /* accepts NULL; must not be in flight */

    /* Runs the program `count` times, in order, after everything submitted before. *ticket grows
     * with every submit. The CPU's returns when it is done. */
    lp_status (*submit)(lp_program *program, unsigned count, uint64_t *ticket);
    lp_status (*wait)(lp_backend *backend, uint64_t ticket);

    /* Between runs (nothing in flight); HOST slots may be read at any time. */
    lp_status (*slot_read)(lp_backend *backend, uint32_t slot, uint64_t offset, void *to,
                           uint64_t bytes);
    lp_status (*slot_write)(lp_backend *backend, uint32_t slot, uint64_t offset, const void *from,
                            uint64_t bytes);
    /* Activation as contiguous f32 [elements]; only inputs, outputs, or all with keep_all. Programs
     * may share memory: activations are there until another program of the backend is written to
     * or submitted, and reading them later, or running on lost inputs, is LP_E_ARG. */
    lp_status (*tensor_read)(lp_program *program, lp_tensor_id tensor, float *to);
    lp_status (*tensor_write)(lp_program *program, lp_tensor_id tensor, const float *from);

    /* Bytes taken: weights, states, activations (largest program), staging. */
    void (*memory)(const lp_backend *backend, uint64_t bytes[4]);

    /* For checking; all NULL where programs are not plans (the CPU's). Facts of the device; a
     * program from a plan made elsewhere, which it takes over, also when it fails; a program's plan;
     * raw bytes of a plan's buffer (LP_BUFFER_ARENA with the plan's offsets, LP_BUFFER_SLOT(i)),
     * guard bytes included, with nothing in flight. */
    const lp_caps *(*caps)(const lp_backend *backend);
    lp_status (*program_from_plan)(lp_backend *backend, const lp_graph *graph, lp_plan *plan,
                                   lp_program **program);
    const lp_plan *(*program_plan)(const lp_program *program);
    lp_status (*raw_read)(lp_backend *backend, uint32_t buffer, uint64_t offset, void *to,
                          uint64_t bytes);
    lp_status (*raw_write)(lp_backend *backend, uint32_t buffer, uint64_t offset,
                           const void *from, uint64_t bytes);
    lp_status (*raw_fill)(lp_backend *backend, uint32_t buffer, uint64_t offset, uint64_t bytes,
                          uint32_t word);
} lp_backend_table;

struct lp_backend {
    const lp_backend_table *table;
    lp_context *ctx;
    uint32_t ahead;   /* how many decode steps are worth having in flight; 1: none but the current */
    uint32_t int8_types; /* bits 1 << lp_dtype: dense layers with such weights are fastest, and to be
                            built, with lp_node.p.linear.int8; 0: none */
    const char *name; /* "llvmpipe (LLVM 19.1.7, 256 bits)", "cpu", "reference" */
};

#endif
