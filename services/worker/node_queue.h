#ifndef SERVICES_WORKER_NODE_QUEUE_H
#define SERVICES_WORKER_NODE_QUEUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* Many threads push, one takes all, in the order of the pushes. Embed the
 * link in what is queued. */
struct work_link {
    struct work_link *next;
};
struct work_queue {
    _Atomic(struct work_link *) newest;
};

/* True: it was empty, the taker has to be woken. */
static inline bool
work_queue_push(struct work_queue *queue, struct work_link *link)
{
    struct work_link *head = atomic_load(&queue->newest);

    do
        link->next = head;
    while (!atomic_compare_exchange_weak(&queue->newest, &head, link));
    return head == NULL;
}

/* Oldest first; NULL when there is nothing. */
static inline struct work_link *
work_queue_take(struct work_queue *queue)
{
    struct work_link *link = atomic_exchange(&queue->newest, NULL);
    struct work_link *oldest = NULL;

    while (link != NULL) {
        struct work_link *next = link->next;

        link->next = oldest;
        oldest = link;
        link = next;
    }
    return oldest;
}

#endif
