/* Choosing the node that gets a fault: see faults.h. */
#include "check/faults.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "check/fault_site.h"
#include "lapilli.h"

typedef struct fault_row {
    const char *name, *text;
    lp_fault_sign sign;
    uint32_t ops, usual; /* bits of lp_op: that can have it; that get it when no node is named */
    bool (*plant)(const lp_fault_site *site);
} fault_row;

struct lp_fault {
    const fault_row *row;
    char *wanted;   /* the node's name, or NULL */
    char *kernel;   /* only where this kernel computes it; or NULL */
    char node[128]; /* that got it; "" so far */
};

#ifdef LAPILLI_FAULTS

#define OP(op)  (1u << LP_OP_##op)
#define ANY     ((1u << LP_N_OPS) - 1)
#define NUMBERS /* ops that compute an activation */                                               \
    (OP(EMBED) | OP(NORM) | OP(LINEAR) | OP(CONV2D) | OP(GROUP_NORM) | OP(COMBINE) | OP(ROPE) |    \
     OP(ATTENTION) | OP(ADD) | OP(MUL) | OP(ACT))

static const fault_row rows[] = {
#define FAULT(function, name, sign, ops, usual, text)                                              \
    {name, text, LP_FAULT_##sign, ops, usual, lp_plant_##function},
#include "check/faults.def"
#undef FAULT
};
enum { N_ROWS = sizeof rows / sizeof *rows };

static const fault_row *find_row(const char *name, size_t n)
{
    for (size_t i = 0; i < N_ROWS; i++)
        if (strlen(rows[i].name) == n && memcmp(rows[i].name, name, n) == 0)
            return &rows[i];
    return NULL;
}

lp_status lp_fault_create(lp_context *ctx, const char *text, lp_fault **result)
{
    const char *slash = strchr(text, '/'), *end = slash != NULL ? slash : text + strlen(text);
    const char *at = memchr(text, '@', (size_t)(end - text));
    size_t n = (size_t)((at != NULL ? at : end) - text);
    const fault_row *row = find_row(text, n);
    *result = NULL;
    if (row == NULL) {
        lp_text names = {0};
        for (size_t i = 0; i < N_ROWS; i++)
            lp_text_printf(&names, "%s%s", i > 0 ? ", " : "", rows[i].name);
        char *list = lp_text_take(&names);
        lp_fail(ctx, LP_E_MISSING, "there is no fault \"%.*s\"; there are %s",
                (int)(n < 64 ? n : 64), text, list != NULL ? list : "others");
        free(list);
        return LP_E_MISSING;
    }
    if (at != NULL && at + 1 == end)
        return lp_fail(ctx, LP_E_ARG, "\"%s\": a node's name follows the @", text);
    if (slash != NULL && lp_kernel_by_name(slash + 1) == NULL)
        return lp_fail(ctx, LP_E_MISSING, "\"%s\": there is no kernel \"%s\"", text, slash + 1);
    lp_fault *fault = calloc(1, sizeof *fault);
    if (fault == NULL)
        return lp_fail_memory(ctx, "a fault");
    if (at != NULL)
        fault->wanted = strndup(at + 1, (size_t)(end - at - 1));
    if (slash != NULL)
        fault->kernel = strdup(slash + 1);
    if ((at != NULL && fault->wanted == NULL) || (slash != NULL && fault->kernel == NULL)) {
        lp_fault_destroy(fault);
        return lp_fail_memory(ctx, "a fault");
    }
    fault->row = row;
    *result = fault;
    return LP_OK;
}

/* N of "blk.N.…", or -1. */
static int64_t layer_of(const char *name)
{
    char *end;
    if (strncmp(name, "blk.", 4) != 0 || name[4] < '0' || name[4] > '9')
        return -1;
    unsigned long layer = strtoul(name + 4, &end, 10);
    return *end == '.' && layer < INT32_MAX ? (int64_t)layer : -1;
}

/* In the middle layer of the model (which a plan of one node does not show, but the store does), or
 * in none. */
static bool in_the_middle(const lp_graph *graph, const char *name)
{
    int64_t last = -1, layer = layer_of(name);
    for (uint32_t i = 0; i < graph->store->n_slots; i++)
        if (layer_of(graph->store->slots[i].name) > last)
            last = layer_of(graph->store->slots[i].name);
    return layer < 0 || layer == (last + 1) / 2;
}

static bool fits(const lp_fault *fault, const lp_graph *graph, const lp_node *node)
{
    if (fault->node[0] != '\0')
        return strcmp(node->name, fault->node) == 0;
    if (fault->wanted != NULL)
        return strcmp(node->name, fault->wanted) == 0;
    return (fault->row->usual >> node->op & 1) != 0 && in_the_middle(graph, node->name);
}

static bool has_kernel(const lp_fault *fault, const lp_fault_site *site)
{
    bool has = fault->kernel == NULL;
    for (uint32_t i = 0; i < site->n && !has; i++)
        has = strcmp(site->plan->dispatches[site->first + i].kernel->name, fault->kernel) == 0;
    return has;
}

void lp_fault_alter(void *user, const lp_graph *graph, lp_plan *plan)
{
    lp_fault *fault = user;
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        const lp_node *node = &graph->nodes[i];
        lp_fault_site site = {.graph = graph, .plan = plan, .node = i};
        if (!fits(fault, graph, node) || (fault->row->ops >> node->op & 1) == 0)
            continue;
        while (site.first < plan->n_dispatches && plan->dispatches[site.first].node != i)
            site.first++;
        while (site.first + site.n < plan->n_dispatches &&
               plan->dispatches[site.first + site.n].node == i)
            site.n++;
        if (site.n == 0 || !has_kernel(fault, &site) || !fault->row->plant(&site))
            continue;
        snprintf(fault->node, sizeof fault->node, "%s", node->name);
        return;
    }
}

