/*
 * Tuple spaces over one store, simulated: the real core on three nodes, which
 * crash, stop and believe to own what another one owns; clients that repeat
 * what was not answered; a network that loses, repeats and delays. Each seed
 * is one short history of one space, which must be linearizable.
 *
 *     plex-sim-tuplespace [--seeds 1..1000 | --bite]
 */
#include "common/mem.h"
#include "services/tuplespace/engine/action.h"
#include "tests/sim/tuplespace/history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NODES = 3,
    CLIENTS = 4,
    STEPS = 36,      /* of all clients */
    FAULTS_MS = 900, /* then everything heals */
    END_MS = 20000,
    MESSAGES = 4096,
    CALLS = 8192,
    RETRY_MS = 60,
    BITE_SEEDS = 5000,
    NO_FENCING = 1 << 16, /* besides enum tspace_unsafe */
};

struct record {
    enum tspace_record kind;
    char space[TSPACE_NAME_MAX + 1];
    struct plex_bytes key, body; /* owned */
};
struct node {
    struct tspace_core *core;
    uint64_t epoch, stopped_until, knows_at;
    uint64_t unheard_until;   /* cut off from the clients */
    uint64_t storeless_until; /* cut off from the store */
    bool owns;                /* it believes */
};
struct message {
    uint64_t at;
    int node, step; /* node -1: an answer */
    int answer;
    bool ok;
};
struct client {
    int step; /* -1: none */
    uint64_t next;
};
struct world {
    uint64_t random, now;
    unsigned unsafe;
    struct record *records;
    size_t n_records, records_cap;
    uint64_t epoch;
    int owner;
    struct node nodes[NODES];
    struct client clients[CLIENTS];
    struct message messages[MESSAGES];
    int n_messages;
    int calls[CALLS]; /* the step of each */
    int n_calls;
    struct history history;
    bool answered[HISTORY_MAX];
    uint64_t wait_ms[HISTORY_MAX], ttl_ms[HISTORY_MAX];
    unsigned crashes, moves, fenced, repeats, partitions;
};

static const struct tspace_where here = {"acme", "default", "s"};

static uint64_t
pick(struct world *w, uint64_t below)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return (w->random * 0x2545f4914f6cdd1dull >> 33) % below;
}

static bool
faulty(struct world *w, unsigned per_mille)
{
    return w->now < FAULTS_MS && pick(w, 1000) < per_mille;
}

static struct tspace_now
now_of(const struct world *w)
{
    return (struct tspace_now){(w->now + 1000) * 1000000, w->now + 100000};
}

/* -- the store ------------------------------------------------------------- */

static struct plex_bytes
copy(struct plex_bytes bytes)
{
    uint8_t *data = plex_calloc(1, bytes.len + 1);

    if (bytes.len > 0)
        memcpy(data, bytes.data, bytes.len);
    return (struct plex_bytes){data, bytes.len};
}

static void
record_free(struct record *record)
{
    free((void *)(uintptr_t)record->key.data);
    free((void *)(uintptr_t)record->body.data);
}

static struct record
record_of(const struct tspace_action *action)
{
    struct record record = {.kind = action->record,
                            .key = copy(action->key),
                            .body = copy(action->body)};

    (void)snprintf(record.space, sizeof record.space, "%s",
                   action->where.space);
    return record;
}

static void
record_apply(struct world *w, struct record record, bool put)
{
    for (size_t i = 0; i < w->n_records; i++) {
        struct record *old = &w->records[i];

        if (old->kind != record.kind || old->key.len != record.key.len ||
            memcmp(old->key.data, record.key.data, old->key.len) != 0 ||
            strcmp(old->space, record.space) != 0)
            continue;
        record_free(old);
        *old = w->records[--w->n_records];
        break;
    }
    if (!put) {
        record_free(&record);
        return;
    }
    if (w->n_records == w->records_cap) {
        w->records_cap = w->records_cap == 0 ? 64 : w->records_cap * 2;
        w->records =
            plex_reallocarray(w->records, w->records_cap, sizeof *w->records);
    }
    w->records[w->n_records++] = record;
}

/* -- nodes ----------------------------------------------------------------- */

static void
send(struct world *w, struct message message)
{
    const int times = faulty(w, 40) ? 2 : 1;

    for (int i = 0; i < times && w->n_messages < MESSAGES; i++) {
        if (faulty(w, 60))
            continue;
        message.at = w->now + 1 + pick(w, faulty(w, 50) ? 300 : 4);
        w->messages[w->n_messages++] = message;
    }
}

