#include "common/loop.h"
#include "common/mem.h"
#include "services/journal/client.h"
#include "services/journal/service.h"

#include <libpq-fe.h>
#include <sqlite3.h>

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/*
 * Records of 1 KiB: what the back end takes by itself, and what the journal's
 * daemon does over a link with appends of 16 entries, batched by its own loop.
 * By itself it takes rows of the journal's own tables (its columns, keys and
 * indexes), and rows of a key and the bytes in a table with a primary key, 256
 * a commit, flushed to the disk. All take turns in the same run.
 * Usage: bench_journal_append sqlite:PATH|postgres://... [seconds per round]
 */
enum {
    RECORD = 1024,
    RAW_BATCH = 256,
    ACTORS = 2048,
    PER_APPEND = 16,
    IN_FLIGHT = 64, /* appends: 1024 entries */
    ROUNDS = 3,
};

static uint8_t record[RECORD];
static double seconds = 3;

static void
fail(const char *what, const char *why)
{
    (void)fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

/* -- raw ------------------------------------------------------------------- */

struct raw {
    sqlite3 *db;
    sqlite3_stmt *add, *same, *same_id;
    PGconn *pg;
    uint64_t id;
    bool same_rows; /* those of the journal's tables */
    uint8_t ids[RAW_BATCH][16];
};

static void
sql(struct raw *raw, const char *text)
{
    PGresult *result;

    if (raw->db != NULL) {
        if (sqlite3_exec(raw->db, text, NULL, NULL, NULL) != SQLITE_OK)
            fail(text, sqlite3_errmsg(raw->db));
        return;
    }
    result = PQexec(raw->pg, text);
    if (PQresultStatus(result) != PGRES_COMMAND_OK &&
        PQresultStatus(result) != PGRES_TUPLES_OK)
        fail(text, PQerrorMessage(raw->pg));
    PQclear(result);
}

static sqlite3_stmt *
prepare(struct raw *raw, const char *text)
{
    sqlite3_stmt *stmt;

    if (sqlite3_prepare_v2(raw->db, text, -1, &stmt, NULL) != SQLITE_OK)
        fail(text, sqlite3_errmsg(raw->db));
    return stmt;
}

static void
raw_open(struct raw *raw, const char *dsn)
{
    char path[300];

    if (strncmp(dsn, "sqlite:", 7) == 0) {
        (void)snprintf(path, sizeof path, "%s.raw", dsn + 7);
        if (sqlite3_open(path, &raw->db) != SQLITE_OK)
            fail(path, sqlite3_errmsg(raw->db));
        sql(raw, "PRAGMA journal_mode = WAL");
        sql(raw, "PRAGMA synchronous = FULL");
        sql(raw, "CREATE TABLE raw (id INTEGER PRIMARY KEY, record BLOB)");
        raw->add = prepare(raw, "INSERT INTO raw VALUES (?, ?)");
        return;
    }
    raw->pg = PQconnectdb(dsn);
    if (PQstatus(raw->pg) != CONNECTION_OK)
        fail("connect", PQerrorMessage(raw->pg));
    sql(raw, "SET synchronous_commit = on");
    sql(raw, "SET client_min_messages = warning");
    sql(raw, "CREATE TABLE raw (id bigint PRIMARY KEY, record bytea)");
    PQclear(PQprepare(raw->pg, "add",
                      "INSERT INTO raw SELECT $1::bigint + n, r FROM "
                      "unnest($2::bytea[]) WITH ORDINALITY AS k(r, n)",
                      0, NULL));
}

/* The journal's tables once more, when it has made its own. */
static void
same_open(struct raw *raw, const char *dsn)
{
    static const char add[] =
        "INSERT INTO same.journal_turn (actor, seq, at_ms, expires_ms, "
        "request_hash, state_seq, schema_version, state_hash, checksum, "
        "remembered, message_id, reply, state, keep_ms, keep_turns, flags, "
        "chain, record_hash, record) SELECT ($1::bigint + n) % 2048, "
        "$1::bigint "
        "+ n, $2::bigint, $2::bigint + 600000, 1, 0, 0, 2, 3, true, i, '', '', "
        "$2::bigint + 600000, 0, 0, '\\x000102030405060708090a0b0c0d0e0f"
        "000102030405060708090a0b0c0d0e0f', 4, r FROM unnest($3::bytea[], "
        "$4::bytea[]) WITH ORDINALITY AS k(i, r, n)";
    sqlite3_stmt *tables;
    char text[400];

    if (raw->db == NULL) {
        sql(raw, "CREATE SCHEMA same");
        sql(raw, "CREATE TABLE same.journal_turn (LIKE journal_turn INCLUDING "
                 "ALL)");
        PQclear(PQprepare(raw->pg, "same", add, 0, NULL));
        return;
    }
    (void)snprintf(text, sizeof text, "ATTACH '%s' AS theirs", dsn + 7);
    sql(raw, text);
    tables = prepare(raw, "SELECT sql FROM theirs.sqlite_master WHERE tbl_name "
                          "IN ('journal_turn', 'journal_message') AND sql IS "
                          "NOT NULL ORDER BY type DESC");
    while (sqlite3_step(tables) == SQLITE_ROW)
        sql(raw, (const char *)sqlite3_column_text(tables, 0));
    sqlite3_finalize(tables);
    sql(raw, "DETACH theirs");
    raw->same = prepare(
        raw, "INSERT INTO journal_turn (id, actor, seq, prev, at_ms, "
             "expires_ms, request_hash, has_state, schema_version, state_hash, "
             "checksum, message_id, reply, state, keep_more_ms, keep_turns, "
             "state_back, record_hash, flags, chain, record) VALUES (?1, ?1 % "
             "2048, ?1, ?1, ?2, ?2 + 600000, 1, 0, 0, 2, 3, ?3, NULL, NULL, 0, "
             "0, 0, 4, 0, zeroblob(32), ?4)");
    raw->same_id = prepare(raw, "INSERT INTO journal_message (message_id, "
                                "actor, turn) VALUES (?3, ?1 % 2048, ?1)");
}

static void
raw_close(struct raw *raw)
{
    if (raw->pg != NULL) {
        sql(raw, "DROP TABLE raw");
        sql(raw, "DROP SCHEMA same CASCADE");
    }
    sqlite3_finalize(raw->add);
    sqlite3_finalize(raw->same);
    sqlite3_finalize(raw->same_id);
    sqlite3_close(raw->db);
    PQfinish(raw->pg);
}

static void
sqlite_add(struct raw *raw, sqlite3_stmt *stmt, size_t i)
{
    const int n = sqlite3_bind_parameter_count(stmt);
    const sqlite3_int64 id = (sqlite3_int64)(raw->id + i);

    sqlite3_bind_int64(stmt, 1, id);
    if (n == 2)
        sqlite3_bind_blob(stmt, 2, record, RECORD, SQLITE_STATIC);
    if (n == 4)
        sqlite3_bind_int64(stmt, 2, (sqlite3_int64)plex_wall_ms());
    if (n >= 3)
        sqlite3_bind_blob(stmt, 3, raw->ids[i], 16, SQLITE_STATIC);
    if (n == 4)
        sqlite3_bind_blob(stmt, 4, record, RECORD, SQLITE_STATIC);
    if (sqlite3_step(stmt) != SQLITE_DONE)
        fail("insert", sqlite3_errmsg(raw->db));
    sqlite3_reset(stmt);
}

static void
sqlite_commit(struct raw *raw)
{
    sql(raw, "BEGIN");
    for (size_t i = 0; i < RAW_BATCH; i++) {
        sqlite_add(raw, raw->same_rows ? raw->same : raw->add, i);
        if (raw->same_rows)
            sqlite_add(raw, raw->same_id, i);
    }
    sql(raw, "COMMIT");
}

/* An array of byteas in binary format. Returns its length. */
static int
array_fill(uint8_t *out, const uint8_t *bytes, size_t stride, uint32_t len)
{
    const uint32_t head[5] = {htonl(1), 0, htonl(17), htonl(RAW_BATCH),
                              htonl(1)};
    const uint32_t be = htonl(len);
    uint8_t *at = out + sizeof head;

    memcpy(out, head, sizeof head);
    for (size_t i = 0; i < RAW_BATCH; i++, at += 4 + len) {
        memcpy(at, &be, 4);
        memcpy(at + 4, bytes + i * stride, len);
    }
    return (int)(at - out);
}

/* All in one trip. */
static void
pg_commit(struct raw *raw)
{
    static uint8_t records[20 + RAW_BATCH * (4 + RECORD)];
    static uint8_t ids[20 + RAW_BATCH * (4 + 16)];
    const char *values[4] = {NULL, NULL, (const char *)ids,
                             (const char *)records};
    int lengths[4] = {0}, formats[4] = {0, 0, 1, 1};
    char id[24], now[24];
    PGresult *result;

    lengths[2] = array_fill(ids, raw->ids[0], sizeof raw->ids[0], 16);
    lengths[3] = array_fill(records, record, 0, RECORD);
    (void)snprintf(id, sizeof id, "%llu", (unsigned long long)raw->id);
    (void)snprintf(now, sizeof now, "%llu", (unsigned long long)plex_wall_ms());
    values[0] = id;
    values[1] = now;
    if (!raw->same_rows) {
        values[1] = values[3];
        lengths[1] = lengths[3];
        formats[1] = 1;
    }
    result =
        PQexecPrepared(raw->pg, raw->same_rows ? "same" : "add",
                       raw->same_rows ? 4 : 2, values, lengths, formats, 0);
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        fail("insert", PQerrorMessage(raw->pg));
    PQclear(result);
}

/* Time first, as the path's. */
static void
raw_commit(struct raw *raw)
{
    for (size_t i = 0; i < RAW_BATCH; i++) {
        uint64_t id = raw->id + i;

        for (int k = 7; k >= 0; k--, id >>= 8)
            raw->ids[i][k] = (uint8_t)id;
    }
    if (raw->db != NULL)
        sqlite_commit(raw);
    else
        pg_commit(raw);
    raw->id += RAW_BATCH;
}

static double
raw_round(struct raw *raw, bool same_rows)
{
    const uint64_t start = plex_now(), first = raw->id;
    const uint64_t end = start + (uint64_t)(seconds * 1e9);

    raw->same_rows = same_rows;
    while (plex_now() < end)
        raw_commit(raw);
    return (double)(raw->id - first) * 1e9 / (double)(plex_now() - start);
}

/* -- the journal ----------------------------------------------------------- */

struct flight {
    struct path *path;
    struct journal_entry entries[PER_APPEND];
    char keys[PER_APPEND][24];
    uint8_t ids[PER_APPEND][16];
    uint32_t first; /* actor */
};
struct path {
    struct plex_instance *instance;
    struct plex_loop *loop;
    struct plex_link *link;
    struct journal_client client;
    struct flight flights[IN_FLIGHT];
    uint64_t seq[ACTORS], id, done, end, random;
    unsigned out;
};

static void append_send(struct flight *flight);

static void
on_appended(void *arg, enum plex_status status, const char *text,
            const struct journal_result *results, size_t n)
{
    struct flight *flight = arg;
    struct path *path = flight->path;

    if (status != PLEX_OK)
        fail("append", text);
    for (size_t i = 0; i < n; i++)
        if (results[i].status != PLEX_OK)
            fail("append", plex_status_name(results[i].status));
    path->done += n;
    path->out--;
    if (plex_now() < path->end)
        append_send(flight);
}

static void
append_send(struct flight *flight)
{
    struct path *path = flight->path;
    struct plex_context context = plex_context_none;

    for (uint32_t i = 0; i < PER_APPEND; i++) {
        const uint32_t actor = flight->first + i;
        uint64_t id = path->id++;

        for (int k = 7; k >= 0; k--, id >>= 8)
            flight->ids[i][k] = (uint8_t)id;
        path->random = path->random * 6364136223846793005U + 1;
        memcpy(flight->ids[i] + 8, &path->random, 8);
        (void)snprintf(flight->keys[i], 24, "a%u", actor);
        flight->entries[i] = (struct journal_entry){
            .kind = JOURNAL_TURN,
            .actor = {"acme", "prod", "raw", flight->keys[i]},
            .shard = actor,
            .epoch = 1,
            .seq = ++path->seq[actor],
            .message_id = {flight->ids[i], 16},
            .expires_ms = plex_wall_ms() + 600000,
            .at_ms = plex_wall_ms(),
            .record = {record, RECORD},
        };
    }
    path->out++;
    context.tenant = "acme";
    context.ns = "prod";
    context.deadline = plex_now() + UINT64_C(20000000000);
    journal_client_append(&path->client, &context, flight->entries, PER_APPEND,
                          on_appended, flight);
}

static void
path_open(struct path *path, const char *dsn, const char *folder)
{
    static const struct plex_method no_methods[] = {{0}};
    static char url[200], own[200], registry[200];
    static struct plex_setting settings[8];
    struct plex_err err;
    int n = 0;

    (void)snprintf(url, sizeof url, "ipc://%s/journal", folder);
    (void)snprintf(own, sizeof own, "ipc://%s/client", folder);
    (void)snprintf(registry, sizeof registry, "ipc://%s/registry", folder);
    settings[n++] = (struct plex_setting){"node", "journal-1"};
    settings[n++] = (struct plex_setting){"listen_url", url};
    settings[n++] = (struct plex_setting){"registry_url", registry};
    settings[n++] = (struct plex_setting){"admin_addr", ""};
    settings[n++] = (struct plex_setting){"store_dsn", dsn};
    settings[n++] = (struct plex_setting){"backup_folder", ""};
    settings[n++] = (struct plex_setting){"log_level", "error"};
    settings[n] = (struct plex_setting){0};
    if (plex_instance_start(&path->instance, &journal_service, settings,
                            &err) != PLEX_OK ||
        plex_loop_create(&path->loop, &err) != PLEX_OK ||
        plex_link_open(&path->link, path->loop,
                       &(struct plex_link_config){.listen_url = own,
                                                  .methods = no_methods},
                       &err) != PLEX_OK)
        fail("journal", err.text);
    path->client = (struct journal_client){path->link, url};
    path->id = plex_wall_ms() << 20;
    for (uint32_t i = 0; i < IN_FLIGHT; i++) {
        path->flights[i].path = path;
        path->flights[i].first = i * (ACTORS / IN_FLIGHT);
    }
}

static double
path_round(struct path *path, double length)
{
    const uint64_t start = plex_now();

    path->done = 0;
    path->end = start + (uint64_t)(length * 1e9);
    for (uint32_t i = 0; i < IN_FLIGHT; i++)
        append_send(&path->flights[i]);
    while (path->out > 0)
        (void)uv_run(plex_loop_uv(path->loop), UV_RUN_ONCE);
    return (double)path->done * 1e9 / (double)(plex_now() - start);
}

static void
print(const char *what, double raw_per_s, double path_per_s, bool judged)
{
    printf("1 KiB: %s %.0f records/s, through the journal %.0f/s: %.0f %%",
           what, raw_per_s, path_per_s, path_per_s * 100 / raw_per_s);
    if (judged)
        printf(" (>= 80 %s)", path_per_s >= 0.8 * raw_per_s ? "PASS" : "MISS");
    puts("");
}

int
main(int argc, char **argv)
{
    struct path *path = plex_calloc(1, sizeof *path);
    double raw_per_s = 0, same_per_s = 0, path_per_s = 0;
    struct raw raw = {0};
    char folder[64] = "/tmp/plex-append-XXXXXX", command[100];

    if (argc < 2 || mkdtemp(folder) == NULL)
        fail("usage", "bench_journal_append DSN [seconds per round]");
    if (argc > 2)
        seconds = atof(argv[2]);
    for (size_t i = 0; i < RECORD; i++) /* does not shrink */
        record[i] = (uint8_t)((i * 2654435761U) >> 13);
    raw_open(&raw, argv[1]);
    path_open(path, argv[1], folder);
    (void)path_round(path, 0.5); /* the actors are known */
    same_open(&raw, argv[1]);
    for (int i = 0; i < ROUNDS; i++) {
        raw_per_s += raw_round(&raw, false) / ROUNDS;
        same_per_s += raw_round(&raw, true) / ROUNDS;
        path_per_s += path_round(path, seconds) / ROUNDS;
    }
    print("a table of bytes with a primary key", raw_per_s, path_per_s, true);
    /* Says where the rest goes; the target is of what the back end can. */
    print("the journal's tables by themselves", same_per_s, path_per_s, false);
    plex_link_close(path->link);
    plex_loop_free(path->loop);
    plex_instance_stop(path->instance);
    raw_close(&raw);
    free(path);
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) == 0 ? 0 : 1;
}
