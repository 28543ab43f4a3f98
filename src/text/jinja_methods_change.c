/* Methods of str that give parts of it, or another text. */
#include "text/jinja_methods.h"

lp_status lp_jinja_replace(lp_jinja *run, lp_jinja_text text, lp_jinja_text from, lp_jinja_text to,
                           int64_t count, lp_jinja_value *result)
{
    const size_t mark = run->out.n;
    LP_TRY(lp_jinja_charge(run, text.n / 64));
    while (count != 0) {
        uint32_t code;
        size_t at = lp_jinja_find(text, from), length = from.n;
        if (at == SIZE_MAX)
            break;
        LP_TRY(lp_jinja_charge(run, 1));
        LP_TRY(lp_jinja_put(run, (lp_jinja_text){text.data, at}));
        LP_TRY(lp_jinja_put(run, to));
        count -= count > 0;
        if (from.n == 0) { /* before every character, and at the end */
            if (text.n == 0)
                return lp_jinja_take(run, mark, result);
            length = lp_jinja_decode(text, &code);
            LP_TRY(lp_jinja_put(run, (lp_jinja_text){text.data, length}));
        }
        text = lp_jinja_rest(text, at + length);
    }
    LP_TRY(lp_jinja_put(run, text));
    return lp_jinja_take(run, mark, result);
}

/* --- Cutting
 * --------------------------------------------------------------------------------------- */

static lp_status strip(lp_jinja *run, lp_jinja_value self, const lp_jinja_value *arguments,
                       bool left, bool right, lp_jinja_value *result)
{
    lp_jinja_text set;
    LP_TRY(lp_jinja_charge(run, self.text.n / 64));
    if (arguments[0].kind == LP_JINJA_MISSING || arguments[0].kind == LP_JINJA_NONE) {
        *result = lp_jinja_string(lp_jinja_strip(self.text, left, right));
        return LP_OK;
    }
    LP_TRY(lp_jinja_as_text(run, arguments[0], &set));
    LP_TRY(lp_jinja_charge(run, self.text.n * (set.n + 1) / 16));
    *result = lp_jinja_string(lp_jinja_strip_set(self.text, set, left, right));
    return LP_OK;
}

METHOD(str_strip)
{
    return strip(run, self, arguments, true, true, result);
}

METHOD(str_lstrip)
{
    return strip(run, self, arguments, true, false, result);
}

METHOD(str_rstrip)
{
    return strip(run, self, arguments, false, true, result);
}

METHOD(str_removeprefix)
{
    lp_jinja_text end;
    LP_TRY(lp_jinja_as_text(run, arguments[0], &end));
    LP_TRY(lp_jinja_has_end(run, self, arguments, true, result));
    *result = lp_jinja_string(result->truth ? lp_jinja_rest(self.text, end.n) : self.text);
    return LP_OK;
}

METHOD(str_removesuffix)
{
    lp_jinja_text end;
    LP_TRY(lp_jinja_as_text(run, arguments[0], &end));
    LP_TRY(lp_jinja_has_end(run, self, arguments, false, result));
    *result =
        lp_jinja_string((lp_jinja_text){self.text.data, self.text.n - (result->truth ? end.n : 0)});
    return LP_OK;
}

/* Parts of a text, collected from its start or (then turned round) from its end. */
typedef struct parts {
    lp_jinja_value *list;
    size_t n, room;
} parts;

static lp_status add_part(lp_jinja *run, parts *all, lp_jinja_text part)
{
    if (all->n == all->room) {
        lp_jinja_value *bigger;
        all->room = all->room ? 2 * all->room : 8;
        LP_TRY(lp_jinja_items(run, all->room, &bigger));
        if (all->n > 0)
            memcpy(bigger, all->list, all->n * sizeof *bigger);
        all->list = bigger;
    }
    all->list[all->n++] = lp_jinja_string(part);
    return LP_OK;
}

