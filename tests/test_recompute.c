// A part of a node, recomputed from what the device had (src/check/recompute.h), for attention of
// every mask and with every extra, and for experts: it agrees with the whole, whichever part is
// taken, and does not if the node was another one.
#include "check/recompute.h"
#include "ops/attention.h"
#include "support/model_run.h"
#include "support/op_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>

#include <cmocka.h>

enum { N_PARTS = 6, ON_VULKAN = 3 /* one row in so many: compiling takes most of the time */ };

// Does the last token see more than a few keys? With one only, no score matters.
static bool sees_many(const lp_case *row)
{
    const lp_node *node = &row->graph->nodes[0];
    const int32_t *cursor = op_row_cursor(row);
    const int64_t position = cursor[LP_CURSOR_POSITION];
    int64_t first, end;
    if (row->op != LP_OP_ATTENTION)
        return true;
    if (node->p.attention.mask == LP_MASK_BLOCKS) { // the first token may see none
        lp_attention_range(node, cursor, position, &first, &end);
        if (end - first <= 3 || node->src[6] != LP_NONE)
            return false;
    }
    lp_attention_range(node, cursor, position + row->n_tokens - 1, &first, &end);
    return end - first > 3;
}

static bool is_zero(const lp_case_tensor *input)
{
    const float *x = input->data;
    uint64_t n = input->bytes / sizeof *x;
    while (n > 0 && (x[n - 1] == 0 || isnan(x[n - 1])))
        n--;
    return n == 0;
}

// Of experts: other weights, another activation, no residual. Of pictures: an activation, an
// epsilon.
static bool change_experts(lp_node *node, int which)
{
    switch (node->op) {
    case LP_OP_CONV2D:
        if (which == 0)
            node->p.conv2d.act = node->p.conv2d.act == LP_ACT_NONE ? LP_ACT_SILU : LP_ACT_NONE;
        return which == 0;
    case LP_OP_GROUP_NORM:
        if (which == 0)
            node->p.group_norm.eps += 1;
        return which == 0;
    case LP_OP_ROUTE:
        if (which == 0)
            node->p.route.scale *= 1.01f;
        return which == 0;
    case LP_OP_LINEAR:
        if (which == 0)
            node->p.linear.act = node->p.linear.act == LP_ACT_NONE ? LP_ACT_SILU : LP_ACT_NONE;
        return which == 0;
    default:
        if (which == 2 && node->src[2] != LP_NONE) {
            node->src[2] = LP_NONE;
            return true;
        }
        return false;
    }
}

// Makes another node of it: false if there is nothing to change.
static bool change(lp_node *node, int which)
{
    if (node->op != LP_OP_ATTENTION)
        return change_experts(node, which);
    switch (which) {
    case 0:
        node->p.attention.scale *= 1.5f;
        return true;
    case 1:
        node->p.attention.softcap *= 0.5f;
        return node->p.attention.softcap > 0;
    default:
        if (node->src[2 + which] == LP_NONE)
            return false;
        node->src[2 + which] = LP_NONE;
        return which == 2 ||
               node->p.attention.softcap < 10; /* beside large scores a sink is none */
    }
}

// Queries so large that one key may have all the weight, whatever the scale.
static bool is_sharp(const lp_case_tensor *input)
{
    const float *x = input->data;
    float most = 0;
    for (uint64_t i = 0; i < input->bytes / sizeof *x; i++)
        most = fmaxf(most, fabsf(x[i]));
    return most > 50;
}

static void check_row(lp_backend *device, lp_case *row, unsigned *n_changed)
{
    lp_program *program = NULL;
    const int32_t *cursor = op_row_cursor(row);
    lp_recompute what = {.ctx = device->ctx,
                         .backend = device,
                         .graph = row->graph,
                         .position = (uint32_t)cursor[LP_CURSOR_POSITION],
                         .n_source = (uint32_t)cursor[LP_CURSOR_SOURCE]};
    lp_recomputed result;
    if (device->table->program_create(device, row->graph, (lp_plan_options){.keep_all = true},
                                      &program) != LP_OK)
        fail_msg("%s", device->ctx->message);
    op_row_write(device, program, row);
    op_row_run(device, program);
    what.program = program;
    for (int part = 0; part < N_PARTS; part++) {
        what.random = (uint64_t)part * 977;
        what.budget = part % 2 ? 1 : 200000; // one token and one K/V head; several
        assert_int_equal(lp_recompute_node(&what, &result), LP_OK);
        if (!lp_recomputed_agrees(&result))
            fail_msg("%s, part %d: want %.9g, got %.9g", row->name, part,
                     result.difference.expected, result.difference.got);
        assert_true(result.difference.n > 0);
    }
    const lp_node as_it_is = row->graph->nodes[0];
    for (int i = 0; i < 4 && sees_many(row) && !is_zero(&row->inputs[0]); i++) {
        if (change(&row->graph->nodes[0], i) && !(i == 0 && is_sharp(&row->inputs[0]))) {
            what.budget = 1 << 30;
            assert_int_equal(lp_recompute_node(&what, &result), LP_OK);
            if (lp_recomputed_agrees(&result))
                fail_msg("%s: change %d is not noticed", row->name, i);
            n_changed[i]++;
        }
        row->graph->nodes[0] = as_it_is;
    }
    device->table->program_destroy(program);
}

static void parts_agree(void **state)
{
    (void)state;
    lp_context ctx = {0}, table_ctx = {0};
    lp_case_table *table;
    lp_test_device *opened;
    unsigned n = 0, n_rows = 0, n_changed[4] = {0};
    const bool vulkan = strncmp(test_device(), "vulkan", 6) == 0;
    assert_int_equal(lp_case_table_create(&table_ctx, &table), LP_OK);
    lp_backend *device = lp_test_device_create(&ctx, test_device(), &opened);
    assert_int_equal(device->table->load(device, &table->store, NULL, NULL), LP_OK);
    for (int i = 0; i < table->n; i++) {
        lp_case *row = &table->cases[i];
        const bool picture = row->op == LP_OP_CONV2D || row->op == LP_OP_GROUP_NORM;
        if ((row->op != LP_OP_ATTENTION && !op_row_has_experts(row) && !picture) ||
            (vulkan && n++ % ON_VULKAN != 0))
            continue;
        check_row(device, row, n_changed);
        n_rows++;
    }
    print_message("%u rows; changed and noticed: scale %u, softcap %u, bias %u, sinks %u\n", n_rows,
                  n_changed[0], n_changed[1], n_changed[2], n_changed[3]);
    for (int i = 0; i < 4; i++)
        assert_true(n_changed[i] > 0);
    device->table->destroy(device);
    lp_test_device_destroy(opened);
    lp_case_table_destroy(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(parts_agree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
