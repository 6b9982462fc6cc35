#include "common/log.h"

#include "common/json_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    LOG_LINE_MAX = 8192, /* bytes of one line with its newline */
    LOG_TEXT_MAX = 1024, /* bytes of the sentence or of one field's text */
    LOG_TAIL = 2,        /* "}\n" always fits */
};

/* A line being built. A part that does not fit is left out whole, so what is
 * written is always one JSON object. */
struct line {
    size_t len;
    char text[LOG_LINE_MAX];
};

static atomic_int log_level = PLEX_LOG_INFO;
static _Thread_local const char *log_service = "";
static _Thread_local const char *log_node = "";

static const char *const level_names[] = {"error", "warn", "info", "debug"};

void
plex_log_bind(const char *service, const char *node)
{
    log_service = service;
    log_node = node;
}

void
plex_log_level_set(enum plex_log_level level)
{
    atomic_store_explicit(&log_level, (int)level, memory_order_relaxed);
}

enum plex_status
plex_log_level_parse(const char *text, enum plex_log_level *out,
                     struct plex_err *err)
{
    for (int i = PLEX_LOG_ERROR; i <= PLEX_LOG_DEBUG; i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *out = (enum plex_log_level)i;
            return PLEX_OK;
        }
    }
    return plex_err_set(err, PLEX_INVALID,
                        "log level is \"%.40s\", it must be error, warn, info "
                        "or debug",
                        text);
}

static bool
put_raw(struct line *line, const char *text, size_t len)
{
    if (len > LOG_LINE_MAX - LOG_TAIL - line->len)
        return false;
    memcpy(line->text + line->len, text, len);
    line->len += len;
    return true;
}

static bool
put_string(struct line *line, const char *text)
{
    size_t n;

    if (!put_raw(line, "\"", 1))
        return false;
    n = plex_json_escape(line->text + line->len,
                         LOG_LINE_MAX - LOG_TAIL - line->len, text,
                         strnlen(text, LOG_TEXT_MAX));
    if (n == SIZE_MAX)
        return false;
    line->len += n;
    return put_raw(line, "\"", 1);
}

static bool
put_key(struct line *line, const char *key)
{
    return put_raw(line, line->len > 1 ? "," : "", line->len > 1 ? 1 : 0) &&
           put_string(line, key) && put_raw(line, ":", 1);
}

static void
put_text(struct line *line, const char *key, const char *text)
{
    const size_t before = line->len;

    if (!put_key(line, key) || !put_string(line, text))
        line->len = before;
}

static void
put_number(struct line *line, const struct plex_log_field *field)
{
    const size_t before = line->len;
    char text[24];
    int n;

    if (field->type == PLEX_FIELD_U64)
        n = snprintf(text, sizeof text, "%" PRIu64, field->number);
    else
        n = snprintf(text, sizeof text, "%" PRId64, (int64_t)field->number);
    if (!put_key(line, field->key) || !put_raw(line, text, (size_t)n))
        line->len = before;
}

static void
put_time(struct line *line)
{
    struct timespec now;
    struct tm tm;
    char day[24], text[40];

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &tm);
    (void)strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(text, sizeof text, "%s.%03dZ", day,
                   (int)(now.tv_nsec / 1000000));
    put_text(line, "ts", text);
}

static void log_line(enum plex_log_level level, const char *event,
                     const struct plex_log_field *fields, const char *fmt,
                     va_list ap) PLEX_PRINTF(4, 0);

static void
log_line(enum plex_log_level level, const char *event,
         const struct plex_log_field *fields, const char *fmt, va_list ap)
{
    char sentence[LOG_TEXT_MAX];
    struct line line;

    (void)vsnprintf(sentence, sizeof sentence, fmt, ap);
    line.len = 0;
    (void)put_raw(&line, "{", 1);
    put_time(&line);
    put_text(&line, "level", level_names[level]);
    if (log_service[0] != '\0')
        put_text(&line, "service", log_service);
    if (log_node[0] != '\0')
        put_text(&line, "node", log_node);
    put_text(&line, "event", event);
    put_text(&line, "msg", sentence);
    for (; fields != NULL && fields->key != NULL; fields++) {
        if (fields->type == PLEX_FIELD_TEXT)
            put_text(&line, fields->key, fields->text ? fields->text : "");
        else
            put_number(&line, fields);
    }
    memcpy(line.text + line.len, "}\n", LOG_TAIL);
    line.len += LOG_TAIL;
    /* One write per line: lines of several threads never mix. There is nobody
     * to tell that stderr is gone. */
    if (write(STDERR_FILENO, line.text, line.len) < 0)
        return;
}

static bool
is_off(enum plex_log_level level)
{
    return (int)level > atomic_load_explicit(&log_level, memory_order_relaxed);
}

void
plex_log(enum plex_log_level level, const char *event, const char *fmt, ...)
{
    va_list ap;

    if (is_off(level))
        return;
    va_start(ap, fmt);
    log_line(level, event, NULL, fmt, ap);
    va_end(ap);
}

void
plex_log_with(enum plex_log_level level, const char *event,
              const struct plex_log_field *fields, const char *fmt, ...)
{
    va_list ap;

    if (is_off(level))
        return;
    va_start(ap, fmt);
    log_line(level, event, fields, fmt, ap);
    va_end(ap);
}