/* At white space: `most` cuts, -1 for any number. */
static lp_status split_words(lp_jinja *run, lp_jinja_text text, int64_t most, bool last, parts *all)
{
    for (text = lp_jinja_strip(text, !last, last); text.n > 0;
         text = lp_jinja_strip(text, !last, last)) {
        size_t at = 0, next;
        uint32_t code;
        if (most-- == 0)
            return add_part(run, all, text);
        if (!last) {
            while (at < text.n) {
                next = lp_jinja_decode(lp_jinja_rest(text, at), &code);
                if (lp_jinja_is_space(code))
                    break;
                at += next;
            }
            LP_TRY(add_part(run, all, (lp_jinja_text){text.data, at}));
            text = lp_jinja_rest(text, at);
        } else {
            /* the bytes before the last white space: what is left when its word is cut off */
            size_t end = 0;
            while (at < text.n) {
                next = lp_jinja_decode(lp_jinja_rest(text, at), &code);
                at += next;
                if (lp_jinja_is_space(code))
                    end = at;
            }
            LP_TRY(lp_jinja_charge(run, text.n / 2));
            LP_TRY(add_part(run, all, lp_jinja_rest(text, end)));
            text.n = end;
        }
    }
    return LP_OK;
}

static lp_status split_at(lp_jinja *run, lp_jinja_text text, lp_jinja_text by, int64_t most,
                          bool last, parts *all)
{
    for (size_t at; most-- != 0;) {
        if (last)
            LP_TRY(lp_jinja_charge(run, text.n * by.n / 64));
        at = last ? lp_jinja_find_last(text, by) : lp_jinja_find(text, by);
        if (at == SIZE_MAX)
            break;
        if (last) {
            LP_TRY(add_part(run, all, lp_jinja_rest(text, at + by.n)));
            text.n = at;
        } else {
            LP_TRY(add_part(run, all, (lp_jinja_text){text.data, at}));
            text = lp_jinja_rest(text, at + by.n);
        }
    }
    return add_part(run, all, text);
}

static lp_status split(lp_jinja *run, lp_jinja_value self, const lp_jinja_value *arguments,
                       bool last, lp_jinja_value *result)
{
    lp_jinja_text by;
    int64_t most = -1;
    parts all = {0};
    LP_TRY(lp_jinja_charge(run, self.text.n / 64));
    if (arguments[1].kind != LP_JINJA_MISSING)
        LP_TRY(lp_jinja_as_integer(run, arguments[1], &most));
    if (arguments[0].kind == LP_JINJA_MISSING || arguments[0].kind == LP_JINJA_NONE) {
        LP_TRY(split_words(run, self.text, most, last, &all));
    } else {
        LP_TRY(lp_jinja_as_text(run, arguments[0], &by));
        if (by.n == 0)
            return lp_jinja_fail(run, LP_E_FORMAT, "split: the separator is empty");
        LP_TRY(split_at(run, self.text, by, most, last, &all));
    }
    for (size_t i = 0; last && i < all.n / 2; i++) {
        const lp_jinja_value part = all.list[i];
        all.list[i] = all.list[all.n - 1 - i];
        all.list[all.n - 1 - i] = part;
    }
    return lp_jinja_sequence_create(run, LP_JINJA_LIST, all.list, all.n, result);
}

METHOD(str_split)
{
    return split(run, self, arguments, false, result);
}

METHOD(str_rsplit)
{
    return split(run, self, arguments, true, result);
}

METHOD(str_splitlines)
{
    lp_jinja_text text = self.text;
    const bool keep = lp_jinja_truth(arguments[0]);
    parts all = {0};
    LP_TRY(lp_jinja_charge(run, text.n / 32));
    while (text.n > 0) {
        size_t end;
        const size_t n = lp_jinja_line(text, &end);
        LP_TRY(add_part(run, &all, (lp_jinja_text){text.data, n + (keep ? end : 0)}));
        text = lp_jinja_rest(text, n + end);
    }
    return lp_jinja_sequence_create(run, LP_JINJA_LIST, all.list, all.n, result);
}

