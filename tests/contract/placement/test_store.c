#include "services/placement/store.h"

#include <check.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* An empty store of the kind TEST_DSN names: mem:, sqlite: in a folder of its
 * own, postgres: in a schema of its own in the database of PLEX_TEST_PG. */
static struct place_store *store;
static char dsn[512], folder[64];
static const char *kind;

static bool
is_kind(const char *prefix)
{
    return strncmp(kind, prefix, strlen(prefix)) == 0;
}

static void
pg_schema(bool create)
{
    PGconn *conn = PQconnectdb(getenv("PLEX_TEST_PG"));
    const int id = (int)getpid();
    char sql[200];

    snprintf(sql, sizeof sql,
             "SET client_min_messages = warning;"
             "DROP SCHEMA IF EXISTS placement_%d CASCADE",
             id);
    PQclear(PQexec(conn, sql));
    snprintf(sql, sizeof sql, "CREATE SCHEMA placement_%d", id);
    if (create)
        PQclear(PQexec(conn, sql));
    PQfinish(conn);
}

static void
store_open(void)
{
    struct plex_err err;

    ck_assert_msg(place_store_open(&store, dsn, &err) == PLEX_OK, "%s",
                  err.text);
}

static void
store_reopen(void)
{
    place_store_close(store);
    store_open();
}

static void
setup(void)
{
    snprintf(dsn, sizeof dsn, "%s", kind);
    if (is_kind("sqlite:")) {
        snprintf(folder, sizeof folder, "/tmp/placement-store-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(folder));
        snprintf(dsn, sizeof dsn, "sqlite:%s/test.db", folder);
    } else if (is_kind("postgres:")) {
        const char *base = getenv("PLEX_TEST_PG");

        pg_schema(true);
        snprintf(dsn, sizeof dsn, "%s%coptions=-csearch_path%%3Dplacement_%d",
                 base, strchr(base, '?') == NULL ? '?' : '&', (int)getpid());
    }
    store_open();
}

static void
teardown(void)
{
    char path[128];
    const char *const ends[] = {"", "-wal", "-shm"};

    place_store_close(store);
    if (is_kind("sqlite:")) {
        for (int i = 0; i < 3; i++) {
            snprintf(path, sizeof path, "%s/test.db%s", folder, ends[i]);
            (void)unlink(path);
        }
        (void)rmdir(folder);
    } else if (is_kind("postgres:")) {
        pg_schema(false);
    }
}

/* The tests, then the end: 0 when the back end is not there. */
static bool
kind_choose(void)
{
    kind = getenv("TEST_DSN");
    if (kind == NULL)
        kind = "mem:";
    if (!is_kind("postgres:") || getenv("PLEX_TEST_PG") != NULL)
        return true;
    printf("SKIP: PLEX_TEST_PG names no Postgres\n");
    return false;
}

enum { MAX = 4 };
struct seen {
    size_t n;
    char pools[MAX][PLACE_POOL_MAX + 1];
    uint64_t versions[MAX];
    char bodies[MAX][32];
};

static enum plex_status
collect(void *arg, const char *pool, uint64_t version, struct plex_bytes body,
        struct plex_err *err)
{
    struct seen *seen = arg;

    ck_assert(seen->n < MAX && body.len < sizeof seen->bodies[0]);
    (void)err;
    snprintf(seen->pools[seen->n], sizeof seen->pools[0], "%s", pool);
    if (body.len > 0)
        memcpy(seen->bodies[seen->n], body.data, body.len);
    seen->versions[seen->n++] = version;
    return PLEX_OK;
}

static struct seen
load(void)
{
    struct seen seen = {0};
    struct plex_err err;

    ck_assert_int_eq(place_store_load(store, collect, &seen, &err), PLEX_OK);
    return seen;
}

static uint64_t
lead(const char *holder, uint64_t now_ms, uint64_t ttl_ms)
{
    struct plex_err err;
    uint64_t epoch = 0;

    ck_assert_msg(place_store_lead(store, holder, now_ms, ttl_ms, &epoch,
                                   &err) == PLEX_OK,
                  "%s", err.text);
    return epoch;
}

static enum plex_status
save(const char *pool, uint64_t expect, uint64_t version, uint64_t epoch,
     const char *text)
{
    struct plex_err err;
    const struct place_save what = {
        .pool = pool,
        .expect_version = expect,
        .version = version,
        .leader_epoch = epoch,
        .body = {(const uint8_t *)text, strlen(text)},
    };

    return place_store_save(store, &what, &err);
}

START_TEST(a_new_store_is_empty)
{
    ck_assert_uint_eq(load().n, 0);
}
END_TEST

START_TEST(only_one_leads)
{
    struct plex_err err;
    const uint64_t epoch = lead("p1", 1000, 60000);
    uint64_t other;

    ck_assert_uint_ge(epoch, 1);
    ck_assert_int_eq(place_store_lead(store, "p2", 2000, 60000, &other, &err),
                     PLEX_CONFLICT);
    ck_assert_ptr_nonnull(strstr(err.text, "p1"));
    ck_assert_int_eq(place_store_renew(store, epoch, 3000, 60000, &err),
                     PLEX_OK);
}
END_TEST

START_TEST(a_restarted_leader_leads_at_once_with_a_higher_epoch)
{
    struct plex_err err;
    const uint64_t epoch = lead("p1", 1000, 60000);

    ck_assert_uint_gt(lead("p1", 1001, 60000), epoch);
    ck_assert_int_eq(place_store_renew(store, epoch, 1002, 60000, &err),
                     PLEX_FENCED);
}
END_TEST

START_TEST(another_leads_when_the_lease_has_run_out)
{
    struct plex_err err;
    const uint64_t epoch = lead("p1", 1000, 1);
    enum plex_status status;
    uint64_t other = 0;

    /* Postgres looks at its own clock. */
    do {
        status = place_store_lead(store, "p2", 1002, 60000, &other, &err);
    } while (status == PLEX_CONFLICT);
    ck_assert_int_eq(status, PLEX_OK);
    ck_assert_uint_gt(other, epoch);
    ck_assert_int_eq(place_store_renew(store, epoch, 1003, 1000, &err),
                     PLEX_FENCED);
    ck_assert_int_eq(save("default", 0, 5, epoch, "x"), PLEX_FENCED);
    ck_assert_int_eq(save("default", 0, 5, other, "x"), PLEX_OK);
}
END_TEST

START_TEST(a_save_replaces_the_version_it_expects_and_no_other)
{
    const uint64_t epoch = lead("p1", 1000, 60000);
    struct seen seen;

    ck_assert_int_eq(save("default", 7, 8, epoch, "a"), PLEX_CONFLICT);
    ck_assert_int_eq(save("default", 0, 100, epoch, "a"), PLEX_OK);
    ck_assert_int_eq(save("default", 0, 101, epoch, "b"), PLEX_CONFLICT);
    ck_assert_int_eq(save("default", 99, 101, epoch, "b"), PLEX_CONFLICT);
    ck_assert_int_eq(save("default", 100, 101, epoch, "b"), PLEX_OK);
    ck_assert_int_eq(save("default", 100, 102, epoch, "c"), PLEX_CONFLICT);
    seen = load();
    ck_assert_uint_eq(seen.n, 1);
    ck_assert_str_eq(seen.bodies[0], "b");
    ck_assert_uint_eq(seen.versions[0], 101);
}
END_TEST

START_TEST(pools_are_loaded_in_order)
{
    const uint64_t epoch = lead("p1", 1000, 60000);
    struct seen seen;

    ck_assert_int_eq(save("gpu", 0, 5, epoch, "g"), PLEX_OK);
    ck_assert_int_eq(save("big_mem", 0, 6, epoch, ""), PLEX_OK);
    ck_assert_int_eq(save("default", 0, UINT64_C(1) << 62, epoch, "d"),
                     PLEX_OK);
    seen = load();
    ck_assert_uint_eq(seen.n, 3);
    ck_assert_str_eq(seen.pools[0], "big_mem");
    ck_assert_str_eq(seen.pools[1], "default");
    ck_assert_str_eq(seen.pools[2], "gpu");
    ck_assert_uint_eq(seen.versions[1], UINT64_C(1) << 62);
}
END_TEST

START_TEST(what_was_saved_is_there_after_reopening)
{
    const uint64_t epoch = lead("p1", 1000, 60000);
    struct seen seen;

    if (is_kind("mem:"))
        return;
    ck_assert_int_eq(save("default", 0, 5, epoch, "body"), PLEX_OK);
    store_reopen();
    seen = load();
    ck_assert_uint_eq(seen.n, 1);
    ck_assert_str_eq(seen.bodies[0], "body");
    ck_assert_uint_gt(lead("p1", 2000, 60000), epoch);
}
END_TEST

static enum plex_status
refuse(void *arg, const char *pool, uint64_t version, struct plex_bytes body,
       struct plex_err *err)
{
    (void)arg;
    (void)pool;
    (void)version;
    (void)body;
    return plex_err_set(err, PLEX_CORRUPT, "no");
}

START_TEST(loading_stops_at_the_first_refusal)
{
    struct plex_err err;
    const uint64_t epoch = lead("p1", 1000, 60000);

    ck_assert_int_eq(save("default", 0, 5, epoch, "a"), PLEX_OK);
    ck_assert_int_eq(place_store_load(store, refuse, NULL, &err), PLEX_CORRUPT);
}
END_TEST

START_TEST(an_unknown_scheme_is_refused)
{
    struct place_store *none;
    struct plex_err err;

    ck_assert_int_eq(place_store_open(&none, "redis://x", &err), PLEX_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "sqlite:PATH"));
    ck_assert_int_eq(place_store_open(&none, "sqlite", &err), PLEX_INVALID);
}
END_TEST

