#ifndef SERVICES_JOURNAL_STORE_SQLITE_H
#define SERVICES_JOURNAL_STORE_SQLITE_H

#include "common/sqlite_db.h"
#include "services/journal/policy.h"
#include "services/journal/store_backend.h"
#include "services/journal/store_lib.h"

#include <sys/queue.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#define HASH_FUNCTION(key, len, hash) (hash) = (unsigned)XXH3_64bits(key, len)
#include <uthash.h>

/*
 * SQLite, for one process: an exclusive lock on "<path>-lock" keeps others
 * out, so what memory says about actors and epochs is the truth.
 *
 * A commit appends rows to journal_turn and journal_message and touches
 * little else. Heads (an actor's last sequence and where its state is) live in
 * memory and are written back later, oldest first, a few with each commit;
 * journal_mark.head_turn says from which turn on they must be recomputed
 * after a crash. Without that each turn would cost a page of journal_actor.
 */
enum {
    SQL_HEADS_MAX = 1 << 17,     /* in memory */
    SQL_HEAD_LAG = 16384,        /* turns that a head's row may be behind */
    SQL_HEAD_WRITES = 16,        /* written back with one commit, at least */
    SQL_CHECKPOINT_PAGES = 4000, /* default */
    SQL_SEEK_EVERY = 64,         /* turns of an actor per row of journal_seek */
};

/* What a commit may change and a failed one gives back. */
struct sql_head_data {
    uint64_t last_seq, last_turn, state_seq, state_turn;
    uint64_t first_dirty; /* oldest turn not in the row, 0: clean */
    uint8_t chain[JOURNAL_CHAIN_BYTES]; /* of the last turn */
};

struct sql_head {
    UT_hash_handle hh; /* by name */
    TAILQ_ENTRY(sql_head) dirty_link;
    struct sql_head *touched_next;
    int64_t id; /* of the row */
    struct sql_head_data now, before;
    uint64_t touched; /* the commit that saved `before` */
    uint64_t failed;  /* the commit that failed an entry of it */
    bool made;        /* by the commit that touched it last */
    size_t name_len;
    char name[];
};
TAILQ_HEAD(sql_heads, sql_head);

enum sql_statement {
    SQL_BEGIN,
    SQL_BEGIN_READ,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_ACTOR_FIND,
    SQL_ACTOR_ADD,
    SQL_ACTOR_HEAD,
    SQL_ACTOR_NAME,
    SQL_MARK,
    SQL_TURN_ADD,
    SQL_TURN_GET,
    SQL_TURN_STATE,
    SQL_TURN_LINK,
    SQL_TURN_PAST,
    SQL_TURN_SCAN,
    SQL_TURN_UNKEEP,
    SQL_TURN_DROP,
    SQL_MESSAGE_ADD,
    SQL_MESSAGE_GET,
    SQL_MESSAGE_SET,
    SQL_MESSAGE_DROP,
    SQL_MESSAGE_FIND,
    SQL_PENDING_ADD,
    SQL_PENDING_DROP,
    SQL_PENDING_FIND,
    SQL_PENDING_PAGE,
    SQL_SNAPSHOT_ADD,
    SQL_SNAPSHOT_TRIM,
    SQL_SNAPSHOT_GET,
    SQL_SNAPSHOT_SECOND,
    SQL_SNAPSHOT_CARRY,
    SQL_SEEK_ADD,
    SQL_SEEK_FIND,
    SQL_SEEK_AT,
    SQL_SEEK_DROP,
    SQL_ANCHOR_SET,
    SQL_ANCHOR_GET,
    SQL_ACTORS_LIST,
    SQL_KEY_GET,
    SQL_KEY_ADD,
    SQL_KEY_STALE,
    SQL_KEY_SET,
    SQL_KEY_DROP,
    SQL_EPOCH_SET,
    SQL_EPOCH_GET,
    SQL_STATEMENTS, /* number of them */
};
extern const char *const journal_sql_texts[SQL_STATEMENTS];

struct sql_store {
    struct journal_store base;
    struct plex_sqlite sqlite;
    sqlite3_stmt *statements[SQL_STATEMENTS];
    char *path;
    uint32_t checkpoint_pages;
    struct journal_policy policy;
    struct sql_sync *sync; /* the checkpoint thread */
    struct journal_epochs epochs, epochs_before;
    bool epochs_saved; /* epochs_before is of this commit */
    struct sql_head *heads;
    struct sql_heads dirty; /* by first_dirty, oldest first */
    uint64_t n_dirty;
    struct sql_head *touched; /* by this commit */
    uint64_t commit;          /* number of the current one */
    uint64_t next_turn, next_turn_before;
    uint64_t mark;           /* journal_mark.head_turn */
    struct plex_buf replies; /* of the last commit's EXISTS results */
    bool flushing;           /* journal_sql_heads_flush() */
    uint64_t retain_at;      /* next turn to look at */
    uint64_t retain_next_ms; /* earliest time this round has seen */
    uint64_t retain_first;   /* first turn of the round whose time has not come;
                                the next round begins there, 0: none */
    uint64_t retain_ahead;   /* such turns, one after the other */
    uint64_t retain_whole_ms; /* wall clock of the last round over all */
};

