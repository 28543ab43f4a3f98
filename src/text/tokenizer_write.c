/* Tokenizers as GGUF metadata: the way back of tokenizer_gguf.c. GGUF names pre-tokenizers instead
 * of holding their patterns; the name is found by comparing how texts are cut. In the end the
 * metadata is read again, and both tokenizers must agree. */
#include "text/tokenizer_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/file.h"
#include "text/tokenizer_build.h"

#define KEY(name) "tokenizer.ggml." name

/* Plain texts, then some of which every rule of every known pre-tokenizer cuts one in its own way:
 * short forms in both cases, runs of digits, of spaces and of signs, ends of lines, capitals within
 * words, scripts, marks. */
static const char *const texts[] = {
    "",
    "a",
    "Hello world",
    "Once there was a girl who loved to read.",
    "It's the 1st of 22 tests, 333 or 4444 of 55555: WE'LL see, I'm sure they've done 1234567.89!",
    "  two spaces\tand\ttabs   then\n\n\n  lines\r\nand \n more   \n",
    "if (x_1 != y[2]) { return foo.bar(\"a\", 'b') ?: ~z; } // ? ! !!! $100 #tag @you <p/> 'tis",
    "camelCase HTTPServer iPhone ABCdef x86_64 \xc3\x89"
    "cole na\xc3\xafve co\xc3\xb6perate",
    "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe3\x81\xae\xe6\x96\x87\xe7\xab\xa0\xe3\x80\x82 "
    "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82, \xce\xba\xcf\x8c\xcf\x83\xce\xbc\xce\xb5! "
    "\xed\x95\x9c\xea\xb5\xad\xec\x96\xb4 \xe0\xa4\xb9\xe0\xa4\xbf\xe0\xa4\xa8\xe0\xa5\x8d"
    "\xe0\xa4\xa6\xe0\xa5\x80 \xd9\x85\xd8\xb1\xd8\xad\xd8\xa8\xd8\xa7 "
    "\xf0\x9f\x99\x82\xf0\x9f\x91\x8d",
};
enum { N_PLAIN = 4, N_TEXTS = sizeof texts / sizeof texts[0] };

typedef struct exporter {
    lp_context *ctx;
    const char *where, *arch;
    const lp_tokenizer *from;
    lp_gguf_writer *writer;
    uint32_t n_vocab;
} exporter;

/* --- The vocabulary -------------------------------------------------------------------------- */

static int32_t type_of(const lp_tokenizer *t, uint32_t id)
{
    const lp_token *token = &t->vocab.tokens[id];
    if ((int32_t)id == t->special.unknown && !t->byte_level)
        return t->model == LP_MODEL_WORDPIECE ? LP_TOKEN_CONTROL : LP_TOKEN_UNKNOWN;
    if (!t->byte_level && token->type == LP_TOKEN_NORMAL &&
        lp_byte_of_name(token->text, token->bytes) >= 0)
        return LP_TOKEN_BYTE;
    return token->type;
}

/* Scores that join pairs in the order of the merges: a token's is that of the first merge that
 * makes it. What no merge makes needs none. */
static void scores_of_merges(const lp_tokenizer *t, float *scores)
{
    for (uint32_t i = 0; i < t->vocab.n; i++)
        scores[i] = -(float)LP_MAX_TOKENS;
    for (size_t i = 0; i < t->merges.n_slots; i++) {
        int32_t left, right, id;
        uint32_t rank;
        if (lp_bpe_table_at(&t->merges, i, &left, &right, &rank, &id) && -(float)rank > scores[id])
            scores[id] = -(float)rank;
    }
}

/* A word's first piece begins with U+2581, the others have lost what marks them: WordPiece. */
static lp_gguf_string spell_piece(const lp_tokenizer *t, const lp_token *token, char **room)
{
    const size_t mark = strlen(LP_SPACE_MARK), rest = strlen(t->rest_prefix);
    if (token->type != LP_TOKEN_NORMAL)
        return (lp_gguf_string){token->text, token->bytes};
    if (rest > 0 && token->bytes > rest && memcmp(token->text, t->rest_prefix, rest) == 0)
        return (lp_gguf_string){token->text + rest, token->bytes - rest};
    lp_gguf_string spelling = {*room, mark + token->bytes};
    memcpy(*room, LP_SPACE_MARK, mark);
    memcpy(*room + mark, token->text, token->bytes);
    *room += spelling.bytes;
    return spelling;
}

