/* Transactions. What one wrote is linked but seen by it only; what it took is
 * not linked any more; what it read is marked. */
#include "services/tuplespace/engine/core_private.h"
#include "services/tuplespace/engine/record.h"

#include <stdio.h>

const char *
core_outcome_text(enum outcome outcome)
{
    switch (outcome) {
    case OUTCOME_COMMITTED:
        return "was committed";
    case OUTCOME_ABORTED:
        return "was aborted";
    case OUTCOME_TIMED_OUT:
        return "was aborted: its time ran out";
    case OUTCOME_DEADLOCK:
        return "was aborted: it and others waited for each other";
    case OUTCOME_CONFIRMED:
        return "was confirmed";
    case OUTCOME_RELEASED:
        return "was released";
    case OUTCOME_LAPSED:
        return "lapsed: its lease ran out and the tuples returned";
    case OUTCOME_ANSWER:
        break;
    }
    return "was answered";
}

struct tx *
core_tx_find(const struct tspace_core *core, uint64_t id)
{
    struct tx *tx;

    HASH_FIND(hh, core->txs, &id, sizeof id, tx);
    return tx;
}

struct tx *
core_tx_make(struct tspace_core *core, struct realm *realm, uint64_t id)
{
    struct tx *tx = plex_calloc(1, sizeof *tx);

    tx->id = id;
    tx->realm = realm;
    realm->users++;
    TAILQ_INIT(&tx->entries);
    TAILQ_INIT(&tx->waiters);
    HASH_ADD(hh, core->txs, id, sizeof tx->id, tx);
    core->stats.transactions++;
    realm->tenant->transactions++;
    return tx;
}

/* -- what it did ----------------------------------------------------------- */

bool
core_tx_room(struct tspace_core *core, const struct tx *tx, void *call,
             uint64_t n)
{
    if (tx->n_entries + n <= TSPACE_TX_TUPLES_MAX)
        return true;
    core_refuse(core, call, PLEX_LIMIT,
                "a transaction is about at most %d tuples",
                TSPACE_TX_TUPLES_MAX);
    return false;
}

struct tx_entry *
core_tx_hold(struct tx *tx, struct item *item, enum entry_kind kind)
{
    struct tx_entry *entry = plex_calloc(1, sizeof *entry);
    struct hold *hold = item_hold(item);

    entry->tx = tx;
    entry->item = item;
    entry->kind = kind;
    item->refs++;
    TAILQ_INSERT_TAIL(&tx->entries, entry, of_tx);
    LIST_INSERT_HEAD(&item->shape->held, entry, of_shape);
    LIST_INSERT_HEAD(&hold->entries, entry, of_item);
    tx->n_entries++;
    if (kind == ENTRY_WRITTEN)
        hold->writer = tx;
    else if (kind == ENTRY_TAKEN)
        hold->taker = tx;
    else
        hold->readers++;
    return entry;
}

/* The item's reference goes to the caller. */
static struct item *
entry_free(struct tx_entry *entry)
{
    struct item *item = entry->item;

    if (entry->kind == ENTRY_WRITTEN)
        item->hold->writer = NULL;
    else if (entry->kind == ENTRY_TAKEN)
        item->hold->taker = NULL;
    else
        item->hold->readers--;
    TAILQ_REMOVE(&entry->tx->entries, entry, of_tx);
    LIST_REMOVE(entry, of_shape);
    LIST_REMOVE(entry, of_item);
    entry->tx->n_entries--;
    free(entry);
    item_hold_trim(item);
    return item;
}

static struct tx_entry *
entry_find(const struct tx *tx, const struct item *item)
{
    struct tx_entry *entry;

    if (item->hold == NULL)
        return NULL;
    LIST_FOREACH(entry, &item->hold->entries, of_item)
    {
        if (entry->tx == tx)
            return entry;
    }
    return NULL;
}

