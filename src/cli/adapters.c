/* See adapters.h. */
#include "adapters.h"

#include <string.h>

bool cli_adapter_option(const cli_command *command, cli_adapters *adapters, int id, int *code)
{
    const bool scaled = id == CLI_LORA_SCALED;
    const char *const option = scaled ? "--lora-scaled" : "--lora";
    const char *path;
    float scale = 1;
    if (id != CLI_LORA && !scaled)
        return false;
    *code = CLI_USAGE;
    if (!cli_parse_name(command, option, optarg, &path))
        return true;
    if (adapters->n == CLI_MAX_ADAPTERS) {
        cli_usage_error(command, "at most %d adapters can be given", CLI_MAX_ADAPTERS);
        return true;
    }
    if (scaled) { /* behind the last colon: paths may have some, too */
        char *colon = strrchr(optarg, ':');
        if (colon == NULL || colon == optarg) {
            cli_usage_error(command, "--lora-scaled wants FILE:SCALE, not \"%s\"", optarg);
            return true;
        }
        if (!cli_parse_float(command, "SCALE of --lora-scaled", colon + 1, -1e6f, 1e6f, &scale))
            return true;
        *colon = '\0';
    }
    adapters->item[adapters->n].path = path;
    adapters->item[adapters->n++].scale = scale;
    *code = CLI_OK;
    return true;
}

lp_status cli_adapters_apply(const cli_adapters *adapters, lp_model *model)
{
    lp_status status = LP_OK;
    for (size_t i = 0; i < adapters->n && status == LP_OK; i++)
        status = lp_model_adapt(model, adapters->item[i].path, adapters->item[i].scale);
    return status;
}