/* Room for what spell_piece() makes of all tokens; malloc'ed. */
static char *spelling_room(const lp_tokenizer *t)
{
    size_t bytes = 1;
    for (uint32_t i = 0; i < t->vocab.n; i++)
        bytes += strlen(LP_SPACE_MARK) + t->vocab.tokens[i].bytes;
    return malloc(bytes);
}

static lp_status put_vocab(exporter *e)
{
    enum { NAME = 24 };
    const lp_tokenizer *t = e->from;
    const uint32_t n = e->n_vocab;
    lp_gguf_string *tokens = calloc(n, sizeof *tokens);
    int32_t *types = calloc(n, sizeof *types);
    float *scores = calloc(n, sizeof *scores);
    char(*names)[NAME] = calloc(n, sizeof *names);
    char *spellings = spelling_room(t), *room = spellings;
    lp_status status =
        tokens && types && scores && names && spellings ? LP_OK : lp_fail_memory(e->ctx, e->where);
    if (status == LP_OK && t->model == LP_MODEL_RANKED)
        scores_of_merges(t, scores);
    for (uint32_t i = 0; i < n && status == LP_OK; i++) {
        if (i < t->vocab.n && t->vocab.tokens[i].type != LP_TOKEN_NONE) {
            const lp_token *token = &t->vocab.tokens[i];
            types[i] = type_of(t, i);
            tokens[i] = t->model == LP_MODEL_WORDPIECE && types[i] == LP_TOKEN_NORMAL
                            ? spell_piece(t, token, &room)
                            : (lp_gguf_string){token->text, token->bytes};
            if (t->model == LP_MODEL_SCORED || t->model == LP_MODEL_UNIGRAM)
                scores[i] = (float)t->vocab.tokens[i].score;
        } else { /* the embedding has more rows than there are tokens */
            tokens[i].data = names[i];
            tokens[i].bytes = (size_t)snprintf(names[i], NAME, "[PAD%u]", i);
            types[i] = LP_TOKEN_UNUSED;
        }
    }
    if (status == LP_OK) {
        lp_gguf_put_strings(e->writer, KEY("tokens"), tokens, n);
        lp_gguf_put_i32s(e->writer, KEY("token_type"), types, n);
        if (!t->byte_level && t->model != LP_MODEL_WORDPIECE)
            lp_gguf_put_f32s(e->writer, KEY("scores"), scores, n);
    }
    free(tokens);
    free(types);
    free(scores);
    free(names);
    free(spellings);
    return status;
}

typedef struct merge {
    uint32_t rank;
    int32_t left, right;
} merge;

static int by_rank(const void *a, const void *b)
{
    uint32_t x = ((const merge *)a)->rank, y = ((const merge *)b)->rank;
    return (x > y) - (x < y);
}

/* "left right", in their order. */
static lp_status put_merges(exporter *e)
{
    const lp_vocab *vocab = &e->from->vocab;
    const lp_bpe_table *table = &e->from->merges;
    merge *merges = calloc(table->n + 1, sizeof *merges);
    lp_gguf_string *texts_of = calloc(table->n + 1, sizeof *texts_of);
    char *text = NULL;
    size_t n = 0, bytes = 0, at = 0;
    lp_status status = merges && texts_of ? LP_OK : lp_fail_memory(e->ctx, e->where);
    for (size_t i = 0; i < table->n_slots && status == LP_OK; i++) {
        merge m;
        int32_t id;
        if (!lp_bpe_table_at(table, i, &m.left, &m.right, &m.rank, &id))
            continue;
        bytes += vocab->tokens[m.left].bytes + 1 + vocab->tokens[m.right].bytes;
        merges[n++] = m;
    }
    if (status == LP_OK) {
        qsort(merges, n, sizeof *merges, by_rank);
        text = malloc(bytes + 1);
        status = text ? LP_OK : lp_fail_memory(e->ctx, e->where);
    }
    for (size_t i = 0; i < n && status == LP_OK; i++) {
        const lp_token *left = &vocab->tokens[merges[i].left];
        const lp_token *right = &vocab->tokens[merges[i].right];
        texts_of[i] = (lp_gguf_string){text + at, (size_t)left->bytes + 1 + right->bytes};
        memcpy(text + at, left->text, left->bytes);
        text[at + left->bytes] = ' ';
        memcpy(text + at + left->bytes + 1, right->text, right->bytes);
        at += texts_of[i].bytes;
    }
    if (status == LP_OK)
        lp_gguf_put_strings(e->writer, KEY("merges"), texts_of, n);
    free(merges);
    free(texts_of);
    free(text);
    return status;
}

