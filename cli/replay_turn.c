#include "cli/replay_turn.h"

#include "common/arena.h"
#include "common/mem.h"
#include "services/worker/handler.h"
#include "services/worker/record.h"
#include "services/worker/run_log.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TURN_ARENA = 64 << 20, SIDE_MAX = 300 };

struct replay {
    const struct plex_behaviour *behaviour;
    struct plex_actor_id actor;
    struct work_handler *handler;
    bool known;    /* the state before the next turn */
    bool has_data; /* there is a state, or an open run */
    uint8_t *data;
    size_t len;
    uint32_t schema_version;

    /* the turn that is run */
    struct plex_arena arena;
    const struct journal_past_turn *turn;
    struct work_record record;
    struct work_message input, message; /* what came; what the run handles */
    struct work_action action;
    struct work_outcome outcome;
    struct replay_verdict *verdict;
    unsigned waits; /* how often the code has waited */
};

const char *
replay_says(enum replay_kind kind)
{
    return kind == REPLAY_SAME      ? "same"
           : kind == REPLAY_DIFFERS ? "differs"
                                    : "skipped";
}

static void
state_keep(struct replay *r, bool has, struct plex_bytes state, uint32_t schema)
{
    uint8_t *copy = plex_reallocarray(NULL, 1, state.len + 1);

    if (state.len > 0)
        memcpy(copy, state.data, state.len);
    free(r->data);
    r->data = copy;
    r->len = state.len;
    r->has_data = has && (schema & WORK_SCHEMA_NONE) == 0;
    r->schema_version = schema & ~WORK_SCHEMA_NONE;
}

struct replay *
replay_create(const struct plex_behaviour *behaviour,
              const struct journal_export_head *head)
{
    struct replay *r = plex_calloc(1, sizeof *r);

    r->behaviour = behaviour;
    r->actor = head->actor;
    r->handler = work_handler_create();
    plex_arena_init(&r->arena, TURN_ARENA);
    r->known = head->has_base || head->oldest_seq <= 1;
    if (head->has_base)
        state_keep(r, head->base.has_state, head->base.state,
                   head->base.schema_version);
    else
        r->schema_version = behaviour->schema_version;
    return r;
}

void
replay_free(struct replay *r)
{
    if (r == NULL)
        return;
    work_handler_free(r->handler);
    plex_arena_fini(&r->arena);
    free(r->data);
    free(r);
}

/* -- what is compared --------------------------------------------------------
 */

