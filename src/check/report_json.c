/* The report as JSON: the struct of lapilli/check.h, key by key, in its order, and the
 * bounds that errors are held against.
 *
 * Numbers are rounded to what they are worth (cells of maps to 6 digits), which halves the file.
 * The text is one line without blanks: a report has some hundred thousand numbers. */
#include "check/report.h"

#include <nettle/base64.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "check/json_writer.h"
#include "graph/plan.h" /* what rounding may explain */

enum { SCHEMA = 1, MAP_DIGITS = 6 };

/* Identifiers in the JSON: those of the enum in small letters. */
static const char *const finding_ids[] = {
#define X(code, text) #code,
    LP_FINDINGS(X)
#undef X
};

static const char *const finding_texts[] = {
#define X(code, text) text,
    LP_FINDINGS(X)
#undef X
};

const char *lp_finding_text(lp_finding finding)
{
    return (unsigned)finding < LP_N_FINDINGS ? finding_texts[finding] : "";
}

/* --- The struct ---------------------------------------------------------------------------------
 */

static yyjson_mut_val *difference_value(lp_json_writer *w, const lp_difference *d)
{
    if (d->n == 0)
        return yyjson_mut_null(w->doc);
    yyjson_mut_val *object = yyjson_mut_obj(w->doc);
    lp_json_add_count(w, object, "n", d->n);
    lp_json_add_number(w, object, "nmse", d->nmse);
    lp_json_add_number(w, object, "mean_square", d->mean_square);
    lp_json_add_number(w, object, "largest", d->largest);
    lp_json_add_number(w, object, "max_abs", d->max_abs);
    lp_json_add_number(w, object, "max_ulp", d->max_ulp);
    lp_json_add_number(w, object, "cosine", d->cosine);
    lp_json_add_count(w, object, "n_nan", d->n_nan);
    lp_json_add_count(w, object, "n_inf", d->n_inf);
    lp_json_add_count(w, object, "worst", d->worst);
    lp_json_add_number(w, object, "expected", d->expected);
    lp_json_add_number(w, object, "got", d->got);
    lp_json_add_number(w, object, "sigma", d->sigma);
    return object;
}

static yyjson_mut_val *cells(lp_json_writer *w, const float *values, size_t n)
{
    yyjson_mut_val *array = yyjson_mut_arr(w->doc);
    for (size_t i = 0; i < n; i++)
        lp_json_append(w, array, lp_json_number(w, (double)values[i], MAP_DIGITS));
    return array;
}

static yyjson_mut_val *map_value(lp_json_writer *w, const lp_check_map *map)
{
    if (!map)
        return yyjson_mut_null(w->doc);
    size_t n = (size_t)map->rows * map->columns;
    yyjson_mut_val *object = yyjson_mut_obj(w->doc);
    lp_json_add_count(w, object, "rows", map->rows);
    lp_json_add_count(w, object, "columns", map->columns);
    lp_json_add_count(w, object, "tensor_rows", map->tensor_rows);
    lp_json_add_count(w, object, "tensor_columns", map->tensor_columns);
    lp_json_add(w, object, "expected", cells(w, map->expected, n));
    lp_json_add(w, object, "got", cells(w, map->got, n));
    lp_json_add(w, object, "error", cells(w, map->error, n));
    return object;
}

static yyjson_mut_val *finding_value(lp_json_writer *w, lp_finding finding)
{
    char id[32] = "";
    if ((unsigned)finding < LP_N_FINDINGS)
        for (int i = 0; finding_ids[finding][i]; i++) {
            char c = finding_ids[finding][i];
            id[i] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
            id[i + 1] = '\0';
        }
    return yyjson_mut_strcpy(w->doc, id);
}

static yyjson_mut_val *node_value(lp_json_writer *w, const lp_check_node *node)
{
    yyjson_mut_val *object = yyjson_mut_obj(w->doc), *dims = yyjson_mut_arr(w->doc);
    for (int i = 0; i < node->n_dims && i < 4; i++)
        lp_json_append(w, dims, yyjson_mut_sint(w->doc, node->dims[i]));
    lp_json_add_string(w, object, "name", node->name);
    lp_json_add_string(w, object, "op", node->op);
    lp_json_add_string(w, object, "type", node->type);
    lp_json_add_string(w, object, "kernels", node->kernels);
    lp_json_add(w, object, "dims", dims);
    lp_json_add(w, object, "n_inputs", yyjson_mut_sint(w->doc, node->n_inputs));
    lp_json_add(w, object, "isolated", difference_value(w, &node->isolated));
    lp_json_add(w, object, "drift", difference_value(w, &node->drift));
    lp_json_add(w, object, "finding", finding_value(w, node->finding));
    lp_json_add_string(w, object, "detail", node->detail);
    lp_json_add_string(w, object, "digest", node->digest);
    lp_json_add(w, object, "map", map_value(w, node->map));
    return object;
}

