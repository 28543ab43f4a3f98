/* The plan: a graph turned into plain records, before anything runs. It can be printed, tested and
 * costed without a device. Addresses are relocations (buffer, offset), patched when recorded. */
#ifndef LP_GRAPH_PLAN_H
#define LP_GRAPH_PLAN_H

#include "graph/graph.h"
#include "graph/kernel.h"

#define LP_MAX_PUSH   128 /* bytes */
#define LP_MAX_SPEC   13
#define LP_MAX_RANGES 12

/* Buffers of a plan: 0 is the arena of activations and scratch, 1 + i is slot i of the store. */
#define LP_BUFFER_ARENA   0u
#define LP_BUFFER_SLOT(i) (1u + (i))

typedef struct lp_range {
    uint32_t buffer;
    uint64_t offset, bytes;
} lp_range;

typedef struct lp_relocation {
    uint16_t push_offset; /* where in `push` the 64-bit address goes (low word first) */
    uint32_t buffer;
    uint64_t offset;
} lp_relocation;

typedef struct lp_dispatch {
    const lp_kernel *kernel;
    uint32_t node; /* index in the graph */
    uint32_t groups[3];
    uint32_t spec[LP_MAX_SPEC]; /* specialization constants 0 … n_spec - 1 (bool as 0/1, floats by
                                   their bits); constant 0 is always the workgroup size x */
    uint32_t n_spec;
    uint8_t push[LP_MAX_PUSH];
    uint32_t n_push; /* bytes */
    lp_relocation relocations[LP_MAX_RANGES];
    uint32_t n_relocations;
    lp_range reads[LP_MAX_RANGES], writes[LP_MAX_RANGES];
    uint32_t n_reads, n_writes;
    double flops, bytes; /* estimates, for cutting submits */
    bool barrier;        /* wait for everything before (set by lp_plan_barriers) */
} lp_dispatch;

typedef struct lp_plan lp_plan;

/* Where activations and scratch lie. */
typedef struct lp_arena_plan {
    uint64_t bytes;
    uint64_t *tensor_offset;  /* per tensor: bytes, views resolved; UINT64_MAX for slots */
    uint64_t *scratch_offset; /* per node: bytes; UINT64_MAX if it has none */
} lp_arena_plan;

struct lp_plan {
    lp_dispatch *dispatches;
    uint32_t n_dispatches, capacity;
    lp_arena_plan arena;
    bool failed;              /* out of memory while emitting; checked at the end */
    lp_dispatch spare;        /* what plan functions fill after that */
};

typedef struct lp_plan_options {
    bool keep_all;      /* no two activations share memory, so that all can be read afterwards */
    bool full_barriers; /* a barrier before every dispatch */
    bool deterministic;   /* a token's numbers do not depend on how many are computed with it */
    uint64_t guard_bytes; /* unused bytes after every activation and scratch */
    lp_kernel_set refused; /* kernels not to be used: known to be wrong on the device */
    const char *refused_by; /* for messages: who says so ("doctor"); NULL: nobody that has a name */
    /* Changes the finished plan: how faults are planted, to see that they are found. NULL: none. */
    void (*alter)(void *user, const lp_graph *graph, lp_plan *plan);
    void *alter_user;
} lp_plan_options;

/* What an op's plan function sees. */
typedef struct lp_planner {
    lp_context *ctx;
    const lp_graph *graph;
    const lp_caps *caps;
    const lp_plan_options *options;
    lp_plan *plan;
    uint32_t node;
} lp_planner;

/* Lifetimes of the graph's activations, then the memory planner. `caps` NULL: no scratch (CPU). */
lp_status lp_plan_memory(lp_context *ctx, const lp_graph *graph, const lp_caps *caps,
                         lp_plan_options options, lp_arena_plan *plan);
void lp_arena_plan_free(lp_arena_plan *plan);

/* Memory planner, then every node's plan function, then barriers. */
lp_status lp_plan_create(lp_context *ctx, const lp_graph *graph, const lp_caps *caps,
                         lp_plan_options options, lp_plan **plan);
void lp_plan_destroy(lp_plan *plan);
/* One line per dispatch, for people: malloc'ed, NULL when out of memory. */
char *lp_plan_print(const lp_graph *graph, const lp_plan *plan);

