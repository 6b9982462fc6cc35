#include "services/worker/facet_spans.h"

#include "common/bytes.h"
#include "common/mem.h"
#include "services/worker/facet_http.h"
#include "services/worker/node_queue.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    TARGETS_MAX = 64,      /* URLs and services */
    BATCH_SPANS = 512,     /* then it is sent */
    BATCH_BYTES = 1 << 20, /* the same; and no single one is larger */
    UNDER_WAY_MAX = 2,     /* batches of one target */
    DELAY_MS = 250,
    TIMEOUT_MS = 10000,
    ANSWER_MAX = 64 << 10,
};

struct target {
    struct target *next;
    bool zipkin;
    char *url, *service;
    struct plex_buf body; /* the batch that is being filled */
    unsigned n;           /* spans in it */
    unsigned under_way;
};
/* A batch that was sent. */
struct sent {
    struct work_link link;
    struct work_facet_spans *spans;
    struct target *target;
    unsigned n;
    bool taken;
};
struct work_facet_spans {
    const struct plex_host *host;
    struct plex_task task;
    struct plex_timer *timer;
    bool waits;             /* the timer runs */
    struct work_http *http; /* NULL: no span yet */
    struct work_queue done;
    sem_t ended; /* once per batch */
    unsigned under_way;
    struct target *targets;
    size_t n_targets;
    struct plex_counter *exported, *failed, *dropped;
};

static void
put(struct plex_buf *out, const char *text)
{
    const size_t len = strlen(text);

    memcpy(plex_buf_grow(out, len), text, len);
}

/* -- sending ----------------------------------------------------------------
 */

/* On the thread of requests. */
static void
on_answer(void *arg, const struct work_http_answer *answer)
{
    struct sent *sent = arg;
    struct work_facet_spans *spans = sent->spans;

    sent->taken = answer->status == PLEX_OK && answer->http_status >= 200 &&
                  answer->http_status < 300;
    if (work_queue_push(&spans->done, &sent->link))
        plex_loop_post(spans->host->loop, &spans->task);
    (void)sem_post(&spans->ended);
}

static void
batch_begin(struct target *target)
{
    target->body.len = 0;
    target->n = 0;
    if (target->zipkin) {
        put(&target->body, "[");
        return;
    }
    put(&target->body,
        "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":"
        "\"service.name\",\"value\":{\"stringValue\":\"");
    put(&target->body, target->service);
    put(&target->body, "\"}}]},\"scopeSpans\":[{\"scope\":{\"name\":"
                       "\"plexspaces\"},\"spans\":[");
}

static void
batch_send(struct work_facet_spans *spans, struct target *target)
{
    struct sent *sent;
    struct work_http_request request = {
        .method = "POST",
        .url = target->url,
        .content_type = "application/json",
        .headers = "",
        .timeout_ms = TIMEOUT_MS,
        .retries = 3,
        .backoff_ms = 100,
        .max_bytes = ANSWER_MAX,
    };

    if (target->n == 0 || target->under_way == UNDER_WAY_MAX)
        return;
    if (spans->http == NULL)
        spans->http = work_http_create();
    put(&target->body, target->zipkin ? "]" : "]}]}]}");
    request.body = target->body.data;
    request.len = target->body.len;
    sent = plex_calloc(1, sizeof *sent);
    sent->spans = spans;
    sent->target = target;
    sent->n = target->n;
    target->under_way++;
    spans->under_way++;
    if (spans->http == NULL ||
        !work_http_send(spans->http, &request, on_answer, sent)) {
        target->under_way--;
        spans->under_way--;
        spans->dropped->value += sent->n;
        free(sent);
    }
    batch_begin(target);
}

static void
done_take(struct work_facet_spans *spans)
{
    struct work_link *link = work_queue_take(&spans->done);

    while (link != NULL) {
        struct sent *sent = plex_container_of(link, struct sent, link);

        link = link->next;
        sent->target->under_way--;
        spans->under_way--;
        (sent->taken ? spans->exported : spans->failed)->value += sent->n;
        free(sent);
    }
}

