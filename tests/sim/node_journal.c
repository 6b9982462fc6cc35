/* plex-journal: its core, and the reference store as a disk that survives. */
#include "services/journal/core.h"
#include "services/journal/store_mem.h"
#include "tests/sim/boundary.h"
#include "tests/sim/check.h"
#include "tests/sim/sim.h"

#include "common/mem.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/queue.h>

struct request {
    struct journal_request pub; /* first */
    TAILQ_ENTRY(request) next;
    uint64_t call;
    struct sim_msg *msg; /* what pub points into */
};
struct journal {
    struct journal_core *core;
    TAILQ_HEAD(, request) requests;
    struct journal_commit *commit; /* under way; NULL none */
    bool flushing;                 /* an end of iteration is scheduled */
};

static void pump(struct sim *sim, struct sim_node *node);

static void
request_free(struct journal *journal, struct request *request)
{
    TAILQ_REMOVE(&journal->requests, request, next);
    sim_msg_unref(request->msg);
    free((void *)(uintptr_t)request->pub.asked);
    free(request->pub.results);
    free(request);
}

/* It says it has written, and has not: the checkers must notice. */
static enum plex_status
commit_lose(struct journal_commit *commit)
{
    for (size_t i = 0; i < commit->n_entries; i++)
        *commit->results[i] = (struct journal_result){.status = PLEX_OK};
    return PLEX_OK;
}

/* The disk does it: from here on it has happened. */
static enum plex_status
commit_apply(struct sim *sim, struct sim_node *node,
             struct journal_commit *commit, struct plex_err *err)
{
    enum plex_status status;

    if (sim->config.unsafe_lost_write && sim_chance(sim, 1))
        return commit_lose(commit);
    status = journal_store_commit(node->disk, commit, err);
    if (status == PLEX_OK)
        sim_check_committed(sim, commit);
    return status;
}

static void
on_committed(struct sim *sim, struct sim_node *node, void *arg)
{
    struct journal *journal = node->state;
    struct plex_err err = {0};
    enum plex_status status = PLEX_OK;
    uint64_t fault = sim->faults_over ? 100 : sim_random(sim) % 1000;

    (void)arg;
    if (!sim_boundary(sim, node, NULL, SIM_AT_WRITE, SIM_APPEND))
        return; /* dead */
    if (fault == 0) {
        status = plex_err_set(&err, PLEX_UNAVAILABLE, "disk error");
    } else {
        status = commit_apply(sim, node, journal->commit, &err);
        if (fault == 1) /* done, but the confirmation was lost */
            status = plex_err_set(&err, PLEX_UNKNOWN, "disk was lost");
    }
    if (fault <= 1)
        sim_trace(sim, -1, node, "commit ends as %s", plex_status_name(status));
    journal->commit = NULL;
    if (!sim_boundary(sim, node, NULL, SIM_AT_WRITTEN, SIM_APPEND))
        return;
    journal_core_committed(journal->core, status, err.text);
    pump(sim, node);
}

static enum plex_status
read_store(struct sim *sim, struct sim_node *node,
           const struct journal_request *request, struct sim_msg *reply,
           struct plex_err *err)
{
    struct journal_loaded loaded;
    struct journal_paged paged;
    enum plex_status status;

    if (request->kind == JOURNAL_LOAD) {
        status =
            journal_store_load(node->disk, &request->load, sim_wall(sim, node),
                               &reply->arena, &loaded, &reply->epoch, err);
        if (status == PLEX_OK)
            sim_put_loaded(reply, &loaded);
        return status;
    }
    if (request->kind == JOURNAL_ANSWERS) {
        struct journal_result results[JOURNAL_ASKED_MAX];

        status = journal_store_answers(node->disk, request->asked,
                                       request->n_asked, sim_wall(sim, node),
                                       &reply->arena, results, err);
        sim_put_results(reply, results, request->n_asked);
        return status;
    }
    status = journal_store_pending(node->disk, &request->page, &reply->arena,
                                   &paged, err);
    if (status == PLEX_OK) {
        sim_put_items(reply, paged.items, paged.n);
        reply->after = sim_copy_bytes(reply, paged.next);
        reply->next_due_ms = paged.next_due_ms;
    }
    return status;
}

