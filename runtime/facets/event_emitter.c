/*
 * Events by topic between actors: whoever is "on" a topic is in the process
 * group "event:TOPIC" and gets what is emitted there, on any worker: the topic,
 * a line feed, the payload.
 */
#include "runtime/facets/facets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOPICS_MAX = 64, TOPIC_BYTES = 120 };

struct config {
    const char *topics; /* patterns of what may be emitted and heard */
    const char *on;     /* topics to be on from the start */
    uint64_t max_topics;
    bool log_events;
};
struct data {
    char on[TOPICS_MAX][TOPIC_BYTES + 1]; /* "": free */
    bool started;
};

static const struct plex_facet_key keys[] = {
    RT_FACET_KEY(topics, TEXT, "*", 1, 1024),
    RT_FACET_KEY(on, TEXT, "", 0, 2048),
    RT_FACET_KEY(max_topics, NUMBER, "16", 1, TOPICS_MAX),
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
    const struct plex_facet_action action = {
        .kind = kind,
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

static void
detach(struct plex_facet *facet)
{
    struct data *data = facet->data;

    for (int i = 0; i < TOPICS_MAX; i++)
        if (data->on[i][0] != '\0')
            group_act(facet, PLEX_FACET_LEAVE, data->on[i], NULL, 0);
}

/* "on" and "off": a topic. "emit": a topic, a line feed, the payload. */
static int
invoke(struct plex_facet *facet, const char *op, const void *in, size_t len,
       struct plex_facet_out *out)
{
    const struct config *config = facet->config;
    const char *text = in, *feed = len == 0 ? NULL : memchr(in, '\n', len);
    const size_t size = feed == NULL ? len : (size_t)(feed - text);
    char topic[TOPIC_BYTES + 1], *found;

    (void)out;
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
    group_act(facet, PLEX_FACET_PUBLISH, topic, text,
              feed == NULL ? size + 1 : len);
    return 0;
}

const struct plex_facet_type rt_facet_event_emitter = {
    .name = "event_emitter",
    .priority = 60,
    .keys = keys,
    .config_size = sizeof(struct config),
    .data_size = sizeof(struct data),
    .check = check,
    .init_complete = init_complete,
    .detach = detach,
    .invoke = invoke,
};
