#include "services/journal/client.h"
#include "services/journal/service.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/*
 * Two journals on one Postgres, each for half of the shards, and what happens
 * when the halves change hands. Wants PLEX_TEST_PG.
 */
enum { DEADLINE_MS = 20000, HALF = 2048, ACTORS = 8, ROUNDS = 40 };

static char folder[64], urls[2][96], registry_url[96], dsn[512];
static struct plex_instance *instances[2];
static struct plex_loop *loop;
static struct plex_link *link_;
static struct journal_client clients[2];

static struct {
    int waiting;
    enum plex_status status; /* the first that was not OK */
    char text[256];
    uint64_t newest, last_seq, n;
    enum plex_status results[ACTORS];
} got;

static const struct plex_method no_methods[] = {{0}};

static void
instance_start(int i)
{
    static struct plex_setting settings[2][10];
    static char names[2][24];
    struct plex_setting *s = settings[i];
    struct plex_err err;
    int n = 0;

    (void)snprintf(names[i], sizeof names[i], "journal-%d", i + 1);
    s[n++] = (struct plex_setting){"node", names[i]};
    s[n++] = (struct plex_setting){"listen_url", urls[i]};
    s[n++] = (struct plex_setting){"registry_url", registry_url};
    s[n++] = (struct plex_setting){"admin_addr", ""};
    s[n++] = (struct plex_setting){"store_dsn", dsn};
    s[n++] = (struct plex_setting){"backup_folder", ""};
    s[n++] = (struct plex_setting){"log_level", "error"};
    s[n] = (struct plex_setting){0};
    ck_assert_msg(plex_instance_start(&instances[i], &journal_service, s,
                                      &err) == PLEX_OK,
                  "%s", err.text);
}

static void
schema_make(void)
{
    const char *pg = getenv("PLEX_TEST_PG");
    char command[1024];

    (void)snprintf(command, sizeof command,
                   "psql -q -d '%s' -c 'SET client_min_messages = warning; "
                   "DROP SCHEMA IF EXISTS journal_two CASCADE; CREATE SCHEMA "
                   "journal_two'",
                   pg);
    ck_assert_int_eq(system(command), 0);
    (void)snprintf(dsn, sizeof dsn, "%s%coptions=-csearch_path%%3Djournal_two",
                   pg, strchr(pg, '?') ? '&' : '?');
}

static void
setup(void)
{
    char own[96];
    struct plex_err err;

    (void)snprintf(folder, sizeof folder, "/tmp/plex-journal-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(registry_url, sizeof registry_url, "ipc://%s/registry",
                   folder);
    (void)snprintf(own, sizeof own, "ipc://%s/client", folder);
    schema_make();
    ck_assert_int_eq(plex_loop_create(&loop, &err), PLEX_OK);
    ck_assert_int_eq(
        plex_link_open(&link_, loop,
                       &(struct plex_link_config){.listen_url = own,
                                                  .methods = no_methods},
                       &err),
        PLEX_OK);
    for (int i = 0; i < 2; i++) {
        (void)snprintf(urls[i], sizeof urls[i], "ipc://%s/journal-%d", folder,
                       i);
        instance_start(i);
        clients[i] = (struct journal_client){link_, urls[i]};
    }
}

