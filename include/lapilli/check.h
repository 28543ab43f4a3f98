/* Checking a device: one graph runs on the device and on the CPU reference, node by node.
 *
 *     lp_check_options options = LP_CHECK_DEFAULT;
 *     lp_report *report = NULL;
 *     if (lp_check(devices, device, against, model, &options, &report) == LP_OK)
 *         puts(report->sentence);       (a disagreement is a result, not a failure)
 *     lp_report_destroy(report);
 *
 * Each pass evaluates some tokens. In a pass every node is looked at twice:
 *
 * isolated  the device gets the reference's own inputs for this one node, so what differs is this
 *           node's doing;
 * drift     the device runs the whole graph by itself, from the plan that generation uses, and what
 *           differs has grown through the layers.
 *
 * Errors are measured in units of sigma, the standard deviation that the rounding of single operations
 * gives an element (for a dot product u sqrt(sum (x w)^2) and what summation adds, u = 2^-24). */
#ifndef LAPILLI_CHECK_H
#define LAPILLI_CHECK_H

#include "lapilli/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How a tensor `got` differs from `expected`. */
typedef struct lp_difference {
    uint64_t n;          /* elements */
    double nmse;         /* sum (expected - got)^2 / sum expected^2; of two zero tensors 0 */
    double mean_square;  /* mean of ((expected - got) / sigma)^2 */
    double largest;      /* largest |expected - got| / sigma; where sigma is 0 any difference is
                            infinite, and so is a number that is not finite while the expected is */
    double max_abs;      /* largest |expected - got| */
    double max_ulp;      /* the same in units in the last place of the expected number (f32) */
    double cosine;       /* of the angle between the two as vectors; 1 of two zero tensors */
    uint64_t n_nan, n_inf; /* in `got` */
    uint64_t worst;      /* index of the element with the largest |expected - got| / sigma */
    double expected, got, sigma; /* of that element */
} lp_difference;

/* What is wrong with a node: id, text, what people should understand. */
#define LP_FINDINGS(X)                                                                             \
    X(NONE, "right")                                                                               \
    X(WRONG, "wrong numbers")                                                                      \
    X(NOT_FINITE, "NaN or infinity")                                                               \
    X(UNWRITTEN, "elements that were not written")                                                 \
    X(STRAY_WRITE, "writes outside its own memory")                                                \
    X(FLAKY, "not the same twice")                                                                 \
    X(HAZARD, "a missing barrier in the plan")                                                     \
    X(OVERLAP, "memory in the plan that is used twice")                                            \
    X(REPLAY, "another result in the recorded plan than alone")                                    \
    X(DEVICE, "the device failed")

typedef enum lp_finding {
#define X(code, text) LP_FINDING_##code,
    LP_FINDINGS(X)
#undef X
        LP_N_FINDINGS
} lp_finding;

/* A tensor as a picture: rows x columns cells, each of them the element of its part of the tensor
 * with the largest error. */
typedef struct lp_check_map {
    uint32_t rows, columns;
    uint64_t tensor_rows, tensor_columns;
    float *expected, *got, *error; /* [rows * columns]; error in units of sigma */
} lp_check_map;

typedef struct lp_check_node {
    const char *name;    /* checkpoint path, "blk.3.attn_q" */
    const char *op;      /* "linear" */
    const char *type;    /* of its weight or cache, "F16"; "" if it has none */
    const char *kernels; /* "attention_decode_f16 + attention_merge"; "" on the CPU */
    int n_dims;
    int64_t dims[4];     /* of what it computes, row-major */
    int64_t n_inputs;    /* K of a linear; keys that the last token sees, of an attention; else 0 */
    lp_difference isolated, drift; /* drift.n is 0 where there was nothing to compare */
    lp_finding finding;
    const char *detail;  /* "" or one sentence about the finding */
    const char *digest;  /* SHA-256 of the device's isolated result, hexadecimal; "" if not wanted */
    lp_check_map *map;   /* NULL for most nodes: of those that are bad, and of the pass's worst */
} lp_check_node;

typedef struct lp_check_pass {
    const char *name;    /* "prompt", "decode", "7 tokens" */
    uint32_t position, n_tokens; /* n_tokens 0: it is not about tokens, but a picture being made */
    size_t n_nodes;
    lp_check_node *nodes;
    size_t worst;        /* node with the largest isolated error in units of sigma */
    /* What it computes in the end, free-running: the last token's logits. Where the pass computes none, logits.n is 0. Of an
     * encoder those of all tokens, or where it has no head their vectors; kl and top1_same and
     * top5_common are of the last one. Without tokens, a denoiser's answer or a picture's pixels; then
     * kl and the others say nothing. */
    lp_difference logits;
    double kl;           /* Kullback-Leibler divergence of the next token's distribution, nats */
    int top1_same;       /* both devices find the same token likeliest */
    int top5_common;     /* how many of the five likeliest tokens are the same */
    const char *digest;  /* SHA-256 of the device's free-running logits; "" if not wanted */
    const char *choices; /* "" or one sentence: where a router, free-running, chose other experts
                            because of rounding; what comes behind it drifts further */
} lp_check_pass;

