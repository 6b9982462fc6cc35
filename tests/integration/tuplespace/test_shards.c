/* Spaces that are placed apart from their namespace, over HTTP: two tuple
 * spaces that share the shards, so that some are here and some are there. */
#include "common/loop.h"
#include "tests/integration/tuplespace/two_spaces.h"

#include <arpa/inet.h>
#include <check.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WAIT_MS = 10000, KEYS = 40, TAKERS = 8 };

/* "parts" is partitioned by its second field, "own" as a whole. */
static void
make(void)
{
    post(BASE "/spaces", "{\"space\":\"parts\",\"options\":{"
                         "\"partition_field\":1}}");
    is(200, "{}");
    post(BASE "/spaces", "{\"space\":\"own\",\"options\":{"
                         "\"own_shard\":true}}");
    is(200, "{}");
}

static void
write_keys(const char *space)
{
    char body[128];

    for (int i = 0; i < KEYS; i++) {
        (void)snprintf(body, sizeof body,
                       "{\"space\":\"%s\",\"tuples\":[[\"k\",%d,\"v\"]]}",
                       space, i);
        post(BASE "/tuples", body);
        is(200, "ids");
    }
}

START_TEST(a_partitioned_space_is_one_space)
{
    static const char *const names[] = {"parts", "own"};
    char body[200];

    make();
    for (int s = 0; s < 2; s++) {
        write_keys(names[s]);
        (void)snprintf(body, sizeof body,
                       "{\"space\":\"%s\",\"template\":[\"k\","
                       "{\"any\":true},{\"any\":true}]}",
                       names[s]);
        post(BASE "/count", body);
        ck_assert_uint_eq(number("count"), KEYS);
        post(BASE "/exists", body);
        is(200, "true");
        for (int i = 0; i < KEYS; i++) {
            (void)snprintf(body, sizeof body,
                           "{\"space\":\"%s\",\"template\":[\"k\",%d,"
                           "{\"any\":true}]}",
                           names[s], i);
            post(BASE "/take", body);
            is(200, "\"fields\":[\"k\"");
        }
        post(BASE "/count", body);
        ck_assert_uint_eq(number("count"), 0);
    }
}
END_TEST

START_TEST(its_tuples_are_spread_and_paged_through)
{
    bool seen[KEYS] = {false}, shards[16] = {false};
    char body[200], cursor[32] = "0";
    unsigned n = 0, spread = 0;

    make();
    write_keys("parts");
    do {
        json_t *json, *tuple;
        size_t i;

        (void)snprintf(body, sizeof body,
                       "{\"space\":\"parts\",\"template\":[\"k\","
                       "{\"type\":\"int64\"},{\"any\":true}],"
                       "\"max_results\":7,\"cursor\":\"%s\"}",
                       cursor);
        post(BASE "/read", body);
        is(200, "tuples");
        json = json_loads(answer.body, 0, NULL);
        json_array_foreach(json_object_get(json, "tuples"), i, tuple)
        {
            const json_t *fields = json_object_get(tuple, "fields");
            const json_int_t key =
                json_integer_value(json_array_get(fields, 1));

            ck_assert(!seen[key]);
            seen[key] = true;
            shards[strtoull(json_string_value(json_object_get(tuple, "id")),
                            NULL, 10) >>
                   59] = true;
            n++;
        }
        (void)snprintf(cursor, sizeof cursor, "%s",
                       json_string_value(json_object_get(json, "cursor")));
        json_decref(json);
    } while (strcmp(cursor, "0") != 0);
    ck_assert_uint_eq(n, KEYS);
    for (unsigned i = 0; i < 16; i++)
        spread += shards[i];
    ck_assert_uint_gt(spread, 8);
    ask("GET", BASE "/spaces/parts", NULL);
    is(200, "\"partition_field\":1");
    ck_assert_uint_eq(number("tuples"), KEYS);
    ask("DELETE", BASE "/tuples?space=parts", NULL);
    ck_assert_uint_eq(number("count"), KEYS);
}
END_TEST

