/* What every back end of the broker promises. TEST_DSN "sqlite:" gets a file
 * of its own for each test. */
#include "services/channel-broker/store.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], dsn[128];
static bool durable;
static struct plex_err err;
static const struct broker_where here = {"default", "default", "orders"};
static const struct broker_config config = {
    .channels_max = 10,
    .groups_max = 10,
    .messages_max = 1000,
    .bytes_max = 1 << 24,
    .waiters_max = 4,
    .requests_max = 100,
};
static const struct broker_now now = {1, 1000};
static uint8_t received[8][BROKER_ID_BYTES];
static uint32_t n_received, n_removed, n_put;

static void
setup(void)
{
    const char *given = getenv("TEST_DSN");

    given = given != NULL ? given : "mem:";
    durable = strcmp(given, "mem:") != 0;
    (void)snprintf(folder, sizeof folder, "/tmp/plex-broker-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    if (durable)
        (void)snprintf(dsn, sizeof dsn, "%s%s/t.db", given, folder);
    else
        (void)snprintf(dsn, sizeof dsn, "%s", given);
    err = (struct plex_err){0};
}

static void
teardown(void)
{
    static const char *const names[] = {"t.db", "t.db-wal", "t.db-shm"};
    char path[128];

    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(folder);
}

static struct broker_store *
opened(void)
{
    struct broker_store *store = NULL;

    ck_assert_msg(broker_store_open(&store, dsn, &err) == PLEX_OK, "%s",
                  err.text);
    return store;
}

static void
apply(struct broker_core *core, struct broker_store *store)
{
    struct broker_action action;

    n_received = n_removed = n_put = 0;
    while (broker_core_next(core, &action)) {
        n_removed += action.kind == BROKER_REMOVE;
        n_put += action.kind == BROKER_PUT;
        if (action.kind != BROKER_REPLY) {
            ck_assert_msg(broker_store_apply(store, &action, &err) == PLEX_OK,
                          "%s", err.text);
            continue;
        }
        if (action.answer != BROKER_MESSAGES)
            continue;
        n_received = action.n;
        for (uint32_t i = 0; i < action.n; i++) {
            const struct broker_message *message = action.delivered[i].message;

            memcpy(received[i], message->id, BROKER_ID_BYTES);
            ck_assert_str_eq(message->key, "key");
            ck_assert_uint_eq(message->n_headers, 1);
            ck_assert_str_eq(message->headers[0].value, "2");
            ck_assert_mem_eq(message->payload.data, "a\0b", 3);
        }
    }
    ck_assert_int_eq(broker_store_commit(store, &err), PLEX_OK);
}

static void
send_some(struct broker_core *core, uint32_t n, const char *request_id)
{
    static const struct broker_header headers[] = {{"one", "2"}};
    struct broker_message messages[8];
    struct broker_send send = {.where = here, .messages = messages, .n = n};

    for (uint32_t i = 0; i < n; i++)
        messages[i] =
            (struct broker_message){.key = "key",
                                    .payload = {(const uint8_t *)"a\0b", 3},
                                    .headers = headers,
                                    .n_headers = 1};
    send.first_id[0] = 1;
    if (request_id != NULL)
        send.request_id =
            (struct plex_bytes){(const uint8_t *)request_id, BROKER_ID_BYTES};
    broker_core_send(core, now, NULL, &send);
}

static void
receive(struct broker_core *core, const char *group)
{
    broker_core_receive(
        core, now, NULL,
        &(struct broker_receive){
            .where = here, .group = group, .max = 8, .visibility_ms = 1000});
}

static void
settle(struct broker_core *core, const char *group, bool ack)
{
    const struct plex_bytes id = {received[0], BROKER_ID_BYTES};

    broker_core_settle(core, now, NULL,
                       &(struct broker_settle){here, group, &id, 1, ack});
}

static struct broker_core *
reopened(struct broker_store **store)
{
    struct broker_core *core = broker_core_create(&config);

    broker_store_close(*store);
    *store = opened();
    ck_assert_msg(broker_store_load(*store, core, &err) == PLEX_OK, "%s",
                  err.text);
    return core;
}

START_TEST(messages_groups_and_acknowledgements_survive)
{
    struct broker_core *core = broker_core_create(&config);
    struct broker_store *store = opened();

    send_some(core, 3, NULL);
    receive(core, "g");
    apply(core, store);
    ck_assert_uint_eq(n_received, 1); /* one at a time: they share a key */
    receive(core, "h");
    apply(core, store);
    settle(core, "g", true);
    apply(core, store);
    broker_core_free(core);
    core = reopened(&store);
    ck_assert_uint_eq(broker_core_stats(core, &here, "g").waiting,
                      durable ? 2 : 0);
    ck_assert_uint_eq(broker_core_stats(core, &here, "h").waiting,
                      durable ? 3 : 0);
    if (durable) {
        receive(core, "h");
        apply(core, store);
        ck_assert_uint_eq(n_received, 1);
        settle(core, "h", true);
        apply(core, store);
        ck_assert_uint_eq(n_removed, 1);
    }
    broker_core_free(core);
    broker_store_close(store);
}
END_TEST

START_TEST(interrupted_deliveries_do_not_count_but_refused_ones_do)
{
    struct broker_core *core = broker_core_create(&config);
    struct broker_store *store = opened();

    if (!durable) {
        printf("SKIP: %s keeps nothing\n", dsn);
    } else {
        send_some(core, 1, NULL);
        for (int i = 0; i < 20; i++) { /* far more than the limit */
            receive(core, "g");
            apply(core, store);
            ck_assert_uint_eq(n_received, 1);
            broker_core_free(core);
            core = reopened(&store);
        }
        for (int i = 0; i < BROKER_DELIVERIES_MAX; i++) {
            receive(core, "g");
            apply(core, store);
            settle(core, "g", false);
            apply(core, store);
            broker_core_free(core);
            core = reopened(&store);
        }
        ck_assert_uint_eq(broker_core_stats(core, &here, "g").dead_letters, 1);
    }
    broker_core_free(core);
    broker_store_close(store);
}
END_TEST

START_TEST(request_ids_survive)
{
    struct broker_core *core = broker_core_create(&config);
    struct broker_store *store = opened();

    send_some(core, 2, "request-1-------");
    apply(core, store);
    broker_core_free(core);
    core = reopened(&store);
    send_some(core, 2, "request-1-------");
    apply(core, store);
    ck_assert_uint_eq(n_put, durable ? 0 : 2);
    broker_core_free(core);
    broker_store_close(store);
}
END_TEST

START_TEST(a_file_is_opened_by_one_at_a_time)
{
    struct broker_store *store, *second = NULL;

    if (!durable) {
        printf("SKIP: %s has no file\n", dsn);
        return;
    }
    store = opened();
    ck_assert_int_eq(broker_store_open(&second, dsn, &err), PLEX_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(err.text, "in use"));
    broker_store_close(store);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("channel-broker store");
    TCase *tcase = tcase_create("store");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, messages_groups_and_acknowledgements_survive);
    tcase_add_test(tcase,
                   interrupted_deliveries_do_not_count_but_refused_ones_do);
    tcase_add_test(tcase, request_ids_survive);
    tcase_add_test(tcase, a_file_is_opened_by_one_at_a_time);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
