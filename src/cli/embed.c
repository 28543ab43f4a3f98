/* lapilli embed: texts become vectors, and how near they are to each other. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "texts.h"

typedef enum vector_format { FORMAT_PEOPLE, FORMAT_JSON, FORMAT_CSV, FORMAT_NPY } vector_format;

typedef struct settings {
    cli_job job;
    const char *file, *output;
    int pooling, normalised; /* -1: as the model's files say */
    vector_format format;
    bool truncate;
    const char **images; /* [n_images] files */
    size_t n_images;

    cli_texts texts;
    cli_output out;
    lp_embedding embedding;
    uint32_t n;     /* elements of a vector */
    float *vectors; /* [texts and pictures, n] */
} settings;

static size_t n_vectors(const settings *s)
{
    return s->texts.n + s->n_images;
}

/* ---- Output -------------------------------------------------------------------------------- */

static double dot(const settings *s, size_t a, size_t b)
{
    double sum = 0;
    for (uint32_t i = 0; i < s->n; i++)
        sum += (double)s->vectors[a * s->n + i] * (double)s->vectors[b * s->n + i];
    return sum;
}

/* 0 where a vector is zero. */
static double cosine(const settings *s, size_t a, size_t b)
{
    const double lengths = sqrt(dot(s, a, a) * dot(s, b, b));
    return lengths > 0 ? dot(s, a, b) / lengths : 0;
}

static void print_csv(const settings *s, FILE *to)
{
    for (size_t t = 0; t < n_vectors(s); t++)
        for (uint32_t i = 0; i < s->n; i++)
            fprintf(to, "%.9g%c", (double)s->vectors[t * s->n + i], i + 1 < s->n ? ',' : '\n');
}

/* The texts and pictures, then the cosine of each pair. */
static void print_table(const settings *s)
{
    const size_t n = n_vectors(s), n_texts = s->texts.n;
    for (size_t t = 0; t < n; t++) {
        const char *image = t < n_texts ? NULL : s->images[t - n_texts];
        printf("%4zu  ", t + 1);
        cli_print_text(image ? image : s->texts.item[t].data,
                       image ? strlen(image) : s->texts.item[t].bytes, 70);
        fputc('\n', stdout);
    }
    fputs("\ncosine", stdout);
    for (size_t t = 0; t < n; t++)
        printf("%*zu", t == 0 ? 7 : 8, t + 1);
    for (size_t a = 0; a < n; a++) {
        printf("\n%4zu ", a + 1);
        for (size_t b = 0; b < n; b++)
            printf("  %6.3f", cosine(s, a, b));
    }
    fputc('\n', stdout);
}

/* NumPy's format, version 1.0: a header that is padded to 64 bytes, then float32 [texts, n]. */
static void print_npy(const settings *s, FILE *to)
{
    char dict[128];
    int length = snprintf(dict, sizeof(dict),
                          "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %u), }",
                          n_vectors(s), s->n);
    const int padded = (10 + length + 1 + 63) / 64 * 64 - 10;
    fwrite("\x93NUMPY\x01\x00", 1, 8, to);
    fputc(padded & 255, to);
    fputc(padded >> 8, to);
    fprintf(to, "%-*s\n", padded - 1, dict);
    for (size_t i = 0; i < n_vectors(s) * s->n; i++) {
        uint32_t word;
        memcpy(&word, &s->vectors[i], sizeof(word));
        for (int byte = 0; byte < 4; byte++)
            fputc((int)(word >> 8 * byte & 255), to);
    }
}

static yyjson_mut_doc *make_json(const settings *s)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, root);
    cli_json_text(doc, root, "model", lp_model_title(s->job.model));
    cli_json_text(doc, root, "pooling", lp_pooling_text(s->embedding.pooling));
    yyjson_mut_obj_add_bool(doc, root, "normalized", s->embedding.normalised);
    yyjson_mut_obj_add_uint(doc, root, "length", s->n);
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, root, "embeddings");
    for (size_t t = 0; t < n_vectors(s); t++) {
        yyjson_mut_val *entry = yyjson_mut_arr_add_obj(doc, list);
        if (t >= s->texts.n) {
            cli_json_text(doc, entry, "picture", s->images[t - s->texts.n]);
        } else {
            const cli_text *text = &s->texts.item[t];
            cli_json_bytes(doc, entry, "text", text->data, text->bytes);
            yyjson_mut_obj_add_uint(doc, entry, "n_tokens", text->n_tokens);
        }
        yyjson_mut_val *vector = yyjson_mut_obj_add_arr(doc, entry, "vector");
        for (uint32_t i = 0; i < s->n; i++) {
            char number[32]; /* as many digits as a float has */
            int length = snprintf(number, sizeof(number), "%.9g", (double)s->vectors[t * s->n + i]);
            yyjson_mut_arr_append(vector, yyjson_mut_rawncpy(doc, number, (size_t)length));
        }
    }
    return doc;
}

