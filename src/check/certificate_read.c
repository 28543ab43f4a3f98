/* Reading certificates: every key must be there once, with its type, and no other. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "check/certificate.h"
#include "graph/kernel.h"

typedef struct reader {
    lp_context *ctx;
    const char *where;
    yyjson_val *object;
    char place[64]; /* "passes[3].nodes[17]" */
} reader;

static lp_status complain(const reader *r, const char *key, const char *what)
{
    return lp_fail(r->ctx, LP_E_FORMAT, "%s: %s%s%s: %s", r->where, r->place, *r->place ? "." : "",
                   key, what);
}

/* No control characters: they could upset a terminal. */
static bool is_printable(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if (*p < ' ' || *p == 0x7f || (*p == 0xc2 && p[1] < 0xa0))
            return false;
    return true;
}

static lp_status get(const reader *r, const char *key, yyjson_val **value)
{
    *value = yyjson_obj_get(r->object, key);
    if (*value == NULL)
        return complain(r, key, "missing");
    return LP_OK;
}

static lp_status get_text(const reader *r, const char *key, const char **text)
{
    yyjson_val *value;
    LP_TRY(get(r, key, &value));
    if (!yyjson_is_str(value))
        return complain(r, key, "a string expected");
    *text = yyjson_get_str(value);
    if (yyjson_get_len(value) > LP_CERTIFICATE_TEXT || strlen(*text) != yyjson_get_len(value) ||
        !is_printable(*text))
        return complain(r, key, "too long, or control characters");
    return LP_OK;
}

static lp_status get_digest(const reader *r, const char *key, bool required, const char **text)
{
    LP_TRY(get_text(r, key, text));
    const size_t n = strlen(*text);
    if (strspn(*text, "0123456789abcdef") != n || (n != 64 && (n != 0 || required)))
        return complain(r, key, "64 hexadecimal digits expected");
    return LP_OK;
}

static lp_status get_u32(const reader *r, const char *key, uint32_t *number)
{
    yyjson_val *value;
    LP_TRY(get(r, key, &value));
    if (!yyjson_is_uint(value) || yyjson_get_uint(value) > UINT32_MAX)
        return complain(r, key, "a whole number from 0 to 4294967295 expected");
    *number = (uint32_t)yyjson_get_uint(value);
    return LP_OK;
}

static lp_status get_number(const reader *r, const char *key, double *number)
{
    yyjson_val *value;
    LP_TRY(get(r, key, &value));
    *number = yyjson_get_num(value);
    if (yyjson_equals_str(value, "inf"))
        *number = INFINITY;
    else if (yyjson_equals_str(value, "-inf"))
        *number = -INFINITY;
    else if (yyjson_equals_str(value, "nan"))
        *number = NAN;
    else if (!yyjson_is_num(value))
        return complain(r, key, "a number expected");
    return LP_OK;
}

static lp_status get_object(const reader *r, const char *key, reader *inner)
{
    *inner = *r;
    LP_TRY(get(r, key, &inner->object));
    if (!yyjson_is_obj(inner->object))
        return complain(r, key, "an object expected");
    snprintf(inner->place, sizeof inner->place, "%s", key);
    return LP_OK;
}

/* An array, and zeroed room for its elements. */
static lp_status get_array(const reader *r, const char *key, size_t element, yyjson_val **array,
                           size_t *n, void **room)
{
    LP_TRY(get(r, key, array));
    if (!yyjson_is_arr(*array))
        return complain(r, key, "an array expected");
    *room = calloc(yyjson_arr_size(*array) + 1, element);
    if (*room == NULL)
        return lp_fail_memory(r->ctx, "a certificate");
    *n = yyjson_arr_size(*array);
    return LP_OK;
}

static lp_status enter(reader *r, yyjson_val *element, size_t n_keys)
{
    r->object = element;
    if (!yyjson_is_obj(element))
        return lp_fail(r->ctx, LP_E_FORMAT, "%s: %s: an object expected", r->where, r->place);
    if (yyjson_obj_size(element) != n_keys)
        return lp_fail(r->ctx, LP_E_FORMAT, "%s: %s%shas %zu keys instead of %zu", r->where,
                       r->place, *r->place ? ": " : "", yyjson_obj_size(element), n_keys);
    return LP_OK;
}

/* "[19, 192]": four dimensions at most. */
static lp_status get_shape(const reader *r, const char *key, char text[96])
{
    yyjson_val *array, *value;
    size_t i, n, at = 0;
    LP_TRY(get(r, key, &array));
    if (!yyjson_is_arr(array) || yyjson_arr_size(array) > 4)
        return complain(r, key, "an array of at most four numbers expected");
    text[at++] = '[';
    yyjson_arr_foreach(array, i, n, value)
    {
        if (!yyjson_is_uint(value))
            return complain(r, key, "an array of at most four numbers expected");
        at += (size_t)snprintf(text + at, 96 - at, "%s%llu", i ? ", " : "",
                               (unsigned long long)yyjson_get_uint(value));
    }
    snprintf(text + at, 96 - at, "]");
    return LP_OK;
}

static lp_status read_node(reader *r, lp_certificate_node *node)
{
    LP_TRY(get_text(r, "name", &node->name));
    LP_TRY(get_text(r, "op", &node->op));
    LP_TRY(get_text(r, "type", &node->type));
    LP_TRY(get_text(r, "kernels", &node->kernels));
    LP_TRY(get_shape(r, "shape", node->shape));
    LP_TRY(get_digest(r, "sha256", false, &node->digest));
    LP_TRY(get_number(r, "nmse", &node->nmse));
    LP_TRY(get_number(r, "largest", &node->largest));
    return get_text(r, "finding", &node->finding);
}

