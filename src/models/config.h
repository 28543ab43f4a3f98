/* Values of a config.json by any of the names that families have for them. Errors name the file and
 * the key. */
#ifndef LP_MODELS_CONFIG_H
#define LP_MODELS_CONFIG_H

#include "base/json.h"
#include "models/hparams.h"

typedef struct lp_config {
    lp_context *ctx;
    const char *where; /* the file, and what of it */
    yyjson_val *root;
} lp_config;

/* The first of several keys, separated by " ", that `object` has with a value other than null,
 * copied to `found`; NULL if it has none of them. */
const char *lp_config_key(yyjson_val *object, const char *keys, char found[64]);

/* *value stays as it is if no key is there and none needs to be. */
lp_status lp_config_u32(const lp_config *c, const char *keys, lp_json_need need, uint32_t *value);
lp_status lp_config_f32(const lp_config *c, const char *keys, float *value);
/* The same of a number that is positive where there is one. */
lp_status lp_config_positive(const lp_config *c, const char *keys, float *value);
lp_status lp_config_bool(const lp_config *c, const char *keys, bool *value);

/* What must be so (config_require.c). An array of n numbers of 1 to `most`; n 0: any number of
 * them, which is stored; or, the second, one number for all of them, `otherwise` if the key is
 * missing. */
enum { LP_CONFIG_NUMBERS = 8 };
lp_status lp_config_numbers(const lp_config *c, const char *key, uint32_t most, uint32_t *n,
                            uint32_t numbers[LP_CONFIG_NUMBERS]);
lp_status lp_config_numbers_or_one(const lp_config *c, const char *key, uint32_t most, uint32_t n,
                                   uint32_t otherwise, uint32_t numbers[LP_CONFIG_NUMBERS]);
/* A key that, where it is there, must be this; or null or false. LP_E_UNSUPPORTED. */
lp_status lp_config_must_be(const lp_config *c, const char *key, const char *wanted);
lp_status lp_config_must_be_number(const lp_config *c, const char *key, float wanted);
lp_status lp_config_must_be_off(const lp_config *c, const char *key);

/* The config of a text model that is one of several (config_nested.c): `c` with `text_config` as
 * its root, and what that leaves out. Any other stays as it is. *doc is to be freed. */
lp_status lp_config_text(lp_config *c, yyjson_doc **doc);

/* Mixtures of experts (config_experts.c). */
lp_status lp_config_experts(const lp_config *c, lp_hparams *hp);

/* All of a model, or of one tower of it. */
lp_status lp_config_model(const lp_config *c, const lp_arch *arch, lp_hparams *hp);
/* What only models have that read pictures, or texts that go with pictures (config_picture.c). */
lp_status lp_config_picture(const lp_config *c, lp_hparams *hp);
/* A model of two towers, each with a config of its own within `c`. */
lp_status lp_config_towers(const lp_config *c, const lp_arch *arch, lp_hparams *hp);
/* ChatGLM's own keys (config_chatglm.c); RoPE is known already. */
lp_status lp_config_chatglm(const lp_config *c, lp_hparams *hp);

/* All that concerns RoPE (config_rope.c); sizes and context are known already. */
lp_status lp_config_rope(const lp_config *c, lp_hparams *hp);

#endif