/* -- waiting -----------------------------------------------------------------
 */

/* http_do() is for one thread only. */
struct taker {
    int fd;
    char text[2048];
};

static void
taker_start(struct taker *taker, const char *body)
{
    const struct sockaddr_in at = {.sin_family = AF_INET,
                                   .sin_port = htons(TWO_SPACES_PORT),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char request[512];
    int n;

    taker->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(
        connect(taker->fd, (const struct sockaddr *)&at, sizeof at), 0);
    n = snprintf(request, sizeof request,
                 "POST %s/take HTTP/1.1\r\nHost: localhost\r\n"
                 "Connection: close\r\nContent-Type: application/json\r\n"
                 "Content-Length: %zu\r\n\r\n%s",
                 BASE, strlen(body), body);
    ck_assert_int_eq(write(taker->fd, request, (size_t)n), n);
}

/* The key of its tuple. */
static json_int_t
taker_end(struct taker *taker)
{
    size_t got = 0;
    json_t *json, *tuple;
    json_int_t key;

    for (ssize_t r = 1; r > 0; got += (size_t)r) {
        r = read(taker->fd, taker->text + got, sizeof taker->text - 1 - got);
        ck_assert_int_ge(r, 0);
    }
    (void)close(taker->fd);
    ck_assert_ptr_nonnull(strstr(taker->text, "HTTP/1.1 200"));
    json = json_loads(strstr(taker->text, "\r\n\r\n") + 4, 0, NULL);
    tuple = json_array_get(json_object_get(json, "tuples"), 0);
    ck_assert_msg(tuple != NULL, "%s", taker->text);
    key =
        json_integer_value(json_array_get(json_object_get(tuple, "fields"), 1));
    json_decref(json);
    return key;
}

static void
waiters_wait(uint64_t n)
{
    const uint64_t end = plex_now() + (uint64_t)WAIT_MS * 1000000;

    do {
        ask("GET", BASE "/spaces/parts", NULL);
        ck_assert_msg(plex_now() < end, "%s", answer.body);
    } while (number("waiters") != n);
}

START_TEST(takers_that_wait_at_all_shards_get_one_tuple_each)
{
    static struct taker takers[TAKERS];
    bool seen[TAKERS] = {false};
    char body[128];

    make();
    for (int i = 0; i < TAKERS; i++)
        taker_start(&takers[i],
                    "{\"space\":\"parts\",\"template\":[\"k\",{\"any\":true},"
                    "{\"any\":true}],\"timeout_ms\":8000}");
    waiters_wait(TAKERS * 15);
    for (int i = 0; i < TAKERS; i++) {
        (void)snprintf(body, sizeof body,
                       "{\"space\":\"parts\",\"tuples\":[[\"k\",%d,\"v\"]]}",
                       i);
        post(BASE "/tuples", body);
        is(200, "ids");
    }
    for (int i = 0; i < TAKERS; i++) {
        const json_int_t key = taker_end(&takers[i]);

        ck_assert(!seen[key]);
        seen[key] = true;
    }
    waiters_wait(0);
    post(BASE "/count", "{\"space\":\"parts\",\"template\":[]}");
    ck_assert_uint_eq(number("count"), 0);
}
END_TEST

START_TEST(a_wait_at_all_shards_ends_in_time)
{
    make();
    post(BASE "/take", "{\"space\":\"parts\",\"template\":[\"k\","
                       "{\"any\":true},{\"any\":true}],\"timeout_ms\":50}");
    is(200, "\"tuples\":[]");
    post(BASE "/read", "{\"space\":\"parts\",\"template\":[\"k\","
                       "{\"any\":true},{\"any\":true}],\"timeout_ms\":50}");
    is(200, "\"tuples\":[]");
    waiters_wait(0);
}
END_TEST

/* -- what else there is ------------------------------------------------------
 */

START_TEST(a_retried_take_over_all_shards_gives_the_same_tuple)
{
    static const char take[] = "{\"space\":\"parts\",\"template\":[\"k\","
                               "{\"any\":true},{\"any\":true}]}";
    char first[400], key[16];

    make();
    write_keys("parts");
    for (int i = 0; i < 10; i++) {
        (void)snprintf(key, sizeof key, "t-%d", i);
        post_keyed(BASE "/take", key, take);
        is(200, "\"fields\":[\"k\"");
        (void)snprintf(first, sizeof first, "%.399s", answer.body);
        post_keyed(BASE "/take", key, take);
        ck_assert_str_eq(first, answer.body);
    }
    post(BASE "/count", take);
    ck_assert_uint_eq(number("count"), KEYS - 10);
}
END_TEST

START_TEST(claims_in_all_shards_are_confirmed_and_released_together)
{
    char body[256];

    make();
    write_keys("parts");
    post(BASE "/tuples", "{\"space\":\"near\",\"tuples\":[[\"k\",1,\"v\"]]}");
    for (int turn = 1; turn <= 2; turn++) {
        for (int i = 0; i < 6; i++) {
            (void)snprintf(body, sizeof body,
                           "{\"space\":\"parts\",\"template\":[\"k\",%d,"
                           "{\"any\":true}],\"claim\":{\"owner\":\"w\","
                           "\"turn\":%d,\"lease_ms\":30000}}",
                           i, turn);
            post(BASE "/take", body);
            is(200, "\"fields\":[\"k\"");
        }
        (void)snprintf(body, sizeof body,
                       "{\"space\":\"near\",\"template\":[\"k\",1,\"v\"],"
                       "\"claim\":{\"owner\":\"w\",\"turn\":%d,"
                       "\"lease_ms\":30000}}",
                       turn);
        post(BASE "/take", body);
        is(200, "\"fields\":[\"k\"");
        (void)snprintf(body, sizeof body, "{\"owner\":\"w\",\"turn\":%d}",
                       turn);
        post(turn == 1 ? BASE "/claims/release" : BASE "/claims/confirm", body);
        ck_assert_uint_eq(number("count"), 7);
    }
    post(BASE "/claims/confirm", "{\"owner\":\"nobody\",\"turn\":1}");
    is(404, "claim");
    post(BASE "/count", "{\"space\":\"parts\",\"template\":[]}");
    ck_assert_uint_eq(number("count"), KEYS - 6);
}
END_TEST

START_TEST(a_tuple_is_changed_where_it_is)
{
    char target[128];

    make();
    post(BASE "/tuples", "{\"space\":\"parts\",\"tuples\":[[\"k\",7,\"v\"]],"
                         "\"ttl_ms\":60000,\"owner\":\"w\"}");
    (void)snprintf(target, sizeof target, BASE "/tuples/%.*s/renew-lease",
                   (int)strcspn(answer.body + 9, "\""), answer.body + 9);
    post(target, "{\"space\":\"parts\",\"ttl_ms\":90000,\"owner\":\"w\"}");
    is(200, "\"fields\":[\"k\",7,\"v\"]");
    post(BASE "/compare-and-swap",
         "{\"space\":\"parts\",\"template\":[\"k\",7,\"v\"],"
         "\"tuple\":[\"k\",7,\"w\"]}");
    is(200, "\"swapped\":true");
    post(BASE "/read", "{\"space\":\"parts\",\"template\":[\"k\",7,\"w\"]}");
    is(200, "\"fields\":[\"k\",7,\"w\"]");
}
END_TEST

START_TEST(events_of_one_value_come_from_its_shard)
{
    char target[128];
    uint64_t id;

    make();
    post(BASE "/subscriptions", "{\"space\":\"parts\",\"template\":[\"k\",9,"
                                "{\"any\":true}],\"guaranteed\":true}");
    id = number("subscription_id");
    ck_assert_uint_ne(id >> 59, 0);
    write_keys("parts");
    (void)snprintf(target, sizeof target,
                   BASE "/subscriptions/%llu/events?timeout_ms=5000",
                   (unsigned long long)id);
    ask("GET", target, NULL);
    is(200, "\"fields\":[\"k\",9,\"v\"]");
    (void)snprintf(target, sizeof target, BASE "/subscriptions/%llu",
                   (unsigned long long)id);
    ask("DELETE", target, NULL);
    is(200, "{}");
}
END_TEST

START_TEST(what_several_shards_cannot_do_is_refused)
{
    char body[128];

    make();
    post(BASE "/tuples", "{\"space\":\"parts\",\"tuples\":[[\"k\",1],"
                         "[\"k\",2]]}");
    is(400, "the same value");
    post(BASE "/tuples", "{\"space\":\"parts\",\"tuples\":[[\"k\"]]}");
    is(400, "does not have");
    post(BASE "/take", "{\"space\":\"parts\",\"template\":[\"k\","
                       "{\"any\":true}],\"order\":\"max\","
                       "\"order_field\":1}");
    is(501, "order over the shards");
    post(BASE "/subscriptions", "{\"space\":\"parts\",\"template\":[]}");
    is(501, "exact value");
    post(BASE "/collect", "{\"space\":\"parts\",\"template\":[],"
                          "\"to\":\"near\"}");
    is(501, "collected between");
    post(BASE "/collect", "{\"space\":\"near\",\"template\":[],"
                          "\"to\":\"own\"}");
    is(501, "collected between");
    post(BASE "/compare-and-swap",
         "{\"space\":\"parts\",\"template\":[\"k\",{\"gt\":1}],"
         "\"tuple\":[\"k\",7]}");
    is(501, "exact value");
    post(BASE "/transactions", "{\"timeout_ms\":60000}");
    (void)snprintf(body, sizeof body,
                   "{\"space\":\"own\",\"tuples\":[[1]],"
                   "\"transaction_id\":\"%llu\"}",
                   (unsigned long long)number("transaction_id"));
    post(BASE "/tuples", body);
    is(501, "transaction");
}
END_TEST

START_TEST(a_space_in_use_stays_where_it_is)
{
    make();
    post(BASE "/tuples", "{\"space\":\"near\",\"tuples\":[[\"k\",1,\"v\"]]}");
    post(BASE "/spaces", "{\"space\":\"near\",\"options\":{"
                         "\"partition_field\":1}}");
    is(409, "in use");
    post(BASE "/spaces", "{\"space\":\"parts\",\"options\":{"
                         "\"partition_field\":2}}");
    is(409, "in use");
    /* What says nothing about it changes nothing of it. */
    post(BASE "/spaces", "{\"space\":\"parts\",\"options\":{"
                         "\"tuples_max\":1}}");
    is(200, "{}");
    ask("GET", BASE "/spaces/parts", NULL);
    is(200, "\"partition_field\":1");
    is(200, "\"tuples_max\":1,");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("tuplespace_shards");
    TCase *tcase = tcase_create("shards");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, two_spaces_start, two_spaces_stop);
    tcase_add_test(tcase, a_partitioned_space_is_one_space);
    tcase_add_test(tcase, its_tuples_are_spread_and_paged_through);
    tcase_add_test(tcase, takers_that_wait_at_all_shards_get_one_tuple_each);
    tcase_add_test(tcase, a_wait_at_all_shards_ends_in_time);
    tcase_add_test(tcase, a_retried_take_over_all_shards_gives_the_same_tuple);
    tcase_add_test(tcase,
                   claims_in_all_shards_are_confirmed_and_released_together);
    tcase_add_test(tcase, a_tuple_is_changed_where_it_is);
    tcase_add_test(tcase, events_of_one_value_come_from_its_shard);
    tcase_add_test(tcase, what_several_shards_cannot_do_is_refused);
    tcase_add_test(tcase, a_space_in_use_stays_where_it_is);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
