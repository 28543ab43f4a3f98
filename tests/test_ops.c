// Every row of the op table on the device under test (LAPILLI_TEST_DEVICE: cpu, vulkan:N), against
// the reference. Outputs are poisoned with NaN before every run; a second run must give the same
// bits.
//
// On Vulkan the ranges that a plan declares are proved by running: all bytes outside the declared
// reads are NaN before the run, so the result shows any other read; all bytes outside the declared
// writes must be the same after it. Guard bytes lie after every activation. Faults are planted, to
// see that each of these checks can fail.
//
// Plans depend on the device's facts. So that a CPU implementation also tests what a GPU would run,
// every case is planned again as for a GPU, with and without subgroup operations.
#include "check/compare.h"
#include "check/op_table.h"
#include "cpu/cpu_backend.h"
#include "vulkan/vulkan_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GUARD_BYTES 1024

static lp_case_table *table;
static lp_context table_ctx, device_ctx;
static lp_vulkan *vulkan;
static lp_backend *reference, *device;
static bool on_vulkan;
static int n_int8_cases;

static void must(lp_status status, const lp_context *ctx)
{
    if (status != LP_OK) {
        fail_msg("%s: %s", lp_status_text(status), ctx->message);
    }
}

static void *room(uint64_t bytes)
{
    void *memory = calloc(1, bytes + 1);
    assert_non_null(memory);
    return memory;
}

static void log_line(void *user, lp_log_level level, const char *line)
{
    (void)user;
    if (level <= LP_LOG_WARN)
        print_error("%s\n", line);
}

static int set_up(void **state)
{
    (void)state;
    device_ctx.log = log_line;
    device_ctx.level = LP_LOG_WARN;
    const char *name = getenv("LAPILLI_TEST_DEVICE");
    must(lp_case_table_create(&table_ctx, &table), &table_ctx);
    must(lp_cpu_backend_create(table->ctx, false, &reference), table->ctx);
    if (name != NULL && strncmp(name, "vulkan:", 7) == 0) {
        on_vulkan = true;
        must(lp_vulkan_create(&device_ctx, getenv("LAPILLI_TEST_VALIDATION") != NULL, &vulkan),
             &device_ctx);
        must(lp_vulkan_backend_create(&device_ctx, vulkan, (uint32_t)atoi(name + 7),
                                      (lp_vulkan_options){0}, &device),
             &device_ctx);
    } else {
        must(lp_cpu_backend_create(&device_ctx, true, &device), &device_ctx);
    }
    print_message("device: %s\n", device->name);
    must(reference->table->load(reference, &table->store, NULL, NULL), table->ctx);
    must(device->table->load(device, &table->store, NULL, NULL), &device_ctx);
    return 0;
}

static void print_sigma(void);

static int tear_down(void **state)
{
    (void)state;
    print_sigma();
    if (device != NULL)
        device->table->destroy(device);
    if (reference != NULL)
        reference->table->destroy(reference);
    const uint32_t n_messages = vulkan != NULL ? lp_vulkan_validation_errors(vulkan) : 0;
    lp_vulkan_destroy(vulkan);
    lp_case_table_destroy(table);
    if (n_messages != 0)
        print_error("%u messages of the validation layers\n", n_messages);
    return n_messages != 0;
}

// ---- One run

static void write_data(lp_backend *backend, lp_program *program, const lp_case *row)
{
    for (int i = 0; i < row->n_outputs; i++) {
        const lp_tensor *t = &row->graph->tensors[row->outputs[i].id];
        if (t->slot != LP_NONE)
            continue;
        float *poison = room(row->outputs[i].bytes);
        for (uint64_t k = 0; k < row->outputs[i].bytes / 4; k++)
            poison[k] = NAN;
        must(backend->table->tensor_write(program, row->outputs[i].id, poison), backend->ctx);
        free(poison);
    }
    for (int i = 0; i < row->n_inputs; i++)
        must(backend->table->tensor_write(program, row->inputs[i].id, row->inputs[i].data),
             backend->ctx);
    for (int i = 0; i < row->n_states; i++)
        must(backend->table->slot_write(backend, row->graph->tensors[row->states[i].id].slot, 0,
                                        row->states[i].data, row->states[i].bytes),
             backend->ctx);
}