static void
teardown(void)
{
    char command[100];

    plex_link_close(link_);
    plex_loop_free(loop);
    for (int i = 0; i < 2; i++)
        plex_instance_stop(instances[i]);
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

/* -- calls -------------------------------------------------------------------
 */

static struct plex_context
context(void)
{
    struct plex_context c = plex_context_none;

    c.tenant = "acme";
    c.ns = "prod";
    c.deadline = plex_now() + (uint64_t)DEADLINE_MS * 1000000;
    got.waiting++;
    return c;
}

static void
finish(enum plex_status status, const char *text)
{
    got.waiting--;
    if (got.status == PLEX_OK && status != PLEX_OK) {
        got.status = status;
        (void)snprintf(got.text, sizeof got.text, "%s", text);
    }
}

static void
wait_all(void)
{
    while (got.waiting > 0)
        (void)uv_run(plex_loop_uv(loop), UV_RUN_ONCE);
}

static void
reset(void)
{
    memset(&got, 0, sizeof got);
}

static void
on_append(void *arg, enum plex_status status, const char *text,
          const struct journal_result *results, size_t n)
{
    if (n > 0)
        got.results[(size_t)(uintptr_t)arg] = results[0].status;
    finish(status, text);
}

static void
on_load(void *arg, enum plex_status status, const char *text,
        const struct journal_loaded *loaded)
{
    (void)arg;
    if (loaded != NULL)
        got.last_seq = loaded->last_seq;
    finish(status, text);
}

static void
on_fence(void *arg, enum plex_status status, const char *text, uint64_t newest)
{
    (void)arg;
    got.newest = newest;
    finish(status, text);
}

static void
on_verify(void *arg, enum plex_status status, const char *text,
          const struct journal_verified *verified)
{
    (void)arg;
    if (verified != NULL && verified->n_broken == 0)
        got.n = verified->turns;
    finish(status, text);
}

static const char *const keys[ACTORS] = {"a", "b", "c", "d",
                                         "e", "f", "g", "h"};

/* The first half of the actors is in the lower shards. */
static uint32_t
shard_of(size_t actor)
{
    return actor < ACTORS / 2 ? (uint32_t)actor : HALF + (uint32_t)actor;
}

static void
append(int journal, size_t actor, uint64_t seq, uint64_t epoch)
{
    const struct plex_context c = context();
    const struct journal_entry turn = {
        .kind = JOURNAL_TURN,
        .actor = {"acme", "prod", "counter", keys[actor]},
        .shard = shard_of(actor),
        .epoch = epoch,
        .seq = seq,
        .at_ms = plex_wall_ms(),
        .has_state = true,
        .state = {(const uint8_t *)"state", 5}};

    journal_client_append(&clients[journal], &c, &turn, 1, on_append,
                          (void *)(uintptr_t)actor);
}

static void
fence(int journal, uint32_t first, uint32_t last, uint64_t epoch)
{
    const struct plex_context c = context();
    const struct journal_fence range = {first, last, epoch};

    journal_client_fence(&clients[journal], &c, &range, 1, on_fence, NULL);
    wait_all();
}

static uint64_t
last_seq(int journal, size_t actor, uint64_t epoch)
{
    const struct plex_context c = context();
    const struct journal_load want = {
        {"acme", "prod", "counter", keys[actor]}, shard_of(actor), epoch, 0};

    reset();
    got.waiting = 1;
    journal_client_load(&clients[journal], &c, &want, on_load, NULL);
    wait_all();
    ck_assert_msg(got.status == PLEX_OK, "%s", got.text);
    return got.last_seq;
}

/* Turns `first`.. of all actors at once, each to its half's journal. */
static void
rounds(uint64_t first, int lower, uint64_t epoch)
{
    for (uint64_t seq = first; seq < first + ROUNDS; seq++) {
        reset();
        for (size_t a = 0; a < ACTORS; a++)
            append(a < ACTORS / 2 ? lower : 1 - lower, a, seq, epoch);
        wait_all();
        ck_assert_msg(got.status == PLEX_OK, "%s", got.text);
        for (size_t a = 0; a < ACTORS; a++)
            ck_assert_int_eq(got.results[a], PLEX_OK);
    }
}

START_TEST(two_journals_share_one_postgres_by_shard_range)
{
    const struct journal_verify everyone = {.actor = {"", "", "", ""},
                                            .limit = 10000};
    struct plex_context c;

    reset();
    fence(0, 0, HALF - 1, 1);
    fence(1, HALF, 2 * HALF - 1, 1);
    ck_assert_int_eq(got.status, PLEX_OK);
    rounds(1, 0, 1);
    /* The halves change hands. What the former one still tries is fenced. */
    reset();
    fence(1, 0, HALF - 1, 2);
    fence(0, HALF, 2 * HALF - 1, 2);
    ck_assert_int_eq(got.status, PLEX_OK);
    for (size_t a = 0; a < ACTORS; a++)
        append(a < ACTORS / 2 ? 0 : 1, a, ROUNDS + 1, 1);
    wait_all();
    for (size_t a = 0; a < ACTORS; a++)
        ck_assert_int_eq(got.results[a], PLEX_FENCED);
    for (size_t a = 0; a < ACTORS; a++)
        ck_assert_uint_eq(last_seq(a < ACTORS / 2 ? 1 : 0, a, 2), ROUNDS);
    rounds(ROUNDS + 1, 1, 2);
    /* One dies; the other takes all of it over. */
    plex_instance_kill(instances[1]);
    reset();
    fence(0, 0, 2 * HALF - 1, 3);
    ck_assert_msg(got.status == PLEX_OK, "%s", got.text);
    for (size_t a = 0; a < ACTORS; a++)
        ck_assert_uint_eq(last_seq(0, a, 3), 2 * ROUNDS);
    reset();
    for (size_t a = 0; a < ACTORS; a++)
        append(0, a, 2 * ROUNDS + 1, 3);
    wait_all();
    for (size_t a = 0; a < ACTORS; a++)
        ck_assert_int_eq(got.results[a], PLEX_OK);
    c = context();
    journal_client_verify(&clients[0], &c, &everyone, on_verify, NULL);
    wait_all();
    ck_assert_uint_eq(got.n, ACTORS * (2 * ROUNDS + 1));
    instance_start(1);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("two journals");
    TCase *t = tcase_create("postgres");
    SRunner *runner;
    int failed;

    if (getenv("PLEX_TEST_PG") == NULL) {
        printf("SKIP: PLEX_TEST_PG is not set\n");
        return 0;
    }
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, two_journals_share_one_postgres_by_shard_range);
    suite_add_tcase(s, t);
    runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
