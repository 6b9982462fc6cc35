/* What is kept for later: timers, delayed casts, messages to other actors. */
#include "services/worker/core_private.h"
#include "services/worker/run_log.h"

#include "common/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { VOLATILE_ATTEMPTS = 10 }; /* then a message is given up */
#define RETRY_MIN_MS UINT64_C(50)
#define RETRY_MAX_MS UINT64_C(5000)

static uint64_t
backoff_ms(uint32_t attempts)
{
    const uint64_t ms = RETRY_MIN_MS << (attempts < 7 ? attempts : 7);

    return ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS;
}

/* To the actor itself, as opposed to through a lane. */
static bool
is_own(const struct pend *pend)
{
    return pend->result != NULL || pend->message->kind == WORK_TIMER ||
           pend->message->kind == WORK_GUARD ||
           (pend->message->kind == WORK_CAST &&
            plex_actor_equal(&pend->message->to, &pend->owner->id));
}

uint64_t
work_pend_stored_due(const struct pend *pend)
{
    return is_own(pend) && pend->message->kind != WORK_GUARD ? pend->due_ms : 0;
}

struct pend *
work_pend_make(struct work_core *core, struct actor *owner,
               struct plex_bytes id, uint64_t due_ms,
               const struct work_message *message)
{
    struct pend *pend;

    if (core->stats.pendings >= WORK_PENDS_MAX)
        return NULL;
    pend = plex_calloc(1, sizeof *pend);
    pend->owner = owner;
    pend->refs = 1; /* the owner's */
    pend->state = PEND_IDLE;
    pend->durable = owner->type == NULL || owner->type->info.durable;
    pend->due_ms = due_ms;
    pend->message = work_message_copy(message); /* with its own id */
    pend->message->fresh = false; /* of the sending, not of the message */
    pend->heap.kind = NODE_PEND;
    pend->id_copy = plex_reallocarray(NULL, 1, id.len + 1);
    if (id.len > 0)
        memcpy(pend->id_copy, id.data, id.len);
    pend->id = (struct plex_bytes){pend->id_copy, id.len};
    work_htab_put(&core->pends_by_id, &pend->by_id,
                  XXH3_64bits_withSeed(id.data, id.len, owner->node.hash));
    TAILQ_INSERT_TAIL(&owner->pends, pend, of_actor);
    core->stats.pendings++;
    return pend;
}

void
work_pend_unref(struct pend *pend)
{
    if (--pend->refs > 0)
        return;
    assert(pend->gone);
    plex_buf_free(&pend->packed);
    free(pend->message);
    free(pend->result);
    free(pend->id_copy);
    free(pend);
}

struct pend *
work_pend_timer(const struct actor *actor, const char *name,
                const struct pend *except)
{
    struct pend *pend;

    TAILQ_FOREACH(pend, &actor->pends, of_actor)
    if (pend != except && !pend->cancelled &&
        pend->message->kind == WORK_TIMER &&
        strcmp(pend->message->timer, name) == 0)
        return pend;
    return NULL;
}

