#include "common/wire.h"

#include "common/utf8.h"

#include <string.h>

/* A cursor over one message on the wire. */
struct walk {
    const uint8_t *at;
    const uint8_t *end;
};

enum wire_type {
    WIRE_VARINT = 0,
    WIRE_64 = 1,
    WIRE_BYTES = 2,
    WIRE_32 = 5,
};

static bool
walk_varint(struct walk *walk, uint64_t *out)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t byte;

        if (walk->at == walk->end)
            return false;
        byte = *walk->at++;
        if (shift < 64)
            value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            *out = value;
            return true;
        }
    }
    return false;
}

static bool
walk_skip(struct walk *walk, size_t len)
{
    if (len > (size_t)(walk->end - walk->at))
        return false;
    walk->at += len;
    return true;
}

static enum plex_status
truncated(const ProtobufCMessageDescriptor *type, struct plex_err *err)
{
    return plex_err_set(err, PLEX_INVALID, "%s is truncated or malformed",
                        type->name);
}

static enum plex_status
check_string(const ProtobufCMessageDescriptor *type,
             const ProtobufCFieldDescriptor *field, struct plex_bytes text,
             struct plex_err *err)
{
    if (text.len > 0 && memchr(text.data, 0, text.len) != NULL)
        return plex_err_set(err, PLEX_INVALID,
                            "%s.%s holds a NUL byte, text must not", type->name,
                            field->name);
    if (!plex_utf8_valid(text.data, text.len))
        return plex_err_set(err, PLEX_INVALID, "%s.%s is not UTF-8", type->name,
                            field->name);
    return PLEX_OK;
}

/* Is this field, by its declaration, sent as length and bytes? A field that is
 * declared otherwise would be refused, or skipped, by protobuf-c itself. */
static bool
is_bytes_like(const ProtobufCFieldDescriptor *field)
{
    return field->type == PROTOBUF_C_TYPE_STRING ||
           field->type == PROTOBUF_C_TYPE_BYTES ||
           field->type == PROTOBUF_C_TYPE_MESSAGE;
}

static enum plex_status walk_message(const ProtobufCMessageDescriptor *type,
                                     struct plex_bytes in, unsigned depth,
                                     struct plex_err *err);

static enum plex_status
walk_bytes(const ProtobufCMessageDescriptor *type, unsigned number,
           struct plex_bytes part, unsigned depth, struct plex_err *err)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(type, number);

    if (field == NULL || !is_bytes_like(field))
        return PLEX_OK; /* unknown: kept as bytes, never entered; or packed */
    if (field->type == PROTOBUF_C_TYPE_STRING)
        return check_string(type, field, part, err);
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return walk_message(field->descriptor, part, depth + 1, err);
    return PLEX_OK;
}

static enum plex_status
walk_field(const ProtobufCMessageDescriptor *type, struct walk *walk,
           unsigned depth, struct plex_err *err)
{
    uint64_t tag, value;

    if (!walk_varint(walk, &tag) || tag >> 3 == 0 || tag > UINT32_MAX)
        return truncated(type, err);
    switch (tag & 7) {
    case WIRE_VARINT:
        return walk_varint(walk, &value) ? PLEX_OK : truncated(type, err);
    case WIRE_64:
        return walk_skip(walk, 8) ? PLEX_OK : truncated(type, err);
    case WIRE_32:
        return walk_skip(walk, 4) ? PLEX_OK : truncated(type, err);
    case WIRE_BYTES:
        if (!walk_varint(walk, &value) ||
            value > (uint64_t)(walk->end - walk->at))
            return truncated(type, err);
        walk->at += value;
        return walk_bytes(type, (unsigned)(tag >> 3),
                          (struct plex_bytes){walk->at - value, (size_t)value},
                          depth, err);
    default: /* groups, long gone from protobuf */
        return truncated(type, err);
    }
}

static enum plex_status
walk_message(const ProtobufCMessageDescriptor *type, struct plex_bytes in,
             unsigned depth, struct plex_err *err)
{
    struct walk walk = {in.data, in.data + in.len};

    if (depth > PLEX_WIRE_DEPTH_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "%s is nested deeper than %d messages", type->name,
                            PLEX_WIRE_DEPTH_MAX);
    while (walk.at < walk.end) {
        if (walk_field(type, &walk, depth, err) != PLEX_OK)
            return err->status;
    }
    return PLEX_OK;
}

enum plex_status
plex_wire_unpack(const ProtobufCMessageDescriptor *type, struct plex_bytes in,
                 struct plex_arena *arena, ProtobufCMessage **out,
                 struct plex_err *err)
{
    static const uint8_t nothing[1];
    ProtobufCAllocator allocator = plex_arena_pb(arena);

    if (in.len > PLEX_WIRE_BYTES_MAX)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "%s is %zu bytes long, at most %d are allowed",
                            type->name, in.len, PLEX_WIRE_BYTES_MAX);
    if (in.data == NULL)
        in.data = nothing;
    if (walk_message(type, in, 1, err) != PLEX_OK)
        return err->status;
    *out = protobuf_c_message_unpack(type, &allocator, in.len, in.data);
    if (*out == NULL)
        return plex_err_set(err, PLEX_INVALID,
                            "%s does not decode, or needs more than %zu bytes "
                            "of memory",
                            type->name, arena->max);
    return PLEX_OK;
}

enum plex_status
plex_wire_pack(const ProtobufCMessage *message, struct plex_buf *out,
               struct plex_err *err)
{
    const size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *to = plex_buf_grow(out, size);

    if (to == NULL)
        return plex_err_set(
            err, PLEX_TOO_LARGE, "%s is %zu bytes long, %zu of %zu are free",
            message->descriptor->name, size, out->max - out->len, out->max);
    (void)protobuf_c_message_pack(message, to);
    return PLEX_OK;
}

char *
plex_wire_text(const char *text)
{
    return (char *)(uintptr_t)(text == NULL ? "" : text);
}

ProtobufCBinaryData
plex_wire_bytes(struct plex_bytes bytes)
{
    return (ProtobufCBinaryData){bytes.len, (uint8_t *)(uintptr_t)bytes.data};
}

struct plex_bytes
plex_wire_bytes_in(ProtobufCBinaryData data)
{
    return (struct plex_bytes){data.data, data.len};
}

void *
plex_wire_array(struct plex_arena *arena, size_t count, size_t size)
{
    void *memory = plex_arena_alloc(arena, (count + 1) * size);

    if (memory != NULL)
        memset(memory, 0, (count + 1) * size);
    return memory;
}

enum plex_status
plex_wire_no_room(struct plex_err *err)
{
    return plex_err_set(err, PLEX_TOO_LARGE,
                        "the message does not fit its memory limit");
}

static void *
arena_pb_alloc(void *arena, size_t size)
{
    return plex_arena_alloc(arena, size);
}

static void
arena_pb_free(void *arena, void *ptr)
{
    (void)arena;
    (void)ptr;
}

ProtobufCAllocator
plex_arena_pb(struct plex_arena *arena)
{
    return (ProtobufCAllocator){arena_pb_alloc, arena_pb_free, arena};
}
