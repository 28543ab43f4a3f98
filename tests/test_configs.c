/* Every key of config.json that changes the numbers is heeded: fixtures/models/NAME/mutants.json
 * lists changed values and how far they move the logits when the transformers library computes
 * them, in float64. Here they must move them as far. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <yyjson.h>

#include "support/model_fixtures.h"
#include "support/model_files.h"
#include "support/model_run.h"

#define N_TOKENS 40

static yyjson_doc *read_json(const char *folder, const char *name)
{
    char *path = test_path(folder, name);
    yyjson_doc *doc = yyjson_read_file(path, 0, NULL, NULL);
    if (doc == NULL)
        fail_msg("%s cannot be read", path);
    free(path);
    return doc;
}

/* Sets the member at the end of a path with dots. */
static void set_key(yyjson_mut_doc *doc, const char *path, yyjson_val *value)
{
    char name[128];
    yyjson_mut_val *object = yyjson_mut_doc_get_root(doc);
    for (size_t n; path[n = strcspn(path, ".")] != '\0'; path += n + 1) {
        snprintf(name, sizeof name, "%.*s", (int)n, path);
        object = yyjson_mut_obj_get(object, name);
        assert_non_null(object);
    }
    yyjson_mut_val *key = yyjson_mut_strcpy(doc, path);
    assert_true(yyjson_mut_obj_put(object, key, yyjson_val_mut_copy(doc, value)));
}

/* The folder's network with changed hyperparameters. */
static void change_config(const char *folder, yyjson_val *changes, lp_network *network)
{
    yyjson_doc *config = read_json(folder, "config.json");
    yyjson_mut_doc *changed = yyjson_doc_mut_copy(config, NULL);
    size_t i, n, bytes;
    yyjson_val *key, *value;
    yyjson_obj_foreach(changes, i, n, key, value) set_key(changed, yyjson_get_str(key), value);
    char *text = yyjson_mut_write(changed, 0, &bytes);
    assert_non_null(text);
    lp_context ctx = {0};
    if (lp_hparams_parse_config(&ctx, folder, text, bytes, &network->hparams) != LP_OK)
        fail_msg("%s", ctx.message);
    free(text);
    yyjson_mut_doc_free(changed);
    yyjson_doc_free(config);
}

static void check_fixture(const char *folder)
{
    lp_context ctx = {0};
    lp_network *network;
    if (lp_network_open(&ctx, folder, &network) != LP_OK)
        fail_msg("%s", ctx.message);
    char *path = test_path(folder, "expected.safetensors");
    expected e = expected_open(path);
    size_t n_logits = (size_t)e.n_rows * (size_t)e.n_vocab, i, n;
    float *patches = model_patches(network, e.pixels);
    float *logits = malloc(n_logits * sizeof *logits);
    assert_non_null(logits);
    const bool few_positions = network->hparams.arch->sizes != NULL;
    const int32_t n_ctx = few_positions ? (int32_t)network->hparams.n_context : N_TOKENS;
    yyjson_doc *mutants = read_json(folder, "mutants.json");
    yyjson_val *mutant;
    assert_true(yyjson_arr_size(yyjson_doc_get_root(mutants)) > 0);
    yyjson_arr_foreach(yyjson_doc_get_root(mutants), i, n, mutant)
    {
        lp_network changed = *network;
        change_config(folder, yyjson_obj_get(mutant, "set"), &changed);
        const int32_t whole[] = {e.n_tokens, 0};
        const model_run run = {.chunks = whole,
                               .types = e.types,
                               .source = e.source,
                               .n_source = e.n_source,
                               .retrieval = &e,
                               .patches = patches};
        model_session *session = model_session_create(&changed, "reference", LP_F32, n_ctx);
        model_session_run(session, &run, e.tokens, logits);
        model_session_destroy(session);
        double moved = nmse(e.logits, logits, n_logits);
        double want = yyjson_get_num(yyjson_obj_get(mutant, "nmse"));
        print_message("%9.2e, by transformers %9.2e  %s: %s\n", moved, want,
                      strrchr(folder, '/') + 1, yyjson_get_str(yyjson_obj_get(mutant, "name")));
        /* the expected logits are rounded to float, which moves them by up to 1e-15 */
        if (!(fabs(moved / want - 1) < 1e-3))
            fail_msg("%s: %s moves the logits by %.6g; by transformers by %.6g", folder,
                     yyjson_get_str(yyjson_obj_get(mutant, "name")), moved, want);
    }
    yyjson_doc_free(mutants);
    free(patches);
    free(logits);
    expected_close(&e);
    free(path);
    lp_network_destroy(network);
}

static void test_configs(void **state)
{
    (void)state;
    const model_fixture *f;
    for (size_t i = 0; (f = model_fixture_at(i)) != NULL; i++)
        if (f->configs)
            check_fixture(f->folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_configs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
