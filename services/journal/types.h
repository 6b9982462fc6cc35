#ifndef SERVICES_JOURNAL_TYPES_H
#define SERVICES_JOURNAL_TYPES_H

#include "common/bytes.h"
#include "common/name.h"

/*
 * What others may know of plex-journal: the entries it keeps and what it
 * answers. The structs are also the vocabulary of its core, so the simulator
 * speaks to the core in the same words. Everything is borrowed for the call.
 * Field meanings, units and limits: proto/internal/.../journal.proto.
 */
enum {
    JOURNAL_ID_MAX = 300,        /* bytes of a message or pending id */
    JOURNAL_STATE_MAX = 8 << 20, /* bytes */
    JOURNAL_ENTRIES_MAX = 4096,  /* per append */
    JOURNAL_RECENT_MAX = 1000,   /* recorded answers per load */
    JOURNAL_HISTORY_MAX = 1000,  /* turns per page of history */
    JOURNAL_RECORD_MAX = 4 << 20,
    JOURNAL_CHAIN_BYTES = 32,
    JOURNAL_REPLICAS_MAX = 16, /* that share the shards of one store */
    JOURNAL_BACKUP_NAME_MAX = 100,
    JOURNAL_BACKUPS_MAX = 1000, /* that are listed */
};

struct journal_pending {
    struct plex_bytes id;
    uint64_t due_ms; /* wall clock */
    struct plex_bytes message;
};

enum journal_entry_kind {
    JOURNAL_TURN = 1,
    JOURNAL_SETTLE = 2,
    JOURNAL_SNAPSHOT = 3,
};

struct journal_entry {
    enum journal_entry_kind kind;
    struct plex_actor_id actor;
    uint32_t shard;
    uint64_t epoch;
    uint64_t seq; /* turn, snapshot */
    /* turn */
    struct plex_bytes message_id; /* empty: not remembered */
    uint64_t request_hash;
    uint64_t expires_ms;
    uint64_t at_ms;
    struct plex_bytes reply;
    const struct journal_pending *pending;
    size_t n_pending;
    struct plex_bytes record; /* what the turn was made of (input, effects,
                                 outputs), for history and replay; opaque */
    bool rebuilds; /* the state is made by going through `record` again: kept
                      until two snapshots, or a turn with a state, are newer */
    /* turn, settle */
    const struct plex_bytes *settled;
    size_t n_settled;
    /* turn (when has_state), snapshot */
    bool has_state;
    struct plex_bytes state;
    uint32_t schema_version;
};

/* PLEX_OK | FENCED | CONFLICT | EXISTS, as the proto says; anything else is a
 * failure of the store that left nothing written. */
struct journal_result {
    enum plex_status status;
    uint64_t newest_epoch;   /* FENCED */
    uint64_t request_hash;   /* EXISTS */
    struct plex_bytes reply; /* EXISTS */
};

struct journal_load {
    struct plex_actor_id actor;
    uint32_t shard;
    uint64_t epoch;
    uint32_t recent_max;
    bool records;          /* also those that rebuild the state */
    uint64_t records_from; /* not 0: only those, from that turn on */
};
struct journal_recorded {
    struct plex_bytes message_id;
    uint64_t request_hash;
    uint64_t expires_ms;
    struct plex_bytes reply;
    uint64_t seq;
};
/* Of a turn after the state whose entry says `rebuilds`. */
struct journal_record {
    uint64_t seq, at_ms;
    uint32_t schema_version;
    struct plex_bytes bytes;
};
struct journal_loaded {
    uint64_t last_seq; /* 0: never seen */
    bool has_state;
    struct plex_bytes state;
    uint32_t schema_version;
    uint64_t state_seq;
    const struct journal_recorded *recent; /* newest first */
    size_t n_recent;
    const struct journal_record *records; /* when asked for; by seq, rising */
    size_t n_records;
    uint64_t next_record; /* records_from of the next page; 0: no more */
};

struct journal_fence {
    uint32_t first, last; /* shards, inclusive */
    uint64_t epoch;
};

