/* Turns that wait while others of their actor run. */
#include "services/worker/handler_private.h"

#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

bool
work_handler_leave(struct work_handler *h)
{
    struct work_outcome so_far = {.phase = WORK_YIELDS, .holds = h->holds};

    if (!h->run->run.yields || h->turn->leave == NULL)
        return false;
    if (!h->failed) {
        so_far.state_changed = h->state_changed;
        if (h->state_changed)
            so_far.state = (struct plex_bytes){h->state.data, h->state.len};
        so_far.outputs = h->outputs;
        so_far.n_outputs = h->n_outputs;
    }
    h->yielded = true;
    h->turn->leave(h->wait_arg, &so_far);
    return true;
}

void
work_handler_back(struct work_handler *h)
{
    h->run = h->turn->back(h->wait_arg, &h->wall_ms);
    h->has_base = h->run->run.has_state;
    h->base = h->run->run.state;
    h->state_changed = false;
    h->n_outputs = 0;
    h->open.now_ms = h->wall_ms;
}

static void
copy_free(void *payload, size_t len)
{
    (void)len;
    free(payload);
}

void
work_handler_post(struct work_handler *h, const struct plex_post *post,
                  struct plex_post *out)
{
    void *copy;

    *out = *post;
    if (!h->run->run.yields || post->len == 0 || post->release != NULL ||
        post->len > WORK_PAYLOAD_MAX)
        return;
    copy = plex_reallocarray(NULL, 1, post->len);
    memcpy(copy, post->payload, post->len);
    out->payload = copy;
    out->release = copy_free;
}
