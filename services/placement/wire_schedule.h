#ifndef SERVICES_PLACEMENT_WIRE_SCHEDULE_H
#define SERVICES_PLACEMENT_WIRE_SCHEDULE_H

#include "common/arena.h"
#include "services/placement/core.h"

/*
 * Requests and replies of scheduling.v1, and what is asked of the worker that
 * was chosen. Decoded strings live in the arena.
 */
enum {
    PLACE_METHOD_SCHEDULE = 421,
    PLACE_METHOD_STATUS = 422,
    PLACE_METHOD_CAPACITY = 423,
    PLACE_METHOD_CAPACITIES = 424,
    PLACE_WORKER_START = 627, /* worker.v1 */
};
enum { PLACE_PAGE_MAX = 1000 };

struct place_schedule {
    const char *request_id; /* as the caller has it */
    const char *tenant, *ns, *module, *behaviour, *name, *args;
    struct place_ask ask; /* SCHEDULE; until_ns is not set */
    const char *scoped;   /* the id among all tenants' */
    const char *node_id;  /* CAPACITY */
    const struct place_label *labels;
    size_t n_labels;    /* CAPACITIES */
    uint32_t page_size; /* 1..PLACE_PAGE_MAX */
    const char *page_token;
};
PLEX_MUST_USE enum plex_status place_wire_schedule(
    uint32_t method, const char *tenant, struct plex_bytes in,
    struct plex_arena *arena, struct place_schedule *out, struct plex_err *err);

/* `process` "" while it is not known. */
PLEX_MUST_USE enum plex_status place_wire_scheduled(
    const char *request_id, const struct place_held *held, bool runs,
    const char *process, struct plex_buf *out, struct plex_err *err);
PLEX_MUST_USE enum plex_status place_wire_capacity(
    const struct place_candidate *worker, struct plex_arena *arena,
    struct plex_buf *out, struct plex_err *err);
/* In order; `next` "" for the last page. */
PLEX_MUST_USE enum plex_status place_wire_capacities(
    const struct place_candidate *const *workers, size_t n, const char *next,
    struct plex_arena *arena, struct plex_buf *out, struct plex_err *err);

PLEX_MUST_USE enum plex_status place_wire_start(
    const struct place_schedule *schedule, const struct place_held *held,
    struct plex_arena *arena, struct plex_buf *out, struct plex_err *err);
PLEX_MUST_USE enum plex_status place_wire_started(struct plex_bytes in,
                                                  struct plex_arena *arena,
                                                  const char **process,
                                                  struct plex_err *err);

#endif
