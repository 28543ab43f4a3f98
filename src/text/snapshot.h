/* A session on disk: its tokens with their keys and values, so that a prompt need not be computed
 * again. docs/LONG-TEXTS.md has the format.
 *
 * A file belongs to a model (its fingerprint), to a type of keys and values, and to the shapes of
 * its caches, but to no device and no length of context. Whatever else it is, it is refused with
 * one line, before anything is taken from it; SHA-256 finds damage. Who writes files on purpose can
 * write any numbers into them: those that are not finite are found where logits are made of them.
 */
#ifndef LP_TEXT_SNAPSHOT_H
#define LP_TEXT_SNAPSHOT_H

#include "text/runner.h"

#define LP_SNAPSHOT_NAME 64 /* bytes of a cache's name, with the end */

/* One cache of a file. */
typedef struct lp_snapshot_cache {
    char name[LP_SNAPSHOT_NAME];
    char type[8];             /* as in lp_dtype_table */
    uint32_t n_dims, dims[3]; /* of a token's row */
    uint64_t row_bytes;
    uint64_t at; /* of row 0 in the file */
} lp_snapshot_cache;

/* What a file holds, checked to be whole; its digest is not looked at. */
typedef struct lp_snapshot {
    uint32_t n_tokens, n_caches;
    uint64_t tokens_at, digest_at;
    const uint8_t *data;        /* borrowed */
    const uint8_t *fingerprint; /* [32] */
    lp_snapshot_cache *caches;  /* [n_caches], malloc'ed */
} lp_snapshot;

/* `where` names the file in messages. LP_E_FORMAT, LP_E_UNSUPPORTED for another version. */
lp_status lp_snapshot_parse(lp_context *ctx, const char *where, const uint8_t *data, size_t bytes,
                            lp_snapshot *snapshot);
int32_t lp_snapshot_token(const lp_snapshot *snapshot, uint32_t i);

/* Computes what was fed, and writes everything, whole or not at all. */
lp_status lp_runner_save(lp_runner *runner, const char *path);
/* Takes over the keys and values of the longest beginning that the runner's tokens and the file's
 * have in common; a runner without tokens takes over all. *n_common: how long that is. */
lp_status lp_runner_load(lp_runner *runner, const char *path, uint32_t *n_common);

#endif
