/* Hugging Face folders as GGUF files: network_open() has the names and most layouts already; what
 * is left is RoPE's pairing. Llama's folders rotate elements k and k + n/2 of a head, its GGUF
 * files 2k and 2k + 1: the rows of queries and keys change places, so that the scores stay. */
#include "text/convert_folder.h"

#include <stdlib.h>
#include <string.h>

#include "models/names.h"
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

static lp_status list_tensors(lp_context *ctx, lp_convert_folder *folder, const lp_arch *arch,
                              lp_convert_source *source)
{
    const lp_hparams *hp = &folder->network->hparams;
    lp_weights *weights = folder->network->weights;
    const size_t n = lp_weights_count(weights);
    const bool turn = hp->position == LP_POSITION_ROPE && hp->rope.pairing == LP_ROPE_HALVES &&
                      !arch->gguf_halves;
    uint32_t n_routers = 0;
    source->plain_f32 = true;
    source->tensors = calloc(n + 2, sizeof *source->tensors);
    folder->rotations = calloc(n + 1, sizeof *folder->rotations);
    if (!source->tensors || !folder->rotations)
        return lp_fail_memory(ctx, folder->network->path);
    for (size_t i = 0; i < n; i++) {
        const lp_weight *weight = lp_weights_at(weights, i);
        if (!lp_names_is_weight(hp, weight->name) ||
            (hp->tied && strcmp(weight->name, "output.weight") == 0))
            continue;
        lp_convert_tensor *tensor = &source->tensors[source->n++];
        *tensor = (lp_convert_tensor){.name = weight->name, .weight = weight};
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

lp_status lp_convert_folder_open(lp_context *ctx, const char *path, lp_convert_folder *folder,
                                 lp_gguf_writer *writer, lp_convert_source *source)
{
    LP_TRY(lp_network_open(ctx, path, &folder->network));
    const lp_hparams *hp = &folder->network->hparams;
    const lp_arch *arch = gguf_arch(hp->arch);
    if (!arch || hp->both_ways)
        return lp_fail(
            ctx, LP_E_UNSUPPORTED,
            "%s: GGUF files of the architecture %s are not written: llama.cpp does not know it, or "
            "lays it out otherwise",
            path, hp->arch->hf);
    LP_TRY(lp_hparams_to_gguf(ctx, path, hp, arch, folder->network->weights, writer));
    put_name(writer, path);
    LP_TRY(list_tensors(ctx, folder, arch, source));
    return lp_tokenizer_folder_to_gguf(ctx, path, arch->gguf, hp->n_vocab, writer);
}

void lp_convert_folder_close(lp_convert_folder *folder)
{
    lp_network_destroy(folder->network);
    free(folder->rotations);
    free(folder->divisors);
}
