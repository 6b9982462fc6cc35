/* Reentrant actors: who runs while a turn waits, and what it sees. The tests
 * are the handlers: they hold every RUN and answer it themselves. */
#include "services/worker/chain.h"
#include "tests/unit/worker/test_core.h"
#include "tests/unit/worker/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct plex_actor_id self = {"acme", "default", "volatile", "a"};

static struct world *
reentrant(enum work_reentrancy policy)
{
    struct world *world = world_create(NULL);

    world->shape.reentrancy = policy;
    world_start(world);
    world_wait(world, 1);
    world->hold_runs = true;
    return world;
}

/* A call to `a`; its number. `chain` as chain_of(). */
static uint64_t
call(struct world *world, const char *payload, const char *chain)
{
    const uint64_t number =
        world_post(world, (struct world_send){.type = "volatile",
                                              .key = "a",
                                              .payload = payload,
                                              .chain = chain});
    world_go(world);
    return number;
}

/* What the turn of that RUN sends on, with who else is on the way. */
static const char *
chain_of(struct world *world, size_t run)
{
    static char out[WORK_CHAIN_MAX];

    ck_assert(work_chain_of(&self, world->held[run].action.run.message, out));
    return out;
}

struct says {
    enum work_phase phase;
    int64_t state; /* 0: not put */
    const char *reply;
    const char *tells; /* key */
    bool fails;
};

/* The handler of the RUN `run` says so. */
static void
say(struct world *world, size_t run, struct says says)
{
    const struct work_output output = {.kind = WORK_OUT_CAST,
                                       .type = "volatile",
                                       .key = says.tells,
                                       .payload = {(const uint8_t *)"inc", 4}};
    struct work_outcome outcome = {
        .phase = says.phase,
        .failed = says.fails,
        .state_changed = says.state != 0,
        .state = {(const uint8_t *)&says.state, sizeof says.state},
        .outputs = &output,
        .n_outputs = says.tells != NULL,
    };
    const char *text = says.reply == NULL ? "" : says.reply;
    const struct work_reply reply = {
        .content_type = "",
        .error = says.fails ? "asked to" : "",
        .failed = says.fails,
        .payload = {(const uint8_t *)text, strlen(text)}};
    struct plex_buf packed = {.max = 1024};
    struct plex_err err;

    if (says.phase == WORK_ENDED) {
        if (work_reply_pack(&reply, &packed, &err) != PLEX_OK)
            abort();
        outcome.reply = (struct plex_bytes){packed.data, packed.len};
    }
    work_core_ran(world->core, world->t, world->held[run].action.token,
                  &outcome);
    plex_buf_free(&packed);
    world_go(world);
}

static void
waits(struct world *world, size_t run)
{
    say(world, run, (struct says){.phase = WORK_YIELDS});
}

static void
wakes(struct world *world, size_t run)
{
    say(world, run, (struct says){.phase = WORK_WAKES});
}

static void
ends(struct world *world, size_t run, const char *reply)
{
    say(world, run, (struct says){.reply = reply});
}

static int64_t
sees(const struct world *world, size_t run)
{
    const struct work_action *action = &world->held[run].action;
    int64_t state = 0;

    if (action->run.has_state)
        memcpy(&state, action->run.state.data, sizeof state);
    return state;
}

static const char *
runs(const struct world *world, size_t run)
{
    return (const char *)world->held[run].action.run.message->payload.data;
}

static void
resumes(const struct world *world, size_t run, size_t of)
{
    ck_assert_uint_gt(world->n_held, run);
    ck_assert_int_eq(world->held[run].action.run.how, WORK_RUN_RESUME);
    ck_assert_uint_eq(world->held[run].action.run.resumes,
                      world->held[of].action.token);
}

/* -- who is let in ----------------------------------------------------------
 */

enum outer { RUNS, WAITS };
enum inner { STRANGER, OF_THE_CHAIN };
enum gets { A_TURN, QUEUED, REFUSED };

