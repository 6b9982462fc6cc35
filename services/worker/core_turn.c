/* Turns: from what a handler did to what may leave. */
#include "services/worker/core_private.h"
#include "services/worker/run_log.h"

#include "common/mem.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
work_write_free(struct work_core *core, struct write *write)
{
    for (size_t i = 0; i < write->n_made; i++)
        work_pend_unref(write->made[i]);
    for (size_t i = 0; i < write->n_ended; i++)
        work_pend_unref(write->ended[i]);
    core->stats.bytes -= write->bytes;
    free(write->record);
    free(write->made);
    free(write->ended);
    free(write->blind);
    free((void *)(uintptr_t)write->entry.pending);
    free((void *)(uintptr_t)write->entry.settled);
    free(write);
}

/* -- outputs ------------------------------------------------------------------
 */

void
work_turn_ends(struct write *write, struct pend *pend)
{
    write->ended = plex_reallocarray(write->ended, write->n_ended + 1,
                                     sizeof(struct pend *));
    write->ended[write->n_ended++] = pend;
    pend->refs++;
    pend->cancelled = true;
}

static void
output_message(const struct actor *actor, const struct work_output *out,
               uint64_t now_ms, const char *sender, struct work_message *m)
{
    *m = (struct work_message){
        .to = actor->id,
        .kind = WORK_TIMER,
        .ttl_ms = WORK_TTL_MS,
        .method = "",
        .path = "",
        .subpath = "",
        .query = "",
        .content_type = "application/json",
        .payload = out->payload,
        .sender = "",
        .timer = "",
    };
    if (out->kind == WORK_OUT_TIMER_SET) {
        m->timer = out->timer;
        return;
    }
    m->kind = out->kind == WORK_OUT_CALL ? WORK_CALL : WORK_CAST;
    m->to.type = out->type;
    m->to.key = out->key;
    m->sender = sender;
    m->tag = out->tag;
    m->ttl_ms = UINT64_C(24) * 3600 * 1000; /* outlives any retrying */
    if (out->kind == WORK_OUT_CALL) {
        m->delay_ms = out->delay_ms; /* kept there: its timeout */
        m->sent_ms = now_ms;
    }
}

/* To the run that handles the call of that tag. False: it is answered. */
static bool
cancel_message(const struct actor *actor, uint64_t tag, char text[120],
               struct work_message *m)
{
    const struct pend *call = work_pend_call(actor, tag);

    if (call == NULL)
        return false;
    (void)snprintf(text, 120, WORK_CANCEL_CALL "%.*s", (int)call->id.len,
                   (const char *)call->id.data);
    m->kind = WORK_RESOLVE;
    m->to = call->message->to;
    m->timer = text;
    m->ttl_ms = UINT64_C(24) * 3600 * 1000;
    return true;
}

/* NULL when the message does not fit the wire. */
static struct pend *
output_pend(struct work_core *core, struct actor *actor, uint64_t seq, size_t n,
            const struct item *item, const struct work_output *out)
{
    char sender[PLEX_ACTOR_NAME_MAX + 1], id[80], chain[WORK_CHAIN_MAX];
    char cancels[120];
    uint8_t timer[WORK_TIMER_ID_LEN];
    struct work_message message;
    struct plex_bytes kept;
    struct plex_err err;
    struct pend *pend;
    int len;

    plex_actor_format(&actor->id, sender, sizeof sender);
    output_message(actor, out, core->t.wall_ms, sender, &message);
    if (out->kind == WORK_OUT_CALL_CANCEL &&
        !cancel_message(actor, out->tag, cancels, &message))
        return NULL;
    if (out->kind == WORK_OUT_CALL &&
        work_chain_extend(actor, item, out->tag, chain))
        message.chain = chain;
    if (actor->durable)
        len = snprintf(id, sizeof id, "%016" PRIx64 ":%" PRIu64 ":%zu",
                       actor->node.hash, seq, n);
    else
        len = snprintf(id, sizeof id, "v%" PRIx64 ":%" PRIu64,
                       core->config.incarnation, ++core->tokens);
    message.id = kept = (struct plex_bytes){(const uint8_t *)id, (size_t)len};
    if (actor->durable && out->kind == WORK_OUT_TIMER_SET) {
        work_timer_id(out->timer, timer);
        kept = (struct plex_bytes){timer, sizeof timer};
    }
    pend = work_pend_make(
        core, actor, kept,
        core->t.wall_ms + (out->kind == WORK_OUT_TIMER_SET ? out->delay_ms : 0),
        &message);
    if (pend == NULL)
        return NULL;
    pend->packed.max = WORK_TURN_BYTES_MAX;
    if (actor->durable &&
        work_message_pack(&message, &pend->packed, &err) != PLEX_OK) {
        work_pend_forget(core, pend);
        return NULL;
    }
    return pend;
}

