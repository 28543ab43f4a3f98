/* See report_print.h. Strings come from files and drivers: control characters, which could move a
 * terminal's cursor or change its colours, are printed as "?". */
#include "report_print.h"

#include <math.h>
#include <string.h>

/* Printed in at least `width` columns (bytes, which names are). */
static void put(const char *text, int width)
{
    for (; *text; text++, width--)
        putchar((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text);
    for (; width > 0; width--)
        putchar(' ');
}

/* "name: text" on an indented line, if there is a text. */
static void put_line(const char *name, const char *text)
{
    if (!*text)
        return;
    printf("  %-10s ", name);
    put(text, 0);
    putchar('\n');
}

static void put_shape(const lp_check_node *node)
{
    putchar('[');
    for (int i = 0; i < node->n_dims; i++)
        printf("%s%lld", i ? ", " : "", (long long)node->dims[i]);
    putchar(']');
}

/* [t, n] of an element's index. */
static void put_index(const lp_check_node *node, uint64_t index)
{
    uint64_t part[4] = {0};
    for (int i = node->n_dims; i-- > 0;) {
        uint64_t n = node->dims[i] > 0 ? (uint64_t)node->dims[i] : 1;
        part[i] = index % n;
        index /= n;
    }
    putchar('[');
    for (int i = 0; i < node->n_dims; i++)
        printf("%s%llu", i ? ", " : "", (unsigned long long)part[i]);
    putchar(']');
}

static int cosine_decimals(double cosine) /* decimals that tell a cosine near 1 from 1 */
{
    return fabs(1 - cosine) < 1e-4 ? 9 : 5;
}

/* --- Passes ------------------------------------------------------------------------------------
 */

static size_t count_bad(const lp_check_pass *pass)
{
    size_t n = 0;
    for (size_t i = 0; i < pass->n_nodes; i++)
        n += pass->nodes[i].finding != LP_FINDING_NONE;
    return n;
}

static void print_passes(const lp_report *r)
{
    printf("\n%-12s %6s %5s %5s %9s %12s %9s  %-7s  %-5s  %s\n", "pass", "tokens", "nodes", "bad",
           "sigma", "logits NMSE", "KL", "top-1", "top-5", "worst node, kernels");
    for (size_t i = 0; i < r->n_passes; i++) {
        const lp_check_pass *p = &r->passes[i];
        put(p->name, 12);
        printf(" %6u %5zu %5zu ", p->n_tokens, p->n_nodes, count_bad(p));
        const lp_check_node *worst = p->worst < p->n_nodes ? &p->nodes[p->worst] : NULL;
        if (worst)
            printf("%9.3g ", worst->isolated.largest);
        else
            printf("%9s ", "-");
        if (p->logits.n_nan + p->logits.n_inf > 0)
            printf("%12s", "not finite");
        else if (p->logits.n)
            printf("%12.2g", p->logits.nmse);
        if (p->logits.n)
            printf(" %9.2g  %-7s  %d/5  ", p->kl, p->top1_same ? "same" : "differs",
                   p->top5_common);
        else
            printf("%12s %9s  %-7s  %-5s", "-", "-", "-", "-");
        if (worst) {
            printf("  ");
            put(worst->name, 0);
            if (*worst->kernels)
                printf(", ");
            put(worst->kernels, 0);
        }
        putchar('\n');
    }
    printf("sigma: largest error of a node that gets the reference's inputs, in units of what "
           "rounding does\n");
}

static void print_nodes(const lp_check_pass *p)
{
    printf("\nNodes of pass \"");
    put(p->name, 0);
    printf("\"\n%4s  %-24s %9s %9s %9s %9s %9s  %s\n", "#", "node", "sigma", "NMSE", "ULP", "drift",
           "NMSE", "op, shape, kernels");
    for (size_t i = 0; i < p->n_nodes; i++) {
        const lp_check_node *n = &p->nodes[i];
        printf("%4zu  ", i);
        put(n->name, 24);
        if (n->isolated.n)
            printf(" %9.3g %9.2g %9.3g", n->isolated.largest, n->isolated.nmse,
                   n->isolated.max_ulp);
        else
            printf(" %9s %9s %9s", "-", "-", "-");
        /* copies have no sigma, and what drifted into them cannot be told in it */
        if (n->drift.n && (isfinite(n->drift.largest) || !isfinite(n->drift.got)))
            printf(" %9.3g", n->drift.largest);
        else
            printf(" %9s", "-");
        if (n->drift.n)
            printf(" %9.2g  ", n->drift.nmse);
        else
            printf(" %9s  ", "-");
        put(n->op, 0);
        printf(*n->type ? " " : "");
        put(n->type, 0);
        putchar(' ');
        put_shape(n);
        putchar(' ');
        put(n->kernels, 0);
        if (n->finding) {
            printf("; %s", lp_finding_text(n->finding));
            printf(*n->detail ? ": " : "");
            put(n->detail, 0);
        }
        putchar('\n');
    }
}

/* --- The first bad node ------------------------------------------------------------------------
 */

static void print_difference(const char *name, const lp_check_node *node, const lp_difference *d)
{
    if (d->n == 0)
        return;
    printf("  %-10s worst at ", name);
    put_index(node, d->worst);
    printf(": expected %.9g, got %.9g, %.4g sigma (sigma %.3g)\n", d->expected,
           isnan(d->got) ? fabs(d->got) : d->got, d->largest, d->sigma); /* not "-nan" */
    printf("  %-10s %llu elements: NMSE %.3g, rms %.3g sigma, cosine %.*f, at most %.3g or %.3g "
           "ULP; %llu NaN, %llu infinite\n",
           "", (unsigned long long)d->n, d->nmse, sqrt(d->mean_square), cosine_decimals(d->cosine),
           d->cosine, d->max_abs, d->max_ulp, (unsigned long long)d->n_nan,
           (unsigned long long)d->n_inf);
}

static void print_bad_node(const lp_report *r)
{
    const lp_check_pass *p = &r->passes[r->bad_pass];
    const lp_check_node *n = &p->nodes[r->bad_node];
    printf("\nFirst bad node: ");
    put(n->name, 0);
    printf(": %s\n", lp_finding_text(n->finding));
    put_line("detail", n->detail);
    printf("  %-10s ", "pass");
    put(p->name, 0);
    printf(", %u token%s from position %u\n", p->n_tokens, p->n_tokens == 1 ? "" : "s",
           p->position);
    printf("  %-10s ", "op");
    put(n->op, 0);
    printf(*n->type ? " " : "");
    put(n->type, 0);
    printf(", shape ");
    put_shape(n);
    if (n->n_inputs > 0)
        printf(", %lld inputs for each element", (long long)n->n_inputs);
    putchar('\n');
    put_line("kernels", n->kernels);
    print_difference("isolated", n, &n->isolated);
    print_difference("drift", n, &n->drift);
}

static void print_trials(const lp_report *r)
{
    static const char *const outcomes[] = {[LP_TRIAL_RIGHT] = "right",
                                           [LP_TRIAL_WRONG] = "wrong",
                                           [LP_TRIAL_NOTHING] = "no change",
                                           [LP_TRIAL_INFO] = ""};
    if (r->n_trials == 0)
        return;
    printf("\nTried\n");
    for (size_t i = 0; i < r->n_trials; i++) {
        const lp_check_trial *t = &r->trials[i];
        printf("  %-9s  ", outcomes[t->outcome]);
        put(t->change, 0);
        printf(*t->detail ? ": " : "");
        put(t->detail, 0);
        putchar('\n');
    }
    printf("Smallest change that makes it right: ");
    put(*r->smallest_change ? r->smallest_change : "none of these", 0);
    putchar('\n');
}

void cli_print_report(const lp_report *r, bool all_nodes)
{
    put(r->sentence, 0);
    putchar('\n');
    print_passes(r);
    for (size_t i = 0; all_nodes && i < r->n_passes; i++)
        print_nodes(&r->passes[i]);
    if (r->bad_pass < r->n_passes && r->bad_node < r->passes[r->bad_pass].n_nodes)
        print_bad_node(r);
    print_trials(r);
}
