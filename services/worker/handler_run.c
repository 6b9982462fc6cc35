/* Durable execution: the log of a callback's run, and its stretches. */
#include "services/worker/handler_private.h"

#include "common/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RUN_ARENA_MAX = 32 << 20 };

/* -- the log -----------------------------------------------------------------
 */

void *
work_run_keep(struct work_handler *h, const void *data, size_t len)
{
    char *out = plex_arena_alloc(&h->open.arena, len + 1);

    if (out == NULL) {
        (void)work_handler_fail(&h->ctx,
                                "the run's results are larger than 32 MiB");
        return NULL;
    }
    if (len > 0)
        memcpy(out, data, len);
    out[len] = '\0';
    return out;
}

const char *
work_run_text(struct work_handler *h, const char *text)
{
    const char *out = work_run_keep(h, text, strlen(text));

    return out == NULL ? "" : out;
}

/* One more at the end of `rows`; NULL when there are too many. */
static struct work_step *
row_add(struct work_handler *h, struct work_step **rows, size_t *n, size_t *cap)
{
    if (*n >= WORK_STEPS_MAX) {
        (void)work_handler_fail(&h->ctx, "the run has more than 10000 steps");
        return NULL;
    }
    if (*n == *cap) {
        const size_t more = *cap == 0 ? 8 : *cap * 2;
        struct work_step *space =
            plex_arena_alloc(&h->open.arena, more * sizeof *space);

        if (space == NULL) {
            (void)work_handler_fail(&h->ctx,
                                    "the run's steps do not fit into memory");
            return NULL;
        }
        if (*n > 0)
            memcpy(space, *rows, *n * sizeof *space);
        *rows = space;
        *cap = more;
    }
    (*rows)[*n] = (struct work_step){.name = ""};
    return &(*rows)[(*n)++];
}

struct work_step *
work_step_add(struct work_handler *h, enum work_step_kind kind,
              const char *name)
{
    struct work_handler_run *open = &h->open;
    struct work_step *step =
        row_add(h, &open->log.steps, &open->log.n_steps, &open->steps_cap);

    if (step == NULL)
        return NULL;
    step->kind = kind;
    step->unsaved = true;
    step->name = work_run_text(h, name);
    open->cursor = open->log.n_steps;
    open->dirty = true;
    return step;
}

void
work_step_done(struct work_handler *h, struct work_step *step,
               enum plex_status status, struct plex_bytes result)
{
    step->done = step->unsaved = true;
    step->status = status;
    step->order = ++h->open.log.order;
    step->at_ms = h->wall_ms;
    step->result.len = result.len;
    step->result.data = work_run_keep(h, result.data, result.len);
    h->open.dirty = true;
}

/* Hand a result to the callback: its time passes. */
int
work_step_give(struct work_handler *h, const struct work_step *step,
               struct plex_value *out)
{
    if (step->at_ms > h->open.now_ms)
        h->open.now_ms = step->at_ms;
    if (out != NULL)
        *out = (struct plex_value){step->result.data, step->result.len};
    return -(int)step->status;
}

/* -- stretches ------------------------------------------------------------- */

static const char *
run_open(struct work_handler *h)
{
    struct plex_buf packed = {.max = WORK_PAYLOAD_MAX + (1 << 20)};
    struct work_run *log = &h->open.log;
    struct plex_err err;
    enum plex_status status;

    if (h->open.is_open)
        return NULL;
    log->has_state = h->has_base;
    log->state.len = h->base.len;
    log->state.data = work_run_keep(h, h->base.data, h->base.len);
    status = work_message_pack(h->message, &packed, &err);
    log->message.len = packed.len;
    log->message.data = work_run_keep(h, packed.data, packed.len);
    plex_buf_free(&packed);
    if (status != PLEX_OK || h->failed)
        return "the run's message does not fit into the journal";
    log->started_ms = h->wall_ms;
    h->base = log->state; /* what the core lent us goes with this stretch */
    h->open.is_open = true;
    return NULL;
}

