/* What doctor finds out about a device, without a model of the user's: every operation that lapilli
 * knows, in every weight type and in awkward shapes, compared with the CPU reference; subgroups;
 * the time that heavy work takes; the model that ships. Kernels that compute wrongly on a device
 * are refused: they are remembered for this build of its driver, and sessions do without them. */
#ifndef LAPILLI_DOCTOR_H
#define LAPILLI_DOCTOR_H

#include "lapilli/check.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lp_doctor_options {
    int quick; /* a quarter of the rows, and less of the model */
    /* As in lp_session_options; findings are remembered there. NULL: they are not. */
    const char *cache_folder;
    const char *plant;       /* as in lp_session_options */
    lp_progress_fn progress; /* rows; may be NULL */
    void *progress_user;
} lp_doctor_options;

/* Code, one word, what it means. */
#define LP_HEALTHS(X)                                                                              \
    X(GOOD, "good", "nothing is wrong")                                                            \
    X(REDUCED, "reduced", "something is wrong, but right without the refused kernels")             \
    X(BAD, "bad", "something is wrong, and there is nothing to use instead")                       \
    X(UNUSABLE, "unusable", "the device cannot be used at all")                                    \
    X(JUDGE, "judge", "the reference, which all others are compared with")

typedef enum lp_health {
#define X(code, word, text) LP_HEALTH_##code,
    LP_HEALTHS(X)
#undef X
        LP_N_HEALTHS
} lp_health;

/* A row of the op table that was wrong. */
typedef struct lp_diagnosis_row {
    const char *name; /* operation, type and shape: "linear F16 T4 N37 K101 …" */
    const char *op, *type;
    const char *kernels; /* "linear_mv_sg_f16"; "" on the CPU */
    lp_finding finding;
    const char *detail; /* "element 7 of 148: want 0.25, got 0" */
    lp_difference difference;
    lp_trial_outcome outcome; /* without the refused kernels; NOTHING: none is left */
    const char *instead;      /* the kernels that were tried last; "" if there were none */
} lp_diagnosis_row;

/* All rows of one operation and type. */
typedef struct lp_diagnosis_cell {
    const char *op, *type;
    uint32_t n, n_wrong;
} lp_diagnosis_cell;

/* Anything else that was looked at, in a sentence. */
typedef struct lp_diagnosis_probe {
    const char *name; /* "subgroups", "heavy work", "story model" */
    int right;
    int repaired; /* it is wrong, but not without the refused kernels */
    const char *text;
} lp_diagnosis_probe;

typedef struct lp_diagnosis {
    const char *version; /* of lapilli */
    const char *id, *device, *driver;
    lp_health health;
    const char *sentence; /* the verdict */
    size_t n_facts;
    lp_fact *facts; /* memory and limits */
    uint32_t n_rows, n_wrong;
    uint32_t n_left; /* wrong also without the refused kernels, or impossible without them */
    size_t n_cells;  /* in the order of operations and types */
    lp_diagnosis_cell *cells;
    lp_diagnosis_row *wrong; /* [n_wrong] */
    size_t n_probes;
    lp_diagnosis_probe *probes;
    size_t n_refused;
    const char **refused;   /* names of kernels */
    const char *remembered; /* the file that was written, or "" */
    const char *forgotten;  /* the file of an earlier finding that is no longer so, or "" */
    double seconds;
} lp_diagnosis;

#ifdef __cplusplus
}
#endif
#endif
