#include "services/worker/facet_sink.h"

#include "common/log.h"
#include "common/mem.h"
#include "services/worker/facet_log.h"
#include "services/worker/facet_spans.h"
#include "services/worker/node_queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_FUNCTION HASH_FNV
#include <uthash.h>

enum { SERIES_MAX = 1000, WAITING_MAX = 100000, LOG_FILE_MAX = 64 << 20 };

struct item {
    struct work_link link;
    enum plex_facet_act kind;
    int level;
    uint64_t number;
    const char *name, *labels, *text, *payload; /* inside, "" for none */
    char bytes[];
};
struct series {
    UT_hash_handle hh;
    struct plex_counter *counter;
    struct plex_gauge *gauge;
    struct plex_histogram *histogram;
    char *name; /* metrics borrow it for ever */
    char key[];
};
struct work_facet_sink {
    const struct plex_host *host;
    struct plex_task task;
    struct work_queue queue;
    _Atomic uint32_t waiting;
    _Atomic uint64_t lost; /* more than WAITING_MAX */
    struct series *series;
    struct plex_counter *dropped;
    struct work_facet_spans *spans;
    struct work_facet_log *log;
    work_facet_event_fn event;
    void *event_arg;
    bool warned; /* that lines cannot go where they should */
};

/* -- on the loop ----------------------------------------------------------- */

static struct series *
series_of(struct work_facet_sink *sink, const struct item *item)
{
    struct plex_metrics *metrics = sink->host->metrics;
    static const char help[] = "From a facet.";
    struct series *series;
    char key[512];

    if (snprintf(key, sizeof key, "%d%s{%s}", item->kind, item->name,
                 item->labels) >= (int)sizeof key)
        return NULL;
    HASH_FIND_STR(sink->series, key, series);
    if (series != NULL || HASH_COUNT(sink->series) >= SERIES_MAX)
        return series;
    series = plex_calloc(1, sizeof *series + strlen(key) + 1);
    memcpy(series->key, key, strlen(key) + 1);
    series->name = plex_strdup(item->name);
    if (item->kind == PLEX_FACET_COUNT)
        series->counter =
            plex_metrics_counter(metrics, series->name, help, item->labels);
    else if (item->kind == PLEX_FACET_GAUGE)
        series->gauge =
            plex_metrics_gauge(metrics, series->name, help, item->labels);
    else
        series->histogram =
            plex_metrics_histogram(metrics, series->name, help, item->labels);
    HASH_ADD_STR(sink->series, key, series);
    return series;
}

static void
metric(struct work_facet_sink *sink, const struct item *item)
{
    struct series *series = series_of(sink, item);

    if (series == NULL)
        sink->dropped->value++;
    else if (series->counter != NULL)
        series->counter->value += item->number;
    else if (series->gauge != NULL)
        series->gauge->value = (int64_t)item->number;
    else
        plex_histogram_record(series->histogram, item->number / 1000);
}

/* Where it is to go, or else into the worker's log. */
static void
line(struct work_facet_sink *sink, const struct item *item)
{
    static const enum plex_log_level levels[] = {PLEX_LOG_ERROR, PLEX_LOG_WARN,
                                                 PLEX_LOG_INFO, PLEX_LOG_DEBUG};
    const struct work_facet_line is = {item->name, item->labels,
                                       item->level & 3, item->text};
    struct plex_err err;

    if (item->name[0] != '\0' &&
        work_facet_log_line(sink->log, &is, &err) == PLEX_OK)
        return;
    if (item->name[0] != '\0' && !sink->warned)
        plex_log(PLEX_LOG_WARN, "facet.log", "lines of facets go here: %s",
                 err.text);
    sink->warned = sink->warned || item->name[0] != '\0';
    plex_log(levels[item->level & 3], "facet", "%s", item->text);
}

static void
span(struct work_facet_sink *sink, const struct item *item)
{
    const struct work_facet_line is = {"stdout", "", 2, item->text};
    struct plex_err err;

    if (item->name[0] == '\0')
        (void)(work_facet_log_line(sink->log, &is, &err) == PLEX_OK);
    else
        work_facet_spans_add(sink->spans,
                             &(struct work_facet_span){
                                 .zipkin = strcmp(item->name, "zipkin") == 0,
                                 .url = item->labels,
                                 .service = item->payload,
                                 .json = item->text});
}

