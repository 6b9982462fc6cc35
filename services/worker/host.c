#include "services/worker/host.h"

#include "common/log.h"
#include "common/mem.h"
#include "common/name.h"
#include "sdk/c/include/plexspaces/process.h"
#include "services/worker/node_queue.h"
#include "services/worker/tables.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TAG_TURN = 1, TAG_RESUME = 2, SPARE_MAX = 64 };

/* One turn, from RUN to its end; between waits too. The executor that runs it
 * owns it from the message until job_done(), then the loop does. */
struct job {
    struct work_link link;
    struct job *next; /* spare */
    struct work_host *host;
    struct work_handler *handler;
    const struct plex_behaviour *behaviour;
    struct plex_ctx *ctx; /* of the process, while it runs */
    struct work_action run;
    struct work_outcome outcome;
    uint64_t sent_ns, began_ns, ended_ns;
    uint64_t activation;
    const struct work_facet_setup *facets;
    struct rt_facets *chain; /* the activation's, while the job is its */
    bool over;
    bool out; /* the executor has it */
    _Atomic bool revoked;
};
/* An activation with a process. */
struct hosted {
    struct hnode node;
    struct hnode ref_node;
    uint64_t activation;
    struct plex_ref ref;
    struct job *job; /* NULL: between turns */
    const struct work_facet_setup *facets;
    struct rt_facets *chain; /* NULL: none yet, or the job has it */
};
/* A process of ours has gone, or does not come to an end. */
struct gone {
    struct work_link link;
    struct plex_ref ref;
    uint64_t stuck_ns; /* 0: gone */
};

struct work_host {
    struct work_host_config config;
    struct htab by_activation;
    struct htab by_ref; /* the same, by ref.id */
    struct job *spare;
    size_t n_spare, n_running;
    struct work_queue done;
    struct work_queue gone;
    struct plex_task task;
    _Atomic bool posted;
    _Atomic uint64_t lease_until;
    bool draining; /* work_host_run() inside ran(): the outer loop goes on */
};

/* Once until the loop has looked. */
static void
wake(struct work_host *host)
{
    if (!host->config.stepped && !atomic_exchange(&host->posted, true))
        plex_loop_post(host->config.loop, &host->task);
}

/* -- on an executor ----------------------------------------------------------
 */

