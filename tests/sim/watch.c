#include "tests/sim/watch.h"

static void poll_done(struct sim *sim, struct sim_node *node, void *arg,
                      uint64_t token, const struct sim_msg *reply);

static void
poll(struct sim *sim, struct sim_watch *watch)
{
    struct sim_msg *msg = sim_msg_make();

    msg->version = watch->have;
    watch->rpc = sim_rpc(sim, &(struct sim_request){
                                  .from = watch->node,
                                  .url = watch->of->url,
                                  .method = watch->method,
                                  .msg = msg,
                                  .timeout_ns = 4 * SIM_S,
                                  .done = poll_done,
                                  .arg = watch,
                              });
}

static void
on_poll(struct sim *sim, struct sim_node *node, void *arg)
{
    struct sim_watch *watch = arg;

    (void)node;
    if (watch->rpc == 0)
        poll(sim, watch);
}

static void
poll_done(struct sim *sim, struct sim_node *node, void *arg, uint64_t token,
          const struct sim_msg *reply)
{
    struct sim_watch *watch = arg;

    (void)token;
    watch->rpc = 0;
    if (reply->status != PLEX_OK) {
        sim_after(sim, node, 100 * SIM_MS, on_poll, watch, NULL);
        return;
    }
    if (reply->table != NULL || reply->catalog != NULL) {
        watch->have = reply->version;
        watch->changed(sim, node, reply);
    }
    if (watch->rpc == 0)
        poll(sim, watch);
}

void
sim_watch_start(struct sim *sim, struct sim_watch *watch)
{
    poll(sim, watch);
}

void
sim_watch_hint(struct sim *sim, struct sim_watch *watch, uint64_t version)
{
    if (version != 0 && version <= watch->have)
        return;
    if (watch->rpc != 0)
        sim_rpc_cancel(sim, watch->rpc);
    poll(sim, watch);
}
