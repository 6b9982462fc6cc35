#include "services/registry/wire_kv.h"

#include "common/name.h"
#include "common/wire.h"

#include "plexspaces/keyvalue/v1/keyvalue.pb-c.h"
#include "plexspaces/registry/v1/rows.pb-c.h"

#include <inttypes.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define KV(name) Plexspaces__Keyvalue__V1__##name
#define KV_TYPE(name) &plexspaces__keyvalue__v1__##name##__descriptor
#define ROW(name) Plexspaces__Registry__V1__##name
#define ROW_TYPE(name) &plexspaces__registry__v1__##name##__descriptor

enum { PAGE_DEFAULT = 50, WATCH_DEFAULT_MS = 25000 };

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
_Static_assert(
    (int)WATCH == (int)REG_KV_METHOD_LAST &&
        (int)WATCH ==
            (int)
                PLEXSPACES__KEYVALUE__V1__KEY_VALUE_METHOD__KEY_VALUE_METHOD_WATCH,
    "the methods are those of the proto, in its order");

/* -- checks ---------------------------------------------------------------- */

enum plex_status
reg_wire_text_check(const char *what, const char *text, size_t min, size_t max,
                    struct plex_err *err)
{
    const size_t len = strlen(text);

    if (len < min)
        return plex_err_set(err, PLEX_INVALID, "%s is missing", what);
    if (len > max)
        return plex_err_set(err, PLEX_INVALID,
                            "%s has %zu bytes, at most %zu are allowed", what,
                            len, max);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return plex_err_set(err, PLEX_INVALID,
                                "%s has the control character 0x%02x at byte "
                                "%zu",
                                what, (unsigned char)text[i], i);
    return PLEX_OK;
}

enum plex_status
reg_wire_ns_check(const char *ns, struct plex_err *err)
{
    return ns[0] == '\0' ? PLEX_OK : plex_name_namespace(ns, strlen(ns), err);
}

enum plex_status
reg_wire_page_check(uint32_t given, uint32_t *page_size, struct plex_err *err)
{
    if (given > REG_KV_PAGE_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "page_size is %u, it must be 1 to %d", given,
                            REG_KV_PAGE_MAX);
    *page_size = given == 0 ? PAGE_DEFAULT : given;
    return PLEX_OK;
}

static enum plex_status
key_check(const char *key, struct plex_err *err)
{
    return reg_wire_text_check("key", key, 1, REG_KV_KEY_MAX, err);
}

/* `bytes` or, in its place, `text`. */
static enum plex_status
value_in(ProtobufCBinaryData bytes, const char *text, struct plex_bytes *out,
         struct plex_err *err)
{
    if (bytes.len > 0 && text[0] != '\0')
        return plex_err_set(err, PLEX_INVALID, "give value or text, not both");
    *out = bytes.len > 0
               ? plex_wire_bytes_in(bytes)
               : (struct plex_bytes){(const uint8_t *)text, strlen(text)};
    if (out->len > REG_KV_VALUE_MAX)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "the value has %zu bytes, at most %d are allowed",
                            out->len, REG_KV_VALUE_MAX);
    return PLEX_OK;
}

static enum plex_status
ttl_check(uint64_t ttl_ms, bool zero, struct plex_err *err)
{
    if ((ttl_ms == 0 && zero) ||
        (ttl_ms >= REG_KV_TTL_MIN_MS && ttl_ms <= REG_KV_TTL_MAX_MS))
        return PLEX_OK;
    return plex_err_set(err, PLEX_INVALID,
                        "ttl_ms is %" PRIu64 ", it must be 1000 to 2592000000 "
                        "(1 s to 30 days)%s",
                        ttl_ms, zero ? ", or 0 for ever" : "");
}

/* -- requests -------------------------------------------------------------- */

