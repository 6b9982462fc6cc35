#ifndef SERVICES_GATEWAY_CORE_HEAP_H
#define SERVICES_GATEWAY_CORE_HEAP_H

#include "services/gateway/core.h"

/* Calls by (wake, order): a binary heap that knows where each call is. */
struct gate_heap {
    struct gate_call **at; /* 1-based; at[0] is not used */
    size_t n, cap;
};

void gate_heap_fini(struct gate_heap *heap);
/* call->wake and call->order are set; the call is in no heap. */
void gate_heap_push(struct gate_heap *heap, struct gate_call *call);
/* Does nothing when the call is not in the heap. */
void gate_heap_remove(struct gate_heap *heap, struct gate_call *call);
/* NULL when empty. */
struct gate_call *gate_heap_first(const struct gate_heap *heap);

/* Calls in order of arrival; each is in at most one list. */
struct gate_list {
    struct gate_call *head, *tail;
};
void gate_list_append(struct gate_list *list, struct gate_call *call);
void gate_list_remove(struct gate_list *list, struct gate_call *call);

#endif
