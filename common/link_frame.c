#include "common/link_frame.h"

#include "common/link.h"
#include "common/mem.h"
#include "common/name.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Tags of proto link.v1: field number << 3 | wire type. */
enum {
    FRAME_VERSION = 1 << 3 | 0,
    FRAME_FROM = 2 << 3 | 2,
    FRAME_INCARNATION = 3 << 3 | 0,
    FRAME_TO_INCARNATION = 4 << 3 | 0,
    FRAME_ENVELOPE = 5 << 3 | 2,
    FRAME_WITHDRAWN = 15 << 3 | 2, /* no such field: receivers skip it */

    ENVELOPE_ID = 1 << 3 | 0,
    ENVELOPE_KIND = 2 << 3 | 0,
    ENVELOPE_METHOD = 3 << 3 | 0,
    ENVELOPE_TIMEOUT = 4 << 3 | 0,
    ENVELOPE_STATUS = 5 << 3 | 0,
    ENVELOPE_TEXT = 6 << 3 | 2,
    ENVELOPE_PAYLOAD = 7 << 3 | 2,
    ENVELOPE_CONTEXT = 8 << 3 | 2,
    ENVELOPE_ATTEMPT = 9 << 3 | 0,

    CONTEXT_TENANT = 1 << 3 | 2,
    CONTEXT_NAMESPACE = 2 << 3 | 2,
    CONTEXT_PRINCIPAL = 3 << 3 | 2,
    CONTEXT_ROLES = 4 << 3 | 2,
    CONTEXT_REQUEST_ID = 5 << 3 | 2,
    CONTEXT_TRACE_ID = 6 << 3 | 2,
    CONTEXT_SPAN_ID = 7 << 3 | 2,
    CONTEXT_TRACE_FLAGS = 8 << 3 | 0,
};

/* -- writing ------------------------------------------------------------- */

static size_t
varint_size(uint64_t value)
{
    /* 7 bits a byte; the | 1 makes zero take one byte. */
    return (size_t)(70 - __builtin_clzll(value | 1)) / 7;
}

