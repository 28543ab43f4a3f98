/* The verdict: the sentence, and what makes the first bad node right. See checker.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "check/checker.h"
#include "lapilli.h"

static void find_bad(lp_report *r)
{
    r->bad_pass = r->n_passes;
    r->bad_node = 0;
    for (size_t p = 0; p < r->n_passes; p++)
        for (size_t i = 0; i < r->passes[p].n_nodes; i++)
            if (r->passes[p].nodes[i].finding != LP_FINDING_NONE) {
                r->bad_pass = p;
                r->bad_node = i;
                return;
            }
}

/* "[3, 17]" of a flat index. */
static void print_index(lp_text *text, const lp_check_node *node, uint64_t index)
{
    uint64_t parts[4] = {0};
    for (int i = node->n_dims - 1; i >= 0; i--) {
        parts[i] = i > 0 ? index % (uint64_t)node->dims[i] : index;
        index /= (uint64_t)node->dims[i];
    }
    for (int i = 0; i < node->n_dims; i++)
        lp_text_printf(text, "%s%llu", i ? ", " : "[", (unsigned long long)parts[i]);
    lp_text_printf(text, "]");
}

static void print_shape(lp_text *text, const lp_check_node *node)
{
    for (int i = 0; i < node->n_dims; i++)
        lp_text_printf(text, "%s%lld", i ? ", " : "[", (long long)node->dims[i]);
    lp_text_printf(text, "]");
}

static void say_bad(lp_text *text, const lp_report *r)
{
    const lp_check_pass *p = &r->passes[r->bad_pass];
    const lp_check_node *n = &p->nodes[r->bad_node];
    const lp_difference *d = &n->isolated;
    lp_text_printf(text, " disagrees with %s on %s: first at %s (%s%s%s", r->against, r->model,
                   n->name, n->op, *n->type ? " " : "", n->type);
    if (*n->kernels)
        lp_text_printf(text, ", kernel %s", n->kernels);
    lp_text_printf(text, ", shape ");
    print_shape(text, n);
    if (n->n_inputs > 0)
        lp_text_printf(text, strcmp(n->op, "attention") == 0 ? ", %lld keys" : ", K %lld",
                       (long long)n->n_inputs);
    lp_text_printf(text, ") in the pass \"%s\": %s", p->name, lp_finding_text(n->finding));
    if (*n->detail)
        lp_text_printf(text, " (%s)", n->detail);
    if (d->n > 0 && d->largest > LP_SIGMA_LARGEST) {
        lp_text_printf(text, "; element ");
        if (strcmp(n->op, "kv_write") == 0 || strcmp(n->op, "sample") == 0)
            lp_text_printf(text, "%llu", (unsigned long long)d->worst);
        else
            print_index(text, n, d->worst);
        lp_text_printf(text, " is %.9g, expected %.9g", isnan(d->got) ? fabs(d->got) : d->got,
                       d->expected);
        if (isfinite(d->largest))
            lp_text_printf(text, " (%.3g sigma)", d->largest);
    }
}

/* How far the latents are apart behind the last step that both took; NaN if there is none. */
static double last_latents(const lp_check_trajectory *t)
{
    return t->n_latents > 0 ? t->latents[t->n_latents - 1].latents.nmse : NAN;
}

static bool is_together(const lp_check_trajectory *t)
{
    return t->picture != NULL && last_latents(t) <= t->bound;
}

static void say_picture(lp_text *text, const lp_check_trajectory *t)
{
    lp_text_printf(
        text,
        "; latents within NMSE %.2g after %u step%s (bound %g), pictures of %u x %u within "
        "%u of 255 levels",
        last_latents(t), t->n_steps, t->n_steps == 1 ? "" : "s", t->bound, t->picture->width,
        t->picture->height, t->picture->most_levels);
}

/* Every node is right, the picture is not. */
static void say_apart(lp_text *text, const lp_report *r)
{
    const lp_check_trajectory *t = r->trajectory;
    lp_text_printf(text, " disagrees with %s on %s: every node is right by itself, but ",
                   r->against, r->model);
    if (*t->failure)
        lp_text_printf(text, "no picture comes of it after %zu of %u steps (%s)", t->n_latents,
                       t->n_steps, t->failure);
    else
        lp_text_printf(text, "after %zu step%s the latents differ by NMSE %.2g (bound %g)",
                       t->n_latents, t->n_latents == 1 ? "" : "s", last_latents(t), t->bound);
}

