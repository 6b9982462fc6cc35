#include "services/channel-broker/core.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const struct broker_where here = {"default", "default", "orders"};
static const struct broker_config config = {
    .channels_max = 4,
    .groups_max = 2,
    .messages_max = 100,
    .bytes_max = 1 << 20,
    .waiters_max = 4,
    .requests_max = 3,
};
static struct broker_now now;
static struct broker_core *core;

/* The answers so far, by the number that stands for the call. */
static struct {
    bool done;
    enum plex_status status;
    uint32_t n, count;
    char keys[16];   /* first letter of each delivered key */
    char bodies[16]; /* first letter of each payload */
    uint32_t deliveries[16];
    uint8_t ids[16][BROKER_ID_BYTES];
} answers[32];
static unsigned n_puts, removes, stored, dead;

static void
answer_keep(const struct broker_action *action)
{
    const uintptr_t number = (uintptr_t)action->call;

    ck_assert(!answers[number].done);
    answers[number].done = true;
    answers[number].status = action->status;
    answers[number].n = action->n;
    answers[number].count = action->count;
    if (action->answer == BROKER_IDS)
        memcpy(answers[number].ids[0], action->first_id, BROKER_ID_BYTES);
    for (uint32_t i = 0; action->answer == BROKER_MESSAGES && i < action->n;
         i++) {
        const struct broker_message *message = action->delivered[i].message;

        answers[number].keys[i] = message->key[0];
        answers[number].bodies[i] = (char)message->payload.data[0];
        answers[number].deliveries[i] = action->delivered[i].count;
        memcpy(answers[number].ids[i], message->id, BROKER_ID_BYTES);
    }
}

static void
drain(void)
{
    struct broker_action action;

    while (broker_core_next(core, &action)) {
        n_puts += action.kind == BROKER_PUT;
        removes += action.kind == BROKER_REMOVE;
        stored += action.kind == BROKER_DELIVERY;
        dead += action.kind == BROKER_DELIVERY && action.state == BROKER_DEAD;
        if (action.kind == BROKER_REPLY)
            answer_keep(&action);
    }
}

static void
setup(void)
{
    memset(answers, 0, sizeof answers);
    n_puts = removes = stored = dead = 0;
    now = (struct broker_now){1000000, 5000};
    core = broker_core_create(&config);
}

static void
teardown(void)
{
    broker_core_free(core);
}

/* Each pair of letters of `text` is a key ('-' for none) and a payload. */
static void
send_id(uintptr_t number, const char *text, const char *request_id)
{
    struct broker_message messages[8] = {0};
    struct broker_send send = {.where = here, .messages = messages};
    char keys[8][2] = {{0}};

    for (; text[2 * send.n] != '\0'; send.n++) {
        keys[send.n][0] = text[2 * send.n] == '-' ? '\0' : text[2 * send.n];
        messages[send.n].key = keys[send.n];
        messages[send.n].payload =
            (struct plex_bytes){(const uint8_t *)text + 2 * send.n + 1, 1};
    }
    send.first_id[14] = (uint8_t)number;
    if (request_id != NULL)
        send.request_id =
            (struct plex_bytes){(const uint8_t *)request_id, BROKER_ID_BYTES};
    broker_core_send(core, now, (void *)number, &send);
    drain();
}

static void
receive(uintptr_t number, const char *group, uint32_t max, uint64_t timeout_ms)
{
    broker_core_receive(core, now, (void *)number,
                        &(struct broker_receive){.where = here,
                                                 .group = group,
                                                 .max = max,
                                                 .timeout_ms = timeout_ms,
                                                 .visibility_ms = 100});
    drain();
}

static void
settle(uintptr_t number, const char *group, uintptr_t from, uint32_t index,
       bool ack)
{
    const struct plex_bytes id = {answers[from].ids[index], BROKER_ID_BYTES};

    broker_core_settle(core, now, (void *)number,
                       &(struct broker_settle){here, group, &id, 1, ack});
    drain();
}

static void
pass_ms(uint64_t ms)
{
    now.mono_ns += ms * 1000000;
    now.wall_ms += ms;
    broker_core_tick(core, now);
    drain();
}

START_TEST(messages_without_a_key_are_delivered_side_by_side)
{
    send_id(1, "-a-b-c", NULL);
    receive(2, "g", 2, 0);
    receive(3, "g", 9, 0);
    receive(4, "g", 9, 0);
    ck_assert_str_eq(answers[2].bodies, "ab");
    ck_assert_str_eq(answers[3].bodies, "c");
    ck_assert(answers[4].done && answers[4].n == 0);
    settle(5, "g", 2, 1, true);
    ck_assert_uint_eq(answers[5].count, 1);
    settle(6, "g", 2, 1, true);
    ck_assert_uint_eq(answers[6].count, 0);
    ck_assert_uint_eq(removes, 1);
}
END_TEST

START_TEST(messages_of_one_key_come_one_at_a_time_and_in_order)
{
    send_id(1, "x1y2x3x4", NULL);
    receive(2, "g", 9, 0);
    ck_assert_str_eq(answers[2].bodies, "12");
    receive(3, "g", 9, 0);
    ck_assert_uint_eq(answers[3].n, 0);
    settle(4, "g", 2, 0, false); /* comes again before those after it */
    receive(5, "g", 9, 0);
    ck_assert_str_eq(answers[5].bodies, "1");
    ck_assert_uint_eq(answers[5].deliveries[0], 2);
    settle(6, "g", 5, 0, true);
    receive(7, "g", 9, 0);
    ck_assert_str_eq(answers[7].bodies, "3");
}
END_TEST