static lp_status partition(lp_jinja *run, lp_jinja_value self, const lp_jinja_value *arguments,
                           bool last, lp_jinja_value *result)
{
    lp_jinja_text by;
    lp_jinja_value *three;
    LP_TRY(lp_jinja_as_text(run, arguments[0], &by));
    if (by.n == 0)
        return lp_jinja_fail(run, LP_E_FORMAT, "partition: the separator is empty");
    LP_TRY(lp_jinja_charge(run, self.text.n * (last ? by.n : 1) / 64));
    LP_TRY(lp_jinja_items(run, 3, &three));
    const size_t at = last ? lp_jinja_find_last(self.text, by) : lp_jinja_find(self.text, by);
    const lp_jinja_value nothing = lp_jinja_string(LP_JINJA_TEXT(""));
    three[0] = three[1] = three[2] = nothing;
    if (at == SIZE_MAX) {
        three[last ? 2 : 0] = lp_jinja_string(self.text);
    } else {
        three[0] = lp_jinja_string((lp_jinja_text){self.text.data, at});
        three[1] = lp_jinja_string(by);
        three[2] = lp_jinja_string(lp_jinja_rest(self.text, at + by.n));
    }
    return lp_jinja_sequence_create(run, LP_JINJA_TUPLE, three, 3, result);
}

METHOD(str_partition)
{
    return partition(run, self, arguments, false, result);
}

METHOD(str_rpartition)
{
    return partition(run, self, arguments, true, result);
}

/* --- Changing
 * --------------------------------------------------------------------------------------- */

METHOD(str_replace)
{
    lp_jinja_text from, to;
    int64_t count = -1;
    LP_TRY(lp_jinja_as_text(run, arguments[0], &from));
    LP_TRY(lp_jinja_as_text(run, arguments[1], &to));
    if (arguments[2].kind != LP_JINJA_MISSING)
        LP_TRY(lp_jinja_as_integer(run, arguments[2], &count));
    return lp_jinja_replace(run, self.text, from, to, count, result);
}

METHOD(str_upper)
{
    const size_t mark = run->out.n;
    (void)arguments;
    LP_TRY(lp_jinja_put_case(run, LP_JINJA_UPPER, self.text));
    return lp_jinja_take(run, mark, result);
}

METHOD(str_lower)
{
    const size_t mark = run->out.n;
    (void)arguments;
    LP_TRY(lp_jinja_put_case(run, LP_JINJA_LOWER, self.text));
    return lp_jinja_take(run, mark, result);
}

METHOD(str_swapcase)
{
    const size_t mark = run->out.n;
    (void)arguments;
    LP_TRY(lp_jinja_charge(run, self.text.n / 8));
    for (size_t at = 0; at < self.text.n;) {
        uint32_t code, codes[3];
        const unsigned length = lp_jinja_decode(lp_jinja_rest(self.text, at), &code);
        const lp_jinja_case to = lp_jinja_is_upper(code) ? LP_JINJA_LOWER : LP_JINJA_UPPER;
        const unsigned n = lp_jinja_convert(to, self.text, at, code, codes);
        for (unsigned i = 0; i < n; i++)
            LP_TRY(lp_jinja_put_code(run, codes[i]));
        at += length;
    }
    return lp_jinja_take(run, mark, result);
}

METHOD(str_capitalize)
{
    const lp_jinja_arguments none = {0};
    (void)arguments;
    return lp_jinja_apply(run, lp_jinja_filter_find(LP_JINJA_TEXT("capitalize")), self, &none,
                          result);
}

/* A letter behind none begins a word: "it's" are two. */
METHOD(str_title)
{
    const size_t mark = run->out.n;
    bool within = false;
    (void)arguments;
    LP_TRY(lp_jinja_charge(run, self.text.n / 8));
    for (size_t at = 0; at < self.text.n;) {
        uint32_t code, codes[3];
        const unsigned length = lp_jinja_decode(lp_jinja_rest(self.text, at), &code);
        const unsigned n =
            lp_jinja_convert(within ? LP_JINJA_LOWER : LP_JINJA_TITLE, self.text, at, code, codes);
        for (unsigned i = 0; i < n; i++)
            LP_TRY(lp_jinja_put_code(run, codes[i]));
        within = lp_jinja_is_lower(code) || lp_jinja_is_upper(code) || lp_jinja_is_title(code);
        at += length;
    }
    return lp_jinja_take(run, mark, result);
}

