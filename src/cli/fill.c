/* lapilli fill: what may stand where a text has its model's mask token. */
#include <stdlib.h>
#include <string.h>

#include "texts.h"

enum { USUAL_GUESSES = 5, MOST_GUESSES = 1000 };

typedef struct settings {
    cli_job job;
    const char *file;
    uint32_t k;
    bool json;

    cli_texts texts;
    uint32_t *places; /* of the masks of one text */
    size_t n_places;
    lp_guess *guesses; /* [n_places, k] */
} settings;

/* ---- Output -------------------------------------------------------------------------------- */

/* *spelled as in the vocabulary, *text as within a text; the exit code, with a message. */
static int spell(const settings *s, int32_t token, const char **spelled, size_t *n_spelled,
                 const char **text, size_t *n_text)
{
    lp_status status = lp_model_token_text(s->job.model, token, spelled, n_spelled);
    if (status == LP_OK)
        status = lp_model_detokenize(s->job.model, token, text, n_text);
    return status == LP_OK ? CLI_OK : cli_failed(s->job.ctx, status);
}

/* As it would be read, without a vocabulary's mark for the space in front; what is no text (special
 * tokens), or goes on with a word (BERT's "##ing"), as the vocabulary spells it. */
static void print_guess(const char *spelled, size_t n_spelled, const char *text, size_t n_text)
{
    const bool space = n_text > 0 && *text == ' ';
    if (n_text == 0 || (n_spelled > 2 && memcmp(spelled, "##", 2) == 0))
        cli_print_text(spelled, n_spelled, 60);
    else
        cli_print_text(text + space, n_text - space, 60);
}

static int print_text(const settings *s, const cli_text *item)
{
    const char *spelled, *text;
    size_t n_spelled, n_text;
    int code = CLI_OK;
    cli_print_text(item->data, item->bytes, 76);
    for (size_t p = 0; p < s->n_places && code == CLI_OK; p++) {
        printf("\nmask %zu (token %u)\n", p + 1, s->places[p]);
        for (uint32_t i = 0; i < s->k && code == CLI_OK; i++) {
            const lp_guess *guess = &s->guesses[p * s->k + i];
            code = spell(s, guess->token, &spelled, &n_spelled, &text, &n_text);
            if (code != CLI_OK)
                break;
            printf("  %.4f  ", (double)guess->probability);
            print_guess(spelled, n_spelled, text, n_text);
            fputc('\n', stdout);
        }
    }
    return code;
}

static int add_json(const settings *s, const cli_text *item, yyjson_mut_doc *doc,
                    yyjson_mut_val *list)
{
    const char *spelled, *text;
    size_t n_spelled, n_text;
    yyjson_mut_val *entry = yyjson_mut_arr_add_obj(doc, list);
    cli_json_bytes(doc, entry, "text", item->data, item->bytes);
    yyjson_mut_val *masks = yyjson_mut_obj_add_arr(doc, entry, "masks");
    for (size_t p = 0; p < s->n_places; p++) {
        yyjson_mut_val *mask = yyjson_mut_arr_add_obj(doc, masks);
        yyjson_mut_obj_add_uint(doc, mask, "position", s->places[p]);
        yyjson_mut_val *guesses = yyjson_mut_obj_add_arr(doc, mask, "guesses");
        for (uint32_t i = 0; i < s->k; i++) {
            const lp_guess *guess = &s->guesses[p * s->k + i];
            int code = spell(s, guess->token, &spelled, &n_spelled, &text, &n_text);
            if (code != CLI_OK)
                return code;
            yyjson_mut_val *one = yyjson_mut_arr_add_obj(doc, guesses);
            yyjson_mut_obj_add_int(doc, one, "id", guess->token);
            cli_json_bytes(doc, one, "token", spelled, n_spelled);
            cli_json_bytes(doc, one, "text", text, n_text);
            yyjson_mut_obj_add_real(doc, one, "probability", (double)guess->probability);
        }
    }
    return CLI_OK;
}

/* ---- Work ---------------------------------------------------------------------------------- */

/* Where the text has masks; it must have one. */
static int find_masks(settings *s, size_t t, int32_t mask)
{
    const cli_text *item = &s->texts.item[t];
    const char *spelled = "";
    size_t bytes = 0;
    s->n_places = 0;
    s->places = realloc(s->places, (item->n_tokens + 1) * sizeof(*s->places));
    if (!s->places) {
        cli_error("out of memory");
        return CLI_FAILED;
    }
    for (size_t i = 0; i < item->n_tokens; i++)
        if (item->tokens[i] == mask)
            s->places[s->n_places++] = (uint32_t)i;
    if (s->n_places > 0)
        return CLI_OK;
    lp_status status = lp_model_token_text(s->job.model, mask, &spelled, &bytes);
    if (status != LP_OK)
        return cli_failed(s->job.ctx, status);
    cli_error("text %zu has no %.*s: there is nothing to fill", t + 1, (int)bytes, spelled);
    return CLI_FAILED;
}

static int fill_one(settings *s, size_t t, int32_t mask)
{
    const cli_text *item = &s->texts.item[t];
    int code = find_masks(s, t, mask);
    if (code != CLI_OK)
        return code;
    free(s->guesses);
    s->guesses = calloc(s->n_places, s->k * sizeof(*s->guesses));
    if (!s->guesses) {
        cli_error("out of memory");
        return CLI_FAILED;
    }
    lp_status status = lp_session_fill(s->job.session, item->tokens, item->n_tokens, s->places,
                                       s->n_places, s->k, s->guesses);
    return status == LP_OK ? CLI_OK : cli_failed(s->job.ctx, status);
}