/* What is full; with `all`, everything. */
static void
send_some(struct work_facet_spans *spans, bool all)
{
    for (struct target *target = spans->targets; target != NULL;
         target = target->next)
        if (all || target->n >= BATCH_SPANS)
            batch_send(spans, target);
}

static void
timer_arm(struct work_facet_spans *spans)
{
    for (const struct target *target = spans->targets;
         target != NULL && !spans->waits; target = target->next)
        if (target->n > 0) {
            spans->waits = true;
            plex_timer_start(spans->timer, DELAY_MS);
        }
}

static void
on_timer(void *arg)
{
    struct work_facet_spans *spans = arg;

    spans->waits = false;
    send_some(spans, true);
    timer_arm(spans);
}

static void
on_task(struct plex_task *task)
{
    struct work_facet_spans *spans =
        plex_container_of(task, struct work_facet_spans, task);

    done_take(spans);
    send_some(spans, false);
}

/* -- spans ------------------------------------------------------------------
 */

static struct target *
target_of(struct work_facet_spans *spans, const struct work_facet_span *span)
{
    struct target *target;

    for (target = spans->targets; target != NULL; target = target->next)
        if (target->zipkin == span->zipkin &&
            strcmp(target->url, span->url) == 0 &&
            (target->zipkin || strcmp(target->service, span->service) == 0))
            return target;
    if (spans->n_targets == TARGETS_MAX)
        return NULL;
    spans->n_targets++;
    target = plex_calloc(1, sizeof *target);
    target->zipkin = span->zipkin;
    target->url = plex_strdup(span->url);
    target->service = plex_strdup(span->service);
    target->body.max = SIZE_MAX;
    batch_begin(target);
    target->next = spans->targets;
    spans->targets = target;
    return target;
}

void
work_facet_spans_add(struct work_facet_spans *spans,
                     const struct work_facet_span *span)
{
    struct target *target = target_of(spans, span);
    const size_t len = strlen(span->json);

    if (target != NULL && target->n > 0 &&
        (target->n >= BATCH_SPANS || target->body.len + len > BATCH_BYTES))
        batch_send(spans, target);
    if (target == NULL || len > BATCH_BYTES || target->n >= BATCH_SPANS ||
        (target->n > 0 && target->body.len + len > BATCH_BYTES)) {
        spans->dropped->value++;
        return;
    }
    if (target->n++ > 0)
        put(&target->body, ",");
    put(&target->body, span->json);
    timer_arm(spans);
}

/* -- life --------------------------------------------------------------------
 */

static struct plex_counter *
counter(const struct plex_host *host, const char *labels)
{
    return plex_metrics_counter(host->metrics, "plexspaces_worker_spans_total",
                                "Spans for collectors, by what came of them.",
                                labels);
}

struct work_facet_spans *
work_facet_spans_create(const struct plex_host *host)
{
    struct work_facet_spans *spans = plex_calloc(1, sizeof *spans);

    spans->host = host;
    spans->task.run = on_task;
    spans->timer = plex_timer_create(host->loop, on_timer, spans);
    (void)sem_init(&spans->ended, 0, 0);
    spans->exported = counter(host, "outcome=\"exported\"");
    spans->failed = counter(host, "outcome=\"failed\"");
    spans->dropped = counter(host, "outcome=\"dropped\"");
    return spans;
}

void
work_facet_spans_stop(struct work_facet_spans *spans)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 1;
    while (sem_trywait(&spans->ended) == 0)
        ;
    done_take(spans);
    send_some(spans, true);
    while (spans->under_way > 0 && sem_timedwait(&spans->ended, &until) == 0)
        done_take(spans);
    work_http_free(spans->http);
    spans->http = NULL;
    done_take(spans);
}

void
work_facet_spans_free(struct work_facet_spans *spans)
{
    struct target *target;

    if (spans == NULL)
        return;
    plex_timer_free(spans->timer);
    (void)sem_destroy(&spans->ended);
    while ((target = spans->targets) != NULL) {
        spans->targets = target->next;
        plex_buf_free(&target->body);
        free(target->url);
        free(target->service);
        free(target);
    }
    free(spans);
}
