#ifndef SERVICES_WORKER_FACET_LOG_H
#define SERVICES_WORKER_FACET_LOG_H

#include "common/err.h"

#include <stddef.h>

/*
 * Lines that facets write elsewhere than into the worker's log: to standard
 * output, to syslog, or to files of one folder. A file that has grown too large
 * becomes FILE.1, in place of the one before. One thread.
 */
struct work_facet_log;

/* Files are in `above`/`name`; above "": there are none. The folders are made
 * when the first line comes. */
struct work_facet_log *work_facet_log_create(const char *above,
                                             const char *name, size_t file_max);
struct work_facet_line {
    const char *output; /* stdout, syslog, file */
    const char *file;   /* its name, without a folder */
    int level;          /* 0 error .. 3 debug */
    const char *text;
};
/* Kept until the flush. PLEX_UNSUPPORTED: there is no such output here;
 * PLEX_LIMIT: too many files; PLEX_UNAVAILABLE: it cannot be opened. */
PLEX_MUST_USE enum plex_status work_facet_log_line(
    struct work_facet_log *log, const struct work_facet_line *line,
    struct plex_err *err);
void work_facet_log_flush(struct work_facet_log *log);
/* Accepts NULL. */
void work_facet_log_free(struct work_facet_log *log);

#endif