lp_status lp_fault_require(lp_context *ctx, const lp_fault *fault)
{
    if (lp_fault_planted(fault) || fault->kernel != NULL) /* that kernel may be avoided */
        return LP_OK;
    if (fault->wanted != NULL)
        return lp_fail(ctx, LP_E_MISSING, "the fault %s could not be planted at %s: %s",
                       fault->row->name, fault->wanted,
                       "no plan had such a node, or it cannot have this fault");
    return lp_fail(ctx, LP_E_MISSING,
                   "the fault %s could not be planted: no node of this model, on "
                   "this device and for so many tokens, can have it",
                   fault->row->name);
}

size_t lp_n_faults(void)
{
    return N_ROWS;
}

const char *lp_fault_name(size_t index)
{
    return rows[index].name;
}

const char *lp_fault_text(size_t index)
{
    return rows[index].text;
}

lp_fault_sign lp_fault_shows(size_t index)
{
    return rows[index].sign;
}

#else

lp_status lp_fault_create(lp_context *ctx, const char *text, lp_fault **fault)
{
    (void)text;
    *fault = NULL;
    return lp_fail(ctx, LP_E_UNSUPPORTED,
                   "this build has no faults to plant (configure with -DLAPILLI_FAULTS=ON)");
}

void lp_fault_alter(void *fault, const lp_graph *graph, lp_plan *plan)
{
    (void)fault, (void)graph, (void)plan; /* there is no fault that could be passed */
}

lp_status lp_fault_require(lp_context *ctx, const lp_fault *fault)
{
    (void)ctx, (void)fault;
    return LP_OK;
}

size_t lp_n_faults(void)
{
    return 0;
}

const char *lp_fault_name(size_t index)
{
    (void)index;
    return "";
}

const char *lp_fault_text(size_t index)
{
    (void)index;
    return "";
}

lp_fault_sign lp_fault_shows(size_t index)
{
    (void)index;
    return LP_FAULT_IN_NUMBERS;
}

#endif

void lp_fault_destroy(lp_fault *fault)
{
    if (fault == NULL)
        return;
    free(fault->wanted);
    free(fault->kernel);
    free(fault);
}

bool lp_fault_planted(const lp_fault *fault)
{
    return fault->node[0] != '\0';
}

const char *lp_fault_node(const lp_fault *fault)
{
    return fault->node;
}
