/* Runs networks in tests: on the judge, the CPU device or a Vulkan device, in any chunks. */
#ifndef LP_TEST_MODEL_RUN_H
#define LP_TEST_MODEL_RUN_H

#include "graph/backend.h"
#include "models/network.h"

/* Tokens [T] and logits [T, V] of a fixture, from expected.safetensors. Of an encoder-decoder those
 * of its decoder, and what its encoder reads and makes of it. Of an encoder also the last layer's
 * results [T, N], and where it has them the kinds of segments [T] and the pooler's result [N].
 *
 * Of a model that reads pictures: the pixels [3, S, S] and the logits [1, V] of its labels. Of
 * CLIP's towers: in place of logits the projections [2, P] of text and picture, and `match`, what
 * the model makes of their cosine. Of the text's tower alone: the hidden states [T, N], `pooled`,
 * the row of its last token, and those before the last layer. Of the picture's alone: its
 * projection, or what a pooler makes, or the hidden states; and `hidden`. */
typedef struct expected {
    lp_weights *weights; /* owns the following */
    const int32_t *tokens, *types;
    const float *logits, *hidden, *pooled;
    int32_t n_tokens, n_vocab;
    const int32_t *source; /* [n_source]; NULL: no encoder-decoder */
    const float *encoder;  /* [n_source, N] */
    int32_t n_source;
    int32_t n_rows; /* of the logits; n_tokens but for models that read pictures */
    const float *pixels, *match, *penultimate;
    /* Of a model with retrieval: [l, k, r] tokens and [l, k] lengths of the neighbours of l chunks.
     */
    const int32_t *neighbours, *neighbour_lengths;
    int32_t n_chunks;
} expected;

expected expected_open(const char *path);
void expected_close(expected *e);

/* A network loaded onto a device: "reference", or as in LAPILLI_TEST_DEVICE, "cpu" or "vulkan:0".
 */
typedef struct model_session model_session;

/* Any failure, here and below, fails the test. */
model_session *model_session_create(const lp_network *network, const char *device,
                                    lp_dtype kv_dtype, int32_t n_ctx);
void model_session_destroy(model_session *session);

/* The graph for n tokens that stand in the history; lp_graph_destroy() it. */
lp_graph *model_session_graph(model_session *session, int32_t n_tokens, bool no_fusion);
lp_backend *model_session_backend(model_session *session);
/* Facts of the device that plans are made with (`as_gpu` as in model_run). */
lp_caps model_session_caps(const model_session *session, bool as_gpu);

typedef struct model_run {
    const int32_t *chunks; /* tokens per run, ends with 0 */
    bool no_fusion;
    lp_plan_options plan;
    bool as_gpu; /* planned as if a CPU implementation of Vulkan were a GPU of many cores */
    /* Of encoders; NULL: all 0, not wanted. */
    const int32_t *types;
    float *hidden, *pooled, *penultimate; /* of one graph */
    /* Of an encoder-decoder: what its encoder reads before; and what that makes of it, or NULL. */
    const int32_t *source;
    int32_t n_source;
    float *encoder;
    /* Of what reads pictures: from model_patches(). */
    const float *patches;
    const expected *retrieval; /* its neighbours; NULL: there are none */
    /* Called with every graph before it is planned; may be NULL. */
    void (*mutate)(lp_graph *graph, const void *user);
    const void *user;
} model_run;

/* The network's own kind of main graph, or another of its parts, with all outputs that it has;
 * n_tokens is that of texts. */
lp_network_options model_run_options(const lp_network *network, lp_network_part part,
                                     int32_t n_tokens, int32_t n_ctx);
/* The part that the first graph is of. */
lp_network_part model_main_part(const lp_network *network);
/* Patches of the pixels, malloc'ed; NULL without pixels. */
float *model_patches(const lp_network *network, const float *pixels);

/* Logits [T, V] of all positions (NULL: of an encoder that has no head), from an empty context; the
 * caches hold what the run before left there. Chunks of equal size that follow each other replay
 * one program. */
void model_session_run(model_session *session, const model_run *run, const int32_t *tokens,
                       float *logits);

/* Sum (a - b)^2 / sum a^2; infinity if b is not finite, or if a is all zero and b is not. */
double nmse(const float *a, const float *b, size_t n);

/* SwiftShader compiles all kernels anew for every session: tests try less of the same there. */
bool test_device_is_slow(void);

/* From LAPILLI_TEST_DEVICE; "reference" without it. */
const char *test_device(void);

/* Fails the test unless there is such a device. lp_test_device_destroy() after the backend. */
typedef struct lp_test_device lp_test_device;
lp_backend *lp_test_device_create(lp_context *ctx, const char *name, lp_test_device **device);
/* Fails if the validation layers had anything to say. */
void lp_test_device_destroy(lp_test_device *device);

#endif
