/* Running repros: see repro.h. The plan is rebuilt from the file; the executor checks it as it checks
 * every plan (ranges within buffers, limits of the device) before anything runs. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/half.h"
#include "base/json.h"
#include "check/compare.h"
#include "check/repro.h"

enum { MAX_BUFFERS = 64, MAX_DISPATCHES = 16, MAX_KERNEL_BYTES = 16 << 20 };
#define MAX_BUFFER_BYTES ((uint64_t)1 << 40)

typedef struct reading {
    lp_context *ctx;
    const char *folder;
    char *path; /* of repro.json, for messages */
    yyjson_doc *doc;
    lp_arena *arena;
    lp_backend *backend;
    lp_graph graph;
    lp_node node;
    lp_store store;
    uint32_t n_buffers;
    lp_file buffers[MAX_BUFFERS];
    lp_kernel kernels[MAX_DISPATCHES];
    lp_file spirv[MAX_DISPATCHES];
    lp_plan *plan;
    lp_program *program;
    uint32_t out_buffer;
    uint64_t out_offset, n_elements;
    uint64_t row; /* elements of one of its rows, if those have an end of their own; else 1 */
    lp_dtype out_type;
    lp_file expected, sigma;
} reading;

/* ---- JSON ---------------------------------------------------------------------------------- */

static lp_status get_u64(const reading *r, yyjson_val *object, const char *key, uint64_t max,
                         uint64_t *value)
{
    yyjson_val *v = yyjson_obj_get(object, key);
    if (!yyjson_is_uint(v) || yyjson_get_uint(v) > max)
        return lp_fail(r->ctx, LP_E_FORMAT, "%s: %s: a whole number up to %" PRIu64 " expected",
                       r->path, key, max);
    *value = yyjson_get_uint(v);
    return LP_OK;
}

static lp_status get_u32(const reading *r, yyjson_val *object, const char *key, uint32_t max,
                         uint32_t *value)
{
    uint64_t wide = 0;
    LP_TRY(get_u64(r, object, key, max, &wide));
    *value = (uint32_t)wide;
    return LP_OK;
}

/* An array of at most `max` elements. */
static lp_status get_list(const reading *r, yyjson_val *object, const char *key, size_t max,
                          yyjson_val **list, uint32_t *n)
{
    LP_TRY(lp_json_get_array(r->ctx, r->path, object, key, LP_JSON_REQUIRED, list));
    if (yyjson_arr_size(*list) > max)
        return lp_fail(r->ctx, LP_E_LIMIT, "%s: %s: %zu elements; at most %zu are possible",
                       r->path, key, yyjson_arr_size(*list), max);
    *n = (uint32_t)yyjson_arr_size(*list);
    return LP_OK;
}

static lp_status get_numbers(const reading *r, yyjson_val *object, const char *key, size_t max,
                             uint32_t *values, uint32_t *n)
{
    yyjson_val *list = NULL;
    LP_TRY(get_list(r, object, key, max, &list, n));
    for (uint32_t i = 0; i < *n; i++) {
        yyjson_val *v = yyjson_arr_get(list, i);
        if (!yyjson_is_uint(v) || yyjson_get_uint(v) > UINT32_MAX)
            return lp_fail(r->ctx, LP_E_FORMAT, "%s: %s: element %u is no 32-bit number", r->path,
                           key, i);
        values[i] = (uint32_t)yyjson_get_uint(v);
    }
    return LP_OK;
}

/* ---- Files --------------------------------------------------------------------------------- */

/* A file beside repro.json: names with a path could be anywhere. */
static lp_status open_file(const reading *r, const char *name, lp_file *file)
{
    if (name[0] == '\0' || name[0] == '.' || strchr(name, '/') != NULL)
        return lp_fail(r->ctx, LP_E_FORMAT, "%s: \"%s\" is not the name of a file beside it",
                       r->path, name);
    char *path = lp_path_join(r->folder, name);
    if (path == NULL)
        return lp_fail_memory(r->ctx, "a path");
    lp_status status = lp_file_open(r->ctx, path, file);
    free(path);
    return status;
}

static lp_status open_sized(const reading *r, const char *name, uint64_t bytes, lp_file *file)
{
    LP_TRY(open_file(r, name, file));
    if (file->bytes != bytes)
        return lp_fail(r->ctx, LP_E_FORMAT, "%s: %" PRIu64 " bytes expected, file has %zu",
                       file->path, bytes, file->bytes);
    return LP_OK;
}

