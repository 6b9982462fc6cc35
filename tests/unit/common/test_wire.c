/* Bounded decoding, and JSON to protobuf and back. */
#include "common/json_pb.h"
#include "common/wire.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "plexspaces/application/v1/application.pb-c.h"

static struct plex_err err;
static struct plex_arena arena;

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

static const ProtobufCMessageDescriptor *const deploy_type =
    &plexspaces__application__v1__deploy_application_request__descriptor;

static Plexspaces__Application__V1__DeployApplicationRequest *
from_json(const char *text)
{
    json_t *json = json_loads(text, 0, NULL);
    ProtobufCMessage *message = NULL;
    enum plex_status status;

    ck_assert_ptr_nonnull(json);
    status = plex_json_to_pb(json, deploy_type, &arena, &message, &err);
    json_decref(json);
    return status == PLEX_OK
               ? (Plexspaces__Application__V1__DeployApplicationRequest *)
                     message
               : NULL;
}

static const char full[] =
    "{\"application\":{\"name\":\"shop\",\"version\":\"1.0.0\",\"actorTypes\":"
    "[{\"name\":\"cart\",\"idle_timeout_ms\":\"18446744073709551615\","
    "\"durable\":true,\"mailboxMax\":4294967295,\"facets\":[{\"type\":\"t\","
    "\"priority\":3,\"config\":{\"a\":\"1\",\"b\":\"2\"}}],\"resources\":"
    "{\"cpuCores\":0.5,\"memoryBytes\":1024}}],\"state\":"
    "\"APPLICATION_STATE_STOPPED\",\"deployedMs\":12.0,\"description\":null}}";

START_TEST(a_whole_message_is_read_from_json)
{
    const Plexspaces__Application__V1__DeployApplicationRequest *m =
        from_json(full);
    const Plexspaces__Application__V1__ActorType *type;

    ck_assert_msg(m != NULL, "%s", err.text);
    ck_assert_str_eq(m->application->name, "shop");
    ck_assert_str_eq(m->application->description, "");
    ck_assert_uint_eq(m->application->deployed_ms, 12);
    ck_assert_int_eq(
        m->application->state,
        PLEXSPACES__APPLICATION__V1__APPLICATION_STATE__APPLICATION_STATE_STOPPED);
    ck_assert_uint_eq(m->application->n_actor_types, 1);
    type = m->application->actor_types[0];
    ck_assert_uint_eq(type->idle_timeout_ms, UINT64_MAX);
    ck_assert_uint_eq(type->mailbox_max, UINT32_MAX);
    ck_assert(type->durable);
    ck_assert_uint_eq(type->facets[0]->n_config, 2);
    ck_assert_str_eq(type->facets[0]->config[1]->key, "b");
    ck_assert_double_eq(type->resources->cpu_cores, 0.5);
}
END_TEST

START_TEST(what_was_read_is_written_the_same_and_survives_the_wire)
{
    const ProtobufCMessage *m = &from_json(full)->base;
    struct plex_buf wire = {.max = 1 << 20};
    ProtobufCMessage *again;
    json_t *one, *two;
    const json_t *type;

    ck_assert_int_eq(plex_wire_pack(m, &wire, &err), PLEX_OK);
    ck_assert_int_eq(plex_wire_unpack(deploy_type,
                                      (struct plex_bytes){wire.data, wire.len},
                                      &arena, &again, &err),
                     PLEX_OK);
    one = plex_json_from_pb(m);
    two = plex_json_from_pb(again);
    ck_assert(json_equal(one, two));
    type = json_array_get(
        json_object_get(json_object_get(one, "application"), "actorTypes"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(type, "idleTimeoutMs")),
                     "18446744073709551615");
    ck_assert(json_is_false(json_object_get(type, "virtual")));
    ck_assert_str_eq(
        json_string_value(json_object_get(
            json_object_get(json_array_get(json_object_get(type, "facets"), 0),
                            "config"),
            "a")),
        "1");
    json_decref(one);
    json_decref(two);
    plex_buf_free(&wire);
}
END_TEST

struct refusal {
    const char *json;
    const char *says[2];
};

