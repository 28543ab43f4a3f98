/* Vocabularies for synthetic models. Words are made of syllables, in the order: ba, be ... zu, then
 * words of two syllables, then of three, each plain and with a space before it. Every word can be
 * reached by merging: word = (word without its last syllable) + syllable; syllable = consonant +
 * vowel; the spaced form = space + word. So both kinds of BPE find all of them, and random text is
 * at least pronounceable. */
#include "models/synth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/arena.h"

enum { N_CONSONANTS = 20, N_VOWELS = 5, N_SYLLABLES = N_CONSONANTS * N_VOWELS };

static const char consonants[] = "bcdfghjklmnpqrstvwxz", vowels[] = "aeiou";

/* Types of tokens in GGUF files. */
enum { TOKEN_NORMAL = 1, TOKEN_UNKNOWN = 2, TOKEN_CONTROL = 3, TOKEN_BYTE = 6 };

typedef struct vocab {
    lp_arena arena;
    lp_gguf_string *tokens, *merges;
    float *scores;
    int32_t *types;
    uint32_t n, room, n_merges;
    bool failed;
} vocab;

static void add_token(vocab *v, char *text, int32_t type, float score)
{
    if (!text || v->n >= v->room) {
        v->failed = true;
        return;
    }
    v->tokens[v->n] = (lp_gguf_string){text, strlen(text)};
    v->types[v->n] = type;
    v->scores[v->n] = score;
    v->n++;
}

static void add_merge(vocab *v, const char *left, const char *right)
{
    char *text = lp_arena_printf(&v->arena, "%s %s", left, right);
    if (!text) {
        v->failed = true;
        return;
    }
    v->merges[v->n_merges++] = (lp_gguf_string){text, strlen(text)};
}

/* Word number i into head (all but the last syllable, "" for one syllable) and the last syllable.
 */
static void make_word(uint32_t i, char head[16], char syllable[3])
{
    uint32_t n = 1, count = N_SYLLABLES; /* syllables; words of that many */
    while (i >= count) {
        i -= count;
        count *= N_SYLLABLES;
        n++;
    }
    syllable[0] = consonants[i % N_SYLLABLES / N_VOWELS];
    syllable[1] = vowels[i % N_VOWELS];
    syllable[2] = '\0';
    head[2 * (n - 1)] = '\0';
    for (uint32_t k = n - 1; k-- > 0;) {
        i /= N_SYLLABLES;
        head[2 * k] = consonants[i % N_SYLLABLES / N_VOWELS];
        head[2 * k + 1] = vowels[i % N_VOWELS];
    }
}

/* Words up to `end` tokens, with merges if `merges`. `space` is how the tokenizer writes it. */
static void add_words(vocab *v, uint32_t end, const char *space, bool merges)
{
    for (uint32_t i = 0; v->n < end && !v->failed; i++) {
        char head[16], syllable[3];
        make_word(i, head, syllable);
        char *word = lp_arena_printf(&v->arena, "%s%s", head, syllable);
        if (merges && word && head[0])
            add_merge(v, head, syllable);
        else if (merges && word)
            add_merge(v, (char[2]){syllable[0]}, (char[2]){syllable[1]});
        add_token(v, word, TOKEN_NORMAL, -(float)v->n);
        if (v->n >= end || v->failed)
            break;
        if (merges)
            add_merge(v, space, word);
        add_token(v, lp_arena_printf(&v->arena, "%s%s", space, word), TOKEN_NORMAL, -(float)v->n);
    }
}

/* Llama 2: <unk>, <s>, </s>, bytes, printable characters, words. */
static void add_spm(vocab *v)
{
    add_token(v, lp_arena_strdup(&v->arena, "<unk>"), TOKEN_UNKNOWN, 0);
    add_token(v, lp_arena_strdup(&v->arena, "<s>"), TOKEN_CONTROL, 0);
    add_token(v, lp_arena_strdup(&v->arena, "</s>"), TOKEN_CONTROL, 0);
    for (int byte = 0; byte < 256; byte++)
        add_token(v, lp_arena_printf(&v->arena, "<0x%02X>", byte), TOKEN_BYTE, 0);
    add_token(v, lp_arena_strdup(&v->arena, "\xe2\x96\x81"), TOKEN_NORMAL, -1e6f); /* the space */
    for (char c = '!'; c <= '~'; c++)
        add_token(v, lp_arena_strndup(&v->arena, &c, 1), TOKEN_NORMAL, -1e6f - (float)c);
    add_words(v, v->room, "\xe2\x96\x81", false);
}

