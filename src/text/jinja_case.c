/* Case mappings and classes of characters as Python's str has them. utf8proc knows the mappings of
 * one character to one; those to several are in the table (SpecialCasing.txt of the Unicode
 * Character Database, its unconditional part), and the one that looks around, the Greek final
 * sigma, is code. */
#include <utf8proc.h>

#include "text/jinja_text.h"
#include "text/utf8.h"

static const struct {
    uint32_t code, upper[3], title[3];
} specials[] = {{0xdf, {0x53, 0x53}, {0x53, 0x73}},
                {0x149, {0x2bc, 0x4e}, {0x2bc, 0x4e}},
                {0x1f0, {0x4a, 0x30c}, {0x4a, 0x30c}},
                {0x390, {0x399, 0x308, 0x301}, {0x399, 0x308, 0x301}},
                {0x3b0, {0x3a5, 0x308, 0x301}, {0x3a5, 0x308, 0x301}},
                {0x587, {0x535, 0x552}, {0x535, 0x582}},
                {0x1e96, {0x48, 0x331}, {0x48, 0x331}},
                {0x1e97, {0x54, 0x308}, {0x54, 0x308}},
                {0x1e98, {0x57, 0x30a}, {0x57, 0x30a}},
                {0x1e99, {0x59, 0x30a}, {0x59, 0x30a}},
                {0x1e9a, {0x41, 0x2be}, {0x41, 0x2be}},
                {0x1f50, {0x3a5, 0x313}, {0x3a5, 0x313}},
                {0x1f52, {0x3a5, 0x313, 0x300}, {0x3a5, 0x313, 0x300}},
                {0x1f54, {0x3a5, 0x313, 0x301}, {0x3a5, 0x313, 0x301}},
                {0x1f56, {0x3a5, 0x313, 0x342}, {0x3a5, 0x313, 0x342}},
                {0x1f80, {0x1f08, 0x399}, {0x1f88}},
                {0x1f81, {0x1f09, 0x399}, {0x1f89}},
                {0x1f82, {0x1f0a, 0x399}, {0x1f8a}},
                {0x1f83, {0x1f0b, 0x399}, {0x1f8b}},
                {0x1f84, {0x1f0c, 0x399}, {0x1f8c}},
                {0x1f85, {0x1f0d, 0x399}, {0x1f8d}},
                {0x1f86, {0x1f0e, 0x399}, {0x1f8e}},
                {0x1f87, {0x1f0f, 0x399}, {0x1f8f}},
                {0x1f88, {0x1f08, 0x399}, {0x1f88}},
                {0x1f89, {0x1f09, 0x399}, {0x1f89}},
                {0x1f8a, {0x1f0a, 0x399}, {0x1f8a}},
                {0x1f8b, {0x1f0b, 0x399}, {0x1f8b}},
                {0x1f8c, {0x1f0c, 0x399}, {0x1f8c}},
                {0x1f8d, {0x1f0d, 0x399}, {0x1f8d}},
                {0x1f8e, {0x1f0e, 0x399}, {0x1f8e}},
                {0x1f8f, {0x1f0f, 0x399}, {0x1f8f}},
                {0x1f90, {0x1f28, 0x399}, {0x1f98}},
                {0x1f91, {0x1f29, 0x399}, {0x1f99}},
                {0x1f92, {0x1f2a, 0x399}, {0x1f9a}},
                {0x1f93, {0x1f2b, 0x399}, {0x1f9b}},
                {0x1f94, {0x1f2c, 0x399}, {0x1f9c}},
                {0x1f95, {0x1f2d, 0x399}, {0x1f9d}},
                {0x1f96, {0x1f2e, 0x399}, {0x1f9e}},
                {0x1f97, {0x1f2f, 0x399}, {0x1f9f}},
                {0x1f98, {0x1f28, 0x399}, {0x1f98}},
                {0x1f99, {0x1f29, 0x399}, {0x1f99}},
                {0x1f9a, {0x1f2a, 0x399}, {0x1f9a}},
                {0x1f9b, {0x1f2b, 0x399}, {0x1f9b}},
                {0x1f9c, {0x1f2c, 0x399}, {0x1f9c}},
                {0x1f9d, {0x1f2d, 0x399}, {0x1f9d}},
                {0x1f9e, {0x1f2e, 0x399}, {0x1f9e}},
                {0x1f9f, {0x1f2f, 0x399}, {0x1f9f}},
                {0x1fa0, {0x1f68, 0x399}, {0x1fa8}},
                {0x1fa1, {0x1f69, 0x399}, {0x1fa9}},
                {0x1fa2, {0x1f6a, 0x399}, {0x1faa}},
                {0x1fa3, {0x1f6b, 0x399}, {0x1fab}},
                {0x1fa4, {0x1f6c, 0x399}, {0x1fac}},
                {0x1fa5, {0x1f6d, 0x399}, {0x1fad}},
                {0x1fa6, {0x1f6e, 0x399}, {0x1fae}},
                {0x1fa7, {0x1f6f, 0x399}, {0x1faf}},
                {0x1fa8, {0x1f68, 0x399}, {0x1fa8}},
                {0x1fa9, {0x1f69, 0x399}, {0x1fa9}},
                {0x1faa, {0x1f6a, 0x399}, {0x1faa}},
                {0x1fab, {0x1f6b, 0x399}, {0x1fab}},
                {0x1fac, {0x1f6c, 0x399}, {0x1fac}},
                {0x1fad, {0x1f6d, 0x399}, {0x1fad}},
                {0x1fae, {0x1f6e, 0x399}, {0x1fae}},
                {0x1faf, {0x1f6f, 0x399}, {0x1faf}},
                {0x1fb2, {0x1fba, 0x399}, {0x1fba, 0x345}},
                {0x1fb3, {0x391, 0x399}, {0x1fbc}},
                {0x1fb4, {0x386, 0x399}, {0x386, 0x345}},
                {0x1fb6, {0x391, 0x342}, {0x391, 0x342}},
                {0x1fb7, {0x391, 0x342, 0x399}, {0x391, 0x342, 0x345}},
                {0x1fbc, {0x391, 0x399}, {0x1fbc}},
                {0x1fc2, {0x1fca, 0x399}, {0x1fca, 0x345}},
                {0x1fc3, {0x397, 0x399}, {0x1fcc}},
                {0x1fc4, {0x389, 0x399}, {0x389, 0x345}},
                {0x1fc6, {0x397, 0x342}, {0x397, 0x342}},
                {0x1fc7, {0x397, 0x342, 0x399}, {0x397, 0x342, 0x345}},
                {0x1fcc, {0x397, 0x399}, {0x1fcc}},
                {0x1fd2, {0x399, 0x308, 0x300}, {0x399, 0x308, 0x300}},
                {0x1fd3, {0x399, 0x308, 0x301}, {0x399, 0x308, 0x301}},
                {0x1fd6, {0x399, 0x342}, {0x399, 0x342}},
                {0x1fd7, {0x399, 0x308, 0x342}, {0x399, 0x308, 0x342}},
                {0x1fe2, {0x3a5, 0x308, 0x300}, {0x3a5, 0x308, 0x300}},
                {0x1fe3, {0x3a5, 0x308, 0x301}, {0x3a5, 0x308, 0x301}},
                {0x1fe4, {0x3a1, 0x313}, {0x3a1, 0x313}},
                {0x1fe6, {0x3a5, 0x342}, {0x3a5, 0x342}},
                {0x1fe7, {0x3a5, 0x308, 0x342}, {0x3a5, 0x308, 0x342}},
                {0x1ff2, {0x1ffa, 0x399}, {0x1ffa, 0x345}},
                {0x1ff3, {0x3a9, 0x399}, {0x1ffc}},
                {0x1ff4, {0x38f, 0x399}, {0x38f, 0x345}},
                {0x1ff6, {0x3a9, 0x342}, {0x3a9, 0x342}},
                {0x1ff7, {0x3a9, 0x342, 0x399}, {0x3a9, 0x342, 0x345}},
                {0x1ffc, {0x3a9, 0x399}, {0x1ffc}},
                {0xfb00, {0x46, 0x46}, {0x46, 0x66}},
                {0xfb01, {0x46, 0x49}, {0x46, 0x69}},
                {0xfb02, {0x46, 0x4c}, {0x46, 0x6c}},
                {0xfb03, {0x46, 0x46, 0x49}, {0x46, 0x66, 0x69}},
                {0xfb04, {0x46, 0x46, 0x4c}, {0x46, 0x66, 0x6c}},
                {0xfb05, {0x53, 0x54}, {0x53, 0x74}},
                {0xfb06, {0x53, 0x54}, {0x53, 0x74}},
                {0xfb13, {0x544, 0x546}, {0x544, 0x576}},
                {0xfb14, {0x544, 0x535}, {0x544, 0x565}},
                {0xfb15, {0x544, 0x53b}, {0x544, 0x56b}},
                {0xfb16, {0x54e, 0x546}, {0x54e, 0x576}},
                {0xfb17, {0x544, 0x53d}, {0x544, 0x56d}}};

