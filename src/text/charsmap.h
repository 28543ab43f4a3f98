/* SentencePiece's precompiled character map: which characters become which before tokenizing
 * (nmt_nfkc and its like), as it lies in tokenizer.json, *.model files and GGUF metadata. */
#ifndef LP_TEXT_CHARSMAP_H
#define LP_TEXT_CHARSMAP_H

#include <stdbool.h>
#include "base/arena.h"
#include "text/buffer.h"

typedef struct lp_charsmap {
    const uint32_t *units; /* double array */
    size_t n_units;
    const char *texts; /* replacements, each ended by NUL */
    size_t n_texts;
} lp_charsmap;

/* Copies the map into the arena. LP_E_FORMAT if its parts do not fit. */
lp_status lp_charsmap_read(lp_context *ctx, const char *where, lp_arena *arena, const uint8_t *data,
                           size_t bytes, lp_charsmap *map);

/* A rule for the start of text[bytes]: how many bytes it replaces, by what. `longest`: the longest
 * rule, otherwise the shortest one. */
bool lp_charsmap_find(const lp_charsmap *map, const char *text, size_t bytes, bool longest,
                      size_t *length, const char **to, size_t *to_bytes);

/* As Hugging Face's tokenizers apply it: grapheme clusters below 6 bytes are replaced whole by the
 * rule that the shortest of their starts has, other characters one by one. */
lp_status lp_charsmap_apply(lp_context *ctx, const lp_charsmap *map, const char *text, size_t bytes,
                            lp_text *to);

#endif
