/* Repros: one failing node as files, to be run again on any device without the model.
 *
 *     repro.json     the dispatches as data, what was expected where, who found it
 *     NAME.spv       each kernel
 *     buffer-N.bin   every buffer that the kernels touch, as it was before them; 0 is the arena
 *     expected.bin   f32 [elements]; sigma.bin the same, or missing where the result must be exact
 *
 * Numbers in files are little-endian. */
#ifndef LP_CHECK_REPRO_H
#define LP_CHECK_REPRO_H

#include "check/checker.h"

/* The folder must not exist, or be empty: to be asked before a long check begins. */
lp_status lp_repro_begin(lp_context *ctx, const char *folder);
/* Makes the folder and writes output `dst` of the step, as the device of the checker runs it. */
lp_status lp_repro_write(lp_checker *c, const char *folder, const lp_step *step,
                         const lp_expected *expected, int dst);

/* Runs a repro `n_runs` times and fills the report: one pass with one node. Everything in the folder is
 * taken for hostile, except what the kernels themselves do. */
lp_status lp_repro_run(lp_context *ctx, const char *folder, lp_backend *backend, uint32_t n_runs,
                       lp_arena *arena, lp_report *report);

#endif
