#ifndef SERVICES_WORKER_WIRE_PROCESS_H
#define SERVICES_WORKER_WIRE_PROCESS_H

#include "sdk/c/include/plexspaces/facet.h"
#include "services/worker/node_private.h"

/*
 * The wire form of what is asked about processes: worker.v1's events and
 * actor.v1's processes and supervisors. Decoded strings are in the arena.
 */
enum {
    WORK_METHOD_EVENTS = 622,
    WORK_METHOD_LIST_PROCESSES = 710,
    WORK_METHOD_GET_PROCESS = 711,
    WORK_METHOD_EXIT_PROCESS = 712,
    WORK_METHOD_LIST_CHILDREN = 714,
    WORK_METHOD_COUNT_CHILDREN = 715,
    WORK_METHOD_START_CHILD = 716,
    WORK_METHOD_TERMINATE_CHILD = 717,
    WORK_METHOD_RESTART_CHILD = 718,
    WORK_METHOD_DELETE_CHILD = 719,
    WORK_METHOD_LIST_FACETS = 720,
    WORK_METHOD_ATTACH_FACET = 721,
    WORK_METHOD_DETACH_FACET = 722,
    WORK_METHOD_INVOKE_FACET = 735,
    WORK_METHOD_LINK_ACTOR = 727,
    WORK_METHOD_UNLINK_ACTOR = 728,
    WORK_METHOD_MONITOR_ACTOR = 729,
    WORK_METHOD_GET_STATS = 730,
    WORK_METHOD_GET_PLAN = 731,
    WORK_METHOD_CHANGE_PLAN = 732,
    WORK_METHOD_CHANGE_CHILD = 733,
};
enum { WORK_EVENTS_PAGE = 1000, WORK_PROCESSES_PAGE = 10000 };

const char *work_event_type(enum rt_event_kind kind); /* "started" */

struct work_events_request {
    uint64_t incarnation, after;
    uint32_t limit, wait_ms;
    const char *tenant;
    bool tail;
};
PLEX_MUST_USE enum plex_status work_events_request_unpack(
    struct plex_bytes in, struct plex_arena *arena,
    struct work_events_request *out, struct plex_err *err);
PLEX_MUST_USE enum plex_status work_events_reply_pack(
    const struct work_node *node, uint64_t next,
    const struct node_event *const *events, size_t n, struct plex_arena *arena,
    struct plex_buf *out, struct plex_err *err);

/* Any of the requests 710 to 735: what it does not have is "" or 0. */
struct work_process_request {
    const char *ns;      /* never "", but in a list */
    const char *process; /* or supervisor */
    const char *reason;  /* EXIT */
    bool supervisors;    /* LIST */
    uint32_t page_size;  /* LIST: 1..WORK_PROCESSES_PAGE */
    const char *child;   /* id; LINK, UNLINK: the other one's ref */
    uint32_t wait_ms;    /* MONITOR */
    const char *module, *behaviour, *name, *args, *node; /* START */
    const char *type; /* START: of the catalogue, "": module and behaviour */
    const char *placement; /* START: JSON, as plex_spawn takes it for a node */
    uint8_t restart;
    uint32_t shutdown_ms;
    struct plex_plan plan; /* CHANGE_PLAN; else empty */
    const char *facet;     /* ATTACH, DETACH, INVOKE */
    const char *op;        /* INVOKE */
    uint32_t priority;
    const struct plex_facet_pair *config;
    size_t n_config;
};
PLEX_MUST_USE enum plex_status work_process_request_unpack(
    uint32_t method, struct plex_bytes in, struct plex_arena *arena,
    struct work_process_request *out, struct plex_err *err);

PLEX_MUST_USE enum plex_status work_processes_pack(const struct work_node *node,
                                                   const struct rt_info *infos,
                                                   size_t n, bool truncated,
                                                   struct plex_arena *arena,
                                                   struct plex_buf *out,
                                                   struct plex_err *err);
/* Of GET and EXIT. */
PLEX_MUST_USE enum plex_status work_process_pack(const struct work_node *node,
                                                 const struct rt_info *info,
                                                 struct plex_arena *arena,
                                                 struct plex_buf *out,
                                                 struct plex_err *err);
PLEX_MUST_USE enum plex_status work_children_pack(
    const struct plex_child_info *children, size_t n, struct plex_arena *arena,
    struct plex_buf *out, struct plex_err *err);
PLEX_MUST_USE enum plex_status work_count_pack(
    const struct plex_child_count *count, struct plex_buf *out,
    struct plex_err *err);
PLEX_MUST_USE enum plex_status work_plan_pack(const struct plex_plan *plan,
                                              struct plex_buf *out,
                                              struct plex_err *err);
/* Of the requests about facets: lines "PRIORITY NAME". */
PLEX_MUST_USE enum plex_status work_facets_pack(const char *lines,
                                                struct plex_arena *arena,
                                                struct plex_buf *out,
                                                struct plex_err *err);
/* wire_stats.c: of STATS; what it has beside a name. */
struct node_stats;
PLEX_MUST_USE enum plex_status work_stats_in(const void *message,
                                             struct work_process_request *out,
                                             struct plex_err *err);
PLEX_MUST_USE enum plex_status work_stats_pack(
    const struct node_stats *stats, const struct node_event *const *events,
    size_t n, struct plex_arena *arena, struct plex_buf *out,
    struct plex_err *err);
/* Of MONITOR. */
PLEX_MUST_USE enum plex_status work_down_pack(struct plex_ref process,
                                              const char *reason, bool down,
                                              struct plex_arena *arena,
                                              struct plex_buf *out,
                                              struct plex_err *err);
PLEX_MUST_USE enum plex_status work_facet_result_pack(const char *result,
                                                      struct plex_buf *out,
                                                      struct plex_err *err);
/* Of START and RESTART. */
PLEX_MUST_USE enum plex_status work_ref_pack(struct plex_ref ref,
                                             struct plex_buf *out,
                                             struct plex_err *err);

#endif
