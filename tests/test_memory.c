/* The memory planner: no two tensors that live at the same time share a byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "graph/memory.h"

static uint32_t next(uint64_t *state) /* Knuth's MMIX generator, upper half */
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

static bool meet(const lp_interval *a, const lp_interval *b)
{
    return a->first <= b->last && b->first <= a->last;
}

static void no_overlap_on_random_lifetimes(void **state)
{
    (void)state;
    lp_context ctx = {0};
    uint64_t random = 1;
    for (int round = 0; round < 300; round++) {
        lp_interval list[64];
        uint32_t n = 1 + next(&random) % 64;
        uint64_t total, sum = 0, guard = round % 3 ? 0 : 64;
        bool disjoint = round % 5 == 0;
        for (uint32_t i = 0; i < n; i++) {
            uint32_t first = next(&random) % 40;
            list[i] = (lp_interval){.first = first,
                                    .last = first + next(&random) % 8,
                                    .bytes = next(&random) % 5000};
            sum += (list[i].bytes + guard + 255) / 256 * 256;
        }
        assert_int_equal(lp_memory_plan(&ctx, list, n, guard, disjoint, &total), LP_OK);
        assert_true(total <= sum);
        if (disjoint)
            assert_int_equal(total, sum);
        for (uint32_t i = 0; i < n; i++) {
            assert_int_equal(list[i].offset % 256, 0);
            assert_true(list[i].offset + list[i].bytes + guard <= total);
            for (uint32_t j = 0; j < i; j++)
                if ((disjoint || meet(&list[i], &list[j])) && list[i].bytes && list[j].bytes)
                    assert_true(list[i].offset + list[i].bytes + guard <= list[j].offset ||
                                list[j].offset + list[j].bytes + guard <= list[i].offset);
        }
    }
}

static void a_chain_needs_room_for_two(void **state)
{
    (void)state;
    lp_context ctx = {0};
    lp_interval list[20];
    uint64_t total;
    for (uint32_t i = 0; i < 20; i++) /* each is read by the next node only */
        list[i] = (lp_interval){.first = i, .last = i + 1, .bytes = 1024};
    assert_int_equal(lp_memory_plan(&ctx, list, 20, 0, false, &total), LP_OK);
    assert_int_equal(total, 2048);
}

static void nothing_needs_nothing(void **state)
{
    (void)state;
    lp_context ctx = {0};
    uint64_t total = 1;
    assert_int_equal(lp_memory_plan(&ctx, NULL, 0, 0, false, &total), LP_OK);
    assert_int_equal(total, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_overlap_on_random_lifetimes),
        cmocka_unit_test(a_chain_needs_room_for_two),
        cmocka_unit_test(nothing_needs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
