/* Reads a table of weights as far as it promises to be readable, so that the sanitizers see where
 * everything lies. */
#ifndef LP_FUZZ_WEIGHTS_READ_H
#define LP_FUZZ_WEIGHTS_READ_H

#include <string.h>

#include "tensor/weights.h"

static inline unsigned weights_read(lp_weights *weights)
{
    unsigned sum = 0;
    for (size_t i = 0; i < lp_weights_count(weights); i++) {
        const lp_weight *weight = lp_weights_at(weights, i);
        const uint8_t *bytes = weight->data;
        sum += (unsigned)(strlen(weight->name) + strlen(weight->type));
        if (lp_weight_usable(NULL, weight) == LP_OK)
            for (uint64_t j = 0; j < weight->bytes; j += 61)
                sum += bytes[j] + bytes[weight->bytes - 1];
    }
    return sum;
}

#endif
