/* Folders of models that read more than text: the text model's config.json is a part of theirs, its
 * tensors have longer names, and the other tensors are skipped with one line. Made here of
 * fixtures, whose logits must come out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <yyjson.h>

#include "support/model_files.h"
#include "support/model_run.h"

typedef struct nested {
    const char *fixture, *type;
    const char *prefix; /* in the place of "model." */
    const char *image;  /* name of a tensor that is skipped */
    const char *lacks;  /* a key that the text_config leaves out; or NULL */
} nested;

/* CONFIG becomes {"model_type": TYPE, "text_config": CONFIG, "vision_config": {}}. */
static void nest_config(const char *from, const char *to, const nested *row)
{
    size_t bytes, n;
    char *text = (char *)test_read(from, &bytes);
    yyjson_doc *doc = yyjson_read(text, bytes, 0);
    yyjson_mut_doc *inner = yyjson_doc_mut_copy(doc, NULL), *made = yyjson_mut_doc_new(NULL);
    assert_non_null(inner);
    assert_non_null(made);
    if (row->lacks)
        yyjson_mut_obj_remove_key(yyjson_mut_doc_get_root(inner), row->lacks);
    yyjson_mut_val *root = yyjson_mut_obj(made);
    yyjson_mut_doc_set_root(made, root);
    yyjson_mut_obj_add_str(made, root, "model_type", row->type);
    yyjson_mut_obj_add_val(made, root, "text_config",
                           yyjson_mut_val_mut_copy(made, yyjson_mut_doc_get_root(inner)));
    yyjson_mut_obj_add_val(made, root, "vision_config", yyjson_mut_obj(made));
    char *json = yyjson_mut_write(made, 0, &n);
    assert_non_null(json);
    test_write(to, json, n);
    free(json);
    yyjson_mut_doc_free(made);
    yyjson_mut_doc_free(inner);
    yyjson_doc_free(doc);
    free(text);
}

/* The same tensors under other names, and one more. */
static void nest_weights(const char *from, const char *to, const nested *row)
{
    size_t bytes, n_new, i, n_members;
    uint64_t n;
    uint8_t *data = test_read(from, &bytes);
    memcpy(&n, data, 8);
    yyjson_doc *doc = yyjson_read((char *)data + 8, n, 0);
    yyjson_mut_doc *made = yyjson_mut_doc_new(NULL);
    assert_non_null(doc);
    assert_non_null(made);
    yyjson_mut_val *root = yyjson_mut_obj(made);
    yyjson_mut_doc_set_root(made, root);
    yyjson_val *key, *value;
    yyjson_obj_foreach(yyjson_doc_get_root(doc), i, n_members, key, value)
    {
        char name[256];
        const char *old = yyjson_get_str(key);
        const bool in_model = strncmp(old, "model.", 6) == 0;
        snprintf(name, sizeof name, "%s%s", in_model ? row->prefix : "", old + 6 * in_model);
        yyjson_mut_obj_add(root, yyjson_mut_strcpy(made, name), yyjson_val_mut_copy(made, value));
    }
    const uint64_t end = bytes - 8 - n;
    const int64_t shape[] = {1};
    const uint64_t offsets[] = {end, end + 4};
    yyjson_mut_val *image = yyjson_mut_obj(made);
    yyjson_mut_obj_add_str(made, image, "dtype", "F32");
    yyjson_mut_obj_add_val(made, image, "shape", yyjson_mut_arr_with_sint64(made, shape, 1));
    yyjson_mut_obj_add_val(made, image, "data_offsets",
                           yyjson_mut_arr_with_uint64(made, offsets, 2));
    yyjson_mut_obj_add_val(made, root, row->image, image);
    char *json = yyjson_mut_write(made, 0, &n_new);
    assert_non_null(json);
    uint8_t *out = calloc(1, 8 + n_new + end + 4);
    assert_non_null(out);
    memcpy(out, &(uint64_t){n_new}, 8);
    memcpy(out + 8, json, n_new);
    memcpy(out + 8 + n_new, data + 8 + n, end);
    test_write(to, out, 8 + n_new + end + 4);
    free(out);
    free(json);
    yyjson_mut_doc_free(made);
    yyjson_doc_free(doc);
    free(data);
}

