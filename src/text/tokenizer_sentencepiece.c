/* Tokenizers out of SentencePiece model files, and what model families add to them: T5 its
 * <extra_id_N> and an end, Llama a start, Marian a vocabulary of its own. */
#include "text/tokenizer_folder.h"

#include <stdio.h>
#include <string.h>

/* Families that renumber pieces or treat text in ways of their own: their tokenizer.json says how.
 */
static const char others[] =
    "AlbertTokenizer BarthezTokenizer BigBirdTokenizer CamembertTokenizer DebertaV2Tokenizer "
    "FNetTokenizer MBartTokenizer MBart50Tokenizer M2M100Tokenizer NllbTokenizer PegasusTokenizer "
    "PLBartTokenizer ReformerTokenizer RemBertTokenizer SeamlessM4TTokenizer SiglipTokenizer "
    "SpeechT5Tokenizer UdopTokenizer XGLMTokenizer XLMProphetNetTokenizer XLMRobertaTokenizer "
    "XLNetTokenizer albert camembert mbart pegasus xlm-roberta xlnet";
static const char t5[] = "T5Tokenizer MT5Tokenizer t5 mt5 umt5 longt5 switch_transformers";

/* The normaliser and the rules of a model. `legacy`: a text behind a special token gets a space in
 * front, too. */
static lp_status set_rules(lp_json_reader *reader, const lp_pieces_file *pieces, bool legacy)
{
    lp_tokenizer *t = reader->tokenizer;
    lp_normalize_step step = {.kind = LP_NORMALIZE_SENTENCEPIECE,
                              .prefix = pieces->prefix && !pieces->whitespace_suffix,
                              .suffix = pieces->prefix && pieces->whitespace_suffix,
                              .squeeze = pieces->squeeze,
                              .escape = pieces->escape,
                              .first_only = !legacy};
    if (pieces->model_type != 1 && pieces->model_type != 2)
        return lp_fail(reader->ctx, LP_E_UNSUPPORTED,
                       "%s: SentencePiece models of words or characters are not supported",
                       reader->where);
    t->model = pieces->model_type == 2 ? LP_MODEL_SCORED : LP_MODEL_UNIGRAM;
    t->kind = pieces->model_type == 2 ? "SentencePiece (BPE)" : "SentencePiece (Unigram)";
    t->escape_space = pieces->escape;
    t->byte_fallback = pieces->byte_fallback;
    t->fuse_unknown = true;
    t->special.space_prefix = step.prefix || step.suffix; /* so does the original decode */
    LP_TRY(lp_charsmap_read(reader->ctx, reader->where, &t->arena, pieces->charsmap,
                            pieces->charsmap_bytes, &step.map));
    return lp_tokenizer_add_step(reader->ctx, reader->where, t, &step);
}

/* <extra_id_0> is the last id. */
static lp_status add_extra_ids(lp_json_reader *reader, uint32_t n_pieces, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        char name[32];
        int length = snprintf(name, sizeof name, "<extra_id_%u>", n - 1 - i);
        LP_TRY(lp_vocab_set(reader->ctx, reader->where, reader->tokenizer, n_pieces + i, name,
                            (size_t)length, LP_TOKEN_CONTROL));
        reader->tokenizer->vocab.tokens[n_pieces + i].flags |= LP_TOKEN_ADDED;
    }
    return LP_OK;
}

/* How many <extra_id_N> there are besides those that are listed as added tokens. */
static lp_status count_extra_ids(lp_parts_reader *reader, yyjson_val *config, uint32_t *n)
{
    *n = lp_parts_is(reader, "T5Tokenizer t5 longt5 switch_transformers") ? 100 : 0;
    LP_TRY(lp_json_get_u32(reader->json.ctx, reader->parts[LP_PART_CONFIG].path, config,
                           "extra_ids", LP_JSON_OPTIONAL, n));
    if (*n > 65536)
        return lp_fail(reader->json.ctx, LP_E_LIMIT, "%s: extra_ids: %u",
                       reader->parts[LP_PART_CONFIG].path, *n);
    for (size_t i = 0; i < reader->n_added; i++)
        if (strncmp(yyjson_get_str(reader->added[i].text), "<extra_id_", 10) == 0)
            *n = 0;
    return LP_OK;
}

static lp_status set_pieces(lp_parts_reader *reader, const lp_pieces_file *pieces, uint32_t n_extra)
{
    lp_json_reader *json = &reader->json;
    lp_tokenizer *t = json->tokenizer;
    uint32_t n = (uint32_t)pieces->n;
    LP_TRY(lp_json_room(json, (uint64_t)n + n_extra, (uint64_t)n + n_extra, reader->added,
                        reader->n_added));
    for (uint32_t i = 0; i < n; i++) {
        const lp_piece_entry *piece = &pieces->pieces[i];
        LP_TRY(lp_vocab_set(json->ctx, json->where, t, i, piece->text, piece->bytes, piece->type));
        t->vocab.tokens[i].score = (double)piece->score;
    }
    LP_TRY(add_extra_ids(json, n, n_extra));
    for (size_t i = 0; i < reader->n_added; i++) {
        bool user =
            reader->added[i].id < n && t->vocab.tokens[reader->added[i].id].type == LP_TOKEN_USER;
        if (!user) /* the model's own rules know it */
            LP_TRY(lp_json_add_token(json, &reader->added[i]));
    }
    return LP_OK;
}

