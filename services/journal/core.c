#include "services/journal/core.h"

#include "common/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct request_list {
    struct journal_request *head, **tail;
};

struct journal_core {
    struct journal_core_config config;
    struct journal_epochs epochs;
    uint64_t ticket;
    size_t queued_entries, queued_bytes, queued;
    struct request_list writes;  /* appends and fences, not yet out */
    struct request_list reads;   /* not yet handed out */
    struct request_list answers; /* to be popped */
    struct request_list out;     /* in the commit */
    bool commit_out;
    struct journal_commit commit;
    struct journal_fence *fences; /* of the commit */
    uint64_t *fence_newest;
    size_t fences_cap;
    const struct journal_entry **entries; /* of the commit */
    struct journal_result **results;
    size_t entries_cap;
    struct journal_fence *raises; /* wanted by loads, for the next commit */
    size_t n_raises, raises_cap;
};

static void
list_push(struct request_list *list, struct journal_request *request)
{
    if (list->head == NULL)
        list->tail = &list->head;
    request->next = NULL;
    *list->tail = request;
    list->tail = &request->next;
}

static struct journal_request *
list_pop(struct request_list *list)
{
    struct journal_request *request = list->head;

    if (request != NULL)
        list->head = request->next;
    return request;
}

struct journal_core *
journal_core_create(const struct journal_core_config *config)
{
    struct journal_core *core = plex_calloc(1, sizeof *core);
    struct journal_core_config *c = &core->config;

    *c = *config;
    if (c->commit_entries_max == 0)
        c->commit_entries_max = 4096;
    if (c->commit_bytes_max == 0)
        c->commit_bytes_max = 16 << 20;
    if (c->queue_entries_max == 0)
        c->queue_entries_max = 65536;
    if (c->queue_bytes_max == 0)
        c->queue_bytes_max = 64 << 20;
    return core;
}

void
journal_core_free(struct journal_core *core)
{
    if (core == NULL)
        return;
    journal_epochs_fini(&core->epochs);
    free(core->fences);
    free(core->fence_newest);
    free(core->entries);
    free(core->results);
    free(core->raises);
    free(core);
}

void
journal_core_epochs(struct journal_core *core,
                    const struct journal_epochs *epochs)
{
    journal_epochs_fini(&core->epochs);
    journal_epochs_copy(epochs, &core->epochs);
}

size_t
journal_core_queued(const struct journal_core *core)
{
    return core->queued;
}

uint64_t
journal_core_epoch(const struct journal_core *core, uint32_t shard)
{
    return journal_epochs_get(&core->epochs, shard);
}

/* -- taking requests in ---------------------------------------------------- */

/* Array `p` of capacity *cap gets room for n items. */
static void *
room_for(void *p, size_t *cap, size_t n, size_t size)
{
    if (n <= *cap)
        return p;
    *cap = n < 64 ? 64 : 2 * n;
    return plex_reallocarray(p, *cap, size);
}

static void
answer(struct journal_core *core, struct journal_request *request,
       enum plex_status status, const char *text)
{
    request->err.status = status;
    if (text != request->err.text)
        (void)snprintf(request->err.text, sizeof request->err.text, "%s", text);
    list_push(&core->answers, request);
}

static enum plex_status
check_append(struct journal_request *r)
{
    struct plex_err *err = &r->err;

    if (r->n_entries == 0 || r->n_entries > JOURNAL_ENTRIES_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "append has %zu entries, 1 to %d are allowed",
                            r->n_entries, JOURNAL_ENTRIES_MAX);
    for (size_t i = 0; i < r->n_entries; i++) {
        if (journal_entry_check(&r->entries[i], err) != PLEX_OK)
            return plex_err_wrap(err, "entry %zu", i);
        r->bytes += journal_entry_bytes(&r->entries[i]);
    }
    memset(r->results, 0, r->n_entries * sizeof *r->results);
    return PLEX_OK;
}

static enum plex_status
check_fence(struct journal_request *r)
{
    struct plex_err *err = &r->err;

    if (r->n_ranges == 0 || r->n_ranges > JOURNAL_ENTRIES_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "fence has %zu ranges, 1 to %d are allowed",
                            r->n_ranges, JOURNAL_ENTRIES_MAX);
    for (size_t i = 0; i < r->n_ranges; i++) {
        const struct journal_fence *range = &r->ranges[i];

        if (range->first > range->last || range->last > JOURNAL_SHARD_MAX)
            return plex_err_set(err, PLEX_INVALID,
                                "fence range %zu is %u..%u, shards go from 0 "
                                "to %d in rising order",
                                i, range->first, range->last,
                                JOURNAL_SHARD_MAX);
        if (range->epoch == 0)
            return plex_err_set(err, PLEX_INVALID,
                                "fence range %zu has epoch 0, they start at 1",
                                i);
    }
    r->bytes = r->n_ranges * sizeof *r->ranges;
    return PLEX_OK;
}

