/* Hugging Face folders as GGUF files: network_open() has the names and most layouts already; what
 * is left is RoPE's pairing. Llama's folders rotate elements k and k + n/2 of a head, its GGUF
 * files 2k and 2k + 1: the rows of queries and keys change places, so that the scores stay. */
#include "text/convert_folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/embedding.h"
#include "text/generation_config.h"
#include "text/tokenizer.h"
#include "text/tokenizer_write.h"

static uint64_t rotated_row(const void *user, uint64_t to)
{
    const lp_row_rotation *r = user;
    if (to >= r->n_rows)
        return to;
    uint64_t head = to / r->head * r->head, at = to % r->head;
    return at >= r->rotated ? to : head + at / 2 + at % 2 * (r->rotated / 2);
}

/* The rows of a tensor that RoPE turns; 0: none. */
static uint64_t rotated_rows(const lp_hparams *hp, const char *name)
{
    const uint64_t q = (uint64_t)hp->n_head * hp->head_k, k = (uint64_t)hp->n_head_kv * hp->head_k;
    const char *part = strrchr(name, '.');
    size_t n = part ? (size_t)(part - name) : 0;
    static const char *const names[] = {".attn_q", ".attn_k", ".attn_qkv"};
    const uint64_t rows[] = {q, k, q + k};
    for (int i = 0; i < 3; i++) {
        size_t m = strlen(names[i]);
        if (n > m && memcmp(name + n - m, names[i], m) == 0)
            return rows[i];
    }
    return 0;
}

/* The row of the table that a GGUF file of this model names. */
static const lp_arch *gguf_arch(const lp_arch *arch)
{
    if (arch->gguf)
        return arch;
    return arch->gguf_as ? lp_arch_find_gguf(arch->gguf_as, strlen(arch->gguf_as)) : NULL;
}

/* Llama 3's scaling as GGUF has it, what each frequency is divided by, or LongRoPE's, of which
 * there are two. */
static lp_status add_divisors(lp_context *ctx, const lp_rope_hparams *rope,
                              lp_convert_folder *folder, lp_convert_source *source)
{
    const bool two = rope->scaling == LP_ROPE_SCALING_LONGROPE;
    static const char *const names[] = {"rope_freqs.weight", "rope_factors_short.weight",
                                        "rope_factors_long.weight"};
    const uint32_t n = rope->n_rotated / 2;
    if (!two && rope->scaling != LP_ROPE_SCALING_LLAMA3)
        return LP_OK;
    double *plain = malloc(2 * n * sizeof *plain), *scaled = plain ? plain + n : NULL;
    folder->divisors = malloc(2 * n * sizeof *folder->divisors);
    if (!plain || !folder->divisors) {
        free(plain);
        return lp_fail_memory(ctx, "divisors of frequencies");
    }
    lp_rope_hparams unscaled = *rope;
    unscaled.scaling = LP_ROPE_SCALING_NONE;
    lp_rope_frequencies(&unscaled, 0, NULL, plain);
    lp_rope_frequencies(rope, 0, NULL, scaled);
    for (uint32_t t = 0; t < 1u + two; t++) {
        float *table = folder->divisors + t * n;
        for (uint32_t i = 0; i < n; i++)
            table[i] = two ? rope->divisors[t][i] : (float)(plain[i] / scaled[i]);
        folder->divisor_weights[t] = (lp_weight){.name = names[two + t],
                                                 .dtype = LP_F32,
                                                 .shape = LP_SHAPE1(n),
                                                 .data = table,
                                                 .bytes = n * sizeof(float),
                                                 .type = "F32"};
        source->tensors[source->n++] = (lp_convert_tensor){.name = folder->divisor_weights[t].name,
                                                           .weight = &folder->divisor_weights[t]};
    }
    free(plain);
    return LP_OK;
}

/* What llama.cpp knows of an encoder makes vectors: no pooler, and no head for masked tokens. */
static bool is_left_out(const lp_hparams *hp, const char *name)
{
    static const char *const parts[] = {"pooler.", "mlm_dense.", "mlm_norm.", "output."};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && hp->arch->encoder_only; i++)
        if (strncmp(name, parts[i], strlen(parts[i])) == 0)
            return true;
    return false;
}

