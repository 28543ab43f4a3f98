/* See report_sample.h. The numbers are random, but of the sizes that devices show: isolated errors
 * of some sigma, drift that grows by the square root of the depth. */
#include "support/report_sample.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

typedef struct sample {
    lp_arena *arena;
    sample_spec spec;
    uint64_t random;
} sample;

static double uniform(sample *s) /* in (0, 1) */
{
    s->random = s->random * 6364136223846793005u + 1442695040888963407u;
    return ((double)(s->random >> 40) + 0.5) / (1 << 24);
}

static double normal(sample *s)
{
    return sqrt(-2 * log(uniform(s))) * cos(6.283185307 * uniform(s));
}

static const char *text(const sample *s, const char *plausible)
{
    return s->spec.text ? s->spec.text : plausible;
}

static lp_difference difference(sample *s, const lp_check_node *node, double size, int bad)
{
    lp_difference d = {.n = 1};
    for (int i = 0; i < node->n_dims; i++)
        d.n *= (uint64_t)node->dims[i];
    double factor = bad ? 3e4 * uniform(s) : 1;
    d.sigma = 1e-7 * (0.5 + uniform(s));
    d.mean_square = size * size * (0.6 + 0.4 * uniform(s)) * factor * factor / 300;
    d.largest = size * (3 + uniform(s)) * factor;
    d.nmse = 1e-14 * d.mean_square * 3;
    d.max_abs = d.largest * d.sigma * 1.2;
    d.max_ulp = floor(d.largest * 2);
    d.cosine = 1 - d.nmse / 2;
    d.worst = (uint64_t)(uniform(s) * (double)d.n);
    d.expected = (float)normal(s);
    d.got = (float)(d.expected + d.largest * d.sigma);
    return d;
}

static lp_check_map *map(sample *s, const lp_check_node *node, int bad)
{
    lp_check_map *m = lp_arena_alloc(s->arena, sizeof(*m));
    assert_non_null(m);
    m->tensor_rows = (uint64_t)node->dims[0];
    m->tensor_columns = (uint64_t)node->dims[1];
    m->rows = m->tensor_rows < s->spec.map ? (uint32_t)m->tensor_rows : s->spec.map;
    m->columns = m->tensor_columns < s->spec.map ? (uint32_t)m->tensor_columns : s->spec.map;
    size_t n = (size_t)m->rows * m->columns;
    m->expected = lp_arena_array(s->arena, n, sizeof(float));
    m->got = lp_arena_array(s->arena, n, sizeof(float));
    m->error = lp_arena_array(s->arena, n, sizeof(float));
    for (size_t i = 0; i < n; i++) {
        size_t row = i / m->columns, column = i % m->columns;
        m->expected[i] = (float)(normal(s) * (0.5 + 0.5 * sin((double)column / 5)));
        m->error[i] = (float)fabs(normal(s));
        if (bad && row >= 8 && column % 4 == 3)
            m->error[i] = (float)(1e5 * uniform(s));
        if (bad && row == m->rows - 1 && column >= m->columns - 2)
            m->error[i] = column % 2 ? INFINITY : NAN;
        m->got[i] = m->expected[i] + 1e-6f * m->error[i];
    }
    return m;
}

