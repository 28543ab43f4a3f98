/* lapilli certificate diff A B: did two machines compute the same bits? */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "files.h"

static int diff(const char *a, const char *b)
{
    int code = CLI_FAILED, same = 0;
    char *text_a = NULL, *text_b = NULL, *table = NULL;
    lp_context *ctx = cli_context(0);
    if (ctx && (text_a = cli_read_text(a)) && (text_b = cli_read_text(b))) {
        lp_status status = lp_certificate_diff(ctx, a, text_a, b, text_b, &same, &table);
        if (status != LP_OK)
            code = cli_failed(ctx, status);
        else if (cli_write(table, strlen(table)))
            code = same ? CLI_OK : CLI_FAILED;
    }
    free(table);
    free(text_a);
    free(text_b);
    lp_context_destroy(ctx);
    return code;
}

static int run(int argc, char **argv)
{
    static const struct option long_options[] = {{"help", no_argument, NULL, 'h'}, {0}};
    cli_options options = {&cli_certificate, "", long_options, argc, argv, 0};
    if (cli_next(&options) == CLI_END_NOW)
        return options.exit_code;
    if (argc - optind < 1 || strcmp(argv[optind], "diff") != 0)
        return cli_usage_error(&cli_certificate, "what shall be done? there is \"diff\"");
    if (argc - optind != 3)
        return cli_usage_error(&cli_certificate, "diff wants two certificates");
    return diff(argv[optind + 1], argv[optind + 2]);
}

const cli_command cli_certificate = {
    .name = "certificate",
    .summary = "did two machines compute the same bits?",
    .usage = "diff A B",
    .help = "Compares two files that lapilli check --certificate wrote: whether model, text and\n"
            "kernels were the same, which results differ in their bits, and which figures in how\n"
            "much. Exit code 0: the same bits everywhere; 1: not, or a file cannot be read (the\n"
            "reason is on standard error, and nothing on standard output).\n"
            "\n"
            "  -h, --help            this text\n",
    .run = run,
};
