#ifndef SERVICES_TUPLESPACE_ENGINE_CORE_TX_H
#define SERVICES_TUPLESPACE_ENGINE_CORE_TX_H

#include "services/tuplespace/engine/core.h"

/* Requests about what outlives one operation: transactions, claims,
 * subscriptions. */

/*
 * Transactions, isolated as in JavaSpaces: tuples taken are hidden from all
 * others, tuples read cannot be taken by others, tuples written are seen
 * inside only. Everything ends exactly once: commit after commit is OK again,
 * commit after abort or timeout is CONFLICT. A blocking operation that closes
 * a circle of transactions waiting for each other aborts its own: CONFLICT.
 * After `prepare` a transaction has no timeout, survives a restart and can
 * only be committed or aborted. Answer of begin: number is its id.
 */
struct tspace_begin {
    struct tspace_op op;
    uint64_t timeout_ms; /* 1 to TSPACE_TX_MAX_MS */
};
void tspace_core_begin(struct tspace_core *core, struct tspace_now now,
                       const struct tspace_begin *begin);
enum tspace_end { TSPACE_PREPARE, TSPACE_COMMIT, TSPACE_ABORT };
/* op->tx says which. */
void tspace_core_end(struct tspace_core *core, struct tspace_now now,
                     const struct tspace_op *op, enum tspace_end how);

/*
 * End all claims of (owner, turn) in the tenant and namespace, in all spaces:
 * the tuples are gone (CONFIRM), return to their old places (RELEASE), or
 * stay claimed for lease_ms from now (RENEW). Answer: number of tuples.
 * NOT_FOUND: no such claim; CONFLICT: it lapsed or was released, or confirmed
 * when it is to be released. The same verb again is OK for ten minutes.
 */
enum tspace_claim_verb { TSPACE_CONFIRM, TSPACE_RELEASE, TSPACE_RENEW };
struct tspace_claim {
    struct tspace_op op;
    struct tspace_claim_of claim;
    enum tspace_claim_verb verb;
};
void tspace_core_claim(struct tspace_core *core, struct tspace_now now,
                       const struct tspace_claim *claim);

enum tspace_event {
    TSPACE_WRITTEN = 1,
    TSPACE_TAKEN = 2, /* also cancelled, cleared, moved away */
    TSPACE_EXPIRED = 4,
    TSPACE_UPDATED = 8,
    TSPACE_EVENTS_ALL = 15,
};
/*
 * Tell `target` (the shell's words: an actor, a channel, a webhook, a
 * connection) about events on matching tuples, by TSPACE_NOTIFY. Best effort:
 * once, forgotten on restart. Guaranteed: numbered from 1 without gaps,
 * stored with the change itself, repeated until acknowledged, at most
 * config.events_max waiting; past that the oldest are dropped and the next
 * notification says how many (`lost`). Answer: number is the id.
 */
struct tspace_subscribe {
    struct tspace_op op;
    struct tspace_template *template; /* may be "everything" */
    unsigned events;
    bool guaranteed;
    uint64_t ttl_ms; /* 0: until unsubscribed */
    struct plex_bytes target;
};
void tspace_core_subscribe(struct tspace_core *core, struct tspace_now now,
                           const struct tspace_subscribe *subscribe);
enum tspace_subscription_verb {
    TSPACE_UNSUBSCRIBE,
    TSPACE_ACKNOWLEDGE, /* everything up to `up_to` */
    TSPACE_REDELIVER,   /* what is not acknowledged, now */
};
struct tspace_subscription {
    struct tspace_op op;
    uint64_t id;
    enum tspace_subscription_verb verb;
    uint64_t up_to;
};
void tspace_core_subscription(struct tspace_core *core, struct tspace_now now,
                              const struct tspace_subscription *request);

#endif