struct journal_lookup {
    struct plex_actor_id actor;
    bool waiting;
    uint64_t due_ms;
    uint64_t at_ms;
    struct plex_bytes reply;
};

/* What is recorded for that message of that actor? The result's status: EXISTS
 * (request_hash and reply are the recorded ones), NOT_FOUND, CORRUPT, or LIMIT:
 * the results were more than one answer holds (the first never is). */
struct journal_asked {
    struct plex_actor_id actor;
    struct plex_bytes message_id;
};
enum { JOURNAL_ASKED_MAX = 256, JOURNAL_ANSWERS_BYTES_MAX = 4 << 20 };

struct journal_pending_item {
    struct plex_actor_id owner;
    struct journal_pending pending;
};

struct journal_due {
    uint32_t first, last;    /* shards */
    uint64_t until_ms;       /* wall clock; not 0 */
    struct plex_bytes after; /* "" or the last page's next */
    uint32_t limit;          /* 1..10000 */
};

/* -- the past: what retention has kept ------------------------------------ */

struct journal_history {
    struct plex_actor_id actor;
    uint64_t first_seq; /* 0: the newest `limit` turns */
    uint64_t last_seq;  /* inclusive; 0: the end */
    uint64_t from_ms;   /* wall clock, inclusive; 0: no limit */
    uint64_t to_ms;     /* the same */
    uint32_t limit;     /* 1..JOURNAL_HISTORY_MAX */
    bool with_state;
};
struct journal_past_turn {
    uint64_t seq, at_ms, expires_ms, request_hash;
    struct plex_bytes message_id, reply, record;
    bool has_state, rebuilds;
    uint32_t schema_version;
    struct plex_bytes state; /* when asked for */
    /* JOURNAL_CHAIN_BYTES: the hash over this turn and all before it; empty
     * for a turn written before there was a chain. */
    struct plex_bytes chain;
};
struct journal_past {
    const struct journal_past_turn *turns; /* by seq, rising */
    size_t n;
    uint64_t next_seq;   /* first_seq of the next page; 0: no more */
    uint64_t oldest_seq; /* that is kept */
    uint64_t newest_seq; /* of the actor; 0: never seen */
};

/* An actor as it was after turn `seq` or, when that is 0, at wall clock
 * `at_ms`. */
struct journal_at {
    struct plex_actor_id actor;
    uint64_t seq, at_ms;
};
/* When state_seq < seq and the turns in between are `rebuilds`, going through
 * their records (a history from state_seq + 1 on) makes the state. */
struct journal_was {
    uint64_t seq;        /* the turn it was after; 0: before the first */
    uint64_t newest_seq; /* of the actor */
    bool has_state;
    struct plex_bytes state;
    uint32_t schema_version;
    uint64_t state_seq;
};

/* Compute the chain of hashes again over at most `limit` turns. */
struct journal_verify {
    struct plex_actor_id actor; /* all parts "": of everyone */
    struct plex_bytes after;    /* "" or the last answer's next */
    uint32_t limit;             /* turns; 1..10000 */
    const char *tenant; /* of everyone of this one; NULL or "": of all */
};
struct journal_broken {
    struct plex_actor_id actor;
    uint64_t seq; /* the first turn that does not hold */
    const char *text;
};
struct journal_verified {
    uint64_t turns, actors; /* looked at; actors that were finished */
    uint64_t unchained;     /* turns from before there was a chain */
    const struct journal_broken *broken; /* at most one per actor */
    size_t n_broken;
    struct plex_bytes next; /* "" at the end */
    uint64_t bytes;         /* of states, replies and records, as stored */
};

struct journal_truncate {
    struct plex_actor_id actor;
    uint64_t seq; /* up to this one, below the newest */
};
struct journal_truncated {
    uint64_t oldest_seq, newest_seq; /* that are there now */
};

/* -- backups: files in the folder that the daemon's backup_folder names -----
 */

struct journal_backup {
    const char *name;
    const char *backend; /* "sqlite" | "postgres" */
    uint32_t schema;
    uint64_t at_ms; /* wall clock of what it has */
    uint64_t bytes;
};

#endif
