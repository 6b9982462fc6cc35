#include "tests/unit/worker/runs_private.h"

#include "services/worker/record.h"

#include "common/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

static const char behaviour[] = "waits";

/* -- a worker ----------------------------------------------------------------
 */

static void
worker_start(struct runs *runs)
{
    static struct place_worker worker = {"worker-1", "inproc://worker-1", 7};
    struct place_range range = {0, 4095, ++runs->epoch, 0};
    const struct place_table table = {.version = runs->epoch,
                                      .pool = "default",
                                      .shard_bits = 12,
                                      .workers = &worker,
                                      .n_workers = 1,
                                      .ranges = &range,
                                      .n_ranges = 1};
    const struct work_type type = {.tenant = "acme",
                                   .ns = "default",
                                   .name = "flow",
                                   .state = WORK_TYPE_RUNNING,
                                   .durable = true,
                                   .idle_timeout_ms = 1000,
                                   .mailbox_max = 100,
                                   .snapshot_every = 1000,
                                   .schema_version = 1,
                                   .user = behaviour};
    struct work_core_config config = work_core_defaults;

    config.node_id = "worker-1";
    config.incarnation = 7;
    if (runs->recent_max > 0)
        config.recent_max = runs->recent_max;
    runs->core = work_core_create(&config);
    work_core_types(runs->core, runs->t, &type, 1);
    work_core_table(runs->core, runs->t, &table);
    work_core_lease(runs->core, runs->t, UINT64_MAX, table.version);
}

static void
live_free(struct runs_live *live)
{
    for (size_t i = 0; i < live->run.n_steps; i++) {
        free((char *)(uintptr_t)live->run.steps[i].name);
        free((void *)(uintptr_t)live->run.steps[i].result.data);
    }
    free(live->run.steps);
    free(live->packed.data);
    *live = (struct runs_live){0};
}

void
runs_crash(struct runs *runs)
{
    work_core_free(runs->core);
    for (size_t i = 0; i < RUNS_ACTORS_MAX; i++)
        live_free(&runs->live[i]);
    runs->crashes++;
    worker_start(runs);
}

struct runs *
runs_create(void)
{
    struct runs *runs = plex_calloc(1, sizeof *runs);

    runs->t = (struct work_time){1000000000, 1700000000000};
    runs->crash_at = SIZE_MAX;
    worker_start(runs);
    runs_go(runs);
    return runs;
}

void
runs_free(struct runs *runs)
{
    work_core_free(runs->core);
    for (size_t i = 0; i < RUNS_ACTORS_MAX; i++) {
        live_free(&runs->live[i]);
        free(runs->actors[i].state.data);
        free(runs->actors[i].reply.data);
        for (size_t k = 0; k < RUNS_RECORDS_MAX; k++)
            free(runs->actors[i].records[k].data);
    }
    for (size_t i = 0; i < RUNS_PENDINGS_MAX; i++)
        free(runs->pendings[i].message.data);
    for (size_t i = 0; i < runs->n_ids; i++)
        free(runs->ids[i].reply.data);
    free(runs);
}

/* -- a handler ---------------------------------------------------------------
 */

static struct work_step *
step_add(struct runs_live *live, enum work_step_kind kind, const char *name)
{
    live->run.steps = plex_reallocarray(live->run.steps, live->run.n_steps + 1,
                                        sizeof *live->run.steps);
    live->run.steps[live->run.n_steps] =
        (struct work_step){.kind = kind, .name = plex_strdup(name)};
    return &live->run.steps[live->run.n_steps++];
}

static struct runs_live *
live_get(struct runs *runs, uint64_t activation)
{
    struct runs_live *vacant = NULL;

    for (size_t i = 0; i < RUNS_ACTORS_MAX; i++) {
        if (runs->live[i].activation == activation)
            return &runs->live[i];
        if (runs->live[i].activation == 0)
            vacant = &runs->live[i];
    }
    assert(vacant != NULL);
    vacant->activation = activation;
    return vacant;
}

static void
live_begin(struct runs_live *live, const struct work_action *a)
{
    struct plex_buf packed = {.max = 1 << 16};
    struct plex_err err;

    live->had_state = a->run.has_state;
    if (a->run.has_state)
        memcpy(&live->start, a->run.state.data, sizeof live->start);
    snprintf(live->script, sizeof live->script, "%s",
             (const char *)a->run.message->payload.data);
    if (work_message_pack(a->run.message, &packed, &err) != PLEX_OK)
        abort();
    runs_blob_set(&live->packed, (struct plex_bytes){packed.data, packed.len});
    plex_buf_free(&packed);
}