void
work_run_signals(struct work_handler *h)
{
    struct work_run *log = &h->open.log;

    for (size_t i = 0; i < log->n_steps; i++) {
        struct work_step *step = &log->steps[i];

        if (step->kind != WORK_STEP_SIGNAL || step->done)
            continue;
        for (size_t k = 0; k < log->n_signals && !step->done; k++) {
            struct work_step *signal = &log->signals[k];

            if (signal->used || strcmp(signal->name, step->name) != 0)
                continue;
            signal->used = signal->unsaved = true;
            work_step_done(h, step, PLEX_OK, signal->result);
        }
    }
}

void
work_run_signal_add(struct work_handler *h, const char *name,
                    struct plex_bytes value)
{
    struct work_run *log = &h->open.log;
    struct work_step *step =
        row_add(h, &log->signals, &log->n_signals, &h->open.signals_cap);

    if (step == NULL)
        return;
    step->kind = WORK_STEP_SIGNAL;
    step->unsaved = true;
    step->name = work_run_text(h, name);
    step->result.len = value.len;
    step->result.data = work_run_keep(h, value.data, value.len);
    h->open.dirty = true;
}

static struct work_step *
step_at(struct work_handler *h, uint64_t index)
{
    if (index >= h->open.log.n_steps || h->open.log.steps[index].done)
        return NULL;
    return &h->open.log.steps[index];
}

/* Whoever works for this run need not any more. */
static void
calls_cancel(struct work_handler *h)
{
    const struct work_run *log = &h->open.log;

    for (size_t i = 0; i < log->n_steps; i++)
        if (log->steps[i].kind == WORK_STEP_CALL && !log->steps[i].done)
            work_handler_call_cancel(
                &h->ctx, WORK_TAG_RUN | (uint64_t)h->open.nonce << 32 | i);
}

static bool
is_cancel(const char *what)
{
    return strcmp(what, "cancel") == 0 ||
           strncmp(what, WORK_CANCEL_CALL, strlen(WORK_CANCEL_CALL)) == 0;
}

static void
resolve_apply(struct work_handler *h, const struct work_message *m)
{
    struct work_run *log = &h->open.log;
    struct work_step *step;
    uint32_t nonce;
    unsigned index;

    if (sscanf(m->timer, "promise:%" SCNx32 ":%u", &nonce, &index) == 2) {
        step = step_at(h, index);
        if (nonce == h->open.nonce && step != NULL &&
            step->kind == WORK_STEP_PROMISE)
            work_step_done(h, step,
                           m->reply_status == PLEX_OK ? PLEX_OK : PLEX_FAILED,
                           m->payload);
    } else if (strncmp(m->timer, "signal:", 7) == 0) {
        work_run_signal_add(h, m->timer + 7, m->payload);
        work_run_signals(h);
    } else if (is_cancel(m->timer) && log->cancelled == 0) {
        log->cancelled = ++log->order;
        h->open.dirty = true;
        if (!h->open.shielded) /* else they undo something */
            calls_cancel(h);
    } else if (strcmp(m->timer, "resume") == 0 && log->parked[0] != '\0') {
        log->parked = "";
        h->open.dirty = true;
    }
}

static void
result_apply(struct work_handler *h, const struct work_message *m)
{
    struct work_step *step;
    unsigned index;
    uint32_t nonce;

    if (m->kind == WORK_REPLY) {
        step = step_at(h, m->tag & UINT32_MAX);
        nonce = (uint32_t)(m->tag >> 32) & 0x7fffffffu;
        if (step != NULL && nonce == h->open.nonce &&
            step->kind == WORK_STEP_CALL)
            work_step_done(h, step, m->reply_status, m->payload);
    } else if (m->kind == WORK_TIMER) {
        if (sscanf(m->timer + 1, "%u:%" SCNx32, &index, &nonce) == 2 &&
            nonce == h->open.nonce && (step = step_at(h, index)) != NULL &&
            step->kind == WORK_STEP_SLEEP)
            work_step_done(h, step, PLEX_OK, (struct plex_bytes){0});
    } else if (m->kind == WORK_RESOLVE) {
        resolve_apply(h, m);
    } else if (m->kind == WORK_UPDATE) {
        work_update_accept(h, m);
    }
}

/* -- what is written of the log ----------------------------------------------
 */

enum {
    WHOLE_BYTES_MIN = 64 << 10, /* less is not written again as a whole */
    DELTA_BYTES_MAX = 1 << 20,  /* of one stretch; else the whole is */
};

