/* tokenizer.json: the normalizer, and what reading parts has in common. Formats as documented at
 * https://huggingface.co/docs/tokenizers/components. */
#include "text/tokenizer_json.h"

#include <stdlib.h>
#include <string.h>

lp_status lp_json_unsupported(lp_json_reader *reader, const char *part, const char *what)
{
    char quoted[LP_QUOTE_TEXT];
    return lp_fail(reader->ctx, LP_E_UNSUPPORTED, "%s: %s: %s is not supported", reader->where,
                   part, lp_utf8_quote(what, strlen(what), quoted));
}

lp_status lp_json_type(lp_json_reader *reader, const char *part, yyjson_val *value, unsigned depth,
                       const char **type)
{
    if (!yyjson_is_obj(value))
        return lp_fail(reader->ctx, LP_E_FORMAT, "%s: %s: object expected, file has %s",
                       reader->where, part, yyjson_get_type_desc(value));
    if (depth > LP_JSON_MAX_DEPTH)
        return lp_fail(reader->ctx, LP_E_LIMIT, "%s: %s: nested too deeply", reader->where, part);
    return lp_json_get_string(reader->ctx, reader->where, value, "type", LP_JSON_REQUIRED, type);
}

lp_status lp_json_sequence(lp_json_reader *reader, yyjson_val *value, const char *key,
                           lp_json_part read, unsigned depth)
{
    yyjson_val *list = NULL, *item;
    size_t i, n;
    LP_TRY(lp_json_get_array(reader->ctx, reader->where, value, key, LP_JSON_REQUIRED, &list));
    yyjson_arr_foreach(list, i, n, item) LP_TRY(read(reader, item, depth + 1));
    return LP_OK;
}

lp_status lp_json_pattern(lp_json_reader *reader, const char *part, yyjson_val *value,
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

static lp_status add_step(lp_json_reader *reader, lp_normalize_step step)
{
    return lp_tokenizer_add_step(reader->ctx, reader->where, reader->tokenizer, &step);
}

/* "Replace": a String or the matches of a Regex. */
static lp_status replace(lp_json_reader *reader, yyjson_val *value)
{
    yyjson_val *from = NULL, *to = yyjson_obj_get(value, "content");
    bool regex;
    LP_TRY(lp_json_pattern(reader, "normalizer", value, &from, &regex));
    if (!yyjson_is_str(to))
        return lp_fail(reader->ctx, LP_E_FORMAT, "%s: normalizer: content: string expected",
                       reader->where);
    if ((!regex && yyjson_get_len(from) > LP_JSON_MAX_REPLACEMENT) ||
        yyjson_get_len(to) > LP_JSON_MAX_REPLACEMENT)
        return lp_fail(reader->ctx, LP_E_LIMIT, "%s: normalizer: Replace: more than %d bytes",
                       reader->where, LP_JSON_MAX_REPLACEMENT);
    lp_normalize_step step = {.kind = LP_NORMALIZE_REPLACE,
                              .to = yyjson_get_str(to),
                              .to_bytes = (uint32_t)yyjson_get_len(to)};
    if (regex) {
        step.kind = LP_NORMALIZE_REPLACE_PATTERN;
        LP_TRY(lp_pattern_create(reader->ctx, reader->where, yyjson_get_str(from),
                                 yyjson_get_len(from), &step.pattern));
        return add_step(reader, step);
    }
    step.from = yyjson_get_str(from);
    step.from_bytes = (uint32_t)yyjson_get_len(from);
    if (yyjson_equals_str(from, " ") && yyjson_equals_str(to, LP_SPACE_MARK))
        reader->tokenizer->escape_space = true;
    return add_step(reader, step);
}

static lp_status prepend(lp_json_reader *reader, yyjson_val *value)
{
    const char *text = NULL;
    LP_TRY(
        lp_json_get_string(reader->ctx, reader->where, value, "prepend", LP_JSON_REQUIRED, &text));
    if (strlen(text) > LP_JSON_MAX_REPLACEMENT)
        return lp_fail(reader->ctx, LP_E_LIMIT, "%s: normalizer: Prepend: more than %d bytes",
                       reader->where, LP_JSON_MAX_REPLACEMENT);
    if (strcmp(text, " ") == 0 || strcmp(text, LP_SPACE_MARK) == 0)
        reader->tokenizer->special.space_prefix = true;
    return add_step(reader, (lp_normalize_step){.kind = LP_NORMALIZE_PREPEND,
                                                .to = text,
                                                .to_bytes = (uint32_t)strlen(text)});
}

static lp_status bert(lp_json_reader *reader, yyjson_val *value)
{
    bool clean = true, pad = true, lower = true, strip;
    lp_context *ctx = reader->ctx;
    LP_TRY(lp_json_get_bool(ctx, reader->where, value, "clean_text", LP_JSON_OPTIONAL, &clean));
    LP_TRY(lp_json_get_bool(ctx, reader->where, value, "handle_chinese_chars", LP_JSON_OPTIONAL,
                            &pad));
    LP_TRY(lp_json_get_bool(ctx, reader->where, value, "lowercase", LP_JSON_OPTIONAL, &lower));
    strip = lower; /* what null means */
    LP_TRY(lp_json_get_bool(ctx, reader->where, value, "strip_accents", LP_JSON_OPTIONAL, &strip));
    return lp_tokenizer_add_bert(ctx, reader->where, reader->tokenizer, clean, pad, strip, lower);
}

static lp_status strip(lp_json_reader *reader, yyjson_val *value)
{
    lp_normalize_step step = {.kind = LP_NORMALIZE_STRIP, .left = true, .right = true};
    LP_TRY(lp_json_get_bool(reader->ctx, reader->where, value, "strip_left", LP_JSON_OPTIONAL,
                            &step.left));
    LP_TRY(lp_json_get_bool(reader->ctx, reader->where, value, "strip_right", LP_JSON_OPTIONAL,
                            &step.right));
    return add_step(reader, step);
}

/* Decodes base64 of whole groups of 4 into `to`; returns the bytes, SIZE_MAX if it is wrong. */
static size_t from_base64(const char *text, size_t bytes, uint8_t *to)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = 0;
    if (bytes % 4 != 0)
        return SIZE_MAX;
    for (size_t i = 0; i < bytes; i += 4) {
        uint32_t group = 0;
        unsigned padding = 0;
        for (unsigned k = 0; k < 4; k++) {
            const char *digit = memchr(digits, text[i + k], 64);
            if (!digit || padding > 0) {
                if (text[i + k] != '=' || k < 2 || i + 4 != bytes)
                    return SIZE_MAX;
                padding++;
            }
            group = group << 6 | (digit ? (uint32_t)(digit - digits) : 0);
        }
        for (unsigned k = 0; k < 3 - padding; k++)
            to[n++] = (uint8_t)(group >> (16 - 8 * k));
    }
    return n;
}