static void
live_replay(struct runs *runs, struct runs_live *live,
            const struct work_action *a)
{
    struct plex_arena arena;
    struct work_run run;
    struct plex_err err;

    plex_arena_init(&arena, 1 << 20);
    if (work_run_unpack(a->run.state, &arena, &run, &err) != PLEX_OK)
        abort();
    live->had_state = run.has_state;
    if (run.has_state)
        memcpy(&live->start, run.state.data, sizeof live->start);
    snprintf(live->script, sizeof live->script, "%s",
             (const char *)a->run.message->payload.data);
    runs_blob_set(&live->packed, run.message);
    live->written = true;
    live->n_written = run.n_steps;
    for (size_t i = 0; i < run.n_steps; i++) {
        struct work_step *step =
            step_add(live, run.steps[i].kind, run.steps[i].name);

        step->done = run.steps[i].done;
        step->status = run.steps[i].status;
        if (step->done && step->kind == WORK_STEP_EFFECT)
            runs->recorded[i] = runs->effects[i];
    }
    plex_arena_fini(&arena);
}

static void
live_result(struct runs *runs, struct runs_live *live,
            const struct work_message *m)
{
    size_t at = SIZE_MAX;

    if (m->kind == WORK_REPLY)
        at = (size_t)(m->tag & 0xffff);
    else if (m->kind == WORK_TIMER)
        at = (size_t)atoi(m->timer + 1);
    else if (strncmp(m->timer, "promise:", 8) == 0)
        at = (size_t)atoi(m->timer + 8);
    if (at < live->run.n_steps) {
        live->run.steps[at].done = true;
        live->run.steps[at].status = m->reply_status;
        if (m->reply_status != PLEX_OK)
            snprintf(runs->bad, sizeof runs->bad, "%.*s", (int)m->payload.len,
                     m->payload.data);
        live->dirty = true;
    }
}

struct stretch {
    char script[128]; /* what goes out borrows its words */
    struct work_outcome outcome;
    struct work_output outputs[8];
    char names[8][8];
    char word[64]; /* what it waits for */
};

/* True when the handler has to wait. */
static bool
step_do(struct runs *runs, struct runs_live *live, const char *word, size_t i,
        struct stretch *s, bool settled)
{
    struct work_output *out = &s->outputs[s->outcome.n_outputs];
    char *name = s->names[s->outcome.n_outputs];
    struct work_step *step;

    if (word[0] == 'e' && (live->dirty || !settled)) {
        s->outcome.phase = WORK_COMMITS;
        return true;
    }
    live->dirty = true;
    snprintf(name, 8, "%c%zu", WORK_TIMER_RUN, i);
    step = step_add(live, WORK_STEP_EFFECT, word);
    if (word[0] == 'e') {
        runs->effects[i]++;
        step->done = true;
        return false;
    }
    s->outcome.phase = WORK_WAITS;
    (void)snprintf(s->word, sizeof s->word, "%s", word);
    s->outcome.waits_for = s->word;
    if (word[0] == 's') {
        step->kind = WORK_STEP_SLEEP;
        *out = (struct work_output){.kind = WORK_OUT_TIMER_SET,
                                    .timer = name,
                                    .delay_ms = strtoull(word + 1, NULL, 10)};
        s->outcome.n_outputs++;
    } else if (word[0] == 'c' || word[0] == 'k') {
        const char *payload = word[0] == 'c' ? "i" : "ca i";

        step->kind = WORK_STEP_CALL;
        *out = (struct work_output){
            .kind = WORK_OUT_CALL,
            .type = "flow",
            .key = word + 1,
            .delay_ms = 60000,
            .tag = WORK_TAG_RUN | live->nonce << 32 | i,
            .payload = {(const uint8_t *)payload, strlen(payload) + 1}};
        s->outcome.n_outputs++;
    } else {
        step->kind = WORK_STEP_PROMISE;
    }
    return true;
}

/* From the start of the script over the log, as a real handler's replay; what
 * is in the log is passed over. */
static void
live_go(struct runs *runs, struct runs_live *live, struct stretch *s,
        bool settled, int64_t *state)
{
    char *save = NULL;
    size_t i = 0;

    *state = live->start;
    (void)snprintf(s->script, sizeof s->script, "%s", live->script);
    for (const char *word = strtok_r(s->script, " ", &save); word != NULL;
         word = strtok_r(NULL, " ", &save)) {
        if (word[0] == 'i') {
            ++*state;
            continue;
        }
        if (word[0] == 'f') {
            s->outcome.failed = true;
            break;
        }
        if (i < live->run.n_steps) {
            if (!live->run.steps[i].done) {
                s->outcome.phase = WORK_WAITS;
                (void)snprintf(s->word, sizeof s->word, "%s", word);
                s->outcome.waits_for = s->word;
                return;
            }
            i++;
            continue;
        }
        if (step_do(runs, live, word, i++, s, settled))
            return;
    }
    s->outcome.phase = live->run.n_steps == 0 ? WORK_ENDED : WORK_CLOSED;
}

