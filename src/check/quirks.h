/* What must be done otherwise on a device because its driver computes wrongly: kernels that are not
 * used, and how plans are made. As JSON it is the workaround that a check writes, and what doctor
 * remembers in the cache folder; a session applies both. It holds for one build of one driver:
 *
 *     {"lapilli": "0.1.0", "device": NAME, "driver": DRIVER, "refuse": ["linear_mv_sg_f16"],
 *      "full_barriers": true, "keep_all": true, "no_fusion": true, "deterministic": true,
 *      "batch": 8,
 *      "why": SENTENCE}
 *
 * What is false or empty may be missing, as may "why". */
#ifndef LP_CHECK_QUIRKS_H
#define LP_CHECK_QUIRKS_H

#include "graph/plan.h"

/* A device as quirks name it: lp_device_info.name and .driver. */
typedef struct lp_quirks_device {
    const char *name, *driver;
} lp_quirks_device;

typedef struct lp_quirks {
    lp_kernel_set refused;
    bool full_barriers, keep_all, no_fusion, deterministic;
    uint32_t batch; /* most tokens that may be computed at once; 0: any number */
    const char *by; /* who wants it, for messages: "doctor", "the workaround", …; static; or NULL */
} lp_quirks;

bool lp_quirks_none(const lp_quirks *quirks);
/* What either of them wants. */
lp_quirks lp_quirks_both(const lp_quirks *a, const lp_quirks *b);
/* Plans made that way; no_fusion is the graph's business, batch that of whoever makes graphs. */
lp_plan_options lp_quirks_plan_options(const lp_quirks *quirks);

/* For people, malloc'ed: "without linear_mv_sg_f16, with at most 8 tokens at a time"; "" for none; NULL
 * when out of memory. */
char *lp_quirks_describe(const lp_quirks *quirks);

/* JSON, malloc'ed. `why` may be NULL. */
lp_status lp_quirks_json(lp_context *ctx, const lp_quirks *quirks, lp_quirks_device device,
                         const char *why, char **json);
/* Reads JSON; `where` names it in messages. LP_E_ARG, naming both, if it was made for another
 * device or driver; LP_E_FORMAT for what is no such JSON, and for keys that are not known. A kernel
 * that this version of lapilli does not have is passed over with a warning. */
lp_status lp_quirks_parse(lp_context *ctx, const char *where, const char *text, size_t bytes,
                          lp_quirks_device device, lp_quirks *quirks);

/* Path of what doctor remembers of a device: one file per device and driver build. malloc'ed; NULL
 * when out of memory. */
char *lp_quirks_path(const char *folder, lp_quirks_device device);

/* All that a session on a device must respect: `workaround` (JSON) and what doctor remembers in
 * `cache_folder`; either may be NULL. What doctor found is said through the log. A file of doctor's
 * that cannot be read is passed over with a warning. */
lp_status lp_quirks_gather(lp_context *ctx, lp_quirks_device device, const char *workaround,
                           const char *cache_folder, lp_quirks *quirks);

#endif