static const ProtobufCMessageDescriptor *
request_type(enum method method)
{
    switch (method) {
    case GET:
        return KV_TYPE(get_request);
    case PUT:
        return KV_TYPE(put_request);
    case DELETE:
        return KV_TYPE(delete_request);
    case EXISTS:
        return KV_TYPE(exists_request);
    case LIST:
        return KV_TYPE(list_request);
    case MULTI_GET:
        return KV_TYPE(multi_get_request);
    case MULTI_PUT:
        return KV_TYPE(multi_put_request);
    case PUT_TTL:
        return KV_TYPE(put_with_ttl_request);
    case REFRESH:
        return KV_TYPE(refresh_ttl_request);
    case GET_TTL:
        return KV_TYPE(get_ttl_request);
    case CAS:
        return KV_TYPE(cas_request);
    case INCREMENT:
    case DECREMENT:
        return KV_TYPE(increment_request);
    case CLEAR:
        return KV_TYPE(clear_prefix_request);
    case COUNT:
        return KV_TYPE(count_prefix_request);
    case STATS:
        return KV_TYPE(get_stats_request);
    case WATCH:
        return KV_TYPE(watch_request);
    }
    return NULL;
}

static enum plex_status
read_in(enum method method, const ProtobufCMessage *message,
        struct reg_kv_request *out, struct plex_err *err)
{
    const KV(GetRequest) *get = (const void *)message;
    const KV(ExistsRequest) *exists = (const void *)message;
    const KV(GetTtlRequest) *ttl = (const void *)message;

    out->op = REG_KV_GET;
    if (method == GET) {
        out->key = get->key;
        out->ns = get->namespace_;
        out->as_text = get->as_text;
    } else if (method == EXISTS) {
        out->op = REG_KV_MULTI_GET;
        out->key = exists->key;
        out->ns = exists->namespace_;
    } else {
        out->key = ttl->key;
        out->ns = ttl->namespace_;
    }
    return key_check(out->key, err);
}

static enum plex_status
put_in(const KV(PutRequest) * put, struct reg_kv_request *out,
       struct plex_err *err)
{
    out->op = REG_KV_PUT;
    out->key = put->key;
    out->ns = put->namespace_;
    out->request_id = put->request_id;
    if (key_check(out->key, err) != PLEX_OK)
        return err->status;
    return value_in(put->value, put->text, &out->value, err);
}

static enum plex_status
put_ttl_in(const KV(PutWithTtlRequest) * put, struct reg_kv_request *out,
           struct plex_err *err)
{
    out->op = REG_KV_PUT;
    out->key = put->key;
    out->ns = put->namespace_;
    out->request_id = put->request_id;
    out->ttl_ms = put->ttl_ms;
    if (key_check(out->key, err) != PLEX_OK ||
        ttl_check(put->ttl_ms, false, err) != PLEX_OK)
        return err->status;
    return value_in(put->value, put->text, &out->value, err);
}

static enum plex_status
refresh_in(const KV(RefreshTtlRequest) * refresh, struct reg_kv_request *out,
           struct plex_err *err)
{
    out->op = REG_KV_REFRESH;
    out->key = refresh->key;
    out->ns = refresh->namespace_;
    out->request_id = refresh->request_id;
    out->ttl_ms = refresh->ttl_ms;
    if (key_check(out->key, err) != PLEX_OK)
        return err->status;
    return ttl_check(refresh->ttl_ms, true, err);
}

static enum plex_status
delete_in(const KV(DeleteRequest) * del, struct reg_kv_request *out,
          struct plex_err *err)
{
    out->op = REG_KV_DELETE;
    out->key = del->key;
    out->ns = del->namespace_;
    out->request_id = del->request_id;
    return key_check(out->key, err);
}

static enum plex_status
cas_in(const KV(CasRequest) * cas, struct reg_kv_request *out,
       struct plex_err *err)
{
    out->op = REG_KV_CAS;
    out->key = cas->key;
    out->ns = cas->namespace_;
    out->request_id = cas->request_id;
    if (key_check(out->key, err) != PLEX_OK ||
        value_in(cas->expected, cas->expected_text, &out->expected, err) !=
            PLEX_OK)
        return plex_err_wrap(err, "expected");
    out->expect_version = cas->expected_version != 0;
    out->version = cas->expected_version;
    out->expect_value = out->expected.len > 0;
    if (out->expect_version && out->expect_value)
        return plex_err_set(err, PLEX_INVALID,
                            "give expected or expected_version, not both");
    return value_in(cas->value, cas->text, &out->value, err);
}