static const struct row {
    enum work_reentrancy policy;
    enum outer outer;
    enum inner inner;
    enum gets gets;
} table[] = {
    {WORK_REENTRANT_NONE, RUNS, STRANGER, QUEUED},
    {WORK_REENTRANT_NONE, RUNS, OF_THE_CHAIN, REFUSED},
    {WORK_REENTRANT_CHAIN, RUNS, STRANGER, QUEUED},
    {WORK_REENTRANT_CHAIN, RUNS, OF_THE_CHAIN, QUEUED},
    {WORK_REENTRANT_CHAIN, WAITS, STRANGER, QUEUED},
    {WORK_REENTRANT_CHAIN, WAITS, OF_THE_CHAIN, A_TURN},
    {WORK_REENTRANT_ALWAYS, RUNS, STRANGER, QUEUED},
    {WORK_REENTRANT_ALWAYS, RUNS, OF_THE_CHAIN, QUEUED},
    {WORK_REENTRANT_ALWAYS, WAITS, STRANGER, A_TURN},
    {WORK_REENTRANT_ALWAYS, WAITS, OF_THE_CHAIN, A_TURN},
};

START_TEST(the_policy_says_who_runs_while_a_turn_runs_or_waits)
{
    const struct row *row = &table[_i];
    struct world *world = reentrant(row->policy);
    const struct world_answer *answer;

    (void)call(world, "outer", NULL);
    ck_assert_uint_eq(world->n_held, 1);
    ck_assert(world->held[0].action.run.yields ==
              (row->policy != WORK_REENTRANT_NONE));
    if (row->outer == WAITS)
        waits(world, 0);
    answer = &world->answers[call(
        world, "inner",
        row->inner == OF_THE_CHAIN ? chain_of(world, 0) : NULL)];
    ck_assert_uint_eq(world->n_held, row->gets == A_TURN ? 2 : 1);
    ck_assert(answer->given == (row->gets == REFUSED));
    if (row->gets == REFUSED)
        ck_assert(answer->failed);
    world_free(world);
}
END_TEST

START_TEST(calls_are_nested_a_hundred_deep_at_most)
{
    const struct plex_actor_id actor = {"t", "n", "type", "key"};
    char chain[2][WORK_CHAIN_MAX] = {"", ""};
    struct work_message handled = {.id = {(const uint8_t *)"id", 2}};

    for (int i = 0; i < WORK_CHAIN_DEPTH; i++) {
        ck_assert(work_chain_of(&actor, &handled, chain[i % 2]));
        handled.chain = chain[i % 2];
    }
    ck_assert(!work_chain_of(&actor, &handled, chain[0]));
    ck_assert_str_eq(chain[0], chain[1]); /* the outer ones */
}
END_TEST

START_TEST(a_chain_through_others_is_known_and_another_one_is_not)
{
    struct world *world = reentrant(WORK_REENTRANT_CHAIN);
    const struct plex_actor_id b = {"acme", "default", "volatile", "b"};
    struct work_message through = {.id = {(const uint8_t *)"x", 1}};
    char chain[WORK_CHAIN_MAX];

    (void)call(world, "outer", NULL);
    through.chain = chain_of(world, 0);
    ck_assert(work_chain_of(&b, &through, chain));
    waits(world, 0);
    (void)call(world, "other", "00000001 volatile/a\n00000002 volatile/b");
    ck_assert_uint_eq(world->n_held, 1);
    (void)call(world, "inner", chain);
    ck_assert_uint_eq(world->n_held, 2);
    ck_assert_str_eq(runs(world, 1), "inner");
    ends(world, 1, "in");
    ck_assert_uint_eq(world->n_held, 2); /* the other one still waits */
    wakes(world, 0);
    resumes(world, 2, 0);
    ends(world, 2, "out");
    ck_assert_uint_eq(world->n_held, 4);
    ck_assert_str_eq(runs(world, 3), "other");
    world_free(world);
}
END_TEST

