#ifndef SERVICES_WORKER_CORE_H
#define SERVICES_WORKER_CORE_H

#include "common/context.h"
#include "common/spread.h"
#include "services/journal/client.h"
#include "services/placement/client.h"
#include "services/worker/client.h"
#include "services/worker/core_stats.h" // IWYU pragma: export
#include "services/worker/core_turn.h"  // IWYU pragma: export

/*
 * The worker's core: which actors are in memory, what each does next, and what
 * may leave the process when. No clock, no I/O: inputs are function calls with
 * the time, outputs are actions that the shell pops with work_core_next()
 * until there are none, then work_core_flush() at the end of its iteration,
 * then pops again.
 *
 * Memory: everything passed in is copied. What an action points to stays valid
 * until the next work_core_next(); what APPEND and RUN point to stays valid
 * until they are answered (appended, ran).
 *
 * Answers may come in any order, late, or for things dropped meanwhile: the
 * core sorts that out. Each LOAD, FENCE, PENDINGS, APPEND, SEND, LOOKUP and RUN
 * must be answered exactly once.
 *
 * A handler of a durable actor may wait in the middle of its turn (run_log.h):
 * it then answers RUN with the phase WAITS or COMMITS, what it did so far is
 * written as a turn of its own, and it is asked to go on by another RUN. What
 * such an outcome points to stays valid until then, or until ABANDON.
 */
struct work_core;

/* The time of an input. now_ns never goes back; wall_ms may jump. */
struct work_time {
    uint64_t now_ns;
    uint64_t wall_ms;
};

struct work_core *work_core_create(const struct work_core_config *config);
void work_core_free(struct work_core *core); /* accepts NULL */

/* -- what the worker may do ----------------------------------------------- */

/* A newer shard table, borrowed. Older versions are ignored. */
void work_core_table(struct work_core *core, struct work_time t,
                     const struct place_table *table);
/* The lease holds until `until_ns`. `version` is what placement said with it:
 * after a lapse nothing is served before that table has been applied. */
void work_core_lease(struct work_core *core, struct work_time t,
                     uint64_t until_ns, uint64_t version);
/* To be asked again, with a fresh clock, when a reply with `needs_lease`
 * leaves: if false, answer UNKNOWN instead. */
bool work_core_lease_holds(const struct work_core *core, uint64_t now_ns);
/* For the heartbeat: shards that table took from us are no longer served. */
uint64_t work_core_applied_version(const struct work_core *core);

enum work_type_state { WORK_TYPE_RUNNING = 1, WORK_TYPE_STOPPED = 2 };
/* Every deployed type, from the catalogue; strings are copied. */
/* What an activation reserves while it is in memory; all 0: nothing. */
struct work_needs {
    uint64_t cpu_millis, memory_bytes;
};
struct work_type {
    const char *tenant;
    const char *ns;
    const char *name;
    enum work_type_state state;
    const char *broken; /* why it cannot run ("module ..."); NULL: it can */
    bool durable;
    uint64_t idle_timeout_ms;
    uint32_t mailbox_max;
    uint32_t snapshot_every;
    uint32_t schema_version; /* of the behaviour */
    bool has_activated;      /* RUN without a message after activation */
    /* Its state is made of snapshot and records: they are loaded with it, and
     * a RUN with WORK_RUN_RESTORE goes through them. */
    bool sourced;
    bool migrates;           /* RESTORE also for a state of an older schema */
    uint64_t snapshot_bytes; /* sourced: of records between snapshots; 0: any */
    uint64_t snapshot_ms;    /* the same, wall clock */
    /* What the facet virtual_actor says; all 0: none of it. */
    uint64_t max_active; /* activations of the type here; 0: no bound */
    uint64_t memory_max; /* bytes of their states; 0: no bound */
    bool evict_largest;  /* who makes room: else who was used longest ago */
    bool persist;        /* not durable: its state outlives passivation */
    bool pinned;         /* warm_keys stay in memory */
    enum work_reentrancy reentrancy; /* not durable ones only */
    const char *warm_keys; /* brought into memory unasked; NULL: none */
    /* Stateless: any worker runs it, in at most so many activations here;
     * 0: it is not. They are neither durable nor does their state persist. */
    uint32_t max_local;
    enum plex_spread route;
    struct work_needs needs;
    const void *user; /* the behaviour; handed back with RUN */
};
/* Replaces the whole list. A type with another `user`, durable or schema is
 * another type: its activations are dropped. */
