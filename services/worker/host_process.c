/* Turns on the processes of activations, and what else comes to those: all of
 * this runs on executors. */
#include "services/worker/host_private.h"

#include "common/log.h"
#include "common/mem.h"
#include "runtime/hosted.h"
#include "runtime/internal.h"
#include "sdk/c/include/plexspaces/process.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Longer than a hand-over takes, shorter than anybody notices. */
#define VISIT_NS UINT64_C(200000)

/* Native code cannot be stopped by another thread; its process can. */
void
work_stuck_exit(void)
{
    plex_log(PLEX_LOG_ERROR, "worker.stuck",
             "the worker ends, so that others go on with what runs here "
             "(watchdog_exit_ms)");
    abort();
}

/* Once until the loop has looked. */
void
work_host_wake(struct work_host *host)
{
    if (!host->config.stepped && !atomic_exchange(&host->posted, true))
        plex_loop_post(host->config.loop, &host->task);
}

static void
job_done(struct job *job)
{
    struct work_host *host = job->host;

    job->ended_ns = plex_now();
    job->head->last = job;
    (void)work_queue_push(&host->done, &job->head->link);
    work_host_wake(host);
}

static bool
is_resume(void *arg, const struct plex_msg *msg)
{
    (void)arg;
    return msg->kind == PLEX_MSG_CAST && msg->tag == TAG_RESUME &&
           plex_ref_none(msg->from);
}

static const struct work_action *
job_wait(void *arg, uint64_t *wall_ms)
{
    struct job *job = arg;
    struct plex_ctx *ctx = job->ctx;
    struct plex_msg msg;

    job->over = false;
    job_done(job);
    (void)plex_receive(ctx, is_resume, NULL, UINT64_MAX, &msg);
    job->began_ns = plex_now();
    *wall_ms = plex_wall_ms();
    return &job->run;
}

static void
job_leave(void *arg, const struct work_outcome *so_far)
{
    struct job *job = arg;

    job->so_far = *so_far;
    job->ended_ns = plex_now();
    (void)work_queue_push(&job->host->yields, &job->yield);
    work_host_wake(job->host);
}

static const struct work_action *
job_back(void *arg, uint64_t *wall_ms)
{
    struct job *job = arg;
    struct plex_ctx *ctx = job->ctx;
    struct plex_msg msg;

    job->over = false;
    job->wakes = true;
    (void)work_queue_push(&job->host->done, &job->link);
    work_host_wake(job->host);
    /* Without a stack to wait on it waits all the same: it must not go on
     * beside another turn. */
    while (plex_receive(ctx, is_resume, NULL, UINT64_MAX, &msg) != 0)
        (void)usleep(1000);
    job->began_ns = plex_now();
    *wall_ms = plex_wall_ms();
    return &job->run;
}

static bool
job_may(void *arg)
{
    struct job *job = arg;

    return !atomic_load(&job->head->revoked) &&
           plex_now() < atomic_load(&job->host->lease_until);
}

/* The behaviours are a host's own, so that its processes know it. */
static struct work_host *
host_of(struct plex_ctx *ctx)
{
    return (struct work_host *)(void *)((char *)(uintptr_t)rt_behaviour(ctx) -
                                        offsetof(struct work_host, turns));
}

/* What another process has sent goes the way of all messages of the actor:
 * through the core, as a turn. */
static void
inbound_push(struct plex_ctx *ctx, const struct work_inbound *in)
{
    struct work_host *host = host_of(ctx);
    struct inbound *out;

    if (atomic_fetch_add(&host->n_inbound, 1) >= WORK_INBOUND_MAX &&
        in->call == 0) { /* callers wait: they are as many as there are */
        atomic_fetch_sub(&host->n_inbound, 1);
        return;
    }
    out = plex_calloc(1, sizeof *out + in->post.len + 1);
    out->in = *in;
    out->self = plex_self_ref(ctx);
    if (in->post.len > 0)
        memcpy(out->bytes, in->post.payload, in->post.len);
    out->in.post.payload = out->bytes;
    (void)work_queue_push(&host->inbound, &out->link);
    work_host_wake(host);
}

static int
message_came(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const struct plex_from from = rt_take_call(ctx);
    const bool ended = msg->kind == PLEX_MSG_EXIT || msg->kind == PLEX_MSG_DOWN;

    inbound_push(ctx,
                 &(struct work_inbound){
                     .kind = WORK_IN_MESSAGE,
                     .from = msg->from,
                     .call = from.call,
                     .post = {.kind = msg->kind,
                              .tag = msg->tag,
                              .payload = ended ? msg->reason : msg->payload,
                              .len = ended ? strlen(msg->reason) : msg->len},
                 });
    return 0;
}

static int
reply_came(struct plex_ctx *ctx, uint64_t tag, enum plex_result_status status,
           const void *payload, size_t len)
{
    static const enum plex_status statuses[] = {
        [PLEX_CALL_OK] = PLEX_OK,
        [PLEX_CALL_FAILED] = PLEX_FAILED,
        [PLEX_CALL_TIMEOUT] = PLEX_TIMEOUT,
        [PLEX_CALL_UNREACHABLE] = PLEX_UNAVAILABLE,
    };

    inbound_push(ctx, &(struct work_inbound){
                          .kind = WORK_IN_REPLY,
                          .status = (int)statuses[status],
                          .post = {.tag = tag, .payload = payload, .len = len},
                      });
    return 0;
}

static void
turn_run(struct plex_ctx *ctx, struct job *job)
{
    const struct work_turn how = {
        .behaviour = job->behaviour,
        .run = &job->run,
        .wall_ms = plex_wall_ms(),
        .process = ctx,
        .wait = job_wait,
        .may = job_may,
        .leave = job_leave,
        .back = job_back,
        .wait_arg = job,
        .facets = job->facets,
        .chain = &job->chain,
    };

    job->ctx = ctx;
    work_handler_run(job->handler, &how, &job->outcome);
    job->over = true;
}

/* The next one of the visit, made ready; NULL: there is none, or it is not to
 * be run now. Others want to run as well, and to hear of what was done. */
static struct job *
visit_next(struct job *job)
{
    struct job *next = job->follow, *head = job->head;
    const struct work_outcome *outcome = &job->outcome;

    if (next == NULL || !work_outcome_chains(outcome))
        return NULL;
    job->ended_ns = plex_now();
    if (job->ended_ns - head->began_ns > VISIT_NS || !job_may(job))
        return NULL;
    atomic_fetch_add(&head->n_ran, 1);
    next->run.run.state = job->run.run.state;
    next->run.run.has_state = job->run.run.has_state;
    if (outcome->state_changed && !outcome->failed) {
        next->run.run.state = outcome->state;
        next->run.run.has_state = true;
    }
    next->chain = job->chain;
    job->chain = NULL;
    next->began_ns = job->ended_ns;
    return next;
}

static int
turn(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct job *job, *next;

    if (msg->tag != TAG_TURN || !plex_ref_none(msg->from) ||
        msg->len != sizeof job)
        return message_came(ctx, msg);
    memcpy(&job, msg->payload, sizeof job);
    job->began_ns = plex_now();
    for (;;) {
        turn_run(ctx, job);
        next = visit_next(job);
        if (next == NULL)
            break;
        job = next;
    }
    job_done(job);
    return 0;
}

const struct plex_behaviour work_host_turns = {
    .name = "virtual-actor",
    .handle_cast = turn,
    .handle_call = message_came,
    .handle_info = message_came,
    .handle_reply = reply_came,
    .trap_exit = true,
};