/* In one line: a number in a line of its own would be thousands of them. */
static int print_json(const settings *s, FILE *to)
{
    yyjson_mut_doc *doc = make_json(s);
    char *text = yyjson_mut_write(doc, YYJSON_WRITE_NOFLAG, NULL);
    yyjson_mut_doc_free(doc);
    if (text)
        fprintf(to, "%s\n", text);
    else
        cli_error("out of memory");
    free(text);
    return text ? CLI_OK : CLI_FAILED;
}

static int print(settings *s)
{
    FILE *to = s->out.stream ? s->out.stream : stdout;
    if (s->format == FORMAT_JSON) {
        int code = print_json(s, to);
        if (code != CLI_OK)
            return code;
    } else if (s->format == FORMAT_NPY) {
        print_npy(s, to);
    } else if (s->format == FORMAT_PEOPLE && n_vectors(s) > 1) {
        print_table(s);
    } else {
        print_csv(s, to);
    }
    return cli_output_finish(&s->out, "") ? CLI_OK : CLI_FAILED;
}

/* ---- Work ---------------------------------------------------------------------------------- */

/* A text that is longer than the context is cut, or refused. What the model wants at the end of
 * every text stays there. */
static int fit(settings *s, size_t t, int32_t last)
{
    cli_text *text = &s->texts.item[t];
    const uint32_t n_ctx = lp_session_n_ctx(s->job.session);
    if (text->n_tokens <= n_ctx)
        return CLI_OK;
    if (!s->truncate) {
        cli_error("text %zu has %zu tokens, %u are possible (--truncate cuts it)", t + 1,
                  text->n_tokens, n_ctx);
        return CLI_FAILED;
    }
    text->n_tokens = n_ctx;
    if (last >= 0)
        text->tokens[n_ctx - 1] = last;
    return CLI_OK;
}

/* The token that ends every text, or -1: the last of an empty one, unless that is its first. */
static int end_token(const settings *s, int32_t *last)
{
    int32_t *tokens = NULL;
    size_t n = 0;
    lp_status status = lp_model_tokenize(s->job.model, "", 0, LP_TOKENS_SPECIAL, &tokens, &n);
    if (status != LP_OK)
        return cli_failed(s->job.ctx, status);
    const bool is_end = n > 1 || (n == 1 && tokens[0] != lp_model_bos(s->job.model));
    *last = is_end ? tokens[n - 1] : -1;
    free(tokens);
    return CLI_OK;
}

static int embed_image(settings *s, const char *path, float *vector)
{
    lp_image *image = NULL;
    lp_status status = lp_image_open(s->job.ctx, path, &image);
    if (status == LP_OK)
        status = lp_session_embed_image(s->job.session, image, s->embedding, vector);
    lp_image_destroy(image);
    return status == LP_OK ? CLI_OK : cli_failed(s->job.ctx, status);
}

static int embed_all(settings *s)
{
    int32_t last = -1;
    s->n = lp_model_embedding_length(s->job.model);
    s->vectors = calloc(n_vectors(s), s->n * sizeof(*s->vectors));
    if (!s->vectors) {
        cli_error("out of memory");
        return CLI_FAILED;
    }
    int code = s->texts.n > 0 ? end_token(s, &last) : CLI_OK;
    for (size_t t = 0; t < s->texts.n && code == CLI_OK; t++)
        code = fit(s, t, last);
    for (size_t t = 0; t < s->texts.n && code == CLI_OK; t++) {
        const cli_text *text = &s->texts.item[t];
        if (cli_stop_signal())
            return CLI_FAILED; /* cli_finish() makes 130 of it */
        lp_status status = lp_session_embed(s->job.session, text->tokens, text->n_tokens,
                                            s->embedding, s->vectors + t * s->n);
        if (status != LP_OK)
            code = cli_failed(s->job.ctx, status);
    }
    for (size_t i = 0; i < s->n_images && code == CLI_OK; i++) {
        if (cli_stop_signal())
            return CLI_FAILED;
        code = embed_image(s, s->images[i], s->vectors + (s->texts.n + i) * s->n);
    }
    return code;
}

