#include "services/worker/node_stats.h"

#include "common/mem.h"
#include "sdk/c/include/plexspaces/process.h"
#include "services/worker/wire_process.h"

#include <stdlib.h>
#include <string.h>

/* The default one falls through switch labels in a way clang dislikes. */
#define HASH_FUNCTION HASH_FNV
#include <uthash.h>

struct node_book {
    UT_hash_handle hh;
    struct plex_ref supervisor;
    struct node_stats stats;
};

bool
node_is_failure(const char *reason)
{
    return strcmp(reason, "normal") != 0 && strcmp(reason, "shutdown") != 0 &&
           strncmp(reason, "shutdown:", 9) != 0;
}

static struct node_book *
book_find(const struct work_node *node, struct plex_ref supervisor)
{
    struct node_book *book = NULL;

    HASH_FIND(hh, node->books, &supervisor, sizeof supervisor, book);
    return book;
}

static struct node_book *
book_of(struct work_node *node, struct plex_ref supervisor)
{
    struct node_book *book = book_find(node, supervisor);

    if (book != NULL || HASH_COUNT(node->books) >= STATS_SUPERVISORS_MAX)
        return book;
    book = plex_calloc(1, sizeof *book);
    book->supervisor = supervisor;
    HASH_ADD(hh, node->books, supervisor, sizeof book->supervisor, book);
    return book;
}

static void
book_free(struct work_node *node, struct node_book *book)
{
    HASH_DEL(node->books, book);
    free(book);
}

static void
pattern_add(struct node_stats *stats, const char *reason)
{
    size_t i = 0;

    while (i < stats->n_patterns && strncmp(stats->patterns[i].reason, reason,
                                            STATS_REASON_MAX - 1) != 0)
        i++;
    if (i == STATS_PATTERNS_MAX) { /* the last one is for all others */
        i--;
        (void)snprintf(stats->patterns[i].reason, STATS_REASON_MAX, "other");
    } else if (i == stats->n_patterns) {
        (void)snprintf(stats->patterns[i].reason, STATS_REASON_MAX, "%s",
                       reason);
        stats->n_patterns++;
    }
    stats->patterns[i].count++;
}

void
node_stats_note(struct work_node *node, const struct node_event *event)
{
    const bool failed =
        event->kind == RT_STOPPED && node_is_failure(event->reason);
    struct node_book *book;

    if (event->kind == RT_STOPPED && node->books != NULL &&
        (book = book_find(node, event->process)) != NULL)
        book_free(node, book); /* the supervisor itself */
    if (event->kind == RT_GAVE_UP) {
        book = book_of(node, event->process);
        if (book != NULL)
            book->stats.gave_up++;
    }
    if (event->supervisor.id == 0 || (!failed && event->kind != RT_RESTARTED))
        return;
    book = book_of(node, event->supervisor);
    if (book == NULL)
        return;
    if (failed) {
        book->stats.failures++;
        pattern_add(&book->stats, event->reason);
    } else {
        book->stats.restarts++;
    }
}

const struct node_stats *
node_stats_of(const struct work_node *node, struct plex_ref supervisor)
{
    const struct node_book *book = book_find(node, supervisor);

    return book == NULL ? NULL : &book->stats;
}

void
node_stats_free(struct work_node *node)
{
    struct node_book *book, *next;

    HASH_ITER(hh, node->books, book, next)
    {
        book_free(node, book);
    }
}

const char *
node_health(const struct work_node *node, const struct rt_info *at)
{
    if (node->config.watchdog_ms > 0 &&
        at->running_ns / 1000000 >= node->config.watchdog_ms)
        return "stuck";
    return at->mailbox >= STATS_WAITING_MANY ? "degraded" : "healthy";
}

/* -- asked for ---------------------------------------------------------------
 */

/* The last restarts under it that are kept, oldest first. */
static size_t
history(const struct work_node *node, struct plex_ref supervisor,
        const struct node_event **out, size_t max)
{
    const uint64_t oldest =
        node->newest < WORK_EVENTS_MAX ? 1 : node->newest - WORK_EVENTS_MAX + 1;
    size_t n = 0;

    for (uint64_t at = node->newest; at >= oldest && n < max; at--) {
        const struct node_event *event = node->ring[at % WORK_EVENTS_MAX];

        if (event->kind == RT_RESTARTED &&
            plex_ref_is(event->supervisor, supervisor))
            out[n++] = event;
    }
    for (size_t i = 0; i < n / 2; i++) {
        const struct node_event *swap = out[i];

        out[i] = out[n - 1 - i];
        out[n - 1 - i] = swap;
    }
    return n;
}

void
node_on_stats(struct work_node *node, struct plex_call *call)
{
    static const struct node_stats none;
    struct work_process_request request;
    const struct node_event **events;
    const struct node_stats *stats;
    struct plex_ref supervisor;
    struct rt_info info;
    struct plex_err err;
    size_t n;

    if (!node_request_begin(node, call, WORK_METHOD_GET_STATS, &request,
                            &supervisor))
        return;
    if (rt_inspect(node->rt, supervisor, &info) != 0 || !info.is_supervisor) {
        (void)plex_err_set(&err, PLEX_NOT_FOUND,
                           "\"%.80s\" is not a supervisor", request.process);
        plex_call_refuse(call, &err);
        return;
    }
    stats = node_stats_of(node, supervisor);
    events = plex_calloc(request.page_size + 1, sizeof *events);
    n = history(node, supervisor, events, request.page_size);
    plex_call_answer(call,
                     work_stats_pack(stats == NULL ? &none : stats, events, n,
                                     &node->arena, &node->scratch, &err),
                     &node->scratch, &err);
    free((void *)events);
}
