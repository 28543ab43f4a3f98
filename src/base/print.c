/* Numbers as people read them. Not printf's apostrophe flag: that depends on the locale. */
#include "base/print.h"

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
