/*
 * A schedule as a durable actor: its key is the schedule's id, its one timer
 * is the next occurrence. An occurrence is a message of the turn that counts
 * it, so it happens exactly once; its id is made of the schedule's and of its
 * own time, so that whoever gets it can tell. The state is JSON: {"spec",
 * "anchor_ms", "last_ms", "count", "seq", "skipped", "paused", "reason",
 * "running": [{"seq","id"}], "waiting": [MS], "backfill": [MS], "recent"}.
 */
#include "services/worker/builtin_schedule.h"

#include "workflow/value.h"
#include "workflow/when.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char timer_name[] = "schedule";

struct sched {
    struct plex_ctx *ctx;
    json_t *state;
    struct schedule_plan plan;
    int64_t now;
};

static const char *
self(const struct sched *s)
{
    return plex_self(s->ctx, NULL, NULL, NULL);
}

static int64_t
number(const struct sched *s, const char *field)
{
    return json_integer_value(json_object_get(s->state, field));
}

static void
number_set(struct sched *s, const char *field, int64_t value)
{
    json_object_set_new(s->state, field, json_integer(value));
}

static json_t *
list_of(struct sched *s, const char *field)
{
    return json_object_get(s->state, field);
}

static bool
is_paused(const struct sched *s)
{
    return json_is_true(json_object_get(s->state, "paused"));
}

static int
save(struct sched *s)
{
    char *text = json_dumps(s->state, JSON_COMPACT);

    if (text == NULL)
        return plex_fail(s->ctx, "the schedule cannot be written");
    plex_state_put(s->ctx, text, strlen(text));
    free(text);
    return 0;
}

static void
index_tell(struct sched *s)
{
    const json_t *spec = json_object_get(s->state, "spec");
    json_t *entry =
        json_pack("{s:s, s:O, s:O, s:b}", "id", self(s), "created_ms",
                  json_object_get(s->state, "anchor_ms"), "spec", spec,
                  "paused", is_paused(s));

    work_names_tell(s->ctx, &work_schedule_names, self(s), entry);
}

/* -- occurrences -----------------------------------------------------------
 */

static void
remember(struct sched *s, const char *id, const char *what)
{
    json_t *recent = list_of(s, "recent");

    if (json_array_size(recent) >= SCHEDULE_RECENT_MAX)
        json_array_remove(recent, 0);
    json_array_append_new(recent,
                          json_pack("{s:s, s:s, s:I}", "occurrence", id, "what",
                                    what, "at_ms", (json_int_t)s->now));
}

static void
occurrence_id(const struct sched *s, int64_t nominal, char *out, size_t size)
{
    char at[FLOW_TIME_TEXT];

    flow_time_format(nominal, at);
    (void)snprintf(out, size, "%s@%s", self(s), at);
}

static void
start_workflow(struct sched *s, const char *id, int64_t seq, json_t *input)
{
    work_builtin_cast(
        s->ctx, "workflow", id,
        json_pack("{s:s, s:s, s:s, s:o, s:{s:s}, s:{s:s, s:s, s:I, s:i}}",
                  "action", "start", "definition", s->plan.workflow, "version",
                  s->plan.version, "input", input, "labels", "schedule",
                  self(s), "parent", "type", "schedule", "execution", self(s),
                  "id", (json_int_t)seq, "attempt", 1));
}

static void
tell_actor(struct sched *s, int64_t seq, json_t *input)
{
    char *text = json_dumps(input, JSON_COMPACT);

    json_decref(input);
    if (text == NULL)
        (void)plex_fail(s->ctx, "the input cannot be written as JSON");
    else if (s->plan.call)
        plex_call(s->ctx, s->plan.type, s->plan.key, text, strlen(text),
                  (uint64_t)(s->plan.timeout_ms < 1 ? 1 : s->plan.timeout_ms),
                  (uint64_t)seq);
    else
        plex_cast(s->ctx, s->plan.type, s->plan.key, text, strlen(text));
    free(text);
}

