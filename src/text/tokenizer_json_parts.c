/* tokenizer.json: normalizer, pre_tokenizer, post_processor, decoder. Formats as documented at
 * https://huggingface.co/docs/tokenizers/components. Decoding is the inverse of encoding, so the
 * decoder is only checked to be one that this is true of. */
#include "text/tokenizer_json.h"

#include <stdio.h>
#include <string.h>

#define MAX_DEPTH       8   /* of nested Sequences */
#define MAX_REPLACEMENT 255 /* bytes */

typedef lp_status (*read_part)(lp_json_reader *reader, yyjson_val *value, unsigned depth);

static lp_status unsupported(lp_json_reader *reader, const char *part, const char *what)
{
    char quoted[LP_QUOTE_TEXT];
    return lp_fail(reader->ctx, LP_E_UNSUPPORTED, "%s: %s: %s is not supported", reader->where,
                   part, lp_utf8_quote(what, strlen(what), quoted));
}

/* The "type" of a part. */
static lp_status type_of(lp_json_reader *reader, const char *part, yyjson_val *value,
                         unsigned depth, const char **type)
{
    if (!yyjson_is_obj(value))
        return lp_fail(reader->ctx, LP_E_FORMAT, "%s: %s: object expected, file has %s",
                       reader->where, part, yyjson_get_type_desc(value));
    if (depth > MAX_DEPTH)
        return lp_fail(reader->ctx, LP_E_LIMIT, "%s: %s: nested too deeply", reader->where, part);
    return lp_json_get_string(reader->ctx, reader->where, value, "type", LP_JSON_REQUIRED, type);
}

static lp_status sequence(lp_json_reader *reader, yyjson_val *value, const char *key,
                          read_part read, unsigned depth)
{
    yyjson_val *list = NULL, *item;
    size_t i, n;
    LP_TRY(lp_json_get_array(reader->ctx, reader->where, value, key, LP_JSON_REQUIRED, &list));
    yyjson_arr_foreach(list, i, n, item) LP_TRY(read(reader, item, depth + 1));
    return LP_OK;
}

static bool equal(yyjson_val *value, const char *text)
{
    return yyjson_equals_str(value, text);
}

/* "pattern": {"String": ...} or {"Regex": ...}. */
static lp_status pattern(lp_json_reader *reader, const char *part, yyjson_val *value,
                         yyjson_val **text, bool *regex)
{
    yyjson_val *object = NULL;
    LP_TRY(lp_json_get_object(reader->ctx, reader->where, value, "pattern", LP_JSON_REQUIRED,
                              &object));
    *text = yyjson_obj_get(object, "String");
    *regex = !*text;
    if (!*text)
        *text = yyjson_obj_get(object, "Regex");
    if (!yyjson_is_str(*text) || yyjson_get_len(*text) == 0)
        return lp_fail(reader->ctx, LP_E_FORMAT, "%s: %s: pattern: a String or Regex expected",
                       reader->where, part);
    return LP_OK;
}

static lp_status add_replace(lp_json_reader *reader, yyjson_val *from, yyjson_val *to)
{
    if (yyjson_get_len(from) > MAX_REPLACEMENT || yyjson_get_len(to) > MAX_REPLACEMENT)
        return lp_fail(reader->ctx, LP_E_LIMIT, "%s: normalizer: Replace: more than %d bytes",
                       reader->where, MAX_REPLACEMENT);
    if (equal(from, " ") && equal(to, LP_SPACE_MARK))
        reader->tokenizer->escape_space = true;
    lp_normalize_step step = {.kind = LP_NORMALIZE_REPLACE,
                              .from = yyjson_get_str(from),
                              .from_bytes = (uint32_t)yyjson_get_len(from),
                              .to = yyjson_get_str(to),
                              .to_bytes = (uint32_t)yyjson_get_len(to)};
    return lp_tokenizer_add_step(reader->ctx, reader->where, reader->tokenizer, &step);
}

static lp_status add_prefix(lp_json_reader *reader, const char *text, bool unless_there,
                            bool first_only)
{
    if (strlen(text) > MAX_REPLACEMENT)
        return lp_fail(reader->ctx, LP_E_LIMIT, "%s: a prefix of more than %d bytes", reader->where,
                       MAX_REPLACEMENT);
    if (strcmp(text, " ") == 0 || strcmp(text, LP_SPACE_MARK) == 0)
        reader->tokenizer->special.space_prefix = true;
    lp_normalize_step step = {.kind = LP_NORMALIZE_PREPEND,
                              .to = text,
                              .to_bytes = (uint32_t)strlen(text),
                              .unless_there = unless_there,
                              .first_only = first_only};
    return lp_tokenizer_add_step(reader->ctx, reader->where, reader->tokenizer, &step);
}