static uint8_t *
put_varint(uint8_t *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

/* proto3: a field that has its default value is not written. */
static size_t
number_size(uint64_t value)
{
    return value == 0 ? 0 : 1 + varint_size(value);
}

static size_t
bytes_size(size_t len)
{
    return len == 0 ? 0 : 1 + varint_size(len) + len;
}

static uint8_t *
put_number(uint8_t *at, uint8_t tag, uint64_t value)
{
    if (value == 0)
        return at;
    *at++ = tag;
    return put_varint(at, value);
}

static uint8_t *
put_bytes(uint8_t *at, uint8_t tag, const void *data, size_t len)
{
    if (len == 0)
        return at;
    *at++ = tag;
    at = put_varint(at, len);
    memcpy(at, data, len);
    return at + len;
}

static bool
is_zero(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (data[i] != 0)
            return false;
    return true;
}

static size_t
context_size(const struct plex_envelope_context *context)
{
    size_t size =
        bytes_size(context->tenant.len) + bytes_size(context->ns.len) +
        bytes_size(context->principal.len) + bytes_size(context->roles.len) +
        bytes_size(context->request_id.len);

    if (!is_zero(context->trace.trace_id, sizeof context->trace.trace_id))
        size += bytes_size(sizeof context->trace.trace_id) +
                bytes_size(sizeof context->trace.span_id) +
                number_size(context->trace.flags);
    return size;
}

static uint8_t *
put_context(uint8_t *at, const struct plex_envelope_context *context)
{
    const struct plex_trace *trace = &context->trace;

    at = put_bytes(at, CONTEXT_TENANT, context->tenant.data,
                   context->tenant.len);
    at = put_bytes(at, CONTEXT_NAMESPACE, context->ns.data, context->ns.len);
    at = put_bytes(at, CONTEXT_PRINCIPAL, context->principal.data,
                   context->principal.len);
    at = put_bytes(at, CONTEXT_ROLES, context->roles.data, context->roles.len);
    at = put_bytes(at, CONTEXT_REQUEST_ID, context->request_id.data,
                   context->request_id.len);
    if (is_zero(trace->trace_id, sizeof trace->trace_id))
        return at;
    at = put_bytes(at, CONTEXT_TRACE_ID, trace->trace_id,
                   sizeof trace->trace_id);
    at = put_bytes(at, CONTEXT_SPAN_ID, trace->span_id, sizeof trace->span_id);
    return put_number(at, CONTEXT_TRACE_FLAGS, trace->flags);
}

static size_t
body_size(const struct plex_envelope *envelope, size_t context_len)
{
    size_t size =
        number_size(envelope->id) + number_size(envelope->kind) +
        number_size(envelope->method) + number_size(envelope->timeout_ms) +
        number_size(envelope->status) + bytes_size(envelope->text.len) +
        bytes_size(envelope->payload.len) + number_size(envelope->attempt);

    if (envelope->has_context)
        size += 1 + varint_size(context_len) + context_len;
    return size;
}

size_t
plex_envelope_size(const struct plex_envelope *envelope)
{
    const size_t context_len =
        envelope->has_context ? context_size(&envelope->context) : 0;
    const size_t body = body_size(envelope, context_len);

    return 1 + varint_size(body) + body;
}

static void
frame_reserve(struct plex_frame *frame, size_t more)
{
    size_t cap = frame->cap;

    if (more <= cap - frame->len)
        return;
    while (more > cap - frame->len)
        cap *= 2;
    frame->data = plex_reallocarray(frame->data, cap, 1);
    frame->cap = cap;
}

struct plex_frame *
plex_frame_create(const struct plex_frame_head *head, size_t hint)
{
    struct plex_frame *frame = plex_calloc(1, sizeof *frame);
    uint8_t *at;

    assert(head->from.len <= PLEX_FRAME_URL_MAX);
    frame->cap = hint < 512 ? 512 : hint;
    frame->data = plex_reallocarray(NULL, frame->cap, 1);
    at = put_number(frame->data, FRAME_VERSION, PLEX_FRAME_VERSION);
    at = put_bytes(at, FRAME_FROM, head->from.data, head->from.len);
    at = put_number(at, FRAME_INCARNATION, head->incarnation);
    at = put_number(at, FRAME_TO_INCARNATION, head->to_incarnation);
    frame->len = (size_t)(at - frame->data);
    return frame;
}

void
plex_frame_free(struct plex_frame *frame)
{
    if (frame == NULL)
        return;
    free(frame->data);
    free(frame);
}

size_t
plex_frame_append(struct plex_frame *frame,
                  const struct plex_envelope *envelope, size_t size)
{
    const size_t offset = frame->len;
    const size_t context_len =
        envelope->has_context ? context_size(&envelope->context) : 0;
    uint8_t *at;

    frame_reserve(frame, size);
    at = frame->data + offset;
    *at++ = FRAME_ENVELOPE;
    at = put_varint(at, body_size(envelope, context_len));
    at = put_number(at, ENVELOPE_ID, envelope->id);
    at = put_number(at, ENVELOPE_KIND, envelope->kind);
    at = put_number(at, ENVELOPE_METHOD, envelope->method);
    at = put_number(at, ENVELOPE_TIMEOUT, envelope->timeout_ms);
    at = put_number(at, ENVELOPE_STATUS, envelope->status);
    at = put_bytes(at, ENVELOPE_TEXT, envelope->text.data, envelope->text.len);
    at = put_bytes(at, ENVELOPE_PAYLOAD, envelope->payload.data,
                   envelope->payload.len);
    if (envelope->has_context) {
        *at++ = ENVELOPE_CONTEXT;
        at = put_varint(at, context_len);
        at = put_context(at, &envelope->context);
    }
    at = put_number(at, ENVELOPE_ATTEMPT, envelope->attempt);
    assert((size_t)(at - frame->data) == offset + size);
    frame->len = offset + size;
    return offset;
}

void
plex_frame_withdraw(struct plex_frame *frame, size_t offset)
{
    assert(offset < frame->len && frame->data[offset] == FRAME_ENVELOPE);
    frame->data[offset] = FRAME_WITHDRAWN;
}

static bool
borrow(struct plex_bytes *out, const char *text, size_t max)
{
    out->data = (const uint8_t *)text;
    out->len = strnlen(text, max + 1);
    return out->len <= max;
}

enum plex_status
plex_envelope_set_context(struct plex_envelope *envelope,
                          const struct plex_context *context,
                          struct plex_err *err)
{
    struct plex_envelope_context *out = &envelope->context;

    if (!borrow(&out->tenant, context->tenant, PLEX_TENANT_MAX) ||
        !borrow(&out->ns, context->ns, PLEX_NAMESPACE_MAX) ||
        !borrow(&out->principal, context->principal,
                PLEX_FRAME_PRINCIPAL_MAX) ||
        !borrow(&out->roles, context->roles, PLEX_ROLES_MAX) ||
        !borrow(&out->request_id, context->request_id, PLEX_REQUEST_ID_MAX))
        return plex_err_set(err, PLEX_INVALID,
                            "a part of the request context is too long");
    out->trace = context->trace;
    envelope->has_context = true;
    return PLEX_OK;
}

/* -- reading ------------------------------------------------------------- */

/* One field: its tag, and a number or the bytes. */
struct field {
    uint64_t tag;
    uint64_t number;
    struct plex_bytes bytes;
};

struct cursor {
    const uint8_t *at;
    const uint8_t *end;
};

static bool
get_varint(struct cursor *in, uint64_t *out)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64 && in->at < in->end; shift += 7) {
        const uint8_t byte = *in->at++;

        if (shift == 63 && byte > 1)
            return false;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = value;
            return true;
        }
    }
    return false;
}

