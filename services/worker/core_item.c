/* Messages on their way, and the ids by which they are recognised. */
#include "services/worker/core_private.h"

#include "common/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/* Everything of a message that is not text is copied with the struct. */
static size_t
message_bytes(const struct work_message *m)
{
    size_t n = m->id.len + m->payload.len + strlen(m->method) +
               strlen(m->path) + strlen(m->subpath) + strlen(m->query) +
               strlen(m->content_type) + strlen(m->sender) + strlen(m->timer) +
               7;

    n += strlen(m->to.tenant) + strlen(m->to.ns) + strlen(m->to.type) +
         strlen(m->to.key) + 4;
    n += m->chain == NULL ? 0 : strlen(m->chain) + 1;
    n += m->n_headers * sizeof(struct work_header);
    for (size_t i = 0; i < m->n_headers; i++)
        n += strlen(m->headers[i].name) + strlen(m->headers[i].value) + 2;
    return n;
}

static const char *
put_text(char **at, const char *text)
{
    const size_t len = strlen(text) + 1;
    char *out = *at;

    memcpy(out, text, len);
    *at += len;
    return out;
}

static struct plex_bytes
put_bytes(char **at, struct plex_bytes bytes)
{
    struct plex_bytes out = {(const uint8_t *)*at, bytes.len};

    if (bytes.len > 0)
        memcpy(*at, bytes.data, bytes.len);
    *at += bytes.len;
    return out;
}

/* `at` is aligned for a struct work_header. Returns the end. */
static char *
message_flatten(struct work_message *out, const struct work_message *m,
                char *at)
{
    struct work_header *headers = (struct work_header *)(void *)at;

    at += m->n_headers * sizeof *headers;
    *out = *m;
    out->headers = headers;
    for (size_t i = 0; i < m->n_headers; i++) {
        headers[i].name = put_text(&at, m->headers[i].name);
        headers[i].value = put_text(&at, m->headers[i].value);
    }
    out->to.tenant = put_text(&at, m->to.tenant);
    out->to.ns = put_text(&at, m->to.ns);
    out->to.type = put_text(&at, m->to.type);
    out->to.key = put_text(&at, m->to.key);
    out->method = put_text(&at, m->method);
    out->path = put_text(&at, m->path);
    out->subpath = put_text(&at, m->subpath);
    out->query = put_text(&at, m->query);
    out->content_type = put_text(&at, m->content_type);
    out->sender = put_text(&at, m->sender);
    out->timer = put_text(&at, m->timer);
    out->chain = m->chain == NULL ? NULL : put_text(&at, m->chain);
    out->id = put_bytes(&at, m->id);
    out->payload = put_bytes(&at, m->payload);
    return at;
}

struct work_message *
work_message_copy(const struct work_message *message)
{
    struct work_message *copy =
        plex_calloc(1, sizeof *copy + message_bytes(message));

    (void)message_flatten(copy, message, (char *)(copy + 1));
    return copy;
}

struct item *
work_item_make(struct work_core *core, const struct plex_context *context,
               const struct work_message *message)
{
    const size_t text = strlen(context->request_id) + 1;
    const size_t size = sizeof(struct item) + message_bytes(message) + text;
    /* Not zeroed as a whole: payloads can be large. */
    struct item *item = plex_reallocarray(NULL, 1, size);
    char *at = (char *)(item + 1);

    memset(item, 0, sizeof *item);
    at = message_flatten(&item->message, message, at);
    item->request_id = put_text(&at, context->request_id);
    item->deadline = context->deadline;
    item->arrived = core->t.now_ns;
    item->bytes = size;
    core->stats.bytes += size;
    core->stats.messages++;
    return item;
}

void
work_item_free(struct work_core *core, struct item *item)
{
    if (item->write != NULL)
        work_write_free(core, item->write);
    if (item->from != NULL)
        work_pend_unref(item->from);
    if (item->carries != NULL)
        work_pend_unref(item->carries);
    core->stats.bytes -= item->bytes;
    core->stats.messages--;
    free(item->reply);
    free(item->text);
    free(item->accept_id);
    free(item);
}

void
work_item_reply_set(struct work_core *core, struct item *item,
                    struct plex_bytes reply)
{
    free(item->reply);
    item->reply = plex_reallocarray(NULL, 1, reply.len + 1);
    if (reply.len > 0)
        memcpy(item->reply, reply.data, reply.len);
    core->stats.bytes += reply.len - item->reply_len;
    item->bytes += reply.len - item->reply_len;
    item->reply_len = reply.len;
}

void
work_item_finish(struct work_core *core, struct item *item,
                 enum plex_status status, const char *text)
{
    struct pend *from = item->from;

    if (status != PLEX_OK && item->maybe_done)
        status = PLEX_UNKNOWN;
    work_id_leave(core, item);
    item->status = status;
    item->actor = NULL;
    if (from != NULL) {
        item->from = NULL;
        if (status != PLEX_OK)
            work_pend_retry(core, from);
        else if (!from->gone)
            work_pend_forget(core, from);
        work_pend_unref(from);
    }
    if (item->write != NULL) {
        work_write_free(core, item->write);
        item->write = NULL;
    }
    if (item->call == 0 && item->carries == NULL) {
        work_item_free(core, item);
        return;
    }
    if (status != PLEX_OK && text != NULL && text != item->text)
        item->text = plex_strdup(text);
    item->state = ITEM_ANSWERED;
    work_todo_push(core, TODO_ANSWER, item->call, item);
}

/* -- ids --------------------------------------------------------------------
 */

