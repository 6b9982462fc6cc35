#include "services/worker/dist_code.h"

#include "plexspaces/worker/v1/worker.pb-c.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct plex_arena arena;
static struct plex_err err;
static uint8_t bytes[8192];

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

static const struct work_batch head = {.node = 0x1122334455667788,
                                       .session = 300,
                                       .sequence = 1,
                                       .node_id = "w1",
                                       .url = "ipc:///w1"};

static const struct rt_signal full = {
    .kind = RT_ANSWER,
    .from = {0x1122334455667788, 0x0000000500000007},
    .to = {99, 0x8000000000000001},
    .where = {"acme", "shop"},
    .name = "front@w2",
    .text = "a group",
    .reason = "b\xff"
              "ad",
    .call = 1ULL << 63,
    .status = -PLEX_FAILED,
    .linked = true,
    .monitored = true,
    .post = {.kind = PLEX_MSG_CALL,
             .priority = PLEX_PRIORITY_HIGH,
             .tag = 127,
             .payload = "\0\1\2",
             .len = 3,
             .ttl_ms = 128,
             .id = 16384},
};

static size_t
batch_of(const struct work_batch *batch, const struct rt_signal *signals,
         size_t n)
{
    size_t len = work_batch_write(batch, bytes);

    for (size_t i = 0; i < n; i++) {
        const size_t size = work_signal_size(&signals[i], batch->node);
        uint8_t *end = work_signal_write(&signals[i], batch->node, bytes + len);

        ck_assert_uint_eq((size_t)(end - (bytes + len)), size);
        len += size;
    }
    return len;
}

START_TEST(a_signal_arrives_as_it_was_sent)
{
    const struct rt_signal forwarded = {.kind = RT_SEND,
                                        .from = {5, 6},
                                        .name = "x@w2",
                                        .text = "",
                                        .reason = "",
                                        .where = {"", ""}};
    const struct rt_signal both[] = {full, forwarded};
    const size_t len = batch_of(&head, both, 2);
    struct work_batch_reader reader;
    struct rt_signal got;
    bool more;

    ck_assert_int_eq(work_batch_open(&reader, (struct plex_bytes){bytes, len},
                                     99, &arena, &err),
                     PLEX_OK);
    ck_assert_uint_eq(reader.batch.node, head.node);
    ck_assert_uint_eq(reader.batch.session, 300);
    ck_assert_uint_eq(reader.batch.sequence, 1);
    ck_assert_str_eq(reader.batch.node_id, "w1");
    ck_assert_str_eq(reader.batch.url, "ipc:///w1");
    ck_assert_int_eq(work_batch_next(&reader, &arena, &got, &more, &err),
                     PLEX_OK);
    ck_assert(more);
    ck_assert_int_eq(got.kind, RT_ANSWER);
    ck_assert(plex_ref_is(got.from, full.from));
    ck_assert(plex_ref_is(got.to, full.to));
    ck_assert_str_eq(got.where.tenant, "acme");
    ck_assert_str_eq(got.where.ns, "shop");
    ck_assert_str_eq(got.name, "front@w2");
    ck_assert_str_eq(got.text, "a group");
    ck_assert_str_eq(got.reason, full.reason);
    ck_assert_uint_eq(got.call, full.call);
    ck_assert_int_eq(got.status, -PLEX_FAILED);
    ck_assert(got.linked && got.monitored);
    ck_assert_uint_eq(got.post.kind, PLEX_MSG_CALL);
    ck_assert_uint_eq(got.post.priority, PLEX_PRIORITY_HIGH);
    ck_assert_uint_eq(got.post.tag, 127);
    ck_assert_uint_eq(got.post.len, 3);
    ck_assert_mem_eq(got.post.payload, "\0\1\2", 3);
    ck_assert_uint_eq(got.post.ttl_ms, 128);
    ck_assert_uint_eq(got.post.id, 16384);
    ck_assert_int_eq(work_batch_next(&reader, &arena, &got, &more, &err),
                     PLEX_OK);
    ck_assert(more);
    ck_assert(plex_ref_is(got.from, forwarded.from));
    ck_assert(plex_ref_none(got.to));
    ck_assert_int_eq(work_batch_next(&reader, &arena, &got, &more, &err),
                     PLEX_OK);
    ck_assert(!more);
}
END_TEST

START_TEST(what_is_written_is_the_declared_protobuf)
{
    const size_t len = batch_of(&head, &full, 1);
    Plexspaces__Worker__V1__Signals *pb =
        plexspaces__worker__v1__signals__unpack(NULL, len, bytes);
    const Plexspaces__Worker__V1__Signal *one;
    uint8_t again[8192];

    ck_assert_ptr_nonnull(pb);
    ck_assert_uint_eq(pb->session, 300);
    ck_assert_uint_eq(pb->node, head.node);
    ck_assert_str_eq(pb->node_id, "w1");
    ck_assert_uint_eq(pb->n_signals, 1);
    one = pb->signals[0];
    ck_assert_uint_eq(one->kind, RT_ANSWER);
    ck_assert_uint_eq(one->from, full.from.id);
    ck_assert_uint_eq(one->from_node, 0);
    ck_assert_uint_eq(one->status, PLEX_FAILED);
    ck_assert_uint_eq(one->flags, 3);
    ck_assert_uint_eq(one->payload.len, 3);
    ck_assert_uint_eq(one->id, 16384);
    /* And byte for byte what protobuf-c would have written. */
    ck_assert_uint_eq(plexspaces__worker__v1__signals__pack(pb, again), len);
    ck_assert_mem_eq(again, bytes, len);
    plexspaces__worker__v1__signals__free_unpacked(pb, NULL);
}
END_TEST

START_TEST(a_cut_batch_is_refused)
{
    const size_t len = batch_of(&head, &full, 1);

    for (size_t cut = 1; cut < len; cut++) {
        struct work_batch_reader reader;
        struct rt_signal got;
        bool more = true;
        enum plex_status status = work_batch_open(
            &reader, (struct plex_bytes){bytes, len - cut}, 99, &arena, &err);

        if (status == PLEX_OK)
            status = work_batch_next(&reader, &arena, &got, &more, &err);
        ck_assert(status == PLEX_INVALID || !more);
        plex_arena_reset(&arena);
    }
}
END_TEST

START_TEST(a_signal_of_no_known_kind_is_refused)
{
    struct rt_signal odd = full;
    struct work_batch_reader reader;
    struct rt_signal got;
    bool more;
    size_t len;

    odd.kind = (enum rt_signal_kind)77;
    len = batch_of(&head, &odd, 1);
    ck_assert_int_eq(work_batch_open(&reader, (struct plex_bytes){bytes, len},
                                     99, &arena, &err),
                     PLEX_OK);
    ck_assert_int_eq(work_batch_next(&reader, &arena, &got, &more, &err),
                     PLEX_INVALID);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("worker.dist_code");
    TCase *tests = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_signal_arrives_as_it_was_sent);
    tcase_add_test(tests, what_is_written_is_the_declared_protobuf);
    tcase_add_test(tests, a_cut_batch_is_refused);
    tcase_add_test(tests, a_signal_of_no_known_kind_is_refused);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
