/* Mixtures of experts in config.json. Which layers have one, the weights tell. */
#include "models/config.h"

#include <string.h>

/* Experts in groups of neighbours, of which a token uses some: DeepSeek, arXiv:2405.04434. */
static lp_status read_groups(const lp_config *c, lp_route_options *route)
{
    const char *method = NULL;
    uint32_t n_groups = 1, n_used = 1;
    LP_TRY(lp_json_get_string(c->ctx, c->where, c->root, "topk_method", LP_JSON_OPTIONAL, &method));
    LP_TRY(lp_config_u32(c, "n_group", LP_JSON_OPTIONAL, &n_groups));
    LP_TRY(lp_config_u32(c, "topk_group", LP_JSON_OPTIONAL, &n_used));
    if (route->group_best == 0 || n_groups <= 1 || (method && strcmp(method, "greedy") == 0))
        return LP_OK;
    if (n_groups > INT32_MAX || n_used < 1 || n_used > n_groups)
        return lp_fail(c->ctx, LP_E_FORMAT, "%s: %u of %u groups of experts per token", c->where,
                       n_used, n_groups);
    route->n_groups = (int32_t)n_groups;
    route->n_groups_used = (int32_t)n_used;
    return LP_OK;
}

/* How scores are made follows from the kind of model; a file that says otherwise is another kind.
 */
static lp_status check_score(const lp_config *c, lp_route_score score)
{
    const char *name = NULL;
    LP_TRY(lp_json_get_string(c->ctx, c->where, c->root, "scoring_func", LP_JSON_OPTIONAL, &name));
    if (!name || strcmp(name, score == LP_ROUTE_SIGMOID ? "sigmoid" : "softmax") == 0)
        return LP_OK;
    return lp_fail(c->ctx, LP_E_UNSUPPORTED, "%s: scoring_func \"%.60s\" is not supported",
                   c->where, name);
}

lp_status lp_config_experts(const lp_config *c, lp_hparams *hp)
{
    const lp_arch *arch = hp->arch;
    uint32_t k = (uint32_t)hp->route.k, n_shared = 0;
    if (arch->route.scale == 0)
        return LP_OK;
    LP_TRY(lp_config_u32(c, "num_local_experts num_experts n_routed_experts", LP_JSON_OPTIONAL,
                         &hp->n_expert));
    LP_TRY(lp_config_u32(c, "num_experts_per_tok experts_per_token", LP_JSON_OPTIONAL, &k));
    hp->route.k = k < INT32_MAX ? (int32_t)k : INT32_MAX;
    if (arch->route_first) {
        if (k != 1) /* what they read would differ from slot to slot */
            return lp_fail(c->ctx, LP_E_UNSUPPORTED,
                           "%s: num_experts_per_tok %u of a %s model is not supported (1 is)",
                           c->where, k, arch->hf);
        hp->n_ff_expert = hp->n_ff_shared = hp->n_ff;
        LP_TRY(lp_config_u32(c, "intermediate_size_mlp", LP_JSON_REQUIRED, &hp->n_ff));
    }
    uint32_t capacity = (uint32_t)hp->route.capacity;
    if (capacity > 0) {
        LP_TRY(lp_config_u32(c, "expert_capacity", LP_JSON_OPTIONAL, &capacity));
        if (capacity == 0)
            return lp_fail(c->ctx, LP_E_FORMAT, "%s: expert_capacity is 0", c->where);
    }
    hp->route.capacity = capacity < INT32_MAX ? (int32_t)capacity : INT32_MAX;
    if (arch->norm_topk) {
        hp->route.normalise = false;
        LP_TRY(lp_config_bool(c, "norm_topk_prob", &hp->route.normalise));
    }
    LP_TRY(lp_config_positive(c, "routed_scaling_factor", &hp->route.scale));
    LP_TRY(read_groups(c, &hp->route));
    LP_TRY(check_score(c, hp->route.score));
    if (arch->glu_limit != 0)
        LP_TRY(lp_config_positive(c, "swiglu_limit", &hp->glu_limit));
    LP_TRY(lp_config_u32(c, "moe_intermediate_size", LP_JSON_OPTIONAL, &hp->n_ff_expert));
    LP_TRY(lp_config_u32(c, "n_shared_experts", LP_JSON_OPTIONAL, &n_shared));
    if (n_shared > 0)
        lp_hparams_shared_experts(hp, n_shared);
    return lp_config_u32(c, "shared_expert_intermediate_size", LP_JSON_OPTIONAL, &hp->n_ff_shared);
}
