/* What the journal is asked to write, and what it said. */
#include "services/worker/core_private.h"
#include "services/worker/run_log.h"

#include "common/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void
work_write_queue(struct work_core *core, struct write *write)
{
    write->actor->writing++;
    TAILQ_INSERT_TAIL(&work_outlet(core, write->entry.shard)->unwritten, write,
                      link);
}

void
work_snapshot_queue(struct work_core *core, struct actor *actor)
{
    struct write *write =
        plex_reallocarray(NULL, 1, sizeof *write + actor->data_len);
    uint8_t *copy = (uint8_t *)(write + 1);

    memset(write, 0, sizeof *write);
    if (actor->data_len > 0)
        memcpy(copy, actor->data, actor->data_len);
    write->kind = WRITE_SNAPSHOT;
    write->actor = actor;
    write->bytes = sizeof *write + actor->data_len;
    write->entry = (struct journal_entry){
        .kind = JOURNAL_SNAPSHOT,
        .actor = actor->id,
        .shard = actor->shard,
        .epoch = actor->epoch,
        .seq = actor->seq,
        .has_state = true,
        .state = {copy, actor->data_len},
        .schema_version =
            actor->schema_version | (actor->has_data ? 0 : WORK_SCHEMA_NONE),
    };
    core->stats.bytes += write->bytes;
    actor->since_snapshot = 0;
    actor->bytes_since_snapshot = 0;
    work_write_queue(core, write);
}

/* -- settles ----------------------------------------------------------------
 */

enum { SETTLE_PENDS_MAX = 256 };

/* The pends of one actor that follow each other become one entry. */
static void
settle_write(struct work_core *core)
{
    struct pend *pend = TAILQ_FIRST(&core->settles);
    struct actor *owner = pend->owner;
    struct write *write = plex_calloc(1, sizeof *write);
    struct plex_bytes *settled = plex_calloc(SETTLE_PENDS_MAX, sizeof *settled);

    write->kind = WRITE_SETTLE;
    write->actor = owner;
    write->bytes = sizeof *write;
    write->ended = plex_calloc(SETTLE_PENDS_MAX, sizeof(struct pend *));
    while ((pend = TAILQ_FIRST(&core->settles)) != NULL &&
           pend->owner == owner && write->n_ended < SETTLE_PENDS_MAX) {
        TAILQ_REMOVE(&core->settles, pend, link);
        pend->in_settles = false;
        pend->refs++;
        settled[write->n_ended] = pend->id;
        write->ended[write->n_ended++] = pend;
    }
    write->entry = (struct journal_entry){
        .kind = JOURNAL_SETTLE,
        .actor = owner->id,
        .shard = owner->shard,
        .epoch = work_shard_get(core, owner->shard)->epoch,
        .settled = settled,
        .n_settled = write->n_ended,
    };
    core->stats.bytes += write->bytes;
    work_write_queue(core, write);
}

/* -- batches
 * ------------------------------------------------------------------- */

static size_t
write_size(const struct write *write)
{
    return write->bytes + write->entry.reply.len;
}

static void
batch_make(struct work_core *core, struct journal_outlet *outlet)
{
    struct batch *batch = plex_calloc(1, sizeof *batch);
    struct write *write;
    size_t cap = 0, bytes = 0;

    batch->token = ++core->tokens;
    while (
        (write = TAILQ_FIRST(&outlet->unwritten)) != NULL &&
        batch->n < JOURNAL_ENTRIES_MAX &&
        (batch->n == 0 || bytes + write_size(write) <= WORK_BATCH_BYTES_MAX)) {
        if (batch->n == cap) {
            cap = cap == 0 ? 16 : cap * 2;
            batch->entries =
                plex_reallocarray(batch->entries, cap, sizeof *batch->entries);
            batch->writes =
                plex_reallocarray(batch->writes, cap, sizeof *batch->writes);
            batch->actors =
                plex_reallocarray(batch->actors, cap, sizeof *batch->actors);
        }
        TAILQ_REMOVE(&outlet->unwritten, write, link);
        bytes += write_size(write);
        if (write->item != NULL)
            write->item->state = ITEM_WRITING;
        batch->entries[batch->n] = write->entry;
        batch->actors[batch->n] = write->actor;
        batch->writes[batch->n++] = write;
    }
    TAILQ_INSERT_TAIL(&core->batches, batch, link);
    core->stats.appends++;
    batch->outlet = outlet;
    outlet->appends++;
    work_todo_push(core, TODO_BATCH, batch->token, batch);
}

void
work_core_flush(struct work_core *core)
{
    work_types_shrink(core);
    work_lookups_flush(core);
    while (!TAILQ_EMPTY(&core->settles))
        settle_write(core);
    if (!work_outlets_open(core))
        return;
    for (uint32_t i = 0; i < core->outlets.n; i++) {
        struct journal_outlet *outlet = &core->outlets.at[i];

        while (!TAILQ_EMPTY(&outlet->unwritten) &&
               outlet->appends < core->config.appends_max)
            batch_make(core, outlet);
    }
}

