#ifndef SERVICES_PLACEMENT_CORE_H
#define SERVICES_PLACEMENT_CORE_H

#include "common/bytes.h"
#include "services/placement/book.h"
#include "services/placement/client.h"

/*
 * Which worker owns which shard: leases, assignment, moves. docs/placement.md
 * says why it is safe.
 *
 * Pure: time comes in as arguments (`now_ns` monotonic and never going back,
 * `wall_ms` only to start versions and epochs high), results are popped with
 * place_core_next(). After every input, pop until it returns false; then
 * place_core_wake() says when place_core_tick() is due.
 *
 * `call` is the caller's own token for one request; it comes back in exactly
 * one action.
 */
struct place_core;

enum {
    PLACE_NODE_ID_MAX = 64,
    PLACE_URL_MAX = 255,
    PLACE_NOTE_MAX = 255,
};

struct place_core_config {
    unsigned shard_bits;       /* 1..16; 12 */
    uint32_t lease_ms;         /* of workers; 1500 */
    uint32_t settle_ms;        /* from an imbalance to moving for it; 2000 */
    uint32_t forget_ms;        /* dead workers are remembered so long; 600000 */
    uint32_t pools_max;        /* 64 */
    uint32_t workers_max;      /* in all pools, dead ones included; 1024 */
    uint32_t watchers_max;     /* requests parked at once; 4096 */
    uint32_t reservations_max; /* 65536 */
};
extern const struct place_core_config place_core_defaults;

enum place_action_kind {
    /* Save `table` under its pool if the saved version is still
     * expect_version (0: none is saved) and leader_epoch still leads; then
     * call place_core_saved(). At most one per pool at a time. */
    PLACE_ACTION_SAVE = 1,
    /* Replies. `version` is the published one of the worker's pool. */
    PLACE_ACTION_HEARTBEAT, /* lease_ms (0: fetch `version` first), version */
    PLACE_ACTION_TABLE,     /* version, table; NULL: unchanged */
    PLACE_ACTION_LEFT,      /* - */
    PLACE_ACTION_DRAIN,     /* shards_left */
    PLACE_ACTION_FAIL,      /* status, text */
    /* For people: a line for the log. */
    PLACE_ACTION_NOTE, /* text */
};

struct place_action {
    enum place_action_kind kind;
    void *call;
    enum plex_status status;
    uint64_t lease_ms;
    uint64_t version;
    uint64_t expect_version;
    uint64_t leader_epoch;
    uint32_t shards_left;
    bool hold;                 /* HEARTBEAT: say what is held */
    struct place_table *table; /* a reference for the popper: unref it */
    char text[PLACE_NOTE_MAX];
};

/* Starts without leadership: every request fails UNAVAILABLE. */
struct place_core *place_core_create(const struct place_core_config *config);
void place_core_free(struct place_core *core); /* accepts NULL */
bool place_core_next(struct place_core *core, struct place_action *out);
/* When to tick: now_ns scale, UINT64_MAX for never. */
uint64_t place_core_wake(const struct place_core *core);

/* -- leadership ----------------------------------------------------------- */

/*
 * This process leads until `until_ns`, with the tables as saved (borrowed).
 * Owners keep their shards and get a full lease from now. Also after a resign:
 * everything is taken from `tables`.
 */
void place_core_lead(struct place_core *core, uint64_t leader_epoch,
                     uint64_t until_ns, struct place_table *const *tables,
                     size_t n_tables, uint64_t now_ns);
/* The leader's lease was renewed; counted from before the store was asked. */
void place_core_renewed(struct place_core *core, uint64_t until_ns);
/* Fail what waits, forget everything. Happens by itself past until_ns and
 * after a failed save; then lead anew with what the store holds. */
void place_core_resign(struct place_core *core, const char *why);
bool place_core_leads(const struct place_core *core);

