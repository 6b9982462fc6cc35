#include "services/tuplespace/tuple.h"

#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

static bool
has_bytes(enum tspace_type type)
{
    return type == TSPACE_STRING || type == TSPACE_BINARY;
}

struct tspace_held *
tspace_held_make(const struct tspace_tuple *tuple)
{
    size_t size = sizeof(struct tspace_held) +
                  tuple->n_fields * sizeof(struct tspace_field);
    struct tspace_field *fields;
    struct tspace_held *held;
    uint8_t *at;

    for (uint32_t i = 0; i < tuple->n_fields; i++)
        if (has_bytes(tuple->fields[i].type))
            size += tuple->fields[i].bytes.len;
    held = plex_calloc(1, size);
    held->refs = 1;
    held->bytes = size;
    held->tuple = *tuple;
    fields = (struct tspace_field *)(void *)(held + 1);
    held->tuple.fields = fields;
    at = (uint8_t *)(fields + tuple->n_fields);
    for (uint32_t i = 0; i < tuple->n_fields; i++) {
        fields[i] = tuple->fields[i];
        if (!has_bytes(fields[i].type)) {
            fields[i].bytes = (struct plex_bytes){0};
            continue;
        }
        fields[i].bytes.data = at;
        if (fields[i].bytes.len > 0)
            memcpy(at, tuple->fields[i].bytes.data, fields[i].bytes.len);
        at += fields[i].bytes.len;
    }
    return held;
}

struct tspace_held *
tspace_held_ref(struct tspace_held *held)
{
    held->refs++;
    return held;
}

void
tspace_held_unref(struct tspace_held *held)
{
    if (held != NULL && --held->refs == 0)
        free(held);
}

static bool
field_equal(const struct tspace_field *a, const struct tspace_field *b)
{
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case TSPACE_INTEGER:
    case TSPACE_BOOLEAN:
        return a->integer == b->integer;
    case TSPACE_FLOAT:
        return a->real == b->real;
    case TSPACE_STRING:
    case TSPACE_BINARY:
        return a->bytes.len == b->bytes.len &&
               (a->bytes.len == 0 ||
                memcmp(a->bytes.data, b->bytes.data, a->bytes.len) == 0);
    case TSPACE_NULL:
        return true;
    }
    return false;
}

bool
tspace_match(const struct tspace_tuple *tuple,
             const struct tspace_pattern *patterns, uint32_t n)
{
    if (tuple->n_fields != n)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        if (patterns[i].kind == TSPACE_OF_TYPE &&
            patterns[i].field.type != tuple->fields[i].type)
            return false;
        if (patterns[i].kind == TSPACE_EXACT &&
            !field_equal(&patterns[i].field, &tuple->fields[i]))
            return false;
    }
    return true;
}

void
tspace_id_at(const uint8_t first[TSPACE_ID_BYTES], uint32_t index,
             uint8_t out[TSPACE_ID_BYTES])
{
    uint64_t carry = index;

    for (int i = TSPACE_ID_BYTES - 1; i >= 0; i--) {
        carry += first[i];
        out[i] = (uint8_t)carry;
        carry >>= 8;
    }
}

/* -- the stored form ------------------------------------------------------- */

static bool
put(struct plex_buf *out, const void *data, size_t len)
{
    uint8_t *at = plex_buf_grow(out, len);

    if (at != NULL && len > 0)
        memcpy(at, data, len);
    return at != NULL;
}

static bool
put_number(struct plex_buf *out, uint64_t value, size_t len)
{
    uint8_t bytes[8];

    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    return put(out, bytes, len);
}

static bool
put_field(struct plex_buf *out, const struct tspace_field *field)
{
    uint64_t number = (uint64_t)field->integer;

    if (!put_number(out, (uint64_t)field->type, 1))
        return false;
    if (has_bytes(field->type))
        return put_number(out, field->bytes.len, 4) &&
               put(out, field->bytes.data, field->bytes.len);
    if (field->type == TSPACE_FLOAT)
        memcpy(&number, &field->real, sizeof number);
    return field->type == TSPACE_NULL || put_number(out, number, 8);
}

static bool
put_tuple(struct plex_buf *out, const struct tspace_tuple *tuple)
{
    if (!put(out, tuple->id, sizeof tuple->id) ||
        !put_number(out, tuple->expires_ms, 8) ||
        !put_number(out, tuple->n_fields, 4))
        return false;
    for (uint32_t i = 0; i < tuple->n_fields; i++)
        if (!put_field(out, &tuple->fields[i]))
            return false;
    return true;
}

enum plex_status
tspace_tuple_encode(const struct tspace_tuple *tuple, struct plex_buf *out,
                    struct plex_err *err)
{
    if (!put_tuple(out, tuple))
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "tuple does not fit into %zu bytes", out->max);
    return PLEX_OK;
}