/* Unigram: the map of characters, and what becomes of spaces. */
static lp_status put_unigram(exporter *e)
{
    const lp_tokenizer *t = e->from;
    const lp_charsmap *map = NULL;
    bool squeeze = false;
    for (size_t i = 0; i < t->n_steps; i++) {
        if (t->steps[i].map.n_units > 0)
            map = &t->steps[i].map;
        /* tokenizer.json splits at spaces instead; whether that is the same is seen later */
        squeeze |= t->steps[i].squeeze || t->steps[i].kind != LP_NORMALIZE_SENTENCEPIECE;
    }
    lp_gguf_put_bool(e->writer, KEY("remove_extra_whitespaces"), squeeze || t->n_steps == 0);
    if (!map)
        return LP_OK;
    const size_t n = 4 * map->n_units, bytes = 4 + n + map->n_texts;
    uint8_t *data = malloc(bytes);
    if (!data)
        return lp_fail_memory(e->ctx, e->where);
    for (size_t i = 0; i < 4 + n; i++) {
        const uint64_t word = i < 4 ? n : map->units[i / 4 - 1];
        data[i] = (uint8_t)(word >> i % 4 * 8);
    }
    if (map->n_texts > 0)
        memcpy(data + 4 + n, map->texts, map->n_texts);
    lp_gguf_put_u8s(e->writer, KEY("precompiled_charsmap"), data, bytes);
    free(data);
    return LP_OK;
}

/* WordPiece: what becomes of capitals and accents. */
static void put_lower(exporter *e)
{
    bool lower = false, strip = false;
    for (size_t i = 0; i < e->from->n_steps; i++) {
        lower |= e->from->steps[i].kind == LP_NORMALIZE_LOWER;
        strip |= e->from->steps[i].kind == LP_NORMALIZE_NO_NONSPACING;
    }
    lp_gguf_put_bool(e->writer, KEY("normalizer.lowercase"), lower);
    lp_gguf_put_bool(e->writer, KEY("normalizer.strip_accents"), strip);
}

/* Ids that config.json gives where the tokenizer gives none: a number, or a list of them. */
static lp_status read_config(exporter *e, lp_special_tokens *special)
{
    const struct {
        const char *key;
        int32_t *id;
    } rows[] = {{"bos_token_id", &special->bos},
                {"eos_token_id", &special->eos},
                {"pad_token_id", &special->pad}};
    char *path = lp_path_join(e->where, "config.json");
    yyjson_doc *doc = NULL;
    lp_status status = path ? lp_json_open(e->ctx, path, &doc) : lp_fail_memory(e->ctx, e->where);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && status == LP_OK; i++) {
        yyjson_val *value = yyjson_obj_get(yyjson_doc_get_root(doc), rows[i].key);
        value = yyjson_is_arr(value) ? yyjson_arr_get_first(value) : value;
        if (*rows[i].id < 0 && yyjson_is_uint(value) && yyjson_get_uint(value) < e->n_vocab)
            *rows[i].id = (int32_t)yyjson_get_uint(value);
    }
    yyjson_doc_free(doc);
    free(path);
    return status;
}

static lp_status put_special(exporter *e)
{
    lp_special_tokens found = e->from->special, *special = &found;
    LP_TRY(read_config(e, special));
    if (e->from->model == LP_MODEL_WORDPIECE) /* llama.cpp looks for them under these keys */
        special->bos = special->cls;
    const struct {
        const char *key;
        int32_t id;
    } rows[] = {{KEY("bos_token_id"), special->bos},
                {KEY("eos_token_id"), special->eos},
                {KEY("unknown_token_id"), special->unknown},
                {KEY("padding_token_id"), special->pad},
                {KEY("seperator_token_id"), special->sep}, /* spelt so in the files */
                {KEY("cls_token_id"), special->cls},
                {KEY("mask_token_id"), special->mask},
                {KEY("eot_token_id"), special->eot},
                {KEY("fim_pre_token_id"), special->fim_prefix},
                {KEY("fim_suf_token_id"), special->fim_suffix},
                {KEY("fim_mid_token_id"), special->fim_middle}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].id >= 0)
            lp_gguf_put_u32(e->writer, rows[i].key, (uint32_t)rows[i].id);
    if (e->from->model == LP_MODEL_WORDPIECE)
        return LP_OK;
    lp_gguf_put_bool(e->writer, KEY("add_bos_token"), special->add_bos);
    lp_gguf_put_bool(e->writer, KEY("add_eos_token"), special->add_eos);
    if (!e->from->byte_level)
        lp_gguf_put_bool(e->writer, KEY("add_space_prefix"), special->space_prefix);
    return LP_OK;
}

