#ifndef SERVICES_JOURNAL_STORE_PG_H
#define SERVICES_JOURNAL_STORE_PG_H

#include "services/journal/policy.h"
#include "services/journal/store_backend.h"
#include "services/journal/store_lib.h"

#include <libpq-fe.h>

struct pg_head;

/*
 * Postgres, shared by several journals. Memory knows the epochs and the heads
 * of actors, but nothing of it is trusted unchecked.
 *
 * A commit is first tried in one round trip: every entry is assumed to be good,
 * and the transaction fails as a whole if it is not: the epochs' version, the
 * last turns and the unique index over message ids are checked inside it, under
 * a shared lock. Then, and where epochs are raised, the careful way is taken:
 * one transaction in two round trips under the exclusive lock. The first reads
 * epochs, heads and recorded ids; then the results are decided here; the second
 * writes and commits.
 */
enum pg_statement {
    PG_BEGIN,
    PG_COMMIT,
    PG_ROLLBACK,
    PG_LOCK,
    PG_EPOCH_VERSION,
    PG_EPOCH_GET,
    PG_EPOCH_SET,
    PG_EPOCH_BUMP,
    PG_SYNC_OFF,
    PG_ACTORS_MAKE,
    PG_ACTORS_GET,
    PG_MESSAGES_GET,
    PG_MESSAGES_FORGET,
    PG_MESSAGE_FIND,
    PG_APPEND,
    PG_TURNS_ADD,
    PG_TURNS_RECENT,
    PG_TURN_STATE,
    PG_SNAPSHOTS_GET,
    PG_TURN_STATES,
    PG_TURNS_RECENTS,
    PG_PENDING_DROP,
    PG_PENDING_ADD,
    PG_PENDING_FIND,
    PG_PENDING_PAGE,
    PG_PENDING_DUE,
    PG_PENDING_NEXT,
    PG_SNAPSHOT_ADD,
    PG_SNAPSHOT_TRIM,
    PG_SNAPSHOT_GET,
    PG_RETAIN_HOLDS,
    PG_RETAIN_CARRY,
    PG_RETAIN,
    PG_RETAIN_NEXT,
    PG_UNKEEP,
    PG_HEAD,
    PG_TURNS_PAST,
    PG_SEQ_AT,
    PG_STATE_SEQ,
    PG_ACTORS_LIST,
    PG_KEY_GET,
    PG_KEY_ADD,
    PG_KEY_STALE,
    PG_KEY_SET,
    PG_KEY_DROP,
    PG_KEY_VACUUM,
    PG_STATEMENTS,
};

extern const char *const journal_pg_texts[PG_STATEMENTS]; /* store_pg_sql.c */

/* What is larger than the bytes is not read together with others; what has more
 * recorded answers is not either. */
#define PG_LOADS_STATE_BYTES "65536"
#define PG_LOADS_REPLY_BYTES "4096"
enum { PG_PARAMS_MAX = 12, PG_LOADS_RECENT_MAX = 32 };

struct pg_store {
    struct journal_store base;
    char *dsn;
    struct journal_policy policy;
    char shared[64];   /* which database and schema this is */
    PGconn *conn;      /* NULL: not connected */
    uint64_t retry_ns; /* monotonic: no new connection before this */
    struct journal_epochs epochs;
    uint64_t epoch_version;
    uint64_t removals; /* as last seen: a head verified then is still right */
    struct pg_head *heads;   /* forgotten with the connection */
    uint32_t turn_oid;       /* of the type journal_turn */
    struct plex_buf replies; /* of the last commit's EXISTS results */
    struct plex_buf params[PG_PARAMS_MAX];
    int n_params;
    size_t row_at; /* row being built, in the newest array */
    int n_sent;    /* statements since the last collect */
    /* The server itself refused one of them: it wrote nothing of the batch. */
    bool refused;
    struct pg_expiry {
        uint64_t ms, actor, seq;
    } retain_after;           /* where the retention has got to */
    uint64_t retain_began_ms; /* wall clock, start of this round */
};

/* -- parameters (store_pg_param.c): built one after the other, then sent with
 * a statement, which copies and forgets them. */
void journal_pg_param_u64(struct pg_store *store, uint64_t value);
void journal_pg_param_bytes(struct pg_store *store, struct plex_bytes bytes);
void journal_pg_param_text(struct pg_store *store, const char *text,
                           size_t len);