/* The table of positions without the rows before that of position 0: GGUF files begin with it. */
static void cut_positions(const lp_hparams *hp, lp_convert_folder *folder,
                          lp_convert_tensor *tensor)
{
    const lp_weight *whole = tensor->weight;
    const int64_t offset = hp->position_offset, n = whole->shape.dim[0];
    if (offset == 0 || strcmp(whole->name, "position_embd.weight") != 0 || whole->shape.n != 2 ||
        n <= offset)
        return;
    const uint64_t row = whole->bytes / (uint64_t)n;
    folder->positions = *whole;
    folder->positions.shape.dim[0] = n - offset;
    folder->positions.data = (const uint8_t *)whole->data + (uint64_t)offset * row;
    folder->positions.bytes -= (uint64_t)offset * row;
    tensor->weight = &folder->positions;
}

static lp_status list_tensors(lp_context *ctx, lp_convert_folder *folder, const lp_arch *arch,
                              lp_convert_source *source)
{
    const lp_hparams *hp = &folder->network->hparams;
    lp_weights *weights = folder->network->weights;
    const size_t n = lp_weights_count(weights);
    const bool turn = hp->position == LP_POSITION_ROPE && hp->rope.pairing == LP_ROPE_HALVES &&
                      !arch->gguf_halves;
    uint32_t n_routers = 0, n_left_out = 0;
    source->plain_f32 = true;
    source->tensors = calloc(n + 2, sizeof *source->tensors);
    folder->rotations = calloc(n + 1, sizeof *folder->rotations);
    folder->names = calloc(n + 1, sizeof *folder->names);
    if (!source->tensors || !folder->rotations || !folder->names)
        return lp_fail_memory(ctx, folder->network->path);
    for (size_t i = 0; i < n; i++) {
        const lp_weight *weight = lp_weights_at(weights, i);
        if (!lp_names_is_weight(hp, weight->name) ||
            (hp->tied && strcmp(weight->name, "output.weight") == 0))
            continue;
        if (is_left_out(hp, weight->name)) {
            n_left_out++;
            continue;
        }
        lp_convert_tensor *tensor = &source->tensors[source->n++];
        *tensor = (lp_convert_tensor){.name = weight->name, .weight = weight};
        if (lp_names_in_gguf(hp, arch, weight->name, folder->names[i]))
            tensor->name = folder->names[i];
        cut_positions(hp, folder, tensor);
        n_routers += strstr(weight->name, "ffn_gate_inp.weight") != NULL;
        const uint64_t rows = turn ? rotated_rows(hp, weight->name) : 0;
        if (rows == 0)
            continue;
        if (rows > (uint64_t)weight->shape.dim[0])
            return lp_fail(ctx, LP_E_SHAPE, "%s: %s: %llu rows expected, file has %lld",
                           folder->network->path, weight->name, (unsigned long long)rows,
                           (long long)weight->shape.dim[0]);
        folder->rotations[i] = (lp_row_rotation){rows, hp->head_k, hp->rope.n_rotated};
        tensor->rows = (lp_row_order){rotated_row, &folder->rotations[i]};
    }
    if (n_left_out > 0)
        lp_log(ctx, LP_LOG_WARN,
               "%s: the pooler and the head for masked tokens (%u tensors) are left out: llama.cpp "
               "has no place for them",
               folder->network->path, n_left_out);
    if (hp->n_expert > 0 && n_routers < hp->n_layer && !arch->latent && !arch->route_first)
        lp_log(
            ctx, LP_LOG_WARN,
            "%s: %u of %u layers have experts; lapilli reads that in a GGUF file, llama.cpp wants "
            "all to have them",
            folder->network->path, n_routers, hp->n_layer);
    return hp->position == LP_POSITION_ROPE ? add_divisors(ctx, &hp->rope, folder, source) : LP_OK;
}

/* The folder's own name. */
static void put_name(lp_gguf_writer *writer, const char *path)
{
    char name[128];
    size_t n = strlen(path);
    while (n > 0 && path[n - 1] == '/')
        n--;
    size_t begin = n;
    while (begin > 0 && path[begin - 1] != '/')
        begin--;
    n = n - begin < sizeof name - 1 ? n - begin : sizeof name - 1;
    memcpy(name, path + begin, n);
    name[n] = '\0';
    lp_gguf_put_string(writer, "general.type", "model");
    lp_gguf_put_string(writer, "general.name", name);
}

