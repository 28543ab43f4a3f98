/* Rows of the op table: see op_rows.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/op_rows.h"

static void must(lp_status status, const lp_backend *backend)
{
    if (status != LP_OK)
        fail_msg("%s: %s", lp_status_text(status), backend->ctx->message);
}

void op_row_write(lp_backend *backend, lp_program *program, const lp_case *row)
{
    for (int i = 0; i < row->n_inputs; i++)
        must(backend->table->tensor_write(program, row->inputs[i].id, row->inputs[i].data),
             backend);
    for (int i = 0; i < row->n_states; i++)
        must(backend->table->slot_write(backend, row->graph->tensors[row->states[i].id].slot, 0,
                                        row->states[i].data, row->states[i].bytes),
             backend);
}

void op_row_run(lp_backend *backend, lp_program *program)
{
    uint64_t ticket = 0;
    must(backend->table->submit(program, 1, &ticket), backend);
    must(backend->table->wait(backend, ticket), backend);
}

const int32_t *op_row_cursor(const lp_case *row)
{
    static const int32_t none[LP_CURSOR_WORDS] = {0};
    for (int i = 0; i < row->n_states; i++)
        if (row->graph->tensors[row->states[i].id].dtype == LP_I32 &&
            row->states[i].bytes == LP_CURSOR_WORDS * sizeof(int32_t))
            return row->states[i].data;
    return none;
}

bool op_row_has_experts(const lp_case *row)
{
    return row->op == LP_OP_ROUTE || row->op == LP_OP_COMBINE ||
           (row->op == LP_OP_LINEAR && row->graph->nodes[0].src[6] != LP_NONE);
}
