/* The longest token at a place, by one walk through a trie that begins behind the prefix. */
#include "text/wordpiece.h"

#include <string.h>

void lp_wordpiece_destroy(lp_wordpiece *model)
{
    lp_trie_destroy(&model->trie);
    *model = (lp_wordpiece){0};
}

void lp_wordpiece_prefixes(lp_wordpiece *model, const char *first, const char *rest)
{
    model->first = model->rest = LP_TRIE_NONE;
    if (model->trie.n_nodes == 0)
        return;
    model->first = lp_trie_walk(&model->trie, LP_TRIE_ROOT, first, strlen(first));
    model->rest = lp_trie_walk(&model->trie, LP_TRIE_ROOT, rest, strlen(rest));
}

int32_t lp_wordpiece_next(const lp_wordpiece *model, const char *text, size_t bytes, size_t at,
                          size_t *length)
{
    uint32_t node = at == 0 ? model->first : model->rest;
    int32_t best = -1;
    for (size_t end = at; end < bytes && node != LP_TRIE_NONE;) {
        node = lp_trie_step(&model->trie, node, (uint8_t)text[end++]);
        if (node != LP_TRIE_NONE && lp_trie_value(&model->trie, node) >= 0) {
            best = lp_trie_value(&model->trie, node);
            *length = end - at;
        }
    }
    return best;
}
