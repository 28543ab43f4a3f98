/* Strings as Python sees them: characters, white space, lines, case. */
#ifndef LP_TEXT_JINJA_TEXT_H
#define LP_TEXT_JINJA_TEXT_H

#include <stdbool.h>
#include "text/jinja_value.h"

/* \w of regular expressions: letters, digits, underscore. */
bool lp_jinja_is_word(uint32_t code);
/* str.isspace(): also the separators U+001C to U+001F. */
bool lp_jinja_is_space(uint32_t code);
/* str.isprintable(): what repr() does not escape. */
bool lp_jinja_is_printable(uint32_t code);

/* The character at the start of a text that is not empty; its length in bytes. */
unsigned lp_jinja_decode(lp_jinja_text text, uint32_t *code);
/* Bytes of white space at its start. */
size_t lp_jinja_count_space(lp_jinja_text text);
/* Without white space at its ends. */
lp_jinja_text lp_jinja_strip(lp_jinja_text text, bool left, bool right);
/* Without the characters of `set` at its ends. */
lp_jinja_text lp_jinja_strip_set(lp_jinja_text text, lp_jinja_text set, bool left, bool right);
/* Characters. */
size_t lp_jinja_length(lp_jinja_text text);
/* Byte where character `index` begins; text.n from its end on. */
size_t lp_jinja_offset(lp_jinja_text text, size_t index);
/* First and last byte where `what` is in `text`; SIZE_MAX: nowhere. */
size_t lp_jinja_find(lp_jinja_text text, lp_jinja_text what);
size_t lp_jinja_find_last(lp_jinja_text text, lp_jinja_text what);
/* Bytes of the first line without its end, and of the end (0: the text ends here). */
size_t lp_jinja_line(lp_jinja_text text, size_t *end);

typedef enum lp_jinja_case { LP_JINJA_LOWER, LP_JINJA_UPPER, LP_JINJA_TITLE } lp_jinja_case;
/* The character at byte `at` in another case: up to three; returns how many. Lower case depends on
 * what is around it (a capital sigma at the end of a word). */
unsigned lp_jinja_convert(lp_jinja_case to, lp_jinja_text text, size_t at, uint32_t code,
                          uint32_t codes[3]);
bool lp_jinja_is_lower(uint32_t code);
bool lp_jinja_is_upper(uint32_t code); /* title case does not count */
bool lp_jinja_is_title(uint32_t code);
bool lp_jinja_is_alpha(uint32_t code);
/* str.isdecimal() 1, isdigit() 2, isnumeric() 3; 0: none of them. */
int lp_jinja_digit_class(uint32_t code);

#endif
