/* What plexspaces/lattice.h makes of texts and answers. */
#include "sdk/c/include/plexspaces/lattice.h"

#include <check.h>

static const char *
value_of(const char *text)
{
    static char out[100];
    const struct plex_msg answer = {.payload = text, .len = strlen(text)};
    size_t len = 0;
    const char *value = plex_lattice_value(&answer, &len);

    (void)snprintf(out, sizeof out, "%.*s", (int)len,
                   value == NULL ? "" : value);
    return out;
}

START_TEST(the_value_is_found_in_an_answer)
{
    ck_assert_str_eq(value_of("{\"value\":5,\"kind\":\"max\"}"), "5");
    ck_assert_str_eq(value_of("{\"value\":[\"a,}\\\"\",\"b\"],\"kind\":\"\"}"),
                     "[\"a,}\\\"\",\"b\"]");
    ck_assert_str_eq(value_of("{\"value\":{\"a\":{\"b\":1}},\"k\":1}"),
                     "{\"a\":{\"b\":1}}");
    ck_assert_str_eq(value_of("{\"value\":null}"), "null");
    ck_assert_str_eq(value_of("{\"status\":409,\"detail\":\"no\"}"), "");
    ck_assert_str_eq(value_of("{\"value\":\"cut"), "");
    ck_assert_str_eq(value_of(""), "");
}
END_TEST

START_TEST(a_number_is_read)
{
    static const char text[] = "{\"value\":-7,\"kind\":\"pn_counter\"}";
    static const char none[] = "{\"value\":null,\"kind\":\"max\"}";
    struct plex_msg answer = {.payload = text, .len = sizeof text - 1};
    int64_t number;

    ck_assert(plex_lattice_number(&answer, &number));
    ck_assert_int_eq(number, -7);
    answer.payload = none;
    answer.len = sizeof none - 1;
    ck_assert(!plex_lattice_number(&answer, &number));
}
END_TEST

START_TEST(texts_are_quoted)
{
    char out[64];

    ck_assert_ptr_eq(plex_lattice_quote(out, "a\"b\\\n\xc3\xa4"),
                     out + strlen(out));
    ck_assert_str_eq(out, "\"a\\u0022b\\u005c\\u000a\xc3\xa4\"");
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("lattice");
    Suite *suite = suite_create("sdk");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tests, the_value_is_found_in_an_answer);
    tcase_add_test(tests, a_number_is_read);
    tcase_add_test(tests, texts_are_quoted);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
