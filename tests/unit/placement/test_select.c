#include "services/placement/select.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))
enum { GB = 1000000000 };

static const struct place_label east[] = {{"zone", "east"}, {"disk", "ssd"}};
static const struct place_label west[] = {{"zone", "west"}};
static const struct place_label web[] = {{"app", "web"}};
static const struct place_resident residents[] = {
    {"db-1", NULL, 0}, {"web-1", web, 1}, {"web-2", web, 1}};

/* Four workers: small and nearly full, big and half full, big and empty with
 * a gpu, big and draining. */
static const struct place_candidate workers[] = {
    {.node_id = "w1",
     .ready = true,
     .capacity = {{[PLACE_CPU] = 2000,
                   [PLACE_MEMORY] = 4UL * GB,
                   [PLACE_IO] = PLACE_UNLIMITED}},
     .reserved = {{[PLACE_CPU] = 1500, [PLACE_MEMORY] = 3UL * GB}},
     .labels = east,
     .n_labels = 2,
     .residents = residents,
     .n_residents = 2},
    {.node_id = "w2",
     .ready = true,
     .capacity = {{[PLACE_CPU] = 8000,
                   [PLACE_MEMORY] = 16UL * GB,
                   [PLACE_DISK] = 100UL * GB,
                   [PLACE_IO] = 100}},
     .reserved = {{[PLACE_CPU] = 4000, [PLACE_MEMORY] = 8UL * GB}},
     .labels = west,
     .n_labels = 1,
     .residents = &residents[2],
     .n_residents = 1},
    {.node_id = "w3",
     .ready = true,
     .capacity = {{[PLACE_CPU] = 8000,
                   [PLACE_MEMORY] = 16UL * GB,
                   [PLACE_NETWORK] = 1000,
                   [PLACE_GPU] = 2}},
     .labels = east,
     .n_labels = 1},
    {.node_id = "w4",
     .capacity = {{[PLACE_CPU] = 99000, [PLACE_MEMORY] = 99UL * GB}},
     .labels = east,
     .n_labels = 2},
};

static const char *const w1[] = {"w1"}, *const w1_w2[] = {"w1", "w2"},
                         *const w3_w4[] = {"w3", "w4"}, *const gone[] = {"w9"},
                         *const all[] = {"w1", "w2", "w3", "w4"};
static const struct place_affinity near_db[] = {{.actor = "db-1"}},
                                   apart_db[] = {{true, "db-1", {0}}},
                                   near_none[] = {{.actor = "nobody"}},
                                   near_web[] = {{.label = {"app", "web"}}},
                                   apart_web[] = {{true, NULL, {"app", "web"}}},
                                   near_web_apart_db[] = {
                                       {.label = {"app", "web"}},
                                       {true, "db-1", {0}}};