static size_t
row_bytes(const struct work_step *step)
{
    return step->result.len + strlen(step->name) + 32;
}

/* What no stretch has carried yet, in the turn's arena. Its size in *bytes.
 * False: it does not fit. */
static bool
delta_of(struct work_handler *h, struct work_run_delta *out, size_t *bytes)
{
    const struct work_handler_run *open = &h->open;
    const struct work_run *log = &open->log;
    const size_t old = open->saved_steps, known = open->saved_signals;
    struct work_step *changes;
    uint32_t *changed, *used;
    size_t n = 0, n_used = 0;

    *bytes = strlen(log->parked);
    for (size_t i = 0; i < log->n_steps; i++)
        n += i < old && log->steps[i].unsaved;
    for (size_t i = 0; i < log->n_signals; i++)
        n_used += i < known && log->signals[i].unsaved;
    changes = plex_arena_alloc(&h->arena, (n + 1) * sizeof *changes);
    changed = plex_arena_alloc(&h->arena, (n + 1) * sizeof *changed);
    used = plex_arena_alloc(&h->arena, (n_used + 1) * sizeof *used);
    if (changes == NULL || changed == NULL || used == NULL)
        return false;
    n = n_used = 0;
    for (size_t i = 0; i < log->n_steps; i++) {
        if (i < old && !log->steps[i].unsaved)
            continue;
        *bytes += row_bytes(&log->steps[i]);
        if (i >= old)
            continue;
        changed[n] = (uint32_t)i;
        changes[n++] = log->steps[i];
    }
    for (size_t i = 0; i < log->n_signals; i++)
        if (i >= known)
            *bytes += row_bytes(&log->signals[i]);
        else if (log->signals[i].unsaved)
            used[n_used++] = (uint32_t)i;
    *out = (struct work_run_delta){
        .first_step = old,
        .steps = log->steps + old,
        .n_steps = log->n_steps - old,
        .changed = changed,
        .changes = changes,
        .n_changed = n,
        .first_signal = known,
        .signals = log->signals + known,
        .n_signals = log->n_signals - known,
        .used = used,
        .n_used = n_used,
        .parked = log->parked,
        .cancelled = log->cancelled,
        .order = log->order,
        .told = log->told,
    };
    return true;
}

static void
log_saved(struct work_handler_run *open)
{
    for (size_t i = 0; i < open->log.n_steps; i++)
        open->log.steps[i].unsaved = false;
    for (size_t i = 0; i < open->log.n_signals; i++)
        open->log.signals[i].unsaved = false;
    open->saved_steps = open->log.n_steps;
    open->saved_signals = open->log.n_signals;
}

static bool
whole_put(struct work_handler *h, struct work_outcome *out)
{
    struct work_handler_run *open = &h->open;
    struct plex_err err;

    open->opened.len = 0;
    if (work_run_pack(&open->log, &open->opened, &err) != PLEX_OK) {
        (void)work_handler_fail(&h->ctx, err.text);
        return false;
    }
    open->whole_bytes = open->opened.len;
    open->delta_bytes = 0;
    out->state_changed = true;
    out->state = (struct plex_bytes){open->opened.data, open->opened.len};
    return true;
}

/*
 * The log as the journal is to have it. Only what is new is written, in the
 * record; the whole when there is none yet, when that is too much, and when
 * what has been added since the last time is as much as the whole was then: so
 * a run costs what its steps cost, and loading it costs no more than its log.
 */
static bool
log_put(struct work_handler *h, struct work_outcome *out)
{
    struct work_handler_run *open = &h->open;
    struct work_run_delta delta;
    size_t bytes = 0, limit = open->whole_bytes;
    bool fits = delta_of(h, &delta, &bytes), whole;
    struct plex_err err;

    if (work_run_check(&open->log, &err) != PLEX_OK) {
        (void)work_handler_fail(&h->ctx, err.text);
        return false;
    }
    if (limit < WHOLE_BYTES_MIN)
        limit = WHOLE_BYTES_MIN;
    fits = fits && bytes <= DELTA_BYTES_MAX;
    fits = work_record_put(h, fits ? &delta : NULL, out) && fits;
    whole = open->dirty && (open->whole_bytes == 0 || !fits ||
                            open->delta_bytes + bytes > limit);
    if (whole && !whole_put(h, out))
        return false;
    if (open->dirty && !whole) {
        out->rebuilds = true;
        open->delta_bytes += out->record.len;
    }
    log_saved(open);
    return true;
}

