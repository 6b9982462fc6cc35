/* What people ask: which worker has room, and to start something there. */
#include "services/placement/shell.h"

#include "common/mem.h"
#include "services/placement/wire_schedule.h"

#include <stdlib.h>
#include <string.h>

enum { START_MS = 30000, TTL_MS = 35000 };

static bool
decode(struct place_state *state, struct plex_call *call, uint32_t method,
       struct place_schedule *out)
{
    struct plex_err err;

    plex_arena_reset(&state->arena);
    if (place_wire_schedule(method, plex_call_context(call)->tenant,
                            plex_call_payload(call), &state->arena, out,
                            &err) == PLEX_OK)
        return true;
    plex_call_refuse(call, &err);
    return false;
}

/* -- capacities ------------------------------------------------------------ */

static int
by_id(const void *a, const void *b)
{
    const struct place_candidate *const *left = a, *const *right = b;

    return strcmp((*left)->node_id, (*right)->node_id);
}

static bool
has_labels(const struct place_candidate *worker,
           const struct place_schedule *asked)
{
    for (size_t i = 0; i < asked->n_labels; i++) {
        bool found = false;

        for (size_t j = 0; j < worker->n_labels && !found; j++)
            found =
                strcmp(worker->labels[j].key, asked->labels[i].key) == 0 &&
                strcmp(worker->labels[j].value, asked->labels[i].value) == 0;
        if (!found)
            return false;
    }
    return true;
}

void
place_on_capacities(void *arg, struct plex_call *call)
{
    struct place_state *state = arg;
    struct plex_buf out = {.max = PLACE_REPLY_MAX};
    const struct place_candidate *workers, **page;
    struct place_schedule asked;
    struct plex_err err;
    enum plex_status status;
    const char *next = "";
    size_t n = 0, kept = 0;

    if (!decode(state, call, PLACE_METHOD_CAPACITIES, &asked))
        return;
    status = place_core_offers(state->core, plex_now(), &workers, &n, &err);
    page = plex_calloc(n + 1, sizeof *page);
    for (size_t i = 0; status == PLEX_OK && i < n; i++)
        if (strcmp(workers[i].node_id, asked.page_token) > 0 &&
            has_labels(&workers[i], &asked))
            page[kept++] = &workers[i];
    qsort((void *)page, kept, sizeof *page, by_id);
    if (kept > asked.page_size) {
        kept = asked.page_size;
        next = page[kept - 1]->node_id;
    }
    if (status == PLEX_OK)
        status =
            place_wire_capacities(page, kept, next, &state->arena, &out, &err);
    place_answer(state, call, status, &out, &err);
    free((void *)page);
}

void
place_on_capacity(void *arg, struct plex_call *call)
{
    struct place_state *state = arg;
    struct plex_buf out = {.max = PLACE_REPLY_MAX};
    const struct place_candidate *workers = NULL, *found = NULL;
    struct place_schedule asked;
    struct plex_err err;
    enum plex_status status;
    size_t n = 0;

    if (!decode(state, call, PLACE_METHOD_CAPACITY, &asked))
        return;
    status = place_core_offers(state->core, plex_now(), &workers, &n, &err);
    for (size_t i = 0; status == PLEX_OK && i < n; i++)
        if (strcmp(workers[i].node_id, asked.node_id) == 0)
            found = &workers[i];
    if (status == PLEX_OK)
        status = found == NULL
                     ? plex_err_set(&err, PLEX_NOT_FOUND,
                                    "no worker \"%.64s\" offers anything",
                                    asked.node_id)
                     : place_wire_capacity(found, &state->arena, &out, &err);
    place_answer(state, call, status, &out, &err);
}

/* -- starting -------------------------------------------------------------- */

struct starting {
    struct place_state *state;
    struct plex_call *call;
    struct place_held held;
    char node_id[PLACE_NODE_ID_MAX + 1];
    char *request_id, *scoped;
};

