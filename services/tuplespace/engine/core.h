#ifndef SERVICES_TUPLESPACE_ENGINE_CORE_H
#define SERVICES_TUPLESPACE_ENGINE_CORE_H

#include "services/tuplespace/engine/template.h"

/*
 * The tuple space as a pure state machine: no clock, no threads, no sockets,
 * no store, no randomness. Requests go in, actions come out (action.h), in
 * order. An answer may leave only when every storing action before it is
 * durable; a shell commits all that one loop iteration caused as one
 * transaction and then sends the answers.
 *
 * Everything lives in a space, named by (tenant, namespace, name) and made by
 * its first use. Transactions, claims and subscriptions are in core_tx.h. A
 * tuple's id is unique within a core's spaces for ever, and ids grow in the
 * order of writing. Waiting callers are served in the order of their coming.
 *
 * What a request borrows, it borrows for the call.
 */
enum {
    TSPACE_NAME_MAX = 64,
    TSPACE_WRITE_MAX = 10000,   /* tuples per write */
    TSPACE_RESULTS_MAX = 10000, /* tuples per answer, and moved per collect */
    TSPACE_WAIT_MAX_MS = 3600 * 1000,
    TSPACE_TX_MAX_MS = 3600 * 1000,
    TSPACE_TX_TUPLES_MAX = 10000,    /* written, taken or read by one */
    TSPACE_REMEMBER_MS = 600 * 1000, /* how long a request id is known */
    TSPACE_REQUEST_ID_MAX = 64,
    TSPACE_LEASE_OWNER_MAX = 255,
    TSPACE_META_MAX = 4096,
    TSPACE_CLAIM_OWNER_MAX = 512,
    TSPACE_TARGET_MAX = 2048,
    TSPACE_INDEXES_MAX = 8,       /* per number of fields of a space */
    TSPACE_ANSWER_MAX = 8 << 20,  /* bytes of tuples; but at least one tuple */
    TSPACE_ID_SHARD = 59,         /* bits below the shard in an id */
    TSPACE_PARTITION_FIELDS = 64, /* that may be partitioned by */
};
#define TSPACE_TTL_MAX_MS (30ull * 24 * 3600 * 1000)

struct tspace_where {
    const char *tenant;
    const char *ns;
    const char *space;
};

struct tspace_now {
    uint64_t mono_ns;
    uint64_t wall_ms;
};

/* Bugs for tests to find; never set by a service. */
enum tspace_unsafe {
    TSPACE_UNSAFE_CLAIM_LOST = 1,    /* a lapsed claim does not return */
    TSPACE_UNSAFE_TAKEN_TWICE = 2,   /* a woken taker's tuple stays */
    TSPACE_UNSAFE_NOT_WOKEN = 4,     /* what returns wakes nobody */
    TSPACE_UNSAFE_EXPIRED_TAKEN = 8, /* expired tuples may be taken */
    TSPACE_UNSAFE_DIRTY_READ = 16,   /* others see a transaction's writes */
};

/* 0 means no limit, but for the counts of requests and waiters. */
struct tspace_config {
    /* From the store, greater with every start of a core over the same data,
     * below 1 << 24; ids begin with it. Also fences the store's commits. */
    uint64_t epoch;
    /* 0 to TSPACE_PARTS (part.h), and what ids say of where they are from: the
     * shard of id >> TSPACE_ID_SHARD. Above 0 the epoch is below 1 << 19. */
    uint32_t shard;
    uint64_t hash_seed; /* random: a client must not foresee collisions */
    uint64_t spaces_max;
    uint64_t tuples_max;
    uint64_t bytes_max;
    uint64_t tenant_tuples_max; /* the same per tenant */
    uint64_t tenant_bytes_max;
    uint32_t tenant_waiters_max;
    uint32_t waiters_max;
    uint32_t requests_max; /* answers remembered; past it the oldest goes */
    uint32_t tenant_requests_max;
    uint64_t remember_bytes_max; /* of tuples in them; 0: 256 MiB */
    uint64_t tenant_remember_bytes_max;
    uint32_t tenant_spaces_max;
    uint32_t tenant_tx_max;
    uint32_t tenant_subscriptions_max;
    uint32_t tx_max;
    uint32_t subscriptions_max;
    uint32_t events_max;   /* unacknowledged per guaranteed subscription */
    uint32_t redeliver_ms; /* first interval of redelivery; 0: 5000 */
    /* A search that has looked at so many tuples while an index for it could
     * be made is refused, UNAVAILABLE, and the index is made. 0: 500,000. */
    uint64_t scan_max;
    bool transient;  /* nothing is stored: emit no PUT, no REMOVE */
    unsigned unsafe; /* enum tspace_unsafe */
    /* Has the caller given up? Asked before a waiter gets a tuple; NULL: no. */
    bool (*gone)(void *arg, void *call);
    void *arg;
};

