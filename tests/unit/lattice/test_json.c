/* Updates and values as people write and read them. */
#include "lattice/json.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct lattice *cell;
static const char *kinds;

static void
begin(const char *declared)
{
    lattice_free(cell);
    cell = NULL;
    kinds = declared;
}

/* The value afterwards, or what was wrong. */
static const char *
update(const char *text, uint64_t self)
{
    static char out[1000];
    json_t *request = json_loads(text, 0, NULL), *value;
    struct plex_err err = {0};
    struct lattice *delta;
    char *dump;

    ck_assert_ptr_nonnull(request);
    if (lattice_update(cell, kinds, self, 1000, request, &delta, &err) !=
        PLEX_OK) {
        ck_assert_ptr_null(delta);
        (void)snprintf(out, sizeof out, "%d %s", err.status, err.text);
        json_decref(request);
        return out;
    }
    json_decref(request);
    if (cell == NULL)
        cell = lattice_create(lattice_kind_of(delta));
    (void)lattice_merge(cell, delta);
    lattice_free(delta);
    value = lattice_view(cell);
    dump = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
    (void)snprintf(out, sizeof out, "%s", dump);
    free(dump);
    json_decref(value);
    return out;
}
#define GIVES(request, self, result) \
    ck_assert_str_eq(update(request, self), result)
#define REFUSED(request, part) \
    ck_assert_ptr_nonnull(strstr(update(request, 1), part))

START_TEST(every_kind_is_updated_and_read)
{
    begin("max");
    GIVES("{\"op\":\"set\",\"value\":-5}", 1, "-5");
    GIVES("{\"op\":\"set\",\"value\":3}", 1, "3");
    GIVES("{\"op\":\"set\",\"value\":-9}", 1, "3");
    begin("min");
    GIVES("{\"op\":\"set\",\"value\":3}", 1, "3");
    GIVES("{\"op\":\"set\",\"value\":-9}", 1, "-9");
    begin("lww");
    GIVES("{\"op\":\"set\",\"value\":{\"b\":[1],\"a\":null}}", 1,
          "{\"a\":null,\"b\":[1]}");
    GIVES("{\"op\":\"set\",\"value\":\"x\"}", 1, "\"x\"");
    begin("g_set");
    GIVES("{\"op\":\"add\",\"value\":\"y\"}", 1, "[\"y\"]");
    GIVES("{\"op\":\"add\",\"value\":\"x\"}", 2, "[\"x\",\"y\"]");
    begin("or_set");
    GIVES("{\"op\":\"add\",\"value\":\"y\"}", 1, "[\"y\"]");
    GIVES("{\"op\":\"add\",\"value\":\"y\"}", 2, "[\"y\"]");
    GIVES("{\"op\":\"remove\",\"value\":\"y\"}", 3, "[]");
    begin("g_counter");
    GIVES("{\"op\":\"increment\"}", 1, "1");
    GIVES("{\"op\":\"increment\",\"by\":4}", 2, "5");
    begin("pn_counter");
    GIVES("{\"op\":\"decrement\",\"by\":4}", 2, "-4");
    GIVES("{\"op\":\"increment\",\"by\":1}", 2, "-3");
    begin("vector_clock");
    GIVES("{\"op\":\"increment\"}", 1, "{\"0000000000000001\":1}");
}
END_TEST

START_TEST(what_is_inside_is_named_by_a_path)
{
    begin("map/or_set");
    GIVES("{\"path\":[\"ada\"],\"op\":\"add\",\"value\":\"tea\"}", 1,
          "{\"ada\":[\"tea\"]}");
    GIVES("{\"path\":[\"bob\"],\"op\":\"add\",\"value\":\"rum\"}", 2,
          "{\"ada\":[\"tea\"],\"bob\":[\"rum\"]}");
    GIVES("{\"path\":[\"ada\"],\"op\":\"remove\",\"value\":\"tea\"}", 2,
          "{\"ada\":[],\"bob\":[\"rum\"]}");
    begin("");
    GIVES("{\"kind\":\"pair/max\",\"path\":[\"first\"],\"op\":\"set\","
          "\"value\":1}",
          1, "{\"first\":1}");
    GIVES("{\"kind\":\"pair/map/min\",\"path\":[\"second\",\"x\"],"
          "\"op\":\"set\",\"value\":2}",
          1, "{\"first\":1,\"second\":{\"x\":2}}");
}
END_TEST

START_TEST(what_is_wrong_is_said)
{
    begin("");
    REFUSED("{\"op\":\"add\",\"value\":\"y\"}", "kind is missing");
    REFUSED("{\"kind\":\"set\"}", "kind \"set\" is none of max");
    REFUSED("{\"kind\":\"max/min\"}", "max has nothing inside");
    REFUSED("{\"kind\":\"map/or_set\",\"op\":\"add\"}", "path must say which");
    REFUSED("{\"kind\":\"pair/max\",\"path\":[\"third\"]}",
            "\"first\" or \"second\"");
    REFUSED("{\"kind\":7}", "kind must be a text");
    REFUSED("{\"kind\":\"map/max\",\"path\":\"x\"}", "path must be a list");
    begin("or_set");
    REFUSED("{\"kind\":\"g_counter\",\"op\":\"increment\"}",
            "is a or_set, not a g_counter");
    REFUSED("{\"op\":\"increment\"}", "it takes add and remove");
    REFUSED("{\"op\":\"add\",\"value\":5}", "value must be a text");
    REFUSED("{\"path\":[\"x\"],\"op\":\"add\"}", "has nothing inside");
    begin("g_counter");
    REFUSED("{\"op\":\"decrement\"}", "it takes increment");
    REFUSED("{\"op\":\"increment\",\"by\":-1}", "not negative");
    REFUSED("{\"op\":\"increment\",\"by\":\"1\"}", "whole number");
    REFUSED("{\"op\":\"increment\",\"by\":9223372036854775807}",
            "one replica counts up to");
}
END_TEST

START_TEST(names_of_kinds_are_checked)
{
    struct plex_err err;

    ck_assert_int_eq(lattice_kinds_check("map/pair/or_set", &err), PLEX_OK);
    ck_assert_int_eq(lattice_kinds_check("map/", &err), PLEX_INVALID);
    ck_assert_int_eq(lattice_kinds_check("", &err), PLEX_INVALID);
    ck_assert_int_eq(
        lattice_kinds_check("map/map/map/map/map/map/map/map/max", &err),
        PLEX_OK);
    ck_assert_int_eq(
        lattice_kinds_check("map/map/map/map/map/map/map/map/map/max", &err),
        PLEX_INVALID);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("json");
    Suite *suite = suite_create("lattice");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tests, every_kind_is_updated_and_read);
    tcase_add_test(tests, what_is_inside_is_named_by_a_path);
    tcase_add_test(tests, what_is_wrong_is_said);
    tcase_add_test(tests, names_of_kinds_are_checked);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    lattice_free(cell);
    return failed == 0 ? 0 : 1;
}
