/* UTF-8 decoding, and the stream: whole characters only, broken sequences as Python and browsers
 * replace them, whatever the pieces that the bytes come in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "text/utf8.h"

static void decodes_what_it_encodes(void **state)
{
    (void)state;
    for (uint32_t code = 0; code <= 0x10ffff; code++) {
        char text[4];
        uint32_t back = 0;
        unsigned n = lp_utf8_encode(code, text);
        bool surrogate = code >= 0xd800 && code < 0xe000;
        assert_int_equal(lp_utf8_decode(text, n, &back), surrogate ? 0 : n);
        if (!surrogate)
            assert_int_equal(back, code);
        for (unsigned part = 0; part < n; part++) /* unfinished */
            assert_int_equal(lp_utf8_decode(text, part, &back), 0);
    }
}

static void refuses_invalid_forms(void **state)
{
    (void)state;
    static const char *const invalid[] = {
        "\x80",         "\xbf",         "\xc0\x80",         "\xc1\xbf",         "\xe0\x80\x80",
        "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
        "\xff",         "\xc3(",        "\xe2\x82(",        "\xf0\x9f\xa6("};
    uint32_t code;
    for (size_t i = 0; i < sizeof invalid / sizeof invalid[0]; i++) {
        assert_int_equal(lp_utf8_decode(invalid[i], strlen(invalid[i]), &code), 0);
        assert_int_equal(lp_utf8_valid_bytes(invalid[i], strlen(invalid[i])), 0);
    }
    assert_int_equal(lp_utf8_valid_bytes("h\xc3\xa9\0\xff", 5), 4);
}

/* bytes, and what bytes.decode("utf-8", "replace") gives in Python */
static const struct {
    const char *bytes, *text;
} streams[] = {
    {"", ""},
    {"plain", "plain"},
    {"h\xc3\xa9llo \xf0\x9f\xa6\x99!", "h\xc3\xa9llo \xf0\x9f\xa6\x99!"},
    {"\x80", "\xef\xbf\xbd"},
    {"\xff\xfe", "\xef\xbf\xbd\xef\xbf\xbd"},
    {"a\xc3", "a\xef\xbf\xbd"},
    {"\xe2\x82", "\xef\xbf\xbd"},
    {"\xe2\x82x", "\xef\xbf\xbdx"},
    {"\xf0\x9f\xa6", "\xef\xbf\xbd"},
    {"\xf0\x9f\xa6\xf0\x9f\xa6\x99", "\xef\xbf\xbd\xf0\x9f\xa6\x99"},
    {"\xe2\xe2\x82\xac", "\xef\xbf\xbd\xe2\x82\xac"},
    {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    {"\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd"},
    {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    {"\xf0\x80\x80\x41", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\x41"},
};

static void streams_whole_characters(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof streams / sizeof streams[0]; i++) {
        size_t bytes = strlen(streams[i].bytes);
        for (size_t piece = 1; piece <= 5; piece++) {
            lp_utf8_stream stream = {0};
            char out[128];
            size_t n = 0;
            for (size_t at = 0; at < bytes; at += piece) {
                size_t k = bytes - at < piece ? bytes - at : piece;
                n += lp_utf8_push(&stream, streams[i].bytes + at, k, out + n);
                assert_int_equal(lp_utf8_valid_bytes(out, n), n); /* never half a character */
            }
            n += lp_utf8_finish(&stream, out + n);
            assert_int_equal(n, strlen(streams[i].text));
            assert_memory_equal(out, streams[i].text, n);
            assert_int_equal(lp_utf8_finish(&stream, out), 0);
        }
    }
}

static void holds_back_no_more_than_needed(void **state)
{
    (void)state;
    lp_utf8_stream stream = {0};
    char out[32];
    assert_int_equal(lp_utf8_push(&stream, "a\xf0\x9f", 3, out), 1);
    assert_int_equal(lp_utf8_push(&stream, "\xa6", 1, out), 0);
    assert_int_equal(lp_utf8_push(&stream, "\x99z", 2, out), 5);
    assert_memory_equal(out, "\xf0\x9f\xa6\x99z", 5);
}

static void keeps_to_its_room(void **state)
{
    (void)state;
    static const uint8_t alphabet[] = {0x41, 0x80, 0x9f, 0xbf, 0xc3, 0xe0, 0xed, 0xf0, 0xf4, 0xff};
    uint32_t random = 1;
    for (int round = 0; round < 20000; round++) {
        lp_utf8_stream stream = {0};
        for (int push = 0; push < 4; push++) {
            char bytes[8];
            size_t n = (random = random * 1664525u + 1013904223u) >> 29;
            for (size_t i = 0; i < n; i++)
                bytes[i] = (char)alphabet[((random = random * 1664525u + 1013904223u) >> 16) % 10];
            size_t room = 3 * (n + 4);
            char *out = malloc(room); /* exact, so that a sanitizer sees its end */
            assert_non_null(out);
            size_t written = lp_utf8_push(&stream, bytes, n, out);
            assert_true(written <= room);
            assert_int_equal(lp_utf8_valid_bytes(out, written), written);
            free(out);
        }
        char end[12];
        assert_true(lp_utf8_finish(&stream, end) <= sizeof end);
    }
}

static void quotes_for_one_line(void **state)
{
    (void)state;
    char text[LP_QUOTE_TEXT], longest[300];
    assert_string_equal(lp_utf8_quote("a\n\xff\xc3\xa9\x7f", 6, text),
                        "\"a\\x0A\\xFF\xc3\xa9\\x7F\"");
    memset(longest, '\n', sizeof longest);
    assert_true(strlen(lp_utf8_quote(longest, sizeof longest, text)) < LP_QUOTE_TEXT);
    assert_non_null(strstr(text, "...\""));
    assert_string_equal(lp_utf8_quote("", 0, text), "\"\"");
}

static void knows_spaces(void **state)
{
    (void)state;
    unsigned n = 0;
    for (uint32_t code = 0; code <= 0x10ffff; code++)
        n += lp_utf8_is_space(code);
    assert_int_equal(n, 25); /* White_Space in PropList.txt */
    assert_true(lp_utf8_is_space(0x3000));
    assert_false(lp_utf8_is_space(0x180e));
    assert_false(lp_utf8_is_space(0x200b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_what_it_encodes),
        cmocka_unit_test(refuses_invalid_forms),
        cmocka_unit_test(streams_whole_characters),
        cmocka_unit_test(holds_back_no_more_than_needed),
        cmocka_unit_test(keeps_to_its_room),
        cmocka_unit_test(quotes_for_one_line),
        cmocka_unit_test(knows_spaces),
    };
    return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
