/* A device is examined without a model: the rows of the op table on it and on the reference, each
 * with poisoned memory and twice; what goes wrong again without the kernels that did it. For
 * doctor. */
#ifndef LP_CHECK_EXAM_H
#define LP_CHECK_EXAM_H

#include "check/op_table.h"
#include "check/probe.h"
#include "check/step.h"
#include "lapilli/check.h"

typedef struct lp_exam_options {
    /* Opens the device: once, and again each time it was lost. */
    lp_status (*open)(void *user, lp_backend **backend);
    void *open_user;
    bool quick;   /* a quarter of the rows */
    uint32_t ops; /* only these: bits of lp_op; 0: all */
    /* Of those, only rows for which it says so; NULL: all. */
    bool (*wants)(void *user, const lp_case *row);
    void *wants_user;
    /* As in lp_plan_options. */
    void (*alter)(void *user, const lp_graph *graph, lp_plan *plan);
    void *alter_user;
    lp_progress_fn progress; /* may be NULL */
    void *progress_user;
} lp_exam_options;

/* Kernels of one plan, in order, each once. */
typedef struct lp_exam_kernels {
    const lp_kernel *list[8];
    uint32_t n;
} lp_exam_kernels;

typedef struct lp_exam_row {
    const lp_case *row;
    lp_dtype type; /* of its matrix or cache; F32 where it has none */
    bool done;
    lp_finding finding;
    lp_exam_kernels kernels;  /* as the device would plan it; none on the CPU */
    lp_difference difference; /* of the worst output */
    char detail[200];         /* of the finding, one sentence; "" if it is right */
    /* The same row without the refused kernels, if it was wrong or used one of them. */
    bool again;
    lp_trial_outcome outcome; /* NOTHING: no kernel is left */
    lp_exam_kernels instead;  /* that were tried last */
} lp_exam_row;

typedef struct lp_exam {
    lp_context *ctx;
    lp_exam_options options;
    lp_case_table *table;
    lp_backend *reference, *device;
    lp_probe probe;
    lp_exam_row *rows; /* one per row of the table */
    uint32_t n_rows, n_done, n_wrong;
    lp_kernel_set refused; /* what should not be used on this device */
    uint32_t n_lost;       /* how often the device was lost */
    bool stopped;          /* it was lost so often that the rest was left out */
} lp_exam;

/* Builds the table and opens the devices. `ctx` must outlive the exam. */
lp_status lp_exam_create(lp_context *ctx, const lp_exam_options *options, lp_exam **exam);
void lp_exam_destroy(lp_exam *exam);
/* All rows; then, if some are wrong, decides what to refuse and tries that. */
lp_status lp_exam_run(lp_exam *exam);
/* The plan options that a session should use after it. */
lp_plan_options lp_exam_plan_options(const lp_exam *exam);
/* "attention_decode_f16 + attention_merge" */
void lp_exam_print_kernels(const lp_exam_kernels *kernels, char *text, size_t size);

#endif
