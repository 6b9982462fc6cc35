#ifndef COMMON_CONTEXT_H
#define COMMON_CONTEXT_H

#include "common/err.h"

#include <stddef.h>
#include <stdint.h>

/* W3C trace context: zero trace_id means "none". */
struct plex_trace {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t flags; /* bit 0: sampled */
};

enum { PLEX_REQUEST_ID_MAX = 64, PLEX_ROLES_MAX = 255 };

/*
 * The immutable context of one request: made once at the gateway, carried in
 * every envelope. Nothing behind the gateway takes tenancy from anywhere else.
 * Strings are borrowed, never NULL ("" = none), and bounded as name.h says.
 */
struct plex_context {
    const char *tenant;
    const char *ns;
    const char *principal;
    const char *roles; /* comma separated */
    const char *request_id;
    struct plex_trace trace;
    uint64_t deadline; /* plex_now() scale, ns; 0: none. Carried on the wire as
                          milliseconds left */
};

/* All strings "", no deadline. */
extern const struct plex_context plex_context_none;

/* "00-<32 hex>-<16 hex>-<2 hex>", W3C Trace Context level 1. PLEX_INVALID for
 * anything else: start a new trace then, as the specification says. */
PLEX_MUST_USE enum plex_status plex_trace_parse(const char *text,
                                                struct plex_trace *out);
void plex_trace_format(const struct plex_trace *trace, char out[56]);
/* Same trace (or a new one when there is none), a new random span. */
struct plex_trace plex_trace_child(const struct plex_trace *parent);

/* 16 bytes: 48 bits of wall_ms, big endian, then 80 random bits: a ULID's
 * layout, so ids made later sort later. */
void plex_id_make(uint8_t out[16], uint64_t wall_ms);
/* Crockford base32, 26 characters and NUL, as ULIDs are written. */
void plex_id_format(const uint8_t id[16], char out[27]);
PLEX_MUST_USE enum plex_status plex_id_parse(const char *text, uint8_t out[16],
                                             struct plex_err *err);
/* From the kernel (getrandom); buffered per thread. Cannot fail. */
void plex_random(void *out, size_t len);

#endif
