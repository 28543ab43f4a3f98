/* Prompt caches: whatever is accepted lies within the file. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "text/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lp_context ctx = {0};
    lp_snapshot s;
    uint64_t sum = 0;
    if (lp_snapshot_parse(&ctx, "FILE", data, size, &s) != LP_OK)
        return 0;
    for (uint32_t i = 0; i < s.n_tokens; i++)
        sum += (uint32_t)lp_snapshot_token(&s, i);
    for (uint32_t i = 0; i < s.n_caches; i++)
        for (uint64_t k = 0; k < s.n_tokens * s.caches[i].row_bytes; k++)
            sum += data[s.caches[i].at + k];
    for (int i = 0; i < 32; i++)
        sum += (uint64_t)s.fingerprint[i] + data[s.digest_at + (uint64_t)i];
    free(s.caches);
    if (sum == UINT64_MAX) /* impossible: so that every byte is read */
        abort();
    return 0;
}
