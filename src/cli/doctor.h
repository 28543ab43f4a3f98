/* A diagnosis on a terminal and as JSON. */
#ifndef LP_CLI_DOCTOR_H
#define LP_CLI_DOCTOR_H

#include "cli.h"

/* One line per device, and the sentence of those that are not good. */
void cli_print_verdicts(lp_diagnosis *const *list, size_t n);
/* All of one device. */
void cli_print_diagnosis(const lp_diagnosis *diagnosis);
/* Prints all as JSON; returns the exit code. */
int cli_print_diagnoses_json(lp_diagnosis *const *list, size_t n, const char *vulkan_problem);

#endif
