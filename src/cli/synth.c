/* lapilli synth: random-weight models of well-known shapes. */
#include <string.h>
#include "cli.h"

static void print_shapes(void)
{
    for (size_t i = 0; i < lp_synth_n_shapes(); i++) {
        lp_fact shape = lp_synth_shape(i);
        printf("%-16s %s\n", shape.name, shape.value);
    }
}

static int write_model(const char *shape, lp_dtype type, uint64_t seed, const char *path)
{
    lp_context *ctx = cli_context(0);
    if (!ctx)
        return CLI_FAILED;
    cli_progress progress = CLI_PROGRESS("writing");
    lp_status status = lp_synth(ctx, shape, type, seed, path, cli_show_progress, &progress);
    cli_clear_progress(&progress);
    int code = status == LP_OK ? CLI_OK : cli_failed(ctx, status);
    lp_context_destroy(ctx);
    return code;
}

static int run(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"output", required_argument, NULL, 'o'}, {"type", required_argument, NULL, 't'},
        {"seed", required_argument, NULL, 's'},   {"list", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},         {0},
    };
    cli_options options = {&cli_synth, "o:t:s:l", long_options, argc, argv, 0};
    const char *path = NULL;
    lp_dtype type = LP_F16;
    uint64_t seed = 0;
    for (int id; (id = cli_next(&options)) != CLI_NO_MORE;) {
        switch (id) {
        case 'o':
            if (!cli_parse_name(&cli_synth, "-o", optarg, &path))
                return CLI_USAGE;
            break;
        case 't':
            type = lp_dtype_by_name(optarg);
            if (type == LP_N_DTYPES || type == LP_I32)
                return cli_usage_error(&cli_synth, "--type is one of " CLI_TYPES ", not \"%s\"",
                                       optarg);
            break;
        case 's':
            if (!cli_parse_u64(&cli_synth, "--seed", optarg, 0, UINT64_MAX, &seed))
                return CLI_USAGE;
            break;
        case 'l':
            print_shapes();
            return CLI_OK;
        default:
            return options.exit_code;
        }
    }
    if (argc - optind != 1)
        return cli_usage_error(&cli_synth, "one SHAPE is expected, not %d", argc - optind);
    if (!path)
        return cli_usage_error(&cli_synth, "-o FILE is missing");
    return write_model(argv[optind], type, seed, path);
}

const cli_command cli_synth = {
    .name = "synth",
    .summary = "write a model with random weights, for benchmarks and bug reports",
    .usage = "[OPTION]... SHAPE|DIR|CONFIG.json -o FILE|DIR",
    .help = "Writes a GGUF file with random weights of sane scale and a tokenizer. The same seed\n"
            "gives the same file everywhere. The file appears when it is complete.\n"
            "Of a config.json, or a folder with one, instead of a SHAPE: any model that lapilli\n"
            "reads, as a GGUF file if the output ends in .gguf, else as a folder in F32, F16 or\n"
            "BF16, with the tokenizer that is beside it.\n"
            "\n"
            "  -o, --output=FILE  where to write\n"
            "  -t, --type=TYPE    of the matrices (default F16):\n"
            "                     " CLI_TYPES "\n"
            "  -s, --seed=SEED    default 0\n"
            "  -l, --list         list the shapes\n"
            "  -h, --help         this text\n",
    .run = run,
};