struct tspace_core;

struct tspace_core *tspace_core_create(const struct tspace_config *config);
/* Accepts NULL. Waiting callers are forgotten without an answer. */
void tspace_core_free(struct tspace_core *core);

/*
 * What every request has. `call` is the caller's handle, answered by exactly
 * one TSPACE_REPLY, now or later. With a request id the answer is remembered:
 * the same id with the same fingerprint (a hash of the request) gets the first
 * answer, with another fingerprint MISMATCH, while the first one waits
 * IN_FLIGHT. Failures are not remembered. Ids are per tenant and namespace.
 */
struct tspace_op {
    void *call;
    struct tspace_where where;    /* space "" where an operation needs none */
    uint64_t tx;                  /* 0: none; NOT_FOUND, CONFLICT (ended) */
    struct plex_bytes request_id; /* empty: not remembered */
    uint64_t fingerprint;
};

/* Answer: first_id and n. Refused as a whole: INVALID (ttl), LIMIT (quotas).
 * `tuples` are packed and checked. */
struct tspace_write {
    struct tspace_op op;
    const struct plex_bytes *tuples;
    uint32_t n_tuples;
    uint64_t ttl_ms;         /* 0: the space's default */
    struct plex_bytes owner; /* of the lease; may be empty */
    struct plex_bytes meta;  /* kept with each tuple; may be empty */
};
void tspace_core_write(struct tspace_core *core, struct tspace_now now,
                       const struct tspace_write *write);

/*
 * Which of the matching tuples comes first. XVSM's coordinators: FIFO is
 * OLDEST, LIFO is NEWEST, PRIORITY is MAX (or MIN) of a field, RANDOM is
 * RANDOM; KEY and LABEL are exact matchers on the field that is the key or
 * label, each with an index of its own.
 */
enum tspace_order {
    TSPACE_OLDEST,
    TSPACE_NEWEST,
    TSPACE_LEAST, /* of field order_field; ties: oldest */
    TSPACE_MOST,
    TSPACE_RANDOM, /* by `random` */
};

struct tspace_claim_of {
    struct plex_bytes owner; /* an actor, a worker; empty: no claim */
    uint64_t turn;
    uint64_t lease_ms;
};

/*
 * read, take, read_all, take_all, blocking or not; exists is a read of one.
 * Answer: tuples (none when nothing matched in time) and, for TSPACE_OLDEST,
 * a cursor when there may be more. LIMIT when a regular expression gave up.
 * The template may be "everything" unless timeout_ms is set.
 */
struct tspace_read {
    struct tspace_op op;
    struct tspace_template *template;
    uint64_t id;         /* only this tuple; 0: any */
    uint64_t timeout_ms; /* 0: do not wait */
    uint32_t max_results;
    bool take;
    enum tspace_order order;
    uint32_t order_field;
    uint64_t random;
    uint64_t after;               /* a cursor: only tuples with greater ids */
    struct tspace_claim_of claim; /* take only, not within a transaction */
};
void tspace_core_read(struct tspace_core *core, struct tspace_now now,
                      const struct tspace_read *read);

/* Answer: number. The template may be "everything". */
struct tspace_count {
    struct tspace_op op;
    struct tspace_template *template;
};
void tspace_core_count(struct tspace_core *core, struct tspace_now now,
                       const struct tspace_count *count);

/*
 * Replace a tuple's fields in place: id, place in the order and (ttl_ms 0)
 * lease stay. compare_and_swap: the oldest match of `template`, which is often
 * exact; update: by `id`, whose tuple must match too. Answer: the new tuple, n
 * 1; n 0 when nothing matched and nothing changed. In a transaction the old
 * tuple is taken and the new one is written: with an id and place of its own.
 */
struct tspace_swap {
    struct tspace_op op;
    struct tspace_template *template;
    uint64_t id; /* 0: any */
    struct plex_bytes packed;
    uint64_t ttl_ms;
};
void tspace_core_swap(struct tspace_core *core, struct tspace_now now,
                      const struct tspace_swap *swap);

