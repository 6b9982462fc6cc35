#ifndef SERVICES_TUPLESPACE_CORE_H
#define SERVICES_TUPLESPACE_CORE_H

#include "common/bytes.h"

#include <stdint.h>

/*
 * The tuple space as a pure state machine: no clock, no threads, no sockets,
 * no store. What has to be stored and who has to be answered comes out as
 * actions, in order; an answer may leave only when every storing action
 * before it is durable.
 *
 * A space is named by (tenant, namespace, name) and made by its first use.
 * Within a space tuples are found in the order in which they were written, and
 * waiting callers are served in the order in which they came.
 */
enum {
    TSPACE_ID_BYTES = 16,
    TSPACE_NAME_MAX = 64,
    TSPACE_FIELDS_MAX = 1000,
    TSPACE_WRITE_MAX = 10000,   /* tuples per write */
    TSPACE_RESULTS_MAX = 10000, /* tuples per read or take */
    TSPACE_TUPLE_MAX = 1 << 20, /* bytes of one tuple's fields */
    TSPACE_WAIT_MAX_MS = 3600 * 1000,
    TSPACE_REMEMBER_MS = 600 * 1000, /* how long a request id is known */
};
#define TSPACE_TTL_MAX_MS (30ull * 24 * 3600 * 1000)

/* Numbers of tuplespace.v1 FieldType; also in the store: never renumber. */
enum tspace_type {
    TSPACE_INTEGER = 1,
    TSPACE_FLOAT = 2,
    TSPACE_STRING = 3,
    TSPACE_BOOLEAN = 4,
    TSPACE_BINARY = 5,
    TSPACE_NULL = 6,
};

struct tspace_field {
    enum tspace_type type;
    int64_t integer; /* also booleans: 0 or 1 */
    double real;
    struct plex_bytes bytes; /* strings (without NUL) and binary */
};

struct tspace_tuple {
    uint8_t id[TSPACE_ID_BYTES];
    uint64_t expires_ms; /* wall clock; 0 never */
    const struct tspace_field *fields;
    uint32_t n_fields;
};

struct tspace_pattern {
    enum { TSPACE_ANY, TSPACE_OF_TYPE, TSPACE_EXACT } kind;
    struct tspace_field field; /* EXACT: all; OF_TYPE: its type */
};

struct tspace_where {
    const char *tenant;
    const char *ns;
    const char *space;
};

struct tspace_now {
    uint64_t mono_ns;
    uint64_t wall_ms;
};

struct tspace_config {
    uint64_t spaces_max;
    uint64_t tuples_max;
    uint64_t bytes_max;
    uint32_t waiters_max;
    uint32_t requests_max; /* request ids remembered */
    /* Has the caller given up? Asked before a waiter gets a tuple; NULL: no. */
    bool (*gone)(void *arg, void *call);
    void *arg;
};

struct tspace_core;

struct tspace_core *tspace_core_create(const struct tspace_config *config);
/* Accepts NULL. Waiting callers are forgotten without an answer. */
void tspace_core_free(struct tspace_core *core);

/* `call` is the caller's handle, answered by exactly one TSPACE_REPLY. Tuple i
 * gets `first_id` plus i as a big-endian number. An empty request_id is not
 * remembered. Borrowed for the call. */
struct tspace_write {
    struct tspace_where where;
    const struct tspace_tuple *tuples;
    uint32_t n_tuples;
    uint64_t ttl_ms;
    struct plex_bytes request_id;
    uint8_t first_id[TSPACE_ID_BYTES];
};
void tspace_core_write(struct tspace_core *core, struct tspace_now now,
                       void *call, const struct tspace_write *write);

struct tspace_read {
    struct tspace_where where;
    const struct tspace_pattern *patterns;
    uint32_t n_patterns;
    uint64_t timeout_ms; /* 0: do not wait */
    uint32_t max_results;
    bool take;
    struct plex_bytes request_id; /* take only */
};
void tspace_core_read(struct tspace_core *core, struct tspace_now now,
                      void *call, const struct tspace_read *read);

uint64_t tspace_core_count(const struct tspace_core *core,
                           struct tspace_now now,
                           const struct tspace_where *where,
                           const struct tspace_pattern *patterns, uint32_t n);

/* Ends waits that ran out and removes what expired. */
void tspace_core_tick(struct tspace_core *core, struct tspace_now now);
/* Milliseconds until a tick has work to do; UINT64_MAX: nothing is due. */
uint64_t tspace_core_wait_ms(const struct tspace_core *core,
                             struct tspace_now now);
/* Answer every waiter UNAVAILABLE. */
void tspace_core_fail_waiters(struct tspace_core *core, const char *text);

enum tspace_action_kind {
    TSPACE_PUT,      /* store `tuple` in `where` */
    TSPACE_REMOVE,   /* forget the tuple `tuple->id` */
    TSPACE_REMEMBER, /* store request_id -> answer until expires_ms */
    TSPACE_FORGET,   /* drop request_id */
    TSPACE_REPLY,    /* answer `call` */
};
/* What a write or a take was answered. */
struct tspace_answer {
    bool is_write;
    uint8_t first_id[TSPACE_ID_BYTES];  /* write */
    const struct tspace_tuple **tuples; /* take, read */
    uint32_t n;                         /* ids or tuples */
};
struct tspace_action {
    enum tspace_action_kind kind;
    struct tspace_where where;
    const struct tspace_tuple *tuple;
    struct plex_bytes request_id;
    uint64_t expires_ms;
    const struct tspace_answer *answer;
    void *call;
    enum plex_status status;
    const char *text;
};
/* The next action; what it points to is valid until the next call. */
bool tspace_core_next(struct tspace_core *core, struct tspace_action *out);

/* Put back what a store held, in the order in which it was written. Expired
 * entries are accepted and removed by the next tick. */
void tspace_core_restore_tuple(struct tspace_core *core,
                               const struct tspace_where *where,
                               const struct tspace_tuple *tuple);
void tspace_core_restore_request(struct tspace_core *core,
                                 const struct tspace_where *where,
                                 struct plex_bytes request_id,
                                 uint64_t expires_ms,
                                 const struct tspace_answer *answer);

struct tspace_stats {
    uint64_t tuples, bytes, spaces, waiters, requests;
};
struct tspace_stats tspace_core_stats(const struct tspace_core *core);

/* Id number `index` of a write that began at `first`. */
void tspace_id_at(const uint8_t first[TSPACE_ID_BYTES], uint32_t index,
                  uint8_t out[TSPACE_ID_BYTES]);
bool tspace_match(const struct tspace_tuple *tuple,
                  const struct tspace_pattern *patterns, uint32_t n);

#endif