static void
trace_refused(struct sim *sim, struct sim_node *node,
              const struct journal_request *request)
{
    for (size_t i = 0; i < request->n_entries; i++) {
        const struct journal_entry *entry = &request->entries[i];
        const enum plex_status status = request->results[i].status;

        if (status != PLEX_OK)
            sim_trace(sim, sim_key_of(&entry->actor), node,
                      "refuses %s/%s kind %d seq %" PRIu64 ": %s",
                      entry->actor.type, entry->actor.key, (int)entry->kind,
                      entry->seq, plex_status_name(status));
    }
}

static void
answer(struct sim *sim, struct sim_node *node,
       const struct journal_action *action)
{
    struct request *request = (struct request *)action->request;
    struct sim_msg *reply = sim_msg_make();
    struct plex_err err = {0};

    reply->status = action->status;
    if (action->kind == JOURNAL_DO_READ)
        reply->status = read_store(sim, node, &request->pub, reply, &err);
    else if (action->status == PLEX_OK && request->pub.kind == JOURNAL_APPEND) {
        trace_refused(sim, node, &request->pub);
        sim_put_results(reply, request->pub.results, request->pub.n_entries);
    }
    if (action->kind == JOURNAL_DO_ANSWER)
        reply->epoch = action->newest_epoch;
    if (reply->status != PLEX_OK)
        reply->text = sim_copy_text(
            reply, action->kind == JOURNAL_DO_READ ? err.text : action->text);
    sim_answer(sim, request->call, reply);
    request_free(node->state, request);
}

static uint64_t
commit_takes(struct sim *sim)
{
    if (sim->now < sim->disk_slow_until)
        return sim_between(sim, 100 * SIM_MS, 1500 * SIM_MS);
    return sim_chance(sim, 98) ? sim_between(sim, 80 * SIM_US, 500 * SIM_US)
                               : sim_between(sim, SIM_MS, 200 * SIM_MS);
}

static void
pump(struct sim *sim, struct sim_node *node)
{
    struct journal *journal = node->state;
    struct journal_action action;

    while (journal_core_next(journal->core, sim_wall(sim, node), &action)) {
        if (action.kind != JOURNAL_DO_COMMIT) {
            answer(sim, node, &action);
            continue;
        }
        assert(journal->commit == NULL);
        journal->commit = action.commit;
        sim_after(sim, node, commit_takes(sim), on_committed, NULL, NULL);
    }
}

static void
on_flush(struct sim *sim, struct sim_node *node, void *arg)
{
    (void)arg;
    ((struct journal *)node->state)->flushing = false;
    pump(sim, node);
}

static struct journal_asked *
asked_of(const struct sim_msg *msg)
{
    struct journal_asked *asked = plex_calloc(msg->n, sizeof *asked);

    for (size_t i = 0; i < msg->n; i++)
        asked[i] = (struct journal_asked){msg->entries[i].actor,
                                          msg->entries[i].message_id};
    return asked;
}

static void
request_fill(struct journal_request *pub, const struct sim_call *call)
{
    struct sim_msg *msg = call->msg;

    switch (call->method) {
    case SIM_APPEND:
        pub->kind = JOURNAL_APPEND;
        pub->entries = msg->entries;
        pub->n_entries = msg->n;
        pub->results = plex_calloc(msg->n, sizeof *pub->results);
        break;
    case SIM_FENCE:
        pub->kind = JOURNAL_FENCE;
        pub->ranges = msg->ranges;
        pub->n_ranges = msg->n;
        break;
    case SIM_LOAD:
        pub->kind = JOURNAL_LOAD;
        pub->load = msg->load;
        break;
    case SIM_LOOKUP:
        pub->kind = JOURNAL_ANSWERS;
        pub->asked = asked_of(msg);
        pub->n_asked = msg->n;
        break;
    default:
        assert(call->method == SIM_PENDINGS);
        pub->kind = JOURNAL_PENDING;
        pub->page = (struct journal_page){msg->first, msg->last, msg->after,
                                          msg->limit, msg->until_ms};
        break;
    }
}