static void
job_done(struct job *job)
{
    struct work_host *host = job->host;

    job->ended_ns = plex_now();
    (void)work_queue_push(&host->done, &job->link);
    wake(host);
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

static bool
job_may(void *arg)
{
    struct job *job = arg;

    return !atomic_load(&job->revoked) &&
           plex_now() < atomic_load(&job->host->lease_until);
}

/* Of a process whose actor has facets: "type/key", by which it writes to the
 * actor itself. */
struct named {
    char name[PLEX_TYPE_MAX + PLEX_KEY_MAX + 2];
};

static void
name_set(struct plex_ctx *ctx, const struct job *job)
{
    const struct plex_actor_id *actor = job->run.run.actor;
    struct named *named = job->facets == NULL ? NULL : plex_data(ctx);

    if (named != NULL && named->name[0] == '\0')
        (void)snprintf(named->name, sizeof named->name, "%s/%s", actor->type,
                       actor->key);
}

/* What comes to a process group that a facet has joined becomes a cast. */
static int
event(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const struct named *named = plex_data(ctx);

    if (named->name[0] != '\0' &&
        (msg->kind == PLEX_MSG_INFO || msg->kind == PLEX_MSG_CAST))
        plex_cast_ref(ctx, plex_whereis(ctx, named->name), msg->tag,
                      msg->payload, msg->len);
    return 0;
}

static int
turn(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct job *job;
    struct work_turn how;

    if (msg->tag != TAG_TURN || !plex_ref_none(msg->from) ||
        msg->len != sizeof job)
        return 0; /* of another process: docs/actors.md */
    memcpy(&job, msg->payload, sizeof job);
    name_set(ctx, job);
    job->ctx = ctx;
    job->began_ns = plex_now();
    how = (struct work_turn){
        .behaviour = job->behaviour,
        .run = &job->run,
        .wall_ms = plex_wall_ms(),
        .process = ctx,
        .wait = job_wait,
        .may = job_may,
        .wait_arg = job,
        .facets = job->facets,
        .chain = &job->chain,
    };
    work_handler_run(job->handler, &how, &job->outcome);
    job->over = true;
    job_done(job);
    return 0;
}

static int
turn_or_event(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    return plex_ref_none(msg->from) ? turn(ctx, msg) : event(ctx, msg);
}

static const struct plex_behaviour turns = {
    .name = "virtual-actor",
    .handle_cast = turn,
    .trap_exit = true,
};
static const struct plex_behaviour turns_with_facets = {
    .name = "virtual-actor",
    .handle_cast = turn_or_event,
    .handle_info = event,
    .data_size = sizeof(struct named),
    .trap_exit = true,
};

bool
work_host_owns(const struct plex_behaviour *behaviour)
{
    return behaviour == &turns || behaviour == &turns_with_facets;
}

/* -- on the loop
 * --------------------------------------------------------------- */

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
process_start(struct work_host *host, struct hosted *hosted,
              const struct plex_actor_id *actor)
{
    const struct plex_spawn how = {
        .behaviour = hosted->facets == NULL ? &turns : &turns_with_facets};
    const struct rt_where where = {actor->tenant, actor->ns};

    if (rt_spawn(host->config.rt, where, &how, NULL, NULL, &hosted->ref) != 0)
        return false;
    work_htab_put(&host->by_ref, &hosted->ref_node, hosted->ref.id);
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
    report(host, job);
    if (job->over)
        job_give(host, job);
}

/* Somebody killed it, or its callback ended it. */
static void
process_gone(struct work_host *host, struct plex_ref ref)
{
    struct hnode *node = work_htab_first(&host->by_ref, ref.id);
    struct hosted *hosted;

    if (node == NULL)
        return;
    hosted = plex_container_of(node, struct hosted, ref_node);
    process_forget(host, hosted);
    if (hosted->job != NULL && hosted->job->out)
        job_fails(host, hosted);
}

/* The turn still runs, so what its RUN points to is there. */
static void
process_stuck(struct work_host *host, const struct gone *was)
{
    struct hnode *node = work_htab_first(&host->by_ref, was->ref.id);
    const struct hosted *hosted;
    const struct plex_actor_id *actor;

    if (node == NULL)
        return;
    hosted = plex_container_of(node, struct hosted, ref_node);
    if (hosted->job == NULL || !hosted->job->out)
        return;
    actor = hosted->job->run.run.actor;
    plex_log(PLEX_LOG_WARN, "worker.stuck",
             "a turn of %s/%s/%s/%s has run for %llu ms", actor->tenant,
             actor->ns, actor->type, actor->key,
             (unsigned long long)(was->stuck_ns / 1000000));
}

static void
drain(struct work_host *host)
{
    /* Taken first: what a process did before it went is in `done`. */
    struct work_link *gone = work_queue_take(&host->gone);
    struct work_link *link = work_queue_take(&host->done);

    while (link != NULL) {
        struct work_link *next = link->next;

        job_came(host, plex_container_of(link, struct job, link));
        link = next;
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
        strcmp(event->behaviour, turns.name) != 0)
        return;
    gone = plex_calloc(1, sizeof *gone);
    gone->ref = event->process;
    if (event->kind == RT_STUCK)
        gone->stuck_ns = event->ns > 0 ? event->ns : 1;
    (void)work_queue_push(&host->gone, &gone->link);
    wake(host);
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

void
work_host_run(struct work_host *host, const struct plex_behaviour *behaviour,
              const struct work_facet_setup *facets,
              const struct work_action *run)
{
    const bool begins =
        run->run.how != WORK_RUN_RESULT && run->run.how != WORK_RUN_CONTINUE;
    struct hosted *hosted = find(host, run->run.activation);

    if (hosted == NULL) {
        hosted = plex_calloc(1, sizeof *hosted);
        hosted->activation = run->run.activation;
        work_htab_put(&host->by_activation, &hosted->node, hosted->activation);
    }
    if (begins) {
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
    if (hosted->ref.id == 0 &&
        (!begins || !process_start(host, hosted, run->run.actor)))
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
work_host_abandon(struct work_host *host, uint64_t activation)
{
    struct hosted *hosted = find(host, activation);
    struct job *job;

    if (hosted == NULL)
        return;
    job = hosted->job;
    /* A handler that waits is never resumed: nobody looks at its job again. */
    if (hosted->ref.id != 0)
        rt_exit(host->config.rt, hosted->ref, "kill");
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
    atomic_store(&host->lease_until, UINT64_MAX);
    host->task.run = on_done;
    return host;
}

static void
drain_rest(struct work_host *host)
{
    struct work_link *gone = work_queue_take(&host->gone);

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
