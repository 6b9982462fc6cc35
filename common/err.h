#ifndef COMMON_ERR_H
#define COMMON_ERR_H

#include <stdbool.h>

/*
 * One failure vocabulary for the whole suite.
 *
 * Columns: symbol, wire value (append only, never renumber), text for people,
 * whether the same request may succeed later without anyone changing it, and
 * the HTTP status the gateway answers with when nothing more specific is said.
 */
// clang-format off
#define PLEX_STATUS_MAP(X)                                         \
    X(OK,           0, "ok",                    false, 200)        \
    X(INVALID,      1, "invalid argument",      false, 400)        \
    X(NOT_FOUND,    2, "not found",             false, 404)        \
    X(EXISTS,       3, "already exists",        false, 409)        \
    X(CONFLICT,     4, "version conflict",      false, 409)        \
    X(DENIED,       5, "permission denied",     false, 403)        \
    X(LIMIT,        6, "limit reached",         true,  429)        \
    X(UNAVAILABLE,  7, "service unavailable",   true,  503)        \
    X(TIMEOUT,      8, "deadline exceeded",     true,  504)        \
    X(CORRUPT,      9, "stored data corrupt",   false, 500)        \
    X(INTERNAL,    10, "internal error",        false, 500)        \
    X(NOT_OWNER,   11, "not the owner",         true,  503)        \
    X(FENCED,      12, "fenced by a newer epoch", true, 503)       \
    X(IN_FLIGHT,   13, "first request in flight", true, 409)       \
    X(MISMATCH,    14, "id reused with another request", false, 422) \
    X(CANCELLED,   15, "cancelled",             false, 499)        \
    X(FAILED,      16, "the actor failed",      false, 500)        \
    X(UNKNOWN,     17, "outcome unknown",       true,  503)        \
    X(TOO_LARGE,   18, "too large",             false, 413)        \
    X(UNSUPPORTED, 19, "not supported",         false, 501)
// clang-format on

enum plex_status {
#define X(name, wire, text, retry, http) PLEX_##name = (wire),
    PLEX_STATUS_MAP(X)
#undef X
};

#define PLEX_ERR_TEXT_MAX 256 /* bytes, including the final NUL */

/* What went wrong, in a buffer the caller owns; never allocates. */
struct plex_err {
    enum plex_status status;
    char text[PLEX_ERR_TEXT_MAX];
};

#define PLEX_MUST_USE __attribute__((warn_unused_result))
#define PLEX_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* Fill `err` and return `status`, so callers write `return plex_err_set(...)`.
 */
enum plex_status plex_err_set(struct plex_err *err, enum plex_status status,
                              const char *fmt, ...) PLEX_PRINTF(3, 4);

/* Put "what we were doing: " before the text; return the status unchanged. */
enum plex_status plex_err_wrap(struct plex_err *err, const char *fmt, ...)
    PLEX_PRINTF(2, 3);

/* Any number, known or not: statuses also arrive from the wire. */
const char *plex_status_text(enum plex_status status);
const char *plex_status_name(enum plex_status status); /* "NOT_FOUND" */
bool plex_status_retryable(enum plex_status status);
int plex_status_http(enum plex_status status);
/* A wire number as a status; numbers this build does not know are INTERNAL. */
enum plex_status plex_status_from_wire(unsigned wire);

#endif
