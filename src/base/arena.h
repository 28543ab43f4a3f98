/* Bump allocator: many small objects with one lifetime (a graph, a file's metadata). */
#ifndef LP_BASE_ARENA_H
#define LP_BASE_ARENA_H

#include <stddef.h>
#include <stdarg.h>
#include "base/context.h"

typedef struct lp_arena_block lp_arena_block;
typedef struct lp_arena {
    lp_arena_block *head;
} lp_arena; /* zero-initialise */

/* Zeroed memory aligned to 16 bytes, or NULL. */
void *lp_arena_alloc(lp_arena *arena, size_t bytes);
/* Array of n elements; NULL also when n * size overflows. */
void *lp_arena_array(lp_arena *arena, size_t n, size_t size);
char *lp_arena_strdup(lp_arena *arena, const char *text);
char *lp_arena_strndup(lp_arena *arena, const char *text, size_t n);
char *lp_arena_printf(lp_arena *arena, const char *format, ...) LP_PRINTF(2, 3);
void lp_arena_destroy(lp_arena *arena);

#endif
