/* Event-sourced actors: events that a turn persists, and states that are made
 * of them again. Also the migration of states, which is as restricted. */
#include "services/worker/handler_private.h"

#include "common/mem.h"
#include "common/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of one turn; its input shares the record. */
enum { TURN_EVENTS_BYTES_MAX = 2 << 20 };

/* -- what apply() and migrate() may do ---------------------------------------
 */

static int
apply_refuse(struct plex_ctx *ctx)
{
    const struct work_handler *h = work_handler_of(ctx);

    return work_handler_fail(
        ctx,
        h->events.now != NULL
            ? "apply() may only look at the event and put the state: it is "
              "run again whenever the state is rebuilt"
            : "migrate() may only put the state");
}

static uint64_t
apply_now_ms(struct plex_ctx *ctx)
{
    const struct plex_event *event = work_handler_of(ctx)->events.now;

    return event == NULL ? 0 : event->at_ms;
}

static uint64_t
apply_epoch(struct plex_ctx *ctx)
{
    (void)apply_refuse(ctx);
    return 0;
}

static void
apply_random(struct plex_ctx *ctx, void *out, size_t len)
{
    memset(out, 0, len);
    (void)apply_refuse(ctx);
}

static void
apply_state_put(struct plex_ctx *ctx, const void *state, size_t len)
{
    work_handler_state_put(work_handler_of(ctx), state, len);
}

static void
apply_reply(struct plex_ctx *ctx, uint32_t http_status,
            const char *content_type, const void *payload, size_t len)
{
    (void)http_status, (void)content_type, (void)payload, (void)len;
    (void)apply_refuse(ctx);
}

static void
apply_reply_header(struct plex_ctx *ctx, const char *name, const char *value)
{
    (void)name, (void)value;
    (void)apply_refuse(ctx);
}

static void
apply_send(struct plex_ctx *ctx, bool is_call, uint64_t tag,
           uint64_t timeout_ms, const char *type, const char *key,
           const void *payload, size_t len)
{
    (void)is_call, (void)tag, (void)timeout_ms, (void)type, (void)key;
    (void)payload, (void)len;
    (void)apply_refuse(ctx);
}

static void
apply_timer_set(struct plex_ctx *ctx, const char *name, uint64_t delay_ms,
                const void *payload, size_t len)
{
    (void)name, (void)delay_ms, (void)payload, (void)len;
    (void)apply_refuse(ctx);
}

static void
apply_timer_cancel(struct plex_ctx *ctx, const char *name)
{
    (void)name;
    (void)apply_refuse(ctx);
}

static int
apply_json_text(struct plex_ctx *ctx, const char *field, const char **out)
{
    return work_json_text(&work_handler_of(ctx)->events.json, field, out);
}

static int
apply_json_int(struct plex_ctx *ctx, const char *field, int64_t *out)
{
    return work_json_int(&work_handler_of(ctx)->events.json, field, out);
}

static const char *
apply_header(struct plex_ctx *ctx, const char *name)
{
    (void)name;
    (void)apply_refuse(ctx);
    return NULL;
}

static void
apply_problem(struct plex_ctx *ctx, uint32_t http_status, const char *text)
{
    (void)http_status, (void)text;
    (void)apply_refuse(ctx);
}

static const struct plex_ctx_ops apply_ops = {
    .abi = PLEX_ABI,
    .self = work_handler_self,
    .now_ms = apply_now_ms,
    .epoch = apply_epoch,
    .random = apply_random,
    .state = work_handler_state,
    .state_put = apply_state_put,
    .reply = apply_reply,
    .reply_header = apply_reply_header,
    .fail = work_handler_fail,
    .send = apply_send,
    .timer_set = apply_timer_set,
    .timer_cancel = apply_timer_cancel,
    .log = work_handler_log,
    .json_text = apply_json_text,
    .json_int = apply_json_int,
    .header = apply_header,
    .problem = apply_problem,
};

