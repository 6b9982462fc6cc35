#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "runtime/core.h"
#include "runtime/supervisor_code.h"
#include "runtime/supervisor_core.h"

/*
 * A supervisor as a process: what its core decides is done here. After the
 * start it never waits: starts and ends of children come back as messages.
 * During its own start, and when it is told to end outside of its core, it
 * does the same waiting for each outcome.
 */
enum { REMOTE_START_MS = 30000 };

/* Who made a request; `far`: from another node. */
struct asker {
    struct plex_from from;
    bool far;
};
struct sup_timer {
    uint64_t run;
    uint64_t timer;
};
struct sup_process {
    struct sup_core *core;
    struct sup_timer *timers;
    size_t timers_count, timers_max;
    bool ready, over;
    char failed[PLEX_ERR_TEXT_MAX];
};

static uint64_t
now_ms(struct plex_ctx *ctx)
{
    return plex_monotonic_ns(ctx) / 1000000;
}

/* -- timers: of a kill, and of each back-off -- */

static void
timer_set(struct plex_ctx *ctx, struct sup_process *sup, uint64_t run,
          uint64_t ms)
{
    if (sup->timers_count == sup->timers_max) {
        sup->timers_max = sup->timers_max == 0 ? 4 : 2 * sup->timers_max;
        sup->timers = plex_reallocarray(sup->timers, sup->timers_max,
                                        sizeof *sup->timers);
    }
    sup->timers[sup->timers_count++] = (struct sup_timer){
        run, plex_send_after(ctx, plex_self_ref(ctx), ms, 0, run)};
}

/* Forget it, and cancel it unless it has fired. */
static void
timer_end(struct plex_ctx *ctx, struct sup_process *sup, uint64_t run,
          bool fired)
{
    size_t i;

    for (i = 0; i < sup->timers_count; i++) {
        if (sup->timers[i].run != run)
            continue;
        if (!fired)
            (void)plex_cancel_timer(ctx, sup->timers[i].timer);
        sup->timers[i] = sup->timers[--sup->timers_count];
        return;
    }
}

/* -- doing what the core says -- */

static void
emit(struct plex_ctx *ctx, const struct sup_action *action)
{
    struct rt_event event = {.supervisor = plex_self_ref(ctx),
                             .process = action->ref,
                             .child = action->spec->id,
                             .behaviour = action->spec->behaviour->name,
                             .name = action->spec->name,
                             .reason = action->text,
                             .count = action->count};

    switch (action->kind) {
    case SUP_STARTED:
        event.kind = RT_STARTED;
        break;
    case SUP_STOPPED:
        event.kind = RT_STOPPED;
        break;
    case SUP_RESTARTED:
        event.kind = RT_RESTARTED;
        break;
    default:
        event.kind = RT_GAVE_UP;
        event.process = plex_self_ref(ctx);
        event.behaviour = rt_behaviour(ctx)->name;
        event.name = NULL;
    }
    if (event.name == NULL)
        event.name = "";
    if (event.reason == NULL)
        event.reason = "";
    rt_emit(ctx, &event);
}

/* Tell the core. An init that ends itself with "ignore" does not want to run,
 * which is no failure. */
static bool
started(struct plex_ctx *ctx, struct sup_process *sup, uint64_t run, int status,
        struct plex_ref ref, const char *reason)
{
    if (status != 0 && strcmp(reason, "ignore") == 0) {
        status = 0;
        ref = (struct plex_ref){0, 0};
    }
    return sup_core_started(sup->core, now_ms(ctx), run,
                            (enum plex_status) - status, ref, reason);
}

static void
start(struct plex_ctx *ctx, struct sup_process *sup,
      const struct sup_action *action, bool waits)
{
    const struct sup_spec *spec = action->spec;
    const struct plex_spawn how = {.behaviour = spec->behaviour,
                                   .args = spec->args,
                                   .args_len = spec->args_len,
                                   .name = spec->name,
                                   .node = spec->node};
    char reason[PLEX_ERR_TEXT_MAX] = "";
    const struct rt_child_start child = {.how = &how,
                                         .child = spec->id,
                                         .tag = waits ? 0 : action->run,
                                         .reason = reason,
                                         .reason_size = sizeof reason};
    struct plex_ref ref = {0};
    int status = rt_spawn_child(ctx, &child, &ref);

    if (status == 0 && !waits) { /* engine->started() */
        if (spec->node != NULL)
            timer_set(ctx, sup, action->run, REMOTE_START_MS);
        return;
    }
    if (status != 0 && reason[0] == '\0')
        (void)snprintf(reason, sizeof reason, "%s",
                       plex_status_text((enum plex_status) - status));
    (void)started(ctx, sup, action->run, status, ref, reason);
}

