/* Classes of characters by their general category (utf8proc), with fast answers for ASCII. */
#include "text/unicode.h"

#include <utf8proc.h>

static bool between(uint32_t code, utf8proc_category_t low, utf8proc_category_t high)
{
    utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)code);
    return c >= low && c <= high;
}

bool lp_code_is_number(uint32_t code)
{
    if (code < 0x80)
        return code >= '0' && code <= '9';
    return between(code, UTF8PROC_CATEGORY_ND, UTF8PROC_CATEGORY_NO);
}

bool lp_code_is_punctuation(uint32_t code)
{
    if (code < 0x80)
        return (code >= 33 && code <= 47) || (code >= 58 && code <= 64) ||
               (code >= 91 && code <= 96) || (code >= 123 && code <= 126);
    if (code == 0x166d || code == 0x111c9) /* were punctuation once */
        return true;
    return between(code, UTF8PROC_CATEGORY_PC, UTF8PROC_CATEGORY_PO) &&
           !lp_code_is_young(LP_YOUNG_PUNCTUATION, code);
}

bool lp_code_is_mark(uint32_t code)
{
    return code >= 0x300 && between(code, UTF8PROC_CATEGORY_MN, UTF8PROC_CATEGORY_ME);
}

bool lp_code_is_accent(uint32_t code)
{
    if (code == 0x1cf2 || code == 0x1cf3) /* were marks once */
        return true;
    return lp_code_is_mark(code) && !lp_code_is_young(LP_YOUNG_MARK, code);
}

bool lp_code_keeps_form(uint32_t code)
{
    return code >= 0x7fd &&
           (lp_code_is_young(LP_YOUNG_MARK, code) || lp_code_is_young(LP_YOUNG_FORM, code));
}

bool lp_code_is_nonspacing(uint32_t code)
{
    if (code == 0x1734) /* was one once */
        return true;
    return code >= 0x300 && between(code, UTF8PROC_CATEGORY_MN, UTF8PROC_CATEGORY_MN) &&
           !lp_code_is_young(LP_YOUNG_NONSPACING, code);
}

bool lp_code_is_other(uint32_t code)
{
    if (code < 0x80)
        return code < 0x20 || code == 0x7f;
    if (between(code, UTF8PROC_CATEGORY_CC, UTF8PROC_CATEGORY_CF))
        return !lp_code_is_young(LP_YOUNG_FORMAT, code);
    return between(code, UTF8PROC_CATEGORY_CO, UTF8PROC_CATEGORY_CO);
}

bool lp_code_is_cjk(uint32_t code)
{
    static const struct {
        uint32_t low, high;
    } ranges[] = {{0x4e00, 0x9fff},   {0x3400, 0x4dbf},   {0x20000, 0x2a6df}, {0x2a700, 0x2b73f},
                  {0x2b740, 0x2b81f}, {0x2b920, 0x2ceaf}, /* so in the tokenizers in use; BERT's has
                                                             0x2b820 */
                  {0xf900, 0xfaff},   {0x2f800, 0x2fa1f}};
    if (code < 0x3400)
        return false;
    for (unsigned i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (code >= ranges[i].low && code <= ranges[i].high)
            return true;
    return false;
}

bool lp_code_is_word(uint32_t code)
{
    if (code < 0x80)
        return (code >= '0' && code <= '9') || (code >= 'A' && code <= 'Z') || code == '_' ||
               (code >= 'a' && code <= 'z');
    if ((code >= 0x24b6 && code <= 0x24e9) || (code >= 0x1f130 && code <= 0x1f149) ||
        (code >= 0x1f150 && code <= 0x1f169) || (code >= 0x1f170 && code <= 0x1f189))
        return true; /* letters in circles and squares: symbols, but alphabetic */
    return between(code, UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_NL) ||
           between(code, UTF8PROC_CATEGORY_PC, UTF8PROC_CATEGORY_PC) || code == 0x200c ||
           code == 0x200d;
}

unsigned lp_code_lower(uint32_t code, uint32_t lower[2])
{
    if (code < 0x80) {
        lower[0] = code >= 'A' && code <= 'Z' ? code + 32 : code;
        return 1;
    }
    if (code == 0x130) { /* capital I with a dot */
        lower[0] = 'i';
        lower[1] = 0x307;
        return 2;
    }
    lower[0] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)code);
    return 1;
}
