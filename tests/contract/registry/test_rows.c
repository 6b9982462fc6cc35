/* Rows on the back end that TEST_DSN names: mem:, sqlite: in a folder of its
 * own, postgres: in a schema of its own in the database of PLEX_TEST_PG, redis:
 * in the server of PLEX_TEST_REDIS. */
#include "services/registry/rows.h"
#include "services/registry/wire_object.h"

#include <check.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct reg_rows *rows;
static char dsn[512], folder[64], area[16];
static const char *kind;
static int area_number;

static bool
is_kind(const char *prefix)
{
    return strncmp(kind, prefix, strlen(prefix)) == 0;
}

static bool
keeps(void)
{
    return !is_kind("mem:");
}

static void
pg_schema(bool create)
{
    PGconn *conn = PQconnectdb(getenv("PLEX_TEST_PG"));
    const int id = (int)getpid();
    char sql[200];

    snprintf(sql, sizeof sql,
             "SET client_min_messages = warning;"
             "DROP SCHEMA IF EXISTS registry_rows_%d CASCADE",
             id);
    PQclear(PQexec(conn, sql));
    snprintf(sql, sizeof sql, "CREATE SCHEMA registry_rows_%d", id);
    if (create)
        PQclear(PQexec(conn, sql));
    PQfinish(conn);
}

static void
rows_open(void)
{
    struct plex_err err;

    ck_assert_msg(reg_rows_open(&rows, dsn, area, &err) == PLEX_OK, "%s",
                  err.text);
}

static void
rows_reopen(void)
{
    reg_rows_close(rows);
    rows_open();
}