// Runs once and reads all outputs, one after the other, into `to`.
static void run(lp_backend *backend, lp_program *program, const lp_case *row, uint8_t *to)
{
    uint64_t ticket = 0;
    must(backend->table->submit(program, 1, &ticket), backend->ctx);
    must(backend->table->wait(backend, ticket), backend->ctx);
    for (int i = 0; i < row->n_outputs; i++) {
        const lp_case_tensor *out = &row->outputs[i];
        const lp_tensor *t = &row->graph->tensors[out->id];
        if (t->slot == LP_NONE)
            must(backend->table->tensor_read(program, out->id, (float *)(void *)to), backend->ctx);
        else
            must(backend->table->slot_read(backend, t->slot, 0, to, out->bytes), backend->ctx);
        to += (out->bytes + 7) / 8 * 8;
    }
}

static uint64_t output_bytes(const lp_case *row)
{
    uint64_t bytes = 0;
    for (int i = 0; i < row->n_outputs; i++)
        bytes += (row->outputs[i].bytes + 7) / 8 * 8;
    return bytes;
}

static bool compare_outputs(const lp_case *row, const uint8_t *want, const uint8_t *got, char *why)
{
    for (int i = 0; i < row->n_outputs; i++) {
        const uint64_t bytes = row->outputs[i].bytes;
        if (row->graph->tensors[row->outputs[i].id].dtype == LP_F32) {
            if (!lp_case_compare((const float *)(const void *)want,
                                 (const float *)(const void *)got, bytes / 4, row->gate, why))
                return false;
        } else if (memcmp(want, got, bytes) != 0) {
            snprintf(why, 256, "output %d differs", i);
            return false;
        }
        want += (bytes + 7) / 8 * 8;
        got += (bytes + 7) / 8 * 8;
    }
    return true;
}

// ---- Sigma

// The largest errors in units of sigma that any case of an op had.
typedef struct sigma_worst {
    double mean_square, largest;
    const char *mean_case, *largest_case;
} sigma_worst;

static sigma_worst worst_of[LP_N_OPS];

// Where the node's first output lies among the outputs, and its elements; false if the op has no
// sigma.
static bool sigma_output(const lp_case *row, uint64_t *at, uint64_t *n)
{
    *at = 0;
    for (int i = 0; i < row->n_outputs; i++) {
        const lp_tensor_id id = row->outputs[i].id;
        *n = row->outputs[i].bytes / 4;
        if (id == row->graph->nodes[0].dst[0])
            return row->graph->tensors[id].slot == LP_NONE;
        *at += (row->outputs[i].bytes + 7) / 8 * 8;
    }
    return false;
}

// Sigma of a case's first output, NULL if it has none. The results must be the same as without.
static float *sigma_of(lp_program *judge, const lp_case *row, const uint8_t *want)
{
    uint64_t at, n;
    if (!sigma_output(row, &at, &n))
        return NULL;
    float *sigma = room(n * sizeof *sigma), *y = room(n * sizeof *y);
    for (uint64_t i = 0; i < n; i++)
        sigma[i] = NAN;
    write_data(reference, judge, row);
    must(lp_cpu_program_node(judge, 0, sigma), table->ctx);
    must(reference->table->tensor_read(judge, row->graph->nodes[0].dst[0], y), table->ctx);
    assert_memory_equal(y, want + at, n * sizeof *y);
    for (uint64_t i = 0; i < n; i++)
        assert_true(!isfinite(y[i]) || (sigma[i] > 0 && isfinite(sigma[i])));
    free(y);
    return sigma;
}

static bool compare_sigma(const lp_case *row, const uint8_t *want, const uint8_t *got,
                          const float *sigma, char *why)
{
    uint64_t at, n;
    if (sigma == NULL || !sigma_output(row, &at, &n))
        return true;
    const lp_difference d = lp_compare((const float *)(const void *)(want + at),
                                       (const float *)(const void *)(got + at), sigma, n);
    sigma_worst *worst = &worst_of[row->op];
    if (d.mean_square > worst->mean_square) {
        worst->mean_square = d.mean_square;
        worst->mean_case = row->name;
    }
    if (d.largest > worst->largest) {
        worst->largest = d.largest;
        worst->largest_case = row->name;
    }
    if (lp_difference_agrees(&d))
        return true;
    snprintf(
        why, 256,
        "in units of sigma: mean square %.3g (gate %g), largest %.3g (gate %g) at element %llu",
        d.mean_square, LP_SIGMA_MEAN, d.largest, LP_SIGMA_LARGEST, (unsigned long long)d.worst);
    return false;
}

