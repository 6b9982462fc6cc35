/*
 * Timers that a type declares, and more at run time: each is handle_timer with
 * its name. An interval counts from when the first one was due, so that it does
 * not drift; a firing that could not be made in time is not made up for.
 */
#include "runtime/facets/facets.h"

#include <ctype.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { TIMERS_MAX = 64, NAME_MAX_BYTES = 63 };

struct config {
    /* "beat=2s, warm=10ms once, sweep=1h after 5m", or JSON: [{"id":"beat",
     * "interval_ms":2000,"repeating":true}] */
    const char *timers;
    uint64_t max_timers;
    uint64_t default_period; /* of one without an interval; 0: none may be */
};
struct timer {
    char name[NAME_MAX_BYTES + 1]; /* "": free */
    uint64_t interval_ms;          /* 0: once */
    uint64_t delay_ms;             /* to the first */
    uint64_t due_ns;               /* UINT64_MAX: not started */
    uint64_t fired;
};
struct data {
    struct timer at[TIMERS_MAX];
    bool started;
};

static const struct plex_facet_key keys[] = {
    RT_FACET_KEY(timers, TEXT, "", 0, 4096),
    RT_FACET_KEY(max_timers, NUMBER, "64", 1, TIMERS_MAX),
    RT_FACET_KEY(default_period, DURATION, "0", 0, 0),
    {0},
};

/* -- reading --------------------------------------------------------------- */

/* The next word of `*at` into `out`; false when there is none, or too long. */
static bool
word_next(const char **at, char *out, size_t size)
{
    size_t len;

    *at += strspn(*at, " ");
    len = strcspn(*at, " =");
    if (len == 0 || len >= size)
        return false;
    memcpy(out, *at, len);
    out[len] = '\0';
    *at += len;
    return true;
}

static bool
name_ok(const char *name)
{
    for (const char *c = name; *c != '\0'; c++)
        if (!isalnum((unsigned char)*c) && strchr("_-.", *c) == NULL)
            return false;
    return name[0] != '\0';
}

/* "NAME[=INTERVAL] [once] [after DELAY]". */
static bool
timer_parse(const char *text, const struct config *config, struct timer *out)
{
    struct plex_err err;
    char word[64];
    bool once = false, after = false;

    *out = (struct timer){.due_ns = UINT64_MAX,
                          .interval_ms = config->default_period};
    if (!word_next(&text, out->name, sizeof out->name) || !name_ok(out->name))
        return false;
    if (*text == '=') {
        text++;
        if (!word_next(&text, word, sizeof word) ||
            rt_facet_duration(word, &out->interval_ms, &err) != PLEX_OK)
            return false;
    }
    if (out->interval_ms == 0)
        return false;
    out->delay_ms = out->interval_ms;
    while (word_next(&text, word, sizeof word)) {
        if (strcmp(word, "once") == 0 && !once)
            once = true;
        else if (strcmp(word, "after") == 0 && !after &&
                 word_next(&text, word, sizeof word) &&
                 rt_facet_duration(word, &out->delay_ms, &err) == PLEX_OK)
            after = true;
        else
            return false;
    }
    if (once)
        out->interval_ms = 0;
    return text[strspn(text, " ")] == '\0';
}

static struct timer *
timer_find(struct data *data, const char *name)
{
    for (int i = 0; i < TIMERS_MAX; i++)
        if (strcmp(data->at[i].name, name) == 0)
            return &data->at[i];
    return NULL;
}

/* One more; false: `why` says why not. */
static bool
timer_add(struct data *data, const struct config *config, uint64_t *n,
          const struct timer *timer, char *why, size_t size)
{
    if (timer_find(data, timer->name) != NULL)
        (void)snprintf(why, size, "config.timers: \"%s\" is there twice",
                       timer->name);
    else if (*n == config->max_timers)
        (void)snprintf(why, size, "config.timers: more than max_timers (%d)",
                       (int)config->max_timers);
    else {
        data->at[(*n)++] = *timer;
        return true;
    }
    return false;
}

static bool
words_parse(const char *list, const struct config *config, struct data *data,
            char *why, size_t size)
{
    uint64_t n = 0;

    while (list[strspn(list, " ,")] != '\0') {
        struct timer timer;
        char text[160];
        size_t len;

        list += strspn(list, " ,");
        len = strcspn(list, ",");
        (void)snprintf(text, sizeof text, "%.*s", (int)(len < 159 ? len : 159),
                       list);
        list += len;
        if (len >= sizeof text || !timer_parse(text, config, &timer)) {
            (void)snprintf(why, size,
                           "config.timers: \"%.60s\" is not written as "
                           "NAME=INTERVAL [once] [after DELAY], e.g. beat=2s",
                           text);
            return false;
        }
        if (!timer_add(data, config, &n, &timer, why, size))
            return false;
    }
    return true;
}

