/* Limits, errors and the text being written: see jinja_run.h. */
#include "text/jinja_run.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

lp_status lp_jinja_fail(lp_jinja *run, lp_status status, const char *format, ...)
{
    char message[768];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (!run->at)
        return lp_fail(run->ctx, status, "%s: %s", run->where, message);
    return lp_fail(run->ctx, status, "%s: line %u, column %u: %s", run->where, run->at->line,
                   run->at->column, message);
}

lp_status lp_jinja_charge(lp_jinja *run, size_t steps)
{
    if (steps > LP_JINJA_MAX_STEPS - run->steps)
        return lp_jinja_fail(run, LP_E_LIMIT, "the template does not come to an end (%u steps)",
                             (unsigned)LP_JINJA_MAX_STEPS);
    run->steps += steps;
    return LP_OK;
}

lp_status lp_jinja_enter(lp_jinja *run)
{
    if (run->depth == LP_JINJA_MAX_DEPTH)
        return lp_jinja_fail(run, LP_E_LIMIT, "more than %d levels within each other",
                             LP_JINJA_MAX_DEPTH);
    run->depth++;
    return lp_jinja_charge(run, 1);
}

lp_status lp_jinja_alloc(lp_jinja *run, size_t n, size_t size, void **memory)
{
    *memory = NULL;
    if (n > LP_JINJA_MAX_MEMORY / size || n * size > LP_JINJA_MAX_MEMORY - run->memory)
        return lp_jinja_fail(run, LP_E_LIMIT, "the template needs more than %zu MiB of memory",
                             LP_JINJA_MAX_MEMORY >> 20);
    LP_TRY(lp_jinja_charge(run, n * size / 64));
    *memory = lp_arena_alloc(&run->arena, n * size);
    if (!*memory)
        return lp_fail_memory(run->ctx, "a template's values");
    run->memory += n * size + 16; /* the arena's alignment */
    if (run->memory > LP_JINJA_MAX_MEMORY)
        run->memory = LP_JINJA_MAX_MEMORY;
    return LP_OK;
}

static lp_status reserve(lp_jinja *run, size_t n)
{
    if (n > LP_JINJA_MAX_OUTPUT - run->out.n)
        return lp_jinja_fail(run, LP_E_LIMIT, "the template writes more than %zu MiB",
                             LP_JINJA_MAX_OUTPUT >> 20);
    return lp_jinja_charge(run, n / 64);
}

lp_status lp_jinja_put(lp_jinja *run, lp_jinja_text text)
{
    LP_TRY(reserve(run, text.n));
    return lp_text_append(run->ctx, &run->out, text.data, text.n);
}

lp_status lp_jinja_put_code(lp_jinja *run, uint32_t code)
{
    LP_TRY(reserve(run, 4));
    return lp_text_append_code(run->ctx, &run->out, code);
}

lp_status lp_jinja_put_repeated(lp_jinja *run, char c, size_t n)
{
    LP_TRY(reserve(run, n));
    while (n-- > 0)
        LP_TRY(lp_text_append(run->ctx, &run->out, &c, 1));
    return LP_OK;
}

lp_status lp_jinja_take(lp_jinja *run, size_t mark, lp_jinja_value *string)
{
    const size_t n = run->out.n - mark;
    void *copy;
    LP_TRY(lp_jinja_alloc(run, n, 1, &copy));
    if (n > 0)
        memcpy(copy, run->out.data + mark, n);
    run->out.n = mark;
    *string = lp_jinja_string((lp_jinja_text){copy, n});
    return LP_OK;
}

lp_status lp_jinja_render(lp_context *ctx, const lp_jinja_template *template,
                          yyjson_val *const *variables, size_t n, int64_t now, char **text,
                          size_t *bytes)
{
    lp_status status = LP_OK;
    lp_jinja run = {.ctx = ctx, .where = template->where, .now = now};
    lp_jinja_scope *globals, *scope;
    *text = NULL;
    *bytes = 0;
    LP_CHECK(lp_jinja_scope_create(&run, NULL, &globals));
    for (size_t i = 0; i < n; i++) {
        size_t k, count;
        yyjson_val *key, *json;
        yyjson_obj_foreach(variables[i], k, count, key, json)
        {
            lp_jinja_value value;
            const lp_jinja_text name = {yyjson_get_str(key), yyjson_get_len(key)};
            LP_CHECK(lp_jinja_from_json(&run, json, &value));
            LP_CHECK(lp_jinja_scope_set(&run, globals, name, value));
        }
    }
    LP_CHECK(lp_jinja_scope_create(&run, globals, &scope));
    LP_CHECK(lp_jinja_exec(&run, scope, template->body));
    LP_CHECK(lp_text_append(ctx, &run.out, "", 1));
    *bytes = run.out.n - 1;
    *text = run.out.data;
    run.out.data = NULL;
cleanup:
    lp_text_free(&run.out);
    lp_arena_destroy(&run.arena);
    return status;
}
