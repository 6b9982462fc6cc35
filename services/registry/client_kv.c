/* Keys of the registry, for other daemons. */
#include "common/arena.h"
#include "common/mem.h"
#include "common/wire.h"
#include "services/registry/client.h"

#include "plexspaces/keyvalue/v1/keyvalue.pb-c.h"

#include <stdlib.h>
#include <string.h>

#define KV(name) Plexspaces__Keyvalue__V1__##name
#define KV_TYPE(name) &plexspaces__keyvalue__v1__##name##__descriptor

enum { ARENA_MAX = 32 << 20, PAGE = 1000 };

struct asking {
    enum reg_kv_verb verb;
    size_t strip;
    reg_kv_fn done;
    void *arg;
};

/* -- requests -------------------------------------------------------------- */

static enum plex_status
change_pack(const struct reg_kv_ask *ask, const char *id, struct plex_buf *out,
            uint32_t *method, struct plex_err *err)
{
    KV(PutRequest) put = PLEXSPACES__KEYVALUE__V1__PUT_REQUEST__INIT;
    KV(PutWithTtlRequest)
    ttl = PLEXSPACES__KEYVALUE__V1__PUT_WITH_TTL_REQUEST__INIT;
    KV(DeleteRequest) del = PLEXSPACES__KEYVALUE__V1__DELETE_REQUEST__INIT;
    KV(CasRequest) cas = PLEXSPACES__KEYVALUE__V1__CAS_REQUEST__INIT;
    KV(IncrementRequest)
    increment = PLEXSPACES__KEYVALUE__V1__INCREMENT_REQUEST__INIT;

    switch (ask->verb) {
    case REG_KV_ASK_PUT:
        put.key = ttl.key = plex_wire_text(ask->key);
        put.value = ttl.value = plex_wire_bytes(ask->value);
        put.request_id = ttl.request_id = plex_wire_text(id);
        ttl.ttl_ms = ask->ttl_ms;
        *method = ask->ttl_ms == 0 ? 1502 : 1508;
        return plex_wire_pack(ask->ttl_ms == 0 ? &put.base : &ttl.base, out,
                              err);
    case REG_KV_ASK_DELETE:
        del.key = plex_wire_text(ask->key);
        del.request_id = plex_wire_text(id);
        *method = 1503;
        return plex_wire_pack(&del.base, out, err);
    case REG_KV_ASK_CAS:
        cas.key = plex_wire_text(ask->key);
        cas.value = plex_wire_bytes(ask->value);
        if (ask->expect)
            cas.expected = plex_wire_bytes(ask->expected);
        cas.request_id = plex_wire_text(id);
        *method = 1511;
        return plex_wire_pack(&cas.base, out, err);
    default:
        increment.key = plex_wire_text(ask->key);
        increment.delta = ask->number;
        increment.request_id = plex_wire_text(id);
        *method = 1512;
        return plex_wire_pack(&increment.base, out, err);
    }
}

static enum plex_status
request_pack(const struct reg_kv_ask *ask, const char *id, struct plex_buf *out,
             uint32_t *method, struct plex_err *err)
{
    KV(GetRequest) get = PLEXSPACES__KEYVALUE__V1__GET_REQUEST__INIT;
    KV(ListRequest) list = PLEXSPACES__KEYVALUE__V1__LIST_REQUEST__INIT;
    KV(WatchRequest) watch = PLEXSPACES__KEYVALUE__V1__WATCH_REQUEST__INIT;

    switch (ask->verb) {
    case REG_KV_ASK_GET:
        get.key = plex_wire_text(ask->key);
        *method = 1501;
        return plex_wire_pack(&get.base, out, err);
    case REG_KV_ASK_LIST:
        list.prefix = plex_wire_text(ask->key);
        list.page_size = PAGE;
        *method = 1505;
        return plex_wire_pack(&list.base, out, err);
    case REG_KV_ASK_WATCH:
        watch.prefix = plex_wire_text(ask->key);
        watch.since = ask->version;
        watch.timeout_ms = ask->timeout_ms;
        *method = 1517;
        return plex_wire_pack(&watch.base, out, err);
    default:
        return change_pack(ask, id, out, method, err);
    }
}

/* -- answers --------------------------------------------------------------- */

static enum plex_status
line_add(struct plex_buf *out, const char *word, const char *key, size_t strip)
{
    const size_t len = strlen(key), word_len = strlen(word);
    uint8_t *at;

    if (strip > len)
        strip = len;
    at = plex_buf_grow(out, word_len + len - strip + 1);
    if (at == NULL)
        return PLEX_TOO_LARGE;
    memcpy(at, word, word_len);
    memcpy(at + word_len, key + strip, len - strip);
    at[word_len + len - strip] = '\n';
    return PLEX_OK;
}