lp_status lp_json_normalizer(lp_json_reader *reader, yyjson_val *value, unsigned depth)
{
    static const struct {
        const char *type;
        lp_normalize_kind kind;
    } forms[] = {{"NFC", LP_NORMALIZE_NFC},
                 {"NFD", LP_NORMALIZE_NFD},
                 {"NFKC", LP_NORMALIZE_NFKC},
                 {"NFKD", LP_NORMALIZE_NFKD}};
    const char *type = NULL, *text = NULL;
    if (!value || yyjson_is_null(value))
        return LP_OK;
    LP_TRY(type_of(reader, "normalizer", value, depth, &type));
    if (strcmp(type, "Sequence") == 0)
        return sequence(reader, value, "normalizers", lp_json_normalizer, depth);
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        if (strcmp(type, forms[i].type) == 0) {
            lp_normalize_step step = {.kind = forms[i].kind};
            return lp_tokenizer_add_step(reader->ctx, reader->where, reader->tokenizer, &step);
        }
    if (strcmp(type, "Prepend") == 0) {
        LP_TRY(lp_json_get_string(reader->ctx, reader->where, value, "prepend", LP_JSON_REQUIRED,
                                  &text));
        return add_prefix(reader, text, false, false);
    }
    if (strcmp(type, "Replace") == 0) {
        yyjson_val *from = NULL, *to = yyjson_obj_get(value, "content");
        bool regex;
        LP_TRY(pattern(reader, "normalizer", value, &from, &regex));
        if (regex)
            return unsupported(reader, "normalizer", "Replace of a Regex");
        if (!yyjson_is_str(to))
            return lp_fail(reader->ctx, LP_E_FORMAT, "%s: normalizer: content: string expected",
                           reader->where);
        return add_replace(reader, from, to);
    }
    return unsupported(reader, "normalizer", type);
}

/* Appends a pattern. Behind ByteLevel it would see text in GPT-2's alphabet: that makes no
 * difference to patterns of plain ASCII without classes and negations; others are refused. */
static lp_status add_pattern(lp_json_reader *reader, const char *text, size_t bytes,
                             lp_split_mode mode)
{
    if (!reader->tokenizer->splitter)
        LP_TRY(lp_splitter_create(reader->ctx, &reader->tokenizer->splitter));
    if (reader->after_bytes)
        for (size_t i = 0; i < bytes; i++)
            if (strchr("\\^. ", text[i]) || (uint8_t)text[i] < 0x21 || (uint8_t)text[i] > 0x7e)
                return unsupported(reader, "pre_tokenizer", "a pattern behind ByteLevel");
    return lp_splitter_add(reader->ctx, reader->tokenizer->splitter, reader->where, text, bytes,
                           mode);
}

/* Regular expression of a literal text. */
static lp_status add_literal(lp_json_reader *reader, yyjson_val *text, lp_split_mode mode)
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
    return add_pattern(reader, escaped, n, mode);
}

static lp_status split(lp_json_reader *reader, yyjson_val *value)
{
    static const struct {
        const char *name;
        lp_split_mode mode;
        bool invert;
    } rows[] = {{"Isolated", LP_SPLIT_ISOLATED, false},
                {"MergedWithPrevious", LP_SPLIT_WITH_PREVIOUS, false},
                {"MergedWithNext", LP_SPLIT_WITH_NEXT, false},
                {"Isolated", LP_SPLIT_ISOLATED, true},
                /* keep the matches: the patterns in use leave nothing between them */
                {"Removed", LP_SPLIT_ISOLATED, true}};
    yyjson_val *text = NULL;
    const char *behavior = NULL;
    bool regex, invert = false;
    LP_TRY(pattern(reader, "pre_tokenizer", value, &text, &regex));
    LP_TRY(lp_json_get_string(reader->ctx, reader->where, value, "behavior", LP_JSON_REQUIRED,
                              &behavior));
    LP_TRY(
        lp_json_get_bool(reader->ctx, reader->where, value, "invert", LP_JSON_OPTIONAL, &invert));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(behavior, rows[i].name) == 0 && invert == rows[i].invert)
            return regex ? add_pattern(reader, yyjson_get_str(text), yyjson_get_len(text),
                                       rows[i].mode)
                         : add_literal(reader, text, rows[i].mode);
    return unsupported(reader, "pre_tokenizer: Split", behavior);
}

