#ifndef SERVICES_GATEWAY_TEXT_H
#define SERVICES_GATEWAY_TEXT_H

#include "common/arena.h"
#include "common/name.h"

/* Small texts of HTTP requests, both ways. */

/* Decimal digits only, at most `max`. False otherwise. */
bool gate_uint_parse(const char *text, size_t len, uint64_t max, uint64_t *out);
/* "250ms", "10s", "5m", "2h"; false for anything else or more than `max_ms`. */
bool gate_duration_parse(const char *text, uint64_t max_ms, uint64_t *out_ms);

/*
 * An Idempotency-Key's value: a structured-field string ("..." with \" and
 * \\) or the bare key; 1 to GATE_KEY_MAX visible ASCII characters (and inner
 * spaces when quoted). NULL, and why in `err`, for anything else.
 */
enum { GATE_KEY_MAX = 255 };
const char *gate_key_parse(const char *value, struct plex_arena *arena,
                           struct plex_err *err);

/*
 * Message ids as they appear outside, in Location and X-Plexspaces-Message-Id:
 * 26 characters of base32 for the 16 bytes the gateway made; "k-" and
 * base64url of the rest for the id of an Idempotency-Key, which is "k", the
 * actor's hash in 16 hexadecimal digits, ":" and the key.
 */
enum { GATE_ID_TEXT_MAX = 2 + (17 + GATE_KEY_MAX + 2) / 3 * 4 };
void gate_id_format(struct plex_bytes id, char out[GATE_ID_TEXT_MAX + 1]);
PLEX_MUST_USE enum plex_status gate_id_parse(const char *text,
                                             struct plex_arena *arena,
                                             struct plex_bytes *out,
                                             struct plex_err *err);
/* The id of `key` at `actor`, in the arena. */
struct plex_bytes gate_id_of_key(const struct plex_actor_id *actor,
                                 const char *key, struct plex_arena *arena);

/* base64url without padding, NUL-terminated, in the arena. */
const char *gate_base64url(struct plex_bytes bytes, struct plex_arena *arena);
/* False for what is not its exact inverse, or decodes to a NUL. */
bool gate_base64url_text(const char *text, struct plex_arena *arena,
                         const char **out);

/* Allocation that must succeed: requests are bounded far below the arena. */
void *gate_alloc(struct plex_arena *arena, size_t size);

#endif
