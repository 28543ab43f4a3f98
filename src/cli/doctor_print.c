/* See doctor.h. Everything fits into 80 columns, but for names of devices that do not. */
#include "doctor.h"

#include <string.h>

enum { WIDTH = 80, MARGIN = 18, MAX_WRONG = 8 };

static const char *const types[] = {
#define X(id, name, gguf, block, bytes) name,
    LP_DTYPES(X)
#undef X
};

/* Words of a text, from column `at` on, in lines that begin at column `margin`. Control characters,
 * which could move the cursor or change its colours, become "?". */
static void wrap(const char *text, int at, int margin)
{
    int column = at;
    for (bool first = true; *text; first = false) {
        int n = (int)strcspn(text, " ");
        if (!first && column + 1 + n > WIDTH) {
            printf("\n%*s", margin, "");
            column = margin;
        } else if (!first) {
            putchar(' ');
            column++;
        }
        for (int i = 0; i < n; i++)
            putchar((unsigned char)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i]);
        column += n;
        text += n;
        text += strspn(text, " ");
    }
    putchar('\n');
}

/* "  name          text" */
static void line(const char *name, const char *text)
{
    printf("  %-*s", MARGIN - 2, name);
    wrap(text, MARGIN, MARGIN);
}

void cli_print_verdicts(lp_diagnosis *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const lp_diagnosis *d = list[i];
        printf("%-10s  %-8s  ", d->id, lp_health_text(d->health));
        wrap(d->device, 22, 22);
        if (d->health == LP_HEALTH_JUDGE)
            continue;
        printf("%22s", "");
        wrap(d->sentence, 22, 22);
    }
}

/* --- The table ------------------------------------------------------------------------------- */

static const lp_diagnosis_cell *find_cell(const lp_diagnosis *d, const char *op, const char *type)
{
    for (size_t i = 0; i < d->n_cells; i++)
        if (strcmp(d->cells[i].op, op) == 0 && strcmp(d->cells[i].type, type) == 0)
            return &d->cells[i];
    return NULL;
}

static void print_cell(const lp_diagnosis_cell *cell)
{
    char text[32] = "-";
    if (cell && cell->n_wrong == 0)
        snprintf(text, sizeof(text), "%u", cell->n);
    else if (cell)
        snprintf(text, sizeof(text), "%u/%u!", cell->n - cell->n_wrong, cell->n);
    printf(" %8s", text);
}

/* Whether an op has cells of types [first, first + n). */
static bool has_cells(const lp_diagnosis *d, const char *op, int first, int n)
{
    for (int t = first; t < first + n; t++)
        if (find_cell(d, op, types[t]))
            return true;
    return false;
}

/* The columns of types [first, first + n). */
static void print_columns(const lp_diagnosis *d, int first, int n)
{
    printf("\n  %-12s", "");
    for (int t = first; t < first + n; t++)
        printf(" %8s", types[t]);
    putchar('\n');
    for (size_t i = 0; i < d->n_cells; i++) {
        const char *op = d->cells[i].op;
        if ((i > 0 && strcmp(op, d->cells[i - 1].op) == 0) || !has_cells(d, op, first, n))
            continue;
        printf("  %-12s", op);
        for (int t = first; t < first + n; t++)
            print_cell(find_cell(d, op, types[t]));
        putchar('\n');
    }
}

static void print_table(const lp_diagnosis *d)
{
    enum { COLUMNS = 7 }; /* that fit a terminal */
    printf("\n  computations that agree with the reference%s\n",
           d->n_wrong ? " (agree/tried! where some do not)" : "");
    for (int t = 0; t < LP_N_DTYPES; t += COLUMNS)
        print_columns(d, t, LP_N_DTYPES - t < COLUMNS ? LP_N_DTYPES - t : COLUMNS);
}

/* --- What is wrong --------------------------------------------------------------------------- */

/* How bad a row is, for choosing the worst of its cell. */
static bool worse(const lp_diagnosis_row *a, const lp_diagnosis_row *b)
{
    return a->difference.largest > b->difference.largest;
}

