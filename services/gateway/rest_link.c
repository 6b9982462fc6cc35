/*
 * Links between two processes, made and undone from outside: each side's
 * worker lets it believe that the other has asked. Who links is asked once
 * more at the end: if it has ended meanwhile, the other hears of it.
 */
#include "services/gateway/rest_actor.h"
#include "services/gateway/rest_find.h"

#include "common/wire.h"

#include <stdio.h>
#include <string.h>

#include "plexspaces/actor/v1/actor.pb-c.h"

#define ACTOR(name) PLEXSPACES__ACTOR__V1__ACTOR_METHOD__ACTOR_METHOD_##name
typedef Plexspaces__Actor__V1__LinkActorRequest pb_link;

/* In the request's arena. */
struct linking {
    struct gate_rest *rest;
    struct side {
        const char *name;
        char url[256];
        const char *ref;
    } sides[2];
    unsigned known; /* sides that have been looked at */
    unsigned told;  /* sides that have been told, the first perhaps twice */
};

static void look(struct linking *linking);

/* -- telling them ------------------------------------------------------------
 */

static void tell(struct linking *linking);

static void
on_told(void *arg, const struct plex_link_result *result)
{
    struct linking *linking = arg;
    struct gate_rest *rest = linking->rest;
    const bool links = rest->route->number == ACTOR(LINK_ACTOR);

    linking->told++;
    /* The first one has ended since: what the second got is its end. */
    if (result->status == PLEX_NOT_FOUND && linking->told == 3)
        gate_rest_answer(rest, json_object());
    else if (result->status != PLEX_OK)
        gate_rest_failed(rest, "worker", result->status, result->text,
                         result->outcome_unknown);
    else if (linking->told < (links ? 3U : 2U))
        tell(linking);
    else
        gate_rest_answer(rest, json_object());
}

static void
tell(struct linking *linking)
{
    struct gate_rest *rest = linking->rest;
    const struct side *side = &linking->sides[linking->told % 2];
    const struct side *other = &linking->sides[1 - linking->told % 2];
    struct plex_link_request request = {.peer = side->url,
                                        .method = rest->route->number,
                                        .context = &rest->context,
                                        .done = on_told,
                                        .arg = linking};
    pb_link m = PLEXSPACES__ACTOR__V1__LINK_ACTOR_REQUEST__INIT;
    struct plex_err err;

    m.actor_id = plex_wire_text(side->ref);
    m.namespace_ = ((const pb_link *)(const void *)rest->request)->namespace_;
    m.linked_actor_id = plex_wire_text(other->ref);
    if (gate_wire_pack(&m.base, &rest->arena, &request.payload, &err) ==
        PLEX_OK)
        (void)plex_link_call(rest->gate->host->link, &request);
    else
        gate_rest_problem(rest, 413, "TOO_LARGE", "gateway", "%s", err.text);
}

/* -- looking at them ---------------------------------------------------------
 */

static void
on_looked(void *arg, const struct plex_link_result *result)
{
    struct linking *linking = arg;
    struct gate_rest *rest = linking->rest;
    struct side *side = &linking->sides[linking->known];
    const Plexspaces__Actor__V1__GetProcessResponse *reply;
    ProtobufCMessage *message;
    struct plex_err err;

    if (result->status == PLEX_NOT_FOUND) {
        gate_rest_problem(rest, 404, "PROCESS_NOT_FOUND", "worker", "%s",
                          result->text);
        return;
    }
    if (result->status != PLEX_OK) {
        gate_rest_failed(rest, "worker", result->status, result->text, false);
        return;
    }
    if (plex_wire_unpack(
            &plexspaces__actor__v1__get_process_response__descriptor,
            result->payload, &rest->arena, &message, &err) != PLEX_OK) {
        gate_rest_problem(rest, 500, "BAD_ANSWER", "gateway", "%s", err.text);
        return;
    }
    reply = (const void *)message;
    side->ref = reply->process == NULL ? "" : reply->process->ref;
    linking->known++;
    if (linking->known < 2)
        look(linking);
    else if (strcmp(linking->sides[0].ref, linking->sides[1].ref) == 0)
        gate_rest_problem(rest, 400, "INVALID", "gateway",
                          "both names are those of %s", side->ref);
    else
        tell(linking);
}

static void
on_found(void *arg, const struct gate_found *found)
{
    struct linking *linking = arg;
    struct gate_rest *rest = linking->rest;
    struct side *side = &linking->sides[linking->known];
    Plexspaces__Actor__V1__GetProcessRequest m =
        PLEXSPACES__ACTOR__V1__GET_PROCESS_REQUEST__INIT;
    struct plex_link_request request = {.peer = side->url,
                                        .method = ACTOR(GET_PROCESS),
                                        .context = &rest->context,
                                        .retry = true,
                                        .done = on_looked,
                                        .arg = linking};
    struct plex_err err;

    (void)snprintf(side->url, sizeof side->url, "%s", found->url);
    m.process = plex_wire_text(side->name);
    m.namespace_ = ((const pb_link *)(const void *)rest->request)->namespace_;
    if (found->failed != PLEX_OK)
        gate_rest_failed(rest, "worker", found->failed, found->failed_text,
                         false);
    else if (found->n == 0)
        gate_rest_problem(rest, 404, "PROCESS_NOT_FOUND", "gateway",
                          "no worker has a process \"%.120s\" in that "
                          "namespace; links are between processes",
                          side->name);
    else if (found->n > 1)
        gate_rest_problem(rest, 409, "NAME_AMBIGUOUS", "gateway",
                          "several workers have a process of that name, say "
                          "which:%s",
                          found->nodes);
    else if (gate_wire_pack(&m.base, &rest->arena, &request.payload, &err) !=
             PLEX_OK)
        gate_rest_problem(rest, 413, "TOO_LARGE", "gateway", "%s", err.text);
    else
        (void)plex_link_call(rest->gate->host->link, &request);
}

static void
look(struct linking *linking)
{
    struct gate_rest *rest = linking->rest;

    gate_find_process(
        rest->gate, &rest->context,
        ((const pb_link *)(const void *)rest->request)->namespace_,
        linking->sides[linking->known].name, on_found, linking);
}

bool
gate_rest_link(struct gate_rest *rest)
{
    const pb_link *m = (const void *)rest->request;
    struct linking *linking;

    if (rest->route->number != ACTOR(LINK_ACTOR) &&
        rest->route->number != ACTOR(UNLINK_ACTOR))
        return false;
    linking = plex_arena_alloc(&rest->arena, sizeof *linking);
    if (linking == NULL || m->linked_actor_id[0] == '\0') {
        gate_rest_problem(rest, 400, "INVALID", "gateway",
                          "which other process? give linked_actor_id");
        return true;
    }
    *linking = (struct linking){.rest = rest};
    linking->sides[0].name = m->actor_id;
    linking->sides[1].name = m->linked_actor_id;
    look(linking);
    return true;
}
