#include "cli/manifest.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct plex_err err;
static json_t *json;

static enum plex_status
parse(const char *text)
{
    json = NULL;
    return manifest_parse(
        (struct plex_bytes){(const uint8_t *)text, strlen(text)}, "app.yaml",
        &json, &err);
}

static void
refused(const char *text, const char *why)
{
    ck_assert_int_eq(parse(text), PLEX_INVALID);
    ck_assert_str_eq(err.text, why);
}

#define HEAD "name: a\nversion: 1.0.0\nactor_types:\n"
#define TYPE HEAD "  - name: t\n    module: m\n"

START_TEST(a_manifest_becomes_the_json_of_the_application)
{
    char *text;

    ck_assert_int_eq(
        parse(TYPE "    durable: true\n    idle_timeout_ms: 5000\n"
                   "    resources: {cpu_cores: 0.5, memory_bytes: 1024}\n"
                   "    facets:\n      - type: m/x\n        priority: 3\n"
                   "        config: {every: 5s, 7: x, l: [{a: 1}]}\n"),
        PLEX_OK);
    text = json_dumps(json, JSON_COMPACT);
    ck_assert_str_eq(
        text, "{\"name\":\"a\",\"version\":\"1.0.0\",\"actor_types\":[{"
              "\"name\":\"t\",\"module\":\"m\",\"durable\":true,"
              "\"idle_timeout_ms\":5000,\"resources\":{\"cpu_cores\":0.5,"
              "\"memory_bytes\":1024},\"facets\":[{\"type\":\"m/x\","
              "\"priority\":3,\"config\":{\"every\":\"5s\",\"7\":\"x\","
              "\"l\":\"[{\\\"a\\\":1}]\"}}]}]}");
    free(text);
    json_decref(json);
}
END_TEST

#define STATE(text) HEAD "  - name: t\n    state: {mode: " text "}\n"

static void
becomes(const char *manifest, const char *type)
{
    char *text;

    ck_assert_msg(parse(manifest) == PLEX_OK, "%s", err.text);
    text = json_dumps(json_array_get(json_object_get(json, "actor_types"), 0),
                      JSON_COMPACT);
    ck_assert_str_eq(text, type);
    free(text);
    json_decref(json);
}

START_TEST(a_lattice_becomes_what_carries_it_out)
{
    becomes(STATE("lattice, kind: map/or_set"),
            "{\"name\":\"t\",\"module\":\"builtin\",\"behaviour\":"
            "\"lattice.map.or_set\",\"virtual\":true,\"durable\":true}");
    becomes(STATE("lattice, kind: max, consistency: causal"),
            "{\"name\":\"t\",\"module\":\"builtin\",\"behaviour\":"
            "\"lattice-replica.causal.-.max\",\"virtual\":true,"
            "\"stateless\":{\"max_local\":64}}");
    becomes(STATE("lattice, kind: max, consistency: eventual, kept_in: k") //
            "  - {name: k, state: {mode: lattice, kind: max}}\n",
            "{\"name\":\"t\",\"module\":\"builtin\",\"behaviour\":"
            "\"lattice-replica.eventual.k.max\",\"virtual\":true,"
            "\"stateless\":{\"max_local\":64}}");
    becomes(TYPE "    state: {mode: traditional}\n",
            "{\"name\":\"t\",\"module\":\"m\"}");
}
END_TEST

