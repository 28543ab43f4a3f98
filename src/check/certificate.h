/* Certificates: what a check computed, as digests and figures, to be compared across machines.
 * certificate.c writes, certificate_read.c reads (strictly: certificates come from strangers),
 * certificate_diff.c compares. */
#ifndef LP_CHECK_CERTIFICATE_H
#define LP_CHECK_CERTIFICATE_H

#include <yyjson.h>

#include "base/context.h"

enum { LP_CERTIFICATE_SCHEMA = 1, LP_CERTIFICATE_TEXT = 4096 /* bytes of a string at most */ };

/* All strings are borrowed from the document; they have no control characters. Digests are 64 small
 * hexadecimal digits, or "" where nothing was computed. */
typedef struct lp_certificate_node {
    const char *name, *op, *type, *kernels, *digest, *finding;
    char shape[96];       /* "[19, 192]" */
    double nmse, largest; /* may be infinite or NaN */
} lp_certificate_node;

typedef struct lp_certificate_pass {
    const char *name, *digest; /* of the logits */
    uint32_t position, n_tokens;
    double nmse, kl;
    size_t n_nodes;
    lp_certificate_node *nodes;
} lp_certificate_pass;

typedef struct lp_certificate_kernel {
    const char *name, *digest;
} lp_certificate_kernel;

typedef struct lp_certificate_data {
    yyjson_doc *doc;
    const char *version, *model, *model_type, *model_digest, *tokens_digest, *conditions;
    const char *device, *driver, *vulkan, *against, *against_driver, *sentence;
    uint32_t n_tokens;
    bool agrees;
    size_t n_kernels, n_passes;
    lp_certificate_kernel *kernels;
    lp_certificate_pass *passes;
} lp_certificate_data;

/* `where` is for messages. LP_E_FORMAT, LP_E_MISSING; lp_certificate_free() also after a failure.
 */
lp_status lp_certificate_read(lp_context *ctx, const char *where, const char *text, size_t bytes,
                              lp_certificate_data *certificate);
void lp_certificate_free(lp_certificate_data *certificate);

#endif
