/* --neighbours FILE: texts that a model with retrieval (RETRO) looks at. */
#ifndef LP_CLI_NEIGHBOURS_H
#define LP_CLI_NEIGHBOURS_H

#include "cli.h"

/* Gives the session the neighbours of a JSON file: a list with an entry for every chunk of the text, a
 * list of its neighbours, each a text or a list of tokens; null or [] where there are none. Prints
 * failures; returns the exit code. */
int cli_neighbours(lp_context *ctx, lp_model *model, lp_session *session, const char *path);

#endif
