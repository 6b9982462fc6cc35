#ifndef SERVICES_JOURNAL_STORE_H
#define SERVICES_JOURNAL_STORE_H

#include "common/arena.h"
#include "services/journal/client.h"
#include "services/journal/epochs.h"

/*
 * Where turns are kept, behind one table of functions: mem: (the reference,
 * forgets on close), sqlite:<path>, postgres://...
 *
 * Threads: a store belongs to one thread. Calls block on I/O and run on the
 * journal's loop. Every call but commit is free of side effects on the turns.
 */
struct journal_store;

struct journal_store_config {
    const char *dsn;
    /* SQLite: write the log back into the database once it has grown by this
     * many pages; 0: 4000. */
    uint32_t checkpoint_pages;
    /* SQLite: refuse to grow past this (PRAGMA max_page_count); 0: no limit.
     * Also how the tests make a full disk. */
    uint64_t pages_max;
    /* How long turns are kept for history: policy.h; NULL: not at all. For
     * turns that are written from now on. */
    const char *history;
    const char *master_key_file; /* NULL or "": nothing is sealed */
    uint32_t compress_bytes;     /* states from this size on; 0: 4096 */
};

/*
 * Everything one transaction does, in this order: raise `fences`, then apply
 * `entries`, each of which ends with a result of its own. The transaction is
 * all or nothing with regard to the machine: PLEX_OK from commit means
 * that everything with an OK result is on disk.
 *
 * A turn is checked thus: epoch below the shard's newest: FENCED (a newer one
 * raises the shard's). Message id recorded for this actor and not expired:
 * EXISTS. seq not the actor's last + 1: CONFLICT. An earlier entry of this
 * actor in this commit ended as EXISTS or CONFLICT: CONFLICT. A snapshot must
 * not be newer than the actor's last turn (CONFLICT); settling what is not
 * there is no error. A turn settles first, then adds its pendings; a pending
 * replaces the actor's one of the same id.
 */
struct journal_commit {
    const struct journal_fence *fences;
    uint64_t *fence_newest; /* out, one per fence: the epoch that refused it,
                               0 when it was raised */
    size_t n_fences;
    const struct journal_entry *const *entries;
    struct journal_result **results; /* out, one per entry; reply is valid
                                        until the next call on the store */
    size_t n_entries;
    uint64_t wall_ms;       /* now, for expiry */
    bool unsafe_no_fencing; /* the simulator's proof that its checkers bite */
};

/* What the background step did and when it is worth calling again. */
struct journal_retained {
    uint64_t removed; /* rows */
    bool more;        /* the limit stopped it */
    uint64_t next_ms; /* wall clock of the next expiry; 0: nothing to expire */
};

/* Is the DSN one of ours? Without side effects. PLEX_INVALID. */
PLEX_MUST_USE enum plex_status journal_store_check(const char *dsn,
                                                   struct plex_err *err);
/* Errors: PLEX_INVALID (DSN), PLEX_UNAVAILABLE (cannot be reached or held by
 * another process), PLEX_CORRUPT, PLEX_UNSUPPORTED (newer schema). */
PLEX_MUST_USE enum plex_status journal_store_open(
    struct journal_store **out, const struct journal_store_config *config,
    struct plex_err *err);
/* Accepts NULL. */
void journal_store_close(struct journal_store *store);
/* "mem" | "sqlite" | "postgres" */
const char *journal_store_name(const struct journal_store *store);

/* Fill an empty *out with every shard's epoch; the caller's to fini. */
PLEX_MUST_USE enum plex_status journal_store_epochs(struct journal_store *store,
                                                    struct journal_epochs *out,
                                                    struct plex_err *err);

/* Errors leave nothing written: PLEX_UNAVAILABLE, PLEX_LIMIT (full),
 * PLEX_CORRUPT (names actor and seq). But after PLEX_UNKNOWN all of it may be
 * there or nothing. */
PLEX_MUST_USE enum plex_status journal_store_commit(
    struct journal_store *store, struct journal_commit *commit,
    struct plex_err *err);

/* State, and the newest recorded answers that have not expired: at most
 * load->recent_max and JOURNAL_RECENT_BYTES_MAX of them. Everything is
 * allocated in `arena`. An actor never seen is PLEX_OK with last_seq 0.
 * A page of records is of at most JOURNAL_HISTORY_MAX turns and
 * JOURNAL_PAGE_BYTES_MAX (but one); it may be empty and not be the last.
 * Errors: PLEX_FENCED (*newest_epoch), PLEX_CORRUPT, PLEX_TOO_LARGE (arena),
 * PLEX_UNAVAILABLE. */