START_TEST(a_lattice_that_cannot_be_is_refused)
{
    refused(STATE("crdt, kind: max"),
            "app.yaml:4:5: state.mode is \"crdt\": it must be traditional, "
            "with nothing beside it, or lattice");
    refused(STATE("traditional, kind: max"),
            "app.yaml:4:5: state.mode is \"traditional\": it must be "
            "traditional, with nothing beside it, or lattice");
    refused(STATE("lattice"), "app.yaml:4:5: kind is missing; give one like "
                              "g_counter or map/or_set");
    refused(STATE("lattice, kind: max, kept_in: t"),
            "app.yaml:4:5: kept_in means nothing here: a linearizable cell has "
            "its one owner, which keeps it");
    refused(
        STATE(
            "lattice, kind: max, consistency: eventual, kept_in: k") "  - "
                                                                     "{name: "
                                                                     "k, "
                                                                     "state: "
                                                                     "{mode: "
                                                                     "lattice, "
                                                                     "kind: "
                                                                     "min}}\n",
        "app.yaml:1:1: t is a max, and k, which keeps it, a min");
    refused(STATE("traditional"), "app.yaml:4:5: missing key module");
}
END_TEST

START_TEST(an_unknown_key_is_named_with_line_and_column)
{
    refused("name: a\nversion: 1.0.0\n  \nnamespce: b\n",
            "app.yaml:4:1: unknown key namespce; known are name version "
            "namespace description actor_types supervisor");
}
END_TEST

START_TEST(a_wrong_facet_is_named_with_its_place)
{
    refused(TYPE "    facets:\n      - {type: metrics}\n"
                 "      - {type: loging}\n",
            "app.yaml:8:9: facet \"loging\" is unknown; the nearest is "
            "\"logging\"");
    ck_assert_int_eq(parse(TYPE "    facets:\n      - type: rate_limit\n"
                                "        config:\n"
                                "          burst_size: \"2\"\n"
                                "          refill_rate: \"0\"\n"),
                     PLEX_INVALID);
    ck_assert_msg(strncmp(err.text, "app.yaml:10:11: facet rate_limit", 32) ==
                      0,
                  "%s", err.text);
}
END_TEST

START_TEST(a_wrong_type_is_named_with_what_would_be_right)
{
    refused(TYPE "    durable: yes\n",
            "app.yaml:6:14: actor_types[0].durable is \"yes\", it must be true "
            "or false");
    refused(TYPE "    mailbox_max: -1\n",
            "app.yaml:6:18: actor_types[0].mailbox_max is \"-1\", it must be a "
            "whole number");
    refused(TYPE "    mailbox_max: \"5\"\n",
            "app.yaml:6:18: actor_types[0].mailbox_max is \"5\", it must be a "
            "whole number");
    refused(TYPE "    mailbox_max: 99999999999999999999\n",
            "app.yaml:6:18: actor_types[0].mailbox_max is "
            "\"99999999999999999999\", it must be a whole number");
    refused(TYPE "    facets: {}\n",
            "app.yaml:6:13: actor_types[0].facets is a mapping, it must be a "
            "list");
    refused("name: [a]\n", "app.yaml:1:7: name is a list, it must be a text");
    refused("name:\n",
            "app.yaml:1:6: name is \"\", it must be a text, or left out");
    refused("- a\n",
            "app.yaml:1:1: the manifest is a list, it must be a mapping");
}
END_TEST

START_TEST(a_missing_or_second_key_is_refused)
{
    refused("name: a\nversion: 1.0.0\n",
            "app.yaml:1:1: missing key actor_types");
    refused("name: a\nname: b\n", "app.yaml:2:1: a second name");
}
END_TEST

