/* Facets of a virtual actor while it runs: a turn of its own, at its owner. */
#include "runtime/facet_request.h"
#include "services/gateway/rest.h"

#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

#include "plexspaces/facet/v1/facet.pb-c.h"

#define FACET(name) Plexspaces__Facet__V1__##name
#define METHOD(name) PLEXSPACES__FACET__V1__FACET_METHOD__FACET_METHOD_##name

/* Lines "PRIORITY NAME". */
static json_t *
facets_json(const char *at, const char *end)
{
    json_t *list = json_array();

    while (at < end) {
        const char *feed = memchr(at, '\n', (size_t)(end - at));
        const char *blank = memchr(at, ' ', (size_t)(end - at));

        if (feed == NULL || blank == NULL || blank > feed)
            break;
        json_array_append_new(list,
                              json_pack("{s:s%, s:I}", "type", blank + 1,
                                        (size_t)(feed - blank - 1), "priority",
                                        (json_int_t)strtoul(at, NULL, 10)));
        at = feed + 1;
    }
    return json_pack("{s:o}", "facets", list);
}

static void
changed(void *arg, enum plex_status status, const char *text,
        const struct work_reply *reply)
{
    struct gate_rest *rest = arg;
    const char *at;
    char why[PLEX_ERR_TEXT_MAX];

    if (status != PLEX_OK) {
        gate_rest_failed(rest, "worker", status, text,
                         status == PLEX_UNKNOWN || status == PLEX_TIMEOUT);
        return;
    }
    if (reply->failed || reply->payload.len == 0) {
        gate_rest_failed(rest, "worker", PLEX_FAILED, reply->error, false);
        return;
    }
    at = (const char *)reply->payload.data;
    if (at[0] == 0) {
        gate_rest_answer(
            rest,
            rest->route->number == METHOD(INVOKE_ACTOR_FACET)
                ? json_pack("{s:s%}", "result", at + 1, reply->payload.len - 1)
                : facets_json(at + 1, at + reply->payload.len));
        return;
    }
    (void)snprintf(why, sizeof why, "%.*s", (int)reply->payload.len - 1,
                   at + 1);
    gate_rest_failed(rest, "worker", (enum plex_status)at[0], why, false);
}

/* False: it was refused. The pairs are borrowed from the request. */
static bool
wanted(struct gate_rest *rest, struct plex_facet_request *out,
       struct plex_facet_pair pairs[RT_FACET_PAIRS])
{
    const FACET(AttachActorFacetRequest) * attach;

    if (rest->route->number == METHOD(LIST_ACTOR_FACETS)) {
        out->verb = PLEX_FACET_LIST;
        return true;
    }
    if (rest->route->number == METHOD(DETACH_ACTOR_FACET)) {
        out->verb = PLEX_FACET_DETACH;
        out->facet =
            ((const FACET(
                 DetachActorFacetRequest) *)(const void *)rest->request)
                ->type;
        return true;
    }
    if (rest->route->number == METHOD(INVOKE_ACTOR_FACET)) {
        const FACET(InvokeActorFacetRequest) *invoke =
            (const void *)rest->request;

        out->verb = PLEX_FACET_INVOKE;
        out->facet = invoke->type;
        out->config = pairs;
        pairs[out->n_config++] = (struct plex_facet_pair){"op", invoke->op};
        return true;
    }
    attach = (const void *)rest->request;
    out->verb = PLEX_FACET_ATTACH;
    out->facet = attach->type;
    out->priority = attach->priority;
    out->config = pairs;
    if (attach->n_config > RT_FACET_PAIRS) {
        gate_rest_problem(rest, 400, "INVALID", "gateway",
                          "config has %zu entries, at most %d",
                          attach->n_config, RT_FACET_PAIRS);
        return false;
    }
    for (size_t i = 0; i < attach->n_config; i++)
        pairs[out->n_config++] = (struct plex_facet_pair){
            attach->config[i]->key, attach->config[i]->value};
    return true;
}

void
gate_rest_facets(struct gate_rest *rest)
{
    struct plex_actor_id actor = {"", "", "", ""};
    struct plex_facet_pair pairs[RT_FACET_PAIRS];
    struct plex_facet_request request = {.facet = ""};
    struct plex_buf packed = {.max = 1 << 20};
    const struct place_worker *owner;
    struct work_message message = {
        .kind = WORK_FACETS,
        .id = {(const uint8_t *)rest->request_id, strlen(rest->request_id)},
        .fresh = true,
        .method = "",
        .path = "",
        .subpath = "",
        .query = "",
        .content_type = "",
        .sender = "",
        .timer = "",
    };

    if (!wanted(rest, &request, pairs))
        return;
    owner = gate_rest_owner(rest, &actor);
    if (owner == NULL)
        return;
    rt_facets_pack(&request, &packed);
    message.to = actor;
    message.payload = (struct plex_bytes){packed.data, packed.len};
    (void)work_client_invoke(rest->gate->host->link, owner->url, &rest->context,
                             &message, changed, rest);
    plex_buf_free(&packed);
}
