/* Who asks runs while they wait, and what is then true. */
#include "tests/sim/asked.h"

#include "services/worker/run_log.h"
#include "tests/sim/check.h"

#include "common/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum {
    UPDATES_MAX = 4096,
    RUNS_MAX = 8192,
    ID_AT = 10, /* in the step's result: handler_update.c */
    TIMEOUT_MS = 3000,
    KNOWN_MAX = 32, /* of the newest updates */
};

struct update {
    int key;
    uint32_t run; /* that it is recorded in; 0: none */
    size_t at;
    uint32_t place; /* among the updates of that run, from 1 */
    bool answered;
};
struct run {
    uint32_t n; /* recorded */
    uint32_t numbers[SIM_ASKED_MAX];
    uint32_t answered;
    uint32_t carried_out; /* when its code came to the end */
};
struct sim_asked {
    LIST_HEAD(, ask) asks;
    struct update updates[UPDATES_MAX]; /* by number, from 1 */
    uint32_t n;
    struct run *runs[RUNS_MAX]; /* by number */
    uint64_t requests;
};
/* A question that is out. */
struct ask {
    LIST_ENTRY(ask) link;
    int key;
    uint32_t number; /* 0: a query */
    struct {
        uint32_t run, answered;
    } known[KNOWN_MAX]; /* when it was asked */
};

struct sim_asked *
sim_asked_create(void)
{
    return plex_calloc(1, sizeof(struct sim_asked));
}

void
sim_asked_free(struct sim_asked *asked)
{
    struct ask *ask;

    while ((ask = LIST_FIRST(&asked->asks)) != NULL) { /* never answered */
        LIST_REMOVE(ask, link);
        free(ask);
    }
    for (size_t i = 0; i < RUNS_MAX; i++)
        free(asked->runs[i]);
    free(asked);
}

static struct run *
run_of(struct sim *sim, uint32_t number)
{
    struct run **run = &sim->asked->runs[number % RUNS_MAX];

    if (*run == NULL)
        *run = plex_calloc(1, sizeof **run);
    return *run;
}

/* -- what runs do ------------------------------------------------------------
 */

/* 0: not one of ours. */
static uint32_t
number_of(const struct work_step *step)
{
    char id[16] = "";
    uint16_t len;

    if (step->kind != WORK_STEP_UPDATE || step->result.len < ID_AT)
        return 0;
    memcpy(&len, step->result.data, sizeof len);
    if (len >= sizeof id || step->result.len < ID_AT + (size_t)len)
        return 0;
    memcpy(id, step->result.data + ID_AT, len);
    return id[0] == 'u' ? (uint32_t)strtoul(id + 1, NULL, 10) : 0;
}

void
sim_asked_seen(struct sim *sim, int key, uint32_t number, size_t at,
               const struct work_step *step)
{
    const uint32_t n = number_of(step);
    struct run *run = run_of(sim, number);
    struct update *update = &sim->asked->updates[n % UPDATES_MAX];

    if (n == 0)
        return;
    if (update->run != 0 && (update->run != number || update->at != at)) {
        sim_fail(sim, key,
                 "G1: update %" PRIu32 " is recorded in run %" PRIu32
                 " at %zu and in run %" PRIu32 " at %zu",
                 n, update->run, update->at, number, at);
    } else if (sim_asked_refused(n)) {
        sim_fail(sim, key,
                 "G4: update %" PRIu32 " is recorded, and its check "
                 "refuses it",
                 n);
    } else if (update->run == 0 && run->n < SIM_ASKED_MAX) {
        update->run = number;
        update->at = at;
        run->numbers[run->n++] = n;
        update->place = run->n;
    }
}

void
sim_asked_ended(struct sim *sim, int key, uint32_t number,
                const struct sim_applied *applied)
{
    struct run *run = run_of(sim, number);

    for (uint32_t i = 0; i < applied->n; i++)
        if (i >= run->n || applied->numbers[i] != run->numbers[i]) {
            sim_fail(sim, key,
                     "G1: run %" PRIu32 " carries out update %" PRIu32
                     " as the %" PRIu32 ". one, which is not what is recorded",
                     number, applied->numbers[i], i + 1);
            return;
        }
    if (run->carried_out < applied->n)
        run->carried_out = applied->n;
}

void
sim_asked_closed(struct sim *sim, int key, uint32_t number)
{
    const struct run *run = run_of(sim, number);

    if (run->carried_out != run->n)
        sim_fail(sim, key,
                 "G1: run %" PRIu32 " has carried out %" PRIu32
                 " updates, and %" PRIu32 " are recorded",
                 number, run->carried_out, run->n);
}

/* -- answers -----------------------------------------------------------------
 */

static void
update_answered(struct sim *sim, const struct ask *ask,
                const struct work_reply *reply)
{
    struct update *update = &sim->asked->updates[ask->number];
    struct sim_count count;

    if (reply->http_status >= 400) {
        if (!sim_asked_refused(ask->number))
            sim_fail(sim, ask->key, "G1: update %" PRIu32 " is refused: %.*s",
                     ask->number, (int)reply->payload.len,
                     (const char *)reply->payload.data);
        return;
    }
    if (update->run == 0) {
        sim_fail(sim, ask->key,
                 "G4: update %" PRIu32 " is answered and not committed",
                 ask->number);
        return;
    }
    if (!update->answered)
        run_of(sim, update->run)->answered++;
    update->answered = true;
    if (reply->http_status == 202)
        return;
    if (reply->payload.len != sizeof count) {
        sim_fail(sim, ask->key, "G1: update %" PRIu32 " got an odd answer",
                 ask->number);
        return;
    }
    memcpy(&count, reply->payload.data, sizeof count);
    if (count.number != ask->number || count.count != update->place)
        sim_fail(sim, ask->key,
                 "G1: update %" PRIu32 ", recorded as the %" PRIu32
                 ". of its run, is answered as update %" PRIu32 ", the %" PRIu32
                 ".",
                 ask->number, update->place, count.number, count.count);
}

