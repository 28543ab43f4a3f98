/* The report as JSON: the struct of lapilli/check.h, key by key, in its order, and the
 * bounds that errors are held against.
 *
 * JSON has no infinity and no NaN; they are the strings "inf", "-inf" and "nan". Numbers are
 * rounded to what they are worth (9 digits hold every f32; cells of maps have 6), which halves the
 * file. The text is one line without blanks: a report has some hundred thousand numbers. Names come
 * from files and drivers: bytes that are not UTF-8 become U+FFFD. */
#include "check/report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "graph/plan.h" /* what rounding may explain */
#include "text/utf8.h"

enum { SCHEMA = 1, DIGITS = 9, MAP_DIGITS = 6 };

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

/* --- Values: NULL when out of memory; yyjson's functions accept that, and the result is checked
 * once, at the end ------------------------------------------------------------------------------
 */

/* What is being written; `failed` once an allocation did not succeed. */
typedef struct writer {
    yyjson_mut_doc *doc;
    bool failed;
} writer;

static void add(writer *w, yyjson_mut_val *object, const char *key, yyjson_mut_val *value)
{
    if (!yyjson_mut_obj_add(object, yyjson_mut_str(w->doc, key), value))
        w->failed = true;
}

static void append(writer *w, yyjson_mut_val *array, yyjson_mut_val *value)
{
    if (!yyjson_mut_arr_append(array, value))
        w->failed = true;
}

static yyjson_mut_val *number(writer *w, double value, int digits)
{
    char text[40];
    if (isnan(value))
        return yyjson_mut_str(w->doc, "nan");
    if (isinf(value))
        return yyjson_mut_str(w->doc, value > 0 ? "inf" : "-inf");
    if (value == 0)
        return yyjson_mut_uint(w->doc, 0);
    /* there and back with the same locale; yyjson then writes the shortest text of that number */
    snprintf(text, sizeof(text), "%.*e", digits - 1, value);
    return yyjson_mut_real(w->doc, strtod(text, NULL));
}

static yyjson_mut_val *string(writer *w, const char *text)
{
    size_t n = text ? strlen(text) : 0;
    char *clean = malloc(3 * (n + 8));
    if (!clean)
        return NULL;
    lp_utf8_stream stream = {0};
    size_t bytes = lp_utf8_push(&stream, text ? text : "", n, clean);
    bytes += lp_utf8_finish(&stream, clean + bytes);
    yyjson_mut_val *value = yyjson_mut_strncpy(w->doc, clean, bytes);
    free(clean);
    return value;
}

static void add_number(writer *w, yyjson_mut_val *object, const char *key, double value)
{
    add(w, object, key, number(w, value, DIGITS));
}

static void add_count(writer *w, yyjson_mut_val *object, const char *key, uint64_t value)
{
    add(w, object, key, yyjson_mut_uint(w->doc, value));
}

static void add_string(writer *w, yyjson_mut_val *object, const char *key, const char *text)
{
    add(w, object, key, string(w, text));
}

/* --- The struct ---------------------------------------------------------------------------------
 */

static yyjson_mut_val *difference_value(writer *w, const lp_difference *d)
{
    if (d->n == 0)
        return yyjson_mut_null(w->doc);
    yyjson_mut_val *object = yyjson_mut_obj(w->doc);
    add_count(w, object, "n", d->n);
    add_number(w, object, "nmse", d->nmse);
    add_number(w, object, "mean_square", d->mean_square);
    add_number(w, object, "largest", d->largest);
    add_number(w, object, "max_abs", d->max_abs);
    add_number(w, object, "max_ulp", d->max_ulp);
    add_number(w, object, "cosine", d->cosine);
    add_count(w, object, "n_nan", d->n_nan);
    add_count(w, object, "n_inf", d->n_inf);
    add_count(w, object, "worst", d->worst);
    add_number(w, object, "expected", d->expected);
    add_number(w, object, "got", d->got);
    add_number(w, object, "sigma", d->sigma);
    return object;
}