static void fill_node(sample *s, lp_check_node *node, int layer, int kind, lp_check_pass *pass)
{
    static const struct {
        const char *name, *op, *kernels;
        int width, n_inputs;
    } kinds[] = {{"attn_norm", "norm", "norm_rms", 4096, 0},
                 {"attn_q", "linear", "linear_tile_f16", 4096, 4096},
                 {"attn_k", "linear", "linear_tile_f16", 1024, 4096},
                 {"attn_v", "linear", "linear_tile_f16", 1024, 4096},
                 {"attn", "attention", "attention_decode_f16 + attention_merge", 4096, 17},
                 {"attn_output", "linear", "linear_tile_f16", 4096, 4096},
                 {"ffn_norm", "norm", "norm_rms_add", 4096, 0},
                 {"ffn_gate_up", "linear", "linear_tile_f16_gated", 14336, 4096},
                 {"ffn_down", "linear", "linear_tile_f16", 4096, 14336}};
    int bad = s->spec.bad && layer >= s->spec.n_layers / 3 && kind == 7 && pass->n_tokens > 8;
    double depth = sqrt((double)(layer * 9 + kind + 1));
    node->name = text(s, lp_arena_printf(s->arena, "blk.%d.%s", layer, kinds[kind].name));
    node->op = text(s, kinds[kind].op);
    node->type = text(s, kinds[kind].n_inputs ? "F16" : "");
    node->kernels = text(s, kinds[kind].kernels);
    node->n_dims = 2;
    node->dims[0] = pass->n_tokens;
    node->dims[1] = kinds[kind].width;
    node->n_inputs = kinds[kind].n_inputs;
    node->isolated = difference(s, node, 1, bad);
    node->drift = difference(s, node, depth, 0);
    if (s->spec.bad && layer >= s->spec.n_layers / 3 && pass->n_tokens > 8)
        node->drift = difference(s, node, depth * 300, 0);
    node->finding = bad ? LP_FINDING_WRONG : LP_FINDING_NONE;
    node->detail = text(s, bad ? "the largest error is beyond what rounding explains" : "");
    node->digest = text(s, "");
    if (kind == 8 && layer == 2) /* numbers that JSON has not */
        node->isolated.max_ulp = INFINITY;
    if ((bad && layer < s->spec.n_layers / 3 + 4) || (layer == 3 && kind == 5))
        node->map = map(s, node, bad);
}

static void fill_pass(sample *s, lp_check_pass *pass, int index)
{
    static const uint32_t n_tokens[] = {17, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 64};
    pass->n_tokens = n_tokens[index % 12];
    pass->name = text(s, index == 0  ? "prompt"
                         : index < 3 ? "decode"
                                     : lp_arena_printf(s->arena, "%u tokens", pass->n_tokens));
    pass->position = index == 0 ? 0 : 16 + (uint32_t)index;
    pass->n_nodes = (size_t)s->spec.n_layers * 9;
    pass->nodes = lp_arena_array(s->arena, pass->n_nodes, sizeof(*pass->nodes));
    assert_non_null(pass->nodes);
    for (size_t i = 0; i < pass->n_nodes; i++) {
        fill_node(s, &pass->nodes[i], (int)(i / 9), (int)(i % 9), pass);
        if (pass->nodes[i].isolated.largest > pass->nodes[pass->worst].isolated.largest)
            pass->worst = i;
    }
    lp_check_node logits = {.n_dims = 2, .dims = {1, 32000}};
    int bad = s->spec.bad && pass->n_tokens > 8;
    pass->logits = difference(s, &logits, bad ? 3000 : 17, 0);
    pass->kl = bad ? 0.0123 : 1.3e-11;
    pass->top1_same = !bad;
    pass->top5_common = bad ? 3 : 5;
    pass->digest = text(s, "");
    pass->choices = text(s, "");
}

