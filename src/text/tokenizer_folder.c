/* Folders that hold no tokenizer.json but what older versions of Hugging Face's libraries wrote:
 * vocab.txt (WordPiece), vocab.json with merges.txt (byte-level BPE), SentencePiece models. What
 * such files leave open (how text is split, what goes around it) is a property of the tokenizer's
 * class: one row each, with parts as a tokenizer.json of that class has them. */
#include "text/tokenizer_folder.h"

#include <stdio.h>
#include <string.h>

#define BYTES(prefix) "{\"type\":\"ByteLevel\",\"add_prefix_space\":" prefix ",\"use_regex\":true}"
#define SPLIT(pattern, behavior, invert)                                                           \
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"" pattern "\"},\"behavior\":\"" behavior         \
    "\",\"invert\":" invert "}"
#define SEQUENCE(parts) "{\"type\":\"Sequence\",\"pretokenizers\":[" parts "]}"
#define QWEN2                                                                                      \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}| "              \
    "?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"
#define CLIP                                                                                       \
    "<\\\\|startoftext\\\\|>|<\\\\|endoftext\\\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\\\p{L}]+|[\\\\p{N}]" \
    "|[^\\\\s\\\\p{L}\\\\p{N}]+"

typedef enum form {
    FORM_PLAIN,  /* a BOS, if the configuration wants one */
    FORM_BERT,   /* cls A sep B sep */
    FORM_ROBERTA /* cls A sep sep B sep, of one segment */
} form;

typedef struct family {
    const char *classes; /* tokenizer_class without "Fast", or model_type */
    const char *normalizer, *pre_tokenizer;
    const char *suffix; /* of a word's last character */
    const char *unknown, *bos, *eos, *pad, *cls, *sep, *mask;
    form form;
    bool mask_strips; /* <mask> eats the space before it */
} family;

static const family byte_families[] = {
    {.classes = "GPT2Tokenizer CodeGenTokenizer WhisperTokenizer gpt2 gpt_neo gptj opt codegen",
     .pre_tokenizer = BYTES("false"),
     .unknown = "<|endoftext|>",
     .bos = "<|endoftext|>",
     .eos = "<|endoftext|>"},
    {.classes = "RobertaTokenizer BartTokenizer LEDTokenizer LongformerTokenizer MvpTokenizer "
                "roberta bart led longformer",
     .pre_tokenizer = BYTES("false"),
     .unknown = "<unk>",
     .bos = "<s>",
     .eos = "</s>",
     .pad = "<pad>",
     .cls = "<s>",
     .sep = "</s>",
     .mask = "<mask>",
     .form = FORM_ROBERTA,
     .mask_strips = true},
    {.classes = "Qwen2Tokenizer qwen2 qwen2_moe qwen3 qwen3_moe",
     .normalizer = "{\"type\":\"NFC\"}",
     .pre_tokenizer = SEQUENCE(SPLIT(QWEN2, "Isolated", "false") ",{\"type\":\"ByteLevel\","
                                                                 "\"add_prefix_space\":false,"
                                                                 "\"use_regex\":false}"),
     .eos = "<|endoftext|>",
     .pad = "<|endoftext|>"},
    {.classes = "CLIPTokenizer clip clip_text_model",
     .normalizer =
         "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},{\"type\":\"Replace\","
         "\"pattern\":{\"Regex\":\"\\\\s+\"},\"content\":\" \"},{\"type\":\"Lowercase\"}]}",
     .pre_tokenizer = SEQUENCE(SPLIT(CLIP, "Removed", "true") "," BYTES("false")),
     .suffix = "</w>",
     .unknown = "<|endoftext|>",
     .bos = "<|startoftext|>",
     .eos = "<|endoftext|>",
     .cls = "<|startoftext|>",
     .sep = "<|endoftext|>",
     .form = FORM_ROBERTA},
};

static const family word_families[] = {
    {.classes =
         "BertTokenizer DistilBertTokenizer ElectraTokenizer LayoutLMTokenizer "
         "MobileBertTokenizer SqueezeBertTokenizer RetriBertTokenizer bert distilbert electra",
     .unknown = "[UNK]",
     .pad = "[PAD]",
     .cls = "[CLS]",
     .sep = "[SEP]",
     .mask = "[MASK]",
     .form = FORM_BERT},
    {.classes = "MPNetTokenizer mpnet",
     .unknown = "[UNK]",
     .bos = "<s>",
     .eos = "</s>",
     .pad = "<pad>",
     .cls = "<s>",
     .sep = "</s>",
     .mask = "<mask>",
     .form = FORM_ROBERTA,
     .mask_strips = true},
};

static bool is_there(const lp_parts_reader *reader, lp_tokenizer_part part)
{
    return reader->parts[part].data != NULL;
}

