/* Effects that were under way when their worker was lost. */
#include "sdk/c/include/plexspaces/durable.h"
#include "services/worker/handler.h"
#include "services/worker/run_log.h"

#include <check.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

static unsigned carried_out;

static int
effect(struct plex_ctx *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    carried_out++;
    return 0;
}

static int
handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    static const struct plex_retry retry = {.attempts = 3, .initial_ms = 1000};

    (void)msg;
    return plex_run(ctx, "pay", effect, NULL, &retry, NULL);
}

static const struct plex_behaviour behaviour = {.name = "b",
                                                .handle_call = handle};

struct world {
    struct work_handler *handler;
    struct work_outcome outcome;
    struct work_action run;
    struct work_message message;
    struct plex_buf packed, state;
    struct plex_arena arena;
    jmp_buf away;
    bool waited;
};

/* It never goes on. */
static const struct work_action *
on_wait(void *arg, uint64_t *wall_ms)
{
    struct world *w = arg;

    (void)wall_ms;
    w->waited = true;
    longjmp(w->away, 1);
}

static void
setup(struct world *w)
{
    struct plex_err err;

    memset(w, 0, sizeof *w);
    carried_out = 0;
    w->handler = work_handler_create();
    plex_arena_init(&w->arena, 1 << 20);
    w->packed.max = w->state.max = 1 << 16;
    w->message = (struct work_message){.to = {"acme", "default", "b", "k"},
                                       .kind = WORK_CALL,
                                       .id = {(const uint8_t *)"m1", 2},
                                       .method = "",
                                       .path = "",
                                       .subpath = "",
                                       .query = "",
                                       .content_type = "",
                                       .sender = "",
                                       .timer = ""};
    ck_assert_int_eq(work_message_pack(&w->message, &w->packed, &err), PLEX_OK);
    w->run.kind = WORK_DO_RUN;
    w->run.run.how = WORK_RUN_REPLAY;
    w->run.run.durable = w->run.run.settled = true;
    w->run.run.actor = &w->message.to;
    w->run.run.message = &w->message;
    w->run.run.request_id = "";
}

static void
teardown(struct world *w)
{
    work_handler_free(w->handler);
    plex_arena_fini(&w->arena);
    plex_buf_free(&w->packed);
    plex_buf_free(&w->state);
}

/* The run, found with `n` attempts of its effect: -1: none is recorded. */
static void
replay(struct world *w, int n)
{
    const uint32_t attempts = (uint32_t)n;
    struct work_step step = {.kind = WORK_STEP_SLEEP,
                             .name = WORK_STEP_RETRY "pay",
                             .done = true,
                             .order = 1,
                             .result = {(const uint8_t *)&attempts, 4}};
    struct work_run run = {.message = {w->packed.data, w->packed.len},
                           .started_ms = 5,
                           .steps = &step,
                           .n_steps = n < 0 ? 0 : 1,
                           .order = 1,
                           .parked = ""};
    const struct work_turn turn = {.behaviour = &behaviour,
                                   .run = &w->run,
                                   .wall_ms = 1000000,
                                   .wait = on_wait,
                                   .wait_arg = w};
    struct plex_err err;

    ck_assert_int_eq(work_run_pack(&run, &w->state, &err), PLEX_OK);
    w->run.run.state = (struct plex_bytes){w->state.data, w->state.len};
    w->run.run.has_state = true;
    if (setjmp(w->away) == 0)
        work_handler_run(w->handler, &turn, &w->outcome);
}

START_TEST(an_attempt_that_was_lost_is_counted_before_the_next_one)
{
    struct world w;

    setup(&w);
    replay(&w, -1);
    ck_assert(w.waited);
    ck_assert_uint_eq(carried_out, 0);
    ck_assert_int_eq(w.outcome.phase, WORK_WAITS);
    ck_assert_ptr_nonnull(strstr(w.outcome.waits_for, "after 1: its worker"));
    ck_assert_uint_eq(w.outcome.n_outputs, 1);
    ck_assert_int_eq(w.outcome.outputs[0].kind, WORK_OUT_TIMER_SET);
    ck_assert(w.outcome.rebuilds); /* the count is written */
    teardown(&w);
}
END_TEST

START_TEST(the_last_attempt_that_is_lost_parks_the_run)
{
    struct world w;

    setup(&w);
    replay(&w, 9);
    ck_assert(w.waited);
    ck_assert_uint_eq(carried_out, 0);
    ck_assert_int_eq(w.outcome.phase, WORK_PARKED);
    ck_assert_str_eq(
        w.outcome.waits_for,
        "effect \"pay\" failed for good: its worker was lost while "
        "it was carried out");
    teardown(&w);
}
END_TEST

START_TEST(a_run_that_was_not_lost_has_its_effect_at_once)
{
    struct world w;

    setup(&w);
    w.run.run.how = WORK_RUN_MESSAGE;
    replay(&w, -1);
    ck_assert(!w.waited);
    ck_assert_uint_eq(carried_out, 1);
    teardown(&w);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("worker lost");
    TCase *tests = tcase_create("lost");
    SRunner *runner;
    int failed;

    tcase_add_test(tests,
                   an_attempt_that_was_lost_is_counted_before_the_next_one);
    tcase_add_test(tests, the_last_attempt_that_is_lost_parks_the_run);
    tcase_add_test(tests, a_run_that_was_not_lost_has_its_effect_at_once);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