/* The log, or what is new of it: all steps but the new ones may have changed.
 */
static void
log_put(const struct runs *runs, struct runs_live *live, struct plex_buf *buf,
        struct work_outcome *outcome)
{
    uint32_t changed[RUNS_EFFECTS_MAX];
    const struct work_run_delta delta = {
        .first_step = live->n_written,
        .steps = live->run.steps + live->n_written,
        .n_steps = live->run.n_steps - live->n_written,
        .changed = changed,
        .changes = live->run.steps,
        .n_changed = live->n_written,
        .parked = "",
    };
    const struct work_record record = {.run = &delta};
    struct plex_err err;

    for (uint32_t i = 0; i < RUNS_EFFECTS_MAX; i++)
        changed[i] = i;
    if (live->written && !runs->whole) {
        if (work_record_pack(&record, buf, &err) != PLEX_OK)
            abort();
        outcome->rebuilds = true;
        outcome->record = (struct plex_bytes){buf->data, buf->len};
    } else {
        live->run.has_state = live->had_state;
        live->run.state = (struct plex_bytes){(const uint8_t *)&live->start,
                                              sizeof live->start};
        live->run.message = runs_blob_get(&live->packed);
        live->run.parked = "";
        if (work_run_pack(&live->run, buf, &err) != PLEX_OK)
            abort();
        outcome->state_changed = true;
        outcome->state = (struct plex_bytes){buf->data, buf->len};
    }
    live->written = true;
    live->n_written = live->run.n_steps;
    live->dirty = false;
}

static void
do_run(struct runs *runs, const struct work_action *a)
{
    struct runs_live *live = live_get(runs, a->run.activation);
    struct stretch s = {0};
    struct plex_buf buf = {.max = 1 << 16}, reply = {.max = 4096};
    struct work_reply r = {.content_type = "", .error = ""};
    struct plex_err err;
    char text[32];
    int64_t state;

    s.outcome.outputs = s.outputs;
    if (a->run.how == WORK_RUN_MESSAGE || a->run.how == WORK_RUN_REPLAY)
        live->nonce =
            XXH3_64bits(a->run.message->id.data, a->run.message->id.len) &
            0x7fffffff;
    if (a->run.how == WORK_RUN_MESSAGE)
        live_begin(live, a);
    else if (a->run.how == WORK_RUN_REPLAY)
        live_replay(runs, live, a);
    else if (a->run.how == WORK_RUN_RESULT)
        live_result(runs, live, a->run.message);
    else
        live->dirty = false;
    live_go(runs, live, &s, a->run.settled || a->run.how == WORK_RUN_CONTINUE,
            &state);
    if (s.outcome.phase == WORK_ENDED || s.outcome.phase == WORK_CLOSED) {
        snprintf(text, sizeof text, "%lld", (long long)state);
        r.payload = (struct plex_bytes){(const uint8_t *)text, strlen(text)};
        r.failed = s.outcome.failed;
        r.error = s.outcome.failed ? "asked to" : "";
        if (s.outcome.failed)
            state = live->start;
        s.outcome.has_state = !s.outcome.failed || live->had_state;
        s.outcome.state_changed = !s.outcome.failed;
        s.outcome.state =
            (struct plex_bytes){(const uint8_t *)&state, sizeof state};
    } else if (live->dirty) {
        log_put(runs, live, &buf, &s.outcome);
    }
    if (work_reply_pack(&r, &reply, &err) != PLEX_OK)
        abort();
    s.outcome.reply = (struct plex_bytes){reply.data, reply.len};
    if (s.outcome.waits_for != NULL)
        snprintf(runs->waits_for, sizeof runs->waits_for, "%s",
                 s.outcome.waits_for);
    if (s.outcome.phase == WORK_ENDED || s.outcome.phase == WORK_CLOSED)
        live_free(live);
    work_core_ran(runs->core, runs->t, a->token, &s.outcome);
    plex_buf_free(&buf);
    plex_buf_free(&reply);
}

/* -- actions ------------------------------------------------------------------
 */

static void
do_answer(struct runs *runs, const struct work_action *a)
{
    struct plex_arena arena;
    struct work_reply reply;
    struct plex_err err;

    assert(!runs->answered[a->token]);
    runs->answered[a->token] = true;
    runs->status[a->token] = a->answer.status;
    if (a->answer.status != PLEX_OK)
        return;
    plex_arena_init(&arena, 1 << 20);
    if (work_reply_unpack(a->answer.reply, &arena, &reply, &err) != PLEX_OK)
        abort();
    snprintf(runs->reply[a->token], 64, "%.*s", (int)reply.payload.len,
             reply.payload.data);
    runs->failed[a->token] = reply.failed;
    plex_arena_fini(&arena);
}