static bool
get_raw(struct cursor *in, uint64_t len, struct plex_bytes *out)
{
    if (len > (uint64_t)(in->end - in->at))
        return false;
    *out = (struct plex_bytes){in->at, (size_t)len};
    in->at += len;
    return true;
}

/* Never recurses: nested messages are bytes until someone asks for them, and
 * the deprecated groups are refused. */
static bool
get_field(struct cursor *in, struct field *out)
{
    uint64_t len;

    if (!get_varint(in, &out->tag) || out->tag >> 3 == 0 ||
        out->tag > UINT32_MAX)
        return false;
    switch (out->tag & 7) {
    case 0:
        return get_varint(in, &out->number);
    case 1:
        return get_raw(in, 8, &out->bytes);
    case 2:
        return get_varint(in, &len) && get_raw(in, len, &out->bytes);
    case 5:
        return get_raw(in, 4, &out->bytes);
    default:
        return false;
    }
}

/* Text that may become a C string. */
static bool
take_text(struct plex_bytes *out, struct plex_bytes in, size_t max)
{
    *out = in;
    return in.len <= max && memchr(in.data, '\0', in.len) == NULL;
}

static bool
take_fixed(uint8_t *out, size_t size, struct plex_bytes in)
{
    if (in.len == 0)
        return true;
    if (in.len != size)
        return false;
    memcpy(out, in.data, size);
    return true;
}

static bool
context_take(struct plex_envelope_context *out, const struct field *field)
{
    switch (field->tag) {
    case CONTEXT_TENANT:
        return take_text(&out->tenant, field->bytes, PLEX_TENANT_MAX);
    case CONTEXT_NAMESPACE:
        return take_text(&out->ns, field->bytes, PLEX_NAMESPACE_MAX);
    case CONTEXT_PRINCIPAL:
        return take_text(&out->principal, field->bytes,
                         PLEX_FRAME_PRINCIPAL_MAX);
    case CONTEXT_ROLES:
        return take_text(&out->roles, field->bytes, PLEX_ROLES_MAX);
    case CONTEXT_REQUEST_ID:
        return take_text(&out->request_id, field->bytes, PLEX_REQUEST_ID_MAX);
    case CONTEXT_TRACE_ID:
        return take_fixed(out->trace.trace_id, sizeof out->trace.trace_id,
                          field->bytes);
    case CONTEXT_SPAN_ID:
        return take_fixed(out->trace.span_id, sizeof out->trace.span_id,
                          field->bytes);
    case CONTEXT_TRACE_FLAGS:
        out->trace.flags = (uint8_t)field->number;
        return field->number <= UINT8_MAX;
    default:
        return true;
    }
}

static bool
context_read(struct plex_envelope_context *out, struct plex_bytes in)
{
    struct cursor cursor = {in.data, in.data + in.len};
    struct field field = {0};

    while (cursor.at < cursor.end)
        if (!get_field(&cursor, &field) || !context_take(out, &field))
            return false;
    return true;
}

static bool
take_u32(uint32_t *out, uint64_t value)
{
    *out = (uint32_t)value;
    return value <= UINT32_MAX;
}

static bool
envelope_take(struct plex_envelope *out, const struct field *field)
{
    switch (field->tag) {
    case ENVELOPE_ID:
        out->id = field->number;
        return true;
    case ENVELOPE_KIND:
        out->kind = (enum plex_envelope_kind)field->number;
        return field->number >= PLEX_ENVELOPE_REQUEST &&
               field->number <= PLEX_ENVELOPE_EVENT;
    case ENVELOPE_METHOD:
        return take_u32(&out->method, field->number);
    case ENVELOPE_TIMEOUT:
        out->timeout_ms = field->number;
        return field->number <= PLEX_FRAME_TIMEOUT_MAX_MS;
    case ENVELOPE_STATUS:
        return take_u32(&out->status, field->number);
    case ENVELOPE_TEXT:
        return take_text(&out->text, field->bytes, PLEX_FRAME_TEXT_MAX);
    case ENVELOPE_PAYLOAD:
        out->payload = field->bytes;
        return field->bytes.len <= PLEX_FRAME_PAYLOAD_MAX;
    case ENVELOPE_CONTEXT:
        out->has_context = true;
        return context_read(&out->context, field->bytes);
    case ENVELOPE_ATTEMPT:
        return take_u32(&out->attempt, field->number);
    default:
        return true;
    }
}

