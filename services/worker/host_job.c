/* Jobs: one turn each, and visits: turns of one activation in a row, of which
 * the first carries the others to the executor and back. */
#include "services/worker/host_private.h"

#include "common/mem.h"

#include <stdlib.h>

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

void
work_job_give(struct work_host *host, struct job *job)
{
    host->n_running--;
    job->follow = NULL;
    if (host->n_spare == SPARE_MAX) {
        work_handler_free(job->handler);
        free(job);
        return;
    }
    job->next = host->spare;
    host->spare = job;
    host->n_spare++;
}

void
work_job_chain_back(struct job *job, struct hosted *hosted)
{
    if (job->chain == NULL)
        return;
    if (hosted != NULL)
        hosted->chain = job->chain;
    else
        work_facets_end(job->facets, job->chain, "shutdown");
    job->chain = NULL;
}

void
work_job_free(struct job *job)
{
    while (job != NULL) {
        struct job *follow = job->follow;

        work_job_chain_back(job, NULL);
        work_handler_free(job->handler);
        free(job);
        job = follow;
    }
}

static struct job *
job_make(struct work_host *host, struct lane *lane,
         const struct work_action *run)
{
    struct job *job = job_take(host);

    job->behaviour = lane->hosted->behaviour;
    job->facets = lane->hosted->facets;
    job->activation = lane->hosted->activation;
    job->run = *run;
    job->ref = (struct plex_ref){0};
    job->wakes = job->aside = job->over = false;
    job->follow = NULL;
    job->head = job->last = job;
    atomic_store(&job->n_ran, 0);
    atomic_store(&job->revoked, false);
    return job;
}

void
work_job_begin(struct work_host *host, struct lane *lane,
               const struct plex_behaviour *behaviour,
               const struct work_facet_setup *facets,
               const struct work_action *run)
{
    struct job *job;

    lane->hosted->behaviour = behaviour;
    lane->hosted->facets = facets;
    job = lane->job = job_make(host, lane, run);
    for (size_t i = 0; i < run->run.n_ahead; i++) {
        const struct work_ahead *ahead = &run->run.ahead[i];

        job->follow = job_make(host, lane, run);
        job = job->follow;
        job->head = lane->job;
        job->run.run.message = ahead->message;
        job->run.run.request_id = ahead->request_id;
        job->run.run.wait_ns = ahead->wait_ns;
        job->run.run.settled = !run->run.durable;
    }
}

const struct job *
work_job_now(const struct job *head)
{
    uint32_t n = head == NULL ? 0 : atomic_load(&head->n_ran);

    for (; n > 0 && head->follow != NULL; n--)
        head = head->follow;
    return head;
}

/* -- back ------------------------------------------------------------------ */

void
work_job_report(struct work_host *host, struct job *head)
{
    struct work_outcome outcomes[WORK_AHEAD_MAX + 1];
    struct work_host_times times[WORK_AHEAD_MAX + 1];
    struct work_host_ran ran = {
        .token = head->run.token,
        .user = head->run.run.user,
        .outcomes = outcomes,
        .times = times,
    };
    const struct job *job = head;

    for (;;) {
        outcomes[ran.n] = job->outcome;
        times[ran.n++] = (struct work_host_times){
            .wait_ns =
                job->run.run.wait_ns + (job->began_ns > head->sent_ns
                                            ? job->began_ns - head->sent_ns
                                            : 0),
            .run_ns = job->ended_ns > job->began_ns
                          ? job->ended_ns - job->began_ns
                          : 0,
        };
        if (job == head->last)
            break;
        job = job->follow;
    }
    host->config.ran(host->config.arg, &ran);
}

/* Its jobs from `head` to `last`, and those that were not run. One that waits
 * stays: it is a visit of its own from now on. */
static void
visit_give(struct work_host *host, struct job *head)
{
    struct job *last = head->last;
    const bool stays = !last->over;

    while (head != NULL) {
        struct job *follow = head->follow;

        if (head == last && stays) {
            head->follow = NULL;
            head->head = head->last = head;
            atomic_store(&head->n_ran, 0);
        } else {
            work_job_give(host, head);
        }
        head = follow;
    }
}

/* What came back, of a turn that is over or waits. */
static void
visit_end(struct work_host *host, struct lane *lane, struct job *head)
{
    struct job *last = head->last;
    bool holds = false;

    if (last->over) {
        lane->job = NULL;
        work_job_chain_back(last, lane->hosted);
    } else if (last != head) {
        lane->job = last;
        last->out = false;
        atomic_store(&last->revoked, atomic_load(&head->revoked));
    }
    for (struct job *job = head;; job = job->follow) {
        holds = holds || job->outcome.holds;
        if (job == last)
            break;
    }
    last->outcome.holds = work_lane_holds(host, lane, holds);
    work_job_report(host, head);
    visit_give(host, head);
}

void
work_job_fails(struct work_host *host, struct lane *lane)
{
    struct job *head = lane->job;
    struct job *cut = (struct job *)(uintptr_t)work_job_now(head);

    head->out = head->aside = false;
    cut->outcome = (struct work_outcome){.failed = true};
    cut->over = true;
    cut->began_ns = cut->ended_ns = head->sent_ns;
    head->last = cut;
    visit_end(host, lane, head);
}

void
work_job_orphan_end(struct work_host *host, struct job *job)
{
    struct job **at = &host->orphans;

    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    work_job_give(host, job);
}

void
work_job_came(struct work_host *host, struct work_link *link)
{
    struct job *job = plex_container_of(link, struct job, link);
    struct hosted *hosted = work_host_find(host, job->activation);
    struct lane *lane = hosted == NULL ? NULL : work_lane_of(hosted, job);

    job->out = false;
    if (lane == NULL) { /* abandoned meanwhile */
        work_job_chain_back(job->last, NULL);
        if (job->ref.id != 0)
            work_job_orphan_end(host, job);
        else
            visit_give(host, job);
        return;
    }
    if (job->wakes) {
        job->wakes = false;
        job->outcome = (struct work_outcome){.phase = WORK_WAKES};
        work_job_report(host, job);
        return;
    }
    visit_end(host, lane, job);
}