/* It happens: a message of this turn. */
static void
fire(struct sched *s, const char *id, int64_t nominal)
{
    const int64_t seq = number(s, "seq") + 1;
    json_t *input = work_schedule_input(&s->plan, self(s), id, nominal);

    number_set(s, "seq", seq);
    if (s->plan.workflow != NULL)
        start_workflow(s, id, seq, input);
    else
        tell_actor(s, seq, input);
    if (s->plan.workflow != NULL || s->plan.call)
        json_array_append_new(
            list_of(s, "running"),
            json_pack("{s:I, s:s}", "seq", (json_int_t)seq, "id", id));
    remember(s, id, "started");
}

static void
fire_at(struct sched *s, int64_t nominal)
{
    char id[256];

    occurrence_id(s, nominal, id, sizeof id);
    fire(s, id, nominal);
}

static void
cancel_running(struct sched *s)
{
    json_t *running = list_of(s, "running"), *one;
    size_t i;

    json_array_foreach(running, i, one)
    {
        const char *id = json_string_value(json_object_get(one, "id"));

        if (s->plan.workflow != NULL)
            work_builtin_cast(s->ctx, "workflow", id,
                              json_pack("{s:s, s:s}", "action", "cancel",
                                        "reason",
                                        "the next occurrence is due"));
    }
    json_array_clear(running);
}

static void
decide(struct sched *s, int64_t nominal)
{
    json_t *waiting = list_of(s, "waiting");
    const size_t running = json_array_size(list_of(s, "running"));
    struct flow_schedule_state state = {
        .last_ms = number(s, "last_ms"),
        .count = (uint64_t)number(s, "count"),
        .running = (uint32_t)running,
        .waiting = (uint32_t)json_array_size(waiting),
    };
    enum flow_firing what =
        flow_schedule_fire(&s->plan.when, &state, nominal, s->now);
    char id[256];

    if (what == FLOW_FIRE_START && running >= SCHEDULE_RUNNING_MAX) {
        what = FLOW_FIRE_SKIP;
        state.count--;
    }
    number_set(s, "last_ms", nominal);
    number_set(s, "count", (int64_t)state.count);
    if (what == FLOW_FIRE_REPLACE)
        cancel_running(s);
    if (what == FLOW_FIRE_START || what == FLOW_FIRE_REPLACE) {
        fire_at(s, nominal);
    } else if (what == FLOW_FIRE_WAIT) {
        json_array_append_new(waiting, json_integer(nominal));
    } else {
        occurrence_id(s, nominal, id, sizeof id);
        number_set(s, "skipped", number(s, "skipped") + 1);
        remember(s, id, "skipped");
    }
}

/* The next nominal time; INT64_MAX: none. */
static int64_t
next_of(const struct sched *s, int64_t after)
{
    const struct flow_schedule *when = &s->plan.when;

    if (when->max_count > 0 && (uint64_t)number(s, "count") >= when->max_count)
        return INT64_MAX;
    return flow_schedule_next(when, s->plan.zone, after);
}

static int64_t
due_of(const struct sched *s, int64_t nominal)
{
    return nominal == INT64_MAX
               ? INT64_MAX
               : flow_schedule_due(&s->plan.when, nominal,
                                   (uint64_t)number(s, "seed"));
}

/* What has been missed for longer than the window is passed over at once. */
static void
pass_over(struct sched *s)
{
    const int64_t window = s->plan.when.catchup_ms;
    const int64_t from = s->now - window - 1;

    if (window > 0 && number(s, "last_ms") < from &&
        next_of(s, number(s, "last_ms")) <= from) {
        number_set(s, "last_ms", from);
        number_set(s, "passed_over_ms", s->now);
    }
}

static void
timer_arm(struct sched *s, bool at_once)
{
    const int64_t due = due_of(s, next_of(s, number(s, "last_ms")));

    if (is_paused(s) || (!at_once && due == INT64_MAX))
        plex_timer_cancel(s->ctx, timer_name);
    else
        plex_timer_set(s->ctx, timer_name,
                       at_once || due <= s->now ? 0 : (uint64_t)(due - s->now),
                       "", 0);
}

