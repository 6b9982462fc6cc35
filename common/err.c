#include "common/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum plex_status
plex_err_set(struct plex_err *err, enum plex_status status, const char *fmt,
             ...)
{
    va_list ap;

    err->status = status;
    va_start(ap, fmt);
    (void)vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    return status;
}

enum plex_status
plex_err_wrap(struct plex_err *err, const char *fmt, ...)
{
    char cause[PLEX_ERR_TEXT_MAX];
    size_t used;
    va_list ap;

    memcpy(cause, err->text, sizeof cause);
    va_start(ap, fmt);
    (void)vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    used = strlen(err->text);
    (void)snprintf(err->text + used, sizeof err->text - used, ": %s", cause);
    return err->status;
}

/* One switch over the status map, yielding `column` of the row. */
#define STATUS_COLUMN(status, column, other) \
    switch (status) {                        \
        PLEX_STATUS_MAP(column)              \
    }                                        \
    return other

const char *
plex_status_text(enum plex_status status)
{
#define X(name, wire, text, retry, http) \
    case PLEX_##name:                    \
        return text;
    STATUS_COLUMN(status, X, "unrecognized status");
#undef X
}

const char *
plex_status_name(enum plex_status status)
{
#define X(name, wire, text, retry, http) \
    case PLEX_##name:                    \
        return #name;
    STATUS_COLUMN(status, X, "UNRECOGNIZED");
#undef X
}

bool
plex_status_retryable(enum plex_status status)
{
#define X(name, wire, text, retry, http) \
    case PLEX_##name:                    \
        return retry;
    STATUS_COLUMN(status, X, false);
#undef X
}

int
plex_status_http(enum plex_status status)
{
#define X(name, wire, text, retry, http) \
    case PLEX_##name:                    \
        return http;
    STATUS_COLUMN(status, X, 500);
#undef X
}

enum plex_status
plex_status_from_wire(unsigned wire)
{
#define X(name, number, text, retry, http) \
    case number:                           \
        return PLEX_##name;
    STATUS_COLUMN(wire, X, PLEX_INTERNAL);
#undef X
}