static int run_model(settings *s)
{
    int code = cli_job_open(&s->job);
    if (code == CLI_OK && !cli_job_takes(&s->job, &cli_embed, CLI_DECODERS | CLI_ENCODERS))
        code = CLI_FAILED;
    if (code == CLI_OK) {
        lp_status status = lp_model_embedding(s->job.model, &s->embedding);
        code = status == LP_OK ? CLI_OK : cli_failed(s->job.ctx, status);
    }
    if (code == CLI_OK && s->job.options.n_ctx == 0 &&
        s->embedding.max_tokens < lp_model_context(s->job.model))
        s->job.options.n_ctx = s->embedding.max_tokens;
    if (s->pooling >= 0)
        s->embedding.pooling = (lp_pooling)s->pooling;
    if (s->normalised >= 0)
        s->embedding.normalised = s->normalised != 0;
    if (code == CLI_OK)
        code = cli_texts_tokenize(&s->texts, &s->job, false);
    if (code == CLI_OK && !s->job.quiet) {
        cli_job_print(&s->job);
        fprintf(stderr, "lapilli: pooling %s, %s\n", lp_pooling_text(s->embedding.pooling),
                s->embedding.normalised ? "vectors of length 1" : "vectors as they come");
    }
    if (code == CLI_OK)
        code = cli_job_session(&s->job);
    if (code == CLI_OK)
        code = embed_all(s);
    if (code == CLI_OK)
        code = print(s);
    cli_job_close(&s->job);
    return code;
}

/* ---- Command line -------------------------------------------------------------------------- */

static bool parse_pooling(const char *text, int *pooling)
{
    for (int i = 0; i < LP_N_POOLINGS; i++)
        if (strcmp(text, lp_pooling_text((lp_pooling)i)) == 0) {
            *pooling = i;
            return true;
        }
    cli_usage_error(&cli_embed, "--pooling \"%s\": mean, cls, last or pooler is expected", text);
    return false;
}

static bool find_format(const char *text, vector_format *format)
{
    static const char *const names[] = {"json", "csv", "npy"};
    for (int i = 0; i < 3; i++)
        if (strcmp(text, names[i]) == 0) {
            *format = (vector_format)(i + 1);
            return true;
        }
    return false;
}

enum { FORMAT = CLI_LONG_ONLY, POOLING, NORMALIZE, NO_NORMALIZE, TRUNCATE, IMAGE };

static const struct option long_options[] = {
    CLI_JOB_OPTIONS,
    CLI_CACHE_TYPE_OPTION,
    {"file", required_argument, NULL, 'f'},
    {"image", required_argument, NULL, IMAGE},
    {"output", required_argument, NULL, 'o'},
    {"format", required_argument, NULL, FORMAT},
    {"pooling", required_argument, NULL, POOLING},
    {"normalize", no_argument, NULL, NORMALIZE},
    {"no-normalize", no_argument, NULL, NO_NORMALIZE},
    {"truncate", no_argument, NULL, TRUNCATE},
    {"context", required_argument, NULL, 'c'},
    {"json", no_argument, NULL, 'j'},
    {"quiet", no_argument, NULL, 'q'},
    {0},
};

/* One option; false with a message. */
static bool set_option(settings *s, int id)
{
    int code;
    if (cli_job_option(&cli_embed, &s->job, id, &code))
        return code == CLI_OK;
    switch (id) {
    case 'f':
        return cli_parse_name(&cli_embed, "-f", optarg, &s->file);
    case IMAGE: /* there is room: no more of them than arguments */
        return cli_parse_name(&cli_embed, "--image", optarg, &s->images[s->n_images++]);
    case 'o':
        return cli_parse_name(&cli_embed, "-o", optarg, &s->output);
    case FORMAT:
        if (find_format(optarg, &s->format))
            return true;
        cli_usage_error(&cli_embed, "--format is npy, csv or json, not \"%s\"", optarg);
        return false;
    case POOLING:
        return parse_pooling(optarg, &s->pooling);
    case NORMALIZE:
    case NO_NORMALIZE:
        s->normalised = id == NORMALIZE;
        return true;
    case TRUNCATE:
        s->truncate = true;
        return true;
    default: /* 'j': getopt returns nothing else */
        s->format = FORMAT_JSON;
        return true;
    }
}