/* The worst row of a cell. */
static void print_worst(const lp_diagnosis *d, const lp_diagnosis_cell *cell)
{
    const lp_diagnosis_row *worst = NULL;
    char text[512];
    for (size_t i = 0; i < d->n_wrong; i++) {
        const lp_diagnosis_row *r = &d->wrong[i];
        if (strcmp(r->op, cell->op) == 0 && strcmp(r->type, cell->type) == 0 &&
            (!worst || worse(r, worst)))
            worst = r;
    }
    if (!worst)
        return;
    putchar('\n');
    snprintf(text, sizeof(text), "%s %s", cell->op, cell->type);
    line(text, worst->name);
    snprintf(text, sizeof(text), "%s%s%s", lp_finding_text(worst->finding),
             *worst->kernels ? " with " : "", worst->kernels);
    line("", text);
    line("", worst->detail);
    if (*worst->kernels) {
        const char *other = *worst->instead ? worst->instead : "nothing else";
        snprintf(text, sizeof(text), "%s %s",
                 worst->outcome == LP_TRIAL_RIGHT ? "right with"
                 : *worst->instead                ? "wrong also with"
                                                  : "there is",
                 other);
        line("", text);
    }
    if (cell->n_wrong > 1) {
        snprintf(text, sizeof(text), "(the worst of %u)", cell->n_wrong);
        line("", text);
    }
}

static void print_wrong(const lp_diagnosis *d)
{
    int n = 0;
    for (size_t i = 0; i < d->n_cells; i++)
        if (d->cells[i].n_wrong && n++ < MAX_WRONG)
            print_worst(d, &d->cells[i]);
    if (n > MAX_WRONG)
        printf("\n  … and %d more; all are in --json\n", n - MAX_WRONG);
}

static void print_refused(const lp_diagnosis *d)
{
    if (d->n_refused > 0) {
        putchar('\n');
        for (size_t i = 0; i < d->n_refused; i++)
            line(i == 0 ? "not used" : "", d->refused[i]);
    }
    if (*d->remembered)
        line("remembered in", d->remembered);
    if (*d->forgotten)
        line("forgotten", d->forgotten);
}

void cli_print_diagnosis(const lp_diagnosis *d)
{
    if (d->n_rows == 0)
        return;
    char text[40];
    printf("\n%s: ", d->id);
    wrap(d->device, (int)strlen(d->id) + 2, 2);
    if (*d->driver)
        line("driver", d->driver);
    for (size_t i = 0; i < d->n_facts; i++)
        line(d->facts[i].name, d->facts[i].value);
    for (size_t i = 0; i < d->n_probes; i++) {
        printf("  %-*s", MARGIN - 2, d->probes[i].name);
        if (!d->probes[i].right)
            fputs("WRONG: ", stdout);
        wrap(d->probes[i].text, MARGIN + (d->probes[i].right ? 0 : 7), MARGIN);
    }
    snprintf(text, sizeof(text), "%.1f s", d->seconds);
    line("examined in", text);
    print_table(d);
    print_wrong(d);
    print_refused(d);
}

/* --- JSON ------------------------------------------------------------------------------------ */

static void add_difference(yyjson_mut_doc *doc, yyjson_mut_val *to, const lp_difference *x)
{
    yyjson_mut_obj_add_uint(doc, to, "elements", x->n);
    yyjson_mut_obj_add_uint(doc, to, "worst", x->worst);
    /* JSON has no infinity: strings then */
    const struct {
        const char *name;
        double value;
    } numbers[] = {{"want", x->expected},
                   {"got", x->got},
                   {"sigma", x->sigma},
                   {"in_sigma", x->largest},
                   {"nmse", x->nmse}};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        char text[40];
        snprintf(text, sizeof(text), "%.17g", numbers[i].value);
        cli_json_fact(doc, to, (lp_fact){numbers[i].name, text, 1});
    }
}

