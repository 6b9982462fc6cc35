#ifndef SERVICES_TUPLESPACE_ENGINE_CORE_PRIVATE_H
#define SERVICES_TUPLESPACE_ENGINE_CORE_PRIVATE_H

/* What the core's files do for each other. */

#include "services/tuplespace/engine/core_types.h"

/* -- core.c ---------------------------------------------------------------- */

struct realm *core_realm_get(struct tspace_core *core,
                             const struct tspace_where *where);
struct realm *core_realm_find(const struct tspace_core *core,
                              const struct tspace_where *where);
void core_realm_release(struct tspace_core *core, struct realm *realm);
struct space *core_space_find(struct tspace_core *core,
                              const struct tspace_where *where);
/* NULL past the limit. */
struct space *core_space_get(struct tspace_core *core,
                             const struct tspace_where *where);
struct shape *core_shape_find(const struct space *space, uint32_t n_fields);
struct shape *core_shape_get(struct tspace_core *core, struct space *space,
                             uint32_t n_fields);

/* -- core_out.c ------------------------------------------------------------ */

struct output *core_output(struct tspace_core *core,
                           enum tspace_action_kind kind);
void core_reply(struct tspace_core *core, void *call, struct answer *answer);
void core_refuse(struct tspace_core *core, void *call, enum plex_status status,
                 const char *format, ...) PLEX_PRINTF(4, 5);
/* A search that gave up. */
void core_gave_up(struct tspace_core *core, void *call);
void core_put_item(struct tspace_core *core, struct item *item);
void core_remove_item(struct tspace_core *core, const struct item *item);
/* Key and body are copied; body NULL: remove. Of the space, or of the realm. */
void core_record(struct tspace_core *core, enum tspace_record record,
                 struct space *space, struct realm *realm,
                 struct plex_bytes key, const struct plex_buf *body);
struct answer *core_answer(struct tspace_core *core, uint32_t room);
void core_answer_add(struct answer *answer, struct item *item);
void core_answer_unref(struct tspace_core *core, struct answer *answer);
void core_outputs_free(struct tspace_core *core);

/* -- core_item.c ----------------------------------------------------------- */

struct lease_text {
    struct plex_bytes owner, meta;
};
/* Not in the space yet; refs 1. */
struct item *item_make(struct tspace_core *core, struct plex_bytes packed,
                       uint64_t expires_ms, const struct lease_text *text);
struct lease_text item_text(const struct item *item);
void item_unref(struct item *item);
/* Takes the reference; position, id, counts and lease, but not the indexes. */
void core_item_add(struct tspace_core *core, struct space *space,
                   struct item *item);
/* The opposite; may be linked. Emits nothing. */
void core_item_drop(struct tspace_core *core, struct item *item);
/* Drop a stored tuple: REMOVE, and the event for those who listen. */
void core_item_end(struct tspace_core *core, struct item *item,
                   enum tspace_event event);
/* `to` is in the place of `from`, with its id. Emits nothing. */
void core_item_swap(struct tspace_core *core, struct item *from,
                    struct item *to);
struct hold *item_hold(struct item *item);
void item_hold_trim(struct item *item); /* frees a hold that says nothing */
bool item_expired(const struct tspace_core *core, const struct item *item);
void core_item_lease(struct tspace_core *core, struct item *item,
                     uint64_t expires_ms);
/* Put it into the indexes and give it to whom it satisfies. `written`: also
 * tell subscriptions. */
void core_item_show(struct tspace_core *core, struct item *item, bool written);

/* Is there room for `n` more tuples and `bytes`? Refuses the call if not. */
bool core_room(struct tspace_core *core, const struct space *space, void *call,
               uint64_t n, uint64_t bytes);
uint64_t item_bytes(size_t packed, const struct lease_text *text);

/* -- core_request.c -------------------------------------------------------- */

/* The scope of one request. */
struct scope {
    const struct tspace_op *op;
    struct realm *realm;
    struct space *space; /* NULL: there is none, and none was to be made */
    struct tx *tx;
};
/* False: answered already. */
bool core_begin(struct tspace_core *core, struct tspace_now now,
                const struct tspace_op *op, bool make_space,
                struct scope *scope);
/* Answer, and remember the answer under the request id. Takes `answer`. */
void core_finish(struct tspace_core *core, const struct scope *scope,
                 struct answer *answer);
struct request *core_memory_find(const struct tspace_core *core,
                                 const struct realm *realm, char kind,
                                 struct plex_bytes key);
/* Replaces what was there. `answer` is shared; stored when `durable`. */
struct request *core_memory_add(struct tspace_core *core, struct realm *realm,
                                char kind, struct plex_bytes key,
                                enum outcome outcome, struct answer *answer,
                                uint64_t fingerprint, bool durable);