/* --- The pre-tokenizer ----------------------------------------------------------------------- */

/* Bytes of the original text in a piece: in GPT-2's alphabet each is a character. */
static size_t piece_bytes(const lp_words *words, size_t i, bool letters)
{
    const lp_piece *piece = &words->pieces[i];
    size_t n = 0;
    for (uint32_t k = piece->start; k < piece->end; k++)
        n += !letters || (words->text[k] & 0xc0) != 0x80;
    return n;
}

/* Whether two splitters cut all texts alike. */
static lp_status cut_alike(lp_context *ctx, const lp_tokenizer *t, const lp_splitter *other,
                           bool *alike)
{
    lp_words a = {0}, b = {0};
    lp_status status = LP_OK;
    *alike = true;
    for (int i = 0; i < N_TEXTS && *alike && status == LP_OK; i++) {
        status = lp_split(ctx, t->splitter, texts[i], strlen(texts[i]), true, &a);
        if (status == LP_OK)
            status = lp_split(ctx, other, texts[i], strlen(texts[i]), true, &b);
        *alike = status == LP_OK && a.n == b.n;
        for (size_t k = 0; k < a.n && *alike; k++)
            *alike = piece_bytes(&a, k, t->letters) == piece_bytes(&b, k, false);
    }
    lp_words_free(&a);
    lp_words_free(&b);
    return status;
}

/* The row of the table that cuts as the tokenizer does; `arch` decides between rows and names that
 * do the same, because many are called after models. */
static lp_status put_pre(exporter *e)
{
    const lp_pretokenizer *row, *found = NULL;
    bool named = false;
    for (size_t i = 0; (row = lp_pretokenizer_at(i)) && !named; i++) {
        bool alike = false;
        lp_splitter *splitter = NULL;
        if (row->ignore_merges != e->from->ignore_merges || row->add_sep || !e->from->splitter)
            continue;
        lp_status status = lp_splitter_create(e->ctx, &splitter);
        if (status == LP_OK)
            status = lp_pretokenizer_add(e->ctx, row, splitter);
        if (status == LP_OK)
            status = cut_alike(e->ctx, e->from, splitter, &alike);
        lp_splitter_destroy(splitter);
        LP_TRY(status);
        named = alike && lp_pretokenizer_is(row, e->arch, strlen(e->arch));
        if (alike && (named || !found))
            found = row;
    }
    if (!found)
        return lp_fail(e->ctx, LP_E_UNSUPPORTED,
                       "%s: GGUF has no name for a pre-tokenizer that cuts text as this one does",
                       e->where);
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(found->names, " "), found->names);
    lp_gguf_put_string(e->writer, KEY("pre"), named ? e->arch : name);
    return LP_OK;
}

/* --- Reading again --------------------------------------------------------------------------- */

static lp_status compare(lp_context *ctx, const char *where, const lp_tokenizer *a,
                         const lp_tokenizer *b)
{
    static const unsigned flags[] = {0, LP_TOKENIZE_ADD_SPECIAL | LP_TOKENIZE_PARSE_SPECIAL};
    for (int i = 0; i < 2 * N_TEXTS; i++) {
        const char *text = texts[i / 2];
        int32_t *x = NULL, *y = NULL;
        size_t n = 0, m = 0;
        lp_status status = lp_tokenize(ctx, a, text, strlen(text), flags[i % 2], &x, &n);
        if (status == LP_OK)
            status = lp_tokenize(ctx, b, text, strlen(text), flags[i % 2], &y, &m);
        bool same = status == LP_OK && n == m && memcmp(x, y, n * sizeof *x) == 0;
        free(x);
        free(y);
        LP_TRY(status);
        if (same)
            continue;
        if (i / 2 < N_PLAIN)
            return lp_fail(ctx, LP_E_UNSUPPORTED,
                           "%s: as GGUF would have it, this tokenizer (%s) gives other tokens for "
                           "\"%s\"",
                           where, lp_tokenizer_kind(a), text);
        lp_log(ctx, LP_LOG_WARN,
               "%s: GGUF has no way to say all that this tokenizer (%s) does: some texts, such as "
               "those with several spaces in a row, will become other tokens",
               where, lp_tokenizer_kind(a));
        return LP_OK;
    }
    return LP_OK;
}

