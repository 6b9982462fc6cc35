#include "tests/sim/edit.h"

#include "tests/sim/check.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

enum { TIMEOUT_MS = 3000, CONFLICT = 409 };

static void
edited(struct sim *sim, struct sim_node *node, void *arg, uint64_t token,
       const struct sim_msg *reply)
{
    const int key = (int)(intptr_t)arg;
    const bool told = reply->status == PLEX_OK && !reply->reply->failed;

    (void)node, (void)token;
    sim_trace(sim, key, sim->world, "edit: %s, HTTP %" PRIu32,
              plex_status_name(reply->status),
              told ? reply->reply->http_status : 0);
    if (reply->status == PLEX_OK && reply->reply->failed)
        sim_fail(sim, key, "G1: an edit failed: %s", reply->reply->error);
    else if (told && reply->reply->http_status >= 400 &&
             reply->reply->http_status != CONFLICT)
        sim_fail(sim, key, "G1: an edit is refused with %" PRIu32,
                 reply->reply->http_status);
}

void
sim_edit_send(struct sim *sim, uint32_t number)
{
    const int key = number % 2 == 0 ? SIM_FIRST_LEDGER : SIM_FIRST_BANK;
    const uint64_t gateway = sim_between(sim, 0, (uint64_t)sim->n_gateways - 1);
    struct plex_context context = plex_context_none;
    struct work_message message = {
        .to = sim_actor(key),
        .kind = WORK_EDIT,
        .method = WORK_EDIT_KEEP,
        .path = "",
        .subpath = "",
        .query = "",
        .content_type = "",
        .sender = "",
        .timer = "",
    };
    struct sim_msg *msg = sim_msg_make();
    char request_id[32];

    (void)snprintf(request_id, sizeof request_id, "e%" PRIu32 ".%" PRIu64,
                   number, sim_random(sim));
    context.tenant = "default";
    context.ns = "default";
    context.request_id = request_id;
    sim_put_message(msg, &message);
    sim_put_context(msg, &context);
    sim_trace(sim, key, sim->world, "is edited by request %s", request_id);
    (void)sim_rpc(sim, &(struct sim_request){.from = sim->world,
                                             .url = sim->gateways[gateway]->url,
                                             .method = SIM_REQUEST,
                                             .msg = msg,
                                             .timeout_ns = TIMEOUT_MS * SIM_MS,
                                             .done = edited,
                                             .arg = (void *)(intptr_t)key});
}
