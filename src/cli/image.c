/* lapilli image: pictures through an autoencoder, to latents and back. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

typedef struct settings {
    const char *model, *device;
    const char *input, *from_latents;  /* one of them */
    const char *output, *save_latents; /* at least one */
    int verbose;
    bool quiet;

    lp_context *ctx;
    lp_devices *devices;
    lp_autoencoder *autoencoder;
    lp_autoencoder_info info;
    float *latents;
    uint32_t shape[3]; /* of the latents: channels, height, width */
} settings;

/* ---- Work ---------------------------------------------------------------------------------- */

static int encode(settings *s, const lp_image *image)
{
    const uint32_t factor = s->info.factor;
    s->shape[0] = s->info.channels;
    s->shape[1] = lp_image_height(image) / factor;
    s->shape[2] = lp_image_width(image) / factor;
    s->latents = malloc((size_t)s->shape[0] * s->shape[1] * s->shape[2] * sizeof(*s->latents) + 1);
    if (!s->latents) {
        cli_error("out of memory");
        return CLI_FAILED;
    }
    const lp_status status = lp_autoencoder_encode(s->autoencoder, image, s->latents);
    return status == LP_OK ? CLI_OK : cli_failed(s->ctx, status);
}

/* Into s->latents, from a picture or a file. */
static int get_latents(settings *s)
{
    lp_status status;
    if (s->input) {
        lp_image *image = NULL;
        status = lp_image_open(s->ctx, s->input, &image);
        const int code = status == LP_OK ? encode(s, image) : cli_failed(s->ctx, status);
        lp_image_destroy(image);
        return code;
    }
    status = lp_latents_open(s->ctx, s->from_latents, &s->latents, s->shape);
    if (status != LP_OK)
        return cli_failed(s->ctx, status);
    if (s->shape[0] == s->info.channels)
        return CLI_OK;
    cli_error("%s: latents of %u channels; %s has %u", s->from_latents, s->shape[0], s->model,
              s->info.channels);
    return CLI_FAILED;
}

static int decode(settings *s)
{
    lp_image *image = NULL;
    lp_status status =
        lp_autoencoder_decode(s->autoencoder, s->latents, s->shape[1], s->shape[2], &image);
    if (status == LP_OK)
        status = lp_image_save(image, s->output);
    lp_image_destroy(image);
    return status == LP_OK ? CLI_OK : cli_failed(s->ctx, status);
}

static int save(settings *s)
{
    const lp_status status = lp_latents_save(s->ctx, s->save_latents, s->latents, s->shape);
    return status == LP_OK ? CLI_OK : cli_failed(s->ctx, status);
}

static void say(const settings *s, const char *what, double began)
{
    if (!s->quiet)
        fprintf(stderr, "lapilli: %s: %u x %u latents of %u channels, %.2f s\n", what, s->shape[2],
                s->shape[1], s->shape[0], cli_seconds() - began);
}

static int compute(settings *s)
{
    double began = cli_seconds();
    int code = get_latents(s);
    if (code == CLI_OK && s->input)
        say(s, "encoded", began);
    if (code == CLI_OK && s->save_latents && !cli_stop_signal())
        code = save(s);
    began = cli_seconds();
    if (code != CLI_OK || !s->output || cli_stop_signal())
        return code;
    code = decode(s);
    if (code == CLI_OK)
        say(s, "decoded", began);
    return code;
}

/* A half that is not there. */
static int check_halves(const settings *s)
{
    if (s->input && !s->info.encodes)
        cli_error("%s: there is no encoder in it: --from-latents has what it can decode", s->model);
    else if (s->output && !s->info.decodes)
        cli_error("%s: there is no decoder in it: --save-latents keeps what it makes", s->model);
    else
        return CLI_OK;
    return CLI_FAILED;
}

static int run_all(settings *s)
{
    size_t device = 0;
    const char *reason = NULL;
    if (!(s->ctx = cli_context(s->verbose)))
        return CLI_FAILED;
    int code = cli_choose_device(s->ctx, s->device, true, &s->devices, &device, &reason);
    if (code != CLI_OK)
        return code;
    char *cache = cli_cache_folder();
    const lp_status status =
        lp_autoencoder_open(s->devices, device, s->model, cache, &s->autoencoder);
    free(cache);
    if (status != LP_OK)
        return cli_failed(s->ctx, status);
    s->info = lp_autoencoder_describe(s->autoencoder);
    const lp_device_info *d = lp_devices_info(s->devices, device);
    if (!s->quiet)
        fprintf(stderr, "lapilli: %s on %s (%s): %s\n", s->info.kind, d->name, d->id, reason);
    code = check_halves(s);
    return code == CLI_OK ? compute(s) : code;
}