/* Reading stops at the first lack of bytes and stays failed. */
struct reader {
    const uint8_t *at;
    size_t left;
    bool failed;
};

static const uint8_t *
get(struct reader *in, size_t len)
{
    const uint8_t *at = in->at;

    if (in->failed || len > in->left) {
        in->failed = true;
        return NULL;
    }
    in->at += len;
    in->left -= len;
    return at;
}

static uint64_t
get_number(struct reader *in, size_t len)
{
    const uint8_t *at = get(in, len);
    uint64_t value = 0;

    for (size_t i = 0; at != NULL && i < len; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static void
get_field(struct reader *in, struct tspace_field *field)
{
    const uint64_t type = get_number(in, 1);
    uint64_t number;

    if (type < TSPACE_INTEGER || type > TSPACE_NULL) {
        in->failed = true;
        return;
    }
    *field = (struct tspace_field){.type = (enum tspace_type)type};
    if (has_bytes(field->type)) {
        field->bytes.len = (size_t)get_number(in, 4);
        field->bytes.data = get(in, field->bytes.len);
    } else if (field->type != TSPACE_NULL) {
        number = get_number(in, 8);
        if (field->type == TSPACE_FLOAT)
            memcpy(&field->real, &number, sizeof number);
        else
            field->integer = (int64_t)number;
    }
}

/* Strings point into the input: it must live as long as the tuple. */
static void
get_tuple(struct reader *in, struct plex_arena *arena,
          struct tspace_tuple *tuple)
{
    struct tspace_field *fields = NULL;
    const uint8_t *id = get(in, TSPACE_ID_BYTES);

    *tuple = (struct tspace_tuple){0};
    if (id != NULL)
        memcpy(tuple->id, id, TSPACE_ID_BYTES);
    tuple->expires_ms = get_number(in, 8);
    tuple->n_fields = (uint32_t)get_number(in, 4);
    if (!in->failed && tuple->n_fields <= TSPACE_FIELDS_MAX)
        fields = plex_arena_alloc(arena, tuple->n_fields * sizeof *fields);
    if (fields == NULL) {
        in->failed = true;
        return;
    }
    for (uint32_t i = 0; i < tuple->n_fields && !in->failed; i++)
        get_field(in, &fields[i]);
    tuple->fields = fields;
}

enum plex_status
tspace_tuple_decode(struct plex_bytes in, struct plex_arena *arena,
                    struct tspace_tuple *out, struct plex_err *err)
{
    struct reader reader = {in.data, in.len, false};

    get_tuple(&reader, arena, out);
    if (reader.failed || reader.left > 0)
        return plex_err_set(err, PLEX_CORRUPT,
                            "stored tuple of %zu bytes does not decode",
                            in.len);
    return PLEX_OK;
}

enum plex_status
tspace_answer_encode(const struct tspace_answer *answer, struct plex_buf *out,
                     struct plex_err *err)
{
    bool fits = put_number(out, answer->is_write, 1) &&
                put_number(out, answer->n, 4) &&
                put(out, answer->first_id, TSPACE_ID_BYTES);

    for (uint32_t i = 0; fits && !answer->is_write && i < answer->n; i++)
        fits = put_tuple(out, answer->tuples[i]);
    if (!fits)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "answer does not fit into %zu bytes", out->max);
    return PLEX_OK;
}

static void
get_tuples(struct reader *in, struct plex_arena *arena,
           struct tspace_answer *out)
{
    struct tspace_tuple *tuples =
        plex_arena_alloc(arena, out->n * sizeof *tuples);

    out->tuples = plex_arena_alloc(arena, out->n * sizeof(void *));
    if (tuples == NULL || out->tuples == NULL) {
        in->failed = true;
        return;
    }
    for (uint32_t i = 0; i < out->n && !in->failed; i++) {
        get_tuple(in, arena, &tuples[i]);
        out->tuples[i] = &tuples[i];
    }
}

enum plex_status
tspace_answer_decode(struct plex_bytes in, struct plex_arena *arena,
                     struct tspace_answer *out, struct plex_err *err)
{
    struct reader reader = {in.data, in.len, false};
    const uint8_t *id;

    *out = (struct tspace_answer){.is_write = get_number(&reader, 1) != 0};
    out->n = (uint32_t)get_number(&reader, 4);
    id = get(&reader, TSPACE_ID_BYTES);
    if (id != NULL)
        memcpy(out->first_id, id, TSPACE_ID_BYTES);
    if (out->n > TSPACE_RESULTS_MAX)
        reader.failed = true;
    if (!reader.failed && !out->is_write)
        get_tuples(&reader, arena, out);
    if (reader.failed || reader.left > 0)
        return plex_err_set(err, PLEX_CORRUPT,
                            "stored answer of %zu bytes does not decode",
                            in.len);
    return PLEX_OK;
}