static const struct rule {
    const char *what;
    struct place_requirement need;
    const char *node; /* NULL: none */
    const char *why;  /* in the refusal */
} rules[] = {
    {"nothing asked: the fullest", {.strategy = PLACE_BEST_FIT}, "w1", NULL},
    {"the fullest has room to the last bit",
     {.amounts = {{[PLACE_CPU] = 500, [PLACE_MEMORY] = 1UL * GB}}},
     "w1",
     NULL},
    {"one thousandth of a core too much for it",
     {.amounts = {{[PLACE_CPU] = 501}}},
     "w2",
     NULL},
    {"one byte too much for it",
     {.amounts = {{[PLACE_MEMORY] = 1UL * GB + 1}}},
     "w2",
     NULL},
    {"only the empty one", {.amounts = {{[PLACE_CPU] = 4001}}}, "w3", NULL},
    {"too much cpu for all",
     {.amounts = {{[PLACE_CPU] = 8001}}},
     NULL,
     "none of 4 workers fits: 1 not ready, 3 with too little cpu left"},
    {"too much memory for all",
     {.amounts = {{[PLACE_MEMORY] = UINT64_MAX}}},
     NULL,
     "3 with too little memory left"},
    {"a gpu", {.amounts = {{[PLACE_GPU] = 2}}}, "w3", NULL},
    {"three gpus",
     {.amounts = {{[PLACE_GPU] = 3}}},
     NULL,
     "3 with too few gpus left"},
    {"disk", {.amounts = {{[PLACE_DISK] = 1}}}, "w2", NULL},
    {"network", {.amounts = {{[PLACE_NETWORK] = 1000}}}, "w3", NULL},
    {"io without a limit is enough for anything",
     {.amounts = {{[PLACE_IO] = 1UL << 60}}},
     "w1",
     NULL},
    {"io with a limit",
     {.amounts = {{[PLACE_IO] = 100}}, .avoid = w1, .n_avoid = 1},
     "w2",
     NULL},
    {"io above the limit",
     {.amounts = {{[PLACE_IO] = 101}}, .avoid = w1, .n_avoid = 1},
     NULL,
     "1 not ready, 1 to be avoided, 2 with too little io left"},
    {"a label", {.labels = west, .n_labels = 1}, "w2", NULL},
    {"all labels, not one of them",
     {.labels = east, .n_labels = 2, .avoid = w1, .n_avoid = 1},
     NULL,
     "2 with other labels"},
    {"a label that nobody has",
     {.labels = web, .n_labels = 1},
     NULL,
     "3 with other labels"},
    {"avoided", {.avoid = w1_w2, .n_avoid = 2}, "w3", NULL},
    {"all avoided", {.avoid = all, .n_avoid = 4}, NULL, "3 to be avoided"},
    {"preferred, though emptier", {.prefer = w3_w4, .n_prefer = 2}, "w3", NULL},
    {"preferred but full: another",
     {.amounts = {{[PLACE_CPU] = 600}}, .prefer = w1, .n_prefer = 1},
     "w2",
     NULL},
    {"preferred but unknown", {.prefer = gone, .n_prefer = 1}, "w1", NULL},
    {"avoided goes before preferred",
     {.prefer = w1, .n_prefer = 1, .avoid = w1, .n_avoid = 1},
     "w2",
     NULL},
    {"beside an actor", {.affinity = near_db, .n_affinity = 1}, "w1", NULL},
    {"apart from an actor",
     {.affinity = apart_db, .n_affinity = 1},
     "w2",
     NULL},
    {"beside nobody",
     {.affinity = near_none, .n_affinity = 1},
     NULL,
     "3 ruled out by affinity"},
    {"beside a label", {.affinity = near_web, .n_affinity = 1}, "w1", NULL},
    {"apart from a label",
     {.affinity = apart_web, .n_affinity = 1},
     "w3",
     NULL},
    {"two rules at once",
     {.affinity = near_web_apart_db, .n_affinity = 2},
     "w2",
     NULL},
    {"spread: fewest residents", {.strategy = PLACE_SPREAD}, "w3", NULL},
    {"spread among those that fit",
     {.strategy = PLACE_SPREAD, .prefer = w1_w2, .n_prefer = 2},
     "w2",
     NULL},
    {"local", {.strategy = PLACE_PREFER_LOCAL, .local = "w3"}, "w3", NULL},
    {"local is full: best fit",
     {.strategy = PLACE_PREFER_LOCAL,
      .local = "w1",
      .amounts = {{[PLACE_CPU] = 600}}},
     "w2",
     NULL},
    {"local drains: best fit",
     {.strategy = PLACE_PREFER_LOCAL, .local = "w4"},
     "w1",
     NULL},
    {"local of nobody", {.strategy = PLACE_PREFER_LOCAL}, "w1", NULL},
    {"random 0", {.strategy = PLACE_RANDOM, .randomness = 0}, "w1", NULL},
    {"random 1", {.strategy = PLACE_RANDOM, .randomness = 4}, "w2", NULL},
    {"random 2", {.strategy = PLACE_RANDOM, .randomness = 5}, "w3", NULL},
    {"random among those that fit",
     {.strategy = PLACE_RANDOM, .randomness = 1, .avoid = w1, .n_avoid = 1},
     "w3",
     NULL},
};

START_TEST(every_rule_picks_the_worker_it_should)
{
    const struct rule *rule = &rules[_i];
    struct plex_err err = {0};
    size_t at = 99;
    const enum plex_status status =
        place_select(workers, COUNT(workers), &rule->need, &at, &err);

    if (rule->node == NULL) {
        ck_assert_msg(status == PLEX_UNAVAILABLE, "%s: taken", rule->what);
        ck_assert_msg(strstr(err.text, rule->why) != NULL, "%s: %s", rule->what,
                      err.text);
        return;
    }
    ck_assert_msg(status == PLEX_OK, "%s: %s", rule->what, err.text);
    ck_assert_msg(strcmp(workers[at].node_id, rule->node) == 0,
                  "%s: %s, not %s", rule->what, workers[at].node_id,
                  rule->node);
}
END_TEST

