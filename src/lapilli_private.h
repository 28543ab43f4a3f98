/* Between the files of the public API's implementation. */
#ifndef LP_LAPILLI_PRIVATE_H
#define LP_LAPILLI_PRIVATE_H

#include "graph/backend.h"
#include "lapilli.h"
#include "vulkan/vulkan_backend.h"

struct lp_network;
struct lp_runner;
struct lp_generation_config;
const struct lp_network *lp_model_network(const lp_model *model);
const struct lp_tokenizer *lp_model_vocab(const lp_model *model);
/* LP_OK unless lp_model_look() found none: then what was wrong. */
lp_status lp_model_needs_tokenizer(const lp_model *model);
lp_context *lp_model_context_of(const lp_model *model);
/* Of answers: the model's own, or the one of the language that is translated to. */
const lp_tokenizer *lp_model_target_tokenizer(const lp_model *model);
/* How an encoder-decoder wants its answers searched for. */
const struct lp_generation_config *lp_model_generation(const lp_model *model);
struct lp_runner *lp_session_runner(lp_session *session);
const lp_model *lp_session_model(const lp_session *session);
/* After something ran: a fault that was to be planted must have been. */
lp_status lp_session_check_fault(const lp_session *session);
/* A picture as the model's graph reads it, malloc'ed; LP_E_UNSUPPORTED of models that see none. */
lp_status lp_model_patches(const lp_model *model, const lp_image *image, float **patches);
struct lp_weights;
/* The type that holds most bytes of the matrices, by name: it may be one that we do not read. */
const char *lp_weights_type(struct lp_weights *weights);
uint64_t lp_weights_parameters(struct lp_weights *weights);
lp_context *lp_devices_context(const lp_devices *devices);
/* Facts of a Vulkan device; NULL for the CPU. */
const lp_gpu *lp_devices_gpu(const lp_devices *devices, size_t index);
/* Opens a listed device. `cache_folder` may be NULL. */
lp_status lp_devices_open(lp_devices *devices, size_t index, const char *cache_folder,
                          lp_backend **backend);

/* lp_doctor() of a device on which plans are changed, as by lp_plan_options.alter: for tests. `ops`:
 * as in lp_exam_options. */
typedef struct lp_alteration {
    void (*alter)(void *user, const lp_graph *graph, lp_plan *plan);
    void *user;
    uint32_t ops;
} lp_alteration;
lp_status lp_doctor_altered(lp_devices *devices, size_t device, const lp_model *model,
                            const lp_doctor_options *options, lp_alteration alteration,
                            lp_diagnosis **diagnosis);

#endif
