#include "tests/bench/journal_fill.h"

#include "common/bytes.h"
#include "common/loop.h"
#include "common/mem.h"
#include "services/journal/chain.h"

#include <arpa/inet.h>
#include <assert.h>
#include <endian.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct plex_bytes timer = {(const uint8_t *)"t/remind", 8};
static const uint8_t zeros[4096];

uint32_t
fill_mix(uint64_t n)
{
    n = (n ^ n >> 31) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(n >> 32);
}

struct plex_actor_id
fill_actor(uint64_t n, char key[32])
{
    (void)snprintf(key, 32, "user-%" PRIu64, n);
    return (struct plex_actor_id){"acme", "prod", "user", key};
}

struct journal_entry
fill_turn(const struct fill *fill, uint64_t n, uint64_t seq, uint64_t turn,
          char key[32], uint8_t id[16], struct journal_pending *pending)
{
    memcpy(id, &turn, sizeof turn);
    memcpy(id + 8, &fill->base_ms, 8);
    *pending =
        (struct journal_pending){timer,
                                 fill->base_ms + fill_mix(turn) % FILL_DAY_MS,
                                 {(const uint8_t *)"wake", 4}};
    return (struct journal_entry){
        .kind = JOURNAL_TURN,
        .actor = fill_actor(n, key),
        .shard = fill_mix(n) % FILL_SHARDS,
        .epoch = 1,
        .seq = seq,
        .message_id = {id, 16},
        .expires_ms = fill->base_ms + FILL_DAY_MS,
        .at_ms = fill->base_ms,
        .reply = {zeros, fill->reply_bytes},
        .has_state = true,
        .state = {zeros, fill->state_bytes},
        .pending = pending,
        .n_pending = 1,
        .settled = &timer,
        .n_settled = 1,
    };
}

/* -- COPY ------------------------------------------------------------------ */

struct copying {
    PGconn *conn;
    struct plex_buf buf;
};

static void
run(PGconn *conn, const char *sql, ExecStatusType wanted)
{
    PGresult *result = PQexec(conn, sql);

    if (PQresultStatus(result) != wanted) {
        (void)fprintf(stderr, "%s: %s\n", sql, PQerrorMessage(conn));
        exit(1);
    }
    PQclear(result);
}

static void
put(struct copying *c, const void *data, size_t len)
{
    uint8_t *to = plex_buf_grow(&c->buf, len);

    assert(to != NULL);
    memcpy(to, data, len);
}

static void
put_u16(struct copying *c, uint16_t value)
{
    value = htons(value);
    put(c, &value, sizeof value);
}

static void
put_bytes(struct copying *c, const void *data, size_t len)
{
    const uint32_t be = htonl((uint32_t)len);

    put(c, &be, sizeof be);
    if (len > 0)
        put(c, data, len);
}

static void
put_u64(struct copying *c, uint64_t value)
{
    value = htobe64(value);
    put_bytes(c, &value, sizeof value);
}

static void
copy_begin(struct copying *c, const char *sql)
{
    static const uint8_t header[19] = "PGCOPY\n\377\r\n";

    run(c->conn, sql, PGRES_COPY_IN);
    c->buf.max = 64 << 20;
    put(c, header, sizeof header);
}

static void
copy_send(struct copying *c, bool ends)
{
    if (ends)
        put_u16(c, 0xffff);
    if (PQputCopyData(c->conn, (const char *)c->buf.data, (int)c->buf.len) !=
            1 ||
        (ends && PQputCopyEnd(c->conn, NULL) != 1)) {
        (void)fprintf(stderr, "copy: %s\n", PQerrorMessage(c->conn));
        exit(1);
    }
    c->buf.len = 0;
    for (PGresult *result; ends && (result = PQgetResult(c->conn)) != NULL;) {
        if (PQresultStatus(result) != PGRES_COMMAND_OK) {
            (void)fprintf(stderr, "copy: %s\n", PQerrorMessage(c->conn));
            exit(1);
        }
        PQclear(result);
    }
}

/* The columns of journal_turn. */
static void
turn_put(struct copying *c, uint64_t actor, const struct journal_entry *entry,
         const char *name, const uint8_t *chain, const struct journal_row *row)
{
    put_u16(c, 19);
    put_u64(c, actor);
    put_u64(c, row->seq);
    put_u64(c, row->at_ms);
    put_u64(c, row->expires_ms);
    put_u64(c, row->request_hash);
    put_u64(c, entry->seq); /* each has a state */
    put_u64(c, row->schema_version);
    put_u64(c, row->state_hash);
    put_u64(c, journal_row_checksum(row, name, strlen(name)));
    put_bytes(c, "\1", 1);
    put_bytes(c, row->message_id.data, row->message_id.len);
    put_bytes(c, row->reply.data, row->reply.len);
    put_bytes(c, row->state.data, row->state.len);
    put_u64(c, row->expires_ms); /* nothing is kept longer */
    put_u64(c, 0);
    put_u64(c, row->flags);
    put_bytes(c, chain, JOURNAL_CHAIN_BYTES);
    put_u64(c, row->record_hash);
    put_bytes(c, NULL, 0);
}

