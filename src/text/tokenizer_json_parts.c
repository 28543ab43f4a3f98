/* tokenizer.json: pre_tokenizer, post_processor, decoder. Formats as documented at
 * https://huggingface.co/docs/tokenizers/components. Decoding is the inverse of encoding, so the
 * decoder is mostly only checked to be one that this is true of. */
#include "text/tokenizer_json.h"

#include <stdio.h>
#include <string.h>

/* The splitter, for a further step. Behind ByteLevel steps see text in GPT-2's alphabet. */
static lp_status open_splitter(lp_json_reader *reader)
{
    lp_tokenizer *t = reader->tokenizer;
    if (!t->splitter)
        LP_TRY(lp_splitter_create(reader->ctx, &t->splitter));
    if (!reader->after_bytes || t->letters)
        return LP_OK;
    t->letters = true;
    return lp_splitter_add_letters(reader->ctx, t->splitter, reader->where);
}

static lp_status add_pattern(lp_json_reader *reader, const char *text, size_t bytes,
                             lp_split_mode mode, bool invert)
{
    LP_TRY(open_splitter(reader));
    return lp_splitter_add(reader->ctx, reader->tokenizer->splitter, reader->where, text, bytes,
                           mode, invert);
}

static lp_status add_class(lp_json_reader *reader, lp_split_class class, lp_split_mode mode)
{
    LP_TRY(open_splitter(reader));
    return lp_splitter_add_class(reader->ctx, reader->tokenizer->splitter, reader->where, class,
                                 mode);
}

/* Regular expression of a literal text. */
static lp_status add_literal(lp_json_reader *reader, yyjson_val *text, lp_split_mode mode,
                             bool invert)
{
    char escaped[8 * 64];
    size_t n = 0;
    if (yyjson_get_len(text) > 64)
        return lp_fail(reader->ctx, LP_E_LIMIT, "%s: pre_tokenizer: a String of more than 64 bytes",
                       reader->where);
    for (size_t i = 0; i < yyjson_get_len(text); i++) {
        char c = yyjson_get_str(text)[i];
        if ((uint8_t)c < 0x80 && !(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') &&
            !(c >= 'A' && c <= 'Z'))
            n += (size_t)snprintf(escaped + n, sizeof escaped - n, "\\x{%x}", (unsigned)c);
        else
            escaped[n++] = c;
    }
    return add_pattern(reader, escaped, n, mode, invert);
}

/* "behavior". */
static lp_status behavior(lp_json_reader *reader, yyjson_val *value, const char *part,
                          lp_json_need need, lp_split_mode *mode)
{
    static const struct {
        const char *name;
        lp_split_mode mode;
    } rows[] = {{"Isolated", LP_SPLIT_ISOLATED},
                {"Removed", LP_SPLIT_REMOVED},
                {"MergedWithPrevious", LP_SPLIT_WITH_PREVIOUS},
                {"MergedWithNext", LP_SPLIT_WITH_NEXT},
                {"Contiguous", LP_SPLIT_JOINED}};
    const char *name = rows[0].name;
    LP_TRY(lp_json_get_string(reader->ctx, reader->where, value, "behavior", need, &name));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(name, rows[i].name) == 0) {
            *mode = rows[i].mode;
            return LP_OK;
        }
    return lp_json_unsupported(reader, part, name);
}

static lp_status split(lp_json_reader *reader, yyjson_val *value)
{
    yyjson_val *text = NULL;
    lp_split_mode mode = LP_SPLIT_ISOLATED;
    bool regex, invert = false;
    LP_TRY(lp_json_pattern(reader, "pre_tokenizer", value, &text, &regex));
    LP_TRY(behavior(reader, value, "pre_tokenizer: Split", LP_JSON_REQUIRED, &mode));
    LP_TRY(
        lp_json_get_bool(reader->ctx, reader->where, value, "invert", LP_JSON_OPTIONAL, &invert));
    return regex ? add_pattern(reader, yyjson_get_str(text), yyjson_get_len(text), mode, invert)
                 : add_literal(reader, text, mode, invert);
}