/* All that is due, a bounded number in one turn; then the timer. */
static int
advance(struct sched *s)
{
    json_t *backfill = list_of(s, "backfill");
    int left = SCHEDULE_TURN_MAX;

    if (!is_paused(s))
        pass_over(s);
    for (; left > 0 && !is_paused(s); left--) {
        const int64_t nominal = next_of(s, number(s, "last_ms"));

        if (due_of(s, nominal) > s->now)
            break;
        decide(s, nominal);
    }
    for (; left > 0 && !is_paused(s) && json_array_size(backfill) > 0; left--) {
        fire_at(s, json_integer_value(json_array_get(backfill, 0)));
        json_array_remove(backfill, 0);
    }
    timer_arm(s, json_array_size(backfill) > 0);
    return save(s);
}

/* The occurrence with that number has ended: one that waited may begin. */
static int
occurrence_ended(struct sched *s, int64_t seq, bool succeeded)
{
    json_t *running = list_of(s, "running"), *waiting = list_of(s, "waiting");
    json_t *one = NULL;
    size_t i;

    json_array_foreach(running, i, one)
    {
        if (json_integer_value(json_object_get(one, "seq")) == seq)
            break;
    }
    if (i == json_array_size(running))
        return 0;
    remember(s, json_string_value(json_object_get(one, "id")),
             succeeded ? "succeeded" : "failed");
    json_array_remove(running, i);
    if (json_array_size(running) == 0 && json_array_size(waiting) > 0) {
        fire_at(s, json_integer_value(json_array_get(waiting, 0)));
        json_array_remove(waiting, 0);
    }
    return save(s);
}

/* -- state -----------------------------------------------------------------
 */

/* Without a plan it cannot go on: it says so, and waits for somebody. */
static void
load_plan(struct sched *s)
{
    struct plex_err err;

    if (work_schedule_plan(json_object_get(s->state, "spec"),
                           number(s, "anchor_ms"), &s->plan, &err) == PLEX_OK)
        return;
    work_schedule_plan_fini(&s->plan);
    json_object_set_new(s->state, "paused", json_true());
    json_object_set_new(s->state, "reason", json_string(err.text));
    /* Only the zone can be at fault: the rest was right when it was made. */
    if (flow_zone_fixed("UTC", &s->plan.zone, &err) != PLEX_OK)
        s->plan.zone = NULL;
}

static bool
load(struct sched *s, struct plex_ctx *ctx)
{
    size_t len;
    const void *state = plex_state(ctx, &len);

    *s = (struct sched){.ctx = ctx, .now = (int64_t)plex_turn_ms(ctx)};
    s->state =
        state == NULL || len == 0 ? NULL : json_loadb(state, len, 0, NULL);
    if (s->state != NULL)
        load_plan(s);
    return s->state != NULL;
}

static void
unload(struct sched *s)
{
    work_schedule_plan_fini(&s->plan);
    json_decref(s->state);
}

static json_t *
describe(struct sched *s)
{
    json_t *out = json_copy(s->state), *upcoming = json_array();
    int64_t at = number(s, "last_ms");
    char text[FLOW_TIME_TEXT];

    for (int i = 0; i < 5 && !is_paused(s); i++) {
        at = next_of(s, at);
        if (at == INT64_MAX || (s->plan.when.max_count > 0 &&
                                (uint64_t)number(s, "count") + (uint64_t)i >=
                                    s->plan.when.max_count))
            break;
        flow_time_format(at, text);
        json_array_append_new(upcoming, json_string(text));
    }
    json_object_set_new(out, "id", json_string(self(s)));
    json_object_set_new(
        out, "backfill",
        json_integer((json_int_t)json_array_size(list_of(s, "backfill"))));
    json_object_del(out, "seed");
    json_object_del(out, "seq");
    json_object_set_new(out, "upcoming", upcoming);
    return out;
}

/* -- requests --------------------------------------------------------------
 */

static json_t *
spec_of(const json_t *request)
{
    json_t *spec = json_copy((json_t *)(uintptr_t)request);

    json_object_del(spec, "action");
    json_object_del(spec, "id");
    return spec;
}