/* Only the categories are asked for: they are what Python's methods go by. */
static utf8proc_category_t category(uint32_t code)
{
    return utf8proc_category((utf8proc_int32_t)code);
}

static bool is_cased(uint32_t code)
{
    return lp_jinja_is_lower(code) || lp_jinja_is_upper(code) || lp_jinja_is_title(code);
}

/* Unicode's Case_Ignorable, near enough: marks, modifiers, and the marks within words. */
static bool is_ignorable(uint32_t code)
{
    switch (category(code)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
        return true;
    default:
        return code == '\'' || code == '.' || code == ':' || code == 0xb7 || code == 0x2018 ||
               code == 0x2019 || code == 0x2024 || code == 0x2027;
    }
}

/* Whether a letter is before byte `at`, and none behind the character there. */
static bool ends_word(lp_jinja_text text, size_t at)
{
    uint32_t code;
    size_t i = at;
    unsigned length;
    bool before = false;
    while (i > 0 && (length = lp_utf8_decode_last(text.data, i, &code)) > 0) {
        i -= length;
        if (!is_ignorable(code)) {
            before = is_cased(code);
            break;
        }
    }
    if (!before)
        return false;
    i = at + 2; /* the sigma */
    while (i < text.n) {
        i += lp_jinja_decode((lp_jinja_text){text.data + i, text.n - i}, &code);
        if (!is_ignorable(code))
            return !is_cased(code);
    }
    return true;
}

