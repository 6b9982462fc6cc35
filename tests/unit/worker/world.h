#ifndef TESTS_UNIT_WORKER_WORLD_H
#define TESTS_UNIT_WORKER_WORLD_H

#include "services/worker/core.h"

/*
 * A worker's core in a small world: a journal that keeps its promises (or is
 * told not to), a behaviour that obeys the payload, and the answers.
 *
 * Payloads: "inc" adds 1 to the state, "get" reads it, "fail" fails,
 * "timer MS" sets timer t, "cancel" cancels it, "tell KEY" casts "inc" and
 * "ask KEY" calls "inc" on another actor. A timer adds 100, a reply 1000 when
 * it is good and 10000 when it is not. Replies are the state as text.
 */
enum {
    WORLD_ANSWERS_MAX = 4096,
    WORLD_ACTORS_MAX = 64,
    WORLD_IDS_MAX = 4096,
    WORLD_HELD_MAX = 256
};

struct world_answer {
    bool given;
    enum plex_status status;
    char text[128];
    char payload[64];
    bool failed;
    bool replayed;
    bool recorded;
    bool needs_lease;
    uint32_t http_status;
};

struct world_actor { /* in the journal */
    char name[128];
    uint64_t seq;
    int64_t state;
    bool has_state;
    uint64_t snapshot_seq;
};
struct world_id {
    char name[128];
    char id[320];
    uint64_t hash;
    uint8_t reply[512];
    size_t reply_len;
    uint64_t seq;
};
struct world_pending {
    bool used;
    char owner[128];
    struct plex_actor_id owner_id;
    char id[320];
    uint64_t due_ms;
    uint8_t message[1024];
    size_t len;
};
/* An action that the test answers itself. */
struct world_held {
    struct work_action action;
    struct work_ahead ahead[WORK_AHEAD_MAX]; /* of a RUN */
};

struct world {
    struct work_core *core;
    struct work_time t;
    struct place_table table;
    struct place_worker workers[2];
    struct place_range ranges[2];
    bool hold_appends; /* APPENDs wait in `held` */
    bool hold_loads;
    bool hold_runs;
    bool hold_pages;
    uint32_t page_max; /* pendings a page; 0: all */
    size_t n_pages;
    bool refuse_others; /* SENDs to the other worker fail UNAVAILABLE */
    enum plex_status append_status; /* of whole batches; then OK again */
    uint64_t fence_epoch;           /* the journal's newest epoch */
    struct world_held held[WORLD_HELD_MAX];
    size_t n_held;
    struct world_answer answers[WORLD_ANSWERS_MAX];
    uint64_t calls;
    struct world_actor actors[WORLD_ACTORS_MAX];
    size_t n_actors;
    struct world_id ids[WORLD_IDS_MAX];
    size_t n_ids;
    struct world_pending pendings[256];
    size_t ahead_runs; /* of what goes along with a RUN: at most so many */
    size_t n_visits;   /* RUNs that were answered */
    size_t n_runs, n_appends, n_entries, n_loads, n_sends, n_settles;
    char ran[WORLD_ANSWERS_MAX][24]; /* "KEY payload", in order */
    uint64_t sent_token;
    struct work_type shape; /* what both types say of being virtual; of being
                               stateless, "volatile" alone */
};

struct world *world_create(const struct work_core_config *config);
void world_free(struct world *world);
/* Everything that is ours: table, lease, types. */
void world_start(struct world *world);
void world_types(struct world *world, enum work_type_state state,
                 const void *user);
/* Do all actions until nothing is left. */
void world_go(struct world *world);
void world_wait(struct world *world, uint64_t ms);
void world_lease(struct world *world, uint64_t ms);

struct world_send {
    const char *type; /* "counter" when NULL; "volatile" */
    const char *key;
    const char *payload;
    const char *id; /* NULL: a fresh one */
    const char *request_id;
    bool keyed;
    uint64_t hash;
    uint64_t delay_ms;
    uint64_t deadline_ms; /* from now; 0 none */
    enum work_kind kind;  /* 0: call */
    const char *chain;    /* of calls; NULL: none */
};
/* Number of the call; the actions are not done yet. */
uint64_t world_post(struct world *world, struct world_send send);
/* Post and go. */
const struct world_answer *world_call(struct world *world,
                                      struct world_send send);
/* Answer the held action `i` as the journal would. */
void world_unhold(struct world *world, size_t i);
/* Answer the held append `i` as a whole. */
void world_fail_append(struct world *world, size_t i, enum plex_status status);

/* Write to the journal behind the worker's back. */
void world_write_behind(struct world *world, const char *key, int64_t state,
                        const char *id, uint64_t hash, const char *payload);
int64_t world_stored(const struct world *world, const char *key);
size_t world_pending(const struct world *world);
struct work_core_stats world_stats(const struct world *world);

#endif