static enum plex_status
envelope_read(struct plex_envelope *out, struct plex_bytes in,
              struct plex_err *err)
{
    struct cursor cursor = {in.data, in.data + in.len};
    struct field field;

    memset(out, 0, sizeof *out);
    while (cursor.at < cursor.end) {
        if (!get_field(&cursor, &field))
            return plex_err_set(err, PLEX_INVALID,
                                "envelope is cut short or not protobuf");
        if (!envelope_take(out, &field))
            return plex_err_set(err, PLEX_INVALID,
                                "envelope field %u is out of its limits",
                                (unsigned)(field.tag >> 3));
    }
    if (out->kind == 0)
        return plex_err_set(err, PLEX_INVALID, "envelope has no kind");
    if (out->id == 0 && out->kind != PLEX_ENVELOPE_EVENT)
        return plex_err_set(err, PLEX_INVALID, "envelope has no id");
    if (out->kind == PLEX_ENVELOPE_REQUEST && out->timeout_ms == 0)
        return plex_err_set(err, PLEX_INVALID, "request has no timeout_ms");
    return PLEX_OK;
}

static enum plex_status
head_check(const struct plex_frame_head *head, uint64_t version,
           struct plex_err *err)
{
    if (version != PLEX_FRAME_VERSION)
        return plex_err_set(err, PLEX_UNSUPPORTED,
                            "frame has version %llu, this build speaks %d",
                            (unsigned long long)version, PLEX_FRAME_VERSION);
    if (head->from.len == 0)
        return plex_err_set(err, PLEX_INVALID, "frame does not say from whom");
    if (head->incarnation == 0)
        return plex_err_set(err, PLEX_INVALID, "frame has no incarnation");
    return PLEX_OK;
}

enum plex_status
plex_frame_open(struct plex_frame_reader *reader, struct plex_bytes frame,
                struct plex_err *err)
{
    struct cursor cursor;
    struct field field;
    uint64_t version = 0;
    bool ok = true;

    if (frame.len == 0)
        return plex_err_set(err, PLEX_INVALID, "frame is empty");
    if (frame.len > PLEX_LINK_FRAME_MAX)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "frame has %zu bytes, at most %d are allowed",
                            frame.len, PLEX_LINK_FRAME_MAX);
    cursor = (struct cursor){frame.data, frame.data + frame.len};
    *reader = (struct plex_frame_reader){.end = cursor.end};
    for (;;) {
        reader->at = cursor.at;
        if (cursor.at == cursor.end || *cursor.at == FRAME_ENVELOPE)
            return head_check(&reader->head, version, err);
        if (!get_field(&cursor, &field))
            break;
        if (field.tag == FRAME_VERSION)
            version = field.number;
        else if (field.tag == FRAME_FROM)
            ok = take_text(&reader->head.from, field.bytes, PLEX_FRAME_URL_MAX);
        else if (field.tag == FRAME_INCARNATION)
            reader->head.incarnation = field.number;
        else if (field.tag == FRAME_TO_INCARNATION)
            reader->head.to_incarnation = field.number;
        if (!ok)
            return plex_err_set(err, PLEX_INVALID,
                                "sender's address is over %d bytes",
                                PLEX_FRAME_URL_MAX);
    }
    return plex_err_set(err, PLEX_INVALID, "frame is not protobuf");
}

enum plex_status
plex_frame_next(struct plex_frame_reader *reader, struct plex_envelope *out,
                struct plex_err *err)
{
    struct cursor cursor = {reader->at, reader->end};
    struct field field;

    while (cursor.at < cursor.end) {
        if (!get_field(&cursor, &field)) {
            reader->at = reader->end;
            return plex_err_set(err, PLEX_INVALID,
                                "frame is cut short or not protobuf");
        }
        reader->at = cursor.at;
        if (field.tag == FRAME_ENVELOPE)
            return envelope_read(out, field.bytes, err);
    }
    return PLEX_NOT_FOUND;
}
