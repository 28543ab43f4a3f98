/* Writing repros: see repro.h. The node is made ready once more, as the check runs it, and its plan and
 * memory are written down. */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <yyjson.h>

#include "base/file.h"
#include "check/repro.h"

lp_status lp_repro_begin(lp_context *ctx, const char *folder)
{
    DIR *dir = opendir(folder);
    if (dir == NULL && errno == ENOENT)
        return LP_OK;
    if (dir == NULL)
        return lp_fail(ctx, LP_E_IO, "%s: %s", folder, strerror(errno));
    int n = 0;
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    if (n > 2) /* . and .. */
        return lp_fail(ctx, LP_E_ARG, "%s: the folder is not empty", folder);
    return LP_OK;
}

typedef struct writing {
    lp_checker *c;
    const char *folder;
    const lp_step *step;
    const lp_expected *expected;
    int dst;
    const char *type;  /* of the weight, as in lp_check_node */
    uint64_t n_inputs;
    yyjson_mut_doc *doc;
    uint32_t *number; /* per plan buffer: its number in the repro, UINT32_MAX: not used */
    uint32_t n_buffers;
} writing;

static lp_status write_file(const writing *w, const char *name, const void *data, size_t bytes)
{
    char *path = lp_path_join(w->folder, name);
    if (path == NULL)
        return lp_fail_memory(w->c->ctx, "a path");
    lp_status status = lp_file_write(w->c->ctx, path, data, bytes);
    free(path);
    return status;
}

static void add_text(const writing *w, yyjson_mut_val *object, const char *key, const char *text)
{
    yyjson_mut_obj_add_strcpy(w->doc, object, key, text);
}

static void add_number(const writing *w, yyjson_mut_val *object, const char *key, uint64_t value)
{
    yyjson_mut_obj_add_uint(w->doc, object, key, value);
}

static void add_numbers(const writing *w, yyjson_mut_val *object, const char *key,
                        const uint32_t *values, uint32_t n)
{
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(w->doc, object, key);
    for (uint32_t i = 0; i < n; i++)
        yyjson_mut_arr_add_uint(w->doc, list, values[i]);
}

/* The buffer's number, after its bytes were written if it is a new one. */
static lp_status use_buffer(writing *w, yyjson_mut_val *buffers, uint32_t buffer,
                            const uint8_t *arena, uint64_t arena_bytes)
{
    lp_checker *c = w->c;
    if (w->number[buffer] != UINT32_MAX)
        return LP_OK;
    const bool is_arena = buffer == LP_BUFFER_ARENA;
    const uint64_t bytes =
        is_arena ? arena_bytes : lp_slot_device_bytes(&c->store.slots[buffer - 1]);
    uint8_t *data = is_arena ? NULL : malloc(bytes + 1);
    char name[32];
    w->number[buffer] = is_arena ? 0 : w->n_buffers++;
    snprintf(name, sizeof name, "buffer-%u.bin", w->number[buffer]);
    if (!is_arena && data == NULL)
        return lp_fail_memory(c->ctx, "a buffer of the repro");
    lp_status status = LP_OK;
    if (!is_arena)
        status = c->device->table->raw_read(c->device, buffer, 0, data, bytes);
    if (status == LP_OK)
        status = write_file(w, name, is_arena ? arena : data, bytes);
    free(data);
    LP_TRY(status);
    yyjson_mut_val *object = yyjson_mut_arr_add_obj(w->doc, buffers);
    add_number(w, object, "number", w->number[buffer]);
    add_text(w, object, "name", is_arena ? "activations" : c->store.slots[buffer - 1].name);
    add_number(w, object, "bytes", bytes);
    add_text(w, object, "file", name);
    return LP_OK;
}

static void add_ranges(const writing *w, yyjson_mut_val *object, const char *key,
                       const lp_range *ranges, uint32_t n)
{
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(w->doc, object, key);
    for (uint32_t i = 0; i < n; i++) {
        yyjson_mut_val *range = yyjson_mut_arr_add_obj(w->doc, list);
        add_number(w, range, "buffer", w->number[ranges[i].buffer]);
        add_number(w, range, "offset", ranges[i].offset);
        add_number(w, range, "bytes", ranges[i].bytes);
    }
}

static lp_status add_kernel(const writing *w, yyjson_mut_val *object, const lp_kernel *kernel)
{
    char name[96];
    snprintf(name, sizeof name, "%s.spv", kernel->name);
    LP_TRY(write_file(w, name, kernel->spirv, kernel->spirv_bytes));
    add_text(w, object, "kernel", kernel->name);
    add_text(w, object, "spirv", name);
    add_number(w, object, "needs", kernel->needs);
    return LP_OK;
}

static lp_status add_dispatch(writing *w, yyjson_mut_val *list, const lp_dispatch *d)
{
    char hex[2 * LP_MAX_PUSH + 1] = "";
    yyjson_mut_val *object = yyjson_mut_arr_add_obj(w->doc, list);
    LP_TRY(add_kernel(w, object, d->kernel));
    add_numbers(w, object, "groups", d->groups, 3);
    add_numbers(w, object, "constants", d->spec, d->n_spec);
    for (uint32_t i = 0; i < d->n_push; i++)
        snprintf(hex + 2 * i, 3, "%02x", d->push[i]);
    add_text(w, object, "parameters", hex);
    yyjson_mut_val *addresses = yyjson_mut_obj_add_arr(w->doc, object, "addresses");
    for (uint32_t i = 0; i < d->n_relocations; i++) {
        const lp_relocation *r = &d->relocations[i];
        yyjson_mut_val *address = yyjson_mut_arr_add_obj(w->doc, addresses);
        add_number(w, address, "at", r->push_offset);
        add_number(w, address, "buffer", w->number[r->buffer]);
        add_number(w, address, "offset", r->offset);
    }
    add_ranges(w, object, "reads", d->reads, d->n_reads);
    add_ranges(w, object, "writes", d->writes, d->n_writes);
    yyjson_mut_obj_add_bool(w->doc, object, "barrier", d->barrier);
    return LP_OK;
}