static void
turns_copy(struct copying *c, const struct fill *fill, uint64_t turns)
{
    struct journal_chain *chain = journal_chain_create(NULL);
    uint64_t turn = 0;

    copy_begin(c, "COPY journal_turn FROM STDIN (FORMAT binary, FREEZE)");
    for (uint64_t first = 0; turn < turns; first += FILL_ACTORS) {
        uint8_t hashes[FILL_ACTORS][JOURNAL_CHAIN_BYTES] = {{0}};

        for (uint64_t seq = 1; seq <= FILL_TURNS; seq++)
            for (uint64_t i = 0; i < FILL_ACTORS; i++, turn++) {
                struct journal_pending pending;
                char key[32], name[PLEX_ACTOR_NAME_MAX + 1];
                uint8_t id[16];
                const struct journal_entry entry =
                    fill_turn(fill, first + i, seq, turn, key, id, &pending);
                const struct journal_row row = journal_row_of(&entry);
                const size_t len = journal_actor_name(&entry.actor, name);

                journal_chain_next(chain, hashes[i], name, len, &row,
                                   hashes[i]);
                turn_put(c, first + i + 1, &entry, name, hashes[i], &row);
                if (c->buf.len > 1 << 20)
                    copy_send(c, false);
            }
    }
    copy_send(c, true);
    journal_chain_free(chain);
}

static void
actors_copy(struct copying *c, uint64_t actors)
{
    copy_begin(c, "COPY journal_actor (id, name) FROM STDIN (FORMAT binary, "
                  "FREEZE)");
    for (uint64_t n = 0; n < actors; n++) {
        char key[32], name[PLEX_ACTOR_NAME_MAX + 1];
        const struct plex_actor_id id = fill_actor(n, key);
        const size_t len = journal_actor_name(&id, name);

        put_u16(c, 2);
        put_u64(c, n + 1);
        put_bytes(c, name, len);
        if (c->buf.len > 1 << 20)
            copy_send(c, false);
    }
    copy_send(c, true);
}

/* Each actor's last turn has set the one that is left. */
static void
pendings_copy(struct copying *c, const struct fill *fill, uint64_t actors)
{
    copy_begin(c, "COPY journal_pending (id, shard, due_ms, actor, checksum, "
                  "pending_id, message, flags) FROM STDIN (FORMAT binary, "
                  "FREEZE)");
    for (uint64_t n = 0; n < actors; n++) {
        const uint64_t turn =
            (n / FILL_ACTORS * FILL_TURNS + FILL_TURNS - 1) * FILL_ACTORS +
            n % FILL_ACTORS;
        struct journal_pending pending;
        char key[32];
        uint8_t id[16];
        const struct journal_entry entry =
            fill_turn(fill, n, FILL_TURNS, turn, key, id, &pending);

        put_u16(c, 8);
        put_u64(c, n + 1);
        put_u64(c, entry.shard);
        put_u64(c, pending.due_ms);
        put_u64(c, n + 1);
        put_u64(c, journal_pending_checksum(&pending));
        put_bytes(c, pending.id.data, pending.id.len);
        put_bytes(c, pending.message.data, pending.message.len);
        put_u64(c, 0);
        if (c->buf.len > 1 << 20)
            copy_send(c, false);
    }
    copy_send(c, true);
}

static void
step(PGconn *conn, const char *sql)
{
    const uint64_t start = plex_now();

    run(conn, sql, PGRES_COMMAND_OK);
    printf("  %.0f s: %.60s\n", (double)(plex_now() - start) / 1e9, sql);
    (void)fflush(stdout);
}

void
fill_postgres(const struct fill *fill, const char *dsn, uint64_t turns)
{
    static const char *const after[] = {
        "COMMIT", "ALTER TABLE journal_turn ADD PRIMARY KEY (actor, seq)",
        "CREATE UNIQUE INDEX journal_turn_by_message ON journal_turn "
        "(message_id, actor) WHERE remembered",
        "CREATE INDEX journal_turn_by_keep ON journal_turn (keep_ms, actor, "
        "seq)",
        "CHECKPOINT"};
    struct copying c = {.conn = PQconnectdb(dsn)};
    const uint64_t start = plex_now(), actors = turns / FILL_TURNS;

    if (PQstatus(c.conn) != CONNECTION_OK) {
        (void)fprintf(stderr, "%s\n", PQerrorMessage(c.conn));
        exit(1);
    }
    run(c.conn,
        "SET maintenance_work_mem = '1GB'; SET statement_timeout = 0; BEGIN; "
        "DROP INDEX journal_turn_by_message; DROP INDEX journal_turn_by_keep; "
        "ALTER TABLE journal_turn DROP CONSTRAINT journal_turn_pkey; "
        "TRUNCATE journal_turn, journal_actor, journal_pending",
        PGRES_COMMAND_OK);
    actors_copy(&c, actors);
    pendings_copy(&c, fill, actors);
    turns_copy(&c, fill, turns);
    printf("%" PRIu64 " turns copied: %.0f/s\n", turns,
           (double)turns * 1e9 / (double)(plex_now() - start));
    for (size_t i = 0; i < sizeof after / sizeof *after; i++)
        step(c.conn, after[i]);
    run(c.conn,
        "SELECT setval(pg_get_serial_sequence('journal_actor', 'id'), "
        "(SELECT max(id) FROM journal_actor)), "
        "setval(pg_get_serial_sequence('journal_pending', 'id'), (SELECT "
        "max(id) FROM journal_pending))",
        PGRES_TUPLES_OK);
    step(c.conn, "VACUUM ANALYZE");
    PQfinish(c.conn);
    plex_buf_free(&c.buf);
}