void
work_batch_action(const struct batch *batch, struct work_action *out)
{
    out->kind = WORK_DO_APPEND;
    out->token = batch->token;
    out->append.entries = batch->entries;
    out->append.n = batch->n;
}

void
work_batch_free(struct batch *batch)
{
    free(batch->entries);
    free(batch->writes);
    free(batch->actors);
    free(batch);
}

/* -- results
 * ---------------------------------------------------------------------- */

/* Something with this id was written before: its reply is the answer. */
static void
turn_existed(struct work_core *core, struct item *item,
             const struct journal_result *result)
{
    item->state = ITEM_EXISTED;
    if (result->request_hash != item->message.request_hash) {
        item->status = PLEX_MISMATCH;
        item->text = plex_strdup("the message id was used by another request");
        return;
    }
    core->stats.replays_total++;
    item->status = PLEX_OK;
    item->replayed = true;
    work_item_reply_set(core, item, result->reply);
}

static void
turn_result(struct work_core *core, struct write *write,
            const struct journal_result *result)
{
    struct actor *actor = write->actor;
    struct item *item = write->item;

    switch (result->status) {
    case PLEX_OK:
        item->state = ITEM_WRITTEN;
        actor->committed = write->entry.seq;
        return;
    case PLEX_EXISTS:
        turn_existed(core, item, result);
        break;
    case PLEX_UNKNOWN:
    case PLEX_TIMEOUT:
    case PLEX_CANCELLED:
        item->state = ITEM_UNKNOWN;
        break;
    case PLEX_FENCED:
    case PLEX_CONFLICT:
        /* This attempt did nothing, but an earlier one of the link may have:
         * the journal looks at epochs and order before ids. */
        item->maybe_done = true;
        item->state = ITEM_REFUSED;
        break;
    default:
        item->state = ITEM_REFUSED;
        break;
    }
}

/* A settle that was not written is tried again: until then the message may be
 * sent once more, and its receiver knows it. */
static void
settle_result(struct work_core *core, struct write *write,
              enum plex_status status)
{
    for (size_t i = 0; i < write->n_ended; i++) {
        struct pend *pend = write->ended[i];

        if (pend->gone)
            continue;
        if (status == PLEX_OK)
            work_pend_forget(core, pend);
        else
            work_heap_put(&core->retry, &pend->heap,
                          core->t.now_ns + 200 * WORK_MS);
    }
}

/* What one result means for its actor, besides the turn itself. */
static void
actor_result(struct work_core *core, struct actor *actor,
             enum plex_status status, const struct journal_entry *entry,
             const char *text)
{
    if (status == PLEX_FENCED) {
        core->stats.fenced_total++;
        work_shard_fenced(core, actor->shard, entry->epoch);
    } else if (entry->kind != JOURNAL_TURN) {
        return; /* a missing snapshot or settle harms nobody */
    } else if (status != PLEX_OK) {
        /* An earlier attempt may have been written, or will be yet. */
        actor->suspect = true;
        if (actor->state != ACTOR_DROPPED)
            work_actor_drop(core, actor, true, PLEX_UNAVAILABLE, text);
    }
}

static void
write_result(struct work_core *core, struct write *write,
             const struct journal_result *result)
{
    if (write->kind == WRITE_TURN) {
        turn_result(core, write, result);
        return;
    }
    if (write->kind == WRITE_SETTLE)
        settle_result(core, write, result->status);
}

/* After all results of the batch are noted: an actor is looked at as often as
 * it has entries, and lives until its last one. */
static void
write_done(struct work_core *core, struct write *write, enum plex_status status,
           const struct journal_entry *entry, struct actor *actor,
           const char *text)
{
    /* The write, and with it the settled ids of the entry, goes. */
    if (entry->kind != JOURNAL_TURN)
        work_write_free(core, write);
    actor_result(core, actor, status, entry, text);
    actor->writing--;
    if (actor->state == ACTOR_DROPPED) {
        work_actor_drop_continue(core, actor);
        return;
    }
    work_turns_release(core, actor);
    work_actor_pump(core, actor);
}

static struct batch *
batch_find(const struct work_core *core, uint64_t token)
{
    struct batch *batch;

    TAILQ_FOREACH(batch, &core->batches, link)
    if (batch->token == token)
        return batch;
    return NULL;
}

void
work_core_appended(struct work_core *core, struct work_time t, uint64_t append,
                   enum plex_status status, const char *text,
                   const struct journal_result *results, size_t n)
{
    const struct journal_result all = {.status = status};
    struct batch *batch;

    core->t = t;
    batch = batch_find(core, append);
    if (batch == NULL)
        return;
    assert(status != PLEX_OK || n == batch->n);
    TAILQ_REMOVE(&core->batches, batch, link);
    core->stats.appends--;
    batch->outlet->appends--;
    for (size_t i = 0; i < batch->n; i++)
        write_result(core, batch->writes[i],
                     status == PLEX_OK ? &results[i] : &all);
    for (size_t i = 0; i < batch->n; i++) {
        write_done(core, batch->writes[i],
                   status == PLEX_OK ? results[i].status : status,
                   &batch->entries[i], batch->actors[i],
                   status == PLEX_OK ? "the journal refused the turn" : text);
    }
    work_batch_free(batch);
}
