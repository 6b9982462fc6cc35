/* From outside into a mailbox. */
#include "services/worker/chain.h"
#include "services/worker/core_private.h"

#include "common/mem.h"
#include "services/worker/run_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

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

/* -- chains of calls --------------------------------------------------------
 */

enum { CHAIN_LINE_MAX = PLEX_TYPE_MAX + PLEX_KEY_MAX + 16 };

static void
chain_line(const struct plex_actor_id *actor, uint32_t run,
           char out[CHAIN_LINE_MAX])
{
    (void)snprintf(out, CHAIN_LINE_MAX, "%08" PRIx32 " %s/%s", run, actor->type,
                   actor->key);
}

static uint32_t
chain_number(struct plex_bytes id)
{
    return (uint32_t)XXH3_64bits(id.data, id.len) & 0x7fffffffu;
}

static unsigned
chain_depth(const char *chain)
{
    unsigned n = chain == NULL ? 0 : 1;

    for (; chain != NULL && *chain != '\0'; chain++)
        n += *chain == '\n';
    return n;
}

/* So deep that it does not fit: only the outer ones are seen. */
static bool
chain_add(const char *before, const char *line, char *out)
{
    if (chain_depth(before) < WORK_CHAIN_DEPTH &&
        snprintf(out, WORK_CHAIN_MAX, "%s%s%s", before == NULL ? "" : before,
                 before == NULL ? "" : "\n", line) < WORK_CHAIN_MAX)
        return true;
    (void)snprintf(out, WORK_CHAIN_MAX, "%s", before == NULL ? "" : before);
    return false;
}

bool
work_chain_of(const struct plex_actor_id *actor,
              const struct work_message *handled, char *out)
{
    char line[CHAIN_LINE_MAX];

    chain_line(actor, chain_number(handled->id), line);
    return chain_add(handled->chain, line, out);
}

bool
work_chain_extend(const struct actor *actor, const struct item *item,
                  uint64_t tag, char *out)
{
    const struct item *run = actor->open != NULL ? actor->open : item;
    char line[CHAIN_LINE_MAX];

    if ((tag & WORK_TAG_RUN) == 0)
        return false;
    chain_line(&actor->id, (uint32_t)(tag >> 32) & 0x7fffffffu, line);
    (void)chain_add(run->message.chain, line, out);
    return true;
}

/* Whose handler waits, or may. */
static const struct item *
chain_waiter(const struct actor *actor)
{
    return actor->open != NULL ? actor->open : actor->running;
}

/* Where the line begins that names that turn of the actor. */
static const char *
chain_find(const struct actor *actor, const struct item *waiter,
           const char *chain)
{
    char line[CHAIN_LINE_MAX];
    const char *at = chain;
    size_t len;

    chain_line(&actor->id, chain_number(waiter->message.id), line);
    len = strlen(line);
    while (at != NULL) {
        if (strncmp(at, line, len) == 0 && (at[len] == '\n' || at[len] == 0))
            return at;
        at = strchr(at, '\n');
        at = at == NULL ? NULL : at + 1;
    }
    return NULL;
}

bool
work_chain_circle(const struct actor *actor, const struct item *item)
{
    return item->message.chain != NULL && chain_waiter(actor) != NULL &&
           chain_find(actor, chain_waiter(actor), item->message.chain) != NULL;
}

bool
work_chain_has(const struct actor *actor, const struct item *waiter,
               const struct item *item)
{
    return item->message.chain != NULL &&
           chain_find(actor, waiter, item->message.chain) != NULL;
}

void
work_chain_refuse(struct work_core *core, const struct actor *actor,
                  struct item *item)
{
    const char *at =
        chain_find(actor, chain_waiter(actor), item->message.chain);
    char text[1024];
    size_t n;

    n = (size_t)snprintf(text, sizeof text, "calls in a circle: ");
    for (; at != NULL && n < sizeof text; at = strchr(at, '\n')) {
        at += at[0] == '\n' ? 10 : 9;
        n += (size_t)snprintf(text + n, sizeof text - n, "%.*s -> ",
                              (int)strcspn(at, "\n"), at);
    }
    if (n < sizeof text)
        (void)snprintf(text + n, sizeof text - n,
                       "%s/%s, which waits for this very call", actor->id.type,
                       actor->id.key);
    work_turn_failed_reply(core, item, text);
    item->needs_lease = !work_actor_is_local(core, actor);
    work_item_finish(core, item, PLEX_OK, NULL);
}

/* -- in and out of memory -------------------------------------------------- */

static void
reply_empty(struct work_core *core, struct item *item)
{
    static const struct work_reply done = {
        .http_status = 200, .content_type = "", .error = ""};
    struct plex_buf buf = {.max = 4096};
    struct plex_err err;

    if (work_reply_pack(&done, &buf, &err) == PLEX_OK)
        work_item_reply_set(core, item, (struct plex_bytes){buf.data, buf.len});
    plex_buf_free(&buf);
}

void
work_item_activated(struct work_core *core, struct actor *actor,
                    struct item *item)
{
    reply_empty(core, item);
    work_turn_ready(actor, item);
    work_turns_release(core, actor);
}

static void
deactivate(struct work_core *core, struct actor *actor, struct item *item)
{
    reply_empty(core, item);
    item->needs_lease = !work_actor_is_local(core, actor);
    work_item_finish(core, item, PLEX_OK, NULL);
    if (actor->state != ACTOR_COLD)
        actor->leaves = true;
    work_actor_settle_down(core, actor);
}

static const char *
no_room(struct work_core *core, const struct type *type)
{
    const char *why = work_room_why(core, type);

    if (why != NULL)
        return why;
    return type->info.max_active > 0 && type->active >= type->info.max_active
               ? "the worker holds as many actors of the type as max_active "
                 "allows, and none is idle"
               : "the worker holds as many actors as it may";
}

static void
actor_deliver(struct work_core *core, struct actor *actor, struct item *item)
{
    struct type *type = actor->type;
    enum plex_status status;

    if (item->message.kind == WORK_DEACTIVATE) {
        deactivate(core, actor, item);
        return;
    }
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
    /* An open run looks itself, once it waits. */
    if (item->message.chain != NULL && work_aside_leads_to(actor, item)) {
        item->let_in = true;
    } else if (actor->open == NULL && work_chain_circle(actor, item)) {
        work_chain_refuse(core, actor, item);
        return;
    }
    status = work_actor_wake(core, actor);
    if (status != PLEX_OK) {
        work_item_finish(core, item, status, no_room(core, type));
        work_actor_settle_down(core, actor);
        return;
    }
    work_id_enter(core, item);
    item->state = ITEM_WAITING;
    if (item->let_in)
        work_aside_let_in(actor, item);
    else
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
    struct type *type = work_stateless_type(core, to);
    const char *text = "";
    enum plex_status status;

    if (type != NULL) {
        actor = work_stateless_actor(core, item, type, to);
        if (actor != NULL)
            actor_deliver(core, actor, item);
        return;
    }
    status = shard_check(core, shard, &text);
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