void work_core_types(struct work_core *core, struct work_time t,
                     const struct work_type *types, size_t n);

/* What activations here may reserve together; without bounds at first. Less
 * than they have: no more come in before some have gone. */
void work_core_room(struct work_core *core, const struct work_needs *room);

/* -- messages ------------------------------------------------------------- */

/* `call` comes back in exactly one ANSWER; it must not be 0. */
/* Messages to a stateless type go to whichever of its activations here the
 * type's route chooses, whatever their key; to exactly one when the key is its
 * name. After work_core_drain() they are refused, UNAVAILABLE. */
bool work_core_stateless(const struct work_core *core,
                         const struct plex_actor_id *actor);
void work_core_drain(struct work_core *core, struct work_time t);
void work_core_deliver(struct work_core *core, struct work_time t,
                       uint64_t call, const struct plex_context *context,
                       const struct work_message *message);

/* Answer to RUN. With YIELDS it is not the last one: WAKES follows under the
 * same token, or a failed ENDED when the handler cannot go on. */
void work_core_ran(struct work_core *core, struct work_time t, uint64_t run,
                   const struct work_outcome *outcome);

/* The same, of the message and of the first n - 1 of `ahead`. */
void work_core_ran_ahead(struct work_core *core, struct work_time t,
                         uint64_t run, const struct work_outcome *outcomes,
                         size_t n);
/* May what went along be handled after that? */
bool work_outcome_chains(const struct work_outcome *outcome);

/* -- answers of the journal and of other workers -------------------------- */

void work_core_loaded(struct work_core *core, struct work_time t, uint64_t load,
                      enum plex_status status, const char *text,
                      const struct journal_loaded *loaded);
void work_core_fenced(struct work_core *core, struct work_time t,
                      uint64_t fence, enum plex_status status,
                      uint64_t newest_epoch);
void work_core_pendings(struct work_core *core, struct work_time t,
                        uint64_t pendings, enum plex_status status,
                        const struct journal_pending_item *items, size_t n,
                        struct plex_bytes next, uint64_t next_due_ms);
/* One result for each that was asked for when status is PLEX_OK. */
void work_core_looked_up(struct work_core *core, struct work_time t,
                         uint64_t lookup, enum plex_status status,
                         const char *text, const struct journal_result *results,
                         size_t n);
/* `results` has one per entry of the batch when status is PLEX_OK. UNKNOWN,
 * TIMEOUT and CANCELLED mean that it may have been written. */
void work_core_appended(struct work_core *core, struct work_time t,
                        uint64_t append, enum plex_status status,
                        const char *text, const struct journal_result *results,
                        size_t n);
/* Answer to SEND, as work_invoke_fn. */
void work_core_sent(struct work_core *core, struct work_time t, uint64_t send,
                    enum plex_status status, const struct work_reply *reply);

/* -- time ----------------------------------------------------------------- */

/* Do what is due. */
void work_core_tick(struct work_core *core, struct work_time t);
/* ns until the next tick is needed, UINT64_MAX for never. At most 60 s while
 * something waits for the wall clock. */
uint64_t work_core_due_in(const struct work_core *core, struct work_time t);

/* -- actions -------------------------------------------------------------- */

enum work_action_kind {
    WORK_DO_RUN = 1,
    WORK_DO_ANSWER = 2,
    WORK_DO_LOAD = 3,
    WORK_DO_APPEND = 4,
    WORK_DO_FENCE = 5,
    WORK_DO_PENDINGS = 6,
    WORK_DO_SEND = 7,
    WORK_DO_ABANDON = 8,
    WORK_DO_REVOKE = 9,
    WORK_DO_LOOKUP = 10,
};
/* What a RUN asks the handler for. */
enum work_run_how {
    WORK_RUN_MESSAGE = 1,  /* handle `message` */
    WORK_RUN_REPLAY = 2,   /* again, over the open run in `state` */
    WORK_RUN_RESULT = 3,   /* it waits: `message` is what came */
    WORK_RUN_CONTINUE = 4, /* it waited for a commit: done */
    WORK_RUN_RESTORE = 5,  /* no turn: `records` onto `state`, or a state of an
                              older schema; the outcome has the state */
    WORK_RUN_RESUME = 6,   /* it waited aside (WORK_YIELDS), and has its turn
                              again; `state` may be another one now */
};
/* A message that may be handled right after that of the RUN and those before
 * it, on the state they left, unless one did not work_outcome_chains(). */
