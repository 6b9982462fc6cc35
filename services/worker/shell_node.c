/* The worker as a node of processes: node.h and the rest of the shell. */
#include "services/worker/shell.h"

#include "services/worker/node.h"

/* -- life -------------------------------------------------------------------
 */

static uint64_t
left(const struct work_state *state, const struct place_amounts *held,
     enum place_resource what)
{
    const uint64_t all = state->capacity.offer.amounts.of[what];

    return all == PLACE_UNLIMITED ? all
           : held->of[what] < all ? all - held->of[what]
                                  : 0;
}

/* Actors may have what processes leave. */
static void
room_set(void *arg)
{
    struct work_state *state = arg;
    const struct place_amounts held = state->node == NULL
                                          ? (struct place_amounts){0}
                                          : work_node_held(state->node);
    const struct work_needs room = {left(state, &held, PLACE_CPU),
                                    left(state, &held, PLACE_MEMORY)};

    work_core_room(state->core, &room);
}

void
work_room_tell(struct work_state *state)
{
    struct work_core_stats stats;
    struct place_amounts actors = {0};

    work_core_stats(state->core, &stats);
    actors.of[PLACE_CPU] = stats.reserved_cpu_millis;
    actors.of[PLACE_MEMORY] = stats.reserved_memory_bytes;
    work_node_actors_hold(state->node, &actors);
}

static void
claims_changed(void *arg)
{
    struct work_state *state = arg;

    if (state->registry != NULL)
        reg_client_announce(state->registry);
}

static const char *
placement_url(void *arg)
{
    const struct work_state *state = arg;

    return state->registry == NULL
               ? NULL
               : reg_client_url(state->registry, "placement");
}

static bool
to_service(void *arg, const struct rt_signal *signal)
{
    return work_facet_service_take(((struct work_state *)arg)->services,
                                   signal);
}

static enum plex_status
facets_setup(void *arg, const struct reg_actor_type *type,
             struct work_facet_setup **out, struct plex_err *err)
{
    return work_facets_setup(arg, type, out, err);
}

static void
on_facet(void *arg, const struct plex_facet_action *action)
{
    const struct work_state *state = arg;

    work_facet_sink_act(state->facets, action);
}

void
work_shell_node_create(struct work_state *state)
{
    const struct work_node_config config = {
        .host = state->host,
        .modules = state->modules,
        .to_actor = work_mail_to_actor,
        .to_service = to_service,
        .on_event = work_shell_event,
        .placement_url = placement_url,
        .held_changed = room_set,
        .claims_changed = claims_changed,
        .facets_setup = facets_setup,
        .facets_free = work_facets_free,
        .on_facet = on_facet,
        .arg = state,
    };

    state->node = work_node_create(&config);
    room_set(state);
}

/* rt_stop() has been called. */
void
work_shell_node_end(struct work_state *state)
{
    work_mails_free(state);
    work_node_end(state->node);
}