START_TEST(a_chain_of_calls_has_an_end)
{
    static char chains[2][WORK_CHAIN_MAX];
    struct work_message through = {.id = {(const uint8_t *)"x", 1}};
    char key[201];
    const struct plex_actor_id actor = {"t", "n", "volatile", key};
    const size_t line = strlen("00000000 volatile/") + sizeof key - 1;
    size_t n = 1;

    memset(key, 'k', sizeof key);
    key[sizeof key - 1] = '\0';
    ck_assert(work_chain_of(&actor, &through, chains[0]));
    for (through.chain = chains[0];
         work_chain_of(&actor, &through, chains[n & 1]); n++)
        through.chain = chains[n & 1];
    ck_assert_uint_eq(strlen(through.chain), n * (line + 1) - 1);
    ck_assert_uint_ge(strlen(through.chain) + 1 + line, WORK_CHAIN_MAX);
    ck_assert_str_eq(chains[n & 1], through.chain); /* the outer ones */
}
END_TEST

START_TEST(a_call_that_is_let_in_goes_before_those_that_wait)
{
    struct world *world = reentrant(WORK_REENTRANT_CHAIN);

    (void)call(world, "outer", NULL);
    (void)call(world, "second", NULL);
    (void)call(world, "inner", chain_of(world, 0));
    ck_assert_uint_eq(world->n_held, 1); /* the outer one still runs */
    waits(world, 0);
    ck_assert_str_eq(runs(world, 1), "inner");
    world_free(world);
}
END_TEST

START_TEST(a_call_whose_waiter_gave_up_is_handled_in_its_turn)
{
    struct world *world = reentrant(WORK_REENTRANT_CHAIN);

    (void)call(world, "outer", NULL);
    (void)call(world, "inner", chain_of(world, 0));
    ends(world, 0, "done");
    ck_assert_uint_eq(world->n_held, 2);
    ck_assert_str_eq(runs(world, 1), "inner");
    world_free(world);
}
END_TEST

/* -- one at a time ----------------------------------------------------------
 */

START_TEST(who_wakes_waits_until_the_other_waits_or_ends)
{
    struct world *world = reentrant(WORK_REENTRANT_ALWAYS);
    uint64_t first, second;

    first = call(world, "first", NULL);
    waits(world, 0);
    second = call(world, "second", NULL);
    ck_assert_uint_eq(world->n_held, 2);
    wakes(world, 0);
    ck_assert_uint_eq(world->n_held, 2); /* the second one runs */
    waits(world, 1);
    resumes(world, 2, 0);
    wakes(world, 1);
    ck_assert_uint_eq(world->n_held, 3);
    ends(world, 2, "one");
    ck_assert_str_eq(world->answers[first].payload, "one");
    resumes(world, 3, 1);
    ck_assert(!world->answers[second].given);
    ends(world, 3, "two");
    ck_assert_str_eq(world->answers[second].payload, "two");
    world_free(world);
}
END_TEST

START_TEST(who_wakes_goes_before_messages_and_in_the_order_of_waking)
{
    struct world *world = reentrant(WORK_REENTRANT_ALWAYS);

    for (size_t i = 0; i < 3; i++) {
        (void)call(world, "early", NULL);
        waits(world, i);
    }
    (void)call(world, "runs", NULL);
    (void)call(world, "late", NULL);
    wakes(world, 2);
    wakes(world, 0);
    ends(world, 3, "");
    resumes(world, 4, 2);
    ends(world, 4, "");
    resumes(world, 5, 0);
    ends(world, 5, "");
    ck_assert_str_eq(runs(world, 6), "late");
    world_free(world);
}
END_TEST

START_TEST(a_turn_that_waits_again_has_another_token)
{
    struct world *world = reentrant(WORK_REENTRANT_ALWAYS);
    uint64_t number = call(world, "twice", NULL);

    waits(world, 0);
    wakes(world, 0);
    resumes(world, 1, 0);
    waits(world, 1);
    wakes(world, 0); /* late, of the wait before */
    ck_assert_uint_eq(world->n_held, 2);
    wakes(world, 1);
    resumes(world, 2, 1);
    wakes(world, 1); /* twice */
    ends(world, 2, "both");
    ck_assert_str_eq(world->answers[number].payload, "both");
    ck_assert_uint_eq(world->n_held, 3);
    world_free(world);
}
END_TEST

