#include "tests/unit/worker/world.h"

#include "common/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char tag_user[] = "behaviour";

struct world *
world_create(const struct work_core_config *config)
{
    struct work_core_config c = config != NULL ? *config : work_core_defaults;
    struct world *world = plex_calloc(1, sizeof *world);

    c.node_id = "worker-1";
    c.incarnation = 7;
    world->core = work_core_create(&c);
    world->t = (struct work_time){1000000000, 1700000000000};
    world->workers[0] =
        (struct place_worker){"worker-1", "inproc://worker-1", 7};
    world->workers[1] =
        (struct place_worker){"worker-2", "inproc://worker-2", 9};
    world->ranges[0] = (struct place_range){0, 4095, 1, 0};
    world->table = (struct place_table){.version = 1,
                                        .pool = "default",
                                        .shard_bits = 12,
                                        .workers = world->workers,
                                        .n_workers = 2,
                                        .ranges = world->ranges,
                                        .n_ranges = 1};
    return world;
}

void
world_free(struct world *world)
{
    work_core_free(world->core);
    for (size_t i = 0; i < 256; i++)
        if (world->pendings[i].used)
            free((char *)(uintptr_t)world->pendings[i].owner_id.key);
    free(world);
}

void
world_types(struct world *world, enum work_type_state state, const void *user)
{
    struct work_type types[2] = {
        {.tenant = "acme",
         .ns = "default",
         .name = "counter",
         .state = state,
         .durable = true,
         .idle_timeout_ms = 60000,
         .mailbox_max = 10,
         .snapshot_every = 5,
         .schema_version = 1,
         .user = user,
         .max_active = world->shape.max_active,
         .memory_max = world->shape.memory_max,
         .evict_largest = world->shape.evict_largest,
         .persist = world->shape.persist,
         .pinned = world->shape.pinned,
         .warm_keys = world->shape.warm_keys,
         .needs = world->shape.needs},
    };

    types[1] = types[0];
    types[1].name = "volatile";
    types[1].durable = false;
    types[1].reentrancy = world->shape.reentrancy;
    types[1].max_local = world->shape.max_local;
    types[1].route = world->shape.route;
    work_core_types(world->core, world->t, types, 2);
}

void
world_lease(struct world *world, uint64_t ms)
{
    work_core_lease(world->core, world->t, world->t.now_ns + ms * 1000000,
                    world->table.version);
}

void
world_start(struct world *world)
{
    world_types(world, WORK_TYPE_RUNNING, tag_user);
    work_core_table(world->core, world->t, &world->table);
    world_lease(world, 100000000);
    world_go(world);
}

/* -- the journal --------------------------------------------------------------
 */

static struct world_actor *
stored(struct world *world, const struct plex_actor_id *id)
{
    char name[PLEX_ACTOR_NAME_MAX + 1];

    plex_actor_format(id, name, sizeof name);
    for (size_t i = 0; i < world->n_actors; i++)
        if (strcmp(world->actors[i].name, name) == 0)
            return &world->actors[i];
    assert(world->n_actors < WORLD_ACTORS_MAX);
    snprintf(world->actors[world->n_actors].name, 128, "%.127s", name);
    return &world->actors[world->n_actors++];
}

static struct world_id *
id_find(struct world *world, const char *name, struct plex_bytes id)
{
    for (size_t i = 0; i < world->n_ids; i++)
        if (strcmp(world->ids[i].name, name) == 0 &&
            strlen(world->ids[i].id) == id.len &&
            memcmp(world->ids[i].id, id.data, id.len) == 0)
            return &world->ids[i];
    return NULL;
}

static void
id_add(struct world *world, const char *name, struct plex_bytes id,
       uint64_t hash, struct plex_bytes reply, uint64_t seq)
{
    struct world_id *row = &world->ids[world->n_ids++];

    assert(world->n_ids < WORLD_IDS_MAX && reply.len < sizeof row->reply);
    snprintf(row->name, sizeof row->name, "%s", name);
    snprintf(row->id, sizeof row->id, "%.*s", (int)id.len, id.data);
    row->hash = hash;
    memcpy(row->reply, reply.data, reply.len);
    row->reply_len = reply.len;
    row->seq = seq;
}

static void
pending_remove(struct world *world, const char *owner, struct plex_bytes id,
               size_t *n)
{
    for (size_t i = 0; i < 256; i++) {
        struct world_pending *p = &world->pendings[i];

        if (!p->used || strcmp(p->owner, owner) != 0 ||
            strlen(p->id) != id.len || memcmp(p->id, id.data, id.len) != 0)
            continue;
        p->used = false;
        free((char *)(uintptr_t)p->owner_id.key);
        ++*n;
    }
}

