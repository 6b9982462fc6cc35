#include "common/loop.h"
#include "runtime/runtime.h"
#include "sdk/c/include/plexspaces/group.h"
#include "sdk/c/include/plexspaces/process.h"

#include <check.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A process group of 100,000: joining, publishing, leaving by dying. */

enum { CROWD = 100000 };

static const struct rt_where where = {"t", "n"};
static _Atomic uint64_t joined, heard, wrong, left, members;

static int
fan_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    (void)args, (void)len;
    atomic_fetch_add(&wrong, plex_group_join(ctx, "fans") != 0);
    atomic_fetch_add(&joined, 1);
    return 0;
}

static int
fan_cast(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    atomic_fetch_add(&heard, 1);
    if (msg->tag == 2)
        plex_exit_self(ctx, "normal");
    return 0;
}

static const struct plex_behaviour fan = {
    .name = "fan", .init = fan_init, .handle_cast = fan_cast};

/* tag 1 and 2: publish it; 3: count; 4: watch. */
static int
star_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    if (msg->kind == PLEX_MSG_GROUP)
        atomic_fetch_add(&left, msg->tag == 0);
    else if (msg->tag == 3)
        atomic_store(&members, 1 + (uint64_t)plex_group_members(ctx, "fans",
                                                                true, NULL, 0));
    else if (msg->tag == 4)
        atomic_fetch_add(&wrong, plex_group_monitor(ctx, "fans", true) != 0);
    else
        atomic_fetch_add(
            &wrong, plex_group_publish(ctx, "fans", msg->tag, "x", 1) != CROWD);
    return 0;
}

static const struct plex_behaviour star = {.name = "star",
                                           .handle_info = star_info};

static void
wait_for(const _Atomic uint64_t *counter, uint64_t value)
{
    uint64_t deadline = plex_now() + 60000000000;

    while (atomic_load(counter) < value) {
        ck_assert_uint_lt(plex_now(), deadline);
        usleep(1000);
    }
}

static struct plex_ref
start(struct rt *rt, const struct plex_behaviour *behaviour)
{
    const struct plex_spawn how = {.behaviour = behaviour};
    struct plex_ref ref;

    ck_assert_int_eq(rt_spawn(rt, where, &how, NULL, NULL, &ref), 0);
    return ref;
}

static void
tell(struct rt *rt, struct plex_ref to, uint64_t tag)
{
    const struct plex_post post = {.kind = PLEX_MSG_INFO, .tag = tag};

    ck_assert_int_eq(rt_send(rt, to, &post), 0);
}

START_TEST(a_hundred_thousand_join_hear_and_leave)
{
    struct plex_err err;
    struct plex_ref speaker;
    struct rt *rt;

    ck_assert_int_eq(
        rt_create(&(struct rt_config){.executors = 2, .node = 7}, &rt, &err),
        PLEX_OK);
    rt_start(rt);
    speaker = start(rt, &star);
    for (int i = 0; i < CROWD; i++)
        (void)start(rt, &fan);
    wait_for(&joined, CROWD);
    tell(rt, speaker, 1);
    wait_for(&heard, CROWD);
    tell(rt, speaker, 4);
    tell(rt, speaker, 2);
    wait_for(&heard, 2 * CROWD);
    wait_for(&left, CROWD);
    tell(rt, speaker, 3);
    wait_for(&members, 1);
    ck_assert_uint_eq(members, 1); /* nobody is left */
    ck_assert_uint_eq(left, CROWD);
    ck_assert_uint_eq(heard, 2 * CROWD);
    ck_assert_uint_eq(wrong, 0);
    rt_stop(rt);
    rt_free(rt);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("crowd");
    TCase *c = tcase_create("crowd");
    SRunner *runner;
    int failed;

    tcase_set_timeout(c, 120);
    tcase_add_test(c, a_hundred_thousand_join_hear_and_leave);
    suite_add_tcase(s, c);
    runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
