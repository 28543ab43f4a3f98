/* The command `lapilli`: one subcommand per file, found in a table. */
#define _DEFAULT_SOURCE /* readlink, setenv */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static const cli_command *const commands[] = {
    &cli_run,     &cli_chat_main, &cli_translate,  &cli_embed,       &cli_fill,       &cli_classify,
    &cli_image,   &cli_check,     &cli_doctor,     &cli_certificate, &cli_perplexity, &cli_devices,
    &cli_inspect, &cli_tokenize,  &cli_detokenize, &cli_grammar,     &cli_convert,    &cli_quantize,
    &cli_plan,    &cli_bench,     &cli_synth};
enum { N_COMMANDS = sizeof(commands) / sizeof(*commands) };

static void print_help(FILE *to)
{
    fputs("Usage: lapilli COMMAND [OPTION]...\n"
          "Runs transformers on any GPU with a Vulkan driver, and on the CPU.\n"
          "\n"
          "Commands:\n",
          to);
    for (int i = 0; i < N_COMMANDS; i++)
        fprintf(to, "  %-11s  %s\n", commands[i]->name, commands[i]->summary);
    fputs("\n"
          "  lapilli COMMAND --help   options of a command\n"
          "  lapilli --version        version\n"
          "\n"
          "Results go to standard output, everything else to standard error.\n"
          "Exit codes: 0 success; 1 failure, with one line saying of what; 2 wrong usage;\n"
          "130 interrupted (Ctrl-C); 143 terminated; 141 the reader of the output has gone.\n",
          to);
}

static const cli_command *find(const char *name)
{
    for (int i = 0; i < N_COMMANDS; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

/* Threads that spin while they wait for each other lose whole time slices on a busy machine (15
 * times slower was measured). OpenMP's runtime reads its environment when it is loaded, before
 * main(), so the command starts itself again with the setting, unless the user has chosen one. */
static void let_threads_sleep(char **argv)
{
    char self[4096];
    if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT") || getenv("KMP_BLOCKTIME"))
        return;
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n <= 0 || setenv("OMP_WAIT_POLICY", "passive", 1) != 0)
        return;
    self[n] = '\0';
    execv(self, argv); /* if it returns, everything works all the same */
}

int main(int argc, char **argv)
{
    let_threads_sleep(argv);
    cli_prepare();
    if (argc < 2) {
        print_help(stderr);
        return CLI_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 ||
        (strcmp(name, "help") == 0 && argc == 2)) {
        print_help(stdout);
        return cli_finish(CLI_OK);
    }
    if (strcmp(name, "--version") == 0) {
        printf("lapilli %s\n", lp_version());
        return cli_finish(CLI_OK);
    }
    if (strcmp(name, "help") == 0) { /* lapilli help run */
        char *help[] = {argv[2], (char[]){"--help"}, NULL};
        const cli_command *command = find(argv[2]);
        if (command)
            return cli_finish(command->run(2, help));
        name = argv[2];
    }
    const cli_command *command = find(name);
    if (!command) {
        cli_error("there is no command \"%s\"; see lapilli --help", name);
        return CLI_USAGE;
    }
    return cli_finish(command->run(argc - 1, argv + 1));
}
