#ifndef COMMON_WIRE_H
#define COMMON_WIRE_H

#include "common/arena.h"
#include "common/bytes.h"

#include <protobuf-c/protobuf-c.h>

/*
 * protobuf-c with limits. Only wire.c and client.c of a service, and the files
 * of common/ that speak a protocol, include this.
 */
enum {
    PLEX_WIRE_DEPTH_MAX = 66,       /* nested messages: a catalogue with a tree
                                       of 32 supervisors */
    PLEX_WIRE_BYTES_MAX = 16 << 20, /* one message */
};

/*
 * Unpack `in` as `type` into the arena, after walking the wire for nesting,
 * truncation and a NUL or bad UTF-8 inside any string field of the type's
 * descriptors. Do not call free_unpacked on the result; reset the arena.
 *
 * Errors: PLEX_INVALID naming the message and what is wrong; PLEX_TOO_LARGE.
 */
PLEX_MUST_USE enum plex_status plex_wire_unpack(
    const ProtobufCMessageDescriptor *type, struct plex_bytes in,
    struct plex_arena *arena, ProtobufCMessage **out, struct plex_err *err);

/* Append the packed message. PLEX_TOO_LARGE past out's maximum. */
PLEX_MUST_USE enum plex_status plex_wire_pack(const ProtobufCMessage *message,
                                              struct plex_buf *out,
                                              struct plex_err *err);

/* Borrowed parts of a message to pack: protobuf-c has no const, but packing
 * writes nothing. A text of NULL is "". */
char *plex_wire_text(const char *text);
ProtobufCBinaryData plex_wire_bytes(struct plex_bytes bytes);
/* Borrowed from an unpacked message. */
struct plex_bytes plex_wire_bytes_in(ProtobufCBinaryData data);
/* Zeroed memory for repeated parts, never of length 0; NULL past the ceiling,
 * which plex_wire_no_room() reports as PLEX_TOO_LARGE. */
void *plex_wire_array(struct plex_arena *arena, size_t count, size_t size);
enum plex_status plex_wire_no_room(struct plex_err *err);

/* A protobuf-c allocator over `arena`, valid as long as the arena. */
ProtobufCAllocator plex_arena_pb(struct plex_arena *arena);

#endif