static void fill_verdict(sample *s, lp_report *r)
{
    static const lp_fact facts[] = {{"type", "discrete", 0},
                                    {"subgroup size", "32 (32-64)", 0},
                                    {"fp16", "yes", 0},
                                    {"shared memory", "64 KiB", 0},
                                    {"memory", "15.9 GiB", 0},
                                    {"API", "1.4.305", 0},
                                    {"matrix cores", "KHR", 0},
                                    {"int dot", "yes", 0},
                                    {"driver build", "26001006", 1},
                                    {"max allocation", "4.0 GiB", 0}};
    r->n_facts = sizeof(facts) / sizeof(*facts);
    r->facts = lp_arena_array(s->arena, r->n_facts, sizeof(*r->facts));
    for (size_t i = 0; i < r->n_facts; i++) {
        r->facts[i] = facts[i];
        if (s->spec.text)
            r->facts[i] = (lp_fact){s->spec.text, s->spec.text, i % 2 == 0};
    }
    r->bad_pass = r->n_passes;
    for (size_t i = r->n_passes; i-- > 0;)
        for (size_t j = r->passes[i].n_nodes; j-- > 0;)
            if (r->passes[i].nodes[j].finding) {
                r->bad_pass = i;
                r->bad_node = j;
            }
    r->agrees = r->bad_pass == r->n_passes;
    if (r->agrees) {
        r->sentence = text(s, "Example GPU XT (EXDV NAVI99), EXDV 26.1.6 build 26001006, agrees "
                              "with the CPU reference on llama 8B F16 within 4.0 sigma on 12 "
                              "passes of 1 to 64 tokens (3,456 nodes)");
        return;
    }
    r->sentence =
        text(s, "Example GPU XT (EXDV NAVI99), EXDV 26.1.6 build 26001006, llama 8B F16: first bad "
                "node blk.10.ffn_gate_up (layer 10, linear F16, kernel linear_tile_f16_gated, "
                "shape [17, 14336]): element [8, 3] is 0.8125, expected 0.2513, 26,120 sigma away");
    static const lp_check_trial trials[] = {
        {"the same plan again", LP_TRIAL_WRONG, "the same elements"},
        {"full barriers", LP_TRIAL_WRONG, ""},
        {"without fusion", LP_TRIAL_WRONG, "linear_tile_f16 alone"},
        {"without matrix cores", LP_TRIAL_NOTHING, "this kernel uses none"},
        {"without subgroup kernels", LP_TRIAL_RIGHT, "linear_f16, 3.4 sigma"},
        {"at most 8 tokens at once", LP_TRIAL_RIGHT, "1 to 8 tokens agree"}};
    r->n_trials = sizeof(trials) / sizeof(*trials);
    r->trials = lp_arena_array(s->arena, r->n_trials, sizeof(*r->trials));
    for (size_t i = 0; i < r->n_trials; i++)
        r->trials[i] = (lp_check_trial){text(s, trials[i].change), trials[i].outcome,
                                        text(s, trials[i].detail)};
    r->workaround = text(s, "{\"device\": \"Example GPU XT\", \"driver\": \"EXDV 26.1.6\", "
                            "\"disable\": [\"linear_tile_f16_gated\"]}");
}

const lp_report *report_sample(lp_arena *arena, sample_spec spec)
{
    static int32_t tokens[] = {1, 9038, 2501, 263, 931, 727, 471, 263, 2217, 7826};
    sample s = {arena, spec, 1};
    lp_report *r = lp_arena_alloc(arena, sizeof(*r));
    assert_non_null(r);
    *r = (lp_report){.version = text(&s, "0.1.0"),
                     .device = text(&s, "Example GPU XT (EXDV NAVI99)"),
                     .driver = text(&s, "EXDV 26.1.6 build 26001006"),
                     .against = text(&s, "CPU reference"),
                     .against_driver = text(&s, ""),
                     .model = text(&s, "llama 8B F16"),
                     .path = text(&s, "/models/llama-8b-f16.gguf"),
                     .command = text(&s, "lapilli check -m /models/llama-8b-f16.gguf --device "
                                         "vulkan:0 --against reference -p 'Once upon a time'"),
                     .n_tokens = sizeof(tokens) / sizeof(*tokens),
                     .tokens = tokens,
                     .n_passes = (size_t)spec.n_passes,
                     .seconds = 47.113};
    r->passes = lp_arena_array(arena, r->n_passes, sizeof(*r->passes));
    for (int i = 0; i < spec.n_passes; i++)
        fill_pass(&s, &r->passes[i], i);
    fill_verdict(&s, r);
    return r;
}