static void print_sigma(void)
{
    print_message("in units of sigma: largest mean square, largest error, of any case of an op\n");
    for (int op = 0; op < LP_N_OPS; op++) {
        const sigma_worst *worst = &worst_of[op];
        if (worst->mean_case != NULL)
            print_message("%-9s %6.3f  %s\n%9s %6.3f  %s\n", lp_op_name(op), worst->mean_square,
                          worst->mean_case, "", worst->largest, worst->largest_case);
    }
}

// ---- Declared ranges

// Every buffer that a case's plan can reach: its bytes before the run and what is declared.
typedef struct image {
    uint32_t buffer;
    uint64_t bytes;
    uint8_t *before, *after, *read, *written; // the last two: 1 per declared byte
} image;

static void image_free(image *images, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        free(images[i].before);
        free(images[i].after);
        free(images[i].read);
        free(images[i].written);
    }
    free(images);
}

static void declare(const image *im, uint8_t *mask, const lp_range *ranges, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (ranges[i].buffer != im->buffer)
            continue;
        assert_true(ranges[i].offset + ranges[i].bytes <= im->bytes);
        memset(mask + ranges[i].offset, 1, ranges[i].bytes);
    }
}

// Fills all bytes outside the declared reads with NaN (all bits set), and remembers everything.
// States keep what is declared as written, too: an op in place (a cache) need not write all of it.
static image *prepare_images(const lp_case *row, const lp_plan *plan, uint32_t *n_images)
{
    image *images = room((row->graph->n_tensors + 1) * sizeof *images);
    uint32_t n = 0;
    images[n++] = (image){.buffer = LP_BUFFER_ARENA, .bytes = plan->arena.bytes};
    for (uint32_t i = 0; i < row->graph->n_tensors; i++) {
        const uint32_t slot = row->graph->tensors[i].slot;
        if (slot == LP_NONE || row->graph->tensors[i].base != i)
            continue;
        images[n++] = (image){.buffer = LP_BUFFER_SLOT(slot),
                              .bytes = lp_slot_device_bytes(&table->store.slots[slot])};
    }
    for (uint32_t i = 0; i < n; i++) {
        image *im = &images[i];
        im->before = room(im->bytes);
        im->after = room(im->bytes);
        im->read = room(im->bytes);
        im->written = room(im->bytes);
        for (uint32_t k = 0; k < plan->n_dispatches; k++) {
            const lp_dispatch *d = &plan->dispatches[k];
            declare(im, im->read, d->reads, d->n_reads);
            declare(im, im->written, d->writes, d->n_writes);
        }
        must(lp_vulkan_raw_read(device, im->buffer, 0, im->before, im->bytes), &device_ctx);
        for (uint64_t k = 0; k < im->bytes; k++)
            if (!im->read[k] && (im->buffer == LP_BUFFER_ARENA || !im->written[k]))
                im->before[k] = 0xff;
        must(lp_vulkan_raw_write(device, im->buffer, 0, im->before, im->bytes), &device_ctx);
    }
    *n_images = n;
    return images;
}

static bool check_images(const image *images, uint32_t n, char *why)
{
    for (uint32_t i = 0; i < n; i++) {
        const image *im = &images[i];
        must(lp_vulkan_raw_read(device, im->buffer, 0, im->after, im->bytes), &device_ctx);
        for (uint64_t k = 0; k < im->bytes; k++)
            if (!im->written[k] && im->before[k] != im->after[k]) {
                snprintf(why, 256, "byte %llu of buffer %u is written but not declared",
                         (unsigned long long)k, im->buffer);
                return false;
            }
    }
    return true;
}

// ---- A case

enum { NO_FAULT, HIDE_WRITES, HALVE_READS };

// Changes what the plan declares (not what it does).
static void plant(const lp_plan *plan, int fault)
{
    for (uint32_t i = 0; i < plan->n_dispatches; i++) {
        lp_dispatch *d = &plan->dispatches[i];
        if (fault == HIDE_WRITES)
            d->n_writes = 0;
        for (uint32_t k = 0; fault == HALVE_READS && k < d->n_reads; k++)
            if (d->reads[k].buffer == LP_BUFFER_ARENA)
                d->reads[k].bytes /= 2;
    }
}

