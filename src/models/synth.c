/* Synthetic models: shapes, tensors, random weights.
 *
 * Weights are scaled so that activations stay of order one through any number of layers: matrices
 * by 1/sqrt(K) (K inputs), projections into the residual stream further by 1/sqrt(2 * layers)
 * (Radford et al. 2019), gains about 1. The head gives logits with a deviation of about 3: flat
 * logits would make greedy text depend on rounding.
 *
 * Element i of a tensor is a hash of (seed, tensor, i), so that the numbers do not depend on the
 * number of threads or on the order of writing, and eight billion of them take a minute, not an
 * hour: splitmix64 (Steele, Lea & Flood 2014, doi:10.1145/2714064.2660195), and the sum of its four
 * 16-bit parts, which is close to normal (Irwin-Hall; largest value 3.46 deviations). */
#include "models/synth.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "models/hparams.h"
#include "tensor/quantize.h"

#define CHUNK_ELEMENTS ((size_t)1 << 22) /* made and written at once */

/* name, architecture, tokenizer, dim, layers, heads, K/V heads, FFN, vocabulary, context, RoPE
 * base, RoPE factor, tied */
#define SHAPES(X)                                                                                  \
    X("tiny-gpt2", gpt2, BPE_GPT2, 64, 2, 4, 4, 256, 512, 256, 0, 0, 1)                            \
    X("tiny-llama", llama, SPM, 64, 2, 4, 2, 192, 512, 256, 10000, 0, 0)                           \
    X("tiny-llama3", llama, BPE_LLAMA3, 64, 2, 4, 1, 192, 1024, 256, 500000, 8, 1)                 \
    X("gpt2", gpt2, BPE_GPT2, 768, 12, 12, 12, 3072, 50257, 1024, 0, 0, 1)                         \
    X("gpt2-medium", gpt2, BPE_GPT2, 1024, 24, 16, 16, 4096, 50257, 1024, 0, 0, 1)                 \
    X("gpt2-large", gpt2, BPE_GPT2, 1280, 36, 20, 20, 5120, 50257, 1024, 0, 0, 1)                  \
    X("gpt2-xl", gpt2, BPE_GPT2, 1600, 48, 25, 25, 6400, 50257, 1024, 0, 0, 1)                     \
    X("llama-15m", llama, SPM, 288, 6, 6, 6, 768, 32000, 1024, 10000, 0, 0)                        \
    X("llama-110m", llama, SPM, 768, 12, 12, 4, 2048, 32000, 1024, 10000, 0, 0)                    \
    X("tinyllama-1.1b", llama, SPM, 2048, 22, 32, 4, 5632, 32000, 2048, 10000, 0, 0)               \
    X("llama2-7b", llama, SPM, 4096, 32, 32, 32, 11008, 32000, 4096, 10000, 0, 0)                  \
    X("llama3-8b", llama, BPE_LLAMA3, 4096, 32, 32, 8, 14336, 128256, 8192, 500000, 0, 0)          \
    X("llama3.1-8b", llama, BPE_LLAMA3, 4096, 32, 32, 8, 14336, 128256, 131072, 500000, 8, 0)      \
    X("llama3.2-1b", llama, BPE_LLAMA3, 2048, 16, 32, 8, 8192, 128256, 131072, 500000, 32, 1)      \
    X("mistral-7b", llama, SPM, 4096, 32, 32, 8, 14336, 32000, 32768, 10000, 0, 0)

const lp_synth_shape_info lp_synth_shapes[] = {
#define X(title, family, words, d, layers, heads, kv, ff, vocab, context, base, scaling, same)     \
    {.name = title,                                                                                \
     .text = #family ", dim " #d ", " #layers " layers, " #heads " heads, " #kv                    \
                     " K/V heads, FFN " #ff ", vocabulary " #vocab ", context " #context,          \
     .arch = #family,                                                                              \
     .tokenizer = LP_SYNTH_##words,                                                                \
     .dim = (d),                                                                                   \
     .n_layer = (layers),                                                                          \
     .n_head = (heads),                                                                            \
     .n_head_kv = (kv),                                                                            \
     .n_ff = (ff),                                                                                 \
     .n_vocab = (vocab),                                                                           \
     .n_context = (context),                                                                       \
     .rope_base = (base),                                                                          \
     .rope_factor = (scaling),                                                                     \
     .tied = (same)},
    SHAPES(X)
#undef X
};
const size_t lp_synth_shape_count = sizeof(lp_synth_shapes) / sizeof(*lp_synth_shapes);