static void
answer_send(struct plex_ctx *ctx, const struct asker *to,
            const struct rt_sup_answer *answer, size_t rows)
{
    size_t len = sizeof *answer + rows * sizeof *answer->infos;
    void *bytes = to->far ? rt_sup_answer_write(answer, rows, &len) : NULL;

    (void)plex_answer(ctx, &to->from, bytes == NULL ? answer : bytes, len);
    free(bytes);
}

static void
reply(struct plex_ctx *ctx, struct sup_action *action)
{
    size_t rows = action->infos == NULL ? 0 : action->rows;
    size_t len = sizeof(struct rt_sup_answer) + rows * sizeof *action->infos;
    struct rt_sup_answer *answer = plex_calloc(1, len);

    answer->status =
        action->infos != NULL ? (int)action->count : -(int)action->status;
    answer->ref = action->ref;
    answer->counts = action->counts;
    answer->plan = action->plan;
    if (rows > 0)
        memcpy(answer->infos, action->infos, rows * sizeof *action->infos);
    answer_send(ctx, action->request, answer, rows);
    free(answer);
    free(action->infos);
    free(action->request);
}

static void
stop(struct plex_ctx *ctx, const struct sup_action *action)
{
    /* A child that has unlinked itself sends no exit signal. */
    if (action->kind == SUP_STOP || action->spec->shutdown_ms == 0)
        (void)plex_monitor(ctx, action->ref);
    plex_exit(ctx, action->ref, action->kind == SUP_STOP ? "shutdown" : "kill");
}

static void
act(struct plex_ctx *ctx, struct sup_process *sup, struct sup_action *action,
    bool waits)
{
    switch (action->kind) {
    case SUP_START:
        start(ctx, sup, action, waits);
        break;
    case SUP_STOP:
    case SUP_KILL:
        stop(ctx, action);
        break;
    case SUP_TIMER:
        timer_set(ctx, sup, action->run, action->ms);
        break;
    case SUP_CANCEL:
        timer_end(ctx, sup, action->run, false);
        break;
    case SUP_REPLY:
        reply(ctx, action);
        break;
    case SUP_READY:
        sup->ready = true;
        break;
    case SUP_FAILED:
    case SUP_EXIT:
        sup->over = true;
        (void)snprintf(sup->failed, sizeof sup->failed, "%s", action->text);
        plex_exit_self(ctx, action->text);
        break;
    default:
        emit(ctx, action);
    }
}

static void
pump(struct plex_ctx *ctx, struct sup_process *sup, bool waits)
{
    struct sup_action action;

    while (sup_core_pop(sup->core, &action))
        act(ctx, sup, &action, waits);
}

/* -- waiting for outcomes -- */

static bool
is_outcome(void *arg, const struct plex_msg *msg)
{
    struct plex_ctx *ctx = arg;
    const struct sup_process *sup = rt_engine_state(ctx);
    size_t i;

    if (msg->kind == PLEX_MSG_EXIT || msg->kind == PLEX_MSG_DOWN)
        return !plex_ref_none(msg->from) &&
               !plex_ref_is(msg->from, rt_parent(ctx));
    if (msg->kind != PLEX_MSG_TIMER)
        return false;
    for (i = 0; i < sup->timers_count; i++) {
        if (sup->timers[i].run == msg->tag)
            return true;
    }
    return false;
}

static void
outcome(struct plex_ctx *ctx, struct sup_process *sup,
        const struct plex_msg *msg)
{
    if (msg->kind == PLEX_MSG_TIMER) {
        timer_end(ctx, sup, msg->tag, true);
        sup_core_timer(sup->core, now_ms(ctx), msg->tag);
        return;
    }
    (void)sup_core_exited(sup->core, now_ms(ctx), msg->from, msg->reason);
}

/* Until the core has what it wants: it is ready, or over. */
static void
wait_outcomes(struct plex_ctx *ctx, struct sup_process *sup)
{
    struct plex_msg msg;

    pump(ctx, sup, true);
    while (!sup->ready && !sup->over) {
        if (plex_receive(ctx, is_outcome, ctx, UINT64_MAX, &msg) != 0)
            return;
        outcome(ctx, sup, &msg);
        pump(ctx, sup, true);
    }
}

/* -- the engine -- */

static int
engine_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    struct sup_process *sup = rt_engine_state(ctx);
    struct plex_err err = {.text = ""};

    (void)args;
    (void)len;
    plex_trap_exit(ctx, true);
    if (sup_core_create(rt_behaviour(ctx)->supervisor, &sup->core, &err) !=
        PLEX_OK)
        return plex_fail(ctx, err.text);
    sup_core_begin(sup->core, now_ms(ctx));
    wait_outcomes(ctx, sup);
    if (sup->ready && !sup->over)
        return 0;
    return plex_fail(ctx, sup->over ? sup->failed : "could not wait");
}

