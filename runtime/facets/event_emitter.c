/*
 * Events by topic between actors: whoever is "on" a topic is in the process
 * group "event:TOPIC" and gets what is emitted there, on any worker: the topic,
 * a line feed, the payload.
 */
#include "common/mem.h"
#include "runtime/facets/facets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOPICS_MAX = 64, TOPIC_BYTES = 120, FILTER_BYTES = 1024 };

struct config {
    const char *topics; /* patterns of what may be emitted and heard */
    const char *on;     /* topics to be on from the start */
    const char *filter; /* patterns of what is heard of those */
    uint64_t max_topics;
    uint64_t max_subscribers; /* of a topic that this one joins; 0: no bound */
    bool async_emit;          /* after the callback, not at once */
    uint64_t buffer_size;     /* events that wait for it */
    bool log_events;
};
struct event {
    struct event *next;
    size_t len;
    char topic[TOPIC_BYTES + 1];
    char bytes[]; /* "topic\npayload" */
};
struct data {
    char on[TOPICS_MAX][TOPIC_BYTES + 1]; /* "": free */
    char filter[FILTER_BYTES + 1];
    struct event *first, **last; /* wait to be emitted */
    uint64_t waiting;
};

static const struct plex_facet_key keys[] = {
    RT_FACET_KEY(topics, TEXT, "*", 1, 1024),
    RT_FACET_KEY(on, TEXT, "", 0, 2048),
    RT_FACET_KEY(filter, TEXT, "*", 1, FILTER_BYTES),
    RT_FACET_KEY(max_topics, NUMBER, "16", 1, TOPICS_MAX),
    RT_FACET_KEY(max_subscribers, NUMBER, "0", 0, 100000),
    RT_FACET_KEY(async_emit, BOOL, "false", 0, 0),
    RT_FACET_KEY(buffer_size, NUMBER, "1000", 1, 100000),
    RT_FACET_KEY(log_events, BOOL, "false", 0, 0),
    {0},
};

static bool
is_topic(const char *text, size_t len)
{
    return len >= 1 && len <= TOPIC_BYTES &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789_.:-") >= len;
}

/* The next topic of the list into `out`: 1; 0 none; -1 none that may be. */
static int
topic_next(const char **list, char out[TOPIC_BYTES + 1])
{
    size_t len;

    *list += strspn(*list, " ,");
    if (**list == '\0')
        return 0;
    len = strcspn(*list, " ,");
    if (!is_topic(*list, len))
        return -1;
    memcpy(out, *list, len);
    out[len] = '\0';
    *list += len;
    return 1;
}

static int
check(void *values, char *why, size_t size)
{
    const struct config *config = values;
    const char *list = config->on;
    char topic[TOPIC_BYTES + 1];
    uint64_t n = 0;
    int found;

    while ((found = topic_next(&list, topic)) > 0) {
        if (++n > config->max_topics || !rt_facet_glob(config->topics, topic)) {
            (void)snprintf(why, size,
                           "config.on: \"%s\" is one too many, or not among "
                           "config.topics",
                           topic);
            return -1;
        }
    }
    if (found == 0)
        return 0;
    (void)snprintf(why, size,
                   "config.on: \"%.40s\" is no topic: letters, digits and "
                   "_ . : - of at most %d",
                   list, TOPIC_BYTES);
    return -1;
}

static void
group_act(struct plex_facet *facet, enum plex_facet_act kind, const char *topic,
          const void *payload, size_t len)
{
    const struct config *config = facet->config;
    const struct plex_facet_action action = {
        .kind = kind,
        .number = kind == PLEX_FACET_JOIN ? config->max_subscribers : 0,
        .name = rt_facet_text(facet, "event:%s", topic),
        .text = topic,
        .payload = payload,
        .len = len,
    };

    plex_facet_act(facet, &action);
}

static char *
topic_find(struct data *data, const char *topic)
{
    for (int i = 0; i < TOPICS_MAX; i++)
        if (strcmp(data->on[i], topic) == 0)
            return data->on[i];
    return NULL;
}

static int
topic_on(struct plex_facet *facet, const char *topic)
{
    const struct config *config = facet->config;
    struct data *data = facet->data;
    uint64_t n = 0;

    if (topic_find(data, topic) != NULL)
        return 0;
    for (int i = 0; i < TOPICS_MAX; i++)
        n += data->on[i][0] != '\0';
    if (n >= config->max_topics)
        return -PLEX_LIMIT;
    (void)snprintf(topic_find(data, ""), TOPIC_BYTES + 1, "%s", topic);
    group_act(facet, PLEX_FACET_JOIN, topic, NULL, 0);
    return 0;
}

static void
init_complete(struct plex_facet *facet)
{
    const char *list = ((const struct config *)facet->config)->on;
    char topic[TOPIC_BYTES + 1];

    while (topic_next(&list, topic) > 0)
        (void)topic_on(facet, topic);
}

static int
attach(struct plex_facet *facet)
{
    const struct config *config = facet->config;
    struct data *data = facet->data;

    data->last = &data->first;
    (void)snprintf(data->filter, sizeof data->filter, "%s", config->filter);
    return 0;
}