/* --- Tensors --------------------------------------------------------------------------------- */

typedef struct tensor {
    char name[48];
    lp_dtype dtype;
    lp_shape shape;
    float mean, deviation;
    bool divisors; /* rope_freqs.weight: computed, not random */
} tensor;

typedef struct synth {
    const lp_synth_shape_info *shape;
    lp_dtype type;
    tensor *tensors;
    size_t n, room;
    bool failed; /* out of memory */
} synth;

static tensor *add(synth *s, const char *name, int layer)
{
    if (s->n == s->room) {
        size_t room = 2 * s->room + 64;
        tensor *grown = realloc(s->tensors, room * sizeof(*grown));
        if (!grown) {
            s->failed = true;
            return NULL;
        }
        s->tensors = grown;
        s->room = room;
    }
    tensor *t = &s->tensors[s->n++];
    *t = (tensor){0};
    if (layer < 0)
        snprintf(t->name, sizeof(t->name), "%s", name);
    else
        snprintf(t->name, sizeof(t->name), "blk.%d.%s", layer, name);
    return t;
}

/* [rows, columns], columns inputs. `gain` times the usual deviation. */
static void add_matrix(synth *s, const char *name, int layer, uint32_t rows, uint32_t columns,
                       double gain)
{
    tensor *t = add(s, name, layer);
    if (!t)
        return;
    t->dtype = s->type;
    t->shape = LP_SHAPE2(rows, columns);
    t->deviation = (float)(gain / sqrt((double)columns));
}

static void add_vector(synth *s, const char *name, int layer, uint32_t n, float mean,
                       float deviation)
{
    tensor *t = add(s, name, layer);
    if (!t)
        return;
    t->dtype = LP_F32;
    t->shape = LP_SHAPE1(n);
    t->mean = mean;
    t->deviation = deviation;
}

static void add_gpt2(synth *s)
{
    const lp_synth_shape_info *shape = s->shape;
    const uint32_t d = shape->dim;
    const double residual = 1 / sqrt(2.0 * shape->n_layer);
    add_matrix(s, "token_embd.weight", -1, shape->n_vocab, d, 3);
    add_matrix(s, "position_embd.weight", -1, shape->n_context, d, 1);
    if (s->n)
        s->tensors[s->n - 1].dtype = LP_F32; /* added, never multiplied: llama.cpp wants f32 */
    for (int i = 0; i < (int)shape->n_layer; i++) {
        add_vector(s, "attn_norm.weight", i, d, 1, 0.1f);
        add_vector(s, "attn_norm.bias", i, d, 0, 0.02f);
        add_matrix(s, "attn_qkv.weight", i, 3 * d, d, 1);
        add_vector(s, "attn_qkv.bias", i, 3 * d, 0, 0.02f);
        add_matrix(s, "attn_output.weight", i, d, d, residual);
        add_vector(s, "attn_output.bias", i, d, 0, 0.02f);
        add_vector(s, "ffn_norm.weight", i, d, 1, 0.1f);
        add_vector(s, "ffn_norm.bias", i, d, 0, 0.02f);
        add_matrix(s, "ffn_up.weight", i, shape->n_ff, d, 1);
        add_vector(s, "ffn_up.bias", i, shape->n_ff, 0, 0.02f);
        add_matrix(s, "ffn_down.weight", i, d, shape->n_ff, residual);
        add_vector(s, "ffn_down.bias", i, d, 0, 0.02f);
    }
    add_vector(s, "output_norm.weight", -1, d, 1, 0.1f);
    add_vector(s, "output_norm.bias", -1, d, 0, 0.02f);
}

static void add_llama(synth *s)
{
    const lp_synth_shape_info *shape = s->shape;
    const uint32_t d = shape->dim, head = d / shape->n_head;
    const double residual = 1 / sqrt(2.0 * shape->n_layer);
    add_matrix(s, "token_embd.weight", -1, shape->n_vocab, d, 3);
    if (shape->rope_factor > 0) {
        add_vector(s, "rope_freqs.weight", -1, head / 2, 1, 0);
        if (s->n)
            s->tensors[s->n - 1].divisors = true;
    }
    for (int i = 0; i < (int)shape->n_layer; i++) {
        add_vector(s, "attn_norm.weight", i, d, 1, 0.1f);
        add_matrix(s, "attn_q.weight", i, d, d, 1);
        add_matrix(s, "attn_k.weight", i, shape->n_head_kv * head, d, 1);
        add_matrix(s, "attn_v.weight", i, shape->n_head_kv * head, d, 1);
        add_matrix(s, "attn_output.weight", i, d, d, residual);
        add_vector(s, "ffn_norm.weight", i, d, 1, 0.1f);
        add_matrix(s, "ffn_gate.weight", i, shape->n_ff, d, 1);
        add_matrix(s, "ffn_up.weight", i, shape->n_ff, d, 1);
        add_matrix(s, "ffn_down.weight", i, d, shape->n_ff, residual);
    }
    add_vector(s, "output_norm.weight", -1, d, 1, 0.1f);
    if (!shape->tied)
        add_matrix(s, "output.weight", -1, shape->n_vocab, d, 3);
}