/* Of another node: the behaviour of a child is the one of that name here. */
static enum plex_status
far_read(struct plex_ctx *ctx, const struct plex_msg *msg,
         struct rt_sup_read *read)
{
    const struct rt_config *config = &rt_of(ctx)->config;
    const bool has_template =
        rt_behaviour(ctx)->supervisor->strategy == PLEX_SIMPLE_ONE_FOR_ONE;
    const char *behaviour;

    if (!rt_sup_request_read(msg->payload, msg->len, read, &behaviour))
        return PLEX_INVALID;
    if (behaviour[0] == '\0' ||
        (has_template && read->request.verb == PLEX_SUP_START))
        return PLEX_OK;
    if (read->request.child != NULL && config->find != NULL)
        read->child.behaviour = config->find(config->arg, behaviour);
    return read->child.behaviour == NULL ? PLEX_NOT_FOUND : PLEX_OK;
}

static void
asked(struct plex_ctx *ctx, struct sup_process *sup, const struct plex_msg *msg)
{
    struct rt_sup_read read;
    struct rt_sup_answer answer = {0};
    struct asker *asker = plex_calloc(1, sizeof *asker);
    enum plex_status status = PLEX_OK;

    asker->far = (rt_turn_of(ctx)->msg->flags & RT_MSG_FAR) != 0;
    asker->from = plex_reply_later(ctx);
    if (asker->far)
        status = far_read(ctx, msg, &read);
    else if (!rt_sup_unpack(msg->payload, msg->len, &read))
        status = PLEX_INVALID;
    if (status == PLEX_OK)
        status = sup_core_request(sup->core, now_ms(ctx), &read.request, asker);
    if (status == PLEX_OK)
        return;
    answer.status = -(int)status;
    answer_send(ctx, asker, &answer, 0);
    free(asker);
}

/* An exit signal that came through the link, not one that was only sent. */
static bool
is_end(struct plex_ctx *ctx)
{
    return (rt_turn_of(ctx)->msg->flags & RT_MSG_LINKED) != 0;
}

static int
engine_handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct sup_process *sup = rt_engine_state(ctx);

    switch (msg->kind) {
    case RT_KIND_ENGINE:
        asked(ctx, sup, msg);
        break;
    case PLEX_MSG_EXIT:
        if (plex_ref_none(msg->from) || plex_ref_is(msg->from, rt_parent(ctx)))
            sup_core_stop(sup->core, now_ms(ctx), msg->reason);
        else if (is_end(ctx))
            outcome(ctx, sup, msg);
        break;
    case PLEX_MSG_DOWN:
    case PLEX_MSG_TIMER:
        outcome(ctx, sup, msg);
        break;
    default: /* nobody has business here: as OTP, drop it */
        break;
    }
    pump(ctx, sup, false);
    return 0;
}

static int
engine_started(struct plex_ctx *ctx, uint64_t tag, int status,
               struct plex_ref ref, const char *reason)
{
    struct sup_process *sup = rt_engine_state(ctx);

    timer_end(ctx, sup, tag, false);
    if (!started(ctx, sup, tag, status, ref, reason) && status == 0)
        plex_exit(ctx, ref, "kill"); /* it came too late */
    pump(ctx, sup, false);
    return 0;
}

/* Told to end by something that did not go through the core. */
static void
engine_terminate(struct plex_ctx *ctx, const char *reason)
{
    struct sup_process *sup = rt_engine_state(ctx);

    /* In the middle of something the children learn of the end by their
     * links. */
    if (sup->core == NULL || sup->over || !sup_core_idle(sup->core))
        return;
    sup->ready = false;
    sup_core_stop(sup->core, now_ms(ctx), reason);
    wait_outcomes(ctx, sup);
}

static void
engine_fini(struct plex_ctx *ctx, void *state)
{
    struct sup_process *sup = state;
    struct sup_action action;
    void *request;

    (void)ctx;
    free(sup->timers);
    if (sup->core == NULL)
        return;
    while (sup_core_pop(sup->core, &action)) {
        free(action.infos);
        if (action.kind == SUP_REPLY)
            free(action.request);
    }
    while ((request = sup_core_abandoned(sup->core)) != NULL)
        free(request);
    sup_core_free(sup->core);
}

const struct rt_engine rt_engine_supervisor = {
    .state_size = sizeof(struct sup_process),
    .parent_exits = true,
    .init = engine_init,
    .handle = engine_handle,
    .started = engine_started,
    .terminate = engine_terminate,
    .fini = engine_fini,
};