static void differs(struct replay *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The first difference counts. */
static void
differs(struct replay *r, const char *format, ...)
{
    va_list args;

    if (r->verdict->kind != REPLAY_SAME)
        return;
    r->verdict->kind = REPLAY_DIFFERS;
    va_start(args, format);
    (void)vsnprintf(r->verdict->why, sizeof r->verdict->why, format, args);
    va_end(args);
}

static void
skip(struct replay *r, const char *why)
{
    r->verdict->kind = REPLAY_SKIPPED;
    (void)snprintf(r->verdict->why, sizeof r->verdict->why, "%s", why);
}

/* Bytes for people. */
static const char *
side(struct plex_bytes bytes, char out[SIDE_MAX])
{
    size_t used = 0;

    for (size_t i = 0; i < bytes.len && used + 8 < SIDE_MAX; i++) {
        const uint8_t c = bytes.data[i];

        if (c >= ' ' && c < 0x7f)
            out[used++] = (char)c;
        else
            used += (size_t)snprintf(out + used, 5, "\\x%02x", c);
    }
    (void)snprintf(out + used, SIDE_MAX - used, "%s",
                   bytes.len > used ? "..." : "");
    return out;
}

static bool
bytes_equal(struct plex_bytes a, struct plex_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static void
bytes_compare(struct replay *r, const char *what, struct plex_bytes then,
              struct plex_bytes now)
{
    char a[SIDE_MAX], b[SIDE_MAX];

    if (!bytes_equal(then, now))
        differs(r, "%s: recorded \"%s\", now \"%s\"", what, side(then, a),
                side(now, b));
}

static void
reply_compare(struct replay *r)
{
    struct work_reply then = {0}, now = {0};
    struct plex_err err;

    if (work_reply_unpack(r->turn->reply, &r->arena, &then, &err) != PLEX_OK ||
        work_reply_unpack(r->outcome.reply, &r->arena, &now, &err) != PLEX_OK) {
        skip(r, "the recorded reply cannot be read");
        return;
    }
    if (then.failed != now.failed)
        differs(r, "recorded: the turn %s%s%s, now: it %s%s%s",
                then.failed ? "failed: " : "ended well",
                then.failed ? then.error : "", "",
                now.failed ? "fails: " : "ends well",
                now.failed ? now.error : "", "");
    if (then.failed && now.failed && strcmp(then.error, now.error) != 0)
        differs(r, "recorded: the turn failed: %s, now: %s", then.error,
                now.error);
    if (then.http_status != now.http_status)
        differs(r, "the reply's HTTP status: recorded %u, now %u",
                then.http_status, now.http_status);
    if (strcmp(then.content_type, now.content_type) != 0)
        differs(r, "the reply's content type: recorded %s, now %s",
                then.content_type, now.content_type);
    bytes_compare(r, "the reply", then.payload, now.payload);
}

static const char *
command_text(const struct work_command *c, char out[SIDE_MAX])
{
    static const char *const kinds[] = {
        "?", "cast", "call", "set timer", "cancel timer", "cancel call"};
    const bool timer =
        c->kind == WORK_OUT_TIMER_SET || c->kind == WORK_OUT_TIMER_CANCEL;
    char payload[SIDE_MAX];

    (void)snprintf(out, SIDE_MAX, "%s %.60s%s%.60s, %" PRIu64 " ms, %.100s",
                   kinds[c->kind > 5 ? 0 : c->kind],
                   timer ? c->timer[0] < ' ' ? "of the run" : c->timer
                         : c->type,
                   timer ? "" : "/", timer ? "" : c->key, c->delay_ms,
                   side(c->payload, payload));
    return out;
}

static bool
command_equal(const struct work_command *a, const struct work_command *b)
{
    return a->kind == b->kind && strcmp(a->type, b->type) == 0 &&
           strcmp(a->key, b->key) == 0 && strcmp(a->timer, b->timer) == 0 &&
           a->delay_ms == b->delay_ms && a->tag == b->tag &&
           a->payload_bytes == b->payload_bytes &&
           a->payload_hash == b->payload_hash;
}

static void
commands_compare(struct replay *r)
{
    const size_t then = r->record.n_commands, now = r->outcome.n_outputs;
    char a[SIDE_MAX], b[SIDE_MAX];
    struct work_command command;

    for (size_t i = 0; i < then || i < now; i++) {
        if (i < now)
            work_command_of(&r->outcome.outputs[i], &command);
        if (i < then && i < now &&
            command_equal(&r->record.commands[i], &command))
            continue;
        differs(r, "command %zu: recorded %s, now %s", i + 1,
                i < then ? command_text(&r->record.commands[i], a) : "none",
                i < now ? command_text(&command, b) : "none");
        return;
    }
}

static void
events_compare(struct replay *r, const struct work_record *now)
{
    const size_t n = r->record.n_events;

    if (n != now->n_events)
        differs(r, "events: recorded %zu, now %zu", n, now->n_events);
    for (size_t i = 0; i < n && i < now->n_events; i++) {
        if (strcmp(r->record.events[i].type, now->events[i].type) != 0)
            differs(r, "event %zu: recorded %s, now %s", i + 1,
                    r->record.events[i].type, now->events[i].type);
        bytes_compare(r, "an event", r->record.events[i].data,
                      now->events[i].data);
    }
}

static const char *
step_text(const struct work_step *steps, size_t i, size_t n, char out[SIDE_MAX])
{
    static const char *const kinds[] = {"?",       "effect", "call",   "sleep",
                                        "promise", "signal", "version"};

    if (i >= n)
        return "none";
    (void)snprintf(out, SIDE_MAX, "%s \"%.200s\"%s", kinds[steps[i].kind],
                   steps[i].name, steps[i].done ? ", done" : "");
    return out;
}

static void
steps_compare(struct replay *r, const struct work_run_delta *then,
              const struct work_run_delta *now)
{
    static const struct work_run_delta none = {.parked = ""};
    char a[SIDE_MAX], b[SIDE_MAX];

    if (then == NULL)
        then = &none;
    if (now == NULL)
        now = &none;
    for (size_t i = 0; i < then->n_steps || i < now->n_steps; i++) {
        const struct work_step *x = &then->steps[i], *y = &now->steps[i];

        if (i < then->n_steps && i < now->n_steps && x->kind == y->kind &&
            strcmp(x->name, y->name) == 0 && x->done == y->done &&
            x->status == y->status && bytes_equal(x->result, y->result))
            continue;
        differs(r, "step %zu: recorded %s, now %s", then->first_step + i,
                step_text(then->steps, i, then->n_steps, a),
                step_text(now->steps, i, now->n_steps, b));
        return;
    }
    if (strcmp(then->parked, now->parked) != 0)
        differs(r, "recorded: %s, now: %s",
                then->parked[0] == '\0' ? "it went on" : then->parked,
                now->parked[0] == '\0' ? "it goes on" : now->parked);
}

static void
record_compare(struct replay *r)
{
    struct work_record now;
    struct plex_err err;

    if (work_record_unpack(r->outcome.record, &r->arena, &now, &err) !=
        PLEX_OK) {
        differs(r, "what the code does now does not fit into a record");
        return;
    }
    steps_compare(r, r->record.run, now.run);
    events_compare(r, &now);
}

/* The turn ended, then and now. */
static void
end_compare(struct replay *r)
{
    const struct journal_past_turn *turn = r->turn;
    const struct work_outcome *out = &r->outcome;
    const bool had =
        turn->has_state && (turn->schema_version & WORK_SCHEMA_NONE) == 0;
    const bool has = out->phase == WORK_CLOSED
                         ? out->has_state
                         : out->state_changed && !out->rebuilds;

    reply_compare(r);
    if ((turn->schema_version & WORK_SCHEMA_OPEN) != 0 && turn->has_state)
        differs(r, "recorded: the handler waited, now: it ends");
    else if (had != has)
        differs(r, "recorded: the state %s, now: it %s",
                had ? "changed" : "did not change",
                has ? "changes" : "does not change");
    else if (had)
        bytes_compare(r, "the state", turn->state, out->state);
}

static void
compare(struct replay *r, bool ended)
{
    const bool waited = (r->turn->has_state || r->turn->rebuilds) &&
                        (r->turn->schema_version & WORK_SCHEMA_OPEN) != 0;

    record_compare(r);
    commands_compare(r);
    if (ended)
        end_compare(r);
    else if (!waited && r->turn->has_state)
        differs(r, "recorded: the turn ended, now: it waits for %s",
                r->outcome.waits_for == NULL ? "something"
                                             : r->outcome.waits_for);
}

/* -- running -----------------------------------------------------------------
 */

/* The code waits. Where the log ends it gets what came then; the next time it
 * waits the stretch is over, and with it the process's use of the callback:
 * its stack is given up. */
struct wait {
    struct replay *replay;
    jmp_buf *over;
};

static const struct work_action *
on_wait(void *arg, uint64_t *wall_ms)
{
    struct wait *wait = arg;
    struct replay *r = wait->replay;

    if (r->waits++ > 0 || r->record.what == WORK_RECORD_MESSAGE ||
        r->record.what == WORK_RECORD_REPLAY)
        longjmp(*wait->over, 1);
    if ((r->outcome.phase == WORK_COMMITS) !=
        (r->record.what == WORK_RECORD_CONTINUE)) {
        differs(r, "recorded: the run %s, now: it waits for %s",
                r->record.what == WORK_RECORD_CONTINUE
                    ? "went on after a commit"
                    : "was waiting for a message",
                r->outcome.waits_for == NULL ? "something"
                                             : r->outcome.waits_for);
        longjmp(*wait->over, 1);
    }
    r->action.run.how = r->record.what == WORK_RECORD_CONTINUE
                            ? WORK_RUN_CONTINUE
                            : WORK_RUN_RESULT;
    r->action.run.message = &r->input;
    *wall_ms = r->record.at_ms;
    return &r->action;
}

static void
run(struct replay *r)
{
    const struct work_again again = {.seed = r->record.seed,
                                     .run = r->record.run};
    jmp_buf over;
    struct wait wait = {r, &over};
    const struct work_turn turn = {
        .behaviour = r->behaviour,
        .run = &r->action,
        .wall_ms = r->record.at_ms,
        .wait = on_wait,
        .wait_arg = &wait,
        .again = &again,
    };
    volatile bool ended = false;

    r->waits = 0;
    if (setjmp(over) == 0) {
        work_handler_run(r->handler, &turn, &r->outcome);
        ended = true;
    }
    compare(r, ended);
}

/* Of an open run: what it handles is in its log. */
static bool
log_open(struct replay *r)
{
    const struct plex_bytes packed = {r->data, r->len};
    struct work_run log;
    struct plex_err err;

    return (r->schema_version & WORK_SCHEMA_OPEN) != 0 &&
           work_run_unpack(packed, &r->arena, &log, &err) == PLEX_OK &&
           work_message_unpack(log.message, &r->arena, &r->message, &err) ==
               PLEX_OK;
}

static const char *
cannot_run(struct replay *r)
{
    const struct work_record *record = &r->record;
    const bool in_run = record->what >= WORK_RECORD_RESULT;
    struct plex_err err;

    if (record->what == WORK_RECORD_UNKNOWN)
        return "it was recorded without its input";
    if (!r->known)
        return "the state before it is not in the file";
    if (record->input_bytes > 0)
        return "its input was too large to be recorded";
    if (in_run && !log_open(r))
        return "the run that it belongs to is not in the file";
    if (record->input.len == 0)
        return record->what == WORK_RECORD_MESSAGE ||
                       record->what == WORK_RECORD_RESULT
                   ? "it was recorded without its input"
                   : NULL;
    if (work_record_input(record->input, &r->arena, &r->input, &err) != PLEX_OK)
        return "its input cannot be read";
    r->input.to = r->actor;
    if (r->input.kind == WORK_EDIT)
        return "its state was set from outside; no callback ran";
    if (r->input.kind == WORK_FACETS)
        return "it was about the actor's facets; no callback ran";
    if (r->input.kind == WORK_TIMER && strcmp(r->input.timer, "$facets") == 0)
        return "it was for the type's facets, which are not run";
    return NULL;
}

void
replay_turn(struct replay *r, const struct journal_past_turn *turn,
            struct replay_verdict *verdict)
{
    const char *why = "it was recorded without its input";
    struct plex_err err;

    plex_arena_reset(&r->arena);
    *verdict = (struct replay_verdict){.kind = REPLAY_SAME};
    r->turn = turn;
    r->verdict = verdict;
    r->record = (struct work_record){0};
    if (turn->record.len > 0 && work_record_unpack(turn->record, &r->arena,
                                                   &r->record, &err) == PLEX_OK)
        why = cannot_run(r);
    if (why != NULL) {
        skip(r, why);
        return;
    }
    r->action = (struct work_action){
        .kind = WORK_DO_RUN,
        .token = 1,
        .run = {.how = WORK_RUN_REPLAY,
                .activation = 1,
                .settled = r->record.what == WORK_RECORD_REPLAY,
                .durable = true,
                .actor = &r->actor,
                .user = r->behaviour,
                .message = &r->message,
                .request_id = "",
                .state = {r->data, r->len},
                .has_state = r->has_data,
                .schema_version = r->schema_version,
                .epoch = r->record.epoch},
    };
    if (r->record.what == WORK_RECORD_MESSAGE ||
        r->record.what == WORK_RECORD_ACTIVATED) {
        r->action.run.how = WORK_RUN_MESSAGE;
        r->action.run.settled = true;
        r->action.run.message =
            r->record.what == WORK_RECORD_MESSAGE ? &r->input : NULL;
    }
    run(r);
}

/* -- the state after it ------------------------------------------------------
 */

static void
run_advance(struct replay *r, const struct journal_past_turn *turn)
{
    struct plex_buf whole = {.max = JOURNAL_STATE_MAX};
    struct plex_err err;

    r->known = work_run_fold((struct plex_bytes){r->data, r->len},
                             &turn->record, 1, &whole, &err) == PLEX_OK;
    if (r->known)
        state_keep(r, true, (struct plex_bytes){whole.data, whole.len},
                   r->schema_version);
    plex_buf_free(&whole);
}

/* The events of the turn, applied by the code. */
static void
events_advance(struct replay *r, const struct journal_past_turn *turn)
{
    const struct journal_record record = {turn->seq, turn->at_ms,
                                          turn->schema_version, turn->record};
    const struct work_action action = {
        .kind = WORK_DO_RUN,
        .token = 1,
        .run = {.how = WORK_RUN_RESTORE,
                .activation = 1,
                .durable = true,
                .actor = &r->actor,
                .request_id = "",
                .state = {r->data, r->len},
                .has_state = r->has_data,
                .schema_version = r->schema_version,
                .records = &record,
                .n_records = 1},
    };
    const struct work_turn restore = {
        .behaviour = r->behaviour, .run = &action, .wall_ms = turn->at_ms};
    struct work_outcome outcome;

    work_handler_run(r->handler, &restore, &outcome);
    r->known = !outcome.failed;
    if (r->known && outcome.state_changed)
        state_keep(r, true, outcome.state, r->behaviour->schema_version);
}

void
replay_advance(struct replay *r, const struct journal_past_turn *turn)
{
    if (turn->has_state) {
        state_keep(r, true, turn->state, turn->schema_version);
        r->known = true;
    } else if (turn->rebuilds && r->known) {
        if ((r->schema_version & WORK_SCHEMA_OPEN) != 0)
            run_advance(r, turn);
        else
            events_advance(r, turn);
    }
}
