/* Compiles what lapilli would run on an AMD GPU, without one, and tells what the compiler made of
 * it. RADV compiles for the family in RADV_FORCE_FAMILY on any machine; scripts/amd-offline.sh and
 * ctest set that and VK_DRIVER_FILES. Nothing can be run.
 *
 * The pipelines are those of real plans: of every case of the op table, of the fixtures and the
 * story model, and of large models' shapes, for the device's facts. So that the kernels which this
 * device would only take second (no subgroups, no matrix units) are compiled too, everything is
 * planned again for a device that lacks one need, and for one that lacks all.
 *
 *     amd_offline [--pipelines]
 *
 * prints one row per kernel, or one per pipeline, as a Markdown table. It fails if a plan or a
 * pipeline cannot be made, if a register is spilled or memory stands in for registers, or if a
 * kernel that the device can run is not among them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check/op_table.h"
#include "support/paper_model.h"
#include "vulkan/vulkan_backend.h"

typedef struct pipeline {
    lp_dispatch dispatch; /* the first one that wants it */
    char asked_by[96];
    lp_gpu_statistics stats;
} pipeline;

typedef struct survey {
    lp_context ctx;
    lp_caps caps[10]; /* to plan for: the device's own first */
    uint32_t n_caps;
    lp_plan_options second; /* refuses those in `first_choice` */
    pipeline *pipelines;
    uint32_t n, capacity;
    uint32_t n_plans, n_failures;
} survey;

/* Kernels that are in no plan but run alone, by doctor and the tests, in workgroups of 128. */
static const char *const alone[] = {"selftest", "subgroups", "fault"};

/* Plans use it on CPU implementations of Vulkan only. */
static const char not_for_gpus[] = "attention_rows";

/* Needs nothing of a device, so that the one behind it is only taken where it is refused. */
static const char first_choice[] = "conv2d_mm";

static void complain(survey *s, const char *what, const char *why)
{
    fprintf(stderr, "FAILED %s: %s\n", what, why);
    s->n_failures++;
}

/* ---- Collecting ---------------------------------------------------------------------------- */

static bool same(const lp_dispatch *a, const lp_dispatch *b)
{
    return a->kernel == b->kernel && a->n_spec == b->n_spec &&
           memcmp(a->spec, b->spec, a->n_spec * sizeof *a->spec) == 0;
}

static void keep(survey *s, const lp_dispatch *d, const char *who, const char *node)
{
    for (uint32_t i = 0; i < s->n; i++)
        if (same(&s->pipelines[i].dispatch, d))
            return;
    if (s->n == s->capacity) {
        s->capacity = s->capacity ? 2 * s->capacity : 256;
        s->pipelines = realloc(s->pipelines, s->capacity * sizeof *s->pipelines);
        if (s->pipelines == NULL)
            abort();
    }
    pipeline *p = &s->pipelines[s->n++];
    *p = (pipeline){.dispatch = *d};
    if (strcmp(who, node) == 0)
        snprintf(p->asked_by, sizeof p->asked_by, "%s", who);
    else
        snprintf(p->asked_by, sizeof p->asked_by, "%.60s: %.32s", who, node);
}

static void plan_for(survey *s, const lp_graph *graph, const lp_caps *caps, lp_plan_options options,
                     const char *who)
{
    lp_plan *plan = NULL;
    if (lp_plan_create(&s->ctx, graph, caps, options, &plan) != LP_OK) {
        complain(s, who, s->ctx.message);
        return;
    }
    for (uint32_t k = 0; k < plan->n_dispatches; k++)
        keep(s, &plan->dispatches[k], who, graph->nodes[plan->dispatches[k].node].name);
    lp_plan_destroy(plan);
    s->n_plans++;
}

static void plan(survey *s, const lp_graph *graph, const char *who)
{
    for (uint32_t i = 0; i < s->n_caps; i++)
        plan_for(s, graph, &s->caps[i], (lp_plan_options){0}, who);
    plan_for(s, graph, &s->caps[0], s->second, who);
}

