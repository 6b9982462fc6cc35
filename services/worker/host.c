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

static struct hosted *
find(const struct work_host *host, uint64_t activation)
{
    struct hnode *node = work_htab_first(&host->by_activation, activation);

    for (; node != NULL; node = work_htab_next(node)) {
        struct hosted *hosted = plex_container_of(node, struct hosted, node);

        if (hosted->activation == activation)
            return hosted;
    }
    return NULL;
}

static struct hosted *
find_ref(const struct work_host *host, struct plex_ref ref)
{
    struct hnode *node = work_htab_first(&host->by_ref, ref.id);

    for (; node != NULL; node = work_htab_next(node)) {
        struct hosted *hosted =
            plex_container_of(node, struct hosted, ref_node);

        if (plex_ref_is(hosted->ref, ref))
            return hosted;
    }
    return NULL;
}

static struct job *
job_take(struct work_host *host)
{
    struct job *job = host->spare;

    host->n_running++;
    if (job != NULL) {
        host->spare = job->next;
        host->n_spare--;
        return job;
    }
    job = plex_calloc(1, sizeof *job);
    job->host = host;
    job->handler = work_handler_create();
    return job;
}

/* The job is done with: what it has of the activation goes back, or ends. */
static void
chain_return(struct job *job, struct hosted *hosted)
{
    if (hosted != NULL)
        hosted->chain = job->chain;
    else
        work_facets_end(job->facets, job->chain, "shutdown");
    job->chain = NULL;
}

static void
job_give(struct work_host *host, struct job *job)
{
    host->n_running--;
    if (host->n_spare == SPARE_MAX) {
        work_handler_free(job->handler);
        free(job);
        return;
    }
    job->next = host->spare;
    host->spare = job;
    host->n_spare++;
}

static bool
process_start(struct work_host *host, struct hosted *hosted)
{
    const struct plex_spawn how = {.behaviour = &host->turns};
    const struct rt_where where = {hosted->actor.tenant, hosted->actor.ns};

    if (rt_spawn(host->config.rt, where, &how, NULL, NULL, &hosted->ref) != 0)
        return false;
    work_htab_put(&host->by_ref, &hosted->ref_node, hosted->ref.id);
    if (!hosted->told && host->config.lived != NULL)
        host->config.lived(host->config.arg, RT_ACTIVATED, &hosted->actor,
                           hosted->ref, "");
    hosted->told = true;
    return true;
}

static void
process_forget(struct work_host *host, struct hosted *hosted)
{
    if (hosted->ref.id != 0)
        work_htab_take(&host->by_ref, &hosted->ref_node);
    hosted->ref = (struct plex_ref){0};
}

static bool
job_send(struct work_host *host, struct hosted *hosted, uint64_t tag)
{
    const struct plex_post post = {
        .kind = PLEX_MSG_CAST,
        .tag = tag,
        .payload = &hosted->job,
        .len = sizeof hosted->job,
    };

    hosted->job->sent_ns = plex_now();
    hosted->job->out = true;
    return rt_send(host->config.rt, hosted->ref, &post) == 0;
}

static void
report(struct work_host *host, struct job *job)
{
    const struct work_host_ran ran = {
        .token = job->run.token,
        .user = job->run.run.user,
        .outcome = &job->outcome,
        .wait_ns =
            job->run.run.wait_ns +
            (job->began_ns > job->sent_ns ? job->began_ns - job->sent_ns : 0),
        .run_ns =
            job->ended_ns > job->began_ns ? job->ended_ns - job->began_ns : 0,
    };

    host->config.ran(host->config.arg, &ran);
}

/* The turn cannot be run, or was cut short. */
static void
job_fails(struct work_host *host, struct hosted *hosted)
{
    struct job *job = hosted->job;

    hosted->job = NULL;
    chain_return(job, hosted);
    job->out = false;
    job->outcome = (struct work_outcome){.failed = true};
    job->sent_ns = job->began_ns = job->ended_ns = plex_now();
    report(host, job);
    job_give(host, job);
}

/* Does it have links or monitors? Those that never made any are not asked. */
static bool
holds(struct work_host *host, struct hosted *hosted, const struct job *job)
{
    struct rt_info info;

    hosted->holds = hosted->holds || job->outcome.holds;
    if (hosted->holds)
        hosted->holds = rt_inspect(host->config.rt, hosted->ref, &info) == 0 &&
                        info.links + info.monitors > 0;
    return hosted->holds;
}

static void
job_came(struct work_host *host, struct job *job)
{
    struct hosted *hosted = find(host, job->activation);

    job->out = false;
    if (hosted == NULL || hosted->job != job) { /* abandoned meanwhile */
        chain_return(job, NULL);
        if (job->over)
            job_give(host, job);
        return;
    }
    if (job->over) {
        hosted->job = NULL;
        chain_return(job, hosted);
    }
    job->outcome.holds = holds(host, hosted, job);
    report(host, job);
    if (job->over)
        job_give(host, job);
}

/* Somebody killed it, or its callback ended it. */
static void
process_gone(struct work_host *host, struct plex_ref ref)
{
    struct hosted *hosted = find_ref(host, ref);

    if (hosted == NULL)
        return;
    process_forget(host, hosted);
    if (hosted->job != NULL && hosted->job->out)
        job_fails(host, hosted);
    if (host->config.inbound != NULL)
        host->config.inbound(host->config.arg,
                             &(struct work_inbound){.kind = WORK_IN_ENDED,
                                                    .actor = hosted->actor});
}

