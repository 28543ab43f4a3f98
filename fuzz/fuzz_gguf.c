/* The GGUF reader on arbitrary bytes: whatever opens must be readable to its last byte. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/gguf.h"
#include "weights_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads everything that the file promises, so that the sanitizers see where it lies. */
static unsigned read_all(const lp_gguf *gguf, lp_weights *weights)
{
    unsigned sum = 0;
    for (size_t i = 0; i < lp_gguf_count(gguf); i++) {
        char text[64], key[32] = "";
        lp_gguf_string name = lp_gguf_key(gguf, i);
        sum += (unsigned)strlen(lp_gguf_print(gguf, i, text, sizeof(text)));
        if (name.bytes >= sizeof(key))
            continue;
        memcpy(key, name.data, name.bytes);
        uint32_t u;
        float f;
        bool b;
        lp_gguf_string string;
        lp_gguf_type type;
        uint64_t n;
        sum += lp_gguf_get_u32(gguf, key, &u) + lp_gguf_get_f32(gguf, key, &f) +
               lp_gguf_get_bool(gguf, key, &b);
        if (lp_gguf_get_string(gguf, key, &string) && string.bytes)
            sum += (uint8_t)string.data[string.bytes - 1];
        if (!lp_gguf_get_array(gguf, key, &type, &n) || n > 65536)
            continue;
        for (uint64_t j = 0; j < n; j++) {
            string = lp_gguf_array_string(gguf, key, j);
            sum += string.bytes ? (uint8_t)string.data[string.bytes - 1] : 0;
        }
        float *values = malloc((size_t)n * 4 + 4);
        if (values)
            sum += lp_gguf_array_f32(gguf, key, values, n) +
                   lp_gguf_array_i32(gguf, key, (int32_t *)values, n);
        free(values);
    }
    return sum + weights_read(weights);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static volatile unsigned sink; /* keeps the reads */
    lp_context ctx = {0};
    lp_gguf *gguf = NULL;
    lp_weights *weights = lp_weights_create();
    if (weights && lp_gguf_parse(&ctx, "FILE", data, size, weights, &gguf) == LP_OK)
        sink = read_all(gguf, weights);
    lp_gguf_destroy(gguf);
    (void)sink;
    lp_weights_destroy(weights);
    return 0;
}
