#include "services/registry/wire_object.h"

#include "common/wire.h"
#include "services/registry/wire_kv.h"

#include "plexspaces/object_registry/v1/object_registry.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OBJ(name) Plexspaces__ObjectRegistry__V1__##name
#define OBJ_TYPE(name) &plexspaces__object_registry__v1__##name##__descriptor

enum { PAGE_DEFAULT = 100, MASK_TEXT_MAX = 256 };

enum method {
    REGISTER = REG_OBJECT_METHOD_FIRST,
    UNREGISTER,
    LOOKUP,
    DISCOVER,
    HEARTBEAT,
    BATCH,
    TYPES,
};
_Static_assert(
    (int)TYPES == (int)REG_OBJECT_METHOD_LAST &&
        (int)TYPES ==
            (int)
                PLEXSPACES__OBJECT_REGISTRY__V1__OBJECT_REGISTRY_METHOD__OBJECT_REGISTRY_METHOD_LIST_OBJECT_TYPES,
    "the methods are those of the proto, in its order");

/* -- parts ----------------------------------------------------------------- */

static enum plex_status
text_in(const char *what, const char *text, const char **out,
        struct plex_err *err)
{
    *out = text;
    return reg_wire_text_check(what, text, 0, REG_OBJECT_TEXT_MAX, err);
}

/* A number of an enum, which protobuf leaves unchecked. */
static enum plex_status
number_in(const char *what, int number, int max, uint32_t *out,
          struct plex_err *err)
{
    if (number < 0 || number > max)
        return plex_err_set(err, PLEX_INVALID,
                            "%s is %d, which is none that is known", what,
                            number);
    *out = (uint32_t)number;
    return PLEX_OK;
}

static enum plex_status
name_in(const char *id, int type, struct reg_object_name *out,
        struct plex_err *err)
{
    out->id = id;
    if (number_in("object_type", type, REG_OBJECT_TYPES, &out->type, err) !=
        PLEX_OK)
        return err->status;
    return reg_wire_text_check("object_id", id, 1, REG_OBJECT_ID_MAX, err);
}

static enum plex_status
count_check(const char *what, size_t n, size_t max, struct plex_err *err)
{
    if (n <= max)
        return PLEX_OK;
    return plex_err_set(err, PLEX_INVALID,
                        "%s has %zu entries, at most %zu are allowed", what, n,
                        max);
}

static enum plex_status
list_in(const char *what, char *const *at, size_t n, struct reg_texts *out,
        struct plex_err *err)
{
    char name[64];

    if (count_check(what, n, REG_OBJECT_LIST_MAX, err) != PLEX_OK)
        return err->status;
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(name, sizeof name, "%s[%zu]", what, i);
        if (reg_wire_text_check(name, at[i], 1, REG_OBJECT_ITEM_MAX, err) !=
            PLEX_OK)
            return err->status;
        if (strchr(at[i], ',') != NULL)
            return plex_err_set(err, PLEX_INVALID,
                                "%s has a comma, which separates them in "
                                "filters",
                                name);
        for (size_t j = 0; j < i; j++)
            if (strcmp(at[i], at[j]) == 0)
                return plex_err_set(err, PLEX_INVALID,
                                    "%s is \"%.64s\", which is there already",
                                    name, at[i]);
    }
    *out = (struct reg_texts){(const char *const *)at, n};
    return PLEX_OK;
}

static enum plex_status
metadata_in(const OBJ(RegisteredObject) * in, struct plex_arena *arena,
            struct reg_object *out, struct plex_err *err)
{
    struct reg_pair *pairs;

    if (count_check("metadata", in->n_metadata, REG_OBJECT_LIST_MAX, err) !=
        PLEX_OK)
        return err->status;
    pairs = plex_wire_array(arena, in->n_metadata, sizeof *pairs);
    if (pairs == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < in->n_metadata; i++) {
        pairs[i] =
            (struct reg_pair){in->metadata[i]->key, in->metadata[i]->value};
        if (reg_wire_text_check("metadata's key", pairs[i].key, 1,
                                REG_OBJECT_ITEM_MAX, err) != PLEX_OK ||
            reg_wire_text_check(pairs[i].key, pairs[i].value, 0,
                                REG_OBJECT_METADATA_MAX, err) != PLEX_OK)
            return err->status;
    }
    out->metadata = pairs;
    out->n_metadata = in->n_metadata;
    return PLEX_OK;
}

