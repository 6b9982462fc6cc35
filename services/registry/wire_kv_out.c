/* Answers of keyvalue.v1. */
#include "services/registry/wire_kv.h"

#include "common/utf8.h"
#include "common/wire.h"

#include "plexspaces/keyvalue/v1/keyvalue.pb-c.h"

#include <string.h>

#define KV(name) Plexspaces__Keyvalue__V1__##name

enum method {
    GET = REG_KV_METHOD_FIRST,
    PUT,
    DELETE,
    EXISTS,
    LIST,
    MULTI_GET,
    MULTI_PUT,
    PUT_TTL,
    REFRESH,
    GET_TTL,
    CAS,
    INCREMENT,
    DECREMENT,
    CLEAR,
    COUNT,
    STATS,
    WATCH,
};

/* -- answers --------------------------------------------------------------- */

static bool
is_text(struct plex_bytes value)
{
    return value.len > 0 && memchr(value.data, 0, value.len) == NULL &&
           plex_utf8_valid(value.data, value.len);
}

static enum plex_status
entry_out(const struct reg_kv_rec *rec, const struct reg_kv_answer *answer,
          bool with_value, struct plex_arena *arena, KV(Entry) * out,
          struct plex_err *err)
{
    plexspaces__keyvalue__v1__entry__init(out);
    out->key = plex_wire_text(rec->key);
    out->version = rec->version;
    out->updated_ms = rec->updated_ms;
    if (rec->expires_ms > answer->wall_ms)
        out->ttl_ms = rec->expires_ms - answer->wall_ms;
    else if (rec->expires_ms != 0)
        out->ttl_ms = 1;
    if (!with_value)
        return PLEX_OK;
    if (!answer->as_text || !is_text(rec->value)) {
        out->value = plex_wire_bytes(rec->value);
        return PLEX_OK;
    }
    out->text = plex_arena_strndup(arena, (const char *)rec->value.data,
                                   rec->value.len);
    return out->text == NULL ? plex_wire_no_room(err) : PLEX_OK;
}

/* `n` entries in the arena and pointers to them. */
static enum plex_status
entries_out(const struct reg_kv_answer *answer, bool with_values,
            struct plex_arena *arena, KV(Entry) * **out, struct plex_err *err)
{
    KV(Entry) *entries =
        plex_wire_array(arena, answer->n_recs, sizeof *entries);

    *out = plex_wire_array(arena, answer->n_recs, sizeof **out);
    if (entries == NULL || *out == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < answer->n_recs; i++) {
        (*out)[i] = &entries[i];
        if (entry_out(answer->recs[i], answer, with_values, arena, &entries[i],
                      err) != PLEX_OK)
            return err->status;
    }
    return PLEX_OK;
}

static enum plex_status
list_out(const struct reg_kv_answer *answer, struct plex_arena *arena,
         struct plex_buf *out, struct plex_err *err)
{
    KV(ListResponse) reply = PLEXSPACES__KEYVALUE__V1__LIST_RESPONSE__INIT;

    if (entries_out(answer, answer->with_values, arena, &reply.entries, err) !=
        PLEX_OK)
        return err->status;
    reply.n_entries = answer->n_recs;
    reply.revision = answer->revision;
    if (answer->more)
        reply.next_page_token =
            plex_wire_text(answer->recs[answer->n_recs - 1]->key);
    return plex_wire_pack(&reply.base, out, err);
}

static enum plex_status
multi_get_out(const struct reg_kv_answer *answer, struct plex_arena *arena,
              struct plex_buf *out, struct plex_err *err)
{
    KV(MultiGetResponse)
    reply = PLEXSPACES__KEYVALUE__V1__MULTI_GET_RESPONSE__INIT;

    if (entries_out(answer, true, arena, &reply.entries, err) != PLEX_OK)
        return err->status;
    reply.n_entries = answer->n_recs;
    return plex_wire_pack(&reply.base, out, err);
}

static enum plex_status
get_out(const struct reg_kv_answer *answer, struct plex_arena *arena,
        struct plex_buf *out, struct plex_err *err)
{
    KV(GetResponse) reply = PLEXSPACES__KEYVALUE__V1__GET_RESPONSE__INIT;
    KV(GetTtlResponse) ttl = PLEXSPACES__KEYVALUE__V1__GET_TTL_RESPONSE__INIT;
    KV(Entry) entry;

    if (entry_out(answer->recs[0], answer, answer->method == GET, arena, &entry,
                  err) != PLEX_OK)
        return err->status;
    reply.entry = &entry;
    ttl.ttl_ms = entry.ttl_ms;
    ttl.has_ttl = answer->recs[0]->expires_ms != 0;
    return plex_wire_pack(answer->method == GET ? &reply.base : &ttl.base, out,
                          err);
}

