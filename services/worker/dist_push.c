/* From executors: find the worker, pack the signal, hand it to the loop. */
#include "services/worker/dist_private.h"

#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

struct dist_item *
dist_pack(const struct rt_signal *signal, uint64_t self)
{
    const size_t len = work_signal_size(signal, self);
    struct dist_item *item;

    if (len == 0)
        return NULL;
    item = plex_calloc(1, sizeof *item + len);
    item->len = len;
    (void)work_signal_write(signal, self, item->data);
    return item;
}

static unsigned
slot_of_node(struct work_dist *dist, uint64_t node, uint32_t *generation)
{
    const unsigned n = atomic_load(&dist->n_slots);

    for (unsigned i = 0; node != 0 && i < n; i++) {
        /* Before the node: a session that ends in between makes it stale. */
        *generation = atomic_load(&dist->slots[i].generation);
        if (atomic_load(&dist->slots[i].node) == node)
            return i;
    }
    return DIST_NOBODY;
}

static unsigned
slot_of_name(struct work_dist *dist, const char *node_id, uint32_t *generation)
{
    const unsigned n = atomic_load(&dist->n_slots);
    const size_t len = strcspn(node_id, "?"); /* a reservation follows */

    for (unsigned i = 0; i < n; i++) {
        *generation = atomic_load(&dist->slots[i].generation);
        if (strncmp(dist->slots[i].node_id, node_id, len) == 0 &&
            dist->slots[i].node_id[len] == '\0' &&
            atomic_load(&dist->slots[i].node) != 0)
            return i;
    }
    return DIST_NOBODY;
}

/* Messages are refused long before links, exits and answers are: those must
 * not be lost while there is a session. */
static bool
has_room(const struct dist_slot *slot, const struct rt_signal *signal,
         size_t len)
{
    const size_t max =
        signal->kind == RT_SEND ? WORK_DIST_SEND_MAX : WORK_DIST_QUEUE_MAX;

    return atomic_load(&slot->bytes) + len <= max;
}

static bool
push(struct work_dist *dist, struct dist_item *item)
{
    if (work_queue_push(&dist->queue, &item->link))
        plex_loop_post(dist->config.host->loop, &dist->task);
    return true;
}

bool
work_dist_push(struct work_dist *dist, const struct rt_signal *signal)
{
    const char *at = signal->name == NULL ? NULL : strchr(signal->name, '@');
    unsigned to = DIST_NOBODY;
    uint32_t generation = 0;
    struct dist_item *item;

    if (signal->kind == RT_JOIN || signal->kind == RT_LEAVE)
        to = DIST_ALL;
    else if (signal->kind == RT_SPAWN) /* `name` is to be the process's own */
        to = slot_of_name(dist, signal->reason, &generation);
    else if (signal->to.node != 0 && signal->to.node != dist->self)
        to = slot_of_node(dist, signal->to.node, &generation);
    else if (at != NULL)
        to = slot_of_name(dist, at + 1, &generation);
    else if (signal->name != NULL && strchr(signal->name, '/') != NULL)
        to = DIST_ACTOR;
    item = to == DIST_NOBODY ? NULL : dist_pack(signal, dist->self);
    if (item == NULL)
        return false;
    item->to = to;
    item->is_start = signal->kind == RT_SPAWN;
    item->starter = (struct plex_from){signal->from, signal->call};
    item->generation = generation;
    if (to < WORK_DIST_PEERS_MAX) {
        if (!has_room(&dist->slots[to], signal, item->len)) {
            atomic_fetch_add(&dist->refused, 1);
            free(item);
            return false;
        }
        atomic_fetch_add(&dist->slots[to].bytes, item->len);
    }
    return push(dist, item);
}