void core_memory_store(struct tspace_core *core, struct request *request);
void core_memory_free(struct tspace_core *core, struct request *request,
                      bool durable);
/* An answer to come: NULL without a request id. */
struct request *core_memory_pending(struct tspace_core *core,
                                    const struct scope *scope);
void core_memory_complete(struct tspace_core *core, struct request *request,
                          struct answer *answer);
void core_now(struct tspace_core *core, struct tspace_now now);
bool core_options_good(const struct tspace_options *options);
void core_space_options(struct tspace_core *core, struct space *space,
                        const struct tspace_options *options);
struct plex_bytes core_id_key(uint64_t id, uint8_t key[8]);

/* -- core_listen.c --------------------------------------------------------- */

void listener_add(struct tspace_core *core, struct listener_table *table,
                  struct shape *shape, struct listener *listener,
                  struct tspace_template *template);
void listener_remove(struct listener_table *table, struct listener *listener);
void listener_table_fini(struct listener_table *table);
/* Those whose template may match, in the order of their coming. */
struct listener_walk {
    struct listener *heads[SETS_MAX];
    uint32_t n;
};
void listener_walk_start(struct listener_walk *walk,
                         const struct listener_table *table, uint64_t seed,
                         const uint8_t *packed);
struct listener *listener_walk_next(struct listener_walk *walk);

/* -- core_wait.c ----------------------------------------------------------- */

void core_wait(struct tspace_core *core, const struct scope *scope,
               const struct tspace_read *read);
/* Give a visible tuple to those who wait for it. */
void core_offer(struct tspace_core *core, struct item *item);
void core_waiter_end(struct tspace_core *core, struct waiter *waiter,
                     enum plex_status status, const char *text);
void core_waiter_free(struct tspace_core *core, struct waiter *waiter);
/* The waiter's or reader's tuple is its own now. */
struct taking {
    struct tx *tx;
    bool take;
    struct plex_bytes claim_owner;
    uint64_t claim_turn, claim_ms;
};
void core_obtain(struct tspace_core *core, struct item *item,
                 const struct realm *realm, const struct taking *taking);

/* -- core_tx.c ------------------------------------------------------------- */

/* Room for `n` more tuples? Refuses the call if not. */
bool core_tx_room(struct tspace_core *core, const struct tx *tx, void *call,
                  uint64_t n);
struct tx_entry *core_tx_hold(struct tx *tx, struct item *item,
                              enum entry_kind kind);
struct tx *core_tx_make(struct tspace_core *core, struct realm *realm,
                        uint64_t id);
struct tx *core_tx_find(const struct tspace_core *core, uint64_t id);
void core_tx_written(struct tspace_core *core, struct tx *tx,
                     struct item *item);
void core_tx_take(struct tspace_core *core, struct tx *tx, struct item *item);
void core_tx_read(struct tspace_core *core, struct tx *tx, struct item *item);
void core_tx_abort(struct tspace_core *core, struct tx *tx,
                   enum outcome outcome);
bool core_tx_deadlocked(struct tspace_core *core, struct tx *tx);
void core_tx_free(struct tspace_core *core, struct tx *tx);
const char *core_outcome_text(enum outcome outcome);

/* -- core_claim.c ---------------------------------------------------------- */

void core_claim_add(struct tspace_core *core, const struct realm *realm,
                    struct item *item, const struct taking *taking);
void core_claim_lapse(struct tspace_core *core, struct claim *claim);
void core_claim_free(struct tspace_core *core, struct claim *claim);
struct claim *core_claim_get(struct tspace_core *core, struct realm *realm,
                             struct plex_bytes owner, uint64_t turn);
void core_claim_hold(struct claim *claim, struct item *item);

void core_claim_lease(struct tspace_core *core, struct claim *claim,
                      uint64_t expires_ms);

/* -- core_notify.c --------------------------------------------------------- */

void core_notify(struct tspace_core *core, struct item *item,
                 enum tspace_event event);
void core_subscription_end(struct tspace_core *core,
                           struct subscription *subscription, bool durable);
void core_event_add(struct tspace_core *core, struct subscription *subscription,
                    struct event *event);
void core_subscription_terms(struct tspace_core *core,
                             struct subscription *subscription,
                             struct plex_bytes target, uint64_t expires_ms);
struct subscription *core_subscription_find(const struct tspace_core *core,
                                            uint64_t id);
struct subscription *core_subscription_make(struct tspace_core *core,
                                            struct space *space, uint64_t id,
                                            struct tspace_template *template);
void core_subscription_redeliver(struct tspace_core *core,
                                 struct subscription *subscription);

/* -- core_restore.c -------------------------------------------------------- */

void core_restore_free(struct tspace_core *core);

#endif
