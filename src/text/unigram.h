/* Unigram language models (Kudo 2018, arXiv:1804.10959): the segmentation of a text with the
 * largest sum of scores, by Viterbi's algorithm over a trie of the pieces. */
#ifndef LP_TEXT_UNIGRAM_H
#define LP_TEXT_UNIGRAM_H

#include <stdbool.h>
#include "text/trie.h"

typedef struct lp_unigram_piece {
    double score; /* log probability */
    int32_t id;
    bool user; /* always wins over others */
} lp_unigram_piece;

typedef struct lp_unigram {
    lp_trie trie; /* values: indices of pieces */
    lp_unigram_piece *pieces;
    size_t n, room;
    double lowest, highest; /* score */
    bool ranged;            /* they are known */
    bool single;            /* sums are rounded to f32, as SentencePiece itself does */
} lp_unigram;               /* zero-initialise */

void lp_unigram_destroy(lp_unigram *model);
/* Scores must not be NaN. */
lp_status lp_unigram_add(lp_context *ctx, lp_unigram *model, const char *text, size_t bytes,
                         lp_unigram_piece piece);
/* A score that counts for `lowest` and `highest`. */
void lp_unigram_range(lp_unigram *model, double score);

/* The best path up to a place in the text. */
typedef struct lp_unigram_node {
    double sum;
    uint32_t start; /* of the last piece; UINT32_MAX: not reached */
    int32_t id;     /* its token, -1: a character that is no piece */
} lp_unigram_node;

/* Result and working memory. Zero-initialise; kept from text to text. */
typedef struct lp_unigram_path {
    lp_unigram_node *nodes;
    size_t room;
} lp_unigram_path;

void lp_unigram_path_free(lp_unigram_path *path);

/* The pieces of text[bytes] (fewer than 2^31): afterwards a walk from `at` = 0 by
 * path->nodes[at].start visits the places where pieces start; nodes[at].id is the piece there, and
 * nodes[bytes].start is bytes. */
lp_status lp_unigram_segment(lp_context *ctx, const lp_unigram *model, const char *text,
                             size_t bytes, lp_unigram_path *path);

#endif
