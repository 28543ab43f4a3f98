/* Plain data shared by the public API and the inside: status codes, log levels, weight types. */
#ifndef LAPILLI_TYPES_H
#define LAPILLI_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lapilli/sampling.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One row per status: code, text. The detail of a failure ("blk.3.attn_q.weight: want [768, 768],
 * file has [768, 2304]") is kept in the context; see lp_context_message(). */
#define LP_STATUSES(X)                                                                             \
    X(OK, "ok")                                                                                    \
    X(E_ARG, "invalid argument")                                                                   \
    X(E_MEMORY, "out of memory")                                                                   \
    X(E_IO, "input/output error")                                                                  \
    X(E_FORMAT, "malformed input")                                                                 \
    X(E_MISSING, "not found")                                                                      \
    X(E_SHAPE, "shape or type mismatch")                                                           \
    X(E_UNSUPPORTED, "not supported")                                                              \
    X(E_LIMIT, "limit exceeded")                                                                   \
    X(E_DEVICE, "device error")                                                                    \
    X(E_DEVICE_LOST, "device lost")                                                                \
    X(E_CANCELLED, "cancelled")

typedef enum lp_status {
#define X(code, text) LP_##code,
    LP_STATUSES(X)
#undef X
        LP_N_STATUSES
} lp_status;

typedef enum lp_log_level { LP_LOG_ERROR, LP_LOG_WARN, LP_LOG_INFO, LP_LOG_DEBUG } lp_log_level;

/* Receives one line without a newline. Never called from another thread than the caller's. */
typedef void (*lp_log_fn)(void *user, lp_log_level level, const char *line);

/* Reports progress of long work (loading weights); a non-zero return cancels it with
 * LP_E_CANCELLED. */
typedef int (*lp_progress_fn)(void *user, uint64_t done, uint64_t total);

/* A tokenizer's special tokens: ids, -1 where there is none. */
typedef struct lp_special_tokens {
    int32_t bos, eos, unknown, pad, sep, cls, mask, eot; /* eot: ends a turn of a chat */
    int32_t fim_prefix, fim_suffix, fim_middle;          /* fill in the middle */
    bool add_bos, add_eos; /* what the model wants at the ends of a prompt; cls and sep count, too */
    bool space_prefix; /* text gets a space in front that was not there: whoever decodes a text from
                          its very start token by token drops one leading space */
} lp_special_tokens;

/* Text by address: any bytes, not terminated. */
typedef struct lp_tokenizer_text {
    const char *data;
    size_t bytes;
} lp_tokenizer_text;

/* Weight and activation types: id, name, type id in GGUF files (-1: never in a file), elements per
 * block, bytes per block. The rest of a type's row is in src/tensor/dtype.c. */
#define LP_DTYPES(X)                                                                               \
    X(F32, "F32", 0, 1, 4)                                                                         \
    X(F16, "F16", 1, 1, 2)                                                                         \
    X(BF16, "BF16", 30, 1, 2)                                                                      \
    X(Q8_0, "Q8_0", 8, 32, 34)                                                                     \
    X(Q4_0, "Q4_0", 2, 32, 18)                                                                     \
    X(MXFP4, "MXFP4", 39, 32, 17)                                                                  \
    X(Q4_1, "Q4_1", 3, 32, 20)                                                                     \
    X(Q5_0, "Q5_0", 6, 32, 22)                                                                     \
    X(Q5_1, "Q5_1", 7, 32, 24)                                                                     \
    X(IQ4_NL, "IQ4_NL", 20, 32, 18)                                                                \
    X(Q2_K, "Q2_K", 10, 256, 84)                                                                   \
    X(Q3_K, "Q3_K", 11, 256, 110)                                                                  \
    X(Q4_K, "Q4_K", 12, 256, 144)                                                                  \
    X(Q5_K, "Q5_K", 13, 256, 176)                                                                  \
    X(Q6_K, "Q6_K", 14, 256, 210)                                                                  \
    X(IQ4_XS, "IQ4_XS", 23, 256, 136)                                                              \
    X(TQ1_0, "TQ1_0", 34, 256, 54)                                                                 \
    X(TQ2_0, "TQ2_0", 35, 256, 66)                                                                 \
    X(I32, "I32", 26, 1, 4)

typedef enum lp_dtype {
#define X(id, name, gguf, block, bytes) LP_##id,
    LP_DTYPES(X)
#undef X
        LP_N_DTYPES
} lp_dtype;

typedef struct lp_session_options {
    uint32_t n_ctx;      /* tokens of context; 0: the model's own, at most 4096 */
    uint32_t n_batch;    /* tokens of a prompt evaluated at once; 0: 512 */
    lp_dtype cache_type; /* of keys and values: LP_F16, LP_F32 or LP_Q8_0 */
    lp_progress_fn progress; /* while weights are loaded; may be NULL */
    void *progress_user;
    const char *cache_folder; /* for compiled pipelines, and for what doctor found out about the
                                 device; NULL: none kept */
    int deterministic;   /* a token's numbers do not depend on how many are computed with it */
    int no_int8;         /* the cpu device rounds what layers with quantised weights read to int8, in
                            blocks of 32, as it is faster: with 1 it does not */
    const char *workaround; /* JSON that a check wrote (lp_report.workaround); NULL: none */
    double guard;        /* share of the generated tokens for which a part of one node is recomputed
                            on the CPU reference, 0 … 1; also one node of every prompt, or with 1 all
                            of its nodes; stops with LP_E_DEVICE on disagreement */
    const char *plant;   /* a fault to plant (lp_fault_name()), to see it found; NULL: none */
} lp_session_options;
#define LP_SESSION_DEFAULT {.cache_type = LP_F16}