START_TEST(a_file_that_is_no_database_is_corrupt)
{
    struct place_store *none;
    char path[128], bad[160];
    struct plex_err err;
    FILE *file;

    if (!is_kind("sqlite:"))
        return;
    snprintf(path, sizeof path, "%s/bad.db", folder);
    snprintf(bad, sizeof bad, "sqlite:%s", path);
    file = fopen(path, "w");
    for (int i = 0; i < 200; i++)
        fputs("this is no database at all\n", file);
    fclose(file);
    ck_assert_int_eq(place_store_open(&none, bad, &err), PLEX_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.text, path));
    (void)unlink(path);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("placement.store");
    TCase *tc = tcase_create("store");
    SRunner *runner;
    int failed;

    if (!kind_choose())
        return EXIT_SUCCESS;
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_new_store_is_empty);
    tcase_add_test(tc, only_one_leads);
    tcase_add_test(tc, a_restarted_leader_leads_at_once_with_a_higher_epoch);
    tcase_add_test(tc, another_leads_when_the_lease_has_run_out);
    tcase_add_test(tc, a_save_replaces_the_version_it_expects_and_no_other);
    tcase_add_test(tc, pools_are_loaded_in_order);
    tcase_add_test(tc, what_was_saved_is_there_after_reopening);
    tcase_add_test(tc, loading_stops_at_the_first_refusal);
    tcase_add_test(tc, an_unknown_scheme_is_refused);
    tcase_add_test(tc, a_file_that_is_no_database_is_corrupt);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
