/* The last changes, and who waits for the next ones. */
#include "services/registry/kv_private.h"

#include <stdlib.h>
#include <string.h>

enum { EVENTS_MAX = 1000, EVENT_BYTES_MAX = 4 << 20 }; /* of one answer */

static struct reg_kv_event *
event_at(const struct reg_kv *kv, size_t i)
{
    return &kv->events[(kv->events_head + i) % kv->config.events_max];
}

static void
event_forget(struct reg_kv *kv)
{
    struct reg_kv_event *event = event_at(kv, 0);

    kv->forgotten = event->revision;
    kv->events_bytes -= reg_kv_rec_bytes(event->rec);
    reg_kv_rec_unref(event->rec);
    kv->events_head = (kv->events_head + 1) % kv->config.events_max;
    kv->events_n--;
}

void
reg_kv_event(struct reg_kv *kv, enum reg_kv_event_kind kind,
             struct reg_kv_rec *rec)
{
    if (kv->events_n == kv->config.events_max)
        event_forget(kv);
    *event_at(kv, kv->events_n++) =
        (struct reg_kv_event){kind, kv->revision, reg_kv_rec_ref(rec)};
    kv->events_bytes += reg_kv_rec_bytes(rec);
    while (kv->events_n > 1 && kv->events_bytes > kv->config.bytes_max / 4)
        event_forget(kv);
}

static void
watcher_remove(struct reg_kv *kv, struct reg_kv_watcher **at)
{
    struct reg_kv_watcher *watcher = *at;

    *at = watcher->next;
    if (kv->watchers_tail == &watcher->next)
        kv->watchers_tail = at;
    kv->n_watchers--;
    free(watcher->tenant);
    free(watcher->ns);
    free(watcher->key);
    free(watcher);
}

void
reg_kv_watch_free(struct reg_kv *kv)
{
    while (kv->watchers != NULL)
        watcher_remove(kv, &kv->watchers);
    while (kv->events_n > 0)
        event_forget(kv);
}

static bool
watcher_wants(const struct reg_kv_watcher *watcher,
              const struct reg_kv_event *event)
{
    const struct reg_kv_rec *rec = event->rec;

    if (strcmp(rec->tenant, watcher->tenant) != 0 ||
        strcmp(rec->ns, watcher->ns) != 0)
        return false;
    return watcher->prefix
               ? strncmp(rec->key, watcher->key, strlen(watcher->key)) == 0
               : strcmp(rec->key, watcher->key) == 0;
}

/* The index of the first event after `since`: revisions grow by one. */
static size_t
event_after(const struct reg_kv *kv, uint64_t since)
{
    return since <= kv->forgotten ? 0 : (size_t)(since - kv->forgotten);
}

/* What it wants to hear of the changes after `from`; false: nothing. One change
 * of very many keys may have pushed out what it should have heard. */
static bool
watcher_answer(struct reg_kv *kv, const struct reg_kv_watcher *watcher,
               uint64_t from, struct reg_when when, bool anyway)
{
    struct reg_kv_answer *answer = NULL;
    uint64_t bytes = 0;

    if (from < kv->forgotten) {
        answer = reg_kv_answer(kv, watcher->call, watcher->method);
        answer->lost = true;
        answer->revision = kv->revision;
        return true;
    }
    for (size_t i = event_after(kv, from); i < kv->events_n; i++) {
        struct reg_kv_event *event = event_at(kv, i);

        if (!watcher_wants(watcher, event))
            continue;
        if (answer == NULL) {
            answer = reg_kv_answer(kv, watcher->call, watcher->method);
            answer->events = plex_calloc(EVENTS_MAX, sizeof *event);
        }
        if (answer->n_events == EVENTS_MAX || bytes > EVENT_BYTES_MAX) {
            answer->revision = answer->events[answer->n_events - 1].revision;
            break;
        }
        answer->events[answer->n_events] = *event;
        (void)reg_kv_rec_ref(answer->events[answer->n_events++].rec);
        bytes += reg_kv_rec_bytes(event->rec);
        answer->revision = kv->revision;
    }
    if (answer == NULL && anyway) {
        answer = reg_kv_answer(kv, watcher->call, watcher->method);
        answer->revision = kv->revision;
    }
    if (answer == NULL)
        return false;
    answer->as_text = watcher->as_text;
    answer->wall_ms = when.wall_ms;
    return true;
}

static void
watch_lost(struct reg_kv *kv, void *call, const struct reg_kv_request *request,
           struct reg_when when)
{
    struct reg_kv_answer *answer = reg_kv_answer(kv, call, request->method);

    answer->lost = true;
    answer->revision = kv->revision;
    answer->wall_ms = when.wall_ms;
}

void
reg_kv_watch(struct reg_kv *kv, void *call,
             const struct reg_kv_request *request, struct reg_when when)
{
    struct reg_kv_watcher *watcher;
    struct plex_err err;

    if (request->since != 0 &&
        (request->since < kv->forgotten || request->since > kv->revision)) {
        watch_lost(kv, call, request, when);
        return;
    }
    if (kv->n_watchers >= kv->config.watchers_max) {
        (void)plex_err_set(&err, PLEX_LIMIT,
                           "%u watchers wait already, as many as may",
                           kv->n_watchers);
        reg_keep_fail(&kv->queue, call, &err);
        return;
    }
    watcher = plex_calloc(1, sizeof *watcher);
    watcher->call = call;
    watcher->method = request->method;
    watcher->as_text = request->as_text;
    watcher->tenant = plex_strdup(request->tenant);
    watcher->ns = plex_strdup(request->ns);
    watcher->prefix = request->key == NULL;
    watcher->key =
        plex_strdup(request->key == NULL ? request->prefix : request->key);
    watcher->since = request->since == 0 ? kv->revision : request->since;
    watcher->deadline_ns = reg_when_after(when, request->timeout_ms);
    *kv->watchers_tail = watcher;
    kv->watchers_tail = &watcher->next;
    kv->n_watchers++;
    if (watcher_answer(kv, watcher, watcher->since, when,
                       request->timeout_ms == 0)) {
        struct reg_kv_watcher **at = &kv->watchers;

        while (*at != watcher)
            at = &(*at)->next;
        watcher_remove(kv, at);
    }
}

void
reg_kv_watchers(struct reg_kv *kv, struct reg_when when)
{
    struct reg_kv_watcher **at = &kv->watchers;
    const bool news = kv->told != kv->revision;

    while (*at != NULL) {
        struct reg_kv_watcher *watcher = *at;
        const bool late = watcher->deadline_ns <= when.now_ns;

        /* Everything up to `told` it has been offered already. */
        if ((news || late) &&
            watcher_answer(kv, watcher,
                           watcher->since > kv->told ? watcher->since
                                                     : kv->told,
                           when, late))
            watcher_remove(kv, at);
        else
            at = &watcher->next;
    }
    kv->told = kv->revision;
}

void
reg_kv_dismiss(struct reg_kv *kv, const char *why)
{
    struct plex_err err;

    (void)plex_err_set(&err, PLEX_UNAVAILABLE, "%s", why);
    while (kv->watchers != NULL) {
        reg_keep_fail(&kv->queue, kv->watchers->call, &err);
        watcher_remove(kv, &kv->watchers);
    }
}

uint64_t
reg_kv_watch_wake(const struct reg_kv *kv)
{
    uint64_t wake = UINT64_MAX;

    for (const struct reg_kv_watcher *watcher = kv->watchers; watcher != NULL;
         watcher = watcher->next)
        if (watcher->deadline_ns < wake)
            wake = watcher->deadline_ns;
    return wake;
}
