#include "services/tuplespace/wire.h"

#include "common/name.h"
#include "common/wire.h"

#include <string.h>

#include "plexspaces/tuplespace/v1/tuplespace.pb-c.h"

#define PB(name) Plexspaces__Tuplespace__V1__##name

static enum plex_status
check_id(struct plex_bytes id, struct plex_err *err)
{
    if (id.len != 0 && id.len != TSPACE_ID_BYTES)
        return plex_err_set(err, PLEX_INVALID,
                            "request_id has %zu bytes, it must have %d or none",
                            id.len, TSPACE_ID_BYTES);
    return PLEX_OK;
}

static enum plex_status
check_space(const char *space, struct plex_err *err)
{
    return plex_name_plain("space", space, strlen(space), err);
}

static enum plex_status
field_in(const PB(Field) * in, struct tspace_field *out, struct plex_err *err)
{
    *out = (struct tspace_field){.type = TSPACE_NULL};
    switch (in->value_case) {
    case PLEXSPACES__TUPLESPACE__V1__FIELD__VALUE_INT:
        out->type = TSPACE_INTEGER;
        out->integer = in->int_;
        break;
    case PLEXSPACES__TUPLESPACE__V1__FIELD__VALUE_FLOAT:
        out->type = TSPACE_FLOAT;
        out->real = in->float_;
        break;
    case PLEXSPACES__TUPLESPACE__V1__FIELD__VALUE_STRING:
        out->type = TSPACE_STRING;
        out->bytes.data = (const uint8_t *)in->string;
        out->bytes.len = strlen(in->string);
        break;
    case PLEXSPACES__TUPLESPACE__V1__FIELD__VALUE_BOOL:
        out->type = TSPACE_BOOLEAN;
        out->integer = in->bool_ != 0;
        break;
    case PLEXSPACES__TUPLESPACE__V1__FIELD__VALUE_BYTES:
        out->type = TSPACE_BINARY;
        out->bytes = (struct plex_bytes){in->bytes.data, in->bytes.len};
        break;
    case PLEXSPACES__TUPLESPACE__V1__FIELD__VALUE_TUPLE:
        return plex_err_set(err, PLEX_UNSUPPORTED, "nested tuples");
    case PLEXSPACES__TUPLESPACE__V1__FIELD__VALUE__NOT_SET:
    default:
        break;
    }
    if (out->bytes.len > TSPACE_TUPLE_MAX)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "a field has %zu bytes, at most %d are allowed",
                            out->bytes.len, TSPACE_TUPLE_MAX);
    return PLEX_OK;
}

static enum plex_status
tuple_in(const PB(Tuple) * in, struct plex_arena *arena,
         struct tspace_tuple *out, struct plex_err *err)
{
    struct tspace_field *fields;
    size_t bytes = 0;

    if (in->n_fields == 0 || in->n_fields > TSPACE_FIELDS_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "it has %zu fields, 1 to %d are allowed",
                            in->n_fields, TSPACE_FIELDS_MAX);
    fields = plex_arena_alloc(arena, in->n_fields * sizeof *fields);
    if (fields == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < in->n_fields; i++) {
        if (field_in(in->fields[i], &fields[i], err) != PLEX_OK)
            return plex_err_wrap(err, "fields[%zu]", i);
        bytes += fields[i].bytes.len;
    }
    if (bytes > TSPACE_TUPLE_MAX)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "it has %zu bytes, at most %d are allowed", bytes,
                            TSPACE_TUPLE_MAX);
    *out = (struct tspace_tuple){.fields = fields,
                                 .n_fields = (uint32_t)in->n_fields};
    return PLEX_OK;
}

enum plex_status
tspace_wire_write(struct plex_bytes in, struct plex_arena *arena,
                  struct tspace_write *out, struct plex_err *err)
{
    ProtobufCMessage *message;
    const PB(WriteRequest) * pb;
    struct tspace_tuple *tuples;

    if (plex_wire_unpack(&plexspaces__tuplespace__v1__write_request__descriptor,
                         in, arena, &message, err) != PLEX_OK)
        return err->status;
    pb = (const void *)message;
    *out = (struct tspace_write){
        .where.space = pb->space,
        .ttl_ms = pb->ttl_ms,
        .request_id = {pb->request_id.data, pb->request_id.len},
        .n_tuples = (uint32_t)pb->n_tuples,
    };
    if (check_space(pb->space, err) != PLEX_OK ||
        check_id(out->request_id, err) != PLEX_OK)
        return err->status;
    if (pb->ttl_ms > TSPACE_TTL_MAX_MS)
        return plex_err_set(err, PLEX_INVALID, "ttl_ms is more than 30 days");
    if (pb->n_tuples == 0 || pb->n_tuples > TSPACE_WRITE_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "tuples has %zu entries, 1 to %d are allowed",
                            pb->n_tuples, TSPACE_WRITE_MAX);
    tuples = plex_arena_alloc(arena, pb->n_tuples * sizeof *tuples);
    if (tuples == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < pb->n_tuples; i++)
        if (tuple_in(pb->tuples[i], arena, &tuples[i], err) != PLEX_OK)
            return plex_err_wrap(err, "tuples[%zu]", i);
    out->tuples = tuples;
    return PLEX_OK;
}

