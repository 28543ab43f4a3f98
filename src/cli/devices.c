/* lapilli devices: what there is, what it can do, what would be chosen. */
#include <string.h>
#include "cli.h"

/* Vulkan's packed form as people write it ("1.3.280") into `text`, 16 bytes; "" without Vulkan. */
static const char *version_text(uint32_t packed, char *text)
{
    if (packed)
        snprintf(text, 16, "%u.%u.%u", packed >> 22 & 0x7f, packed >> 12 & 0x3ff, packed & 0xfff);
    else
        *text = '\0';
    return text;
}

static int print_devices_json(lp_devices *devices, size_t chosen, const char *reason)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc), *list = yyjson_mut_arr(doc);
    yyjson_mut_doc_set_root(doc, root);
    for (size_t i = 0; i < lp_devices_count(devices); i++) {
        const lp_device_info *d = lp_devices_info(devices, i);
        char version[16];
        yyjson_mut_val *row = yyjson_mut_arr_add_obj(doc, list);
        cli_json_text(doc, row, "id", d->id);
        cli_json_text(doc, row, "name", d->name);
        cli_json_text(doc, row, "driver", d->driver);
        cli_json_text(doc, row, "type", d->type);
        yyjson_mut_obj_add_bool(doc, row, "usable", !*d->unusable);
        if (*d->unusable)
            cli_json_text(doc, row, "unusable", d->unusable);
        yyjson_mut_obj_add_bool(doc, row, "uma", d->uma);
        yyjson_mut_obj_add_bool(doc, row, "fp16", d->fp16);
        yyjson_mut_obj_add_bool(doc, row, "bf16", d->bf16);
        yyjson_mut_obj_add_bool(doc, row, "storage16", d->storage16);
        yyjson_mut_obj_add_bool(doc, row, "storage8", d->storage8);
        yyjson_mut_obj_add_bool(doc, row, "int64", d->int64);
        yyjson_mut_obj_add_bool(doc, row, "int_dot", d->int_dot);
        cli_json_text(doc, row, "matrix_cores", d->matrix_cores);
        yyjson_mut_obj_add_uint(doc, row, "subgroup_size", d->subgroup_size);
        yyjson_mut_obj_add_uint(doc, row, "subgroup_min", d->subgroup_min);
        yyjson_mut_obj_add_uint(doc, row, "subgroup_max", d->subgroup_max);
        yyjson_mut_obj_add_uint(doc, row, "shared_bytes", d->shared_bytes);
        yyjson_mut_obj_add_uint(doc, row, "memory_bytes", d->memory_bytes);
        cli_json_text(doc, row, "api_version", version_text(d->api_version, version));
    }
    yyjson_mut_obj_add_val(doc, root, "devices", list);
    if (reason) {
        cli_json_text(doc, root, "chosen", lp_devices_info(devices, chosen)->id);
        cli_json_text(doc, root, "reason", reason);
    }
    cli_json_text(doc, root, "vulkan_problem", lp_devices_vulkan_problem(devices));
    return cli_json_print(doc);
}

static const char *yes(int value)
{
    return value ? "yes" : "no";
}

static void print_device(const lp_device_info *d)
{
    char memory[16], shared[16], subgroup[40] = "-";
    printf("%s: %s", d->id, d->name);
    if (*d->driver)
        printf(" (%s)", d->driver);
    if (*d->unusable) {
        printf(" | unusable: %s\n", d->unusable);
        return;
    }
    if (d->subgroup_size) {
        if (d->subgroup_min < d->subgroup_max)
            snprintf(subgroup, sizeof(subgroup), "%u (%u-%u)", d->subgroup_size, d->subgroup_min,
                     d->subgroup_max);
        else
            snprintf(subgroup, sizeof(subgroup), "%u", d->subgroup_size);
    }
    printf(" | %s | uma %s | fp16 %s | bf16 %s | subgroup %s | shared memory %s | int dot %s | "
           "matrix cores %s | memory %s\n",
           d->type, yes(d->uma), yes(d->fp16), yes(d->bf16), subgroup,
           d->shared_bytes ? cli_bytes(d->shared_bytes, shared) : "-", yes(d->int_dot),
           *d->matrix_cores ? d->matrix_cores : "no",
           d->memory_bytes ? cli_bytes(d->memory_bytes, memory) : "-");
}

static int run(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"json", no_argument, NULL, 'j'},
        {"device", required_argument, NULL, 'd'},
        {"verbose", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    cli_options options = {&cli_devices, "jd:v", long_options, argc, argv, 0};
    bool json = false;
    int verbose = 0;
    const char *selector = NULL;
    for (int id; (id = cli_next(&options)) != CLI_NO_MORE;) {
        switch (id) {
        case 'j':
            json = true;
            break;
        case 'd':
            selector = optarg;
            break;
        case 'v':
            verbose++;
            break;
        default:
            return options.exit_code;
        }
    }
    if (optind < argc)
        return cli_usage_error(&cli_devices, "nothing is expected after the options, not \"%s\"",
                               argv[optind]);

    lp_context *ctx = cli_context(verbose);
    lp_devices *devices = NULL;
    if (!ctx)
        return CLI_FAILED;
    int code = CLI_OK;
    size_t chosen = 0;
    const char *reason = NULL;
    lp_status status = lp_devices_create(ctx, &devices);
    if (status == LP_OK && lp_devices_choose(devices, selector, &chosen, &reason) != LP_OK)
        reason = NULL;
    if (status != LP_OK) {
        code = cli_failed(ctx, status);
    } else if (json) {
        code = print_devices_json(devices, chosen, reason);
    } else {
        for (size_t i = 0; i < lp_devices_count(devices); i++)
            print_device(lp_devices_info(devices, i));
        if (*lp_devices_vulkan_problem(devices))
            printf("no Vulkan: %s\n", lp_devices_vulkan_problem(devices));
        if (reason)
            printf("chosen: %s (%s)\n", lp_devices_info(devices, chosen)->id, reason);
    }
    if (code == CLI_OK && !reason) /* the last failure is that of the choice */
        code = cli_failed(ctx, LP_E_MISSING);
    lp_devices_destroy(devices);
    lp_context_destroy(ctx);
    return code;
}

const cli_command cli_devices = {
    .name = "devices",
    .summary = "list devices, and which one would be chosen",
    .usage = "[OPTION]...",
    .help = "Lists every device in one line: what it is and can do, or why it cannot be used.\n"
            "Then says which one would be chosen: a discrete GPU before an integrated one\n"
            "before an implementation of Vulkan on the CPU before no Vulkan at all.\n"
            "\n"
            "  -d, --device=DEVICE  what this would choose: an id (vulkan:0, cpu, reference) or\n"
            "                       a part of a name; exit code 1 if there is none\n"
            "  -j, --json           as JSON\n"
            "  -v, --verbose        say more; twice: everything\n"
            "  -h, --help           this text\n",
    .run = run,
};