/* One of that id is replaced. */
static void
pending_add(struct world *world, const struct plex_actor_id *owner,
            const struct journal_pending *p)
{
    char name[128];
    size_t i = 0, replaced = 0;

    plex_actor_format(owner, name, sizeof name);
    pending_remove(world, name, p->id, &replaced);
    while (world->pendings[i].used)
        i++;
    world->pendings[i].used = true;
    plex_actor_format(owner, world->pendings[i].owner, 128);
    world->pendings[i].owner_id = (struct plex_actor_id){
        "acme", "default", "counter", plex_strdup(owner->key)};
    snprintf(world->pendings[i].id, 320, "%.*s", (int)p->id.len, p->id.data);
    world->pendings[i].due_ms = p->due_ms;
    memcpy(world->pendings[i].message, p->message.data, p->message.len);
    world->pendings[i].len = p->message.len;
}

static void
pending_settle(struct world *world, const char *owner, struct plex_bytes id)
{
    pending_remove(world, owner, id, &world->n_settles);
}

static struct journal_result
entry_write(struct world *world, const struct journal_entry *e)
{
    struct world_actor *actor = stored(world, &e->actor);
    const struct world_id *id;

    world->n_entries++;
    if (e->epoch < world->fence_epoch)
        return (struct journal_result){.status = PLEX_FENCED,
                                       .newest_epoch = world->fence_epoch};
    if (e->kind == JOURNAL_SNAPSHOT) {
        actor->snapshot_seq = e->seq;
        return (struct journal_result){.status = PLEX_OK};
    }
    if (e->kind == JOURNAL_TURN) {
        id = e->message_id.len == 0
                 ? NULL
                 : id_find(world, actor->name, e->message_id);
        if (id != NULL)
            return (struct journal_result){.status = PLEX_EXISTS,
                                           .request_hash = id->hash,
                                           .reply = {id->reply, id->reply_len}};
        if (e->seq != actor->seq + 1)
            return (struct journal_result){.status = PLEX_CONFLICT};
        actor->seq++;
        if (e->has_state)
            memcpy(&actor->state, e->state.data, sizeof actor->state);
        actor->has_state |= e->has_state;
        if (e->message_id.len > 0)
            id_add(world, actor->name, e->message_id, e->request_hash, e->reply,
                   e->seq);
        for (size_t i = 0; i < e->n_pending; i++)
            pending_add(world, &e->actor, &e->pending[i]);
    }
    for (size_t i = 0; i < e->n_settled; i++)
        pending_settle(world, actor->name, e->settled[i]);
    return (struct journal_result){.status = PLEX_OK};
}

static void
do_append(struct world *world, const struct work_action *a)
{
    struct journal_result *results = plex_calloc(a->append.n, sizeof *results);
    const enum plex_status status = world->append_status;

    world->n_appends++;
    world->append_status = PLEX_OK;
    for (size_t i = 0; i < a->append.n && status == PLEX_OK; i++)
        results[i] = entry_write(world, &a->append.entries[i]);
    work_core_appended(world->core, world->t, a->token, status,
                       status == PLEX_OK ? "" : "the store failed", results,
                       a->append.n);
    free(results);
}

static void
do_load(struct world *world, const struct work_action *a)
{
    const struct world_actor *actor = stored(world, &a->load.actor);
    struct journal_recorded recent[32];
    struct journal_loaded loaded = {
        .last_seq = actor->seq,
        .has_state = actor->has_state,
        .state = {(const uint8_t *)&actor->state, sizeof actor->state},
        .schema_version = 1,
        .recent = recent,
    };

    world->n_loads++;
    for (size_t i = world->n_ids;
         i-- > 0 && loaded.n_recent < a->load.recent_max;) {
        const struct world_id *id = &world->ids[i];

        if (strcmp(id->name, actor->name) == 0)
            recent[loaded.n_recent++] = (struct journal_recorded){
                .message_id = {(const uint8_t *)id->id, strlen(id->id)},
                .request_hash = id->hash,
                .expires_ms = UINT64_MAX,
                .reply = {id->reply, id->reply_len},
                .seq = id->seq};
    }
    work_core_loaded(world->core, world->t, a->token, PLEX_OK, "", &loaded);
}

/* Pages by (shard, due, place). The token is that of the last one. */
struct place {
    uint32_t shard;
    uint64_t due_ms;
    size_t at;
};

