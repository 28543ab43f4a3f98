/* Synthetic models: deterministic, of the right scale, with vocabularies in which no token occurs
 * twice and every merge makes a token. (That llama.cpp loads them is checked by hand.) */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "models/hparams.h"
#include "models/names.h"
#include "models/synth.h"
#include "support/bytes.h"

static char *folder;

static int make_folder(void **state)
{
    (void)state;
    folder = scratch_create();
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    scratch_destroy(folder);
    return 0;
}

typedef struct model {
    lp_context ctx;
    char *path;
    lp_weights *weights;
    lp_gguf *gguf;
} model;

static model make(const char *shape, lp_dtype type, uint64_t seed)
{
    model m = {.weights = lp_weights_create()};
    char name[64];
    snprintf(name, sizeof(name), "%s-%s-%u.gguf", shape, lp_dtype_table[type].name, (unsigned)seed);
    m.path = lp_path_join(folder, name);
    lp_status status = lp_synth_write(&m.ctx, shape, type, seed, m.path, NULL, NULL);
    assert_string_equal(m.ctx.message, "");
    assert_int_equal(status, LP_OK);
    status = lp_gguf_open(&m.ctx, m.path, m.weights, &m.gguf);
    assert_string_equal(m.ctx.message, "");
    assert_int_equal(status, LP_OK);
    return m;
}

static void drop(model *m)
{
    lp_gguf_destroy(m->gguf);
    lp_weights_destroy(m->weights);
    free(m->path);
}

static float *to_f32(const model *m, const char *name, size_t *n)
{
    const lp_weight *w = lp_weights_find(m->weights, name);
    assert_non_null(w);
    *n = (size_t)lp_shape_elements(w->shape);
    float *values = malloc(*n * sizeof(float));
    assert_non_null(values);
    lp_dtype_table[w->dtype].to_f32(w->data, values, *n);
    return values;
}

static void shapes_are_sane(void **state)
{
    (void)state;
    for (size_t i = 0; i < lp_synth_shape_count; i++) {
        const lp_synth_shape_info *s = &lp_synth_shapes[i];
        assert_int_equal(s->dim % s->n_head, 0);
        assert_int_equal(s->n_head % s->n_head_kv, 0);
        assert_int_equal(s->dim % 32, 0); /* whole blocks */
        assert_int_equal(s->n_ff % 32, 0);
        assert_non_null(lp_arch_find_gguf(s->arch, strlen(s->arch)));
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(s->name, lp_synth_shapes[j].name);
    }
}

/* Hyperparameters and tensor names are those of the architecture. */
static void models_are_complete(void **state)
{
    (void)state;
    static const char *const names[] = {"tiny-gpt2", "tiny-llama", "tiny-llama3"};
    for (size_t i = 0; i < 3; i++) {
        model m = make(names[i], LP_Q4_0, 3);
        lp_hparams hp;
        lp_status status = lp_hparams_from_gguf(&m.ctx, m.path, m.gguf, m.weights, &hp);
        assert_string_equal(m.ctx.message, "");
        assert_int_equal(status, LP_OK);
        assert_int_equal(lp_names_check(&m.ctx, m.path, &hp, m.weights), LP_OK);
        assert_int_equal(hp.n_embd, 64);
        assert_int_equal(hp.n_layer, 2);
        assert_int_equal(hp.tied, i != 1);
        drop(&m);
    }
}

static void weights_have_the_scale(void **state)
{
    (void)state;
    model m = make("tiny-llama", LP_F32, 1);
    static const struct {
        const char *name;
        double mean, deviation;
    } wanted[] = {{"token_embd.weight", 0, 3 / 8.0},
                  {"blk.0.attn_q.weight", 0, 1 / 8.0},
                  {"blk.1.attn_output.weight", 0, 1 / 16.0},
                  {"output.weight", 0, 3 / 8.0},
                  {"blk.1.ffn_norm.weight", 1, 0.1}};
    for (size_t i = 0; i < 5; i++) {
        size_t n;
        float *values = to_f32(&m, wanted[i].name, &n);
        double sum = 0, squares = 0;
        for (size_t j = 0; j < n; j++)
            sum += (double)values[j];
        for (size_t j = 0; j < n; j++)
            squares += pow((double)values[j] - sum / (double)n, 2);
        double standard_error = wanted[i].deviation / sqrt((double)n);
        assert_true(fabs(sum / (double)n - wanted[i].mean) < 4 * standard_error);
        assert_true(fabs(sqrt(squares / (double)n) / wanted[i].deviation - 1) <
                    4 / sqrt(2.0 * (double)n));
        free(values);
    }
    drop(&m);
}

static void same_seed_same_weights(void **state)
{
    (void)state;
    model a = make("tiny-gpt2", LP_F32, 7), b = make("tiny-gpt2", LP_F32, 8);
    model q = make("tiny-gpt2", LP_Q8_0, 7);
    char *path = lp_path_join(folder, "again.gguf");
    assert_int_equal(lp_synth_write(&a.ctx, "tiny-gpt2", LP_F32, 7, path, NULL, NULL), LP_OK);
    lp_file first, second;
    assert_int_equal(lp_file_open(&a.ctx, a.path, &first), LP_OK);
    assert_int_equal(lp_file_open(&a.ctx, path, &second), LP_OK);
    assert_int_equal(first.bytes, second.bytes);
    assert_memory_equal(first.data, second.data, first.bytes);
    lp_file_close(&first);
    lp_file_close(&second);

    size_t n;
    float *x = to_f32(&a, "blk.0.attn_qkv.weight", &n);
    float *y = to_f32(&b, "blk.0.attn_qkv.weight", &n);
    float *z = to_f32(&q, "blk.0.attn_qkv.weight", &n);
    double error = 0, other = 0, sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += pow((double)x[i], 2);
        other += pow((double)(x[i] - y[i]), 2);
        error += pow((double)(x[i] - z[i]), 2);
    }
    assert_true(error / sum < 1e-4); /* the same numbers, rounded to 8 bits */
    assert_true(other / sum > 1.5);  /* another seed: unrelated */
    free(x), free(y), free(z), free(path);
    drop(&a), drop(&b), drop(&q);
}