static lp_status metaspace(lp_json_reader *reader, yyjson_val *value)
{
    static const char *const schemes[] = {"never", "first", "always"};
    const char *scheme = NULL;
    bool split_words = true, prefix = true;
    lp_context *ctx = reader->ctx;
    yyjson_val *replacement = yyjson_obj_get(value, "replacement");
    int found = LP_PREFIX_ALWAYS;
    if (replacement && !yyjson_equals_str(replacement, LP_SPACE_MARK))
        return lp_json_unsupported(reader, "pre_tokenizer", "a Metaspace other than U+2581");
    LP_TRY(lp_json_get_bool(ctx, reader->where, value, "split", LP_JSON_OPTIONAL, &split_words));
    LP_TRY(lp_json_get_bool(ctx, reader->where, value, "add_prefix_space", LP_JSON_OPTIONAL,
                            &prefix)); /* how older files say it */
    LP_TRY(
        lp_json_get_string(ctx, reader->where, value, "prepend_scheme", LP_JSON_OPTIONAL, &scheme));
    for (found = scheme ? 2 : prefix ? 2 : 0; scheme && found >= 0; found--)
        if (strcmp(scheme, schemes[found]) == 0)
            break;
    if (found < 0)
        return lp_json_unsupported(reader, "pre_tokenizer: Metaspace: prepend_scheme", scheme);
    reader->tokenizer->escape_space = true;
    reader->tokenizer->special.space_prefix = found != LP_PREFIX_NEVER;
    LP_TRY(open_splitter(reader));
    return lp_splitter_add_metaspace(ctx, reader->tokenizer->splitter, reader->where,
                                     (lp_prefix)found, split_words);
}

static lp_status byte_level(lp_json_reader *reader, yyjson_val *value)
{
    bool prefix = true, regex = true;
    LP_TRY(lp_json_get_bool(reader->ctx, reader->where, value, "add_prefix_space", LP_JSON_OPTIONAL,
                            &prefix));
    LP_TRY(
        lp_json_get_bool(reader->ctx, reader->where, value, "use_regex", LP_JSON_OPTIONAL, &regex));
    if (reader->after_bytes)
        return lp_json_unsupported(reader, "pre_tokenizer", "a second ByteLevel");
    LP_TRY(open_splitter(reader));
    if (prefix)
        LP_TRY(lp_splitter_add_space(reader->ctx, reader->tokenizer->splitter, reader->where));
    if (regex)
        LP_TRY(add_pattern(reader, lp_pattern_gpt2, strlen(lp_pattern_gpt2), LP_SPLIT_ISOLATED,
                           false));
    reader->tokenizer->special.space_prefix = prefix;
    reader->after_bytes = true;
    reader->tokenizer->byte_level = true;
    return LP_OK;
}

static lp_status bert(lp_json_reader *reader, yyjson_val *value)
{
    (void)value;
    LP_TRY(open_splitter(reader));
    return lp_splitter_add_bert(reader->ctx, reader->tokenizer->splitter, reader->where);
}

/* \w+|[^\w\s]+ of the regular expressions of Rust, where \w has letters, marks, decimal digits,
 * connectors, (non-)joiners and what else is alphabetic. */
static lp_status whitespace(lp_json_reader *reader, yyjson_val *value)
{
#define RUST_WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{200c}\\x{200d}"
    static const char words[] = "[" RUST_WORD "]+|[^" RUST_WORD "\\p{WSpace}]+";
    (void)value;
    return add_pattern(reader, words, strlen(words), LP_SPLIT_REMOVED, true);
}

static lp_status whitespace_split(lp_json_reader *reader, yyjson_val *value)
{
    (void)value;
    return add_class(reader, LP_SPLIT_SPACE, LP_SPLIT_REMOVED);
}

static lp_status digits(lp_json_reader *reader, yyjson_val *value)
{
    bool single = false;
    LP_TRY(lp_json_get_bool(reader->ctx, reader->where, value, "individual_digits",
                            LP_JSON_OPTIONAL, &single));
    return add_class(reader, LP_SPLIT_NUMBER, single ? LP_SPLIT_ISOLATED : LP_SPLIT_JOINED);
}

static lp_status punctuation(lp_json_reader *reader, yyjson_val *value)
{
    lp_split_mode mode = LP_SPLIT_ISOLATED;
    LP_TRY(behavior(reader, value, "pre_tokenizer: Punctuation", LP_JSON_OPTIONAL, &mode));
    return add_class(reader, LP_SPLIT_PUNCTUATION, mode);
}

