#ifndef SERVICES_JOURNAL_CLIENT_H
#define SERVICES_JOURNAL_CLIENT_H

#include "common/bytes.h"
#include "common/link.h"
#include "common/name.h"

/*
 * What others may know of plex-journal: the entries it keeps and the calls it
 * answers. The structs are also the vocabulary of its core, so the simulator
 * speaks to the core in the same words. Everything is borrowed for the call.
 * Field meanings, units and limits: proto/internal/.../journal.proto.
 */
enum {
    JOURNAL_ID_MAX = 300,        /* bytes of a message or pending id */
    JOURNAL_STATE_MAX = 8 << 20, /* bytes */
    JOURNAL_ENTRIES_MAX = 4096,  /* per append */
    JOURNAL_RECENT_MAX = 1000,   /* recorded answers per load */
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
};
struct journal_recorded {
    struct plex_bytes message_id;
    uint64_t request_hash;
    uint64_t expires_ms;
    struct plex_bytes reply;
    uint64_t seq;
};
struct journal_loaded {
    uint64_t last_seq; /* 0: never seen */
    bool has_state;
    struct plex_bytes state;
    uint32_t schema_version;
    uint64_t state_seq;
    const struct journal_recorded *recent; /* newest first */
    size_t n_recent;
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

struct journal_pending_item {
    struct plex_actor_id owner;
    struct journal_pending pending;
};

/* -- calls over a link ---------------------------------------------------- */

/* Each done() runs once, on the loop. With a status but PLEX_OK the pointer is
 * NULL; PLEX_UNKNOWN means that it may or may not have been done. Appends are
 * retried by the link with the same content until the context's deadline:
 * an entry that an earlier attempt wrote comes back as EXISTS with its own
 * reply, or CONFLICT where it has no message id. */
struct journal_client {
    struct plex_link *link;
    const char *url; /* of the journal's inbox; may change between calls */
};

typedef void (*journal_append_fn)(void *arg, enum plex_status status,
                                  const char *text,
                                  const struct journal_result *results,
                                  size_t n);
void journal_client_append(struct journal_client *client,
                           const struct plex_context *context,
                           const struct journal_entry *entries, size_t n,
                           journal_append_fn done, void *arg);

typedef void (*journal_load_fn)(void *arg, enum plex_status status,
                                const char *text,
                                const struct journal_loaded *loaded);
void journal_client_load(struct journal_client *client,
                         const struct plex_context *context,
                         const struct journal_load *load, journal_load_fn done,
                         void *arg);

/* newest_epoch is set when status is PLEX_FENCED. */
typedef void (*journal_fence_fn)(void *arg, enum plex_status status,
                                 const char *text, uint64_t newest_epoch);
void journal_client_fence(struct journal_client *client,
                          const struct plex_context *context,
                          const struct journal_fence *ranges, size_t n,
                          journal_fence_fn done, void *arg);

typedef void (*journal_lookup_fn)(void *arg, enum plex_status status,
                                  const char *text,
                                  const struct journal_lookup *found);
void journal_client_lookup(struct journal_client *client,
                           const struct plex_context *context,
                           const char *tenant, struct plex_bytes message_id,
                           journal_lookup_fn done, void *arg);

/* `next` is empty at the end; pass it as `after` otherwise. */
typedef void (*journal_pending_fn)(void *arg, enum plex_status status,
                                   const char *text,
                                   const struct journal_pending_item *items,
                                   size_t n, struct plex_bytes next);
void journal_client_pending(struct journal_client *client,
                            const struct plex_context *context, uint32_t first,
                            uint32_t last, struct plex_bytes after,
                            uint32_t limit, journal_pending_fn done, void *arg);

#endif