static lp_status metaspace(lp_json_reader *reader, yyjson_val *value)
{
    const char *mark = LP_SPACE_MARK, *scheme = "always";
    bool split_words = true, prefix = true;
    lp_context *ctx = reader->ctx;
    yyjson_val *replacement = yyjson_obj_get(value, "replacement");
    if (replacement && !equal(replacement, mark))
        return unsupported(reader, "pre_tokenizer", "a Metaspace other than U+2581");
    LP_TRY(lp_json_get_bool(ctx, reader->where, value, "split", LP_JSON_OPTIONAL, &split_words));
    LP_TRY(lp_json_get_bool(ctx, reader->where, value, "add_prefix_space", LP_JSON_OPTIONAL,
                            &prefix)); /* how older files say it */
    LP_TRY(
        lp_json_get_string(ctx, reader->where, value, "prepend_scheme", LP_JSON_OPTIONAL, &scheme));
    if (reader->tokenizer->splitter)
        return unsupported(reader, "pre_tokenizer", "a Metaspace behind others");
    reader->tokenizer->escape_space = true;
    lp_normalize_step replace = {.kind = LP_NORMALIZE_REPLACE,
                                 .from = " ",
                                 .from_bytes = 1,
                                 .to = mark,
                                 .to_bytes = (uint32_t)strlen(mark)};
    LP_TRY(lp_tokenizer_add_step(ctx, reader->where, reader->tokenizer, &replace));
    if (prefix && strcmp(scheme, "never") != 0)
        LP_TRY(add_prefix(reader, mark, true, strcmp(scheme, "first") == 0));
    return split_words ? add_pattern(reader, mark, strlen(mark), LP_SPLIT_WITH_NEXT) : LP_OK;
}

static lp_status byte_level(lp_json_reader *reader, yyjson_val *value)
{
    bool prefix = true, regex = true;
    LP_TRY(lp_json_get_bool(reader->ctx, reader->where, value, "add_prefix_space", LP_JSON_OPTIONAL,
                            &prefix));
    LP_TRY(
        lp_json_get_bool(reader->ctx, reader->where, value, "use_regex", LP_JSON_OPTIONAL, &regex));
    if (reader->after_bytes || (prefix && reader->tokenizer->splitter))
        return unsupported(reader, "pre_tokenizer", "a ByteLevel with prefix behind others");
    if (prefix)
        LP_TRY(add_prefix(reader, " ", true, false));
    if (regex)
        LP_TRY(add_pattern(reader, lp_pattern_gpt2, strlen(lp_pattern_gpt2), LP_SPLIT_ISOLATED));
    reader->after_bytes = true;
    reader->tokenizer->byte_level = true;
    return LP_OK;
}

lp_status lp_json_pre_tokenizer(lp_json_reader *reader, yyjson_val *value, unsigned depth)
{
    const char *type = NULL, *text;
    lp_context *ctx = reader->ctx;
    if (!value || yyjson_is_null(value))
        return LP_OK;
    LP_TRY(type_of(reader, "pre_tokenizer", value, depth, &type));
    if (strcmp(type, "Sequence") == 0)
        return sequence(reader, value, "pretokenizers", lp_json_pre_tokenizer, depth);
    if (strcmp(type, "ByteLevel") == 0)
        return byte_level(reader, value);
    if (strcmp(type, "Metaspace") == 0)
        return metaspace(reader, value);
    if (strcmp(type, "Split") == 0)
        return split(reader, value);
    if (strcmp(type, "Digits") == 0) {
        bool single = false;
        LP_TRY(lp_json_get_bool(ctx, reader->where, value, "individual_digits", LP_JSON_OPTIONAL,
                                &single));
        text = single ? "\\p{N}" : "\\p{N}+";
        return add_pattern(reader, text, strlen(text), LP_SPLIT_ISOLATED);
    }
    if (strcmp(type, "Punctuation") == 0) {
        const char *behavior = "Isolated";
        LP_TRY(
            lp_json_get_string(ctx, reader->where, value, "behavior", LP_JSON_OPTIONAL, &behavior));
        if (strcmp(behavior, "Isolated") != 0 && strcmp(behavior, "Contiguous") != 0)
            return unsupported(reader, "pre_tokenizer: Punctuation", behavior);
        text = behavior[0] == 'I' ? "[\\p{P}$+<=>^`|~]" : "[\\p{P}$+<=>^`|~]+";
        return add_pattern(reader, text, strlen(text), LP_SPLIT_ISOLATED);
    }
    return unsupported(reader, "pre_tokenizer", type);
}

