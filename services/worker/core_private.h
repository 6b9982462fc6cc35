#ifndef SERVICES_WORKER_CORE_PRIVATE_H
#define SERVICES_WORKER_CORE_PRIVATE_H

#include "services/worker/core_lookup.h"
#include "services/worker/core_types.h"

/* Taking over some shards: fence them, then load their pends. A refresh loads
 * the pends of a shard that is being served. */
struct take {
    TAILQ_ENTRY(take) link;
    struct heap_node retry;
    uint64_t token;
    struct journal_fence *ranges;
    size_t n;
    size_t at; /* range whose pends are being loaded */
    bool fenced;
    bool refresh;
    bool out;       /* refresh: a page is being read */
    uint64_t began; /* gones after it */
    uint32_t attempts;
    uint8_t after[4096];
    size_t after_len;
};
TAILQ_HEAD(take_list, take);

struct batch {
    TAILQ_ENTRY(batch) link;
    uint64_t token;
    struct journal_entry *entries;
    struct write **writes;
    struct actor **actors; /* live as long as they have entries here */
    size_t n;
    struct journal_outlet *outlet;
};
TAILQ_HEAD(batch_list, batch);

enum todo_kind {
    TODO_RUN,
    TODO_LOAD,
    TODO_ANSWER,
    TODO_BATCH,
    TODO_TAKE,
    TODO_SEND,
    TODO_ABANDON,
    TODO_REVOKE,
    TODO_LOOKUP
};
struct todo {
    enum todo_kind kind;
    uint64_t token;
    void *what;
};

struct work_core {
    struct work_core_config config;
    char *node_id;
    struct work_time t; /* of the last input */
    uint64_t tokens;

    uint64_t version; /* of the table */
    unsigned shard_bits;
    struct shard *shards;
    size_t n_shards;
    char **urls;
    size_t n_urls;
    int32_t self; /* index of our own url; -1 */
    uint64_t lease_until;
    uint64_t lease_version;
    struct take_list takes;
    struct take_list refreshes; /* that wait for another one's end */
    size_t refreshing;          /* among the takes */
    struct window window;
    size_t loading; /* actors in that state */

    struct htab actors;
    struct actor **slots;
    uint32_t n_slots, slots_cap;
    uint32_t *free_slots;
    uint32_t n_free_slots;
    size_t n_stateless; /* types */
    bool draining;
    struct htab types_by_name;
    struct type_list types;
    uint64_t idle_next; /* ns: nobody is due earlier */
    uint64_t warm_next; /* ns: then warm_keys are looked at */
    bool warms;         /* some type has any */
    struct room room;
    bool over_memory; /* some type's states are larger than they may be */

    struct htab ids;
    struct htab pends_by_id;
    struct htab pends_by_token;
    struct htab lanes;
    struct heap due;   /* wall_ms: pends */
    struct heap retry; /* now_ns: lanes, takes, pends to settle */

    struct journal_outlets outlets;
    struct pend_list settles;
    struct batch_list batches;
    struct lookups lookups;

    struct todo *todo; /* a ring */
    size_t todo_head, todo_n, todo_cap;
    struct work_ahead ahead[WORK_AHEAD_MAX]; /* of the last RUN */
    struct item *popped;                     /* freed at the next pop */
    struct work_message sending;             /* what the last SEND points to */
    struct work_core_stats stats;
};

/* What the files of the core say to each other, by file. */

/* core.c */
void work_todo_push(struct work_core *core, enum todo_kind kind, uint64_t token,
                    void *what);
bool work_lease_holds(const struct work_core *core);

/* core_item.c */
struct item *work_item_make(struct work_core *core,
                            const struct plex_context *context,
                            const struct work_message *message);
void work_item_free(struct work_core *core, struct item *item);
/* Its way ends: the caller, if any, gets this. reply was set for PLEX_OK. */
void work_item_finish(struct work_core *core, struct item *item,
                      enum plex_status status, const char *text);
void work_item_reply_set(struct work_core *core, struct item *item,
                         struct plex_bytes reply);
