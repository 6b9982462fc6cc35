/*
 * Random requests to a core and to the model; every answer must be the same.
 * MODEL_SEEDS says how many runs (1200), MODEL_SEED which one alone. The same
 * runs must find each of the bugs that a core can be told to have.
 */
#include "tests/unit/tuplespace/model_run.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t
seeds(void)
{
    const char *text = getenv("MODEL_SEEDS");

    return text != NULL ? strtoull(text, NULL, 10) : 1200;
}

static char what[MODEL_WHAT];

START_TEST(the_core_answers_as_the_model_does)
{
    const char *one = getenv("MODEL_SEED");

    if (one != NULL) {
        const uint64_t seed = strtoull(one, NULL, 10);

        ck_assert_msg(model_run(seed, NULL, 0, what), "%s", what);
        return;
    }
    for (uint64_t seed = 1; seed <= seeds(); seed++)
        ck_assert_msg(model_run(seed, NULL, 0, what), "seed %llu: %s",
                      (unsigned long long)seed, what);
}
END_TEST

static const unsigned bugs[] = {
    TSPACE_UNSAFE_CLAIM_LOST, TSPACE_UNSAFE_TAKEN_TWICE,
    TSPACE_UNSAFE_NOT_WOKEN, TSPACE_UNSAFE_EXPIRED_TAKEN,
    TSPACE_UNSAFE_DIRTY_READ};

START_TEST(each_seeded_bug_is_found)
{
    uint64_t seed = 1;

    while (seed <= 200 && model_run(seed, NULL, bugs[_i], what))
        seed++;
    ck_assert_msg(seed <= 200, "bug %u was not found in 200 runs", bugs[_i]);
    printf("bug %u: seed %llu: %s\n", bugs[_i], (unsigned long long)seed, what);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("model");
    TCase *tcase = tcase_create("random");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tcase, 0);
    tcase_add_test(tcase, the_core_answers_as_the_model_does);
    tcase_add_loop_test(tcase, each_seeded_bug_is_found, 0,
                        (int)(sizeof bugs / sizeof bugs[0]));
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
