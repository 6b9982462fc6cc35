/* Deep copies of what nodes say to each other. */
#include "tests/sim/sim.h"

#include "common/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { MSG_BYTES_MAX = 64 << 20 };

const char *
sim_method_name(enum sim_method method)
{
    static const char *const names[] = {
        [SIM_ANNOUNCE] = "announce", [SIM_CATALOG] = "catalog",
        [SIM_DEPLOY] = "deploy",     [SIM_HEARTBEAT] = "heartbeat",
        [SIM_TABLE] = "table",       [SIM_LEAVE] = "leave",
        [SIM_APPEND] = "append",     [SIM_LOAD] = "load",
        [SIM_FENCE] = "fence",       [SIM_PENDINGS] = "pendings",
        [SIM_LOOKUP] = "lookup",     [SIM_INVOKE] = "invoke",
        [SIM_REQUEST] = "request",
    };

    return names[method];
}

struct sim_msg *
sim_msg_make(void)
{
    struct sim_msg *msg = plex_calloc(1, sizeof *msg);

    msg->refs = 1;
    msg->text = "";
    msg->context = plex_context_none;
    plex_arena_init(&msg->arena, MSG_BYTES_MAX);
    return msg;
}

struct sim_msg *
sim_msg_ref(struct sim_msg *msg)
{
    msg->refs++;
    return msg;
}

void
sim_msg_unref(struct sim_msg *msg)
{
    if (msg == NULL || --msg->refs > 0)
        return;
    place_table_unref(msg->table);
    reg_catalog_unref(msg->catalog);
    plex_arena_fini(&msg->arena);
    free(msg);
}