void
core_tx_written(struct tspace_core *core, struct tx *tx, struct item *item)
{
    (void)core;
    core_tx_hold(tx, item, ENTRY_WRITTEN);
}

void
core_tx_read(struct tspace_core *core, struct tx *tx, struct item *item)
{
    (void)core;
    if (entry_find(tx, item) == NULL)
        core_tx_hold(tx, item, ENTRY_READ);
}

void
core_tx_take(struct tspace_core *core, struct tx *tx, struct item *item)
{
    struct tx_entry *own = entry_find(tx, item);
    bool written = false;

    if (own != NULL) {
        written = own->kind == ENTRY_WRITTEN;
        item_unref(entry_free(own));
    }
    if (written) { /* nobody else ever saw it */
        core_item_drop(core, item);
        return;
    }
    shape_unlink(item->shape, item);
    core_tx_hold(tx, item, ENTRY_TAKEN);
}

/* -- the end --------------------------------------------------------------- */

static void
waiters_end(struct tspace_core *core, struct tx *tx, enum outcome outcome)
{
    char text[128];

    snprintf(text, sizeof text, "transaction %llu %s",
             (unsigned long long)tx->id, core_outcome_text(outcome));
    while (!TAILQ_EMPTY(&tx->waiters))
        core_waiter_end(core, TAILQ_FIRST(&tx->waiters), PLEX_CONFLICT, text);
}

void
core_tx_free(struct tspace_core *core, struct tx *tx)
{
    while (!TAILQ_EMPTY(&tx->entries))
        item_unref(entry_free(TAILQ_FIRST(&tx->entries)));
    due_remove(&core->mono, &tx->due_place);
    HASH_DEL(core->txs, tx);
    tx->realm->tenant->transactions--;
    core_realm_release(core, tx->realm);
    core->stats.transactions--;
    free(tx);
}

static void
prepared_remove(struct tspace_core *core, const struct tx *tx)
{
    uint8_t key[8];

    if (tx->prepared)
        core_record(core, TSPACE_RECORD_TX, NULL, tx->realm,
                    core_id_key(tx->id, key), NULL);
}

static void
outcome_remember(struct tspace_core *core, struct tx *tx, enum outcome outcome)
{
    struct answer *answer = core_answer(core, 0);
    uint8_t key[8];

    core_memory_add(core, tx->realm, 't', core_id_key(tx->id, key), outcome,
                    answer, 0, outcome == OUTCOME_COMMITTED || tx->prepared);
    core_answer_unref(core, answer);
}

/* What the end lets others see, or take, again. */
struct freed {
    struct item **items; /* references */
    bool *written;
    uint32_t n;
};

static void
freed_show(struct tspace_core *core, struct freed *freed)
{
    for (uint32_t i = 0; i < freed->n; i++) {
        struct item *item = freed->items[i];

        if (!item->gone)
            core_item_show(core, item, freed->written[i]);
        item_unref(item);
    }
    free(freed->items);
    free(freed->written);
}

static void
freed_init(struct freed *freed, const struct tx *tx)
{
    freed->items = plex_calloc(tx->n_entries + 1, sizeof(struct item *));
    freed->written = plex_calloc(tx->n_entries + 1, sizeof(bool));
    freed->n = 0;
}

static void
tx_commit(struct tspace_core *core, struct tx *tx, struct freed *freed)
{
    freed_init(freed, tx);
    while (!TAILQ_EMPTY(&tx->entries)) {
        struct tx_entry *entry = TAILQ_FIRST(&tx->entries);
        const enum entry_kind kind = entry->kind;
        struct item *item = entry_free(entry);

        if (kind == ENTRY_TAKEN) {
            core_item_end(core, item, TSPACE_TAKEN);
            item_unref(item);
            continue;
        }
        if (kind == ENTRY_WRITTEN)
            core_put_item(core, item);
        freed->written[freed->n] = kind == ENTRY_WRITTEN;
        freed->items[freed->n++] = item;
    }
    prepared_remove(core, tx);
    outcome_remember(core, tx, OUTCOME_COMMITTED);
    waiters_end(core, tx, OUTCOME_COMMITTED);
    core_tx_free(core, tx);
}

