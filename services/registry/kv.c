#include "services/registry/kv_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REC_OVERHEAD = sizeof(struct reg_kv_rec) + sizeof(struct reg_kv_entry) };

const struct reg_kv_config reg_kv_defaults = {
    .keys_max = 1000000,
    .bytes_max = 512 << 20,
    .watchers_max = 4096,
    .requests_max = 100000,
    .events_max = 16384,
};

/* -- records --------------------------------------------------------------- */

struct reg_kv_rec *
reg_kv_rec_make(const char *tenant, const char *ns, const char *key,
                struct plex_bytes value)
{
    const size_t t = strlen(tenant) + 1, n = strlen(ns) + 1;
    const size_t k = strlen(key) + 1;
    struct reg_kv_rec *rec =
        plex_calloc(1, sizeof *rec + t + n + k + value.len);
    char *at = (char *)(rec + 1);

    rec->refs = 1;
    rec->tenant = memcpy(at, tenant, t);
    rec->ns = memcpy(at + t, ns, n);
    rec->key = memcpy(at + t + n, key, k);
    if (value.len > 0)
        memcpy(at + t + n + k, value.data, value.len);
    rec->value =
        (struct plex_bytes){(const uint8_t *)at + t + n + k, value.len};
    return rec;
}

struct reg_kv_rec *
reg_kv_rec_ref(struct reg_kv_rec *rec)
{
    rec->refs++;
    return rec;
}

void
reg_kv_rec_unref(struct reg_kv_rec *rec)
{
    if (rec != NULL && --rec->refs == 0)
        free(rec);
}

uint64_t
reg_kv_rec_bytes(const struct reg_kv_rec *rec)
{
    return (uint64_t)(rec->value.data - (const uint8_t *)rec->tenant) +
           rec->value.len + REC_OVERHEAD;
}

void
reg_kv_path(struct plex_buf *out, const char *tenant, const char *ns,
            const char *text)
{
    const size_t t = strlen(tenant) + 1, n = strlen(ns) + 1, k = strlen(text);
    uint8_t *at;

    out->max = SIZE_MAX;
    at = plex_buf_grow(out, t + n + k);
    memcpy(at, tenant, t);
    memcpy(at + t, ns, n);
    memcpy(at + t + n, text, k);
}

struct reg_kv_entry *
reg_kv_find(const struct reg_kv *kv, const char *tenant, const char *ns,
            const char *key)
{
    struct plex_buf path = {0};
    struct reg_ordered_node *node;

    reg_kv_path(&path, tenant, ns, key);
    node = reg_ordered_find(&kv->map, (struct plex_bytes){path.data, path.len});
    plex_buf_free(&path);
    return (struct reg_kv_entry *)node;
}

/* -- expiry ---------------------------------------------------------------- */

static void
heap_put(struct reg_kv *kv, size_t at, struct reg_kv_entry *entry)
{
    kv->heap[at] = entry;
    entry->heap_at = at + 1;
}

