#include "services/worker/chain.h"
#include "services/worker/host_private.h"

#include "common/log.h"
#include "common/mem.h"
#include "runtime/hosted.h"
#include "sdk/c/include/plexspaces/process.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct hosted *
work_host_find(const struct work_host *host, uint64_t activation)
{
    struct hnode *node = work_htab_first(&host->by_activation, activation);

    for (; node != NULL; node = work_htab_next(node)) {
        struct hosted *hosted = plex_container_of(node, struct hosted, node);

        if (hosted->activation == activation)
            return hosted;
    }
    return NULL;
}

static bool
job_send(struct work_host *host, struct lane *lane, uint64_t tag)
{
    const struct plex_post post = {
        .kind = PLEX_MSG_CAST,
        .tag = tag,
        .payload = &lane->job,
        .len = sizeof lane->job,
    };

    lane->job->sent_ns = plex_now();
    lane->job->out = true;
    lane->job->aside = false;
    return rt_send(host->config.rt, lane->ref, &post) == 0;
}

/* It stands aside: the facets are the next turn's. */
static void
yield_came(struct work_host *host, struct job *job)
{
    struct hosted *hosted = work_host_find(host, job->activation);
    struct lane *lane = hosted == NULL ? NULL : work_lane_of(hosted, job);

    if (lane == NULL)
        return; /* abandoned meanwhile: it does not go on */
    work_job_chain_back(job, hosted);
    job->out = false;
    job->aside = true;
    job->outcome = job->so_far;
    job->outcome.holds = work_lane_holds(host, lane, job->outcome.holds);
    work_job_report(host, job);
}

/* Somebody killed it, or its callback ended it. */
static void
process_gone(struct work_host *host, struct plex_ref ref)
{
    struct lane *lane = work_lane_find(host, ref);
    struct job *job = host->orphans;

    if (lane == NULL) {
        while (job != NULL && !plex_ref_is(job->ref, ref))
            job = job->next;
        if (job != NULL)
            work_job_orphan_end(host, job);
        return;
    }
    work_lane_forget(host, lane);
    if (lane->job != NULL && (lane->job->out || lane->job->aside))
        work_job_fails(host, lane);
    if (host->config.inbound != NULL)
        host->config.inbound(
            host->config.arg,
            &(struct work_inbound){.kind = WORK_IN_ENDED,
                                   .actor = lane->hosted->actor});
}

/* The turn still runs, so what its RUN points to is there. */
static void
process_stuck(struct work_host *host, const struct gone *was)
{
    const struct lane *lane = work_lane_find(host, was->ref);
    const struct plex_actor_id *actor;

    if (lane == NULL || lane->job == NULL || !lane->job->out)
        return;
    actor = &lane->hosted->actor;
    plex_log(PLEX_LOG_WARN, "worker.stuck",
             "a turn of %s/%s/%s/%s has run for %llu ms", actor->tenant,
             actor->ns, actor->type, actor->key,
             (unsigned long long)(was->stuck_ns / 1000000));
    if (was->last)
        work_stuck_exit();
}

static void
answer_nobody(struct work_host *host, const struct inbound *inbound)
{
    const struct rt_signal answer = {
        .kind = RT_ANSWER,
        .to = inbound->in.from,
        .where = {"", ""},
        .name = "",
        .text = "",
        .reason = "noproc",
        .call = inbound->in.call,
        .status = -PLEX_NOT_FOUND,
    };

    if (inbound->in.call != 0)
        host->config.answer(host->config.arg, &answer);
}

/* An exit that the behaviour does not trap ends the activation's process, and
 * those hear of it who are linked to that. */
static bool
exit_ends(struct work_host *host, const struct lane *lane,
          const struct inbound *inbound)
{
    const struct hosted *hosted = lane->hosted;
    char reason[256];

    if (inbound->in.kind != WORK_IN_MESSAGE ||
        inbound->in.post.kind != PLEX_MSG_EXIT ||
        (hosted->behaviour != NULL && hosted->behaviour->trap_exit))
        return false;
    (void)snprintf(reason, sizeof reason, "%s", inbound->bytes);
    if (strcmp(reason, "normal") != 0)
        rt_end(host->config.rt, lane->ref, reason);
    return true;
}

static void
inbound_came(struct work_host *host, struct inbound *inbound)
{
    struct lane *lane = work_lane_find(host, inbound->self);

    atomic_fetch_sub(&host->n_inbound, 1);
    if (lane == NULL || host->config.inbound == NULL) {
        answer_nobody(host, inbound);
    } else if (!exit_ends(host, lane, inbound)) {
        inbound->in.actor = lane->hosted->actor;
        host->config.inbound(host->config.arg, &inbound->in);
    }
    free(inbound);
}

