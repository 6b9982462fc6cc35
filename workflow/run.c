#include "workflow/run.h"

#include "common/mem.h"
#include "common/utf8.h"
#include "workflow/run_private.h"
#include "workflow/value.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *
flow_status_name(enum flow_status status)
{
    static const char *const names[] = {"PENDING",   "RUNNING",    "PAUSED",
                                        "PARKED",    "COMPLETED",  "FAILED",
                                        "CANCELLED", "TERMINATED", "TIMED_OUT"};

    return names[status];
}

bool
flow_status_final(enum flow_status status)
{
    return status >= FLOW_COMPLETED;
}

char *
flow_clean(char *text)
{
    size_t len = strlen(text), at = 0;

    while (at < len) {
        const size_t step =
            plex_utf8_char((const uint8_t *)text + at, len - at);

        if (step == 0)
            text[len = at] = '\0';
        at += step;
    }
    return text;
}

void
flow_set_text(char **to, const char *text)
{
    char *copy = text != NULL ? flow_clean(plex_strdup(text)) : NULL;

    free(*to);
    *to = copy;
}

/* -- output
 * ------------------------------------------------------------------------ */

void
flow_note(struct flow_run *run, const char *what, const char *step, uint64_t id,
          uint32_t attempt, const char *fmt, ...)
{
    struct past *past = plex_calloc(1, sizeof *past);
    char detail[FLOW_CAUSE_MAX], *at;
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(detail, sizeof detail, fmt, args);
    va_end(args);
    flow_clean(detail);
    /* One allocation for the three: `what` and `step` may go before it. */
    past->detail =
        plex_calloc(1, strlen(detail) + strlen(what) + strlen(step) + 3);
    past->entry = (struct flow_history){.seq = ++run->history_seq,
                                        .at_ms = run->now_ms,
                                        .id = id,
                                        .attempt = attempt,
                                        .detail = past->detail};
    at = stpcpy(past->detail, detail) + 1;
    past->entry.what = at;
    at = stpcpy(at, what) + 1;
    past->entry.step = at;
    strcpy(at, step);
    TAILQ_INSERT_TAIL(&run->history, past, link);
}

struct out *
flow_emit(struct flow_run *run, enum flow_command_kind kind,
          const struct act *act)
{
    struct out *out = plex_calloc(1, sizeof *out);

    out->command = (struct flow_command){.kind = kind,
                                         .step = "",
                                         .type = "",
                                         .key = "",
                                         .method = "",
                                         .url = "",
                                         .code = "",
                                         .cause = ""};
    if (act != NULL) {
        out->command.id = act->id;
        out->command.attempt = act->attempt;
        out->command.step = act->node->path;
        out->command.compensating = act->frame == NULL;
    }
    TAILQ_INSERT_TAIL(&run->commands, out, link);
    return out;
}

void
flow_say(struct out *out, int which, const char *text)
{
    const char **const fields[] = {&out->command.step, &out->command.type,
                                   &out->command.key,  &out->command.method,
                                   &out->command.url,  &out->command.code,
                                   &out->command.cause};

    flow_set_text(&out->texts[which], text != NULL ? text : "");
    *fields[which] = out->texts[which];
}

static void
out_free(struct out *out)
{
    if (out == NULL)
        return;
    for (size_t i = 0; i < sizeof out->texts / sizeof *out->texts; i++)
        free(out->texts[i]);
    json_decref(out->command.value);
    json_decref(out->command.headers);
    free(out);
}

static void
past_free(struct past *past)
{
    if (past != NULL)
        free(past->detail);
    free(past);
}

bool
flow_run_command(struct flow_run *run, struct flow_command *out)
{
    out_free(run->taken);
    run->taken = TAILQ_FIRST(&run->commands);
    if (run->taken == NULL)
        return false;
    TAILQ_REMOVE(&run->commands, run->taken, link);
    *out = run->taken->command;
    return true;
}

bool
flow_run_history(struct flow_run *run, struct flow_history *out)
{
    past_free(run->told);
    run->told = TAILQ_FIRST(&run->history);
    if (run->told == NULL)
        return false;
    TAILQ_REMOVE(&run->history, run->told, link);
    *out = run->told->entry;
    return true;
}

void
flow_drop_commands(struct flow_run *run)
{
    struct flow_command command;

    while (flow_run_command(run, &command))
        ;
}

/* -- life
 * ----------------------------------------------------------------------------
 */

struct flow_run *
flow_run_blank(struct flow_def *def, const char *run_id)
{
    struct flow_run *run = plex_calloc(1, sizeof *run);

    run->def = flow_def_ref(def);
    run->id = plex_strdup(run_id);
    TAILQ_INIT(&run->frames);
    TAILQ_INIT(&run->acts);
    TAILQ_INIT(&run->ready);
    TAILQ_INIT(&run->signals);
    TAILQ_INIT(&run->commands);
    TAILQ_INIT(&run->history);
    return run;
}

struct flow_run *
flow_run_create(struct flow_def *def, const char *run_id)
{
    struct flow_run *run = flow_run_blank(def, run_id);

    run->vars = json_incref(def->vars);
    return run;
}

static void
drop_signals(struct flow_run *run)
{
    struct kept_signal *kept;

    while ((kept = TAILQ_FIRST(&run->signals)) != NULL) {
        TAILQ_REMOVE(&run->signals, kept, link);
        json_decref(kept->value);
        free(kept->name);
        free(kept);
    }
    run->n_signals = 0;
}