START_TEST(wrong_json_is_refused_with_the_path)
{
    static const struct refusal refusals[] = {
        {"[]", {"must be an object"}},
        {"{\"aplication\":{}}", {"aplication", "is not a field of"}},
        {"{\"application\":[]}", {"application must be an object"}},
        {"{\"application\":{\"actorTypes\":{}}}",
         {"application.actor_types must be a list"}},
        {"{\"application\":{\"actor_types\":[{},{\"idleTimeoutMs\":\"abc\"}]}}",
         {"application.actor_types[1].idle_timeout_ms is \"abc\"",
          "from 0 to 18446744073709551615"}},
        {"{\"application\":{\"actor_types\":[{\"mailbox_max\":4294967296}]}}",
         {"application.actor_types[0].mailbox_max is 4294967296",
          "to 4294967295"}},
        {"{\"application\":{\"actor_types\":[{\"mailbox_max\":-1}]}}",
         {"mailbox_max is -1"}},
        {"{\"application\":{\"actor_types\":[{\"mailbox_max\":1.5}]}}",
         {"mailbox_max is 1.5"}},
        {"{\"application\":{\"actor_types\":[{\"durable\":\"true\"}]}}",
         {"durable is text, it must be true or false"}},
        {"{\"application\":{\"actor_types\":[{\"durable\":1}]}}",
         {"durable is a number, it must be true or false"}},
        {"{\"application\":{\"name\":7}}",
         {"application.name is a number, it must be text"}},
        {"{\"application\":{\"name\":{}}}",
         {"application.name is an object, it must be text"}},
        {"{\"application\":{\"state\":\"GONE\"}}",
         {"application.state is \"GONE\"", "APPLICATION_STATE_"}},
        {"{\"application\":{\"actor_types\":[{\"resources\":{\"cpu_cores\":"
         "\"much\"}}]}}",
         {"resources.cpu_cores is \"much\", it must be a number"}},
        {"{\"application\":{\"deployed_ms\":1,\"deployedMs\":2}}",
         {"has a field twice"}},
        {"{\"application\":{\"actor_types\":[{\"facets\":[{\"config\":{\"a\":1}"
         "}"
         "]}]}}",
         {"facets[0].config.a is a number"}},
        {"{\"application\":{\"actor_types\":[null]}}", {"actor_types[0]"}},
    };

    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        ck_assert_msg(from_json(refusals[i].json) == NULL, "%s",
                      refusals[i].json);
        ck_assert_int_eq(err.status, PLEX_INVALID);
        for (int j = 0; j < 2 && refusals[i].says[j] != NULL; j++)
            ck_assert_msg(strstr(err.text, refusals[i].says[j]) != NULL,
                          "%s gave %s", refusals[i].json, err.text);
    }
}
END_TEST

START_TEST(json_that_needs_too_much_memory_is_refused)
{
    plex_arena_fini(&arena);
    plex_arena_init(&arena, 200);
    ck_assert_ptr_null(from_json(full));
    ck_assert_int_eq(err.status, PLEX_TOO_LARGE);
}
END_TEST

static enum plex_status
set(ProtobufCMessage *message, const char *name, const char *text)
{
    return plex_pb_set_text(message, name, text, &arena, &err);
}

START_TEST(parameters_set_fields_by_either_name)
{
    Plexspaces__Application__V1__ListApplicationsRequest list =
        PLEXSPACES__APPLICATION__V1__LIST_APPLICATIONS_REQUEST__INIT;
    Plexspaces__Application__V1__DeployApplicationRequest deploy =
        PLEXSPACES__APPLICATION__V1__DEPLOY_APPLICATION_REQUEST__INIT;

    ck_assert_int_eq(set(&list.base, "page_size", "7"), PLEX_OK);
    ck_assert_int_eq(set(&list.base, "pageToken", "next"), PLEX_OK);
    ck_assert_uint_eq(list.page_size, 7);
    ck_assert_str_eq(list.page_token, "next");
    ck_assert_int_eq(set(&list.base, "page_size", "x"), PLEX_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "page_size is \"x\""));
    ck_assert_int_eq(set(&list.base, "size", "1"), PLEX_INVALID);
    ck_assert_int_eq(set(&list.base, "", "1"), PLEX_INVALID);
    ck_assert_int_eq(set(&list.base, ".", "1"), PLEX_INVALID);
    ck_assert_int_eq(set(&list.base, "page_size.x", "1"), PLEX_INVALID);
    ck_assert_int_eq(set(&list.base, "page_token", "\xff"), PLEX_INVALID);
    ck_assert_int_eq(set(&deploy.base, "application.name", "n"), PLEX_OK);
    ck_assert_int_eq(
        set(&deploy.base, "application.state", "APPLICATION_STATE_RUNNING"),
        PLEX_OK);
    ck_assert_str_eq(deploy.application->name, "n");
    ck_assert_int_eq(set(&deploy.base, "application", "n"), PLEX_INVALID);
    ck_assert_int_eq(set(&deploy.base, "application.actor_types.name", "n"),
                     PLEX_INVALID);
}
END_TEST

/* -- the wire -----------------------------------------------------------------
 */

static enum plex_status
unpack(const void *data, size_t len)
{
    const struct plex_bytes in = {data, len};
    ProtobufCMessage *message;

    return plex_wire_unpack(deploy_type, in, &arena, &message, &err);
}

