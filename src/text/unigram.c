/* Viterbi's algorithm from left to right: the best sum at each place where a character ends. Of
 * equal sums the first one stays, so that the order of the additions decides as it does in the
 * originals: f64 in Hugging Face's tokenizers, f32 in SentencePiece. */
#include "text/unigram.h"

#include <assert.h>
#include <stdlib.h>
#include "text/buffer.h"
#include "text/utf8.h"

#define UNKNOWN_PENALTY 10.0 /* below the lowest score */

void lp_unigram_destroy(lp_unigram *model)
{
    lp_trie_destroy(&model->trie);
    free(model->pieces);
    *model = (lp_unigram){0};
}

lp_status lp_unigram_add(lp_context *ctx, lp_unigram *model, const char *text, size_t bytes,
                         lp_unigram_piece piece)
{
    lp_unigram_piece *pieces = lp_list_grow(model->pieces, model->n, &model->room, sizeof *pieces);
    if (!pieces)
        return lp_fail_memory(ctx, "the tokenizer's pieces");
    model->pieces = pieces;
    pieces[model->n] = piece;
    return lp_trie_add(ctx, &model->trie, text, bytes, (int32_t)model->n++);
}

void lp_unigram_range(lp_unigram *model, double score)
{
    if (!model->ranged || score < model->lowest)
        model->lowest = score;
    if (!model->ranged || score > model->highest)
        model->highest = score;
    model->ranged = true;
}

void lp_unigram_path_free(lp_unigram_path *path)
{
    free(path->nodes);
    *path = (lp_unigram_path){0};
}

/* SentencePiece means "the highest score" here, but starts from a tiny positive number. */
static double score_of(const lp_unigram *model, const lp_unigram_piece *piece, size_t bytes)
{
    double highest = model->highest > 0 ? model->highest : 0;
    return piece->user ? (double)bytes * highest - 0.1 : piece->score;
}

static void consider(const lp_unigram *model, lp_unigram_node *to, uint32_t start, double sum,
                     int32_t id)
{
    if (to->start != UINT32_MAX && !(sum > to->sum))
        return;
    *to = (lp_unigram_node){model->single ? (double)(float)sum : sum, start, id};
}

/* A character that is no piece. */
static void consider_unknown(const lp_unigram *model, const lp_unigram_node *from,
                             lp_unigram_node *to, uint32_t start)
{
    double score = model->lowest - UNKNOWN_PENALTY;
    consider(model, to, start,
             model->single ? (double)((float)from->sum + (float)score) : from->sum + score, -1);
}

/* Turns the links of the best path round: from "where the piece that ends here starts" to "where
 * the piece that starts here ends". */
static void turn_round(lp_unigram_node *nodes, size_t bytes)
{
    uint32_t end = (uint32_t)bytes, next = end;
    int32_t id = -1;
    for (;;) {
        lp_unigram_node here = nodes[end];
        nodes[end].start = next;
        nodes[end].id = id;
        if (end == 0)
            break;
        next = end;
        id = here.id;
        end = here.start;
    }
}

lp_status lp_unigram_segment(lp_context *ctx, const lp_unigram *model, const char *text,
                             size_t bytes, lp_unigram_path *path)
{
    assert(bytes < INT32_MAX);
    if (path->room < bytes + 1) {
        size_t room = bytes + 1 + bytes / 2;
        free(path->nodes);
        path->nodes = malloc(room * sizeof *path->nodes);
        path->room = path->nodes ? room : 0;
        if (!path->nodes)
            return lp_fail_memory(ctx, "the segmentation of a text");
    }
    lp_unigram_node *nodes = path->nodes;
    for (size_t i = 0; i <= bytes; i++)
        nodes[i].start = UINT32_MAX;
    nodes[0] = (lp_unigram_node){0, 0, -1};
    for (size_t at = 0; at < bytes;) {
        uint32_t code, node = LP_TRIE_ROOT;
        size_t length = lp_utf8_decode(text + at, bytes - at, &code);
        bool single = false;
        if (length == 0)
            length = 1;
        for (size_t end = at; end < bytes;) {
            node = lp_trie_step(&model->trie, node, (uint8_t)text[end++]);
            if (node == LP_TRIE_NONE)
                break;
            int32_t index = lp_trie_value(&model->trie, node);
            if (index < 0)
                continue;
            const lp_unigram_piece *piece = &model->pieces[index];
            consider(model, &nodes[end], (uint32_t)at,
                     nodes[at].sum + score_of(model, piece, end - at), piece->id);
            single |= end - at == length;
        }
        if (!single)
            consider_unknown(model, &nodes[at], &nodes[at + length], (uint32_t)at);
        at += length;
    }
    turn_round(nodes, bytes);
    return LP_OK;
}