static void
drain(struct work_host *host)
{
    struct work_link *inbound = work_queue_take(&host->inbound);
    /* Taken first: what a process did before it went is in `done`. */
    struct work_link *gone = work_queue_take(&host->gone);
    struct work_link *link = work_queue_take(&host->done);
    /* Taken last: who wakes has yielded before. */
    struct work_link *yield = work_queue_take(&host->yields);

    while (yield != NULL) {
        struct work_link *next = yield->next;

        yield_came(host, plex_container_of(yield, struct job, yield));
        yield = next;
    }
    while (link != NULL) {
        struct work_link *next = link->next;

        work_job_came(host, link);
        link = next;
    }
    while (inbound != NULL) {
        struct work_link *next = inbound->next;

        inbound_came(host, plex_container_of(inbound, struct inbound, link));
        inbound = next;
    }
    while (gone != NULL) {
        struct work_link *next = gone->next;
        struct gone *was = plex_container_of(gone, struct gone, link);

        if (was->stuck_ns > 0)
            process_stuck(host, was);
        else
            process_gone(host, was->ref);
        free(was);
        gone = next;
    }
}

void
work_host_on_event(struct work_host *host, const struct rt_event *event)
{
    struct gone *gone;

    if ((event->kind != RT_STOPPED && event->kind != RT_STUCK) ||
        strcmp(event->behaviour, work_host_turns.name) != 0)
        return;
    gone = plex_calloc(1, sizeof *gone);
    gone->ref = event->process;
    if (event->kind == RT_STUCK)
        gone->stuck_ns = event->ns > 0 ? event->ns : 1;
    gone->last = event->last;
    (void)work_queue_push(&host->gone, &gone->link);
    work_host_wake(host);
}

static void
on_done(struct plex_task *task)
{
    struct work_host *host = plex_container_of(task, struct work_host, task);

    atomic_store(&host->posted, false); /* before looking */
    drain(host);
    host->config.pump(host->config.arg);
}

static void
step(struct work_host *host)
{
    if (host->draining)
        return;
    host->draining = true;
    do {
        (void)rt_step(host->config.rt, plex_now(), plex_wall_ms(), 1000);
        drain(host);
    } while (atomic_load(&host->done.newest) != NULL ||
             atomic_load(&host->yields.newest) != NULL);
    host->draining = false;
}

static struct hosted *
hosted_make(struct work_host *host, uint64_t activation,
            const struct plex_actor_id *actor)
{
    const char *const from[] = {actor->tenant, actor->ns, actor->type,
                                actor->key};
    struct hosted *hosted;
    const char *part[4];
    size_t size = 0;
    char *at;

    for (int i = 0; i < 4; i++)
        size += strlen(from[i]) + 1;
    hosted = plex_calloc(1, sizeof *hosted + size);
    at = hosted->names;
    for (int i = 0; i < 4; i++) {
        part[i] = at;
        at = stpcpy(at, from[i]) + 1;
    }
    hosted->actor = (struct plex_actor_id){part[0], part[1], part[2], part[3]};
    hosted->activation = activation;
    hosted->front.hosted = hosted;
    work_htab_put(&host->by_activation, &hosted->node, activation);
    return hosted;
}

struct plex_ref
work_host_process(struct work_host *host, uint64_t activation,
                  const struct plex_actor_id *actor)
{
    struct hosted *hosted = work_host_find(host, activation);

    if (hosted == NULL)
        hosted = hosted_make(host, activation, actor);
    if (hosted->front.ref.id == 0)
        (void)work_lane_start(host, &hosted->front);
    return hosted->front.ref;
}

const struct plex_actor_id *
work_host_actor(const struct work_host *host, struct plex_ref ref)
{
    const struct lane *lane = work_lane_find(host, ref);

    return lane == NULL ? NULL : &lane->hosted->actor;
}

enum plex_status
work_host_chain(const struct work_host *host, struct plex_ref from, char *out)
{
    const struct lane *lane = work_lane_find(host, from);
    const struct job *job = lane == NULL ? NULL : work_job_now(lane->job);

    /* While it is out, or stands aside, what its RUN points to is there. */
    if (job == NULL || (!lane->job->out && !job->aside) ||
        job->run.run.message == NULL)
        return PLEX_NOT_FOUND;
    return work_chain_of(&lane->hosted->actor, job->run.run.message, out)
               ? PLEX_OK
               : PLEX_LIMIT;
}

/* Its turn comes again, but the process that waited for it has gone. */
static void
resume_fails(struct work_host *host, const struct work_action *run)
{
    const struct work_outcome outcome = {.failed = true};

    host->config.ran(host->config.arg,
                     &(struct work_host_ran){.token = run->token,
                                             .user = run->run.user,
                                             .outcomes = &outcome,
                                             .n = 1});
}

