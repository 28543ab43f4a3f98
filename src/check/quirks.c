/* Quirks: see quirks.h. */
#include "check/quirks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "lapilli.h"

/* The switches by their names in JSON. */
#define SWITCHES(X) X(full_barriers) X(keep_all) X(no_fusion) X(deterministic)

static const char by_doctor[] = "doctor", by_workaround[] = "the workaround",
                  by_both[] = "doctor and the workaround";

static bool refuses(const lp_quirks *q)
{
    static const lp_kernel_set nothing;
    return memcmp(&q->refused, &nothing, sizeof nothing) != 0;
}

bool lp_quirks_none(const lp_quirks *q)
{
#define X(name) || q->name
    return !(refuses(q) || q->batch != 0 SWITCHES(X));
#undef X
}

lp_quirks lp_quirks_both(const lp_quirks *a, const lp_quirks *b)
{
    lp_quirks all = *a;
    for (size_t i = 0; i < sizeof all.refused.words / sizeof *all.refused.words; i++)
        all.refused.words[i] |= b->refused.words[i];
#define X(name) all.name = all.name || b->name;
    SWITCHES(X)
#undef X
    if (b->batch != 0 && (all.batch == 0 || b->batch < all.batch))
        all.batch = b->batch;
    all.by = !refuses(b) ? a->by : !refuses(a) ? b->by : by_both;
    return all;
}

lp_plan_options lp_quirks_plan_options(const lp_quirks *q)
{
    return (lp_plan_options){.keep_all = q->keep_all,
                             .full_barriers = q->full_barriers,
                             .deterministic = q->deterministic,
                             .refused = q->refused,
                             .refused_by = q->by};
}

char *lp_quirks_describe(const lp_quirks *q)
{
    lp_text text = {0};
    const char *comma = "";
    for (unsigned i = 0; i < lp_n_kernels; i++)
        if (lp_kernel_set_has(&q->refused, &lp_kernels[i])) {
            lp_text_printf(&text, "%s%s", *comma ? comma : "without ", lp_kernels[i].name);
            comma = ", ";
        }
#define ADD(on, ...)                                                                               \
    if (on) {                                                                                      \
        lp_text_printf(&text, "%s", comma);                                                        \
        lp_text_printf(&text, __VA_ARGS__);                                                        \
        comma = ", ";                                                                              \
    }
    ADD(q->full_barriers, "with a barrier before every dispatch")
    ADD(q->keep_all, "with memory of its own for every tensor")
    ADD(q->no_fusion, "with every operation as a node of its own")
    ADD(q->deterministic, "with --deterministic")
    ADD(q->batch != 0, "with at most %u tokens at a time", q->batch)
#undef ADD
    return lp_text_take(&text);
}

/* ---- JSON ---------------------------------------------------------------------------------- */

lp_status lp_quirks_json(lp_context *ctx, const lp_quirks *q, lp_quirks_device device,
                         const char *why, char **json)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, root);
    bool good = yyjson_mut_obj_add_str(doc, root, "lapilli", lp_version()) &&
                yyjson_mut_obj_add_str(doc, root, "device", device.name) &&
                yyjson_mut_obj_add_str(doc, root, "driver", device.driver);
    if (refuses(q)) {
        yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, root, "refuse");
        for (unsigned i = 0; i < lp_n_kernels; i++)
            if (lp_kernel_set_has(&q->refused, &lp_kernels[i]))
                good = yyjson_mut_arr_add_str(doc, list, lp_kernels[i].name) && good;
    }
#define X(name)                                                                                    \
    if (q->name)                                                                                   \
        good = yyjson_mut_obj_add_true(doc, root, #name) && good;
    SWITCHES(X)
#undef X
    if (q->batch != 0)
        good = yyjson_mut_obj_add_uint(doc, root, "batch", q->batch) && good;
    if (why != NULL)
        good = yyjson_mut_obj_add_str(doc, root, "why", why) && good;
    yyjson_write_flag flags = YYJSON_WRITE_PRETTY_TWO_SPACES | YYJSON_WRITE_ALLOW_INVALID_UNICODE;
    *json = good ? yyjson_mut_write(doc, flags, NULL) : NULL;
    yyjson_mut_doc_free(doc);
    return *json != NULL ? LP_OK : lp_fail_memory(ctx, "a workaround");
}

static lp_status read_refused(lp_context *ctx, const char *where, yyjson_val *list, lp_quirks *q)
{
    size_t i, n;
    yyjson_val *item;
    yyjson_arr_foreach(list, i, n, item)
    {
        const char *name = yyjson_get_str(item);
        if (name == NULL)
            return lp_fail(ctx, LP_E_FORMAT,
                           "%s: refuse: names of kernels expected, item %zu is %s", where, i,
                           yyjson_get_type_desc(item));
        const lp_kernel *kernel = lp_kernel_by_name(name);
        if (kernel != NULL)
            lp_kernel_set_add(&q->refused, kernel);
        else
            lp_log(ctx, LP_LOG_WARN, "%s: lapilli %s has no kernel %.80s to refuse: passed over",
                   where, lp_version(), name);
    }
    return LP_OK;
}