START_TEST(a_waiting_receiver_gets_the_next_message)
{
    receive(1, "g", 1, 1000);
    receive(2, "g", 1, 1000);
    send_id(3, "-a", NULL);
    ck_assert_str_eq(answers[1].bodies, "a");
    ck_assert(!answers[2].done);
    settle(4, "g", 1, 0, false);
    ck_assert_str_eq(answers[2].bodies, "a");
    receive(5, "g", 1, 50);
    pass_ms(50);
    ck_assert(answers[5].done && answers[5].n == 0);
}
END_TEST

START_TEST(what_is_not_acknowledged_comes_again)
{
    send_id(1, "-a", NULL);
    receive(2, "g", 1, 0);
    ck_assert_uint_eq(broker_core_wait_ms(core, now), 100);
    pass_ms(99);
    receive(3, "g", 1, 0);
    ck_assert_uint_eq(answers[3].n, 0);
    pass_ms(1);
    receive(4, "g", 1, 0);
    ck_assert_uint_eq(answers[4].deliveries[0], 2);
    settle(5, "g", 2, 0, true); /* the id is the same: it counts */
    ck_assert_uint_eq(answers[5].count, 1);
}
END_TEST

START_TEST(the_fifth_failure_makes_a_dead_letter)
{
    struct broker_stats stats;

    send_id(1, "k1k2", NULL);
    for (uintptr_t i = 0; i < BROKER_DELIVERIES_MAX; i++) {
        receive(2 + 2 * i, "g", 1, 0);
        ck_assert_str_eq(answers[2 + 2 * i].bodies, "1");
        settle(3 + 2 * i, "g", 2 + 2 * i, 0, false);
    }
    ck_assert_uint_eq(dead, 1);
    receive(20, "g", 1, 0);
    ck_assert_str_eq(answers[20].bodies, "2");
    stats = broker_core_stats(core, &here, "g");
    ck_assert_uint_eq(stats.dead_letters, 1);
    ck_assert_uint_eq(stats.in_flight, 1);
    ck_assert_uint_eq(stats.waiting, 0);
}
END_TEST

START_TEST(every_group_gets_every_message)
{
    send_id(1, "-a", NULL);
    receive(2, "g", 1, 0);
    receive(3, "h", 1, 0);
    ck_assert_str_eq(answers[2].bodies, "a");
    ck_assert_str_eq(answers[3].bodies, "a");
    settle(4, "g", 2, 0, true);
    ck_assert_uint_eq(removes, 0);
    ck_assert_uint_eq(stored, 1);
    settle(5, "h", 3, 0, true);
    ck_assert_uint_eq(removes, 1);
    receive(6, "i", 1, 0);
    ck_assert_int_eq(answers[6].status, PLEX_LIMIT);
}
END_TEST

START_TEST(the_same_request_id_sends_once)
{
    send_id(1, "-a-b", "request-1-------");
    send_id(2, "-a-b", "request-1-------");
    ck_assert_uint_eq(n_puts, 2);
    ck_assert_mem_eq(answers[1].ids[0], answers[2].ids[0], BROKER_ID_BYTES);
    ck_assert_uint_eq(answers[2].n, 2);
}
END_TEST

START_TEST(a_full_broker_says_limit)
{
    for (uintptr_t i = 0; i < 25; i++)
        send_id(1 + i, "-a-b-c-d", NULL);
    send_id(30, "-e", NULL);
    ck_assert_int_eq(answers[25].status, PLEX_OK);
    ck_assert_int_eq(answers[30].status, PLEX_LIMIT);
}
END_TEST

START_TEST(restored_deliveries_go_on_where_they_were)
{
    struct broker_message message = {.key = "k"};

    broker_core_restore_group(core, &here, "g", 0);
    for (message.seq = 7; message.seq < 10; message.seq++) {
        message.id[0] = (uint8_t)message.seq;
        message.payload =
            (struct plex_bytes){(const uint8_t *)&"0123456789"[message.seq], 1};
        broker_core_restore_message(core, &here, &message);
    }
    ck_assert(broker_core_restore_delivery(core, 7, "g", BROKER_DEAD, 5));
    ck_assert(broker_core_restore_delivery(core, 8, "g", BROKER_WAITING, 3));
    ck_assert(!broker_core_restore_delivery(core, 6, "g", BROKER_DEAD, 5));
    ck_assert(!broker_core_restore_delivery(core, 8, "x", BROKER_DEAD, 5));
    receive(1, "g", 9, 0);
    ck_assert_str_eq(answers[1].bodies, "8");
    ck_assert_uint_eq(answers[1].deliveries[0], 4);
    ck_assert_uint_eq(broker_core_stats(core, &here, "g").dead_letters, 1);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("channel-broker core");
    TCase *tcase = tcase_create("core");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, messages_without_a_key_are_delivered_side_by_side);
    tcase_add_test(tcase, messages_of_one_key_come_one_at_a_time_and_in_order);
    tcase_add_test(tcase, a_waiting_receiver_gets_the_next_message);
    tcase_add_test(tcase, what_is_not_acknowledged_comes_again);
    tcase_add_test(tcase, the_fifth_failure_makes_a_dead_letter);
    tcase_add_test(tcase, every_group_gets_every_message);
    tcase_add_test(tcase, the_same_request_id_sends_once);
    tcase_add_test(tcase, a_full_broker_says_limit);
    tcase_add_test(tcase, restored_deliveries_go_on_where_they_were);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
