/* The JSON form of tuples and templates, and templates as text. */
#include "services/tuplespace/client.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plexspaces/tuplespace/v1/tuplespace.pb-c.h"

#define PB(name) Plexspaces__Tuplespace__V1__##name
#define KIND(name) PLEXSPACES__TUPLESPACE__V1__PATTERN__KIND_##name

static struct plex_arena arena;
static struct plex_err err;

static void
setup(void)
{
    plex_arena_init(&arena, 1 << 20);
}

static void
teardown(void)
{
    plex_arena_fini(&arena);
}

static ProtobufCMessage *
read_json(const char *text, const ProtobufCMessageDescriptor *type)
{
    json_t *json = json_loads(text, 0, NULL);
    ProtobufCMessage *message = NULL;

    ck_assert_msg(json != NULL, "%s", text);
    err.text[0] = '\0';
    if (plex_json_to_pb_as(&tspace_json_form, json, type, &arena, &message,
                           &err) != PLEX_OK)
        message = NULL;
    json_decref(json);
    return message;
}

static const PB(WriteRequest) * write_of(const char *text)
{
    return (const void *)read_json(
        text, &plexspaces__tuplespace__v1__write_request__descriptor);
}

static const PB(ReadRequest) * read_of(const char *text)
{
    return (const void *)read_json(
        text, &plexspaces__tuplespace__v1__read_request__descriptor);
}

START_TEST(tuples_are_lists_of_values)
{
    const PB(WriteRequest) *m =
        write_of("{\"space\":\"s\",\"tuples\":[[\"order\",12,true,null,1.5,"
                 "{\"bytes\":\"AAE=\"},{\"tuple\":[1,\"x\"]},"
                 "{\"int\":\"9223372036854775807\"},{\"float\":\"-Infinity\"},"
                 "{\"int\":3},{\"float\":3}]],\"ttl_ms\":7}");
    PB(Field) * *f;

    ck_assert_msg(m != NULL, "%s", err.text);
    ck_assert_str_eq(m->space, "s");
    ck_assert_uint_eq(m->ttl_ms, 7);
    ck_assert_uint_eq(m->n_tuples, 1);
    ck_assert_uint_eq(m->tuples[0]->n_fields, 11);
    f = m->tuples[0]->fields;
    ck_assert_str_eq(f[0]->string, "order");
    ck_assert_int_eq(f[1]->int_, 12);
    ck_assert_int_eq(f[2]->bool_, 1);
    ck_assert_int_eq(f[3]->value_case, 0);
    ck_assert(f[4]->float_ > 1.4 && f[4]->float_ < 1.6);
    ck_assert_uint_eq(f[5]->bytes.len, 2);
    ck_assert_uint_eq(f[6]->tuple->n_fields, 2);
    ck_assert_int_eq(f[7]->int_, INT64_MAX);
    ck_assert(isinf(f[8]->float_) && f[8]->float_ < 0);
    ck_assert_int_eq(f[9]->int_, 3);
    ck_assert_int_eq(f[10]->value_case,
                     PLEXSPACES__TUPLESPACE__V1__FIELD__VALUE_FLOAT);
}
END_TEST

START_TEST(templates_have_exact_values_and_matchers)
{
    const PB(ReadRequest) *m = read_of(
        "{\"space\":\"s\",\"template\":[\"order\",{\"any\":true},"
        "{\"type\":\"int64\"},{\"gt\":1,\"lte\":9},{\"prefix\":\"a\"},"
        "{\"in\":[1,\"b\"]},{\"not\":5},{\"bind\":\"x\",\"type\":\"string\"},"
        "{\"tuple\":[1,{\"any\":true}]},{\"bytes\":\"AA==\"}],"
        "\"order\":\"max\",\"order_field\":2}");
    PB(Pattern) * *p;

    ck_assert_msg(m != NULL, "%s", err.text);
    ck_assert_int_eq(m->order, PLEXSPACES__TUPLESPACE__V1__ORDER__ORDER_MAX);
    ck_assert_uint_eq(m->template_->n_fields, 10);
    p = m->template_->fields;
    ck_assert_int_eq(p[0]->kind_case, KIND(EXACT));
    ck_assert_int_eq(p[1]->kind_case, KIND(_NOT_SET));
    ck_assert_int_eq(
        p[2]->type, PLEXSPACES__TUPLESPACE__V1__FIELD_TYPE__FIELD_TYPE_INTEGER);
    ck_assert_int_eq(p[3]->range->gt->int_, 1);
    ck_assert_ptr_null(p[3]->range->gte);
    ck_assert_int_eq(p[3]->range->lte->int_, 9);
    ck_assert_str_eq(p[4]->prefix->string, "a");
    ck_assert_uint_eq(p[5]->in->n_fields, 2);
    ck_assert_int_eq(p[6]->not_->exact->int_, 5);
    ck_assert_int_eq(p[7]->kind_case, KIND(ALL));
    ck_assert_uint_eq(p[7]->all->n_fields, 2);
    ck_assert_uint_eq(p[8]->tuple->n_fields, 2);
    ck_assert_int_eq(p[9]->exact->value_case,
                     PLEXSPACES__TUPLESPACE__V1__FIELD__VALUE_BYTES);
}
END_TEST