void
work_run_record(struct work_handler *h, struct work_outcome *out)
{
    struct work_run_delta delta;
    size_t bytes;
    const bool fits = h->open.log.n_steps > 0 && delta_of(h, &delta, &bytes) &&
                      bytes <= DELTA_BYTES_MAX;

    if (h->turn->run->run.durable)
        (void)work_record_put(h, fits ? &delta : NULL, out);
}

/* End this stretch and begin the next one. 0, or the run has failed. */
int
work_run_stretch(struct work_handler *h, enum work_phase phase,
                 const char *waits_for)
{
    struct work_handler_run *open = &h->open;
    struct work_outcome *out = h->outcome;
    const char *problem;

    if (h->run->run.asked != NULL)
        return work_ask_past_stops(h, phase, waits_for);
    problem = run_open(h);
    if (problem != NULL || h->failed) {
        (void)work_handler_fail(&h->ctx, problem);
        return PLEX_E_FAILED;
    }
    (void)snprintf(open->waits_for, sizeof open->waits_for, "%s", waits_for);
    if (open->issued > open->log.told) {
        open->log.told = open->issued;
        open->dirty = true;
    }
    *out = (struct work_outcome){
        .phase = phase,
        .waits_for = open->waits_for,
        .holds = h->holds,
        .outputs = h->outputs,
        .n_outputs = h->n_outputs,
        .takes = open->takes && open->cursor == open->log.n_steps,
        .answer = open->answer,
    };
    if (!log_put(h, out))
        return PLEX_E_TOO_LARGE;
    open->answer.len = 0;
    do
        h->run = h->wait(h->wait_arg, &h->wall_ms);
    while (work_ask_came(h)); /* answered: nothing has changed */
    work_record_begin(h);
    h->n_outputs = 0;
    open->dirty = false;
    open->clean = h->run->run.how == WORK_RUN_CONTINUE;
    if (h->run->run.how == WORK_RUN_RESULT)
        result_apply(h, h->run->run.message);
    return h->failed ? PLEX_E_FAILED : 0;
}

bool
work_run_cancelled(const struct work_handler *h)
{
    return h->open.log.cancelled != 0 && !h->open.shielded;
}

/* Until somebody resumes the run, or cancels it: PLEX_E_CANCELLED. */
int
work_run_park(struct work_handler *h, const char *reason)
{
    struct work_run *log = &h->open.log;
    int status = 0;

    log->parked = work_run_text(h, reason);
    h->open.dirty = true;
    while (status == 0 && log->parked[0] != '\0' && !work_run_cancelled(h))
        status = work_run_stretch(h, WORK_PARKED, log->parked);
    if (status == 0 && work_run_cancelled(h)) {
        log->parked = "";
        h->open.dirty = true;
        return PLEX_E_CANCELLED;
    }
    return status;
}

const char *
work_step_kind_name(enum work_step_kind kind)
{
    static const char *const names[WORK_STEP_KINDS] = {
        "?",      "effect",  "call",   "sleep",  "promise",
        "signal", "version", "update", "answer",
    };

    return names[kind];
}

/*
 * The next command of the callback. 1: *step is recorded; 0: it is new, and
 * *step is NULL; negative: it cannot be. Where the code now asks for something
 * else than the record holds, it is parked, and looked at again when resumed.
 */