/* -- store_sqlite.c */
/* The prepared statement, reset, its bindings cleared. */
sqlite3_stmt *journal_sql_get(struct sql_store *store,
                              enum sql_statement which);
/* Step a statement that yields no rows. */
PLEX_MUST_USE enum plex_status journal_sql_run(struct sql_store *store,
                                               sqlite3_stmt *stmt,
                                               struct plex_err *err);
/* The connection's last error as a status, with `what` before it. */
enum plex_status journal_sql_error(struct sql_store *store, const char *what,
                                   struct plex_err *err);

/* -- store_sqlite_commit.c */
enum plex_status journal_sql_commit(struct journal_store *base,
                                    struct journal_commit *commit,
                                    struct plex_err *err);
/* *out is NULL for an actor that has no row. */
PLEX_MUST_USE enum plex_status journal_sql_head_find(
    struct sql_store *store, const struct plex_actor_id *id,
    struct sql_head **out, struct plex_err *err);
void journal_sql_heads_fini(struct sql_store *store);
/* Write back all heads, in a transaction of its own. */
PLEX_MUST_USE enum plex_status journal_sql_heads_flush(struct sql_store *store,
                                                       struct plex_err *err);
/* Write back heads until at most `keep` turns are behind; in a transaction. */
PLEX_MUST_USE enum plex_status journal_sql_heads_write(struct sql_store *store,
                                                       uint64_t keep,
                                                       size_t min,
                                                       struct plex_err *err);

/* -- store_sqlite_message.c */
/* The answer recorded for the id, if any, as `result` with PLEX_EXISTS. */
PLEX_MUST_USE enum plex_status journal_sql_message_known(
    struct sql_store *store, const struct sql_head *head, struct plex_bytes id,
    uint64_t wall_ms, struct journal_result *result, struct plex_err *err);
/* Record it for the next turn with SQL_MESSAGE_ADD or _SET. *known: another
 * turn has it. */
PLEX_MUST_USE enum plex_status journal_sql_message_add(
    struct sql_store *store, const struct sql_head *head,
    enum sql_statement how, struct plex_bytes id, bool *known,
    struct plex_err *err);

enum plex_status journal_sql_answers(struct journal_answering *answering,
                                     struct plex_err *err);

/* -- store_sqlite_read.c */
void journal_sql_loads(struct journal_store *base,
                       struct journal_loading *loadings, size_t n,
                       uint64_t wall_ms);
enum plex_status journal_sql_load(struct journal_store *base,
                                  const struct journal_load *load,
                                  uint64_t wall_ms, struct plex_arena *arena,
                                  struct journal_loaded *out,
                                  uint64_t *newest_epoch, struct plex_err *err);
enum plex_status journal_sql_lookup(struct journal_store *base,
                                    const char *tenant, struct plex_bytes id,
                                    uint64_t wall_ms, struct plex_arena *arena,
                                    struct journal_lookup *out,
                                    struct plex_err *err);

/* A row of SQL_TURN_GET. Bytes are borrowed until the statement moves. */
struct sql_turn {
    uint64_t actor, prev;
    struct journal_row row;
};
/* Reads and verifies; PLEX_NOT_FOUND when retention has removed it. */
PLEX_MUST_USE enum plex_status journal_sql_turn_get(
    struct sql_store *store, uint64_t id, const char *name, size_t name_len,
    struct sql_turn *out, struct plex_err *err);

/* What a snapshot's row says; its state is borrowed as above. Columns as of
 * SQL_SNAPSHOT_GET. False when it does not match its checksums. */
PLEX_MUST_USE bool journal_sql_snapshot_read(sqlite3_stmt *stmt,
                                             const char *name, size_t name_len,
                                             struct journal_row *out);

/* -- store_sqlite_pending.c */
enum plex_status journal_sql_pending(struct journal_store *base,
                                     const struct journal_page *page,
                                     struct plex_arena *arena,
                                     struct journal_paged *out,
                                     struct plex_err *err);

/* -- store_sqlite_keys.c */
extern const struct journal_key_ops journal_sql_keys;

/* -- store_sqlite_history.c */
extern const struct journal_history_ops journal_sql_history;

/* -- store_sqlite_retain.c */
enum plex_status journal_sql_retain(struct journal_store *base,
                                    uint64_t wall_ms, uint32_t limit,
                                    struct journal_retained *out,
                                    struct plex_err *err);

/* -- store_sqlite_sync.c: moves the log back into the database, on a thread
 * and connection of its own. */
PLEX_MUST_USE enum plex_status journal_sql_sync_start(struct sql_store *store,
                                                      struct plex_err *err);
void journal_sql_sync_stop(struct sql_sync *sync); /* accepts NULL */
/* After a commit that left `pages` in the log. */
void journal_sql_sync_note(struct sql_sync *sync, int pages);

#endif