static void say_good(lp_text *text, const lp_report *r, bool encoder)
{
    double largest = 0, nmse = 0, kl = 0;
    size_t n_runs = 0, n_logits = 0, n_same = 0;
    uint32_t most = 0;
    for (size_t p = 0; p < r->n_passes; p++) {
        const lp_check_pass *pass_ = &r->passes[p];
        most = pass_->n_tokens > most ? pass_->n_tokens : most;
        n_runs += pass_->n_nodes;
        for (size_t i = 0; i < pass_->n_nodes; i++)
            largest = fmax(largest, pass_->nodes[i].isolated.largest);
        n_logits += pass_->logits.n > 0;
        n_same += pass_->logits.n > 0 && pass_->top1_same;
        nmse = fmax(nmse, pass_->logits.nmse);
        kl = fmax(kl, pass_->kl);
    }
    lp_text_printf(
        text,
        " agrees with %s on %s within %.2g sigma per node (bound %g) and NMSE %.2g of the "
        "%s, on these shapes: %zu nodes in %zu passes",
        r->against, r->model, largest, LP_SIGMA_LARGEST, nmse,
        encoder || r->trajectory != NULL ? "results" : "logits", n_runs, r->n_passes);
    if (r->trajectory != NULL) {
        say_picture(text, r->trajectory);
        return;
    }
    lp_text_printf(text, " of 1 to %u tokens", most);
    if (encoder)
        return;
    lp_text_printf(text, "; same likeliest token in %zu of %zu", n_same, n_logits);
    lp_text_printf(text, ", KL divergence up to %.2g nats", kl);
}

lp_status lp_checker_verdict(lp_checker *c)
{
    lp_report *r = c->report;
    lp_text text = {0};
    find_bad(r);
    const bool nodes_agree = r->bad_pass == r->n_passes;
    r->agrees = nodes_agree && (r->trajectory == NULL || is_together(r->trajectory));
    lp_text_printf(&text, "%s%s%s%s", r->device, *r->driver ? " (" : "", r->driver,
                   *r->driver ? ")" : "");
    if (!lp_quirks_none(&c->quirks)) {
        char *how = lp_quirks_describe(&c->quirks);
        lp_text_printf(&text, ", %s,", how != NULL ? how : "");
        free(how);
    }
    if (r->agrees)
        say_good(&text, r, c->network != NULL && c->network->hparams.both_ways);
    else if (nodes_agree)
        say_apart(&text, r);
    else
        say_bad(&text, r);
    char *sentence = lp_text_take(&text);
    r->sentence = sentence != NULL ? lp_arena_strdup(c->arena, sentence) : NULL;
    free(sentence);
    return r->sentence != NULL ? LP_OK : lp_fail_memory(c->ctx, "a report");
}

/* Does the first bad kernel go wrong at some lengths of dot products, and not at others? */
static lp_status compare_lengths(lp_checker *c)
{
    enum { MAX_LENGTHS = 32 };
    const lp_report *r = c->report;
    int64_t lengths[MAX_LENGTHS];
    int signs[MAX_LENGTHS]; /* 1 right, 2 wrong, 3 both */
    size_t n = 0, n_signs[4] = {0};
    if (r->bad_pass == r->n_passes)
        return LP_OK;
    const lp_check_pass *p = &r->passes[r->bad_pass];
    const lp_check_node *bad = &p->nodes[r->bad_node];
    if (strcmp(bad->op, "linear") != 0 || !*bad->kernels)
        return LP_OK;
    for (size_t i = 0; i < p->n_nodes; i++) {
        const lp_check_node *node = &p->nodes[i];
        size_t k = 0;
        while (k < n && lengths[k] != node->n_inputs)
            k++;
        if (strcmp(node->kernels, bad->kernels) != 0 || k == MAX_LENGTHS)
            continue;
        lengths[k] = node->n_inputs;
        signs[k] = (k < n ? signs[k] : 0) | (node->finding == LP_FINDING_NONE ? 1 : 2);
        n += k == n;
    }
    for (size_t k = 0; k < n; k++)
        n_signs[signs[k]]++;
    if (n_signs[3] > 0 || n_signs[1] == 0 || n_signs[2] == 0)
        return LP_OK; /* the length does not decide */
    lp_text text = {0};
    for (int sign = 1; sign <= 2; sign++) {
        lp_text_printf(&text, sign == 1 ? "right for K" : "; wrong for K");
        for (size_t k = 0; k < n; k++)
            if (signs[k] == sign)
                lp_text_printf(&text, " %lld", (long long)lengths[k]);
    }
    char *detail = lp_text_take(&text);
    if (detail == NULL)
        return lp_fail_memory(c->ctx, "a report");
    lp_status status =
        lp_checker_trial(c, LP_TRIAL_INFO, detail, "by the length of the dot products");
    free(detail);
    return status;
}

static lp_status write_workaround(lp_checker *c)
{
    char *json = NULL;
    if (c->report->agrees || !c->has_workaround)
        return LP_OK;
    const lp_quirks quirks = lp_quirks_both(&c->quirks, &c->workaround);
    LP_TRY(lp_quirks_json(c->ctx, &quirks, (lp_quirks_device){c->report->device, c->report->driver},
                          c->report->sentence, &json));
    c->report->workaround = lp_arena_strdup(c->arena, json);
    free(json);
    return c->report->workaround != NULL ? LP_OK : lp_fail_memory(c->ctx, "a report");
}

lp_status lp_checker_conclude(lp_checker *c)
{
    LP_TRY(lp_checker_verdict(c));
    LP_TRY(compare_lengths(c));
    return write_workaround(c);
}