static void
query_answered(struct sim *sim, const struct ask *ask,
               const struct work_reply *reply)
{
    const struct run *run;
    struct sim_count count;

    if (reply->payload.len != sizeof count) {
        sim_fail(sim, ask->key, "G4: a query got an odd answer: %.*s",
                 (int)reply->payload.len, (const char *)reply->payload.data);
        return;
    }
    memcpy(&count, reply->payload.data, sizeof count);
    run = run_of(sim, count.number);
    if (count.count > run->n)
        sim_fail(sim, ask->key,
                 "G4: a query of run %" PRIu32 " knows of %" PRIu32
                 " updates, and %" PRIu32 " are committed",
                 count.number, count.count, run->n);
    for (size_t i = 0; i < KNOWN_MAX; i++)
        if (ask->known[i].run == count.number &&
            ask->known[i].answered > count.count)
            sim_fail(sim, ask->key,
                     "G4: a query of run %" PRIu32 " knows of %" PRIu32
                     " updates, and %" PRIu32 " were answered before",
                     count.number, count.count, ask->known[i].answered);
}

static void
answered(struct sim *sim, struct sim_node *node, void *arg, uint64_t token,
         const struct sim_msg *reply)
{
    struct ask *ask = arg;

    (void)node, (void)token;
    sim_trace(sim, ask->key, sim->world, "update %" PRIu32 ": %s, %s",
              ask->number, plex_status_name(reply->status),
              reply->status == PLEX_OK && reply->reply->failed
                  ? reply->reply->error
                  : reply->text);
    if (reply->status == PLEX_OK && !reply->reply->failed) {
        if (ask->number == 0)
            query_answered(sim, ask, reply->reply);
        else
            update_answered(sim, ask, reply->reply);
    }
    LIST_REMOVE(ask, link);
    free(ask);
}

/* -- asking ------------------------------------------------------------------
 */

static struct ask *
ask_make(struct sim *sim, int key)
{
    struct sim_asked *asked = sim->asked;
    struct ask *ask = plex_calloc(1, sizeof *ask);
    uint32_t old = 0;

    LIST_INSERT_HEAD(&asked->asks, ask, link);
    ask->key = key;
    if (sim_chance(sim, 30)) { /* a query */
        for (uint32_t i = 0; i < KNOWN_MAX && i < asked->n; i++) {
            const uint32_t run = asked->updates[asked->n - i].run;

            ask->known[i].run = run;
            if (run != 0)
                ask->known[i].answered = run_of(sim, run)->answered;
        }
        return ask;
    }
    if (asked->n > 0 && sim_chance(sim, 60))
        old = (uint32_t)sim_between(sim, asked->n > 8 ? asked->n - 8 : 1,
                                    asked->n);
    if (old != 0 && asked->updates[old].key == key) {
        ask->number = old;
    } else if (asked->n + 1 < UPDATES_MAX) {
        ask->number = ++asked->n;
        asked->updates[ask->number].key = key;
    }
    return ask;
}

static void
message_fill(struct sim *sim, const struct ask *ask, struct sim_msg *msg)
{
    const struct sim_payload payload = {SIM_INCREMENT, ask->number};
    struct plex_context context = plex_context_none;
    struct work_message message = {
        .to = sim_actor(ask->key),
        .kind = ask->number == 0 ? WORK_QUERY : WORK_UPDATE,
        .method = ask->number == 0 ? "list" : "add",
        .path = "",
        .subpath = "",
        .query = "",
        .content_type = "",
        .payload = {(const uint8_t *)&payload, sizeof payload},
        .sender = "",
        .timer = "",
    };
    char id[16], request_id[32];

    if (ask->number != 0) {
        message.keyed = true;
        message.request_hash = ask->number;
        message.ttl_ms = 24u * 3600 * 1000;
        message.tag =
            ask->number % 4 == 0 ? WORK_UPDATE_ACCEPTED : WORK_UPDATE_COMPLETED;
        message.id.len =
            (size_t)snprintf(id, sizeof id, "u%" PRIu32, ask->number);
        message.id.data = (const uint8_t *)id;
    }
    (void)snprintf(request_id, sizeof request_id, "a%" PRIu64,
                   ++sim->asked->requests);
    context.tenant = "default";
    context.ns = "default";
    context.request_id = request_id;
    sim_put_message(msg, &message);
    sim_put_context(msg, &context);
}

void
sim_asked_send(struct sim *sim, int key)
{
    const uint64_t gateway = sim_between(sim, 0, (uint64_t)sim->n_gateways - 1);
    struct sim_msg *msg = sim_msg_make();
    struct ask *ask = ask_make(sim, key);

    message_fill(sim, ask, msg);
    sim_trace(sim, key, sim->world, "asks, update %" PRIu32 ", as request %s",
              ask->number, msg->context.request_id);
    (void)sim_rpc(sim, &(struct sim_request){
                           .from = sim->world,
                           .url = sim->gateways[gateway]->url,
                           .method = SIM_REQUEST,
                           .msg = msg,
                           .timeout_ns = TIMEOUT_MS * SIM_MS,
                           .done = answered,
                           .arg = ask,
                       });
}