static enum plex_status
increment_in(enum method method, const KV(IncrementRequest) * increment,
             struct reg_kv_request *out, struct plex_err *err)
{
    out->op = REG_KV_INCREMENT;
    out->key = increment->key;
    out->ns = increment->namespace_;
    out->request_id = increment->request_id;
    out->delta = increment->delta == 0 ? 1 : increment->delta;
    if (method == DECREMENT) {
        if (out->delta == INT64_MIN)
            return plex_err_set(err, PLEX_INVALID,
                                "delta cannot be negated within 64 bits");
        out->delta = -out->delta;
    }
    return key_check(out->key, err);
}

static enum plex_status
prefix_check(const char *prefix, struct plex_err *err)
{
    return reg_wire_text_check("prefix", prefix, 0, REG_KV_KEY_MAX, err);
}

static enum plex_status
list_in(const KV(ListRequest) * list, struct reg_kv_request *out,
        struct plex_err *err)
{
    out->op = REG_KV_LIST;
    out->prefix = list->prefix;
    out->after = list->page_token;
    out->ns = list->namespace_;
    out->with_values = list->with_values;
    out->as_text = list->as_text;
    if (prefix_check(out->prefix, err) != PLEX_OK ||
        reg_wire_text_check("page_token", out->after, 0, REG_KV_KEY_MAX, err) !=
            PLEX_OK)
        return err->status;
    return reg_wire_page_check(list->page_size, &out->page_size, err);
}

static enum plex_status
prefix_in(enum method method, const ProtobufCMessage *message,
          struct reg_kv_request *out, struct plex_err *err)
{
    const KV(ClearPrefixRequest) *clear = (const void *)message;
    const KV(CountPrefixRequest) *count = (const void *)message;

    if (method == COUNT) {
        out->op = REG_KV_COUNT;
        out->prefix = count->prefix;
        out->ns = count->namespace_;
        return prefix_check(out->prefix, err);
    }
    out->op = REG_KV_CLEAR;
    out->prefix = clear->prefix;
    out->ns = clear->namespace_;
    out->request_id = clear->request_id;
    if ((out->prefix[0] == '\0') != (clear->all != 0))
        return plex_err_set(err, PLEX_INVALID,
                            "give a prefix, or all=true to delete every key "
                            "of the namespace, not both");
    return prefix_check(out->prefix, err);
}

static enum plex_status
watch_in(const KV(WatchRequest) * watch, struct reg_kv_request *out,
         struct plex_err *err)
{
    out->op = REG_KV_WATCH;
    out->key = watch->key[0] == '\0' ? NULL : watch->key;
    out->prefix = watch->prefix;
    out->ns = watch->namespace_;
    out->since = watch->since;
    out->as_text = watch->as_text;
    out->timeout_ms =
        watch->timeout_ms == 0 ? WATCH_DEFAULT_MS : watch->timeout_ms;
    if (out->timeout_ms > REG_KV_WATCH_MS_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "timeout_ms is %" PRIu64 ", at most %d is allowed",
                            out->timeout_ms, REG_KV_WATCH_MS_MAX);
    if (out->key != NULL && out->prefix[0] != '\0')
        return plex_err_set(err, PLEX_INVALID,
                            "give a key or a prefix, not both");
    if (prefix_check(out->prefix, err) != PLEX_OK)
        return err->status;
    return out->key == NULL ? PLEX_OK : key_check(out->key, err);
}

static enum plex_status
batch_check(const char *what, size_t n, struct plex_err *err)
{
    if (n >= 1 && n <= REG_KV_BATCH_MAX)
        return PLEX_OK;
    return plex_err_set(err, PLEX_INVALID, "%zu %s, it must be 1 to %d", n,
                        what, REG_KV_BATCH_MAX);
}

