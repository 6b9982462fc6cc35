/* The hand-written frames against protobuf-c, and against rubbish. */
#include "common/link.h"
#include "common/link_frame.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "plexspaces/link/v1/link.pb-c.h"

static const struct plex_frame_head head = {
    .from = {(const uint8_t *)"tcp://127.0.0.1:1", 17},
    .incarnation = 0xfedcba9876543210,
    .to_incarnation = 42,
};

static struct plex_context
full_context(void)
{
    struct plex_context context = plex_context_none;

    context.tenant = "acme";
    context.ns = "prod";
    context.principal = "alice";
    context.roles = "admin,dev";
    context.request_id = "r-1";
    memset(context.trace.trace_id, 7, sizeof context.trace.trace_id);
    memset(context.trace.span_id, 8, sizeof context.trace.span_id);
    context.trace.flags = 1;
    return context;
}

static struct plex_bytes
text(const char *s)
{
    return (struct plex_bytes){(const uint8_t *)s, strlen(s)};
}

static bool
same(struct plex_bytes a, const char *b)
{
    return a.len == strlen(b) && memcmp(a.data, b, a.len) == 0;
}

static struct plex_frame *
frame_of(const struct plex_envelope *envelopes, size_t n)
{
    struct plex_frame *frame = plex_frame_create(&head, 0);

    for (size_t i = 0; i < n; i++)
        (void)plex_frame_append(frame, &envelopes[i],
                                plex_envelope_size(&envelopes[i]));
    return frame;
}

START_TEST(protobuf_c_reads_what_we_write)
{
    const struct plex_context context = full_context();
    struct plex_envelope e[2] = {
        {.id = 1ULL << 40,
         .kind = PLEX_ENVELOPE_REQUEST,
         .method = 601,
         .timeout_ms = 30000,
         .attempt = 3,
         .payload = text("hello")},
        {.id = 9,
         .kind = PLEX_ENVELOPE_REPLY,
         .status = 4,
         .text = text("version conflict")},
    };
    struct plex_err err;
    struct plex_frame *frame;
    Plexspaces__Link__V1__Frame *pb;
    Plexspaces__Link__V1__Envelope *got;

    ck_assert_int_eq(plex_envelope_set_context(&e[0], &context, &err), PLEX_OK);
    frame = frame_of(e, 2);
    pb = plexspaces__link__v1__frame__unpack(NULL, frame->len, frame->data);
    ck_assert_ptr_nonnull(pb);
    ck_assert_uint_eq(pb->version, 1);
    ck_assert_str_eq(pb->from, "tcp://127.0.0.1:1");
    ck_assert_uint_eq(pb->incarnation, head.incarnation);
    ck_assert_uint_eq(pb->to_incarnation, 42);
    ck_assert_uint_eq(pb->n_envelopes, 2);
    got = pb->envelopes[0];
    ck_assert_uint_eq(got->id, 1ULL << 40);
    ck_assert_int_eq(got->kind, PLEXSPACES__LINK__V1__KIND__KIND_REQUEST);
    ck_assert_uint_eq(got->method, 601);
    ck_assert_uint_eq(got->timeout_ms, 30000);
    ck_assert_uint_eq(got->attempt, 3);
    ck_assert_uint_eq(got->payload.len, 5);
    ck_assert_str_eq(got->context->tenant, "acme");
    ck_assert_str_eq(got->context->namespace_, "prod");
    ck_assert_str_eq(got->context->principal, "alice");
    ck_assert_str_eq(got->context->roles, "admin,dev");
    ck_assert_str_eq(got->context->request_id, "r-1");
    ck_assert_uint_eq(got->context->trace_id.len, 16);
    ck_assert_uint_eq(got->context->span_id.len, 8);
    ck_assert_uint_eq(got->context->trace_flags, 1);
    got = pb->envelopes[1];
    ck_assert_uint_eq(got->status, 4);
    ck_assert_str_eq(got->text, "version conflict");
    ck_assert_ptr_null(got->context);
    /* And byte for byte the same. */
    ck_assert_uint_eq(plexspaces__link__v1__frame__get_packed_size(pb),
                      frame->len);
    {
        uint8_t *again = malloc(frame->len);

        (void)plexspaces__link__v1__frame__pack(pb, again);
        ck_assert_mem_eq(again, frame->data, frame->len);
        free(again);
    }
    plexspaces__link__v1__frame__free_unpacked(pb, NULL);
    plex_frame_free(frame);
}
END_TEST