static yyjson_mut_val *cells(writer *w, const float *values, size_t n)
{
    yyjson_mut_val *array = yyjson_mut_arr(w->doc);
    for (size_t i = 0; i < n; i++)
        append(w, array, number(w, (double)values[i], MAP_DIGITS));
    return array;
}

static yyjson_mut_val *map_value(writer *w, const lp_check_map *map)
{
    if (!map)
        return yyjson_mut_null(w->doc);
    size_t n = (size_t)map->rows * map->columns;
    yyjson_mut_val *object = yyjson_mut_obj(w->doc);
    add_count(w, object, "rows", map->rows);
    add_count(w, object, "columns", map->columns);
    add_count(w, object, "tensor_rows", map->tensor_rows);
    add_count(w, object, "tensor_columns", map->tensor_columns);
    add(w, object, "expected", cells(w, map->expected, n));
    add(w, object, "got", cells(w, map->got, n));
    add(w, object, "error", cells(w, map->error, n));
    return object;
}

static yyjson_mut_val *finding_value(writer *w, lp_finding finding)
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

static yyjson_mut_val *node_value(writer *w, const lp_check_node *node)
{
    yyjson_mut_val *object = yyjson_mut_obj(w->doc), *dims = yyjson_mut_arr(w->doc);
    for (int i = 0; i < node->n_dims && i < 4; i++)
        append(w, dims, yyjson_mut_sint(w->doc, node->dims[i]));
    add_string(w, object, "name", node->name);
    add_string(w, object, "op", node->op);
    add_string(w, object, "type", node->type);
    add_string(w, object, "kernels", node->kernels);
    add(w, object, "dims", dims);
    add(w, object, "n_inputs", yyjson_mut_sint(w->doc, node->n_inputs));
    add(w, object, "isolated", difference_value(w, &node->isolated));
    add(w, object, "drift", difference_value(w, &node->drift));
    add(w, object, "finding", finding_value(w, node->finding));
    add_string(w, object, "detail", node->detail);
    add_string(w, object, "digest", node->digest);
    add(w, object, "map", map_value(w, node->map));
    return object;
}

static yyjson_mut_val *pass_value(writer *w, const lp_check_pass *pass)
{
    yyjson_mut_val *object = yyjson_mut_obj(w->doc), *nodes = yyjson_mut_arr(w->doc);
    for (size_t i = 0; i < pass->n_nodes; i++)
        append(w, nodes, node_value(w, &pass->nodes[i]));
    add_string(w, object, "name", pass->name);
    add_count(w, object, "position", pass->position);
    add_count(w, object, "n_tokens", pass->n_tokens);
    add(w, object, "nodes", nodes);
    add_count(w, object, "worst", pass->worst);
    add(w, object, "logits", difference_value(w, &pass->logits));
    add_number(w, object, "kl", pass->kl);
    add(w, object, "top1_same", yyjson_mut_bool(w->doc, pass->top1_same != 0));
    add(w, object, "top5_common", yyjson_mut_sint(w->doc, pass->top5_common));
    add_string(w, object, "digest", pass->digest);
    return object;
}