lp_status lp_parts_json(lp_parts_reader *reader, lp_tokenizer_part part, yyjson_val **root)
{
    const lp_tokenizer_file *file = &reader->parts[part];
    *root = NULL;
    if (file->data && !reader->docs[part])
        LP_TRY(lp_json_parse(reader->json.ctx, file->path, file->data, file->bytes,
                             &reader->docs[part]));
    *root = yyjson_doc_get_root(reader->docs[part]);
    return LP_OK;
}

static bool is_among(const char *name, const char *names)
{
    size_t n = strlen(name);
    while (*names && n > 0) {
        size_t length = strcspn(names, " ");
        if (length == n && memcmp(names, name, n) == 0)
            return true;
        names += length;
        names += *names == ' ';
    }
    return false;
}

bool lp_parts_is(const lp_parts_reader *reader, const char *names)
{
    return is_among(reader->class, names);
}

int32_t lp_parts_special(lp_parts_reader *reader, const char *text)
{
    lp_vocab *vocab = &reader->json.tokenizer->vocab;
    int32_t id = text ? lp_vocab_find(vocab, text, strlen(text)) : -1;
    if (id >= 0)
        vocab->tokens[id].type = LP_TOKEN_CONTROL;
    return id;
}

/* Class and added tokens. */
static lp_status read_settings(lp_parts_reader *reader)
{
    lp_json_reader *json = &reader->json;
    yyjson_val *config, *model_config, *added;
    const char *class = NULL;
    LP_TRY(lp_parts_json(reader, LP_PART_CONFIG, &config));
    LP_TRY(lp_parts_json(reader, LP_PART_MODEL_CONFIG, &model_config));
    LP_TRY(lp_parts_json(reader, LP_PART_ADDED, &added));
    if (config)
        LP_TRY(lp_json_get_string(json->ctx, reader->parts[LP_PART_CONFIG].path, config,
                                  "tokenizer_class", LP_JSON_OPTIONAL, &class));
    if (class && is_among(class, "PreTrainedTokenizerFast TokenizersBackend"))
        class = NULL; /* these say nothing */
    if (!class && model_config)
        LP_TRY(lp_json_get_string(json->ctx, reader->parts[LP_PART_MODEL_CONFIG].path, model_config,
                                  "model_type", LP_JSON_OPTIONAL, &class));
    char *name = lp_arena_strdup(&json->tokenizer->arena, class ? class : "");
    if (!name)
        return lp_fail_memory(json->ctx, json->where);
    size_t n = strlen(name);
    if (n > 4 && strcmp(name + n - 4, "Fast") == 0)
        name[n - 4] = 0;
    reader->class = name;
    yyjson_val *decoder = yyjson_obj_get(config, "added_tokens_decoder");
    json->where = reader->parts[decoder ? LP_PART_CONFIG : LP_PART_ADDED].path;
    return lp_json_added_list(json, decoder ? decoder : added, &reader->added, &reader->n_added);
}

/* The row of the reader's class; without a class the first one whose special tokens are all there,
 * or else the first one. */
static lp_status find_family(lp_parts_reader *reader, const family *rows, size_t n,
                             const family **found)
{
    const lp_vocab *vocab = &reader->json.tokenizer->vocab;
    *found = NULL;
    for (size_t i = 0; i < n && !*found; i++) {
        const char *names[] = {rows[i].bos, rows[i].eos, rows[i].cls, rows[i].mask};
        bool all = rows[i].cls != NULL;
        for (size_t k = 0; k < 4; k++)
            all = all && (!names[k] || lp_vocab_find(vocab, names[k], strlen(names[k])) >= 0);
        if (reader->class[0] ? lp_parts_is(reader, rows[i].classes) : all)
            *found = &rows[i];
    }
    if (!*found && reader->class[0])
        return lp_fail(reader->json.ctx, LP_E_UNSUPPORTED,
                       "%s: a tokenizer of the class %s needs its tokenizer.json",
                       reader->json.where, reader->class);
    if (!*found)
        *found = rows;
    return LP_OK;
}

typedef lp_status (*read_part)(lp_json_reader *reader, yyjson_val *value, unsigned depth);

/* A part in our own tables. */
static lp_status read_text(lp_json_reader *reader, read_part read, const char *text)
{
    yyjson_doc *doc = NULL;
    if (!text)
        return LP_OK;
    LP_TRY(lp_json_parse(reader->ctx, reader->where, text, strlen(text), &doc));
    lp_status status = read(reader, yyjson_doc_get_root(doc), 0);
    yyjson_doc_free(doc);
    return status;
}