static lp_status read_buffers(reading *r, yyjson_val *root)
{
    yyjson_val *list = NULL;
    LP_TRY(get_list(r, root, "buffers", MAX_BUFFERS, &list, &r->n_buffers));
    for (uint32_t i = 0; i < r->n_buffers; i++) {
        yyjson_val *object = yyjson_arr_get(list, i);
        const char *name = NULL;
        uint64_t bytes = 0, number = 0;
        LP_TRY(get_u64(r, object, "number", MAX_BUFFERS, &number));
        LP_TRY(get_u64(r, object, "bytes", MAX_BUFFER_BYTES, &bytes));
        LP_TRY(lp_json_get_string(r->ctx, r->path, object, "file", LP_JSON_REQUIRED, &name));
        if (number != i || bytes % 256 != 0 || (i > 0 && bytes == 0))
            return lp_fail(r->ctx, LP_E_FORMAT, "%s: buffers: element %u makes no sense", r->path,
                           i);
        LP_TRY(open_sized(r, name, bytes, &r->buffers[i]));
        if (i == 0)
            continue;
        char slot_name[24];
        uint32_t index;
        snprintf(slot_name, sizeof slot_name, "buffer %u", i);
        const lp_slot slot = {.name = slot_name,
                              .kind = LP_SLOT_STATE,
                              .dtype = LP_I32,
                              .shape = LP_SHAPE1((int64_t)(bytes / 4))};
        LP_TRY(lp_store_slot(r->ctx, &r->store, &slot, &index));
    }
    if (r->n_buffers == 0)
        return lp_fail(r->ctx, LP_E_FORMAT, "%s: no buffers", r->path);
    return LP_OK;
}

static lp_status read_kernel(reading *r, yyjson_val *object, uint32_t i)
{
    const char *name = NULL, *file = NULL;
    uint32_t needs = 0, word = 0;
    LP_TRY(lp_json_get_string(r->ctx, r->path, object, "kernel", LP_JSON_REQUIRED, &name));
    LP_TRY(lp_json_get_string(r->ctx, r->path, object, "spirv", LP_JSON_REQUIRED, &file));
    LP_TRY(get_u32(r, object, "needs", UINT32_MAX, &needs));
    LP_TRY(open_file(r, file, &r->spirv[i]));
    const lp_file *f = &r->spirv[i];
    if (f->bytes >= 20)
        memcpy(&word, f->data, sizeof word);
    if (f->bytes < 20 || f->bytes % 4 != 0 || f->bytes > MAX_KERNEL_BYTES || word != 0x07230203)
        return lp_fail(r->ctx, LP_E_FORMAT, "%s: not a SPIR-V module", f->path);
    if ((needs & ~r->backend->table->caps(r->backend)->has) != 0)
        return lp_fail(r->ctx, LP_E_UNSUPPORTED, "%s lacks what the kernel %s needs",
                       r->backend->name, name);
    r->kernels[i] = (lp_kernel){.name = name,
                                .family = name,
                                .variant = "-",
                                .needs = needs,
                                .spirv = (const uint32_t *)(const void *)f->data,
                                .spirv_bytes = f->bytes};
    return LP_OK;
}