void *
sim_copy(struct sim_msg *msg, const void *data, size_t size)
{
    void *copy = plex_arena_alloc(&msg->arena, size);

    assert(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    return copy;
}

struct plex_bytes
sim_copy_bytes(struct sim_msg *msg, struct plex_bytes in)
{
    return (struct plex_bytes){sim_copy(msg, in.data, in.len), in.len};
}

const char *
sim_copy_text(struct sim_msg *msg, const char *text)
{
    return text == NULL ? NULL : sim_copy(msg, text, strlen(text) + 1);
}

struct plex_actor_id
sim_copy_actor(struct sim_msg *msg, const struct plex_actor_id *id)
{
    return (struct plex_actor_id){
        sim_copy_text(msg, id->tenant), sim_copy_text(msg, id->ns),
        sim_copy_text(msg, id->type), sim_copy_text(msg, id->key)};
}

static void
copy_pendings(struct sim_msg *msg, struct journal_entry *entry)
{
    struct journal_pending *pending = sim_copy(
        msg, entry->pending, entry->n_pending * sizeof *entry->pending);
    struct plex_bytes *settled = sim_copy(
        msg, entry->settled, entry->n_settled * sizeof *entry->settled);

    for (size_t i = 0; i < entry->n_pending; i++) {
        pending[i].id = sim_copy_bytes(msg, pending[i].id);
        pending[i].message = sim_copy_bytes(msg, pending[i].message);
    }
    for (size_t i = 0; i < entry->n_settled; i++)
        settled[i] = sim_copy_bytes(msg, settled[i]);
    entry->pending = pending;
    entry->settled = settled;
}

void
sim_put_entries(struct sim_msg *msg, const struct journal_entry *entries,
                size_t n)
{
    msg->entries = sim_copy(msg, entries, n * sizeof *entries);
    msg->n = n;
    for (size_t i = 0; i < n; i++) {
        struct journal_entry *entry = &msg->entries[i];

        entry->actor = sim_copy_actor(msg, &entry->actor);
        entry->message_id = sim_copy_bytes(msg, entry->message_id);
        entry->reply = sim_copy_bytes(msg, entry->reply);
        entry->state = sim_copy_bytes(msg, entry->state);
        entry->record = sim_copy_bytes(msg, entry->record);
        copy_pendings(msg, entry);
    }
}

void
sim_put_results(struct sim_msg *msg, const struct journal_result *results,
                size_t n)
{
    msg->results = sim_copy(msg, results, n * sizeof *results);
    msg->n = n;
    for (size_t i = 0; i < n; i++)
        msg->results[i].reply = sim_copy_bytes(msg, results[i].reply);
}

void
sim_put_loaded(struct sim_msg *msg, const struct journal_loaded *loaded)
{
    struct journal_recorded *recent;
    struct journal_record *records;

    msg->loaded = sim_copy(msg, loaded, sizeof *loaded);
    msg->loaded->state = sim_copy_bytes(msg, loaded->state);
    recent = sim_copy(msg, loaded->recent, loaded->n_recent * sizeof *recent);
    for (size_t i = 0; i < loaded->n_recent; i++) {
        recent[i].message_id = sim_copy_bytes(msg, recent[i].message_id);
        recent[i].reply = sim_copy_bytes(msg, recent[i].reply);
    }
    msg->loaded->recent = recent;
    records =
        sim_copy(msg, loaded->records, loaded->n_records * sizeof *records);
    for (size_t i = 0; i < loaded->n_records; i++)
        records[i].bytes = sim_copy_bytes(msg, records[i].bytes);
    msg->loaded->records = records;
}

void
sim_put_items(struct sim_msg *msg, const struct journal_pending_item *items,
              size_t n)
{
    msg->items = sim_copy(msg, items, n * sizeof *items);
    msg->n = n;
    for (size_t i = 0; i < n; i++) {
        struct journal_pending_item *item = &msg->items[i];

        item->owner = sim_copy_actor(msg, &item->owner);
        item->pending.id = sim_copy_bytes(msg, item->pending.id);
        item->pending.message = sim_copy_bytes(msg, item->pending.message);
    }
}

static const struct work_header *
copy_headers(struct sim_msg *msg, const struct work_header *headers, size_t n)
{
    struct work_header *copy = sim_copy(msg, headers, n * sizeof *headers);

    for (size_t i = 0; i < n; i++) {
        copy[i].name = sim_copy_text(msg, headers[i].name);
        copy[i].value = sim_copy_text(msg, headers[i].value);
    }
    return copy;
}

void
sim_put_message(struct sim_msg *msg, const struct work_message *message)
{
    struct work_message *m = sim_copy(msg, message, sizeof *message);

    m->to = sim_copy_actor(msg, &message->to);
    m->id = sim_copy_bytes(msg, message->id);
    m->method = sim_copy_text(msg, message->method);
    m->path = sim_copy_text(msg, message->path);
    m->subpath = sim_copy_text(msg, message->subpath);
    m->query = sim_copy_text(msg, message->query);
    m->content_type = sim_copy_text(msg, message->content_type);
    m->headers = copy_headers(msg, message->headers, message->n_headers);
    m->payload = sim_copy_bytes(msg, message->payload);
    m->sender = sim_copy_text(msg, message->sender);
    m->timer = sim_copy_text(msg, message->timer);
    m->chain = sim_copy_text(msg, message->chain);
    msg->message = m;
}

void
sim_put_reply(struct sim_msg *msg, const struct work_reply *reply)
{
    struct work_reply *r = sim_copy(msg, reply, sizeof *reply);

    r->content_type = sim_copy_text(msg, reply->content_type);
    r->headers = copy_headers(msg, reply->headers, reply->n_headers);
    r->payload = sim_copy_bytes(msg, reply->payload);
    r->error = sim_copy_text(msg, reply->error);
    msg->reply = r;
}

void
sim_put_context(struct sim_msg *msg, const struct plex_context *context)
{
    msg->context = *context;
    msg->context.tenant = sim_copy_text(msg, context->tenant);
    msg->context.ns = sim_copy_text(msg, context->ns);
    msg->context.principal = sim_copy_text(msg, context->principal);
    msg->context.roles = sim_copy_text(msg, context->roles);
    msg->context.request_id = sim_copy_text(msg, context->request_id);
}
