/* Hyperparameters: GGUF metadata, checks, RoPE frequencies, description. config.json is read in
 * hparams_config.c. The keys are those of the GGUF specification:
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md */
#include "models/hparams.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct reader {
    lp_context *ctx;
    const char *where, *arch;
    const lp_gguf *gguf;
    char key[128];
} reader;

static const char *full_key(reader *r, const char *key)
{
    snprintf(r->key, sizeof r->key, "%s.%s", r->arch, key);
    return r->key;
}

static bool has_key(const lp_gguf *gguf, const char *key)
{
    size_t n = strlen(key);
    for (size_t i = 0; i < lp_gguf_count(gguf); i++) {
        lp_gguf_string k = lp_gguf_key(gguf, i);
        if (k.bytes == n && memcmp(k.data, key, n) == 0)
            return true;
    }
    return false;
}

/* Why a getter found nothing: no such key (fine unless it is required), or another type. */
static lp_status not_there(reader *r, bool required, const char *expected)
{
    if (has_key(r->gguf, r->key))
        return lp_fail(r->ctx, LP_E_FORMAT, "%s: %s: %s expected", r->where, r->key, expected);
    if (required)
        return lp_fail(r->ctx, LP_E_MISSING, "%s: key %s is missing", r->where, r->key);
    return LP_OK;
}

static lp_status read_u32(reader *r, const char *key, bool required, uint32_t *value)
{
    if (lp_gguf_get_u32(r->gguf, full_key(r, key), value))
        return LP_OK;
    return not_there(r, required, "a whole number");
}

static lp_status read_f32(reader *r, const char *key, bool required, float *value)
{
    if (lp_gguf_get_f32(r->gguf, full_key(r, key), value))
        return LP_OK;
    return not_there(r, required, "a number");
}

static bool string_is(lp_gguf_string s, const char *text)
{
    return s.bytes == strlen(text) && memcmp(s.data, text, s.bytes) == 0;
}

/* A name out of a file, fit for an error message. */
static char *printable(lp_gguf_string s, char text[64])
{
    size_t n = s.bytes < 60 ? s.bytes : 60;
    for (size_t i = 0; i < n; i++)
        text[i] = s.data[i] >= 32 && s.data[i] < 127 ? s.data[i] : '?';
    text[n] = '\0';
    return text;
}

static lp_status read_rope(reader *r, lp_hparams *hp)
{
    lp_rope_hparams *rope = &hp->rope;
    rope->pairing = LP_ROPE_ADJACENT;
    rope->n_rotated = hp->head_k;
    rope->base = 10000;
    rope->factor = 1;
    LP_TRY(read_u32(r, "rope.dimension_count", false, &rope->n_rotated));
    LP_TRY(read_f32(r, "rope.freq_base", false, &rope->base));
    LP_TRY(read_f32(r, "rope.scale_linear", false, &rope->factor)); /* old files */
    rope->scaling = rope->factor != 1 ? LP_ROPE_SCALING_LINEAR : LP_ROPE_SCALING_NONE;
    lp_gguf_string type;
    if (!lp_gguf_get_string(r->gguf, full_key(r, "rope.scaling.type"), &type))
        return not_there(r, false, "a string");
    if (string_is(type, "none"))
        return LP_OK;
    if (!string_is(type, "linear")) {
        char name[64];
        return lp_fail(r->ctx, LP_E_UNSUPPORTED,
                       "%s: %s: RoPE scaling \"%s\" is not supported (none, linear are)", r->where,
                       r->key, printable(type, name));
    }
    rope->scaling = LP_ROPE_SCALING_LINEAR;
    return read_f32(r, "rope.scaling.factor", true, &rope->factor);
}

/* The vocabulary is the tokenizer's; files without a tokenizer say how many. */
static lp_status read_n_vocab(reader *r, uint32_t *n_vocab)
{
    lp_gguf_type type;
    uint64_t n;
    if (lp_gguf_get_array(r->gguf, "tokenizer.ggml.tokens", &type, &n)) {
        *n_vocab = n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
        return LP_OK;
    }
    return read_u32(r, "vocab_size", true, n_vocab);
}

