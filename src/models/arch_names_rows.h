/* What the tables of names are written with, for arch_names*.c only. */
#ifndef LP_MODELS_ARCH_NAMES_ROWS_H
#define LP_MODELS_ARCH_NAMES_ROWS_H

#include "models/arch_names.h"

#define END                                                                                        \
    {                                                                                              \
        NULL, NULL, LP_FORM_SAME, LP_PART_WHOLE                                                    \
    }
#define ROW(name, hf)                                                                              \
    {                                                                                              \
        name, hf, LP_FORM_SAME, LP_PART_WHOLE                                                      \
    }
#define FORM(name, hf, form)                                                                       \
    {                                                                                              \
        name, hf, form, LP_PART_WHOLE                                                              \
    }
#define PART(name, hf, form, part)                                                                 \
    {                                                                                              \
        name, hf, form, part                                                                       \
    }

#endif
