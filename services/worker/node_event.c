/* What happened to processes: taken on executors, kept in a ring by the loop,
 * handed out to who asks and waits. */
#include "services/worker/node_private.h"

#include "common/log.h"
#include "common/mem.h"
#include "sdk/c/include/plexspaces/process.h"
#include "services/worker/node_stats.h"
#include "services/worker/wire_process.h"

#include <stdlib.h>
#include <string.h>

/* -- on executors ---------------------------------------------------------- */

static const char *
put(char **at, const char *text, size_t len)
{
    char *start = *at;

    memcpy(start, text, len);
    start[len] = '\0';
    *at += len + 1;
    return start;
}

/* Those of nobody's children come in floods, and are the first to go. */
static bool
has_room(struct work_node *node, const struct rt_event *event)
{
    const uint32_t waiting = atomic_fetch_add(&node->events_waiting, 1);
    const bool known = event->supervisor.id != 0 || event->name[0] != '\0';

    if (waiting < (known ? WORK_EVENTS_WAITING : WORK_EVENTS_WAITING / 4))
        return true;
    atomic_fetch_sub(&node->events_waiting, 1);
    atomic_fetch_add(&node->events_lost, 1);
    return false;
}

/* A child whose supervisor is on another worker, which tells of it. */
static bool
is_far_child(const struct rt_event *event)
{
    return event->supervisor.id == 0 && strchr(event->behaviour, '=') != NULL;
}

/* What the worker itself needs is nobody's business; nor what the supervisor
 * of a child, on another worker, tells. The ends of keepers are wanted here. */
static bool
is_ours(const struct rt_event *event)
{
    return strcmp(event->behaviour, "console") == 0 ||
           strcmp(event->behaviour, "rt-outside") == 0 || is_far_child(event) ||
           (event->kind != RT_STOPPED &&
            strcmp(event->behaviour, "keeper") == 0);
}

void
node_event_take(void *arg, const struct rt_event *event)
{
    struct work_node *node = arg;
    const size_t label = node_label(event->behaviour);
    size_t size = strlen(event->where.tenant) + strlen(event->where.ns) +
                  strlen(event->name) + strlen(event->child) + label +
                  strlen(event->reason) + 6;
    struct node_event *copy;
    char *at;

    if ((is_ours(event) &&
         !(event->kind == RT_STOPPED && is_far_child(event))) ||
        !has_room(node, event))
        return;
    copy = plex_calloc(1, sizeof *copy + size);
    at = copy->text;
    copy->note.kind = NOTE_EVENT;
    copy->kind = event->kind;
    copy->hidden = is_ours(event);
    copy->wall_ms = event->wall_ms;
    copy->count = event->count;
    copy->ns = event->ns;
    copy->process = event->process;
    copy->supervisor = event->supervisor;
    copy->tenant = put(&at, event->where.tenant, strlen(event->where.tenant));
    copy->ns_name = put(&at, event->where.ns, strlen(event->where.ns));
    copy->name = put(&at, event->name, strlen(event->name));
    copy->child = put(&at, event->child, strlen(event->child));
    copy->behaviour = put(&at, event->behaviour, label);
    copy->reason = put(&at, event->reason, strlen(event->reason));
    node_note_push(node, &copy->note);
}

/* Actors may come and go by the hundred thousand a second: of those some, so
 * that what happens to processes stays in the ring. */
static bool
actor_has_room(struct work_node *node)
{
    const uint64_t now = plex_now();

    if (now - node->actors_since >= UINT64_C(1000000000)) {
        node->actors_since = now;
        node->actors_told = 0;
    }
    if (node->actors_told < WORK_EVENTS_ACTORS) {
        node->actors_told++;
        return true;
    }
    atomic_fetch_add(&node->events_lost, 1);
    return false;
}

void
work_node_actor_event(struct work_node *node, enum rt_event_kind kind,
                      const struct plex_actor_id *actor,
                      struct plex_ref process, const char *reason)
{
    char name[PLEX_TYPE_MAX + PLEX_KEY_MAX + 2];
    const struct rt_event event = {
        .kind = kind,
        .wall_ms = plex_wall_ms(),
        .process = process,
        .where = {actor->tenant, actor->ns},
        .name = name,
        .child = "",
        .behaviour = actor->type,
        .reason = reason,
    };

    (void)snprintf(name, sizeof name, "%s/%s", actor->type, actor->key);
    if (actor_has_room(node))
        node_event_take(node, &event);
}

enum { NODE_PATH_DEPTH = 4 };

/* -- the ring -------------------------------------------------------------- */

static void
event_free(struct node_event *event)
{
    if (event == NULL)
        return;
    free(event->supervisor_name);
    free(event);
}

/* "shop/db": names and ids are worth more to people than refs. Remembered,
 * because the last events of a supervisor come when it is gone. */
