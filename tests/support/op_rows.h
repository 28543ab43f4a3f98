/* Rows of the op table in tests of their own: their data on a device, and their cursor. */
#ifndef LP_TEST_OP_ROWS_H
#define LP_TEST_OP_ROWS_H

#include "check/op_table.h"
#include "graph/backend.h"

/* Writes inputs and states. */
void op_row_write(lp_backend *backend, lp_program *program, const lp_case *row);
/* Submits the program once and waits. */
void op_row_run(lp_backend *backend, lp_program *program);
/* The cursor's words before the run; zeros if the row has no cursor. */
const int32_t *op_row_cursor(const lp_case *row);
/* Is it one of a mixture of experts? */
bool op_row_has_experts(const lp_case *row);

#endif