/* {"id": ..., "interval_ms": N, "repeating": true, "delay_ms": N} */
static bool
object_parse(json_t *object, const struct config *config, struct timer *out)
{
    const char *id = NULL;
    json_int_t interval = (json_int_t)config->default_period, delay = -1;
    const json_int_t max = INT64_C(30) * 86400000;
    int repeating = 1;

    *out = (struct timer){.due_ns = UINT64_MAX};
    if (json_unpack_ex(object, NULL, JSON_STRICT, "{s:s, s?:I, s?:b, s?:I}",
                       "id", &id, "interval_ms", &interval, "repeating",
                       &repeating, "delay_ms", &delay) != 0 ||
        interval < 1 || interval > max || delay > max ||
        strlen(id) > NAME_MAX_BYTES || !name_ok(id))
        return false;
    (void)snprintf(out->name, sizeof out->name, "%s", id);
    out->delay_ms = (uint64_t)(delay < 0 ? interval : delay);
    out->interval_ms = repeating ? (uint64_t)interval : 0;
    return true;
}

static bool
json_parse(const char *list, const struct config *config, struct data *data,
           char *why, size_t size)
{
    json_t *array = json_loads(list, JSON_REJECT_DUPLICATES, NULL), *object;
    bool good = json_is_array(array);
    uint64_t n = 0;
    size_t i;

    if (!good)
        (void)snprintf(why, size, "config.timers is no JSON array");
    json_array_foreach(array, i, object)
    {
        struct timer timer;

        if (!good)
            break;
        good = object_parse(object, config, &timer);
        if (!good)
            (void)snprintf(why, size,
                           "config.timers: number %zu is not like {\"id\": "
                           "\"beat\", \"interval_ms\": 2000, \"repeating\": "
                           "true}",
                           i + 1);
        else
            good = timer_add(data, config, &n, &timer, why, size);
    }
    json_decref(array);
    return good;
}

/* All of the list into `data`, or why not. */
static bool
timers_parse(const char *list, const struct config *config, struct data *data,
             char *why, size_t size)
{
    return list[strspn(list, " ")] == '['
               ? json_parse(list, config, data, why, size)
               : words_parse(list, config, data, why, size);
}

static int
check(void *values, char *why, size_t size)
{
    const struct config *config = values;
    struct data data = {0};

    return timers_parse(config->timers, config, &data, why, size) ? 0 : -1;
}

/* -- running --------------------------------------------------------------- */

static void
wake_set(struct plex_facet *facet)
{
    const struct data *data = facet->data;
    uint64_t due = UINT64_MAX;

    for (int i = 0; i < TIMERS_MAX; i++)
        if (data->at[i].name[0] != '\0' && data->at[i].due_ns < due)
            due = data->at[i].due_ns;
    plex_facet_wake_at(facet, due);
}

static int
attach(struct plex_facet *facet)
{
    const struct config *config = facet->config;
    char why[128];

    return timers_parse(config->timers, config, facet->data, why, sizeof why)
               ? 0
               : -1;
}

static void
timer_start(struct plex_facet *facet, struct timer *timer)
{
    timer->due_ns = facet->now_ns + timer->delay_ms * RT_FACET_MS;
}

static void
init_complete(struct plex_facet *facet)
{
    struct data *data = facet->data;

    data->started = true;
    for (int i = 0; i < TIMERS_MAX; i++)
        if (data->at[i].name[0] != '\0')
            timer_start(facet, &data->at[i]);
    wake_set(facet);
}

static void
timer_fire(struct plex_facet *facet, struct timer *timer)
{
    const uint64_t every = timer->interval_ms * RT_FACET_MS;
    const struct plex_facet_action action = {
        .kind = PLEX_FACET_TICK, .name = timer->name, .number = ++timer->fired};

    plex_facet_act(facet, &action);
    if (every == 0)
        *timer = (struct timer){0};
    else
        timer->due_ns += ((facet->now_ns - timer->due_ns) / every + 1) * every;
}