static enum plex_status
pattern_in(const PB(Pattern) * in, struct tspace_pattern *out,
           struct plex_err *err)
{
    *out =
        (struct tspace_pattern){.kind = TSPACE_ANY, .field.type = TSPACE_NULL};
    if (in->kind_case == PLEXSPACES__TUPLESPACE__V1__PATTERN__KIND_EXACT) {
        out->kind = TSPACE_EXACT;
        return field_in(in->exact, &out->field, err);
    }
    if (in->kind_case == PLEXSPACES__TUPLESPACE__V1__PATTERN__KIND__NOT_SET)
        return PLEX_OK;
    if (in->kind_case != PLEXSPACES__TUPLESPACE__V1__PATTERN__KIND_TYPE)
        return plex_err_set(err, PLEX_UNSUPPORTED, "this matcher");
    if ((int)in->type < TSPACE_INTEGER || (int)in->type > TSPACE_NULL)
        return plex_err_set(err, PLEX_INVALID, "type %d is not a field type",
                            (int)in->type);
    out->kind = TSPACE_OF_TYPE;
    out->field.type = (enum tspace_type)in->type;
    return PLEX_OK;
}

static enum plex_status
template_in(const PB(Template) * in, struct plex_arena *arena,
            struct tspace_read *out, struct plex_err *err)
{
    const size_t n = in != NULL ? in->n_fields : 0;
    struct tspace_pattern *patterns;

    if (n == 0 || n > TSPACE_FIELDS_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "template has %zu fields, 1 to %d are allowed", n,
                            TSPACE_FIELDS_MAX);
    patterns = plex_arena_alloc(arena, n * sizeof *patterns);
    if (patterns == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < n; i++)
        if (pattern_in(in->fields[i], &patterns[i], err) != PLEX_OK)
            return plex_err_wrap(err, "template.fields[%zu]", i);
    out->patterns = patterns;
    out->n_patterns = (uint32_t)n;
    return PLEX_OK;
}

enum plex_status
tspace_wire_read(struct plex_bytes in, bool take, struct plex_arena *arena,
                 struct tspace_read *out, struct plex_err *err)
{
    ProtobufCMessage *message;
    const PB(ReadRequest) * pb;

    if (plex_wire_unpack(&plexspaces__tuplespace__v1__read_request__descriptor,
                         in, arena, &message, err) != PLEX_OK)
        return err->status;
    pb = (const void *)message;
    *out = (struct tspace_read){
        .where.space = pb->space,
        .timeout_ms = pb->timeout_ms,
        .max_results = pb->max_results == 0 ? 1 : pb->max_results,
        .take = take,
        .request_id = {pb->request_id.data, pb->request_id.len},
    };
    if (!take)
        out->request_id = (struct plex_bytes){0};
    if (check_space(pb->space, err) != PLEX_OK ||
        check_id(out->request_id, err) != PLEX_OK)
        return err->status;
    if (pb->timeout_ms > TSPACE_WAIT_MAX_MS)
        return plex_err_set(err, PLEX_INVALID,
                            "timeout_ms is more than 3600000 (one hour)");
    if (out->max_results > TSPACE_RESULTS_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "max_results is %u, 1 to %d are allowed",
                            out->max_results, TSPACE_RESULTS_MAX);
    return template_in(pb->template_, arena, out, err);
}

enum plex_status
tspace_wire_count(struct plex_bytes in, struct plex_arena *arena,
                  struct tspace_read *out, struct plex_err *err)
{
    ProtobufCMessage *message;
    const PB(CountRequest) * pb;

    if (plex_wire_unpack(&plexspaces__tuplespace__v1__count_request__descriptor,
                         in, arena, &message, err) != PLEX_OK)
        return err->status;
    pb = (const void *)message;
    *out = (struct tspace_read){.where.space = pb->space};
    if (check_space(pb->space, err) != PLEX_OK)
        return err->status;
    return template_in(pb->template_, arena, out, err);
}

