/* lapilli image: pictures of texts; pictures through an autoencoder. */
#include "image.h"

#include <stdlib.h>
#include <string.h>

#include "request.h"

int cli_image_begin(cli_image_job *job)
{
    if (!(job->ctx = cli_context(job->verbose)))
        return CLI_FAILED;
    return cli_choose_device(job->ctx, job->device, true, &job->devices, &job->device_index,
                             &job->device_reason);
}

void cli_image_say_device(const cli_image_job *job, const char *model)
{
    const lp_device_info *d = lp_devices_info(job->devices, job->device_index);
    if (!job->quiet)
        fprintf(stderr, "lapilli: %s on %s (%s): %s\n", model, d->name, d->id, job->device_reason);
}

/* ---- Options ------------------------------------------------------------------------------- */

enum {
    FROM_LATENTS = CLI_LONG_ONLY,
    SAVE_LATENTS,
    STRENGTH,
    MASK,
    FILMSTRIP,
    ATTENTION,
    PREVIEW,
    WORKAROUND
};

static const struct option long_options[] = {
    {"model", required_argument, NULL, 'm'},
    {"prompt", required_argument, NULL, 'p'},
    CLI_REQUEST_OPTIONS,
    {"batch", required_argument, NULL, 'b'},
    {"strength", required_argument, NULL, STRENGTH},
    {"mask", required_argument, NULL, MASK},
    {"filmstrip", required_argument, NULL, FILMSTRIP},
    {"attention", required_argument, NULL, ATTENTION},
    {"workaround", required_argument, NULL, WORKAROUND},
    {"preview", optional_argument, NULL, PREVIEW},
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

static bool parse_preview(cli_preview *preview)
{
    *preview = cli_preview_best();
    if (!optarg || cli_preview_parse(optarg, preview))
        return true;
    cli_usage_error(&cli_image, "--preview: \"%s\" is none of blocks, kitty, iterm, sixel", optarg);
    return false;
}

/* Options of pictures of texts; *ok: whether it makes sense. False for another option. */
static bool set_request(cli_image_job *job, int id, bool *ok)
{
    enum { MOST_PICTURES = 10000 };
    lp_image_request *r = &job->request;
    uint64_t n = 0;
    job->has_seed |= id == 's';
    job->has_guidance |= id == CLI_CFG_SCALE;
    if (cli_request_option(&cli_image, r, id, ok))
        return true;
    switch (id) {
    case 'p':
        r->prompt = optarg;
        return true;
    case 'b':
        *ok = cli_parse_u64(&cli_image, "-b", optarg, 1, MOST_PICTURES, &n);
        job->n_pictures = (uint32_t)n;
        return true;
    case STRENGTH:
        *ok = cli_parse_float(&cli_image, "--strength", optarg, 0, 1, &r->strength);
        return true;
    case MASK:
        *ok = cli_parse_name(&cli_image, "--mask", optarg, &job->mask);
        return true;
    case FILMSTRIP:
        *ok = cli_parse_name(&cli_image, "--filmstrip", optarg, &job->filmstrip);
        return true;
    case ATTENTION:
        job->attention = optarg;
        r->looks = 1;
        return true;
    case WORKAROUND:
        *ok = cli_parse_name(&cli_image, "--workaround", optarg, &job->workaround);
        return true;
    case PREVIEW:
        *ok = parse_preview(&job->preview);
        return true;
    default:
        return false;
    }
}

/* One option; false with a message. */
static bool set_option(cli_image_job *job, int id)
{
    bool ok = true;
    if (set_request(job, id, &ok)) {
        job->asks |= id != 'p';
        job->has_strength |= id == STRENGTH;
        return ok;
    }
    switch (id) {
    case 'm':
        return cli_parse_name(&cli_image, "-m", optarg, &job->model);
    case 'i':
        return cli_parse_name(&cli_image, "-i", optarg, &job->input);
    case 'o':
        return cli_parse_name(&cli_image, "-o", optarg, &job->output);
    case FROM_LATENTS:
        return cli_parse_name(&cli_image, "--from-latents", optarg, &job->from_latents);
    case SAVE_LATENTS:
        return cli_parse_name(&cli_image, "--save-latents", optarg, &job->save_latents);
    case 'd':
        job->device = optarg;
        return true;
    case 'q':
        return job->quiet = true;
    default: /* 'v': getopt returns nothing else */
        job->verbose++;
        return true;
    }
}

static int check_settings(const cli_image_job *job)
{
    if (job->request.prompt) {
        if (job->from_latents || job->save_latents)
            return cli_usage_error(&cli_image,
                                   "-p goes with neither --from-latents nor --save-latents");
        if (job->filmstrip && job->n_pictures > 1)
            return cli_usage_error(&cli_image, "--filmstrip is of one picture, without -b");
        if ((job->mask || job->has_strength) && !job->input)
            return cli_usage_error(&cli_image, "%s needs a picture, -i",
                                   job->mask ? "--mask" : "--strength");
        return CLI_OK;
    }
    if (job->asks)
        return cli_usage_error(&cli_image, "-p PROMPT is missing: one of the options is about "
                                           "pictures of texts");
    if (!job->model)
        return cli_usage_error(&cli_image, "-p PROMPT is missing, or -m DIR of an autoencoder");
    if (!job->input == !job->from_latents)
        return cli_usage_error(&cli_image, "-p PROMPT is missing; without it either -i PICTURE or "
                                           "--from-latents FILE is needed");
    if (!job->output && !job->save_latents)
        return cli_usage_error(&cli_image, "-o PNG or --save-latents FILE is missing");
    return CLI_OK;
}

static int run(int argc, char **argv)
{
    static const lp_image_request usual = LP_IMAGE_REQUEST_DEFAULT;
    cli_options options = {&cli_image, "m:p:W:H:s:b:i:o:d:qv", long_options, argc, argv, 0};
    cli_image_job job = {.request = usual, .n_pictures = 1};
    for (int id; (id = cli_next(&options)) != CLI_NO_MORE;) {
        if (id == CLI_END_NOW)
            return options.exit_code;
        if (!set_option(&job, id))
            return CLI_USAGE;
    }
    if (optind < argc)
        return cli_usage_error(&cli_image, "\"%s\" is no option", argv[optind]);
    int code = check_settings(&job);
    if (code == CLI_OK && !cli_stop_signal())
        code = job.request.prompt ? cli_image_make(&job) : cli_image_code(&job);
    lp_devices_destroy(job.devices);
    lp_context_destroy(job.ctx);
    return code;
}

const cli_command cli_image = {
    .name = "image",
    .summary = "make pictures of texts; encode and decode pictures",
    .usage = "[OPTION]... -p PROMPT [-m DIR] [-i PICTURE] [-o PNG]\n"
             "       lapilli image [OPTION]... -m DIR {-i PICTURE | --from-latents FILE} {-o PNG | "
             "--save-latents FILE}",
    .help =
        "With a prompt: makes a picture of it, by a folder of a StableDiffusionPipeline of "
        "diffusers.\n"
        "Ctrl-C leaves the picture that the latest step seemed to lead to.\n"
        "\n"
        "  -m, --model=DIR          the folder (default: the small model that ships, of emoji)\n"
        "  -p, --prompt=TEXT        what shall be seen\n"
        "      --negative=TEXT      what shall not\n"
        "  -W, --width=N, -H, --height=N\n"
        "                           pixels (default: those of -i, or what the model is made for)\n"
        "      --steps=N            (default 20)\n"
        "      --cfg-scale=X        how strongly the prompt is heeded (default 7.5, of the model that\n"
        "                           ships 2; 1: no guidance)\n"
        "      --cfg-rescale=X      0 to 1: against pictures that are too bright (default 0)\n"
        "  -s, --seed=N             the same seed, the same noise, on every device\n"
        "  -b, --batch=N            so many pictures, of this seed and the following ones\n"
        "      --sampler=NAME       ddim, ddpm, euler, euler-ancestral, pndm, dpm++2m (default: "
        "the "
        "folder's)\n"
        "      --schedule=NAME      default or karras\n"
        "  -i, --image=PICTURE      begin with this picture instead of noise\n"
        "      --strength=X         how much of it may change, up to 1 (default 0.8)\n"
        "      --mask=PICTURE       where it may change: white\n"
        "  -o, --output=PNG         (default out.png); what made it is written into it, see "
        "inspect\n"
        "      --filmstrip=PNG      all steps side by side: the noisy latents, and below them the\n"
        "                           picture that each seemed to lead to\n"
        "      --attention=WORD     also OUTPUT-attention.png: where cross-attention looks for "
        "that word of\n"
        "                           the prompt, over the picture\n"
        "      --preview[=WAY]      show it growing; WAY: blocks, kitty, iterm, sixel (default: "
        "what\n"
        "                           the terminal can)\n"
        "      --workaround=FILE    what lapilli check wrote for this device and driver\n"
        "\n"
        "Without a prompt: makes latents of a picture, the numbers that diffusion models work on, "
        "and a\n"
        "picture of latents. With -i and -o both: what is left of the picture.\n"
        "\n"
        "  -m, --model=DIR          folder of an autoencoder: of diffusers (AutoencoderKL,\n"
        "                           AutoencoderTiny), or TAESD's encoder.safetensors and\n"
        "                           decoder.safetensors\n"
        "  -i, --image=PICTURE      PNG, JPEG, BMP or PNM; its sides must be multiples of the\n"
        "                           model's factor, usually 8\n"
        "      --from-latents=FILE  safetensors, \"latents\" [1, channels, height, width]\n"
        "  -o, --output=PNG         the picture that is decoded\n"
        "      --save-latents=FILE  the latents\n"
        "\n"
        "Both:\n"
        "  -d, --device=DEVICE      an id (vulkan:0, cpu, reference) or a part of a name\n"
        "  -q, --quiet              nothing but errors\n"
        "  -v, --verbose            say more; twice: everything\n"
        "  -h, --help               this text\n",
    .run = run,
};
