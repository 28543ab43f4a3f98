/* Two certificates side by side, see certificate.h. What comes first is whether the bits are the
 * same, then what was equal and what not, then the passes with their first difference and figures.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "check/certificate.h"
#include "check/report.h"

enum { LABEL = 12, SHORT = 12 /* digits of a digest shown */ };

typedef struct comparison {
    const lp_certificate_data *a, *b;
    const char *name_a, *name_b;
    lp_text text;
} comparison;

/* ---- Passes -------------------------------------------------------------------------------- */

typedef struct pass_result {
    const lp_certificate_pass *a, *b;        /* one of them NULL: only the other has it */
    size_t n_compared, n_different, n_alone; /* nodes; alone: in one of the two only */
    const lp_certificate_node *first;        /* that differs, of a */
    double largest_a, largest_b;
    bool same;
} pass_result;

static bool is_same_node(const lp_certificate_node *a, const lp_certificate_node *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->op, b->op) == 0 &&
           strcmp(a->shape, b->shape) == 0;
}

/* Node of b that is node i of a: the next of that name, not many further on (graphs differ by
 * fusion only). */
static size_t find_node(const lp_certificate_pass *b, size_t from, const lp_certificate_node *node)
{
    enum { FURTHER = 16 };
    for (size_t i = from; i < b->n_nodes && i < from + FURTHER; i++)
        if (is_same_node(node, &b->nodes[i]))
            return i;
    return SIZE_MAX;
}

static double larger(double a, double b)
{
    return isnan(a) || a > b ? a : b;
}

static double largest(const lp_certificate_pass *pass)
{
    double most = 0;
    for (size_t i = 0; i < pass->n_nodes; i++)
        most = larger(pass->nodes[i].largest, most);
    return most;
}

static pass_result compare_pass(const lp_certificate_pass *a, const lp_certificate_pass *b)
{
    pass_result r = {.a = a, .b = b};
    size_t at = 0;
    r.largest_a = a != NULL ? largest(a) : NAN;
    r.largest_b = b != NULL ? largest(b) : NAN;
    if (a == NULL || b == NULL)
        return r;
    for (size_t i = 0; i < a->n_nodes; i++) {
        const size_t j = find_node(b, at, &a->nodes[i]);
        if (j == SIZE_MAX)
            continue;
        at = j + 1;
        r.n_compared++;
        if (strcmp(a->nodes[i].digest, b->nodes[j].digest) != 0 && r.n_different++ == 0)
            r.first = &a->nodes[i];
    }
    r.n_alone = a->n_nodes + b->n_nodes - 2 * r.n_compared;
    r.same = r.n_different == 0 && r.n_alone == 0 && strcmp(a->digest, b->digest) == 0;
    return r;
}

static bool is_same_pass(const lp_certificate_pass *a, const lp_certificate_pass *b)
{
    return a->position == b->position && a->n_tokens == b->n_tokens;
}

/* Passes in their order; where they part, only those before are compared. *n: how many results. */
static pass_result *compare_passes(const comparison *c, size_t *n)
{
    const size_t most = c->a->n_passes + c->b->n_passes;
    size_t i = 0;
    pass_result *results = calloc(most + 1, sizeof *results);
    *n = 0;
    if (results == NULL)
        return NULL;
    for (; i < c->a->n_passes && i < c->b->n_passes &&
           is_same_pass(&c->a->passes[i], &c->b->passes[i]);
         i++)
        results[(*n)++] = compare_pass(&c->a->passes[i], &c->b->passes[i]);
    for (size_t k = i; k < c->a->n_passes; k++)
        results[(*n)++] = compare_pass(&c->a->passes[k], NULL);
    for (size_t k = i; k < c->b->n_passes; k++)
        results[(*n)++] = compare_pass(NULL, &c->b->passes[k]);
    return results;
}

/* ---- What was equal ------------------------------------------------------------------------ */

/* Names of files, for a terminal. */
static void print_name(lp_text *text, const char *name)
{
    for (; *name; name++)
        lp_text_printf(text, "%c", *name >= 0 && *name < ' ' ? '?' : *name);
}

/* One line where both are equal, else two. */
static void row(comparison *c, const char *label, const char *a, const char *b)
{
    const bool same = strcmp(a, b) == 0;
    lp_text_printf(&c->text, "%-*s %s  %s\n", LABEL, label, same ? "=" : "A", *a ? a : "-");
    if (!same)
        lp_text_printf(&c->text, "%-*s B  %s\n", LABEL, "", *b ? b : "-");
}