/* -- replies --------------------------------------------------------------- */

static bool
field_out(const struct tspace_field *in, struct plex_arena *arena,
          PB(Field) * out)
{
    plexspaces__tuplespace__v1__field__init(out);
    switch (in->type) {
    case TSPACE_INTEGER:
        out->value_case = PLEXSPACES__TUPLESPACE__V1__FIELD__VALUE_INT;
        out->int_ = in->integer;
        break;
    case TSPACE_FLOAT:
        out->value_case = PLEXSPACES__TUPLESPACE__V1__FIELD__VALUE_FLOAT;
        out->float_ = in->real;
        break;
    case TSPACE_STRING:
        out->value_case = PLEXSPACES__TUPLESPACE__V1__FIELD__VALUE_STRING;
        out->string = plex_arena_strndup(arena, (const char *)in->bytes.data,
                                         in->bytes.len);
        return out->string != NULL;
    case TSPACE_BOOLEAN:
        out->value_case = PLEXSPACES__TUPLESPACE__V1__FIELD__VALUE_BOOL;
        out->bool_ = in->integer != 0;
        break;
    case TSPACE_BINARY:
        out->value_case = PLEXSPACES__TUPLESPACE__V1__FIELD__VALUE_BYTES;
        out->bytes = plex_wire_bytes(in->bytes);
        break;
    case TSPACE_NULL:
        break;
    }
    return true;
}

/* The end of it, which counts upwards. */
static uint64_t
id_out(const uint8_t id[TSPACE_ID_BYTES])
{
    uint64_t number = 0;

    for (int i = TSPACE_ID_BYTES - 8; i < TSPACE_ID_BYTES; i++)
        number = number << 8 | id[i];
    return number;
}

static PB(Tuple) *
    tuple_out(const struct tspace_tuple *in, struct plex_arena *arena)
{
    PB(Tuple) *out = plex_arena_alloc(arena, sizeof *out);
    PB(Field) *fields = plex_arena_alloc(arena, in->n_fields * sizeof *fields);
    PB(Field) **list = plex_arena_alloc(arena, in->n_fields * sizeof *list);

    if (out == NULL || fields == NULL || list == NULL)
        return NULL;
    plexspaces__tuplespace__v1__tuple__init(out);
    out->id = id_out(in->id);
    out->expires_ms = in->expires_ms;
    out->n_fields = in->n_fields;
    out->fields = list;
    for (uint32_t i = 0; i < in->n_fields; i++) {
        list[i] = &fields[i];
        if (!field_out(&in->fields[i], arena, &fields[i]))
            return NULL;
    }
    return out;
}

static enum plex_status
ids_out(const struct tspace_answer *answer, struct plex_arena *arena,
        struct plex_buf *out, struct plex_err *err)
{
    PB(WriteReply) reply = PLEXSPACES__TUPLESPACE__V1__WRITE_REPLY__INIT;

    reply.n_ids = answer->n;
    reply.ids = plex_arena_alloc(arena, answer->n * sizeof *reply.ids);
    if (reply.ids == NULL)
        return plex_wire_no_room(err);
    for (uint32_t i = 0; i < answer->n; i++) {
        uint8_t id[TSPACE_ID_BYTES];

        tspace_id_at(answer->first_id, i, id);
        reply.ids[i] = id_out(id);
    }
    return plex_wire_pack(&reply.base, out, err);
}

enum plex_status
tspace_wire_answer(const struct tspace_answer *answer, struct plex_arena *arena,
                   struct plex_buf *out, struct plex_err *err)
{
    PB(ReadReply) reply = PLEXSPACES__TUPLESPACE__V1__READ_REPLY__INIT;

    if (answer != NULL && answer->is_write)
        return ids_out(answer, arena, out, err);
    if (answer != NULL && answer->n > 0) {
        reply.n_tuples = answer->n;
        reply.tuples =
            plex_arena_alloc(arena, answer->n * sizeof *reply.tuples);
        if (reply.tuples == NULL)
            return plex_wire_no_room(err);
        for (uint32_t i = 0; i < answer->n; i++)
            if ((reply.tuples[i] = tuple_out(answer->tuples[i], arena)) == NULL)
                return plex_wire_no_room(err);
    }
    return plex_wire_pack(&reply.base, out, err);
}

enum plex_status
tspace_wire_count_reply(uint64_t count, struct plex_buf *out,
                        struct plex_err *err)
{
    PB(CountReply) reply = PLEXSPACES__TUPLESPACE__V1__COUNT_REPLY__INIT;

    reply.count = count;
    return plex_wire_pack(&reply.base, out, err);
}