START_TEST(bad_requests_are_refused_with_the_place)
{
    static const struct {
        const char *json, *text;
    } bad[] = {
        {"{\"tuples\":[]}", ""},
        {"{\"tuples\":[[]]}", "tuples[0] has 0 fields"},
        {"{\"tuples\":[5]}", "tuples[0] must be a list"},
        {"{\"tuples\":[[1,[2]]]}", "tuples[0] field 1: is a list"},
        {"{\"tuples\":[[{\"a\":1}]]}", "field 0: is an object"},
        {"{\"tuples\":[[{\"int\":\"9223372036854775808\"}]]}", "64 bits"},
        {"{\"tuples\":[[{\"int\":\"\"}]]}", "64 bits"},
        {"{\"tuples\":[[{\"float\":\"nan\"}]]}", "Infinity"},
        {"{\"tuples\":[[{\"bytes\":\"*\"}]]}", "base64"},
        {"{\"ttl_ms\":-1}", "ttl_ms"},
        {"{\"tupels\":[]}", "tupels is not a field"},
        {"{\"tuples\":[[{\"tuple\":[{\"tuple\":[{\"tuple\":[{\"tuple\":[{"
         "\"tuple\":[{\"tuple\":[{\"tuple\":[{\"tuple\":[1]}]}]}]}]}]}]}]}]]}",
         "at most 8"},
    };

    for (size_t i = 1; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_ptr_null(write_of(bad[i].json));
        ck_assert_msg(strstr(err.text, bad[i].text) != NULL, "%s: %s",
                      bad[i].json, err.text);
    }
    ck_assert_ptr_null(read_of("{\"template\":[{\"an\":1}]}"));
    ck_assert_ptr_nonnull(strstr(err.text, "\"an\" is not a matcher"));
    ck_assert_ptr_null(read_of("{\"template\":[{\"any\":1}]}"));
    ck_assert_ptr_null(read_of("{\"template\":[{}]}"));
    ck_assert_ptr_null(read_of("{\"order\":\"biggest\"}"));
    ck_assert_ptr_nonnull(strstr(err.text, "\"random\""));
}
END_TEST

START_TEST(answers_have_ids_as_text_and_fields_as_values)
{
    PB(Field) big = PLEXSPACES__TUPLESPACE__V1__FIELD__INIT, null = big;
    PB(Field) * fields[] = {&big, &null};
    PB(Tuple) tuple = PLEXSPACES__TUPLESPACE__V1__TUPLE__INIT, *list = &tuple;
    PB(ReadReply) reply = PLEXSPACES__TUPLESPACE__V1__READ_REPLY__INIT;
    json_t *json;
    char *text;

    big.value_case = PLEXSPACES__TUPLESPACE__V1__FIELD__VALUE_INT;
    big.int_ = INT64_MAX;
    tuple.id = UINT64_MAX;
    tuple.fields = fields;
    tuple.n_fields = 2;
    reply.tuples = &list;
    reply.n_tuples = 1;
    json = plex_json_from_pb_as(&tspace_json_form, &reply.base);
    text = json_dumps(json, JSON_COMPACT);
    ck_assert_str_eq(text,
                     "{\"tuples\":[{\"id\":\"18446744073709551615\","
                     "\"fields\":[{\"int\":\"9223372036854775807\"},null]}],"
                     "\"cursor\":\"0\"}");
    free(text);
    json_decref(json);
}
END_TEST

static void
text_is(const char *typed, const char *want)
{
    json_t *json = tspace_text_template(typed, &err);
    char *text;

    ck_assert_msg(json != NULL, "%s: %s", typed, err.text);
    text = json_dumps(json, JSON_COMPACT);
    ck_assert_str_eq(text, want);
    free(text);
    json_decref(json);
}

START_TEST(templates_can_be_typed)
{
    text_is("[\"order\", ?, >100, \"pending\"]",
            "[\"order\",{\"any\":true},{\"gt\":100},\"pending\"]");
    text_is("[?int64, ?x, >=1.5, <-2, <= 3]",
            "[{\"type\":\"int64\"},{\"bind\":\"x\"},{\"gte\":1.5},"
            "{\"lt\":-2},{\"lte\":3}]");
    text_is("[\"a\"*, *\"b\", *\"c\"*, ~\"^x\\\"\", !\"d\", !>5]",
            "[{\"prefix\":\"a\"},{\"suffix\":\"b\"},{\"contains\":\"c\"},"
            "{\"regex\":\"^x\\\"\"},{\"not\":\"d\"},{\"not\":{\"gt\":5}}]");
    text_is("[>1&<9, [1, ?], {\"in\":[1,\"}\"]}, true, null]",
            "[{\"all\":[{\"gt\":1},{\"lt\":9}]},{\"tuple\":[1,{\"any\":true}]}"
            ",{\"in\":[1,\"}\"]},true,null]");
    text_is(" [ ] ", "[]");
}
END_TEST

START_TEST(typing_errors_say_where)
{
    static const char *const bad[] = {
        "",    "x",    "[",     "[1",      "[1,]",   "[\"a]", "[{]",   "[1 2]",
        "[>]", "[~a]", "[1] 2", "[order]", "[1 & ]", "[*1]",  "[--1]", "[!]",
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_msg(tspace_text_template(bad[i], &err) == NULL, "%s", bad[i]);
        ck_assert_ptr_nonnull(strstr(err.text, "template"));
    }
    ck_assert_ptr_null(tspace_text_template("[1, ;]", &err));
    ck_assert_ptr_nonnull(strstr(err.text, "character 5"));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("tuplespace json");
    TCase *tcase = tcase_create("json");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, tuples_are_lists_of_values);
    tcase_add_test(tcase, templates_have_exact_values_and_matchers);
    tcase_add_test(tcase, bad_requests_are_refused_with_the_place);
    tcase_add_test(tcase, answers_have_ids_as_text_and_fields_as_values);
    tcase_add_test(tcase, templates_can_be_typed);
    tcase_add_test(tcase, typing_errors_say_where);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