static yyjson_mut_val *pass_value(lp_json_writer *w, const lp_check_pass *pass)
{
    yyjson_mut_val *object = yyjson_mut_obj(w->doc), *nodes = yyjson_mut_arr(w->doc);
    for (size_t i = 0; i < pass->n_nodes; i++)
        lp_json_append(w, nodes, node_value(w, &pass->nodes[i]));
    lp_json_add_string(w, object, "name", pass->name);
    lp_json_add_count(w, object, "position", pass->position);
    lp_json_add_count(w, object, "n_tokens", pass->n_tokens);
    lp_json_add(w, object, "nodes", nodes);
    lp_json_add_count(w, object, "worst", pass->worst);
    lp_json_add(w, object, "logits", difference_value(w, &pass->logits));
    lp_json_add_number(w, object, "kl", pass->kl);
    lp_json_add(w, object, "top1_same", yyjson_mut_bool(w->doc, pass->top1_same != 0));
    lp_json_add(w, object, "top5_common", yyjson_mut_sint(w->doc, pass->top5_common));
    lp_json_add_string(w, object, "digest", pass->digest);
    lp_json_add_string(w, object, "choices", pass->choices);
    return object;
}

static yyjson_mut_val *trial_value(lp_json_writer *w, const lp_check_trial *trial)
{
    static const char *const outcomes[] = {[LP_TRIAL_RIGHT] = "right",
                                           [LP_TRIAL_WRONG] = "wrong",
                                           [LP_TRIAL_NOTHING] = "nothing",
                                           [LP_TRIAL_INFO] = "info"};
    yyjson_mut_val *object = yyjson_mut_obj(w->doc);
    lp_json_add_string(w, object, "change", trial->change);
    lp_json_add_string(w, object, "outcome", outcomes[trial->outcome]);
    lp_json_add_string(w, object, "detail", trial->detail);
    return object;
}

/* A number that JSON can hold as it stands, with every digit. */
static bool is_json_number(const char *text)
{
    yyjson_doc *doc = yyjson_read(text, strlen(text), YYJSON_READ_NUMBER_AS_RAW);
    bool is = yyjson_is_raw(yyjson_doc_get_root(doc));
    yyjson_doc_free(doc);
    return is;
}

static yyjson_mut_val *fact_value(lp_json_writer *w, const lp_fact *fact)
{
    yyjson_mut_val *object = yyjson_mut_obj(w->doc);
    lp_json_add_string(w, object, "name", fact->name);
    if (fact->is_number && is_json_number(fact->value))
        lp_json_add(w, object, "value", yyjson_mut_rawcpy(w->doc, fact->value));
    else
        lp_json_add_string(w, object, "value", fact->value);
    return object;
}

/* Itself JSON: becomes a part of the document. */
static yyjson_mut_val *workaround_value(lp_json_writer *w, const char *text)
{
    if (!text)
        return yyjson_mut_null(w->doc);
    yyjson_doc *parsed = yyjson_read(text, strlen(text), 0);
    yyjson_mut_val *value =
        parsed ? yyjson_val_mut_copy(w->doc, yyjson_doc_get_root(parsed)) : lp_json_string(w, text);
    yyjson_doc_free(parsed);
    return value;
}

static yyjson_mut_val *bounds_value(lp_json_writer *w)
{
    yyjson_mut_val *object = yyjson_mut_obj(w->doc);
    lp_json_add_number(w, object, "mean_square", LP_SIGMA_MEAN);
    lp_json_add_number(w, object, "largest", LP_SIGMA_LARGEST);
    return object;
}

static yyjson_mut_val *png_value(lp_json_writer *w, const uint8_t *data, size_t bytes)
{
    static const char start[] = "data:image/png;base64,";
    const size_t n = sizeof start - 1, all = n + BASE64_ENCODE_RAW_LENGTH(bytes);
    char *text = malloc(all);
    yyjson_mut_val *value = NULL;
    if (text != NULL) {
        memcpy(text, start, n);
        base64_encode_raw(text + n, bytes, data);
        value = yyjson_mut_strncpy(w->doc, text, all);
    }
    free(text);
    w->failed = w->failed || value == NULL;
    return value;
}

static yyjson_mut_val *picture_value(lp_json_writer *w, const lp_check_picture *p)
{
    if (p == NULL)
        return yyjson_mut_null(w->doc);
    yyjson_mut_val *object = yyjson_mut_obj(w->doc), *colors = yyjson_mut_arr(w->doc);
    for (size_t i = 0; i < p->n_colors; i++)
        lp_json_append(w, colors, lp_json_string(w, p->colors[i]));
    lp_json_add_count(w, object, "width", p->width);
    lp_json_add_count(w, object, "height", p->height);
    lp_json_add(w, object, "pixels", difference_value(w, &p->pixels));
    lp_json_add_count(w, object, "n_other", p->n_other);
    lp_json_add_count(w, object, "most_levels", p->most_levels);
    lp_json_add(w, object, "expected", png_value(w, p->expected, p->expected_bytes));
    lp_json_add(w, object, "got", png_value(w, p->got, p->got_bytes));
    lp_json_add(w, object, "map", png_value(w, p->map, p->map_bytes));
    lp_json_add_number(w, object, "low", p->low);
    lp_json_add_number(w, object, "high", p->high);
    lp_json_add(w, object, "colors", colors);
    return object;
}

