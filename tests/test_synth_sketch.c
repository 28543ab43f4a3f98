/* Tensors made up from a config.json are those that the transformers library saved: same names but
 * for prefixes, same shapes, for each of the fixtures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "models/synth_sketch.h"
#include "support/model_files.h"
#include "support/model_fixtures.h"
#include "tensor/weights_folder.h"

/* Buffers, copies of the token embedding, the pooler beside a head for masked tokens, and the head
 * that T5 1.1 has and its fixture lacks. */
static bool is_nothing(const char *name)
{
    static const char *const ends[] = {
        "attn.bias",   "attention.bias", "masked_bias",         "inv_freq",
        "causal_mask", "lm_head.weight", "pooler.dense.weight", "pooler.dense.bias"};
    const size_t n = strlen(name);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (n >= strlen(ends[i]) && strcmp(name + n - strlen(ends[i]), ends[i]) == 0)
            return true;
    return false;
}

/* Without what the row takes off names. */
static const char *bare(const lp_arch *arch, const char *name)
{
    for (const char *list = arch->hf_prefixes; list && *list;) {
        const size_t n = strcspn(list, " ");
        if (strncmp(name, list, n) == 0)
            name += n;
        list += n + strspn(list + n, " ");
    }
    return name;
}

/* BERT's first files call gains and biases of norms otherwise. */
static bool is_same(const char *in_file, const char *made)
{
    char name[256];
    const char *gamma = strstr(in_file, ".gamma"), *beta = strstr(in_file, ".beta");
    const char *old = gamma ? gamma : beta;
    if (!old)
        return strcmp(in_file, made) == 0;
    snprintf(name, sizeof name, "%.*s%s", (int)(old - in_file), in_file,
             gamma ? ".weight" : ".bias");
    return strcmp(name, made) == 0;
}

static const lp_weight *find(const lp_arch *arch, lp_weights *weights, const char *name)
{
    for (size_t i = 0; i < lp_weights_count(weights); i++)
        if (is_same(bare(arch, lp_weights_at(weights, i)->name), bare(arch, name)))
            return lp_weights_at(weights, i);
    return NULL;
}

static bool is_there(const lp_sketch *sketch, const char *name)
{
    for (size_t i = 0; i < sketch->n; i++)
        if (is_same(bare(sketch->hparams.arch, name),
                    bare(sketch->hparams.arch, sketch->tensors[i].name)))
            return true;
    return false;
}

/* Returns how many differ. */
static unsigned compare(const char *folder)
{
    lp_context ctx = {0};
    lp_sketch *sketch;
    char *config = test_path(folder, "config.json"), a[96], b[96];
    unsigned n_bad = 0;
    lp_weights *weights = lp_weights_create();
    assert_int_equal(lp_weights_open_folder(&ctx, folder, weights), LP_OK);
    if (lp_sketch_open(&ctx, config, &sketch) != LP_OK) {
        print_error("%s: %s\n", folder, ctx.message);
        lp_weights_destroy(weights);
        free(config);
        return 1;
    }
    const lp_arch *arch = sketch->hparams.arch;
    for (size_t i = 0; i < sketch->n; i++) {
        const lp_sketch_tensor *t = &sketch->tensors[i];
        const lp_weight *w = find(arch, weights, t->name);
        if ((w && lp_shape_equal(w->shape, t->shape)) || is_nothing(t->name))
            continue;
        n_bad++;
        print_error("%s: %s %s; the folder has %s\n", folder, t->name, lp_shape_print(t->shape, a),
                    w ? lp_shape_print(w->shape, b) : "none");
    }
    for (size_t i = 0; i < lp_weights_count(weights); i++) {
        const char *name = lp_weights_at(weights, i)->name;
        if (is_there(sketch, name) || is_nothing(name) ||
            (arch->hf_ignored && strstr(arch->hf_ignored, name)))
            continue;
        n_bad++;
        print_error("%s: %s is not made\n", folder, name);
    }
    lp_sketch_destroy(sketch);
    lp_weights_destroy(weights);
    free(config);
    return n_bad;
}

static void all_fixtures(void **state)
{
    (void)state;
    unsigned n_bad = 0;
    for (size_t i = 0; i < n_model_fixtures; i++)
        if (!strstr(model_fixtures[i].folder, "mxfp4"))
            n_bad += compare(model_fixtures[i].folder);
    for (size_t i = 0; i < n_seq2seq_fixtures; i++)
        n_bad += compare(seq2seq_fixtures[i].folder);
    for (size_t i = 0; i < n_picture_fixtures; i++)
        if (strstr(picture_fixtures[i].folder, "encoder")) /* those of pictures are not made */
            n_bad += compare(picture_fixtures[i].folder);
    assert_int_equal(n_bad, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_fixtures)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
