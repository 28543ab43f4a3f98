/* Sessions on disk, on every device: what is loaded is, bit for bit, what was saved, the text goes
 * on as if all had been computed, another device can read it, and whatever is no whole file of this
 * model is refused and changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "support/model_files.h"
#include "support/model_run.h"
#include "text/snapshot.h"

#define STORY    LAPILLI_MODELS_DIR "/story/story.gguf"
#define N_PROMPT 40
#define N_DRAWN  24

typedef struct run {
    lp_context ctx;
    lp_test_device *device;
    lp_network *network;
    lp_runner *runner;
} run;

typedef struct how {
    const char *model, *device;
    lp_dtype type;
    bool deterministic;
    uint32_t n_ctx;
} how;

#define CHECK(r, call)                                                                             \
    do {                                                                                           \
        if ((call) != LP_OK)                                                                       \
            fail_msg("%s", (r)->ctx.message);                                                      \
    } while (0)

static run *run_create(how h)
{
    run *r = calloc(1, sizeof *r);
    lp_session_options options = {.n_ctx = h.n_ctx ? h.n_ctx : 160, .cache_type = h.type};
    lp_runner_programs programs = {.plan.deterministic = h.deterministic};
    CHECK(r, lp_network_open(&r->ctx, h.model ? h.model : STORY, &r->network));
    lp_backend *backend =
        lp_test_device_create(&r->ctx, h.device ? h.device : test_device(), &r->device);
    CHECK(r, lp_runner_create(&r->ctx, r->network, backend, &options, &programs, &r->runner));
    return r;
}

static void run_destroy(run *r)
{
    lp_runner_destroy(r->runner);
    lp_test_device_destroy(r->device);
    lp_network_destroy(r->network);
    free(r);
}

/* A prompt of any tokens; two with the same seed are equal, others from token `from` on are not. */
static void feed(run *r, uint32_t from, uint32_t n, uint32_t seed)
{
    int32_t tokens[256];
    for (uint32_t i = 0; i < n; i++)
        tokens[i] = (int32_t)((i * 2654435761u >> 12) % 3000 + (i >= from ? seed : 0));
    CHECK(r, lp_runner_feed(r->runner, tokens, n));
}

static void draw(run *r, int32_t tokens[N_DRAWN])
{
    for (uint32_t i = 0; i < N_DRAWN; i++)
        CHECK(r, lp_runner_next(r->runner, N_DRAWN - i, &tokens[i]));
}

/* Of all caches the first n rows, malloc'ed. */
static uint8_t *rows(run *r, uint32_t n, size_t *bytes)
{
    const lp_store *store = lp_runner_store(r->runner);
    lp_backend *backend = lp_runner_backend(r->runner);
    uint8_t *all = NULL;
    *bytes = 0;
    for (uint32_t i = 0; i < store->n_slots; i++) {
        const lp_slot *slot = &store->slots[i];
        if (strstr(slot->name, "_cache") == NULL)
            continue;
        size_t size = n * (size_t)(lp_state_size(slot->dtype, slot->shape) / slot->shape.dim[0]);
        all = realloc(all, *bytes + size);
        CHECK(r, backend->table->slot_read(backend, i, 0, all + *bytes, size));
        *bytes += size;
    }
    assert_true(*bytes > 0);
    return all;
}

static void assert_same_rows(run *a, run *b, uint32_t n)
{
    size_t n_a, n_b;
    uint8_t *x = rows(a, n, &n_a), *y = rows(b, n, &n_b);
    assert_int_equal(n_a, n_b);
    assert_memory_equal(x, y, n_a);
    free(x);
    free(y);
}

static const lp_dtype types[] = {LP_F16, LP_Q8_0};

static size_t n_types(void)
{
    return test_device_is_slow() ? 1 : 2;
}

/* Saved, and loaded by another session: the rows have the same bits, and so has everything drawn.
 */
