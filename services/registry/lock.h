#ifndef SERVICES_REGISTRY_LOCK_H
#define SERVICES_REGISTRY_LOCK_H

#include "services/registry/keep.h"

/*
 * Locks of tenants and namespaces: the state machine.
 *
 * A tenure begins when a lock is granted and ends when it is released, deleted
 * or its lease lapses. Every tenure has a token, greater than those of all
 * tenures before it, over restarts too, and a version, which is what its holder
 * shows. Who waits is served in the order of coming. After a restart every lock
 * that was held has its whole lease again, so that none is given away early.
 */
struct reg_locks;

enum {
    REG_LOCK_KEY_MAX = 1024,
    REG_LOCK_HOLDER_MAX = 255,
    REG_LOCK_META_MAX = 1024,
    REG_LOCK_LEASE_MIN_MS = 1000,
    REG_LOCK_LEASE_MAX_MS = 3600000,
    REG_LOCK_WAIT_MAX_MS = 3600000,
    REG_LOCK_PAGE_MAX = 1000,
    REG_LOCK_VERSION_LEN = 26,
};

struct reg_lock_config {
    uint64_t locks_max;       /* held at once */
    uint32_t waiters_max;     /* in all */
    bool (*gone)(void *call); /* the caller does not wait any more; or NULL */
};
extern const struct reg_lock_config reg_lock_defaults;

/* One lock as it was. Strings inside. */
struct reg_lock_info {
    char *tenant, *ns, *key, *holder, *metadata;
    char version[REG_LOCK_VERSION_LEN + 1];
    uint64_t token, lease_ms, left_ms, expires_ms, acquired_ms, renewed_ms;
    uint32_t waiters;
};

enum reg_lock_op {
    REG_LOCK_ACQUIRE = 1,
    REG_LOCK_RENEW,
    REG_LOCK_RELEASE,
    REG_LOCK_GET,
    REG_LOCK_LIST,
    REG_LOCK_DELETE,
};
/* Checked by the caller (lock_wire.h); borrowed for the call. */
struct reg_lock_request {
    enum reg_lock_op op;
    const char *tenant, *ns;
    const char *key, *holder, *version, *metadata;
    /* ACQUIRE: what the version will be, if it is granted: unique. */
    const char *new_version;
    uint64_t lease_ms; /* RENEW: 0: as before */
    uint64_t wait_ms;
    const char *prefix, *after; /* LIST; holder "" for all */
    uint32_t page_size;
    uint32_t method; /* the encoder's */
};

/* action.answer of a reply that is PLEX_OK. */
struct reg_lock_answer {
    uint32_t method;
    struct reg_lock_info *locks; /* owned */
    size_t n_locks;
    bool more;
};
/* action.answer of a row; with `gone` only names. */
struct reg_lock_row {
    bool gone;
    struct reg_lock_info lock;
};
void reg_lock_action_free(struct reg_keep_action *action);

struct reg_locks *reg_locks_create(const struct reg_lock_config *config);
void reg_locks_free(struct reg_locks *locks); /* accepts NULL */
/* At start, in any order, perhaps twice; then reg_locks_loaded(). */
void reg_locks_load(struct reg_locks *locks, const struct reg_lock_info *lock,
                    struct reg_when when);
void reg_locks_loaded(struct reg_locks *locks, uint64_t token);

/* Ends with exactly one reply. Errors: EXISTS (another holds it, and wait_ms
 * are over), NOT_FOUND (nobody holds it), CONFLICT (another does), CANCELLED
 * (the same holder waits anew), LIMIT. */
void reg_locks_request(struct reg_locks *locks, void *call,
                       const struct reg_lock_request *request,
                       struct reg_when when);
void reg_locks_tick(struct reg_locks *locks, struct reg_when when);
/* Whoever waits is told UNAVAILABLE. */
void reg_locks_dismiss(struct reg_locks *locks, const char *why);

bool reg_locks_next(struct reg_locks *locks, struct reg_keep_action *out);
uint64_t reg_locks_wake(const struct reg_locks *locks);
/* The last token given. */
uint64_t reg_locks_token(const struct reg_locks *locks);
struct reg_lock_stats {
    uint64_t held, waiters;
};
struct reg_lock_stats reg_locks_stats(const struct reg_locks *locks);

#endif
