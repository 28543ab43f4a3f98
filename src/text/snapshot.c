/* Sessions on disk: see snapshot.h. All numbers are little-endian.
 *
 *   8  "lapilli" 0x1a            4  version, 1              4  tokens N         4  caches M
 *   4  zero                      8  bytes of the file      32  fingerprint of the model
 *   M x 104: name [64], type [8], dimensions of a row 4 + [3] 4, zero 4, bytes of a row 8, zero 4
 *   N x 4: tokens                M x N rows                32  SHA-256 of all before */
#include "text/snapshot.h"

#include <inttypes.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

#define MAGIC      "lapilli\x1a"
#define VERSION    1u
#define HEAD       64u  /* bytes */
#define ENTRY      104u /* bytes */
#define MAX_CACHES 65536u
#define PIECE      ((uint64_t)4 << 20) /* bytes read from the device at once */

static void put(uint8_t *to, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> 8 * i);
}

static uint64_t get(const uint8_t *from, int bytes)
{
    uint64_t value = 0;
    for (int i = bytes; i-- > 0;)
        value = value << 8 | from[i];
    return value;
}

/* ---- Reading ------------------------------------------------------------------------------- */

static lp_status read_entry(lp_context *ctx, const char *where, const uint8_t *from,
                            lp_snapshot_cache *cache)
{
    memcpy(cache->name, from, LP_SNAPSHOT_NAME);
    memcpy(cache->type, from + 64, sizeof cache->type);
    cache->n_dims = (uint32_t)get(from + 72, 4);
    for (int i = 0; i < 3; i++)
        cache->dims[i] = (uint32_t)get(from + 76 + 4 * i, 4);
    cache->row_bytes = get(from + 92, 8);
    if (cache->name[LP_SNAPSHOT_NAME - 1] != 0 || cache->type[sizeof cache->type - 1] != 0 ||
        cache->n_dims < 1 || cache->n_dims > 3 || get(from + 88, 4) != 0 ||
        get(from + 100, 4) != 0 || cache->row_bytes == 0 || cache->row_bytes > UINT32_MAX)
        return lp_fail(ctx, LP_E_FORMAT, "%s: the table of caches is damaged", where);
    return LP_OK;
}

lp_status lp_snapshot_parse(lp_context *ctx, const char *where, const uint8_t *data, size_t bytes,
                            lp_snapshot *s)
{
    lp_status status = LP_OK;
    *s = (lp_snapshot){.data = data};
    if (bytes < 8 || memcmp(data, MAGIC, 8) != 0)
        return lp_fail(ctx, LP_E_FORMAT, "%s: not a prompt cache that lapilli wrote", where);
    if (bytes < HEAD)
        return lp_fail(ctx, LP_E_FORMAT, "%s: ends within its head", where);
    uint32_t version = (uint32_t)get(data + 8, 4);
    if (version != VERSION)
        return lp_fail(ctx, LP_E_UNSUPPORTED, "%s: version %u of the format, not %u", where,
                       version, VERSION);
    s->n_tokens = (uint32_t)get(data + 12, 4);
    s->n_caches = (uint32_t)get(data + 16, 4);
    s->fingerprint = data + 32;
    uint64_t whole = get(data + 24, 8);
    if (s->n_tokens > LP_MAX_CONTEXT || s->n_caches > MAX_CACHES || get(data + 20, 4) != 0)
        return lp_fail(ctx, LP_E_FORMAT, "%s: its head is damaged", where);
    if (whole != bytes)
        return lp_fail(ctx, LP_E_FORMAT, "%s: %" PRIu64 " bytes expected, the file has %zu", where,
                       whole, bytes);
    /* Counts are small, so that no sum below can overflow. */
    s->tokens_at = HEAD + (uint64_t)s->n_caches * ENTRY;
    uint64_t at = s->tokens_at + 4ull * s->n_tokens;
    if (at > bytes)
        return lp_fail(ctx, LP_E_FORMAT, "%s: too short for %u tokens in %u caches", where,
                       s->n_tokens, s->n_caches);
    s->caches = calloc(s->n_caches + 1, sizeof *s->caches);
    if (s->caches == NULL)
        return lp_fail_memory(ctx, where);
    for (uint32_t i = 0; i < s->n_caches; i++) {
        LP_CHECK(read_entry(ctx, where, data + HEAD + i * ENTRY, &s->caches[i]));
        s->caches[i].at = at;
        at += s->n_tokens * s->caches[i].row_bytes; /* < 2^58 */
        if (at > bytes) {
            status = lp_fail(ctx, LP_E_FORMAT, "%s: too short for the rows of %s", where,
                             s->caches[i].name);
            goto cleanup;
        }
    }
    s->digest_at = at;
    if (at + SHA256_DIGEST_SIZE != bytes)
        status = lp_fail(ctx, LP_E_FORMAT, "%s: %zu bytes, but what its head tells has %" PRIu64,
                         where, bytes, at + SHA256_DIGEST_SIZE);
cleanup:
    if (status != LP_OK) {
        free(s->caches);
        s->caches = NULL;
    }
    return status;
}

