/* config.json: whatever is accepted must be in range, so that frequencies can be computed from it.
 */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "models/hparams.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lp_context ctx = {0};
    lp_hparams hp;
    lp_hparam facts[LP_MAX_FACTS];
    double frequencies[1024];
    if (lp_hparams_parse_config(&ctx, "FILE", (const char *)data, size, &hp) != LP_OK)
        return 0;
    const bool has_heads = hp.arch->cell == LP_CELL_NONE; /* recurrent layers have none */
    if (has_heads && (hp.n_head_kv == 0 || hp.n_head % hp.n_head_kv != 0))
        abort();
    if (lp_hparams_describe(&hp, facts) > LP_MAX_FACTS)
        abort();
    lp_rope_frequencies(&hp.rope, hp.n_context, NULL, frequencies);
    for (uint32_t i = 0; i < hp.rope.n_rotated / 2; i++)
        if (isnan(frequencies[i]))
            abort();
    return 0;
}
