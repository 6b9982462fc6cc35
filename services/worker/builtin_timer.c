/*
 * The timers and reminders of one actor, as a durable actor beside it: its key
 * is TYPE.KEY, and each of them is one of its own timers, so that what is due
 * is one turn and its message, exactly once. The state is JSON, by id
 * ("timer:NAME", "reminder:NAME"): {"spec", "anchor_ms", "last_ms", "count",
 * "missed", "fired_ms", "next_ms", "error"}; next_ms 0: it has ended.
 */
#include "services/worker/builtin_schedule.h"

#include "common/name.h"
#include "workflow/value.h"
#include "workflow/when.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NAME_MAX_BYTES = 100, /* with its kind it names a timer of ours */
    ACTIVE_MAX = 300,     /* each turn writes all of them */
    ENDED_MAX = 100,      /* that are still shown */
    DATA_MAX = 64 << 10,
    STATE_MAX = 1 << 20,
    INTERVAL_MIN_MS = 10,
    PAGE_DEFAULT = 50,
    PAGE_MAX = 1000,
};
#define DAY_MS ((int64_t)86400000)
#define FAR_MS (3650 * DAY_MS) /* the furthest that a timer may be */

struct timers {
    struct plex_ctx *ctx;
    json_t *all;
    json_int_t now;
    char type[PLEX_TYPE_MAX + 1];
    const char *key;
    /* of the request */
    const char *kind; /* "timer" or "reminder" */
    const char *name;
    char id[NAME_MAX_BYTES + 16];
};

static int
refuse(struct timers *t, unsigned status, const char *text)
{
    plex_reply_problem(t->ctx, status, "%s \"%.128s\" of %s/%.200s %s", t->kind,
                       t->name, t->type, t->key, text);
    return 0;
}

static json_int_t
number(const json_t *object, const char *field)
{
    return json_integer_value(json_object_get(object, field));
}

static void
number_set(json_t *object, const char *field, int64_t value)
{
    json_object_set_new(object, field, json_integer(value));
}

static const char *
text_of(const json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(object, field));

    return text == NULL ? "" : text;
}

/* -- state ------------------------------------------------------------------
 */

static void
load(struct timers *t, struct plex_ctx *ctx)
{
    size_t len;
    const void *state = plex_state(ctx, &len);
    const char *self = plex_self(ctx, NULL, NULL, NULL);
    const char *dot = strchr(self, '.');
    const size_t type_len = dot == NULL ? 0 : (size_t)(dot - self);

    *t = (struct timers){.ctx = ctx, .kind = "timer", .name = "", .key = ""};
    t->now = (json_int_t)plex_turn_ms(ctx);
    if (type_len < sizeof t->type && dot != NULL) {
        memcpy(t->type, self, type_len);
        t->key = dot + 1;
    }
    if (state != NULL && len > 0)
        t->all = json_loadb(state, len, 0, NULL);
    if (t->all == NULL)
        t->all = json_object();
}

static int
save(struct timers *t)
{
    char *text = json_dumps(t->all, JSON_COMPACT | JSON_SORT_KEYS);

    if (text == NULL)
        return plex_fail(t->ctx, "the timers cannot be written");
    plex_state_put(t->ctx, text,
                   json_object_size(t->all) == 0 ? 0 : strlen(text));
    free(text);
    return 0;
}

/* -- what a registration means ----------------------------------------------
 */

/* FIELD as text or FIELD_ms; -1: there is none. */
static enum plex_status
span_of(const json_t *spec, const char *field,
        bool (*parse)(const char *text, int64_t *ms), int64_t *out,
        struct plex_err *err)
{
    const char *text = text_of(spec, field);
    char name[32];
    const json_t *ms;