lp_status lp_hparams_from_gguf(lp_context *ctx, const char *where, const lp_gguf *gguf,
                               const lp_weights *weights, lp_hparams *hp)
{
    *hp = (lp_hparams){0};
    char text[256], list[256];
    lp_gguf_string name;
    if (!lp_gguf_get_string(gguf, "general.architecture", &name))
        return lp_fail(ctx, LP_E_MISSING, "%s: key general.architecture is missing", where);
    hp->arch = lp_arch_find_gguf(name.data, name.bytes);
    if (!hp->arch)
        return lp_fail(ctx, LP_E_UNSUPPORTED,
                       "%s: architecture \"%s\" is not supported; supported are: %s", where,
                       printable(name, text), lp_arch_list(true, list, sizeof list));

    reader r = {.ctx = ctx, .where = where, .arch = hp->arch->gguf, .gguf = gguf};
    LP_TRY(read_n_vocab(&r, &hp->n_vocab));
    LP_TRY(read_u32(&r, "context_length", true, &hp->n_context));
    LP_TRY(read_u32(&r, "embedding_length", true, &hp->n_embd));
    LP_TRY(read_u32(&r, "block_count", true, &hp->n_layer));
    LP_TRY(read_u32(&r, "feed_forward_length", true, &hp->n_ff));
    LP_TRY(read_u32(&r, "attention.head_count", true, &hp->n_head));
    hp->n_head_kv = hp->n_head;
    LP_TRY(read_u32(&r, "attention.head_count_kv", false, &hp->n_head_kv));
    LP_TRY(read_f32(&r,
                    hp->arch->norm == LP_NORM_RMS ? "attention.layer_norm_rms_epsilon"
                                                  : "attention.layer_norm_epsilon",
                    true, &hp->norm_eps));
    if (hp->n_head > 0)
        hp->head_k = hp->head_v = hp->n_embd / hp->n_head;
    LP_TRY(read_u32(&r, "attention.key_length", false, &hp->head_k));
    LP_TRY(read_u32(&r, "attention.value_length", false, &hp->head_v));
    LP_TRY(read_u32(&r, "attention.sliding_window", false, &hp->window));
    if (hp->arch->position == LP_POSITION_ROPE)
        LP_TRY(read_rope(&r, hp));
    uint32_t n_expert = 0;
    LP_TRY(read_u32(&r, "expert_count", false, &n_expert));
    if (n_expert > 0)
        return lp_fail(ctx, LP_E_UNSUPPORTED, "%s: %s is %u: mixtures of experts are not supported",
                       where, r.key, n_expert);
    hp->act = hp->arch->act;
    hp->tied = !lp_weights_find(weights, "output.weight");
    return lp_hparams_check(ctx, where, hp);
}

static lp_status check_range(lp_context *ctx, const char *where, const char *what, uint32_t value,
                             uint32_t max)
{
    if (value >= 1 && value <= max)
        return LP_OK;
    return lp_fail(ctx, value ? LP_E_LIMIT : LP_E_FORMAT, "%s: %s is %u; 1 to %u is possible",
                   where, what, value, max);
}

static lp_status check_positive(lp_context *ctx, const char *where, const char *what, float value)
{
    if (isfinite(value) && value > 0)
        return LP_OK;
    return lp_fail(ctx, LP_E_FORMAT, "%s: %s is %g; it must be positive", where, what,
                   (double)value);
}

lp_status lp_hparams_check(lp_context *ctx, const char *where, const lp_hparams *hp)
{
    LP_TRY(check_range(ctx, where, "vocabulary size", hp->n_vocab, 1u << 22));
    LP_TRY(check_range(ctx, where, "context length", hp->n_context, 1u << 26));
    LP_TRY(check_range(ctx, where, "embedding length", hp->n_embd, 1u << 17));
    LP_TRY(check_range(ctx, where, "block count", hp->n_layer, 1024));
    LP_TRY(check_range(ctx, where, "feed-forward length", hp->n_ff, 1u << 20));
    LP_TRY(check_range(ctx, where, "head count", hp->n_head, 4096));
    LP_TRY(check_range(ctx, where, "key/value head count", hp->n_head_kv, 4096));
    LP_TRY(check_range(ctx, where, "size of a key head", hp->head_k, 1024));
    LP_TRY(check_range(ctx, where, "size of a value head", hp->head_v, 1024));
    if (hp->n_head % hp->n_head_kv)
        return lp_fail(ctx, LP_E_FORMAT, "%s: %u heads cannot share %u key/value heads evenly",
                       where, hp->n_head, hp->n_head_kv);
    LP_TRY(check_positive(ctx, where, "epsilon of the norms", hp->norm_eps));
    if (hp->arch->position != LP_POSITION_ROPE)
        return LP_OK;

    const lp_rope_hparams *rope = &hp->rope;
    if (rope->n_rotated == 0 || rope->n_rotated % 2 || rope->n_rotated > hp->head_k)
        return lp_fail(ctx, LP_E_FORMAT,
                       "%s: RoPE on %u elements of a head of %u; an even number up to the head's "
                       "size is possible",
                       where, rope->n_rotated, hp->head_k);
    LP_TRY(check_positive(ctx, where, "base of RoPE", rope->base));
    if (rope->scaling != LP_ROPE_SCALING_NONE)
        LP_TRY(check_positive(ctx, where, "factor of RoPE scaling", rope->factor));
    if (rope->scaling == LP_ROPE_SCALING_LLAMA3) {
        LP_TRY(
            check_positive(ctx, where, "low_freq_factor of RoPE scaling", rope->low_freq_factor));
        LP_TRY(
            check_positive(ctx, where, "high_freq_factor of RoPE scaling", rope->high_freq_factor));
        LP_TRY(check_range(ctx, where, "original context of RoPE scaling", rope->original_context,
                           1u << 26));
        if (rope->high_freq_factor <= rope->low_freq_factor)
            return lp_fail(ctx, LP_E_FORMAT,
                           "%s: high_freq_factor %g of RoPE scaling must exceed low_freq_factor %g",
                           where, (double)rope->high_freq_factor, (double)rope->low_freq_factor);
    }
    return LP_OK;
}

