/* The processes of an activation: one, and those of turns that are let in while
 * it waits. */
#include "services/worker/host_private.h"

#include "common/mem.h"

struct lane *
work_lane_find(const struct work_host *host, struct plex_ref ref)
{
    struct hnode *node = work_htab_first(&host->by_ref, ref.id);

    for (; node != NULL; node = work_htab_next(node)) {
        struct lane *lane = plex_container_of(node, struct lane, ref_node);

        if (plex_ref_is(lane->ref, ref))
            return lane;
    }
    return NULL;
}

/* The one that the job is on; NULL: on none of these. */
struct lane *
work_lane_of(struct hosted *hosted, const struct job *job)
{
    struct lane *lane = &hosted->front;

    while (lane != NULL && lane->job != job)
        lane = lane->next;
    return lane;
}

/* For another turn. Where none waits that is always the front. */
struct lane *
work_lane_free(struct hosted *hosted)
{
    struct lane *lane = work_lane_of(hosted, NULL);

    if (lane != NULL)
        return lane;
    lane = plex_calloc(1, sizeof *lane);
    lane->hosted = hosted;
    lane->next = hosted->front.next;
    hosted->front.next = lane;
    return lane;
}

/* The turn that yielded to the RUN `token`; NULL: its process has gone. */
struct lane *
work_lane_aside(struct hosted *hosted, uint64_t token)
{
    struct lane *lane = &hosted->front;

    while (lane != NULL && (lane->job == NULL || !lane->job->aside ||
                            lane->job->run.token != token))
        lane = lane->next;
    return lane;
}

bool
work_lane_start(struct work_host *host, struct lane *lane)
{
    struct hosted *hosted = lane->hosted;
    const struct plex_spawn how = {.behaviour = &host->turns};
    const struct rt_where where = {hosted->actor.tenant, hosted->actor.ns};

    if (rt_spawn(host->config.rt, where, &how, NULL, NULL, &lane->ref) != 0)
        return false;
    work_htab_put(&host->by_ref, &lane->ref_node, lane->ref.id);
    if (!hosted->told && host->config.lived != NULL)
        host->config.lived(host->config.arg, RT_ACTIVATED, &hosted->actor,
                           lane->ref, "");
    hosted->told = true;
    return true;
}

void
work_lane_forget(struct work_host *host, struct lane *lane)
{
    if (lane->ref.id != 0)
        work_htab_take(&host->by_ref, &lane->ref_node);
    lane->ref = (struct plex_ref){0};
}

/* Does it have links or monitors? Those that never made any are not asked. */
bool
work_lane_holds(struct work_host *host, struct lane *lane, bool made)
{
    struct rt_info info;
    bool any = false;

    lane->holds = lane->holds || made;
    for (lane = &lane->hosted->front; lane != NULL; lane = lane->next) {
        if (lane->holds)
            lane->holds = rt_inspect(host->config.rt, lane->ref, &info) == 0 &&
                          info.links + info.monitors > 0;
        any = any || lane->holds;
    }
    return any;
}