void
flow_run_free(struct flow_run *run)
{
    struct flow_history past;
    struct frame *frame;
    struct act *act;

    if (run == NULL)
        return;
    while ((act = TAILQ_FIRST(&run->acts)) != NULL)
        flow_act_free(run, act);
    while ((frame = TAILQ_FIRST(&run->frames)) != NULL)
        flow_frame_close(run, frame);
    flow_drop_commands(run);
    while (flow_run_history(run, &past))
        ;
    drop_signals(run);
    while (run->n_undos > 0)
        flow_undo_free(&run->undos[--run->n_undos]);
    free(run->undos);
    json_decref(run->input);
    json_decref(run->vars);
    json_decref(run->output);
    free(run->code);
    free(run->cause);
    free(run->reason);
    free(run->id);
    flow_def_unref(run->def);
    free(run);
}

/* -- turns
 * -----------------------------------------------------------------------------
 */

static void
check_size(struct flow_run *run)
{
    char reason[120];

    if (run->estimate <= FLOW_STATE_MAX || flow_status_final(run->status))
        return;
    run->estimate = flow_run_size(run);
    if (run->estimate <= FLOW_STATE_MAX || run->status == FLOW_PARKED)
        return;
    (void)snprintf(reason, sizeof reason,
                   "its state has %zu bytes, over the limit of %d",
                   run->estimate, FLOW_STATE_MAX);
    flow_run_park(run, reason);
}

void
flow_loop(struct flow_run *run)
{
    struct act *act;

    while (run->status == FLOW_RUNNING &&
           (act = TAILQ_FIRST(&run->ready)) != NULL &&
           run->turn_steps < FLOW_TURN_STEPS_MAX) {
        if (run->entered == FLOW_RUN_STEPS_MAX) {
            char reason[80];

            (void)snprintf(reason, sizeof reason,
                           "it has entered %d steps, the most that is allowed",
                           FLOW_RUN_STEPS_MAX);
            flow_run_park(run, reason);
            return;
        }
        run->entered++;
        run->turn_steps++;
        flow_act_begin(run, act);
        check_size(run);
    }
}

/* Few: the exact time. Many: the timer may stay too early, so that not every
 * event looks at every step under way. */
enum { EXACT_TIMER_ACTS = 64 };

static void
set_timer(struct flow_run *run)
{
    int64_t due;

    if (flow_status_final(run->status))
        due = INT64_MAX;
    else if (run->status == FLOW_RUNNING && !TAILQ_EMPTY(&run->ready))
        due = run->now_ms; /* more to do than fits in one turn */
    else if (run->armed_ms == 0 || run->n_acts <= EXACT_TIMER_ACTS)
        due = flow_run_next_due(run);
    else
        due = run->soonest < run->armed_ms ? run->soonest : run->armed_ms;
    if (due == INT64_MAX && run->armed_ms != 0) {
        run->armed_ms = 0;
        (void)flow_emit(run, FLOW_CANCEL_TIMER, NULL);
    } else if (due != INT64_MAX && due != run->armed_ms) {
        run->armed_ms = due;
        flow_emit(run, FLOW_SET_TIMER, NULL)->command.due_ms = due;
    }
}

void
flow_turn_begin(struct flow_run *run, const struct flow_now *now)
{
    if (now->ms > run->now_ms)
        run->now_ms = now->ms;
    run->random = now->seed;
    run->turn_steps = 0;
    run->soonest = INT64_MAX;
}

void
flow_settle_turn(struct flow_run *run)
{
    flow_loop(run);
    check_size(run);
    set_timer(run);
}

enum plex_status
flow_check_value(json_t *value, const char *what, struct plex_err *err)
{
    if (value != NULL &&
        flow_value_size(value, FLOW_VALUE_MAX) > FLOW_VALUE_MAX)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "%s has more than %d bytes or nests deeper than "
                            "%d",
                            what, FLOW_VALUE_MAX, FLOW_DEPTH_MAX);
    return PLEX_OK;
}

enum plex_status
flow_run_start(struct flow_run *run, json_t *input, const struct flow_now *now,
               struct plex_err *err)
{
    enum plex_status status = flow_check_value(input, "the input", err);

    if (status != PLEX_OK)
        return status;
    if (run->status != FLOW_PENDING)
        return plex_err_set(err, PLEX_EXISTS, "run '%s' was started already",
                            run->id);
    flow_turn_begin(run, now);
    run->input = input != NULL ? json_incref(input) : json_null();
    run->estimate += flow_value_size(run->input, FLOW_VALUE_MAX);
    run->status = FLOW_RUNNING;
    run->started_ms = run->since_ms = run->now_ms;
    if (run->def->timeout_ms > 0)
        run->limit_ms = flow_wake_at(run, run->now_ms + run->def->timeout_ms);
    flow_note(run, "RUN_STARTED", "", 0, 0, "%s %s", run->def->id,
              run->def->version);
    flow_frame_open(run, 0, NULL, 0, run->input, NULL);
    flow_settle_turn(run);
    return PLEX_OK;
}

void
flow_run_seed_bug(struct flow_run *run, enum flow_bug bug)
{
    run->bug = bug;
}

enum flow_status
flow_run_status(const struct flow_run *run)
{
    return run->status;
}

const char *
flow_run_id(const struct flow_run *run)
{
    return run->id;
}

const struct flow_def *
flow_run_def(const struct flow_run *run)
{
    return run->def;
}

json_t *
flow_run_output(const struct flow_run *run)
{
    return run->output;
}

const char *
flow_run_code(const struct flow_run *run)
{
    return run->code != NULL ? run->code : "";
}

const char *
flow_run_cause(const struct flow_run *run)
{
    return run->cause != NULL ? run->cause : "";
}