/* -- what it sees -----------------------------------------------------------
 */

START_TEST(what_was_put_before_a_wait_is_seen_by_others_and_theirs_after_it)
{
    struct world *world = reentrant(WORK_REENTRANT_ALWAYS);

    (void)call(world, "outer", NULL);
    say(world, 0, (struct says){.phase = WORK_YIELDS, .state = 5});
    (void)call(world, "inner", NULL);
    ck_assert_int_eq(sees(world, 1), 5);
    say(world, 1, (struct says){.state = 6});
    wakes(world, 0);
    ck_assert_int_eq(sees(world, 2), 6);
    ends(world, 2, "");
    (void)call(world, "later", NULL);
    ck_assert_int_eq(sees(world, 3), 6); /* the outer one put nothing since */
    world_free(world);
}
END_TEST

START_TEST(a_turn_that_fails_keeps_what_it_did_before_its_wait)
{
    struct world *world = reentrant(WORK_REENTRANT_ALWAYS);
    uint64_t number = call(world, "outer", NULL);

    say(world, 0,
        (struct says){.phase = WORK_YIELDS, .state = 5, .tells = "b"});
    ck_assert_uint_eq(world->n_held, 2); /* b has been told */
    ck_assert_str_eq(world->held[1].action.run.actor->key, "b");
    wakes(world, 0);
    say(world, 2, (struct says){.fails = true, .state = 9, .tells = "c"});
    ck_assert(world->answers[number].failed);
    ck_assert_uint_eq(world->n_held, 3);
    (void)call(world, "later", NULL);
    ck_assert_int_eq(sees(world, 3), 5);
    world_free(world);
}
END_TEST

/* -- ends -------------------------------------------------------------------
 */

START_TEST(a_turn_whose_process_is_gone_fails_alone)
{
    struct world *world = reentrant(WORK_REENTRANT_ALWAYS);
    uint64_t first = call(world, "first", NULL), second;

    waits(world, 0);
    second = call(world, "second", NULL);
    say(world, 0, (struct says){.fails = true});
    ck_assert(world->answers[first].failed);
    ends(world, 1, "fine");
    ck_assert_str_eq(world->answers[second].payload, "fine");
    wakes(world, 0);
    ck_assert_uint_eq(world->n_held, 2);
    world_free(world);
}
END_TEST

START_TEST(who_waits_is_not_idle)
{
    struct world *world = reentrant(WORK_REENTRANT_ALWAYS);

    (void)call(world, "first", NULL);
    waits(world, 0);
    world_wait(world, 120000);
    ck_assert_uint_eq(world_stats(world).activations, 1);
    wakes(world, 0);
    ends(world, 1, "");
    world_wait(world, 120000);
    ck_assert_uint_eq(world_stats(world).activations, 0);
    world_free(world);
}
END_TEST

START_TEST(a_drop_answers_who_waits_and_runs_it_no_second_time)
{
    struct world *world = reentrant(WORK_REENTRANT_ALWAYS);
    static const char other[] = "another module";
    uint64_t waiting = call(world, "waits", NULL), running, queued;

    waits(world, 0);
    running = call(world, "runs", NULL);
    queued = call(world, "queued", NULL);
    world_types(world, WORK_TYPE_RUNNING, other);
    world_go(world);
    wakes(world, 0);
    ck_assert(!world->answers[waiting].given); /* not before the other ends */
    waits(world, 1);
    ck_assert(world->answers[waiting].failed);
    ck_assert(world->answers[running].failed); /* it had begun to take effect */
    ck_assert_uint_eq(world->n_held, 3);
    ck_assert_str_eq(runs(world, 2), "queued");
    wakes(world, 0);
    wakes(world, 1);
    ck_assert_uint_eq(world->n_held, 3);
    ends(world, 2, "later");
    ck_assert_str_eq(world->answers[queued].payload, "later");
    world_free(world);
}
END_TEST