static void
do_action(struct runs *runs, const struct work_action *a)
{
    switch (a->kind) {
    case WORK_DO_RUN:
        do_run(runs, a);
        break;
    case WORK_DO_ANSWER:
        do_answer(runs, a);
        break;
    case WORK_DO_LOAD:
        runs_do_load(runs, a);
        break;
    case WORK_DO_APPEND:
        runs_do_append(runs, a);
        break;
    case WORK_DO_FENCE:
        work_core_fenced(runs->core, runs->t, a->token, PLEX_OK, 0);
        break;
    case WORK_DO_PENDINGS:
        runs_do_pendings(runs, a);
        break;
    case WORK_DO_SEND:
        abort(); /* everything is here */
    case WORK_DO_LOOKUP:
        runs_do_lookup(runs, a);
        break;
    case WORK_DO_REVOKE:
        break; /* effects take no time here */
    case WORK_DO_ABANDON:
        runs->abandoned++;
        for (size_t i = 0; i < RUNS_ACTORS_MAX; i++)
            if (runs->live[i].activation == a->abandon.activation)
                live_free(&runs->live[i]);
        break;
    }
}

/* False after a crash: the action queue is another one. */
static bool
next(struct runs *runs)
{
    struct work_action action;

    if (!work_core_next(runs->core, &action))
        return false;
    if (++runs->actions == runs->crash_at && !runs->lost_append) {
        runs_crash(runs);
        return true;
    }
    do_action(runs, &action);
    return true;
}

void
runs_go(struct runs *runs)
{
    bool more;

    do {
        while (next(runs))
            ;
        work_core_flush(runs->core);
        more = next(runs);
        if (!more) {
            work_core_tick(runs->core, runs->t);
            more = next(runs);
        }
    } while (more);
}

void
runs_wait(struct runs *runs, uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i += 10) {
        runs->t.now_ns += 10000000;
        runs->t.wall_ms += 10;
        work_core_tick(runs->core, runs->t);
        runs_go(runs);
    }
}

static uint64_t
deliver(struct runs *runs, const char *key, const struct work_message *from,
        const char *payload)
{
    struct plex_context context = plex_context_none;
    struct work_message m = *from;

    context.tenant = "acme";
    context.request_id = "r1";
    m.to = (struct plex_actor_id){"acme", "default", "flow", key};
    m.method = m.path = m.subpath = m.query = m.content_type = m.sender = "";
    m.payload =
        (struct plex_bytes){(const uint8_t *)payload, strlen(payload) + 1};
    work_core_deliver(runs->core, runs->t, ++runs->calls, &context, &m);
    return runs->calls;
}

uint64_t
runs_post(struct runs *runs, const char *key, const char *script,
          const char *id)
{
    const struct work_message m = {.kind = WORK_CALL,
                                   .id = {(const uint8_t *)id, strlen(id)},
                                   .fresh = runs->fresh,
                                   .request_hash =
                                       runs->hash != 0 ? runs->hash : 5,
                                   .timer = ""};

    return deliver(runs, key, &m, script);
}

uint64_t
runs_resolve(struct runs *runs, const char *key, const char *what,
             const char *payload)
{
    char id[32];
    const int len =
        snprintf(id, sizeof id, "x%llu", (unsigned long long)runs->calls + 1);
    const struct work_message m = {.kind = WORK_RESOLVE,
                                   .id = {(const uint8_t *)id, (size_t)len},
                                   .timer = what};

    return deliver(runs, key, &m, payload);
}

int64_t
runs_state(const struct runs *runs, const char *key)
{
    int64_t state = -1;

    for (size_t i = 0; i < RUNS_ACTORS_MAX; i++)
        if (strcmp(runs->actors[i].key, key) == 0 &&
            runs->actors[i].has_state &&
            runs->actors[i].state.len == sizeof state &&
            (runs->actors[i].schema & ~WORK_SCHEMA_MASK) == 0)
            memcpy(&state, runs->actors[i].state.data, sizeof state);
    return state;
}

bool
runs_is_open(const struct runs *runs, const char *key)
{
    for (size_t i = 0; i < RUNS_ACTORS_MAX; i++)
        if (strcmp(runs->actors[i].key, key) == 0)
            return (runs->actors[i].schema & WORK_SCHEMA_OPEN) != 0;
    return false;
}

size_t
runs_pendings(const struct runs *runs)
{
    size_t n = 0;

    for (size_t i = 0; i < RUNS_PENDINGS_MAX; i++)
        n += runs->pendings[i].used;
    return n;
}
