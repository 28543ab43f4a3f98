/* Numbers as people read them in messages. */
#ifndef LP_BASE_PRINT_H
#define LP_BASE_PRINT_H

#include <stdint.h>

#define LP_COUNT_TEXT 27 /* 20 digits, 6 separators, end */

/* 1048576 as "1,048,576" into `text` (LP_COUNT_TEXT bytes); returns `text`. */
char *lp_print_count(uint64_t count, char *text);

/* "62.7K", "110M", "8.0B" into `text` (LP_AMOUNT_TEXT bytes); returns `text`. */
#define LP_AMOUNT_TEXT 24
char *lp_print_amount(uint64_t count, char *text);

#endif
