/* The decoders and encoders among the model fixtures (fixtures/models/make.py makes them): one row
 * each, which test_models.c, test_configs.c and test_mutants.c walk. */
#ifndef LP_TEST_MODEL_FIXTURES_H
#define LP_TEST_MODEL_FIXTURES_H

#include <stdbool.h>
#include <stddef.h>

typedef struct model_fixture {
    const char *folder, *expected;
    const char *twin; /* the same weights as llama.cpp's converter stores them, or NULL */
    /* How many of the ways of test_models.c a Vulkan device goes. Compiling kernels takes most of
     * the time there (SwiftShader: 3 s of it per network), so each kind of kernel gets one network;
     * those that differ only in how they are stored are left to the CPU. */
    size_t n_gpu_ways;
    bool encoder;
    bool configs; /* has a mutants.json: changed values of config.json */
    bool mutants; /* every mechanism is broken once */
} model_fixture;

extern const model_fixture model_fixtures[];
extern const size_t n_model_fixtures;

/* The same of those whose decoders look at what an encoder made of a source text. */
extern const model_fixture seq2seq_fixtures[];
extern const size_t n_seq2seq_fixtures;

/* The same of those that have no logits of words: that read pictures, of which some read texts,
 * too, and encoders of texts without a head. */
extern const model_fixture picture_fixtures[];
extern const size_t n_picture_fixtures;

/* All of the three lists, one behind the other; NULL behind the last. */
const model_fixture *model_fixture_at(size_t i);

#endif