/* Every chunk of a prompt and every kind of step that a session makes of a network. */
static void plan_network(survey *s, const lp_network *network, lp_dtype cache, const char *what)
{
    static const int32_t tokens[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 32, 64, 128, 256, 512};
    const uint32_t most = network->hparams.n_context < 8192 ? network->hparams.n_context : 8192;
    const int32_t n_ctx = (int32_t)most;
    lp_store store = {0};
    for (size_t t = 0; t < sizeof tokens / sizeof *tokens && tokens[t] <= n_ctx; t++)
        for (int end = 2; end >= 0; end--) /* with the head first: it must be in the store */
            for (int whole = 0; whole < 2; whole++) {
                lp_graph *graph = NULL;
                char who[64];
                lp_network_options options = {.n_tokens = tokens[t],
                                              .n_ctx = n_ctx,
                                              .kv_max = whole || n_ctx < 512 ? n_ctx : 512,
                                              .kv_dtype = cache,
                                              .outputs =
                                                  end == 1 ? LP_OUTPUTS_LAST : LP_OUTPUTS_NONE,
                                              .sample = end == 2};
                snprintf(who, sizeof who, "%s, %d tokens", what, tokens[t]);
                if (lp_network_graph(&s->ctx, network, &store, &options, &graph) != LP_OK)
                    complain(s, who, s->ctx.message);
                else
                    plan(s, graph, who);
                lp_graph_destroy(graph);
            }
    lp_store_destroy(&store);
}

static void plan_models(survey *s)
{
    static const char *const files[] = {LAPILLI_TEST_FIXTURES "/models/gpt2.gguf",
                                        LAPILLI_TEST_FIXTURES "/models/llama2.gguf",
                                        LAPILLI_TEST_FIXTURES "/models/gpt2-f16",
                                        LAPILLI_TEST_FIXTURES "/models/llama3",
                                        LAPILLI_TEST_FIXTURES "/models/mistral",
                                        LAPILLI_TEST_FIXTURES "/models/llama-q4_0.gguf",
                                        LAPILLI_TEST_FIXTURES "/models/llama-q8_0.gguf",
                                        LAPILLI_MODELS_DIR "/story/story.gguf"};
    static const char *const shapes[] = {"gpt2", "gpt2-xl", "tinyllama-1.1b", "llama3-8b"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        lp_network *network = NULL;
        if (lp_network_open(&s->ctx, files[i], &network) != LP_OK)
            complain(s, files[i], s->ctx.message);
        else
            plan_network(s, network, LP_F16, strrchr(files[i], '/') + 1);
        lp_network_destroy(network);
    }
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (lp_dtype type = 0; type < LP_N_DTYPES; type++) {
            if (lp_dtype_table[type].kernel == NULL || lp_dtype_table[type].to_f32 == NULL ||
                !paper_model_possible(shapes[i], type))
                continue;
            lp_network *network = NULL;
            char what[48];
            snprintf(what, sizeof what, "%s %s", shapes[i], lp_dtype_table[type].name);
            if (paper_model_create(&s->ctx, shapes[i], type, 2, &network) != LP_OK)
                complain(s, what, s->ctx.message);
            else
                plan_network(s, network, type == LP_F32 ? LP_F32 : LP_F16, what);
            lp_network_destroy(network);
        }
}

static void plan_op_table(survey *s)
{
    lp_case_table *table = NULL;
    if (lp_case_table_create(&s->ctx, &table) != LP_OK)
        complain(s, "the op table", s->ctx.message);
    for (int i = 0; table != NULL && i < table->n; i++)
        plan(s, table->cases[i].graph, table->cases[i].name);
    if (table != NULL && table->n == 0)
        complain(s, "the op table", "has no cases");
    lp_case_table_destroy(table);
}

static void plan_alone(survey *s)
{
    for (unsigned i = 0; i < lp_n_kernels; i++)
        for (size_t k = 0; k < sizeof alone / sizeof *alone; k++) {
            const lp_kernel *kernel = &lp_kernels[i];
            const lp_dispatch d = {.kernel = kernel, .spec = {128}, .n_spec = 1};
            if ((kernel->needs & ~s->caps[0].has) == 0 && strcmp(kernel->family, alone[k]) == 0)
                keep(s, &d, "run alone", "run alone");
        }
}

/* The device as it is, without one of the needs that kernels have, and without any. */
static void vary_caps(survey *s, const lp_caps *caps)
{
    uint32_t needs = 0;
    for (unsigned i = 0; i < lp_n_kernels; i++) {
        needs |= lp_kernels[i].needs;
        if (strcmp(lp_kernels[i].family, first_choice) == 0)
            lp_kernel_set_add(&s->second.refused, &lp_kernels[i]);
    }
    needs &= caps->has;
    s->caps[s->n_caps++] = *caps;
    for (uint32_t bit = 1; bit <= LP_NEED_COOPMAT2; bit <<= 1)
        if (needs & bit) {
            s->caps[s->n_caps] = *caps;
            s->caps[s->n_caps++].has &= ~bit;
        }
    s->caps[s->n_caps] = *caps;
    s->caps[s->n_caps++].has = 0;
}