int32_t lp_snapshot_token(const lp_snapshot *s, uint32_t i)
{
    return (int32_t)(uint32_t)get(s->data + s->tokens_at + 4ull * i, 4);
}

/* ---- What belongs together ------------------------------------------------------------------ */

/* The session's caches have a row per token. Other states than those and the session's own few
 * words could not be cut where two texts part. */
static lp_status next_cache(lp_runner *runner, uint32_t *slot, bool *found)
{
    const lp_store *store = lp_runner_store(runner);
    *found = false;
    if (lp_runner_network(runner)->hparams.encoder.n_layer > 0)
        return lp_fail(lp_runner_backend(runner)->ctx, LP_E_UNSUPPORTED,
                       "sessions of encoder-decoders cannot be saved");
    for (; *slot < store->n_slots && !*found; ++*slot) {
        const lp_slot *s = &store->slots[*slot];
        if (s->kind != LP_SLOT_STATE || s->shape.n < 2)
            continue;
        if (s->shape.dim[0] != (int64_t)lp_runner_n_ctx(runner) ||
            strlen(s->name) >= LP_SNAPSHOT_NAME)
            return lp_fail(lp_runner_backend(runner)->ctx, LP_E_UNSUPPORTED,
                           "%s: sessions with such a state cannot be saved", s->name);
        *found = true;
    }
    return LP_OK;
}

static lp_snapshot_cache describe(const lp_slot *slot)
{
    lp_snapshot_cache cache = {.n_dims = (uint32_t)slot->shape.n - 1};
    snprintf(cache.name, sizeof cache.name, "%s", slot->name);
    snprintf(cache.type, sizeof cache.type, "%s", lp_dtype_table[slot->dtype].name);
    for (uint32_t i = 0; i < cache.n_dims; i++)
        cache.dims[i] = (uint32_t)slot->shape.dim[i + 1];
    cache.row_bytes = lp_state_bytes(
        slot->dtype, lp_state_stride(slot->dtype, (uint64_t)lp_shape_row(slot->shape)));
    return cache;
}

/* Of what a session computes with: hyperparameters; factors of adapters; name, type, shape and samples of every weight;
 * the beginning of every table (RoPE's, which may depend on the context). Reading all of a large
 * model would take longer than computing the prompt; weights of another training differ everywhere.
 */