/* Fills made and ended. False when there is too much. */
static bool
outputs_take(struct work_core *core, struct actor *actor, struct item *item,
             const struct work_outcome *outcome, struct write *write)
{
    write->made = plex_calloc(outcome->n_outputs + 1, sizeof(struct pend *));
    for (size_t i = 0; i < outcome->n_outputs; i++) {
        const struct work_output *out = &outcome->outputs[i];
        struct pend *pend = NULL;

        if (out->kind == WORK_OUT_TIMER_SET ||
            out->kind == WORK_OUT_TIMER_CANCEL) {
            pend = work_pend_timer(actor, out->timer, item->from);
            if (pend == NULL && work_window_hides(core, actor))
                work_blind_add(write, out->timer);
        }
        if (pend != NULL)
            work_turn_ends(write, pend);
        if (out->kind == WORK_OUT_TIMER_CANCEL ||
            (out->kind == WORK_OUT_CALL_CANCEL &&
             work_pend_call(actor, out->tag) == NULL))
            continue;
        pend = output_pend(core, actor, write->entry.seq, i, item, out);
        if (pend == NULL)
            return false;
        pend->refs++;
        write->made[write->n_made++] = pend;
        write->bytes += pend->packed.len;
    }
    return true;
}

static void
outputs_undo(struct work_core *core, struct write *write)
{
    for (size_t i = 0; i < write->n_made; i++)
        if (!write->made[i]->gone)
            work_pend_forget(core, write->made[i]);
    for (size_t i = 0; i < write->n_ended; i++) {
        struct pend *pend = write->ended[i];

        pend->cancelled = false;
        if (pend->gone || !pend->made)
            continue;
        /* The turn may have been written after all. The journal is asked
         * before the actor goes on, and says whether it is still there. */
        if (write->actor->suspect)
            work_pend_forget(core, pend);
        else if (pend->state == PEND_IDLE)
            work_pend_arm(core, pend);
    }
}

static void
outputs_commit(struct work_core *core, struct actor *actor, struct write *write)
{
    const struct shard *shard = work_shard_get(core, actor->shard);

    work_blind_done(core, write);
    for (size_t i = 0; i < write->n_ended; i++)
        if (!write->ended[i]->gone)
            work_pend_forget(core, write->ended[i]);
    for (size_t i = 0; i < write->n_made; i++) {
        struct pend *pend = write->made[i];

        pend->made = true;
        plex_buf_free(&pend->packed);
        if (pend->gone)
            continue;
        if (shard->state != SHARD_SERVING || actor->suspect)
            work_pend_forget(core, pend); /* found in the journal, in order */
        else if (!pend->cancelled &&
                 (pend->message->kind != WORK_GUARD || actor->open == NULL))
            work_pend_arm(core, pend);
    }
}

void
work_turn_undo(struct work_core *core, struct item *item)
{
    if (item->write == NULL)
        return;
    outputs_undo(core, item->write);
    work_write_free(core, item->write);
    item->write = NULL;
}

/* -- the entry
 * -------------------------------------------------------------------- */

/* A timer that is set again replaces the one before: that needs no more. */
static void
settled_add(struct journal_entry *entry, struct plex_bytes *settled,
            struct plex_bytes id)
{
    for (size_t i = 0; i < entry->n_pending; i++) {
        const struct plex_bytes made = entry->pending[i].id;

        if (made.len == id.len && memcmp(made.data, id.data, id.len) == 0)
            return;
    }
    settled[entry->n_settled++] = id;
}

static void
entry_lists(struct item *item, struct write *write)
{
    struct journal_entry *entry = &write->entry;
    const size_t n_blind = write->blind == NULL ? 0 : write->blind->n;
    const size_t n_settled = write->n_ended + n_blind + (item->from != NULL);
    struct journal_pending *pending;
    struct plex_bytes *settled;

    if (write->n_made > 0) {
        pending = plex_calloc(write->n_made, sizeof *pending);
        entry->pending = pending;
        for (size_t i = 0; i < write->n_made; i++) {
            const struct pend *pend = write->made[i];

            if (!pend->cancelled) /* by the same turn */
                pending[entry->n_pending++] = (struct journal_pending){
                    pend->id,
                    work_pend_stored_due(pend),
                    {pend->packed.data, pend->packed.len}};
        }
    }
    if (n_settled > 0) {
        settled = plex_calloc(n_settled, sizeof *settled);
        entry->settled = settled;
        for (size_t i = 0; i < write->n_ended; i++)
            settled_add(entry, settled, write->ended[i]->id);
        for (size_t i = 0; i < n_blind; i++)
            settled_add(
                entry, settled,
                (struct plex_bytes){write->blind->ids[i], WORK_TIMER_ID_LEN});
        if (item->from != NULL)
            settled_add(entry, settled, item->from->id);
    }
}