static void row_tokens(comparison *c)
{
    char a[96], b[96];
    snprintf(a, sizeof a, "%u, SHA-256 %.*s", c->a->n_tokens, SHORT, c->a->tokens_digest);
    snprintf(b, sizeof b, "%u, SHA-256 %.*s", c->b->n_tokens, SHORT, c->b->tokens_digest);
    row(c, "tokens", a, b);
}

static const lp_certificate_kernel *find_kernel(const lp_certificate_data *c, const char *name)
{
    for (size_t i = 0; i < c->n_kernels; i++)
        if (strcmp(c->kernels[i].name, name) == 0)
            return &c->kernels[i];
    return NULL;
}

static void list_kernels(comparison *c)
{
    size_t n_same = 0;
    for (size_t i = 0; i < c->a->n_kernels; i++) {
        const lp_certificate_kernel *a = &c->a->kernels[i], *b = find_kernel(c->b, a->name);
        n_same += b != NULL && strcmp(a->digest, b->digest) == 0;
    }
    lp_text_printf(&c->text, "%-*s    %zu the same\n", LABEL, "kernels", n_same);
    for (size_t i = 0; i < c->a->n_kernels; i++) {
        const lp_certificate_kernel *a = &c->a->kernels[i], *b = find_kernel(c->b, a->name);
        if (b == NULL)
            lp_text_printf(&c->text, "%-*s A  %s, only here\n", LABEL, "", a->name);
        else if (strcmp(a->digest, b->digest) != 0)
            lp_text_printf(&c->text, "%-*s    %s, but another program\n", LABEL, "", a->name);
    }
    for (size_t i = 0; i < c->b->n_kernels; i++)
        if (find_kernel(c->a, c->b->kernels[i].name) == NULL)
            lp_text_printf(&c->text, "%-*s B  %s, only here\n", LABEL, "", c->b->kernels[i].name);
}

static void list_circumstances(comparison *c)
{
    lp_text_printf(&c->text, "A = ");
    print_name(&c->text, c->name_a);
    lp_text_printf(&c->text, "\nB = ");
    print_name(&c->text, c->name_b);
    lp_text_printf(&c->text, "\n\n");
    row(c, "lapilli", c->a->version, c->b->version);
    row(c, "model", c->a->model, c->b->model);
    row(c, "  type", c->a->model_type, c->b->model_type);
    row(c, "  SHA-256", c->a->model_digest, c->b->model_digest);
    row_tokens(c);
    row(c, "conditions", c->a->conditions, c->b->conditions);
    row(c, "device", c->a->device, c->b->device);
    row(c, "  driver", c->a->driver, c->b->driver);
    row(c, "  Vulkan", c->a->vulkan, c->b->vulkan);
    row(c, "against", c->a->against, c->b->against);
    row(c, "  driver", c->a->against_driver, c->b->against_driver);
    row(c, "verdict", c->a->agrees ? "agrees" : "disagrees", c->b->agrees ? "agrees" : "disagrees");
    list_kernels(c);
}

/* ---- The table ----------------------------------------------------------------------------- */

static void list_passes(comparison *c, const pass_result *results, size_t n)
{
    lp_text_printf(&c->text, "\n%-12s %6s %7s %9s  %-6s %9s %9s %9s %9s %8s %8s  %s\n", "pass",
                   "tokens", "nodes", "different", "logits", "NMSE A", "NMSE B", "KL A", "KL B",
                   "sigma A", "sigma B", "first that differs");
    for (size_t i = 0; i < n; i++) {
        const pass_result *r = &results[i];
        const lp_certificate_pass *any = r->a != NULL ? r->a : r->b;
        lp_text_printf(&c->text, "%-12s %6u ", any->name, any->n_tokens);
        if (r->a == NULL || r->b == NULL) {
            lp_text_printf(&c->text, "only in %s\n", r->a != NULL ? "A" : "B");
            continue;
        }
        lp_text_printf(&c->text, "%7zu %9zu  %-6s %9.2g %9.2g %9.2g %9.2g %8.3g %8.3g  %s",
                       r->n_compared, r->n_different,
                       strcmp(r->a->digest, r->b->digest) == 0 ? "same" : "differ", r->a->nmse,
                       r->b->nmse, r->a->kl, r->b->kl, r->largest_a, r->largest_b,
                       r->first != NULL ? r->first->name : "-");
        if (r->n_alone > 0)
            lp_text_printf(&c->text, " (%zu nodes are in one of the two only)", r->n_alone);
        lp_text_printf(&c->text, "\n");
    }
    lp_text_printf(&c->text,
                   "NMSE, KL: of the logits against the reference; sigma: largest error of a "
                   "node, in units of what rounding does\n");
}