/* `name` and `value` of the i-th of some map<string, double>. */
typedef void (*metric_fn)(const void *map, size_t i, struct reg_metric *out);

#define METRIC_FN(fn, message)                                        \
    static void fn(const void *map, size_t i, struct reg_metric *out) \
    {                                                                 \
        const OBJ(message##__MetricsEntry) *const *at = map;          \
        *out = (struct reg_metric){at[i]->key, at[i]->value};         \
    }
METRIC_FN(metric_of_object, RegisteredObject)
METRIC_FN(metric_of_heartbeat, HeartbeatRequest)
METRIC_FN(metric_of_batch, ObjectHeartbeat)

static enum plex_status
metrics_in(metric_fn metric, const void *map, size_t n,
           struct plex_arena *arena, const struct reg_metric **out,
           struct plex_err *err)
{
    struct reg_metric *metrics;

    if (count_check("metrics", n, REG_OBJECT_LIST_MAX, err) != PLEX_OK)
        return err->status;
    metrics = plex_wire_array(arena, n, sizeof *metrics);
    if (metrics == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < n; i++) {
        metric(map, i, &metrics[i]);
        if (reg_wire_text_check("a metric's name", metrics[i].name, 1,
                                REG_OBJECT_ITEM_MAX, err) != PLEX_OK)
            return err->status;
    }
    *out = metrics;
    return PLEX_OK;
}

/* -- an object ------------------------------------------------------------- */

static enum plex_status
ttl_check(uint64_t ttl_ms, struct plex_err *err)
{
    if (ttl_ms == 0 ||
        (ttl_ms >= REG_OBJECT_TTL_MIN_MS && ttl_ms <= REG_OBJECT_TTL_MAX_MS))
        return PLEX_OK;
    return plex_err_set(err, PLEX_INVALID,
                        "ttl_ms is %" PRIu64 ", it must be 1000 to 2592000000 "
                        "(1 s to 30 days), or 0 for ever",
                        ttl_ms);
}

static enum plex_status
texts_in(const OBJ(RegisteredObject) * in, struct reg_object *out,
         struct plex_err *err)
{
    if (text_in("category", in->category, &out->category, err) != PLEX_OK ||
        text_in("node_id", in->node_id, &out->node_id, err) != PLEX_OK ||
        text_in("address", in->address, &out->address, err) != PLEX_OK ||
        text_in("version", in->version, &out->version, err) != PLEX_OK)
        return err->status;
    return text_in("health_reason", in->health_reason, &out->reason, err);
}

/* What who registers says of it. */
static enum plex_status
object_in(const OBJ(RegisteredObject) * in, struct plex_arena *arena,
          struct reg_object *out, struct plex_err *err)
{
    struct reg_object_name name;

    *out = (struct reg_object){.tenant = "", .ns = ""};
    if (name_in(in->object_id, (int)in->object_type, &name, err) != PLEX_OK)
        return err->status;
    if (name.type == 0)
        return plex_err_set(err, PLEX_INVALID,
                            "object_type is missing: ACTOR, TUPLESPACE, "
                            "SERVICE, VM, APPLICATION, WORKFLOW or NODE");
    out->id = name.id;
    out->type = name.type;
    out->ttl_ms = in->ttl_ms;
    out->n_metrics = in->n_metrics;
    if (texts_in(in, out, err) != PLEX_OK ||
        ttl_check(in->ttl_ms, err) != PLEX_OK ||
        number_in("health", (int)in->health, REG_OBJECT_HEALTHS, &out->health,
                  err) != PLEX_OK ||
        list_in("capabilities", in->capabilities, in->n_capabilities,
                &out->capabilities, err) != PLEX_OK ||
        list_in("labels", in->labels, in->n_labels, &out->labels, err) !=
            PLEX_OK ||
        metadata_in(in, arena, out, err) != PLEX_OK ||
        metrics_in(metric_of_object, in->metrics, in->n_metrics, arena,
                   &out->metrics, err) != PLEX_OK)
        return err->status;
    if (out->health == 0)
        out->health = REG_HEALTH_UNKNOWN;
    return PLEX_OK;
}

/* Not of rows: a heartbeat's metrics may have made them larger. */
static enum plex_status
size_check(const struct reg_object *object, struct plex_err *err)
{
    const size_t size = reg_object_size(object);

    if (size <= REG_OBJECT_BYTES_MAX)
        return PLEX_OK;
    return plex_err_set(err, PLEX_TOO_LARGE,
                        "the object has %zu bytes, at most %d are allowed",
                        size, REG_OBJECT_BYTES_MAX);
}

/* -- filters --------------------------------------------------------------- */

/* The parts of "a,b", without spaces around them. */
static enum plex_status
parts_in(const char *what, const char *text, struct plex_arena *arena,
         struct reg_texts *out, struct plex_err *err)
{
    char *copy = plex_arena_strndup(arena, text, strlen(text));
    const char **parts =
        plex_wire_array(arena, REG_OBJECT_LIST_MAX, sizeof *parts);
    char *save = NULL;

    if (copy == NULL || parts == NULL)
        return plex_wire_no_room(err);
    out->at = parts;
    out->n = 0;
    for (char *part = strtok_r(copy, ", ", &save); part != NULL;
         part = strtok_r(NULL, ", ", &save)) {
        if (out->n == REG_OBJECT_LIST_MAX)
            return plex_err_set(err, PLEX_INVALID,
                                "%s names more than %d things", what,
                                REG_OBJECT_LIST_MAX);
        parts[out->n++] = part;
    }
    return PLEX_OK;
}

/* Names of an enum's values, in any case. */
static enum plex_status
mask_in(const char *what, const char *text,
        const ProtobufCEnumDescriptor *values, struct plex_arena *arena,
        uint32_t *out, struct plex_err *err)
{
    struct reg_texts parts;
    char known[MASK_TEXT_MAX] = "";
    size_t len = 0;

    *out = 0;
    if (parts_in(what, text, arena, &parts, err) != PLEX_OK)
        return err->status;
    for (size_t i = 0; i < parts.n; i++) {
        bool found = false;

        for (unsigned j = 1; j < values->n_values; j++)
            if (strcasecmp(values->values[j].name, parts.at[i]) == 0) {
                *out |= 1U << values->values[j].value;
                found = true;
            }
        for (unsigned j = 1; !found && j < values->n_values; j++)
            len += (size_t)snprintf(known + len, sizeof known - len, "%s%s",
                                    j == 1 ? "" : ", ", values->values[j].name);
        if (!found)
            return plex_err_set(err, PLEX_INVALID, "%s \"%.32s\" is none of %s",
                                what, parts.at[i], known);
    }
    return PLEX_OK;
}

/* "CREATED/namespace/TYPE/id", made by reg_wire_object_answer(). */
static enum plex_status
place_in(const char *token, struct plex_arena *arena,
         struct reg_object_place *out, struct plex_err *err)
{
    char *copy = plex_arena_strndup(arena, token, strlen(token)), *end, *ns,
         *type;

    if (token[0] == '\0')
        return PLEX_OK;
    if (copy == NULL)
        return plex_wire_no_room(err);
    out->created_ms = strtoull(copy, &end, 10);
    ns = end != copy && *end == '/' ? end + 1 : NULL;
    type = ns == NULL ? NULL : strchr(ns, '/');
    if (type != NULL && type[1] >= '1' && type[1] <= '0' + REG_OBJECT_TYPES &&
        type[2] == '/' && strlen(type + 3) <= REG_OBJECT_ID_MAX) {
        *type = '\0';
        out->ns = ns;
        out->type = (uint32_t)(type[1] - '0');
        out->id = type + 3;
        return PLEX_OK;
    }
    return plex_err_set(err, PLEX_INVALID,
                        "page_token \"%.64s\" is not one that an answer gave",
                        token);
}

static enum plex_status
lists_in(const OBJ(DiscoverObjectsRequest) * in, struct plex_arena *arena,
         struct reg_object_filter *out, struct plex_err *err)
{
    if (mask_in(
            "object_type", in->object_type,
            &plexspaces__object_registry__v1__registered_object__type__descriptor,
            arena, &out->types, err) != PLEX_OK ||
        mask_in(
            "health", in->health,
            &plexspaces__object_registry__v1__registered_object__health__descriptor,
            arena, &out->healths, err) != PLEX_OK ||
        parts_in("capabilities", in->capabilities, arena, &out->capabilities,
                 err) != PLEX_OK)
        return err->status;
    return parts_in("labels", in->labels, arena, &out->labels, err);
}

static enum plex_status
discover_in(const OBJ(DiscoverObjectsRequest) * in, struct plex_arena *arena,
            struct reg_object_request *out, struct plex_err *err)
{
    out->op = REG_OBJECT_DISCOVER;
    out->ns = in->namespace_;
    out->filter.age_max_ms = in->max_heartbeat_age_ms;
    out->filter.id_prefix = in->id_prefix;
    if (text_in("category", in->category, &out->filter.category, err) !=
            PLEX_OK ||
        text_in("node_id", in->node_id, &out->filter.node_id, err) != PLEX_OK ||
        lists_in(in, arena, &out->filter, err) != PLEX_OK ||
        place_in(in->page_token, arena, &out->after, err) != PLEX_OK ||
        reg_wire_page_check(in->page_size, &out->page_size, err) != PLEX_OK)
        return err->status;
    if (in->page_size == 0)
        out->page_size = PAGE_DEFAULT;
    return PLEX_OK;
}

/* -- heartbeats ------------------------------------------------------------ */

static enum plex_status
beat_health(int health, const char *reason, struct reg_object_beat *out,
            struct plex_err *err)
{
    if (text_in("health_reason", reason, &out->reason, err) != PLEX_OK)
        return err->status;
    return number_in("health", health, REG_OBJECT_HEALTHS, &out->health, err);
}

static enum plex_status
heartbeat_in(const OBJ(HeartbeatRequest) * in, struct plex_arena *arena,
             struct reg_object_request *out, struct plex_err *err)
{
    struct reg_object_beat *beat = plex_wire_array(arena, 1, sizeof *beat);

    if (beat == NULL)
        return plex_wire_no_room(err);
    out->op = REG_OBJECT_HEARTBEAT;
    out->ns = in->namespace_;
    out->beats = beat;
    out->n_beats = 1;
    beat->n_metrics = in->n_metrics;
    if (name_in(in->object_id, (int)in->object_type, &beat->name, err) !=
            PLEX_OK ||
        beat_health((int)in->health, in->health_reason, beat, err) != PLEX_OK)
        return err->status;
    return metrics_in(metric_of_heartbeat, in->metrics, in->n_metrics, arena,
                      &beat->metrics, err);
}

static enum plex_status
beat_in(const OBJ(ObjectHeartbeat) * in, struct plex_arena *arena,
        struct reg_object_beat *out, struct plex_err *err)
{
    out->n_metrics = in->n_metrics;
    if (name_in(in->object_id, (int)in->object_type, &out->name, err) !=
            PLEX_OK ||
        beat_health((int)in->health, in->health_reason, out, err) != PLEX_OK)
        return err->status;
    return metrics_in(metric_of_batch, in->metrics, in->n_metrics, arena,
                      &out->metrics, err);
}

static enum plex_status
batch_in(const OBJ(BatchHeartbeatRequest) * in, struct plex_arena *arena,
         struct reg_object_request *out, struct plex_err *err)
{
    struct reg_object_beat *beats =
        plex_wire_array(arena, in->n_heartbeats, sizeof *beats);

    if (beats == NULL)
        return plex_wire_no_room(err);
    out->op = REG_OBJECT_HEARTBEATS;
    out->ns = in->namespace_;
    out->beats = beats;
    out->n_beats = in->n_heartbeats;
    if (count_check("heartbeats", in->n_heartbeats, REG_OBJECT_BEATS_MAX,
                    err) != PLEX_OK)
        return err->status;
    for (size_t i = 0; i < in->n_heartbeats; i++)
        if (beat_in(in->heartbeats[i], arena, &beats[i], err) != PLEX_OK)
            return plex_err_wrap(err, "heartbeats[%zu]", i);
    return PLEX_OK;
}

/* -- requests -------------------------------------------------------------- */

static const ProtobufCMessageDescriptor *
request_type(enum method method)
{
    switch (method) {
    case REGISTER: /* has the fields of an object, under their numbers */
        return OBJ_TYPE(registered_object);
    case UNREGISTER:
        return OBJ_TYPE(unregister_object_request);
    case LOOKUP:
        return OBJ_TYPE(lookup_object_request);
    case DISCOVER:
        return OBJ_TYPE(discover_objects_request);
    case HEARTBEAT:
        return OBJ_TYPE(heartbeat_request);
    case BATCH:
        return OBJ_TYPE(batch_heartbeat_request);
    case TYPES:
        return OBJ_TYPE(list_object_types_request);
    }
    return NULL;
}

static enum plex_status
message_in(enum method method, const ProtobufCMessage *message,
           struct plex_arena *arena, struct reg_object_request *out,
           struct plex_err *err)
{
    const OBJ(RegisteredObject) *object = (const void *)message;
    const OBJ(LookupObjectRequest) *lookup = (const void *)message;
    const OBJ(UnregisterObjectRequest) *gone = (const void *)message;

    switch (method) {
    case REGISTER:
        out->op = REG_OBJECT_REGISTER;
        out->ns = object->namespace_;
        if (object_in(object, arena, &out->object, err) != PLEX_OK)
            return err->status;
        return size_check(&out->object, err);
    case UNREGISTER:
        out->op = REG_OBJECT_UNREGISTER;
        out->ns = gone->namespace_;
        return name_in(gone->object_id, (int)gone->object_type, &out->name,
                       err);
    case LOOKUP:
        out->op = REG_OBJECT_LOOKUP;
        out->ns = lookup->namespace_;
        return name_in(lookup->object_id, (int)lookup->object_type, &out->name,
                       err);
    case DISCOVER:
        return discover_in((const void *)message, arena, out, err);
    case HEARTBEAT:
        return heartbeat_in((const void *)message, arena, out, err);
    case BATCH:
        return batch_in((const void *)message, arena, out, err);
    case TYPES:
        break;
    }
    out->op = REG_OBJECT_COUNT;
    out->ns = ((const OBJ(ListObjectTypesRequest) *)message)->namespace_;
    return PLEX_OK;
}

enum plex_status
reg_wire_object_request(uint32_t method, struct plex_bytes in,
                        struct plex_arena *arena,
                        struct reg_object_request *out, struct plex_err *err)
{
    ProtobufCMessage *message;

    *out = (struct reg_object_request){.ns = ""};
    if (plex_wire_unpack(request_type((enum method)method), in, arena, &message,
                         err) != PLEX_OK ||
        message_in((enum method)method, message, arena, out, err) != PLEX_OK)
        return err->status;
    if (strcmp(out->ns, "*") == 0 &&
        (out->op == REG_OBJECT_DISCOVER || out->op == REG_OBJECT_COUNT))
        return PLEX_OK;
    return reg_wire_ns_check(out->ns, err);
}

enum plex_status
reg_wire_object_row_in(struct plex_bytes in, struct plex_arena *arena,
                       struct reg_object *out, struct plex_err *err)
{
    const OBJ(RegisteredObject) * row;
    ProtobufCMessage *message;

    if (plex_wire_unpack(OBJ_TYPE(registered_object), in, arena, &message,
                         err) != PLEX_OK ||
        object_in((const void *)message, arena, out, err) != PLEX_OK) {
        err->status = PLEX_CORRUPT;
        return PLEX_CORRUPT;
    }
    row = (const void *)message;
    out->created_ms = row->created_ms;
    out->updated_ms = row->updated_ms;
    out->heartbeat_ms = row->heartbeat_ms;
    out->heartbeats = row->heartbeats;
    out->revision = row->revision;
    return PLEX_OK;
}
