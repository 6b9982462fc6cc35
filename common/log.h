#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include "common/err.h"

#include <stdint.h>

/*
 * Structured logs: one JSON object per line on stderr, with ts (RFC 3339,
 * UTC, ms), level, service, node, event (a stable id), msg, and the fields
 * given. error = someone must act; warn = degraded, still serving; info = life
 * cycle; debug = off by default. Log where handled, never where passed on.
 *
 * Any thread. The service and node are per thread, since several services can
 * share a process: plex_log_bind() is called once on each service's thread.
 */
enum plex_log_level {
    PLEX_LOG_ERROR,
    PLEX_LOG_WARN,
    PLEX_LOG_INFO,
    PLEX_LOG_DEBUG
};

/* One key=value of a line. Use the macros; text is copied escaped. */
struct plex_log_field {
    const char *key; /* NULL ends a list */
    enum { PLEX_FIELD_TEXT, PLEX_FIELD_U64, PLEX_FIELD_I64 } type;
    const char *text;
    uint64_t number;
};
#define PLEX_F_TEXT(k, v) \
    ((struct plex_log_field){(k), PLEX_FIELD_TEXT, (v), 0})
#define PLEX_F_U64(k, v) \
    ((struct plex_log_field){(k), PLEX_FIELD_U64, NULL, (uint64_t)(v)})
#define PLEX_F_I64(k, v) \
    ((struct plex_log_field){(k), PLEX_FIELD_I64, NULL, (uint64_t)(int64_t)(v)})

/* For the calling thread; both strings are borrowed for the thread's life. */
void plex_log_bind(const char *service, const char *node);
/* For the process. */
void plex_log_level_set(enum plex_log_level level);
/* "error" | "warn" | "info" | "debug" */
PLEX_MUST_USE enum plex_status plex_log_level_parse(const char *text,
                                                    enum plex_log_level *out,
                                                    struct plex_err *err);

void plex_log(enum plex_log_level level, const char *event, const char *fmt,
              ...) PLEX_PRINTF(3, 4);
/* With fields: an array ended by a field whose key is NULL. */
void plex_log_with(enum plex_log_level level, const char *event,
                   const struct plex_log_field *fields, const char *fmt, ...)
    PLEX_PRINTF(4, 5);

#endif
