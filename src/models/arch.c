/* Finding rows of the architecture table, which is in five files: arch_gpt.c, arch_llama.c,
 * arch_encoders.c, arch_seq2seq.c, arch_papers.c. */
#include "models/arch.h"

#include <string.h>

#include "models/arch_rows.h"

/* Where a name could be that of several rows, the first is meant. */
static const lp_arch_table *const tables[] = {&lp_archs_gpt, &lp_archs_llama, &lp_archs_encoders,
                                              &lp_archs_papers, &lp_archs_seq2seq};

/* The row behind `row`, of this table or the next; the first behind NULL; NULL behind the last. */
static const lp_arch *next_row(const lp_arch *row)
{
    bool found = row == NULL;
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++)
        for (size_t i = 0; i < tables[t]->n; i++) {
            if (found)
                return &tables[t]->rows[i];
            found = row == &tables[t]->rows[i];
        }
    return NULL;
}

const lp_arch *lp_arch_find_gguf(const char *name, size_t bytes)
{
    for (const lp_arch *row = next_row(NULL); row; row = next_row(row))
        if (row->gguf && strlen(row->gguf) == bytes && memcmp(row->gguf, name, bytes) == 0)
            return row;
    return NULL;
}

const lp_arch *lp_arch_find_hf(const char *name)
{
    for (const lp_arch *row = next_row(NULL); row; row = next_row(row))
        if (row->hf && strcmp(row->hf, name) == 0)
            return row;
    return NULL;
}

const lp_arch *lp_arch_find_nested(const char *name)
{
    for (const lp_arch *row = next_row(NULL); row; row = next_row(row))
        if (row->hf_nested && strcmp(row->hf_nested, name) == 0)
            return row;
    return NULL;
}

const lp_arch *lp_arch_find_config(const char *name, const char *hf_class,
                                   bool (*has)(const void *user, const char *key), const void *user)
{
    for (const lp_arch *row = next_row(NULL); row; row = next_row(row))
        if (row->hf && strcmp(row->hf, name) == 0 && (!row->hf_key || has(user, row->hf_key)) &&
            (!row->hf_class || (hf_class && strcmp(row->hf_class, hf_class) == 0)))
            return row;
    return NULL;
}

/* Levenshtein's distance of a and b, of at most 63 characters each. */
static size_t distance(const char *a, const char *b)
{
    size_t row[64], n = strnlen(b, 63);
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 0; a[i] && i < 63; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 1; j <= n; j++) {
            size_t change = diagonal + (a[i] != b[j - 1]);
            size_t other = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = change < other ? change : other;
        }
    }
    return row[n];
}

const char *lp_arch_nearest(bool gguf, const char *name)
{
    const char *best = NULL;
    size_t least = SIZE_MAX;
    for (const lp_arch *row = next_row(NULL); row; row = next_row(row)) {
        const char *known = gguf ? row->gguf : row->hf;
        size_t d = known ? distance(name, known) : SIZE_MAX;
        if (d < least) {
            least = d;
            best = known;
        }
    }
    return best;
}