// Runs and checks a case on the device, once made ready to run there.
static bool check_program(const lp_case *row, lp_program *program, const uint8_t *want,
                          const float *sigma, int fault, char *why)
{
    const uint64_t bytes = output_bytes(row);
    uint8_t *got = room(bytes), *again = room(bytes);
    image *images = NULL;
    uint32_t n_images = 0;
    write_data(device, program, row);
    if (on_vulkan) {
        const lp_plan *plan = lp_vulkan_program_plan(program);
        plant(plan, fault);
        images = prepare_images(row, plan, &n_images);
    }
    run(device, program, row, got);
    bool good = compare_outputs(row, want, got, why) && check_images(images, n_images, why);
    if (good && fault == NO_FAULT)
        good = compare_sigma(row, want, got, sigma, why);
    if (good) {
        write_data(device, program, row);
        run(device, program, row, again);
        good = memcmp(got, again, bytes) == 0;
        if (!good)
            snprintf(why, 256, "a second run gives other bits");
    }
    image_free(images, n_images);
    free(got);
    free(again);
    return good;
}

static bool same_dispatches(const lp_plan *a, const lp_plan *b)
{
    bool same = a->n_dispatches == b->n_dispatches;
    for (uint32_t i = 0; same && i < a->n_dispatches; i++) {
        const lp_dispatch *p = &a->dispatches[i], *q = &b->dispatches[i];
        same = p->kernel == q->kernel && memcmp(p->groups, q->groups, sizeof p->groups) == 0 &&
               memcmp(p->spec, q->spec, sizeof p->spec) == 0;
    }
    return same;
}

enum { AS_IT_IS, AS_GPU, AS_PLAIN_GPU, N_GUISES };
static const char *const guises[] = {"as it is", "as a GPU", "as a GPU without subgroups"};

// The device's program for a case, planned as if the device were something else; NULL if that is
// the plan of an earlier guise.
static lp_program *program_for(const lp_case *row, int guise)
{
    const lp_plan_options options = {.keep_all = true, .guard_bytes = GUARD_BYTES};
    lp_program *program = NULL;
    if (guise == AS_IT_IS) {
        must(device->table->program_create(device, row->graph, options, &program), &device_ctx);
        return program;
    }
    lp_plan *plans[N_GUISES] = {NULL};
    bool news = true;
    for (int i = 0; i <= guise; i++) {
        lp_caps caps = *lp_vulkan_backend_caps(device);
        if (i > AS_IT_IS) {
            caps.is_cpu = false;
            caps.n_cores = 64;
        }
        if (i == AS_PLAIN_GPU)
            caps.has &= ~(uint32_t)LP_NEED_SUBGROUP_ARITH;
        must(lp_plan_create(&device_ctx, row->graph, &caps, options, &plans[i]), &device_ctx);
    }
    for (int i = 0; i < guise; i++) {
        news = news && !same_dispatches(plans[i], plans[guise]);
        lp_plan_destroy(plans[i]);
    }
    if (news)
        must(lp_vulkan_program_from_plan(device, row->graph, plans[guise], &program), &device_ctx);
    else
        lp_plan_destroy(plans[guise]);
    return program;
}

// llvmpipe compiles attention as for a GPU for many seconds, and for minutes where heads are wide.
// There one row in four is run so; SwiftShader and GPUs run all.
static bool runs_as_gpu(const lp_case *row)
{
    enum { WIDEST = 256, ONE_IN = 4 };
    if (!on_vulkan)
        return false;
    if (row->op != LP_OP_ATTENTION || strstr(device->name, "llvmpipe") == NULL)
        return true;
    const lp_shape *keys = &row->graph->tensors[row->graph->nodes[0].src[1]].shape;
    return keys->dim[2] <= WIDEST && (row - table->cases) % ONE_IN == 0;
}

static bool run_case(const lp_case *row, int fault, char *why)
{
    uint8_t *want = room(output_bytes(row));
    lp_program *judge = NULL;
    must(reference->table->program_create(reference, row->graph,
                                          (lp_plan_options){.keep_all = true}, &judge),
         table->ctx);
    write_data(reference, judge, row);
    run(reference, judge, row, want);
    float *sigma = sigma_of(judge, row, want);
    reference->table->program_destroy(judge);

    bool good = true;
    for (int guise = AS_IT_IS; good && guise < (runs_as_gpu(row) ? N_GUISES : 1); guise++) {
        lp_program *program = program_for(row, guise);
        if (program == NULL)
            continue;
        good = check_program(row, program, want, sigma, fault, why);
        device->table->program_destroy(program);
        if (!good) {
            const size_t n = strlen(why);
            snprintf(why + n, 256 - n, " (%s)", guises[guise]);
        }
    }
    free(sigma);
    free(want);
    return good;
}

