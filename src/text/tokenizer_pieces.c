/* SentencePiece's model files: a protobuf message ModelProto
 * (https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto). Only the
 * wire format is read, by a reader of our own: it checks every length, and fields that it does not
 * know are skipped (https://protobuf.dev/programming-guides/encoding/). */
#include <stdlib.h>
#include <string.h>

#include "text/tokenizer_build.h"

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

/* A message, or what is left of it. */
typedef struct message {
    const uint8_t *at, *end;
} message;

typedef struct field {
    uint32_t number, wire;
    uint64_t value; /* of varints and fixed numbers */
    message bytes;  /* of WIRE_BYTES */
} field;

static bool read_varint(message *m, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 64 && m->at < m->end; shift += 7) {
        uint8_t byte = *m->at++;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

static bool read_fixed(message *m, unsigned bytes, uint64_t *value)
{
    if ((size_t)(m->end - m->at) < bytes)
        return false;
    *value = 0;
    for (unsigned i = 0; i < bytes; i++)
        *value |= (uint64_t)m->at[i] << (8 * i);
    m->at += bytes;
    return true;
}

/* The next field; false if the message is broken here. */
static bool read_field(message *m, field *f)
{
    uint64_t key, length;
    *f = (field){0};
    if (!read_varint(m, &key) || key >> 3 == 0 || key >> 3 > UINT32_MAX)
        return false;
    f->number = (uint32_t)(key >> 3);
    f->wire = key & 7;
    switch (f->wire) {
    case WIRE_VARINT:
        return read_varint(m, &f->value);
    case WIRE_64:
        return read_fixed(m, 8, &f->value);
    case WIRE_32:
        return read_fixed(m, 4, &f->value);
    case WIRE_BYTES:
        if (!read_varint(m, &length) || length > (size_t)(m->end - m->at))
            return false;
        f->bytes = (message){m->at, m->at + length};
        m->at += length;
        return true;
    default: /* groups: not in this message */
        return false;
    }
}

static lp_status broken(lp_context *ctx, const char *path, const char *what)
{
    return lp_fail(ctx, LP_E_FORMAT, "%s: no SentencePiece model: %s", path, what);
}

/* message SentencePiece: piece 1, score 2, type 3. */
static lp_status read_piece(lp_context *ctx, const char *path, message m, lp_pieces_file *file)
{
    lp_piece_entry entry = {.text = "", .type = LP_TOKEN_NORMAL};
    field f;
    while (m.at < m.end) {
        if (!read_field(&m, &f))
            return broken(ctx, path, "a piece is broken");
        if (f.number == 1 && f.wire == WIRE_BYTES) {
            entry.text = (const char *)f.bytes.at;
            if ((size_t)(f.bytes.end - f.bytes.at) > UINT32_MAX / 4)
                return broken(ctx, path, "a piece is too long");
            entry.bytes = (uint32_t)(f.bytes.end - f.bytes.at);
        } else if (f.number == 2 && f.wire == WIRE_32) {
            uint32_t bits = (uint32_t)f.value;
            memcpy(&entry.score, &bits, sizeof bits);
        } else if (f.number == 3 && f.wire == WIRE_VARINT) {
            if (f.value < LP_TOKEN_NORMAL || f.value > LP_TOKEN_BYTE)
                return broken(ctx, path, "a piece of an unknown type");
            entry.type = (lp_token_type)f.value;
        }
    }
    if (entry.score != entry.score)
        return broken(ctx, path, "a piece whose score is not a number");
    if (file->n == LP_MAX_TOKENS)
        return lp_fail(ctx, LP_E_LIMIT, "%s: more than %u pieces", path, LP_MAX_TOKENS);
    lp_piece_entry *pieces = lp_list_grow(file->pieces, file->n, &file->room, sizeof *pieces);
    if (!pieces)
        return lp_fail_memory(ctx, path);
    file->pieces = pieces;
    if (entry.type == LP_TOKEN_UNKNOWN)
        file->unknown = (int32_t)file->n;
    file->pieces[file->n++] = entry;
    return LP_OK;
}

/* message TrainerSpec. Ids are int32, which are varints of 64 bits when negative. */
static lp_status read_trainer(lp_context *ctx, const char *path, message m, lp_pieces_file *file)
{
    field f;
    while (m.at < m.end) {
        if (!read_field(&m, &f))
            return broken(ctx, path, "its trainer's settings are broken");
        if (f.wire != WIRE_VARINT)
            continue;
        int32_t id = (int32_t)(uint32_t)f.value;
        switch (f.number) {
        case 3:
            file->model_type = (uint32_t)f.value;
            break;
        case 24:
            file->whitespace_suffix = f.value != 0;
            break;
        case 35:
            file->byte_fallback = f.value != 0;
            break;
        case 41:
            file->bos = id;
            break;
        case 42:
            file->eos = id;
            break;
        case 43:
            file->pad = id;
            break;
        default:
            break;
        }
    }
    return LP_OK;
}

/* message NormalizerSpec: precompiled_charsmap 2, add_dummy_prefix 3, remove_extra_whitespaces 4,
 * escape_whitespaces 5. */
static lp_status read_normalizer(lp_context *ctx, const char *path, message m, lp_pieces_file *file)
{
    field f;
    while (m.at < m.end) {
        if (!read_field(&m, &f))
            return broken(ctx, path, "its normaliser is broken");
        if (f.number == 2 && f.wire == WIRE_BYTES) {
            file->charsmap = f.bytes.at;
            file->charsmap_bytes = (size_t)(f.bytes.end - f.bytes.at);
        } else if (f.wire == WIRE_VARINT && f.number >= 3 && f.number <= 5) {
            bool *option = f.number == 3   ? &file->prefix
                           : f.number == 4 ? &file->squeeze
                                           : &file->escape;
            *option = f.value != 0;
        }
    }
    return LP_OK;
}

void lp_pieces_free(lp_pieces_file *pieces)
{
    free(pieces->pieces);
    *pieces = (lp_pieces_file){0};
}

static int32_t within(int32_t id, size_t n)
{
    return id >= 0 && (size_t)id < n ? id : -1;
}

lp_status lp_pieces_read(lp_context *ctx, lp_tokenizer_file contents, lp_pieces_file *file)
{
    lp_status status = LP_OK;
    message m = {(const uint8_t *)contents.data, (const uint8_t *)contents.data + contents.bytes};
    field f;
    *file = (lp_pieces_file){.model_type = 1,
                             .unknown = -1,
                             .bos = 1,
                             .eos = 2,
                             .pad = -1,
                             .prefix = true,
                             .squeeze = true,
                             .escape = true}; /* what fields that are left out mean */
    while (m.at < m.end) {
        if (!read_field(&m, &f))
            LP_CHECK(broken(ctx, contents.path, "a field is broken"));
        if (f.wire != WIRE_BYTES)
            continue;
        if (f.number == 1)
            LP_CHECK(read_piece(ctx, contents.path, f.bytes, file));
        else if (f.number == 2)
            LP_CHECK(read_trainer(ctx, contents.path, f.bytes, file));
        else if (f.number == 3)
            LP_CHECK(read_normalizer(ctx, contents.path, f.bytes, file));
    }
    if (file->n == 0)
        LP_CHECK(broken(ctx, contents.path, "it has no pieces"));
    file->unknown = within(file->unknown, file->n);
    file->bos = within(file->bos, file->n);
    file->eos = within(file->eos, file->n);
    file->pad = within(file->pad, file->n);
cleanup:
    if (status != LP_OK)
        lp_pieces_free(file);
    return status;
}
