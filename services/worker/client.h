#ifndef SERVICES_WORKER_CLIENT_H
#define SERVICES_WORKER_CLIENT_H

#include "common/arena.h"
#include "common/link.h"
#include "common/name.h"

/*
 * What others may know of plex-worker: a message to an actor and its answer.
 * The structs are also the vocabulary of the cores of worker and gateway.
 * Everything is borrowed for the call. Field meanings, units and limits:
 * proto/internal/.../worker.proto.
 */
enum {
    WORK_PAYLOAD_MAX = 5 << 20, /* bytes */
    WORK_HEADERS_MAX = 100,
    WORK_CHAIN_MAX = 16384, /* bytes */
};

enum work_kind {
    WORK_CALL = 1,
    WORK_CAST = 2,
    WORK_TIMER = 3,
    WORK_REPLY = 4,
    WORK_RESOLVE = 5,    /* to an open run; `timer` says what */
    WORK_GUARD = 6,      /* a run is open: seen by the core only */
    WORK_ACTIVATE = 7,   /* come into memory; no callback handles it */
    WORK_DEACTIVATE = 8, /* leave it once there is nothing to do */
    WORK_INFO = 9,       /* of a process; `process_kind` says what */
    WORK_FIND = 10,      /* ACTIVATE, and which process is it? Shell only */
    WORK_EDIT = 11,      /* of a durable actor's state: `method` says which */
    WORK_FACETS = 12,    /* about its activation's facets: `payload` says what,
                            as rt_facets_pack() has it */
    WORK_QUERY = 13,     /* of an open run: `method` is its name */
    WORK_UPDATE = 14,    /* the same; `tag` says when it is answered */
};
#define WORK_UPDATE_COMPLETED 0 /* when it has been carried out */
#define WORK_UPDATE_ACCEPTED 1  /* when it is in the journal */
/* Of FACETS: the reply's payload is a status (1 byte), then a line "PRIORITY
 * NAME" for each that is attached then, or why not. While a run is open:
 * PLEX_CONFLICT. */
/* Of an EDIT. While a run is open: PLEX_CONFLICT; what else is in the way is a
 * problem as the reply. PUT and CREATE: `payload` is the state, `tag` its
 * schema + 1, or 0 for that of the code. */
#define WORK_EDIT_PUT "put"
#define WORK_EDIT_CREATE "create" /* where there is no state */
#define WORK_EDIT_KEEP "keep"     /* write it once more, as it is */
#define WORK_EDIT_FORGET "forget" /* it is empty afterwards */

struct work_header {
    const char *name;
    const char *value;
};

/* Strings are never NULL. */
struct work_message {
    struct plex_actor_id to;
    enum work_kind kind;
    struct plex_bytes id; /* deduplicated by it */
    bool keyed;
    bool fresh; /* sent for the first time: no record can know the id */
    uint64_t request_hash;
    uint64_t ttl_ms;
    uint64_t delay_ms;
    const char *method;
    const char *path;
    const char *subpath;
    const char *query;
    const char *content_type;
    const struct work_header *headers;
    size_t n_headers;
    struct plex_bytes payload;
    const char *sender; /* actor name, "" from outside */
    uint64_t tag;
    enum plex_status reply_status; /* WORK_REPLY */
    const char *timer;             /* WORK_TIMER: its name */
    /* Runs that wait for this, and each other; made by the core. NULL: none. */
    const char *chain;
    uint32_t process_kind;       /* enum plex_msg_kind; 0: not of a process */
    uint64_t from_node, from_id; /* of that process; 0: none */
    uint64_t sent_ms; /* kept in the journal: when it was sent, wall clock */
};

struct work_reply {
    uint32_t http_status; /* 0: 200 */
    const char *content_type;
    const struct work_header *headers;
    size_t n_headers;
    struct plex_bytes payload;
    bool replayed;
    bool failed; /* the handler failed; `error` says how */
    const char *error;
    bool recorded;
    uint64_t due_ms;
    uint64_t table_version; /* with PLEX_NOT_OWNER */
};

/* The wire form of both, also kept opaque in the journal (reply, pending). */
PLEX_MUST_USE enum plex_status work_message_pack(const struct work_message *m,
                                                 struct plex_buf *out,
                                                 struct plex_err *err);
/* Everything is allocated in `arena`. */
PLEX_MUST_USE enum plex_status work_message_unpack(struct plex_bytes in,
                                                   struct plex_arena *arena,
                                                   struct work_message *out,
                                                   struct plex_err *err);
PLEX_MUST_USE enum plex_status work_reply_pack(const struct work_reply *r,
                                               struct plex_buf *out,
                                               struct plex_err *err);
PLEX_MUST_USE enum plex_status work_reply_unpack(struct plex_bytes in,
                                                 struct plex_arena *arena,
                                                 struct work_reply *out,
                                                 struct plex_err *err);

