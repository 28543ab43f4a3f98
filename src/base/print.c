/* Numbers as people read them. Not printf's apostrophe flag: that depends on the locale. */
#include "base/print.h"

#include <stdio.h>

char *lp_print_count(uint64_t count, char *text)
{
    char digits[20];
    int n = 0;
    do {
        digits[n++] = (char)('0' + count % 10);
        count /= 10;
    } while (count);
    char *p = text;
    while (n > 0) {
        *p++ = digits[--n];
        if (n > 0 && n % 3 == 0)
            *p++ = ',';
    }
    *p = '\0';
    return text;
}

char *lp_print_amount(uint64_t count, char *text)
{
    const char *unit = count >= 1000000000 ? "B" : count >= 1000000 ? "M" : "K";
    const double n = (double)count / (count >= 1000000000 ? 1e9 : count >= 1000000 ? 1e6 : 1e3);
    snprintf(text, LP_AMOUNT_TEXT, "%.*f%s", n < 100 ? 1 : 0, n, unit);
    return text;
}