/* --- Metadata -------------------------------------------------------------------------------- */

static void put_u32(lp_gguf_writer *w, const char *arch, const char *key, uint32_t value)
{
    char full[64];
    snprintf(full, sizeof(full), "%s.%s", arch, key);
    lp_gguf_put_u32(w, full, value);
}

static void put_metadata(lp_gguf_writer *w, const lp_synth_shape_info *shape, lp_dtype type,
                         uint64_t seed)
{
    const char *arch = shape->arch;
    char text[64];
    lp_gguf_put_string(w, "general.architecture", arch);
    lp_gguf_put_string(w, "general.type", "model");
    snprintf(text, sizeof(text), "%s random", shape->name);
    lp_gguf_put_string(w, "general.name", text);
    snprintf(text, sizeof(text), "random weights, seed %" PRIu64, seed);
    lp_gguf_put_string(w, "general.description", text);
    lp_gguf_put_u32(w, "general.file_type", lp_gguf_file_type(type, false));
    lp_gguf_put_u32(w, "general.quantization_version", 2);
    put_u32(w, arch, "vocab_size", shape->n_vocab);
    put_u32(w, arch, "context_length", shape->n_context);
    put_u32(w, arch, "embedding_length", shape->dim);
    put_u32(w, arch, "block_count", shape->n_layer);
    put_u32(w, arch, "feed_forward_length", shape->n_ff);
    put_u32(w, arch, "attention.head_count", shape->n_head);
    put_u32(w, arch, "attention.head_count_kv", shape->n_head_kv);
    if (shape->rope_base > 0) {
        put_u32(w, arch, "rope.dimension_count", shape->dim / shape->n_head);
        snprintf(text, sizeof(text), "%s.rope.freq_base", arch);
        lp_gguf_put_f32(w, text, shape->rope_base);
    }
    snprintf(text, sizeof(text), "%s.attention.layer_norm_%s", arch,
             shape->rope_base > 0 ? "rms_epsilon" : "epsilon");
    lp_gguf_put_f32(w, text, 1e-5f);
}

/* --- Numbers --------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

void lp_synth_fill(uint64_t stream, float mean, float deviation, uint64_t first, float *values,
                   size_t n)
{
    /* sum of four uniform numbers in [0, 65535]: mean 131070, variance (65536^2 - 1) / 3 */
    const float scale = deviation * (float)(1 / sqrt((65536.0 * 65536.0 - 1) / 3));
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i++) {
        uint64_t z = mix(stream + (first + i + 1) * 0x9e3779b97f4a7c15u);
        int32_t sum = (int32_t)((z & 0xffff) + (z >> 16 & 0xffff) + (z >> 32 & 0xffff) + (z >> 48));
        values[i] = mean + scale * (float)(sum - 131070);
    }
}

uint64_t lp_synth_stream(uint64_t seed, uint64_t index)
{
    return mix(mix(seed) + index);
}

/* What GGUF files of Llama 3.1 hold instead of the parameters of its RoPE scaling: by how much each
 * frequency is divided. */
static void fill_divisors(const lp_synth_shape_info *shape, float *values)
{
    double plain[512], scaled[512]; /* of at most 1024 elements of a head */
    lp_rope_hparams rope = {.n_rotated = shape->dim / shape->n_head,
                            .base = shape->rope_base,
                            .factor = shape->rope_factor,
                            .low_freq_factor = 1,
                            .high_freq_factor = 4,
                            .original_context = 8192};
    lp_rope_frequencies(&rope, 0, NULL, plain);
    rope.scaling = LP_ROPE_SCALING_LLAMA3;
    lp_rope_frequencies(&rope, 0, NULL, scaled);
    for (uint32_t i = 0; i < rope.n_rotated / 2; i++)
        values[i] = (float)(plain[i] / scaled[i]);
}

typedef struct progress_state {
    lp_progress_fn report; /* or NULL */
    void *user;
    uint64_t done, total; /* bytes */
} progress_state;

