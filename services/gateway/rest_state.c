/*
 * What changes an actor's state from outside: a turn that the worker writes
 * which owns the actor (WORK_EDIT), never the journal behind its back. What it
 * is made of is asked of the journal first, and so is what came of it.
 */
#include "services/gateway/rest_state.h"

#include "common/mem.h"
#include "services/gateway/parse.h"
#include "services/gateway/text.h"
#include "services/placement/client.h"

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "plexspaces/history/v1/history.pb-c.h"

#define METHOD(name) \
    PLEXSPACES__HISTORY__V1__HISTORY_METHOD__HISTORY_METHOD_##name
#define REQUEST(type, rest) \
    ((const Plexspaces__History__V1__##type##Request *)(rest)->request)

enum { DAY_MS = 86400000 }; /* clocks do not differ by more */

/* actor_id is the first field of all these requests. */
static const char *
source_of(const struct gate_rest *rest)
{
    return REQUEST(RestoreActor, rest)->actor_id;
}

static const char *
target_of(const struct gate_rest *rest)
{
    return rest->route->number == METHOD(FORK_ACTOR)
               ? REQUEST(ForkActor, rest)->to_actor_id
               : source_of(rest);
}

static struct journal_client
journal_of(const struct gate_rest *rest)
{
    return (struct journal_client){
        rest->gate->host->link,
        reg_client_next_url(rest->gate->registry, "journal")};
}

/* -- afterwards -------------------------------------------------------------
 */

static void
is_now(void *arg, enum plex_status status, const char *text,
       const struct journal_was *was)
{
    struct gate_rest *rest = arg;

    if (status == PLEX_OK)
        gate_rest_was(rest, PLEX_OK, "", was);
    else
        gate_rest_failed(rest, "journal", status, text, false);
}

/* The actor said no: its problem's detail. */
static void
refused(struct gate_rest *rest, const struct work_reply *reply)
{
    json_t *problem = json_loadb((const char *)reply->payload.data,
                                 reply->payload.len, 0, NULL);
    const char *detail = json_string_value(json_object_get(problem, "detail"));

    if (reply->failed)
        gate_rest_problem(rest, 500, "ACTOR_FAILED", "actor", "%.500s",
                          reply->error);
    else
        gate_rest_problem(rest, reply->http_status, "CONFLICT", "actor",
                          "%.500s", detail == NULL ? "refused" : detail);
    json_decref(problem);
}

static void
edited(void *arg, enum plex_status status, const char *text,
       const struct work_reply *reply)
{
    struct gate_rest *rest = arg;
    struct journal_client journal = journal_of(rest);
    struct journal_at want = {.at_ms = plex_wall_ms() + DAY_MS};

    if (status != PLEX_OK)
        gate_rest_failed(rest, "worker", status, text,
                         status == PLEX_UNKNOWN || status == PLEX_TIMEOUT);
    else if (reply->failed || reply->http_status >= 400)
        refused(rest, reply);
    else if (gate_rest_actor(rest, target_of(rest), &want.actor))
        journal_client_at(&journal, &rest->context, &want, is_now, rest);
}

/* What is sent again under its key is not done again. False: it is no key. */
static bool
key_take(struct gate_rest *rest, struct work_message *message)
{
    const char *value = plex_http_request_header(rest->ex, "Idempotency-Key");
    const struct plex_bytes body = plex_http_body(rest->ex);
    struct plex_err err;
    const char *key;

    if (value == NULL)
        return true;
    key = gate_key_parse(value, &rest->arena, &err);
    if (key == NULL) {
        gate_rest_problem(rest, 400, "INVALID_HEADER", "gateway", "%s",
                          err.text);
        return false;
    }
    message->id = gate_id_of_key(&message->to, key, &rest->arena);
    message->keyed = true;
    message->ttl_ms = GATE_TTL_KEYED_MS;
    message->request_hash =
        XXH3_64bits_withSeed(body.data, body.len, rest->route->number);
    return true;
}

static void
edit(struct gate_rest *rest, const char *what, struct plex_bytes state,
     uint64_t tag)
{
    const struct place_table *table = gate_core_table_now(rest->gate->core);
    const struct place_worker *owner = NULL;
    struct work_message message = {
        .to = {"", "", "", ""},
        .kind = WORK_EDIT,
        .id = {(const uint8_t *)rest->request_id, strlen(rest->request_id)},
        .method = what,
        .path = "",
        .subpath = "",
        .query = "",
        .content_type = "",
        .payload = state,
        .sender = "",
        .tag = tag,
        .timer = "",
    };

    if (!gate_rest_actor(rest, target_of(rest), &message.to) ||
        !key_take(rest, &message))
        return;
    if (table != NULL)
        owner =
            place_table_owner(table, plex_shard_of(plex_actor_hash(&message.to),
                                                   table->shard_bits));
    if (state.len > WORK_PAYLOAD_MAX)
        gate_rest_problem(rest, 413, "TOO_LARGE", "gateway",
                          "the state has %zu bytes; %d can be put", state.len,
                          WORK_PAYLOAD_MAX);
    else if (owner == NULL)
        gate_rest_problem(rest, 503, "NO_OWNER", "gateway",
                          "no worker owns this actor's shard at the moment");
    else
        (void)work_client_invoke(rest->gate->host->link, owner->url,
                                 &rest->context, &message, edited, rest);
}

/* -- before -----------------------------------------------------------------
 */

static void
edit_was(struct gate_rest *rest, const struct journal_was *was)
{
    const bool forks = rest->route->number == METHOD(FORK_ACTOR);

    if ((was->schema_version & WORK_SCHEMA_OPEN) != 0)
        gate_rest_problem(rest, 409, "CONFLICT", "gateway",
                          "a run was open after turn %llu; take a turn before "
                          "it began or after it ended",
                          (unsigned long long)was->seq);
    else if (!was->has_state && forks)
        gate_rest_problem(rest, 409, "CONFLICT", "gateway",
                          "the actor has no state there");
    else if (!was->has_state)
        edit(rest, WORK_EDIT_FORGET, (struct plex_bytes){0}, 0);
    else
        edit(rest, forks ? WORK_EDIT_CREATE : WORK_EDIT_PUT, was->state,
             (uint64_t)was->schema_version + 1);
}

static void
rebuilt(struct gate_rest *rest, enum plex_status status, const char *text,
        const struct journal_was *was)
{
    if (status != PLEX_OK)
        gate_rest_failed(rest, "worker", status, text, false);
    else
        edit_was(rest, was);
}

static void
folded(struct gate_rest *rest, enum plex_status status, const char *text,
       const struct journal_was *was)
{
    struct plex_actor_id actor;

    /* The name was checked before. */
    if (status != PLEX_OK)
        gate_rest_failed(rest, "journal", status, text, false);
    else if (gate_rest_actor(rest, source_of(rest), &actor))
        gate_rest_rebuild(rest, &actor, was, rebuilt);
}

static void
was_then(void *arg, enum plex_status status, const char *text,
         const struct journal_was *was)
{
    struct gate_rest *rest = arg;
    struct plex_actor_id actor;

    if (status != PLEX_OK) {
        gate_rest_failed(rest, "journal", status, text, false);
        return;
    }
    switch (rest->route->number) {
    case METHOD(RESTORE_ACTOR):
    case METHOD(FORK_ACTOR):
        if (gate_rest_actor(rest, source_of(rest), &actor))
            gate_rest_fold(rest, &actor, was, folded);
        break;
    case METHOD(DELETE_ACTOR):
        edit(rest, WORK_EDIT_FORGET, (struct plex_bytes){0}, 0);
        break;
    default: /* a checkpoint */
        edit(rest, WORK_EDIT_KEEP, (struct plex_bytes){0}, 0);
        break;
    }
}

/* -- questions --------------------------------------------------------------
 */

static void
ask_at(struct gate_rest *rest, struct journal_client *journal,
       uint64_t sequence, uint64_t time_ms)
{
    struct journal_at want = {.seq = sequence, .at_ms = time_ms};

    if (sequence != 0 && time_ms != 0) {
        gate_rest_problem(rest, 400, "INVALID", "gateway",
                          "either sequence or time_ms says when, not both");
        return;
    }
    if (sequence == 0 && time_ms == 0)
        want.at_ms = plex_wall_ms() + DAY_MS;
    if (gate_rest_actor(rest, source_of(rest), &want.actor))
        journal_client_at(journal, &rest->context, &want, was_then, rest);
}

static void
set_state(struct gate_rest *rest)
{
    const Plexspaces__History__V1__SetActorStateRequest *m =
        REQUEST(SetActorState, rest);
    const struct plex_bytes text = {(const uint8_t *)m->state_text,
                                    strlen(m->state_text)};
    const struct plex_bytes bytes = {m->state.data, m->state.len};

    if ((text.len > 0) == (bytes.len > 0))
        gate_rest_problem(rest, 400, "INVALID", "gateway",
                          "one of state, base64, and state_text is needed");
    else
        edit(rest, m->create ? WORK_EDIT_CREATE : WORK_EDIT_PUT,
             text.len > 0 ? text : bytes,
             m->schema_version == 0 ? 0 : (uint64_t)m->schema_version + 1);
}

void
gate_rest_state(struct gate_rest *rest, struct journal_client *journal)
{
    const Plexspaces__History__V1__RestoreActorRequest *restore =
        REQUEST(RestoreActor, rest);
    const Plexspaces__History__V1__ForkActorRequest *fork =
        REQUEST(ForkActor, rest);
    struct plex_actor_id to;

    switch (rest->route->number) {
    case METHOD(SET_ACTOR_STATE):
        set_state(rest);
        break;
    case METHOD(RESTORE_ACTOR):
        if (restore->sequence == 0 && restore->time_ms == 0)
            gate_rest_problem(rest, 400, "INVALID", "gateway",
                              "sequence or time_ms is needed");
        else
            ask_at(rest, journal, restore->sequence, restore->time_ms);
        break;
    case METHOD(FORK_ACTOR):
        if (gate_rest_actor(rest, fork->to_actor_id, &to))
            ask_at(rest, journal, fork->sequence, fork->time_ms);
        break;
    default:
        ask_at(rest, journal, 0, 0);
        break;
    }
}