/* Bytes on the device. */
typedef struct lp_memory {
    uint64_t weights, cache, activations, staging;
} lp_memory;

/* What a session would take. */
typedef struct lp_footprint {
    lp_memory bytes; /* as lp_session_memory() would tell with a context that is full; on `cpu`
                        weights stay in their files, which are mapped */
    uint32_t n_ctx, n_batch;  /* tokens */
    uint64_t cache_per_token; /* bytes of the cache that a token of context takes */
    uint64_t n_weights;
    char largest[128]; /* the tensor with the most bytes */
    uint64_t largest_bytes;
    uint64_t n_dispatches; /* of a decode step, or of a whole text or picture; 0 without Vulkan */
    uint64_t n_barriers;   /* among them */
} lp_footprint;

/* How lp_convert() writes a model. */
typedef struct lp_convert_options {
    lp_dtype type;         /* of the matrices: any but LP_I32; LP_N_DTYPES: as they are */
    bool mixed;            /* Q4_K, Q5_K: with Q6_K in some layers, llama.cpp's Q4_K_M and Q5_K_M */
    bool allow_requantize; /* make a block type of another one: errors add up */
    lp_progress_fn progress; /* in bytes of the source; may be NULL */
    void *progress_user;
} lp_convert_options;

typedef struct lp_convert_result {
    size_t n_tensors, n_changed;         /* changed: their type is another one */
    size_t n_f16;                        /* matrices in F16, as their rows are no multiple of a block */
    uint64_t bytes_before, bytes_after; /* of all tensors */
} lp_convert_result;

/* Receives whole UTF-8 characters as they are generated; not terminated. Non-zero stops. */
typedef int (*lp_text_fn)(void *user, const char *text, size_t bytes);

/* Why generation ended: id, text. */
#define LP_ENDINGS(X)                                                                              \
    X(LENGTH, "as many tokens as asked for")                                                       \
    X(END_TOKEN, "the model ended the text")                                                       \
    X(STOP_STRING, "a stop string")                                                                \
    X(CONTEXT, "the context is full")                                                              \
    X(GRAMMAR, "the grammar's text is complete")                                                   \
    X(CALLER, "stopped by the caller")

typedef enum lp_ending {
#define X(code, text) LP_ENDED_##code,
    LP_ENDINGS(X)
#undef X
        LP_N_ENDINGS
} lp_ending;

typedef struct lp_generate_options {
    uint32_t max_tokens;     /* 0: until the text ends or (without `shift`) the context is full */
    const char *const *stop; /* stop strings; the text before one is given out, it is not */
    size_t n_stop;
    lp_text_fn on_text; /* may be NULL */
    void *user;
    int shift;     /* when the context is full, forget the older half of it and go on */
    uint32_t keep; /* but never the first tokens, as many as this */
} lp_generate_options;

typedef struct lp_generation {
    uint32_t n_prompt; /* tokens evaluated before the first drawn one */
    uint32_t n_tokens; /* tokens drawn */
    uint32_t n_shifts; /* how often the older half of the context was forgotten */
    double first_token_seconds; /* from the call to the first token: the prompt's evaluation */
    double seconds;             /* the whole call */
    lp_ending ending;
} lp_generation;

/* What lp_session_options.guard has seen. */
typedef struct lp_guard_summary {
    uint64_t n_nodes;    /* nodes recomputed, or parts of them */
    uint64_t n_elements; /* numbers compared */
    double largest;      /* largest error, in units of the error that rounding explains */
    const char *node;    /* where that was; "" without any */
} lp_guard_summary;

/* What came of guessing tokens ahead (lp_session_draft()). */
typedef struct lp_draft_summary {
    uint64_t n_tokens;  /* tokens drawn */
    uint64_t n_passes;  /* evaluations of the model that took, the prompt's included */
    uint64_t n_guessed; /* tokens guessed */
    uint64_t n_right;   /* of those, drawn later */
} lp_draft_summary;

/* How the vectors of a text's tokens become the text's. */
typedef enum lp_pooling {
    LP_POOLING_MEAN,   /* the mean of all */
    LP_POOLING_CLS,    /* the first token's */
    LP_POOLING_LAST,   /* the last token's */
    LP_POOLING_POOLER, /* tanh(W first + b), where an encoder has such weights */
    LP_N_POOLINGS
} lp_pooling;

typedef struct lp_embedding {
    lp_pooling pooling;
    bool normalised;     /* to length 1 */
    uint32_t max_tokens; /* of a text, as the files want it; 0: nothing is said */
} lp_embedding;

/* What may stand at a place of a text. */
typedef struct lp_guess {
    int32_t token;
    float probability;
} lp_guess;

/* A name and a value as people read them: hyperparameters, file metadata. */
typedef struct lp_fact {
    const char *name;
    const char *value;
    int is_number; /* may stand in JSON without quotes */
} lp_fact;

#ifdef __cplusplus
}
#endif
#endif