static lp_status read_parameters(const reading *r, yyjson_val *object, lp_dispatch *d)
{
    const char *hex = NULL;
    LP_TRY(lp_json_get_string(r->ctx, r->path, object, "parameters", LP_JSON_REQUIRED, &hex));
    const size_t n = strlen(hex);
    if (n > 2 * LP_MAX_PUSH || n % 8 != 0 || strspn(hex, "0123456789abcdef") != n)
        return lp_fail(r->ctx, LP_E_FORMAT, "%s: parameters: up to %d bytes in whole words, as "
                       "hexadecimal digits, expected", r->path, LP_MAX_PUSH);
    for (size_t i = 0; i < n / 2; i++) {
        const char digits[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        d->push[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    d->n_push = (uint32_t)(n / 2);
    return LP_OK;
}

static lp_status read_ranges(const reading *r, yyjson_val *object, const char *key,
                             lp_range *ranges, uint32_t *n)
{
    yyjson_val *list = NULL;
    LP_TRY(get_list(r, object, key, LP_MAX_RANGES, &list, n));
    for (uint32_t i = 0; i < *n; i++) {
        yyjson_val *range = yyjson_arr_get(list, i);
        LP_TRY(get_u32(r, range, "buffer", r->n_buffers - 1, &ranges[i].buffer));
        LP_TRY(get_u64(r, range, "offset", MAX_BUFFER_BYTES, &ranges[i].offset));
        LP_TRY(get_u64(r, range, "bytes", MAX_BUFFER_BYTES, &ranges[i].bytes));
    }
    return LP_OK;
}

static lp_status read_dispatch(reading *r, yyjson_val *object, uint32_t index, lp_dispatch *d)
{
    yyjson_val *addresses = NULL;
    uint32_t n_groups = 0;
    bool barrier = false;
    LP_TRY(read_kernel(r, object, index));
    *d = (lp_dispatch){.kernel = &r->kernels[index]};
    LP_TRY(get_numbers(r, object, "groups", 3, d->groups, &n_groups));
    if (n_groups != 3)
        return lp_fail(r->ctx, LP_E_FORMAT, "%s: groups: 3 numbers expected", r->path);
    LP_TRY(get_numbers(r, object, "constants", LP_MAX_SPEC, d->spec, &d->n_spec));
    LP_TRY(read_parameters(r, object, d));
    LP_TRY(get_list(r, object, "addresses", LP_MAX_RANGES, &addresses, &d->n_relocations));
    for (uint32_t i = 0; i < d->n_relocations; i++) {
        yyjson_val *address = yyjson_arr_get(addresses, i);
        lp_relocation *to = &d->relocations[i];
        uint32_t at = 0;
        LP_TRY(get_u32(r, address, "at", LP_MAX_PUSH - 8, &at));
        LP_TRY(get_u32(r, address, "buffer", r->n_buffers - 1, &to->buffer));
        LP_TRY(get_u64(r, address, "offset", r->buffers[to->buffer].bytes, &to->offset));
        to->push_offset = (uint16_t)at;
    }
    LP_TRY(read_ranges(r, object, "reads", d->reads, &d->n_reads));
    LP_TRY(read_ranges(r, object, "writes", d->writes, &d->n_writes));
    LP_TRY(lp_json_get_bool(r->ctx, r->path, object, "barrier", LP_JSON_REQUIRED, &barrier));
    d->barrier = barrier;
    return LP_OK;
}

static lp_status read_plan(reading *r, yyjson_val *root)
{
    yyjson_val *list = NULL;
    uint32_t n = 0, subgroup = 0;
    const uint32_t own = r->backend->table->caps(r->backend)->subgroup_size;
    LP_TRY(get_list(r, root, "dispatches", MAX_DISPATCHES, &list, &n));
    LP_TRY(get_u32(r, root, "subgroup", 1024, &subgroup));
    r->plan = calloc(1, sizeof *r->plan);
    if (r->plan == NULL)
        return lp_fail_memory(r->ctx, "a plan");
    r->plan->dispatches = calloc(n + 1, sizeof *r->plan->dispatches);
    if (r->plan->dispatches == NULL)
        return lp_fail_memory(r->ctx, "a plan");
    r->plan->arena.bytes = r->buffers[0].bytes;
    for (uint32_t i = 0; i < n; i++) {
        LP_TRY(read_dispatch(r, yyjson_arr_get(list, i), i, &r->plan->dispatches[i]));
        r->plan->n_dispatches++;
        if ((r->kernels[i].needs & LP_NEED_SUBGROUP_ARITH) != 0 && subgroup != own)
            return lp_fail(r->ctx, LP_E_UNSUPPORTED,
                           "the repro is for subgroups of %u; those of %s have %u", subgroup,
                           r->backend->name, own);
    }
    return LP_OK;
}

/* Bytes of a row of the output. */
static uint64_t row_bytes(const reading *r)
{
    return lp_state_bytes(r->out_type, lp_state_stride(r->out_type, r->row));
}

/* Where the result lies, and what it should be; its shape goes to the report's row. */
static lp_status read_output(reading *r, yyjson_val *root, lp_check_node *row)
{
    yyjson_val *object = NULL, *shape = NULL;
    const char *type = NULL;
    uint32_t n_dims = 0;
    LP_TRY(lp_json_get_object(r->ctx, r->path, root, "output", LP_JSON_REQUIRED, &object));
    LP_TRY(get_u32(r, object, "buffer", r->n_buffers - 1, &r->out_buffer));
    LP_TRY(get_u64(r, object, "offset", r->buffers[r->out_buffer].bytes, &r->out_offset));
    LP_TRY(lp_json_get_string(r->ctx, r->path, object, "type", LP_JSON_REQUIRED, &type));
    r->out_type = lp_dtype_from_name(type);
    if (r->out_type != LP_I32 && !lp_is_cache_type(r->out_type))
        return lp_fail(r->ctx, LP_E_FORMAT, "%s: output: type %s", r->path, type);
    r->row = 1;
    if (lp_dtype_table[r->out_type].block > 1)
        LP_TRY(get_u64(r, object, "row", INT32_MAX, &r->row));
    if (r->row == 0)
        return lp_fail(r->ctx, LP_E_FORMAT, "%s: output: rows without elements", r->path);
    const uint64_t room = r->buffers[r->out_buffer].bytes - r->out_offset;
    LP_TRY(get_u64(r, object, "elements", room / row_bytes(r) * r->row, &r->n_elements));
    LP_TRY(get_list(r, object, "shape", LP_MAX_DIMS, &shape, &n_dims));
    lp_shape s = {.n = (int)n_dims, .dim = {1, 1, 1, 1}};
    for (uint32_t i = 0; i < n_dims; i++) {
        yyjson_val *v = yyjson_arr_get(shape, i);
        s.dim[i] = yyjson_is_uint(v) && yyjson_get_uint(v) <= INT32_MAX
                       ? (int64_t)yyjson_get_uint(v) : -1;
    }
    if (n_dims == 0 || r->n_elements == 0 || r->n_elements % r->row != 0 ||
        lp_shape_elements(s) != (int64_t)r->n_elements)
        return lp_fail(r->ctx, LP_E_FORMAT, "%s: output: shape and number of elements do not fit",
                       r->path);
    row->n_dims = s.n;
    memcpy(row->dims, s.dim, sizeof row->dims);
    LP_TRY(open_sized(r, "expected.bin", 4 * r->n_elements, &r->expected));
    char *path = lp_path_join(r->folder, "sigma.bin");
    if (path == NULL)
        return lp_fail_memory(r->ctx, "a path");
    FILE *there = fopen(path, "rb");
    free(path);
    if (there == NULL)
        return LP_OK; /* the result must be exact */
    fclose(there);
    return open_sized(r, "sigma.bin", 4 * r->n_elements, &r->sigma);
}

/* ---- Running ------------------------------------------------------------------------------- */

static lp_status run_once(const reading *r, float *got, uint8_t *arena)
{
    const lp_backend_table *table = r->backend->table;
    const uint64_t n_rows = r->n_elements / r->row, bytes = n_rows * row_bytes(r);
    uint64_t ticket = 0;
    for (uint32_t i = 0; i < r->n_buffers; i++)
        if (r->buffers[i].bytes > 0)
            LP_TRY(table->raw_write(r->backend, i, 0, r->buffers[i].data, r->buffers[i].bytes));
    LP_TRY(table->submit(r->program, 1, &ticket));
    LP_TRY(table->wait(r->backend, ticket));
    if (r->buffers[0].bytes > 0)
        LP_TRY(table->raw_read(r->backend, LP_BUFFER_ARENA, 0, arena, r->buffers[0].bytes));
    uint8_t *raw = malloc(bytes);
    if (raw == NULL)
        return lp_fail_memory(r->ctx, "the repro's output");
    lp_status status = table->raw_read(r->backend, r->out_buffer, r->out_offset, raw, bytes);
    if (status == LP_OK)
        lp_state_load(r->out_type, raw, r->row, n_rows, got);
    free(raw);
    return status;
}

static lp_status judge(reading *r, uint32_t n_runs, lp_check_node *row)
{
    lp_status status = LP_OK;
    lp_step_result result = {0};
    float *got = malloc(r->n_elements * sizeof *got), *again = malloc(r->n_elements * sizeof *got);
    uint8_t *arena = malloc(r->buffers[0].bytes + 1);
    if (got == NULL || again == NULL || arena == NULL) {
        status = lp_fail_memory(r->ctx, "the repro's output");
        goto cleanup;
    }
    LP_CHECK(run_once(r, got, arena));
    result.stray = lp_step_stray(r->plan, r->buffers[0].data, arena, &result.stray_offset);
    for (uint32_t i = 1; i < n_runs && !result.flaky; i++) {
        LP_CHECK(run_once(r, again, arena));
        result.flaky = memcmp(got, again, r->n_elements * sizeof *got) != 0;
    }
    for (uint64_t i = 0; i < r->n_elements; i++) {
        uint32_t bits;
        memcpy(&bits, &got[i], sizeof bits);
        result.n_unwritten += bits == LP_CHECK_POISON;
    }
    row->isolated = lp_compare((const float *)(const void *)r->expected.data, got,
                               (const float *)(const void *)r->sigma.data, r->n_elements);
    row->finding = lp_judge_finding(&row->isolated, &result);
cleanup:
    free(got);
    free(again);
    free(arena);
    return status;
}

static const char *text_of(const reading *r, yyjson_val *root, const char *key)
{
    const char *value = yyjson_get_str(yyjson_obj_get(root, key));
    char *text = lp_arena_strdup(r->arena, value != NULL ? value : "?");
    return text != NULL ? text : "?";
}

static lp_status start(reading *r)
{
    if (r->backend->table->program_from_plan == NULL)
        return lp_fail(r->ctx, LP_E_UNSUPPORTED, "a repro holds shaders, which %s cannot run",
                       r->backend->name);
    r->path = lp_path_join(r->folder, "repro.json");
    if (r->path == NULL)
        return lp_fail_memory(r->ctx, "a path");
    return lp_json_open(r->ctx, r->path, &r->doc);
}

static lp_status make_program(reading *r)
{
    LP_TRY(r->backend->table->load(r->backend, &r->store, NULL, NULL));
    r->node.name = "repro";
    r->graph = (lp_graph){.store = &r->store, .nodes = &r->node, .n_nodes = 1};
    lp_plan *plan = r->plan;
    r->plan = NULL;
    LP_TRY(r->backend->table->program_from_plan(r->backend, &r->graph, plan, &r->program));
    r->plan = plan; /* the program's now */
    return LP_OK;
}

lp_status lp_repro_run(lp_context *ctx, const char *folder, lp_backend *backend, uint32_t n_runs,
                       lp_arena *arena, lp_report *report)
{
    lp_status status = LP_OK;
    reading *r = calloc(1, sizeof *r);
    if (r == NULL)
        return lp_fail_memory(ctx, "a repro");
    *r = (reading){.ctx = ctx, .folder = folder, .arena = arena, .backend = backend};
    LP_CHECK(start(r));
    yyjson_val *root = yyjson_doc_get_root(r->doc);
    report->passes = lp_arena_array(arena, 1, sizeof *report->passes);
    lp_check_node *row = lp_arena_array(arena, 1, sizeof *row);
    if (report->passes == NULL || row == NULL) {
        status = lp_fail_memory(ctx, "a report");
        goto cleanup;
    }
    uint64_t schema = 0;
    uint32_t n_tokens = 0;
    uint64_t n_inputs = 0;
    LP_CHECK(get_u64(r, root, "schema", 1, &schema));
    LP_CHECK(get_u32(r, root, "tokens", LP_MAX_CONTEXT, &n_tokens));
    LP_CHECK(get_u64(r, root, "inputs", INT32_MAX, &n_inputs));
    LP_CHECK(read_buffers(r, root));
    LP_CHECK(read_plan(r, root));
    LP_CHECK(read_output(r, root, row));
    LP_CHECK(make_program(r));
    row->name = text_of(r, root, "node");
    row->op = text_of(r, root, "op");
    row->type = text_of(r, root, "type");
    row->n_inputs = (int64_t)n_inputs;
    row->detail = row->digest = row->kernels = "";
    for (uint32_t i = 0; i < r->plan->n_dispatches && row->kernels != NULL; i++)
        row->kernels = lp_arena_printf(arena, "%s%s%s", row->kernels, i ? " + " : "",
                                       r->kernels[i].name);
    report->model = text_of(r, root, "model");
    report->n_passes = 1;
    report->passes[0] =
        (lp_check_pass){.name = "repro", .n_tokens = n_tokens, .n_nodes = 1, .nodes = row, .digest = "", .choices = ""};
    LP_CHECK(judge(r, n_runs, row));
    if (row->kernels == NULL)
        status = lp_fail_memory(ctx, "a report");
cleanup:
    if (r->program != NULL)
        backend->table->program_destroy(r->program);
    else
        lp_plan_destroy(r->plan);
    for (uint32_t i = 0; i < MAX_BUFFERS; i++)
        lp_file_close(&r->buffers[i]);
    for (uint32_t i = 0; i < MAX_DISPATCHES; i++)
        lp_file_close(&r->spirv[i]);
    lp_file_close(&r->expected);
    lp_file_close(&r->sigma);
    lp_store_destroy(&r->store);
    yyjson_doc_free(r->doc);
    free(r->path);
    free(r);
    return status;
}
