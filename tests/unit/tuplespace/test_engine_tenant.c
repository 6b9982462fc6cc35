/* One tenant that uses all it may leaves the others what is theirs. */
#include "tests/unit/tuplespace/drive.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EACH = 3, REMEMBERED = 60000 }; /* of everything, per tenant */

static struct drive drive;

static void
setup(void)
{
    const struct tspace_config config = {
        .tuples_max = 100,
        .spaces_max = 100,
        .waiters_max = 100,
        .requests_max = 100,
        .tx_max = 100,
        .subscriptions_max = 100,
        .tenant_tuples_max = EACH,
        .tenant_waiters_max = EACH,
        .tenant_spaces_max = EACH,
        .tenant_tx_max = EACH,
        .tenant_subscriptions_max = EACH,
        .tenant_requests_max = EACH,
        .tenant_remember_bytes_max = REMEMBERED,
    };

    drive_open(&drive, &config);
}

static void
teardown(void)
{
    drive_close(&drive);
}

static struct tspace_op
op_of(unsigned call, const char *tenant)
{
    struct tspace_op of = op(call);

    of.where.tenant = tenant;
    return of;
}

static struct reply *
write_of(unsigned call, const char *tenant, const char *space, const char *id)
{
    const struct plex_bytes packed = tuple("i", (int64_t)call);
    struct tspace_write write = {
        .op = op_of(call, tenant), .tuples = &packed, .n_tuples = 1};

    write.op.where.space = space;
    write.op.request_id = (struct plex_bytes){(const uint8_t *)id, strlen(id)};
    return write_with(&drive, &write);
}

static struct reply *
wait_of(unsigned call, const char *tenant)
{
    struct tspace_read read = {.op = op_of(call, tenant),
                               .template = template("s", "never"),
                               .timeout_ms = 60000,
                               .take = true};

    return read_with(&drive, &read);
}

static struct reply *
begin_of(unsigned call, const char *tenant)
{
    const struct tspace_begin request = {.op = op_of(call, tenant),
                                         .timeout_ms = 60000};

    tspace_core_begin(drive.core, drive.now, &request);
    drive_drain(&drive);
    return &drive.replies[call];
}

static struct reply *
subscribe_of(unsigned call, const char *tenant)
{
    const struct tspace_subscribe request = {
        .op = op_of(call, tenant),
        .template = template("I"),
        .events = TSPACE_WRITTEN,
    };

    tspace_core_subscribe(drive.core, drive.now, &request);
    tspace_template_unref(request.template);
    drive_drain(&drive);
    return &drive.replies[call];
}

START_TEST(tuples)
{
    for (unsigned i = 1; i <= EACH; i++)
        ck_assert_int_eq(write_of(i, "greedy", "s", "")->status, PLEX_OK);
    ck_assert_int_eq(write_of(10, "greedy", "s", "")->status, PLEX_LIMIT);
    ck_assert_ptr_nonnull(strstr(drive.replies[10].text, "tenant"));
    ck_assert_int_eq(write_of(11, "modest", "s", "")->status, PLEX_OK);
}
END_TEST

START_TEST(spaces)
{
    char name[8];

    for (unsigned i = 1; i <= EACH; i++) {
        (void)snprintf(name, sizeof name, "s%u", i % 10);
        ck_assert_int_eq(write_of(i, "greedy", name, "")->status, PLEX_OK);
    }
    ck_assert_int_eq(write_of(10, "greedy", "more", "")->status, PLEX_LIMIT);
    ck_assert_int_eq(write_of(11, "modest", "more", "")->status, PLEX_OK);
}
END_TEST

START_TEST(waiters)
{
    for (unsigned i = 1; i <= EACH; i++)
        ck_assert(!wait_of(i, "greedy")->done);
    ck_assert_int_eq(wait_of(10, "greedy")->status, PLEX_LIMIT);
    ck_assert(!wait_of(11, "modest")->done);
}
END_TEST

