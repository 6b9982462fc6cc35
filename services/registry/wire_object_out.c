/* Answers of object_registry.v1. */
#include "services/registry/wire_object.h"

#include "common/wire.h"

#include "plexspaces/object_registry/v1/object_registry.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define OBJ(name) Plexspaces__ObjectRegistry__V1__##name
#define OBJ_INIT(name) PLEXSPACES__OBJECT_REGISTRY__V1__##name##__INIT

static enum plex_status
metadata_out(const struct reg_object *in, struct plex_arena *arena,
             OBJ(RegisteredObject) * out, struct plex_err *err)
{
    OBJ(RegisteredObject__MetadataEntry) *entries =
        plex_wire_array(arena, in->n_metadata, sizeof *entries);

    out->metadata =
        plex_wire_array(arena, in->n_metadata, sizeof *out->metadata);
    if (entries == NULL || out->metadata == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < in->n_metadata; i++) {
        plexspaces__object_registry__v1__registered_object__metadata_entry__init(
            &entries[i]);
        entries[i].key = plex_wire_text(in->metadata[i].key);
        entries[i].value = plex_wire_text(in->metadata[i].value);
        out->metadata[i] = &entries[i];
    }
    out->n_metadata = in->n_metadata;
    return PLEX_OK;
}

static enum plex_status
metrics_out(const struct reg_object *in, struct plex_arena *arena,
            OBJ(RegisteredObject) * out, struct plex_err *err)
{
    OBJ(RegisteredObject__MetricsEntry) *entries =
        plex_wire_array(arena, in->n_metrics, sizeof *entries);

    out->metrics = plex_wire_array(arena, in->n_metrics, sizeof *out->metrics);
    if (entries == NULL || out->metrics == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < in->n_metrics; i++) {
        plexspaces__object_registry__v1__registered_object__metrics_entry__init(
            &entries[i]);
        entries[i].key = plex_wire_text(in->metrics[i].name);
        entries[i].value = in->metrics[i].value;
        out->metrics[i] = &entries[i];
    }
    out->n_metrics = in->n_metrics;
    return PLEX_OK;
}

static enum plex_status
object_out(const struct reg_object *in, struct plex_arena *arena,
           OBJ(RegisteredObject) * out, struct plex_err *err)
{
    plexspaces__object_registry__v1__registered_object__init(out);
    out->object_id = plex_wire_text(in->id);
    out->object_type = in->type;
    out->namespace_ = plex_wire_text(in->ns);
    out->category = plex_wire_text(in->category);
    out->node_id = plex_wire_text(in->node_id);
    out->address = plex_wire_text(in->address);
    out->version = plex_wire_text(in->version);
    out->health = in->health;
    out->health_reason = plex_wire_text(in->reason);
    out->ttl_ms = in->ttl_ms;
    out->left_ms = in->left_ms;
    out->created_ms = in->created_ms;
    out->updated_ms = in->updated_ms;
    out->heartbeat_ms = in->heartbeat_ms;
    out->heartbeats = in->heartbeats;
    out->revision = in->revision;
    out->managed = in->managed;
    /* Packing writes to neither. */
    out->capabilities = (char **)(uintptr_t)in->capabilities.at;
    out->n_capabilities = in->capabilities.n;
    out->labels = (char **)(uintptr_t)in->labels.at;
    out->n_labels = in->labels.n;
    if (metadata_out(in, arena, out, err) != PLEX_OK)
        return err->status;
    return metrics_out(in, arena, out, err);
}

enum plex_status
reg_wire_object_row_out(const struct reg_object *object,
                        struct plex_arena *arena, struct plex_buf *out,
                        struct plex_err *err)
{
    OBJ(RegisteredObject) row;

    if (object_out(object, arena, &row, err) != PLEX_OK)
        return err->status;
    return plex_wire_pack(&row.base, out, err);
}

/* -- answers --------------------------------------------------------------- */

/* Where the next page begins; wire_object.c reads it. */
static enum plex_status
token_out(const struct reg_object *last, struct plex_arena *arena, char **out,
          struct plex_err *err)
{
    const size_t max = strlen(last->ns) + strlen(last->id) + 32;
    char *token = plex_arena_alloc(arena, max);

    if (token == NULL)
        return plex_wire_no_room(err);
    (void)snprintf(token, max, "%" PRIu64 "/%s/%" PRIu32 "/%s",
                   last->created_ms, last->ns, last->type, last->id);
    *out = token;
    return PLEX_OK;
}

