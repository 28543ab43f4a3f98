/* Stop strings: what is given out is the text before the stop string that begins first, however the
 * text is cut into pieces, and never a byte that turns out to belong to one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "text/stop.h"

static lp_context ctx;
static uint64_t random_state = 7;

static uint32_t below(uint32_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % n;
}

typedef struct given {
    char data[256];
    size_t n, refuse_at;
} given;

static int take(void *user, const char *bytes, size_t n)
{
    given *to = user;
    assert_true(n > 0 && to->n + n < sizeof to->data);
    assert_int_equal(lp_utf8_valid_bytes(bytes, n), n);
    memcpy(to->data + to->n, bytes, n);
    to->n += n;
    to->data[to->n] = '\0';
    return to->refuse_at != 0 && to->n >= to->refuse_at;
}

static void any_pieces_give_the_same(void **state)
{
    (void)state;
    int n_found = 0;
    for (int k = 0; k < 30000; k++) {
        static const char *const letters[] = {"a", "b", "\xc3\xa9", "\xf0\x9f\xa6\x99"};
        char text[128] = "", stops[3][16];
        const char *list[3];
        const size_t n_stops = below(4);
        size_t at = SIZE_MAX;
        for (uint32_t i = 0, n = below(30); i < n; i++)
            strcat(text, letters[below(k % 2 ? 2 : 4)]);
        for (size_t s = 0; s < n_stops; s++) {
            stops[s][0] = '\0';
            list[s] = stops[s];
            for (uint32_t i = 0, n = 1 + below(4); i < n; i++)
                if (strlen(stops[s]) < 12)
                    strcat(stops[s], letters[below(k % 2 ? 2 : 4)]);
            const char *found = strstr(text, stops[s]);
            if (found != NULL && (size_t)(found - text) < at)
                at = (size_t)(found - text);
        }
        given out = {0};
        lp_stop_text to = {.stops = list, .n_stops = n_stops, .on_text = take, .user = &out};
        const size_t bytes = strlen(text);
        for (size_t i = 0; i < bytes;) {
            size_t n = 1 + below(5);
            n = n < bytes - i ? n : bytes - i;
            assert_int_equal(lp_stop_push(&ctx, &to, text + i, n), LP_OK);
            i += n;
        }
        assert_int_equal(lp_stop_finish(&ctx, &to), LP_OK);
        if (at != SIZE_MAX)
            text[at] = '\0';
        assert_string_equal(out.data, text);
        assert_int_equal(to.found, at != SIZE_MAX);
        n_found += to.found;
        free(to.held);
    }
    assert_in_range(n_found, 5000, 25000);
}

static void text_is_not_held_longer_than_needed(void **state)
{
    (void)state;
    static const char *const stops[] = {"END", ""};
    given out = {0};
    lp_stop_text to = {.stops = stops, .n_stops = 2, .on_text = take, .user = &out};
    assert_int_equal(lp_stop_push(&ctx, &to, "abcE", 4), LP_OK);
    assert_string_equal(out.data, "abc");
    assert_int_equal(lp_stop_push(&ctx, &to, "NE", 2), LP_OK);
    assert_string_equal(out.data, "abcEN");
    assert_int_equal(lp_stop_push(&ctx, &to, "NDx", 3), LP_OK);
    assert_string_equal(out.data, "abcEN");
    assert_true(to.found);
    assert_int_equal(lp_stop_push(&ctx, &to, "more", 4), LP_OK);
    assert_int_equal(lp_stop_finish(&ctx, &to), LP_OK);
    assert_string_equal(out.data, "abcEN");
    free(to.held);
}

static void broken_characters_come_out_as_one_mark(void **state)
{
    (void)state;
    given out = {0};
    lp_stop_text to = {.on_text = take, .user = &out};
    assert_int_equal(lp_stop_push(&ctx, &to, "a\xf0\x9f", 3), LP_OK);
    assert_string_equal(out.data, "a");
    assert_int_equal(lp_stop_finish(&ctx, &to), LP_OK);
    assert_string_equal(out.data, "a\xef\xbf\xbd");
    free(to.held);
}

static void a_caller_that_refuses_gets_no_more(void **state)
{
    (void)state;
    given out = {.refuse_at = 2};
    lp_stop_text to = {.on_text = take, .user = &out};
    assert_int_equal(lp_stop_push(&ctx, &to, "abc", 3), LP_OK);
    assert_int_equal(lp_stop_push(&ctx, &to, "def", 3), LP_OK);
    assert_int_equal(lp_stop_finish(&ctx, &to), LP_OK);
    assert_string_equal(out.data, "abc");
    assert_true(to.refused && !to.found);
    free(to.held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_pieces_give_the_same),
        cmocka_unit_test(text_is_not_held_longer_than_needed),
        cmocka_unit_test(broken_characters_come_out_as_one_mark),
        cmocka_unit_test(a_caller_that_refuses_gets_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