static void
wake(struct plex_facet *facet)
{
    struct data *data = facet->data;

    /* In the order in which they were due. */
    for (;;) {
        struct timer *next = NULL;

        for (int i = 0; i < TIMERS_MAX; i++) {
            struct timer *timer = &data->at[i];

            if (timer->name[0] != '\0' && timer->due_ns <= facet->now_ns &&
                (next == NULL || timer->due_ns < next->due_ns))
                next = timer;
        }
        if (next == NULL)
            break;
        timer_fire(facet, next);
    }
    wake_set(facet);
}

static int
list(struct plex_facet *facet, struct plex_facet_out *out)
{
    const struct data *data = facet->data;
    char *text = plex_facet_alloc(facet, TIMERS_MAX * 64 + 1), *at = text;

    for (int i = 0; i < TIMERS_MAX; i++)
        if (data->at[i].name[0] != '\0')
            at += sprintf(at, "%s\n", data->at[i].name);
    out->payload = text;
    out->len = (size_t)(at - text);
    return 0;
}

/* "set" and one timer as the configuration has it; "cancel" and a name; "list".
 */
static int
invoke(struct plex_facet *facet, const char *op, const void *in, size_t len,
       struct plex_facet_out *out)
{
    const struct config *config = facet->config;
    struct data *data = facet->data;
    struct timer timer, *to;
    uint64_t n = 0;
    char text[160];

    if (strcmp(op, "list") == 0)
        return list(facet, out);
    if (len >= sizeof text)
        return -PLEX_INVALID;
    (void)snprintf(text, sizeof text, "%.*s", (int)len, (const char *)in);
    if (strcmp(op, "cancel") == 0) {
        to = text[0] == '\0' ? NULL : timer_find(data, text);
        if (to == NULL)
            return -PLEX_NOT_FOUND;
        *to = (struct timer){0};
        wake_set(facet);
        return 0;
    }
    if (strcmp(op, "set") != 0)
        return -PLEX_UNSUPPORTED;
    if (!timer_parse(text, config, &timer))
        return -PLEX_INVALID;
    for (int i = 0; i < TIMERS_MAX; i++)
        n += data->at[i].name[0] != '\0';
    to = timer_find(data, timer.name);
    if (to == NULL && n >= config->max_timers)
        return -PLEX_LIMIT;
    if (to == NULL)
        to = timer_find(data, "");
    *to = timer;
    if (data->started)
        timer_start(facet, to);
    wake_set(facet);
    return 0;
}

/* As the configuration has them, each with the time that is left. */
static const void *
save(struct plex_facet *facet, size_t *len)
{
    const struct data *data = facet->data;
    char *text = plex_facet_alloc(facet, TIMERS_MAX * 160), *at = text;

    for (int i = 0; i < TIMERS_MAX; i++) {
        const struct timer *timer = &data->at[i];
        const uint64_t left_ms =
            timer->due_ns == UINT64_MAX ? timer->delay_ms
            : timer->due_ns <= facet->now_ns
                ? 0
                : (timer->due_ns - facet->now_ns + RT_FACET_MS - 1) /
                      RT_FACET_MS;

        if (timer->name[0] != '\0')
            at += sprintf(at, "%s%s=%" PRIu64 "%s after %" PRIu64,
                          at == text ? "" : ", ", timer->name,
                          timer->interval_ms == 0 ? 1 : timer->interval_ms,
                          timer->interval_ms == 0 ? " once" : "", left_ms);
    }
    *len = (size_t)(at - text);
    return text;
}

/* In place of those that there are. */
static int
restore(struct plex_facet *facet, const void *state, size_t len)
{
    struct data *data = facet->data, fresh = {.started = data->started};
    char *text = plex_facet_alloc(facet, len + 1), why[160];

    if (len > 0)
        memcpy(text, state, len);
    if (!timers_parse(text, facet->config, &fresh, why, sizeof why))
        return -1;
    for (int i = 0; i < TIMERS_MAX; i++)
        if (fresh.started && fresh.at[i].name[0] != '\0')
            timer_start(facet, &fresh.at[i]);
    *data = fresh;
    wake_set(facet);
    return 0;
}

const struct plex_facet_type rt_facet_timer = {
    .name = "timer",
    .priority = 50,
    .keys = keys,
    .config_size = sizeof(struct config),
    .data_size = sizeof(struct data),
    .check = check,
    .attach = attach,
    .init_complete = init_complete,
    .wake = wake,
    .invoke = invoke,
    .save = save,
    .restore = restore,
};
