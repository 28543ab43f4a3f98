/* Bump allocator: blocks of doubling size in a list, freed together. Big objects get a block of
 * their own, so a small one never makes a large block half empty. */
#include "base/arena.h"

#include <assert.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_ALIGN = 16, ARENA_FIRST = 4096, ARENA_LAST = 1 << 20 };

struct lp_arena_block {
    lp_arena_block *next;
    size_t used, size;
    alignas(ARENA_ALIGN) uint8_t data[];
};

void *lp_arena_alloc(lp_arena *arena, size_t bytes)
{
    if (bytes > SIZE_MAX - sizeof(lp_arena_block) - ARENA_ALIGN)
        return NULL;
    size_t need = (bytes + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    if (need == 0)
        need = ARENA_ALIGN; /* distinct objects have distinct addresses */

    lp_arena_block *block = arena->head;
    if (!block || block->size - block->used < need) {
        size_t size = block ? block->size * 2 : ARENA_FIRST;
        if (size > ARENA_LAST)
            size = ARENA_LAST;
        int alone = need > size / 2;
        if (alone)
            size = need;
        block = calloc(1, sizeof(*block) + size);
        if (!block)
            return NULL;
        block->size = size;
        if (alone && arena->head) { /* behind the block that still has room */
            block->next = arena->head->next;
            arena->head->next = block;
        } else {
            block->next = arena->head;
            arena->head = block;
        }
    }
    void *p = block->data + block->used;
    block->used += need;
    return p;
}

void *lp_arena_array(lp_arena *arena, size_t n, size_t size)
{
    if (size && n > SIZE_MAX / size)
        return NULL;
    return lp_arena_alloc(arena, n * size);
}

char *lp_arena_strndup(lp_arena *arena, const char *text, size_t n)
{
    if (n == SIZE_MAX)
        return NULL;
    char *copy = lp_arena_alloc(arena, n + 1);
    if (copy && n)
        memcpy(copy, text, n);
    return copy;
}

char *lp_arena_strdup(lp_arena *arena, const char *text)
{
    return lp_arena_strndup(arena, text, strlen(text));
}

char *lp_arena_printf(lp_arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = n < 0 ? NULL : lp_arena_alloc(arena, (size_t)n + 1);
    if (text)
        vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    return text;
}

void lp_arena_destroy(lp_arena *arena)
{
    if (!arena)
        return;
    for (lp_arena_block *block = arena->head; block;) {
        lp_arena_block *next = block->next;
        free(block);
        block = next;
    }
    arena->head = NULL;
}
