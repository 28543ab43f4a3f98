/* adapter_config.json of a folder that Hugging Face's PEFT wrote. What it says about the numbers is
 * read; a setting that would change them in a way that is not implemented is refused by name, also
 * one that was not known when this was written. */
#ifndef LP_MODELS_ADAPTER_PEFT_H
#define LP_MODELS_ADAPTER_PEFT_H

#include <yyjson.h>

#include "base/context.h"

typedef struct lp_peft_config {
    char *path; /* of the file, for messages */
    yyjson_doc *doc;
    yyjson_val *ranks, *alphas; /* objects, by module; NULL: none */
    uint32_t rank;
    float alpha;
    bool stabilised; /* alpha / sqrt(r) */
} lp_peft_config;

/* lp_peft_config_close() it, also after a failure. */
lp_status lp_peft_config_open(lp_context *ctx, const char *folder, lp_peft_config *config);
void lp_peft_config_close(lp_peft_config *config);

/* alpha / r of a module ("model.layers.3.self_attn.q_proj") whose matrices have rank `rank`;
 * LP_E_SHAPE if the file says that they have another one. */
lp_status lp_peft_factor(lp_context *ctx, const lp_peft_config *config, const char *module,
                         int64_t rank, float *factor);

#endif