void
core_tx_abort(struct tspace_core *core, struct tx *tx, enum outcome outcome)
{
    struct freed freed;

    freed_init(&freed, tx);
    waiters_end(core, tx, outcome);
    while (!TAILQ_EMPTY(&tx->entries)) {
        struct tx_entry *entry = TAILQ_FIRST(&tx->entries);
        const enum entry_kind kind = entry->kind;
        struct item *item = entry_free(entry);

        if (kind == ENTRY_WRITTEN) {
            core_item_drop(core, item);
            item_unref(item);
        } else if (core->config.unsafe & TSPACE_UNSAFE_NOT_WOKEN) {
            if (!item->linked && !item->gone)
                shape_link(item->shape, item);
            item_unref(item);
        } else {
            freed.items[freed.n++] = item;
        }
    }
    prepared_remove(core, tx);
    outcome_remember(core, tx, outcome);
    core_tx_free(core, tx);
    freed_show(core, &freed);
}

/* -- deadlocks ------------------------------------------------------------- */

struct search {
    struct tx **found; /* a stack of those still to be looked at */
    uint32_t n, room;
    uint64_t number;
};

static void
search_add(struct search *search, struct tx *tx)
{
    if (tx->visited == search->number)
        return;
    tx->visited = search->number;
    if (search->n == search->room) {
        search->room = search->room == 0 ? 16 : 2 * search->room;
        search->found =
            plex_reallocarray(search->found, search->room, sizeof(struct tx *));
    }
    search->found[search->n++] = tx;
}

/* Does the waiter wait for another transaction? Adds those it waits for. */
static bool
waits_for(struct search *search, const struct waiter *waiter)
{
    const struct shape *shape = waiter->listener.shape;
    struct tx_entry *entry;
    bool any = false, gave_up = false;

    LIST_FOREACH(entry, &shape->held, of_shape)
    {
        if (entry->tx == waiter->tx || entry->item->gone ||
            (entry->kind == ENTRY_READ && !waiter->take) ||
            !tspace_template_match(waiter->listener.template,
                                   entry->item->packed, &gave_up))
            continue;
        any = true;
        search_add(search, entry->tx);
    }
    return any;
}

/*
 * A waiter goes on as soon as one of those it waits for ends, so there is a
 * deadlock only if none of all that can be reached from here can go on: each
 * waits, and for transactions only. One that waits for a tuple that nobody
 * holds waits for a write, which may come from outside.
 */
bool
core_tx_deadlocked(struct tspace_core *core, struct tx *tx)
{
    struct search search = {.number = ++core->searches};
    bool stuck = true;

    search_add(&search, tx);
    while (stuck && search.n > 0) {
        const struct tx *at = search.found[--search.n];
        const struct waiter *waiter;

        stuck = !TAILQ_EMPTY(&at->waiters);
        TAILQ_FOREACH(waiter, &at->waiters, of_tx)
        {
            stuck = stuck && waits_for(&search, waiter);
        }
    }
    free(search.found);
    return stuck;
}

/* -- requests -------------------------------------------------------------- */

