/* lapilli grammar: is a grammar or a JSON schema right, and which texts are its texts? */
#include <stdlib.h>
#include <string.h>

#include "prompt.h"
#include "sampling.h"
#include "texts.h"

enum { PRINT = CLI_LONG_ONLY };

typedef struct settings {
    cli_sampling sampling; /* where --grammar and its kind go */
    cli_prompt file;
    bool print, quiet;
} settings;

static const struct option long_options[] = {
    {"grammar", required_argument, NULL, CLI_GRAMMAR},
    {"grammar-file", required_argument, NULL, CLI_GRAMMAR_FILE},
    {"json-schema", required_argument, NULL, CLI_JSON_SCHEMA},
    {"file", required_argument, NULL, 'f'},
    {"print", no_argument, NULL, PRINT},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

/* Line and column, from 1, of a byte; columns count characters. */
static void place(const char *text, size_t at, size_t *line, size_t *column)
{
    *line = *column = 1;
    for (size_t i = 0; i < at; i++) {
        if (text[i] == '\n') {
            ++*line;
            *column = 1;
        } else if ((text[i] & 0xc0) != 0x80) {
            ++*column;
        }
    }
}

/* One text: whether it matches; the exit code. */
static int try_text(const settings *s, lp_context *ctx, const char *text, size_t bytes)
{
    size_t n, line, column;
    bool complete;
    const lp_sampling *v = &s->sampling.values;
    lp_status status =
        lp_grammar_match(ctx, v->grammar, v->json_schema, text, bytes, &n, &complete);
    if (status != LP_OK)
        return cli_failed(ctx, status);
    if (!s->quiet) {
        fputs(complete ? "matches   " : n == bytes ? "too short " : "differs   ", stdout);
        cli_print_text(text, bytes, 60);
        if (!complete && n < bytes) {
            place(text, n, &line, &column);
            printf("  (line %zu, column %zu: \"", line, column);
            cli_print_text(text + n, bytes - n, 12);
            fputs("\")", stdout);
        }
        fputc('\n', stdout);
    }
    return complete ? CLI_OK : CLI_FAILED;
}

static int try_all(const settings *s, lp_context *ctx, char *const *texts, int n_texts)
{
    const lp_sampling *v = &s->sampling.values;
    int code = CLI_OK;
    if (s->print && v->json_schema) {
        char *gbnf = NULL;
        lp_status status = lp_grammar_from_schema(ctx, v->json_schema, &gbnf);
        if (status == LP_OK)
            cli_write(gbnf, strlen(gbnf));
        free(gbnf);
        if (status != LP_OK)
            return cli_failed(ctx, status);
    }
    for (int i = 0; i < n_texts; i++)
        if (try_text(s, ctx, texts[i], strlen(texts[i])) != CLI_OK)
            code = CLI_FAILED;
    if (s->file.text && try_text(s, ctx, s->file.text, s->file.bytes) != CLI_OK)
        code = CLI_FAILED;
    return code;
}

static int run(int argc, char **argv)
{
    cli_options options = {&cli_grammar, "f:q", long_options, argc, argv, 0};
    settings s = {0};
    int code = CLI_OK;
    cli_sampling_start(&s.sampling);
    for (int id; code == CLI_OK && (id = cli_next(&options)) != CLI_NO_MORE;) {
        if (id == CLI_END_NOW)
            code = options.exit_code;
        else if (id == 'f')
            code = s.file.text ? cli_usage_error(&cli_grammar, "only one -f can be given")
                   : cli_prompt_file(&s.file, optarg) ? CLI_OK
                                                      : CLI_FAILED;
        else if (id == PRINT || id == 'q')
            *(id == 'q' ? &s.quiet : &s.print) = true;
        else
            code = cli_sampling_option(&cli_grammar, &s.sampling, id);
        if (id == CLI_END_NOW)
            goto end;
    }
    if (code == CLI_OK && !s.sampling.values.grammar && !s.sampling.values.json_schema)
        code =
            cli_usage_error(&cli_grammar, "--grammar, --grammar-file or --json-schema is missing");
    if (code == CLI_OK && s.print && s.sampling.values.grammar)
        code = cli_usage_error(&cli_grammar, "--print is for --json-schema");
    if (code == CLI_OK)
        code = cli_sampling_check(&s.sampling);
    if (code == CLI_OK) {
        lp_context *ctx = cli_context(0);
        code = ctx ? try_all(&s, ctx, argv + optind, argc - optind) : CLI_FAILED;
        lp_context_destroy(ctx);
    }
end:
    free(s.file.text);
    cli_sampling_free(&s.sampling);
    return code;
}

const cli_command cli_grammar = {
    .name = "grammar",
    .summary = "try a grammar or a JSON schema on texts",
    .usage = "[OPTION]... [TEXT]...",
    .help = "Reads a grammar or a JSON schema as lapilli run does, says what is wrong with it, and "
            "tells of\n"
            "each text whether it is one of the grammar's, or where it leaves it. Exit code 0: the "
            "grammar\n"
            "is right and all texts match; 1: not so.\n"
            "\n"
            "      --grammar=GBNF    a grammar (docs/GRAMMARS.md)\n"
            "      --grammar-file=FILE   the grammar is in a file\n"
            "      --json-schema=SCHEMA  a JSON schema, given as text or as a file's name\n"
            "  -f, --file=FILE       a text of its own, whole; - for standard input\n"
            "      --print           the grammar that the schema becomes\n"
            "  -q, --quiet           only the exit code and errors\n"
            "  -h, --help            this text\n",
    .run = run,
};
