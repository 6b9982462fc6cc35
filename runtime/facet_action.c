/* What hooks may do: act, allocate, be woken. */
#include "runtime/facet_private.h"

#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

static size_t
size_of(const char *text)
{
    return text == NULL ? 0 : strlen(text) + 1;
}

static const char *
text_copy(char **at, const char *text)
{
    const size_t size = size_of(text);
    char *copy = *at;

    if (text == NULL)
        return NULL;
    memcpy(copy, text, size);
    *at += size;
    return copy;
}

static void
act(struct plex_facet *facet, const struct plex_facet_action *action)
{
    struct rt_facets *chain = facet->of;
    struct rt_facet_action *copy;
    char *at;

    if (chain->n_actions >= RT_FACET_ACTIONS_MAX) {
        chain->dropped++;
        return;
    }
    copy = plex_calloc(1, sizeof *copy + size_of(action->name) +
                              size_of(action->labels) + size_of(action->text) +
                              action->len);
    at = copy->bytes;
    copy->action = *action;
    copy->action.name = text_copy(&at, action->name);
    copy->action.labels = text_copy(&at, action->labels);
    copy->action.text = text_copy(&at, action->text);
    copy->action.payload = at;
    if (action->len > 0)
        memcpy(at, action->payload, action->len);
    *chain->last = copy;
    chain->last = &copy->next;
    chain->n_actions++;
}

static void *
alloc(struct plex_facet *facet, size_t size)
{
    struct rt_facets *chain = facet->of;
    void **list = chain->call != NULL ? &chain->call->memory : &chain->scratch;
    struct rt_facet_block *block = plex_calloc(1, sizeof *block + size);

    block->next = *list;
    *list = block;
    return block->data;
}

static void
wake_at(struct plex_facet *facet, uint64_t due_ns)
{
    ((struct rt_facet_entry *)facet)->wake_ns = due_ns;
}

const struct plex_facet_ops rt_facet_ops = {act, alloc, wake_at};

void
rt_facet_blocks_free(void **list)
{
    struct rt_facet_block *block = *list;

    *list = NULL;
    while (block != NULL) {
        struct rt_facet_block *next = block->next;

        free(block);
        block = next;
    }
}

bool
rt_facets_next(struct rt_facets *chain, struct plex_facet_action *out)
{
    struct rt_facet_action *first = chain->first;

    free(chain->popped);
    chain->popped = first;
    if (first == NULL)
        return false;
    chain->first = first->next;
    if (chain->first == NULL)
        chain->last = &chain->first;
    chain->n_actions--;
    *out = first->action;
    return true;
}

void
rt_facet_actions_free(struct rt_facets *chain)
{
    struct plex_facet_action action;

    while (rt_facets_next(chain, &action))
        ;
}

uint64_t
rt_facets_dropped(const struct rt_facets *chain)
{
    return chain->dropped;
}