/* For plan functions: appends a dispatch of the planner's node. `push` is the kernel's parameter
 * struct (shaders/params.h) with its addresses left zero. Never NULL: on failure the plan is marked
 * and a throw-away record is returned. */
lp_dispatch *lp_plan_dispatch(lp_planner *pl, const lp_kernel *kernel, uint32_t gx, uint32_t gy,
                              uint32_t gz, const void *push, size_t push_bytes);
void lp_dispatch_spec(lp_dispatch *d, uint32_t id, uint32_t value);

typedef enum lp_access { LP_READ = 1, LP_WRITE = 2, LP_READ_WRITE = 3 } lp_access;

/* Address of a tensor at push offset `at`, and the byte range that the dispatch touches: the whole
 * tensor (for weights both planes). LP_NONE leaves the address zero. */
void lp_dispatch_tensor(lp_planner *pl, lp_dispatch *d, size_t at, lp_tensor_id tensor,
                        lp_access access);
/* The same for `bytes` of the node's scratch, from `offset`. */
void lp_dispatch_scratch(lp_planner *pl, lp_dispatch *d, size_t at, uint64_t offset, uint64_t bytes,
                         lp_access access);
/* Kernel of the catalogue, or LP_E_UNSUPPORTED naming node, family and variant, and what was
 * refused. */
lp_status lp_plan_kernel(lp_planner *pl, const char *family, const char *variant,
                         const lp_kernel **kernel);

/* Sets `barrier` where a dispatch touches bytes that an earlier one since the last barrier wrote, or
 * writes bytes that one read. A replayed plan begins with a barrier by construction. */
void lp_plan_barriers(lp_plan *plan, bool full);

/* ---- The op table: rows of ops.def, functions in src/ops/ ---------------------------------- */

/* A tensor in host memory, as the CPU executor sees it. */
typedef struct lp_view {
    void *data; /* NULL: not there */
    lp_dtype dtype;
    lp_shape shape;
    uint64_t stride; /* elements between indices of dim[0] */
} lp_view;

typedef struct lp_cpu_call {
    lp_context *ctx;
    const lp_graph *graph;
    const lp_node *node;
    lp_view src[LP_MAX_SRC], dst[LP_MAX_DST];
    const struct lp_simd *simd; /* NULL: the judge, double accumulation; else the `cpu` device */
    bool deterministic;         /* see lp_plan_options; the judge always is */
    /* The reference also computes how large rounding errors of dst[0] are expected to be on a
     * device that computes in fp32: one standard deviation per element, contiguous [elements of
     * dst[0]]; no meaning where the result is not finite (src/ops/sigma.h). Left alone by ops that
     * write slots in place (KV_WRITE, SAMPLE, ADVANCE): their results must be exact. NULL: not
     * wanted. Never asked of the fast device. */
    float *sigma;
} lp_cpu_call;

/* What rounding may explain, in units of lp_cpu_call.sigma: the mean square of a tensor's errors,
 * and its largest. An operation that always is as wrong as it may be has a mean square of 3; of
 * 10^9 normal errors the largest is 6.1. Measured over all rows of the op table (llvmpipe with 4, 8
 * and 16 lanes, SwiftShader, the cpu device; plans for CPUs and for GPUs): at most 0.78 and 3.4;
 * over all nodes of models of up to 110 million parameters 0.67 and 3.7. tests/test_sigma.c shows
 * what is caught. */
#define LP_SIGMA_MEAN    3.0
#define LP_SIGMA_LARGEST 8.0

typedef struct lp_op_info {
    const char *name;
    /* Checks sources and parameters; fills shapes[i] of the outputs that are activations (n = 0: no
     * such output). Errors name node->name. */
    lp_status (*infer)(lp_context *ctx, const lp_graph *graph, const lp_node *node,
                       lp_shape shapes[LP_MAX_DST]);
    lp_status (*cpu)(const lp_cpu_call *call);
    /* Bytes of device scratch while the node runs; NULL: none. */
    uint64_t (*scratch)(const lp_graph *graph, const lp_node *node, const lp_caps *caps);
    lp_status (*plan)(lp_planner *pl, const lp_node *node);
} lp_op_info;

extern const lp_op_info lp_op_table[LP_N_OPS];

#endif