struct write *
work_turn_begin(struct work_core *core, struct actor *actor, struct item *item,
                struct plex_bytes state)
{
    const struct work_message *m = &item->message;
    struct write *write = plex_reallocarray(NULL, 1, sizeof *write + state.len);
    uint8_t *copy = (uint8_t *)(write + 1);

    memset(write, 0, sizeof *write);
    if (state.len > 0)
        memcpy(copy, state.data, state.len);
    write->kind = WRITE_TURN;
    write->actor = actor;
    write->item = item;
    write->bytes = sizeof *write + state.len;
    write->entry = (struct journal_entry){
        .kind = JOURNAL_TURN,
        .actor = actor->id,
        .shard = actor->shard,
        .epoch = actor->epoch,
        .seq = actor->seq + 1,
        .message_id =
            core->config.unsafe_no_dedup ? (struct plex_bytes){0} : m->id,
        .request_hash = m->request_hash,
        .expires_ms =
            core->t.wall_ms + (m->ttl_ms == 0 ? WORK_TTL_MS : m->ttl_ms),
        .at_ms = core->t.wall_ms,
        .state = {copy, state.len},
        .schema_version = actor->type->info.schema_version,
    };
    return write;
}

void
work_turn_record(struct write *write, const struct work_outcome *outcome)
{
    const struct plex_bytes from = outcome->record;

    write->entry.rebuilds =
        outcome->rebuilds && !outcome->failed && !write->entry.has_state;
    if (from.len == 0)
        return;
    write->record = plex_reallocarray(NULL, 1, from.len);
    memcpy(write->record, from.data, from.len);
    write->entry.record = (struct plex_bytes){write->record, from.len};
    write->bytes += from.len;
}

/* The checkers of the simulator must notice this. */
static void
answer_too_early(struct work_core *core, struct item *item)
{
    struct item *early;

    if (!core->config.unsafe_reply_before_commit || item->call == 0)
        return;
    early = work_item_make(core, &plex_context_none, &item->message);
    early->call = item->call;
    item->call = 0;
    work_item_reply_set(core, early,
                        (struct plex_bytes){item->reply, item->reply_len});
    work_item_finish(core, early, PLEX_OK, NULL);
}

void
work_turn_queue(struct work_core *core, struct actor *actor, struct item *item,
                struct write *write)
{
    entry_lists(item, write);
    write->entry.reply = (struct plex_bytes){item->reply, item->reply_len};
    core->stats.bytes += write->bytes;
    actor->seq++;
    item->write = write;
    item->recorded = true;
    item->state = ITEM_UNWRITTEN;
    TAILQ_INSERT_TAIL(&actor->unreleased, item, link);
    actor->unreleased_n++;
    work_write_queue(core, write);
    answer_too_early(core, item);
}

void
work_turn_ready(struct actor *actor, struct item *item)
{
    item->state = ITEM_READY;
    TAILQ_INSERT_TAIL(&actor->unreleased, item, link);
    actor->unreleased_n++;
}

bool
work_turn_outputs(struct work_core *core, struct actor *actor,
                  struct item *item, const struct work_outcome *outcome,
                  struct write *write)
{
    if (outcome->state.len <= JOURNAL_STATE_MAX &&
        outputs_take(core, actor, item, outcome, write) &&
        write->bytes + item->reply_len <= WORK_TURN_BYTES_MAX)
        return true;
    outputs_undo(core, write);
    core->stats.bytes += write->bytes; /* work_write_free takes it off */
    work_write_free(core, write);
    return false;
}

/* -- what a handler did
 * -------------------------------------------------------------- */

static bool
must_write(const struct item *item, const struct work_outcome *outcome)
{
    const struct work_message *m = &item->message;

    if (item->from != NULL)
        return true;
    if (!outcome->failed &&
        (outcome->state_changed || outcome->rebuilds || outcome->n_outputs > 0))
        return true;
    if (item->activation)
        return false;
    return m->keyed || m->kind == WORK_CAST ||
           (outcome->failed && m->id.len > 0);
}

