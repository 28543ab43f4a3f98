/* lapilli convert and lapilli quantize: models written as GGUF files. */
#include <string.h>
#include "cli.h"

/* One line about what became of the model. */
static void print_result(const char *to, const lp_convert_result *r)
{
    char before[16], after[16];
    fprintf(stderr, "lapilli: %s: %zu tensors, %zu in another type; %s before, %s after\n", to,
            r->n_tensors, r->n_changed, cli_bytes(r->bytes_before, before),
            cli_bytes(r->bytes_after, after));
}

static int write_model(const char *from, const char *to, lp_convert_options *options, bool quiet)
{
    lp_context *ctx = cli_context(0);
    if (!ctx)
        return CLI_FAILED;
    cli_progress progress = CLI_PROGRESS("writing");
    lp_convert_result result;
    options->progress = cli_show_progress;
    options->progress_user = &progress;
    lp_status status = lp_convert(ctx, from, to, options, &result);
    cli_clear_progress(&progress);
    int code = status == LP_OK ? CLI_OK : cli_failed(ctx, status);
    if (code == CLI_OK && !quiet)
        print_result(to, &result);
    lp_context_destroy(ctx);
    return code;
}

/* A type's name, or one with "_M", a mix. */
static bool parse_type(const cli_command *command, const char *text, lp_convert_options *options)
{
    char name[16];
    const size_t n = strlen(text);
    const char *last = n > 2 && n < sizeof name ? text + n - 2 : "";
    options->type = lp_dtype_by_name(text);
    if (options->type == LP_N_DTYPES && (strcmp(last, "_M") == 0 || strcmp(last, "_m") == 0)) {
        memcpy(name, text, n - 2);
        name[n - 2] = '\0';
        options->type = lp_dtype_by_name(name);
        options->mixed = true;
        if (options->type != LP_Q4_K && options->type != LP_Q5_K)
            options->type = LP_N_DTYPES;
    }
    if (options->type != LP_N_DTYPES && options->type != LP_I32)
        return true;
    cli_usage_error(command, "TYPE is one of " CLI_TYPES ", Q4_K_M, Q5_K_M, not \"%s\"", text);
    return false;
}

/* Both commands; `n` operands, the third is the type. */
static int run(const cli_command *command, int n, int argc, char **argv)
{
    enum { REQUANTIZE = CLI_LONG_ONLY };
    static const struct option long_options[] = {
        {"type", required_argument, NULL, 't'},
        {"allow-requantize", no_argument, NULL, REQUANTIZE},
        {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    const bool fixed = n == 3; /* the type is an operand */
    cli_options options = {command, fixed ? "q" : "qt:", long_options + fixed, argc, argv, 0};
    lp_convert_options convert = {.type = LP_N_DTYPES};
    bool quiet = false;
    for (int id; (id = cli_next(&options)) != CLI_NO_MORE;) {
        switch (id) {
        case 't':
            if (!parse_type(command, optarg, &convert))
                return CLI_USAGE;
            break;
        case REQUANTIZE:
            convert.allow_requantize = true;
            break;
        case 'q':
            quiet = true;
            break;
        default:
            return options.exit_code;
        }
    }
    if (argc - optind != n)
        return cli_usage_error(command, "%d operands are expected, not %d", n, argc - optind);
    const char *from, *to;
    if (!cli_parse_name(command, "IN", argv[optind], &from) ||
        !cli_parse_name(command, "OUT", argv[optind + 1], &to) ||
        (fixed && !parse_type(command, argv[optind + 2], &convert)))
        return CLI_USAGE;
    return write_model(from, to, &convert, quiet);
}

static int run_convert(int argc, char **argv)
{
    return run(&cli_convert, 2, argc, argv);
}

static int run_quantize(int argc, char **argv)
{
    return run(&cli_quantize, 3, argc, argv);
}

#define OPTIONS                                                                                    \
    "      --allow-requantize  also where the matrices are in a block type already: errors add "   \
    "up\n"                                                                                         \
    "  -q, --quiet             say nothing\n"                                                      \
    "  -h, --help              this text\n"

const cli_command cli_convert = {
    .name = "convert",
    .summary = "write a model as a GGUF file that llama.cpp reads",
    .usage = "[OPTION]... IN OUT.gguf",
    .help =
        "Writes a Hugging Face folder (safetensors or pytorch_model.bin) or a GGUF file as GGUF,\n"
        "with the metadata, names and tokenizer that llama.cpp knows. What GGUF cannot say is\n"
        "refused. The file appears when it is complete.\n"
        "\n"
        "  -t, --type=TYPE         of the matrices, as those of quantize (default: as they "
        "are)\n" OPTIONS,
    .run = run_convert,
};

const cli_command cli_quantize = {
    .name = "quantize",
    .summary = "write a model with its matrices in another type",
    .usage = "[OPTION]... IN OUT.gguf TYPE",
    .help =
        "Writes a GGUF file or a Hugging Face folder as a GGUF file with the matrices in "
        "TYPE:\n" CLI_TYPES ",\n"
        "Q4_K_M, Q5_K_M. Gains, biases, routers and positions stay. The head (or the token\n"
        "embedding that is also the head) gets Q8_0 with blocks of 32 elements, and Q6_K with\n"
        "those of 256; in Q4_K_M and Q5_K_M some layers do, too; with MXFP4 and experts all but\n"
        "their matrices get Q8_0. Rows that are no multiple of 256 get blocks of 32, those that\n"
        "are no multiple of that get F16. Errors are no larger than those of llama.cpp's\n"
        "llama-quantize; docs/FORMATS.md tells which blocks are the same, bit for bit.\n"
        "The file appears when it is complete.\n"
        "\n" OPTIONS,
    .run = run_quantize,
};
