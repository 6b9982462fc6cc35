#ifndef WORKFLOW_TEXT_H
#define WORKFLOW_TEXT_H

#include "common/err.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Definitions as text: JSON (what begins with '{') or YAML, as a JSON value,
 * with the line and column of everything in it.
 *
 * YAML: one document, core scalars (null, true, false, numbers; everything
 * quoted is a text), no anchors, aliases, tags or merge keys. Both: no key
 * twice, at most FLOW_DEPTH_MAX deep.
 */
PLEX_MUST_USE enum plex_status flow_text_load(const char *text, size_t len,
                                              json_t **out,
                                              struct plex_err *err);

/* Where in the loaded value we are: a chain on the C stack. */
struct flow_at {
    const struct flow_at *up; /* NULL: the root */
    const char *key;          /* of an object; NULL: `index` of an array */
    size_t index;
    json_t *value;
    const struct flow_source *source;
};

struct flow_source {
    const char *text;
    size_t len;
};

/* The member `key` of `at`, or a chain with value NULL. */
struct flow_at flow_at_member(const struct flow_at *at, const char *key);
struct flow_at flow_at_index(const struct flow_at *at, size_t index);

/* "LINE:COLUMN: PATH: text", position found by reading the source again. */
enum plex_status flow_at_error(const struct flow_at *at, struct plex_err *err,
                               const char *fmt, ...) PLEX_PRINTF(3, 4);

/* The line and column (from 1) of `at`; 0, 0 if it is not in the source. */
void flow_at_where(const struct flow_at *at, unsigned *line, unsigned *column);

/* Refuse members that are not in `known` (NULL ends), naming the nearest. */
PLEX_MUST_USE enum plex_status flow_at_known(const struct flow_at *at,
                                             const char *const *known,
                                             struct plex_err *err);

/* -- typed members; absent: *out is left alone ----------------------------- */
PLEX_MUST_USE enum plex_status flow_at_text(const struct flow_at *at,
                                            const char *key, size_t max,
                                            const char **out,
                                            struct plex_err *err);
PLEX_MUST_USE enum plex_status flow_at_int(const struct flow_at *at,
                                           const char *key, int64_t min,
                                           int64_t max, int64_t *out,
                                           struct plex_err *err);
PLEX_MUST_USE enum plex_status flow_at_number(const struct flow_at *at,
                                              const char *key, double min,
                                              double max, double *out,
                                              struct plex_err *err);
PLEX_MUST_USE enum plex_status flow_at_bool(const struct flow_at *at,
                                            const char *key, bool *out,
                                            struct plex_err *err);
/* A number of milliseconds (`key`_ms), or a text such as "90s", "1h30m",
 * "2d", "500ms" (`key`). */
PLEX_MUST_USE enum plex_status flow_at_duration(const struct flow_at *at,
                                                const char *key, int64_t max,
                                                int64_t *out,
                                                struct plex_err *err);

#endif
