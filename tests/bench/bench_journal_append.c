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
 * Records of 1 KiB: what the back end takes by itself (rows of a key and the
 * bytes in a table with a primary key, 256 a commit, flushed to the disk), and
 * what the journal's daemon does over a link with appends of 16 entries,
 * batched by its own loop. They take turns in the same run.
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
    sqlite3_stmt *add;
    PGconn *pg;
    uint64_t id;
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
        if (sqlite3_prepare_v2(raw->db, "INSERT INTO raw VALUES (?, ?)", -1,
                               &raw->add, NULL) != SQLITE_OK)
            fail("prepare", sqlite3_errmsg(raw->db));
        return;
    }
    raw->pg = PQconnectdb(dsn);
    if (PQstatus(raw->pg) != CONNECTION_OK)
        fail("connect", PQerrorMessage(raw->pg));
    sql(raw, "SET synchronous_commit = on");
    sql(raw, "CREATE TABLE raw (id bigint PRIMARY KEY, record bytea)");
    PQclear(PQprepare(raw->pg, "add",
                      "INSERT INTO raw SELECT $1::bigint + n, r FROM "
                      "unnest($2::bytea[]) WITH ORDINALITY AS k(r, n)",
                      0, NULL));
}

static void
raw_close(struct raw *raw)
{
    if (raw->pg != NULL)
        sql(raw, "DROP TABLE raw");
    sqlite3_finalize(raw->add);
    sqlite3_close(raw->db);
    PQfinish(raw->pg);
}

static void
sqlite_commit(struct raw *raw)
{
    sql(raw, "BEGIN");
    for (int i = 0; i < RAW_BATCH; i++) {
        sqlite3_bind_int64(raw->add, 1, (sqlite3_int64)raw->id++);
        sqlite3_bind_blob(raw->add, 2, record, RECORD, SQLITE_STATIC);
        if (sqlite3_step(raw->add) != SQLITE_DONE)
            fail("insert", sqlite3_errmsg(raw->db));
        sqlite3_reset(raw->add);
    }
    sql(raw, "COMMIT");
}

/* One array of byteas in binary format, in one trip. */
static void
pg_commit(struct raw *raw)
{
    static uint8_t array[20 + RAW_BATCH * (4 + RECORD)];
    const uint32_t head[5] = {htonl(1), 0, htonl(17), htonl(RAW_BATCH),
                              htonl(1)};
    const uint32_t len = htonl(RECORD);
    const char *values[2];
    char id[24];
    const int lengths[2] = {0, sizeof array}, formats[2] = {0, 1};
    PGresult *result;

    memcpy(array, head, sizeof head);
    for (size_t i = 0; i < RAW_BATCH; i++) {
        memcpy(array + 20 + i * (4 + RECORD), &len, 4);
        memcpy(array + 24 + i * (4 + RECORD), record, RECORD);
    }
    (void)snprintf(id, sizeof id, "%llu", (unsigned long long)raw->id);
    raw->id += RAW_BATCH;
    values[0] = id;
    values[1] = (const char *)array;
    result = PQexecPrepared(raw->pg, "add", 2, values, lengths, formats, 0);
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        fail("insert", PQerrorMessage(raw->pg));
    PQclear(result);
}

static double
raw_round(struct raw *raw)
{
    const uint64_t start = plex_now(), first = raw->id;
    const uint64_t end = start + (uint64_t)(seconds * 1e9);

    while (plex_now() < end) {
        if (raw->db != NULL)
            sqlite_commit(raw);
        else
            pg_commit(raw);
    }
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

int
main(int argc, char **argv)
{
    struct path *path = plex_calloc(1, sizeof *path);
    double raw_per_s = 0, path_per_s = 0;
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
    for (int i = 0; i < ROUNDS; i++) {
        raw_per_s += raw_round(&raw) / ROUNDS;
        path_per_s += path_round(path, seconds) / ROUNDS;
    }
    printf("1 KiB: the back end by itself %.0f records/s, through the journal "
           "%.0f/s: %.0f %% (>= 80 %s)\n",
           raw_per_s, path_per_s, path_per_s * 100 / raw_per_s,
           path_per_s >= 0.8 * raw_per_s ? "PASS" : "MISS");
    plex_link_close(path->link);
    plex_loop_free(path->loop);
    plex_instance_stop(path->instance);
    raw_close(&raw);
    free(path);
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) == 0 ? 0 : 1;
}