/* Takes `spec`. */
static int
put(struct sched *s, json_t *spec)
{
    int64_t at = s->now;
    struct plex_err err;
    uint32_t seed;

    work_schedule_plan_fini(&s->plan);
    if (strlen(self(s)) > SCHEDULE_ID_MAX ||
        flow_value_size(spec, FLOW_VALUE_MAX) > FLOW_VALUE_MAX) {
        json_decref(spec);
        plex_reply_problem(s->ctx, 413,
                           "a schedule's id may have %d bytes, and all of it "
                           "256 KiB",
                           SCHEDULE_ID_MAX);
        return 0;
    }
    if (work_schedule_plan(spec, s->now, &s->plan, &err) != PLEX_OK) {
        json_decref(spec);
        return work_builtin_refuse(s->ctx, &err);
    }
    plex_turn_random(s->ctx, &seed, sizeof seed);
    if (s->plan.when.every_ms == INT64_MAX && s->plan.when.start_ms <= at)
        at = s->plan.when.start_ms - 1; /* once, and late */
    if (s->state == NULL)
        s->state =
            json_pack("{s:i, s:i, s:i, s:[], s:[], s:[], s:[], s:I}", "count",
                      0, "seq", 0, "skipped", 0, "running", "waiting",
                      "backfill", "recent", "seed", (json_int_t)seed);
    else
        json_object_set_new(s->state, "count", json_integer(0));
    json_object_set_new(s->state, "spec", spec);
    number_set(s, "anchor_ms", s->now);
    number_set(s, "last_ms", at);
    json_object_set_new(s->state, "paused", json_false());
    json_object_set_new(s->state, "reason", json_string(""));
    index_tell(s);
    if (advance(s) != 0)
        return -1;
    return work_builtin_reply(s->ctx, 200, describe(s));
}

static int
create(struct sched *s, const json_t *request)
{
    json_t *spec = spec_of(request);
    const bool same = s->state != NULL &&
                      flow_value_equal(spec, json_object_get(s->state, "spec"));

    if (s->state == NULL)
        return put(s, spec);
    json_decref(spec);
    if (same)
        return work_builtin_reply(s->ctx, 200, describe(s));
    plex_reply_problem(s->ctx, 409,
                       "schedule \"%.100s\" exists and is another; PUT "
                       "replaces it",
                       self(s));
    return 0;
}

static int
pause_set(struct sched *s, bool paused, const json_t *request)
{
    const char *reason = json_string_value(json_object_get(request, "reason"));
    struct plex_err err;

    if (!paused) { /* what paused it by itself may be mended */
        work_schedule_plan_fini(&s->plan);
        if (work_schedule_plan(json_object_get(s->state, "spec"),
                               number(s, "anchor_ms"), &s->plan,
                               &err) != PLEX_OK)
            return work_builtin_refuse(s->ctx, &err);
        if (is_paused(s) && s->plan.when.every_ms != INT64_MAX)
            number_set(s, "last_ms", s->now); /* not what was due meanwhile */
    }
    json_object_set_new(s->state, "paused", json_boolean(paused));
    json_object_set_new(s->state, "reason",
                        json_string(reason == NULL || !paused ? "" : reason));
    index_tell(s);
    if (advance(s) != 0)
        return -1;
    return work_builtin_reply(s->ctx, 200, describe(s));
}

static int
trigger(struct sched *s)
{
    char at[FLOW_TIME_TEXT], id[256];

    if (json_array_size(list_of(s, "running")) >= SCHEDULE_RUNNING_MAX) {
        plex_reply_problem(s->ctx, 429, "%d of it run already",
                           SCHEDULE_RUNNING_MAX);
        return 0;
    }
    flow_time_format(s->now, at);
    (void)snprintf(id, sizeof id, "%s@manual-%s-%lld", self(s), at,
                   (long long)number(s, "seq") + 1);
    fire(s, id, s->now);
    if (save(s) != 0)
        return -1;
    return work_builtin_reply(s->ctx, 200,
                              json_pack("{s:s}", "occurrence", id));
}