static lp_status delimiter(lp_json_reader *reader, yyjson_val *value)
{
    yyjson_val *text = yyjson_obj_get(value, "delimiter");
    if (!yyjson_is_str(text) || yyjson_get_len(text) == 0)
        return lp_fail(reader->ctx, LP_E_FORMAT,
                       "%s: pre_tokenizer: delimiter: a character expected", reader->where);
    return add_literal(reader, text, LP_SPLIT_REMOVED, false);
}

lp_status lp_json_pre_tokenizer(lp_json_reader *reader, yyjson_val *value, unsigned depth)
{
    static const struct {
        const char *type;
        lp_status (*read)(lp_json_reader *, yyjson_val *);
    } rows[] = {{"ByteLevel", byte_level},
                {"Metaspace", metaspace},
                {"Split", split},
                {"BertPreTokenizer", bert},
                {"Whitespace", whitespace},
                {"WhitespaceSplit", whitespace_split},
                {"Digits", digits},
                {"Punctuation", punctuation},
                {"CharDelimiterSplit", delimiter}};
    const char *type = NULL;
    if (!value || yyjson_is_null(value))
        return LP_OK;
    LP_TRY(lp_json_type(reader, "pre_tokenizer", value, depth, &type));
    if (strcmp(type, "Sequence") == 0)
        return lp_json_sequence(reader, value, "pretokenizers", lp_json_pre_tokenizer, depth);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(type, rows[i].type) == 0)
            return rows[i].read(reader, value);
    return lp_json_unsupported(reader, "pre_tokenizer", type);
}

/* A special token of a template: its name is a key of special_tokens, where its ids are. */
static lp_status template_token(lp_json_reader *reader, yyjson_val *item, yyjson_val *tokens,
                                int32_t segment, lp_template *form)
{
    yyjson_val *name = yyjson_obj_get(item, "id"), *id;
    yyjson_val *token = yyjson_obj_getn(tokens, yyjson_get_str(name), yyjson_get_len(name));
    yyjson_val *ids = yyjson_obj_get(token, "ids");
    size_t i, n;
    bool valid = yyjson_arr_size(ids) > 0;
    yyjson_arr_foreach(ids, i, n, id) valid =
        valid && yyjson_is_uint(id) && yyjson_get_uint(id) < reader->tokenizer->vocab.n;
    if (!valid)
        return lp_fail(reader->ctx, LP_E_FORMAT,
                       "%s: post_processor: special_tokens: no valid ids for %s", reader->where,
                       yyjson_is_str(name) ? yyjson_get_str(name) : "a special token");
    yyjson_arr_foreach(ids, i, n, id) LP_TRY(
        lp_template_add(reader->ctx, reader->where, form, (int32_t)yyjson_get_uint(id), segment));
    return LP_OK;
}

/* A list of special tokens and texts, in which each of the texts 'A' to `last` is there once. */
static lp_status template_form(lp_json_reader *reader, yyjson_val *value, const char *key,
                               yyjson_val *tokens, char last, lp_template *form)
{
    yyjson_val *list = NULL, *item;
    size_t i, n;
    unsigned seen[2] = {0};
    LP_TRY(lp_json_get_array(reader->ctx, reader->where, value, key, LP_JSON_REQUIRED, &list));
    form->n = 0;
    yyjson_arr_foreach(list, i, n, item)
    {
        yyjson_val *token = yyjson_obj_get(item, "SpecialToken");
        yyjson_val *text = yyjson_obj_get(item, "Sequence"), *part = token ? token : text;
        const char *name = "A";
        uint32_t segment = 0;
        if (!part)
            return lp_json_unsupported(reader, "post_processor", "this template");
        LP_TRY(lp_json_get_u32(reader->ctx, reader->where, part, "type_id", LP_JSON_OPTIONAL,
                               &segment));
        if (segment > INT32_MAX)
            return lp_fail(reader->ctx, LP_E_LIMIT, "%s: post_processor: type_id %u", reader->where,
                           segment);
        if (token) {
            LP_TRY(template_token(reader, token, tokens, (int32_t)segment, form));
            continue;
        }
        LP_TRY(lp_json_get_string(reader->ctx, reader->where, part, "id", LP_JSON_OPTIONAL, &name));
        if (name[0] < 'A' || name[0] > last || name[1] || seen[name[0] - 'A']++)
            return lp_json_unsupported(reader, "post_processor", "this template");
        LP_TRY(lp_template_add(reader->ctx, reader->where, form,
                               name[0] == 'A' ? LP_TEMPLATE_A : LP_TEMPLATE_B, (int32_t)segment));
    }
    return seen[0] + seen[1] == (unsigned)(last - 'A') + 1
               ? LP_OK
               : lp_json_unsupported(reader, "post_processor", "this template");
}

