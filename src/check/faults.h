/* Planted faults. A check that cannot fail is worthless, so a build with -DLAPILLI_FAULTS=ON can
 * make one node of a model wrong on purpose, in ways that drivers and kernels have been wrong, and
 * tests see that the check names that node.
 *
 * A fault is data: it changes a finished plan (constants, parameters, addresses, group counts,
 * barriers) or adds a dispatch of shaders/fault.comp behind the node's own. Kernels and ops know
 * nothing of it. In other builds there is neither the table nor the kernel. */
#ifndef LP_CHECK_FAULTS_H
#define LP_CHECK_FAULTS_H

#include "graph/plan.h"

typedef struct lp_fault lp_fault;

/* `text`: NAME[@NODE][/KERNEL]; without a node it is the first one of the middle layer that can have
 * the fault. With a kernel the fault is only there while that kernel computes the node. LP_E_MISSING
 * for names that do not exist, LP_E_UNSUPPORTED in builds without faults. */
lp_status lp_fault_create(lp_context *ctx, const char *text, lp_fault **fault);
void lp_fault_destroy(lp_fault *fault);

/* An lp_plan_options.alter, `fault` being its user. Plans may be of the whole graph or of a part of
 * it; the first that holds a fitting node decides which node it is, for all plans to come. */
void lp_fault_alter(void *fault, const lp_graph *graph, lp_plan *plan);

/* Has any plan had the node? If not, nothing was tested. */
bool lp_fault_planted(const lp_fault *fault);
/* LP_OK if so, otherwise LP_E_MISSING with a message. */
lp_status lp_fault_require(lp_context *ctx, const lp_fault *fault);
/* The node's name; "" as long as it is not planted. */
const char *lp_fault_node(const lp_fault *fault);

/* How a fault shows. */
typedef enum lp_fault_sign {
    LP_FAULT_IN_NUMBERS, /* whenever the node runs, on data that reaches the place */
    LP_FAULT_SOMETIMES,  /* in one run of ten */
    LP_FAULT_OUTSIDE,    /* in bytes that belong to nobody, or to somebody else */
    LP_FAULT_IN_WHOLE,   /* in the numbers of whole plans, never of the node alone; the proof of the
                            plan (plan_proof.h) finds it, too */
    LP_FAULT_IN_PLAN     /* in the proof of whole plans; drivers may well do the right thing */
} lp_fault_sign;

/* Of row `index` of the public lp_fault_name(). */
lp_fault_sign lp_fault_shows(size_t index);

#endif