static void a_loaded_session_goes_on_as_the_saved_one(void **state)
{
    (void)state;
    char *folder = test_folder_create(), *path = test_path(folder, "all");
    for (size_t t = 0; t < n_types(); t++) {
        run *saved = run_create((how){.type = types[t]});
        run *loaded = run_create((how){.type = types[t], .n_ctx = 130}); /* another context */
        int32_t a[N_DRAWN], b[N_DRAWN];
        uint32_t n;
        feed(saved, 0, N_PROMPT, 0);
        CHECK(saved, lp_runner_save(saved->runner, path));
        assert_int_equal(lp_runner_n_pending(saved->runner), 0);
        CHECK(loaded, lp_runner_load(loaded->runner, path, &n));
        assert_int_equal(n, N_PROMPT);
        assert_int_equal(lp_runner_n_tokens(loaded->runner), N_PROMPT);
        assert_int_equal(lp_runner_n_pending(loaded->runner), 0);
        assert_same_rows(saved, loaded, N_PROMPT);
        draw(saved, a);
        draw(loaded, b);
        assert_memory_equal(a, b, sizeof a);
        assert_same_rows(saved, loaded, N_PROMPT + N_DRAWN - 1);
        /* with drawn tokens, and steps in flight */
        CHECK(saved, lp_runner_save(saved->runner, path));
        CHECK(loaded, lp_runner_rewind(loaded->runner, 0));
        CHECK(loaded, lp_runner_load(loaded->runner, path, &n));
        assert_int_equal(n, N_PROMPT + N_DRAWN);
        assert_same_rows(saved, loaded, N_PROMPT + N_DRAWN);
        run_destroy(saved);
        run_destroy(loaded);
    }
    free(path);
    test_folder_remove(folder);
}

/* The longest common beginning is used, whatever is behind it; with --deterministic the logits have
 * the bits of a session that computed everything, and without it the text is the same. */
static void common_beginnings_are_used(void **state)
{
    (void)state;
    static const struct {
        uint32_t n, from, common;
    } prompts[] = {{50, 23, 23}, {50, 50, 40}, {30, 30, 30}, {30, 29, 29}, {12, 0, 0}};
    char *folder = test_folder_create(), *path = test_path(folder, "common");
    for (size_t t = 0; t < 2 * n_types(); t++) {
        how h = {.type = types[t / 2], .deterministic = t % 2};
        run *fresh = run_create(h), *loaded = run_create(h);
        uint32_t n_vocab = fresh->network->hparams.n_vocab, n;
        float *x = malloc(2 * n_vocab * sizeof *x), *y = x + n_vocab;
        feed(fresh, N_PROMPT, N_PROMPT, 0);
        CHECK(fresh, lp_runner_save(fresh->runner, path));
        for (size_t i = 0; i < sizeof prompts / sizeof *prompts; i++) {
            int32_t a[N_DRAWN], b[N_DRAWN];
            CHECK(fresh, lp_runner_rewind(fresh->runner, 0));
            CHECK(loaded, lp_runner_rewind(loaded->runner, 0));
            feed(fresh, prompts[i].from, prompts[i].n, 7);
            feed(loaded, prompts[i].from, prompts[i].n, 7);
            CHECK(loaded, lp_runner_load(loaded->runner, path, &n));
            assert_int_equal(n, prompts[i].common);
            assert_int_equal(lp_runner_n_pending(loaded->runner), prompts[i].n - n);
            CHECK(fresh, lp_runner_eval(fresh->runner, x));
            CHECK(loaded, lp_runner_eval(loaded->runner, y));
            if (h.deterministic) {
                assert_memory_equal(x, y, n_vocab * sizeof *x);
                assert_same_rows(fresh, loaded, prompts[i].n);
            } else {
                assert_true(nmse(x, y, n_vocab) < (h.type == LP_F16 ? 1e-6 : 1e-5));
            }
            draw(fresh, a);
            draw(loaded, b);
            assert_memory_equal(a, b, sizeof a);
        }
        free(x);
        run_destroy(fresh);
        run_destroy(loaded);
    }
    free(path);
    test_folder_remove(folder);
}

/* What is computed already stays, and a file that knows less changes nothing. */
static void what_is_computed_is_not_taken_again(void **state)
{
    (void)state;
    char *folder = test_folder_create(), *path = test_path(folder, "less");
    run *r = run_create((how){.type = LP_F16});
    uint32_t n;
    feed(r, N_PROMPT, 20, 0);
    CHECK(r, lp_runner_save(r->runner, path));
    CHECK(r, lp_runner_rewind(r->runner, 0));
    feed(r, N_PROMPT, 30, 0);
    CHECK(r, lp_runner_eval(r->runner, NULL));
    size_t bytes;
    uint8_t *before = rows(r, 30, &bytes);
    CHECK(r, lp_runner_load(r->runner, path, &n));
    assert_int_equal(n, 20);
    assert_int_equal(lp_runner_n_pending(r->runner), 0);
    uint8_t *after = rows(r, 30, &bytes);
    assert_memory_equal(before, after, bytes);
    free(before);
    free(after);
    run_destroy(r);
    free(path);
    test_folder_remove(folder);
}

