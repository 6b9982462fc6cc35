/* The loop: posting, deferring, timers, order. */
#include "common/loop.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static struct plex_err err;
static struct plex_loop *loop;
static char order[64];

struct step {
    struct plex_task task;
    char name;
    struct step *defer; /* defer this one when run */
    bool quit;
};

static void
run_step(struct plex_task *task)
{
    struct step *step = plex_container_of(task, struct step, task);
    const size_t used = strlen(order);

    order[used] = step->name;
    if (step->defer != NULL)
        plex_loop_defer(loop, &step->defer->task);
    if (step->quit)
        plex_loop_quit(loop);
}

static void
setup(void)
{
    memset(order, 0, sizeof order);
    ck_assert_int_eq(plex_loop_create(&loop, &err), PLEX_OK);
}

static void
teardown(void)
{
    plex_loop_free(loop);
}

START_TEST(posted_tasks_run_in_order_and_deferred_ones_after_them)
{
    struct step d = {{.run = run_step}, 'd', NULL, false};
    struct step c = {{.run = run_step}, 'c', &d, false};
    struct step a = {{.run = run_step}, 'a', &c, false};
    struct step b = {{.run = run_step}, 'b', NULL, true};

    plex_loop_post(loop, &a.task);
    plex_loop_post(loop, &b.task);
    plex_loop_run(loop);
    plex_loop_flush(loop);
    ck_assert_str_eq(order, "abcd");
}
END_TEST

enum { POSTS = 20000 };

struct counted {
    struct plex_task task;
    size_t *seen;
    size_t number;
};

static void
run_counted(struct plex_task *task)
{
    struct counted *c = plex_container_of(task, struct counted, task);

    ck_assert_uint_eq(c->number, *c->seen);
    if (++*c->seen == POSTS)
        plex_loop_quit(loop);
}

static void *
post_many(void *arg)
{
    struct counted *tasks = arg;

    for (size_t i = 0; i < POSTS; i++)
        plex_loop_post(loop, &tasks[i].task);
    return NULL;
}

START_TEST(another_thread_may_post_and_nothing_is_lost)
{
    struct counted *tasks = calloc(POSTS, sizeof *tasks);
    size_t seen = 0;
    pthread_t thread;

    for (size_t i = 0; i < POSTS; i++)
        tasks[i] = (struct counted){{.run = run_counted}, &seen, i};
    ck_assert_int_eq(pthread_create(&thread, NULL, post_many, tasks), 0);
    plex_loop_run(loop);
    (void)pthread_join(thread, NULL);
    ck_assert_uint_eq(seen, POSTS);
    free(tasks);
}
END_TEST

START_TEST(a_task_may_be_put_under_a_lock_and_its_loop_woken_without_it)
{
    struct step a = {{.run = run_step}, 'a', NULL, false};
    struct step b = {{.run = run_step}, 'b', NULL, true};
    struct plex_loop *asleep = plex_loop_put(loop, &a.task);

    ck_assert_ptr_eq(asleep, loop);
    ck_assert_ptr_null(plex_loop_put(loop, &b.task)); /* one is enough */
    plex_loop_wake(NULL);
    plex_loop_wake(asleep);
    plex_loop_run(loop);
    ck_assert_str_eq(order, "ab");
}
END_TEST

enum { LOOPS = 200 };

static void *
put_and_wake(void *arg)
{
    struct step *last = arg;

    plex_loop_wake(plex_loop_put(loop, &last->task));
    return NULL;
}

/* The task is run, and the loop freed, while its poster still wakes it. */
START_TEST(a_loop_may_be_freed_as_soon_as_the_last_task_has_run)
{
    for (int i = 0; i < LOOPS; i++) {
        struct step last = {{.run = run_step}, 'z', NULL, true};
        pthread_t thread;

        plex_loop_free(loop);
        setup();
        ck_assert_int_eq(pthread_create(&thread, NULL, put_and_wake, &last), 0);
        while (strlen(order) == 0)
            plex_loop_flush(loop); /* also before it was woken */
        plex_loop_free(loop);
        (void)pthread_join(thread, NULL);
        setup();
    }
}
END_TEST

static void
quit_now(void *arg)
{
    *(uint64_t *)arg = plex_now();
    plex_loop_quit(loop);
}

static struct plex_timer *suicidal;

static void
free_itself(void *arg)
{
    (void)arg;
    plex_timer_free(suicidal);
    suicidal = NULL;
}

START_TEST(a_timer_fires_once_and_not_early)
{
    uint64_t fired = 0;
    struct plex_timer *timer = plex_timer_create(loop, quit_now, &fired);
    struct plex_timer *stopped = plex_timer_create(loop, quit_now, &fired);
    const uint64_t before = plex_now();

    suicidal = plex_timer_create(loop, free_itself, NULL);
    plex_timer_start(suicidal, 0);
    plex_timer_start(stopped, 1);
    plex_timer_stop(stopped);
    plex_timer_start(timer, 20);
    plex_loop_run(loop);
    /* libuv counts whole milliseconds. */
    ck_assert_uint_ge(fired - before, 19 * 1000000U);
    ck_assert_ptr_null(suicidal);
    plex_timer_free(timer);
    plex_timer_free(stopped);
    plex_timer_free(NULL);
}
END_TEST

START_TEST(quit_before_run_is_not_lost)
{
    plex_loop_quit(loop);
    plex_loop_run(loop);
    ck_assert_uint_ge(plex_now(), plex_loop_now(loop));
    ck_assert_uint_gt(plex_wall_ms(), UINT64_C(1600000000000));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("loop");
    TCase *tcase = tcase_create("loop");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase,
                   posted_tasks_run_in_order_and_deferred_ones_after_them);
    tcase_add_test(tcase, another_thread_may_post_and_nothing_is_lost);
    tcase_add_test(
        tcase, a_task_may_be_put_under_a_lock_and_its_loop_woken_without_it);
    tcase_add_test(tcase, a_loop_may_be_freed_as_soon_as_the_last_task_has_run);
    tcase_add_test(tcase, a_timer_fires_once_and_not_early);
    tcase_add_test(tcase, quit_before_run_is_not_lost);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