enum { JOURNAL_RECENT_BYTES_MAX = 4 << 20 };
PLEX_MUST_USE enum plex_status journal_store_load(
    struct journal_store *store, const struct journal_load *load,
    uint64_t wall_ms, struct plex_arena *arena, struct journal_loaded *out,
    uint64_t *newest_epoch, struct plex_err *err);

/* Several actors at once, each with an outcome of its own in err; the same
 * actor may be there twice. */
enum { JOURNAL_LOADS_MAX = 128 };
struct journal_loading {
    const struct journal_load *load;
    struct plex_arena *arena;
    struct journal_loaded out;
    uint64_t newest_epoch;
    struct plex_err err;
};
void journal_store_loads(struct journal_store *store,
                         struct journal_loading *loadings, size_t n,
                         uint64_t wall_ms);

/* The newest record of that id in the tenant. PLEX_NOT_FOUND. */
PLEX_MUST_USE enum plex_status journal_store_lookup(
    struct journal_store *store, const char *tenant,
    struct plex_bytes message_id, uint64_t wall_ms, struct plex_arena *arena,
    struct journal_lookup *out, struct plex_err *err);

/* One result for each that is asked for, replies in `arena`. */
PLEX_MUST_USE enum plex_status journal_store_answers(
    struct journal_store *store, const struct journal_asked *asked, size_t n,
    uint64_t wall_ms, struct plex_arena *arena, struct journal_result *out,
    struct plex_err *err);

/* Pendings of shards first..last by (shard, due_ms, insertion), at most `limit`
 * and JOURNAL_PAGE_BYTES_MAX; `after` is "" or the last page's next. Due order
 * over all shards would make each page sort everything. */
enum { JOURNAL_PAGE_BYTES_MAX = 4 << 20 };
struct journal_page {
    uint32_t first, last;
    struct plex_bytes after;
    uint32_t limit;
    uint64_t until_ms; /* only what is due before, 0: everything */
};
struct journal_paged {
    const struct journal_pending_item *items;
    size_t n;
    struct plex_bytes next; /* "" at the end */
    /* At the end, with until_ms: when the first one after it is due, 0: there
     * is none. */
    uint64_t next_due_ms;
};
PLEX_MUST_USE enum plex_status journal_store_pending(
    struct journal_store *store, const struct journal_page *page,
    struct plex_arena *arena, struct journal_paged *out, struct plex_err *err);

/* The past of an actor. PLEX_CORRUPT names the turn. */
PLEX_MUST_USE enum plex_status journal_store_history(
    struct journal_store *store, const struct journal_history *want,
    struct plex_arena *arena, struct journal_past *out, struct plex_err *err);
/* PLEX_NOT_FOUND: no such actor or turn, or its state is no longer kept. */
PLEX_MUST_USE enum plex_status journal_store_at(struct journal_store *store,
                                                const struct journal_at *want,
                                                struct plex_arena *arena,
                                                struct journal_was *out,
                                                struct plex_err *err);
/* What is broken is no error but in *out. */
PLEX_MUST_USE enum plex_status journal_store_verify(
    struct journal_store *store, const struct journal_verify *want,
    struct plex_arena *arena, struct journal_verified *out,
    struct plex_err *err);

/* Turns up to want->seq need not be kept for history any more. Those that
 * nobody needs otherwise are removed, here and by later calls of retain: what
 * stays has a message id to be remembered, or is needed for a state. INVALID
 * for the newest turn, NOT_FOUND. */
PLEX_MUST_USE enum plex_status journal_store_truncate(
    struct journal_store *store, const struct journal_truncate *want,
    uint64_t wall_ms, struct journal_truncated *out, struct plex_err *err);

/* Remove at most `limit` turns that nobody needs any more: the message id has
 * expired, the history need not have them, all before them are gone, they are
 * not the actor's newest and no state is made of them. The newest state is
 * moved to a snapshot before its turn goes. */
PLEX_MUST_USE enum plex_status journal_store_retain(
    struct journal_store *store, uint64_t wall_ms, uint32_t limit,
    struct journal_retained *out, struct plex_err *err);

/* Destroy the keys of a tenant: nothing of it that is stored can be read ever
 * again. *n: how many. PLEX_UNSUPPORTED where nothing is sealed. */
PLEX_MUST_USE enum plex_status journal_store_shred(struct journal_store *store,
                                                   const char *tenant,
                                                   uint64_t *n,
                                                   struct plex_err *err);

/* Has it no actor at all? */
PLEX_MUST_USE enum plex_status journal_store_empty(struct journal_store *store,
                                                   bool *empty,
                                                   struct plex_err *err);

/* The same for all journals that share what is kept, "" where none can:
 * borrowed until the next call on the store. */
const char *journal_store_shared(const struct journal_store *store);

/* On disk (mem: in memory), roughly. */
uint64_t journal_store_bytes(struct journal_store *store);

#endif
