#ifndef SERVICES_WORKER_NODE_PLACE_H
#define SERVICES_WORKER_NODE_PLACE_H

#include "common/arena.h"
#include "common/link.h"
#include "runtime/runtime.h"
#include "services/placement/client.h"

/* Processes that are placed by what they need: the part of node_private.h
 * about these. */
struct work_node;
struct node_note;

/* node_place.c: starts that are for whoever has room. */
/* Any thread; false: there are too many. */
bool node_place_take(struct work_node *node, const struct rt_signal *signal);
void node_place_noted(struct work_node *node, struct node_note *note);
void node_place_drop(struct node_note *note);
void node_asks_free(struct work_node *node);

/* node_need.c */
enum { NODE_ACTOR_TEXT = 256 };
struct node_start {
    struct rt_where where;
    struct plex_ref supervisor; /* or whoever starts it */
    const char *child;          /* NULL: it is nobody's child */
    const char *address;        /* "?APP/CHILD/..." or JSON */
};
struct node_need {
    char actor[NODE_ACTOR_TEXT]; /* "APP/CHILD/..."; "" */
    struct plex_bytes placement; /* borrowed: the catalogue's, the arena's */
    bool alone;                  /* there is one of it at a time */
};
bool node_is_need(const char *address);
PLEX_MUST_USE enum plex_status node_need_of(struct work_node *node,
                                            const struct node_start *start,
                                            struct plex_arena *arena,
                                            struct node_need *out,
                                            struct plex_err *err);

/* node_hold.c */
void node_holds_create(struct work_node *node);
void node_holds_free(struct work_node *node);
/* A start that is for this worker, with a reservation or without. */
void node_spawn(struct work_node *node, const struct rt_signal *signal);
void node_hold_event(struct work_node *node, const struct rt_event *event);
void node_hold_noted(struct work_node *node, struct node_note *note);
void node_hold_drop(struct node_note *note);
/* `asked`: placement wants to know what is held. */
void node_hold_tick(struct work_node *node, bool asked);
/* A process that is not a child holds something; the one of a request. */
void node_hold_add(struct work_node *node, const char *request_id,
                   struct plex_bytes held, struct plex_ref process);
bool node_hold_find(const struct work_node *node, const char *request_id,
                    struct plex_ref *process);
/* Those that are nobody's children end. */
void node_hold_drain(struct work_node *node);
size_t node_hold_count(const struct work_node *node);

/* node_move.c */
void node_moves_create(struct work_node *node);
void node_moves_free(struct work_node *node);
/* A child of a supervisor here was sent to that worker. */
void node_moves_note(struct work_node *node, const struct node_start *start,
                     const struct node_need *need,
                     const struct place_reserved *got);
/* Such children on that worker are to go elsewhere. */
void node_moves_drained(struct work_node *node, const char *node_id);
void node_moves_noted(struct work_node *node, struct node_note *note);
void node_moves_drop(struct node_note *note);

/* node_schedule.c */
void node_on_start_placed(struct work_node *node, struct plex_call *call);
void node_schedule_noted(struct work_node *node, struct node_note *note);
void node_schedule_drop(struct node_note *note);

#endif
