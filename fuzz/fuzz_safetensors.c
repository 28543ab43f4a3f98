/* The safetensors reader on arbitrary bytes: whatever opens must be readable to its last byte. */
#include <stddef.h>
#include <stdint.h>

#include "tensor/safetensors.h"
#include "weights_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static volatile unsigned sink; /* keeps the reads */
    lp_context ctx = {0};
    lp_weights *weights = lp_weights_create();
    if (weights && lp_safetensors_parse(&ctx, "FILE", data, size, weights) == LP_OK)
        sink = weights_read(weights);
    (void)sink;
    lp_weights_destroy(weights);
    return 0;
}