    (void)snprintf(name, sizeof name, "%s_ms", field);
    ms = json_object_get(spec, name);
    *out = -1;
    if (json_is_integer(ms))
        *out = json_integer_value(ms);
    else if (text[0] == '\0')
        return PLEX_OK;
    else if (!parse(text, out))
        return plex_err_set(
            err, PLEX_INVALID, "%s \"%.40s\" is no %s", field, text,
            parse == flow_time_parse ? "time such as 2026-12-01T08:00:00Z"
                                     : "duration such as 90s or 1h30m");
    return *out >= 0 ? PLEX_OK
                     : plex_err_set(err, PLEX_INVALID, "%s is negative", field);
}

/* The same in the words of a schedule. */
static enum plex_status
schedule_of(const json_t *spec, json_int_t anchor, json_t *out,
            struct plex_err *err)
{
    static const char *const same[] = {"cron", "time_zone", "end_at",
                                       "end_at_ms", "max_occurrences"};
    const bool cron = text_of(spec, "cron")[0] != '\0';
    int64_t interval, first, delay;

    if (span_of(spec, "interval", flow_duration_parse, &interval, err) !=
            PLEX_OK ||
        span_of(spec, "first_fire_time", flow_time_parse, &first, err) !=
            PLEX_OK ||
        span_of(spec, "delay", flow_duration_parse, &delay, err) != PLEX_OK)
        return err->status;
    if (interval >= 0 && interval < INTERVAL_MIN_MS)
        return plex_err_set(err, PLEX_INVALID, "interval is below %d ms",
                            INTERVAL_MIN_MS);
    if ((cron && interval >= 0) || (first >= 0 && delay >= 0) ||
        (!cron && interval < 0 && first < 0 && delay < 0))
        return plex_err_set(err, PLEX_INVALID,
                            "one of cron and interval is needed, or once: one "
                            "of first_fire_time and delay");
    if (delay > 366 * DAY_MS)
        return plex_err_set(err, PLEX_INVALID, "delay is over 366 days");
    if (delay >= 0)
        first = anchor + delay;
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        if (json_object_get(spec, same[i]) != NULL)
            json_object_set(out, same[i], json_object_get(spec, same[i]));
    if (interval >= 0)
        number_set(out, "every_ms", interval);
    if (first >= 0)
        number_set(out, cron || interval >= 0 ? "start_at_ms" : "at_ms",
                   first > 0 ? first : 1);
    json_object_set_new(out, "workflow", json_string("")); /* one is needed */
    return PLEX_OK;
}

static enum plex_status
plan_of(const json_t *spec, json_int_t anchor, struct schedule_plan *plan,
        struct plex_err *err)
{
    json_t *schedule = json_object();
    enum plex_status status = schedule_of(spec, anchor, schedule, err);

    *plan = (struct schedule_plan){.zone = NULL};
    if (status == PLEX_OK)
        status = work_schedule_plan(schedule, anchor, plan, err);
    if (status != PLEX_OK)
        work_schedule_plan_fini(plan);
    /* Only `when` and `zone` are used: the rest borrows from it. */
    json_decref(schedule);
    return status;
}

/* -- what is due ------------------------------------------------------------
 */

static int64_t
next_of(const struct schedule_plan *plan, const json_t *entry, int64_t after)
{
    if (plan->when.max_count > 0 &&
        (uint64_t)number(entry, "count") >= plan->when.max_count)
        return INT64_MAX;
    return flow_schedule_next(&plan->when, plan->zone, after);
}

static void
arm(struct timers *t, const char *id, json_t *entry,
    const struct schedule_plan *plan)
{
    const int64_t next = next_of(plan, entry, number(entry, "last_ms"));

    number_set(entry, "next_ms", next == INT64_MAX ? 0 : next);
    if (next == INT64_MAX)
        plex_timer_cancel(t->ctx, id);
    else /* what is further off is looked at again then */
        plex_timer_set(t->ctx, id,
                       next <= t->now           ? 0
                       : next - t->now > FAR_MS ? (uint64_t)FAR_MS
                                                : (uint64_t)(next - t->now),
                       "", 0);
}