static void
heap_up(struct reg_kv *kv, size_t at)
{
    struct reg_kv_entry *entry = kv->heap[at];

    while (at > 0 && kv->heap[(at - 1) / 2]->expires_ns > entry->expires_ns) {
        heap_put(kv, at, kv->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_put(kv, at, entry);
}

static void
heap_down(struct reg_kv *kv, size_t at)
{
    struct reg_kv_entry *entry = kv->heap[at];

    for (;;) {
        size_t child = 2 * at + 1;

        if (child + 1 < kv->heap_n &&
            kv->heap[child + 1]->expires_ns < kv->heap[child]->expires_ns)
            child++;
        if (child >= kv->heap_n ||
            kv->heap[child]->expires_ns >= entry->expires_ns)
            break;
        heap_put(kv, at, kv->heap[child]);
        at = child;
    }
    heap_put(kv, at, entry);
}

static void
heap_remove(struct reg_kv *kv, struct reg_kv_entry *entry)
{
    const size_t at = entry->heap_at - 1;
    struct reg_kv_entry *last = kv->heap[--kv->heap_n];

    entry->heap_at = 0;
    if (last == entry)
        return;
    heap_put(kv, at, last);
    heap_up(kv, at);
    heap_down(kv, last->heap_at - 1);
}

static void
expiry_set(struct reg_kv *kv, struct reg_kv_entry *entry, struct reg_when when)
{
    const uint64_t expires_ms = entry->rec->expires_ms;

    if (entry->heap_at != 0)
        heap_remove(kv, entry);
    if (expires_ms == 0)
        return;
    entry->expires_ns = reg_when_after(
        when, expires_ms > when.wall_ms ? expires_ms - when.wall_ms : 0);
    if (kv->heap_n == kv->heap_cap) {
        kv->heap_cap = kv->heap_cap == 0 ? 64 : kv->heap_cap * 2;
        kv->heap = plex_reallocarray(kv->heap, kv->heap_cap, sizeof *kv->heap);
    }
    heap_put(kv, kv->heap_n++, entry);
    heap_up(kv, entry->heap_at - 1);
}

/* -- keys ------------------------------------------------------------------ */

static void
space_name(char *out, size_t size, const char *tenant, const char *ns)
{
    (void)snprintf(out, size, "%s/%s", tenant, ns);
}

static void
space_count(struct reg_kv *kv, const struct reg_kv_rec *rec, int keys,
            bool minus)
{
    struct reg_kv_space *space;
    char name[128];

    space_name(name, sizeof name, rec->tenant, rec->ns);
    HASH_FIND_STR(kv->spaces, name, space);
    if (space == NULL) {
        space = plex_calloc(1, sizeof *space + strlen(name) + 1);
        memcpy(space->name, name, strlen(name) + 1);
        HASH_ADD_STR(kv->spaces, name, space);
    }
    space->keys += (uint64_t)(int64_t)keys;
    space->value_bytes += minus ? -rec->value.len : rec->value.len;
    if (space->keys > 0)
        return;
    HASH_DEL(kv->spaces, space);
    free(space);
}

const struct reg_kv_space *
reg_kv_space(const struct reg_kv *kv, const char *tenant, const char *ns)
{
    const struct reg_kv_space *space;
    char name[128];

    space_name(name, sizeof name, tenant, ns);
    HASH_FIND_STR(kv->spaces, name, space);
    return space;
}

/* Takes the reference. */
static struct reg_kv_entry *
entry_set(struct reg_kv *kv, struct reg_kv_rec *rec)
{
    struct reg_kv_entry *entry =
        reg_kv_find(kv, rec->tenant, rec->ns, rec->key);

    space_count(kv, rec, entry == NULL ? 1 : 0, false);
    kv->bytes += reg_kv_rec_bytes(rec);
    if (entry == NULL) {
        entry = plex_calloc(1, sizeof *entry);
        entry->rec = rec;
        entry->node.key = (const uint8_t *)rec->tenant;
        entry->node.len =
            (size_t)(rec->value.data - (const uint8_t *)rec->tenant) - 1;
        reg_ordered_insert(&kv->map, &entry->node);
        return entry;
    }
    space_count(kv, entry->rec, 0, true);
    kv->bytes -= reg_kv_rec_bytes(entry->rec);
    entry->node.key = (const uint8_t *)rec->tenant;
    reg_kv_rec_unref(entry->rec);
    entry->rec = rec;
    return entry;
}

static void
row_push(struct reg_kv *kv, struct reg_kv_rec *rec, bool gone)
{
    struct reg_kv_row *row = plex_calloc(1, sizeof *row);

    row->kind = REG_ROW_VALUE;
    row->rec = reg_kv_rec_ref(rec);
    row->gone = gone;
    reg_keep_push(&kv->queue, REG_KEEP_ROW)->answer = row;
}

void
reg_kv_put(struct reg_kv *kv, struct reg_kv_rec *rec, struct reg_when when)
{
    struct reg_kv_entry *entry;

    rec->version = ++kv->revision;
    rec->updated_ms = when.wall_ms;
    entry = entry_set(kv, rec);
    expiry_set(kv, entry, when);
    row_push(kv, rec, false);
    reg_kv_event(kv, REG_KV_EVENT_PUT, rec);
}

void
reg_kv_remove(struct reg_kv *kv, struct reg_kv_entry *entry,
              enum reg_kv_event_kind why)
{
    struct reg_kv_rec *rec = entry->rec;

    kv->revision++;
    if (entry->heap_at != 0)
        heap_remove(kv, entry);
    reg_ordered_remove(&kv->map, &entry->node);
    kv->bytes -= reg_kv_rec_bytes(rec);
    space_count(kv, rec, -1, true);
    row_push(kv, rec, true);
    reg_kv_event(kv, why, rec);
    reg_kv_rec_unref(rec);
    free(entry);
}

/* -- requests remembered --------------------------------------------------- */

static void
seen_name(char *out, size_t size, const char *tenant, const char *ns,
          const char *id)
{
    (void)snprintf(out, size, "%s/%s/%s", tenant, ns, id);
}

struct reg_kv_seen *
reg_kv_seen_find(const struct reg_kv *kv, const struct reg_kv_request *request)
{
    struct reg_kv_seen *seen;
    char name[256];

    seen_name(name, sizeof name, request->tenant, request->ns,
              request->request_id);
    HASH_FIND_STR(kv->seen, name, seen);
    return seen;
}

static struct reg_kv_row *
seen_row(const struct reg_kv_seen *seen)
{
    struct reg_kv_row *row = plex_calloc(1, sizeof *row);
    char *name = plex_strdup(seen->name);
    char *ns = strchr(name, '/'), *id = strchr(ns + 1, '/');

    *ns++ = '\0';
    *id++ = '\0';
    row->kind = REG_ROW_REQUEST;
    row->tenant = name;
    row->ns = ns;
    row->id = id;
    row->digest = seen->digest;
    row->at_ms = seen->at_ms;
    row->outcome = seen->outcome;
    return row;
}

static void
seen_drop(struct reg_kv *kv)
{
    struct reg_kv_seen *seen = kv->seen_first;
    struct reg_kv_row *row = seen_row(seen);

    row->gone = true;
    reg_keep_push(&kv->queue, REG_KEEP_ROW)->answer = row;
    kv->seen_first = seen->next;
    if (kv->seen_first == NULL)
        kv->seen_tail = &kv->seen_first;
    HASH_DEL(kv->seen, seen);
    free(seen);
}

static struct reg_kv_seen *
seen_add(struct reg_kv *kv, const char *name, uint64_t digest, uint64_t at_ms)
{
    struct reg_kv_seen *seen = plex_calloc(1, sizeof *seen + strlen(name) + 1);

    seen->digest = digest;
    seen->at_ms = at_ms;
    memcpy(seen->name, name, strlen(name) + 1);
    HASH_ADD_STR(kv->seen, name, seen);
    *kv->seen_tail = seen;
    kv->seen_tail = &seen->next;
    return seen;
}

void
reg_kv_remember(struct reg_kv *kv, const struct reg_kv_request *request,
                const struct reg_kv_outcome *outcome, struct reg_when when)
{
    struct reg_kv_seen *seen;
    char name[256];

    if (request->request_id[0] == '\0')
        return;
    if (HASH_COUNT(kv->seen) >= kv->config.requests_max)
        seen_drop(kv);
    seen_name(name, sizeof name, request->tenant, request->ns,
              request->request_id);
    seen = seen_add(kv, name, request->digest, when.wall_ms);
    seen->outcome = *outcome;
    reg_keep_push(&kv->queue, REG_KEEP_ROW)->answer = seen_row(seen);
}

/* -- life ------------------------------------------------------------------ */

struct reg_kv *
reg_kv_create(const struct reg_kv_config *config)
{
    struct reg_kv *kv = plex_calloc(1, sizeof *kv);

    kv->config = *config;
    kv->seen_tail = &kv->seen_first;
    kv->watchers_tail = &kv->watchers;
    kv->events = plex_calloc(config->events_max, sizeof *kv->events);
    return kv;
}

static void
entry_collect(void *arg, struct reg_ordered_node *node)
{
    struct reg_ordered_node ***at = arg;

    *(*at)++ = node;
}

static void
entries_free(struct reg_kv *kv)
{
    struct reg_ordered_node **all = plex_calloc(kv->map.n + 1, sizeof *all);
    struct reg_ordered_node **end = all;

    reg_ordered_each(&kv->map, (struct plex_bytes){0}, entry_collect, &end);
    for (struct reg_ordered_node **at = all; at < end; at++) {
        reg_kv_rec_unref(((struct reg_kv_entry *)*at)->rec);
        free(*at);
    }
    free(all);
}

void
reg_kv_free(struct reg_kv *kv)
{
    struct reg_keep_action action;
    struct reg_kv_space *space, *next_space;
    struct reg_kv_seen *seen;

    if (kv == NULL)
        return;
    reg_kv_watch_free(kv);
    while (reg_keep_pop(&kv->queue, &action))
        reg_kv_action_free(&action);
    entries_free(kv);
    HASH_ITER(hh, kv->spaces, space, next_space)
    {
        HASH_DEL(kv->spaces, space);
        free(space);
    }
    while ((seen = kv->seen_first) != NULL) {
        kv->seen_first = seen->next;
        HASH_DEL(kv->seen, seen);
        free(seen);
    }
    free(kv->events);
    free(kv->heap);
    free(kv->queue.at);
    free(kv);
}

void
reg_kv_action_free(struct reg_keep_action *action)
{
    struct reg_kv_answer *answer = action->answer;
    struct reg_kv_row *row = action->answer;

    free(action->text);
    if (action->answer == NULL)
        return;
    if (action->kind == REG_KEEP_ROW) {
        reg_kv_rec_unref(row->rec);
        free(row->tenant);
    } else {
        for (size_t i = 0; i < answer->n_recs; i++)
            reg_kv_rec_unref(answer->recs[i]);
        for (size_t i = 0; i < answer->n_events; i++)
            reg_kv_rec_unref(answer->events[i].rec);
        free(answer->recs);
        free(answer->events);
    }
    free(action->answer);
}

void
reg_kv_load(struct reg_kv *kv, const char *tenant, const char *ns,
            const char *key, const struct reg_kv_rec *rec)
{
    struct reg_kv_rec *copy = reg_kv_rec_make(tenant, ns, key, rec->value);

    copy->version = rec->version;
    copy->updated_ms = rec->updated_ms;
    copy->expires_ms = rec->expires_ms;
    (void)entry_set(kv, copy);
}

void
reg_kv_load_request(struct reg_kv *kv, const struct reg_kv_row *row)
{
    const struct reg_kv_request request = {
        .tenant = row->tenant, .ns = row->ns, .request_id = row->id};
    char name[256];

    if (reg_kv_seen_find(kv, &request) != NULL)
        return;
    seen_name(name, sizeof name, row->tenant, row->ns, row->id);
    seen_add(kv, name, row->digest, row->at_ms)->outcome = row->outcome;
}

static int
seen_compare(const void *left, const void *right)
{
    const struct reg_kv_seen *a = *(const struct reg_kv_seen *const *)left;
    const struct reg_kv_seen *b = *(const struct reg_kv_seen *const *)right;

    if (a->at_ms != b->at_ms)
        return a->at_ms < b->at_ms ? -1 : 1;
    return strcmp(a->name, b->name);
}

static void
seen_sort(struct reg_kv *kv)
{
    const size_t n = HASH_COUNT(kv->seen);
    struct reg_kv_seen **all = plex_calloc(n + 1, sizeof *all);
    struct reg_kv_seen *seen = kv->seen_first;

    for (size_t i = 0; i < n; i++, seen = seen->next)
        all[i] = seen;
    qsort(all, n, sizeof *all, seen_compare);
    kv->seen_tail = &kv->seen_first;
    for (size_t i = 0; i < n; i++) {
        *kv->seen_tail = all[i];
        kv->seen_tail = &all[i]->next;
    }
    *kv->seen_tail = NULL;
    free(all);
}

static void
entry_loaded(void *arg, struct reg_ordered_node *node)
{
    void **args = arg;
    struct reg_kv *kv = args[0];
    struct reg_kv_entry *entry = (struct reg_kv_entry *)node;

    expiry_set(kv, entry, *(const struct reg_when *)args[1]);
    if (entry->rec->version > kv->revision)
        kv->revision = entry->rec->version;
}

void
reg_kv_loaded(struct reg_kv *kv, uint64_t revision, struct reg_when when)
{
    void *args[] = {kv, &when};

    kv->revision = revision;
    reg_ordered_each(&kv->map, (struct plex_bytes){0}, entry_loaded, args);
    seen_sort(kv);
    kv->forgotten = kv->told = kv->revision;
}

/* -- time ------------------------------------------------------------------ */

void
reg_kv_tick(struct reg_kv *kv, struct reg_when when)
{
    while (kv->heap_n > 0 && kv->heap[0]->expires_ns <= when.now_ns)
        reg_kv_remove(kv, kv->heap[0], REG_KV_EVENT_EXPIRE);
    while (kv->seen_first != NULL &&
           kv->seen_first->at_ms + REG_KV_REQUEST_MS < when.wall_ms)
        seen_drop(kv);
    reg_kv_watchers(kv, when);
}

/* Requests that are remembered too long do no harm: the next tick drops them.
 */
uint64_t
reg_kv_wake(const struct reg_kv *kv)
{
    uint64_t wake = reg_kv_watch_wake(kv);

    if (kv->heap_n > 0 && kv->heap[0]->expires_ns < wake)
        wake = kv->heap[0]->expires_ns;
    return wake;
}

bool
reg_kv_next(struct reg_kv *kv, struct reg_keep_action *out)
{
    return reg_keep_pop(&kv->queue, out);
}

uint64_t
reg_kv_revision(const struct reg_kv *kv)
{
    return kv->revision;
}

struct reg_kv_stats
reg_kv_stats(const struct reg_kv *kv)
{
    return (struct reg_kv_stats){.keys = kv->map.n,
                                 .bytes = kv->bytes,
                                 .watchers = kv->n_watchers,
                                 .requests = HASH_COUNT(kv->seen),
                                 .events = kv->events_n};
}
