/* Beam search in a language of three tokens and texts of five: all answers can be listed, scored by
 * the formula, and sorted. Networks' answers are compared with
 * those of the transformers library in test_search.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "text/beams.h"
#include "text/generation_config.h"

enum { V = 3, END = 0, START = 2, MOST = 5, N_ANSWERS = 243 };

/* The logits behind a sequence: any numbers, but always the same. */
static void logits_after(const int32_t *tokens, uint32_t n, float logits[V])
{
    uint32_t state = 7;
    for (uint32_t i = 0; i < n; i++)
        state = (state + (uint32_t)tokens[i]) * 2654435761u;
    for (int v = 0; v < V; v++) {
        state = state * 1664525u + 1013904223u;
        logits[v] = (float)(state >> 8) / (1 << 23);
    }
}

typedef struct answer {
    int32_t tokens[MOST + 1];
    uint32_t n;
    double score;
} answer;

typedef struct world {
    lp_search_rules rules;
    lp_search_options options;
    answer answers[N_ANSWERS];
    size_t n;
} world;

/* Whether the last token of a sequence may stand there, judged by the whole sequence. */
static bool allowed(const world *w, const int32_t *tokens, uint32_t n)
{
    const int32_t last = tokens[n - 1];
    if (w->rules.last != -1 && n - 1 == w->options.max_tokens)
        return last == w->rules.last;
    if (w->rules.first != -1 && n == 2)
        return last == w->rules.first;
    if (last == END && n - 2 < w->options.min_tokens)
        return false;
    for (size_t i = 0; i < w->rules.n_banned; i++) {
        const lp_token_run *run = &w->rules.banned[i];
        if (run->n <= n && memcmp(tokens + n - run->n, run->tokens, run->n * 4) == 0)
            return false;
    }
    const uint32_t k = w->options.no_repeat;
    for (uint32_t i = 0; k > 0 && i + k < n; i++)
        if (memcmp(tokens + i, tokens + n - k, k * 4) == 0)
            return false;
    return true;
}

static bool is_forced(const world *w, uint32_t n)
{
    return (w->rules.last != -1 && n == w->options.max_tokens) || (w->rules.first != -1 && n == 1);
}

static void list_answers(world *w, answer so_far)
{
    if (so_far.n > 1 &&
        (so_far.tokens[so_far.n - 1] == END || so_far.n - 1 == w->options.max_tokens)) {
        so_far.score /= pow(so_far.n - 1, (double)w->options.length_penalty);
        w->answers[w->n++] = so_far;
        return;
    }
    float logits[V];
    double total = 0;
    logits_after(so_far.tokens, so_far.n, logits);
    for (int v = 0; v < V; v++)
        total += exp((double)logits[v]);
    for (int v = 0; v < V; v++) {
        answer next = so_far;
        next.tokens[next.n++] = v;
        if (!is_forced(w, so_far.n))
            next.score += (double)logits[v] - log(total);
        if (allowed(w, next.tokens, next.n))
            list_answers(w, next);
    }
}

static int by_score(const void *a, const void *b)
{
    const double x = ((const answer *)a)->score, y = ((const answer *)b)->score;
    return x < y ? 1 : x > y ? -1 : 0;
}

static lp_beams *search(const world *w)
{
    lp_context ctx = {0};
    lp_beams *beams;
    if (lp_beams_create(&ctx, &w->rules, &w->options, V, &beams) != LP_OK)
        fail_msg("%s", ctx.message);
    do {
        for (uint32_t i = 0; i < lp_beams_n_open(beams); i++) {
            const lp_sequence s = lp_beams_open(beams, i);
            float logits[V];
            assert_true(i == 0 || s.score <= lp_beams_open(beams, i - 1).score);
            logits_after(s.tokens, s.n, logits);
            lp_beams_offer(beams, i, logits);
        }
    } while (lp_beams_next(beams));
    return beams;
}

static world plain_world(void)
{
    return (world){
        .rules = {.start = START, .ends = {END}, .n_ends = 1, .first = -1, .last = -1},
        .options = {.n_beams = LP_MAX_BEAMS,
                    .n_best = 1,
                    .max_tokens = MOST,
                    .repeat_penalty = 1,
                    .length_penalty = 1,
                    .early_stopping = LP_STOP_HOPELESS},
    };
}