/* The command line; false to leave with *code. */
static bool parse(cli_options *options, settings *s, int *code)
{
    for (int id; (id = cli_next(options)) != CLI_NO_MORE;) {
        *code = id == CLI_END_NOW ? options->exit_code : CLI_USAGE;
        if (id == CLI_END_NOW || !set_option(s, id))
            return false;
    }
    const char *end = s->output && s->format == FORMAT_PEOPLE ? strrchr(s->output, '.') : NULL;
    *code = CLI_USAGE;
    if (!s->job.path)
        cli_usage_error(&cli_embed,
                        "-m MODEL is missing: the model that ships is made for stories");
    else if (s->output && s->format == FORMAT_PEOPLE && !(end && find_format(end + 1, &s->format)))
        cli_usage_error(&cli_embed, "-o %s: the name ends in none of .json, .csv and .npy",
                        s->output);
    else
        *code = CLI_OK;
    if (*code == CLI_OK && optind == options->argc && !s->file && s->n_images == 0)
        s->file = "-";
    return *code == CLI_OK;
}

static int run(int argc, char **argv)
{
    cli_options options = {&cli_embed, "m:f:o:c:d:jqv", long_options, argc, argv, 0};
    settings s = {
        .job.options = LP_SESSION_DEFAULT, .job.least_context = 2, .pooling = -1, .normalised = -1};
    if (!(s.images = calloc((size_t)argc, sizeof(*s.images)))) {
        cli_error("out of memory");
        return CLI_FAILED;
    }
    int code = CLI_OK;
    if (!parse(&options, &s, &code)) {
        free(s.images);
        return code;
    }
    const bool texts = optind < argc || s.file;
    code = CLI_FAILED;
    if ((!texts || cli_texts_read(&s.texts, argv + optind, argc - optind, s.file)) &&
        cli_output_begin(&s.out, s.output) && !cli_stop_signal())
        code = run_model(&s);
    cli_output_abandon(&s.out);
    cli_texts_free(&s.texts);
    free(s.vectors);
    free(s.images);
    return code;
}

const cli_command cli_embed = {
    .name = "embed",
    .summary = "turn texts into vectors",
    .usage = "[OPTION]... -m MODEL [TEXT]...",
    .help =
        "Writes the vector of each text, and of each picture (--image). Several without -o or a\n"
        "format: the cosine of each pair. Texts are the operands, then the lines of -f; without\n"
        "texts and pictures, those of standard input.\n"
        "What a model wants in front (\"query: \") is to be written there.\n"
        "\n"
        "  -m, --model=DIR|FILE  Hugging Face folder or GGUF file: BERT, RoBERTa, DistilBERT,\n"
        "                        ELECTRA, ModernBERT, CLIP, ViT, or a decoder\n"
        "      --image=FILE      a picture (PNG, JPEG, BMP, PNM), with CLIP or ViT; may be\n"
        "                        repeated; pictures come behind the texts\n"
        "  -f, --file=FILE       each line is a text; - for standard input\n"
        "  -o, --output=FILE     .npy (float32, a row per text), .csv (a line per text) or .json\n"
        "      --format=FORMAT   npy, csv or json, whatever the file's name is, and without one\n"
        "      --json            the same as --format=json\n"
        "      --pooling=HOW     of the tokens' vectors: mean, cls (the first), last, pooler (of\n"
        "                        BERT). Default: as the model's files say (modules.json,\n"
        "                        pooling_type); mean for other encoders, last for decoders\n"
        "      --normalize       vectors of length 1; default unless modules.json says otherwise\n"
        "      --no-normalize    vectors as they come\n"
        "      --truncate        cut texts that are too long; otherwise they are an error\n"
        "  -c, --context=N       tokens of a text (default: max_seq_length of "
        "sentence_bert_config.json,\n"
        "                        or what the model was trained for; for decoders at most "
        "4096)\n" CLI_ADAPTER_HELP CLI_DEVICE_HELP CLI_CACHE_TYPE_HELP CLI_WORKAROUND_HELP
        "      --deterministic   the same numbers, to the bit, however they are cut; "
        "slower\n" CLI_NO_INT8_HELP
        "  -q, --quiet           nothing but the result and errors\n" CLI_VERBOSE_HELP,
    .run = run,
};