/* The newest time that is due, from `first` on; how many came before it.
 * Of a cron those of more than a day ago are not counted. */
static int64_t
newest_due(const struct timers *t, const struct schedule_plan *plan,
           int64_t first, int64_t *passed)
{
    int64_t newest = first, next;

    *passed = 0;
    if (!plan->when.by_cron) {
        const int64_t every = plan->when.every_ms;
        int64_t end = t->now;

        if (plan->when.end_ms > 0 && plan->when.end_ms - 1 < end)
            end = plan->when.end_ms - 1;
        *passed = every == INT64_MAX || end < first ? 0 : (end - first) / every;
        return first + (*passed == 0 ? 0 : *passed * every);
    }
    next = first > t->now - DAY_MS ? first : t->now - DAY_MS;
    while ((next = flow_schedule_next(&plan->when, plan->zone, next)) <=
           t->now) {
        newest = next;
        ++*passed;
    }
    return newest;
}

static void
tell(struct timers *t, const json_t *entry, int64_t nominal)
{
    const json_t *spec = json_object_get(entry, "spec");
    json_t *data = json_object_get(spec, "callback_data");
    const char *method = text_of(spec, "method");
    char at[FLOW_TIME_TEXT];
    json_t *message;

    flow_time_format(nominal, at);
    message = json_pack(
        "{s:s, s:s, s:O?, s:{s:o, s:o, s:s, s:I, s:I}}", "action",
        method[0] == '\0' ? t->kind : method, t->kind, t->name, "payload", data,
        "schedule", "id", json_sprintf("%s.%s.%s", t->type, t->key, t->name),
        "occurrence", json_sprintf("%s.%s.%s@%s", t->type, t->key, t->name, at),
        "at", at, "at_ms", (json_int_t)nominal, "count",
        number(entry, "count"));
    work_builtin_cast(t->ctx, t->type, t->key, message);
}

static void
fire(struct timers *t, json_t *entry, const struct schedule_plan *plan)
{
    const int64_t first = next_of(plan, entry, number(entry, "last_ms"));
    int64_t passed, nominal;

    if (first > t->now)
        return;
    nominal = newest_due(t, plan, first, &passed);
    number_set(entry, "last_ms", nominal);
    number_set(entry, "count", number(entry, "count") + 1);
    number_set(entry, "missed", number(entry, "missed") + passed);
    number_set(entry, "fired_ms", t->now);
    tell(t, entry, nominal);
}

/* The oldest of those that have ended, once there are too many. */
static void
forget_ended(struct timers *t)
{
    const char *id, *oldest = NULL;
    json_t *entry;
    size_t ended = 0;

    json_object_foreach(t->all, id, entry)
    {
        if (number(entry, "next_ms") != 0)
            continue;
        ended++;
        if (oldest == NULL ||
            number(entry, "fired_ms") <
                number(json_object_get(t->all, oldest), "fired_ms"))
            oldest = id;
    }
    if (ended > ENDED_MAX)
        json_object_del(t->all, oldest);
}

/* -- requests ---------------------------------------------------------------
 */

/* A reference to the answer about one. */
static json_t *
describe(const char *id, const json_t *entry)
{
    const char *name = strchr(id, ':') + 1;
    const bool timer = id[0] == 't';
    const json_int_t next = number(entry, "next_ms");
    char at[FLOW_TIME_TEXT] = "";

    if (next != 0)
        flow_time_format(next, at);
    return json_pack(
        "{s:s, s:O, s:b, s:I, s:I, s:I, s:I, s:I, s:s, s:s}",
        timer ? "timer_name" : "reminder_name", name, "registration",
        json_object_get(entry, "spec"), "is_active", next != 0, "fire_count",
        number(entry, "count"), "missed", number(entry, "missed"),
        "registered_ms", number(entry, "anchor_ms"), "last_fired_ms",
        number(entry, "fired_ms"), "next_fire_time_ms", next, "next_fire_time",
        at, "error", text_of(entry, "error"));
}

