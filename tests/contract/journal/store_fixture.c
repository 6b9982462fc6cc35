#include "tests/contract/journal/store_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture fx;

bool
fixture_is(const char *scheme)
{
    const char *dsn = getenv("TEST_DSN");

    return dsn != NULL && strncmp(dsn, scheme, strlen(scheme)) == 0;
}

bool
fixture_skipped(void)
{
    if (!fixture_is("postgres") || getenv("PLEX_TEST_PG") != NULL)
        return false;
    printf("SKIP: PLEX_TEST_PG is not set\n");
    return true;
}

static void
run(const char *command)
{
    if (system(command) != 0)
        printf("\"%s\" failed\n", command);
}

/* A schema of its own: other tests use the same database. */
static void
pg_reset(void)
{
    const char *dsn = getenv("PLEX_TEST_PG");
    const char *name =
        getenv("TEST_SEALED") ? "journal_sealed" : "journal_contract";
    char command[1024];

    (void)snprintf(command, sizeof command,
                   "psql -q -d '%s' -c 'SET client_min_messages = warning; "
                   "DROP SCHEMA IF EXISTS %s CASCADE; CREATE SCHEMA %s'",
                   dsn, name, name);
    run(command);
    (void)snprintf(fx.dsn, sizeof fx.dsn, "%s%coptions=-csearch_path%%3D%s",
                   dsn, strchr(dsn, '?') ? '&' : '?', name);
}

static void
store_open(void)
{
    const struct journal_store_config config = {
        .dsn = fx.dsn, .history = fx.history, .master_key_file = fx.keys};
    struct plex_err err;

    ck_assert_msg(journal_store_open(&fx.store, &config, &err) == PLEX_OK, "%s",
                  err.text);
}

static void
keys_write(const char *keyring)
{
    FILE *f;

    fx.keys[0] = '\0';
    if (keyring[0] == '\0')
        return;
    (void)snprintf(fx.keys, sizeof fx.keys, "%s/keys", fx.folder);
    f = fopen(fx.keys, "w");
    (void)fputs(keyring, f);
    (void)fclose(f);
    (void)chmod(fx.keys, 0600);
}

void
fixture_seal(const char *keyring)
{
    keys_write(keyring);
    fixture_reopen();
}

void
fixture_setup(void)
{
    const char *dsn = getenv("TEST_DSN");

    plex_arena_init(&fx.arena, 64 << 20);
    fx.history = NULL;
    (void)snprintf(fx.folder, sizeof fx.folder, "/tmp/plex-journal-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(fx.folder));
    if (fixture_is("sqlite")) {
        (void)snprintf(fx.dsn, sizeof fx.dsn, "sqlite:%s/j.db", fx.folder);
    } else if (fixture_is("postgres")) {
        pg_reset();
    } else {
        (void)snprintf(fx.dsn, sizeof fx.dsn, "%s", dsn ? dsn : "mem:");
    }
    /* The whole suite may be run with everything sealed. */
    keys_write(getenv("TEST_SEALED") == NULL
                   ? ""
                   : "7 000102030405060708090a0b0c0d0e0f"
                     "101112131415161718191a1b1c1d1e1f\n");
    store_open();
}

void
fixture_teardown(void)
{
    char command[128];

    journal_store_close(fx.store);
    fx.store = NULL;
    plex_arena_fini(&fx.arena);
    (void)snprintf(command, sizeof command, "rm -rf %s", fx.folder);
    run(command);
}

void
fixture_sql(const char *text)
{
    char command[2048];

    if (fixture_is("sqlite"))
        (void)snprintf(command, sizeof command, "sqlite3 %s/j.db \"%s\"",
                       fx.folder, text);
    else
        (void)snprintf(command, sizeof command,
                       "psql -q -v ON_ERROR_STOP=1 -d '%s' -c \"%s\"", fx.dsn,
                       text);
    ck_assert_int_eq(system(command), 0);
}

void
fixture_reopen(void)
{
    journal_store_close(fx.store);
    store_open();
}

struct plex_bytes
bytes_of(const char *text)
{
    return (struct plex_bytes){(const uint8_t *)text, strlen(text)};
}

struct plex_actor_id
actor_of(const char *key)
{
    return (struct plex_actor_id){"acme", "prod", "counter", key};
}

/* Texts of s1, r1, s2, ... that live as long as the program. */
static struct plex_bytes
numbered(char letter, uint64_t seq)
{
    static char texts[2][1024][8];
    char *text = texts[letter == 's'][seq % 1024];

    (void)snprintf(text, 8, "%c%llu", letter, (unsigned long long)seq % 100000);
    return bytes_of(text);
}

struct journal_entry
turn_of(const char *key, uint64_t seq, const char *id)
{
    return (struct journal_entry){.kind = JOURNAL_TURN,
                                  .actor = actor_of(key),
                                  .shard = SHARD,
                                  .epoch = 1,
                                  .seq = seq,
                                  .message_id = bytes_of(id),
                                  .request_hash = UINT64_MAX - seq,
                                  .expires_ms = NOW + 1000,
                                  .at_ms = NOW,
                                  .reply = numbered('r', seq),
                                  .has_state = true,
                                  .schema_version = 1,
                                  .state = numbered('s', seq)};
}

void
commit_entries(const struct journal_entry *entries, size_t n,
               struct journal_result *results)
{
    const struct journal_entry *list[64];
    struct journal_result *out[64];
    struct journal_commit commit = {
        .entries = list, .results = out, .n_entries = n, .wall_ms = NOW};
    struct plex_err err = {0};

    ck_assert_uint_le(n, 64);
    for (size_t i = 0; i < n; i++) {
        list[i] = &entries[i];
        out[i] = &results[i];
    }
    ck_assert_msg(journal_store_commit(fx.store, &commit, &err) == PLEX_OK,
                  "%s", err.text);
}

enum plex_status
commit_one(const struct journal_entry *entry)
{
    struct journal_result result;

    commit_entries(entry, 1, &result);
    return result.status;
}

void
fence(uint32_t first, uint32_t last, uint64_t epoch)
{
    const struct journal_fence range = {first, last, epoch};
    uint64_t newest = 99;
    struct journal_commit commit = {
        .fences = &range, .fence_newest = &newest, .n_fences = 1};
    struct plex_err err = {0};

    ck_assert_msg(journal_store_commit(fx.store, &commit, &err) == PLEX_OK,
                  "%s", err.text);
    ck_assert_uint_eq(newest, 0);
}

struct journal_loaded
load(const char *key, uint32_t recent_max)
{
    const struct journal_load want = {actor_of(key), SHARD, UINT32_MAX,
                                      recent_max};
    struct journal_loaded out;
    struct plex_err err = {0};
    uint64_t newest;

    plex_arena_reset(&fx.arena);
    ck_assert_msg(journal_store_load(fx.store, &want, NOW, &fx.arena, &out,
                                     &newest, &err) == PLEX_OK,
                  "%s", err.text);
    return out;
}

struct journal_paged
page_of(uint32_t first, uint32_t last, struct plex_bytes after, uint32_t limit)
{
    const struct journal_page page = {first, last, after, limit};
    struct journal_paged out;
    struct plex_err err = {0};

    ck_assert_msg(journal_store_pending(fx.store, &page, &fx.arena, &out,
                                        &err) == PLEX_OK,
                  "%s", err.text);
    return out;
}