int
work_run_command(struct work_handler *h, enum work_step_kind kind,
                 const char *name, struct work_step **step)
{
    struct work_handler_run *open = &h->open;
    char text[700];
    int status;

    *step = NULL;
    if (!h->durable || h->wait == NULL)
        return PLEX_E_UNSUPPORTED;
    if (h->failed)
        return PLEX_E_FAILED;
    if (open->in_effect || name == NULL || strlen(name) > WORK_STEP_NAME_MAX) {
        (void)work_handler_fail(
            &h->ctx, open->in_effect ? "an effect used durable execution itself"
                                     : "a step's name must be 1 to 255 bytes");
        return PLEX_E_INVALID;
    }
    while (open->cursor < open->log.n_steps) {
        struct work_step *recorded = &open->log.steps[open->cursor];

        if (recorded->kind == kind && strcmp(recorded->name, name) == 0) {
            open->cursor++;
            *step = recorded;
            return 1;
        }
        (void)snprintf(text, sizeof text,
                       "the code has changed: step %zu is recorded as %s "
                       "\"%s\", and now the code asks for %s \"%s\"",
                       open->cursor, work_step_kind_name(recorded->kind),
                       recorded->name, work_step_kind_name(kind), name);
        status = work_run_park(h, text);
        if (status != 0)
            return status;
    }
    return 0;
}

bool
work_run_left_out(struct work_handler *h)
{
    struct work_handler_run *open = &h->open;
    const struct work_step *recorded;
    char text[700];

    if (h->failed || open->cursor >= open->log.n_steps)
        return false;
    recorded = &open->log.steps[open->cursor];
    (void)snprintf(text, sizeof text,
                   "the code has changed: step %zu is recorded as %s \"%s\", "
                   "and now the code returns",
                   open->cursor, work_step_kind_name(recorded->kind),
                   recorded->name);
    /* What it did instead of the recorded steps is not done. */
    work_handler_reset(h);
    open->issued = open->random = 0;
    open->continues = false;
    if (work_run_park(h, text) != 0) {
        (void)work_handler_fail(&h->ctx, text);
        return false;
    }
    open->cursor = 0;
    open->now_ms = open->log.started_ms;
    return true;
}

const struct work_step *
work_run_again(struct work_handler *h, enum work_step_kind kind,
               const char *name)
{
    const struct work_run_delta *delta = h->turn->again->run;
    const size_t at = h->open.log.n_steps;
    const struct work_step *step;

    if (delta == NULL || at < delta->first_step ||
        at - delta->first_step >= delta->n_steps)
        return NULL;
    step = &delta->steps[at - delta->first_step];
    return step->kind == kind && strcmp(step->name, name) == 0 ? step : NULL;
}

/* -- begin and end ------------------------------------------------------------
 */

bool
work_run_begin(struct work_handler *h)
{
    struct work_handler_run *open = &h->open;
    const struct plex_arena arena = open->arena;
    const struct plex_buf opened = open->opened;
    struct plex_err err;

    *open = (struct work_handler_run){.arena = arena, .opened = opened};
    work_ask_reset(h);
    plex_arena_reset(&open->arena);
    open->log.parked = "";
    open->now_ms = h->wall_ms;
    open->clean = h->run->run.settled;
    open->nonce = work_run_nonce(h);
    if (h->run->run.how != WORK_RUN_REPLAY)
        return true;
    if (work_run_unpack(h->run->run.state, &open->arena, &open->log, &err) !=
        PLEX_OK)
        return false;
    open->steps_cap = open->saved_steps = open->log.n_steps;
    open->signals_cap = open->saved_signals = open->log.n_signals;
    open->delta_bytes = h->run->run.delta_bytes;
    open->whole_bytes = h->run->run.state.len > open->delta_bytes
                            ? h->run->run.state.len - open->delta_bytes
                            : 1;
    open->is_open = true;
    open->nonce = work_run_nonce(h); /* it may have begun anew */
    open->now_ms = open->log.started_ms;
    h->has_base = open->log.has_state;
    h->base = open->log.state;
    return true;
}

void
work_run_end(struct work_handler *h)
{
    if (!h->open.is_open)
        return;
    if (h->run->run.asked != NULL) {
        work_ask_past(h);
        return;
    }
    for (size_t i = 0; i < h->open.log.n_steps; i++)
        if (h->open.log.steps[i].kind == WORK_STEP_SLEEP &&
            !h->open.log.steps[i].done)
            work_run_timer_stop(h, i);
}

void
work_run_init(struct work_handler *h)
{
    plex_arena_init(&h->open.arena, RUN_ARENA_MAX);
    work_ask_init(h);
    h->open.opened.max = JOURNAL_STATE_MAX;
}

void
work_run_fini(struct work_handler *h)
{
    plex_arena_fini(&h->open.arena);
    plex_buf_free(&h->open.opened);
    work_ask_fini(h);
}
