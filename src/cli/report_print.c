/* See report_print.h. Strings come from files and drivers: control characters, which could move a
 * terminal's cursor or change its colours, are printed as "?". */
#include "report_print.h"

#include <math.h>
#include <string.h>

/* Printed in at least `width` columns (bytes, which names are). */
static void put(FILE *to, const char *text, int width)
{
    for (; *text; text++, width--)
        putc((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text, to);
    for (; width > 0; width--)
        putc(' ', to);
}

/* "name: text" on an indented line, if there is a text. */
static void put_line(FILE *to, const char *name, const char *text)
{
    if (!*text)
        return;
    fprintf(to, "  %-10s ", name);
    put(to, text, 0);
    putc('\n', to);
}

static void put_shape(FILE *to, const lp_check_node *node)
{
    putc('[', to);
    for (int i = 0; i < node->n_dims; i++)
        fprintf(to, "%s%lld", i ? ", " : "", (long long)node->dims[i]);
    putc(']', to);
}

/* [t, n] of an element's index. */
static void put_index(FILE *to, const lp_check_node *node, uint64_t index)
{
    uint64_t part[4] = {0};
    for (int i = node->n_dims; i-- > 0;) {
        uint64_t n = node->dims[i] > 0 ? (uint64_t)node->dims[i] : 1;
        part[i] = index % n;
        index /= n;
    }
    putc('[', to);
    for (int i = 0; i < node->n_dims; i++)
        fprintf(to, "%s%llu", i ? ", " : "", (unsigned long long)part[i]);
    putc(']', to);
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

/* Columns that only make sense of texts. */
static void print_texts_columns(FILE *to, const lp_check_pass *p)
{
    if (p->logits.n)
        fprintf(to, " %9.2g  %-7s  %d/5  ", p->kl, p->top1_same ? "same" : "differs",
                p->top5_common);
    else
        fprintf(to, " %9s  %-7s  %-5s", "-", "-", "-");
}

static void print_pass(FILE *to, const lp_check_pass *p, int width, bool texts)
{
    put(to, p->name, width);
    if (texts)
        fprintf(to, " %6u", p->n_tokens);
    fprintf(to, " %5zu %5zu ", p->n_nodes, count_bad(p));
    const lp_check_node *worst = p->worst < p->n_nodes ? &p->nodes[p->worst] : NULL;
    if (worst)
        fprintf(to, "%9.3g ", worst->isolated.largest);
    else
        fprintf(to, "%9s ", "-");
    if (p->logits.n_nan + p->logits.n_inf > 0)
        fprintf(to, "%12s", "not finite");
    else if (p->logits.n)
        fprintf(to, "%12.2g", p->logits.nmse);
    else
        fprintf(to, "%12s", "-");
    if (texts)
        print_texts_columns(to, p);
    if (worst) {
        fprintf(to, "  ");
        put(to, worst->name, 0);
        if (*worst->kernels)
            fprintf(to, ", ");
        put(to, worst->kernels, 0);
    }
    putc('\n', to);
}

static void print_passes(FILE *to, const lp_report *r)
{
    const bool texts = r->trajectory == NULL;
    int width = 12;
    for (size_t i = 0; i < r->n_passes; i++)
        if ((int)strlen(r->passes[i].name) > width)
            width = (int)strlen(r->passes[i].name);
    fprintf(to, "\n%-*s", width, "pass");
    if (texts)
        fprintf(to, " %6s", "tokens");
    fprintf(to, " %5s %5s %9s %12s", "nodes", "bad", "sigma",
            texts ? "logits NMSE" : "result NMSE");
    if (texts)
        fprintf(to, " %9s  %-7s  %-5s", "KL", "top-1", "top-5");
    fprintf(to, "  worst node, kernels\n");
    for (size_t i = 0; i < r->n_passes; i++)
        print_pass(to, &r->passes[i], width, texts);
    for (size_t i = 0; i < r->n_passes; i++) {
        if (!*r->passes[i].choices)
            continue;
        put(to, r->passes[i].name, 0);
        fprintf(to, ": ");
        put(to, r->passes[i].choices, 0);
        fprintf(to, ".\n");
    }
    fprintf(to, "sigma: largest error of a node that gets the reference's inputs, in units of what "
                "rounding does\n");
    if (texts && !r->agrees && r->bad_pass + 1 < r->n_passes)
        fprintf(to,
                "Passes after a bad one start from its keys and values: their logits may differ "
                "though their nodes are right.\n");
}

/* At most so many steps, the first and the last among them. */
static void print_trajectory(FILE *to, const lp_check_trajectory *t)
{
    enum { MOST = 10 };
    const size_t n = t->n_latents, shown = n < MOST ? n : MOST;
    fprintf(to, "\nThe picture of seed %llu, on each device by itself\n",
            (unsigned long long)t->seed);
    if (n > 0)
        fprintf(to, "%6s  %8s  %13s\n", "step", "timestep", "latents NMSE");
    for (size_t i = 0; i < shown; i++) {
        const lp_check_latents *l = &t->latents[shown > 1 ? i * (n - 1) / (shown - 1) : 0];
        fprintf(to, "%6u  %8.4g  %13.2g%s\n", l->step, l->timestep, l->latents.nmse,
                l->latents.nmse <= t->bound ? "" : " !");
    }
    if (*t->failure) {
        fprintf(to, "no picture, after %zu of %u steps: ", n, t->n_steps);
        put(to, t->failure, 0);
        putc('\n', to);
    }
    if (!t->picture)
        return;
    fprintf(to, "The bound behind the last step is %g. Pictures, %u x %u: NMSE %.2g; ", t->bound,
            t->picture->width, t->picture->height, t->picture->pixels.nmse);
    if (t->picture->n_other == 0)
        fprintf(to, "all pixels have the same colour\n");
    else
        fprintf(to, "pixels of another colour: %llu, by up to %u of 255 levels\n",
                (unsigned long long)t->picture->n_other, t->picture->most_levels);
}

static void print_nodes(FILE *to, const lp_check_pass *p)
{
    fprintf(to, "\nNodes of pass \"");
    put(to, p->name, 0);
    fprintf(to, "\"\n%4s  %-24s %9s %9s %9s %9s %9s  %s\n", "#", "node", "sigma", "NMSE", "ULP",
            "drift", "NMSE", "op, shape, kernels");
    for (size_t i = 0; i < p->n_nodes; i++) {
        const lp_check_node *n = &p->nodes[i];
        fprintf(to, "%4zu  ", i);
        put(to, n->name, 24);
        if (n->isolated.n)
            fprintf(to, " %9.3g %9.2g %9.3g", n->isolated.largest, n->isolated.nmse,
                    n->isolated.max_ulp);
        else
            fprintf(to, " %9s %9s %9s", "-", "-", "-");
        /* copies have no sigma, and what drifted into them cannot be told in it */
        if (n->drift.n && (isfinite(n->drift.largest) || !isfinite(n->drift.got)))
            fprintf(to, " %9.3g", n->drift.largest);
        else
            fprintf(to, " %9s", "-");
        if (n->drift.n)
            fprintf(to, " %9.2g  ", n->drift.nmse);
        else
            fprintf(to, " %9s  ", "-");
        put(to, n->op, 0);
        fprintf(to, *n->type ? " " : "");
        put(to, n->type, 0);
        putc(' ', to);
        put_shape(to, n);
        putc(' ', to);
        put(to, n->kernels, 0);
        if (n->finding) {
            fprintf(to, "; %s", lp_finding_text(n->finding));
            fprintf(to, *n->detail ? ": " : "");
            put(to, n->detail, 0);
        }
        putc('\n', to);
    }
}

/* --- The first bad node ------------------------------------------------------------------------
 */

static void print_difference(FILE *to, const char *name, const lp_check_node *node,
                             const lp_difference *d)
{
    if (d->n == 0)
        return;
    fprintf(to, "  %-10s worst at ", name);
    put_index(to, node, d->worst);
    fprintf(to, ": expected %.9g, got %.9g, %.4g sigma (sigma %.3g)\n", d->expected,
            isnan(d->got) ? fabs(d->got) : d->got, d->largest, d->sigma); /* not "-nan" */
    fprintf(to, "  %-10s %llu elements: NMSE %.3g, rms %.3g sigma, cosine %.*f, largest error %.3g",
            "", (unsigned long long)d->n, d->nmse, sqrt(d->mean_square), cosine_decimals(d->cosine),
            d->cosine, d->max_abs);
    if (d->max_ulp < 1e6) /* beyond, it says nothing */
        fprintf(to, " or %.0f ULP", d->max_ulp);
    fprintf(to, "; %llu NaN, %llu infinite\n", (unsigned long long)d->n_nan,
            (unsigned long long)d->n_inf);
}

static void print_bad_node(FILE *to, const lp_report *r)
{
    const lp_check_pass *p = &r->passes[r->bad_pass];
    const lp_check_node *n = &p->nodes[r->bad_node];
    fprintf(to, "\nFirst bad node: ");
    put(to, n->name, 0);
    fprintf(to, ": %s\n", lp_finding_text(n->finding));
    put_line(to, "detail", n->detail);
    fprintf(to, "  %-10s ", "pass");
    put(to, p->name, 0);
    if (p->n_tokens > 0)
        fprintf(to, ", %u token%s from position %u", p->n_tokens, p->n_tokens == 1 ? "" : "s",
                p->position);
    putc('\n', to);
    fprintf(to, "  %-10s ", "op");
    put(to, n->op, 0);
    fprintf(to, *n->type ? " " : "");
    put(to, n->type, 0);
    fprintf(to, ", shape ");
    put_shape(to, n);
    if (n->n_inputs > 0)
        fprintf(to, ", %lld inputs for each element", (long long)n->n_inputs);
    putc('\n', to);
    put_line(to, "kernels", n->kernels);
    print_difference(to, "isolated", n, &n->isolated);
    if (n->drift.worst != n->isolated.worst || n->drift.nmse != n->isolated.nmse)
        print_difference(to, "drift", n, &n->drift);
}

static void print_trials(FILE *to, const lp_report *r)
{
    static const char *const outcomes[] = {[LP_TRIAL_RIGHT] = "right",
                                           [LP_TRIAL_WRONG] = "wrong",
                                           [LP_TRIAL_NOTHING] = "no change",
                                           [LP_TRIAL_INFO] = ""};
    if (r->n_trials == 0)
        return;
    fprintf(to, "\nTried\n");
    for (size_t i = 0; i < r->n_trials; i++) {
        const lp_check_trial *t = &r->trials[i];
        fprintf(to, "  %-9s  ", outcomes[t->outcome]);
        put(to, t->change, 0);
        fprintf(to, *t->detail ? ": " : "");
        put(to, t->detail, 0);
        putc('\n', to);
    }
    fprintf(to, "Smallest change that makes it right: ");
    put(to, *r->smallest_change ? r->smallest_change : "none of these", 0);
    putc('\n', to);
}

void cli_print_report(FILE *to, const lp_report *r, bool all_nodes)
{
    put(to, r->sentence, 0);
    putc('\n', to);
    print_passes(to, r);
    if (r->trajectory)
        print_trajectory(to, r->trajectory);
    for (size_t i = 0; all_nodes && i < r->n_passes; i++)
        print_nodes(to, &r->passes[i]);
    if (r->bad_pass < r->n_passes && r->bad_node < r->passes[r->bad_pass].n_nodes)
        print_bad_node(to, r);
    print_trials(to, r);
}
