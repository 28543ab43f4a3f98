/* Classes of characters as tokenizers use them, and their lower case. */
#ifndef LP_TEXT_UNICODE_H
#define LP_TEXT_UNICODE_H

#include <stdbool.h>
#include <stdint.h>

bool lp_code_is_number(uint32_t code); /* categories N */
bool lp_code_is_mark(uint32_t code);   /* categories M */
/* The next four by older Unicode tables, see unicode_young.c. */
bool lp_code_is_punctuation(uint32_t code); /* categories P, and all of ASCII's signs */
bool lp_code_is_accent(uint32_t code);      /* categories M */
bool lp_code_is_nonspacing(uint32_t code);  /* category Mn */
bool lp_code_is_other(uint32_t code);       /* categories Cc, Cf, Co */
bool lp_code_is_cjk(uint32_t code);         /* ideographs, as BERT sees them */
/* Letters, marks, digits, connectors, (non-)joiners: what makes a word in regular expressions. */
bool lp_code_is_word(uint32_t code);
/* Characters that normal forms change or reorder in newer tables only. */
bool lp_code_keeps_form(uint32_t code);
/* Lower case: one or (U+0130 only) two characters; returns how many. */
unsigned lp_code_lower(uint32_t code, uint32_t lower[2]);

typedef enum lp_young_class {
    LP_YOUNG_PUNCTUATION,
    LP_YOUNG_NONSPACING,
    LP_YOUNG_FORMAT,
    LP_YOUNG_MARK,
    LP_YOUNG_FORM
} lp_young_class;
/* Whether a character's class is too young for those tables. */
bool lp_code_is_young(lp_young_class class, uint32_t code);

#endif