static void
node_close(struct node *node)
{
    tspace_core_free(node->core);
    node->core = NULL;
}

static void
node_open(struct world *w, struct node *node)
{
    struct plex_err err = {0};
    const struct tspace_config config = {
        .epoch = ++w->epoch,
        .hash_seed = w->random,
        .waiters_max = 100,
        .requests_max = 1000,
        .unsafe = w->unsafe & 0xffff,
    };

    node->epoch = w->epoch;
    node->core = tspace_core_create(&config);
    for (size_t i = 0; i < w->n_records; i++) {
        const struct record *r = &w->records[i];
        const struct tspace_where where = {here.tenant, here.ns, r->space};

        if (tspace_core_restore(node->core, &where, r->kind, r->key, r->body,
                                &err) != PLEX_OK)
            abort();
    }
    if (tspace_core_restored(node->core, now_of(w), &err) != PLEX_OK)
        abort();
}

static int
number_of(const struct tspace_answer *answer, uint32_t i)
{
    struct tspace_tuple tuple;
    struct tspace_value value;

    tspace_answer_tuple(answer, i, &tuple);
    tspace_packed_get(tuple.packed.data, 1, &value);
    return (int)value.integer;
}

static struct message
answer_of(struct world *w, const struct tspace_action *action)
{
    struct history *history = &w->history;
    const struct tspace_answer *answer = action->answer;
    struct message message = {.node = -1, .ok = action->status == PLEX_OK};

    message.step = w->calls[(uintptr_t)action->call];
    if (!message.ok)
        return message;
    switch (history->steps[message.step].kind) {
    case STEP_WRITE:
        message.answer = 1;
        break;
    case STEP_SWAP:
        message.answer = answer->n > 0;
        break;
    case STEP_ALL: /* nothing else goes on any more */
        history->n_all = 0;
        for (uint32_t i = 0; i < answer->n && i < SPACE_MAX; i++)
            history->all[history->n_all++] = number_of(answer, i);
        break;
    default:
        message.answer = answer->n > 0 ? number_of(answer, 0) : 0;
    }
    return message;
}

/* One transaction of all that the core has to say, and then its answers. */
static void
node_commit(struct world *w, struct node *node)
{
    struct record records[512];
    bool put[512];
    struct message answers[128];
    int n = 0, n_answers = 0;
    struct tspace_action action;
    bool good = !faulty(w, 4); /* or it crashes before the commit */

    while (tspace_core_next(node->core, &action)) {
        if (action.kind == TSPACE_REPLY && n_answers < 128) {
            answers[n_answers++] = answer_of(w, &action);
        } else if (action.kind == TSPACE_PUT || action.kind == TSPACE_REMOVE) {
            if (n == 512)
                abort();
            put[n] = action.kind == TSPACE_PUT;
            records[n++] = record_of(&action);
        }
    }
    w->crashes += !good;
    if (node->storeless_until > w->now && (n > 0 || n_answers > 0))
        good = false; /* it asks for its store until it is there again */
    if (good && (n > 0 || n_answers > 0) && node->epoch != w->epoch &&
        (w->unsafe & NO_FENCING) == 0) {
        w->fenced++;
        good = false;
    }
    for (int i = 0; i < n; i++) {
        if (good)
            record_apply(w, records[i], put[i]);
        else
            record_free(&records[i]);
    }
    if (good && faulty(w, 4)) { /* it crashes after the commit */
        w->crashes++;
        good = false;
    }
    for (int i = 0; good && i < n_answers && node->unheard_until <= w->now; i++)
        send(w, answers[i]);
    if (!good)
        node_close(node);
}

static struct tspace_template *
template_of(int key, bool everything)
{
    const struct tspace_matcher matchers[] = {
        {.kind = TSPACE_EXACT,
         .value = {.type = TSPACE_INTEGER, .integer = key}},
        {.kind = TSPACE_ANY},
    };
    struct tspace_template *template = NULL;
    struct plex_err err = {0};

    if (tspace_template_create(&template, matchers, everything ? 0 : 2, &err) !=
        PLEX_OK)
        abort();
    return template;
}