/* The printable character that stands for a byte: itself where it is printable, else 256 + n, in
 * the order of the bytes (Radford et al. 2019, encoder.py). */
static char *byte_character(lp_arena *arena, int byte)
{
    int point = byte, n = 0;
    for (int b = 0; b <= byte; b++) {
        bool shown = (b >= '!' && b <= '~') || (b >= 0xa1 && b != 0xad);
        if (b == byte && !shown)
            point = 256 + n;
        n += !shown;
    }
    if (point < 0x80)
        return lp_arena_printf(arena, "%c", point);
    return lp_arena_printf(arena, "%c%c", 0xc0 | point >> 6, 0x80 | (point & 63));
}

/* Bytes, words, then special tokens at the end. */
static void add_bpe(vocab *v, bool llama3)
{
    static const char *const names[] = {"<|begin_of_text|>", "<|end_of_text|>"};
    uint32_t n_special = llama3 ? 256 : 1;
    for (int byte = 0; byte < 256; byte++)
        add_token(v, byte_character(&v->arena, byte), TOKEN_NORMAL, 0);
    add_words(v, v->room - n_special, "\xc4\xa0", true);
    for (uint32_t i = 0; i < n_special; i++) {
        char *name = !llama3 ? lp_arena_strdup(&v->arena, "<|endoftext|>")
                     : i < 2 ? lp_arena_strdup(&v->arena, names[i])
                             : lp_arena_printf(&v->arena, "<|reserved_special_token_%u|>", i - 2);
        add_token(v, name, TOKEN_CONTROL, 0);
    }
}

lp_status lp_synth_vocab(lp_context *ctx, lp_gguf_writer *writer, lp_synth_tokenizer kind,
                         uint32_t n)
{
    vocab v = {.room = n};
    v.tokens = calloc(n, sizeof(*v.tokens));
    v.merges = calloc(n, sizeof(*v.merges));
    v.scores = calloc(n, sizeof(*v.scores));
    v.types = calloc(n, sizeof(*v.types));
    v.failed = !v.tokens || !v.merges || !v.scores || !v.types;
    const bool spm = kind == LP_SYNTH_SPM, llama3 = kind == LP_SYNTH_BPE_LLAMA3;
    if (!v.failed && spm)
        add_spm(&v);
    else if (!v.failed)
        add_bpe(&v, llama3);

    if (!v.failed) {
        uint32_t bos = spm ? 1 : llama3 ? n - 256 : n - 1;
        lp_gguf_put_string(writer, "tokenizer.ggml.model", spm ? "llama" : "gpt2");
        if (!spm)
            lp_gguf_put_string(writer, "tokenizer.ggml.pre", llama3 ? "llama-bpe" : "gpt-2");
        lp_gguf_put_strings(writer, "tokenizer.ggml.tokens", v.tokens, n);
        if (spm)
            lp_gguf_put_f32s(writer, "tokenizer.ggml.scores", v.scores, n);
        lp_gguf_put_i32s(writer, "tokenizer.ggml.token_type", v.types, n);
        if (!spm)
            lp_gguf_put_strings(writer, "tokenizer.ggml.merges", v.merges, v.n_merges);
        lp_gguf_put_u32(writer, "tokenizer.ggml.bos_token_id", bos);
        lp_gguf_put_u32(writer, "tokenizer.ggml.eos_token_id", spm ? 2 : llama3 ? bos + 1 : bos);
        if (spm)
            lp_gguf_put_u32(writer, "tokenizer.ggml.unknown_token_id", 0);
        lp_gguf_put_bool(writer, "tokenizer.ggml.add_bos_token", spm || llama3);
        lp_gguf_put_bool(writer, "tokenizer.ggml.add_eos_token", false);
    }
    lp_arena_destroy(&v.arena);
    free(v.tokens);
    free(v.merges);
    free(v.scores);
    free(v.types);
    return v.failed ? lp_fail_memory(ctx, "a vocabulary") : LP_OK;
}
