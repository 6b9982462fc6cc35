#ifndef SERVICES_TUPLESPACE_ENGINE_ACTION_H
#define SERVICES_TUPLESPACE_ENGINE_ACTION_H

#include "services/tuplespace/engine/core_tx.h"

/*
 * What comes out of the core. A store is one map
 *
 *     (tenant, namespace, space, kind, key) -> body
 *
 * to whose bytes only the core gives meaning. Space is "" for records that
 * belong to none. Keys are 1 to TSPACE_KEY_MAX bytes.
 */
enum { TSPACE_KEY_MAX = 600, TSPACE_BODY_MAX = 32 << 20 };

/* In stores: never renumber. */
enum tspace_record {
    TSPACE_RECORD_TUPLE = 1, /* key: its id, 8 bytes, big endian */
    TSPACE_RECORD_REQUEST = 2,
    TSPACE_RECORD_TX = 3,
    TSPACE_RECORD_CLAIM = 4,
    TSPACE_RECORD_SUBSCRIPTION = 5,
    TSPACE_RECORD_EVENT = 6,
    TSPACE_RECORD_SPACE = 7,
};

struct tspace_tuple {
    uint64_t id;
    uint64_t expires_ms; /* wall clock; 0: never */
    uint64_t written_ms;
    struct plex_bytes packed;
    struct plex_bytes owner; /* of the lease */
    struct plex_bytes meta;
};

/* What a request was answered; core.h says which fields. */
struct tspace_answer {
    uint64_t first_id; /* write: ids are first_id to first_id + n - 1 */
    uint64_t number;
    uint64_t cursor; /* 0: there is nothing more */
    uint32_t n;
    bool is_write;
};
/* Tuple i of an answer that is not a write's. Borrowed from the answer. */
void tspace_answer_tuple(const struct tspace_answer *answer, uint32_t i,
                         struct tspace_tuple *out);

struct tspace_notice {
    uint64_t subscription;
    uint64_t number; /* guaranteed: 1, 2, 3...; else 0 */
    uint64_t lost;   /* how many before it were dropped */
    /* Guaranteed: the number of the one before it that is not acknowledged
     * either, 0: it is the first. Who has had that one misses nothing. */
    uint64_t previous;
    enum tspace_event event;
    bool guaranteed;
    struct plex_bytes target;
    struct tspace_tuple tuple;
};

enum tspace_action_kind {
    TSPACE_PUT,    /* store: where, record, key, body; replaces */
    TSPACE_REMOVE, /* forget: where, record, key; may be absent */
    TSPACE_REPLY,  /* answer `call` */
    TSPACE_NOTIFY, /* tell notice->target; like a reply, after the commit */
};
struct tspace_action {
    enum tspace_action_kind kind;
    enum tspace_record record;
    struct tspace_where where;
    struct plex_bytes key;
    struct plex_bytes body;
    void *call;
    enum plex_status status;            /* REPLY */
    const char *text;                   /* REPLY: why not OK */
    const struct tspace_answer *answer; /* REPLY, OK: never NULL */
    const struct tspace_notice *notice;
};
/* The next action; what it points to is valid until the next call. */
bool tspace_core_next(struct tspace_core *core, struct tspace_action *out);

/*
 * Put back what a store held, into a new core, in any order; then `restored`
 * once, before the first request. Nothing is emitted for it but notifications
 * to repeat. PLEX_CORRUPT for what does not decode or fit together.
 */
PLEX_MUST_USE enum plex_status tspace_core_restore(
    struct tspace_core *core, const struct tspace_where *where,
    enum tspace_record record, struct plex_bytes key, struct plex_bytes body,
    struct plex_err *err);
PLEX_MUST_USE enum plex_status tspace_core_restored(struct tspace_core *core,
                                                    struct tspace_now now,
                                                    struct plex_err *err);

#endif
