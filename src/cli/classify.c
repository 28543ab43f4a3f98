/* lapilli classify: what is in a picture: a model's own labels, or whichever texts are given. */
#include <stdlib.h>
#include <string.h>

#include "job.h"
#include "texts.h"

enum { USUAL_GUESSES = 5, MOST_GUESSES = 100000 };

typedef struct settings {
    cli_job job;
    uint32_t k;
    bool json;
    const char *list; /* of --labels */

    char *copy; /* of it, cut into labels */
    const char **labels;
    uint32_t n_labels; /* 0: the model's own */
    lp_guess *guesses; /* [k] */
} settings;

static const char *label_of(const settings *s, const lp_guess *guess)
{
    return s->n_labels > 0 ? s->labels[guess->token]
                           : lp_model_label(s->job.model, (uint32_t)guess->token);
}

/* ---- Output -------------------------------------------------------------------------------- */

static void print_people(const settings *s)
{
    for (uint32_t i = 0; i < s->k; i++) {
        const char *label = label_of(s, &s->guesses[i]);
        printf("  %.4f  ", (double)s->guesses[i].probability);
        cli_print_text(label, strlen(label), 100);
        fputc('\n', stdout);
    }
}

static void add_json(const settings *s, const char *path, yyjson_mut_doc *doc, yyjson_mut_val *list)
{
    yyjson_mut_val *entry = yyjson_mut_arr_add_obj(doc, list);
    cli_json_text(doc, entry, "picture", path);
    yyjson_mut_val *labels = yyjson_mut_obj_add_arr(doc, entry, "labels");
    for (uint32_t i = 0; i < s->k; i++) {
        yyjson_mut_val *one = yyjson_mut_arr_add_obj(doc, labels);
        yyjson_mut_obj_add_int(doc, one, "index", s->guesses[i].token);
        cli_json_text(doc, one, "label", label_of(s, &s->guesses[i]));
        yyjson_mut_obj_add_real(doc, one, "probability", (double)s->guesses[i].probability);
    }
}

/* ---- Work ---------------------------------------------------------------------------------- */

static int classify_one(settings *s, const char *path)
{
    lp_image *image = NULL;
    lp_status status = lp_image_open(s->job.ctx, path, &image);
    if (status == LP_OK && s->n_labels > 0)
        status = lp_session_match(s->job.session, image, s->labels, s->n_labels, s->k, s->guesses);
    else if (status == LP_OK)
        status = lp_session_classify(s->job.session, image, s->k, s->guesses);
    lp_image_destroy(image);
    return status == LP_OK ? CLI_OK : cli_failed(s->job.ctx, status);
}

static int classify_all(settings *s, char *const *paths, int n)
{
    yyjson_mut_doc *doc = s->json ? yyjson_mut_doc_new(NULL) : NULL;
    yyjson_mut_val *root = yyjson_mut_obj(doc), *list = NULL;
    int code = CLI_OK;
    if (doc) {
        yyjson_mut_doc_set_root(doc, root);
        cli_json_text(doc, root, "model", lp_model_title(s->job.model));
        list = yyjson_mut_obj_add_arr(doc, root, "pictures");
    }
    for (int i = 0; i < n && code == CLI_OK && !cli_stop_signal(); i++) {
        code = classify_one(s, paths[i]);
        if (code == CLI_OK && s->json) {
            add_json(s, paths[i], doc, list);
        } else if (code == CLI_OK) {
            if (n > 1)
                printf("%s%s\n", i > 0 ? "\n" : "", paths[i]);
            print_people(s);
        }
    }
    if (code == CLI_OK && s->json)
        return cli_json_print(doc);
    yyjson_mut_doc_free(doc);
    return code;
}

/* Whether the model can do it, and how many guesses there are. */
static int check_model(settings *s)
{
    const lp_model *model = s->job.model;
    const bool reads_both = lp_model_reads_pictures(model) && lp_model_reads_texts(model);
    const uint32_t n = s->n_labels > 0 ? s->n_labels : lp_model_n_labels(model);
    const char *name = lp_model_architecture(model);
    if (!lp_model_reads_pictures(model))
        cli_error("%s: %s models read no pictures", s->job.path, name);
    else if (s->n_labels > 0 && !reads_both)
        cli_error("%s: %s models read no texts: --labels is for CLIP's", s->job.path, name);
    else if (n == 0 && reads_both)
        cli_error("%s: %s models have no labels of their own: say some with --labels", s->job.path,
                  name);
    else if (n == 0)
        cli_error("%s: this %s model has no labels", s->job.path, name);
    else {
        s->k = s->k < n ? s->k : n;
        s->guesses = calloc(s->k, sizeof(*s->guesses));
        if (s->guesses)
            return CLI_OK;
        cli_error("out of memory");
    }
    return CLI_FAILED;
}