static enum plex_status
watch_out(const struct reg_kv_answer *answer, struct plex_arena *arena,
          struct plex_buf *out, struct plex_err *err)
{
    KV(WatchResponse) reply = PLEXSPACES__KEYVALUE__V1__WATCH_RESPONSE__INIT;
    const size_t n = answer->n_events;
    KV(Event) *events = plex_wire_array(arena, n, sizeof *events);
    KV(Entry) *entries = plex_wire_array(arena, n, sizeof *entries);

    reply.events = plex_wire_array(arena, n, sizeof *reply.events);
    if (events == NULL || entries == NULL || reply.events == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < n; i++) {
        const struct reg_kv_event *event = &answer->events[i];

        plexspaces__keyvalue__v1__event__init(&events[i]);
        events[i].kind = (KV(EventKind))event->kind;
        events[i].revision = event->revision;
        events[i].entry = &entries[i];
        reply.events[i] = &events[i];
        if (entry_out(event->rec, answer, event->kind == REG_KV_EVENT_PUT,
                      arena, &entries[i], err) != PLEX_OK)
            return err->status;
    }
    reply.n_events = n;
    reply.revision = answer->revision;
    reply.lost = answer->lost;
    return plex_wire_pack(&reply.base, out, err);
}

static enum plex_status
stats_out(const struct reg_kv_answer *answer, const char *backend,
          struct plex_buf *out, struct plex_err *err)
{
    KV(GetStatsResponse)
    reply = PLEXSPACES__KEYVALUE__V1__GET_STATS_RESPONSE__INIT;

    reply.backend = plex_wire_text(backend);
    reply.keys = answer->keys;
    reply.value_bytes = answer->value_bytes;
    reply.keys_total = answer->keys_total;
    reply.bytes_total = answer->bytes_total;
    reply.revision = answer->revision;
    reply.watchers = answer->watchers;
    return plex_wire_pack(&reply.base, out, err);
}

/* Of changes, and what is as short. */
static enum plex_status
outcome_out(const struct reg_kv_answer *answer, struct plex_buf *out,
            struct plex_err *err)
{
    const struct reg_kv_outcome *outcome = &answer->outcome;
    KV(PutResponse) put = PLEXSPACES__KEYVALUE__V1__PUT_RESPONSE__INIT;
    KV(DeleteResponse) del = PLEXSPACES__KEYVALUE__V1__DELETE_RESPONSE__INIT;
    KV(ExistsResponse) exists = PLEXSPACES__KEYVALUE__V1__EXISTS_RESPONSE__INIT;
    KV(CasResponse) cas = PLEXSPACES__KEYVALUE__V1__CAS_RESPONSE__INIT;
    KV(IncrementResponse)
    increment = PLEXSPACES__KEYVALUE__V1__INCREMENT_RESPONSE__INIT;
    KV(CountPrefixResponse)
    count = PLEXSPACES__KEYVALUE__V1__COUNT_PREFIX_RESPONSE__INIT;

    switch ((enum method)answer->method) {
    case DELETE:
        del.deleted = outcome->done;
        return plex_wire_pack(&del.base, out, err);
    case EXISTS:
        exists.exists = answer->n_recs > 0;
        return plex_wire_pack(&exists.base, out, err);
    case CAS:
        cas.swapped = outcome->done;
        cas.version = outcome->version;
        return plex_wire_pack(&cas.base, out, err);
    case INCREMENT:
    case DECREMENT:
        increment.value = outcome->number;
        increment.version = outcome->version;
        return plex_wire_pack(&increment.base, out, err);
    case CLEAR: /* the same one field */
    case COUNT:
        count.count = outcome->count;
        return plex_wire_pack(&count.base, out, err);
    default: /* PUT, PUT_TTL, MULTI_PUT, REFRESH: the same one field */
        put.version = outcome->version;
        return plex_wire_pack(&put.base, out, err);
    }
}

enum plex_status
reg_wire_kv_answer(const struct reg_kv_answer *answer, const char *backend,
                   struct plex_arena *arena, struct plex_buf *out,
                   struct plex_err *err)
{
    switch ((enum method)answer->method) {
    case GET:
    case GET_TTL:
        return get_out(answer, arena, out, err);
    case LIST:
        return list_out(answer, arena, out, err);
    case MULTI_GET:
        return multi_get_out(answer, arena, out, err);
    case WATCH:
        return watch_out(answer, arena, out, err);
    case STATS:
        return stats_out(answer, backend, out, err);
    default:
        return outcome_out(answer, out, err);
    }
}