void lp_rope_frequencies(const lp_rope_hparams *rope, const float *divisors, double *frequencies)
{
    const double pi = 3.14159265358979323846;
    for (uint32_t i = 0; i < rope->n_rotated / 2; i++) {
        double f = pow((double)rope->base, -2.0 * i / rope->n_rotated);
        if (rope->scaling == LP_ROPE_SCALING_LINEAR) {
            f /= (double)rope->factor;
        } else if (rope->scaling == LP_ROPE_SCALING_LLAMA3) {
            double turns = rope->original_context * f / (2 * pi);
            double low = (double)rope->low_freq_factor, high = (double)rope->high_freq_factor;
            double keep = fmin(fmax((turns - low) / (high - low), 0), 1);
            f *= keep + (1 - keep) / (double)rope->factor;
        }
        frequencies[i] = divisors ? f / (double)divisors[i] : f;
    }
}

typedef struct writer {
    lp_hparam *facts;
    size_t n;
} writer;

static void put_number(writer *w, const char *name, double value)
{
    lp_hparam *fact = &w->facts[w->n++];
    *fact = (lp_hparam){.name = name, .is_number = true};
    snprintf(fact->value, sizeof fact->value, "%.7g", value);
}

static void put_count(writer *w, const char *name, uint32_t value)
{
    lp_hparam *fact = &w->facts[w->n++];
    *fact = (lp_hparam){.name = name, .is_number = true};
    snprintf(fact->value, sizeof fact->value, "%u", value);
}

static void put_text(writer *w, const char *name, const char *value)
{
    lp_hparam *fact = &w->facts[w->n++];
    *fact = (lp_hparam){.name = name};
    snprintf(fact->value, sizeof fact->value, "%s", value);
}

size_t lp_hparams_describe(const lp_hparams *hp, lp_hparam facts[LP_MAX_FACTS])
{
    static const char *const acts[] = {
        [LP_ACT_NONE] = "none",
        [LP_ACT_RELU] = "relu",
        [LP_ACT_GELU_ERF] = "gelu (erf)",
        [LP_ACT_GELU_TANH] = "gelu (tanh)",
        [LP_ACT_GELU_QUICK] = "quick gelu",
        [LP_ACT_SILU] = "silu",
    };
    static const char *const scalings[] = {
        [LP_ROPE_SCALING_NONE] = "none",
        [LP_ROPE_SCALING_LINEAR] = "linear",
        [LP_ROPE_SCALING_LLAMA3] = "llama3",
    };
    writer w = {facts, 0};
    put_text(&w, "architecture", hp->arch->hf);
    put_count(&w, "vocabulary", hp->n_vocab);
    put_count(&w, "context_length", hp->n_context);
    put_count(&w, "layers", hp->n_layer);
    put_count(&w, "embedding_length", hp->n_embd);
    put_count(&w, "feed_forward_length", hp->n_ff);
    put_count(&w, "heads", hp->n_head);
    put_count(&w, "kv_heads", hp->n_head_kv);
    put_count(&w, "key_head_size", hp->head_k);
    put_count(&w, "value_head_size", hp->head_v);
    put_text(&w, "norm", hp->arch->norm == LP_NORM_RMS ? "rms" : "layer");
    put_number(&w, "norm_epsilon", (double)hp->norm_eps);
    put_text(&w, "activation", acts[hp->act]);
    put_text(&w, "head", hp->tied ? "tied to the token embedding" : "untied");
    if (hp->window)
        put_count(&w, "sliding_window", hp->window);
    if (hp->arch->position == LP_POSITION_LEARNED) {
        put_text(&w, "positions", "learned");
        return w.n;
    }
    const lp_rope_hparams *rope = &hp->rope;
    put_text(&w, "positions", "rope");
    put_text(&w, "rope_pairing", rope->pairing == LP_ROPE_HALVES ? "halves" : "adjacent");
    put_count(&w, "rope_elements", rope->n_rotated);
    put_number(&w, "rope_base", (double)rope->base);
    put_text(&w, "rope_scaling", scalings[rope->scaling]);
    if (rope->scaling != LP_ROPE_SCALING_NONE)
        put_number(&w, "rope_scaling_factor", (double)rope->factor);
    return w.n;
}