static void
look(struct world *w, struct node *node, const struct tspace_op *op, int at)
{
    const struct step *step = &w->history.steps[at];
    struct tspace_read read = {
        .op = *op,
        .template = template_of(step->key, step->kind == STEP_ALL),
        .timeout_ms = w->wait_ms[at],
        .max_results = step->kind == STEP_ALL ? SPACE_MAX : 1,
        .take = step->kind == STEP_TAKE || step->kind == STEP_CLAIM,
    };

    if (step->kind == STEP_CLAIM)
        read.claim = (struct tspace_claim_of){
            {(const uint8_t *)"w", 1}, (uint64_t)at + 1, w->ttl_ms[at]};
    tspace_core_read(node->core, now_of(w), &read);
    tspace_template_unref(read.template);
}

static void
change(struct world *w, struct node *node, const struct tspace_op *op, int at)
{
    const struct step *step = &w->history.steps[at];
    const struct tspace_value values[] = {
        {.type = TSPACE_INTEGER, .integer = step->key},
        {.type = TSPACE_INTEGER, .integer = step->n},
    };
    struct plex_buf packed = {.max = 4096};
    struct plex_err err = {0};

    if (tspace_pack(values, 2, &packed, &err) != PLEX_OK)
        abort();
    const struct plex_bytes bytes = {packed.data, packed.len};
    const struct tspace_write write = {
        .op = *op, .tuples = &bytes, .n_tuples = 1, .ttl_ms = w->ttl_ms[at]};
    const struct tspace_swap swap = {
        .op = *op, .template = template_of(step->key, false), .packed = bytes};

    if (step->kind == STEP_WRITE)
        tspace_core_write(node->core, now_of(w), &write);
    else
        tspace_core_swap(node->core, now_of(w), &swap);
    tspace_template_unref(swap.template);
    plex_buf_free(&packed);
}

static void
node_request(struct world *w, struct node *node, int at)
{
    const enum step_kind kind = w->history.steps[at].kind;
    uint8_t id[2] = {'r', (uint8_t)(at + 1)};
    struct tspace_op op = {.where = here, .fingerprint = 1};

    if (node->core == NULL || w->n_calls == CALLS)
        return; /* the client will ask again */
    if (kind != STEP_READ && kind != STEP_ALL)
        op.request_id = (struct plex_bytes){id, sizeof id};
    w->calls[w->n_calls] = at;
    op.call = (void *)(uintptr_t)w->n_calls++;
    if (kind == STEP_WRITE || kind == STEP_SWAP)
        change(w, node, &op, at);
    else
        look(w, node, &op, at);
    node_commit(w, node);
}

static void
node_step(struct world *w, int i)
{
    struct node *node = &w->nodes[i];

    if (faulty(w, 2)) {
        node_close(node);
        node->stopped_until = w->now + 5 + pick(w, 40);
        w->crashes++;
    }
    if (faulty(w, 3)) /* as by SIGSTOP */
        node->stopped_until = w->now + 5 + pick(w, 200);
    if (faulty(w, 3)) {
        *(pick(w, 2) == 0 ? &node->unheard_until : &node->storeless_until) =
            w->now + 5 + pick(w, 200);
        w->partitions++;
    }
    if (node->stopped_until > w->now)
        return;
    if (w->now >= node->knows_at)
        node->owns = w->owner == i;
    if (!node->owns) {
        if (node->core != NULL) {
            tspace_core_fail_waiters(node->core, "it moves");
            node_commit(w, node);
        }
        node_close(node);
        return;
    }
    if (node->core == NULL && node->storeless_until <= w->now &&
        pick(w, 10) == 0)
        node_open(w, node);
    if (node->core != NULL && tspace_core_wait_ms(node->core, now_of(w)) == 0 &&
        pick(w, 4) == 0) {
        tspace_core_tick(node->core, now_of(w));
        node_commit(w, node);
    }
}

/* -- clients --------------------------------------------------------------- */

static int
step_add(struct world *w, enum step_kind kind, uint64_t begin, uint64_t end)
{
    struct history *history = &w->history;

    history->steps[history->n] =
        (struct step){.kind = kind, .begin = begin, .end = end};
    return history->n++;
}

