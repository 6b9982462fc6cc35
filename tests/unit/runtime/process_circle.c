#include "common/loop.h"
#include "runtime/runtime.h"
#include "sdk/c/include/plexspaces/process.h"

#include <check.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Calls in a circle on two threads: every one is found, and what only looks
 * like one for a moment is not taken for it. */

enum { RING = 3, RINGS = 300, TURNS = 20000 };
enum { TAG_GO = 1, TAG_PLAIN, TAG_EARLY };

static struct rt *rt;
static const struct rt_where where = {"t", "n"};
static struct plex_ref ring[RING];
static _Atomic uint64_t done, circles, others;

static void
judge(int status, const struct plex_msg *answer)
{
    if (status == 0)
        return;
    if (status == PLEX_E_FAILED && strncmp(answer->reason, "deadlock", 8) == 0)
        atomic_fetch_add(&circles, 1);
    else
        atomic_fetch_add(&others, 1);
}

static struct plex_ref
next_of(struct plex_ref self)
{
    size_t i = 0;

    while (!plex_ref_is(ring[i], self))
        i++;
    return ring[(i + 1) % RING];
}

static int
member_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct plex_msg answer;
    struct plex_from from;

    if (msg->tag == TAG_EARLY) { /* answered, and then it asks who asked */
        from = plex_reply_later(ctx);
        (void)plex_answer(ctx, &from, "x", 1);
        judge(plex_ask(ctx, msg->from, TAG_PLAIN, NULL, 0, 60000, &answer),
              &answer);
        if (atomic_fetch_add(&done, 1) + 1 < TURNS)
            plex_send(ctx, msg->from, TAG_EARLY, NULL, 0);
        return 0;
    }
    plex_reply(ctx, "text/plain", "x", 1);
    return 0;
}

static int
member_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct plex_msg answer;

    if (msg->tag == TAG_GO) {
        judge(plex_ask(ctx, next_of(plex_self_ref(ctx)), TAG_PLAIN, NULL, 0,
                       60000, &answer),
              &answer);
        atomic_fetch_add(&done, 1);
        return 0;
    }
    judge(plex_ask(ctx, ring[1], TAG_EARLY, NULL, 0, 60000, &answer), &answer);
    return 0;
}

static const struct plex_behaviour member = {
    .name = "member", .handle_call = member_call, .handle_info = member_info};

static void
setup(void)
{
    struct rt_config config = {.executors = 2, .node = 7};
    const struct plex_spawn how = {.behaviour = &member};
    struct plex_err err;

    atomic_store(&done, 0);
    atomic_store(&circles, 0);
    atomic_store(&others, 0);
    ck_assert_int_eq(rt_create(&config, &rt, &err), PLEX_OK);
    rt_start(rt);
    for (size_t i = 0; i < RING; i++)
        ck_assert_int_eq(rt_spawn(rt, where, &how, NULL, NULL, &ring[i]), 0);
}

static void
teardown(void)
{
    rt_stop(rt);
    rt_free(rt);
}

static void
tell(struct plex_ref to, uint64_t tag)
{
    const struct plex_post post = {.kind = PLEX_MSG_INFO, .tag = tag};

    ck_assert_int_eq(rt_send(rt, to, &post), 0);
}

static void
wait_for(uint64_t value)
{
    const uint64_t deadline = plex_now() + 100000000000;

    while (atomic_load(&done) < value) {
        ck_assert_uint_lt(plex_now(), deadline);
        usleep(200);
    }
}

START_TEST(a_ring_that_waits_for_itself_is_always_found)
{
    for (uint64_t round = 1; round <= RINGS; round++) {
        for (size_t i = 0; i < RING; i++)
            tell(ring[i], TAG_GO);
        wait_for(round * RING);
    }
    ck_assert_uint_eq(others, 0);
    /* Sometimes one of them is through before the last begins. */
    ck_assert_uint_gt(circles, 0);
}
END_TEST

START_TEST(who_has_answered_is_never_taken_for_one_who_waits)
{
    tell(ring[0], TAG_EARLY);
    wait_for(TURNS);
    ck_assert_uint_eq(others, 0);
    ck_assert_uint_eq(circles, 0);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("circle");
    TCase *c = tcase_create("circle");
    SRunner *runner;
    int failed;

    tcase_set_timeout(c, 120);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, a_ring_that_waits_for_itself_is_always_found);
    tcase_add_test(c, who_has_answered_is_never_taken_for_one_who_waits);
    suite_add_tcase(s, c);
    runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
