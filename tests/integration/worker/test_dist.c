/* Processes of two workers: what they may rely on, and what a lost session
 * does to them. */
#include "services/worker/dist_private.h"
#include "tests/integration/worker/pair.h"

#include "common/mem.h"
#include "sdk/c/include/plexspaces/group.h"

#include <check.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct pair pair;

static void
setup(void)
{
    pair_start(&pair, "inproc", 2);
}

static void
teardown(void)
{
    pair_stop(&pair);
}

/* -- processes ---------------------------------------------------------------
 */

enum verb {
    ADD = 1,  /* how much has come; + 1 for the call itself */
    ASK,      /* the one named: its answer */
    FLOOD,    /* 20,000 numbers to the one named */
    LINK,     /* to the one named; 0 */
    MONITOR,  /* the one named */
    LAST,     /* 1 EXIT, 2 DOWN came, and its reason is as given */
    SPAWN,    /* an echo on b, linked: its status */
    JOIN,     /* the group */
    MEMBERS,  /* of the group */
    BIG,      /* casts of 1 MiB to the one named, 100 of them */
    DISORDER, /* numbers that came out of order */
    END,      /* crash */
};
struct worker {
    uint64_t count, disorder, next;
    char last[64];
};

static void
answer(struct plex_ctx *ctx, int64_t value)
{
    plex_reply(ctx, "application/octet-stream", &value, sizeof value);
}

static void
flood(struct plex_ctx *ctx, const char *name, size_t n, size_t size)
{
    const struct plex_ref to = plex_whereis(ctx, name);
    uint8_t *bytes = plex_calloc(1, size);

    for (uint64_t i = 0; i < n; i++) {
        memcpy(bytes, &i, sizeof i);
        plex_cast_ref(ctx, to, 0, bytes, size);
    }
    free(bytes);
}

static int64_t
ask(struct plex_ctx *ctx, const char *name)
{
    struct plex_msg out;
    int64_t value = 0;
    const int status =
        plex_ask(ctx, plex_whereis(ctx, name), ADD, "", 0, 5000, &out);

    if (status != 0)
        return status;
    memcpy(&value, out.payload, sizeof value);
    return value;
}

static int
worker_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct worker *w = plex_data(ctx);
    const char *text = msg->payload;
    const struct plex_spawn how = {.behaviour = &pair_behaviours[0],
                                   .node = "b",
                                   .link = true,
                                   .wait = true};
    struct plex_ref ref;

    switch ((enum verb)msg->tag) {
    case ADD:
        answer(ctx, (int64_t)++w->count);
        break;
    case ASK:
        answer(ctx, ask(ctx, text));
        break;
    case FLOOD:
        flood(ctx, text, 20000, 100);
        answer(ctx, 0);
        break;
    case BIG:
        flood(ctx, text, 100, 1 << 20);
        answer(ctx, 0);
        break;
    case LINK:
        plex_link(ctx, plex_whereis(ctx, text));
        answer(ctx, 0);
        break;
    case MONITOR:
        (void)plex_monitor(ctx, plex_whereis(ctx, text));
        answer(ctx, 0);
        break;
    case LAST:
        answer(ctx, strcmp(w->last, text) == 0);
        break;
    case SPAWN:
        answer(ctx, plex_spawn(ctx, &how, &ref));
        break;
    case JOIN:
        answer(ctx, plex_group_join(ctx, text));
        break;
    case MEMBERS:
        answer(ctx, (int64_t)plex_group_members(ctx, text, false, NULL, 0));
        break;
    case DISORDER:
        answer(ctx, (int64_t)w->disorder);
        break;
    case END:
        return plex_fail(ctx, "told to");
    }
    return 0;
}

static int
worker_cast(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct worker *w = plex_data(ctx);
    uint64_t i;

    memcpy(&i, msg->payload, sizeof i);
    w->disorder += i != w->next;
    w->next = i + 1;
    w->count++;
    return 0;
}

static int
worker_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct worker *w = plex_data(ctx);

    if (msg->kind == PLEX_MSG_EXIT || msg->kind == PLEX_MSG_DOWN)
        (void)snprintf(w->last, sizeof w->last, "%s %s",
                       msg->kind == PLEX_MSG_EXIT ? "exit" : "down",
                       msg->reason);
    return 0;
}

const struct plex_behaviour pair_behaviours[] = {
    {.name = "worker",
     .data_size = sizeof(struct worker),
     .handle_call = worker_call,
     .handle_cast = worker_cast,
     .handle_info = worker_info,
     .trap_exit = true},
    {0},
};

/* -- helpers -----------------------------------------------------------------
 */