START_TEST(broken_messages_are_refused)
{
    ck_assert_int_eq(unpack("", 0), PLEX_OK);
    ck_assert_int_eq(unpack("\x0a", 1), PLEX_INVALID);         /* no length */
    ck_assert_int_eq(unpack("\x0a\x05\x0a", 3), PLEX_INVALID); /* cut */
    ck_assert_int_eq(unpack("\x0b\x0c", 2), PLEX_INVALID);     /* a group */
    ck_assert_int_eq(unpack("\x02\x00", 2), PLEX_INVALID);     /* field 0 */
    ck_assert_int_eq(unpack("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11),
                     PLEX_INVALID);
    /* application.name with NUL, with bad UTF-8, and right. */
    ck_assert_int_eq(unpack("\x0a\x05\x0a\x03"
                            "a\0b",
                            7),
                     PLEX_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "name holds a NUL"));
    ck_assert_int_eq(unpack("\x0a\x05\x0a\x03"
                            "a\xff"
                            "b",
                            7),
                     PLEX_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "name is not UTF-8"));
    ck_assert_int_eq(unpack("\x0a\x05\x0a\x03"
                            "abc",
                            7),
                     PLEX_OK);
    /* An unknown field is skipped, whatever it holds. */
    ck_assert_int_eq(unpack("\x9a\x06\x02\xff\x00", 5), PLEX_OK);
}
END_TEST

START_TEST(a_message_that_needs_too_much_memory_is_refused)
{
    uint8_t many[4000];

    for (size_t i = 0; i < sizeof many; i += 2)
        memcpy(many + i, "\x0a\x00", 2); /* actor_types would multiply */
    plex_arena_fini(&arena);
    plex_arena_init(&arena, 1000);
    ck_assert_int_ne(unpack(many, sizeof many), PLEX_OK);
}
END_TEST

/* A type that holds itself: none in proto/, so one is made here. */
static ProtobufCMessageDescriptor nested_type;
static const ProtobufCFieldDescriptor nested_fields[] = {{
    .name = "self",
    .id = 1,
    .label = PROTOBUF_C_LABEL_NONE,
    .type = PROTOBUF_C_TYPE_MESSAGE,
    .offset = sizeof(ProtobufCMessage),
    .descriptor = &nested_type,
}};
static const unsigned nested_by_name[] = {0};
static const ProtobufCIntRange nested_ranges[] = {{1, 0}, {0, 1}};
static ProtobufCMessageDescriptor nested_type = {
    .magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,
    .name = "test.Nested",
    .short_name = "Nested",
    .sizeof_message = sizeof(ProtobufCMessage) + sizeof(void *),
    .n_fields = 1,
    .fields = nested_fields,
    .fields_sorted_by_name = nested_by_name,
    .n_field_ranges = 1,
    .field_ranges = nested_ranges,
};

static enum plex_status
unpack_nested(unsigned depth)
{
    uint8_t data[256];
    size_t len = 0;
    ProtobufCMessage *message;

    /* From the inside out: each level is tag, length, and what is inside. */
    for (unsigned i = 1; i < depth; i++) {
        const size_t head = len < 128 ? 2 : 3;

        memmove(data + head, data, len);
        data[0] = 0x0a;
        data[1] = (uint8_t)(len < 128 ? len : (len & 127) | 128);
        if (head == 3)
            data[2] = (uint8_t)(len >> 7);
        len += head;
    }
    return plex_wire_unpack(&nested_type, (struct plex_bytes){data, len},
                            &arena, &message, &err);
}

START_TEST(nesting_is_bounded)
{
    ck_assert_int_eq(unpack_nested(PLEX_WIRE_DEPTH_MAX), PLEX_OK);
    ck_assert_int_eq(unpack_nested(PLEX_WIRE_DEPTH_MAX + 1), PLEX_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "deeper than 66"));
}
END_TEST

START_TEST(packing_respects_the_buffers_maximum)
{
    struct plex_buf small = {.max = 10};

    ck_assert_int_eq(plex_wire_pack(&from_json(full)->base, &small, &err),
                     PLEX_TOO_LARGE);
    ck_assert_uint_eq(small.len, 0);
    plex_buf_free(&small);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("wire");
    TCase *tcase = tcase_create("wire");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_whole_message_is_read_from_json);
    tcase_add_test(tcase,
                   what_was_read_is_written_the_same_and_survives_the_wire);
    tcase_add_test(tcase, wrong_json_is_refused_with_the_path);
    tcase_add_test(tcase, json_that_needs_too_much_memory_is_refused);
    tcase_add_test(tcase, parameters_set_fields_by_either_name);
    tcase_add_test(tcase, broken_messages_are_refused);
    tcase_add_test(tcase, a_message_that_needs_too_much_memory_is_refused);
    tcase_add_test(tcase, nesting_is_bounded);
    tcase_add_test(tcase, packing_respects_the_buffers_maximum);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