/* More beams than there are sequences: every answer is found, in the order of their scores. */
static void test_all_answers(void **state)
{
    (void)state;
    static const int32_t two[] = {1, 2}, one[] = {1};
    static const lp_token_run banned[] = {{two, 2}}, banned_one[] = {{one, 1}};
    enum { N_WORLDS = 9 };
    world w[N_WORLDS];
    for (int i = 0; i < N_WORLDS; i++)
        w[i] = plain_world();
    w[1].options.length_penalty = 0;
    w[2].options.length_penalty = -0.7f;
    w[3].options.length_penalty = 2.5f;
    w[4].options.min_tokens = 3;
    w[5].rules.first = 1;
    w[5].rules.last = END;
    w[6].options.no_repeat = 2;
    w[7].rules.banned = banned;
    w[7].rules.n_banned = 1;
    w[8].rules.banned = banned_one;
    w[8].rules.n_banned = 1;
    w[8].options.max_tokens = 1;
    static const size_t n_expected[N_WORLDS] = {63, 63, 63, 63, 56, 0, 0, 0, 2};
    for (int i = 0; i < N_WORLDS; i++) {
        list_answers(&w[i], (answer){{START}, 1, 0});
        qsort(w[i].answers, w[i].n, sizeof w[i].answers[0], by_score);
        assert_true(w[i].n > 1 && (n_expected[i] == 0 || w[i].n == n_expected[i]));
        lp_beams *beams = search(&w[i]);
        assert_int_equal(lp_beams_n_ended(beams), w[i].n);
        for (uint32_t k = 0; k < w[i].n; k++) {
            const lp_sequence s = lp_beams_ended(beams, k);
            assert_int_equal(s.n, w[i].answers[k].n);
            assert_memory_equal(s.tokens, w[i].answers[k].tokens, s.n * 4);
            assert_true(fabs(s.score - w[i].answers[k].score) < 1e-5);
        }
        lp_beams_destroy(beams);
    }
}

/* One beam takes the likeliest token each time, and ends with the first end token. */
static void test_greedy(void **state)
{
    (void)state;
    world w = plain_world();
    w.options.n_beams = 1;
    int32_t tokens[MOST + 1] = {START};
    uint32_t n = 1;
    while (n <= MOST && (n == 1 || tokens[n - 1] != END)) {
        float logits[V];
        logits_after(tokens, n, logits);
        int32_t best = 0;
        for (int v = 1; v < V; v++)
            best = logits[v] > logits[best] ? v : best;
        tokens[n++] = best;
    }
    lp_beams *beams = search(&w);
    assert_int_equal(lp_beams_n_ended(beams), 1);
    const lp_sequence s = lp_beams_ended(beams, 0);
    assert_int_equal(s.n, n);
    assert_memory_equal(s.tokens, tokens, n * 4);
    lp_beams_destroy(beams);
}

