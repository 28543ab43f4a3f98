/* What the config.json of ChatGLM says and no other's. Its authors' code computes it; two
 * generations share a model_type. */
#include <string.h>

#include "models/config.h"

/* A setting that would change the numbers and is not there in any published model. */
static lp_status refuse(const lp_config *c, const char *key, bool refused)
{
    bool value = !refused;
    LP_TRY(lp_config_bool(c, key, &value));
    if (value != refused)
        return LP_OK;
    return lp_fail(c->ctx, LP_E_UNSUPPORTED, "%s: %s %s is not supported", c->where, key,
                   refused ? "true" : "false");
}

/* Learned prefixes of keys and values (P-Tuning v2) and integer weights. */
static lp_status refuse_number(const lp_config *c, const char *key)
{
    uint32_t value = 0;
    LP_TRY(lp_config_u32(c, key, LP_JSON_OPTIONAL, &value));
    if (value == 0)
        return LP_OK;
    return lp_fail(c->ctx, LP_E_UNSUPPORTED, "%s: %s %u is not supported", c->where, key, value);
}

/* ChatGLM-6B: of which tokens the places tell where the answer begins. */
static lp_status read_first(const lp_config *c, lp_hparams *hp)
{
    lp_prefix_hparams *p = &hp->prefix;
    LP_TRY(refuse(c, "position_encoding_2d", false));
    LP_TRY(lp_config_u32(c, "bos_token_id", LP_JSON_REQUIRED, &p->start));
    LP_TRY(lp_config_u32(c, "gmask_token_id", LP_JSON_REQUIRED, &p->blanks[0]));
    p->blanks[1] = p->blanks[0];
    return lp_config_u32(c, "mask_token_id", LP_JSON_OPTIONAL, &p->blanks[1]);
}

/* ChatGLM 2 and 3, GLM-4: longer contexts have a larger base. */
static lp_status read_second(const lp_config *c, lp_hparams *hp)
{
    static const char *const keys[] = {"multi_query_attention", "rmsnorm", "original_rope",
                                       "post_layer_norm"};
    float ratio = 1;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        LP_TRY(refuse(c, keys[i], false));
    LP_TRY(lp_config_positive(c, "rope_ratio", &ratio));
    hp->rope.base *= ratio;
    return LP_OK;
}

lp_status lp_config_chatglm(const lp_config *c, lp_hparams *hp)
{
    if (strcmp(hp->arch->hf, "chatglm") != 0)
        return LP_OK;
    LP_TRY(refuse_number(c, "pre_seq_len"));
    LP_TRY(refuse_number(c, "quantization_bit"));
    return hp->arch->prefix ? read_first(c, hp) : read_second(c, hp);
}
