#ifndef RUNTIME_FACETS_FACETS_H
#define RUNTIME_FACETS_FACETS_H

#include "common/err.h"
#include "runtime/facet.h"
#include "runtime/facets/breaker.h"

/* The built-in facets, a file each, and what they share. */

extern const struct plex_facet_type rt_facet_virtual_actor;
extern const struct plex_facet_type rt_facet_timer;
extern const struct plex_facet_type rt_facet_metrics;
extern const struct plex_facet_type rt_facet_logging;
extern const struct plex_facet_type rt_facet_tracing;
extern const struct plex_facet_type rt_facet_event_emitter;
extern const struct plex_facet_type rt_facet_key_value;
extern const struct plex_facet_type rt_facet_http_client;
extern const struct plex_facet_type rt_facet_caching;
extern const struct plex_facet_type rt_facet_circuit_breaker;
extern const struct plex_facet_type rt_facet_rate_limit;
extern const struct plex_facet_type rt_facet_retry;
extern const struct plex_facet_type rt_facet_fallback;

#define RT_FACET_MS 1000000ULL /* in ns */

/* Rows of key tables: the field of `struct config`, the default, the range. */
#define RT_FACET_KEY(key, value, def, lo, hi)                                \
    {                                                                        \
#key, PLEX_FACET_##value, offsetof(struct config, key), def, lo, hi, \
            NULL                                                             \
    }
#define RT_FACET_KEY_OF(key, def, values)                                 \
    {                                                                     \
#key, PLEX_FACET_CHOICE, offsetof(struct config, key), def, 0, 0, \
            values                                                        \
    }

/* What a person would call it: "GET", "call", "cast", "info", ... */
const char *rt_facet_method(const struct plex_msg *msg);
/* Is the reply of this message wanted by somebody? */
bool rt_facet_is_call(const struct plex_msg *msg);
/* printf into the memory of the call. */
char *rt_facet_text(struct plex_facet *facet, const char *fmt, ...)
    PLEX_PRINTF(2, 3);
/* `text` as the inside of a JSON string, in the memory of the call. */
const char *rt_facet_json(struct plex_facet *facet, const char *text);
/* circuit_breaker.c: of facets whose data is a struct rt_breaker. Tell what has
 * become of it since it was `before`; and "state", "trip", "reset", "disable".
 */
void rt_facet_breaker_say(struct plex_facet *facet,
                          enum rt_breaker_state before);
int rt_facet_breaker_invoke(struct plex_facet *facet, const char *op,
                            struct plex_facet_out *out);
void rt_facet_log(struct plex_facet *facet, int level, const char *text);
/* "a,b*,c": does one of the patterns match? Blanks around commas are ignored,
 * "*" stands for anything; an empty list matches nothing. */
bool rt_facet_glob(const char *list, const char *text);

#endif
