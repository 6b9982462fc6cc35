/* Requests to several shards, as steps and results. */
#include "services/tuplespace/engine/scatter.h"

#include <check.h>
#include <stdlib.h>

static struct tspace_scatter
begun(struct tspace_scatter_plan plan)
{
    struct tspace_scatter scatter;

    plan.shards[0] = 4;
    plan.shards[1] = 9;
    plan.n = 2;
    tspace_scatter_begin(&scatter, &plan);
    return scatter;
}

static struct tspace_scatter_step
next(struct tspace_scatter *scatter)
{
    struct tspace_scatter_step step;

    ck_assert(tspace_scatter_next(scatter, &step));
    return step;
}

START_TEST(a_read_asks_all_shards_for_what_is_still_wanted)
{
    struct tspace_scatter s = begun((struct tspace_scatter_plan){.want = 10});
    struct tspace_scatter_step step = next(&s);

    ck_assert_int_eq(step.kind, TSPACE_SCATTER_ASK);
    ck_assert_uint_eq(step.want, 10);
    tspace_scatter_result(&s, 0, PLEX_OK, 3, false);
    step = next(&s);
    ck_assert_uint_eq(step.at, 1);
    ck_assert_uint_eq(step.want, 7);
    tspace_scatter_result(&s, 1, PLEX_OK, 1, false);
    step = next(&s);
    ck_assert_int_eq(step.kind, TSPACE_SCATTER_END);
    ck_assert_int_eq(step.status, PLEX_OK);
    ck_assert(!step.more);
}
END_TEST

/* A caller that does not look at the cursor must not take it for all. */
START_TEST(a_read_with_a_lost_shard_fails_whatever_others_have)
{
    struct tspace_scatter s = begun((struct tspace_scatter_plan){.want = 10});
    struct tspace_scatter_step step = next(&s);

    tspace_scatter_result(&s, step.at, PLEX_OK, 3, false);
    step = next(&s);
    tspace_scatter_result(&s, step.at, PLEX_UNAVAILABLE, 0, false);
    step = next(&s);
    ck_assert_int_eq(step.kind, TSPACE_SCATTER_END);
    ck_assert_int_eq(step.status, PLEX_UNAVAILABLE);
}
END_TEST

START_TEST(a_take_is_one_shards)
{
    struct tspace_scatter s =
        begun((struct tspace_scatter_plan){.want = 10, .take = true});
    struct tspace_scatter_step step = next(&s);

    tspace_scatter_result(&s, step.at, PLEX_OK, 3, false);
    step = next(&s);
    ck_assert_int_eq(step.kind, TSPACE_SCATTER_END);
    ck_assert_int_eq(step.status, PLEX_OK);
    ck_assert(step.more);
}
END_TEST

START_TEST(a_take_that_waits_confirms_one_claim_and_releases_the_others)
{
    struct tspace_scatter s = begun(
        (struct tspace_scatter_plan){.want = 1, .take = true, .wait = true});
    struct tspace_scatter_step step;

    for (uint32_t i = 0; i < 2; i++) {
        step = next(&s);
        tspace_scatter_result(&s, step.at, PLEX_OK, 0, false);
    }
    for (uint32_t i = 0; i < 2; i++)
        ck_assert_int_eq(next(&s).kind, TSPACE_SCATTER_WAIT);
    tspace_scatter_result(&s, 1, PLEX_OK, 1, false);
    ck_assert_int_eq(next(&s).kind, TSPACE_SCATTER_CANCEL);
    ck_assert_int_eq(next(&s).kind, TSPACE_SCATTER_RELEASE);
    step = next(&s);
    ck_assert_int_eq(step.kind, TSPACE_SCATTER_CONFIRM);
    ck_assert_uint_eq(step.at, 1);
    tspace_scatter_result(&s, 1, PLEX_NOT_FOUND, 0, false);
    step = next(&s);
    ck_assert_int_eq(step.kind, TSPACE_SCATTER_END);
    ck_assert_int_eq(step.status, PLEX_UNAVAILABLE); /* the claim had lapsed */
}
END_TEST

static Suite *
suite(void)
{
    Suite *s = suite_create("scatter");
    TCase *tc = tcase_create("scatter");

    tcase_add_test(tc, a_read_asks_all_shards_for_what_is_still_wanted);
    tcase_add_test(tc, a_read_with_a_lost_shard_fails_whatever_others_have);
    tcase_add_test(tc, a_take_is_one_shards);
    tcase_add_test(
        tc, a_take_that_waits_confirms_one_claim_and_releases_the_others);
    suite_add_tcase(s, tc);
    return s;
}

int
main(void)
{
    SRunner *runner = srunner_create(suite());
    int failed;

    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
