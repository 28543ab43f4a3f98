/* Options of pictures of texts, see request.h. */
#include "request.h"

#include <string.h>

static bool parse_count(const cli_command *command, const char *name, uint32_t most,
                        uint32_t *value)
{
    uint64_t n;
    if (!cli_parse_u64(command, name, optarg, 1, most, &n))
        return false;
    *value = (uint32_t)n;
    return true;
}

static bool parse_sampler(const cli_command *command, const char **sampler)
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
    cli_usage_error(command, "--sampler: \"%s\" is none of %s", optarg, names);
    return false;
}

static bool parse_schedule(const cli_command *command, int *karras)
{
    *karras = strcmp(optarg, "karras") == 0;
    if (*karras || strcmp(optarg, "default") == 0)
        return true;
    cli_usage_error(command, "--schedule: \"%s\" is neither default nor karras", optarg);
    return false;
}

bool cli_request_option(const cli_command *command, lp_image_request *r, int id, bool *ok)
{
    enum { MOST_SIDE = 8192, MOST_STEPS = 1000 };
    switch (id) {
    case CLI_NEGATIVE:
        r->negative = optarg;
        return true;
    case 'W':
        *ok = parse_count(command, "-W", MOST_SIDE, &r->width);
        return true;
    case 'H':
        *ok = parse_count(command, "-H", MOST_SIDE, &r->height);
        return true;
    case CLI_STEPS:
        *ok = parse_count(command, "--steps", MOST_STEPS, &r->n_steps);
        return true;
    case CLI_CFG_SCALE:
        *ok = cli_parse_float(command, "--cfg-scale", optarg, 0, 1000, &r->guidance);
        return true;
    case CLI_CFG_RESCALE:
        *ok = cli_parse_float(command, "--cfg-rescale", optarg, 0, 1, &r->rescale);
        return true;
    case 's':
        *ok = cli_parse_u64(command, "-s", optarg, 0, UINT64_MAX, &r->seed);
        return true;
    case CLI_SAMPLER:
        *ok = parse_sampler(command, &r->sampler);
        return true;
    case CLI_SCHEDULE:
        *ok = parse_schedule(command, &r->karras);
        return true;
    default:
        return false;
    }
}