void
work_turn_failed_reply(struct work_core *core, struct item *item,
                       const char *text)
{
    const struct work_reply reply = {
        .http_status = 500, .content_type = "", .failed = true, .error = text};
    struct plex_buf buf = {.max = 4096};
    struct plex_err err;

    if (work_reply_pack(&reply, &buf, &err) == PLEX_OK)
        work_item_reply_set(core, item, (struct plex_bytes){buf.data, buf.len});
    plex_buf_free(&buf);
}

/* The state after the turn is the actor's. */
static void
state_take(struct work_core *core, struct actor *actor,
           const struct work_outcome *outcome)
{
    if (outcome->state_changed)
        work_actor_state_set(actor, outcome->state);
    actor->schema_version = actor->type->info.schema_version;
    if (actor->since_snapshot++ == 0)
        actor->snapshot_ms = core->t.wall_ms;
    actor->bytes_since_snapshot += outcome->record.len;
}

static bool
snapshot_due(const struct work_core *core, const struct actor *actor)
{
    const struct work_type *type = &actor->type->info;
    const uint64_t wall_ms = core->t.wall_ms;
    const struct journal_snapshot_rule rule = {
        type->snapshot_every, type->sourced ? type->snapshot_bytes : 0,
        type->sourced ? type->snapshot_ms : 0};

    return journal_snapshot_due(
        &rule, actor->since_snapshot, actor->bytes_since_snapshot,
        wall_ms > actor->snapshot_ms ? wall_ms - actor->snapshot_ms : 0);
}

static void
turn_durable(struct work_core *core, struct actor *actor, struct item *item,
             const struct work_outcome *outcome)
{
    const bool rebuilds = !outcome->failed && outcome->rebuilds,
               changed =
                   rebuilds || (!outcome->failed && outcome->state_changed),
               carried = changed && !rebuilds;
    struct write *write;

    if (!must_write(item, outcome)) {
        work_turn_ready(actor, item);
        return;
    }
    write = work_turn_begin(core, actor, item,
                            carried ? outcome->state : (struct plex_bytes){0});
    write->entry.has_state = carried;
    work_turn_record(write, outcome);
    if (!outcome->failed &&
        !work_turn_outputs(core, actor, item, outcome, write)) {
        const struct work_outcome failed = {.failed = true,
                                            .record = outcome->record};

        work_turn_failed_reply(core, item,
                               "the turn's state, messages and timers are more "
                               "than the journal takes");
        turn_durable(core, actor, item, &failed);
        return;
    }
    if (changed)
        state_take(core, actor, outcome);
    work_turn_queue(core, actor, item, write);
    if (changed && snapshot_due(core, actor))
        work_snapshot_queue(core, actor);
}

void
work_turn_effects(struct work_core *core, struct actor *actor,
                  struct item *item, const struct work_outcome *outcome)
{
    if (!outcome->failed && outcome->state_changed) {
        work_actor_state_set(actor, outcome->state);
        actor->schema_version = actor->type->info.schema_version;
        actor->dirty = actor->type->info.persist;
    }
    if (!outcome->failed && outcome->n_outputs > 0) {
        struct write *write =
            work_turn_begin(core, actor, item, (struct plex_bytes){0});

        core->stats.bytes += write->bytes;
        (void)outputs_take(core, actor, item, outcome, write);
        outputs_commit(core, actor, write);
        work_write_free(core, write);
    }
}

void
work_turn_ran(struct work_core *core, struct work_time t, uint64_t token,
              const struct work_outcome *outcome)
{
    struct actor *actor;
    struct item *item;

    core->t = t;
    actor = work_actor_by_token(core, token);
    if (actor != NULL && actor->restore != NULL) {
        work_restore_ran(core, actor, outcome);
        return;
    }
    if (actor == NULL || actor->running == NULL) {
        work_aside_ran(core, token, outcome);
        return;
    }
    item = actor->running;
    actor->running = NULL;
    actor->held = outcome->holds;
    core->stats.turns_total++;
    if (outcome->phase == WORK_YIELDS) {
        work_aside_yields(core, actor, item, token, outcome);
        return;
    }
    if (actor->state == ACTOR_DROPPED) {
        if (item->step) {
            work_item_finish(core, item, PLEX_CANCELLED, NULL);
        } else if (item != actor->open) {
            work_turn_ready(actor, item);
            /* What a handler without a journal did cannot be undone. */
            if (item->out && !actor->durable)
                item->state = ITEM_UNKNOWN;
        }
        work_actor_drop_continue(core, actor);
        return;
    }
    if (item->activation && outcome->failed) {
        work_item_finish(core, item, PLEX_CANCELLED, NULL);
        work_actor_drop(core, actor, false, PLEX_FAILED,
                        "the actor could not be activated");
        return;
    }
    if (outcome->phase != WORK_ENDED || item == actor->open) {
        work_open_ran(core, actor, item, outcome);
        work_turns_release(core, actor);
        work_actor_pump(core, actor);
        return;
    }
    work_item_reply_set(core, item, outcome->reply);
    if (actor->durable) {
        turn_durable(core, actor, item, outcome);
    } else {
        work_turn_effects(core, actor, item, outcome);
        work_turn_ready(actor, item);
    }
    work_turns_release(core, actor);
    work_actor_pump(core, actor);
}