/* What the callback around it may do comes back afterwards. */
struct before {
    const struct plex_ctx_ops *ops;
    const struct plex_process_ops *process;
};

static struct before
apply_enter(struct work_handler *h, const struct plex_event *event)
{
    const struct before before = {h->ctx.ops, h->ctx.process};

    h->events.applying = true;
    h->events.now = event;
    work_json_init(&h->events.json,
                   event == NULL
                       ? (struct plex_bytes){0}
                       : (struct plex_bytes){event->data, event->len});
    h->ctx.ops = &apply_ops;
    h->ctx.process = NULL;
    return before;
}

static void
apply_leave(struct work_handler *h, struct before before)
{
    h->ctx.ops = before.ops;
    h->ctx.process = before.process;
    work_json_fini(&h->events.json);
    h->events.now = NULL;
    h->events.applying = false;
}

static void
event_apply(struct work_handler *h, const struct plex_event *event)
{
    const struct before before = apply_enter(h, event);
    char text[400];

    if (h->turn->behaviour->apply(&h->ctx, event) != 0 && !h->failed) {
        (void)snprintf(text, sizeof text,
                       "apply() refused event %s without saying why",
                       event->type);
        (void)work_handler_fail(&h->ctx, text);
    }
    apply_leave(h, before);
}

/* -- a turn that persists ----------------------------------------------------
 */

static const char *
event_problem(const struct work_handler *h, const char *type, size_t len)
{
    const size_t type_len = type == NULL ? 0 : strlen(type);

    if (h->turn->behaviour->apply == NULL)
        return "the behaviour persists events, and has no apply()";
    if (!h->run->run.durable)
        return "only durable actors persist events: the type is not durable";
    if (h->open.in_effect)
        return "an effect persisted an event: it is not run again in a replay";
    if (type_len == 0 || type_len > WORK_EVENT_TYPE_MAX ||
        !plex_utf8_valid((const uint8_t *)type, type_len))
        return "the type of an event must be 1 to 255 bytes of UTF-8";
    if (len > WORK_EVENT_BYTES_MAX)
        return "an event is larger than 1 MiB";
    if (h->events.n == WORK_EVENTS_MAX)
        return "the turn persists more than 1000 events";
    if (h->events.bytes + type_len + len > TURN_EVENTS_BYTES_MAX)
        return "the events of the turn are larger than 2 MiB";
    return NULL;
}

static void
row_add(struct work_handler *h, const struct work_event *event)
{
    struct work_handler_events *events = &h->events;

    if (events->n == events->cap) {
        events->cap = events->cap == 0 ? 8 : events->cap * 2;
        events->rows =
            plex_reallocarray(events->rows, events->cap, sizeof *events->rows);
    }
    events->rows[events->n++] = *event;
    events->bytes += strlen(event->type) + event->data.len;
}

int
work_events_persist(struct plex_ctx *ctx, const char *type, const void *data,
                    size_t len)
{
    struct work_handler *h = work_handler_of(ctx);
    const char *problem = event_problem(h, type, len);
    struct work_event row;
    struct plex_event event;

    if (problem != NULL)
        (void)work_handler_fail(ctx, problem);
    if (h->failed)
        return PLEX_E_FAILED;
    row.type = work_handler_text(h, type);
    row.data = work_handler_copy(h, data, len);
    if (h->failed)
        return PLEX_E_TOO_LARGE;
    row_add(h, &row);
    event = (struct plex_event){
        .type = row.type,
        .data = row.data.data,
        .len = row.data.len,
        .at_ms = h->open.now_ms,
        .schema_version = h->turn->behaviour->schema_version,
    };
    event_apply(h, &event);
    return h->failed ? PLEX_E_FAILED : 0;
}

void
work_events_end(struct work_handler *h, struct work_outcome *out)
{
    if (h->failed)
        h->events.n = 0;
    out->rebuilds = h->events.n > 0 && out->phase == WORK_ENDED;
}