START_TEST(transactions)
{
    for (unsigned i = 1; i <= EACH; i++)
        ck_assert_int_eq(begin_of(i, "greedy")->status, PLEX_OK);
    ck_assert_int_eq(begin_of(10, "greedy")->status, PLEX_LIMIT);
    ck_assert_int_eq(begin_of(11, "modest")->status, PLEX_OK);
}
END_TEST

START_TEST(subscriptions)
{
    for (unsigned i = 1; i <= EACH; i++)
        ck_assert_int_eq(subscribe_of(i, "greedy")->status, PLEX_OK);
    ck_assert_int_eq(subscribe_of(10, "greedy")->status, PLEX_LIMIT);
    ck_assert_int_eq(subscribe_of(11, "modest")->status, PLEX_OK);
}
END_TEST

/* Memories are not refused, the tenant's own oldest makes room. */
START_TEST(remembered_answers)
{
    const uint64_t id = write_of(1, "modest", "s", "mine")->ids[0];
    char name[8];

    for (unsigned i = 2; i < 60; i++) {
        struct tspace_collect clear = {
            .op = op_of(100 + i, "greedy"), .template = NULL, .to = ""};

        (void)snprintf(name, sizeof name, "r%u", i % 100);
        ck_assert_int_eq(write_of(i, "greedy", "s", name)->status, PLEX_OK);
        clear.op.where.space = "s";
        clear.template = template("I");
        tspace_core_collect(drive.core, drive.now, &clear);
        tspace_template_unref(clear.template);
        drive_drain(&drive);
    }
    ck_assert_uint_eq(tspace_core_stats(drive.core).requests, EACH + 1);
    ck_assert_uint_eq(write_of(1, "modest", "s", "mine")->ids[0], id);
}
END_TEST

/* Answers that hold large tuples: the oldest of the same tenant go. */
START_TEST(bytes_of_remembered_answers)
{
    static uint8_t large[REMEMBERED / 3];
    const struct tspace_value values[] = {
        {.type = TSPACE_BINARY, .bytes = {large, sizeof large}}};
    struct plex_buf packed = {.max = 1 << 20};
    struct tspace_write write = {.op = op_of(0, "greedy"), .n_tuples = 1};
    struct tspace_read read = {.max_results = 1};
    struct plex_bytes bytes;
    struct plex_err err;
    uint64_t ids[4], mine;
    char id[2] = "a";

    read.take = true;
    ck_assert_int_eq(tspace_pack(values, 1, &packed, &err), PLEX_OK);
    bytes = (struct plex_bytes){packed.data, packed.len};
    write.tuples = &bytes;
    mine = write_of(1, "modest", "s", "mine")->ids[0];
    for (unsigned i = 0; i < 4; i++) {
        ids[i] = write_with(&drive, &write)->ids[0];
        id[0] = (char)('a' + i);
        read.template = template("?");
        read.op = op_of(2, "greedy");
        read.op.request_id = (struct plex_bytes){(const uint8_t *)id, 1};
        ck_assert_uint_eq(read_with(&drive, &read)->ids[0], ids[i]);
    }
    /* The last one is known still, the first one is not. */
    read.template = template("?");
    ck_assert_uint_eq(read_with(&drive, &read)->ids[0], ids[3]);
    id[0] = 'a';
    read.template = template("?");
    ck_assert_uint_eq(read_with(&drive, &read)->n, 0);
    ck_assert_uint_eq(write_of(3, "modest", "s", "mine")->ids[0], mine);
    plex_buf_free(&packed);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("tenants of a tuple space");
    TCase *tcase = tcase_create("one does not exhaust another's");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, tuples);
    tcase_add_test(tcase, spaces);
    tcase_add_test(tcase, waiters);
    tcase_add_test(tcase, transactions);
    tcase_add_test(tcase, subscriptions);
    tcase_add_test(tcase, remembered_answers);
    tcase_add_test(tcase, bytes_of_remembered_answers);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