static int run_model(settings *s, char *const *paths, int n)
{
    int code = cli_job_open(&s->job);
    if (code == CLI_OK)
        code = check_model(s);
    if (code == CLI_OK && !s->job.quiet)
        cli_job_print(&s->job);
    if (code == CLI_OK)
        code = cli_job_session(&s->job);
    if (code == CLI_OK)
        code = classify_all(s, paths, n);
    cli_job_close(&s->job);
    return code;
}

/* ---- Command line -------------------------------------------------------------------------- */

enum { LABELS = CLI_LONG_ONLY };

static const struct option long_options[] = {
    CLI_JOB_OPTIONS,
    {"top-k", required_argument, NULL, 'k'},
    {"labels", required_argument, NULL, LABELS},
    {"json", no_argument, NULL, 'j'},
    {"quiet", no_argument, NULL, 'q'},
    {0},
};

/* Texts between commas, without spaces around them; the exit code, with a message. */
static int cut_labels(settings *s)
{
    const size_t bytes = strlen(s->list);
    s->copy = malloc(bytes + 1);
    s->labels = calloc(bytes / 2 + 1, sizeof(*s->labels));
    if (!s->copy || !s->labels) {
        cli_error("out of memory");
        return CLI_FAILED;
    }
    memcpy(s->copy, s->list, bytes + 1);
    for (char *at = s->copy, *next; at; at = next) {
        next = strchr(at, ',');
        char *end = next ? next : at + strlen(at);
        if (next)
            *next++ = '\0';
        at += strspn(at, " ");
        while (end > at && end[-1] == ' ')
            *--end = '\0';
        if (!*at)
            return cli_usage_error(&cli_classify, "--labels \"%s\" has an empty label", s->list);
        s->labels[s->n_labels++] = at;
    }
    return CLI_OK;
}

/* One option; false with a message. */
static bool set_option(settings *s, int id)
{
    uint64_t number;
    int code;
    if (cli_job_option(&cli_classify, &s->job, id, &code))
        return code == CLI_OK;
    switch (id) {
    case 'k':
        if (!cli_parse_u64(&cli_classify, "-k", optarg, 1, MOST_GUESSES, &number))
            return false;
        s->k = (uint32_t)number;
        return true;
    case LABELS:
        s->list = optarg;
        return true;
    default: /* 'j': getopt returns nothing else */
        return s->json = true;
    }
}

static int run(int argc, char **argv)
{
    cli_options options = {&cli_classify, "m:k:d:jqv", long_options, argc, argv, 0};
    settings s = {.job.options = LP_SESSION_DEFAULT, .k = USUAL_GUESSES};
    for (int id; (id = cli_next(&options)) != CLI_NO_MORE;) {
        if (id == CLI_END_NOW)
            return options.exit_code;
        if (!set_option(&s, id))
            return CLI_USAGE;
    }
    if (!s.job.path)
        return cli_usage_error(&cli_classify,
                               "-m MODEL is missing: the model that ships reads no pictures");
    if (optind == argc)
        return cli_usage_error(&cli_classify, "there is no picture");
    int code = s.list ? cut_labels(&s) : CLI_OK;
    if (code == CLI_OK && !cli_stop_signal())
        code = run_model(&s, argv + optind, argc - optind);
    free(s.copy);
    free(s.labels);
    free(s.guesses);
    return code;
}

const cli_command cli_classify = {
    .name = "classify",
    .summary = "tell what is in pictures",
    .usage = "[OPTION]... -m MODEL PICTURE...",
    .help =
        "Tells a model's likeliest labels for each picture (PNG, JPEG, BMP or PNM), with their\n"
        "probabilities. With a CLIP model the labels are any texts, by --labels: \"a photo of a\n"
        "cat\" does better than \"cat\".\n"
        "\n"
        "  -m, --model=DIR       Hugging Face folder of a ViT or DeiT with its head, or of a "
        "CLIP,\n"
        "                        with preprocessor_config.json\n"
        "      --labels=A,B,...  texts of which one goes with the picture (CLIP)\n"
        "  -k, --top-k=N         labels for each picture (default 5)\n" CLI_ADAPTER_HELP
            CLI_DEVICE_HELP CLI_WORKAROUND_HELP CLI_NO_INT8_HELP
        "  -j, --json            for programs\n"
        "  -q, --quiet           nothing but the result and errors\n" CLI_VERBOSE_HELP,
    .run = run,
};