static lp_status read_again(exporter *e)
{
    uint8_t *data = NULL;
    size_t bytes;
    lp_gguf *gguf = NULL;
    lp_tokenizer *again = NULL;
    lp_weights *none = lp_weights_create();
    lp_status status = none ? LP_OK : lp_fail_memory(e->ctx, e->where);
    if (status == LP_OK)
        status = lp_gguf_metadata(e->writer, &data, &bytes);
    if (status == LP_OK)
        status = lp_gguf_parse(e->ctx, e->where, data, bytes, none, &gguf);
    if (status == LP_OK)
        status = lp_tokenizer_from_gguf(e->ctx, gguf, &again);
    if (status == LP_OK)
        status = compare(e->ctx, e->where, e->from, again);
    lp_tokenizer_destroy(again);
    lp_gguf_destroy(gguf);
    lp_weights_destroy(none);
    free(data);
    return status;
}

/* --- The chat template ----------------------------------------------------------------------- */

/* chat_template.jinja, or the key of tokenizer_config.json; a list of several is not taken over. */
static lp_status put_chat_template(exporter *e)
{
    static const char key[] = "tokenizer.chat_template";
    char *path = lp_path_join(e->where, "chat_template.jinja");
    char *config = lp_path_join(e->where, "tokenizer_config.json");
    lp_status status = path && config ? LP_OK : lp_fail_memory(e->ctx, e->where);
    if (status == LP_OK && access(path, F_OK) == 0) {
        lp_file file;
        status = lp_file_open(e->ctx, path, &file);
        char *text = status == LP_OK ? strndup((const char *)file.data, file.bytes) : NULL;
        if (text)
            lp_gguf_put_string(e->writer, key, text);
        free(text);
        lp_file_close(&file);
    } else if (status == LP_OK && access(config, F_OK) == 0) {
        yyjson_doc *doc = NULL;
        status = lp_json_open(e->ctx, config, &doc);
        const char *text =
            status == LP_OK
                ? yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "chat_template"))
                : NULL;
        if (text)
            lp_gguf_put_string(e->writer, key, text);
        yyjson_doc_free(doc);
    }
    free(path);
    free(config);
    return status;
}

static lp_status put_all(exporter *e)
{
    const lp_tokenizer *t = e->from;
    const bool pieces = t->model == LP_MODEL_SCORED ||
                        (t->model == LP_MODEL_RANKED && !t->byte_level && t->byte_fallback);
    const bool unigram = t->model == LP_MODEL_UNIGRAM, words = t->model == LP_MODEL_WORDPIECE;
    if (!pieces && !unigram && !words && !(t->model == LP_MODEL_RANKED && t->byte_level))
        return lp_fail(e->ctx, LP_E_UNSUPPORTED,
                       "%s: a tokenizer of the kind %s is not written to GGUF files", e->where,
                       lp_tokenizer_kind(t));
    if (t->vocab.n > e->n_vocab)
        return lp_fail(e->ctx, LP_E_FORMAT, "%s: the tokenizer has %u tokens, the embedding %u",
                       e->where, t->vocab.n, e->n_vocab);
    lp_gguf_put_string(e->writer, KEY("model"),
                       unigram  ? "t5"
                       : words  ? "bert"
                       : pieces ? "llama"
                                : "gpt2");
    if (t->byte_level)
        LP_TRY(put_pre(e));
    LP_TRY(put_vocab(e));
    if (t->byte_level)
        LP_TRY(put_merges(e));
    if (unigram)
        LP_TRY(put_unigram(e));
    if (words)
        put_lower(e);
    LP_TRY(put_special(e));
    LP_TRY(read_again(e));
    return put_chat_template(e);
}

lp_status lp_tokenizer_to_gguf(lp_context *ctx, const char *path, const lp_tokenizer *tokenizer,
                               const char *arch, uint32_t n_vocab, lp_gguf_writer *writer)
{
    exporter e = {ctx, path, arch, tokenizer, writer, n_vocab};
    if (tokenizer != NULL)
        return put_all(&e);
    lp_gguf_put_string(writer, KEY("model"), "no_vocab");
    return LP_OK;
}