void
work_events_fini(struct work_handler *h)
{
    free(h->events.rows);
}

/* -- states that are made again ----------------------------------------------
 */

static void
record_apply(struct work_handler *h, const struct journal_record *from)
{
    struct work_record record;
    struct plex_err err;
    char text[400];

    plex_arena_reset(&h->arena);
    if (work_record_unpack(from->bytes, &h->arena, &record, &err) != PLEX_OK) {
        (void)snprintf(text, sizeof text, "turn %" PRIu64 ": %s", from->seq,
                       err.text);
        (void)work_handler_fail(&h->ctx, text);
        return;
    }
    for (size_t i = 0; i < record.n_events && !h->failed; i++) {
        const struct plex_event event = {
            .type = record.events[i].type,
            .data = record.events[i].data.data,
            .len = record.events[i].data.len,
            .at_ms = record.at_ms,
            .schema_version = from->schema_version,
        };

        event_apply(h, &event);
    }
}

/* h->error becomes the reason why the actor does not come into memory. */
static void
rebuilt_not(struct work_handler *h, uint64_t seq)
{
    char why[FAIL_TEXT_MAX];

    (void)snprintf(why, sizeof why, "%s", h->error);
    if (seq == 0)
        (void)snprintf(h->error, sizeof h->error,
                       "the stored state could not be migrated: %.400s", why);
    else
        (void)snprintf(h->error, sizeof h->error,
                       "the actor's state could not be rebuilt at turn "
                       "%" PRIu64 ": %.400s",
                       seq, why);
}

/* From the base, which is of schema `from`, to h->state. */
static void
migrate(struct work_handler *h, uint32_t from)
{
    const struct plex_behaviour *behaviour = h->turn->behaviour;
    struct before before;

    if (behaviour->migrate == NULL || !h->has_base ||
        from >= behaviour->schema_version)
        return;
    before = apply_enter(h, NULL);
    if (behaviour->migrate(&h->ctx, from) != 0)
        (void)work_handler_fail(&h->ctx, "migrate() failed without saying why");
    apply_leave(h, before);
    if (h->failed)
        rebuilt_not(h, 0);
}

void
work_events_adopt(struct work_handler *h, struct plex_bytes state,
                  uint32_t schema_version)
{
    h->has_base = true;
    h->base = state;
    migrate(h, schema_version);
    if (!h->failed && !h->state_changed)
        work_handler_state_put(h, state.data, state.len);
}

bool
work_events_reopen(struct work_handler *h)
{
    const uint32_t from = h->run->run.schema_version & WORK_SCHEMA_MASK;
    char why[FAIL_TEXT_MAX];
    uint8_t *copy;

    if (h->run->run.how != WORK_RUN_REPLAY)
        return true;
    for (;;) {
        migrate(h, from);
        if (!h->failed)
            break;
        (void)snprintf(why, sizeof why, "%s", h->error);
        work_handler_reset(h);
        if (work_run_park(h, why) != 0) {
            (void)work_handler_fail(&h->ctx, why);
            return false;
        }
    }
    if (!h->state_changed)
        return true;
    /* It is what the run begins with, not what it has changed. */
    copy = work_run_keep(h, h->state.data, h->state.len);
    if (copy == NULL)
        return false;
    h->base = (struct plex_bytes){copy, h->state.len};
    h->state_changed = false;
    return true;
}

void
work_events_restore(struct work_handler *h)
{
    const struct work_action *a = h->run;

    migrate(h, a->run.schema_version & WORK_SCHEMA_MASK);
    if (a->run.n_records > 0 && h->turn->behaviour->apply == NULL)
        (void)work_handler_fail(&h->ctx, "the behaviour has no apply()");
    for (size_t i = 0; i < a->run.n_records && !h->failed; i++) {
        record_apply(h, &a->run.records[i]);
        if (h->failed)
            rebuilt_not(h, a->run.records[i].seq);
    }
}