static void
setup(void)
{
    snprintf(dsn, sizeof dsn, "%s", kind);
    /* Redis has no schemas: an area of its own for each test. */
    snprintf(area, sizeof area, "a%d%s", (int)(getpid() % 100000),
             (const char *[]){"a", "b", "c", "d", "e", "f", "g", "h", "i",
                              "j"}[area_number++ % 10]);
    if (is_kind("sqlite:")) {
        snprintf(folder, sizeof folder, "/tmp/registry-rows-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(folder));
        snprintf(dsn, sizeof dsn, "sqlite:%s/test.db", folder);
    } else if (is_kind("postgres:")) {
        const char *base = getenv("PLEX_TEST_PG");

        pg_schema(true);
        snprintf(dsn, sizeof dsn,
                 "%s%coptions=-csearch_path%%3Dregistry_rows_%d", base,
                 strchr(base, '?') == NULL ? '?' : '&', (int)getpid());
    } else if (is_kind("redis:")) {
        snprintf(dsn, sizeof dsn, "%s", getenv("PLEX_TEST_REDIS"));
    }
    rows_open();
}

static void
teardown(void)
{
    char command[128];

    reg_rows_close(rows);
    if (is_kind("sqlite:")) {
        snprintf(command, sizeof command, "rm -rf %s", folder);
        ck_assert_int_eq(system(command), 0);
    } else if (is_kind("postgres:")) {
        pg_schema(false);
    }
}

static enum plex_status
apply(const char *name, const char *body)
{
    const struct reg_row row = {
        .kind = REG_ROW_VALUE,
        .tenant = "t",
        .ns = "n",
        .name = name,
        .gone = body == NULL,
        .body = {(const uint8_t *)body, body == NULL ? 0 : strlen(body)}};
    struct plex_err err = {0};

    return reg_rows_apply(rows, &row, &err);
}

static void
commit(void)
{
    struct plex_err err = {0};

    ck_assert_msg(reg_rows_commit(rows, &err) == PLEX_OK, "%s", err.text);
}

struct found {
    size_t n;
    const char *name;
    char body[64];
    bool there;
};

static enum plex_status
find_one(void *arg, const struct reg_row *row, struct plex_err *err)
{
    struct found *found = arg;

    (void)err;
    found->n++;
    if (found->name == NULL || strcmp(row->name, found->name) != 0)
        return PLEX_OK;
    ck_assert_str_eq(row->tenant, "t");
    ck_assert_str_eq(row->ns, "n");
    ck_assert_int_eq(row->kind, REG_ROW_VALUE);
    found->there = true;
    snprintf(found->body, sizeof found->body, "%.*s", (int)row->body.len,
             (const char *)row->body.data);
    return PLEX_OK;
}

static struct found
load(const char *name)
{
    struct found found = {.name = name};
    struct plex_err err = {0};

    ck_assert_msg(reg_rows_load(rows, find_one, &found, &err) == PLEX_OK, "%s",
                  err.text);
    return found;
}

START_TEST(what_was_committed_is_loaded_and_nothing_else)
{
    ck_assert_uint_eq(load(NULL).n, 0);
    ck_assert_int_eq(apply("a", "1"), PLEX_OK);
    ck_assert_int_eq(apply("b", "2"), PLEX_OK);
    ck_assert_int_eq(apply("a", "3"), PLEX_OK);
    commit();
    ck_assert_int_eq(apply("c", "4"), PLEX_OK);
    rows_reopen();
    if (!keeps())
        return;
    ck_assert_uint_eq(load(NULL).n, 2);
    ck_assert_str_eq(load("a").body, "3");
    ck_assert_int_eq(apply("a", NULL), PLEX_OK);
    ck_assert_int_eq(apply("never", NULL), PLEX_OK);
    commit();
    rows_reopen();
    ck_assert(!load("a").there);
    ck_assert_str_eq(load("b").body, "2");
}
END_TEST

START_TEST(a_rollback_leaves_nothing_and_the_store_usable)
{
    ck_assert_int_eq(apply("a", "1"), PLEX_OK);
    reg_rows_rollback(rows);
    commit();
    ck_assert_uint_eq(load(NULL).n, 0);
    ck_assert_int_eq(apply("b", "1"), PLEX_OK);
    commit();
    rows_reopen();
    ck_assert(load("b").there == keeps());
    ck_assert(!load("a").there);
}
END_TEST

START_TEST(names_and_bodies_are_kept_as_they_are)
{
    static const char name[] = "a/b c:d'\"\\%s\xc3\xa9 {x}";
    static uint8_t body[1 << 20];
    struct reg_row row = {.kind = REG_ROW_VALUE,
                          .tenant = "t",
                          .ns = "n",
                          .name = name,
                          .body = {body, sizeof body}};
    struct plex_err err = {0};
    struct found found;

    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (uint8_t)(i * 7);
    ck_assert_int_eq(reg_rows_apply(rows, &row, &err), PLEX_OK);
    commit();
    rows_reopen();
    found = load(name);
    ck_assert(found.there == keeps());
    row.body.len = REG_ROW_BODY_MAX + 1;
    ck_assert_int_eq(reg_rows_apply(rows, &row, &err), PLEX_TOO_LARGE);
}
END_TEST

/* What was loaded last, and whether there was one. */
static struct reg_object object_loaded;
static struct plex_arena object_arena;
static size_t objects_loaded;

static enum plex_status
object_one(void *arg, const struct reg_row *row, struct plex_err *err)
{
    (void)arg;
    ck_assert_int_eq(row->kind, REG_ROW_OBJECT);
    ck_assert_str_eq(row->tenant, "t");
    ck_assert_str_eq(row->ns, "n");
    objects_loaded++;
    return reg_wire_object_row_in(row->body, &object_arena, &object_loaded,
                                  err);
}

static void
object_write(const struct reg_object *object, const char *name, bool gone)
{
    struct plex_buf body = {.max = REG_ROW_BODY_MAX};
    struct reg_row row = {.kind = REG_ROW_OBJECT,
                          .tenant = "t",
                          .ns = "n",
                          .name = name,
                          .gone = gone};
    struct plex_err err = {0};

    if (!gone)
        ck_assert_int_eq(
            reg_wire_object_row_out(object, &object_arena, &body, &err),
            PLEX_OK);
    row.body = (struct plex_bytes){body.data, body.len};
    ck_assert_int_eq(reg_rows_apply(rows, &row, &err), PLEX_OK);
    commit();
    plex_buf_free(&body);
}

static size_t
objects_load(void)
{
    struct plex_err err = {0};

    rows_reopen();
    objects_loaded = 0;
    ck_assert_msg(reg_rows_load(rows, object_one, NULL, &err) == PLEX_OK, "%s",
                  err.text);
    return objects_loaded;
}

START_TEST(registered_objects_come_back_as_they_were)
{
    char id[REG_OBJECT_ID_MAX + 1], name[REG_OBJECT_ID_MAX + 3];
    const char *labels[] = {"zone=east", "gr\xc3\xbcn"}, *gpu[] = {"gpu"};
    const struct reg_pair pair = {"owner", "ann"};
    const struct reg_metric metric = {"load", 0.25};
    struct reg_object object = {.type = 3,
                                .health = REG_HEALTH_DEGRADED,
                                .tenant = "t",
                                .ns = "n",
                                .id = id,
                                .category = "c",
                                .node_id = "w",
                                .address = "10.0.0.1:1",
                                .version = "2",
                                .reason = "slow",
                                .capabilities = {gpu, 1},
                                .labels = {labels, 2},
                                .metadata = &pair,
                                .n_metadata = 1,
                                .metrics = &metric,
                                .n_metrics = 1,
                                .ttl_ms = 5000,
                                .created_ms = 1,
                                .updated_ms = 2,
                                .heartbeat_ms = 3,
                                .heartbeats = 4,
                                .revision = 5};

    memset(id, 'x', REG_OBJECT_ID_MAX);
    memcpy(id, "t/n/type/", 9);
    id[REG_OBJECT_ID_MAX] = '\0';
    snprintf(name, sizeof name, "3/%s", id);
    plex_arena_init(&object_arena, 1 << 20);
    object_write(&object, name, false);
    if (keeps()) {
        ck_assert_uint_eq(objects_load(), 1);
        object_loaded.tenant = object_loaded.ns = "";
        object.tenant = object.ns = "";
        ck_assert_uint_eq(reg_object_size(&object_loaded),
                          reg_object_size(&object));
        ck_assert_str_eq(object_loaded.id, id);
        ck_assert_str_eq(object_loaded.labels.at[1], labels[1]);
        ck_assert_str_eq(object_loaded.capabilities.at[0], "gpu");
        ck_assert_str_eq(object_loaded.metadata[0].value, "ann");
        ck_assert(object_loaded.metrics[0].value == 0.25);
        ck_assert_str_eq(object_loaded.reason, "slow");
        ck_assert_uint_eq(object_loaded.health, REG_HEALTH_DEGRADED);
        ck_assert_uint_eq(object_loaded.ttl_ms, 5000);
        ck_assert_uint_eq(object_loaded.created_ms, 1);
        ck_assert_uint_eq(object_loaded.heartbeats, 4);
        ck_assert_uint_eq(object_loaded.revision, 5);
    }
    object_write(&object, name, true);
    ck_assert_uint_eq(objects_load(), 0);
    plex_arena_fini(&object_arena);
}
END_TEST

START_TEST(only_the_last_owner_of_an_area_may_write)
{
    struct reg_rows *first = rows;
    struct plex_err err = {0};

    if (!keeps())
        return;
    ck_assert_int_eq(apply("a", "1"), PLEX_OK);
    commit();
    rows_open();
    ck_assert_int_eq(apply("a", "2"), PLEX_OK);
    commit();
    {
        struct reg_rows *second = rows;

        rows = first;
        if (apply("a", "3") == PLEX_OK)
            ck_assert_int_eq(reg_rows_commit(rows, &err), PLEX_FENCED);
        reg_rows_close(first);
        rows = second;
    }
    ck_assert_str_eq(load("a").body, "2");
    ck_assert_int_eq(apply("a", "4"), PLEX_OK);
    commit();
    ck_assert_str_eq(load("a").body, "4");
}
END_TEST

static enum plex_status
refuse(void *arg, const struct reg_row *row, struct plex_err *err)
{
    (void)arg;
    (void)row;
    return plex_err_set(err, PLEX_CORRUPT, "no");
}

START_TEST(loading_stops_at_the_first_refusal)
{
    struct plex_err err;

    ck_assert_int_eq(apply("a", "1"), PLEX_OK);
    commit();
    ck_assert_int_eq(reg_rows_load(rows, refuse, NULL, &err),
                     keeps() ? PLEX_CORRUPT : PLEX_OK);
}
END_TEST

/* Commits pairs and says each number that is durable until it is killed. */
static void
writer(int out)
{
    for (uint32_t i = 0;; i++) {
        char name[16];

        snprintf(name, sizeof name, "x%u", i);
        if (apply(name, "1") != PLEX_OK)
            _exit(1);
        snprintf(name, sizeof name, "y%u", i);
        if (apply(name, "1") != PLEX_OK)
            _exit(1);
        commit();
        if (write(out, &i, sizeof i) != sizeof i)
            _exit(1);
    }
}

static enum plex_status
mark_one(void *arg, const struct reg_row *row, struct plex_err *err)
{
    uint8_t *marks = arg;

    (void)err;
    marks[atoi(row->name + 1) % 65536] |= row->name[0] == 'x' ? 1 : 2;
    return PLEX_OK;
}

START_TEST(a_kill_loses_nothing_acknowledged_and_halves_nothing)
{
    static uint8_t marks[65536];
    struct plex_err err = {0};
    uint32_t last = 0;
    int ends[2];
    pid_t child;

    if (!keeps())
        return;
    reg_rows_close(rows);
    rows = NULL;
    ck_assert_int_eq(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        rows_open();
        writer(ends[1]);
    }
    close(ends[1]);
    while (last < 20 && read(ends[0], &last, sizeof last) == sizeof last)
        ;
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    while (read(ends[0], &last, sizeof last) == sizeof last)
        ;
    close(ends[0]);
    ck_assert_uint_ge(last, 20);
    rows_open();
    memset(marks, 0, sizeof marks);
    ck_assert_int_eq(reg_rows_load(rows, mark_one, marks, &err), PLEX_OK);
    for (uint32_t i = 0; i < 65536; i++)
        ck_assert_msg(marks[i] == 3 || (marks[i] == 0 && i > last),
                      "pair %u of %u is there as %d", i, last, marks[i]);
}
END_TEST

START_TEST(an_unknown_scheme_is_refused)
{
    struct reg_rows *none;
    struct plex_err err;

    ck_assert_int_eq(reg_rows_open(&none, "etcd://x", "kv", &err),
                     PLEX_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "redis://HOST:PORT"));
    ck_assert_int_eq(reg_rows_open(&none, "redis:nonsense", "kv", &err),
                     PLEX_INVALID);
    ck_assert_int_eq(reg_rows_open(&none, "redis://h:99999", "kv", &err),
                     PLEX_INVALID);
}
END_TEST