static enum plex_status
check_answers(struct journal_request *r)
{
    if (r->n_asked == 0 || r->n_asked > JOURNAL_ASKED_MAX)
        return plex_err_set(&r->err, PLEX_INVALID,
                            "%zu answers are asked for, 1 to %d are allowed",
                            r->n_asked, JOURNAL_ASKED_MAX);
    for (size_t i = 0; i < r->n_asked; i++)
        if (r->asked[i].message_id.len == 0 ||
            r->asked[i].message_id.len > JOURNAL_ID_MAX)
            return plex_err_set(&r->err, PLEX_INVALID,
                                "asked[%zu]: message id is %zu bytes long, 1 "
                                "to %d are allowed",
                                i, r->asked[i].message_id.len, JOURNAL_ID_MAX);
    r->bytes = r->n_asked * sizeof *r->asked;
    return PLEX_OK;
}

static enum plex_status
check_read(struct journal_request *r)
{
    struct plex_err *err = &r->err;

    switch (r->kind) {
    case JOURNAL_LOAD:
        if (r->load.recent_max > JOURNAL_RECENT_MAX)
            return plex_err_set(err, PLEX_INVALID,
                                "load wants %u recent answers, at most %d are "
                                "given",
                                r->load.recent_max, JOURNAL_RECENT_MAX);
        if (r->load.shard > JOURNAL_SHARD_MAX || r->load.epoch == 0)
            return plex_err_set(err, PLEX_INVALID,
                                "load has shard %u and epoch %llu; shards go "
                                "to %d, epochs start at 1",
                                r->load.shard,
                                (unsigned long long)r->load.epoch,
                                JOURNAL_SHARD_MAX);
        return PLEX_OK;
    case JOURNAL_LOOKUP:
        if (r->message_id.len == 0 || r->message_id.len > JOURNAL_ID_MAX)
            return plex_err_set(err, PLEX_INVALID,
                                "message id is %zu bytes long, 1 to %d are "
                                "allowed",
                                r->message_id.len, JOURNAL_ID_MAX);
        return PLEX_OK;
    case JOURNAL_ANSWERS:
        return check_answers(r);
    case JOURNAL_PENDING:
        if (r->page.first > r->page.last || r->page.limit == 0 ||
            r->page.limit > 10000 || r->page.until_ms > INT64_MAX)
            return plex_err_set(err, PLEX_INVALID,
                                "pendings of shards %u..%u, limit %u: shards "
                                "must rise and the limit be 1 to 10000",
                                r->page.first, r->page.last, r->page.limit);
        return PLEX_OK;
    default: /* the store checks them */
        return PLEX_OK;
    }
}

static enum plex_status
check_request(struct journal_request *r)
{
    if (r->kind == JOURNAL_APPEND)
        return check_append(r);
    return r->kind == JOURNAL_FENCE ? check_fence(r) : check_read(r);
}

/* A load under an epoch that nobody fenced yet: fence it first, or the former
 * owner could still append after we have read. */
static void
want_raise(struct journal_core *core, const struct journal_load *load)
{
    if (core->config.unsafe_no_fencing ||
        load->epoch <= journal_epochs_get(&core->epochs, load->shard))
        return;
    core->raises = room_for(core->raises, &core->raises_cap, core->n_raises + 1,
                            sizeof *core->raises);
    core->raises[core->n_raises++] =
        (struct journal_fence){load->shard, load->shard, load->epoch};
}

void
journal_core_submit(struct journal_core *core, struct journal_request *request)
{
    const struct journal_core_config *c = &core->config;
    size_t weight;

    request->bytes = 0;
    request->newest_epoch = 0;
    request->ticket = ++core->ticket;
    if (check_request(request) != PLEX_OK) {
        request->bytes = 0;
        answer(core, request, request->err.status, request->err.text);
        return;
    }
    weight = request->kind == JOURNAL_APPEND ? request->n_entries : 1;
    if (core->queued_entries + weight > c->queue_entries_max ||
        core->queued_bytes + request->bytes > c->queue_bytes_max) {
        answer(core, request, PLEX_LIMIT,
               "the journal's queue is full, try again later");
        return;
    }
    core->queued++;
    core->queued_entries += weight;
    core->queued_bytes += request->bytes;
    if (request->kind == JOURNAL_LOAD)
        want_raise(core, &request->load);
    list_push(request->kind <= JOURNAL_FENCE ? &core->writes : &core->reads,
              request);
}