/* Id of a template's special token; its name is a key of special_tokens. */
static lp_status template_id(lp_json_reader *reader, yyjson_val *item, yyjson_val *tokens,
                             int32_t *id)
{
    yyjson_val *name = yyjson_obj_get(item, "id");
    yyjson_val *token = yyjson_obj_getn(tokens, yyjson_get_str(name), yyjson_get_len(name));
    yyjson_val *ids = yyjson_obj_get(token, "ids"), *first = yyjson_arr_get_first(ids);
    if (yyjson_arr_size(ids) != 1 || !yyjson_is_uint(first) ||
        yyjson_get_uint(first) >= reader->tokenizer->vocab.n)
        return lp_fail(reader->ctx, LP_E_FORMAT,
                       "%s: post_processor: special_tokens: no single valid id for %s",
                       reader->where,
                       yyjson_is_str(name) ? yyjson_get_str(name) : "a special token");
    *id = (int32_t)yyjson_get_uint(first);
    return LP_OK;
}

/* "single": at most one special token, the text, at most one special token. */
static lp_status template_processing(lp_json_reader *reader, yyjson_val *value)
{
    lp_special_tokens *special = &reader->tokenizer->special;
    yyjson_val *list = NULL, *tokens = NULL, *item;
    size_t i, n;
    bool text_seen = false;
    LP_TRY(lp_json_get_array(reader->ctx, reader->where, value, "single", LP_JSON_REQUIRED, &list));
    LP_TRY(lp_json_get_object(reader->ctx, reader->where, value, "special_tokens", LP_JSON_OPTIONAL,
                              &tokens));
    special->add_bos = special->add_eos = false;
    reader->template = true;
    yyjson_arr_foreach(list, i, n, item)
    {
        yyjson_val *token = yyjson_obj_get(item, "SpecialToken");
        if (token) {
            bool *add = text_seen ? &special->add_eos : &special->add_bos;
            if (*add)
                return unsupported(reader, "post_processor",
                                   "a template with several special tokens in a row");
            LP_TRY(template_id(reader, token, tokens, text_seen ? &special->eos : &special->bos));
            *add = true;
        } else if (yyjson_obj_get(item, "Sequence") && !text_seen) {
            text_seen = true;
        } else {
            return unsupported(reader, "post_processor", "this template");
        }
    }
    return LP_OK;
}

lp_status lp_json_post_processor(lp_json_reader *reader, yyjson_val *value, unsigned depth)
{
    const char *type = NULL;
    if (!value || yyjson_is_null(value))
        return LP_OK;
    LP_TRY(type_of(reader, "post_processor", value, depth, &type));
    if (strcmp(type, "Sequence") == 0)
        return sequence(reader, value, "processors", lp_json_post_processor, depth);
    if (strcmp(type, "TemplateProcessing") == 0)
        return template_processing(reader, value);
    if (strcmp(type, "ByteLevel") == 0) /* changes offsets only */
        return LP_OK;
    return unsupported(reader, "post_processor", type);
}

lp_status lp_json_decoder(lp_json_reader *reader, yyjson_val *value, unsigned depth)
{
    static const char *const inverse[] = {"ByteLevel", "ByteFallback", "Fuse",
                                          "Strip",     "Metaspace",    "Replace"};
    const char *type = NULL;
    if (!value || yyjson_is_null(value))
        return LP_OK;
    LP_TRY(type_of(reader, "decoder", value, depth, &type));
    if (strcmp(type, "Sequence") == 0)
        return sequence(reader, value, "decoders", lp_json_decoder, depth);
    for (size_t i = 0; i < sizeof inverse / sizeof inverse[0]; i++)
        if (strcmp(type, inverse[i]) == 0)
            return LP_OK;
    return unsupported(reader, "decoder", type);
}