static void fingerprint(lp_runner *runner, uint8_t digest[SHA256_DIGEST_SIZE])
{
    enum { SAMPLES = 8, SAMPLE = 512, TABLE = 16384 };
    const lp_store *store = lp_runner_store(runner);
    lp_hparam facts[LP_MAX_FACTS];
    size_t n_facts = lp_hparams_describe(&lp_runner_network(runner)->hparams, facts);
    struct sha256_ctx sha;
    char text[96];
    sha256_init(&sha);
    for (size_t i = 0; i < n_facts; i++) {
        sha256_update(&sha, strlen(facts[i].name) + 1, (const uint8_t *)facts[i].name);
        sha256_update(&sha, strlen(facts[i].value) + 1, (const uint8_t *)facts[i].value);
    }
    const lp_adapters *adapters = &lp_runner_network(runner)->adapters;
    for (size_t i = 0; i < adapters->n_pairs; i++) {
        uint8_t bits[4];
        memcpy(bits, &adapters->pairs[i].factor, sizeof bits);
        sha256_update(&sha, sizeof bits, bits);
    }
    for (uint32_t i = 0; i < store->n_slots; i++) {
        const lp_slot *slot = &store->slots[i];
        if (slot->data == NULL)
            continue;
        uint64_t bytes = (uint64_t)lp_dtype_file_bytes(slot->dtype, slot->shape);
        const uint8_t *data = slot->data;
        sha256_update(&sha, strlen(slot->name) + 1, (const uint8_t *)slot->name);
        if (slot->kind == LP_SLOT_TABLE) {
            sha256_update(&sha, bytes < TABLE ? bytes : TABLE, data);
            continue;
        }
        snprintf(text, sizeof text, "%s ", lp_dtype_table[slot->dtype].name);
        sha256_update(&sha, strlen(text), (const uint8_t *)text);
        lp_shape_print(slot->shape, text);
        sha256_update(&sha, strlen(text), (const uint8_t *)text);
        if (bytes <= SAMPLES * SAMPLE) {
            sha256_update(&sha, bytes, data);
            continue;
        }
        for (uint64_t k = 0; k < SAMPLES; k++)
            sha256_update(&sha, SAMPLE, data + (bytes - SAMPLE) / (SAMPLES - 1) * k);
    }
    sha256_digest(&sha, SHA256_DIGEST_SIZE, digest);
}

/* ---- Saving -------------------------------------------------------------------------------- */

typedef struct sink {
    lp_writer writer;
    struct sha256_ctx sha;
} sink;

static lp_status sink_write(sink *to, const void *data, size_t bytes)
{
    sha256_update(&to->sha, bytes, data);
    return lp_writer_write(&to->writer, data, bytes);
}

static lp_status save_head(lp_runner *runner, sink *to, uint32_t n_tokens)
{
    const lp_store *store = lp_runner_store(runner);
    uint8_t head[HEAD] = MAGIC, entry[ENTRY];
    uint64_t bytes = HEAD + 4ull * n_tokens + SHA256_DIGEST_SIZE;
    uint32_t n_caches = 0;
    bool found;
    for (uint32_t slot = 0;; n_caches++) {
        LP_TRY(next_cache(runner, &slot, &found));
        if (!found)
            break;
        bytes += ENTRY + n_tokens * describe(&store->slots[slot - 1]).row_bytes;
    }
    put(head + 8, VERSION, 4);
    put(head + 12, n_tokens, 4);
    put(head + 16, n_caches, 4);
    put(head + 24, bytes, 8);
    fingerprint(runner, head + 32);
    LP_TRY(sink_write(to, head, sizeof head));
    for (uint32_t slot = 0;;) {
        LP_TRY(next_cache(runner, &slot, &found));
        if (!found)
            return LP_OK;
        lp_snapshot_cache cache = describe(&store->slots[slot - 1]);
        memset(entry, 0, sizeof entry);
        memcpy(entry, cache.name, strlen(cache.name));
        memcpy(entry + 64, cache.type, strlen(cache.type));
        put(entry + 72, cache.n_dims, 4);
        for (int i = 0; i < 3; i++)
            put(entry + 76 + 4 * i, cache.dims[i], 4);
        put(entry + 92, cache.row_bytes, 8);
        LP_TRY(sink_write(to, entry, sizeof entry));
    }
}

static lp_status save_tokens(lp_runner *runner, sink *to, uint32_t n_tokens, void *room)
{
    const uint32_t most = PIECE / 8; /* as they are and as bytes */
    int32_t *tokens = room;
    uint8_t *bytes = (uint8_t *)room + PIECE / 2;
    for (uint32_t at = 0; at < n_tokens; at += most) {
        uint32_t n = n_tokens - at < most ? n_tokens - at : most;
        LP_TRY(lp_runner_tokens(runner, at, n, tokens));
        for (uint32_t i = 0; i < n; i++)
            put(bytes + 4ull * i, (uint32_t)tokens[i], 4);
        LP_TRY(sink_write(to, bytes, 4ull * n));
    }
    return LP_OK;
}