static uint64_t
id_hash(const struct work_core *core, const struct actor *actor,
        struct plex_bytes id)
{
    return XXH3_64bits_withSeed(id.data, id.len,
                                actor->node.hash ^ core->config.hash_seed);
}

struct idrec *
work_id_find(struct work_core *core, const struct actor *actor,
             struct plex_bytes id, const struct item *except)
{
    struct hnode *node = work_htab_first(&core->ids, id_hash(core, actor, id));

    for (; node != NULL; node = work_htab_next(node)) {
        struct idrec *rec = plex_container_of(node, struct idrec, node);

        if (rec->actor == actor && rec->id.len == id.len &&
            (rec->item == NULL || rec->item != except) &&
            memcmp(rec->id.data, id.data, id.len) == 0)
            return rec;
    }
    return NULL;
}

void
work_id_enter(struct work_core *core, struct item *item)
{
    if (item->has_id || item->message.id.len == 0 ||
        core->config.unsafe_no_dedup)
        return;
    item->has_id = true;
    item->id.actor = item->actor;
    item->id.item = item;
    item->id.id = item->message.id;
    item->id.request_hash = item->message.request_hash;
    work_htab_put(&core->ids, &item->id.node,
                  id_hash(core, item->actor, item->id.id));
}

void
work_id_leave(struct work_core *core, struct item *item)
{
    if (!item->has_id)
        return;
    item->has_id = false;
    work_htab_take(&core->ids, &item->id.node);
}

static void
recent_free(struct work_core *core, struct idrec *rec)
{
    TAILQ_REMOVE(&rec->actor->recents, rec, recent);
    rec->actor->recents_n--;
    work_htab_take(&core->ids, &rec->node);
    free(rec);
}

void
work_id_record(struct work_core *core, struct actor *actor,
               const struct journal_recorded *recorded, bool newest)
{
    struct idrec *rec;
    char *at;

    if (core->config.unsafe_no_dedup || core->config.recent_max == 0)
        return;
    if (actor->recents_n >= core->config.recent_max) {
        if (!newest)
            return;
        recent_free(core, TAILQ_LAST(&actor->recents, idrec_list));
    }
    rec = plex_reallocarray(
        NULL, 1, sizeof *rec + recorded->message_id.len + recorded->reply.len);
    memset(rec, 0, sizeof *rec);
    at = (char *)(rec + 1);
    rec->actor = actor;
    rec->id = put_bytes(&at, recorded->message_id);
    rec->reply = put_bytes(&at, recorded->reply);
    rec->request_hash = recorded->request_hash;
    rec->expires_ms = recorded->expires_ms;
    if (newest)
        TAILQ_INSERT_HEAD(&actor->recents, rec, recent);
    else
        TAILQ_INSERT_TAIL(&actor->recents, rec, recent);
    actor->recents_n++;
    work_htab_put(&core->ids, &rec->node, id_hash(core, actor, rec->id));
}

void
work_ids_clear(struct work_core *core, struct actor *actor)
{
    struct idrec *rec;

    while ((rec = TAILQ_FIRST(&actor->recents)) != NULL)
        recent_free(core, rec);
}

/* A second request with an id that is under way. */
static void
item_joins(struct work_core *core, struct item *first, struct item *item)
{
    const uint64_t call = first->call;

    if (first->message.request_hash != item->message.request_hash) {
        work_item_finish(core, item, PLEX_MISMATCH,
                         "the message id is in use by another request");
    } else if (work_ask_joins(core, first, item)) {
        return;
    } else if (first->opened && item->message.kind == WORK_CAST) {
        work_open_accepted(core, item);
        item->recorded = true;
        work_item_finish(core, item, PLEX_OK, NULL);
    } else if (first->reopened && call == 0 && first->carries == NULL) {
        /* The run was found open: whoever asks for it may have its reply. */
        first->reopened = false;
        first->call = item->call;
        first->carries = item->carries;
        first->from = item->from;
        item->call = 0;
        item->carries = NULL;
        item->from = NULL;
        work_item_finish(core, item, PLEX_CANCELLED, NULL);
    } else if (call == 0 || item->call == 0 ||
               strcmp(first->request_id, item->request_id) != 0) {
        work_item_finish(core, item, PLEX_IN_FLIGHT,
                         "a request with this message id is being worked on");
    } else {
        /* The same request, sent again: whoever sent it last is listening. */
        first->call = item->call;
        item->call = call;
        if (first->deadline != 0 && item->deadline > first->deadline)
            first->deadline = item->deadline;
        work_item_finish(core, item, PLEX_CANCELLED,
                         "the request was sent again");
    }
}

bool
work_item_replays(struct work_core *core, struct actor *actor,
                  struct item *item)
{
    struct idrec *rec;

    if (item->message.id.len == 0 || core->config.unsafe_no_dedup)
        return false;
    rec = work_id_find(core, actor, item->message.id, item);
    if (rec == NULL)
        return false;
    if (rec->item != NULL) {
        item_joins(core, rec->item, item);
        return true;
    }
    if (work_ask_wants_more(actor, item, rec->reply))
        return false;
    if (rec->expires_ms <= core->t.wall_ms) {
        recent_free(core, rec);
        return false;
    }
    if (rec->request_hash != item->message.request_hash) {
        work_item_finish(core, item, PLEX_MISMATCH,
                         "the message id was used by another request");
        return true;
    }
    core->stats.replays_total++;
    work_item_reply_set(core, item, rec->reply);
    item->replayed = true;
    item->recorded = true;
    work_item_finish(core, item, PLEX_OK, NULL);
    return true;
}