START_TEST(we_read_back_what_we_write)
{
    const struct plex_context context = full_context();
    struct plex_envelope e = {.id = 5,
                              .kind = PLEX_ENVELOPE_EVENT,
                              .method = 7,
                              .payload = text("x")};
    struct plex_frame_reader reader;
    struct plex_envelope got;
    struct plex_frame *frame;
    struct plex_err err;

    ck_assert_int_eq(plex_envelope_set_context(&e, &context, &err), PLEX_OK);
    frame = frame_of(&e, 1);
    ck_assert_int_eq(
        plex_frame_open(&reader, (struct plex_bytes){frame->data, frame->len},
                        &err),
        PLEX_OK);
    ck_assert(same(reader.head.from, "tcp://127.0.0.1:1"));
    ck_assert_uint_eq(reader.head.incarnation, head.incarnation);
    ck_assert_int_eq(plex_frame_next(&reader, &got, &err), PLEX_OK);
    ck_assert_uint_eq(got.id, 5);
    ck_assert_int_eq(got.kind, PLEX_ENVELOPE_EVENT);
    ck_assert(same(got.payload, "x"));
    ck_assert(same(got.context.tenant, "acme"));
    ck_assert(same(got.context.request_id, "r-1"));
    ck_assert_mem_eq(&got.context.trace, &context.trace, 24);
    ck_assert_int_eq(plex_frame_next(&reader, &got, &err), PLEX_NOT_FOUND);
    plex_frame_free(frame);
}
END_TEST

START_TEST(a_withdrawn_envelope_is_skipped_by_us_and_by_protobuf_c)
{
    const struct plex_envelope e[3] = {
        {.id = 1, .kind = PLEX_ENVELOPE_CANCEL},
        {.id = 2, .kind = PLEX_ENVELOPE_CANCEL},
        {.id = 3, .kind = PLEX_ENVELOPE_CANCEL},
    };
    struct plex_frame *frame = plex_frame_create(&head, 0);
    Plexspaces__Link__V1__Frame *pb;
    struct plex_frame_reader reader;
    struct plex_envelope got;
    struct plex_err err;
    size_t offset[3];

    for (int i = 0; i < 3; i++)
        offset[i] = plex_frame_append(frame, &e[i], plex_envelope_size(&e[i]));
    plex_frame_withdraw(frame, offset[0]);
    plex_frame_withdraw(frame, offset[1]);
    pb = plexspaces__link__v1__frame__unpack(NULL, frame->len, frame->data);
    ck_assert_ptr_nonnull(pb);
    ck_assert_uint_eq(pb->n_envelopes, 1);
    ck_assert_uint_eq(pb->envelopes[0]->id, 3);
    plexspaces__link__v1__frame__free_unpacked(pb, NULL);
    ck_assert_int_eq(
        plex_frame_open(&reader, (struct plex_bytes){frame->data, frame->len},
                        &err),
        PLEX_OK);
    ck_assert_int_eq(plex_frame_next(&reader, &got, &err), PLEX_OK);
    ck_assert_uint_eq(got.id, 3);
    ck_assert_int_eq(plex_frame_next(&reader, &got, &err), PLEX_NOT_FOUND);
    plex_frame_free(frame);
}
END_TEST

/* Open and read to the end; the first error, or PLEX_OK. */
static enum plex_status
read_all(const uint8_t *data, size_t len, struct plex_err *err)
{
    struct plex_frame_reader reader;
    struct plex_envelope got;
    enum plex_status status =
        plex_frame_open(&reader, (struct plex_bytes){data, len}, err);

    while (status == PLEX_OK)
        status = plex_frame_next(&reader, &got, err);
    return status == PLEX_NOT_FOUND ? PLEX_OK : status;
}

static enum plex_status
read_pb(const Plexspaces__Link__V1__Frame *pb)
{
    const size_t len = plexspaces__link__v1__frame__get_packed_size(pb);
    uint8_t *data = malloc(len);
    struct plex_err err;
    enum plex_status status;

    (void)plexspaces__link__v1__frame__pack(pb, data);
    status = read_all(data, len, &err);
    free(data);
    return status;
}

START_TEST(every_limit_is_checked)
{
    Plexspaces__Link__V1__Frame pb = PLEXSPACES__LINK__V1__FRAME__INIT;
    Plexspaces__Link__V1__Envelope e = PLEXSPACES__LINK__V1__ENVELOPE__INIT;
    Plexspaces__Link__V1__Context c = PLEXSPACES__LINK__V1__CONTEXT__INIT;
    Plexspaces__Link__V1__Envelope *list = &e;
    char url[300], tenant[66];

    memset(url, 'a', sizeof url);
    memset(tenant, 'a', sizeof tenant);
    url[299] = tenant[65] = '\0';
    pb.version = 1;
    pb.from = url + 44 + 1;
    pb.incarnation = 1;
    ck_assert_int_eq(read_pb(&pb), PLEX_OK);
    pb.from = url; /* too long */
    ck_assert_int_eq(read_pb(&pb), PLEX_INVALID);
    pb.from = url + 200;
    pb.version = 2;
    ck_assert_int_eq(read_pb(&pb), PLEX_UNSUPPORTED);
    pb.version = 1;
    pb.incarnation = 0;
    ck_assert_int_eq(read_pb(&pb), PLEX_INVALID);
    pb.incarnation = 1;
    pb.envelopes = &list;
    pb.n_envelopes = 1;
    ck_assert_int_eq(read_pb(&pb), PLEX_INVALID); /* no kind */
    e.kind = PLEXSPACES__LINK__V1__KIND__KIND_REQUEST;
    e.timeout_ms = 1;
    ck_assert_int_eq(read_pb(&pb), PLEX_INVALID); /* no id */
    e.id = 1;
    ck_assert_int_eq(read_pb(&pb), PLEX_OK);
    e.timeout_ms = 0;
    ck_assert_int_eq(read_pb(&pb), PLEX_INVALID);
    e.timeout_ms = UINT64_MAX;
    ck_assert_int_eq(read_pb(&pb), PLEX_INVALID);
    e.timeout_ms = 1;
    e.kind = (Plexspaces__Link__V1__Kind)9;
    ck_assert_int_eq(read_pb(&pb), PLEX_INVALID);
    e.kind = PLEXSPACES__LINK__V1__KIND__KIND_REQUEST;
    e.context = &c;
    c.tenant = tenant;
    ck_assert_int_eq(read_pb(&pb), PLEX_INVALID);
    c.tenant = tenant + 1;
    ck_assert_int_eq(read_pb(&pb), PLEX_OK);
    c.trace_id.data = (uint8_t *)tenant;
    c.trace_id.len = 15;
    ck_assert_int_eq(read_pb(&pb), PLEX_INVALID);
    c.trace_id.len = 16;
    ck_assert_int_eq(read_pb(&pb), PLEX_OK);
    c.trace_flags = 256;
    ck_assert_int_eq(read_pb(&pb), PLEX_INVALID);
}
END_TEST