static void
item_do(struct work_facet_sink *sink, const struct item *item)
{
    switch (item->kind) {
    case PLEX_FACET_COUNT:
    case PLEX_FACET_OBSERVE:
    case PLEX_FACET_GAUGE:
        metric(sink, item);
        break;
    case PLEX_FACET_SPAN:
        span(sink, item);
        break;
    case PLEX_FACET_LOG:
        line(sink, item);
        break;
    case PLEX_FACET_EVENT:
        if (sink->event != NULL)
            sink->event(sink->event_arg, item->labels, item->text);
        break;
    default:
        break;
    }
}

static void
on_task(struct plex_task *task)
{
    struct work_facet_sink *sink =
        plex_container_of(task, struct work_facet_sink, task);
    struct work_link *link = work_queue_take(&sink->queue);

    while (link != NULL) {
        struct item *item = plex_container_of(link, struct item, link);

        link = link->next;
        item_do(sink, item);
        atomic_fetch_sub(&sink->waiting, 1);
        free(item);
    }
    work_facet_log_flush(sink->log);
    sink->dropped->value += atomic_exchange(&sink->lost, 0);
}

/* -- any thread ------------------------------------------------------------ */

static const char *
text_copy(char **at, const char *text)
{
    const char *copy = *at;

    *at = stpcpy(*at, text == NULL ? "" : text) + 1;
    return copy;
}

static size_t
size_of(const char *text)
{
    return text == NULL ? 1 : strlen(text) + 1;
}

void
work_facet_sink_act(void *arg, const struct plex_facet_action *action)
{
    struct work_facet_sink *sink = arg;
    struct item *item;
    char *at;

    if (atomic_fetch_add(&sink->waiting, 1) >= WAITING_MAX) {
        atomic_fetch_sub(&sink->waiting, 1);
        atomic_fetch_add(&sink->lost, 1);
        return;
    }
    item = plex_calloc(1, sizeof *item + size_of(action->name) +
                              size_of(action->labels) + size_of(action->text) +
                              action->len + 1);
    at = item->bytes;
    item->kind = action->kind;
    item->level = action->level;
    item->number = action->number;
    item->name = text_copy(&at, action->name);
    item->labels = text_copy(&at, action->labels);
    item->text = text_copy(&at, action->text);
    item->payload = at;
    if (action->len > 0)
        memcpy(at, action->payload, action->len);
    if (work_queue_push(&sink->queue, &item->link))
        plex_loop_post(sink->host->loop, &sink->task);
}

/* -- life ------------------------------------------------------------------ */

struct work_facet_sink *
work_facet_sink_create(const struct plex_host *host, const char *log_dir,
                       const char *node)
{
    struct work_facet_sink *sink = plex_calloc(1, sizeof *sink);

    sink->host = host;
    sink->task.run = on_task;
    sink->dropped = plex_metrics_counter(
        host->metrics, "plexspaces_worker_facet_actions_dropped_total",
        "Metrics and spans of facets beyond the limits.", "");
    sink->spans = work_facet_spans_create(host);
    sink->log = work_facet_log_create(log_dir, node, LOG_FILE_MAX);
    return sink;
}

void
work_facet_sink_events(struct work_facet_sink *sink, work_facet_event_fn event,
                       void *arg)
{
    sink->event = event;
    sink->event_arg = arg;
}

void
work_facet_sink_stop(struct work_facet_sink *sink)
{
    on_task(&sink->task);
    work_facet_spans_stop(sink->spans);
}

void
work_facet_sink_free(struct work_facet_sink *sink)
{
    struct work_link *link;
    struct series *series, *next;

    if (sink == NULL)
        return;
    link = work_queue_take(&sink->queue);
    while (link != NULL) {
        struct item *item = plex_container_of(link, struct item, link);

        link = link->next;
        /* What actors said when they ended. */
        if (item->kind == PLEX_FACET_LOG ||
            (item->kind == PLEX_FACET_SPAN && item->name[0] == '\0'))
            item_do(sink, item);
        free(item);
    }
    HASH_ITER(hh, sink->series, series, next)
    {
        HASH_DEL(sink->series, series);
        free(series->name); /* nobody renders after the loop's end */
        free(series);
    }
    work_facet_spans_free(sink->spans);
    work_facet_log_free(sink->log);
    free(sink);
}