static lp_status check_keys(lp_context *ctx, const char *where, yyjson_val *root)
{
#define X(name) #name,
    static const char *const known[] = {"lapilli", "device", "driver", "refuse", SWITCHES(X) "batch",
                                        "why"};
#undef X
    enum { N_KNOWN = sizeof known / sizeof *known };
    unsigned seen = 0;
    size_t i, n;
    yyjson_val *key, *value;
    yyjson_obj_foreach(root, i, n, key, value)
    {
        unsigned k = 0;
        while (k < N_KNOWN && !yyjson_equals_str(key, known[k]))
            k++;
        if (k == N_KNOWN)
            return lp_fail(ctx, LP_E_FORMAT, "%s: there is no key \"%.80s\" in a workaround", where,
                           yyjson_get_str(key));
        if (seen & 1u << k)
            return lp_fail(ctx, LP_E_FORMAT, "%s: %s stands there twice", where, known[k]);
        seen |= 1u << k;
    }
    return LP_OK;
}

static lp_status read_root(lp_context *ctx, const char *where, yyjson_val *root,
                           lp_quirks_device device, lp_quirks *q)
{
    const char *name, *driver, *text;
    yyjson_val *list = NULL;
    LP_TRY(check_keys(ctx, where, root));
    LP_TRY(lp_json_get_string(ctx, where, root, "lapilli", LP_JSON_REQUIRED, &text));
    LP_TRY(lp_json_get_string(ctx, where, root, "why", LP_JSON_OPTIONAL, &text));
    LP_TRY(lp_json_get_string(ctx, where, root, "device", LP_JSON_REQUIRED, &name));
    LP_TRY(lp_json_get_string(ctx, where, root, "driver", LP_JSON_REQUIRED, &driver));
    if (strcmp(name, device.name) != 0)
        return lp_fail(ctx, LP_E_ARG, "%s: this is for the device %.200s, not for %s", where, name,
                       device.name);
    if (strcmp(driver, device.driver) != 0)
        return lp_fail(ctx, LP_E_ARG, "%s: this is for the driver %.240s, but %s has %s", where,
                       driver, device.name, *device.driver ? device.driver : "none");
    LP_TRY(lp_json_get_array(ctx, where, root, "refuse", LP_JSON_OPTIONAL, &list));
    if (list != NULL)
        LP_TRY(read_refused(ctx, where, list, q));
#define X(name) LP_TRY(lp_json_get_bool(ctx, where, root, #name, LP_JSON_OPTIONAL, &q->name));
    SWITCHES(X)
#undef X
    LP_TRY(lp_json_get_u32(ctx, where, root, "batch", LP_JSON_OPTIONAL, &q->batch));
    return LP_OK;
}

lp_status lp_quirks_parse(lp_context *ctx, const char *where, const char *text, size_t bytes,
                          lp_quirks_device device, lp_quirks *quirks)
{
    yyjson_doc *doc;
    *quirks = (lp_quirks){.by = by_workaround};
    LP_TRY(lp_json_parse(ctx, where, text, bytes, &doc));
    lp_status status = read_root(ctx, where, yyjson_doc_get_root(doc), device, quirks);
    yyjson_doc_free(doc);
    return status;
}

/* ---- What doctor remembers ------------------------------------------------------------------ */

char *lp_quirks_path(const char *folder, lp_quirks_device device)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a; the terminating NUL divides name and driver */
    for (size_t i = 0; i <= strlen(device.name); i++)
        hash = (hash ^ (uint8_t)device.name[i]) * 1099511628211u;
    for (size_t i = 0; device.driver[i] != '\0'; i++)
        hash = (hash ^ (uint8_t)device.driver[i]) * 1099511628211u;
    char name[40];
    snprintf(name, sizeof name, "doctor-%016llx.json", (unsigned long long)hash);
    return lp_path_join(folder, name);
}

/* The file's own messages must not replace those of the session's call: they become a warning. */
static void read_remembered(lp_context *ctx, const char *path, lp_quirks_device device,
                            lp_quirks *q)
{
    lp_context own = {.log = ctx->log, .log_user = ctx->log_user, .level = ctx->level};
    lp_file file;
    if (access(path, F_OK) != 0) /* nothing is wrong, or doctor never ran */
        return;
    lp_status status = lp_file_open(&own, path, &file);
    if (status == LP_OK) {
        status = lp_quirks_parse(&own, path, (const char *)file.data, file.bytes, device, q);
        lp_file_close(&file);
    }
    if (status == LP_OK)
        return;
    *q = (lp_quirks){0};
    lp_log(ctx, LP_LOG_WARN, "what doctor found out is passed over: %s", own.message);
}

lp_status lp_quirks_gather(lp_context *ctx, lp_quirks_device device, const char *workaround,
                           const char *cache_folder, lp_quirks *quirks)
{
    lp_quirks asked = {0}, remembered = {0};
    if (workaround != NULL)
        LP_TRY(lp_quirks_parse(ctx, "workaround", workaround, strlen(workaround), device, &asked));
    if (cache_folder != NULL) {
        char *path = lp_quirks_path(cache_folder, device);
        if (path == NULL)
            return lp_fail_memory(ctx, "a path");
        read_remembered(ctx, path, device, &remembered);
        free(path);
    }
    remembered.by = by_doctor;
    if (!lp_quirks_none(&remembered)) {
        char *what = lp_quirks_describe(&remembered);
        lp_log(ctx, LP_LOG_WARN, "as doctor found this driver: %s (lapilli doctor --forget undoes it)",
               what != NULL ? what : "");
        free(what);
    }
    *quirks = lp_quirks_both(&asked, &remembered);
    return LP_OK;
}
