#include "services/gateway/event_filter.h"

#include "common/mem.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const known[] = {
    "started",  "stopped",   "restarted",   "gave_up", "stuck",
    "resumed",  "activated", "deactivated", "failed",  "terminated",
    "critical", "facet",     NULL};
static const char *const tag_names[] = {"behaviour", "child",      "name",
                                        "namespace", "supervisor", NULL};

/* -- lists of words: "a,b" --------------------------------------------------
 */

static bool
in_list(const char *list, const char *word)
{
    const size_t len = strlen(word);

    for (const char *at = list; *at != '\0';) {
        const size_t n = strcspn(at, ",");

        if (n == len && strncmp(at, word, len) == 0)
            return true;
        at += n + (at[n] == ',');
    }
    return false;
}

/* Of `len` bytes, one of the names? */
static bool
is_one(const char *const *names, const char *word, size_t len)
{
    for (; *names != NULL; names++)
        if (strlen(*names) == len && strncmp(*names, word, len) == 0)
            return true;
    return false;
}

static enum plex_status
types_check(const char *types, struct plex_err *err)
{
    for (const char *at = types; *at != '\0';) {
        const size_t n = strcspn(at, ",");

        if (!is_one(known, at, n))
            return plex_err_set(err, PLEX_INVALID,
                                "there are no events of type \"%.*s\"; known "
                                "are started, stopped, terminated, failed, "
                                "critical, restarted, gave_up, stuck, "
                                "resumed, activated, deactivated and facet",
                                n > 40 ? 40 : (int)n, at);
        at += n + (at[n] == ',');
    }
    return PLEX_OK;
}

static enum plex_status
tags_check(const char *tags, struct plex_err *err)
{
    for (const char *at = tags; *at != '\0';) {
        const size_t n = strcspn(at, ","), name = strcspn(at, "=,");

        if (at[name] != '=' || !is_one(tag_names, at, name))
            return plex_err_set(err, PLEX_INVALID,
                                "\"%.*s\" is no tag of an event, such as "
                                "behaviour=cart; there are behaviour, child, "
                                "name, namespace and supervisor",
                                n > 40 ? 40 : (int)n, at);
        at += n + (at[n] == ',');
    }
    return PLEX_OK;
}

/* -- expressions ------------------------------------------------------------
 */

static enum plex_status
expression(const char *what, const char *text, regex_t *out,
           struct plex_err *err)
{
    char why[80];
    int status;

    if (strlen(text) > GATE_EVENT_PATTERN_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "%s has %zu bytes, at most %d are allowed", what,
                            strlen(text), GATE_EVENT_PATTERN_MAX);
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '{' || (*at == '\\' && at[1] >= '1' && at[1] <= '9'))
            return plex_err_set(err, PLEX_INVALID,
                                "%s: repetition counts and back-references "
                                "are not taken",
                                what);
        if (*at == '\\' && at[1] != '\0')
            at++;
    }
    status = regcomp(out, text, REG_EXTENDED | REG_NOSUB);
    if (status == 0)
        return PLEX_OK;
    (void)regerror(status, out, why, sizeof why);
    return plex_err_set(err, PLEX_INVALID, "%s is no regular expression: %s",
                        what, why);
}

static bool
matches(const regex_t *expression, const char *text)
{
    return text[0] != '\0' && regexec(expression, text, 0, NULL, 0) == 0;
}

/* -- the filter -------------------------------------------------------------
 */

static const char *
given(const char *text)
{
    return text == NULL ? "" : text;
}

enum plex_status
gate_event_filter_init(struct gate_event_filter *filter,
                       const struct gate_event_wish *wish, struct plex_err *err)
{
    *filter = (struct gate_event_filter){
        .types = plex_strdup(given(wish->types)),
        .name_pattern = plex_strdup(given(wish->name_pattern)),
        .node_id = plex_strdup(given(wish->node_id)),
        .tags = plex_strdup(given(wish->tags)),
    };
    if (types_check(filter->types, err) != PLEX_OK ||
        tags_check(filter->tags, err) != PLEX_OK)
        return err->status;
    if (given(wish->actor_pattern)[0] != '\0') {
        if (expression("actor_id_pattern", wish->actor_pattern, &filter->actor,
                       err) != PLEX_OK)
            return err->status;
        filter->has_actor = true;
    }
    if (given(wish->node_pattern)[0] != '\0') {
        if (expression("node_id_pattern", wish->node_pattern, &filter->node,
                       err) != PLEX_OK)
            return err->status;
        filter->has_node = true;
    }
    return PLEX_OK;
}

void
gate_event_filter_fini(struct gate_event_filter *filter)
{
    free(filter->types);
    free(filter->name_pattern);
    free(filter->node_id);
    free(filter->tags);
    if (filter->has_actor)
        regfree(&filter->actor);
    if (filter->has_node)
        regfree(&filter->node);
}