/* Why results cannot be compared at all; NULL if they can. */
static const char *obstacle(const lp_certificate_data *a, const lp_certificate_data *b)
{
    if (strcmp(a->model_digest, b->model_digest) != 0)
        return "These are certificates of different models: their results cannot be compared.";
    if (strcmp(a->tokens_digest, b->tokens_digest) != 0)
        return "These are certificates of different texts: their results cannot be compared.";
    return NULL;
}

static void say_result(comparison *c, const pass_result *results, size_t n, int *same)
{
    size_t n_compared = 0, n_different = 0, n_alone = 0, n_logits = 0, n_passes = 0;
    const pass_result *first = NULL;
    *same = n > 0;
    for (size_t i = 0; i < n; i++) {
        const pass_result *r = &results[i];
        n_compared += r->n_compared;
        n_different += r->n_different;
        n_alone += r->n_alone;
        n_passes += r->a == NULL || r->b == NULL;
        n_logits += r->a != NULL && r->b != NULL && strcmp(r->a->digest, r->b->digest) != 0;
        first = first == NULL && r->first != NULL ? r : first;
        *same = *same && r->same;
    }
    if (*same) {
        lp_text_printf(&c->text, "The same bits: %zu nodes in %zu passes, and the logits.\n",
                       n_compared, n);
    } else {
        lp_text_printf(&c->text, "Not the same: %zu of %zu nodes have other bits", n_different,
                       n_compared);
        if (first != NULL)
            lp_text_printf(&c->text, ", first %s (%s, shape %s) in the pass \"%s\"",
                           first->first->name, first->first->op, first->first->shape,
                           first->a->name);
        lp_text_printf(&c->text, "; other logits in %zu of %zu passes", n_logits, n - n_passes);
        if (n_alone > 0)
            lp_text_printf(&c->text, "; %zu nodes are in one of the two only", n_alone);
        if (n_passes > 0)
            lp_text_printf(&c->text, "; %zu passes are in one of the two only", n_passes);
        lp_text_printf(&c->text, ".\n");
    }
    if (strcmp(c->a->version, c->b->version) != 0)
        lp_text_printf(&c->text,
                       "They are of different versions of lapilli, which may plan and compute "
                       "differently.\n");
    if (strcmp(c->a->conditions, c->b->conditions) != 0)
        lp_text_printf(&c->text, "They were made under different conditions.\n");
}

lp_status lp_certificate_diff(lp_context *ctx, const char *name_a, const char *text_a,
                              const char *name_b, const char *text_b, int *same, char **text)
{
    lp_status status = LP_OK;
    lp_certificate_data a = {0}, b = {0};
    comparison c = {&a, &b, name_a, name_b, {0}};
    pass_result *results = NULL;
    size_t n;
    *same = 0;
    *text = NULL;
    LP_CHECK(lp_certificate_read(ctx, name_a, text_a, strlen(text_a), &a));
    LP_CHECK(lp_certificate_read(ctx, name_b, text_b, strlen(text_b), &b));
    results = compare_passes(&c, &n);
    if (results == NULL) {
        status = lp_fail_memory(ctx, "a comparison");
        goto cleanup;
    }
    const char *why = obstacle(&a, &b);
    if (why != NULL)
        lp_text_printf(&c.text, "%s\n", why);
    else
        say_result(&c, results, n, same);
    lp_text_printf(&c.text, "\n");
    list_circumstances(&c);
    if (why == NULL)
        list_passes(&c, results, n);
    *text = lp_text_take(&c.text);
    if (*text == NULL)
        status = lp_fail_memory(ctx, "a comparison");
cleanup:
    free(results);
    lp_certificate_free(&a);
    lp_certificate_free(&b);
    return status;
}