/* From this device to the reference and back. */
static void devices_read_each_others_files(void **state)
{
    (void)state;
    char *folder = test_folder_create(), *path = test_path(folder, "cross");
    for (size_t t = 0; t < 2 * n_types(); t++) {
        how here = {.type = types[t / 2]}, there = {.type = types[t / 2], .device = "cpu"};
        run *saved = run_create(t % 2 ? there : here), *loaded = run_create(t % 2 ? here : there);
        int32_t a[N_DRAWN], b[N_DRAWN];
        uint32_t n;
        feed(saved, 0, N_PROMPT, 0);
        CHECK(saved, lp_runner_save(saved->runner, path));
        CHECK(loaded, lp_runner_load(loaded->runner, path, &n));
        assert_int_equal(n, N_PROMPT);
        assert_same_rows(saved, loaded, N_PROMPT);
        draw(saved, a);
        draw(loaded, b);
        assert_memory_equal(a, b, sizeof a);
        run_destroy(saved);
        run_destroy(loaded);
    }
    free(path);
    test_folder_remove(folder);
}

/* ---- What is refused ----------------------------------------------------------------------- */

static void refused(run *r, const char *path, lp_status status, const char *message)
{
    uint32_t n_tokens = lp_runner_n_tokens(r->runner), n;
    uint32_t n_pending = lp_runner_n_pending(r->runner);
    assert_int_equal(lp_runner_load(r->runner, path, &n), status);
    if (strstr(r->ctx.message, message) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", r->ctx.message, message);
    assert_null(strchr(r->ctx.message, '\n'));
    assert_int_equal(n, 0);
    assert_int_equal(lp_runner_n_tokens(r->runner), n_tokens);
    assert_int_equal(lp_runner_n_pending(r->runner), n_pending);
}

static void damaged_files_are_refused(void **state)
{
    (void)state;
    char *folder = test_folder_create(), *path = test_path(folder, "good");
    char *bad = test_path(folder, "bad");
    run *r = run_create((how){.type = LP_F16});
    size_t bytes;
    feed(r, N_PROMPT, 3, 0);
    CHECK(r, lp_runner_save(r->runner, path));
    uint8_t *file = test_read(path, &bytes);
    CHECK(r, lp_runner_rewind(r->runner, 0));
    feed(r, N_PROMPT, 10, 0);

    for (size_t n = 0; n < bytes; n += n < 1200 ? 13 : 997) { /* cut */
        test_write(bad, file, n);
        refused(r, bad, LP_E_FORMAT, n < 8 ? "not a prompt cache" : n < 64 ? "within" : "expected");
    }
    for (size_t n = 0; n < bytes; n += n < 1200 ? 7 : 991) { /* changed */
        file[n] ^= 0x55;
        test_write(bad, file, bytes);
        uint32_t common;
        lp_status status = lp_runner_load(r->runner, bad, &common);
        if (status != LP_E_FORMAT && status != LP_E_UNSUPPORTED && status != LP_E_SHAPE)
            fail_msg("byte %zu changed: %d %s", n, status, r->ctx.message);
        assert_int_equal(lp_runner_n_pending(r->runner), 10);
        file[n] ^= 0x55;
    }
    for (size_t n = 12; n < 72; n += 4) { /* absurd numbers */
        uint8_t kept[4];
        memcpy(kept, file + n, 4);
        for (int k = 0; k < 3; k++) {
            memset(file + n, k ? 0xff : 0, 4);
            file[n + 3] = k == 2 ? 0x7f : file[n + 3];
            test_write(bad, file, bytes);
            uint32_t common;
            if (memcmp(kept, file + n, 4) != 0)
                assert_int_not_equal(lp_runner_load(r->runner, bad, &common), LP_OK);
        }
        memcpy(file + n, kept, 4);
    }
    file[bytes - 100] ^= 1; /* a single bit of a value */
    test_write(bad, file, bytes);
    refused(r, bad, LP_E_FORMAT, "damaged");
    file[8] = 2;
    test_write(bad, file, bytes);
    refused(r, bad, LP_E_UNSUPPORTED, "version 2 of the format, not 1");
    test_write(bad, "", 0);
    refused(r, bad, LP_E_FORMAT, "not a prompt cache");
    refused(r, folder, LP_E_ARG, "a folder");
    unlink(bad);
    refused(r, bad, LP_E_IO, "No such file");
    uint32_t n;
    CHECK(r, lp_runner_load(r->runner, path, &n)); /* and the whole one is still taken */
    assert_int_equal(n, 3);
    run_destroy(r);
    free(file);
    free(bad);
    free(path);
    test_folder_remove(folder);
}

static void files_of_other_sessions_are_refused(void **state)
{
    (void)state;
    char *folder = test_folder_create(), *path = test_path(folder, "llama");
    char *other = test_path(folder, "other.gguf");
    how h = {.model = FIXTURE("llama2.gguf"), .type = LP_F16, .n_ctx = 32};
    run *saved = run_create(h);
    int32_t tokens[] = {1, 20, 30, 4};
    CHECK(saved, lp_runner_feed(saved->runner, tokens, 4));
    CHECK(saved, lp_runner_save(saved->runner, path));

    h.type = LP_F32;
    run *r = run_create(h);
    refused(r, path, LP_E_SHAPE, "_cache is F16 [");
    run_destroy(r);
    r = run_create((how){.type = LP_F16});
    refused(r, path, LP_E_SHAPE, "another model");
    run_destroy(r);
    r = run_create((how){.model = FIXTURE("gpt2.gguf"), .type = LP_F16, .n_ctx = 32});
    refused(r, path, LP_E_SHAPE, "another model");
    run_destroy(r);
    /* the same model with another epsilon, and with one other weight */
    float eps = 1e-3f;
    test_copy_gguf_value(FIXTURE("llama2.gguf"), other, "llama.attention.layer_norm_rms_epsilon",
                         &eps, sizeof eps);
    h.type = LP_F16;
    h.model = other;
    r = run_create(h);
    refused(r, path, LP_E_SHAPE, "another model");
    run_destroy(r);
    size_t bytes;
    uint8_t *file = test_read(FIXTURE("llama2.gguf"), &bytes);
    file[bytes - 40] ^= 1;
    test_write(other, file, bytes);
    r = run_create(h);
    refused(r, path, LP_E_SHAPE, "another model");
    run_destroy(r);
    free(file);
    /* more tokens than the context has */
    h.model = FIXTURE("llama2.gguf");
    h.n_ctx = 3;
    r = run_create(h);
    uint32_t n;
    assert_int_equal(lp_runner_load(r->runner, path, &n), LP_E_LIMIT);
    assert_non_null(strstr(r->ctx.message, "llama: 4 tokens do not fit"));
    assert_int_equal(lp_runner_n_tokens(r->runner), 0);
    CHECK(r, lp_runner_feed(r->runner, tokens, 2)); /* but a part of them can be used */
    CHECK(r, lp_runner_load(r->runner, path, &n));
    assert_int_equal(n, 2);
    run_destroy(r);
    run_destroy(saved);
    free(other);
    free(path);
    test_folder_remove(folder);
}

static void saving_is_whole_or_nothing(void **state)
{
    (void)state;
    char *folder = test_folder_create(), *path = test_path(folder, "file");
    char *inside = test_path(path, "below"), *again = test_path(folder, "again");
    run *r = run_create((how){.type = LP_F16});
    feed(r, 0, N_PROMPT, 0);
    assert_int_equal(lp_runner_save(r->runner, inside), LP_E_IO);
    assert_int_equal(lp_runner_save(r->runner, folder), LP_E_ARG);
    CHECK(r, lp_runner_save(r->runner, path));
    CHECK(r, lp_runner_save(r->runner, again));
    size_t n, m;
    uint8_t *a = test_read(path, &n), *b = test_read(again, &m);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n);
    /* an empty session is a file, too */
    uint32_t common;
    CHECK(r, lp_runner_rewind(r->runner, 0));
    CHECK(r, lp_runner_save(r->runner, again));
    CHECK(r, lp_runner_load(r->runner, again, &common));
    assert_int_equal(common, 0);
    assert_int_equal(lp_runner_n_tokens(r->runner), 0);
    run_destroy(r);
    free(a);
    free(b);
    free(inside);
    free(again);
    free(path);
    test_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loaded_session_goes_on_as_the_saved_one),
        cmocka_unit_test(common_beginnings_are_used),
        cmocka_unit_test(what_is_computed_is_not_taken_again),
        cmocka_unit_test(devices_read_each_others_files),
        cmocka_unit_test(damaged_files_are_refused),
        cmocka_unit_test(files_of_other_sessions_are_refused),
        cmocka_unit_test(saving_is_whole_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
