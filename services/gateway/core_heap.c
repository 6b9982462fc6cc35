#include "services/gateway/core_heap.h"

#include "common/mem.h"

#include <stdlib.h>

static bool
call_before(const struct gate_call *a, const struct gate_call *b)
{
    return a->wake != b->wake ? a->wake < b->wake : a->order < b->order;
}

static void
heap_place(struct gate_heap *heap, size_t i, struct gate_call *call)
{
    heap->at[i] = call;
    call->heap_at = i;
}

static void
heap_up(struct gate_heap *heap, size_t i, struct gate_call *call)
{
    while (i > 1 && call_before(call, heap->at[i / 2])) {
        heap_place(heap, i, heap->at[i / 2]);
        i /= 2;
    }
    heap_place(heap, i, call);
}

static void
heap_down(struct gate_heap *heap, size_t i, struct gate_call *call)
{
    for (size_t child; (child = 2 * i) <= heap->n; i = child) {
        if (child < heap->n &&
            call_before(heap->at[child + 1], heap->at[child]))
            child++;
        if (!call_before(heap->at[child], call))
            break;
        heap_place(heap, i, heap->at[child]);
    }
    heap_place(heap, i, call);
}

void
gate_heap_fini(struct gate_heap *heap)
{
    free(heap->at);
    *heap = (struct gate_heap){0};
}

void
gate_heap_push(struct gate_heap *heap, struct gate_call *call)
{
    if (heap->n + 1 >= heap->cap) {
        heap->cap = heap->cap == 0 ? 64 : heap->cap * 2;
        heap->at = plex_reallocarray(heap->at, heap->cap, sizeof *heap->at);
    }
    heap_up(heap, ++heap->n, call);
}

void
gate_heap_remove(struct gate_heap *heap, struct gate_call *call)
{
    const size_t i = call->heap_at;
    struct gate_call *last;

    if (i == 0)
        return;
    call->heap_at = 0;
    last = heap->at[heap->n--];
    if (last == call)
        return;
    if (i > 1 && call_before(last, heap->at[i / 2]))
        heap_up(heap, i, last);
    else
        heap_down(heap, i, last);
}

struct gate_call *
gate_heap_first(const struct gate_heap *heap)
{
    return heap->n == 0 ? NULL : heap->at[1];
}

/* -- lists ------------------------------------------------------------------
 */

void
gate_list_append(struct gate_list *list, struct gate_call *call)
{
    call->next = NULL;
    call->prev = list->tail;
    if (list->tail != NULL)
        list->tail->next = call;
    else
        list->head = call;
    list->tail = call;
}

void
gate_list_remove(struct gate_list *list, struct gate_call *call)
{
    if (call->prev != NULL)
        call->prev->next = call->next;
    else
        list->head = call->next;
    if (call->next != NULL)
        call->next->prev = call->prev;
    else
        list->tail = call->prev;
    call->next = call->prev = NULL;
}
