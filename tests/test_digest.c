/* Digests: known values, and models as `sha256sum` would have them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "check/digest.h"
#include "support/model_files.h"

/* FIPS 180-4, the examples of NIST:
 * https://csrc.nist.gov/projects/cryptographic-standards-and-guidelines/example-values */
#define DIGEST_ABC  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define DIGEST_NONE "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void known_values(void **state)
{
    (void)state;
    char text[LP_DIGEST_TEXT];
    lp_digest_bytes("abc", 3, text);
    assert_string_equal(text, DIGEST_ABC);
    lp_digest_bytes("", 0, text);
    assert_string_equal(text, DIGEST_NONE);
}

static void arrays_are_joined(void **state)
{
    (void)state;
    lp_context ctx = {0};
    lp_arena arena = {0};
    float values[] = {1, -0.0f, 3, 4};
    float *const parts[] = {values, NULL, values + 1};
    const uint64_t n[] = {1, 7, 3};
    char expected[LP_DIGEST_TEXT];
    const char *got = NULL, *other = NULL;
    lp_digest_bytes(values, sizeof values, expected);
    assert_int_equal(lp_digest_floats(&ctx, &arena, parts, n, 3, &got), LP_OK);
    assert_string_equal(got, expected);
    values[1] = 0; /* another bit, the same number */
    assert_int_equal(lp_digest_floats(&ctx, &arena, parts, n, 3, &other), LP_OK);
    assert_string_not_equal(got, other);
    lp_arena_destroy(&arena);
}

static void digest_of(const char *path, char text[LP_DIGEST_TEXT])
{
    lp_context ctx = {0};
    lp_network *network = NULL;
    if (lp_network_open(&ctx, path, &network) != LP_OK ||
        lp_digest_model(&ctx, network, text) != LP_OK)
        fail_msg("%s", ctx.message);
    lp_network_destroy(network);
}

static void a_file_is_its_bytes(void **state)
{
    (void)state;
    size_t bytes;
    char text[LP_DIGEST_TEXT], expected[LP_DIGEST_TEXT];
    uint8_t *data = test_read(FIXTURE("llama2.gguf"), &bytes);
    lp_digest_bytes(data, bytes, expected);
    digest_of(FIXTURE("llama2.gguf"), text);
    assert_string_equal(text, expected);
    free(data);
}

/* The files that make the model, by name; what else lies there does not count. */
static void a_folder_is_a_list(void **state)
{
    (void)state;
    static const char *const names[] = {"config.json", "model-00001-of-00002.safetensors",
                                        "model-00002-of-00002.safetensors", "tokenizer.json"};
    char text[LP_DIGEST_TEXT], expected[LP_DIGEST_TEXT], digest[LP_DIGEST_TEXT], list[1024];
    char *folder = test_folder_create(), *path;
    size_t at = 0, bytes;
    for (int i = 0; i < 4; i++) {
        char from[512];
        snprintf(from, sizeof from, "%s/%s", FIXTURE("llama3-sharded"), names[i]);
        path = test_path(folder, names[i]);
        if (i < 3)
            test_copy(from, path);
        else
            test_write(path, "{}", 2);
        uint8_t *data = test_read(path, &bytes);
        lp_digest_bytes(data, bytes, digest);
        at += (size_t)snprintf(list + at, sizeof list - at, "%s  %s\n", digest, names[i]);
        free(data);
        free(path);
    }
    path = test_path(folder, "model.safetensors.index.json");
    test_copy(FIXTURE("llama3-sharded/model.safetensors.index.json"), path);
    free(path);
    path = test_path(folder, "README.md");
    test_write(path, "no part of the model", 20);
    free(path);
    lp_digest_bytes(list, at, expected);
    digest_of(folder, text);
    assert_string_equal(text, expected);
    test_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values),
        cmocka_unit_test(arrays_are_joined),
        cmocka_unit_test(a_file_is_its_bytes),
        cmocka_unit_test(a_folder_is_a_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
