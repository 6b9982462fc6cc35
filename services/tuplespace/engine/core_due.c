/* A heap of points in time; each owner knows where it is in it. */
#include "services/tuplespace/engine/core_private.h"

static void
due_set(struct due_heap *heap, uint32_t at, struct due due)
{
    heap->dues[at] = due;
    *due.place = at + 1;
}

static void
due_up(struct due_heap *heap, uint32_t at, struct due due)
{
    while (at > 0 && heap->dues[(at - 1) / 2].at > due.at) {
        due_set(heap, at, heap->dues[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    due_set(heap, at, due);
}

static void
due_down(struct due_heap *heap, uint32_t at, struct due due)
{
    for (;;) {
        uint32_t child = 2 * at + 1;

        if (child >= heap->n)
            break;
        if (child + 1 < heap->n &&
            heap->dues[child + 1].at < heap->dues[child].at)
            child++;
        if (heap->dues[child].at >= due.at)
            break;
        due_set(heap, at, heap->dues[child]);
        at = child;
    }
    due_set(heap, at, due);
}

void
due_add(struct due_heap *heap, uint64_t at, uint32_t *place, enum due_kind kind)
{
    due_remove(heap, place);
    if (heap->n == heap->room) {
        heap->room = heap->room == 0 ? 16 : heap->room * 2;
        heap->dues =
            plex_reallocarray(heap->dues, heap->room, sizeof *heap->dues);
    }
    due_up(heap, heap->n++, (struct due){at, place, kind});
}

void
due_remove(struct due_heap *heap, uint32_t *place)
{
    const uint32_t at = *place - 1;
    struct due last;

    if (*place == 0)
        return;
    *place = 0;
    last = heap->dues[--heap->n];
    if (at == heap->n)
        return;
    if (at > 0 && heap->dues[(at - 1) / 2].at > last.at)
        due_up(heap, at, last);
    else
        due_down(heap, at, last);
}
