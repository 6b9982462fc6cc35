#ifndef SERVICES_REGISTRY_KV_H
#define SERVICES_REGISTRY_KV_H

#include "services/registry/keep.h"

/*
 * Keys and values of tenants and namespaces: the state machine. Everything is
 * in memory, in order of the keys; the shell writes what changes (keep.h).
 *
 * Every change of a key (put, delete, expiry) has a revision of its own, one
 * more than the one before; the last ones are remembered for watchers.
 * Requests under an id are remembered for ten minutes.
 */
struct reg_kv;

enum {
    REG_KV_KEY_MAX = 1024,
    REG_KV_VALUE_MAX = 1 << 20,
    REG_KV_BATCH_MAX = 1000,
    REG_KV_BATCH_BYTES = 4 << 20,
    REG_KV_PAGE_MAX = 1000,
    REG_KV_TTL_MIN_MS = 1000,
    REG_KV_WATCH_MS_MAX = 60000,
    REG_KV_REQUEST_ID_MAX = 64,
    REG_KV_REQUEST_MS = 600000,
};
#define REG_KV_TTL_MAX_MS (30ULL * 86400000)

struct reg_kv_config {
    uint64_t keys_max;
    uint64_t bytes_max; /* keys, values and what is remembered of events */
    uint32_t watchers_max;
    uint32_t requests_max;    /* ids remembered */
    uint32_t events_max;      /* changes remembered, at most bytes_max / 4 */
    bool (*gone)(void *call); /* the caller does not wait any more; or NULL */
};
extern const struct reg_kv_config reg_kv_defaults;

/* One key as it was at some revision. Immutable, counted. */
struct reg_kv_rec {
    unsigned refs;
    const char *tenant, *ns, *key; /* inside */
    struct plex_bytes value;       /* inside */
    uint64_t version;
    uint64_t updated_ms;
    uint64_t expires_ms; /* wall clock; 0: never */
};
void reg_kv_rec_unref(struct reg_kv_rec *rec);

enum reg_kv_op {
    REG_KV_GET = 1,
    REG_KV_PUT,    /* value, ttl_ms */
    REG_KV_DELETE, /* - */
    REG_KV_LIST,   /* prefix, after, page_size */
    REG_KV_MULTI_GET,
    REG_KV_MULTI_PUT,
    REG_KV_REFRESH, /* ttl_ms; 0: for ever */
    REG_KV_CAS,
    REG_KV_INCREMENT, /* delta */
    REG_KV_CLEAR,     /* prefix */
    REG_KV_COUNT,     /* prefix */
    REG_KV_STATS,
    REG_KV_WATCH, /* key or prefix, since, timeout_ms */
};
struct reg_kv_pair {
    const char *key;
    struct plex_bytes value;
};
/* Checked by the caller (kv_wire.h); borrowed for the call. */
struct reg_kv_request {
    enum reg_kv_op op;
    const char *tenant, *ns;
    const char *key; /* WATCH: NULL: prefix */
    const char *prefix;
    const char *after; /* LIST: begin above this key; "" */
    struct plex_bytes value;
    const struct reg_kv_pair *pairs; /* the multi ones; keys only for GET */
    size_t n_pairs;
    uint32_t page_size;
    uint64_t ttl_ms; /* 0: none */
    int64_t delta;
    bool expect_value, expect_version; /* CAS; neither: must not exist */
    struct plex_bytes expected;
    uint64_t version;
    uint64_t since, timeout_ms;
    bool with_values;       /* the encoder's, of LIST */
    bool as_text;           /* the encoder's */
    uint32_t method;        /* the encoder's */
    const char *request_id; /* "" or an id; of changes only */
    uint64_t digest;        /* of the request's content */
};

enum reg_kv_event_kind {
    REG_KV_EVENT_PUT = 1,
    REG_KV_EVENT_DELETE,
    REG_KV_EVENT_EXPIRE
};
struct reg_kv_event {
    enum reg_kv_event_kind kind;
    uint64_t revision;
    struct reg_kv_rec *rec; /* a reference; deleted: as it was */
};
/* What a change did: all that is remembered under its request id. */
struct reg_kv_outcome {
    bool done;        /* deleted, swapped, put */
    uint64_t version; /* of the key now, or of the last one written */
    uint64_t count;   /* CLEAR */
    int64_t number;   /* INCREMENT */
};
/* action.answer of a reply that is PLEX_OK. */
struct reg_kv_answer {
    uint32_t method;
    bool with_values, as_text;
    uint64_t wall_ms; /* when it was made */
    struct reg_kv_outcome outcome;
    struct reg_kv_rec **recs; /* GET, LIST, MULTI_GET */
    size_t n_recs;
    struct reg_kv_event *events; /* WATCH */
    size_t n_events;
    bool more;         /* LIST: there are more keys after the last one */
    bool lost;         /* WATCH */
    uint64_t revision; /* LIST, WATCH, STATS */
    uint64_t keys, value_bytes, keys_total, bytes_total, watchers;
};
/* action.answer of a row. */
struct reg_kv_row {
    enum reg_row_kind kind; /* VALUE or REQUEST */
    struct reg_kv_rec *rec; /* VALUE; a reference */
    bool gone;
    /* REQUEST; strings inside. */
    char *tenant, *ns, *id;
    uint64_t digest, at_ms;
    struct reg_kv_outcome outcome;
};
void reg_kv_action_free(struct reg_keep_action *action);

struct reg_kv *reg_kv_create(const struct reg_kv_config *config);
void reg_kv_free(struct reg_kv *kv); /* accepts NULL */
/* At start, in any order, perhaps twice; then reg_kv_loaded(). */
void reg_kv_load(struct reg_kv *kv, const char *tenant, const char *ns,
                 const char *key, const struct reg_kv_rec *rec);
void reg_kv_load_request(struct reg_kv *kv, const struct reg_kv_row *row);
void reg_kv_loaded(struct reg_kv *kv, uint64_t revision, struct reg_when when);

/* Ends with exactly one reply. */
void reg_kv_request(struct reg_kv *kv, void *call,
                    const struct reg_kv_request *request, struct reg_when when);
void reg_kv_tick(struct reg_kv *kv, struct reg_when when);
/* Whoever watches is told UNAVAILABLE. */
void reg_kv_dismiss(struct reg_kv *kv, const char *why);

bool reg_kv_next(struct reg_kv *kv, struct reg_keep_action *out);
uint64_t reg_kv_wake(const struct reg_kv *kv);
uint64_t reg_kv_revision(const struct reg_kv *kv);
struct reg_kv_stats {
    uint64_t keys, bytes, watchers, requests, events;
};
struct reg_kv_stats reg_kv_stats(const struct reg_kv *kv);

#endif