void
tspace_core_begin(struct tspace_core *core, struct tspace_now now,
                  const struct tspace_begin *begin)
{
    const struct tspace_op *op = &begin->op;
    struct answer *answer;
    struct realm *realm;
    struct scope scope;
    struct tx *tx;

    if (!core_begin(core, now, op, false, &scope))
        return;
    if (begin->timeout_ms < 1 || begin->timeout_ms > TSPACE_TX_MAX_MS) {
        core_refuse(core, op->call, PLEX_INVALID,
                    "a transaction has 1 ms to 1 hour, not %llu ms",
                    (unsigned long long)begin->timeout_ms);
        return;
    }
    if (core->config.tx_max != 0 &&
        core->stats.transactions >= core->config.tx_max) {
        core_refuse(core, op->call, PLEX_LIMIT,
                    "%u transactions are open already", core->config.tx_max);
        return;
    }
    realm = core_realm_get(core, &op->where);
    if (core->config.tenant_tx_max != 0 &&
        realm->tenant->transactions >= core->config.tenant_tx_max) {
        core_refuse(core, op->call, PLEX_LIMIT,
                    "%u transactions of the tenant are open already",
                    core->config.tenant_tx_max);
        core_realm_release(core, realm);
        return;
    }
    tx = core_tx_make(core, realm, core->next_id++);
    core_realm_release(core, realm);
    due_add(&core->mono, core->now.mono_ns + begin->timeout_ms * 1000000,
            &tx->due_place, DUE_TX);
    answer = core_answer(core, 0);
    answer->pub.number = tx->id;
    core_finish(core, &scope, answer);
}

static void
tx_prepare(struct tspace_core *core, struct scope *scope, struct tx *tx)
{
    struct plex_buf body = {.max = TSPACE_BODY_MAX};
    uint8_t key[8];

    record_put_tx(&body, tx);
    if (body.max == 0) {
        core_refuse(core, scope->op->call, PLEX_LIMIT,
                    "the transaction is too large to be prepared");
        plex_buf_free(&body);
        return;
    }
    waiters_end(core, tx, OUTCOME_ABORTED);
    core_record(core, TSPACE_RECORD_TX, NULL, tx->realm,
                core_id_key(tx->id, key), &body);
    plex_buf_free(&body);
    tx->prepared = true;
    due_remove(&core->mono, &tx->due_place);
    core_finish(core, scope, core_answer(core, 0));
}

/* A transaction that is no more: the same end again is fine. */
static void
ended_again(struct tspace_core *core, struct scope *scope, uint64_t id,
            enum tspace_end how)
{
    const struct request *ended = NULL;
    uint8_t key[8];

    if (scope->realm != NULL)
        ended = core_memory_find(core, scope->realm, 't', core_id_key(id, key));
    if (ended == NULL)
        core_refuse(core, scope->op->call, PLEX_NOT_FOUND,
                    "there is no transaction %llu", (unsigned long long)id);
    else if ((how == TSPACE_COMMIT) == (ended->outcome == OUTCOME_COMMITTED) &&
             how != TSPACE_PREPARE)
        core_finish(core, scope, core_answer(core, 0));
    else
        core_refuse(core, scope->op->call, PLEX_CONFLICT, "transaction %llu %s",
                    (unsigned long long)id, core_outcome_text(ended->outcome));
}

void
tspace_core_end(struct tspace_core *core, struct tspace_now now,
                const struct tspace_op *op, enum tspace_end how)
{
    struct tspace_op outside = *op;
    struct freed freed = {0};
    struct scope scope;
    struct tx *tx;

    outside.tx = 0; /* also a prepared one may be ended */
    if (!core_begin(core, now, &outside, false, &scope))
        return;
    tx = core_tx_find(core, op->tx);
    if (tx == NULL || tx->realm != scope.realm) {
        ended_again(core, &scope, op->tx, how);
        return;
    }
    if (how == TSPACE_PREPARE) {
        if (tx->prepared)
            core_finish(core, &scope, core_answer(core, 0));
        else
            tx_prepare(core, &scope, tx);
    } else if (how == TSPACE_COMMIT) {
        tx_commit(core, tx, &freed);
        core_finish(core, &scope, core_answer(core, 0));
        freed_show(core, &freed);
    } else {
        core_tx_abort(core, tx, OUTCOME_ABORTED);
        core_finish(core, &scope, core_answer(core, 0));
    }
}