static void
client_begin(struct world *w, struct client *client)
{
    static const enum step_kind kinds[] = {
        STEP_WRITE, STEP_WRITE, STEP_WRITE, STEP_READ,
        STEP_TAKE,  STEP_TAKE,  STEP_SWAP,  STEP_CLAIM,
    };
    const int at = step_add(w, kinds[pick(w, 8)], w->now, UINT64_MAX);
    struct step *step = &w->history.steps[at];

    step->key = (int)pick(w, 2);
    step->n = at + 1;
    if (step->kind == STEP_TAKE && pick(w, 4) > 0)
        w->wait_ms[at] = 10 + pick(w, 150);
    if (step->kind == STEP_CLAIM)
        w->ttl_ms[at] = 20 + pick(w, 60);
    if (step->kind == STEP_WRITE && pick(w, 4) == 0)
        w->ttl_ms[at] = 20 + pick(w, 100);
    client->step = at;
    client->next = w->now;
}

/* What the answer makes happen later is a step of its own. */
static void
client_answered(struct world *w, struct client *client, int answer)
{
    const int at = client->step;
    struct step *step = &w->history.steps[at];
    int later;

    step->answer = answer;
    step->end = w->now;
    w->answered[at] = true;
    client->step = -1;
    client->next = w->now + pick(w, 30);
    /* Whoever waited in vain found nothing when the time was up. */
    if (step->kind == STEP_TAKE && answer == 0)
        step->begin += w->wait_ms[at];
    if (w->ttl_ms[at] == 0 || (step->kind == STEP_CLAIM && answer == 0))
        return;
    if (step->kind == STEP_CLAIM)
        later = step_add(w, STEP_LAPSE, step->begin + w->ttl_ms[at],
                         UINT64_MAX - 1);
    else
        later = step_add(w, STEP_EXPIRE, step->begin + w->ttl_ms[at],
                         step->end + w->ttl_ms[at]);
    w->history.steps[later].of = at;
}

static void
client_step(struct world *w, struct client *client)
{
    int node = w->owner;

    if (client->next > w->now)
        return;
    if (client->step < 0) {
        if (w->history.n >= STEPS)
            return;
        client_begin(w, client);
    }
    if (faulty(w, 300))
        node = (int)pick(w, NODES);
    w->repeats += w->history.steps[client->step].begin != w->now;
    send(w, (struct message){.node = node, .step = client->step});
    client->next = w->now + RETRY_MS + w->wait_ms[client->step];
}

static void
deliver(struct world *w, const struct message *m)
{
    if (m->node >= 0) {
        if (w->nodes[m->node].unheard_until > w->now)
            return;
        if (w->nodes[m->node].stopped_until > w->now) { /* it waits for it */
            if (w->n_messages < MESSAGES) {
                w->messages[w->n_messages] = *m;
                w->messages[w->n_messages++].at =
                    w->nodes[m->node].stopped_until;
            }
            return;
        }
        node_request(w, &w->nodes[m->node], m->step);
        return;
    }
    for (int i = 0; i < CLIENTS; i++) {
        if (w->clients[i].step != m->step)
            continue;
        if (m->ok)
            client_answered(w, &w->clients[i], m->answer);
        else
            w->clients[i].next = w->now + 5;
    }
}

/* -- a run ----------------------------------------------------------------- */

static bool
busy(const struct world *w)
{
    if (w->history.n < STEPS)
        return true;
    for (int i = 0; i < CLIENTS; i++)
        if (w->clients[i].step >= 0)
            return true;
    return false;
}

static void
world_step(struct world *w)
{
    w->now++;
    if (faulty(w, 8)) {
        w->owner = (int)pick(w, NODES);
        w->moves++;
        for (int i = 0; i < NODES; i++)
            w->nodes[i].knows_at = w->now + pick(w, 150);
    }
    for (int i = 0; i < NODES; i++)
        node_step(w, i);
    for (int i = 0; i < w->n_messages; i++) {
        const struct message m = w->messages[i];

        if (m.at > w->now)
            continue;
        w->messages[i--] = w->messages[--w->n_messages];
        deliver(w, &m);
    }
    for (int i = 0; i < CLIENTS; i++)
        client_step(w, &w->clients[i]);
}