/* Special tokens by the configuration, then by the family; the template around texts. */
static lp_status set_special(lp_parts_reader *reader, const family *row)
{
    lp_json_reader *json = &reader->json;
    lp_special_tokens *special = &json->tokenizer->special;
    yyjson_val *config, *map;
    LP_TRY(lp_parts_json(reader, LP_PART_CONFIG, &config));
    LP_TRY(lp_parts_json(reader, LP_PART_SPECIAL, &map));
    json->where = reader->parts[LP_PART_CONFIG].path;
    LP_TRY(lp_json_config(json, config));
    json->where = reader->parts[LP_PART_SPECIAL].path;
    LP_TRY(lp_json_config(json, map));
    if (!row)
        return LP_OK;
    const struct {
        int32_t *id;
        const char *name;
    } names[] = {{&special->unknown, row->unknown}, {&special->bos, row->bos},
                 {&special->eos, row->eos},         {&special->pad, row->pad},
                 {&special->cls, row->cls},         {&special->sep, row->sep},
                 {&special->mask, row->mask}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (*names[i].id < 0)
            *names[i].id = lp_parts_special(reader, names[i].name);
    if (special->mask >= 0 && row->mask_strips)
        json->tokenizer->vocab.tokens[special->mask].flags |= LP_TOKEN_LEFT_STRIP;
    if (row->form == FORM_PLAIN)
        return LP_OK;
    bool roberta = row->form == FORM_ROBERTA;
    return lp_template_around(json->ctx, json->where, json->tokenizer, special->cls,
                              roberta ? special->sep : -1, special->sep, !roberta);
}

/* The next line of text[bytes] at *at, without its end; false behind the last one. */
static bool next_line(const char *text, size_t bytes, size_t *at, const char **line, size_t *length)
{
    if (*at >= bytes)
        return false;
    const char *end = memchr(text + *at, '\n', bytes - *at);
    *line = text + *at;
    *length = end ? (size_t)(end - *line) : bytes - *at;
    *at += *length + 1;
    if (*length > 0 && (*line)[*length - 1] == '\r')
        --*length;
    return true;
}

/* merges.txt: "left right" a line, the best one first; "#version" may head it. */
static lp_status read_merges(lp_parts_reader *reader)
{
    const lp_tokenizer_file *file = &reader->parts[LP_PART_MERGES];
    lp_tokenizer *t = reader->json.tokenizer;
    const char *line;
    size_t at = 0, length, n_lines = 0;
    uint32_t rank = 0, number = 0;
    while (next_line(file->data, file->bytes, &at, &line, &length))
        n_lines++;
    if (n_lines > LP_MAX_TOKENS)
        return lp_fail(reader->json.ctx, LP_E_LIMIT, "%s: too many merges", file->path);
    LP_TRY(lp_bpe_table_create(reader->json.ctx, &t->merges, n_lines));
    at = 0;
    while (next_line(file->data, file->bytes, &at, &line, &length)) {
        number++;
        if (length == 0 || (number == 1 && length >= 8 && memcmp(line, "#version", 8) == 0))
            continue;
        const char *space = length > 1 ? memchr(line + 1, ' ', length - 1) : NULL;
        if (!space)
            return lp_fail(reader->json.ctx, LP_E_FORMAT, "%s: line %u: two tokens expected",
                           file->path, number);
        size_t left = (size_t)(space - line);
        LP_TRY(lp_tokenizer_add_merge(reader->json.ctx, file->path, t, rank++, line, left,
                                      space + 1, length - left - 1));
    }
    return LP_OK;
}

static lp_status read_bytes(lp_parts_reader *reader)
{
    lp_json_reader *json = &reader->json;
    lp_tokenizer *t = json->tokenizer;
    yyjson_val *vocab, *config;
    const family *row;
    bool prefix = false;
    json->where = reader->parts[LP_PART_VOCAB_JSON].path;
    LP_TRY(lp_parts_json(reader, LP_PART_VOCAB_JSON, &vocab));
    LP_TRY(lp_json_vocab(json, vocab, reader->added, reader->n_added));
    LP_TRY(
        find_family(reader, byte_families, sizeof byte_families / sizeof byte_families[0], &row));
    t->model = LP_MODEL_RANKED;
    if (row->suffix)
        t->word_suffix = row->suffix;
    LP_TRY(read_merges(reader));
    json->where = reader->parts[LP_PART_VOCAB_JSON].path;
    LP_TRY(lp_parts_json(reader, LP_PART_CONFIG, &config));
    if (config)
        LP_TRY(lp_json_get_bool(json->ctx, reader->parts[LP_PART_CONFIG].path, config,
                                "add_prefix_space", LP_JSON_OPTIONAL, &prefix));
    LP_TRY(read_text(json, lp_json_normalizer, row->normalizer));
    bool plain = strcmp(row->pre_tokenizer, BYTES("false")) == 0;
    LP_TRY(read_text(json, lp_json_pre_tokenizer,
                     plain && prefix ? BYTES("true") : row->pre_tokenizer));
    LP_TRY(lp_json_complete(json));
    return set_special(reader, row);
}

/* vocab.txt: a token a line, its id is the line. */
static lp_status read_words(lp_parts_reader *reader)
{
    const lp_tokenizer_file *file = &reader->parts[LP_PART_VOCAB_TXT];
    lp_json_reader *json = &reader->json;
    lp_tokenizer *t = json->tokenizer;
    yyjson_val *config;
    const family *row;
    const char *line;
    size_t at = 0, length;
    uint32_t n = 0;
    bool lower = true, cjk = true, accents;
    json->where = file->path;
    while (next_line(file->data, file->bytes, &at, &line, &length))
        if (n++ == LP_MAX_TOKENS)
            return lp_fail(json->ctx, LP_E_LIMIT, "%s: too many lines", file->path);
    LP_TRY(lp_json_room(json, n, n, reader->added, reader->n_added));
    at = n = 0;
    while (next_line(file->data, file->bytes, &at, &line, &length))
        LP_TRY(lp_vocab_set(json->ctx, file->path, t, n++, line, length, LP_TOKEN_NORMAL));
    for (size_t i = 0; i < reader->n_added; i++)
        LP_TRY(lp_json_add_token(json, &reader->added[i]));
    LP_TRY(
        find_family(reader, word_families, sizeof word_families / sizeof word_families[0], &row));
    LP_TRY(lp_parts_json(reader, LP_PART_CONFIG, &config));
    json->where = reader->parts[LP_PART_CONFIG].path;
    if (config) {
        LP_TRY(lp_json_get_bool(json->ctx, json->where, config, "do_lower_case", LP_JSON_OPTIONAL,
                                &lower));
        LP_TRY(lp_json_get_bool(json->ctx, json->where, config, "tokenize_chinese_chars",
                                LP_JSON_OPTIONAL, &cjk));
    }
    accents = lower;
    if (config)
        LP_TRY(lp_json_get_bool(json->ctx, json->where, config, "strip_accents", LP_JSON_OPTIONAL,
                                &accents));
    t->model = LP_MODEL_WORDPIECE;
    t->rest_prefix = "##";
    t->wordpiece.longest = 100;
    t->cleanup = true;
    json->where = file->path;
    LP_TRY(lp_tokenizer_add_bert(json->ctx, file->path, t, true, cjk, accents, lower));
    LP_TRY(lp_splitter_create(json->ctx, &t->splitter));
    LP_TRY(lp_splitter_add_bert(json->ctx, t->splitter, file->path));
    LP_TRY(lp_json_complete(json));
    LP_TRY(set_special(reader, row));
    return lp_tokenizer_index_wordpiece(json->ctx, t, "");
}

static lp_status read_parts(lp_parts_reader *reader, const char *where)
{
    LP_TRY(read_settings(reader));
    if (is_there(reader, LP_PART_SOURCE) && is_there(reader, LP_PART_VOCAB_JSON)) {
        LP_TRY(lp_parts_marian(reader));
        return set_special(reader, NULL);
    }
    if (is_there(reader, LP_PART_PIECES)) {
        LP_TRY(lp_parts_pieces(reader));
        return set_special(reader, NULL);
    }
    if (is_there(reader, LP_PART_VOCAB_JSON) && is_there(reader, LP_PART_MERGES))
        return read_bytes(reader);
    if (is_there(reader, LP_PART_VOCAB_TXT))
        return read_words(reader);
    return lp_fail(reader->json.ctx, LP_E_MISSING,
                   "%s: no tokenizer: neither tokenizer.json nor vocab.txt, vocab.json with "
                   "merges.txt, spiece.model or tokenizer.model",
                   where);
}

lp_status lp_tokenizer_from_parts(lp_context *ctx, const char *where,
                                  const lp_tokenizer_file parts[LP_N_PARTS],
                                  lp_tokenizer **tokenizer)
{
    lp_status status = LP_OK;
    lp_parts_reader reader = {.json = {.ctx = ctx, .where = where}, .parts = parts};
    *tokenizer = NULL;
    if (parts[LP_PART_JSON].data)
        return lp_tokenizer_from_json(ctx, parts[LP_PART_JSON], parts[LP_PART_CONFIG], tokenizer);
    LP_CHECK(lp_tokenizer_create(ctx, &reader.json.tokenizer));
    LP_CHECK(read_parts(&reader, where));
    LP_CHECK(lp_tokenizer_finish(ctx, where, reader.json.tokenizer));
    *tokenizer = reader.json.tokenizer;
    reader.json.tokenizer = NULL;
cleanup:
    lp_tokenizer_destroy(reader.json.tokenizer);
    for (size_t i = 0; i < LP_N_PARTS; i++)
        yyjson_doc_free(reader.docs[i]);
    return status;
}