static void
detach(struct plex_facet *facet)
{
    struct data *data = facet->data;

    for (int i = 0; i < TOPICS_MAX; i++)
        if (data->on[i][0] != '\0')
            group_act(facet, PLEX_FACET_LEAVE, data->on[i], NULL, 0);
}

static void
fini(void *memory)
{
    struct data *data = memory;
    struct event *event;

    while ((event = data->first) != NULL) {
        data->first = event->next;
        free(event);
    }
}

/* An event of a topic that is filtered out is not seen by the handler. */
static enum plex_facet_verdict
before(struct plex_facet *facet, const struct plex_msg *msg,
       struct plex_facet_out *out)
{
    const struct data *data = facet->data;
    const char *text = msg->payload,
               *feed = msg->len == 0 ? NULL : memchr(text, '\n', msg->len);
    char topic[TOPIC_BYTES + 1];

    if (msg->tag != PLEX_FACET_EVENT_TAG || rt_facet_is_call(msg) ||
        feed == NULL || (size_t)(feed - text) > TOPIC_BYTES)
        return PLEX_FACET_CONTINUE;
    (void)snprintf(topic, sizeof topic, "%.*s", (int)(feed - text), text);
    if (rt_facet_glob(data->filter, topic))
        return PLEX_FACET_CONTINUE;
    out->payload = "";
    return PLEX_FACET_SHORT_CIRCUIT;
}

/* -- emitting ---------------------------------------------------------------
 */

static void
wake(struct plex_facet *facet)
{
    struct data *data = facet->data;
    struct event *event;

    while ((event = data->first) != NULL) {
        data->first = event->next;
        group_act(facet, PLEX_FACET_PUBLISH, event->topic, event->bytes,
                  event->len);
        free(event);
    }
    data->last = &data->first;
    data->waiting = 0;
}

static int
emit(struct plex_facet *facet, const char *topic, const char *text, size_t len)
{
    const struct config *config = facet->config;
    struct data *data = facet->data;
    struct event *event;

    if (!config->async_emit) {
        group_act(facet, PLEX_FACET_PUBLISH, topic, text, len);
        return 0;
    }
    if (data->waiting == config->buffer_size)
        return -PLEX_LIMIT;
    event = plex_calloc(1, sizeof *event + len);
    memcpy(event->topic, topic, strlen(topic) + 1);
    memcpy(event->bytes, text, len);
    event->len = len;
    *data->last = event;
    data->last = &event->next;
    data->waiting++;
    plex_facet_wake_at(facet, facet->now_ns);
    return 0;
}

static int
filter_set(struct plex_facet *facet, const char *text, size_t len)
{
    struct data *data = facet->data;

    if (len == 0 || len > FILTER_BYTES || memchr(text, '\0', len) != NULL)
        return -PLEX_INVALID;
    memcpy(data->filter, text, len);
    data->filter[len] = '\0';
    return 0;
}

/* "on" and "off": a topic. "emit": a topic, a line feed, the payload.
 * "filter": patterns. */
static int
invoke(struct plex_facet *facet, const char *op, const void *in, size_t len,
       struct plex_facet_out *out)
{
    const struct config *config = facet->config;
    const char *text = in, *feed = len == 0 ? NULL : memchr(in, '\n', len);
    const size_t size = feed == NULL ? len : (size_t)(feed - text);
    char topic[TOPIC_BYTES + 1], *found;

    (void)out;
    if (strcmp(op, "filter") == 0)
        return filter_set(facet, text, len);
    if (size > TOPIC_BYTES)
        return -PLEX_INVALID;
    (void)snprintf(topic, sizeof topic, "%.*s", (int)size,
                   text == NULL ? "" : text);
    if (!is_topic(topic, strlen(topic)))
        return -PLEX_INVALID;
    if (!rt_facet_glob(config->topics, topic))
        return -PLEX_DENIED;
    if (strcmp(op, "on") == 0)
        return topic_on(facet, topic);
    if (strcmp(op, "off") == 0) {
        found = topic_find(facet->data, topic);
        if (found == NULL)
            return -PLEX_NOT_FOUND;
        found[0] = '\0';
        group_act(facet, PLEX_FACET_LEAVE, topic, NULL, 0);
        return 0;
    }
    if (strcmp(op, "emit") != 0)
        return -PLEX_UNSUPPORTED;
    if (config->log_events)
        rt_facet_log(facet, 2,
                     rt_facet_text(facet, "%s emits %s (%zu bytes)",
                                   facet->actor, topic,
                                   feed == NULL ? 0 : len - size - 1));
    if (feed == NULL)
        text = rt_facet_text(facet, "%s\n", topic);
    return emit(facet, topic, text, feed == NULL ? size + 1 : len);
}

const struct plex_facet_type rt_facet_event_emitter = {
    .name = "event_emitter",
    .priority = 60,
    .keys = keys,
    .config_size = sizeof(struct config),
    .data_size = sizeof(struct data),
    .check = check,
    .attach = attach,
    .detach = detach,
    .init_complete = init_complete,
    .before = before,
    .wake = wake,
    .fini = fini,
    .invoke = invoke,
};
