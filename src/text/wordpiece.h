/* WordPiece (Schuster & Nakajima 2012; BERT): from the left, always the longest token. */
#ifndef LP_TEXT_WORDPIECE_H
#define LP_TEXT_WORDPIECE_H

#include "text/trie.h"

typedef struct lp_wordpiece {
    lp_trie trie;         /* tokens with their prefixes; values: ids */
    uint32_t first, rest; /* nodes behind the prefix of a word's first piece and of the others */
    uint32_t longest;     /* words of more characters are unknown */
} lp_wordpiece;           /* zero-initialise */

void lp_wordpiece_destroy(lp_wordpiece *model);
/* After the tokens were added to the trie: the prefixes of their keys, of first pieces and of
 * others.
 */
void lp_wordpiece_prefixes(lp_wordpiece *model, const char *first, const char *rest);
/* The next piece of a word, at text[at]: its id and length; -1 if none fits. */
int32_t lp_wordpiece_next(const lp_wordpiece *model, const char *text, size_t bytes, size_t at,
                          size_t *length);

#endif