START_TEST(a_frame_cut_anywhere_is_an_error_or_a_shorter_frame)
{
    const struct plex_context context = full_context();
    struct plex_envelope e = {.id = 5,
                              .kind = PLEX_ENVELOPE_REQUEST,
                              .method = 7,
                              .timeout_ms = 9,
                              .payload = text("payload")};
    struct plex_frame *frame;
    struct plex_err err;
    size_t whole;

    ck_assert_int_eq(plex_envelope_set_context(&e, &context, &err), PLEX_OK);
    frame = frame_of(&e, 1);
    whole = frame->len - plex_envelope_size(&e);
    for (size_t len = 0; len < frame->len; len++) {
        /* A copy of exactly this size, for the address sanitizer. */
        uint8_t *cut = malloc(len == 0 ? 1 : len);

        memcpy(cut, frame->data, len);
        if (len > whole)
            ck_assert_int_eq(read_all(cut, len, &err), PLEX_INVALID);
        else if (len < whole)
            (void)read_all(cut, len, &err);
        free(cut);
    }
    ck_assert_int_eq(read_all(frame->data, frame->len, &err), PLEX_OK);
    plex_frame_free(frame);
}
END_TEST

START_TEST(groups_nul_bytes_and_endless_varints_are_refused)
{
    static const uint8_t bombs[][16] = {
        {0x0b, 0x0b, 0x0b, 0x0b}, /* groups in groups */
        {0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0x01}, /* 11-byte varint */
        {0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
        {0x08, 0x01, 0x12, 0x03, 'a', 0, 'b', 0x18, 0x01}, /* NUL in from */
        {0x00, 0x01},                                      /* field 0 */
        {0x07},                                            /* wire type 7 */
    };
    static const size_t lens[] = {4, 12, 11, 9, 2, 1};
    struct plex_err err;

    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++)
        ck_assert_int_eq(read_all(bombs[i], lens[i], &err), PLEX_INVALID);
    ck_assert_int_eq(read_all(NULL, 0, &err), PLEX_INVALID);
}
END_TEST

START_TEST(thirty_thousand_nested_messages_cost_nothing)
{
    /* Each level: field 5, length of the rest. The reader looks one deep. */
    enum { LEVELS = 30000 };
    uint8_t *bomb = malloc(LEVELS * 4 + 64);
    size_t len = 0, end = LEVELS * 4 + 64;
    struct plex_err err;

    for (int i = 0; i < LEVELS && end - len > 5; i++) {
        const size_t rest = end - len - 4;

        bomb[len++] = 0x2a;
        bomb[len++] = (uint8_t)(rest | 0x80);
        bomb[len++] = (uint8_t)(rest >> 7 | 0x80);
        bomb[len++] = (uint8_t)(rest >> 14 & 0x7f);
    }
    memset(bomb + len, 0, end - len);
    ck_assert_int_ne(read_all(bomb, end, &err), PLEX_OK);
    free(bomb);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("link_frame");
    TCase *tcase = tcase_create("frame");
    SRunner *runner;
    int failed;

    tcase_add_test(tcase, protobuf_c_reads_what_we_write);
    tcase_add_test(tcase, we_read_back_what_we_write);
    tcase_add_test(tcase,
                   a_withdrawn_envelope_is_skipped_by_us_and_by_protobuf_c);
    tcase_add_test(tcase, every_limit_is_checked);
    tcase_add_test(tcase, a_frame_cut_anywhere_is_an_error_or_a_shorter_frame);
    tcase_add_test(tcase, groups_nul_bytes_and_endless_varints_are_refused);
    tcase_add_test(tcase, thirty_thousand_nested_messages_cost_nothing);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