START_TEST(a_supervision_tree_is_read_with_its_aliases_and_arguments)
{
    char *text;

    ck_assert_int_eq(
        parse("name: a\nversion: 1.0.0\nsupervisor:\n"
              "  strategy: ONE_FOR_ALL\n  max_restarts: 0\n"
              "  children:\n"
              "    - child_id: db\n      module: m\n"
              "      args: {size: 5, list: [a, true, 1.5, \"7\"], none: ~}\n"
              "      shutdown: 2s\n"
              "    - id: pool\n      supervisor:\n        children: []\n"),
        PLEX_OK);
    text = json_dumps(json, JSON_COMPACT);
    ck_assert_str_eq(
        text, "{\"name\":\"a\",\"version\":\"1.0.0\",\"supervisor\":{"
              "\"strategy\":\"ONE_FOR_ALL\",\"intensity\":0,\"children\":[{"
              "\"id\":\"db\",\"module\":\"m\",\"args\":\"{\\\"size\\\":5,"
              "\\\"list\\\":[\\\"a\\\",true,1.5,\\\"7\\\"],"
              "\\\"none\\\":null}\",\"shutdown\":\"2s\"},"
              "{\"id\":\"pool\",\"supervisor\":{\"children\":[]}}]}}");
    free(text);
    json_decref(json);
    refused("name: a\nversion: 1.0.0\nsupervisor:\n  children:\n"
            "    - id: x\n      restrat: permanent\n",
            "app.yaml:6:7: unknown key restrat; known are id type module "
            "behaviour supervisor name args restart shutdown significant node "
            "placement facets child_id shutdown_timeout");
    refused("name: a\nversion: 1.0.0\nsupervisor:\n  intensity: 1\n"
            "  max_restarts: 2\n",
            "app.yaml:5:3: a second intensity");
}
END_TEST

START_TEST(a_tree_that_holds_itself_is_refused)
{
    ck_assert_int_eq(parse("name: a\nversion: 1.0.0\nsupervisor: &s\n"
                           "  children:\n    - id: x\n      supervisor: *s\n"),
                     PLEX_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "nested too deeply"));
}
END_TEST

START_TEST(what_is_not_yaml_is_refused_with_its_place)
{
    refused("name: [a\n", "app.yaml:2:1: not YAML: while parsing a flow "
                          "sequence, did not find expected ',' or ']'");
    refused("", "app.yaml:1:1: the file is empty");
}
END_TEST

START_TEST(a_nul_byte_is_refused)
{
    refused("name: \"a\\0b\"\n", "app.yaml:1:7: a NUL byte in name");
}
END_TEST

START_TEST(an_alias_bomb_is_refused)
{
    static char text[65536] = HEAD;
    size_t len;

    (void)strcat(text, "  - &t {name: t, module: m, facets: &f [");
    for (int i = 0; i < 250; i++)
        (void)strcat(text, i == 0 ? "&g {type: metrics}" : ",*g");
    (void)strcat(text, "]}\n");
    len = strlen(text);
    for (int i = 0; i < 500; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "  - *t\n");
    ck_assert_int_eq(parse(text), PLEX_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "too many values"));
}
END_TEST

START_TEST(an_over_long_file_is_refused)
{
    static uint8_t text[MANIFEST_BYTES_MAX + 1];

    ck_assert_int_eq(manifest_parse((struct plex_bytes){text, sizeof text},
                                    "big.yaml", &json, &err),
                     PLEX_INVALID);
    ck_assert_str_eq(err.text, "big.yaml is longer than 4194304 bytes");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cli.manifest");
    TCase *tests = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tests, a_manifest_becomes_the_json_of_the_application);
    tcase_add_test(tests, a_lattice_becomes_what_carries_it_out);
    tcase_add_test(tests, a_lattice_that_cannot_be_is_refused);
    tcase_add_test(tests, an_unknown_key_is_named_with_line_and_column);
    tcase_add_test(tests, a_wrong_facet_is_named_with_its_place);
    tcase_add_test(tests, a_wrong_type_is_named_with_what_would_be_right);
    tcase_add_test(tests, a_missing_or_second_key_is_refused);
    tcase_add_test(tests,
                   a_supervision_tree_is_read_with_its_aliases_and_arguments);
    tcase_add_test(tests, a_tree_that_holds_itself_is_refused);
    tcase_add_test(tests, what_is_not_yaml_is_refused_with_its_place);
    tcase_add_test(tests, a_nul_byte_is_refused);
    tcase_add_test(tests, an_alias_bomb_is_refused);
    tcase_add_test(tests, an_over_long_file_is_refused);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
