/*
 * The rules of Linda (docs/linda.md) wherever a space is placed: with its
 * namespace, apart from it, or over all shards by the value of a field; there
 * also by templates that name no value, which are about all shards. Two
 * services share the shards.
 */
#include "tests/integration/tuplespace/two_spaces.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *space, *options, *key; /* how a template says the key */
} places[] = {
    {"near", "{}", "\"k\""},
    {"own", "{\"own_shard\":true}", "\"k\""},
    {"own-any", "{\"own_shard\":true}", "{\"any\":true}"},
    {"parts", "{\"partition_field\":0}", "\"k\""},
    {"parts-any", "{\"partition_field\":0}", "{\"any\":true}"},
};
enum { PLACES = sizeof places / sizeof places[0] };
static size_t at; /* the place that is tested */

static void
setup(void)
{
    char body[200];

    two_spaces_start();
    for (size_t i = 0; i < PLACES; i++) {
        (void)snprintf(body, sizeof body, "{\"space\":\"%s\",\"options\":%s}",
                       places[i].space, places[i].options);
        post(BASE "/spaces", body);
        is(200, "{}");
    }
}

/* ["k", N] with more members of the request. */
static void
out(int n, const char *more)
{
    char body[300];

    (void)snprintf(body, sizeof body,
                   "{\"space\":\"%s\",\"tuples\":[[\"k\",%d]]%s}",
                   places[at].space, n, more);
    post(BASE "/tuples", body);
    is(200, "ids");
}

/* [key, VALUE] with more members; the answer has `words`. */
static void
look(const char *verb, const char *key, const char *value, const char *more,
     const char *words)
{
    char target[64], body[400];

    (void)snprintf(target, sizeof target, BASE "/%s", verb);
    (void)snprintf(body, sizeof body,
                   "{\"space\":\"%s\",\"template\":[%s,%s]%s}",
                   places[at].space, places[at].key, value, more);
    if (key != NULL)
        post_keyed(target, key, body);
    else
        post(target, body);
    is(200, words);
}

#define ANY "{\"any\":true}"
#define NOTHING "{\"tuples\":[]"

START_TEST(out_puts_a_tuple_and_in_takes_it_once)
{
    for (at = 0; at < PLACES; at++) {
        out(7, "");
        look("read", NULL, "7", "", "[\"k\",7]");
        look("read", NULL, "7", "", "[\"k\",7]");
        look("take", NULL, "7", "", "[\"k\",7]");
        look("take", NULL, "7", "", NOTHING);
        look("read", NULL, "7", "", NOTHING);
    }
}
END_TEST

START_TEST(equal_tuples_are_as_many_as_were_written)
{
    for (at = 0; at < PLACES; at++) {
        for (int i = 0; i < 3; i++)
            out(7, "");
        look("count", NULL, ANY, "", "{\"count\":3}");
        for (int i = 0; i < 3; i++)
            look("take", NULL, ANY, "", "[\"k\",7]");
        look("count", NULL, ANY, "", "{\"count\":0}");
        look("exists", NULL, ANY, "", "false");
    }
}
END_TEST

START_TEST(a_match_has_the_types_and_the_values_of_the_template)
{
    for (at = 0; at < PLACES; at++) {
        out(1, "");
        look("take", NULL, "1.0", "", NOTHING);
        look("take", NULL, "\"1\"", "", NOTHING);
        look("take", NULL, "{\"gt\":1}", "", NOTHING);
        look("take", NULL, "{\"gte\":1.0}", "", "[\"k\",1]");
    }
}
END_TEST

/* Of one value: of several, a partitioned space promises it for each. */
START_TEST(the_oldest_match_comes_first)
{
    for (at = 0; at < PLACES; at++) {
        for (int i = 1; i <= 3; i++)
            out(i, "");
        for (int i = 1; i <= 3; i++) {
            char words[16];

            (void)snprintf(words, sizeof words, "[\"k\",%d]", i);
            look("take", NULL, ANY, "", words);
        }
    }
}
END_TEST

START_TEST(a_wait_in_vain_ends_in_time_and_takes_nothing_later)
{
    for (at = 0; at < PLACES; at++) {
        look("take", NULL, ANY, ",\"timeout_ms\":20", NOTHING);
        look("read", NULL, ANY, ",\"timeout_ms\":20", NOTHING);
        out(7, "");
        look("take", NULL, ANY, ",\"timeout_ms\":5000", "[\"k\",7]");
    }
}
END_TEST

START_TEST(a_lease_that_ends_takes_the_tuple_along)
{
    for (at = 0; at < PLACES; at++) {
        out(7, ",\"ttl_ms\":1");
        look("take", NULL, "8", ",\"timeout_ms\":20", NOTHING);
        look("take", NULL, ANY, "", NOTHING);
    }
}
END_TEST

START_TEST(a_retried_take_gives_the_tuple_it_took)
{
    char key[16];

    for (at = 0; at < PLACES; at++) {
        (void)snprintf(key, sizeof key, "t-%zu", at);
        out(7, "");
        out(8, "");
        look("take", key, ANY, "", "[\"k\",7]");
        look("take", key, ANY, "", "[\"k\",7]");
        look("take", NULL, ANY, "", "[\"k\",8]");
        look("take", key, ANY, "", "[\"k\",7]");
    }
}
END_TEST

static void
take_claimed(size_t turn, unsigned lease_ms, const char *words)
{
    char more[100];

    (void)snprintf(more, sizeof more,
                   ",\"claim\":{\"owner\":\"w\",\"turn\":%zu,"
                   "\"lease_ms\":%u}",
                   turn, lease_ms);
    look("take", NULL, ANY, more, words);
}

static void
claim_end(const char *verb, size_t turn)
{
    char target[64], body[64];

    (void)snprintf(target, sizeof target, BASE "/claims/%s", verb);
    (void)snprintf(body, sizeof body, "{\"owner\":\"w\",\"turn\":%zu}", turn);
    post(target, body);
    is(200, "{\"count\":1}");
}

START_TEST(a_claim_is_kept_until_it_is_confirmed_or_lapses)
{
    for (at = 0; at < PLACES; at++) {
        const size_t turn = 10 * (at + 1);

        out(7, "");
        take_claimed(turn, 20, "[\"k\",7]");
        look("take", NULL, ANY, ",\"timeout_ms\":5000", "[\"k\",7]");
        out(8, "");
        take_claimed(turn + 1, 30000, "[\"k\",8]");
        look("read", NULL, ANY, "", NOTHING);
        claim_end("release", turn + 1);
        take_claimed(turn + 2, 30000, "[\"k\",8]");
        claim_end("confirm", turn + 2);
        claim_end("confirm", turn + 2);
        look("count", NULL, ANY, "", "{\"count\":0}");
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("linda, wherever a space is placed");
    TCase *tcase = tcase_create("rules");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, two_spaces_stop);
    tcase_add_test(tcase, out_puts_a_tuple_and_in_takes_it_once);
    tcase_add_test(tcase, equal_tuples_are_as_many_as_were_written);
    tcase_add_test(tcase, a_match_has_the_types_and_the_values_of_the_template);
    tcase_add_test(tcase, the_oldest_match_comes_first);
    tcase_add_test(tcase, a_wait_in_vain_ends_in_time_and_takes_nothing_later);
    tcase_add_test(tcase, a_lease_that_ends_takes_the_tuple_along);
    tcase_add_test(tcase, a_retried_take_gives_the_tuple_it_took);
    tcase_add_test(tcase, a_claim_is_kept_until_it_is_confirmed_or_lapses);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
