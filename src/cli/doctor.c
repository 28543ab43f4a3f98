/* lapilli doctor: can the devices of this machine be relied on? What is found wrong is remembered
 * for this build of the driver, and `run` does without it. */
#include "doctor.h"

#include <stdlib.h>
#include <string.h>

typedef struct settings {
    const char *selector, *model, *plant;
    bool json, quick, forget;
    int verbose;
} settings;

typedef struct ward {
    const settings *s;
    lp_context *ctx;
    lp_devices *devices;
    size_t first, n; /* devices to look at */
    lp_model *model; /* NULL: none */
    char *cache;
    lp_diagnosis **list;
    size_t n_done;
} ward;

/* The model that ships, if it is there: doctor also works without. */
static int open_model(ward *w)
{
    char *shipped = w->s->model ? NULL : cli_find_model();
    const char *path = w->s->model ? w->s->model : shipped;
    lp_status status = path ? lp_model_open(w->ctx, path, &w->model) : LP_OK;
    if (!path)
        cli_error("the model that ships with lapilli is not there: left out");
    free(shipped);
    return status == LP_OK ? CLI_OK : cli_failed(w->ctx, status);
}

static int forget(ward *w)
{
    for (size_t i = w->first; i < w->first + w->n; i++) {
        const lp_device_info *d = lp_devices_info(w->devices, i);
        int forgotten = 0;
        lp_status status = w->cache ? lp_doctor_forget(w->devices, i, w->cache, &forgotten) : LP_OK;
        if (status != LP_OK)
            return cli_failed(w->ctx, status);
        printf("%-10s  %s\n", d->id, forgotten ? "forgotten" : "nothing was remembered");
    }
    return CLI_OK;
}

static int examine(ward *w)
{
    for (size_t i = w->first; i < w->first + w->n; i++) {
        char what[64];
        snprintf(what, sizeof(what), "examining %.40s", lp_devices_info(w->devices, i)->id);
        cli_progress progress = CLI_PROGRESS(what);
        const lp_doctor_options options = {.quick = w->s->quick,
                                           .cache_folder = w->cache,
                                           .plant = w->s->plant,
                                           .progress = cli_show_progress,
                                           .progress_user = &progress};
        lp_status status = lp_doctor(w->devices, i, w->model, &options, &w->list[w->n_done]);
        cli_clear_progress(&progress);
        if (status != LP_OK)
            return cli_failed(w->ctx, status);
        w->n_done++;
    }
    return CLI_OK;
}

static int report(const ward *w)
{
    const char *problem = lp_devices_vulkan_problem(w->devices);
    int code = CLI_OK;
    if (w->s->json) {
        code = cli_print_diagnoses_json(w->list, w->n_done, problem);
    } else {
        cli_print_verdicts(w->list, w->n_done);
        if (*problem)
            printf("no Vulkan: %s\n", problem);
        for (size_t i = 0; i < w->n_done; i++)
            cli_print_diagnosis(w->list[i]);
    }
    for (size_t i = 0; i < w->n_done; i++)
        if (w->list[i]->health == LP_HEALTH_REDUCED || w->list[i]->health == LP_HEALTH_BAD)
            code = CLI_FAILED;
    return code;
}

static int visit(const settings *s)
{
    int code = CLI_FAILED;
    ward w = {.s = s, .ctx = cli_context(s->verbose), .cache = cli_cache_folder()};
    lp_status status = LP_OK;
    if (!w.ctx)
        goto cleanup;
    if (s->selector)
        code = cli_choose_device(w.ctx, s->selector, false, &w.devices, &w.first, NULL);
    else
        code = (status = lp_devices_create(w.ctx, &w.devices)) == LP_OK ? CLI_OK
                                                                        : cli_failed(w.ctx, status);
    if (code != CLI_OK)
        goto cleanup;
    w.n = s->selector ? 1 : lp_devices_count(w.devices);
    w.list = calloc(w.n, sizeof(*w.list));
    if (!w.list) {
        cli_error("out of memory");
        code = CLI_FAILED;
    } else if (s->forget) {
        code = forget(&w);
    } else {
        code = open_model(&w);
        if (code == CLI_OK)
            code = examine(&w);
        if (code == CLI_OK)
            code = report(&w);
    }
cleanup:
    for (size_t i = 0; i < w.n_done; i++)
        lp_diagnosis_destroy(w.list[i]);
    free(w.list);
    lp_model_destroy(w.model);
    lp_devices_destroy(w.devices);
    lp_context_destroy(w.ctx);
    free(w.cache);
    return code;
}

static int run(int argc, char **argv)
{
    enum { FORGET = CLI_LONG_ONLY, PLANT };
    static const struct option long_options[] = {
        {"device", required_argument, NULL, 'd'},
        {"model", required_argument, NULL, 'm'},
        {"json", no_argument, NULL, 'j'},
        {"quick", no_argument, NULL, 'q'},
        {"forget", no_argument, NULL, FORGET},
        {"plant", required_argument, NULL, PLANT},
        {"verbose", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    cli_options options = {&cli_doctor, "d:m:jqv", long_options, argc, argv, 0};
    settings s = {0};
    for (int id; (id = cli_next(&options)) != CLI_NO_MORE;) {
        switch (id) {
        case 'd':
            s.selector = optarg;
            break;
        case 'm':
            s.model = optarg;
            break;
        case 'j':
            s.json = true;
            break;
        case 'q':
            s.quick = true;
            break;
        case FORGET:
            s.forget = true;
            break;
        case PLANT:
            s.plant = optarg;
            break;
        case 'v':
            s.verbose++;
            break;
        default:
            return options.exit_code;
        }
    }
    if (optind < argc)
        return cli_usage_error(&cli_doctor, "nothing is expected after the options, not \"%s\"",
                               argv[optind]);
    if (s.plant && strcmp(s.plant, "list") == 0)
        return cli_list_faults();
    return visit(&s);
}

const cli_command cli_doctor = {
    .name = "doctor",
    .summary = "examine the devices of this machine",
    .usage = "[OPTION]...",
    .help =
        "Examines every device: computes each operation in each type and in awkward shapes and\n"
        "compares with the CPU reference, twice, in poisoned memory; looks at subgroups, at the\n"
        "time of heavy work, and runs the model that ships. Prints a verdict per device, then\n"
        "what it found. Takes about half a minute per device.\n"
        "\n"
        "What is wrong is remembered for this build of the driver: lapilli run does without\n"
        "these kernels, and says so.\n"
        "\n"
        "  -d, --device=DEVICE   only this one: an id (vulkan:0, cpu) or a part of a name\n"
        "  -q, --quick           a quarter of it\n"
        "  -j, --json            as JSON\n"
        "  -m, --model=FILE|DIR  compare this model, not the one that ships\n"
        "      --forget          forget what was found wrong\n"
        "      --plant=FAULT     for developers: one computation is wrong, to see that it is\n"
        "                        found (NAME or NAME@NODE; list: all names)\n"
        "  -v, --verbose         say more; twice: everything\n"
        "  -h, --help            this text\n"
        "\n"
        "Exit code 0: nothing is wrong with the devices that can be used; 1: something is.\n",
    .run = run,
};
