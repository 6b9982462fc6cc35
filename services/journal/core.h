#ifndef SERVICES_JOURNAL_CORE_H
#define SERVICES_JOURNAL_CORE_H

#include "services/journal/epochs.h"
#include "services/journal/store.h"

/*
 * The journal's decisions: which request is refused at once, and what goes
 * into one transaction. Pure: no clock, no I/O.
 *
 * The caller submits requests as they come and, at the end of its loop
 * iteration, pops actions until there are none. At most one commit is out at
 * a time; requests submitted meanwhile go into the next. Reads are handed out
 * once every append and fence submitted before them has been committed, and
 * are the caller's from then on.
 *
 *   journal_core_submit(core, &request);  ... more of them ...
 *   while (journal_core_next(core, now, &action))
 *       COMMIT: status = journal_store_commit(store, action.commit, &err);
 *               journal_core_committed(core, status, err.text);
 *       READ:   read from the store, answer action.request
 *       ANSWER: answer action.request, before the next call on the store
 *
 * The simulator may let time pass between COMMIT and journal_core_committed.
 */
struct journal_core;

enum journal_request_kind {
    JOURNAL_APPEND = 1,
    JOURNAL_FENCE,
    JOURNAL_LOAD,
    JOURNAL_LOOKUP,
    JOURNAL_PENDING,
    JOURNAL_HISTORY,
    JOURNAL_AT,
    JOURNAL_VERIFY,
    JOURNAL_SHRED, /* tenant; changes something, but runs as reads do */
    JOURNAL_ANSWERS,
    JOURNAL_TRUNCATE,      /* at: actor and seq; likewise */
    JOURNAL_REQUEST_KINDS, /* one more than their number */
};

/* The caller's memory, with all that it points to, from submit until the
 * ANSWER or READ action that carries it. */
struct journal_request {
    struct journal_request *next; /* private to the core */
    size_t bytes;                 /* private to the core */
    uint64_t ticket;              /* private to the core */
    uint64_t newest_epoch;        /* private to the core */
    struct plex_err err;          /* private to the core */
    enum journal_request_kind kind;
    /* JOURNAL_APPEND; room for n_entries results */
    const struct journal_entry *entries;
    struct journal_result *results;
    size_t n_entries;
    /* JOURNAL_FENCE */
    const struct journal_fence *ranges;
    size_t n_ranges;
    /* JOURNAL_LOAD */
    struct journal_load load;
    /* JOURNAL_LOOKUP; _SHRED: tenant */
    const char *tenant;
    struct plex_bytes message_id;
    /* JOURNAL_ANSWERS */
    const struct journal_asked *asked;
    size_t n_asked;
    /* JOURNAL_PENDING */
    struct journal_page page;
    /* JOURNAL_HISTORY, _AT and _TRUNCATE, _VERIFY */
    struct journal_history history;
    struct journal_at at;
    struct journal_verify verify;
};

enum journal_action_kind {
    JOURNAL_DO_COMMIT = 1, /* commit */
    JOURNAL_DO_READ,       /* request: of any other kind */
    JOURNAL_DO_ANSWER,     /* request, status, text, newest_epoch */
};
struct journal_action {
    enum journal_action_kind kind;
    struct journal_commit *commit;
    struct journal_request *request;
    /* Of the whole request. An append that was tried is PLEX_OK; its entries'
     * statuses are in request->results. Reads are answered here only when
     * refused. */
    enum plex_status status;
    const char *text;      /* borrowed until the next call on the core */
    uint64_t newest_epoch; /* PLEX_FENCED */
};

struct journal_core_config {
    size_t commit_entries_max; /* 0: 4096. Requests are never split */
    size_t commit_bytes_max;   /* 0: 16 MiB */
    size_t queue_entries_max;  /* 0: 65536; beyond: PLEX_LIMIT */
    size_t queue_bytes_max;    /* 0: 64 MiB */
    /* Test only: accept every epoch. The simulator proves with it that its
     * checkers bite. */
    bool unsafe_no_fencing;
};

struct journal_core *journal_core_create(
    const struct journal_core_config *config);
/* Accepts NULL. Requests still inside are forgotten, not answered. */
void journal_core_free(struct journal_core *core);
/* The store's epochs, at start. Copied. */
void journal_core_epochs(struct journal_core *core,
                         const struct journal_epochs *epochs);

void journal_core_submit(struct journal_core *core,
                         struct journal_request *request);
/* False when there is nothing to do now. */
bool journal_core_next(struct journal_core *core, uint64_t wall_ms,
                       struct journal_action *out);
/* How the commit ended; with a status but PLEX_OK nothing was written, except
 * that after PLEX_UNKNOWN nobody knows. */
void journal_core_committed(struct journal_core *core, enum plex_status status,
                            const char *text);

/* Entries and fences waiting or out, and requests of any kind. */
size_t journal_core_queued(const struct journal_core *core);
uint64_t journal_core_epoch(const struct journal_core *core, uint32_t shard);

/* Limits of one entry, as every caller must keep them. PLEX_INVALID,
 * PLEX_TOO_LARGE. */
PLEX_MUST_USE enum plex_status journal_entry_check(
    const struct journal_entry *entry, struct plex_err *err);
/* What it weighs against the limits. */
size_t journal_entry_bytes(const struct journal_entry *entry);

#endif