static enum plex_status
page_out(const struct reg_object_answer *answer, struct plex_arena *arena,
         struct plex_buf *out, struct plex_err *err)
{
    OBJ(DiscoverObjectsResponse) reply = OBJ_INIT(DISCOVER_OBJECTS_RESPONSE);
    OBJ(RegisteredObject) *objects =
        plex_wire_array(arena, answer->n_objects, sizeof *objects);

    reply.objects =
        plex_wire_array(arena, answer->n_objects, sizeof *reply.objects);
    if (objects == NULL || reply.objects == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < answer->n_objects; i++) {
        if (object_out(answer->objects[i], arena, &objects[i], err) != PLEX_OK)
            return err->status;
        reply.objects[i] = &objects[i];
    }
    reply.n_objects = answer->n_objects;
    if (answer->last != NULL &&
        token_out(answer->last, arena, &reply.next_page_token, err) != PLEX_OK)
        return err->status;
    return plex_wire_pack(&reply.base, out, err);
}

static enum plex_status
batch_out(const struct reg_object_answer *answer, struct plex_arena *arena,
          struct plex_buf *out, struct plex_err *err)
{
    OBJ(BatchHeartbeatResponse) reply = OBJ_INIT(BATCH_HEARTBEAT_RESPONSE);
    OBJ(MissingObject) *missing =
        plex_wire_array(arena, answer->n_missing, sizeof *missing);

    reply.missing =
        plex_wire_array(arena, answer->n_missing, sizeof *reply.missing);
    if (missing == NULL || reply.missing == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < answer->n_missing; i++) {
        plexspaces__object_registry__v1__missing_object__init(&missing[i]);
        missing[i].object_id = plex_wire_text(answer->missing[i].id);
        missing[i].object_type = answer->missing[i].type;
        reply.missing[i] = &missing[i];
    }
    reply.n_missing = answer->n_missing;
    reply.accepted = answer->accepted;
    return plex_wire_pack(&reply.base, out, err);
}

static void
count_out(const uint64_t counts[REG_OBJECT_HEALTHS + 1],
          OBJ(ObjectTypeCount) * out)
{
    out->unknown = counts[REG_HEALTH_UNKNOWN];
    out->healthy = counts[REG_HEALTH_HEALTHY];
    out->degraded = counts[REG_HEALTH_DEGRADED];
    out->unhealthy = counts[REG_HEALTH_UNHEALTHY];
    out->starting = counts[REG_HEALTH_STARTING];
    out->stopping = counts[REG_HEALTH_STOPPING];
    for (size_t health = 1; health <= REG_OBJECT_HEALTHS; health++)
        out->total += counts[health];
}

static enum plex_status
types_out(const struct reg_object_answer *answer, struct plex_buf *out,
          struct plex_err *err)
{
    OBJ(ListObjectTypesResponse)
    reply = OBJ_INIT(LIST_OBJECT_TYPES_RESPONSE);
    OBJ(ObjectTypeCount) types[REG_OBJECT_TYPES], *rows[REG_OBJECT_TYPES];

    reply.types = rows;
    for (uint32_t type = 1; type <= REG_OBJECT_TYPES; type++) {
        OBJ(ObjectTypeCount) *count = &types[type - 1];

        plexspaces__object_registry__v1__object_type_count__init(count);
        count->object_type = type;
        count_out(answer->counts[type], count);
        if (count->total > 0)
            rows[reply.n_types++] = count;
        reply.total += count->total;
    }
    return plex_wire_pack(&reply.base, out, err);
}

enum plex_status
reg_wire_object_answer(const struct reg_object_answer *answer,
                       struct plex_arena *arena, struct plex_buf *out,
                       struct plex_err *err)
{
    /* Those of register, look-up and heartbeat are one object in field 1, that
     * of unregister is empty. */
    OBJ(LookupObjectResponse) reply = OBJ_INIT(LOOKUP_OBJECT_RESPONSE);
    OBJ(RegisteredObject) object;

    switch (answer->op) {
    case REG_OBJECT_DISCOVER:
        return page_out(answer, arena, out, err);
    case REG_OBJECT_HEARTBEATS:
        return batch_out(answer, arena, out, err);
    case REG_OBJECT_COUNT:
        return types_out(answer, out, err);
    default:
        break;
    }
    if (answer->n_objects > 0) {
        if (object_out(answer->objects[0], arena, &object, err) != PLEX_OK)
            return err->status;
        reply.object = &object;
    }
    return plex_wire_pack(&reply.base, out, err);
}
