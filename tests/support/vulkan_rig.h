// A small graph on a Vulkan device, for the tests of the executor itself. It depends on its own
// earlier runs: the row of the table at the cursor's position, doubled, plus an input if wanted,
// goes into the cache at that position; then the cursor moves. All values are small integers.
#ifndef LP_TESTS_VULKAN_RIG_H
#define LP_TESTS_VULKAN_RIG_H

#include "graph/builder.h"
#include "vulkan/vulkan_internal.h"

#define RIG_POSITIONS 256
#define RIG_FEATURES  72 // not a multiple of LP_ROW_ALIGN

extern lp_context rig_ctx;
extern lp_vulkan *rig_vulkan; // NULL: there is no driver

typedef struct rig {
    lp_store store;
    lp_weights *weights;
    lp_graph *graph;
    lp_tensor_id input,
        sum; // with an input: output `sum` holds the squares of what goes into the cache
    uint32_t cursor, cache; // slots
    lp_backend *backend;
    lp_program *program;
} rig;

// Group fixtures: the list of devices (LAPILLI_TEST_DEVICE, LAPILLI_TEST_VALIDATION); afterwards
// the validation layers must have been silent.
int rig_set_up(void **state);
int rig_tear_down(void **state);

// Fails the test with the context's message.
void rig_ok(lp_status status);
// Does LAPILLI_TEST_DRIVER begin with `name`?
bool rig_driver(const char *name);
lp_backend *rig_open(uint32_t gpu, lp_vulkan_options options);
float rig_weight(int64_t row, int64_t column); // of the table

void rig_graph(rig *r, lp_graph **graph, bool with_input, int64_t n_tokens);
void rig_store(rig *r, bool with_input); // weights and graph, no device yet
void rig_create(rig *r, uint32_t gpu, lp_vulkan_options options, bool with_input);
void rig_destroy(rig *r);
void rig_wait(lp_backend *backend, uint64_t ticket);
int32_t rig_position(const rig *r);
// The first n rows of the cache are twice the table's, the others zero (graph without input).
void rig_check_cache(const rig *r, int32_t n);

#endif