static void
on_started(void *arg, const struct plex_link_result *result)
{
    struct starting *starting = arg;
    struct place_state *state = starting->state;
    struct plex_buf out = {.max = PLACE_REPLY_MAX};
    enum plex_status status = result->status;
    const char *process = "";
    struct plex_err err, ignored;
    bool was;

    plex_arena_reset(&state->arena);
    if (status != PLEX_OK)
        (void)plex_err_set(&err, status, "worker %s: %s", starting->node_id,
                           result->text);
    else
        status =
            place_wire_started(result->payload, &state->arena, &process, &err);
    if (status == PLEX_OK)
        status = place_wire_scheduled(starting->request_id, &starting->held,
                                      true, process, &out, &err);
    /* Where the outcome is unknown the worker holds it, or it runs out. */
    else if (!result->outcome_unknown && status != PLEX_CANCELLED &&
             status != PLEX_IN_FLIGHT &&
             place_core_release(state->core, starting->scoped, plex_now(), &was,
                                &ignored) != PLEX_OK)
        was = false;
    plex_call_answer(starting->call, status, &out, &err);
    plex_buf_free(&out);
    if (status != PLEX_CANCELLED)
        place_pump(state);
    free(starting->request_id);
    free(starting->scoped);
    free(starting);
}

static enum plex_status
start_send(struct place_state *state, struct plex_call *call,
           const struct place_schedule *asked, const struct place_granted *got,
           struct plex_err *err)
{
    struct plex_context context = plex_context_none;
    struct plex_buf payload = {.max = 1 << 20};
    struct starting *starting;
    struct plex_link_request request = {.peer = got->url,
                                        .method = PLACE_WORKER_START,
                                        .context = &context,
                                        .done = on_started,
                                        .retry = true};

    if (place_wire_start(asked, &got->held, &state->arena, &payload, err) !=
        PLEX_OK) {
        plex_buf_free(&payload);
        return err->status;
    }
    starting = plex_calloc(1, sizeof *starting);
    starting->state = state;
    starting->call = call;
    starting->request_id = plex_strdup(asked->request_id);
    starting->scoped = plex_strdup(asked->scoped);
    starting->held = got->held;
    memcpy(starting->node_id, got->held.node_id, strlen(got->held.node_id) + 1);
    starting->held.node_id = starting->node_id;
    context.deadline = plex_now() + START_MS * UINT64_C(1000000);
    request.arg = starting;
    request.payload = (struct plex_bytes){payload.data, payload.len};
    (void)plex_link_call(state->host->link, &request);
    plex_buf_free(&payload);
    return PLEX_OK;
}

void
place_on_schedule(void *arg, struct plex_call *call)
{
    struct place_state *state = arg;
    const uint64_t now = plex_now();
    struct plex_buf none = {0};
    struct place_schedule asked;
    struct place_granted got;
    struct plex_err err;

    if (!decode(state, call, PLACE_METHOD_SCHEDULE, &asked))
        return;
    asked.ask.until_ns = now + TTL_MS * UINT64_C(1000000);
    plex_random(&asked.ask.need.randomness, sizeof asked.ask.need.randomness);
    /* One that runs is found by its worker, which knows its ref. */
    if (place_core_reserve(state->core, &asked.ask, now, &got, &err) !=
            PLEX_OK ||
        start_send(state, call, &asked, &got, &err) != PLEX_OK)
        place_answer(state, call, err.status, &none, &err);
    else
        place_pump(state);
}

void
place_on_status(void *arg, struct plex_call *call)
{
    struct place_state *state = arg;
    struct plex_buf out = {.max = PLACE_REPLY_MAX};
    struct place_schedule asked;
    struct place_granted got;
    struct plex_err err;
    enum plex_status status;

    if (!decode(state, call, PLACE_METHOD_STATUS, &asked))
        return;
    status = place_core_find(state->core, asked.scoped, plex_now(), &got, &err);
    if (status == PLEX_OK)
        status = place_wire_scheduled(asked.request_id, &got.held,
                                      got.held.runs, "", &out, &err);
    place_answer(state, call, status, &out, &err);
}