static void
serve(struct sim *sim, struct sim_node *node, struct sim_call *call)
{
    struct journal *journal = node->state;
    struct request *request = plex_calloc(1, sizeof *request);

    request->call = call->id;
    request->msg = sim_msg_ref(call->msg);
    request_fill(&request->pub, call);
    TAILQ_INSERT_TAIL(&journal->requests, request, next);
    journal_core_submit(journal->core, &request->pub);
    if (journal->flushing)
        return;
    journal->flushing = true;
    sim_after(sim, node, sim_between(sim, 0, 30 * SIM_US), on_flush, NULL,
              NULL);
}

static void
start(struct sim *sim, struct sim_node *node)
{
    struct journal *journal = plex_calloc(1, sizeof *journal);
    const struct journal_core_config config = {
        .unsafe_no_fencing = sim->config.unsafe_no_fencing};
    const struct journal_store_config mem = {.dsn = "mem:"};
    struct journal_epochs epochs = {0};
    struct journal_store *store = node->disk;
    struct plex_err err = {0};
    enum plex_status status = PLEX_OK;

    if (store == NULL)
        status = journal_store_open(&store, &mem, &err);
    assert(status == PLEX_OK);
    node->disk = store;
    status = journal_store_epochs(store, &epochs, &err);
    assert(status == PLEX_OK);
    node->state = journal;
    TAILQ_INIT(&journal->requests);
    journal->core = journal_core_create(&config);
    journal_core_epochs(journal->core, &epochs);
    journal_epochs_fini(&epochs);
    sim_check_store(sim, store);
}

/* Half of each turn: what it told others is not on the disk. */
static void
commit_tear(struct journal_commit *commit)
{
    for (size_t i = 0; i < commit->n_entries; i++)
        ((struct journal_entry *)(uintptr_t)commit->entries[i])->n_pending = 0;
}

/* The store finds by their checksums that they are damaged, and goes on with
 * those before them: here they are gone. */
void
sim_journal_damage(struct sim *sim, struct sim_node *node)
{
    struct mem_store *store = node->disk;
    struct mem_actor *actor, *next;

    HASH_ITER(hh, store->actors, actor, next)
    {
        struct mem_snapshot *s = actor->snapshots;

        if (s[0].seq == 0)
            continue;
        sim_trace(sim, -1, node, "snapshot %" PRIu64 " of %s is damaged",
                  s[0].seq, actor->name);
        store->bytes -= s[0].state.len;
        free((void *)(uintptr_t)s[0].state.data);
        s[0] = s[1];
        s[1] = (struct mem_snapshot){0};
    }
}

static void
stop(struct sim *sim, struct sim_node *node)
{
    struct journal *journal = node->state;
    struct plex_err err = {0};

    /* The write under way is complete or lost, never half. */
    if (journal->commit != NULL && !sim->config.script && sim_chance(sim, 50)) {
        if (sim->config.unsafe_torn_write)
            commit_tear(journal->commit);
        (void)commit_apply(sim, node, journal->commit, &err);
    }
    journal_core_free(journal->core);
    while (!TAILQ_EMPTY(&journal->requests))
        request_free(journal, TAILQ_FIRST(&journal->requests));
    free(journal);
}

static void
wake(struct sim *sim, struct sim_node *node)
{
    (void)sim, (void)node;
}

void
sim_journal_disk_free(struct sim_node *node)
{
    journal_store_close(node->disk);
    node->disk = NULL;
}

const struct sim_kind sim_kind_journal = {
    .name = "journal",
    .start = start,
    .stop = stop,
    .serve = serve,
    .wake = wake,
};