static const char *
path_of(struct work_node *node, struct plex_ref ref, unsigned depth)
{
    struct node_path *path = &node->paths[(ref.id ^ ref.id >> 32) % 256];
    char text[NODE_REF_TEXT + 512];
    struct rt_info info;

    if (path->text != NULL && plex_ref_is(path->ref, ref))
        return path->text;
    (void)node_ref_text(ref, text);
    if (ref.node == node->config.host->incarnation &&
        rt_inspect(node->rt, ref, &info) == 0) {
        if (info.name[0] != '\0')
            (void)snprintf(text, sizeof text, "%s", info.name);
        else if (info.child[0] != '\0' && info.supervisor.id != 0 &&
                 depth < NODE_PATH_DEPTH)
            (void)snprintf(text, sizeof text, "%.300s/%s",
                           path_of(node, info.supervisor, depth + 1),
                           info.child);
    }
    free(path->text);
    path->ref = ref;
    path->text = plex_strdup(text);
    return path->text;
}

static void
supervisor_name(struct work_node *node, struct node_event *event)
{
    if (event->supervisor.id != 0)
        event->supervisor_name =
            plex_strdup(path_of(node, event->supervisor, 0));
}

/* One set of series for each behaviour, as long as there are few. */
struct node_series {
    struct node_series *next;
    struct plex_counter *counters[RT_FACET + 1];
    char behaviour[];
};
enum { SERIES_MAX = 100 };

static struct node_series *
series_of(struct work_node *node, const char *behaviour)
{
    struct node_series *series;

    for (series = node->series; series != NULL; series = series->next)
        if (strcmp(series->behaviour, behaviour) == 0)
            return series;
    if (node->n_series >= SERIES_MAX && strcmp(behaviour, "other") != 0)
        return series_of(node, "other");
    series = plex_calloc(1, sizeof *series + strlen(behaviour) + 1);
    memcpy(series->behaviour, behaviour, strlen(behaviour) + 1);
    series->next = node->series;
    node->series = series;
    node->n_series++;
    return series;
}

static bool
is_label(const char *text)
{
    return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789_-.") == strlen(text);
}

static void
count(struct work_node *node, const struct node_event *event)
{
    struct node_series *series = series_of(
        node, is_label(event->behaviour) ? event->behaviour : "other");
    struct plex_counter **counter = &series->counters[event->kind];
    char labels[PLEX_TYPE_MAX + 64];

    if (*counter == NULL) {
        (void)snprintf(labels, sizeof labels, "event=\"%s\",type=\"%.128s\"",
                       work_event_type(event->kind), series->behaviour);
        *counter = plex_metrics_counter(
            node->config.host->metrics, "plexspaces_process_events_total",
            "What happened to processes, by behaviour or actor type.", labels);
    }
    (*counter)->value++;
}

/* How the last children of far supervisors ended, for who asks for them. */
enum { ENDS_MAX = 1024 };
struct node_ends {
    uint64_t n;
    struct node_end {
        struct plex_ref process;
        char reason[128];
    } at[ENDS_MAX];
};

static void
end_keep(struct work_node *node, struct node_event *event)
{
    struct node_end *end;

    if (node->ends == NULL)
        node->ends = plex_calloc(1, sizeof *node->ends);
    end = &node->ends->at[node->ends->n++ % ENDS_MAX];
    end->process = event->process;
    (void)snprintf(end->reason, sizeof end->reason, "%s", event->reason);
    event_free(event);
}

void
node_event_noted(struct work_node *node, struct node_note *note)
{
    struct node_event *event = plex_container_of(note, struct node_event, note);
    struct node_event **slot;

    atomic_fetch_sub(&node->events_waiting, 1);
    if (strcmp(event->behaviour, "keeper") == 0) {
        node_tree_ended(node, event->process, event->reason);
        event_free(event);
        return;
    }
    if (event->hidden) {
        end_keep(node, event);
        return;
    }
    node_instances_note(node, event);
    if (event->kind == RT_STUCK)
        plex_log(PLEX_LOG_WARN, "worker.stuck",
                 "a callback of %s %s has run for %llu ms", event->behaviour,
                 event->name, (unsigned long long)(event->ns / 1000000));
    count(node, event);
    node_stats_note(node, event);
    supervisor_name(node, event);
    event->sequence = ++node->newest;
    slot = &node->ring[event->sequence % WORK_EVENTS_MAX];
    event_free(*slot);
    *slot = event;
}

void
node_note_drop(struct node_note *note)
{
    if (note->kind == NOTE_EVENT)
        event_free(plex_container_of(note, struct node_event, note));
    else if (note->kind == NOTE_ERRAND)
        node_errand_drop(note);
    else if (note->kind == NOTE_PLACE)
        node_place_drop(note);
    else if (note->kind == NOTE_ENDED)
        node_hold_drop(note);
    else if (note->kind == NOTE_MOVED)
        node_moves_drop(note);
    else if (note->kind == NOTE_SCHEDULED)
        node_schedule_drop(note);
    else if (note->kind == NOTE_FACETS)
        node_facets_drop(note);
    else if (note->kind == NOTE_GROUP)
        node_group_drop(note);
    else if (note->kind == NOTE_TREE)
        free(note); /* the note is its first member; consoles are listed */
}

