/* The names of labels in config.json. */
#ifndef LP_IMAGE_LABELS_H
#define LP_IMAGE_LABELS_H

#include "base/context.h"

/* Names [n] of id2label, malloc'ed; "LABEL_3" where it has none, as the library calls them. */
lp_status lp_labels_read(lp_context *ctx, const char *folder, uint32_t n, char ***labels);
void lp_labels_free(char **labels, uint32_t n);

#endif