/* `values` and `packed` have room for CHUNK_ELEMENTS. */
static lp_status write_tensor(lp_context *ctx, lp_gguf_writer *w, const synth *s, const tensor *t,
                              uint64_t stream, float *values, uint8_t *packed, progress_state *p)
{
    const lp_dtype_info *info = &lp_dtype_table[t->dtype];
    const uint64_t n = (uint64_t)lp_shape_elements(t->shape);
    for (uint64_t first = 0; first < n; first += CHUNK_ELEMENTS) {
        size_t count = n - first < CHUNK_ELEMENTS ? (size_t)(n - first) : CHUNK_ELEMENTS;
        if (t->divisors)
            fill_divisors(s->shape, values);
        else
            lp_synth_fill(stream, t->mean, t->deviation, first, values, count);
        const size_t piece = 4096; /* a multiple of every block */
#pragma omp parallel for schedule(static)
        for (size_t at = 0; at < count; at += piece)
            info->from_f32(values + at, packed + at / info->block * info->bytes,
                           count - at < piece ? count - at : piece);
        size_t bytes = count / info->block * info->bytes;
        LP_TRY(lp_gguf_data(w, packed, bytes));
        p->done += bytes;
        if (p->report && p->report(p->user, p->done, p->total))
            return lp_fail(ctx, LP_E_CANCELLED, "cancelled");
    }
    return LP_OK;
}

static lp_status write_model(lp_context *ctx, lp_gguf_writer *w, const synth *s, uint64_t seed,
                             const char *path, progress_state *p)
{
    put_metadata(w, s->shape, s->type, seed);
    LP_TRY(lp_synth_vocab(ctx, w, s->shape->tokenizer, s->shape->n_vocab));
    for (size_t i = 0; i < s->n; i++) {
        lp_gguf_put_tensor(w, s->tensors[i].name, s->tensors[i].dtype, s->tensors[i].shape);
        int64_t bytes = lp_dtype_file_bytes(s->tensors[i].dtype, s->tensors[i].shape);
        p->total += bytes > 0 ? (uint64_t)bytes : 0;
    }
    LP_TRY(lp_gguf_begin(w, path));

    lp_status status = LP_OK;
    float *values = malloc(CHUNK_ELEMENTS * sizeof(*values));
    uint8_t *packed = malloc(CHUNK_ELEMENTS * sizeof(*values)); /* no type is larger than f32 */
    if (!values || !packed)
        status = lp_fail_memory(ctx, "a piece of a tensor");
    for (size_t i = 0; i < s->n && status == LP_OK; i++)
        status =
            write_tensor(ctx, w, s, &s->tensors[i], lp_synth_stream(seed, i), values, packed, p);
    free(values);
    free(packed);
    return status == LP_OK ? lp_gguf_commit(w) : status;
}

static const lp_synth_shape_info *find_shape(const char *name)
{
    for (size_t i = 0; i < lp_synth_shape_count; i++)
        if (strcmp(lp_synth_shapes[i].name, name) == 0)
            return &lp_synth_shapes[i];
    return NULL;
}

lp_status lp_synth_write(lp_context *ctx, const char *shape, lp_dtype type, uint64_t seed,
                         const char *path, lp_progress_fn progress, void *user)
{
    synth s = {.shape = find_shape(shape), .type = type};
    if (!s.shape) {
        char list[512] = "";
        for (size_t i = 0, at = 0; i < lp_synth_shape_count && at < sizeof(list); i++)
            at += (size_t)snprintf(list + at, sizeof(list) - at, "%s%s", i ? ", " : "",
                                   lp_synth_shapes[i].name);
        return lp_fail(ctx, LP_E_MISSING, "no shape is called %s; there are %s", shape, list);
    }
    if ((unsigned)type >= LP_N_DTYPES || !lp_dtype_table[type].from_f32)
        return lp_fail(ctx, LP_E_ARG, "weights cannot be of type %s",
                       (unsigned)type < LP_N_DTYPES ? lp_dtype_table[type].name : "unknown");
    if (strcmp(s.shape->arch, "gpt2") == 0)
        add_gpt2(&s);
    else
        add_llama(&s);

    progress_state p = {.report = progress, .user = user};
    lp_gguf_writer *w = s.failed ? NULL : lp_gguf_writer_create(ctx);
    lp_status status =
        w ? write_model(ctx, w, &s, seed, path, &p) : lp_fail_memory(ctx, "a table of tensors");
    lp_gguf_writer_destroy(w);
    free(s.tensors);
    return status;
}