struct want {
    struct side *side;
    struct plex_ref of;
    enum verb verb;
    const char *text;
    int64_t value;
};

static bool
answers(void *arg)
{
    const struct want *want = arg;

    return pair_call(want->side, want->of, want->verb, want->text) ==
           want->value;
}

#define UNTIL(of_side, of_ref, of_verb, of_text, is) \
    ck_assert(pair_until(                            \
        answers, &(struct want){&pair.of_side, of_ref, of_verb, of_text, is}))

static void
break_it(struct side *side, void *arg)
{
    (void)arg;
    dist_break(side->dist->peers[0], "the test says so");
}

struct start_seen {
    bool is;
};

static void
start_look(struct side *side, void *arg)
{
    ((struct start_seen *)arg)->is = side->dist->peers[0]->starts != NULL;
}

/* The start has left a's runtime for the session to b. */
static bool
start_is_on_its_way(void *arg)
{
    struct start_seen seen = {false};

    (void)arg;
    side_run(&pair.a, start_look, &seen);
    return seen.is;
}

static atomic_bool stalled, go_on;

static void
stall(struct plex_task *task)
{
    (void)task;
    atomic_store(&stalled, true);
    while (!atomic_load(&go_on)) /* what a loop must not do */
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static bool
is_open(void *arg)
{
    (void)arg;
    return pair_is_open(&pair);
}

/* -- tests -------------------------------------------------------------------
 */

START_TEST(a_call_to_a_name_on_another_worker_is_answered)
{
    const struct plex_ref one = pair_spawn(&pair.a, "worker", "one");
    const struct plex_ref two = pair_spawn(&pair.b, "worker", "two");

    ck_assert_int_eq(pair_call(&pair.a, one, ASK, "two@b"), 1);
    ck_assert_int_eq(pair_call(&pair.b, two, ASK, "one@a"), 1);
    ck_assert_int_eq(pair_call(&pair.a, one, ASK, "two@b"), 2);
    ck_assert_int_eq(pair_call(&pair.a, one, ASK, "nobody@b"), -PLEX_NOT_FOUND);
    ck_assert_int_eq(pair_call(&pair.a, one, ASK, "two@c"), -PLEX_UNAVAILABLE);
}
END_TEST

START_TEST(messages_of_one_sender_arrive_in_order_and_none_is_lost)
{
    const struct plex_ref one = pair_spawn(&pair.a, "worker", NULL);
    const struct plex_ref two = pair_spawn(&pair.b, "worker", "two");

    ck_assert_int_eq(pair_call(&pair.a, one, FLOOD, "two@b"), 0);
    /* The call comes behind the casts; each of both counts. */
    ck_assert_int_eq(pair_call(&pair.a, one, ASK, "two@b"), 20001);
    ck_assert_int_eq(pair_call(&pair.b, two, DISORDER, ""), 0);
}
END_TEST

START_TEST(links_and_monitors_reach_over_workers)
{
    const struct plex_ref one = pair_spawn(&pair.a, "worker", NULL);
    const struct plex_ref watcher = pair_spawn(&pair.a, "worker", NULL);
    const struct plex_ref two = pair_spawn(&pair.b, "worker", "two");

    ck_assert_int_eq(pair_call(&pair.a, one, LINK, "two@b"), 0);
    ck_assert_int_eq(pair_call(&pair.a, watcher, MONITOR, "two@b"), 0);
    ck_assert_int_eq(pair_call(&pair.b, two, END, ""), -PLEX_FAILED);
    UNTIL(a, one, LAST, "exit told to", 1);
    UNTIL(a, watcher, LAST, "down told to", 1);
}
END_TEST

START_TEST(a_process_is_started_on_another_worker)
{
    const struct plex_ref one = pair_spawn(&pair.a, "worker", NULL);

    ck_assert_int_eq(pair_call(&pair.a, one, SPAWN, ""), 0);
    side_hear(&pair.a, &pair.b, false);
    UNTIL(a, one, LAST, "exit noconnection", 1);
}
END_TEST

START_TEST(a_start_that_is_lost_with_the_session_fails)
{
    const struct plex_ref one = pair_spawn(&pair.a, "worker", NULL);
    struct plex_task task = {.run = stall};
    struct asked asked = {0};
    int64_t said;
    bool left;

    atomic_store(&stalled, false);
    atomic_store(&go_on, false);
    plex_loop_post(pair.b.host.loop, &task);
    while (!atomic_load(&stalled))
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    pair_ask(&pair.a, one, SPAWN, "", &asked);
    left = pair_until(start_is_on_its_way, NULL);
    side_run(&pair.a, break_it, NULL);
    said = pair_answer(&asked);
    atomic_store(&go_on, true);
    ck_assert(left);
    ck_assert_int_eq(said, -PLEX_UNAVAILABLE);
    ck_assert(pair_until(is_open, NULL));
    ck_assert_int_eq(pair_call(&pair.a, one, SPAWN, ""), 0);
}
END_TEST

START_TEST(a_lost_session_ends_links_on_both_sides_and_another_begins)
{
    const struct plex_ref one = pair_spawn(&pair.a, "worker", "one");
    const struct plex_ref two = pair_spawn(&pair.b, "worker", "two");

    for (int i = 0; i < 2; i++) {
        struct side *breaker = i == 0 ? &pair.a : &pair.b;

        ck_assert_int_eq(pair_call(&pair.a, one, LINK, "two@b"), 0);
        ck_assert_int_eq(pair_call(&pair.b, two, MONITOR, "one@a"), 0);
        side_run(breaker, break_it, NULL);
        UNTIL(a, one, LAST, "exit noconnection", 1);
        ck_assert(pair_until(is_open, NULL));
        UNTIL(b, two, LAST, i == 0 ? "down noconnection" : "down noconnection",
              1);
        ck_assert_int_gt(pair_call(&pair.a, one, ASK, "two@b"), 0);
        ck_assert_int_gt(pair_call(&pair.b, two, ASK, "one@a"), 0);
    }
}
END_TEST

START_TEST(groups_are_the_same_on_all_workers_also_after_a_lost_session)
{
    struct plex_ref ref[4];

    for (int i = 0; i < 4; i++) {
        struct side *side = i % 2 == 0 ? &pair.a : &pair.b;

        ref[i] = pair_spawn(side, "worker", NULL);
        ck_assert_int_eq(pair_call(side, ref[i], JOIN, "g"), 0);
    }
    UNTIL(a, ref[0], MEMBERS, "g", 4);
    UNTIL(b, ref[1], MEMBERS, "g", 4);
    (void)pair_call(&pair.b, ref[3], END, "");
    UNTIL(a, ref[0], MEMBERS, "g", 3);
    side_run(&pair.b, break_it, NULL);
    UNTIL(a, ref[0], MEMBERS, "g", 3);
    UNTIL(b, ref[1], MEMBERS, "g", 3);
    side_run(&pair.a, break_it, NULL);
    UNTIL(a, ref[0], MEMBERS, "g", 3);
    UNTIL(b, ref[1], MEMBERS, "g", 3);
    side_hear(&pair.a, &pair.b, false);
    UNTIL(a, ref[0], MEMBERS, "g", 2);
    side_hear(&pair.a, &pair.b, true);
    UNTIL(a, ref[0], MEMBERS, "g", 3);
    UNTIL(b, ref[1], MEMBERS, "g", 3);
}
END_TEST

START_TEST(who_does_not_keep_up_is_refused_messages_and_keeps_its_session)
{
    const struct plex_ref one = pair_spawn(&pair.a, "worker", NULL);
    const struct plex_ref two = pair_spawn(&pair.b, "worker", "two");
    struct plex_task task = {.run = stall};
    struct work_dist_stats stats;

    atomic_store(&stalled, false);
    atomic_store(&go_on, false);
    ck_assert_int_eq(pair_call(&pair.a, one, LINK, "two@b"), 0);
    plex_loop_post(pair.b.host.loop, &task);
    while (!atomic_load(&stalled))
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    ck_assert_int_eq(pair_call(&pair.a, one, BIG, "two@b"), 0);
    atomic_store(&go_on, true);
    stats = side_stats(&pair.a);
    ck_assert_uint_gt(stats.refused, 0);
    ck_assert_uint_eq(stats.broken, 0);
    ck_assert_int_gt(pair_call(&pair.b, two, ADD, ""), 0);
    UNTIL(a, one, LAST, "", 1);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("worker.dist");
    TCase *tests = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_call_to_a_name_on_another_worker_is_answered);
    tcase_add_test(tests,
                   messages_of_one_sender_arrive_in_order_and_none_is_lost);
    tcase_add_test(tests, links_and_monitors_reach_over_workers);
    tcase_add_test(tests, a_process_is_started_on_another_worker);
    tcase_add_test(tests, a_start_that_is_lost_with_the_session_fails);
    tcase_add_test(tests,
                   a_lost_session_ends_links_on_both_sides_and_another_begins);
    tcase_add_test(
        tests, groups_are_the_same_on_all_workers_also_after_a_lost_session);
    tcase_add_test(
        tests, who_does_not_keep_up_is_refused_messages_and_keeps_its_session);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