lp_status lp_parts_pieces(lp_parts_reader *reader)
{
    lp_status status = LP_OK;
    lp_json_reader *json = &reader->json;
    lp_special_tokens *special = &json->tokenizer->special;
    lp_pieces_file pieces = {0};
    yyjson_val *config = NULL;
    bool legacy = true;
    uint32_t n_extra = 0;

    json->where = reader->parts[LP_PART_PIECES].path;
    if (lp_parts_is(reader, others))
        return lp_fail(json->ctx, LP_E_UNSUPPORTED,
                       "%s: a tokenizer of the class %s needs its tokenizer.json", json->where,
                       reader->class);
    LP_CHECK(lp_parts_json(reader, LP_PART_CONFIG, &config));
    LP_CHECK(lp_json_get_bool(json->ctx, reader->parts[LP_PART_CONFIG].path, config, "legacy",
                              LP_JSON_OPTIONAL, &legacy));
    LP_CHECK(lp_pieces_read(json->ctx, reader->parts[LP_PART_PIECES], &pieces));
    LP_CHECK(count_extra_ids(reader, config, &n_extra));
    json->tokenizer->user_inside = true;
    LP_CHECK(set_rules(json, &pieces, legacy));
    LP_CHECK(set_pieces(reader, &pieces, n_extra));
    if (json->tokenizer->model == LP_MODEL_UNIGRAM)
        LP_CHECK(lp_tokenizer_index_unigram(json->ctx, json->tokenizer));
    special->unknown = pieces.unknown;
    special->bos = pieces.bos;
    special->eos = pieces.eos;
    special->pad = pieces.pad;
    /* unless the configuration says otherwise */
    special->add_eos = lp_parts_is(reader, t5) ||
                       (!reader->class[0] && json->tokenizer->model == LP_MODEL_UNIGRAM);
    special->add_bos = !special->add_eos;
cleanup:
    lp_pieces_free(&pieces);
    return status;
}

/* Marian's pieces get their ids from vocab.json, which source and target share; what is no piece
 * may be there all the same. */
lp_status lp_parts_marian(lp_parts_reader *reader)
{
    lp_status status = LP_OK;
    lp_json_reader *json = &reader->json;
    lp_tokenizer *t = json->tokenizer;
    lp_special_tokens *special = &t->special;
    lp_pieces_file pieces = {0};
    yyjson_val *vocab = NULL;

    json->where = reader->parts[LP_PART_VOCAB_JSON].path;
    LP_CHECK(lp_parts_json(reader, LP_PART_VOCAB_JSON, &vocab));
    LP_CHECK(lp_json_vocab(json, vocab, reader->added, reader->n_added));
    special->unknown = lp_parts_special(reader, "<unk>");
    special->eos = lp_parts_special(reader, "</s>");
    special->pad = lp_parts_special(reader, "<pad>");
    if (special->eos >= 0) { /* "A B </s>" */
        LP_CHECK(lp_template_around(json->ctx, json->where, t, -1, -1, special->eos, 0));
        t->pair.items[1] = t->pair.items[2];
        t->pair.items[2] = t->pair.items[3];
        t->pair.n--;
    }
    for (uint32_t i = 0; i < t->vocab.n; i++) { /* ">>fr<<" names the language to translate to */
        lp_token *token = &t->vocab.tokens[i];
        if (token->bytes > 4 && memcmp(token->text, ">>", 2) == 0 &&
            memcmp(token->text + token->bytes - 2, "<<", 2) == 0) {
            token->type = LP_TOKEN_CONTROL;
            token->flags |= LP_TOKEN_AT_START;
        }
    }
    json->where = reader->parts[LP_PART_SOURCE].path;
    LP_CHECK(lp_pieces_read(json->ctx, reader->parts[LP_PART_SOURCE], &pieces));
    if (pieces.model_type != 1)
        LP_CHECK(lp_fail(json->ctx, LP_E_UNSUPPORTED,
                         "%s: a Unigram model is expected beside vocab.json", json->where));
    LP_CHECK(set_rules(json, &pieces, true));
    t->kind = "Marian (SentencePiece Unigram, vocab.json)";
    t->find_unknown = true;
    t->byte_fallback = false;
    t->unigram.single = true;
    for (size_t i = 0; i < pieces.n; i++) {
        const lp_piece_entry *piece = &pieces.pieces[i];
        int32_t id = lp_vocab_find(&t->vocab, piece->text, piece->bytes);
        lp_unigram_piece entry = {(double)piece->score, id >= 0 ? id : special->unknown,
                                  piece->type == LP_TOKEN_USER};
        if (piece->type == LP_TOKEN_NORMAL)
            lp_unigram_range(&t->unigram, (double)piece->score);
        if (piece->bytes > 0 && entry.id >= 0 &&
            (piece->type == LP_TOKEN_NORMAL || piece->type == LP_TOKEN_USER))
            LP_CHECK(lp_unigram_add(json->ctx, &t->unigram, piece->text, piece->bytes, entry));
    }
cleanup:
    lp_pieces_free(&pieces);
    return status;
}