/* Move (collect) or copy (copy_collect) matches to another space of the same
 * tenant and namespace, as one step. Answer: number. `to` "" with move:
 * clear. Copies are new tuples with the lease of the original. At most `max`
 * (0: TSPACE_RESULTS_MAX; a clear has no limit of its own). */
struct tspace_collect {
    struct tspace_op op;
    struct tspace_template *template; /* may be "everything" */
    const char *to;
    uint32_t max;
    bool copy;
};
void tspace_core_collect(struct tspace_core *core, struct tspace_now now,
                         const struct tspace_collect *collect);

/* Renew (ttl from now; 0: for ever) or cancel (the tuple goes) a lease. In a
 * transaction: renew that of a tuple which it wrote (else UNSUPPORTED), or take
 * the tuple.
 * NOT_FOUND after expiry; DENIED when the lease has an owner and it is not
 * this one. Answer: the tuple. */
struct tspace_lease {
    struct tspace_op op;
    uint64_t id;
    uint64_t ttl_ms;
    struct plex_bytes owner;
    bool cancel;
};
void tspace_core_lease(struct tspace_core *core, struct tspace_now now,
                       const struct tspace_lease *lease);

/* A space's options; 0 each: none. */
struct tspace_index {
    uint32_t fields;  /* of the tuples it is for */
    uint64_t exact;   /* bit i: field i by value (the first 64) */
    uint64_t types;   /* bit i: field i by type */
    uint32_t ordered; /* 1 + a field to be ordered by; 0: hashed only */
};
struct tspace_options {
    uint64_t tuples_max;
    uint64_t bytes_max;
    uint32_t waiters_max;
    uint64_t default_ttl_ms;
    /* 1 + the field by whose value, or TSPACE_PARTITION_OWN: as a whole, it is
     * placed apart from the namespace (part.h). The core sees to it that this
     * stays as it is once there was anything in the space. */
    uint32_t partition_field;
    uint32_t n_indexes;
    struct tspace_index indexes[TSPACE_INDEXES_MAX];
};
#define TSPACE_PARTITION_OWN UINT32_MAX
/* Declared indexes are kept besides those made by use. Empty answer. A
 * partition_field of 0 changes none; CONFLICT: the space is in use with another
 * one. */
void tspace_core_configure(struct tspace_core *core, struct tspace_now now,
                           const struct tspace_op *op,
                           const struct tspace_options *options);

/* Ends waits, leases, claims and transactions whose time is up, redelivers,
 * builds indexes: a bounded amount of work. */
void tspace_core_tick(struct tspace_core *core, struct tspace_now now);
/* Milliseconds until a tick has work to do; UINT64_MAX: nothing is due. */
uint64_t tspace_core_wait_ms(const struct tspace_core *core,
                             struct tspace_now now);
/* Answer every waiter UNAVAILABLE. */
void tspace_core_fail_waiters(struct tspace_core *core, const char *text);
/* This caller is gone: forget its wait, without an answer. False: it does not
 * wait; it has its answer. */
bool tspace_core_cancel(struct tspace_core *core, void *call);

struct tspace_stats {
    uint64_t tuples, bytes, spaces, waiters, requests;
    uint64_t transactions, claims, subscriptions, events;
    uint64_t indexes, index_bytes;
    uint64_t written, taken, expired, scanned; /* since the start */
};
struct tspace_stats tspace_core_stats(const struct tspace_core *core);

struct tspace_space_stats {
    struct tspace_options options;
    uint64_t tuples, bytes, waiters, indexes;
};
/* False: no such space. */
bool tspace_core_space_stats(const struct tspace_core *core,
                             const struct tspace_where *where,
                             struct tspace_space_stats *out);
/* The space's partition_field; 0 also when there is no such space. */
uint32_t tspace_core_partition(const struct tspace_core *core,
                               const struct tspace_where *where);
/* Would tspace_core_configure() take this one? */
bool tspace_core_may_place(const struct tspace_core *core,
                           const struct tspace_where *where,
                           uint32_t partition_field);
/* The shards, a bit each, where spaces of the namespace are that have a
 * partition_field; these are few. */
uint32_t tspace_core_parts(const struct tspace_core *core,
                           const struct tspace_where *of);
/* The names of a namespace's spaces after `after`, in order: up to `max` are
 * written to `names` (valid until the next request); returns how many. */
uint32_t tspace_core_spaces(const struct tspace_core *core,
                            const struct tspace_where *of, const char *after,
                            const char **names, uint32_t max);

#endif