/* ---- Compiling ----------------------------------------------------------------------------- */

static int by_kernel(const void *a, const void *b)
{
    const lp_dispatch *x = &((const pipeline *)a)->dispatch, *y = &((const pipeline *)b)->dispatch;
    if (x->kernel != y->kernel)
        return x->kernel < y->kernel ? -1 : 1;
    for (uint32_t i = 0; i < LP_MAX_SPEC; i++)
        if (x->spec[i] != y->spec[i])
            return x->spec[i] < y->spec[i] ? -1 : 1;
    return 0;
}

/* "linear_mm_q8_0 {128, 64, 64}" */
static const char *name_of(const lp_dispatch *d, char text[160])
{
    size_t n = (size_t)snprintf(text, 160, "%.60s {", d->kernel->name);
    for (uint32_t i = 0; i < d->n_spec && n < 160; i++)
        n += (size_t)snprintf(text + n, 160 - n, i ? ", %u" : "%u", d->spec[i]);
    if (n < 160)
        snprintf(text + n, 160 - n, "}");
    return text;
}

static void compile(survey *s, lp_gpu_compiler *compiler)
{
    for (uint32_t i = 0; i < s->n; i++) {
        pipeline *p = &s->pipelines[i];
        char name[160], why[320];
        name_of(&p->dispatch, name);
        if (lp_gpu_compile(compiler, &p->dispatch, &p->stats) != LP_OK) {
            snprintf(why, sizeof why, "%.200s (%s)", s->ctx.message, p->asked_by);
            complain(s, name, why);
            p->stats.n = 0;
            continue;
        }
        const double vgprs = lp_gpu_statistic_find(&p->stats, "Spilled VGPRs");
        const double sgprs = lp_gpu_statistic_find(&p->stats, "Spilled SGPRs");
        const double scratch = lp_gpu_statistic_find(&p->stats, "Scratch size");
        if (vgprs == 0 && sgprs == 0 && scratch == 0)
            continue;
        snprintf(why, sizeof why, "%g VGPRs and %g SGPRs spilled, %g bytes of scratch (%s)", vgprs,
                 sgprs, scratch, p->asked_by);
        complain(s, name, why);
    }
}

/* Does every kernel that the device can run occur? */
static void check_complete(survey *s)
{
    for (unsigned i = 0; i < lp_n_kernels; i++) {
        const lp_kernel *k = &lp_kernels[i];
        bool found = (k->needs & ~s->caps[0].has) != 0 || strcmp(k->family, not_for_gpus) == 0;
        for (uint32_t p = 0; p < s->n && !found; p++)
            found = s->pipelines[p].dispatch.kernel == k;
        if (!found)
            complain(s, k->name, "no plan uses it");
    }
}

/* ---- Printing ------------------------------------------------------------------------------ */

/* RADV's names; the sum of both. */
static const struct {
    const char *title, *statistic[2];
    double unit;
    int width;
} columns[] = {
    {"VGPRs", {"VGPRs", NULL}, 1, 7},
    {"SGPRs", {"SGPRs", NULL}, 1, 6},
    {"spilled", {"Spilled VGPRs", "Spilled SGPRs"}, 1, 7},
    {"scratch", {"Scratch size", NULL}, 1, 7},
    {"LDS KiB", {"LDS size", NULL}, 1024, 9},
    {"code KiB", {"Code size", NULL}, 1024, 9},
    {"waves", {"Subgroups per SIMD", NULL}, 1, 5},
    {"latency", {"Latency", NULL}, 1, 13},
};
enum { N_COLUMNS = sizeof columns / sizeof *columns, COLUMN_WAVES = 6 };

static double value(const survey *s, const pipeline *p, int column)
{
    double sum = 0;
    for (int i = 0; i < 2 && columns[column].statistic[i] != NULL; i++)
        sum += lp_gpu_statistic_find(&p->stats, columns[column].statistic[i]);
    /* RADV counts places for the smallest subgroups, and larger ones take several. */
    if (column == COLUMN_WAVES)
        sum *= (double)s->caps[0].subgroup_min / p->stats.subgroup_size;
    return sum / columns[column].unit;
}