static enum plex_status
multi_get_in(const KV(MultiGetRequest) * get, struct plex_arena *arena,
             struct reg_kv_request *out, struct plex_err *err)
{
    struct reg_kv_pair *pairs;

    out->op = REG_KV_MULTI_GET;
    out->ns = get->namespace_;
    out->as_text = get->as_text;
    if (batch_check("keys", get->n_keys, err) != PLEX_OK)
        return err->status;
    pairs = plex_wire_array(arena, get->n_keys, sizeof *pairs);
    if (pairs == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < get->n_keys; i++) {
        pairs[i].key = get->keys[i];
        if (key_check(pairs[i].key, err) != PLEX_OK)
            return plex_err_wrap(err, "keys[%zu]", i);
    }
    out->pairs = pairs;
    out->n_pairs = get->n_keys;
    return PLEX_OK;
}

static enum plex_status
multi_put_in(const KV(MultiPutRequest) * put, struct plex_arena *arena,
             struct reg_kv_request *out, struct plex_err *err)
{
    struct reg_kv_pair *pairs;
    size_t bytes = 0;

    out->op = REG_KV_MULTI_PUT;
    out->ns = put->namespace_;
    out->request_id = put->request_id;
    if (batch_check("entries", put->n_entries, err) != PLEX_OK)
        return err->status;
    pairs = plex_wire_array(arena, put->n_entries, sizeof *pairs);
    if (pairs == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < put->n_entries; i++) {
        const KV(Entry) *entry = put->entries[i];

        pairs[i].key = entry->key;
        if (key_check(entry->key, err) != PLEX_OK ||
            value_in(entry->value, entry->text, &pairs[i].value, err) !=
                PLEX_OK)
            return plex_err_wrap(err, "entries[%zu]", i);
        bytes += pairs[i].value.len;
    }
    if (bytes > REG_KV_BATCH_BYTES)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "the values have %zu bytes together, at most %d",
                            bytes, REG_KV_BATCH_BYTES);
    out->pairs = pairs;
    out->n_pairs = put->n_entries;
    return PLEX_OK;
}

static enum plex_status
message_in(enum method method, const ProtobufCMessage *message,
           struct plex_arena *arena, struct reg_kv_request *out,
           struct plex_err *err)
{
    switch (method) {
    case GET:
    case EXISTS:
    case GET_TTL:
        return read_in(method, message, out, err);
    case PUT:
        return put_in((const void *)message, out, err);
    case PUT_TTL:
        return put_ttl_in((const void *)message, out, err);
    case REFRESH:
        return refresh_in((const void *)message, out, err);
    case DELETE:
        return delete_in((const void *)message, out, err);
    case CAS:
        return cas_in((const void *)message, out, err);
    case INCREMENT:
    case DECREMENT:
        return increment_in(method, (const void *)message, out, err);
    case LIST:
        return list_in((const void *)message, out, err);
    case CLEAR:
    case COUNT:
        return prefix_in(method, message, out, err);
    case MULTI_GET:
        return multi_get_in((const void *)message, arena, out, err);
    case MULTI_PUT:
        return multi_put_in((const void *)message, arena, out, err);
    case WATCH:
        return watch_in((const void *)message, out, err);
    case STATS:
        break;
    }
    out->op = REG_KV_STATS;
    out->ns = ((const KV(GetStatsRequest) *)message)->namespace_;
    return PLEX_OK;
}

enum plex_status
reg_wire_kv_request(uint32_t method, struct plex_bytes in,
                    struct plex_arena *arena, struct reg_kv_request *out,
                    struct plex_err *err)
{
    ProtobufCMessage *message;

