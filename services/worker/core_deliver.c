/* From outside into a mailbox. */
#include "services/worker/core_private.h"

#include "common/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Limits that hold for every message, whoever sent it. */
static enum plex_status
message_check(const struct work_core *core, const struct plex_context *context,
              const struct work_message *m, const char **text)
{
    const struct work_core_stats *now = &core->stats;

    if (context->tenant[0] != '\0' &&
        strcmp(context->tenant, m->to.tenant) != 0) {
        *text = "the actor belongs to another tenant";
        return PLEX_DENIED;
    }
    if (m->id.len > WORK_ID_MAX) {
        *text = "the message id is longer than 298 bytes";
        return PLEX_INVALID;
    }
    if (m->payload.len > WORK_PAYLOAD_MAX || m->n_headers > WORK_HEADERS_MAX) {
        *text = "the message is too large: 5 MiB and 100 headers are allowed";
        return PLEX_TOO_LARGE;
    }
    if (now->messages >= core->config.messages_max ||
        now->bytes + m->payload.len > core->config.bytes_max) {
        *text = "the worker holds as many messages as it may";
        return PLEX_LIMIT;
    }
    return PLEX_OK;
}

/* May we serve this shard now? */
static enum plex_status
shard_check(const struct work_core *core, const struct shard *shard,
            const char **text)
{
    if (shard == NULL || shard->state == SHARD_OTHERS ||
        shard->state == SHARD_FENCED) {
        *text = "another worker owns the actor's shard";
        return PLEX_NOT_OWNER;
    }
    if (shard->state == SHARD_TAKING) {
        *text = "the worker is taking over the actor's shard";
        return PLEX_UNAVAILABLE;
    }
    if (!work_lease_holds(core)) {
        *text = "the worker's lease has lapsed";
        return PLEX_UNAVAILABLE;
    }
    return PLEX_OK;
}

/* An actor that is not durable keeps a delayed cast in memory. */
static void
keep_volatile(struct work_core *core, struct actor *actor, struct item *item)
{
    const struct work_message *m = &item->message;
    const uint64_t due = core->t.wall_ms + m->delay_ms;
    const struct work_reply reply = {
        .http_status = 202, .content_type = "", .error = "", .due_ms = due};
    struct plex_buf packed = {.max = 4096};
    struct plex_err err;
    struct pend *pend;

    pend = work_pend_make(core, actor, m->id, due, m);
    if (pend == NULL || work_reply_pack(&reply, &packed, &err) != PLEX_OK) {
        work_item_finish(core, item, PLEX_LIMIT,
                         "the worker keeps as many timers as it may");
        return;
    }
    pend->message->delay_ms = 0;
    pend->made = true;
    work_pend_arm(core, pend);
    work_item_reply_set(core, item,
                        (struct plex_bytes){packed.data, packed.len});
    plex_buf_free(&packed);
    work_item_finish(core, item, PLEX_OK, NULL);
}

/* A delayed cast is put away under an id of its own, so that the delivery
 * itself can be recorded under the id that the sender knows. */
static void
accept_id(struct item *item)
{
    const struct plex_bytes id = item->message.id;
    uint8_t *own;

    if (id.len == 0)
        return;
    own = plex_reallocarray(NULL, 1, id.len + 2);
    memcpy(own, "a:", 2);
    memcpy(own + 2, id.data, id.len);
    item->message.id = (struct plex_bytes){own, id.len + 2};
    item->accept_id = own;
}

static void
actor_deliver(struct work_core *core, struct actor *actor, struct item *item)
{
    struct type *type = actor->type;
    enum plex_status status;

    if (item->message.kind == WORK_CAST && item->message.delay_ms > 0 &&
        item->from == NULL) {
        if (!type->info.durable) {
            keep_volatile(core, actor, item);
            work_actor_settle_down(core, actor);
            return;
        }
        item->accept = true;
        accept_id(item);
    }
    if (actor->mailbox_n >= type->info.mailbox_max) {
        work_item_finish(core, item, PLEX_LIMIT, "the actor's mailbox is full");
        return;
    }
    item->actor = actor;
    if (work_item_replays(core, actor, item)) {
        work_actor_settle_down(core, actor);
        return;
    }
    status = work_actor_wake(core, actor);
    if (status != PLEX_OK) {
        work_item_finish(core, item, status,
                         "the worker holds as many actors as it may");
        work_actor_settle_down(core, actor);
        return;
    }
    work_id_enter(core, item);
    item->state = ITEM_WAITING;
    TAILQ_INSERT_TAIL(&actor->mailbox, item, link);
    actor->mailbox_n++;
    work_actor_pump(core, actor);
}

void
work_item_deliver(struct work_core *core, struct item *item,
                  const struct plex_actor_id *to)
{
    const uint64_t hash = plex_actor_hash(to);
    struct shard *shard =
        work_shard_get(core, plex_shard_of(hash, core->shard_bits));
    struct actor *actor;
    struct type *type;
    const char *text = "";
    enum plex_status status = shard_check(core, shard, &text);

    if (status != PLEX_OK) {
        work_item_finish(core, item, status, text);
        return;
    }
    actor = work_actor_find(core, to, hash);
    type = actor != NULL && actor->type != NULL
               ? actor->type
               : work_type_find(core, to->tenant, to->ns, to->type);
    status = work_type_check(type, &text);
    if (status != PLEX_OK) {
        work_item_finish(core, item, status, text);
        return;
    }
    if (actor == NULL)
        actor = work_actor_get(core, to, hash);
    if (actor->type == NULL) {
        actor->type = type;
        TAILQ_INSERT_TAIL(&type->actors, actor, of_type);
    }
    actor_deliver(core, actor, item);
}

void
work_core_deliver(struct work_core *core, struct work_time t, uint64_t call,
                  const struct plex_context *context,
                  const struct work_message *message)
{
    static const struct work_message nothing = {
        .to = {"", "", "", ""},
        .method = "",
        .path = "",
        .subpath = "",
        .query = "",
        .content_type = "",
        .sender = "",
        .timer = "",
    };
    const char *text = "";
    enum plex_status status;
    struct item *item;

    core->t = t;
    status = message_check(core, context, message, &text);
    item =
        work_item_make(core, context, status == PLEX_OK ? message : &nothing);
    item->call = call;
    if (status != PLEX_OK)
        work_item_finish(core, item, status, text);
    else
        work_item_deliver(core, item, &item->message.to);
}