static lp_status read_pass(reader *r, lp_certificate_pass *pass)
{
    yyjson_val *array, *value;
    size_t i, n;
    void *room;
    reader inner = *r;
    LP_TRY(get_text(r, "name", &pass->name));
    LP_TRY(get_u32(r, "position", &pass->position));
    LP_TRY(get_u32(r, "tokens", &pass->n_tokens));
    LP_TRY(get_digest(r, "sha256", false, &pass->digest));
    LP_TRY(get_number(r, "nmse", &pass->nmse));
    LP_TRY(get_number(r, "kl", &pass->kl));
    LP_TRY(get_array(r, "nodes", sizeof *pass->nodes, &array, &pass->n_nodes, &room));
    pass->nodes = room;
    yyjson_arr_foreach(array, i, n, value)
    {
        snprintf(inner.place, sizeof inner.place, "%.24s.nodes[%zu]", r->place, i);
        LP_TRY(enter(&inner, value, 9));
        LP_TRY(read_node(&inner, &pass->nodes[i]));
    }
    return LP_OK;
}

static lp_status read_lists(const reader *root, lp_certificate_data *c)
{
    yyjson_val *array, *value;
    size_t i, n;
    void *room;
    reader r = *root;
    LP_TRY(get_array(root, "kernels", sizeof *c->kernels, &array, &c->n_kernels, &room));
    c->kernels = room;
    if (c->n_kernels > LP_MAX_KERNELS)
        return complain(root, "kernels", "more than any lapilli has");
    yyjson_arr_foreach(array, i, n, value)
    {
        snprintf(r.place, sizeof r.place, "kernels[%zu]", i);
        LP_TRY(enter(&r, value, 2));
        LP_TRY(get_text(&r, "name", &c->kernels[i].name));
        LP_TRY(get_digest(&r, "sha256", true, &c->kernels[i].digest));
    }
    LP_TRY(get_array(root, "passes", sizeof *c->passes, &array, &c->n_passes, &room));
    c->passes = room;
    yyjson_arr_foreach(array, i, n, value)
    {
        snprintf(r.place, sizeof r.place, "passes[%zu]", i);
        LP_TRY(enter(&r, value, 7));
        LP_TRY(read_pass(&r, &c->passes[i]));
    }
    return LP_OK;
}

lp_status lp_certificate_read(lp_context *ctx, const char *where, const char *text, size_t bytes,
                              lp_certificate_data *c)
{
    uint32_t schema = 0;
    yyjson_val *agrees;
    reader root = {.ctx = ctx, .where = where}, r;
    *c = (lp_certificate_data){0};
    LP_TRY(lp_json_parse(ctx, where, text, bytes, &c->doc));
    root.object = yyjson_doc_get_root(c->doc);
    if (yyjson_obj_get(root.object, "certificate") == NULL)
        return lp_fail(ctx, LP_E_FORMAT, "%s: this is no certificate of lapilli check", where);
    LP_TRY(get_u32(&root, "certificate", &schema));
    if (schema != LP_CERTIFICATE_SCHEMA)
        return lp_fail(ctx, LP_E_UNSUPPORTED,
                       "%s: a certificate of version %u; this lapilli reads version %d", where,
                       schema, LP_CERTIFICATE_SCHEMA);
    LP_TRY(enter(&root, root.object, 11));
    LP_TRY(get_text(&root, "lapilli", &c->version));
    LP_TRY(get_text(&root, "conditions", &c->conditions));
    LP_TRY(get_text(&root, "verdict", &c->sentence));
    LP_TRY(get(&root, "agrees", &agrees));
    if (!yyjson_is_bool(agrees))
        return complain(&root, "agrees", "true or false expected");
    c->agrees = yyjson_get_bool(agrees);
    LP_TRY(get_object(&root, "model", &r));
    LP_TRY(enter(&r, r.object, 3));
    LP_TRY(get_text(&r, "title", &c->model));
    LP_TRY(get_text(&r, "type", &c->model_type));
    LP_TRY(get_digest(&r, "sha256", true, &c->model_digest));
    LP_TRY(get_object(&root, "tokens", &r));
    LP_TRY(enter(&r, r.object, 2));
    LP_TRY(get_u32(&r, "count", &c->n_tokens));
    LP_TRY(get_digest(&r, "sha256", true, &c->tokens_digest));
    LP_TRY(get_object(&root, "device", &r));
    LP_TRY(enter(&r, r.object, 3));
    LP_TRY(get_text(&r, "name", &c->device));
    LP_TRY(get_text(&r, "driver", &c->driver));
    LP_TRY(get_text(&r, "vulkan", &c->vulkan));
    LP_TRY(get_object(&root, "against", &r));
    LP_TRY(enter(&r, r.object, 2));
    LP_TRY(get_text(&r, "name", &c->against));
    LP_TRY(get_text(&r, "driver", &c->against_driver));
    return read_lists(&root, c);
}

void lp_certificate_free(lp_certificate_data *c)
{
    for (size_t i = 0; c->passes != NULL && i < c->n_passes; i++)
        free(c->passes[i].nodes);
    free(c->passes);
    free(c->kernels);
    yyjson_doc_free(c->doc);
    *c = (lp_certificate_data){0};
}