static int
place_compare(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    if (x->shard != y->shard)
        return x->shard < y->shard ? -1 : 1;
    if (x->due_ms != y->due_ms)
        return x->due_ms < y->due_ms ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static void
do_pendings(struct world *world, const struct work_action *a)
{
    struct journal_pending_item items[256];
    struct place places[256], last = {0};
    const uint32_t limit = world->page_max == 0 ? 256 : world->page_max;
    uint64_t next_due_ms = 0;
    size_t n = 0, given = 0;

    world->n_pages++;
    if (a->pendings.after.len > 0)
        memcpy(&last, a->pendings.after.data, sizeof last);
    for (size_t i = 0; i < 256; i++) {
        const struct world_pending *p = &world->pendings[i];
        struct place place = {0, p->due_ms, i};

        if (p->used)
            place.shard = plex_shard_of(plex_actor_hash(&p->owner_id), 12);
        if (!p->used || place.shard < a->pendings.first ||
            place.shard > a->pendings.last)
            continue;
        if (p->due_ms >= a->pendings.until_ms) {
            if (next_due_ms == 0 || p->due_ms < next_due_ms)
                next_due_ms = p->due_ms;
        } else if (a->pendings.after.len == 0 ||
                   place_compare(&place, &last) > 0) {
            places[n++] = place;
        }
    }
    qsort(places, n, sizeof *places, place_compare);
    for (; given < n && given < limit; given++) {
        const struct world_pending *p = &world->pendings[places[given].at];

        last = places[given];
        items[given] = (struct journal_pending_item){
            .owner = p->owner_id,
            .pending = {{(const uint8_t *)p->id, strlen(p->id)},
                        p->due_ms,
                        {p->message, p->len}}};
    }
    work_core_pendings(world->core, world->t, a->token, PLEX_OK, items, given,
                       (struct plex_bytes){(const uint8_t *)&last,
                                           given < n ? sizeof last : 0},
                       given < n ? 0 : next_due_ms);
}

/* -- the behaviour
 * ---------------------------------------------------------------- */

static size_t
obey(const struct work_message *m, int64_t *count, char *word, char *arg,
     struct work_output *outputs)
{
    word[0] = arg[0] = '\0';
    if (m->kind == WORK_TIMER) {
        *count += 100;
        return 0;
    }
    if (m->kind == WORK_REPLY) {
        *count += m->reply_status == PLEX_OK ? 1000 : 10000;
        return 0;
    }
    (void)sscanf((const char *)m->payload.data, "%15s %15s", word, arg);
    if (strcmp(word, "inc") == 0) {
        ++*count;
    } else if (strcmp(word, "timer") == 0) {
        outputs[0] = (struct work_output){.kind = WORK_OUT_TIMER_SET,
                                          .timer = "t",
                                          .delay_ms = strtoull(arg, NULL, 10)};
        return 1;
    } else if (strcmp(word, "cancel") == 0) {
        outputs[0] =
            (struct work_output){.kind = WORK_OUT_TIMER_CANCEL, .timer = "t"};
        return 1;
    } else if (strcmp(word, "tell") == 0 || strcmp(word, "ask") == 0) {
        outputs[0] = (struct work_output){
            .kind = word[0] == 't' ? WORK_OUT_CAST : WORK_OUT_CALL,
            .type = m->to.type,
            .key = arg,
            .delay_ms = 5000,
            .tag = 7,
            .payload = {(const uint8_t *)"inc", 4}};
        return 1;
    }
    return 0;
}

/* What one turn leaves, until its RUN is answered. */
struct left {
    struct plex_buf buf;
    int64_t count;
    struct work_output outputs[2];
    char word[16], arg[16]; /* what they point to */
};

static struct work_outcome
obey_one(struct world *world, const struct work_action *a,
         const struct work_message *m, struct left *left)
{
    struct work_outcome outcome = {0};
    struct work_output *outputs = left->outputs;
    struct plex_err err;
    struct work_reply reply = {.content_type = "", .error = ""};
    char *word = left->word, *arg = left->arg, text[32];
    int64_t count = 0, before;

    left->buf = (struct plex_buf){.max = 1024};
    if (a->run.has_state)
        memcpy(&count, a->run.state.data, sizeof count);
    before = count;
    outcome.n_outputs = obey(m, &count, word, arg, outputs);
    outcome.outputs = outputs;
    outcome.failed = strcmp(word, "fail") == 0;
    outcome.state_changed = count != before;
    left->count = count;
    outcome.state =
        (struct plex_bytes){(const uint8_t *)&left->count, sizeof count};
    snprintf(text, sizeof text, "%lld", (long long)count);
    reply.payload = (struct plex_bytes){(const uint8_t *)text, strlen(text)};
    reply.failed = outcome.failed;
    reply.error = outcome.failed ? "asked to" : "";
    if (work_reply_pack(&reply, &left->buf, &err) != PLEX_OK)
        abort();
    outcome.reply = (struct plex_bytes){left->buf.data, left->buf.len};
    snprintf(world->ran[world->n_runs++], 24, "%.10s %.10s", a->run.actor->key,
             m->kind == WORK_TIMER   ? "timer"
             : m->kind == WORK_REPLY ? "reply"
                                     : (const char *)m->payload.data);
    return outcome;
}

static void
do_run(struct world *world, struct work_action a)
{
    struct work_outcome outcomes[WORK_AHEAD_MAX + 1];
    struct left left[WORK_AHEAD_MAX + 1];
    size_t n = 0;

    outcomes[n] = obey_one(world, &a, a.run.message, &left[n]);
    while (n < a.run.n_ahead && n < world->ahead_runs &&
           work_outcome_chains(&outcomes[n])) {
        if (outcomes[n].state_changed && !outcomes[n].failed) {
            a.run.state = outcomes[n].state;
            a.run.has_state = true;
        }
        n++;
        outcomes[n] = obey_one(world, &a, a.run.ahead[n - 1].message, &left[n]);
    }
    world->n_visits++;
    work_core_ran_ahead(world->core, world->t, a.token, outcomes, n + 1);
    for (size_t i = 0; i <= n; i++)
        plex_buf_free(&left[i].buf);
}

/* -- actions
 * ----------------------------------------------------------------------- */

static void
do_answer(struct world *world, const struct work_action *a)
{
    struct world_answer *answer = &world->answers[a->token];
    struct plex_arena arena;
    struct work_reply reply;
    struct plex_err err;

    assert(a->token < WORLD_ANSWERS_MAX && !answer->given);
    answer->given = true;
    answer->status = a->answer.status;
    snprintf(answer->text, sizeof answer->text, "%s", a->answer.text);
    answer->replayed = a->answer.replayed;
    answer->recorded = a->answer.recorded;
    answer->needs_lease = a->answer.needs_lease;
    if (a->answer.status != PLEX_OK)
        return;
    if (answer->needs_lease &&
        !work_core_lease_holds(world->core, world->t.now_ns)) {
        answer->status = PLEX_UNAVAILABLE;
        return;
    }
    plex_arena_init(&arena, 1 << 20);
    if (work_reply_unpack(a->answer.reply, &arena, &reply, &err) != PLEX_OK)
        abort();
    snprintf(answer->payload, sizeof answer->payload, "%.*s",
             (int)reply.payload.len, reply.payload.data);
    answer->failed = reply.failed;
    answer->http_status = reply.http_status;
    plex_arena_fini(&arena);
}

static void
do_action(struct world *world, const struct work_action *a)
{
    switch (a->kind) {
    case WORK_DO_RUN:
        do_run(world, *a);
        break;
    case WORK_DO_ANSWER:
        do_answer(world, a);
        break;
    case WORK_DO_LOAD:
        do_load(world, a);
        break;
    case WORK_DO_APPEND:
        do_append(world, a);
        break;
    case WORK_DO_FENCE:
        for (size_t i = 0; i < a->fence.n; i++)
            if (a->fence.ranges[i].epoch > world->fence_epoch)
                world->fence_epoch = a->fence.ranges[i].epoch;
        work_core_fenced(world->core, world->t, a->token, PLEX_OK, 0);
        break;
    case WORK_DO_PENDINGS:
        do_pendings(world, a);
        break;
    case WORK_DO_SEND:
        world->n_sends++;
        world->sent_token = a->token;
        if (world->refuse_others)
            work_core_sent(world->core, world->t, a->token, PLEX_UNAVAILABLE,
                           NULL);
        break;
    case WORK_DO_REVOKE:
    case WORK_DO_LOOKUP:  /* its handlers never wait */
    case WORK_DO_ABANDON: /* its handlers never wait */
        break;
    }
}

static bool
is_held(const struct world *world, const struct work_action *a)
{
    return (a->kind == WORK_DO_APPEND && world->hold_appends) ||
           (a->kind == WORK_DO_LOAD && world->hold_loads) ||
           (a->kind == WORK_DO_PENDINGS && world->hold_pages) ||
           (a->kind == WORK_DO_RUN && world->hold_runs);
}

static void
hold(struct world *world, const struct work_action *a)
{
    struct world_held *held = &world->held[world->n_held++];

    held->action = *a;
    if (a->kind != WORK_DO_RUN)
        return;
    for (size_t i = 0; i < a->run.n_ahead; i++)
        held->ahead[i] = a->run.ahead[i];
    held->action.run.ahead = held->ahead;
}

void
world_go(struct world *world)
{
    struct work_action action;

    for (;;) {
        bool any = false;

        while (work_core_next(world->core, &action)) {
            any = true;
            if (is_held(world, &action))
                hold(world, &action);
            else
                do_action(world, &action);
        }
        work_core_flush(world->core);
        if (!any && !work_core_next(world->core, &action))
            return;
        if (any)
            continue;
        if (is_held(world, &action))
            hold(world, &action);
        else
            do_action(world, &action);
    }
}

void
world_wait(struct world *world, uint64_t ms)
{
    world->t.now_ns += ms * 1000000;
    world->t.wall_ms += ms;
    work_core_tick(world->core, world->t);
    world_go(world);
}

void
world_unhold(struct world *world, size_t i)
{
    do_action(world, &world->held[i].action);
    world_go(world);
}

void
world_fail_append(struct world *world, size_t i, enum plex_status status)
{
    work_core_appended(world->core, world->t, world->held[i].action.token,
                       status, "the store failed", NULL, 0);
    world_go(world);
}

/* -- callers
 * ------------------------------------------------------------------------- */

uint64_t
world_post(struct world *world, struct world_send send)
{
    const uint64_t call = ++world->calls;
    struct plex_context context = plex_context_none;
    const char *payload = send.payload == NULL ? "" : send.payload;
    char fresh[32];
    struct work_message m = {
        .to = {"acme", "default", send.type == NULL ? "counter" : send.type,
               send.key},
        .kind = send.kind == 0 ? WORK_CALL : send.kind,
        .keyed = send.keyed,
        .request_hash = send.hash,
        .delay_ms = send.delay_ms,
        .ttl_ms = 600000,
        .method = "POST",
        .path = "",
        .subpath = "",
        .query = "",
        .content_type = "",
        .sender = "",
        .timer = "",
        .chain = send.chain,
        .payload = {(const uint8_t *)payload, strlen(payload) + 1},
    };

    snprintf(fresh, sizeof fresh, "id-%llu", (unsigned long long)call);
    m.id.data = (const uint8_t *)(send.id == NULL ? fresh : send.id);
    m.id.len = strlen((const char *)m.id.data);
    context.tenant = "acme";
    context.request_id = send.request_id == NULL ? "" : send.request_id;
    if (send.deadline_ms > 0)
        context.deadline = world->t.now_ns + send.deadline_ms * 1000000;
    work_core_deliver(world->core, world->t, call, &context, &m);
    return call;
}

const struct world_answer *
world_call(struct world *world, struct world_send send)
{
    const uint64_t call = world_post(world, send);

    world_go(world);
    return &world->answers[call];
}

/* -- looking
 * ---------------------------------------------------------------------------
 */

void
world_write_behind(struct world *world, const char *key, int64_t state,
                   const char *id, uint64_t hash, const char *payload)
{
    const struct plex_actor_id actor = {"acme", "default", "counter", key};
    struct world_actor *row = stored(world, &actor);
    const struct work_reply reply = {
        .content_type = "",
        .error = "",
        .payload = {(const uint8_t *)payload, strlen(payload)}};
    struct plex_buf buf = {.max = 1024};
    struct plex_err err;

    row->seq++;
    row->state = state;
    row->has_state = true;
    if (work_reply_pack(&reply, &buf, &err) != PLEX_OK)
        abort();
    id_add(world, row->name,
           (struct plex_bytes){(const uint8_t *)id, strlen(id)}, hash,
           (struct plex_bytes){buf.data, buf.len}, row->seq);
    plex_buf_free(&buf);
}

int64_t
world_stored(const struct world *world, const char *key)
{
    char name[128];

    snprintf(name, sizeof name, "acme/default/counter/%s", key);
    for (size_t i = 0; i < world->n_actors; i++)
        if (strcmp(world->actors[i].name, name) == 0)
            return world->actors[i].state;
    return 0;
}

size_t
world_pending(const struct world *world)
{
    size_t n = 0;

    for (size_t i = 0; i < 256; i++)
        n += world->pendings[i].used;
    return n;
}

struct work_core_stats
world_stats(const struct world *world)
{
    struct work_core_stats stats;

    work_core_stats(world->core, &stats);
    return stats;
}