static lp_status template_processing(lp_json_reader *reader, yyjson_val *value)
{
    lp_tokenizer *t = reader->tokenizer;
    yyjson_val *tokens = NULL;
    LP_TRY(lp_json_get_object(reader->ctx, reader->where, value, "special_tokens", LP_JSON_OPTIONAL,
                              &tokens));
    LP_TRY(template_form(reader, value, "single", tokens, 'A', &t->single));
    if (yyjson_obj_get(value, "pair"))
        return template_form(reader, value, "pair", tokens, 'B', &t->pair);
    t->pair = t->single; /* and the second text behind all */
    return lp_template_add(reader->ctx, reader->where, &t->pair, LP_TEMPLATE_B, 1);
}

/* "sep": ["</s>", 2]. */
static lp_status named_id(lp_json_reader *reader, yyjson_val *value, const char *key, int32_t *id)
{
    yyjson_val *pair = yyjson_obj_get(value, key), *number = yyjson_arr_get(pair, 1);
    if (yyjson_arr_size(pair) != 2 || !yyjson_is_uint(number) ||
        yyjson_get_uint(number) >= reader->tokenizer->vocab.n)
        return lp_fail(reader->ctx, LP_E_FORMAT,
                       "%s: post_processor: %s: [text, id] of the vocabulary expected",
                       reader->where, key);
    *id = (int32_t)yyjson_get_uint(number);
    return LP_OK;
}

/* BERT: "cls A sep B sep"; RoBERTa: "cls A sep sep B sep", all of one segment. */
static lp_status around(lp_json_reader *reader, yyjson_val *value, bool roberta)
{
    lp_special_tokens *special = &reader->tokenizer->special;
    LP_TRY(named_id(reader, value, "cls", &special->cls));
    LP_TRY(named_id(reader, value, "sep", &special->sep));
    return lp_template_around(reader->ctx, reader->where, reader->tokenizer, special->cls,
                              roberta ? special->sep : -1, special->sep, !roberta);
}

lp_status lp_json_post_processor(lp_json_reader *reader, yyjson_val *value, unsigned depth)
{
    const char *type = NULL;
    if (!value || yyjson_is_null(value))
        return LP_OK;
    LP_TRY(lp_json_type(reader, "post_processor", value, depth, &type));
    if (strcmp(type, "Sequence") == 0)
        return lp_json_sequence(reader, value, "processors", lp_json_post_processor, depth);
    if (strcmp(type, "ByteLevel") == 0) /* changes offsets only */
        return LP_OK;
    if (reader->tokenizer->single.n > 0)
        return lp_json_unsupported(reader, "post_processor", "a second template");
    if (strcmp(type, "TemplateProcessing") == 0)
        return template_processing(reader, value);
    if (strcmp(type, "BertProcessing") == 0)
        return around(reader, value, false);
    if (strcmp(type, "RobertaProcessing") == 0)
        return around(reader, value, true);
    return lp_json_unsupported(reader, "post_processor", type);
}

lp_status lp_json_decoder(lp_json_reader *reader, yyjson_val *value, unsigned depth)
{
    static const char *const inverse[] = {"ByteLevel", "ByteFallback", "Fuse",      "Strip",
                                          "Metaspace", "Replace",      "BPEDecoder"};
    const char *type = NULL;
    if (!value || yyjson_is_null(value))
        return LP_OK;
    LP_TRY(lp_json_type(reader, "decoder", value, depth, &type));
    if (strcmp(type, "Sequence") == 0)
        return lp_json_sequence(reader, value, "decoders", lp_json_decoder, depth);
    if (strcmp(type, "WordPiece") == 0) {
        reader->tokenizer->cleanup = true;
        return lp_json_get_bool(reader->ctx, reader->where, value, "cleanup", LP_JSON_OPTIONAL,
                                &reader->tokenizer->cleanup);
    }
    for (size_t i = 0; i < sizeof inverse / sizeof inverse[0]; i++)
        if (strcmp(type, inverse[i]) == 0)
            return LP_OK;
    return lp_json_unsupported(reader, "decoder", type);
}
