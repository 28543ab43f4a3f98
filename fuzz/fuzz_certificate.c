/* Certificates: whatever can be read is the same as itself, and can be compared with another one.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HASH "0000000000000000000000000000000000000000000000000000000000000000"

/* Model and text of the certificates in the corpus, so that comparing goes on to the nodes. */
static const char other[] =
    "{\"certificate\":1,\"lapilli\":\"0\",\"model\":{\"title\":\"m\",\"type\":\"F32\",\"sha256\":"
    "\"" HASH "\"},\"tokens\":{\"count\":1,\"sha256\":\"" HASH
    "\"},\"conditions\":\"c\",\"device\":{\"name\":"
    "\"d\",\"driver\":\"\",\"vulkan\":\"\"},\"against\":{\"name\":\"r\",\"driver\":\"\"},"
    "\"agrees\":true,"
    "\"verdict\":\"v\",\"kernels\":[{\"name\":\"norm\",\"sha256\":\"" HASH
    "\"}],\"passes\":[{\"name\":"
    "\"prompt\",\"position\":0,\"tokens\":1,\"sha256\":\"\",\"nmse\":0,\"kl\":\"inf\",\"nodes\":[{"
    "\"name\":"
    "\"blk.0\",\"op\":\"norm\",\"type\":\"\",\"kernels\":\"norm\",\"shape\":[1,8],\"sha256\":"
    "\"" HASH "\",\"nmse\":0,\"largest\":0,\"finding\":\"\"}]}]}";

static int compare(const char *a, const char *b, int *same)
{
    lp_context ctx = {0};
    char *text = NULL;
    const int read = lp_certificate_diff(&ctx, "A", a, "B", b, same, &text) == LP_OK;
    if (read != (text != NULL) || (!read && !*ctx.message))
        abort();
    free(text);
    return read;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int same, read;
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    read = compare(text, text, &same);
    if (compare(text, other, &same) != read || compare(other, text, &same) != read)
        abort();
    free(text);
    return 0;
}
