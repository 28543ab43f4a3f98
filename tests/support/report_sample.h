/* Made-up reports of checks, for the tests of what is made of them: as large as a real model's, and
 * with every field set. */
#ifndef LP_TESTS_REPORT_SAMPLE_H
#define LP_TESTS_REPORT_SAMPLE_H

#include "base/arena.h"
#include "lapilli/check.h"

typedef struct sample_spec {
    int n_layers; /* nine nodes each */
    int n_passes;
    uint32_t map; /* rows and columns of maps at most */
    int bad;      /* from layer n_layers / 3 on one kernel computes wrong numbers in every pass of
                     more than eight tokens */
    const char *text; /* takes the place of every string; NULL: plausible ones */
} sample_spec;

/* Lives in the arena. */
const lp_report *report_sample(lp_arena *arena, sample_spec spec);

#endif