/* How answers of an encoder-decoder begin. */
static lp_status put_start(lp_context *ctx, const lp_network *network, const lp_arch *arch,
                           const lp_tokenizer *tokenizer, lp_gguf_writer *writer)
{
    char key[96];
    lp_generation_config config = {0};
    if (!arch->has_encoder || tokenizer == NULL)
        return LP_OK;
    lp_status status = lp_generation_config_read(ctx, network, tokenizer, &config);
    snprintf(key, sizeof key, "%s.decoder_start_token_id", arch->gguf);
    if (status == LP_OK)
        lp_gguf_put_u32(writer, key, (uint32_t)config.rules.start);
    lp_generation_config_destroy(&config);
    return status;
}

/* How an encoder's vectors of tokens become one of a text. */
static lp_status put_pooling(lp_context *ctx, const lp_network *network, const lp_arch *arch,
                             lp_gguf_writer *writer)
{
    static const uint32_t types[LP_N_POOLINGS] = {
        [LP_POOLING_MEAN] = 1, [LP_POOLING_CLS] = 2, [LP_POOLING_LAST] = 3};
    char key[96];
    lp_embedding embedding;
    if (!arch->encoder_only)
        return LP_OK;
    LP_TRY(lp_embedding_of(ctx, network, &embedding));
    snprintf(key, sizeof key, "%s.pooling_type", arch->gguf);
    if (types[embedding.pooling] > 0)
        lp_gguf_put_u32(writer, key, types[embedding.pooling]);
    return LP_OK;
}

/* Without a tokenizer the file holds a model for token ids. */
static lp_status put_tokenizer(lp_context *ctx, const lp_network *network, const lp_arch *arch,
                               lp_gguf_writer *writer)
{
    lp_tokenizer *tokenizer;
    lp_status status = lp_tokenizer_from_folder(ctx, network->path, &tokenizer);
    if (status == LP_E_MISSING) {
        lp_log(ctx, LP_LOG_WARN, "%s; the file is written without one", ctx->message);
        status = LP_OK;
    }
    if (status == LP_OK)
        status = put_start(ctx, network, arch, tokenizer, writer);
    if (status == LP_OK)
        status = lp_tokenizer_to_gguf(ctx, network->path, tokenizer, arch->gguf,
                                      network->hparams.n_vocab, writer);
    lp_tokenizer_destroy(tokenizer);
    return status;
}

/* T5 1.1 without the head of its own that config.json tells of: without that tensor a GGUF file
 * would be read as one of T5 1.0, whose head is scaled. */
static lp_status add_head(lp_context *ctx, lp_network *network)
{
    const lp_hparams *hp = &network->hparams;
    const lp_weight *table = lp_weights_find(network->weights, "token_embd.weight");
    if (!hp->arch->head_scaled || hp->tied || table == NULL ||
        lp_weights_find(network->weights, "output.weight") != NULL)
        return LP_OK;
    lp_weight head = *table;
    head.name = "output.weight";
    return lp_weights_add(ctx, network->weights, &head);
}

lp_status lp_convert_folder_open(lp_context *ctx, const char *path, lp_convert_folder *folder,
                                 lp_gguf_writer *writer, lp_convert_source *source)
{
    LP_TRY(lp_network_open(ctx, path, &folder->network));
    const lp_hparams *hp = &folder->network->hparams;
    const lp_arch *arch = gguf_arch(hp->arch);
    if (!arch)
        return lp_fail(
            ctx, LP_E_UNSUPPORTED,
            "%s: GGUF files of the architecture %s are not written: llama.cpp does not know it, or "
            "lays it out otherwise",
            path, hp->arch->hf);
    LP_TRY(add_head(ctx, folder->network));
    LP_TRY(lp_hparams_to_gguf(ctx, path, hp, arch, folder->network->weights, writer));
    LP_TRY(put_pooling(ctx, folder->network, arch, writer));
    put_name(writer, path);
    LP_TRY(list_tensors(ctx, folder, arch, source));
    return put_tokenizer(ctx, folder->network, arch, writer);
}

void lp_convert_folder_close(lp_convert_folder *folder)
{
    lp_network_destroy(folder->network);
    free(folder->rotations);
    free(folder->names);
    free(folder->divisors);
}