/* A delayed cast to a durable actor: one turn keeps it, a later one, when it
 * is due, handles it. */
void
work_turn_accept(struct work_core *core, struct actor *actor, struct item *item)
{
    struct work_message message = item->message;
    struct write *write =
        work_turn_begin(core, actor, item, (struct plex_bytes){0});
    struct plex_buf reply = {.max = 4096};
    struct work_reply accepted = {
        .http_status = 202, .content_type = "", .error = "", .recorded = true};
    enum plex_status packed;
    struct plex_err err;
    struct pend *pend;

    accepted.due_ms = core->t.wall_ms + message.delay_ms;
    message.delay_ms = 0;
    if (item->accept_id != NULL)
        message.id =
            (struct plex_bytes){item->accept_id + 2, item->message.id.len - 2};
    pend = work_pend_make(core, actor, message.id, accepted.due_ms, &message);
    if (pend == NULL || work_reply_pack(&accepted, &reply, &err) != PLEX_OK) {
        core->stats.bytes += write->bytes;
        work_write_free(core, write);
        work_item_finish(core, item, PLEX_LIMIT,
                         "the worker keeps as many delayed casts as it may");
        return;
    }
    pend->packed.max = WORK_TURN_BYTES_MAX;
    packed = work_message_pack(&message, &pend->packed, &err);
    assert(packed == PLEX_OK); /* it came over the wire */
    (void)packed;
    pend->refs++;
    write->made = plex_calloc(1, sizeof(struct pend *));
    write->made[write->n_made++] = pend;
    write->bytes += pend->packed.len;
    work_item_reply_set(core, item, (struct plex_bytes){reply.data, reply.len});
    plex_buf_free(&reply);
    work_turn_queue(core, actor, item, write);
}

/* -- what may leave
 * ---------------------------------------------------------------------- */

static void
turn_record(struct work_core *core, struct actor *actor,
            const struct item *item)
{
    const struct journal_entry *entry = &item->write->entry;
    const struct journal_recorded recorded = {
        .message_id = entry->message_id,
        .request_hash = entry->request_hash,
        .expires_ms = entry->expires_ms,
        .reply = entry->reply,
        .seq = entry->seq,
    };

    if (entry->message_id.len > 0 && actor->state == ACTOR_ACTIVE)
        work_id_record(core, actor, &recorded, true);
}

static void
release_one(struct work_core *core, struct actor *actor, struct item *item)
{
    TAILQ_REMOVE(&actor->unreleased, item, link);
    actor->unreleased_n--;
    if (item->state == ITEM_WRITTEN) {
        turn_record(core, actor, item);
        outputs_commit(core, actor, item->write);
    } else {
        /* Nothing but the lease vouches for it. */
        item->needs_lease = !work_actor_is_local(core, actor);
    }
    if (actor->open != NULL && item->state == ITEM_WRITTEN)
        actor->open->opened = true;
    if (item->state == ITEM_WRITTEN && work_ask_released(core, item))
        return;
    work_item_finish(core, item, PLEX_OK, NULL);
}

void
work_turns_release(struct work_core *core, struct actor *actor)
{
    struct item *item, *next;

    for (item = TAILQ_FIRST(&actor->unreleased); item != NULL; item = next) {
        next = TAILQ_NEXT(item, link);
        if (item->state == ITEM_WRITTEN ||
            (item->state == ITEM_READY && actor->state == ACTOR_ACTIVE))
            release_one(core, actor, item);
        else if (actor->state == ACTOR_ACTIVE)
            return; /* in order: what is behind it waits */
    }
}
