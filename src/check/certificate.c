/* A certificate out of a report: JSON without times, dates, paths, so that the same bits on the
 * same device give the same bytes. */
#include "check/certificate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check/digest.h"
#include "check/json_writer.h"
#include "check/report.h"
#include "graph/kernel.h"

/* Names come from files and drivers; whoever reads a certificate may print them. */
static void add_text(lp_json_writer *w, yyjson_mut_val *object, const char *key, const char *text)
{
    size_t n = text != NULL ? strlen(text) : 0;
    char clean[LP_CERTIFICATE_TEXT / 3]; /* a bad byte becomes three */
    n = n < sizeof clean ? n : sizeof clean - 1;
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)text[i];
        const bool control = c < ' ' || c == 0x7f || /* U+0080 to U+009F */
                             (c == 0xc2 && (unsigned char)text[i + 1] < 0xa0);
        clean[i] = control ? '?' : text[i];
    }
    clean[n] = '\0';
    lp_json_add_string(w, object, key, clean);
}

static yyjson_mut_val *node_value(lp_json_writer *w, const lp_check_node *node)
{
    yyjson_mut_val *object = yyjson_mut_obj(w->doc), *shape = yyjson_mut_arr(w->doc);
    for (int i = 0; i < node->n_dims; i++)
        lp_json_append(w, shape, yyjson_mut_sint(w->doc, node->dims[i]));
    add_text(w, object, "name", node->name);
    add_text(w, object, "op", node->op);
    add_text(w, object, "type", node->type);
    add_text(w, object, "kernels", node->kernels);
    lp_json_add(w, object, "shape", shape);
    add_text(w, object, "sha256", node->digest);
    lp_json_add_number(w, object, "nmse", node->isolated.nmse);
    lp_json_add_number(w, object, "largest", node->isolated.largest);
    add_text(w, object, "finding",
             node->finding == LP_FINDING_NONE ? "" : lp_finding_text(node->finding));
    return object;
}

static yyjson_mut_val *pass_value(lp_json_writer *w, const lp_check_pass *pass)
{
    yyjson_mut_val *object = yyjson_mut_obj(w->doc), *nodes = yyjson_mut_arr(w->doc);
    for (size_t i = 0; i < pass->n_nodes; i++)
        lp_json_append(w, nodes, node_value(w, &pass->nodes[i]));
    add_text(w, object, "name", pass->name);
    lp_json_add_count(w, object, "position", pass->position);
    lp_json_add_count(w, object, "tokens", pass->n_tokens);
    add_text(w, object, "sha256", pass->digest);
    lp_json_add_number(w, object, "nmse", pass->logits.nmse);
    lp_json_add_number(w, object, "kl", pass->kl);
    lp_json_add(w, object, "nodes", nodes);
    return object;
}

/* Does "a + b" name the kernel? */
static bool names(const char *kernels, const char *name)
{
    const size_t n = strlen(name);
    for (const char *at = kernels; (at = strstr(at, name)) != NULL; at += n)
        if ((at == kernels || at[-1] == ' ') && (at[n] == '\0' || at[n] == ' '))
            return true;
    return false;
}

static bool is_used(const lp_report *r, const char *name)
{
    for (size_t p = 0; p < r->n_passes; p++)
        for (size_t i = 0; i < r->passes[p].n_nodes; i++) {
            const char *kernels = r->passes[p].nodes[i].kernels;
            if (kernels != NULL && names(kernels, name))
                return true;
        }
    return false;
}

/* In the catalogue's order. */
static yyjson_mut_val *kernels_value(lp_json_writer *w, const lp_report *r)
{
    yyjson_mut_val *array = yyjson_mut_arr(w->doc);
    for (unsigned i = 0; i < lp_n_kernels; i++) {
        char digest[LP_DIGEST_TEXT];
        if (!is_used(r, lp_kernels[i].name))
            continue;
        yyjson_mut_val *object = yyjson_mut_obj(w->doc);
        lp_digest_bytes(lp_kernels[i].spirv, lp_kernels[i].spirv_bytes, digest);
        add_text(w, object, "name", lp_kernels[i].name);
        add_text(w, object, "sha256", digest);
        lp_json_append(w, array, object);
    }
    return array;
}

static const char *fact(const lp_report *r, const char *name)
{
    for (size_t i = 0; i < r->n_facts; i++)
        if (strcmp(r->facts[i].name, name) == 0)
            return r->facts[i].value;
    return "";
}

static yyjson_mut_val *certificate_value(lp_json_writer *w, const lp_report *r)
{
    yyjson_mut_val *root = yyjson_mut_obj(w->doc), *model = yyjson_mut_obj(w->doc);
    yyjson_mut_val *tokens = yyjson_mut_obj(w->doc), *device = yyjson_mut_obj(w->doc);
    yyjson_mut_val *against = yyjson_mut_obj(w->doc), *passes = yyjson_mut_arr(w->doc);
    char digest[LP_DIGEST_TEXT];
    add_text(w, model, "title", r->model);
    add_text(w, model, "type", r->model_type);
    add_text(w, model, "sha256", r->model_digest);
    lp_digest_bytes(r->tokens, r->n_tokens * sizeof *r->tokens, digest);
    lp_json_add_count(w, tokens, "count", r->n_tokens);
    add_text(w, tokens, "sha256", digest);
    add_text(w, device, "name", r->device);
    add_text(w, device, "driver", r->driver);
    add_text(w, device, "vulkan", fact(r, "Vulkan"));
    add_text(w, against, "name", r->against);
    add_text(w, against, "driver", r->against_driver);
    for (size_t i = 0; i < r->n_passes; i++)
        lp_json_append(w, passes, pass_value(w, &r->passes[i]));
    lp_json_add_count(w, root, "certificate", LP_CERTIFICATE_SCHEMA);
    add_text(w, root, "lapilli", r->version);
    lp_json_add(w, root, "model", model);
    lp_json_add(w, root, "tokens", tokens);
    add_text(w, root, "conditions", r->conditions);
    lp_json_add(w, root, "device", device);
    lp_json_add(w, root, "against", against);
    lp_json_add(w, root, "agrees", yyjson_mut_bool(w->doc, r->agrees != 0));
    add_text(w, root, "verdict", r->sentence);
    lp_json_add(w, root, "kernels", kernels_value(w, r));
    lp_json_add(w, root, "passes", passes);
    return root;
}

lp_status lp_certificate(lp_context *ctx, const lp_report *report, char **json)
{
    lp_json_writer w = {.doc = yyjson_mut_doc_new(NULL)};
    *json = NULL;
    if (report->model_digest == NULL || !*report->model_digest) {
        yyjson_mut_doc_free(w.doc);
        return lp_fail(ctx, LP_E_ARG, "a certificate needs a check with digests");
    }
    if (w.doc != NULL) {
        yyjson_mut_doc_set_root(w.doc, certificate_value(&w, report));
        if (!w.failed)
            *json = yyjson_mut_write(w.doc, YYJSON_WRITE_PRETTY_TWO_SPACES, NULL);
        yyjson_mut_doc_free(w.doc);
    }
    return *json != NULL ? LP_OK : lp_fail_memory(ctx, "a certificate");
}