/* What is wrong with the run of this seed, or NULL. */
static const char *
run(struct world *w, uint64_t seed, unsigned unsafe)
{
    const char *wrong = NULL;
    uint64_t rest;
    int last;

    *w = (struct world){.random = seed * 0x9e3779b97f4a7c15ull + 1,
                        .unsafe = unsafe};
    for (int i = 0; i < CLIENTS; i++)
        w->clients[i].step = -1;
    while (busy(w) && w->now < END_MS)
        world_step(w);
    if (busy(w))
        wrong = "a call was never answered";
    for (rest = w->now + 500; wrong == NULL && w->now < rest;)
        world_step(w); /* claims and leases end */
    last = step_add(w, STEP_ALL, w->now, UINT64_MAX);
    for (int i = 0; i < w->history.n; i++)
        if (w->history.steps[i].kind == STEP_LAPSE)
            w->history.steps[i].end = w->now - 1; /* before the last look */
    w->clients[0] = (struct client){.step = last, .next = w->now};
    while (wrong == NULL && w->clients[0].step >= 0 && w->now < END_MS)
        world_step(w);
    if (wrong == NULL && w->clients[0].step >= 0)
        wrong = "the space cannot be read at the end";
    if (wrong == NULL && !history_is_linearizable(&w->history))
        wrong = "no order explains the calls";
    for (int i = 0; i < NODES; i++)
        node_close(&w->nodes[i]);
    for (size_t i = 0; i < w->n_records; i++)
        record_free(&w->records[i]);
    free(w->records);
    return wrong;
}

static void
print(const struct world *w)
{
    static const char *const names[] = {"write", "read",  "take",   "swap",
                                        "claim", "lapse", "expire", "all"};

    for (int i = 0; i < w->history.n; i++) {
        const struct step *s = &w->history.steps[i];

        printf("  %2d %-6s key %d n %d of %d: %d  [%llu, %llu]\n", i,
               names[s->kind], s->key, s->n, s->of, s->answer,
               (unsigned long long)s->begin, (unsigned long long)s->end);
    }
    for (int i = 0; i < w->history.n_all; i++)
        printf("  left: %d\n", w->history.all[i]);
}

static int
seeds(struct world *w, uint64_t from, uint64_t to)
{
    unsigned crashes = 0, moves = 0, fenced = 0, repeats = 0, partitions = 0;

    for (uint64_t seed = from; seed <= to; seed++) {
        const char *wrong = run(w, seed, 0);

        crashes += w->crashes;
        moves += w->moves;
        fenced += w->fenced;
        repeats += w->repeats;
        partitions += w->partitions;
        if (wrong == NULL)
            continue;
        printf("VIOLATION: %s (--seeds %llu..%llu)\n", wrong,
               (unsigned long long)seed, (unsigned long long)seed);
        print(w);
        return EXIT_FAILURE;
    }
    printf("%llu histories: %u crashes, %u moves, %u partitions, %u commits "
           "fenced, %u requests repeated\n",
           (unsigned long long)(to - from + 1), crashes, moves, partitions,
           fenced, repeats);
    return EXIT_SUCCESS;
}

/* Each seeded bug has to be found within so many seeds. */
static int
bite(struct world *w)
{
    static const struct {
        const char *name;
        unsigned unsafe;
    } bugs[] = {
        {"a claim that lapsed is lost", TSPACE_UNSAFE_CLAIM_LOST},
        {"a tuple is handed to two", TSPACE_UNSAFE_TAKEN_TWICE},
        {"a waiter is not woken", TSPACE_UNSAFE_NOT_WOKEN},
        {"an expired tuple is taken", TSPACE_UNSAFE_EXPIRED_TAKEN},
        {"commits are not fenced", NO_FENCING},
    };
    int status = EXIT_SUCCESS;

    for (size_t i = 0; i < sizeof bugs / sizeof bugs[0]; i++) {
        uint64_t seed = 1;

        while (seed <= BITE_SEEDS && run(w, seed, bugs[i].unsafe) == NULL)
            seed++;
        if (seed <= BITE_SEEDS) {
            printf("%s: found with seed %llu\n", bugs[i].name,
                   (unsigned long long)seed);
            continue;
        }
        printf("FAIL %s: not found in %d seeds\n", bugs[i].name, BITE_SEEDS);
        status = EXIT_FAILURE;
    }
    return status;
}

int
main(int argc, char **argv)
{
    struct world *w = plex_calloc(1, sizeof *w);
    unsigned long long from = 1, to = 300;
    int status = 100;

    if (argc == 2 && strcmp(argv[1], "--bite") == 0)
        status = bite(w);
    else if (argc == 1 || (argc == 3 && strcmp(argv[1], "--seeds") == 0 &&
                           sscanf(argv[2], "%llu..%llu", &from, &to) == 2))
        status = seeds(w, from, to);
    else
        (void)fprintf(stderr,
                      "usage: plex-sim-tuplespace [--seeds A..B | --bite]\n");
    free(w);
    return status;
}
