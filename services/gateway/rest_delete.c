/*
 * DeleteActor of what the journal has nothing of: a process ends, and an actor
 * that is not durable leaves memory, which is all there is of it.
 */
#include "services/gateway/rest_actor.h"
#include "services/gateway/rest_find.h"
#include "services/gateway/rest_state.h"

#include "common/wire.h"

#include <stdio.h>
#include <string.h>

#include "plexspaces/actor/v1/actor.pb-c.h"
#include "plexspaces/history/v1/history.pb-c.h"

#define HISTORY(name) \
    PLEXSPACES__HISTORY__V1__HISTORY_METHOD__HISTORY_METHOD_##name
typedef Plexspaces__History__V1__DeleteActorRequest pb_delete;

static const pb_delete *
asked(const struct gate_rest *rest)
{
    return (const void *)rest->request;
}

/* -- processes --------------------------------------------------------------
 */

static void
on_exited(void *arg, const struct plex_link_result *result)
{
    struct gate_rest *rest = arg;

    if (result->status == PLEX_OK)
        gate_rest_answer(rest, json_object());
    else if (result->status == PLEX_NOT_FOUND)
        gate_rest_problem(rest, 404, "PROCESS_NOT_FOUND", "worker", "%s",
                          result->text);
    else
        gate_rest_failed(rest, "worker", result->status, result->text,
                         result->outcome_unknown);
}

static void
on_found(void *arg, const struct gate_found *found)
{
    struct gate_rest *rest = arg;
    Plexspaces__Actor__V1__ExitProcessRequest m =
        PLEXSPACES__ACTOR__V1__EXIT_PROCESS_REQUEST__INIT;
    struct plex_link_request request = {
        .peer = found->url,
        .method =
            PLEXSPACES__ACTOR__V1__ACTOR_METHOD__ACTOR_METHOD_EXIT_PROCESS,
        .context = &rest->context,
        .done = on_exited,
        .arg = rest,
    };
    struct plex_err err;

    m.process = asked(rest)->actor_id;
    m.namespace_ = asked(rest)->namespace_;
    m.reason = plex_wire_text(asked(rest)->force ? "kill" : "shutdown");
    if (found->n != 1) /* a ref and name@node are of one worker at most */
        gate_rest_problem(rest, 404, "PROCESS_NOT_FOUND", "gateway",
                          "no worker has a process \"%.120s\"", m.process);
    else if (gate_wire_pack(&m.base, &rest->arena, &request.payload, &err) !=
             PLEX_OK)
        gate_rest_problem(rest, 413, "TOO_LARGE", "gateway", "%s", err.text);
    else
        (void)plex_link_call(rest->gate->host->link, &request);
}

/* -- actors -----------------------------------------------------------------
 */

static void
on_left(void *arg, enum plex_status status, const char *text,
        const struct work_reply *reply)
{
    struct gate_rest *rest = arg;

    (void)reply;
    if (status == PLEX_OK)
        gate_rest_answer(rest, json_object());
    else
        gate_rest_failed(rest, "worker", status, text, false);
}

/* Does its state lie in the journal when it leaves memory? */
static bool
is_stored(const struct reg_actor_type *type)
{
    for (size_t i = 0; i < type->n_facets; i++)
        if (strcmp(type->facets[i].type, "virtual_actor") == 0)
            return true;
    return type->durable;
}

/* True: it was answered, or is being. */
static bool
forget(struct gate_rest *rest)
{
    const struct reg_catalog *catalog = gate_core_catalog_now(rest->gate->core);
    const struct place_table *table = gate_core_table_now(rest->gate->core);
    const struct place_worker *owner = NULL;
    const struct reg_actor_type *type = NULL;
    struct work_message message = {
        .to = {"", "", "", ""},
        .kind = WORK_DEACTIVATE,
        .method = "",
        .path = "",
        .subpath = "",
        .query = "",
        .content_type = "",
        .sender = "",
        .timer = "",
    };

    if (!gate_rest_actor(rest, asked(rest)->actor_id, &message.to))
        return true;
    if (catalog != NULL)
        type = reg_catalog_type(catalog, message.to.tenant, message.to.ns,
                                message.to.type, NULL);
    if (type == NULL || !type->is_virtual || type->stateless || is_stored(type))
        return false;
    if (table != NULL)
        owner =
            place_table_owner(table, plex_shard_of(plex_actor_hash(&message.to),
                                                   table->shard_bits));
    if (owner == NULL)
        gate_rest_problem(rest, 503, "NO_OWNER", "gateway",
                          "no worker owns this actor's shard at the moment");
    else
        (void)work_client_invoke(rest->gate->host->link, owner->url,
                                 &rest->context, &message, on_left, rest);
    return true;
}

bool
gate_rest_delete(struct gate_rest *rest)
{
    const char *id;

    if (rest->route->number != HISTORY(DELETE_ACTOR))
        return false;
    id = asked(rest)->actor_id;
    if (id[0] != '<' && (strchr(id, '/') != NULL || strchr(id, '@') == NULL))
        return forget(rest);
    rest->once = true;
    gate_find_process(rest->gate, &rest->context, asked(rest)->namespace_, id,
                      on_found, rest);
    return true;
}