/* One attempt to make a bad node right. */
typedef enum lp_trial_outcome {
    LP_TRIAL_RIGHT,
    LP_TRIAL_WRONG,
    LP_TRIAL_NOTHING, /* it changes nothing on this device or for this node */
    LP_TRIAL_INFO     /* no change that could be kept, but it tells where the error sits */
} lp_trial_outcome;
typedef struct lp_check_trial {
    const char *change;  /* "without subgroup kernels", "full barriers", "7 tokens" */
    lp_trial_outcome outcome;
    const char *detail;
} lp_check_trial;

/* A picture being made on both devices by themselves, from the same noise. */
typedef struct lp_check_latents {
    uint32_t step;      /* from 1 on: that it is behind */
    double timestep;
    lp_difference latents;
} lp_check_latents;

typedef struct lp_check_picture {
    uint32_t width, height;
    lp_difference pixels;  /* of [height, width, 3] before rounding, from 0 to 1 */
    uint64_t n_other;      /* pixels whose colour in 8 bits is another */
    uint32_t most_levels;  /* how far colours are apart at most, of 255 */
    /* PNG files: both pictures, and a heat map of the largest difference of each pixel, on a
     * logarithmic scale from `low` (and less) to `high` */
    uint8_t *expected, *got, *map;
    size_t expected_bytes, got_bytes, map_bytes;
    double low, high;
    size_t n_colors;       /* "#f3f4f6", …: the map's scale, from low to high, linear in between */
    const char *const *colors;
} lp_check_picture;

typedef struct lp_check_trajectory {
    const char *sampler;
    double guidance;
    uint64_t seed;
    uint32_t n_steps;           /* that were wanted */
    size_t n_latents;           /* steps that both took */
    lp_check_latents *latents;
    double bound;               /* on the NMSE of the latents */
    const char *failure;        /* "" or why the device made no picture */
    lp_check_picture *picture;  /* NULL if there is none */
} lp_check_trajectory;

typedef struct lp_report {
    const char *version;      /* of lapilli */
    const char *sentence;     /* the verdict, to be pasted into a bug report */
    int agrees;
    const char *device, *driver, *against, *against_driver;
    const char *model, *path; /* title; as it was opened */
    const char *model_type;   /* most frequent type of its matrices */
    const char *model_digest; /* SHA-256 of the GGUF file; of a folder that of what `sha256sum` prints of
                                 its files, sorted by name; "" if digests were not wanted */
    const char *conditions;   /* what else results depend on: "context 512, cache f16" */
    const char *command;      /* the arguments that repeat the check */
    size_t n_facts;           /* of the device, for people */
    lp_fact *facts;
    size_t n_tokens;
    int32_t *tokens;
    size_t n_passes;
    lp_check_pass *passes;
    lp_check_trajectory *trajectory; /* of models that make pictures; else NULL */
    /* The first bad node; n_passes and 0 if there is none. */
    size_t bad_pass, bad_node;
    size_t n_trials;
    lp_check_trial *trials;
    const char *smallest_change; /* of the trials the smallest that is right; "" if none is */
    const char *workaround;   /* the same as JSON for lp_session_options.workaround, or NULL */
    const char *repro;        /* the folder with the first bad node, for lp_check_repro(); "" if none
                                 was wanted or written */
    double seconds;
} lp_report;

typedef struct lp_check_options {
    const int32_t *tokens;   /* the prompt */
    size_t n_tokens;         /* 0: none, of models that read pictures */
    const struct lp_image *image; /* lp_image_open(): what such a model sees; NULL: nothing */
    uint32_t n_ctx;          /* as in lp_session_options */
    lp_dtype cache_type;
    int quick;               /* the prompt and one decode step only, not every batch size; of a model
                                that makes pictures only the denoiser's first step */
    int deterministic;       /* as in lp_session_options */
    int no_int8;             /* as in lp_session_options */
    uint32_t n_runs;         /* how often each node runs to find flaky results, at least 1 */
    int digests;             /* wanted, for a certificate */
    const char *repro_folder; /* the first bad node is written there; NULL: nowhere */
    const char *workaround;  /* as in lp_session_options */
    const char *plant;       /* a fault to plant (lp_fault_name()), to see it found; NULL: none */
    const char *command;     /* copied into the report */
    const char *cache_folder; /* for compiled pipelines; what doctor remembers is not applied */
    lp_progress_fn progress; /* nodes; may be NULL */
    void *progress_user;
} lp_check_options;
#define LP_CHECK_DEFAULT {.cache_type = LP_F16, .n_runs = 2}

#ifdef __cplusplus
}
#endif
#endif