static bool
kind_choose(void)
{
    kind = getenv("TEST_DSN");
    if (kind == NULL)
        kind = "mem:";
    if (is_kind("postgres:") && getenv("PLEX_TEST_PG") == NULL) {
        printf("SKIP: PLEX_TEST_PG names no Postgres\n");
        return false;
    }
    if (is_kind("redis:") && getenv("PLEX_TEST_REDIS") == NULL) {
        printf("SKIP: PLEX_TEST_REDIS names no Redis\n");
        return false;
    }
    return true;
}

int
main(void)
{
    Suite *suite = suite_create("registry.rows");
    TCase *tc = tcase_create("rows");
    SRunner *runner;
    int failed;

    if (!kind_choose())
        return EXIT_SUCCESS;
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, what_was_committed_is_loaded_and_nothing_else);
    tcase_add_test(tc, a_rollback_leaves_nothing_and_the_store_usable);
    tcase_add_test(tc, names_and_bodies_are_kept_as_they_are);
    tcase_add_test(tc, registered_objects_come_back_as_they_were);
    tcase_add_test(tc, only_the_last_owner_of_an_area_may_write);
    tcase_add_test(tc, loading_stops_at_the_first_refusal);
    tcase_add_test(tc, a_kill_loses_nothing_acknowledged_and_halves_nothing);
    tcase_add_test(tc, an_unknown_scheme_is_refused);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