static bool
bytes_equal(struct plex_bytes a, struct plex_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

struct pend *
work_pend_call(const struct actor *actor, uint64_t tag)
{
    struct pend *pend;

    TAILQ_FOREACH_REVERSE(pend, &actor->pends, pend_list, of_actor)
    if (pend->message->kind == WORK_CALL && pend->message->tag == tag &&
        pend->result == NULL)
        return pend;
    return NULL;
}

struct pend *
work_pend_find(const struct work_core *core, const struct actor *owner,
               struct plex_bytes id)
{
    struct hnode *node = work_htab_first(
        &core->pends_by_id,
        XXH3_64bits_withSeed(id.data, id.len, owner->node.hash));

    for (; node != NULL; node = work_htab_next(node)) {
        struct pend *pend = plex_container_of(node, struct pend, by_id);

        if (pend->owner == owner && bytes_equal(pend->id, id))
            return pend;
    }
    return NULL;
}

/* -- lanes
 * ---------------------------------------------------------------------- */

static struct lane *
lane_get(struct work_core *core, struct actor *owner, uint64_t to_hash)
{
    const uint64_t hash = owner->node.hash ^ (to_hash * 31 + 1);
    struct hnode *node = work_htab_first(&core->lanes, hash);
    struct lane *lane;

    for (; node != NULL; node = work_htab_next(node)) {
        lane = plex_container_of(node, struct lane, node);
        if (lane->owner == owner && lane->to_hash == to_hash)
            return lane;
    }
    lane = plex_calloc(1, sizeof *lane);
    lane->owner = owner;
    lane->to_hash = to_hash;
    lane->retry.kind = NODE_LANE;
    TAILQ_INIT(&lane->waiting);
    work_htab_put(&core->lanes, &lane->node, hash);
    return lane;
}

void
work_lane_go(struct work_core *core, struct lane *lane)
{
    struct pend *pend = TAILQ_FIRST(&lane->waiting);

    if (pend == NULL) {
        work_heap_take(&lane->retry);
        work_htab_take(&core->lanes, &lane->node);
        free(lane);
        return;
    }
    if (lane->busy || lane->retry.heap != NULL)
        return;
    lane->busy = true;
    pend->state = PEND_SENT;
    pend->refs++; /* until the outcome */
    pend->token = ++core->tokens;
    work_htab_put(&core->pends_by_token, &pend->by_token, pend->token);
    work_todo_push(core, TODO_SEND, pend->token, NULL);
}

static void
lane_leave(struct work_core *core, struct pend *pend)
{
    struct lane *lane = pend->lane;

    if (lane == NULL)
        return;
    if (TAILQ_FIRST(&lane->waiting) == pend)
        lane->busy = false;
    TAILQ_REMOVE(&lane->waiting, pend, link);
    pend->lane = NULL;
    lane->attempts = 0;
    work_lane_go(core, lane);
}

static void
lane_retry(struct work_core *core, struct lane *lane)
{
    lane->busy = false;
    if (lane->retry.heap == NULL)
        work_heap_put(&core->retry, &lane->retry,
                      core->t.now_ns + backoff_ms(lane->attempts++) * WORK_MS);
}

void
work_lanes_wake(struct work_core *core)
{
    struct lane **lanes = plex_calloc(core->retry.n + 1, sizeof *lanes);
    size_t n = 0;

    for (size_t i = 0; i < core->retry.n; i++)
        if (core->retry.nodes[i]->kind == NODE_LANE)
            lanes[n++] =
                plex_container_of(core->retry.nodes[i], struct lane, retry);
    for (size_t i = 0; i < n; i++) {
        work_heap_take(&lanes[i]->retry);
        lanes[i]->attempts = 0;
        work_lane_go(core, lanes[i]);
    }
    free(lanes);
}

/* Ids of messages to others are "<actor>:<seq>:<n>": the order in which they
 * were sent. Their due times are not, since wall clocks jump. */
static bool
sent_before(const struct pend *a, const struct pend *b)
{
    unsigned long long numbers[2][2] = {{0}};
    const struct pend *pends[] = {a, b};

    for (int i = 0; i < 2; i++) {
        char text[JOURNAL_ID_MAX + 1];
        const size_t len = pends[i]->id.len;

        memcpy(text, pends[i]->id.data, len);
        text[len] = '\0';
        if (sscanf(text, "%*[^:]:%llu:%llu", &numbers[i][0], &numbers[i][1]) !=
            2)
            return false;
    }
    return numbers[0][0] != numbers[1][0] ? numbers[0][0] < numbers[1][0]
                                          : numbers[0][1] < numbers[1][1];
}

/* What cancels a call does not wait behind it. */
static uint64_t
lane_hash(const struct work_message *m)
{
    const uint64_t hash = plex_actor_hash(&m->to);

    return m->kind == WORK_RESOLVE ? ~hash : hash;
}

static void
lane_join(struct work_core *core, struct pend *pend)
{
    struct lane *lane = lane_get(core, pend->owner, lane_hash(pend->message));
    struct pend *before = TAILQ_LAST(&lane->waiting, pend_list);

    pend->state = PEND_LANE;
    pend->lane = lane;
    /* The first may be under way. */
    while (before != NULL && sent_before(pend, before) &&
           !(lane->busy && before == TAILQ_FIRST(&lane->waiting)))
        before = TAILQ_PREV(before, pend_list, link);
    if (before == NULL)
        TAILQ_INSERT_HEAD(&lane->waiting, pend, link);
    else
        TAILQ_INSERT_AFTER(&lane->waiting, before, pend, link);
}

/* -- life
 * ---------------------------------------------------------------------------
 */

void
work_pend_arm(struct work_core *core, struct pend *pend)
{
    assert(!pend->gone && pend->lane == NULL && pend->heap.heap == NULL);
    if (is_own(pend)) {
        pend->state = PEND_ARMED;
        work_heap_put(&core->due, &pend->heap, pend->due_ms);
        return;
    }
    lane_join(core, pend);
    work_lane_go(core, pend->lane);
}

/* Its delivery to its own actor failed: once more, a little later. */
void
work_pend_retry(struct work_core *core, struct pend *pend)
{
    if (pend->gone)
        return;
    pend->state = PEND_IDLE;
    if (pend->cancelled)
        return; /* armed again if the turn that did it is undone */
    if (!pend->durable && pend->message->kind != WORK_TIMER) {
        work_pend_forget(core, pend); /* best effort */
        return;
    }
    pend->state = PEND_ARMED;
    work_heap_put(&core->retry, &pend->heap,
                  core->t.now_ns + backoff_ms(pend->attempts++) * WORK_MS);
}

void
work_pend_forget(struct work_core *core, struct pend *pend)
{
    assert(!pend->gone);
    pend->gone = true;
    if (pend->durable && pend->made)
        work_gone_add(core, pend->owner, pend->id);
    if (pend->loaded)
        core->window.loaded--;
    work_heap_take(&pend->heap);
    if (pend->in_settles) {
        TAILQ_REMOVE(&core->settles, pend, link);
        pend->in_settles = false;
    }
    work_htab_take(&core->pends_by_id, &pend->by_id);
    TAILQ_REMOVE(&pend->owner->pends, pend, of_actor);
    core->stats.pendings--;
    lane_leave(core, pend);
    work_pend_unref(pend);
}

void
work_pend_settle(struct work_core *core, struct pend *pend)
{
    lane_leave(core, pend);
    if (!pend->durable) {
        work_pend_forget(core, pend);
        return;
    }
    pend->state = PEND_SETTLING;
    pend->in_settles = true;
    TAILQ_INSERT_TAIL(&core->settles, pend, link);
}

/* -- outcome of what went to another actor
 * -------------------------------------------- */

static void
result_set(struct work_core *core, struct pend *pend, enum plex_status status,
           const struct work_reply *reply)
{
    struct work_message m = {
        .to = pend->owner->id,
        .kind = WORK_REPLY,
        .method = "",
        .path = "",
        .subpath = "",
        .query = "",
        .content_type = "",
        .sender = "",
        .timer = "",
        .tag = pend->message->tag,
        .ttl_ms = WORK_TTL_MS,
        .reply_status = status,
    };
    uint8_t id[JOURNAL_ID_MAX];
    char sender[PLEX_ACTOR_NAME_MAX + 1];

    /* Not the id of the call: an actor may call itself. */
    memcpy(id, "r:", 2);
    memcpy(id + 2, pend->id.data, pend->id.len);
    m.id = (struct plex_bytes){id, pend->id.len + 2};
    plex_actor_format(&pend->message->to, sender, sizeof sender);
    m.sender = sender;
    if (status == PLEX_OK && reply != NULL) {
        m.reply_status = reply->failed ? PLEX_FAILED : PLEX_OK;
        m.payload = reply->payload;
        m.content_type = reply->content_type;
        if (reply->failed && m.payload.len == 0) /* why, at least */
            m.payload = (struct plex_bytes){(const uint8_t *)reply->error,
                                            strlen(reply->error)};
    }
    free(pend->result);
    pend->result = work_message_copy(&m);
    lane_leave(core, pend);
    pend->due_ms = core->t.wall_ms;
    work_pend_arm(core, pend);
}

/* Milliseconds left of a call's time; others have no end. */
static uint64_t
time_left(const struct work_core *core, const struct pend *pend)
{
    const uint64_t until = pend->due_ms + pend->message->delay_ms;

    if (pend->message->kind != WORK_CALL)
        return 10000; /* of one attempt */
    return until > core->t.wall_ms ? until - core->t.wall_ms : 0;
}

static bool
may_come_right(enum plex_status status)
{
    return plex_status_retryable(status) || status == PLEX_CANCELLED ||
           status == PLEX_INTERNAL || status == PLEX_CORRUPT;
}

/* Has the call that this cancels no answer yet? */
static bool
cancels_open(const struct work_core *core, const struct pend *pend)
{
    const char *id = pend->message->timer + strlen(WORK_CANCEL_CALL);
    const struct pend *call =
        work_pend_find(core, pend->owner,
                       (struct plex_bytes){(const uint8_t *)id, strlen(id)});

    return call != NULL && call->result == NULL;
}

void
work_pend_outcome(struct work_core *core, struct pend *pend,
                  enum plex_status status, const struct work_reply *reply)
{
    const bool is_call = pend->message->kind == WORK_CALL;
    struct lane *lane = pend->lane;

    if (pend->message->kind == WORK_RESOLVE) {
        /* Its receiver may not have the call yet, or not have begun it. */
        if (status == PLEX_OK || !cancels_open(core, pend)) {
            work_pend_settle(core, pend);
        } else {
            pend->state = PEND_LANE;
            lane_retry(core, lane);
        }
    } else if (status == PLEX_OK || !may_come_right(status)) {
        if (is_call)
            result_set(core, pend, status, reply);
        else
            work_pend_settle(core, pend);
    } else if (is_call && time_left(core, pend) == 0) {
        result_set(core, pend, PLEX_TIMEOUT, NULL);
    } else if (pend->durable ||
               ((status == PLEX_NOT_OWNER || status == PLEX_UNAVAILABLE) &&
                lane->attempts < VOLATILE_ATTEMPTS)) {
        pend->state = PEND_LANE;
        lane_retry(core, lane);
    } else if (is_call) {
        result_set(core, pend, status, NULL);
    } else {
        work_pend_forget(core, pend);
    }
}

static struct pend *
pend_sent(struct work_core *core, uint64_t token)
{
    struct hnode *node = work_htab_first(&core->pends_by_token, token);
    struct pend *pend;

    if (node == NULL)
        return NULL;
    pend = plex_container_of(node, struct pend, by_token);
    work_htab_take(&core->pends_by_token, node);
    return pend;
}

void
work_core_sent(struct work_core *core, struct work_time t, uint64_t send,
               enum plex_status status, const struct work_reply *reply)
{
    struct pend *pend;
    struct actor *owner;

    core->t = t;
    pend = pend_sent(core, send);
    if (pend == NULL)
        return;
    owner = pend->owner;
    if (!pend->gone) {
        work_pend_outcome(core, pend, status, reply);
        work_actor_settle_down(core, owner);
    }
    work_pend_unref(pend);
}

/* Fills a SEND. False when it went to an actor here, or cannot go now. */
bool
work_pend_action(struct work_core *core, uint64_t token,
                 struct work_action *out)
{
    struct hnode *node = work_htab_first(&core->pends_by_token, token);
    struct plex_context context = plex_context_none;
    struct pend *pend;
    struct item *item;
    const char *url;
    uint64_t left;

    if (node == NULL)
        return false;
    pend = plex_container_of(node, struct pend, by_token);
    left = time_left(core, pend);
    url = work_core_owner(core, &pend->message->to, NULL, NULL);
    if (pend->gone || url == NULL || left == 0) {
        work_core_sent(core, core->t, token,
                       left == 0 ? PLEX_TIMEOUT : PLEX_UNAVAILABLE, NULL);
        return false;
    }
    core->sending = *pend->message;
    core->sending.delay_ms = 0;
    core->sending.fresh = !pend->tried;
    pend->tried = true;
    if (url[0] != '\0') {
        out->kind = WORK_DO_SEND;
        out->token = token;
        out->send.url = url;
        out->send.message = &core->sending;
        out->send.timeout_ms = left;
        return true;
    }
    context.tenant = pend->message->to.tenant;
    context.deadline = core->t.now_ns + left * WORK_MS;
    item = work_item_make(core, &context, &core->sending);
    item->carries = pend;
    pend->refs++;
    work_item_deliver(core, item, &pend->message->to);
    return false;
}

/* -- time
 * ----------------------------------------------------------------------------------
 */

static void
deliver_own(struct work_core *core, struct pend *pend)
{
    const struct work_message *message =
        pend->result != NULL ? pend->result : pend->message;
    const struct shard *shard = work_shard_get(core, pend->owner->shard);
    struct item *item;

    if (pend->cancelled) {
        pend->state = PEND_IDLE;
        return;
    }
    if (shard->state != SHARD_SERVING ||
        (!work_lease_holds(core) && !work_actor_is_local(core, pend->owner)) ||
        core->stats.messages >= core->config.messages_max) {
        pend->state = PEND_ARMED;
        work_heap_put(&core->retry, &pend->heap,
                      core->t.now_ns + backoff_ms(2) * WORK_MS);
        return;
    }
    pend->state = PEND_DELIVERED;
    item = work_item_make(core, &plex_context_none, message);
    item->from = pend;
    pend->refs++;
    work_item_deliver(core, item, &pend->owner->id);
}

static void
retry_one(struct work_core *core, struct heap_node *node)
{
    struct pend *pend;

    work_heap_take(node);
    switch (node->kind) {
    case NODE_LANE:
        work_lane_go(core, plex_container_of(node, struct lane, retry));
        break;
    case NODE_PEND:
        pend = plex_container_of(node, struct pend, heap);
        if (pend->state == PEND_SETTLING)
            work_pend_settle(core, pend);
        else
            deliver_own(core, pend);
        break;
    default:
        work_take_go(core, plex_container_of(node, struct take, retry));
        break;
    }
}

/* Of very many that are due, the rest waits for the next tick: meanwhile the
 * loop sends what the first have written. */
enum { DUE_AT_ONCE = 512 };

void
work_pends_due(struct work_core *core)
{
    struct heap_node *node;
    size_t n = 0;

    while ((node = work_heap_top(&core->retry)) != NULL &&
           node->key <= core->t.now_ns)
        retry_one(core, node);
    while ((node = work_heap_top(&core->due)) != NULL &&
           core->loading < core->config.loading_max && n++ < DUE_AT_ONCE &&
           node->key <=
               core->t.wall_ms + (core->config.unsafe_timer_early ? 50 : 0)) {
        work_heap_take(node);
        deliver_own(core, plex_container_of(node, struct pend, heap));
    }
}

/* Is it known already? Else one that a turn of unknown fate made goes: now its
 * fate is known. A timer that is set again has the id of the one before. */
static bool
is_known(struct work_core *core, const struct actor *owner,
         const struct journal_pending_item *item,
         const struct work_message *message)
{
    const struct plex_bytes id = item->pending.id;
    struct hnode *node = work_htab_first(
        &core->pends_by_id,
        XXH3_64bits_withSeed(id.data, id.len, owner->node.hash));
    struct pend *pend, *same = NULL;

    for (; node != NULL; node = work_htab_next(node)) {
        pend = plex_container_of(node, struct pend, by_id);
        if (pend->owner != owner || !bytes_equal(pend->id, id))
            continue;
        if (pend->made)
            return true;
        if (bytes_equal(pend->message->id, message->id))
            same = pend;
    }
    if (same != NULL)
        work_pend_forget(core, same);
    return false;
}

bool
work_pend_load(struct work_core *core, const struct journal_pending_item *item,
               const struct work_message *message, bool go)
{
    const uint64_t hash = plex_actor_hash(&item->owner);
    const uint64_t due_ms =
        item->pending.due_ms != 0 ? item->pending.due_ms : message->sent_ms;
    struct actor *owner = work_actor_get(core, &item->owner, hash);
    struct pend *pend;

    if (is_known(core, owner, item, message))
        return true;
    pend = work_pend_make(core, owner, item->pending.id, due_ms, message);
    if (pend == NULL) {
        work_actor_settle_down(core, owner);
        return false;
    }
    pend->durable = true;
    pend->made = true;
    pend->tried = true;
    pend->loaded = go;
    core->window.loaded += go;
    if (is_own(pend)) {
        work_blind_attach(pend);
        if (!pend->cancelled)
            work_pend_arm(core, pend);
    } else {
        lane_join(core, pend); /* work_pends_go() sends it, once all are here */
        if (go)
            work_lane_go(core, pend->lane);
    }
    return true;
}

void
work_pends_go(struct work_core *core, const struct shard *shard)
{
    struct actor *actor;
    struct pend *pend;

    TAILQ_FOREACH(actor, &shard->actors, of_shard)
    TAILQ_FOREACH(pend, &actor->pends, of_actor)
    if (pend->lane != NULL)
        work_lane_go(core, pend->lane);
}