START_TEST(a_core_may_go_while_turns_wait)
{
    struct world *world = reentrant(WORK_REENTRANT_ALWAYS);

    for (size_t i = 0; i < 3; i++) {
        (void)call(world, "waits", NULL);
        waits(world, i);
    }
    (void)call(world, "runs", NULL);
    wakes(world, 1);
    world_free(world);
}
END_TEST

START_TEST(so_many_may_wait_and_a_call_beyond_that_is_told)
{
    struct world *world = reentrant(WORK_REENTRANT_ALWAYS);
    uint64_t stranger, inner;

    for (size_t i = 0; i < 256; i++) {
        (void)call(world, "waits", NULL);
        ck_assert_uint_eq(world->n_held, i % 128 + 1);
        waits(world, i % 128);
        if (world->n_held == 128) /* the last one's RUN is at 127 */
            world->n_held = 0;
    }
    stranger = call(world, "queued", NULL);
    ck_assert(!world->answers[stranger].given);
    inner = call(world, "inner", chain_of(world, 127));
    ck_assert_int_eq(world->answers[inner].status, PLEX_LIMIT);
    ck_assert_uint_eq(world->n_held, 0);
    wakes(world, 127);
    ck_assert_int_eq(world->held[0].action.run.how, WORK_RUN_RESUME);
    ck_assert(!world->answers[stranger].given);
    ends(world, 0, "");
    ck_assert_str_eq(runs(world, 1), "queued");
    world_free(world);
}
END_TEST

START_TEST(the_same_request_again_does_not_run_beside_itself)
{
    struct world *world = reentrant(WORK_REENTRANT_ALWAYS);
    const struct world_send send = {
        .type = "volatile", .key = "a", .payload = "once", .id = "same"};
    const struct world_answer *again;

    (void)world_call(world, send);
    waits(world, 0);
    again = world_call(world, send);
    ck_assert_uint_eq(world->n_held, 1);
    wakes(world, 0);
    ends(world, 1, "done");
    ck_assert(again->given || world->answers[1].given);
    world_free(world);
}
END_TEST

TCase *
core_aside_tests(void)
{
    TCase *tests = tcase_create("reentrancy");

    tcase_add_loop_test(tests,
                        the_policy_says_who_runs_while_a_turn_runs_or_waits, 0,
                        sizeof table / sizeof table[0]);
    tcase_add_test(tests, calls_are_nested_a_hundred_deep_at_most);
    tcase_add_test(tests,
                   a_chain_through_others_is_known_and_another_one_is_not);
    tcase_add_test(tests, a_chain_of_calls_has_an_end);
    tcase_add_test(tests, a_call_that_is_let_in_goes_before_those_that_wait);
    tcase_add_test(tests, a_call_whose_waiter_gave_up_is_handled_in_its_turn);
    tcase_add_test(tests, who_wakes_waits_until_the_other_waits_or_ends);
    tcase_add_test(tests,
                   who_wakes_goes_before_messages_and_in_the_order_of_waking);
    tcase_add_test(tests, a_turn_that_waits_again_has_another_token);
    tcase_add_test(
        tests,
        what_was_put_before_a_wait_is_seen_by_others_and_theirs_after_it);
    tcase_add_test(tests, a_turn_that_fails_keeps_what_it_did_before_its_wait);
    tcase_add_test(tests, a_turn_whose_process_is_gone_fails_alone);
    tcase_add_test(tests, who_waits_is_not_idle);
    tcase_add_test(tests, a_drop_answers_who_waits_and_runs_it_no_second_time);
    tcase_add_test(tests, a_core_may_go_while_turns_wait);
    tcase_add_test(tests, so_many_may_wait_and_a_call_beyond_that_is_told);
    tcase_add_test(tests, the_same_request_again_does_not_run_beside_itself);
    return tests;
}