/* -- who waits ------------------------------------------------------------- */

/* Events of the tenant after waiter->after; true: answered. */
static bool
waiter_answer(struct work_node *node, struct node_waiter *waiter, bool late)
{
    const uint64_t oldest =
        node->newest < WORK_EVENTS_MAX ? 1 : node->newest - WORK_EVENTS_MAX + 1;
    uint64_t at = waiter->after + 1 < oldest ? oldest : waiter->after + 1;
    const struct node_event *found[WORK_EVENTS_PAGE];
    struct plex_err err;
    size_t n = 0;

    for (; at <= node->newest && n < waiter->limit; at++) {
        const struct node_event *event = node->ring[at % WORK_EVENTS_MAX];

        if (waiter->tenant[0] == '\0' ||
            strcmp(waiter->tenant, event->tenant) == 0)
            found[n++] = event;
    }
    waiter->after = at - 1;
    if (n == 0 && !late)
        return false;
    node->scratch.len = 0;
    plex_arena_reset(&node->arena);
    plex_call_answer(waiter->call,
                     work_events_reply_pack(node, waiter->after, found, n,
                                            &node->arena, &node->scratch, &err),
                     &node->scratch, &err);
    return true;
}

void
node_events_tick(struct work_node *node, uint64_t now)
{
    struct node_waiter **at = &node->waiters;

    while (*at != NULL) {
        struct node_waiter *waiter = *at;
        const bool late = now >= waiter->deadline || node->draining ||
                          plex_call_abandoned(waiter->call);

        if (!waiter_answer(node, waiter, late)) {
            at = &waiter->next;
            continue;
        }
        *at = waiter->next;
        free(waiter);
    }
}

uint64_t
node_events_due(const struct work_node *node)
{
    const uint64_t now = plex_now();
    uint64_t due = UINT64_MAX;

    for (const struct node_waiter *w = node->waiters; w != NULL; w = w->next)
        if (w->deadline < due)
            due = w->deadline;
    return due == UINT64_MAX ? due : due > now ? due - now : 0;
}

void
node_events_drain(struct work_node *node)
{
    node_events_tick(node, UINT64_MAX);
}

const char *
node_events_end(const struct work_node *node, struct plex_ref process)
{
    const uint64_t oldest =
        node->newest < WORK_EVENTS_MAX ? 1 : node->newest - WORK_EVENTS_MAX + 1;

    for (uint64_t at = node->newest; at >= oldest; at--) {
        const struct node_event *event = node->ring[at % WORK_EVENTS_MAX];

        if (event->kind == RT_STOPPED && plex_ref_is(event->process, process))
            return event->reason;
    }
    for (size_t i = 0; node->ends != NULL && i < ENDS_MAX; i++)
        if (plex_ref_is(node->ends->at[i].process, process))
            return node->ends->at[i].reason;
    return NULL;
}

void
node_on_events(struct work_node *node, struct plex_call *call)
{
    struct work_events_request request;
    struct node_waiter *waiter;
    struct plex_err err;

    plex_arena_reset(&node->arena);
    if (work_events_request_unpack(plex_call_payload(call), &node->arena,
                                   &request, &err) != PLEX_OK) {
        plex_call_refuse(call, &err);
        return;
    }
    waiter = plex_calloc(1, sizeof *waiter);
    waiter->call = call;
    waiter->limit = request.limit;
    waiter->after = request.tail ? node->newest
                    : request.incarnation == node->config.host->incarnation
                        ? request.after
                        : 0;
    if (waiter->after > node->newest)
        waiter->after = node->newest;
    waiter->deadline = plex_now() + request.wait_ms * UINT64_C(1000000);
    (void)snprintf(waiter->tenant, sizeof waiter->tenant, "%s", request.tenant);
    waiter->next = node->waiters;
    node->waiters = waiter;
    node_events_tick(node, plex_now());
    node_timer_arm(node);
}

void
node_events_free(struct work_node *node)
{
    struct node_waiter *waiter;

    while ((waiter = node->waiters) != NULL) {
        node->waiters = waiter->next;
        free(waiter); /* its call ends with the link */
    }
    for (size_t i = 0; i < WORK_EVENTS_MAX; i++)
        event_free(node->ring[i]);
    free(node->ring);
    while (node->series != NULL) {
        struct node_series *series = node->series;

        node->series = series->next;
        free(series);
    }
    node_stats_free(node);
    free(node->ends);
    for (size_t i = 0; i < 256; i++)
        free(node->paths[i].text);
}
