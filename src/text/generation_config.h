/* How a model wants its answers searched for: generation_config.json of a folder or, without one,
 * what config.json says of it; metadata of a GGUF file. */
#ifndef LP_TEXT_GENERATION_CONFIG_H
#define LP_TEXT_GENERATION_CONFIG_H

#include "base/arena.h"
#include "models/network.h"
#include "text/beams.h"
#include "text/tokenizer.h"

typedef struct lp_generation_config lp_generation_config;
struct lp_generation_config {
    lp_search_rules rules;
    lp_search_options options;
    lp_arena arena; /* of the rules' arrays */
}; /* zero-initialise */

/* LP_E_MISSING if nothing says what a decoder starts with; LP_E_UNSUPPORTED names a setting that
 * would change the answers and is not implemented. Destroy it also after a failure. */
lp_status lp_generation_config_read(lp_context *ctx, const lp_network *network,
                                    const lp_tokenizer *tokenizer, lp_generation_config *config);
/* From the text of such a file; `where` names it. */
lp_status lp_generation_config_parse(lp_context *ctx, const char *where, const char *text,
                                     size_t bytes, lp_generation_config *config);
void lp_generation_config_destroy(lp_generation_config *config);

#endif