bool
gate_event_node(const struct gate_event_filter *filter, const char *node_id)
{
    return (filter->node_id[0] == '\0' ||
            strcmp(filter->node_id, node_id) == 0) &&
           (!filter->has_node || matches(&filter->node, node_id));
}

static bool
is_normal(const char *reason)
{
    return strcmp(reason, "normal") == 0 || strcmp(reason, "shutdown") == 0 ||
           strncmp(reason, "shutdown:", 9) == 0;
}

static bool
is_critical(const struct gate_event_view *event)
{
    return strcmp(event->type, "gave_up") == 0 ||
           strcmp(event->type, "stuck") == 0 ||
           (strcmp(event->type, "stopped") == 0 && !is_normal(event->reason));
}

static bool
type_wanted(const char *types, const struct gate_event_view *event)
{
    return (in_list(types, "critical") && is_critical(event)) ||
           types[0] == '\0' || in_list(types, event->type) ||
           (strcmp(event->type, "stopped") == 0 &&
            in_list(types, is_normal(event->reason) ? "terminated" : "failed"));
}

static bool
has_tags(const char *tags, const struct gate_event_view *event)
{
    const char *values[] = {event->behaviour, event->child, event->name,
                            event->ns, event->supervisor};

    for (const char *at = tags; *at != '\0';) {
        const size_t n = strcspn(at, ","), name = strcspn(at, "=");
        size_t i = 0;

        while (!is_one((const char *const[]){tag_names[i], NULL}, at, name))
            i++; /* it was checked */
        if (strlen(values[i]) != n - name - 1 ||
            strncmp(values[i], at + name + 1, n - name - 1) != 0)
            return false;
        at += n + (at[n] == ',');
    }
    return true;
}

bool
gate_event_wanted(const struct gate_event_filter *filter,
                  const struct gate_event_view *event)
{
    if (!type_wanted(filter->types, event) || !has_tags(filter->tags, event))
        return false;
    if (filter->has_actor && !matches(&filter->actor, event->name) &&
        !matches(&filter->actor, event->child) &&
        !matches(&filter->actor, event->process))
        return false;
    return filter->name_pattern[0] == '\0' ||
           fnmatch(filter->name_pattern, event->name, 0) == 0 ||
           fnmatch(filter->name_pattern, event->child, 0) == 0;
}

/* -- what waits -------------------------------------------------------------
 */

enum plex_status
gate_drop_parse(const char *text, enum gate_drop *out, struct plex_err *err)
{
    static const char *const words[] = {"block", "drop_oldest", "drop_newest"};

    *out = GATE_DROP_BLOCK;
    for (int i = 0; i < 3; i++)
        if (strcasecmp(text, words[i]) == 0) {
            *out = (enum gate_drop)i;
            return PLEX_OK;
        }
    if (text[0] == '\0')
        return PLEX_OK;
    return plex_err_set(err, PLEX_INVALID,
                        "drop_policy is \"%.40s\"; block, drop_oldest and "
                        "drop_newest are known",
                        text);
}

void
gate_queue_init(struct gate_event_queue *queue, size_t max, enum gate_drop drop)
{
    *queue = (struct gate_event_queue){.max = max, .drop = drop};
}

void
gate_queue_fini(struct gate_event_queue *queue)
{
    while (queue->n > 0)
        gate_queue_pop(queue);
    free(queue->frames);
}

bool
gate_queue_full(const struct gate_event_queue *queue)
{
    return queue->n >= queue->max || queue->bytes >= GATE_QUEUE_BYTES;
}

static void
grow(struct gate_event_queue *queue)
{
    const size_t cap = queue->cap == 0 ? 64 : queue->cap * 2;
    char **frames = plex_calloc(cap, sizeof *frames);

    for (size_t i = 0; i < queue->n; i++)
        frames[i] = queue->frames[(queue->head + i) % queue->cap];
    free(queue->frames);
    queue->frames = frames;
    queue->head = 0;
    queue->cap = cap;
}

void
gate_queue_push(struct gate_event_queue *queue, char *frame)
{
    if (gate_queue_full(queue) && queue->drop == GATE_DROP_NEWEST) {
        queue->dropped++;
        free(frame);
        return;
    }
    if (gate_queue_full(queue) && queue->drop == GATE_DROP_OLDEST) {
        queue->dropped++;
        gate_queue_pop(queue);
    }
    if (queue->n == queue->cap)
        grow(queue);
    queue->frames[(queue->head + queue->n++) % queue->cap] = frame;
    queue->bytes += strlen(frame);
}

const char *
gate_queue_first(const struct gate_event_queue *queue)
{
    return queue->n == 0 ? NULL : queue->frames[queue->head];
}

void
gate_queue_pop(struct gate_event_queue *queue)
{
    queue->bytes -= strlen(queue->frames[queue->head]);
    free(queue->frames[queue->head]);
    queue->head = (queue->head + 1) % queue->cap;
    queue->n--;
}

uint64_t
gate_queue_dropped(struct gate_event_queue *queue)
{
    const uint64_t n = queue->dropped;

    queue->dropped = 0;
    return n;
}
