#ifndef SERVICES_WORKER_BUILTIN_SCHEDULE_H
#define SERVICES_WORKER_BUILTIN_SCHEDULE_H

#include "services/worker/builtin_private.h"
#include "workflow/cron.h"

/* Shared by builtin_schedule*.c only. */
enum {
    SCHEDULE_ID_MAX = 200,        /* an occurrence's id is longer */
    SCHEDULE_TURN_MAX = 100,      /* occurrences dealt with in one turn */
    SCHEDULE_RECENT_MAX = 20,     /* remembered */
    SCHEDULE_RUNNING_MAX = 1000,  /* known as running; more are skipped */
    SCHEDULE_BACKFILL_MAX = 1000, /* not done yet */
};

/* What a specification means. */
struct schedule_plan {
    struct flow_schedule when;
    struct flow_zone *zone;
    const char *workflow, *version; /* workflow NULL: an actor */
    char type[64];                  /* of the actor */
    const char *key, *method;
    bool call; /* wait for the actor's answer */
    int64_t timeout_ms;
    json_t *input; /* borrowed of the specification */
};

/* `anchor_ms` is when it was made: what intervals count from. The plan borrows
 * from `spec`. INVALID: what is wrong with which field. */
PLEX_MUST_USE enum plex_status work_schedule_plan(const json_t *spec,
                                                  int64_t anchor_ms,
                                                  struct schedule_plan *out,
                                                  struct plex_err *err);
void work_schedule_plan_fini(struct schedule_plan *plan);

/* What one occurrence gets: the input with "schedule" in it. */
json_t *work_schedule_input(const struct schedule_plan *plan, const char *id,
                            const char *occurrence, int64_t nominal_ms);

#endif
