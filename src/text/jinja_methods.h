/* What the files of methods share. */
#ifndef LP_TEXT_JINJA_METHODS_H
#define LP_TEXT_JINJA_METHODS_H

#include "text/jinja_run.h"

#define METHOD(name)                                                                               \
    static lp_status name(lp_jinja *run, lp_jinja_value self, const lp_jinja_value *arguments,     \
                          lp_jinja_value *result)

static inline lp_jinja_text lp_jinja_rest(lp_jinja_text text, size_t from)
{
    return (lp_jinja_text){text.data + from, text.n - from};
}

/* startswith() and endswith(): arguments[0] is a text or a tuple of texts, [1] and [2] say from
 * where to where. */
lp_status lp_jinja_has_end(lp_jinja *run, lp_jinja_value self, const lp_jinja_value *arguments,
                           bool at_start, lp_jinja_value *result);
/* Methods of str; those that give parts of it or change it. */
const lp_jinja_function *lp_jinja_text_method_find(lp_jinja_text name);
const lp_jinja_function *lp_jinja_change_method_find(lp_jinja_text name);

#endif