/*
 * done() runs once, on the loop. Statuses: PLEX_OK (reply; also when the
 * handler itself failed: reply->failed); NOT_OWNER (reply->table_version:
 * refresh and retry); UNAVAILABLE (starting, draining, no journal: surely not
 * done); IN_FLIGHT, MISMATCH (idempotency); LIMIT (mailbox full); NOT_FOUND
 * (type or module unknown to the worker); TIMEOUT, UNKNOWN (may be done).
 * `reply` is NULL unless PLEX_OK or NOT_OWNER. Returns a link call id.
 */
typedef void (*work_invoke_fn)(void *arg, enum plex_status status,
                               const char *text,
                               const struct work_reply *reply);
uint64_t work_client_invoke(struct plex_link *link, const char *url,
                            const struct plex_context *context,
                            const struct work_message *message,
                            work_invoke_fn done, void *arg);

/* -- open runs in the journal ---------------------------------------------- */

/* In the schema version of a state: it is the log of an open run (run_log.h),
 * to which the records of the turns after it add. */
#define WORK_SCHEMA_OPEN 0x80000000u
/* The packed log after the records of the turns that followed (each of them
 * work_record_pack()ed; those without a delta are passed over). */
PLEX_MUST_USE enum plex_status work_run_fold(struct plex_bytes packed,
                                             const struct plex_bytes *records,
                                             size_t n, struct plex_buf *out,
                                             struct plex_err *err);

/* The message that the run handles, from its packed log. */
PLEX_MUST_USE enum plex_status work_run_message(struct plex_bytes packed,
                                                struct plex_arena *arena,
                                                struct work_message *out,
                                                struct plex_err *err);

/* -- states of the past ---------------------------------------------------- */

struct journal_record;
/* Of an event-sourced actor: the state, and the records of the turns after it,
 * at most JOURNAL_HISTORY_MAX. */
struct work_rebuild {
    struct plex_actor_id actor;
    bool has_state;
    struct plex_bytes state;
    uint32_t schema_version;
    const struct journal_record *records;
    size_t n_records;
};
struct work_rebuilt {
    bool has_state;
    struct plex_bytes state;
    uint32_t schema_version;
};
/* `rebuilt` is NULL unless PLEX_OK; FAILED: the code cannot, text says why;
 * NOT_FOUND: the worker does not run the type. */
typedef void (*work_rebuilt_fn)(void *arg, enum plex_status status,
                                const char *text,
                                const struct work_rebuilt *rebuilt);
/* By the code that runs at that worker; the actor itself is not touched. */
void work_client_rebuild(struct plex_link *link, const char *url,
                         const struct plex_context *context,
                         const struct work_rebuild *rebuild,
                         work_rebuilt_fn done, void *arg);

/* -- looking at actors ----------------------------------------------------- */

enum work_actor_state { /* numbers of actor.v1 ActorState */
                        WORK_ACTOR_ACTIVE = 2,
                        WORK_ACTOR_INACTIVE = 3,
                        WORK_ACTOR_ACTIVATING = 4,
                        WORK_ACTOR_DEACTIVATING = 5,
};
struct work_actor {
    const char *actor_id; /* tenant/namespace/type/key */
    enum work_actor_state state;
    const char *node_id;
    uint32_t shard;
    uint64_t epoch;
    bool durable;
    uint64_t sequence;
    uint32_t mailbox_length;
    uint64_t idle_ms;
    uint64_t messages_total;
    uint64_t state_bytes;
    /* An open run; NULL is "". */
    const char *run, *waits_for, *remedy;
    uint64_t waits_since_ms;
    /* Of its time in memory; wall clock. */
    uint64_t last_activated_ms, last_accessed_ms, idle_timeout_ms;
};
typedef void (*work_list_fn)(void *arg, enum plex_status status,
                             const char *text, const struct work_actor *actors,
                             size_t n);
/* A page of 1000, and one more that tells whether another page follows. */
enum { WORK_LIST_MAX = 1001 };
/* Activations by id, part by part, after `after` ("" from the start), at most
 * `limit`, which is 1 to WORK_LIST_MAX. ns and type "" for all. */
void work_client_list(struct plex_link *link, const char *url,
                      const struct plex_context *context, const char *tenant,
                      const char *ns, const char *type, const char *after,
                      uint32_t limit, work_list_fn done, void *arg);
/* One actor, in memory or not; done() gets n = 1, or NOT_FOUND. */
void work_client_inspect(struct plex_link *link, const char *url,
                         const struct plex_context *context,
                         const struct plex_actor_id *actor, work_list_fn done,
                         void *arg);

/* Events in the record of a turn of an event-sourced actor; in `arena`. */
struct work_event {
    const char *type; /* never NULL */
    struct plex_bytes data;
};
PLEX_MUST_USE enum plex_status work_record_events(
    struct plex_bytes record, struct plex_arena *arena,
    const struct work_event **events, size_t *n, struct plex_err *err);

#endif