unsigned lp_jinja_convert(lp_jinja_case to, lp_jinja_text text, size_t at, uint32_t code,
                          uint32_t codes[3])
{
    codes[0] = code;
    if (to == LP_JINJA_LOWER) {
        if (code == 0x130) { /* capital I with a dot */
            codes[0] = 'i';
            codes[1] = 0x307;
            return 2;
        }
        if (code == 0x3a3 && ends_word(text, at))
            codes[0] = 0x3c2;
        else
            codes[0] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)code);
        return 1;
    }
    if (code < 0x80) {
        codes[0] = code >= 'a' && code <= 'z' ? code - 32 : code;
        return 1;
    }
    size_t low = 0, high = sizeof specials / sizeof *specials;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (specials[middle].code == code) {
            const uint32_t *found =
                to == LP_JINJA_UPPER ? specials[middle].upper : specials[middle].title;
            unsigned n = 0;
            for (; n < 3 && found[n]; n++)
                codes[n] = found[n];
            return n;
        }
        if (specials[middle].code < code)
            low = middle + 1;
        else
            high = middle;
    }
    codes[0] = (uint32_t)(to == LP_JINJA_UPPER ? utf8proc_toupper((utf8proc_int32_t)code)
                                               : utf8proc_totitle((utf8proc_int32_t)code));
    return 1;
}

bool lp_jinja_is_lower(uint32_t code)
{
    if (code < 0x80)
        return code >= 'a' && code <= 'z';
    /* Other_Lowercase: ordinals, modifier letters, small Roman numerals, circled letters */
    return category(code) == UTF8PROC_CATEGORY_LL || code == 0xaa || code == 0xba ||
           (code >= 0x2170 && code <= 0x217f) || (code >= 0x24d0 && code <= 0x24e9);
}

bool lp_jinja_is_upper(uint32_t code)
{
    if (code < 0x80)
        return code >= 'A' && code <= 'Z';
    return category(code) == UTF8PROC_CATEGORY_LU || (code >= 0x2160 && code <= 0x216f) ||
           (code >= 0x24b6 && code <= 0x24cf) || (code >= 0x1f130 && code <= 0x1f149) ||
           (code >= 0x1f150 && code <= 0x1f169) || (code >= 0x1f170 && code <= 0x1f189);
}

bool lp_jinja_is_title(uint32_t code)
{
    return code >= 0x80 && category(code) == UTF8PROC_CATEGORY_LT;
}

bool lp_jinja_is_alpha(uint32_t code)
{
    const utf8proc_category_t c = category(code);
    return c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO;
}

int lp_jinja_digit_class(uint32_t code)
{
    /* Numeric_Type=Digit: characters that stand for a digit, but are none of a decimal system */
    static const struct {
        uint32_t low, high;
    } digits[] = {{0xb2, 0xb3},       {0xb9, 0xb9},       {0x1369, 0x1371},   {0x19da, 0x19da},
                  {0x2070, 0x2070},   {0x2074, 0x2079},   {0x2080, 0x2089},   {0x2460, 0x2468},
                  {0x2474, 0x247c},   {0x2488, 0x2490},   {0x24ea, 0x24ea},   {0x24f5, 0x24fd},
                  {0x24ff, 0x24ff},   {0x2776, 0x277e},   {0x2780, 0x2788},   {0x278a, 0x2792},
                  {0x10a40, 0x10a43}, {0x10e60, 0x10e68}, {0x11052, 0x1105a}, {0x1f100, 0x1f10a}};
    if (category(code) == UTF8PROC_CATEGORY_ND)
        return 1;
    for (size_t i = 0; i < sizeof digits / sizeof *digits; i++)
        if (code >= digits[i].low && code <= digits[i].high)
            return 2;
    return category(code) == UTF8PROC_CATEGORY_NL || category(code) == UTF8PROC_CATEGORY_NO ? 3 : 0;
}

bool lp_jinja_is_word(uint32_t code)
{
    if (code < 0x80)
        return (code >= '0' && code <= '9') || (code >= 'A' && code <= 'Z') || code == '_' ||
               (code >= 'a' && code <= 'z');
    return lp_jinja_is_alpha(code) || lp_jinja_digit_class(code) > 0;
}

bool lp_jinja_is_space(uint32_t code)
{
    return lp_utf8_is_space(code) || (code >= 0x1c && code <= 0x1f);
}

bool lp_jinja_is_printable(uint32_t code)
{
    if (code < 0x80)
        return code >= 0x20 && code < 0x7f;
    switch (category(code)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
        return false;
    default:
        return true;
    }
}