static bool
room_left(struct timers *t, const json_t *spec)
{
    const json_t *data = json_object_get(spec, "callback_data");
    const char *id;
    json_t *entry;
    size_t active = 0;

    json_object_foreach(t->all, id, entry)
    {
        active += number(entry, "next_ms") != 0 && strcmp(id, t->id) != 0;
    }
    if (active >= ACTIVE_MAX)
        plex_reply_problem(t->ctx, 429, "%s/%.200s has %d timers already",
                           t->type, t->key, ACTIVE_MAX);
    else if (data != NULL && flow_value_size(data, DATA_MAX) > DATA_MAX)
        plex_reply_problem(t->ctx, 413, "callback_data is over 64 KiB");
    else if (flow_value_size(t->all, STATE_MAX) +
                 flow_value_size(spec, STATE_MAX) >
             STATE_MAX)
        plex_reply_problem(t->ctx, 413,
                           "all timers of an actor may have 1 MiB together");
    else
        return true;
    return false;
}

static int
set(struct timers *t, json_t *spec)
{
    struct schedule_plan plan;
    struct plex_err err;
    int64_t last = t->now, next;
    json_t *entry;

    if (!room_left(t, spec))
        return 0;
    if (plan_of(spec, t->now, &plan, &err) != PLEX_OK)
        return work_builtin_refuse(t->ctx, &err);
    if (plan.when.every_ms == INT64_MAX && plan.when.start_ms <= last)
        last = plan.when.start_ms - 1; /* once, and late */
    else if (plan.when.start_ms == last &&
             (json_object_get(spec, "delay") != NULL ||
              json_object_get(spec, "delay_ms") != NULL))
        last--; /* at once, and then again */
    entry = json_pack("{s:O, s:I, s:I, s:i}", "spec", spec, "anchor_ms", t->now,
                      "last_ms", (json_int_t)last, "count", 0);
    next = next_of(&plan, entry, last);
    if (next == INT64_MAX || next - t->now > FAR_MS) {
        json_decref(entry);
        work_schedule_plan_fini(&plan);
        return refuse(t, 400,
                      next == INT64_MAX ? "would never be due"
                                        : "would be due in over ten years");
    }
    json_object_set_new(t->all, t->id, entry);
    arm(t, t->id, entry, &plan);
    work_schedule_plan_fini(&plan);
    if (save(t) != 0)
        return -1;
    return work_builtin_reply(t->ctx, 200, describe(t->id, entry));
}

static int
put(struct timers *t, const json_t *request, bool replaces)
{
    json_t *spec = json_copy((json_t *)(uintptr_t)request);
    json_t *entry = json_object_get(t->all, t->id);
    int result;

    json_object_del(spec, "action");
    json_object_del(spec, "actor_id");
    json_object_del(spec, "timer_name");
    json_object_del(spec, "reminder_name");
    if (entry == NULL || replaces || number(entry, "next_ms") == 0)
        result = set(t, spec);
    else if (flow_value_equal(spec, json_object_get(entry, "spec")))
        result = work_builtin_reply(t->ctx, 200, describe(t->id, entry));
    else
        result = refuse(t, 409, "exists and is another; PUT replaces it");
    json_decref(spec);
    return result;
}

static int
unregister(struct timers *t)
{
    if (json_object_del(t->all, t->id) != 0)
        return refuse(t, 404, "does not exist");
    plex_timer_cancel(t->ctx, t->id);
    if (save(t) != 0)
        return -1;
    return work_builtin_reply(t->ctx, 200, json_object());
}