/* Of pipelines first … first + n - 1: "24" or "24-96", or "?" if one is not known. */
static void print_range(const survey *s, uint32_t first, uint32_t n, int column)
{
    const int digits = columns[column].unit == 1 ? 0 : 1;
    double least = INFINITY, most = -INFINITY;
    bool known = true;
    for (uint32_t i = first; i < first + n; i++) {
        const double x = value(s, &s->pipelines[i], column);
        known = known && !isnan(x);
        least = x < least ? x : least;
        most = x > most ? x : most;
    }
    char a[32], b[32], range[72] = "?";
    snprintf(a, sizeof a, "%.*f", least > 0 ? digits : 0, least);
    snprintf(b, sizeof b, "%.*f", most > 0 ? digits : 0, most);
    if (known)
        snprintf(range, sizeof range, strcmp(a, b) == 0 ? "%s" : "%s-%s", a, b);
    printf(" %*s |", columns[column].width, range);
}

static void print_row(const survey *s, uint32_t first, uint32_t n, bool each)
{
    const lp_dispatch *d = &s->pipelines[first].dispatch;
    char name[160];
    if (each)
        printf("| %-58s |", name_of(d, name));
    else
        printf("| %-22s | %9u |", d->kernel->name, n);
    for (int c = 0; c < N_COLUMNS; c++)
        print_range(s, first, n, c);
    printf("\n");
}

static void print_table(const survey *s, bool each)
{
    if (each)
        printf("| %-58s |", "pipeline");
    else
        printf("| %-22s | %9s |", "kernel", "pipelines");
    for (int c = 0; c < N_COLUMNS; c++)
        printf(" %*s |", columns[c].width, columns[c].title);
    printf(each ? "\n|:---|" : "\n|:---|---:|");
    for (int c = 0; c < N_COLUMNS; c++)
        printf("---:|");
    printf("\n");
    for (uint32_t i = 0, n; i < s->n; i += n) {
        for (n = 1; !each && i + n < s->n; n++)
            if (s->pipelines[i + n].dispatch.kernel != s->pipelines[i].dispatch.kernel)
                break;
        print_row(s, i, n, each);
    }
}

static void print_facts(const survey *s, const lp_gpu *gpu)
{
    const lp_caps *caps = &s->caps[0];
    printf("Compiled by %s; subgroups of %u", gpu->driver, caps->subgroup_size);
    if (caps->subgroup_min != caps->subgroup_max)
        printf(" (possible: %u to %u)", caps->subgroup_min, caps->subgroup_max);
    printf(", fp16 %s, integer dot products %s, matrix units %s.\n", gpu->fp16 ? "yes" : "no",
           gpu->int_dot ? "yes" : "no", gpu->coopmat ? "yes" : "no");
    bool any = false;
    for (unsigned i = 0; i < lp_n_kernels; i++)
        if ((lp_kernels[i].needs & ~caps->has) != 0) {
            printf("%s %s", any ? "," : "\nNot for this device, which lacks what they need:",
                   lp_kernels[i].name);
            any = true;
        }
    printf(any ? ".\n\n" : "\n");
}

static double seconds(void)
{
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void log_line(void *user, lp_log_level level, const char *line)
{
    (void)user;
    (void)level;
    fprintf(stderr, "%s\n", line);
}

int main(int argc, char **argv)
{
    static survey s;
    bool each = argc == 2 && strcmp(argv[1], "--pipelines") == 0;
    if (argc > 1 && !each) {
        fprintf(stderr, "usage: amd_offline [--pipelines]\n");
        return 2;
    }
    s.ctx = (lp_context){.log = log_line, .level = LP_LOG_WARN};
    lp_vulkan *vulkan = NULL;
    lp_gpu_compiler *compiler = NULL;
    if (lp_vulkan_create(&s.ctx, false, &vulkan) != LP_OK ||
        lp_gpu_compiler_create(&s.ctx, vulkan, 0, &compiler) != LP_OK) {
        complain(&s, "the device", s.ctx.message);
        lp_vulkan_destroy(vulkan);
        return 1;
    }
    const double start = seconds();
    vary_caps(&s, &lp_vulkan_gpu(vulkan, 0)->caps);
    plan_models(&s);
    plan_op_table(&s);
    plan_alone(&s);
    check_complete(&s);
    qsort(s.pipelines, s.n, sizeof *s.pipelines, by_kernel);
    const double planned = seconds();
    compile(&s, compiler);
    print_facts(&s, lp_vulkan_gpu(vulkan, 0));
    print_table(&s, each);
    fprintf(stderr, "%u plans, %u pipelines, %u failures (%.1f s planning, %.1f s compiling)\n",
            s.n_plans, s.n, s.n_failures, planned - start, seconds() - planned);
    lp_gpu_compiler_destroy(compiler);
    lp_vulkan_destroy(vulkan);
    free(s.pipelines);
    return s.n_failures > 0;
}