/* ---- Command line -------------------------------------------------------------------------- */

enum { FROM_LATENTS = CLI_LONG_ONLY, SAVE_LATENTS };

static const struct option long_options[] = {
    {"model", required_argument, NULL, 'm'},
    {"image", required_argument, NULL, 'i'},
    {"from-latents", required_argument, NULL, FROM_LATENTS},
    {"output", required_argument, NULL, 'o'},
    {"save-latents", required_argument, NULL, SAVE_LATENTS},
    {"device", required_argument, NULL, 'd'},
    {"quiet", no_argument, NULL, 'q'},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

/* One option; false with a message. */
static bool set_option(settings *s, int id)
{
    switch (id) {
    case 'm':
        return cli_parse_name(&cli_image, "-m", optarg, &s->model);
    case 'i':
        return cli_parse_name(&cli_image, "-i", optarg, &s->input);
    case 'o':
        return cli_parse_name(&cli_image, "-o", optarg, &s->output);
    case FROM_LATENTS:
        return cli_parse_name(&cli_image, "--from-latents", optarg, &s->from_latents);
    case SAVE_LATENTS:
        return cli_parse_name(&cli_image, "--save-latents", optarg, &s->save_latents);
    case 'd':
        s->device = optarg;
        return true;
    case 'q':
        return s->quiet = true;
    default: /* 'v': getopt returns nothing else */
        s->verbose++;
        return true;
    }
}

static int check_settings(const settings *s)
{
    if (!s->model)
        return cli_usage_error(&cli_image, "-m DIR is missing");
    if (!s->input == !s->from_latents)
        return cli_usage_error(&cli_image, "either -i PICTURE or --from-latents FILE is needed");
    if (!s->output && !s->save_latents)
        return cli_usage_error(&cli_image, "-o PNG or --save-latents FILE is missing");
    return CLI_OK;
}

static int run(int argc, char **argv)
{
    cli_options options = {&cli_image, "m:i:o:d:qv", long_options, argc, argv, 0};
    settings s = {0};
    for (int id; (id = cli_next(&options)) != CLI_NO_MORE;) {
        if (id == CLI_END_NOW)
            return options.exit_code;
        if (!set_option(&s, id))
            return CLI_USAGE;
    }
    if (optind < argc)
        return cli_usage_error(&cli_image, "\"%s\" is no option", argv[optind]);
    int code = check_settings(&s);
    if (code == CLI_OK && !cli_stop_signal())
        code = run_all(&s);
    free(s.latents);
    lp_autoencoder_destroy(s.autoencoder);
    lp_devices_destroy(s.devices);
    lp_context_destroy(s.ctx);
    return code;
}

const cli_command cli_image = {
    .name = "image",
    .summary = "encode and decode pictures with an autoencoder",
    .usage = "[OPTION]... -m DIR {-i PICTURE | --from-latents FILE} {-o PNG | --save-latents FILE}",
    .help =
        "Makes latents of a picture, the numbers that diffusion models work on, and a picture of\n"
        "latents. With -i and -o both: what is left of the picture.\n"
        "\n"
        "  -m, --model=DIR          folder of an autoencoder: of diffusers (AutoencoderKL,\n"
        "                           AutoencoderTiny), or TAESD's encoder.safetensors and\n"
        "                           decoder.safetensors\n"
        "  -i, --image=PICTURE      PNG, JPEG, BMP or PNM; its sides must be multiples of the\n"
        "                           model's factor, usually 8\n"
        "      --from-latents=FILE  safetensors, \"latents\" [1, channels, height, width]\n"
        "  -o, --output=PNG         the picture that is decoded\n"
        "      --save-latents=FILE  the latents\n"
        "  -d, --device=DEVICE      an id (vulkan:0, cpu, reference) or a part of a name\n"
        "  -q, --quiet              nothing but errors\n"
        "  -v, --verbose            say more; twice: everything\n"
        "  -h, --help               this text\n",
    .run = run,
};
