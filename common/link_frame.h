#ifndef COMMON_LINK_FRAME_H
#define COMMON_LINK_FRAME_H

#include "common/bytes.h"
#include "common/context.h"

/*
 * Frames and envelopes of proto link.v1 as bytes, written and read by hand:
 * one copy per payload out, none in, and no allocation per envelope. The
 * tests hold this against protobuf-c. Private to common/link*.c.
 */
enum {
    PLEX_FRAME_VERSION = 1,
    PLEX_FRAME_URL_MAX = 255,            /* bytes of `from` */
    PLEX_FRAME_TEXT_MAX = 255,           /* bytes of an error text */
    PLEX_FRAME_PRINCIPAL_MAX = 255,      /* bytes */
    PLEX_FRAME_PAYLOAD_MAX = 16 << 20,   /* bytes */
    PLEX_FRAME_TIMEOUT_MAX_MS = 1 << 30, /* about 12 days */
    /* Bytes of an envelope beside its payload, never more. */
    PLEX_ENVELOPE_OVERHEAD_MAX = 2048,
};

enum plex_envelope_kind {
    PLEX_ENVELOPE_REQUEST = 1,
    PLEX_ENVELOPE_REPLY = 2,
    PLEX_ENVELOPE_CANCEL = 3,
    PLEX_ENVELOPE_EVENT = 4,
};

/* The strings of a context as they lie in a frame: no NUL, bounded. */
struct plex_envelope_context {
    struct plex_bytes tenant;
    struct plex_bytes ns;
    struct plex_bytes principal;
    struct plex_bytes roles;
    struct plex_bytes request_id;
    struct plex_trace trace;
};

struct plex_envelope {
    uint64_t id;
    enum plex_envelope_kind kind;
    uint32_t method;
    uint64_t timeout_ms;
    uint32_t status;
    uint32_t attempt;
    struct plex_bytes text;
    struct plex_bytes payload;
    bool has_context;
    struct plex_envelope_context context;
};

struct plex_frame_head {
    struct plex_bytes from;
    uint64_t incarnation;
    uint64_t to_incarnation;
};

/* One frame being filled or sent. */
struct plex_frame {
    struct plex_frame *next;
    uint64_t number; /* of its outbox, from 1 */
    uint64_t conn;   /* for the transport */
    size_t len;
    size_t cap;
    uint8_t *data;
};

/* A frame that begins with `head`; `hint` bytes are allocated. */
struct plex_frame *plex_frame_create(const struct plex_frame_head *head,
                                     size_t hint);
void plex_frame_free(struct plex_frame *frame);
/* Bytes `envelope` takes in a frame. */
size_t plex_envelope_size(const struct plex_envelope *envelope);
/* Append it, `size` being plex_envelope_size(); returns its offset, for
 * plex_frame_withdraw. */
size_t plex_frame_append(struct plex_frame *frame,
                         const struct plex_envelope *envelope, size_t size);
/* Turn an appended envelope into a field that receivers skip. */
void plex_frame_withdraw(struct plex_frame *frame, size_t offset);

/* Borrow the strings of `context`. PLEX_INVALID when one is too long. */
PLEX_MUST_USE enum plex_status plex_envelope_set_context(
    struct plex_envelope *envelope, const struct plex_context *context,
    struct plex_err *err);

/* Reads one frame. What it yields borrows from the bytes. */
struct plex_frame_reader {
    const uint8_t *at;
    const uint8_t *end;
    struct plex_frame_head head;
};

/* Errors: PLEX_INVALID, PLEX_TOO_LARGE, PLEX_UNSUPPORTED (version). The head
 * must come before the first envelope. */
PLEX_MUST_USE enum plex_status plex_frame_open(struct plex_frame_reader *reader,
                                               struct plex_bytes frame,
                                               struct plex_err *err);
/* PLEX_NOT_FOUND after the last one; `err` is then untouched. */
PLEX_MUST_USE enum plex_status plex_frame_next(struct plex_frame_reader *reader,
                                               struct plex_envelope *out,
                                               struct plex_err *err);

#endif