static void add_output(const writing *w, yyjson_mut_val *root, const lp_plan *plan)
{
    const lp_step *s = w->step;
    const lp_step_slot *slot = &s->slots[w->dst];
    const lp_tensor_id id = s->graph->nodes[s->node].dst[w->dst];
    const lp_tensor *t = &s->graph->tensors[id];
    const bool is_slot = slot->slot != LP_NONE;
    yyjson_mut_val *object = yyjson_mut_obj_add_obj(w->doc, root, "output");
    add_number(w, object, "buffer", is_slot ? w->number[LP_BUFFER_SLOT(slot->slot)] : 0);
    add_number(w, object, "offset", is_slot ? slot->offset : plan->arena.tensor_offset[id]);
    add_text(w, object, "type", lp_dtype_table[is_slot ? slot->dtype : LP_F32].name);
    add_number(w, object, "elements", s->n_outputs[w->dst]);
    if (is_slot)
        add_number(w, object, "row", slot->row);
    yyjson_mut_val *shape = yyjson_mut_obj_add_arr(w->doc, object, "shape");
    for (int i = 0; i < t->shape.n && !is_slot; i++)
        yyjson_mut_arr_add_sint(w->doc, shape, t->shape.dim[i]);
    if (is_slot)
        yyjson_mut_arr_add_uint(w->doc, shape, s->n_outputs[w->dst]);
}

/* Called with the node made ready: its slots are as before the run. */
static lp_status write_all(void *user, const lp_plan *plan, const uint8_t *arena)
{
    writing *w = user;
    lp_checker *c = w->c;
    const lp_node *node = &w->step->graph->nodes[w->step->node];
    yyjson_mut_val *root = yyjson_mut_obj(w->doc);
    yyjson_mut_doc_set_root(w->doc, root);
    add_number(w, root, "schema", 1);
    add_text(w, root, "lapilli", c->report->version);
    add_text(w, root, "device", c->report->device);
    add_text(w, root, "driver", c->report->driver);
    add_text(w, root, "model", c->report->model);
    add_text(w, root, "node", node->name);
    add_text(w, root, "op", lp_op_name(node->op));
    add_text(w, root, "type", w->type);
    add_number(w, root, "inputs", w->n_inputs);
    add_number(w, root, "tokens", (uint64_t)w->step->graph->n_tokens);
    add_number(w, root, "subgroup", c->device->table->caps(c->device)->subgroup_size);
    yyjson_mut_val *buffers = yyjson_mut_obj_add_arr(w->doc, root, "buffers");
    LP_TRY(use_buffer(w, buffers, LP_BUFFER_ARENA, arena, plan->arena.bytes));
    for (uint32_t i = 0; i < plan->n_dispatches; i++) {
        const lp_dispatch *d = &plan->dispatches[i];
        for (uint32_t r = 0; r < d->n_relocations; r++)
            LP_TRY(use_buffer(w, buffers, d->relocations[r].buffer, arena, plan->arena.bytes));
    }
    yyjson_mut_val *dispatches = yyjson_mut_obj_add_arr(w->doc, root, "dispatches");
    for (uint32_t i = 0; i < plan->n_dispatches; i++)
        LP_TRY(add_dispatch(w, dispatches, &plan->dispatches[i]));
    add_output(w, root, plan);
    const size_t bytes = w->step->n_outputs[w->dst] * sizeof(float);
    LP_TRY(write_file(w, "expected.bin", w->expected->outputs.values[w->dst], bytes));
    if (w->expected->sigma[w->dst] != NULL)
        LP_TRY(write_file(w, "sigma.bin", w->expected->sigma[w->dst], bytes));
    size_t n = 0;
    char *text = yyjson_mut_write(w->doc, YYJSON_WRITE_PRETTY_TWO_SPACES, &n);
    if (text == NULL)
        return lp_fail_memory(c->ctx, "a repro");
    lp_status status = write_file(w, "repro.json", text, n); /* last: now it is one */
    free(text);
    return status;
}

lp_status lp_repro_write(lp_checker *c, const char *folder, const lp_step *step,
                         const lp_expected *expected, int dst)
{
    writing w = {.c = c, .folder = folder, .step = step, .expected = expected, .dst = dst};
    const lp_node *node = &step->graph->nodes[step->node];
    const lp_tensor *weight = node->op == LP_OP_LINEAR ? &step->graph->tensors[node->src[1]] : NULL;
    w.type = weight != NULL ? lp_dtype_table[weight->dtype].name : "";
    w.n_inputs = weight != NULL ? (uint64_t)weight->shape.dim[weight->shape.n - 1] : 0;
    const lp_step_options options = {.plan = c->plan};
    if (mkdir(folder, 0777) != 0 && errno != EEXIST)
        return lp_fail(c->ctx, LP_E_IO, "%s: %s", folder, strerror(errno));
    w.n_buffers = 1;
    w.doc = yyjson_mut_doc_new(NULL);
    w.number = malloc((c->store.n_slots + 1) * sizeof *w.number);
    lp_status status = LP_OK;
    if (w.doc == NULL || w.number == NULL) {
        status = lp_fail_memory(c->ctx, "a repro");
    } else {
        memset(w.number, 0xff, (c->store.n_slots + 1) * sizeof *w.number);
        status = lp_step_visit(c->ctx, c->device, step, &options, write_all, &w);
    }
    yyjson_mut_doc_free(w.doc);
    free(w.number);
    return status;
}
