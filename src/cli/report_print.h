/* The report of a check, for a terminal. */
#ifndef LP_CLI_REPORT_PRINT_H
#define LP_CLI_REPORT_PRINT_H

#include "cli.h"

/* The verdict, one line per pass, the first bad node in full, what makes it right. With
 * `all_nodes` also every node of every pass. */
void cli_print_report(FILE *to, const lp_report *report, bool all_nodes);

#endif