static lp_status save_rows(lp_runner *runner, sink *to, uint32_t n_tokens, void *room)
{
    lp_backend *backend = lp_runner_backend(runner);
    const lp_store *store = lp_runner_store(runner);
    bool found;
    for (uint32_t slot = 0;;) {
        LP_TRY(next_cache(runner, &slot, &found));
        if (!found)
            return LP_OK;
        uint64_t bytes = n_tokens * describe(&store->slots[slot - 1]).row_bytes;
        for (uint64_t at = 0; at < bytes; at += PIECE) {
            uint64_t n = bytes - at < PIECE ? bytes - at : PIECE;
            LP_TRY(backend->table->slot_read(backend, slot - 1, at, room, n));
            LP_TRY(sink_write(to, room, n));
        }
    }
}

lp_status lp_runner_save(lp_runner *runner, const char *path)
{
    lp_status status = LP_OK;
    lp_context *ctx = lp_runner_backend(runner)->ctx;
    uint8_t digest[SHA256_DIGEST_SIZE];
    sink to = {0};
    void *room = malloc(PIECE);
    if (room == NULL)
        return lp_fail_memory(ctx, "a prompt cache");
    if (lp_runner_n_pending(runner) > 0)
        LP_CHECK(lp_runner_eval(runner, NULL));
    else /* nothing in flight */
        LP_CHECK(lp_runner_rewind(runner, lp_runner_n_tokens(runner)));
    const uint32_t n_tokens = lp_runner_n_tokens(runner);
    sha256_init(&to.sha);
    LP_CHECK(lp_writer_open(ctx, path, &to.writer));
    LP_CHECK(save_head(runner, &to, n_tokens));
    LP_CHECK(save_tokens(runner, &to, n_tokens, room));
    LP_CHECK(save_rows(runner, &to, n_tokens, room));
    sha256_digest(&to.sha, sizeof digest, digest);
    LP_CHECK(lp_writer_write(&to.writer, digest, sizeof digest));
    status = lp_writer_commit(&to.writer);
cleanup:
    lp_writer_abandon(&to.writer);
    free(room);
    return status;
}

/* ---- Loading ------------------------------------------------------------------------------- */

static char *print_row(const lp_snapshot_cache *c, char text[64])
{
    size_t n = (size_t)snprintf(text, 64, "%s [", c->type);
    for (uint32_t i = 0; i < c->n_dims; i++)
        n += (size_t)snprintf(text + n, 64 - n, "%s%u", i ? ", " : "", c->dims[i]);
    snprintf(text + n, 64 - n, "]");
    return text;
}

/* Is this a file of such a session? Names and sizes are compared before the digest is made. */
static lp_status check_snapshot(lp_runner *runner, const char *path, const lp_snapshot *s)
{
    lp_context *ctx = lp_runner_backend(runner)->ctx;
    const lp_store *store = lp_runner_store(runner);
    uint8_t digest[SHA256_DIGEST_SIZE];
    uint32_t n = 0;
    bool found;
    fingerprint(runner, digest);
    if (memcmp(digest, s->fingerprint, sizeof digest) != 0)
        return lp_fail(ctx, LP_E_SHAPE,
                       "%s: was made with another model, or for a context that rotates otherwise",
                       path);
    for (uint32_t slot = 0;; n++) {
        char want[64], has[64];
        LP_TRY(next_cache(runner, &slot, &found));
        if (!found)
            break;
        lp_snapshot_cache cache = describe(&store->slots[slot - 1]);
        const lp_snapshot_cache *in_file = &s->caches[n < s->n_caches ? n : 0];
        if (n >= s->n_caches || strcmp(in_file->name, cache.name) != 0)
            return lp_fail(ctx, LP_E_SHAPE, "%s: has no %s", path, cache.name);
        if (strcmp(print_row(in_file, has), print_row(&cache, want)) != 0 ||
            in_file->row_bytes != cache.row_bytes)
            return lp_fail(ctx, LP_E_SHAPE, "%s: %s is %s for a token, in this session %s", path,
                           cache.name, has, want);
    }
    if (n < s->n_caches)
        return lp_fail(ctx, LP_E_SHAPE, "%s: has %s, this session has not", path,
                       s->caches[n].name);
    struct sha256_ctx sha;
    sha256_init(&sha);
    sha256_update(&sha, s->digest_at, s->data);
    sha256_digest(&sha, sizeof digest, digest);
    if (memcmp(digest, s->data + s->digest_at, sizeof digest) != 0)
        return lp_fail(ctx, LP_E_FORMAT, "%s: damaged: its SHA-256 is another one", path);
    return LP_OK;
}