// The same case with x rounded to int8, where the device prefers that.
static bool run_int8_case(const lp_case *row, char *why)
{
    lp_node *node = &row->graph->nodes[0];
    if (node->op != LP_OP_LINEAR)
        return true;
    const lp_tensor *w = &row->graph->tensors[node->src[1]];
    if ((device->int8_types >> w->dtype & 1) == 0)
        return true;
    n_int8_cases++;
    node->p.linear.int8 = true;
    const bool good = run_case(row, NO_FAULT, why);
    node->p.linear.int8 = false;
    if (!good) {
        const size_t n = strlen(why);
        snprintf(why + n, 256 - n, " (x in int8)");
    }
    return good;
}

// LAPILLI_TEST_ROWS: only rows with this in their names.
static void cases_of(lp_op op)
{
    const char *only = getenv("LAPILLI_TEST_ROWS");
    int n = 0, n_failed = 0;
    for (int i = 0; i < table->n; i++) {
        char why[256] = "";
        if (table->cases[i].op != op ||
            (only != NULL && strstr(table->cases[i].name, only) == NULL))
            continue;
        n++;
        if (!run_case(&table->cases[i], NO_FAULT, why) || !run_int8_case(&table->cases[i], why)) {
            n_failed++;
            print_error("%s: %s\n", table->cases[i].name, why);
        }
    }
    print_message("%s: %d cases\n", lp_op_name(op), n);
    if (op == LP_OP_LINEAR && device->int8_types != 0) {
        print_message("linear: %d cases also with x in int8\n", n_int8_cases);
        assert_true(n_int8_cases > 0 || only != NULL);
    }
    if (n == 0 && only == NULL) {
        fail_msg("op %s has no row in the table", lp_op_name(op));
    }
    if (n_failed != 0) {
        fail_msg("%d of %d cases failed", n_failed, n);
    }
}

#define OP(id, name, purpose)                                                                      \
    static void op_##name(void **state)                                                            \
    {                                                                                              \
        (void)state;                                                                               \
        cases_of(LP_OP_##id);                                                                      \
    }
#include "graph/ops.def"
#undef OP

// ---- The checks themselves

static void gates_catch_one_wrong_element(void **state)
{
    (void)state;
    enum { N = 1000000 };
    char why[256];
    float *a = room(N * sizeof *a), *b = room(N * sizeof *b);
    for (int i = 0; i < N; i++)
        a[i] = b[i] = (float)(i % 7 - 3);
    assert_true(lp_case_compare(a, b, N, LP_CASE_FP32, why));
    b[777777] += 1e-3f; // NMSE 2.5e-13: only the largest error tells
    assert_false(lp_case_compare(a, b, N, LP_CASE_FP32, why));
    b[777777] = NAN;
    assert_false(lp_case_compare(a, b, N, LP_CASE_FP32, why));
    b[777777] = a[777777];
    for (int i = 0; i < N; i++) // each small, together too much
        b[i] = a[i] * (1 + 2e-5f);
    assert_false(lp_case_compare(a, b, N, LP_CASE_FP32, why));
    for (int i = 0; i < N; i++)
        a[i] = b[i] = 0;
    assert_true(lp_case_compare(a, b, N, LP_CASE_FP32, why));
    b[5] = 1e-30f;
    assert_false(lp_case_compare(a, b, N, LP_CASE_FP32, why));
    b[5] = 0;
    assert_true(lp_case_compare(a, b, N, LP_CASE_EXACT, why));
    free(a);
    free(b);
}

static void undeclared_ranges_are_caught(void **state)
{
    (void)state;
    if (!on_vulkan)
        skip();
    for (int op = 0; op < LP_N_OPS; op++) {
        if (op != LP_OP_LINEAR && op != LP_OP_NORM && op != LP_OP_ADD)
            continue;
        int i = 0;
        while (table->cases[i].op != (lp_op)op || table->cases[i].n_tokens < 2)
            i++;
        char why[256] = "";
        assert_true(run_case(&table->cases[i], NO_FAULT, why));
        assert_false(run_case(&table->cases[i], HIDE_WRITES, why));
        assert_false(run_case(&table->cases[i], HALVE_READS, why));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define OP(id, name, purpose) cmocka_unit_test(op_##name),
#include "graph/ops.def"
#undef OP
        cmocka_unit_test(gates_catch_one_wrong_element),
        cmocka_unit_test(undeclared_ranges_are_caught),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