void
work_host_run(struct work_host *host, const struct plex_behaviour *behaviour,
              const struct work_facet_setup *facets,
              const struct work_action *run)
{
    const enum work_run_how how = run->run.how;
    const bool resumes = how == WORK_RUN_RESUME;
    const bool begins =
        !resumes && how != WORK_RUN_RESULT && how != WORK_RUN_CONTINUE;
    struct hosted *hosted = work_host_find(host, run->run.activation);
    struct lane *lane;

    if (hosted == NULL)
        hosted = hosted_make(host, run->run.activation, run->run.actor);
    lane = resumes  ? work_lane_aside(hosted, run->run.resumes)
           : begins ? work_lane_free(hosted)
                    : &hosted->front;
    if (lane == NULL) {
        resume_fails(host, run);
        return;
    }
    if (begins)
        work_job_begin(host, lane, behaviour, facets, run);
    assert(lane->job != NULL);
    if (begins || resumes) {
        lane->job->chain = hosted->chain;
        hosted->chain = NULL;
    }
    if (!begins)
        lane->job->run = *run;
    if (lane->ref.id == 0 && (!begins || !work_lane_start(host, lane)))
        work_job_fails(host, lane);
    else if (!job_send(host, lane, begins ? TAG_TURN : TAG_RESUME))
        work_job_fails(host, lane);
    if (host->config.stepped)
        step(host);
}

void
work_host_revoke(struct work_host *host, uint64_t activation)
{
    struct hosted *hosted = work_host_find(host, activation);

    if (hosted == NULL)
        return;
    for (struct lane *lane = &hosted->front; lane != NULL; lane = lane->next)
        if (lane->job != NULL)
            atomic_store(&lane->job->revoked, true);
}

void
work_host_lease(struct work_host *host, uint64_t until_ns)
{
    atomic_store(&host->lease_until, until_ns);
}

/* A handler that waits for RESULT is never resumed: nobody looks at its job
 * again. One that stands aside may be on its way back. */
static void
lane_abandon(struct work_host *host, struct lane *lane, const char *reason)
{
    struct job *job = lane->job;
    const struct plex_ref ref = lane->ref;

    if (ref.id != 0)
        rt_end(host->config.rt, ref, reason);
    work_lane_forget(host, lane);
    lane->job = NULL;
    if (job == NULL || job->out)
        return;
    work_job_chain_back(job, NULL);
    if (!job->aside) {
        work_job_give(host, job);
        return;
    }
    job->ref = ref;
    job->next = host->orphans;
    host->orphans = job;
}

void
work_host_abandon(struct work_host *host, uint64_t activation,
                  const char *reason)
{
    struct hosted *hosted = work_host_find(host, activation);
    struct lane *lane;

    if (hosted == NULL)
        return;
    if (hosted->told && host->config.lived != NULL)
        host->config.lived(host->config.arg, RT_DEACTIVATED, &hosted->actor,
                           hosted->front.ref, reason);
    lane_abandon(host, &hosted->front, reason);
    while ((lane = hosted->front.next) != NULL) {
        hosted->front.next = lane->next;
        lane_abandon(host, lane, reason);
        free(lane);
    }
    work_htab_take(&host->by_activation, &hosted->node);
    work_facets_end(hosted->facets, hosted->chain, "shutdown");
    free(hosted);
}

struct work_host *
work_host_create(const struct work_host_config *config)
{
    struct work_host *host = plex_calloc(1, sizeof *host);

    host->config = *config;
    host->turns = work_host_turns;
    atomic_store(&host->lease_until, UINT64_MAX);
    host->task.run = on_done;
    return host;
}

static void
drain_rest(struct work_host *host)
{
    struct work_link *gone = work_queue_take(&host->gone);
    struct work_link *inbound = work_queue_take(&host->inbound);

    while (inbound != NULL) {
        struct work_link *next = inbound->next;

        free(plex_container_of(inbound, struct inbound, link));
        inbound = next;
    }
    while (gone != NULL) {
        struct work_link *next = gone->next;

        free(plex_container_of(gone, struct gone, link));
        gone = next;
    }
}

void
work_host_free(struct work_host *host)
{
    struct hnode *node;
    struct lane *lane;
    struct job *job;

    if (host == NULL)
        return;
    drain_rest(host);
    while ((node = work_htab_any(&host->by_activation)) != NULL) {
        struct hosted *hosted = plex_container_of(node, struct hosted, node);

        work_htab_take(&host->by_activation, node);
        work_facets_end(hosted->facets, hosted->chain, "shutdown");
        work_job_free(hosted->front.job);
        while ((lane = hosted->front.next) != NULL) {
            hosted->front.next = lane->next;
            work_job_free(lane->job);
            free(lane);
        }
        free(hosted);
    }
    while ((job = host->orphans) != NULL) {
        host->orphans = job->next;
        work_job_free(job);
    }
    while ((job = host->spare) != NULL) {
        host->spare = job->next;
        work_job_free(job);
    }
    work_htab_fini(&host->by_activation);
    work_htab_fini(&host->by_ref);
    free(host);
}

void
work_host_stats(const struct work_host *host, struct work_host_stats *out)
{
    *out = (struct work_host_stats){host->by_activation.n, host->n_running};
}
