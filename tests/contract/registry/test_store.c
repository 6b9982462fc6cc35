#include "services/registry/store.h"

#include <check.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* An empty store of the kind TEST_DSN names: mem:, sqlite: in a folder of its
 * own, postgres: in a schema of its own in the database of PLEX_TEST_PG. */
static struct reg_store *store;
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
             "DROP SCHEMA IF EXISTS registry_%d CASCADE",
             id);
    PQclear(PQexec(conn, sql));
    snprintf(sql, sizeof sql, "CREATE SCHEMA registry_%d", id);
    if (create)
        PQclear(PQexec(conn, sql));
    PQfinish(conn);
}

static void
store_open(void)
{
    struct plex_err err;

    ck_assert_msg(reg_store_open(&store, dsn, &err) == PLEX_OK, "%s", err.text);
}

static void
store_reopen(void)
{
    reg_store_close(store);
    store_open();
}

static void
setup(void)
{
    snprintf(dsn, sizeof dsn, "%s", kind);
    if (is_kind("sqlite:")) {
        snprintf(folder, sizeof folder, "/tmp/registry-store-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(folder));
        snprintf(dsn, sizeof dsn, "sqlite:%s/test.db", folder);
    } else if (is_kind("postgres:")) {
        const char *base = getenv("PLEX_TEST_PG");

        pg_schema(true);
        snprintf(dsn, sizeof dsn, "%s%coptions=-csearch_path%%3Dregistry_%d",
                 base, strchr(base, '?') == NULL ? '?' : '&', (int)getpid());
    }
    store_open();
}

static void
teardown(void)
{
    char path[128];
    const char *const ends[] = {"", "-wal", "-shm"};

    reg_store_close(store);
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

enum { MAX = 8 };
struct seen {
    size_t n;
    uint64_t revision; /* the highest */
    char names[MAX][128];
    uint64_t revisions[MAX];
    char bodies[MAX][32];
};

static enum plex_status
collect(void *arg, const struct reg_store_app *app, struct plex_err *err)
{
    struct seen *seen = arg;

    (void)err;
    ck_assert(seen->n < MAX && app->body.len < sizeof seen->bodies[0]);
    snprintf(seen->names[seen->n], sizeof seen->names[0], "%s/%s/%s",
             app->tenant, app->ns, app->name);
    if (app->body.len > 0)
        memcpy(seen->bodies[seen->n], app->body.data, app->body.len);
    seen->revisions[seen->n++] = app->revision;
    return PLEX_OK;
}

static struct seen
load(void)
{
    struct seen seen = {0};
    struct plex_err err;

    ck_assert_int_eq(
        reg_store_load(store, collect, &seen, &seen.revision, &err), PLEX_OK);
    return seen;
}

static void
put(const char *tenant, const char *name, uint64_t revision, const char *text)
{
    struct plex_err err;
    const struct reg_store_app app = {
        .tenant = tenant,
        .ns = "default",
        .name = name,
        .revision = revision,
        .body = {(const uint8_t *)text, strlen(text)},
    };

    ck_assert_msg(reg_store_put(store, &app, &err) == PLEX_OK, "%s", err.text);
}

START_TEST(a_new_store_is_empty)
{
    ck_assert_uint_eq(load().n, 0);
    ck_assert_uint_eq(load().revision, 0);
}
END_TEST

START_TEST(applications_are_loaded_in_order)
{
    struct seen seen;

    put("default", "b", 1, "body b");
    put("acme", "z", 2, "body z");
    put("default", "a-a", 3, "body a");
    put("default", "a.a", 4, "");
    seen = load();
    ck_assert_uint_eq(seen.n, 4);
    ck_assert_str_eq(seen.names[0], "acme/default/z");
    ck_assert_str_eq(seen.names[1], "default/default/a-a");
    ck_assert_str_eq(seen.names[2], "default/default/a.a");
    ck_assert_str_eq(seen.names[3], "default/default/b");
    ck_assert_str_eq(seen.bodies[3], "body b");
    ck_assert_uint_eq(seen.revisions[3], 1);
    ck_assert_uint_eq(seen.revision, 4);
}
END_TEST

START_TEST(putting_again_replaces)
{
    struct seen seen;

    put("default", "a", 1, "one");
    put("default", "a", 2, "two");
    seen = load();
    ck_assert_uint_eq(seen.n, 1);
    ck_assert_str_eq(seen.bodies[0], "two");
    ck_assert_uint_eq(seen.revisions[0], 2);
}
END_TEST

START_TEST(deleting_keeps_the_highest_revision)
{
    struct plex_err err;

    put("default", "a", 7, "one");
    put("acme", "a", 3, "one");
    ck_assert_int_eq(reg_store_delete(store, "default", "default", "a", &err),
                     PLEX_OK);
    ck_assert_int_eq(reg_store_delete(store, "default", "default", "a", &err),
                     PLEX_OK);
    ck_assert_uint_eq(load().n, 1);
    ck_assert_str_eq(load().names[0], "acme/default/a");
    ck_assert_uint_eq(load().revision, 7);
}
END_TEST

START_TEST(what_was_put_is_there_after_reopening)
{
    if (is_kind("mem:"))
        return;
    put("default", "a", 7, "one");
    store_reopen();
    ck_assert_uint_eq(load().n, 1);
    ck_assert_uint_eq(load().revision, 7);
}
END_TEST

START_TEST(too_large_a_body_is_refused)
{
    struct plex_err err;
    struct reg_store_app app = {
        .tenant = "default", .ns = "default", .name = "a", .revision = 1};

    app.body.data = calloc(1, REG_BODY_MAX + 1);
    app.body.len = REG_BODY_MAX + 1;
    ck_assert_int_eq(reg_store_put(store, &app, &err), PLEX_TOO_LARGE);
    app.body.len = REG_BODY_MAX;
    ck_assert_int_eq(reg_store_put(store, &app, &err), PLEX_OK);
    free((void *)app.body.data);
}
END_TEST

static enum plex_status
refuse(void *arg, const struct reg_store_app *app, struct plex_err *err)
{
    (void)arg;
    (void)app;
    return plex_err_set(err, PLEX_CORRUPT, "no");
}

START_TEST(loading_stops_at_the_first_refusal)
{
    struct plex_err err;
    uint64_t revision;

    put("default", "a", 1, "one");
    ck_assert_int_eq(reg_store_load(store, refuse, NULL, &revision, &err),
                     PLEX_CORRUPT);
}
END_TEST

START_TEST(an_unknown_scheme_is_refused)
{
    struct reg_store *none;
    struct plex_err err;

    ck_assert_int_eq(reg_store_open(&none, "redis://x", &err), PLEX_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "sqlite:PATH"));
    ck_assert_int_eq(reg_store_open(&none, "sqlite", &err), PLEX_INVALID);
}
END_TEST

START_TEST(a_file_that_is_no_database_is_corrupt)
{
    struct reg_store *none;
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
    ck_assert_int_eq(reg_store_open(&none, bad, &err), PLEX_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.text, path));
    (void)unlink(path);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("registry.store");
    TCase *tc = tcase_create("store");
    SRunner *runner;
    int failed;

    if (!kind_choose())
        return EXIT_SUCCESS;
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_new_store_is_empty);
    tcase_add_test(tc, applications_are_loaded_in_order);
    tcase_add_test(tc, putting_again_replaces);
    tcase_add_test(tc, deleting_keeps_the_highest_revision);
    tcase_add_test(tc, what_was_put_is_there_after_reopening);
    tcase_add_test(tc, too_large_a_body_is_refused);
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
