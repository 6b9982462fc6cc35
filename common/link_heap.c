/* A 4-ary heap of deadlines: most are later than all others, so that adding
 * costs one comparison and removing a few. */
#include "common/link_impl.h"
#include "common/mem.h"

#include <assert.h>

static void
place(struct link_heap *heap, size_t i, struct link_deadline *deadline)
{
    heap->at[i] = deadline;
    deadline->index = i + 1;
}

static void
sift_up(struct link_heap *heap, size_t i, struct link_deadline *deadline)
{
    while (i > 0) {
        const size_t parent = (i - 1) / 4;

        if (heap->at[parent]->at <= deadline->at)
            break;
        place(heap, i, heap->at[parent]);
        i = parent;
    }
    place(heap, i, deadline);
}

static void
sift_down(struct link_heap *heap, size_t i, struct link_deadline *deadline)
{
    for (;;) {
        size_t least = i * 4 + 1;
        const size_t end = least + 4 < heap->count ? least + 4 : heap->count;

        if (least >= heap->count)
            break;
        for (size_t child = least + 1; child < end; child++)
            if (heap->at[child]->at < heap->at[least]->at)
                least = child;
        if (heap->at[least]->at >= deadline->at)
            break;
        place(heap, i, heap->at[least]);
        i = least;
    }
    place(heap, i, deadline);
}

void
link_heap_add(struct link_heap *heap, struct link_deadline *deadline)
{
    assert(deadline->index == 0);
    if (heap->count == heap->cap) {
        heap->cap = heap->cap == 0 ? 64 : heap->cap * 2;
        heap->at = plex_reallocarray(heap->at, heap->cap, sizeof heap->at[0]);
    }
    sift_up(heap, heap->count++, deadline);
}

void
link_heap_remove(struct link_heap *heap, struct link_deadline *deadline)
{
    const size_t i = deadline->index - 1;
    struct link_deadline *moved;

    if (deadline->index == 0)
        return;
    deadline->index = 0;
    moved = heap->at[--heap->count];
    if (moved == deadline)
        return;
    if (i > 0 && heap->at[(i - 1) / 4]->at > moved->at)
        sift_up(heap, i, moved);
    else
        sift_down(heap, i, moved);
}
