#include "services/tuplespace/wire.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "plexspaces/tuplespace/v1/tuplespace.pb-c.h"

#define PB(name) Plexspaces__Tuplespace__V1__##name

static uint8_t bytes[65536];
static struct plex_arena arena;
static struct plex_err err;

static struct plex_bytes
packed(const ProtobufCMessage *message)
{
    ck_assert_uint_le(protobuf_c_message_get_packed_size(message),
                      sizeof bytes);
    return (struct plex_bytes){bytes, protobuf_c_message_pack(message, bytes)};
}

START_TEST(a_write_request_becomes_tuples)
{
    PB(WriteRequest) request = PLEXSPACES__TUPLESPACE__V1__WRITE_REQUEST__INIT;
    PB(Tuple) tuple = PLEXSPACES__TUPLESPACE__V1__TUPLE__INIT;
    PB(Tuple) * tuples[] = {&tuple};
    PB(Field) text = PLEXSPACES__TUPLESPACE__V1__FIELD__INIT;
    PB(Field) nothing = PLEXSPACES__TUPLESPACE__V1__FIELD__INIT;
    PB(Field) * fields[] = {&text, &nothing};
    struct tspace_write write;
    char space[] = "jobs", value[] = "hello";

    text.value_case = PLEXSPACES__TUPLESPACE__V1__FIELD__VALUE_STRING;
    text.string = value;
    tuple.n_fields = 2;
    tuple.fields = fields;
    request.space = space;
    request.n_tuples = 1;
    request.tuples = tuples;
    ck_assert_int_eq(
        tspace_wire_write(packed(&request.base), &arena, &write, &err),
        PLEX_OK);
    ck_assert_str_eq(write.where.space, "jobs");
    ck_assert_uint_eq(write.tuples[0].fields[0].bytes.len, 5);
    ck_assert_int_eq(write.tuples[0].fields[1].type, TSPACE_NULL);

    tuple.n_fields = 0;
    ck_assert_int_eq(
        tspace_wire_write(packed(&request.base), &arena, &write, &err),
        PLEX_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "tuples[0]"));
    request.n_tuples = 0;
    ck_assert_int_eq(
        tspace_wire_write(packed(&request.base), &arena, &write, &err),
        PLEX_INVALID);
    space[0] = '/';
    ck_assert_int_eq(
        tspace_wire_write(packed(&request.base), &arena, &write, &err),
        PLEX_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "space"));
}
END_TEST

START_TEST(limits_of_a_read_request_are_named)
{
    PB(ReadRequest) request = PLEXSPACES__TUPLESPACE__V1__READ_REQUEST__INIT;
    PB(Template) template_ = PLEXSPACES__TUPLESPACE__V1__TEMPLATE__INIT;
    PB(Pattern) any = PLEXSPACES__TUPLESPACE__V1__PATTERN__INIT;
    PB(Pattern) * patterns[] = {&any};
    struct tspace_read read;
    char space[] = "jobs";

    template_.n_fields = 1;
    template_.fields = patterns;
    request.space = space;
    ck_assert_int_eq(
        tspace_wire_read(packed(&request.base), true, &arena, &read, &err),
        PLEX_INVALID); /* no template */
    request.template_ = &template_;
    ck_assert_int_eq(
        tspace_wire_read(packed(&request.base), true, &arena, &read, &err),
        PLEX_OK);
    ck_assert_uint_eq(read.max_results, 1);
    ck_assert_int_eq(read.patterns[0].kind, TSPACE_ANY);
    request.timeout_ms = TSPACE_WAIT_MAX_MS + 1;
    ck_assert_int_eq(
        tspace_wire_read(packed(&request.base), true, &arena, &read, &err),
        PLEX_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "timeout_ms"));
    request.timeout_ms = 0;
    request.max_results = TSPACE_RESULTS_MAX + 1;
    ck_assert_int_eq(
        tspace_wire_read(packed(&request.base), true, &arena, &read, &err),
        PLEX_INVALID);
    any.kind_case = PLEXSPACES__TUPLESPACE__V1__PATTERN__KIND_TYPE;
    any.type = (PB(FieldType))99;
    request.max_results = 0;
    ck_assert_int_eq(
        tspace_wire_read(packed(&request.base), true, &arena, &read, &err),
        PLEX_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "template.fields[0]"));
}
END_TEST

static void
setup(void)
{
    plex_arena_init(&arena, 1 << 20);
    err = (struct plex_err){0};
}

static void
teardown(void)
{
    plex_arena_fini(&arena);
}

int
main(void)
{
    Suite *suite = suite_create("tuplespace wire");
    TCase *tcase = tcase_create("wire");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_write_request_becomes_tuples);
    tcase_add_test(tcase, limits_of_a_read_request_are_named);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