static char *make_folder(const nested *row)
{
    char from[512], *folder = test_folder_create(), *to = test_path(folder, "config.json");
    snprintf(from, sizeof from, LAPILLI_TEST_FIXTURES "/models/%s/config.json", row->fixture);
    nest_config(from, to, row);
    free(to);
    to = test_path(folder, "model.safetensors");
    snprintf(from, sizeof from, LAPILLI_TEST_FIXTURES "/models/%s/model.safetensors", row->fixture);
    nest_weights(from, to, row);
    free(to);
    return folder;
}

typedef struct told {
    int n;
    char line[512];
} told;

static void listen(void *user, lp_log_level level, const char *message)
{
    told *t = user;
    (void)level;
    t->n++;
    snprintf(t->line, sizeof t->line, "%s", message);
}

static const nested rows[] = {
    {"llama4", "llama4", "language_model.model.", "vision_model.layers.0.weight", NULL},
    {"llama4", "llama4", "model.language_model.", "multi_modal_projector.linear_1.weight",
     "model_type"},
    {"gemma3", "gemma3", "language_model.model.", "vision_tower.vision_model.x.weight", NULL},
    {"gemma3", "gemma3", "model.language_model.", "model.vision_tower.x.weight", "rms_norm_eps"},
};

static void logits_are_those_of_the_text_model(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *folder = make_folder(&rows[i]), path[512];
        told t = {0};
        lp_context ctx = {.log = listen, .log_user = &t, .level = LP_LOG_WARN};
        lp_network *network;
        if (lp_network_open(&ctx, folder, &network) != LP_OK)
            fail_msg("%s: %s", rows[i].fixture, ctx.message);
        assert_int_equal(t.n, 1);
        assert_non_null(strstr(t.line, "only the text model is read; 1 tensors"));
        snprintf(path, sizeof path, LAPILLI_TEST_FIXTURES "/models/%s/expected.safetensors",
                 rows[i].fixture);
        expected e = expected_open(path);
        const size_t n = (size_t)e.n_tokens * (size_t)e.n_vocab;
        float *logits = malloc(n * sizeof *logits);
        assert_non_null(logits);
        model_session *session = model_session_create(network, "reference", LP_F32, e.n_tokens);
        const int32_t whole[] = {e.n_tokens, 0};
        model_session_run(session, &(model_run){.chunks = whole}, e.tokens, logits);
        assert_true(nmse(e.logits, logits, n) < 1e-10);
        model_session_destroy(session);
        free(logits);
        expected_close(&e);
        lp_network_destroy(network);
        test_folder_remove(folder);
    }
}

static void broken_ones_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
        lp_status status;
    } broken[] = {
        {"{\"model_type\": \"gemma3\"}", "text_config is missing", LP_E_MISSING},
        {"{\"model_type\": \"gemma3\", \"text_config\": 3}", "text_config: object expected",
         LP_E_FORMAT},
        {"{\"model_type\": \"gemma3\", \"text_config\": {}}", "hidden_size", LP_E_MISSING},
        {"{\"model_type\": \"llama4\", \"text_config\": {\"model_type\": \"mamba\"}}",
         "model_type \"mamba\" is not supported", LP_E_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        lp_context ctx = {0};
        lp_hparams hp;
        lp_status status = lp_hparams_parse_config(&ctx, "config.json", broken[i].text,
                                                   strlen(broken[i].text), &hp);
        assert_int_equal(status, broken[i].status);
        if (!strstr(ctx.message, broken[i].message))
            fail_msg("\"%s\" lacks \"%s\"", ctx.message, broken[i].message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_are_those_of_the_text_model),
        cmocka_unit_test(broken_ones_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