/* The turn still runs, so what its RUN points to is there. */
static void
process_stuck(struct work_host *host, const struct gone *was)
{
    const struct hosted *hosted = find_ref(host, was->ref);
    const struct plex_actor_id *actor;

    if (hosted == NULL || hosted->job == NULL || !hosted->job->out)
        return;
    actor = &hosted->actor;
    plex_log(PLEX_LOG_WARN, "worker.stuck",
             "a turn of %s/%s/%s/%s has run for %llu ms", actor->tenant,
             actor->ns, actor->type, actor->key,
             (unsigned long long)(was->stuck_ns / 1000000));
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
exit_ends(struct work_host *host, struct hosted *hosted,
          const struct inbound *inbound)
{
    char reason[256];

    if (inbound->in.kind != WORK_IN_MESSAGE ||
        inbound->in.post.kind != PLEX_MSG_EXIT ||
        (hosted->behaviour != NULL && hosted->behaviour->trap_exit))
        return false;
    (void)snprintf(reason, sizeof reason, "%s", inbound->bytes);
    if (strcmp(reason, "normal") != 0)
        rt_end(host->config.rt, hosted->ref, reason);
    return true;
}

static void
inbound_came(struct work_host *host, struct inbound *inbound)
{
    struct hosted *hosted = find_ref(host, inbound->self);

    atomic_fetch_sub(&host->n_inbound, 1);
    if (hosted == NULL || host->config.inbound == NULL) {
        answer_nobody(host, inbound);
    } else if (!exit_ends(host, hosted, inbound)) {
        inbound->in.actor = hosted->actor;
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

    while (link != NULL) {
        struct work_link *next = link->next;

        job_came(host, plex_container_of(link, struct job, link));
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
    } while (atomic_load(&host->done.newest) != NULL);
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
    work_htab_put(&host->by_activation, &hosted->node, activation);
    return hosted;
}

struct plex_ref
work_host_process(struct work_host *host, uint64_t activation,
                  const struct plex_actor_id *actor)
{
    struct hosted *hosted = find(host, activation);

    if (hosted == NULL)
        hosted = hosted_make(host, activation, actor);
    if (hosted->ref.id == 0)
        (void)process_start(host, hosted);
    return hosted->ref;
}

const struct plex_actor_id *
work_host_actor(const struct work_host *host, struct plex_ref ref)
{
    const struct hosted *hosted = find_ref(host, ref);

    return hosted == NULL ? NULL : &hosted->actor;
}

bool
work_host_chain(const struct work_host *host, struct plex_ref from, char *out)
{
    const struct hosted *hosted = find_ref(host, from);
    const struct job *job = hosted == NULL ? NULL : hosted->job;

    /* While it is out, what its RUN points to is there. */
    if (job == NULL || !job->out || job->run.run.message == NULL)
        return false;
    work_chain_of(&hosted->actor, job->run.run.message, out);
    return true;
}

void
work_host_run(struct work_host *host, const struct plex_behaviour *behaviour,
              const struct work_facet_setup *facets,
              const struct work_action *run)
{
    const bool begins =
        run->run.how != WORK_RUN_RESULT && run->run.how != WORK_RUN_CONTINUE;
    struct hosted *hosted = find(host, run->run.activation);

    if (hosted == NULL)
        hosted = hosted_make(host, run->run.activation, run->run.actor);
    if (begins) {
        hosted->behaviour = behaviour;
        hosted->job = job_take(host);
        hosted->job->behaviour = behaviour;
        hosted->job->facets = hosted->facets = facets;
        hosted->job->chain = hosted->chain;
        hosted->chain = NULL;
        hosted->job->activation = run->run.activation;
        atomic_store(&hosted->job->revoked, false);
    }
    assert(hosted->job != NULL);
    hosted->job->run = *run;
    if (hosted->ref.id == 0 && (!begins || !process_start(host, hosted)))
        job_fails(host, hosted);
    else if (!job_send(host, hosted, begins ? TAG_TURN : TAG_RESUME))
        job_fails(host, hosted);
    if (host->config.stepped)
        step(host);
}

void
work_host_revoke(struct work_host *host, uint64_t activation)
{
    const struct hosted *hosted = find(host, activation);

    if (hosted != NULL && hosted->job != NULL)
        atomic_store(&hosted->job->revoked, true);
}

void
work_host_lease(struct work_host *host, uint64_t until_ns)
{
    atomic_store(&host->lease_until, until_ns);
}

void
work_host_abandon(struct work_host *host, uint64_t activation,
                  const char *reason)
{
    struct hosted *hosted = find(host, activation);
    struct job *job;

    if (hosted == NULL)
        return;
    job = hosted->job;
    /* A handler that waits is never resumed: nobody looks at its job again. */
    if (hosted->ref.id != 0)
        rt_end(host->config.rt, hosted->ref, reason);
    if (hosted->told && host->config.lived != NULL)
        host->config.lived(host->config.arg, RT_DEACTIVATED, &hosted->actor,
                           hosted->ref, reason);
    process_forget(host, hosted);
    if (job != NULL && !job->out) {
        chain_return(job, NULL);
        job_give(host, job);
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
    struct job *job;

    if (host == NULL)
        return;
    drain_rest(host);
    while ((node = work_htab_any(&host->by_activation)) != NULL) {
        struct hosted *hosted = plex_container_of(node, struct hosted, node);

        work_htab_take(&host->by_activation, node);
        work_facets_end(hosted->facets, hosted->chain, "shutdown");
        if (hosted->job != NULL) {
            chain_return(hosted->job, NULL);
            work_handler_free(hosted->job->handler);
            free(hosted->job);
        }
        free(hosted);
    }
    while ((job = host->spare) != NULL) {
        host->spare = job->next;
        work_handler_free(job->handler);
        free(job);
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