static enum plex_status
lines_in(const struct asking *asking, const ProtobufCMessage *message,
         struct plex_buf *lines, struct reg_kv_told *told)
{
    static const char *const words[] = {"", "PUT ", "DELETE ", "EXPIRE "};
    const KV(ListResponse) *list = (const void *)message;
    const KV(WatchResponse) *watch = (const void *)message;
    enum plex_status status = PLEX_OK;

    if (asking->verb == REG_KV_ASK_LIST) {
        for (size_t i = 0; i < list->n_entries && status == PLEX_OK; i++)
            status = line_add(lines, "", list->entries[i]->key, asking->strip);
        told->version = list->revision;
        told->number = (int64_t)list->n_entries;
    } else {
        if (watch->lost)
            status = line_add(lines, "LOST", "", 0);
        for (size_t i = 0; i < watch->n_events && status == PLEX_OK; i++)
            status = line_add(lines, words[watch->events[i]->kind & 3],
                              watch->events[i]->entry->key, asking->strip);
        told->version = watch->revision;
        told->number = (int64_t)watch->n_events;
    }
    told->value = (struct plex_bytes){lines->data, lines->len};
    return status;
}

static const ProtobufCMessageDescriptor *
answer_type(enum reg_kv_verb verb)
{
    switch (verb) {
    case REG_KV_ASK_GET:
        return KV_TYPE(get_response);
    case REG_KV_ASK_DELETE:
        return KV_TYPE(delete_response);
    case REG_KV_ASK_CAS:
        return KV_TYPE(cas_response);
    case REG_KV_ASK_INCREMENT:
        return KV_TYPE(increment_response);
    case REG_KV_ASK_LIST:
        return KV_TYPE(list_response);
    case REG_KV_ASK_WATCH:
        return KV_TYPE(watch_response);
    default:
        return KV_TYPE(put_response);
    }
}

static enum plex_status
answer_in(const struct asking *asking, const ProtobufCMessage *message,
          struct plex_buf *lines, struct reg_kv_told *told)
{
    const KV(GetResponse) *get = (const void *)message;
    const KV(CasResponse) *cas = (const void *)message;
    const KV(IncrementResponse) *increment = (const void *)message;

    switch (asking->verb) {
    case REG_KV_ASK_GET:
        if (get->entry == NULL)
            return PLEX_INTERNAL;
        told->value = plex_wire_bytes_in(get->entry->value);
        told->version = get->entry->version;
        return PLEX_OK;
    case REG_KV_ASK_DELETE:
        told->done = ((const KV(DeleteResponse) *)message)->deleted;
        return PLEX_OK;
    case REG_KV_ASK_CAS:
        told->done = cas->swapped;
        told->version = cas->version;
        return PLEX_OK;
    case REG_KV_ASK_INCREMENT:
        told->number = increment->value;
        told->version = increment->version;
        return PLEX_OK;
    case REG_KV_ASK_PUT:
        told->done = true;
        told->version = ((const KV(PutResponse) *)message)->version;
        return PLEX_OK;
    default:
        return lines_in(asking, message, lines, told);
    }
}

static void
answered(void *arg, const struct plex_link_result *result)
{
    struct asking *asking = arg;
    struct reg_kv_told told = {0};
    struct plex_buf lines = {.max = 4 << 20};
    struct plex_err err = {.status = result->status};
    ProtobufCMessage *message;
    struct plex_arena arena;

    plex_arena_init(&arena, ARENA_MAX);
    if (result->status == PLEX_OK &&
        plex_wire_unpack(answer_type(asking->verb), result->payload, &arena,
                         &message, &err) == PLEX_OK)
        err.status = answer_in(asking, message, &lines, &told);
    asking->done(asking->arg, err.status,
                 result->status == PLEX_OK ? "" : result->text, &told);
    plex_arena_fini(&arena);
    plex_buf_free(&lines);
    free(asking);
}

void
reg_client_kv(const struct plex_host *host, const struct plex_context *context,
              const struct reg_kv_ask *ask, size_t strip, reg_kv_fn done,
              void *arg)
{
    struct asking *asking = plex_calloc(1, sizeof *asking);
    struct plex_buf request = {.max = PLEX_WIRE_BYTES_MAX};
    const struct reg_kv_told none = {0};
    struct plex_err err = {0};
    char text[27];
    uint8_t id[16];
    uint32_t method = 0;

    *asking = (struct asking){ask->verb, strip, done, arg};
    plex_id_make(id, plex_wall_ms());
    plex_id_format(id, text);
    if (request_pack(ask, text, &request, &method, &err) != PLEX_OK) {
        done(arg, err.status, err.text, &none);
        free(asking);
    } else {
        (void)plex_link_call(host->link,
                             &(struct plex_link_request){
                                 .peer = host->base->registry_url,
                                 .method = method,
                                 .context = context,
                                 .payload = {request.data, request.len},
                                 .retry = true,
                                 .done = answered,
                                 .arg = asking,
                             });
    }
    plex_buf_free(&request);
}