/* A block with a deep copy; free() it. The id's parts are copied too. */
struct work_message *work_message_copy(const struct work_message *message);
struct idrec *work_id_find(struct work_core *core, const struct actor *actor,
                           struct plex_bytes id, const struct item *except);
void work_id_enter(struct work_core *core, struct item *item);
void work_id_leave(struct work_core *core, struct item *item);
void work_id_record(struct work_core *core, struct actor *actor,
                    const struct journal_recorded *recorded, bool newest);
void work_ids_clear(struct work_core *core, struct actor *actor);
/* True when the id was answered before: the item is finished then. */
bool work_item_replays(struct work_core *core, struct actor *actor,
                       struct item *item);

/* core_actor.c */
struct actor *work_actor_find(const struct work_core *core,
                              const struct plex_actor_id *id, uint64_t hash);
struct actor *work_actor_get(struct work_core *core,
                             const struct plex_actor_id *id, uint64_t hash);
/* One of the shard that is always ours. */
struct actor *work_actor_local(struct work_core *core,
                               const struct plex_actor_id *id);
static inline bool
work_actor_is_local(const struct work_core *core, const struct actor *actor)
{
    return actor->shard == core->n_shards;
}
struct actor *work_actor_by_token(const struct work_core *core, uint64_t token);
uint64_t work_actor_token(const struct actor *actor);
/* Bring it into memory if it is not; LIMIT when nothing can make room. */
PLEX_MUST_USE enum plex_status work_actor_wake(struct work_core *core,
                                               struct actor *actor);
void work_actor_checked(struct work_core *core, struct actor *actor);
void work_actor_pump(struct work_core *core, struct actor *actor);
/* Throw the activation away. requeue: run what was not finished again, else
 * answer it with `status` and `text`. */
void work_actor_drop(struct work_core *core, struct actor *actor, bool requeue,
                     enum plex_status status, const char *text);
/* After anything that may have been the last thing it waited for. */
void work_actor_drop_continue(struct work_core *core, struct actor *actor);
void work_actor_settle_down(struct work_core *core, struct actor *actor);
void work_actors_passivate(struct work_core *core);
/* An idle one leaves memory; what must be written first is on its way, and it
 * leaves after that. */
void work_actor_leave(struct work_core *core, struct actor *actor);
void work_actor_destroy(struct work_core *core, struct actor *actor);
void work_actor_state_set(struct actor *actor, struct plex_bytes state);

/* Its state is there; what else was loaded is looked at, then it is active. */
void work_actor_restored(struct work_core *core, struct actor *actor);
/* For RUN and LOAD: what answers to older ones carry is not it any more. */
uint64_t work_actor_token_new(struct work_core *core, struct actor *actor);

/* core_turn.c */
struct write *work_turn_begin(struct work_core *core, struct actor *actor,
                              struct item *item, struct plex_bytes state);
/* What the turn was made of, into its entry. Before work_turn_outputs(). */
void work_turn_record(struct write *write, const struct work_outcome *outcome);
/* False when there is too much: outputs are undone, the write is gone. */
bool work_turn_outputs(struct work_core *core, struct actor *actor,
                       struct item *item, const struct work_outcome *outcome,
                       struct write *write);
void work_turn_queue(struct work_core *core, struct actor *actor,
                     struct item *item, struct write *write);
void work_turn_ready(struct actor *actor, struct item *item);
void work_turn_ends(struct write *write, struct pend *pend);
/* One outcome, when its RUN took nothing along, or that has been seen to. */
void work_turn_ran(struct work_core *core, struct work_time t, uint64_t token,
                   const struct work_outcome *outcome);
void work_turn_failed_reply(struct work_core *core, struct item *item,
                            const char *text);
void work_turn_accept(struct work_core *core, struct actor *actor,
                      struct item *item);
void work_turns_release(struct work_core *core, struct actor *actor);
/* Undo what a turn that was not written has set up. */
void work_turn_undo(struct work_core *core, struct item *item);
void work_write_free(struct work_core *core, struct write *write);

