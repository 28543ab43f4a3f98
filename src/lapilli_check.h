/* Between the files that make checks for the public API. */
#ifndef LP_LAPILLI_CHECK_H
#define LP_LAPILLI_CHECK_H

#include "check/checker.h"
#include "check/faults.h"
#include "cpu/cpu_backend.h"
#include "lapilli.h"

/* The report and everything that it points to. */
typedef struct lp_report_box {
    lp_report report; /* first: the caller's pointer is ours */
    lp_arena arena;
} lp_report_box;

double lp_check_now(void);
/* Copies `text` into the arena; "" on failure, which *failed remembers. */
const char *lp_check_copy(lp_arena *arena, const char *text, bool *failed);
/* LP_E_ARG unless both are devices, and two. */
lp_status lp_check_devices(lp_devices *devices, size_t device, size_t against);
/* The report's strings about devices, and its tokens. */
lp_status lp_check_start(lp_context *ctx, const lp_device_info *device,
                         const lp_device_info *against, const lp_check_options *options,
                         lp_report *r, lp_arena *arena);
/* What the device's plans respect: the workaround and the planted fault, but not what doctor
 * remembers: the device is checked as it is. */
lp_status lp_check_plans(lp_checker *c, const lp_device_info *info, lp_fault **fault);
/* report->conditions: what a certificate says besides results, `what` and how plans are made. */
lp_status lp_check_conditions(const lp_checker *c, const char *what);
/* The three backends, whose plans are known; and the end of them and of the store, also after a
 * failure. */
lp_status lp_check_open(lp_checker *c, lp_devices *devices, size_t device, size_t against);
void lp_check_close(lp_checker *c);

#endif