static lp_status precompiled(lp_json_reader *reader, yyjson_val *value)
{
    yyjson_val *text = yyjson_obj_get(value, "precompiled_charsmap");
    lp_normalize_step step = {.kind = LP_NORMALIZE_CHARSMAP};
    if (yyjson_is_null(text))
        return LP_OK;
    if (!yyjson_is_str(text))
        return lp_fail(reader->ctx, LP_E_FORMAT,
                       "%s: normalizer: precompiled_charsmap: string expected", reader->where);
    uint8_t *data = malloc(yyjson_get_len(text) + 1);
    if (!data)
        return lp_fail_memory(reader->ctx, reader->where);
    size_t n = from_base64(yyjson_get_str(text), yyjson_get_len(text), data);
    lp_status status =
        n == SIZE_MAX
            ? lp_fail(reader->ctx, LP_E_FORMAT,
                      "%s: normalizer: precompiled_charsmap: this is no base64", reader->where)
            : lp_charsmap_read(reader->ctx, reader->where, &reader->tokenizer->arena, data, n,
                               &step.map);
    free(data);
    LP_TRY(status);
    return add_step(reader, step);
}

lp_status lp_json_normalizer(lp_json_reader *reader, yyjson_val *value, unsigned depth)
{
    static const struct {
        const char *type;
        lp_normalize_kind kind;
    } plain[] = {{"NFC", LP_NORMALIZE_NFC},         {"NFD", LP_NORMALIZE_NFD},
                 {"NFKC", LP_NORMALIZE_NFKC},       {"NFKD", LP_NORMALIZE_NFKD},
                 {"Lowercase", LP_NORMALIZE_LOWER}, {"StripAccents", LP_NORMALIZE_NO_MARKS},
                 {"Nmt", LP_NORMALIZE_NMT}};
    static const struct {
        const char *type;
        lp_status (*read)(lp_json_reader *, yyjson_val *);
    } others[] = {{"Prepend", prepend},
                  {"Replace", replace},
                  {"BertNormalizer", bert},
                  {"Precompiled", precompiled},
                  {"Strip", strip}};
    const char *type = NULL;
    if (!value || yyjson_is_null(value))
        return LP_OK;
    LP_TRY(lp_json_type(reader, "normalizer", value, depth, &type));
    if (strcmp(type, "Sequence") == 0)
        return lp_json_sequence(reader, value, "normalizers", lp_json_normalizer, depth);
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        if (strcmp(type, plain[i].type) == 0)
            return add_step(reader, (lp_normalize_step){.kind = plain[i].kind});
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (strcmp(type, others[i].type) == 0)
            return others[i].read(reader, value);
    return lp_json_unsupported(reader, "normalizer", type);
}
