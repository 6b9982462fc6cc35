#ifndef SERVICES_PLACEMENT_STORE_H
#define SERVICES_PLACEMENT_STORE_H

#include "common/bytes.h"

/*
 * What placement keeps: the leader's lease and the newest table of each pool.
 *
 * A store belongs to one thread; calls block. Back ends by DSN: "mem:",
 * "sqlite:PATH", "postgres://...". Every failure of the back end itself is
 * PLEX_UNAVAILABLE (the outcome of a write is then unknown), a full disk
 * PLEX_LIMIT, damaged data PLEX_CORRUPT.
 */
struct place_store;

enum {
    PLACE_HOLDER_MAX = 64,     /* bytes of a holder's name */
    PLACE_POOL_MAX = 64,       /* of a pool's */
    PLACE_BODY_MAX = 16 << 20, /* of a table */
};

/* PLEX_INVALID for a DSN that names no back end. */
PLEX_MUST_USE enum plex_status place_store_check(const char *dsn,
                                                 struct plex_err *err);
PLEX_MUST_USE enum plex_status place_store_open(struct place_store **out,
                                                const char *dsn,
                                                struct plex_err *err);
void place_store_close(struct place_store *store); /* accepts NULL */

/*
 * Become the leader for ttl_ms: when nobody is, when the last one's lease has
 * run out, or when `holder` is the last one (it restarted). *epoch is then
 * higher than every one before. Postgres uses the server's clock, the others
 * now_ms.
 *
 * Errors: PLEX_CONFLICT (the text names the leader), PLEX_UNAVAILABLE.
 */
PLEX_MUST_USE enum plex_status place_store_lead(
    struct place_store *store, const char *holder, uint64_t now_ms,
    uint64_t ttl_ms, uint64_t *epoch, struct plex_err *err);
/* Stay it. PLEX_FENCED when a newer epoch exists. */
PLEX_MUST_USE enum plex_status place_store_renew(struct place_store *store,
                                                 uint64_t epoch,
                                                 uint64_t now_ms,
                                                 uint64_t ttl_ms,
                                                 struct plex_err *err);

/* Each pool's table, in order of the name; `each` stops it by an error. */
typedef enum plex_status (*place_table_fn)(void *arg, const char *pool,
                                           uint64_t version,
                                           struct plex_bytes body,
                                           struct plex_err *err);
PLEX_MUST_USE enum plex_status place_store_load(struct place_store *store,
                                                place_table_fn each, void *arg,
                                                struct plex_err *err);

struct place_save {
    const char *pool;
    uint64_t expect_version; /* 0: the pool has no table yet */
    uint64_t version;        /* higher */
    uint64_t leader_epoch;
    struct plex_bytes body;
};
/*
 * Durable on PLEX_OK. Lease and version are checked in the same transaction.
 *
 * Errors: PLEX_FENCED (leader_epoch is not the newest), PLEX_CONFLICT (the
 * saved version is not expect_version); nothing was written then.
 */
PLEX_MUST_USE enum plex_status place_store_save(struct place_store *store,
                                                const struct place_save *save,
                                                struct plex_err *err);

#endif