/* The outcome of the pool's PLACE_ACTION_SAVE; anything but OK resigns, since
 * then only the store knows which table counts. */
void place_core_saved(struct place_core *core, const char *pool,
                      uint64_t version, enum plex_status status,
                      uint64_t now_ns, uint64_t wall_ms);

/* -- requests ------------------------------------------------------------- */

/*
 * Errors: EXISTS (another incarnation of the node holds a live lease),
 * INVALID, LIMIT, UNAVAILABLE. The reply's lease counts from when the worker
 * SENT the heartbeat, so it ends there before it ends here.
 */
void place_core_heartbeat(struct place_core *core, void *call,
                          const struct place_heartbeat *heartbeat,
                          uint64_t now_ns, uint64_t wall_ms);
/* The worker serves nothing any more. Unknown ones are fine too. */
void place_core_leave(struct place_core *core, void *call, const char *node_id,
                      uint64_t incarnation, uint64_t now_ns, uint64_t wall_ms);
/* Answered when the published version differs and is newer than
 * have_version, else after timeout_ms (at most 60 s). */
void place_core_watch(struct place_core *core, void *call, const char *pool,
                      uint64_t have_version, uint64_t timeout_ms,
                      uint64_t now_ns);
/* Everybody who watches is told UNAVAILABLE, with `why`: we stop. */
void place_core_dismiss(struct place_core *core, const char *why);
/* Lasts until the node restarts. NOT_FOUND for a node never seen; CONFLICT for
 * the only one of its pool that could own shards, unless by force. */
void place_core_drain(struct place_core *core, void *call, const char *node_id,
                      bool force, uint64_t now_ns, uint64_t wall_ms);
void place_core_tick(struct place_core *core, uint64_t now_ns,
                     uint64_t wall_ms);

/* -- reservations (docs/placement.md) ---------------------------------------
 *
 * Answered at once; place_core_next() as after any input. UNAVAILABLE also
 * means that this placement does not lead. What is returned is borrowed until
 * the next input.
 */
struct place_granted {
    struct place_held held;
    const char *url; /* of the worker */
};
PLEX_MUST_USE enum plex_status place_core_reserve(struct place_core *core,
                                                  const struct place_ask *ask,
                                                  uint64_t now_ns,
                                                  struct place_granted *out,
                                                  struct plex_err *err);
PLEX_MUST_USE enum plex_status place_core_find(struct place_core *core,
                                               const char *request_id,
                                               uint64_t now_ns,
                                               struct place_granted *out,
                                               struct plex_err *err);
PLEX_MUST_USE enum plex_status place_core_release(struct place_core *core,
                                                  const char *request_id,
                                                  uint64_t now_ns, bool *was,
                                                  struct plex_err *err);
/* What runs on a worker; NOT_FOUND unless it has a lease. */
struct place_holds {
    const char *node_id;
    uint64_t incarnation, sequence;
    bool full;
    const struct place_holding *held;
    size_t n_held;
    const char *const *ended;
    size_t n_ended;
};
PLEX_MUST_USE enum plex_status place_core_hold(struct place_core *core,
                                               const struct place_holds *holds,
                                               uint64_t now_ns, bool *again,
                                               struct plex_err *err);
/* Every worker that offers something. */
PLEX_MUST_USE enum plex_status place_core_offers(
    struct place_core *core, uint64_t now_ns,
    const struct place_candidate **out, size_t *n, struct plex_err *err);

/* -- looking in (metrics, tests, the simulator) --------------------------- */

/* The published table, borrowed; NULL before the first. */
struct place_table *place_core_table(const struct place_core *core,
                                     const char *pool);
struct place_core_stats {
    uint32_t pools, workers_live, workers_draining, watchers;
    uint32_t shards_unowned;
    uint64_t lapses, moves, versions;
    uint32_t reservations;
    uint64_t refused; /* nothing fitted */
};
struct place_core_stats place_core_stats(const struct place_core *core);

#endif