static void
unqueue(struct journal_core *core, const struct journal_request *request)
{
    core->queued--;
    core->queued_entries -=
        request->kind == JOURNAL_APPEND ? request->n_entries : 1;
    core->queued_bytes -= request->bytes;
}

/* -- forming a commit ------------------------------------------------------ */

static void
commit_add_fence(struct journal_core *core, const struct journal_fence *range)
{
    struct journal_commit *commit = &core->commit;
    const size_t cap = core->fences_cap;

    core->fences = room_for(core->fences, &core->fences_cap,
                            commit->n_fences + 1, sizeof *core->fences);
    if (core->fences_cap != cap)
        core->fence_newest = plex_reallocarray(
            core->fence_newest, core->fences_cap, sizeof *core->fence_newest);
    core->fence_newest[commit->n_fences] = 0;
    core->fences[commit->n_fences++] = *range;
}

static void
commit_add_entry(struct journal_core *core, const struct journal_entry *entry,
                 struct journal_result *result)
{
    struct journal_commit *commit = &core->commit;
    const size_t cap = core->entries_cap;

    core->entries = room_for(core->entries, &core->entries_cap,
                             commit->n_entries + 1, sizeof *core->entries);
    if (core->entries_cap != cap)
        core->results = plex_reallocarray(core->results, core->entries_cap,
                                          sizeof *core->results);
    core->entries[commit->n_entries] = entry;
    core->results[commit->n_entries++] = result;
}

static void
take_append(struct journal_core *core, struct journal_request *request)
{
    for (size_t i = 0; i < request->n_entries; i++) {
        const struct journal_entry *entry = &request->entries[i];
        const uint64_t newest = journal_epochs_get(&core->epochs, entry->shard);

        if (entry->epoch < newest && !core->config.unsafe_no_fencing)
            request->results[i] = (struct journal_result){
                .status = PLEX_FENCED, .newest_epoch = newest};
        else
            commit_add_entry(core, entry, &request->results[i]);
    }
}

/* All ranges or none: a refused worker is to fetch a newer table anyway. */
static void
take_fence(struct journal_core *core, struct journal_request *request)
{
    uint64_t newest = 0;

    for (size_t i = 0; i < request->n_ranges; i++) {
        const struct journal_fence *range = &request->ranges[i];
        const uint64_t max =
            journal_epochs_max(&core->epochs, range->first, range->last);

        if (max > range->epoch && max > newest)
            newest = max;
    }
    if (newest > 0 && !core->config.unsafe_no_fencing) {
        request->newest_epoch = newest;
        return;
    }
    for (size_t i = 0; i < request->n_ranges; i++)
        commit_add_fence(core, &request->ranges[i]);
}

/* Take what is queued, whole requests, up to the limits of one commit. */
static void
form_commit(struct journal_core *core, uint64_t wall_ms)
{
    const struct journal_core_config *c = &core->config;
    size_t bytes = 0, entries = 0;

    core->commit = (struct journal_commit){
        .wall_ms = wall_ms, .unsafe_no_fencing = c->unsafe_no_fencing};
    for (size_t i = 0; i < core->n_raises; i++)
        commit_add_fence(core, &core->raises[i]);
    core->n_raises = 0;
    while (core->writes.head != NULL) {
        struct journal_request *request = core->writes.head;
        const size_t n =
            request->kind == JOURNAL_APPEND ? request->n_entries : 1;

        if (core->out.head != NULL &&
            (entries + n > c->commit_entries_max ||
             bytes + request->bytes > c->commit_bytes_max))
            break;
        entries += n;
        bytes += request->bytes;
        (void)list_pop(&core->writes);
        if (request->kind == JOURNAL_APPEND)
            take_append(core, request);
        else
            take_fence(core, request);
        list_push(&core->out, request);
    }
    core->commit.fences = core->fences;
    core->commit.fence_newest = core->fence_newest;
    core->commit.entries = core->entries;
    core->commit.results = core->results;
}

/* Learn what the commit proved: fences raised, refused, epochs that came with
 * the entries. */
static void
learn_epochs(struct journal_core *core)
{
    const struct journal_commit *commit = &core->commit;

    for (size_t i = 0; i < commit->n_fences; i++) {
        const struct journal_fence *range = &commit->fences[i];

        if (commit->fence_newest[i] == 0)
            (void)journal_epochs_raise(&core->epochs, range);
        else if (range->first == range->last)
            (void)journal_epochs_raise(
                &core->epochs,
                &(struct journal_fence){range->first, range->last,
                                        commit->fence_newest[i]});
    }
    for (size_t i = 0; i < commit->n_entries; i++) {
        const struct journal_entry *entry = commit->entries[i];
        const struct journal_result *result = commit->results[i];
        const uint64_t seen =
            result->status == PLEX_FENCED ? result->newest_epoch : entry->epoch;

        if (seen > journal_epochs_get(&core->epochs, entry->shard))
            (void)journal_epochs_raise(
                &core->epochs,
                &(struct journal_fence){entry->shard, entry->shard, seen});
    }
}

