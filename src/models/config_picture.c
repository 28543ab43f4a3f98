/* Pictures in config.json: sizes of patches, labels, and the two towers of CLIP. */
#include "models/config.h"

#include <stdio.h>
#include <string.h>

enum { MAX_SIDE = 1 << 14, MAX_PATCH = 128, MAX_TOKENS = 1 << 16 };

static lp_status check_picture(const lp_config *c, const lp_picture_hparams *p)
{
    if (p->channels != 3)
        return lp_fail(c->ctx, LP_E_UNSUPPORTED, "%s: num_channels is %u; 3 is supported", c->where,
                       p->channels);
    if (p->patch < 1 || p->patch > MAX_PATCH || p->size < p->patch || p->size > MAX_SIDE)
        return lp_fail(c->ctx, LP_E_LIMIT,
                       "%s: pictures of %u pixels in patches of %u; patches of 1 to %d in pictures "
                       "of up to %d are possible",
                       c->where, p->size, p->patch, MAX_PATCH, MAX_SIDE);
    if (p->size % p->patch)
        return lp_fail(c->ctx, LP_E_UNSUPPORTED,
                       "%s: pictures of %u pixels are no whole number of patches of %u", c->where,
                       p->size, p->patch);
    if (lp_picture_tokens(p) > MAX_TOKENS)
        return lp_fail(c->ctx, LP_E_LIMIT, "%s: %u tokens of a picture; up to %d are possible",
                       c->where, lp_picture_tokens(p), MAX_TOKENS);
    return LP_OK;
}

/* How many labels there are: those that have a name, or as many as are said; 2 without either. */
static lp_status read_labels(const lp_config *c, uint32_t *n)
{
    yyjson_val *names = NULL;
    *n = 2;
    LP_TRY(lp_config_u32(c, "num_labels", LP_JSON_OPTIONAL, n));
    LP_TRY(lp_json_get_object(c->ctx, c->where, c->root, "id2label", LP_JSON_OPTIONAL, &names));
    if (yyjson_obj_size(names) > 0)
        *n = yyjson_obj_size(names) < UINT32_MAX ? (uint32_t)yyjson_obj_size(names) : UINT32_MAX;
    return LP_OK;
}

/* The pooler of later versions of the library can be another than the paper's. */
static lp_status refuse_other_pooler(const lp_config *c, const lp_hparams *hp)
{
    const char *act = "tanh";
    uint32_t n = hp->n_embd;
    LP_TRY(lp_json_get_string(c->ctx, c->where, c->root, "pooler_act", LP_JSON_OPTIONAL, &act));
    LP_TRY(lp_config_u32(c, "pooler_output_size", LP_JSON_OPTIONAL, &n));
    if (strcmp(act, "tanh") == 0 && n == hp->n_embd)
        return LP_OK;
    return lp_fail(c->ctx, LP_E_UNSUPPORTED,
                   "%s: a pooler with \"%.60s\" that makes %u of %u is not supported", c->where,
                   act, n, hp->n_embd);
}

lp_status lp_config_picture(const lp_config *c, lp_hparams *hp)
{
    const lp_arch_sizes *sizes = hp->arch->sizes;
    if (sizes == NULL)
        return LP_OK;
    hp->n_projected = sizes->n_projected;
    hp->end_token = sizes->end_token;
    if (hp->n_projected > 0)
        LP_TRY(lp_config_u32(c, "projection_dim", LP_JSON_OPTIONAL, &hp->n_projected));
    if (hp->n_projected > 1u << 17)
        return lp_fail(c->ctx, LP_E_LIMIT, "%s: projection_dim is %u; up to %u is possible",
                       c->where, hp->n_projected, 1u << 17);
    if (sizes->picture.patch == 0) {
        LP_TRY(lp_config_u32(c, "eos_token_id", LP_JSON_OPTIONAL, &hp->end_token));
        /* the first files hold a wrong number; the library knows them by it */
        hp->ends_at_largest = hp->end_token == 2;
        return LP_OK;
    }
    hp->picture = sizes->picture;
    LP_TRY(lp_config_u32(c, "image_size", LP_JSON_OPTIONAL, &hp->picture.size));
    LP_TRY(lp_config_u32(c, "patch_size", LP_JSON_OPTIONAL, &hp->picture.patch));
    LP_TRY(lp_config_u32(c, "num_channels", LP_JSON_OPTIONAL, &hp->picture.channels));
    LP_TRY(check_picture(c, &hp->picture));
    hp->n_context = lp_picture_tokens(&hp->picture);
    LP_TRY(refuse_other_pooler(c, hp));
    return read_labels(c, &hp->n_vocab);
}

/* The library takes NAME_dict, of the first files, in place of NAME where it is there. */
static lp_status read_tower(const lp_config *c, const char *name, const char *kind, lp_hparams *hp)
{
    char where[512], other[32];
    yyjson_val *root = NULL;
    snprintf(other, sizeof other, "%s_dict", name);
    LP_TRY(lp_json_get_object(c->ctx, c->where, c->root, other, LP_JSON_OPTIONAL, &root));
    if (root == NULL)
        LP_TRY(lp_json_get_object(c->ctx, c->where, c->root, name, LP_JSON_REQUIRED, &root));
    snprintf(where, sizeof where, "%s: %s", c->where, name);
    const lp_config inner = {c->ctx, where, root};
    return lp_config_model(&inner, lp_arch_find_hf(kind), hp);
}

lp_status lp_config_towers(const lp_config *c, const lp_arch *arch, lp_hparams *hp)
{
    lp_hparams vision;
    LP_TRY(read_tower(c, "text_config", arch->text_tower, hp));
    LP_TRY(read_tower(c, "vision_config", arch->vision_tower, &vision));
    hp->arch = arch;
    hp->vision = (lp_vision_hparams){.n_layer = vision.n_layer,
                                     .n_embd = vision.n_embd,
                                     .n_head = vision.n_head,
                                     .n_ff = vision.n_ff,
                                     .norm_eps = vision.norm_eps,
                                     .act = vision.act,
                                     .picture = vision.picture};
    hp->n_projected = arch->sizes->n_projected;
    LP_TRY(lp_config_u32(c, "projection_dim", LP_JSON_OPTIONAL, &hp->n_projected));
    if (hp->n_projected < 1 || hp->n_projected > 1u << 17)
        return lp_fail(c->ctx, LP_E_LIMIT, "%s: projection_dim is %u; 1 to %u is possible",
                       c->where, hp->n_projected, 1u << 17);
    return LP_OK;
}
