#include "services/worker/facet_log.h"

#include "common/bytes.h"
#include "common/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

enum { FILES_MAX = 64, WAITING_MAX = 1 << 20 /* bytes of one file */ };

struct file {
    struct file *next;
    int fd;
    size_t size;
    struct plex_buf waiting;
    char name[];
};
struct work_facet_log {
    char *above, *folder;
    size_t file_max;
    struct file *files;
    size_t n_files;
    bool said; /* to standard output, since the last flush */
    bool syslog;
};

struct work_facet_log *
work_facet_log_create(const char *above, const char *name, size_t file_max)
{
    struct work_facet_log *log = plex_calloc(1, sizeof *log);
    const size_t size = strlen(above) + strlen(name) + 2;

    log->above = plex_strdup(above);
    log->folder = plex_calloc(1, size);
    (void)snprintf(log->folder, size, "%s/%s", above, name);
    log->file_max = file_max;
    return log;
}

/* -- files ------------------------------------------------------------------
 */

static void
path_of(const struct work_facet_log *log, const struct file *file,
        const char *suffix, char out[4096])
{
    (void)snprintf(out, 4096, "%s/%s%s", log->folder, file->name, suffix);
}

static bool
file_open(const struct work_facet_log *log, struct file *file)
{
    char path[4096];
    struct stat is;

    path_of(log, file, "", path);
    file->fd = open(
        path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (file->fd < 0)
        return false;
    file->size = fstat(file->fd, &is) == 0 ? (size_t)is.st_size : 0;
    return true;
}

static void
file_rotate(const struct work_facet_log *log, struct file *file)
{
    char path[4096], old[4096];

    path_of(log, file, "", path);
    path_of(log, file, ".1", old);
    (void)close(file->fd);
    (void)rename(path, old);
    (void)file_open(log, file);
}

static void
file_flush(const struct work_facet_log *log, struct file *file)
{
    size_t at = 0;

    if (file->fd >= 0 && file->size > 0 &&
        file->size + file->waiting.len > log->file_max)
        file_rotate(log, file);
    while (file->fd >= 0 && at < file->waiting.len) {
        const ssize_t n =
            write(file->fd, file->waiting.data + at, file->waiting.len - at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break; /* the disk is full: nobody waits for a log */
        at += (size_t)n;
    }
    file->size += at;
    file->waiting.len = 0;
}

static struct file *
file_of(struct work_facet_log *log, const char *name, struct plex_err *err)
{
    struct file *file;

    for (file = log->files; file != NULL; file = file->next)
        if (strcmp(file->name, name) == 0)
            return file;
    if (log->n_files == FILES_MAX) {
        (void)plex_err_set(err, PLEX_LIMIT, "more than %d files of facets",
                           FILES_MAX);
        return NULL;
    }
    (void)mkdir(log->above, 0750);
    (void)mkdir(log->folder, 0750);
    file = plex_calloc(1, sizeof *file + strlen(name) + 1);
    memcpy(file->name, name, strlen(name) + 1);
    file->waiting.max = WAITING_MAX;
    if (!file_open(log, file)) {
        (void)plex_err_set(err, PLEX_UNAVAILABLE, "could not open %s/%.80s: %s",
                           log->folder, name, strerror(errno));
        free(file);
        return NULL;
    }
    file->next = log->files;
    log->files = file;
    log->n_files++;
    return file;
}

static enum plex_status
file_line(struct work_facet_log *log, const struct work_facet_line *line,
          struct plex_err *err)
{
    const size_t len = strlen(line->text);
    struct file *file;
    uint8_t *to;

    if (log->above[0] == '\0')
        return plex_err_set(err, PLEX_UNSUPPORTED,
                            "the worker has no folder for logs of facets "
                            "(facet_log_dir)");
    file = file_of(log, line->file, err);
    if (file == NULL)
        return err->status;
    if (file->waiting.len + len + 1 > WAITING_MAX)
        file_flush(log, file);
    to = plex_buf_grow(&file->waiting, len + 1);
    if (to == NULL)
        return plex_err_set(err, PLEX_LIMIT, "a line of %zu bytes", len);
    memcpy(to, line->text, len);
    to[len] = '\n';
    return PLEX_OK;
}

/* -- all ---------------------------------------------------------------------
 */

enum plex_status
work_facet_log_line(struct work_facet_log *log,
                    const struct work_facet_line *line, struct plex_err *err)
{
    static const int levels[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};

    if (strcmp(line->output, "file") == 0)
        return file_line(log, line, err);
    if (strcmp(line->output, "stdout") == 0) {
        (void)printf("%s\n", line->text);
        log->said = true;
        return PLEX_OK;
    }
    if (strcmp(line->output, "syslog") != 0)
        return plex_err_set(err, PLEX_UNSUPPORTED, "no output \"%.32s\"",
                            line->output);
    if (!log->syslog)
        openlog("plexspaces", LOG_PID | LOG_NDELAY, LOG_USER);
    log->syslog = true;
    syslog(levels[line->level & 3], "%s", line->text);
    return PLEX_OK;
}

void
work_facet_log_flush(struct work_facet_log *log)
{
    if (log->said)
        (void)fflush(stdout);
    log->said = false;
    for (struct file *file = log->files; file != NULL; file = file->next)
        if (file->waiting.len > 0)
            file_flush(log, file);
}

void
work_facet_log_free(struct work_facet_log *log)
{
    struct file *file;

    if (log == NULL)
        return;
    work_facet_log_flush(log);
    while ((file = log->files) != NULL) {
        log->files = file->next;
        if (file->fd >= 0)
            (void)close(file->fd);
        plex_buf_free(&file->waiting);
        free(file);
    }
    if (log->syslog)
        closelog();
    free(log->above);
    free(log->folder);
    free(log);
}
