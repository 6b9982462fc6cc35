#include "services/gateway/json_check.h"
#include "services/gateway/local.h"
#include "services/gateway/text.h"

#include <check.h>
#include <string.h>

static bool
json(const char *text)
{
    struct plex_err err;

    return gate_json_check(
               (struct plex_bytes){(const uint8_t *)text, strlen(text)},
               &err) == PLEX_OK;
}

START_TEST(only_this_machine_is_local)
{
    static const char *const local[] = {
        "localhost",
        "LocalHost:8080",
        "127.0.0.1:80",
        "127.8.9.1",
        "[::1]",
        "[::1]:8080",
        "http://localhost:80",
        "https://127.0.0.1",
    };
    static const char *const foreign[] = {
        "",          "null",           "localhost.evil.example", "10.0.0.1",
        "[::1]evil", "127.evil:80",    "http://evil.example",    "[::2]:80",
        "0.0.0.0:1", "http://[::1].x", "127.0.0.1.evil:80",
    };

    for (size_t i = 0; i < sizeof local / sizeof local[0]; i++)
        ck_assert_msg(gate_is_local(local[i]), "%s", local[i]);
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
        ck_assert_msg(!gate_is_local(foreign[i]), "%s", foreign[i]);
}
END_TEST

START_TEST(json_texts_are_accepted)
{
    const char *const good[] = {
        "{}",
        "[]",
        " {\"a\" : [1, -0.5e+3, true, false, null, \"x\\n\"]} ",
        "0",
        "-0",
        "1e9",
        "\"\\ud83d\\ude00\"",
        "\"\xc3\xa4\"",
        "[[],{}]",
        "{\"a\":{\"b\":{}}}\n",
        "10.01",
        "[{\"a\":1},{\"a\":2}]"};

    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        ck_assert_msg(json(good[i]), "%s", good[i]);
}
END_TEST

START_TEST(other_texts_are_refused)
{
    const char *const bad[] = {"",
                               " ",
                               "{",
                               "}",
                               "[1,]",
                               "{\"a\":1,}",
                               "{a:1}",
                               "{\"a\"}",
                               "01",
                               "1.",
                               ".5",
                               "+1",
                               "1e",
                               "tru",
                               "nul",
                               "'a'",
                               "\"\t\"",
                               "\"\\x\"",
                               "\"\\u12\"",
                               "\"\\ud800\"",
                               "\"\\ud800\\u0041\"",
                               "\"\\udc00\"",
                               "\"\xff\"",
                               "\"abc",
                               "[1}",
                               "{\"a\":1]",
                               "1 2",
                               "[1 2]",
                               "{,}",
                               "[,]",
                               "{\"a\" 1}",
                               "\"\\",
                               "-",
                               "NaN"};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!json(bad[i]), "%s", bad[i]);
}
END_TEST

START_TEST(deep_json_is_refused)
{
    char text[2 * GATE_JSON_DEPTH_MAX + 3] = "";

    memset(text, '[', GATE_JSON_DEPTH_MAX);
    memset(text + GATE_JSON_DEPTH_MAX, ']', GATE_JSON_DEPTH_MAX);
    ck_assert(json(text));
    memset(text, '[', GATE_JSON_DEPTH_MAX + 1);
    memset(text + GATE_JSON_DEPTH_MAX + 1, ']', GATE_JSON_DEPTH_MAX + 1);
    ck_assert(!json(text));
}
END_TEST

START_TEST(durations_have_a_unit)
{
    uint64_t ms;

    ck_assert(gate_duration_parse("250ms", 1000000, &ms) && ms == 250);
    ck_assert(gate_duration_parse("10s", 1000000, &ms) && ms == 10000);
    ck_assert(gate_duration_parse("2m", 1000000, &ms) && ms == 120000);
    ck_assert(gate_duration_parse("1h", 3600000, &ms) && ms == 3600000);
    ck_assert(!gate_duration_parse("10", 1000000, &ms));
    ck_assert(!gate_duration_parse("s", 1000000, &ms));
    ck_assert(!gate_duration_parse("-1s", 1000000, &ms));
    ck_assert(!gate_duration_parse("1.5s", 1000000, &ms));
    ck_assert(!gate_duration_parse("2h", 3600000, &ms));
    ck_assert(!gate_duration_parse("18446744073709551615h", 3600000, &ms));
}
END_TEST

START_TEST(ids_survive_being_written_and_read)
{
    static const struct plex_actor_id actor = {"default", "shop", "cart", "k"};
    const char *const keys[] = {"a", "ab", "abc", "abcd", "x y\"z"};
    char text[GATE_ID_TEXT_MAX + 1], longest[GATE_KEY_MAX + 1] = "";
    struct plex_arena arena;
    struct plex_bytes id, again;
    struct plex_err err;

    plex_arena_init(&arena, 64 << 10);
    for (size_t i = 0; i < 6; i++) {
        memset(longest, 'z', GATE_KEY_MAX);
        id = gate_id_of_key(&actor, i < 5 ? keys[i] : longest, &arena);
        gate_id_format(id, text);
        ck_assert_int_eq(gate_id_parse(text, &arena, &again, &err), PLEX_OK);
        ck_assert_uint_eq(again.len, id.len);
        ck_assert_mem_eq(again.data, id.data, id.len);
    }
    id = (struct plex_bytes){(const uint8_t *)"\x01"
                                              "23456789abcdef",
                             16};
    gate_id_format(id, text);
    ck_assert_uint_eq(strlen(text), 26);
    ck_assert_int_eq(gate_id_parse(text, &arena, &again, &err), PLEX_OK);
    ck_assert_mem_eq(again.data, id.data, 16);
    plex_arena_fini(&arena);
}
END_TEST

START_TEST(what_is_no_id_is_refused)
{
    const char *const bad[] = {"",
                               "x",
                               "k-",
                               "k-a",
                               "k-azAx",
                               "k-!!!!",
                               "01ARZ3NDEKTSV4RRFFQ69G5FA",
                               "01ARZ3NDEKTSV4RRFFQ69G5FAVV"};
    struct plex_arena arena;
    struct plex_bytes id;
    struct plex_err err;

    plex_arena_init(&arena, 64 << 10);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_int_eq(gate_id_parse(bad[i], &arena, &id, &err),
                         PLEX_INVALID);
    plex_arena_fini(&arena);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("gateway.text");
    TCase *tc = tcase_create("text");
    SRunner *runner;
    int failed;

    tcase_add_test(tc, only_this_machine_is_local);
    tcase_add_test(tc, json_texts_are_accepted);
    tcase_add_test(tc, other_texts_are_refused);
    tcase_add_test(tc, deep_json_is_refused);
    tcase_add_test(tc, durations_have_a_unit);
    tcase_add_test(tc, ids_survive_being_written_and_read);
    tcase_add_test(tc, what_is_no_id_is_refused);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