static yyjson_mut_val *trajectory_value(lp_json_writer *w, const lp_check_trajectory *t)
{
    if (t == NULL)
        return yyjson_mut_null(w->doc);
    yyjson_mut_val *object = yyjson_mut_obj(w->doc), *latents = yyjson_mut_arr(w->doc);
    for (size_t i = 0; i < t->n_latents; i++) {
        yyjson_mut_val *step = yyjson_mut_obj(w->doc);
        lp_json_add_count(w, step, "step", t->latents[i].step);
        lp_json_add_number(w, step, "timestep", t->latents[i].timestep);
        lp_json_add(w, step, "latents", difference_value(w, &t->latents[i].latents));
        lp_json_append(w, latents, step);
    }
    lp_json_add_string(w, object, "sampler", t->sampler);
    lp_json_add_number(w, object, "guidance", t->guidance);
    lp_json_add_count(w, object, "seed", t->seed);
    lp_json_add_count(w, object, "n_steps", t->n_steps);
    lp_json_add(w, object, "steps", latents);
    lp_json_add_number(w, object, "bound", t->bound);
    lp_json_add_string(w, object, "failure", t->failure);
    lp_json_add(w, object, "picture", picture_value(w, t->picture));
    return object;
}

static yyjson_mut_val *report_value(lp_json_writer *w, const lp_report *r)
{
    yyjson_mut_val *root = yyjson_mut_obj(w->doc), *facts = yyjson_mut_arr(w->doc);
    yyjson_mut_val *tokens = yyjson_mut_arr(w->doc), *passes = yyjson_mut_arr(w->doc);
    yyjson_mut_val *bad = yyjson_mut_null(w->doc), *trials = yyjson_mut_arr(w->doc);
    for (size_t i = 0; i < r->n_facts; i++)
        lp_json_append(w, facts, fact_value(w, &r->facts[i]));
    for (size_t i = 0; i < r->n_tokens; i++)
        lp_json_append(w, tokens, yyjson_mut_sint(w->doc, r->tokens[i]));
    for (size_t i = 0; i < r->n_passes; i++)
        lp_json_append(w, passes, pass_value(w, &r->passes[i]));
    for (size_t i = 0; i < r->n_trials; i++)
        lp_json_append(w, trials, trial_value(w, &r->trials[i]));
    if (r->bad_pass < r->n_passes) {
        bad = yyjson_mut_obj(w->doc);
        lp_json_add_count(w, bad, "pass", r->bad_pass);
        lp_json_add_count(w, bad, "node", r->bad_node);
    }
    lp_json_add_count(w, root, "schema", SCHEMA);
    lp_json_add_string(w, root, "version", r->version);
    lp_json_add_string(w, root, "sentence", r->sentence);
    lp_json_add(w, root, "agrees", yyjson_mut_bool(w->doc, r->agrees != 0));
    lp_json_add_string(w, root, "device", r->device);
    lp_json_add_string(w, root, "driver", r->driver);
    lp_json_add_string(w, root, "against", r->against);
    lp_json_add_string(w, root, "against_driver", r->against_driver);
    lp_json_add_string(w, root, "model", r->model);
    lp_json_add_string(w, root, "model_type", r->model_type);
    lp_json_add_string(w, root, "model_digest", r->model_digest);
    lp_json_add_string(w, root, "path", r->path);
    lp_json_add_string(w, root, "conditions", r->conditions);
    lp_json_add_string(w, root, "command", r->command);
    lp_json_add(w, root, "bounds", bounds_value(w));
    lp_json_add(w, root, "facts", facts);
    lp_json_add(w, root, "tokens", tokens);
    lp_json_add(w, root, "passes", passes);
    lp_json_add(w, root, "trajectory", trajectory_value(w, r->trajectory));
    lp_json_add(w, root, "bad", bad);
    lp_json_add(w, root, "trials", trials);
    lp_json_add_string(w, root, "smallest_change", r->smallest_change);
    lp_json_add(w, root, "workaround", workaround_value(w, r->workaround));
    lp_json_add_string(w, root, "repro", r->repro);
    lp_json_add_number(w, root, "seconds", r->seconds);
    return root;
}

lp_status lp_report_json(lp_context *ctx, const lp_report *report, char **json)
{
    lp_json_writer w = {.doc = yyjson_mut_doc_new(NULL)};
    *json = NULL;
    if (w.doc) {
        yyjson_mut_doc_set_root(w.doc, report_value(&w, report));
        if (!w.failed)
            *json = yyjson_mut_write(w.doc, 0, NULL);
        yyjson_mut_doc_free(w.doc);
    }
    return *json ? LP_OK : lp_fail_memory(ctx, "the report");
}