/* All tokens of a file, for a runner that has none. */
static lp_status feed_all(lp_runner *runner, const char *path, const lp_snapshot *s)
{
    lp_context *ctx = lp_runner_backend(runner)->ctx;
    int32_t *tokens = malloc((s->n_tokens + 1ull) * sizeof *tokens);
    if (tokens == NULL)
        return lp_fail_memory(ctx, path);
    for (uint32_t i = 0; i < s->n_tokens; i++)
        tokens[i] = lp_snapshot_token(s, i);
    lp_status status = lp_runner_feed(runner, tokens, s->n_tokens);
    free(tokens);
    return status == LP_OK ? status : lp_fail(ctx, status, "%s: %s", path, ctx->message);
}

static lp_status common_tokens(lp_runner *runner, const lp_snapshot *s, uint32_t *n_common)
{
    uint32_t n = lp_runner_n_tokens(runner), common = 0;
    int32_t *tokens = malloc((n + 1ull) * sizeof *tokens);
    if (tokens == NULL)
        return lp_fail_memory(lp_runner_backend(runner)->ctx, "tokens");
    lp_status status = lp_runner_tokens(runner, 0, n, tokens);
    while (status == LP_OK && common < n && common < s->n_tokens &&
           tokens[common] == lp_snapshot_token(s, common))
        common++;
    free(tokens);
    *n_common = common;
    return status;
}

/* Rows [first, end) of all caches. */
static lp_status load_rows(lp_runner *runner, const lp_snapshot *s, uint32_t first, uint32_t end)
{
    lp_backend *backend = lp_runner_backend(runner);
    bool found;
    uint32_t slot = 0;
    for (uint32_t i = 0; i < s->n_caches; i++) {
        const lp_snapshot_cache *cache = &s->caches[i];
        LP_TRY(next_cache(runner, &slot, &found));
        LP_TRY(backend->table->slot_write(backend, slot - 1, first * cache->row_bytes,
                                          s->data + cache->at + first * cache->row_bytes,
                                          (end - first) * cache->row_bytes));
    }
    return LP_OK;
}

lp_status lp_runner_load(lp_runner *runner, const char *path, uint32_t *n_common)
{
    lp_status status = LP_OK;
    lp_context *ctx = lp_runner_backend(runner)->ctx;
    lp_snapshot s = {0};
    lp_file file;
    *n_common = 0;
    LP_TRY(lp_file_open(ctx, path, &file));
    LP_CHECK(lp_snapshot_parse(ctx, path, file.data, file.bytes, &s));
    LP_CHECK(check_snapshot(runner, path, &s));
    LP_CHECK(lp_runner_rewind(runner, lp_runner_n_tokens(runner))); /* nothing in flight */
    if (lp_runner_n_tokens(runner) == 0)
        LP_CHECK(feed_all(runner, path, &s));
    LP_CHECK(common_tokens(runner, &s, n_common));
    uint32_t cached = lp_runner_n_tokens(runner) - lp_runner_n_pending(runner);
    if (*n_common > cached) {
        LP_CHECK(load_rows(runner, &s, cached, *n_common));
        LP_CHECK(lp_runner_adopt(runner, *n_common));
    }
cleanup:
    free(s.caches);
    lp_file_close(&file);
    return status;
}