static void add_rows(yyjson_mut_doc *doc, yyjson_mut_val *to, const lp_diagnosis *d)
{
    static const char *const outcomes[] = {
        [LP_TRIAL_RIGHT] = "right", [LP_TRIAL_WRONG] = "wrong", [LP_TRIAL_NOTHING] = "none left"};
    yyjson_mut_val *cells = yyjson_mut_obj_add_arr(doc, to, "operations");
    for (size_t i = 0; i < d->n_cells; i++) {
        yyjson_mut_val *cell = yyjson_mut_arr_add_obj(doc, cells);
        yyjson_mut_obj_add_str(doc, cell, "operation", d->cells[i].op);
        yyjson_mut_obj_add_str(doc, cell, "type", d->cells[i].type);
        yyjson_mut_obj_add_uint(doc, cell, "computations", d->cells[i].n);
        yyjson_mut_obj_add_uint(doc, cell, "wrong", d->cells[i].n_wrong);
    }
    yyjson_mut_val *rows = yyjson_mut_obj_add_arr(doc, to, "wrong");
    for (size_t i = 0; i < d->n_wrong; i++) {
        const lp_diagnosis_row *r = &d->wrong[i];
        yyjson_mut_val *row = yyjson_mut_arr_add_obj(doc, rows);
        cli_json_text(doc, row, "name", r->name);
        yyjson_mut_obj_add_str(doc, row, "operation", r->op);
        yyjson_mut_obj_add_str(doc, row, "type", r->type);
        cli_json_text(doc, row, "kernels", r->kernels);
        yyjson_mut_obj_add_str(doc, row, "finding", lp_finding_text(r->finding));
        cli_json_text(doc, row, "detail", r->detail);
        add_difference(doc, row, &r->difference);
        yyjson_mut_obj_add_str(doc, row, "otherwise", outcomes[r->outcome]);
        cli_json_text(doc, row, "instead", r->instead);
    }
}

static void add_diagnosis(yyjson_mut_doc *doc, yyjson_mut_val *to, const lp_diagnosis *d)
{
    cli_json_text(doc, to, "id", d->id);
    cli_json_text(doc, to, "device", d->device);
    cli_json_text(doc, to, "driver", d->driver);
    yyjson_mut_obj_add_str(doc, to, "health", lp_health_text(d->health));
    cli_json_text(doc, to, "sentence", d->sentence);
    yyjson_mut_val *facts = yyjson_mut_obj_add_obj(doc, to, "facts");
    for (size_t i = 0; i < d->n_facts; i++)
        cli_json_fact(doc, facts, d->facts[i]);
    yyjson_mut_val *probes = yyjson_mut_obj_add_arr(doc, to, "probes");
    for (size_t i = 0; i < d->n_probes; i++) {
        yyjson_mut_val *probe = yyjson_mut_arr_add_obj(doc, probes);
        yyjson_mut_obj_add_str(doc, probe, "name", d->probes[i].name);
        yyjson_mut_obj_add_bool(doc, probe, "right", d->probes[i].right);
        cli_json_text(doc, probe, "text", d->probes[i].text);
    }
    yyjson_mut_obj_add_uint(doc, to, "n_computations", d->n_rows);
    yyjson_mut_obj_add_uint(doc, to, "n_wrong", d->n_wrong);
    add_rows(doc, to, d);
    yyjson_mut_val *refused = yyjson_mut_obj_add_arr(doc, to, "not_used");
    for (size_t i = 0; i < d->n_refused; i++)
        yyjson_mut_arr_add_str(doc, refused, d->refused[i]);
    cli_json_text(doc, to, "remembered", d->remembered);
    yyjson_mut_obj_add_real(doc, to, "seconds", d->seconds);
}

int cli_print_diagnoses_json(lp_diagnosis *const *list, size_t n, const char *vulkan_problem)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_obj_add_str(doc, root, "lapilli", lp_version());
    cli_json_text(doc, root, "vulkan_problem", vulkan_problem);
    yyjson_mut_val *devices = yyjson_mut_obj_add_arr(doc, root, "devices");
    for (size_t i = 0; i < n; i++)
        add_diagnosis(doc, yyjson_mut_arr_add_obj(doc, devices), list[i]);
    return cli_json_print(doc);
}