    *out = (struct reg_kv_request){.method = method,
                                   .ns = "",
                                   .prefix = "",
                                   .after = "",
                                   .request_id = ""};
    if (plex_wire_unpack(request_type((enum method)method), in, arena, &message,
                         err) != PLEX_OK ||
        message_in((enum method)method, message, arena, out, err) != PLEX_OK ||
        reg_wire_ns_check(out->ns, err) != PLEX_OK)
        return err->status;
    /* One key is asked for as a batch of one: its absence is no error. */
    if (method == EXISTS) {
        struct reg_kv_pair *pair = plex_wire_array(arena, 1, sizeof *pair);

        if (pair == NULL)
            return plex_wire_no_room(err);
        pair->key = out->key;
        out->pairs = pair;
        out->n_pairs = 1;
    }
    out->digest = XXH3_64bits(in.data, in.len) + method;
    return reg_wire_text_check("request_id", out->request_id, 0,
                               REG_KV_REQUEST_ID_MAX, err);
}

/* -- rows ------------------------------------------------------------------ */

enum plex_status
reg_wire_kv_row_out(const struct reg_kv_row *row, struct plex_buf *out,
                    struct plex_err *err)
{
    ROW(ValueRow) value = PLEXSPACES__REGISTRY__V1__VALUE_ROW__INIT;
    ROW(RequestRow) request = PLEXSPACES__REGISTRY__V1__REQUEST_ROW__INIT;

    if (row->kind == REG_ROW_VALUE) {
        value.value = plex_wire_bytes(row->rec->value);
        value.version = row->rec->version;
        value.updated_ms = row->rec->updated_ms;
        value.expires_ms = row->rec->expires_ms;
        return plex_wire_pack(&value.base, out, err);
    }
    request.digest = row->digest;
    request.at_ms = row->at_ms;
    request.done = row->outcome.done;
    request.version = row->outcome.version;
    request.count = row->outcome.count;
    request.number = row->outcome.number;
    return plex_wire_pack(&request.base, out, err);
}

static enum plex_status
row_unpack(const ProtobufCMessageDescriptor *type, struct plex_bytes in,
           struct plex_arena *arena, ProtobufCMessage **out,
           struct plex_err *err)
{
    if (plex_wire_unpack(type, in, arena, out, err) == PLEX_OK)
        return PLEX_OK;
    err->status = PLEX_CORRUPT;
    return PLEX_CORRUPT;
}

enum plex_status
reg_wire_kv_value_in(struct plex_bytes in, struct plex_arena *arena,
                     struct reg_kv_rec *out, struct plex_err *err)
{
    ProtobufCMessage *message;
    const ROW(ValueRow) * row;

    if (row_unpack(ROW_TYPE(value_row), in, arena, &message, err) != PLEX_OK)
        return err->status;
    row = (const void *)message;
    out->value = plex_wire_bytes_in(row->value);
    out->version = row->version;
    out->updated_ms = row->updated_ms;
    out->expires_ms = row->expires_ms;
    return PLEX_OK;
}

enum plex_status
reg_wire_kv_request_in(struct plex_bytes in, struct plex_arena *arena,
                       struct reg_kv_row *out, struct plex_err *err)
{
    ProtobufCMessage *message;
    const ROW(RequestRow) * row;

    if (row_unpack(ROW_TYPE(request_row), in, arena, &message, err) != PLEX_OK)
        return err->status;
    row = (const void *)message;
    out->digest = row->digest;
    out->at_ms = row->at_ms;
    out->outcome = (struct reg_kv_outcome){row->done != 0, row->version,
                                           row->count, row->number};
    return PLEX_OK;
}

enum plex_status
reg_wire_counter_out(uint64_t value, struct plex_buf *out, struct plex_err *err)
{
    ROW(CounterRow) row = PLEXSPACES__REGISTRY__V1__COUNTER_ROW__INIT;

    row.value = value;
    return plex_wire_pack(&row.base, out, err);
}

enum plex_status
reg_wire_counter_in(struct plex_bytes in, struct plex_arena *arena,
                    uint64_t *value, struct plex_err *err)
{
    ProtobufCMessage *message;

    if (row_unpack(ROW_TYPE(counter_row), in, arena, &message, err) != PLEX_OK)
        return err->status;
    *value = ((const ROW(CounterRow) *)message)->value;
    return PLEX_OK;
}