struct work_ahead {
    const struct work_message *message; /* valid as that of the RUN */
    const char *request_id;
    uint64_t wait_ns;
};
struct work_action {
    enum work_action_kind kind;
    uint64_t token; /* RUN, LOAD, APPEND, FENCE, PENDINGS, SEND: hand it back;
                       ANSWER: the `call` */
    union {
        struct {
            enum work_run_how how;
            uint64_t activation; /* RESULT and CONTINUE: of its MESSAGE */
            bool settled;        /* nothing of the actor awaits the disk */
            bool durable;
            bool yields;      /* the handler may answer with WORK_YIELDS */
            uint64_t resumes; /* RESUME: the token of the RUN that yielded */
            const struct plex_actor_id *actor;
            const void *user;                   /* of the type */
            const struct work_message *message; /* NULL: activated */
            const struct work_message *asked;   /* REPLAY of a run that ended */
            const char *request_id;
            struct plex_bytes state;
            bool has_state;
            uint32_t schema_version; /* of the state */
            uint64_t delta_bytes;    /* REPLAY: of the records in `state` */
            const struct journal_record *records; /* RESTORE */
            size_t n_records;
            uint64_t epoch;
            uint64_t wait_ns;               /* since the message arrived */
            const struct work_ahead *ahead; /* MESSAGE; until the next action */
            size_t n_ahead;
        } run;
        struct {
            enum plex_status status;
            const char *text;        /* "" when PLEX_OK */
            struct plex_bytes reply; /* packed work_reply, when PLEX_OK */
            bool replayed;
            bool recorded;
            bool needs_lease;
            uint64_t table_version; /* NOT_OWNER */
        } answer;
        struct journal_load load;
        struct {
            const struct journal_entry *entries;
            size_t n;
        } append;
        struct {
            const struct journal_fence *ranges;
            size_t n;
        } fence;
        struct {
            uint32_t first, last, limit;
            uint64_t until_ms; /* what is due before */
            struct plex_bytes after;
        } pendings;
        struct {
            const char *url; /* of the owner's inbox */
            const struct work_message *message;
            uint64_t timeout_ms;
        } send;
        /* The activation has gone: whatever handler of it waits never goes
         * on. There is no answer. */
        struct {
            uint64_t activation;
            const char *reason; /* static: "normal", "moved", "dropped" */
        } abandon;
        /* The same, while a RUN is out: it is to be answered, and begins no
         * effect from now on. There is no answer to this. */
        struct {
            uint64_t activation;
        } revoke;
        struct {
            const struct journal_asked *asked;
            size_t n;
        } lookup;
    };
};
/* False when there is nothing to do. */
bool work_core_next(struct work_core *core, struct work_action *out);
/* What waits to be written becomes APPENDs now; to be looked up, LOOKUPs. */
void work_core_flush(struct work_core *core);

/* -- looking -------------------------------------------------------------- */

void work_core_stats(const struct work_core *core, struct work_core_stats *out);
/* Open runs of the actors in memory. One is `unexplained` when it waits for
 * nothing that has a name, or for a time that was a minute ago. */
void work_core_runs(const struct work_core *core, struct work_time t,
                    struct work_core_runs *out);
/* At most `limit` activations by id into `out`. Their strings are in `arena`
 * (fewer when it is full). Returns their number. */
size_t work_core_list(const struct work_core *core, struct work_time t,
                      const struct work_core_filter *filter, uint32_t limit,
                      struct plex_arena *arena, struct work_actor *out);
/* Is it in memory? `out` as above; false when not. */
bool work_core_inspect(const struct work_core *core, struct work_time t,
                       const struct plex_actor_id *actor,
                       struct plex_arena *arena, struct work_actor *out);
/* Of an actor in memory, as ABANDON will name it; 0: it is not. */
uint64_t work_core_activation(struct work_core *core,
                              const struct plex_actor_id *actor);
/* Who owns it: NULL when nobody, "" for ourselves. Epoch in *epoch. */
const char *work_core_owner(const struct work_core *core,
                            const struct plex_actor_id *actor, uint32_t *shard,
                            uint64_t *epoch);

#endif