START_TEST(the_order_of_equal_workers_does_not_matter)
{
    struct place_candidate twins[] = {workers[2], workers[2]};
    struct place_requirement need = {.strategy = PLACE_BEST_FIT};
    struct plex_err err;
    size_t at;

    twins[1].node_id = "w0";
    for (unsigned i = PLACE_BEST_FIT; i <= PLACE_SPREAD; i++) {
        need.strategy = (enum place_strategy)i;
        ck_assert_int_eq(place_select(twins, 2, &need, &at, &err), PLEX_OK);
        ck_assert_uint_eq(at, 1);
    }
    twins[0].node_id = "v";
    ck_assert_int_eq(place_select(twins, 2, &need, &at, &err), PLEX_OK);
    ck_assert_uint_eq(at, 0);
    ck_assert_int_eq(place_select(twins, 0, &need, &at, &err),
                     PLEX_UNAVAILABLE);
}
END_TEST

START_TEST(the_score_is_use_and_balance)
{
    static const struct place_amounts none;
    const struct place_amounts half_cpu = {{[PLACE_CPU] = 4000}};
    struct place_candidate over = workers[0];

    /* 0.4 * 0.5 + 0.4 * 0.5 + 0.2 * (1 - 0) */
    ck_assert_uint_eq(place_score(&workers[1], &none), 600000);
    /* 0.4 * 0.5 + 0 + 0.2 * (1 - 0.5) */
    ck_assert_uint_eq(place_score(&workers[2], &half_cpu), 300000);
    ck_assert_uint_eq(place_score(&workers[2], &none), 200000);
    over.reserved.of[PLACE_CPU] = over.reserved.of[PLACE_MEMORY] = UINT64_MAX;
    ck_assert_uint_eq(place_score(&over, &half_cpu), 1000000);
}
END_TEST

START_TEST(an_overbooked_worker_takes_what_needs_nothing)
{
    struct place_candidate over = workers[0];
    struct place_requirement need = {.amounts = {{0}}};
    struct plex_err err;
    size_t at;

    over.reserved.of[PLACE_CPU] = 5000;
    ck_assert_int_eq(place_select(&over, 1, &need, &at, &err), PLEX_OK);
    need.amounts.of[PLACE_CPU] = 1;
    ck_assert_int_eq(place_select(&over, 1, &need, &at, &err),
                     PLEX_UNAVAILABLE);
}
END_TEST

START_TEST(profiles_fill_what_was_left_open)
{
    struct place_amounts amounts = {{[PLACE_CPU] = 7}};
    enum place_profile profile;
    struct plex_err err;

    ck_assert_int_eq(place_profile_parse("IO_INTENSIVE", &profile, &err),
                     PLEX_OK);
    place_profile_fill(profile, &amounts);
    ck_assert_uint_eq(amounts.of[PLACE_CPU], 7);
    ck_assert_uint_eq(amounts.of[PLACE_MEMORY], 256UL << 20);
    ck_assert_uint_eq(amounts.of[PLACE_IO], 50UL << 20);
    ck_assert_uint_eq(amounts.of[PLACE_NETWORK], 0);
    ck_assert_int_eq(place_profile_parse("", &profile, &err), PLEX_OK);
    ck_assert_int_eq(profile, PLACE_PROFILE_NONE);
    ck_assert_int_eq(place_profile_parse("gpu_intensive", &profile, &err),
                     PLEX_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "network_intensive, balanced"));
}
END_TEST

START_TEST(strategies_have_words)
{
    enum place_strategy strategy;
    struct plex_err err;

    ck_assert_int_eq(place_strategy_parse("prefer_local", &strategy, &err),
                     PLEX_OK);
    ck_assert_int_eq(strategy, PLACE_PREFER_LOCAL);
    ck_assert_int_eq(place_strategy_parse("", &strategy, &err), PLEX_OK);
    ck_assert_int_eq(strategy, PLACE_BEST_FIT);
    ck_assert_int_eq(place_strategy_parse("worst_fit", &strategy, &err),
                     PLEX_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "best_fit, spread, random"));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("placement.select");
    TCase *tc = tcase_create("select");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tc, every_rule_picks_the_worker_it_should, 0,
                        (int)COUNT(rules));
    tcase_add_test(tc, the_order_of_equal_workers_does_not_matter);
    tcase_add_test(tc, the_score_is_use_and_balance);
    tcase_add_test(tc, an_overbooked_worker_takes_what_needs_nothing);
    tcase_add_test(tc, profiles_fill_what_was_left_open);
    tcase_add_test(tc, strategies_have_words);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