/* Arrays: begin one, add to it, begin the next. */
void journal_pg_array_u64(struct pg_store *store);
void journal_pg_array_bytes(struct pg_store *store);
void journal_pg_array_text(struct pg_store *store);
/* To the array that is `back` before the newest (0: the newest). */
void journal_pg_add_u64(struct pg_store *store, int back, uint64_t value);
void journal_pg_add_bytes(struct pg_store *store, int back,
                          struct plex_bytes bytes);
/* An array of journal_turn and its rows, all columns in order. */
void journal_pg_array_turns(struct pg_store *store);
void journal_pg_row_begin(struct pg_store *store, uint32_t n_columns);
void journal_pg_row_u64(struct pg_store *store, uint64_t value);
void journal_pg_row_bool(struct pg_store *store, bool value);
void journal_pg_row_bytes(struct pg_store *store, struct plex_bytes bytes);
void journal_pg_row_end(struct pg_store *store);
/* Queue the statement in the pipeline. False when the connection is gone. */
bool journal_pg_send(struct pg_store *store, enum pg_statement which);

uint64_t journal_pg_u64(const PGresult *result, int row, int column);
struct plex_bytes journal_pg_bytes(const PGresult *result, int row, int column);

/* -- connection (store_pg.c) */
PLEX_MUST_USE enum plex_status journal_pg_connect(struct pg_store *store,
                                                  struct plex_err *err);
/* Note the failure of what was sent; a lost connection is closed. */
enum plex_status journal_pg_failed(struct pg_store *store,
                                   const PGresult *result,
                                   struct plex_err *err);
/* End the pipeline's batch and read the results of `n` statements, the
 * caller's to PQclear (all of them, also after an error: NULL then). */
PLEX_MUST_USE enum plex_status journal_pg_collect(struct pg_store *store,
                                                  PGresult **results, int n,
                                                  struct plex_err *err);
/* The same for a batch that commits: PLEX_UNKNOWN when the connection was lost
 * and it may or may not have been done. */
PLEX_MUST_USE enum plex_status journal_pg_collect_commit(struct pg_store *store,
                                                         struct plex_err *err);
/* One statement, one round trip. */
PLEX_MUST_USE enum plex_status journal_pg_query(struct pg_store *store,
                                                enum pg_statement which,
                                                PGresult **out,
                                                struct plex_err *err);
/* Make epochs what the database says when its version is another one. */
PLEX_MUST_USE enum plex_status journal_pg_epochs_refresh(struct pg_store *store,
                                                         uint64_t version,
                                                         struct plex_err *err);

/* -- store_pg_retain.c */
enum plex_status journal_pg_retain(struct journal_store *base, uint64_t wall_ms,
                                   uint32_t limit, struct journal_retained *out,
                                   struct plex_err *err);

/* -- store_pg_keys.c */
extern const struct journal_key_ops journal_pg_keys;

/* -- store_pg_history.c */
extern const struct journal_history_ops journal_pg_history;

/* -- store_pg_fast.c */
void journal_pg_heads_forget(struct pg_store *store);

/* -- store_pg_commit.c */
enum plex_status journal_pg_commit(struct journal_store *base,
                                   struct journal_commit *commit,
                                   struct plex_err *err);

/* -- store_pg_read.c */
/* The twelve columns that PG_TURNS_RECENT, PG_TURN_STATE and PG_TURNS_PAST
 * begin with. False when the row does not match its checksum. */
PLEX_MUST_USE bool journal_pg_row_read(const PGresult *result, int i,
                                       const char *name, size_t name_len,
                                       struct journal_row *out);
/* Columns of PG_SNAPSHOT_GET, the same. */
PLEX_MUST_USE bool journal_pg_snapshot_read(const PGresult *result, int i,
                                            const char *name, size_t name_len,
                                            struct journal_row *out);
enum plex_status journal_pg_load(struct journal_store *base,
                                 const struct journal_load *load,
                                 uint64_t wall_ms, struct plex_arena *arena,
                                 struct journal_loaded *out,
                                 uint64_t *newest_epoch, struct plex_err *err);
void journal_pg_loads(struct journal_store *base,
                      struct journal_loading *loadings, size_t n,
                      uint64_t wall_ms);
enum plex_status journal_pg_lookup(struct journal_store *base,
                                   const char *tenant, struct plex_bytes id,
                                   uint64_t wall_ms, struct plex_arena *arena,
                                   struct journal_lookup *out,
                                   struct plex_err *err);
enum plex_status journal_pg_answers(struct journal_answering *answering,
                                    struct plex_err *err);
enum plex_status journal_pg_pending(struct journal_store *base,
                                    const struct journal_page *page,
                                    struct plex_arena *arena,
                                    struct journal_paged *out,
                                    struct plex_err *err);

#endif