/* Another journal on the same database may have refused a range. */
static void
settle_fences(struct journal_core *core)
{
    const struct journal_commit *commit = &core->commit;
    size_t i = 0;

    /* The loads' own raises come first and belong to no request. */
    for (struct journal_request *r = core->out.head; r != NULL; r = r->next)
        if (r->kind == JOURNAL_FENCE && r->newest_epoch == 0)
            i += r->n_ranges;
    i = commit->n_fences - i;
    for (struct journal_request *r = core->out.head; r != NULL; r = r->next) {
        if (r->kind != JOURNAL_FENCE || r->newest_epoch != 0)
            continue;
        for (size_t k = 0; k < r->n_ranges; k++, i++)
            if (commit->fence_newest[i] > r->newest_epoch)
                r->newest_epoch = commit->fence_newest[i];
    }
}

static void
answer_out(struct journal_core *core, enum plex_status status, const char *text)
{
    struct journal_request *request;

    while ((request = list_pop(&core->out)) != NULL) {
        unqueue(core, request);
        if (request->newest_epoch != 0) {
            (void)plex_err_set(&request->err, PLEX_FENCED,
                               "a shard of the fence is already at epoch %llu",
                               (unsigned long long)request->newest_epoch);
            answer(core, request, PLEX_FENCED, request->err.text);
        } else {
            answer(core, request, status, text);
        }
    }
}

void
journal_core_committed(struct journal_core *core, enum plex_status status,
                       const char *text)
{
    assert(core->commit_out);
    core->commit_out = false;
    if (status == PLEX_OK) {
        settle_fences(core);
        learn_epochs(core);
    }
    answer_out(core, status, status == PLEX_OK ? "" : text);
}

/* -- handing actions out --------------------------------------------------- */

static bool
next_answer(struct journal_core *core, struct journal_action *out)
{
    struct journal_request *request = list_pop(&core->answers);

    if (request == NULL)
        return false;
    *out = (struct journal_action){.kind = JOURNAL_DO_ANSWER,
                                   .request = request,
                                   .status = request->err.status,
                                   .text = request->err.text,
                                   .newest_epoch = request->newest_epoch};
    return true;
}

static void
refuse_load(struct journal_core *core, struct journal_request *request,
            uint64_t newest)
{
    const unsigned long long epoch = request->load.epoch;

    if (request->load.epoch < newest) {
        request->newest_epoch = newest;
        (void)plex_err_set(&request->err, PLEX_FENCED,
                           "load of shard %u under epoch %llu, the newest is "
                           "%llu",
                           request->load.shard, epoch,
                           (unsigned long long)newest);
    } else {
        (void)plex_err_set(&request->err, PLEX_UNAVAILABLE,
                           "epoch %llu of shard %u could not be recorded",
                           epoch, request->load.shard);
    }
    answer(core, request, request->err.status, request->err.text);
}

/* Pops the next read that may run; refused loads become answers. */
static bool
next_read(struct journal_core *core, struct journal_action *out)
{
    struct journal_request *request = core->reads.head;

    if (request == NULL || core->n_raises > 0 ||
        (core->writes.head != NULL &&
         core->writes.head->ticket < request->ticket))
        return false;
    (void)list_pop(&core->reads);
    unqueue(core, request);
    if (request->kind == JOURNAL_LOAD) {
        const uint64_t newest =
            journal_epochs_get(&core->epochs, request->load.shard);

        if (core->config.unsafe_no_fencing) {
            request->load.epoch = UINT64_MAX;
        } else if (request->load.epoch != newest) {
            refuse_load(core, request, newest);
            return next_answer(core, out);
        }
    }
    *out = (struct journal_action){.kind = JOURNAL_DO_READ, .request = request};
    return true;
}

bool
journal_core_next(struct journal_core *core, uint64_t wall_ms,
                  struct journal_action *out)
{
    if (next_answer(core, out))
        return true;
    if (core->commit_out)
        return false;
    if (next_read(core, out))
        return true;
    if (core->writes.head == NULL && core->n_raises == 0)
        return false;
    form_commit(core, wall_ms);
    if (core->commit.n_entries == 0 && core->commit.n_fences == 0) {
        answer_out(core, PLEX_OK, "");
        return journal_core_next(core, wall_ms, out);
    }
    core->commit_out = true;
    *out = (struct journal_action){.kind = JOURNAL_DO_COMMIT,
                                   .commit = &core->commit};
    return true;
}
