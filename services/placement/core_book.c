/* Reservations: the book of book.h, kept in step with workers and leadership.
 */
#include "services/placement/core_private.h"

#include <inttypes.h>
#include <string.h>

struct place_book *
place_book_new(const struct place_core_config *config)
{
    return place_book_create(&(struct place_book_config){
        .workers_max = config->workers_max,
        .reservations_max = config->reservations_max,
        .held_max = PLACE_HELD_MAX,
    });
}

/* Errors are the worker's: it runs shards, but nothing can be reserved. */
enum plex_status
place_node_book(struct place_core *core, const struct place_node *node,
                const struct place_offer *offer, struct plex_err *err)
{
    const struct place_capacity capacity = {
        .node_id = node->node_id,
        .incarnation = node->incarnation,
        .draining = node->asked || node->drained,
        .waiting = !node->holds,
        .amounts = offer->amounts,
        .labels = offer->labels,
        .n_labels = offer->n_labels,
    };

    return place_book_worker(core->book, &capacity, err);
}

static void
url_set(struct place_core *core, struct place_granted *out)
{
    const struct place_node *node = place_node_find(core, out->held.node_id);

    out->url = node == NULL || node->url == NULL ? "" : node->url;
}

enum plex_status
place_core_reserve(struct place_core *core, const struct place_ask *ask,
                   uint64_t now_ns, struct place_granted *out,
                   struct plex_err *err)
{
    if (place_leading(core, now_ns, err) != PLEX_OK)
        return err->status;
    place_book_expire(core->book, now_ns);
    if (place_book_reserve(core->book, ask, &out->held, err) != PLEX_OK) {
        core->totals.refused += err->status == PLEX_UNAVAILABLE;
        return err->status;
    }
    url_set(core, out);
    return PLEX_OK;
}

enum plex_status
place_core_find(struct place_core *core, const char *request_id,
                uint64_t now_ns, struct place_granted *out,
                struct plex_err *err)
{
    if (place_leading(core, now_ns, err) != PLEX_OK)
        return err->status;
    place_book_expire(core->book, now_ns);
    if (place_book_find(core->book, request_id, &out->held, err) != PLEX_OK)
        return err->status;
    url_set(core, out);
    return PLEX_OK;
}

enum plex_status
place_core_release(struct place_core *core, const char *request_id,
                   uint64_t now_ns, bool *was, struct plex_err *err)
{
    if (place_leading(core, now_ns, err) != PLEX_OK)
        return err->status;
    *was = place_book_release(core->book, request_id);
    return PLEX_OK;
}

static enum plex_status
hold_all(struct place_core *core, const struct place_holds *holds,
         struct plex_err *err)
{
    if (holds->full)
        place_book_forget(core->book, holds->node_id);
    for (size_t i = 0; i < holds->n_ended; i++)
        (void)place_book_release(core->book, holds->ended[i]);
    for (size_t i = 0; i < holds->n_held; i++)
        if (place_book_hold(core->book, holds->node_id, &holds->held[i], err) !=
            PLEX_OK)
            return err->status;
    return PLEX_OK;
}

enum plex_status
place_core_hold(struct place_core *core, const struct place_holds *holds,
                uint64_t now_ns, bool *again, struct plex_err *err)
{
    struct place_node *node;

    if (place_leading(core, now_ns, err) != PLEX_OK)
        return err->status;
    node = holds->node_id[0] == '\0' ? NULL
                                     : place_node_find(core, holds->node_id);
    if (node == NULL || !node->live || node->incarnation != holds->incarnation)
        return plex_err_set(err, PLEX_NOT_FOUND,
                            "worker \"%.64s\" has no lease in this life",
                            holds->node_id);
    *again = !holds->full &&
             (!node->holds || holds->sequence != node->hold_sequence + 1);
    if (*again ||
        (holds->full && node->holds && holds->sequence <= node->hold_sequence))
        return PLEX_OK; /* an old one, late */
    node->hold_sequence = holds->sequence;
    node->holds = hold_all(core, holds, err) == PLEX_OK;
    place_book_wait(core->book, node->node_id, !node->holds);
    return node->holds ? PLEX_OK : err->status;
}

enum plex_status
place_core_offers(struct place_core *core, uint64_t now_ns,
                  const struct place_candidate **out, size_t *n,
                  struct plex_err *err)
{
    if (place_leading(core, now_ns, err) != PLEX_OK)
        return err->status;
    place_book_expire(core->book, now_ns);
    *out = place_book_workers(core->book, n);
    return PLEX_OK;
}