/* By name: the state is written sorted. */
static int
list(struct timers *t, const json_t *request)
{
    const char *token = text_of(request, "page_token"), *id, *last = "";
    const size_t skip = strlen(t->kind) + 1;
    json_int_t size = number(request, "page_size");
    json_t *rows = json_array(), *entry, *out;
    bool more = false;

    if (size <= 0 || size > PAGE_MAX)
        size = size <= 0 ? PAGE_DEFAULT : PAGE_MAX;
    json_object_foreach(t->all, id, entry)
    {
        if (id[0] != t->kind[0] || strcmp(id + skip, token) <= 0)
            continue;
        more = json_array_size(rows) == (size_t)size;
        if (more)
            break;
        json_array_append_new(rows, describe(id, entry));
        last = id + skip;
    }
    out = json_pack("{s:o}", t->kind[0] == 't' ? "timers" : "reminders", rows);
    if (more)
        json_object_set_new(out, "nextPageToken", json_string(last));
    return work_builtin_reply(t->ctx, 200, out);
}

static bool
name_take(struct timers *t, const json_t *request)
{
    struct plex_err err;
    size_t len;

    t->name =
        text_of(request, t->kind[0] == 't' ? "timer_name" : "reminder_name");
    len = strlen(t->name);
    if (len == 0 || len > NAME_MAX_BYTES ||
        plex_name_key(t->name, len, &err) != PLEX_OK) {
        plex_reply_problem(t->ctx, 400,
                           "%s_name must be 1 to %d bytes without control "
                           "characters and \"/\"",
                           t->kind, NAME_MAX_BYTES);
        return false;
    }
    (void)snprintf(t->id, sizeof t->id, "%s:%s", t->kind, t->name);
    return true;
}

static int
obey(struct timers *t, const char *action, const json_t *request)
{
    const char *what = strchr(action, '.');

    if (what == NULL || t->type[0] == '\0')
        what = ".";
    what++;
    t->kind = action[0] == 't' ? "timer" : "reminder";
    if (strcmp(what, "list") == 0)
        return list(t, request);
    if (!name_take(t, request))
        return 0;
    if (strcmp(what, "register") == 0)
        return put(t, request, false);
    if (strcmp(what, "replace") == 0)
        return put(t, request, true);
    if (strcmp(what, "unregister") == 0)
        return unregister(t);
    if (strcmp(what, "get") != 0)
        plex_reply_problem(t->ctx, 400, "action \"%.40s\" is not known",
                           action);
    else if (json_object_get(t->all, t->id) == NULL)
        return refuse(t, 404, "does not exist");
    else
        return work_builtin_reply(
            t->ctx, 200, describe(t->id, json_object_get(t->all, t->id)));
    return 0;
}

int
work_timers_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *action;
    json_t *request = work_builtin_request(ctx, msg, &action);
    struct timers t;
    int result;

    if (request == NULL)
        return 0;
    load(&t, ctx);
    result = obey(&t, action, request);
    json_decref(t.all);
    json_decref(request);
    return result;
}

int
work_timers_timer(struct plex_ctx *ctx, const char *timer, const void *payload,
                  size_t len)
{
    struct schedule_plan plan;
    struct plex_err err;
    struct timers t;
    json_t *entry;
    int result = 0;

    (void)payload;
    (void)len;
    load(&t, ctx);
    t.kind = timer[0] == 't' ? "timer" : "reminder";
    t.name = strchr(timer, ':') == NULL ? "" : strchr(timer, ':') + 1;
    entry = json_object_get(t.all, timer);
    if (entry != NULL) {
        if (plan_of(json_object_get(entry, "spec"), number(entry, "anchor_ms"),
                    &plan, &err) == PLEX_OK) {
            fire(&t, entry, &plan);
            arm(&t, timer, entry, &plan);
            work_schedule_plan_fini(&plan);
        } else { /* the time zone is not on this worker */
            number_set(entry, "next_ms", 0);
            json_object_set_new(entry, "error", json_string(err.text));
        }
        forget_ended(&t);
        result = save(&t);
    }
    json_decref(t.all);
    return result;
}