/* The best answer never gets worse with more beams when nothing stops early. */
static void test_more_beams(void **state)
{
    (void)state;
    world w = plain_world();
    w.options.length_penalty = 0;
    double best = -INFINITY;
    for (uint32_t n = 1; n <= 32; n *= 2) {
        w.options.n_beams = n;
        lp_beams *beams = search(&w);
        assert_true(lp_beams_ended(beams, 0).score >= best);
        best = lp_beams_ended(beams, 0).score;
        lp_beams_destroy(beams);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const int32_t far[] = {V};
    static const lp_token_run outside[] = {{far, 1}}, empty[] = {{far, 0}};
    enum { N = 14 };
    world w[N];
    for (int i = 0; i < N; i++)
        w[i] = plain_world();
    w[0].options.n_beams = 0;
    w[1].options.n_beams = LP_MAX_BEAMS + 1;
    w[2].options.n_best = 0;
    w[3].options.n_best = LP_MAX_BEAMS + 1;
    w[4].options.max_tokens = 0;
    w[5].options.length_penalty = NAN;
    w[6].options.repeat_penalty = 0;
    w[7].rules.start = -1;
    w[8].rules.ends[0] = V;
    w[9].rules.first = V;
    w[10].rules.last = -2;
    w[11].rules.banned = outside;
    w[12].rules.banned = empty;
    w[11].rules.n_banned = w[12].rules.n_banned = 1;
    w[13].options.max_tokens = UINT32_MAX;
    for (int i = 0; i < N; i++) {
        lp_context ctx = {0};
        lp_beams *beams;
        assert_int_equal(lp_beams_create(&ctx, &w[i].rules, &w[i].options, V, &beams), LP_E_ARG);
        assert_true(ctx.message[0] != '\0' && beams == NULL);
    }
}

static lp_status parse(lp_context *ctx, const char *text, lp_generation_config *config)
{
    *config = (lp_generation_config){0};
    return lp_generation_config_parse(ctx, "generation_config.json", text, strlen(text), config);
}

static void test_config(void **state)
{
    (void)state;
    lp_context ctx = {0};
    lp_generation_config c;
    assert_int_equal(parse(&ctx, "{}", &c), LP_OK);
    assert_true(c.options.n_beams == 1 && c.options.max_tokens == 256 && c.rules.start == -1 &&
                c.options.length_penalty == 1 && c.options.early_stopping == LP_STOP_UNLIKELY);
    lp_generation_config_destroy(&c);
    assert_int_equal(parse(&ctx,
                           "{\"bos_token_id\": 0, \"decoder_start_token_id\": 7, \"num_beams\": 4,"
                           "\"eos_token_id\": [3, 4], \"bad_words_ids\": [[3], [5, 6], [9]],"
                           "\"suppress_tokens\": [11], \"early_stopping\": \"never\","
                           "\"max_length\": 50, \"min_length\": 10, \"forced_bos_token_id\": 2,"
                           "\"num_beam_groups\": 1, \"diversity_penalty\": 0.0}",
                           &c),
                     LP_OK);
    assert_true(c.rules.start == 7 && c.rules.n_ends == 2 && c.rules.ends[1] == 4);
    assert_true(c.options.max_tokens == 49 && c.options.min_tokens == 9 && c.rules.first == 2);
    assert_true(c.options.early_stopping == LP_STOP_HOPELESS && c.options.n_beams == 4);
    assert_true(c.rules.n_banned == 3 && c.rules.banned[0].n == 2 && c.rules.banned[0].tokens[1] == 6 &&
                c.rules.banned[1].tokens[0] == 9 && c.rules.banned[2].tokens[0] == 11);
    lp_generation_config_destroy(&c);
    assert_int_equal(parse(&ctx, "{\"max_length\": 50, \"max_new_tokens\": 7}", &c), LP_OK);
    assert_int_equal(c.options.max_tokens, 7);
    lp_generation_config_destroy(&c);

    static const struct {
        const char *text;
        lp_status status;
        const char *names;
    } bad[] = {
        {"[", LP_E_FORMAT, "generation_config.json"},
        {"{\"eos_token_id\": -1}", LP_E_FORMAT, "eos_token_id"},
        {"{\"eos_token_id\": [1, \"x\"]}", LP_E_FORMAT, "eos_token_id"},
        {"{\"eos_token_id\": [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}", LP_E_LIMIT, "eos_token_id"},
        {"{\"decoder_start_token_id\": 4294967296}", LP_E_FORMAT, "decoder_start_token_id"},
        {"{\"bad_words_ids\": [7]}", LP_E_FORMAT, "bad_words_ids"},
        {"{\"bad_words_ids\": [[]]}", LP_E_FORMAT, "bad_words_ids"},
        {"{\"bad_words_ids\": [[1.5]]}", LP_E_FORMAT, "bad_words_ids"},
        {"{\"suppress_tokens\": 7}", LP_E_FORMAT, "suppress_tokens"},
        {"{\"early_stopping\": \"soon\"}", LP_E_FORMAT, "early_stopping"},
        {"{\"num_beams\": 1.5}", LP_E_FORMAT, "num_beams"},
        {"{\"length_penalty\": \"long\"}", LP_E_FORMAT, "length_penalty"},
        {"{\"num_beam_groups\": 2}", LP_E_UNSUPPORTED, "num_beam_groups"},
        {"{\"encoder_no_repeat_ngram_size\": 3}", LP_E_UNSUPPORTED, "encoder_no_repeat_ngram_size"},
        {"{\"constraints\": []}", LP_E_UNSUPPORTED, "constraints"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        lp_status status = parse(&ctx, bad[i].text, &c);
        if (status != bad[i].status || strstr(ctx.message, bad[i].names) == NULL)
            fail_msg("%s: status %d, \"%s\"", bad[i].text, (int)status, ctx.message);
        lp_generation_config_destroy(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_answers), cmocka_unit_test(test_greedy),
        cmocka_unit_test(test_more_beams),  cmocka_unit_test(test_refused),
        cmocka_unit_test(test_config),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
