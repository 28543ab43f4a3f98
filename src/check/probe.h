/* Two things about a device that no op tells: whether subgroups are what kernels ask for, and how
 * long a heavy dispatch really takes, compared with the estimate by which submits are cut. */
#ifndef LP_CHECK_PROBE_H
#define LP_CHECK_PROBE_H

#include "check/op_table.h"
#include "graph/backend.h"

typedef struct lp_probe {
    lp_graph *subgroups,
        *heavy;         /* subgroups NULL: the device does not offer them as kernels need */
    lp_tensor_id words; /* of `subgroups`: what the kernel writes */
} lp_probe;

/* Adds what the probes need to the table's store, which must not be frozen yet. `caps` of the
 * device; NULL on the CPU, where nothing is probed. */
lp_status lp_probe_create(lp_case_table *table, const lp_caps *caps, lp_probe *probe);
void lp_probe_destroy(lp_probe *probe);

/* Workgroups of 128 and of one subgroup, in the size that kernels ask for. *right: whether all is
 * as they need it; `text` [200] says in one sentence what is (or is not). */
lp_status lp_probe_subgroups(const lp_probe *probe, lp_backend *device, bool *right, char *text);

/* One dispatch of a linear op: its length in seconds as estimated, and as measured. */
lp_status lp_probe_heavy(const lp_probe *probe, lp_backend *device, lp_plan_options options,
                         double *estimated, double *measured);

#endif
