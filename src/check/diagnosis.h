/* From an exam to what people read: cells of the table, wrong rows, the verdict. */
#ifndef LP_CHECK_DIAGNOSIS_H
#define LP_CHECK_DIAGNOSIS_H

#include "base/arena.h"
#include "check/exam.h"
#include "lapilli/doctor.h"

/* Fills rows, cells, refused kernels. Everything is allocated in `arena`; nothing of the exam is
 * kept. */
lp_status lp_diagnosis_rows(lp_context *ctx, lp_arena *arena, const lp_exam *exam, lp_diagnosis *d);

/* One more thing that was looked at; `name` is static. `repaired`: what was wrong is right without
 * the refused kernels. */
lp_status lp_diagnosis_add(lp_context *ctx, lp_arena *arena, lp_diagnosis *d,
                           lp_diagnosis_probe probe);

/* Health and sentence, from everything else. */
lp_status lp_diagnosis_conclude(lp_context *ctx, lp_arena *arena, lp_diagnosis *d);

#endif
