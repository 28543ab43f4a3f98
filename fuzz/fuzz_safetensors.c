/* The safetensors reader on arbitrary bytes: whatever opens must be readable to its last byte. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tensor/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static volatile unsigned sink; /* keeps the reads */
    lp_context ctx = {0};
    lp_weights *weights = lp_weights_create();
    if (weights && lp_safetensors_parse(&ctx, "FILE", data, size, weights) == LP_OK) {
        for (size_t i = 0; i < lp_weights_count(weights); i++) {
            const lp_weight *weight = lp_weights_at(weights, i);
            const uint8_t *bytes = weight->data;
            sink += (unsigned)(strlen(weight->name) + strlen(weight->type));
            if (lp_weight_usable(NULL, weight) == LP_OK)
                for (uint64_t j = 0; j < weight->bytes; j += 61)
                    sink += bytes[j] + bytes[weight->bytes - 1];
        }
    }
    (void)sink;
    lp_weights_destroy(weights);
    return 0;
}