static yyjson_mut_val *trial_value(writer *w, const lp_check_trial *trial)
{
    static const char *const outcomes[] = {[LP_TRIAL_RIGHT] = "right",
                                           [LP_TRIAL_WRONG] = "wrong",
                                           [LP_TRIAL_NOTHING] = "nothing",
                                           [LP_TRIAL_INFO] = "info"};
    yyjson_mut_val *object = yyjson_mut_obj(w->doc);
    add_string(w, object, "change", trial->change);
    add_string(w, object, "outcome", outcomes[trial->outcome]);
    add_string(w, object, "detail", trial->detail);
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

static yyjson_mut_val *fact_value(writer *w, const lp_fact *fact)
{
    yyjson_mut_val *object = yyjson_mut_obj(w->doc);
    add_string(w, object, "name", fact->name);
    if (fact->is_number && is_json_number(fact->value))
        add(w, object, "value", yyjson_mut_rawcpy(w->doc, fact->value));
    else
        add_string(w, object, "value", fact->value);
    return object;
}

/* Itself JSON: becomes a part of the document. */
static yyjson_mut_val *workaround_value(writer *w, const char *text)
{
    if (!text)
        return yyjson_mut_null(w->doc);
    yyjson_doc *parsed = yyjson_read(text, strlen(text), 0);
    yyjson_mut_val *value =
        parsed ? yyjson_val_mut_copy(w->doc, yyjson_doc_get_root(parsed)) : string(w, text);
    yyjson_doc_free(parsed);
    return value;
}

static yyjson_mut_val *bounds_value(writer *w)
{
    yyjson_mut_val *object = yyjson_mut_obj(w->doc);
    add_number(w, object, "mean_square", LP_SIGMA_MEAN);
    add_number(w, object, "largest", LP_SIGMA_LARGEST);
    return object;
}

static yyjson_mut_val *report_value(writer *w, const lp_report *r)
{
    yyjson_mut_val *root = yyjson_mut_obj(w->doc), *facts = yyjson_mut_arr(w->doc);
    yyjson_mut_val *tokens = yyjson_mut_arr(w->doc), *passes = yyjson_mut_arr(w->doc);
    yyjson_mut_val *bad = yyjson_mut_null(w->doc), *trials = yyjson_mut_arr(w->doc);
    for (size_t i = 0; i < r->n_facts; i++)
        append(w, facts, fact_value(w, &r->facts[i]));
    for (size_t i = 0; i < r->n_tokens; i++)
        append(w, tokens, yyjson_mut_sint(w->doc, r->tokens[i]));
    for (size_t i = 0; i < r->n_passes; i++)
        append(w, passes, pass_value(w, &r->passes[i]));
    for (size_t i = 0; i < r->n_trials; i++)
        append(w, trials, trial_value(w, &r->trials[i]));
    if (r->bad_pass < r->n_passes) {
        bad = yyjson_mut_obj(w->doc);
        add_count(w, bad, "pass", r->bad_pass);
        add_count(w, bad, "node", r->bad_node);
    }
    add_count(w, root, "schema", SCHEMA);
    add_string(w, root, "version", r->version);
    add_string(w, root, "sentence", r->sentence);
    add(w, root, "agrees", yyjson_mut_bool(w->doc, r->agrees != 0));
    add_string(w, root, "device", r->device);
    add_string(w, root, "driver", r->driver);
    add_string(w, root, "against", r->against);
    add_string(w, root, "against_driver", r->against_driver);
    add_string(w, root, "model", r->model);
    add_string(w, root, "path", r->path);
    add_string(w, root, "command", r->command);
    add(w, root, "bounds", bounds_value(w));
    add(w, root, "facts", facts);
    add(w, root, "tokens", tokens);
    add(w, root, "passes", passes);
    add(w, root, "bad", bad);
    add(w, root, "trials", trials);
    add_string(w, root, "smallest_change", r->smallest_change);
    add(w, root, "workaround", workaround_value(w, r->workaround));
    add_string(w, root, "repro", r->repro);
    add_number(w, root, "seconds", r->seconds);
    return root;
}

lp_status lp_report_json(lp_context *ctx, const lp_report *report, char **json)
{
    writer w = {.doc = yyjson_mut_doc_new(NULL)};
    *json = NULL;
    if (w.doc) {
        yyjson_mut_doc_set_root(w.doc, report_value(&w, report));
        if (!w.failed)
            *json = yyjson_mut_write(w.doc, 0, NULL);
        yyjson_mut_doc_free(w.doc);
    }
    return *json ? LP_OK : lp_fail_memory(ctx, "the report");
}