static int fill_all(settings *s, int32_t mask)
{
    yyjson_mut_doc *doc = s->json ? yyjson_mut_doc_new(NULL) : NULL;
    yyjson_mut_val *root = yyjson_mut_obj(doc), *list = NULL;
    int code = CLI_OK;
    if (doc) {
        yyjson_mut_doc_set_root(doc, root);
        cli_json_text(doc, root, "model", lp_model_title(s->job.model));
        list = yyjson_mut_obj_add_arr(doc, root, "texts");
    }
    for (size_t t = 0; t < s->texts.n && code == CLI_OK && !cli_stop_signal(); t++) {
        code = fill_one(s, t, mask);
        if (code == CLI_OK && s->json)
            code = add_json(s, &s->texts.item[t], doc, list);
        else if (code == CLI_OK) {
            if (t > 0)
                fputc('\n', stdout);
            code = print_text(s, &s->texts.item[t]);
        }
    }
    if (code == CLI_OK && s->json)
        return cli_json_print(doc);
    yyjson_mut_doc_free(doc);
    return code;
}

static int run_model(settings *s)
{
    int code = cli_job_open(&s->job);
    const int32_t mask = code == CLI_OK ? lp_model_mask(s->job.model) : -1;
    if (code == CLI_OK && mask < 0) {
        cli_error("%s: this %s model's vocabulary has no mask token", s->job.path,
                  lp_model_architecture(s->job.model));
        code = CLI_FAILED;
    }
    if (code == CLI_OK)
        code = cli_texts_tokenize(&s->texts, &s->job, true);
    if (code == CLI_OK && s->k > lp_model_vocabulary(s->job.model))
        s->k = lp_model_vocabulary(s->job.model);
    if (code == CLI_OK && !s->job.quiet)
        cli_job_print(&s->job);
    if (code == CLI_OK)
        code = cli_job_session(&s->job);
    if (code == CLI_OK)
        code = fill_all(s, mask);
    cli_job_close(&s->job);
    return code;
}

/* ---- Command line -------------------------------------------------------------------------- */

static const struct option long_options[] = {
    CLI_JOB_OPTIONS,
    {"file", required_argument, NULL, 'f'},
    {"top-k", required_argument, NULL, 'k'},
    {"context", required_argument, NULL, 'c'},
    {"json", no_argument, NULL, 'j'},
    {"quiet", no_argument, NULL, 'q'},
    {0},
};

/* One option; false with a message. */
static bool set_option(settings *s, int id)
{
    uint64_t number;
    int code;
    if (cli_job_option(&cli_fill, &s->job, id, &code))
        return code == CLI_OK;
    switch (id) {
    case 'f':
        return cli_parse_name(&cli_fill, "-f", optarg, &s->file);
    case 'k':
        if (!cli_parse_u64(&cli_fill, "-k", optarg, 1, MOST_GUESSES, &number))
            return false;
        s->k = (uint32_t)number;
        return true;
    default: /* 'j': getopt returns nothing else */
        return s->json = true;
    }
}

static int run(int argc, char **argv)
{
    cli_options options = {&cli_fill, "m:f:k:c:d:jqv", long_options, argc, argv, 0};
    settings s = {.job.options = LP_SESSION_DEFAULT, .job.least_context = 2, .k = USUAL_GUESSES};
    for (int id; (id = cli_next(&options)) != CLI_NO_MORE;) {
        if (id == CLI_END_NOW)
            return options.exit_code;
        if (!set_option(&s, id))
            return CLI_USAGE;
    }
    if (!s.job.path)
        return cli_usage_error(&cli_fill,
                               "-m MODEL is missing: the model that ships fills no masks");
    if (optind == argc && !s.file)
        s.file = "-";
    int code = CLI_FAILED;
    if (cli_texts_read(&s.texts, argv + optind, argc - optind, s.file) && !cli_stop_signal())
        code = run_model(&s);
    cli_texts_free(&s.texts);
    free(s.places);
    free(s.guesses);
    return code;
}

const cli_command cli_fill = {
    .name = "fill",
    .summary = "guess masked words",
    .usage = "[OPTION]... -m MODEL [TEXT]...",
    .help = "Tells which tokens are likeliest where a text has its model's mask token ([MASK] of "
            "BERT,\n"
            "<mask> of RoBERTa), with their probabilities; every mask by itself. Texts are the "
            "operands,\n"
            "then the lines of -f; without both, those of standard input.\n"
            "\n"
            "  -m, --model=DIR|FILE  Hugging Face folder of a BERT, RoBERTa, DistilBERT, "
            "ModernBERT or\n"
            "                        an ELECTRA generator, with its head for masked tokens\n"
            "  -f, --file=FILE       each line is a text; - for standard input\n"
            "  -k, --top-k=N         guesses for each mask, 1 to 1000 (default 5)\n"
            "  -c, --context=N       tokens of a text (default: what the model was trained "
            "for)\n" CLI_ADAPTER_HELP CLI_DEVICE_HELP CLI_WORKAROUND_HELP
            "      --deterministic   the same numbers, to the bit, however they are cut; "
            "slower\n" CLI_NO_INT8_HELP "  -j, --json            for programs\n"
            "  -q, --quiet           nothing but the result and errors\n" CLI_VERBOSE_HELP,
    .run = run,
};