/* core_pend.c */
struct pend *work_pend_make(struct work_core *core, struct actor *owner,
                            struct plex_bytes id, uint64_t due_ms,
                            const struct work_message *message);
void work_pends_go(struct work_core *core, const struct shard *shard);
void work_pend_arm(struct work_core *core, struct pend *pend);
void work_pend_retry(struct work_core *core, struct pend *pend);
/* Done with: out of every list. */
void work_pend_forget(struct work_core *core, struct pend *pend);
void work_pend_unref(struct pend *pend);
void work_pend_outcome(struct work_core *core, struct pend *pend,
                       enum plex_status status, const struct work_reply *reply);
struct pend *work_pend_find(const struct work_core *core,
                            const struct actor *owner, struct plex_bytes id);
struct pend *work_pend_timer(const struct actor *actor, const char *name,
                             const struct pend *except);
void work_pends_due(struct work_core *core);
void work_lane_go(struct work_core *core, struct lane *lane);
/* A new table may know their receivers' owners: none waits any longer. */
void work_lanes_wake(struct work_core *core);
void work_pend_settle(struct work_core *core, struct pend *pend);
bool work_pend_action(struct work_core *core, uint64_t token,
                      struct work_action *out);

/* core_shard.c */
struct shard *work_shard_get(const struct work_core *core, uint32_t shard);
void work_shard_fenced(struct work_core *core, uint32_t shard, uint64_t epoch);
/* NULL: not served. Who asks before it begins to read shares it, and few read
 * at a time: a store that is slow already is not buried under them. */
struct take *work_shard_refresh(struct work_core *core, uint32_t shard);
void work_take_go(struct work_core *core, struct take *take);
void work_takes_free(struct work_core *core);
bool work_take_action(struct work_core *core, uint64_t token,
                      struct work_action *out);

/* core_type.c */
struct type *work_type_find(const struct work_core *core, const char *tenant,
                            const char *ns, const char *name);
/* PLEX_OK, or why messages to it are refused. */
enum plex_status work_type_check(const struct type *type, const char **text);
void work_types_free(struct work_core *core);
/* Look at all warm_keys soon. */
void work_types_warm_soon(struct work_core *core);
void work_types_warm(struct work_core *core);

/* core_stateless.c */
/* NULL: it has a key, or is not known. */
struct type *work_stateless_type(const struct work_core *core,
                                 const struct plex_actor_id *actor);
/* Who gets the item; NULL: nobody may, and it is finished. */
struct actor *work_stateless_actor(struct work_core *core, struct item *item,
                                   struct type *type,
                                   const struct plex_actor_id *to);
/* The type allows so many now. */
void work_stateless_room(struct type *type);
void work_stateless_forget(struct actor *actor);
/* As work_core_owner(). */
const char *work_stateless_owner(const struct work_core *core);
void work_stateless_stats(const struct work_core *core,
                          struct work_core_stats *out);

/* core_deliver.c */
/* The call of an actor's open run, tagged `tag`, goes on the chain that its
 * message came by. Empty: it has none. `out` is WORK_CHAIN_MAX long. False:
 * the chain is too long. */
bool work_chain_extend(const struct actor *actor, const struct item *item,
                       uint64_t tag, char *out);
/* Does the open run wait, through others, for this very item? */
bool work_chain_circle(const struct actor *actor, const struct item *item);
void work_chain_refuse(struct work_core *core, const struct actor *actor,
                       struct item *item);
/* Answered as done: nothing but the actor's being in memory was asked for. */
void work_item_activated(struct work_core *core, struct actor *actor,
                         struct item *item);
/* Into the mailbox, or finished with the reason. */
void work_item_deliver(struct work_core *core, struct item *item,
                       const struct plex_actor_id *to);

#include "services/worker/core_aside.h" // IWYU pragma: export
#include "services/worker/core_ask.h"   // IWYU pragma: export
#include "services/worker/core_open.h"  // IWYU pragma: export
#include "services/worker/core_wake.h"  // IWYU pragma: export

#endif
