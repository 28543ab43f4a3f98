/* lapilli image: pictures of texts; pictures through an autoencoder. */
#include "image.h"

#include <stdlib.h>
#include <string.h>

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
    NEGATIVE,
    STEPS,
    CFG_SCALE,
    CFG_RESCALE,
    SAMPLER,
    SCHEDULE,
    STRENGTH,
    MASK,
    FILMSTRIP,
    PREVIEW
};

static const struct option long_options[] = {
    {"model", required_argument, NULL, 'm'},
    {"prompt", required_argument, NULL, 'p'},
    {"negative", required_argument, NULL, NEGATIVE},
    {"width", required_argument, NULL, 'W'},
    {"height", required_argument, NULL, 'H'},
    {"steps", required_argument, NULL, STEPS},
    {"cfg-scale", required_argument, NULL, CFG_SCALE},
    {"cfg-rescale", required_argument, NULL, CFG_RESCALE},
    {"seed", required_argument, NULL, 's'},
    {"batch", required_argument, NULL, 'b'},
    {"sampler", required_argument, NULL, SAMPLER},
    {"schedule", required_argument, NULL, SCHEDULE},
    {"strength", required_argument, NULL, STRENGTH},
    {"mask", required_argument, NULL, MASK},
    {"filmstrip", required_argument, NULL, FILMSTRIP},
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

static bool parse_count(const char *name, uint32_t most, uint32_t *value)
{
    uint64_t n;
    if (!cli_parse_u64(&cli_image, name, optarg, 1, most, &n))
        return false;
    *value = (uint32_t)n;
    return true;
}

static bool parse_sampler(const char **sampler)
{
    char names[256] = "";
    for (size_t i = 0; lp_image_sampler(i); i++) {
        if (strcmp(optarg, lp_image_sampler(i)) == 0) {
            *sampler = lp_image_sampler(i);
            return true;
        }
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", i ? ", " : "",
                 lp_image_sampler(i));
    }
    cli_usage_error(&cli_image, "--sampler: \"%s\" is none of %s", optarg, names);
    return false;
}

static bool parse_schedule(int *karras)
{
    *karras = strcmp(optarg, "karras") == 0;
    if (*karras || strcmp(optarg, "default") == 0)
        return true;
    cli_usage_error(&cli_image, "--schedule: \"%s\" is neither default nor karras", optarg);
    return false;
}

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
    enum { MOST_SIDE = 8192, MOST_STEPS = 1000, MOST_PICTURES = 10000 };
    lp_image_request *r = &job->request;
    switch (id) {
    case 'p':
        r->prompt = optarg;
        return true;
    case NEGATIVE:
        r->negative = optarg;
        return true;
    case 'W':
        *ok = parse_count("-W", MOST_SIDE, &r->width);
        return true;
    case 'H':
        *ok = parse_count("-H", MOST_SIDE, &r->height);
        return true;
    case STEPS:
        *ok = parse_count("--steps", MOST_STEPS, &r->n_steps);
        return true;
    case CFG_SCALE:
        *ok = cli_parse_float(&cli_image, "--cfg-scale", optarg, 0, 1000, &r->guidance);
        return true;
    case CFG_RESCALE:
        *ok = cli_parse_float(&cli_image, "--cfg-rescale", optarg, 0, 1, &r->rescale);
        return true;
    case 's':
        job->has_seed = true;
        *ok = cli_parse_u64(&cli_image, "-s", optarg, 0, UINT64_MAX, &r->seed);
        return true;
    case 'b':
        *ok = parse_count("-b", MOST_PICTURES, &job->n_pictures);
        return true;
    case SAMPLER:
        *ok = parse_sampler(&r->sampler);
        return true;
    case SCHEDULE:
        *ok = parse_schedule(&r->karras);
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
    if (set_request(job, id, &ok))
        return ok;
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
        if (job->mask && !job->input)
            return cli_usage_error(&cli_image, "--mask needs a picture, -i");
        return CLI_OK;
    }
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
        "      --cfg-scale=X        how strongly the prompt is heeded (default 7.5; 1: no "
        "guidance)\n"
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
        "      --preview[=WAY]      show it growing; WAY: blocks, kitty, iterm, sixel (default: "
        "what\n"
        "                           the terminal can)\n"
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