METHOD(str_join)
{
    const lp_jinja_value *items;
    lp_jinja_text part;
    size_t n;
    LP_TRY(lp_jinja_iterate(run, arguments[0], &items, &n));
    const size_t mark = run->out.n;
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            LP_TRY(lp_jinja_put(run, self.text));
        LP_TRY(lp_jinja_as_text(run, items[i], &part));
        LP_TRY(lp_jinja_put(run, part));
    }
    return lp_jinja_take(run, mark, result);
}

/* To a width: `left` and `right` say on which sides the filling goes. */
static lp_status pad(lp_jinja *run, lp_jinja_value self, const lp_jinja_value *arguments, bool left,
                     bool right, lp_jinja_value *result)
{
    lp_jinja_text fill = LP_JINJA_TEXT(" ");
    int64_t width;
    LP_TRY(lp_jinja_as_integer(run, arguments[0], &width));
    if (arguments[1].kind != LP_JINJA_MISSING)
        LP_TRY(lp_jinja_as_text(run, arguments[1], &fill));
    if (lp_jinja_length(fill) != 1)
        return lp_jinja_fail(run, LP_E_FORMAT, "one character is expected to fill with");
    const int64_t missing = width - (int64_t)lp_jinja_length(self.text);
    const int64_t more = missing > 0 ? missing : 0;
    const int64_t before = left && right ? more / 2 + (more & width & 1) : left ? more : 0;
    const size_t mark = run->out.n;
    for (int64_t i = 0; i < before; i++)
        LP_TRY(lp_jinja_put(run, fill));
    LP_TRY(lp_jinja_put(run, self.text));
    for (int64_t i = before; i < more; i++)
        LP_TRY(lp_jinja_put(run, fill));
    return lp_jinja_take(run, mark, result);
}

METHOD(str_ljust)
{
    return pad(run, self, arguments, false, true, result);
}

METHOD(str_rjust)
{
    return pad(run, self, arguments, true, false, result);
}

METHOD(str_center)
{
    return pad(run, self, arguments, true, true, result);
}

METHOD(str_zfill)
{
    const bool sign = self.text.n > 0 && (self.text.data[0] == '-' || self.text.data[0] == '+');
    const size_t mark = run->out.n;
    int64_t width;
    LP_TRY(lp_jinja_as_integer(run, arguments[0], &width));
    const int64_t missing = width - (int64_t)lp_jinja_length(self.text);
    LP_TRY(lp_jinja_put(run, (lp_jinja_text){self.text.data, sign}));
    LP_TRY(lp_jinja_put_repeated(run, '0', missing > 0 ? (size_t)missing : 0));
    LP_TRY(lp_jinja_put(run, lp_jinja_rest(self.text, sign)));
    return lp_jinja_take(run, mark, result);
}

const lp_jinja_function *lp_jinja_change_method_find(lp_jinja_text name)
{
    static const lp_jinja_function rows[] = {
        {"capitalize", "", 0, str_capitalize, NULL},
        {"center", "/width /fillchar", 1, str_center, NULL},
        {"join", "/iterable", 1, str_join, NULL},
        {"ljust", "/width /fillchar", 1, str_ljust, NULL},
        {"lower", "", 0, str_lower, NULL},
        {"lstrip", "/chars", 0, str_lstrip, NULL},
        {"partition", "/sep", 1, str_partition, NULL},
        {"removeprefix", "/prefix", 1, str_removeprefix, NULL},
        {"removesuffix", "/suffix", 1, str_removesuffix, NULL},
        {"replace", "/old /new /count", 2, str_replace, NULL},
        {"rjust", "/width /fillchar", 1, str_rjust, NULL},
        {"rpartition", "/sep", 1, str_rpartition, NULL},
        {"rsplit", "sep maxsplit", 0, str_rsplit, NULL},
        {"rstrip", "/chars", 0, str_rstrip, NULL},
        {"split", "sep maxsplit", 0, str_split, NULL},
        {"splitlines", "keepends", 0, str_splitlines, NULL},
        {"strip", "/chars", 0, str_strip, NULL},
        {"swapcase", "", 0, str_swapcase, NULL},
        {"title", "", 0, str_title, NULL},
        {"upper", "", 0, str_upper, NULL},
        {"zfill", "/width", 1, str_zfill, NULL},
    };
    return lp_jinja_row_find(rows, sizeof rows / sizeof *rows, name);
}
