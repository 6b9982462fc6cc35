#ifndef TESTS_UNIT_WORKER_RUNS_H
#define TESTS_UNIT_WORKER_RUNS_H

#include "services/worker/core.h"
#include "services/worker/run_log.h"

/*
 * A worker's core over a small journal that survives it, with handlers that
 * wait. The payload is a script of words: "e" a side effect, "s50" a sleep of
 * 50 ms, "cKEY" a call to another actor, "kKEY" one whose script is "ca i",
 * "p" a promise, "i" adds 1 to the state, "f" fails. Each script ends with the
 * state as reply.
 *
 * runs_crash_at makes the worker die before that action is done; a new one
 * takes over with a newer epoch.
 */
enum {
    RUNS_EFFECTS_MAX = 64,
    RUNS_ACTORS_MAX = 8,
    RUNS_IDS_MAX = 64,
    RUNS_PENDINGS_MAX = 64,
    RUNS_RECORDS_MAX = 64,
};

struct runs_blob {
    uint8_t *data;
    size_t len;
};
struct runs_actor {
    char key[32];
    uint64_t seq;
    bool has_state;
    struct runs_blob state;
    uint32_t schema;
    uint64_t state_seq;
    struct runs_blob records[RUNS_RECORDS_MAX]; /* since then */
    size_t n_records;
    char id[64]; /* the last message id recorded */
    uint64_t hash;
    struct runs_blob reply;
};
struct runs_pending {
    bool used;
    char key[32]; /* owner */
    char id[320];
    uint64_t due_ms;
    struct runs_blob message;
};
struct runs_live { /* a handler in memory */
    uint64_t activation;
    char script[128];
    struct work_run run; /* steps owned */
    struct work_message message;
    struct runs_blob packed; /* the message */
    int64_t start;
    bool had_state;
    bool written;     /* the log, as a whole */
    size_t n_written; /* of its steps */
    bool dirty;       /* steps that no stretch has carried yet */
    uint64_t nonce;
};

struct runs_id { /* recorded for ever */
    char key[32];
    char id[64];
    uint64_t hash;
    struct runs_blob reply;
};

struct runs {
    struct work_core *core;
    uint32_t recent_max; /* 0: the default; from the next worker on */
    bool fresh;          /* what is posted is sent for the first time */
    struct runs_id ids[RUNS_IDS_MAX];
    size_t n_ids, lookups, asked;
    bool one_answer; /* the journal gives no more of them at once */
    uint64_t hash;   /* of what is posted; 0: the same for all */
    struct work_time t;
    uint64_t epoch;
    struct runs_actor actors[RUNS_ACTORS_MAX];
    struct runs_pending pendings[RUNS_PENDINGS_MAX];
    struct runs_live live[RUNS_ACTORS_MAX];
    size_t actions; /* done so far */
    size_t crash_at;
    size_t crashes;
    bool lost_append;              /* the crash comes after the journal wrote */
    int effects[RUNS_EFFECTS_MAX]; /* executed, by step number */
    int recorded[RUNS_EFFECTS_MAX]; /* executed although recorded */
    uint64_t calls;
    bool answered[256];
    enum plex_status status[256];
    char reply[256][64];
    bool failed[256];
    bool whole; /* every stretch writes the whole log */
    size_t abandoned;
    char waits_for[64];
    char bad[256]; /* what the last call said that failed */
};

struct runs *runs_create(void);
void runs_free(struct runs *runs);
/* A call; its number. */
uint64_t runs_post(struct runs *runs, const char *key, const char *script,
                   const char *id);
/* A WORK_RESOLVE: "promise:0", "cancel", ... */
uint64_t runs_resolve(struct runs *runs, const char *key, const char *what,
                      const char *payload);
void runs_go(struct runs *runs);
void runs_wait(struct runs *runs, uint64_t ms);
void runs_crash(struct runs *runs);
int64_t runs_state(const struct runs *runs, const char *key);
size_t runs_pendings(const struct runs *runs);
bool runs_is_open(const struct runs *runs, const char *key);

#endif