static int compare(const void *a, const void *b)
{
    const lp_gguf_string *x = a, *y = b;
    size_t n = x->bytes < y->bytes ? x->bytes : y->bytes;
    int order = memcmp(x->data, y->data, n);
    return order ? order : (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

static void vocabularies_are_consistent(void **state)
{
    (void)state;
    static const struct {
        lp_synth_tokenizer kind;
        uint32_t n;
    } cases[] = {{LP_SYNTH_SPM, 32000}, {LP_SYNTH_BPE_GPT2, 50257}, {LP_SYNTH_BPE_LLAMA3, 128256}};
    for (size_t i = 0; i < 3; i++) {
        lp_context ctx = {0};
        char *path = lp_path_join(folder, "vocabulary.gguf");
        lp_gguf_writer *w = lp_gguf_writer_create(&ctx);
        assert_int_equal(lp_synth_vocab(&ctx, w, cases[i].kind, cases[i].n), LP_OK);
        assert_int_equal(lp_gguf_begin(w, path), LP_OK);
        assert_int_equal(lp_gguf_commit(w), LP_OK);
        lp_gguf_writer_destroy(w);

        lp_weights *weights = lp_weights_create();
        lp_gguf *gguf;
        assert_int_equal(lp_gguf_open(&ctx, path, weights, &gguf), LP_OK);
        lp_gguf_type type;
        uint64_t n = 0, n_merges = 0;
        assert_true(lp_gguf_get_array(gguf, "tokenizer.ggml.tokens", &type, &n));
        assert_int_equal(n, cases[i].n);
        lp_gguf_string *tokens = malloc(n * sizeof(*tokens));
        assert_non_null(tokens);
        for (uint64_t t = 0; t < n; t++)
            tokens[t] = lp_gguf_array_string(gguf, "tokenizer.ggml.tokens", t);
        qsort(tokens, n, sizeof(*tokens), compare);
        for (uint64_t t = 1; t < n; t++)
            assert_true(compare(&tokens[t - 1], &tokens[t]) != 0);

        lp_gguf_get_array(gguf, "tokenizer.ggml.merges", &type, &n_merges);
        assert_int_equal(n_merges, i == 0 ? 0 : i == 1 ? n - 257 : n - 512);
        for (uint64_t k = 0; k < n_merges; k++) { /* left, right and both together are tokens */
            lp_gguf_string merge = lp_gguf_array_string(gguf, "tokenizer.ggml.merges", k);
            const char *space = memchr(merge.data, ' ', merge.bytes);
            assert_non_null(space);
            size_t left = (size_t)(space - merge.data);
            char whole[64];
            assert_true(merge.bytes < sizeof(whole));
            memcpy(whole, merge.data, left);
            memcpy(whole + left, space + 1, merge.bytes - left - 1);
            lp_gguf_string parts[] = {
                {merge.data, left}, {space + 1, merge.bytes - left - 1}, {whole, merge.bytes - 1}};
            for (int part = 0; part < 3; part++)
                assert_non_null(bsearch(&parts[part], tokens, n, sizeof(*tokens), compare));
        }
        free(tokens);
        free(path);
        lp_gguf_destroy(gguf);
        lp_weights_destroy(weights);
    }
}

static int cancel(void *user, uint64_t done, uint64_t total)
{
    (void)user;
    return done >= total / 2;
}

static void refuses_and_cancels(void **state)
{
    (void)state;
    lp_context ctx = {0};
    char *path = lp_path_join(folder, "x.gguf");
    assert_int_equal(lp_synth_write(&ctx, "gpt5", LP_F16, 0, path, NULL, NULL), LP_E_MISSING);
    assert_non_null(strstr(ctx.message, "no shape is called gpt5; there are tiny-gpt2, "));
    assert_non_null(strstr(ctx.message, "mistral-7b"));
    assert_int_equal(lp_synth_write(&ctx, "gpt2", LP_I32, 0, path, NULL, NULL), LP_E_ARG);
    assert_int_equal(lp_synth_write(&ctx, "gpt2", LP_N_DTYPES, 0, path, NULL, NULL), LP_E_ARG);
    assert_int_equal(lp_synth_write(&ctx, "gpt2", LP_F32, 0, folder, NULL, NULL), LP_E_ARG);
    assert_int_equal(lp_synth_write(&ctx, "tiny-llama", LP_F16, 0, path, cancel, NULL),
                     LP_E_CANCELLED);
    assert_int_equal(scratch_count(folder), 0);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_are_sane),
        cmocka_unit_test_setup_teardown(models_are_complete, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(weights_have_the_scale, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(same_seed_same_weights, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(vocabularies_are_consistent, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(refuses_and_cancels, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