static int
backfill(struct sched *s, const json_t *request)
{
    const char *from = json_string_value(json_object_get(request, "start_at"));
    const char *to = json_string_value(json_object_get(request, "end_at"));
    json_t *list = list_of(s, "backfill");
    struct flow_schedule when = s->plan.when;
    int64_t times[SCHEDULE_BACKFILL_MAX + 1], from_ms, to_ms;
    size_t n;

    if (from == NULL || to == NULL || !flow_time_parse(from, &from_ms) ||
        !flow_time_parse(to, &to_ms) || from_ms >= to_ms) {
        plex_reply_problem(s->ctx, 400,
                           "start_at and end_at are needed, times such as "
                           "2026-12-01T08:00:00Z, the first before the second");
        return 0;
    }
    if (!when.by_cron && when.every_ms < INT64_MAX && when.start_ms > from_ms)
        when.start_ms -= /* the same raster, further back */
            ((when.start_ms - from_ms) / when.every_ms) * when.every_ms;
    n = flow_schedule_between(&when, s->plan.zone, from_ms, to_ms, times,
                              SCHEDULE_BACKFILL_MAX + 1);
    if (n + json_array_size(list) > SCHEDULE_BACKFILL_MAX) {
        plex_reply_problem(s->ctx, 413,
                           "that is more than %d occurrences; take less at a "
                           "time",
                           SCHEDULE_BACKFILL_MAX);
        return 0;
    }
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_integer(times[i]));
    if (advance(s) != 0)
        return -1;
    return work_builtin_reply(s->ctx, 200,
                              json_pack("{s:I}", "occurrences", (json_int_t)n));
}

static int
forget(struct sched *s)
{
    plex_timer_cancel(s->ctx, timer_name);
    plex_state_put(s->ctx, "", 0);
    work_names_untell(s->ctx, &work_schedule_names, self(s));
    return work_builtin_reply(s->ctx, 200, json_object());
}

static int
obey(struct sched *s, const char *action, const json_t *request)
{
    if (strcmp(action, "create") == 0)
        return create(s, request);
    if (strcmp(action, "update") == 0)
        return put(s, spec_of(request));
    if (s->state == NULL) {
        plex_reply_problem(s->ctx, 404, "schedule \"%.100s\" does not exist",
                           self(s));
        return 0;
    }
    if (strcmp(action, "get") == 0)
        return work_builtin_reply(s->ctx, 200, describe(s));
    if (strcmp(action, "pause") == 0)
        return pause_set(s, true, request);
    if (strcmp(action, "resume") == 0)
        return pause_set(s, false, request);
    if (strcmp(action, "trigger") == 0)
        return trigger(s);
    if (strcmp(action, "backfill") == 0)
        return backfill(s, request);
    if (strcmp(action, "delete") == 0)
        return forget(s);
    if (strcmp(action, "child_done") == 0)
        return occurrence_ended(
            s, json_integer_value(json_object_get(request, "id")),
            json_is_true(json_object_get(request, "ok")));
    plex_reply_problem(s->ctx, 400, "action \"%.40s\" is not known", action);
    return 0;
}

int
work_schedule_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *action;
    json_t *request = work_builtin_request(ctx, msg, &action);
    struct sched s;
    int result;

    if (request == NULL)
        return 0;
    (void)load(&s, ctx);
    result = obey(&s, action, request);
    unload(&s);
    json_decref(request);
    return result;
}

int
work_schedule_reply(struct plex_ctx *ctx, uint64_t tag,
                    enum plex_result_status status, const void *payload,
                    size_t len)
{
    struct sched s;
    int result = 0;

    (void)payload;
    (void)len;
    if (load(&s, ctx))
        result = occurrence_ended(&s, (int64_t)tag, status == PLEX_CALL_OK);
    unload(&s);
    return result;
}

int
work_schedule_timer(struct plex_ctx *ctx, const char *timer,
                    const void *payload, size_t len)
{
    struct sched s;
    int result = 0;

    (void)timer;
    (void)payload;
    (void)len;
    if (load(&s, ctx))
        result = advance(&s);
    unload(&s);
    return result;
}
