/* What the files of `lapilli check` share. */
#ifndef LP_CLI_CHECK_H
#define LP_CLI_CHECK_H

#include "job.h"
#include "prompt.h"
#include "request.h"

typedef struct cli_check_settings {
    cli_job job; /* what was said of it; it is opened here */
    const char *against, *prompt_text, *prompt_file;
    const char *html, *workaround_out, *certificate; /* files to write */
    const char *image;                               /* that the model is to see, or NULL */
    const char *repro;                               /* folder to run instead of a model */
    cli_prompt prompt;
    lp_image_request request; /* of models that make pictures */
    bool asks;                /* options of it were given */
    bool pictures;            /* the model makes pictures */
    bool json;
    lp_check_options check;
} cli_check_settings;

/* The command that repeats the check, malloc'ed; NULL when out of memory. Devices by their ids, so
 * that it means the same when another one is chosen by itself. */
char *cli_check_command(const cli_check_settings *s, const char *device, const char *against);

#endif
