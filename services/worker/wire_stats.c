/* What has happened to the children of a supervisor, on the wire. */
#include "services/worker/node_stats.h"
#include "services/worker/wire_process.h"

#include "common/utf8.h"
#include "common/wire.h"
#include "plexspaces/actor/v1/actor.pb-c.h"

#include <string.h>

#define ACTOR(name) Plexspaces__Actor__V1__##name

enum { HISTORY_DEFAULT = 100 };

enum plex_status
work_stats_in(const void *message, struct work_process_request *out,
              struct plex_err *err)
{
    const ACTOR(GetSupervisorStatsRequest) *pb = message;

    _Static_assert(offsetof(ACTOR(GetSupervisorStatsRequest), namespace_) ==
                       offsetof(ACTOR(GetProcessRequest), namespace_),
                   "requests that name a process have one layout");
    out->page_size =
        pb->history_limit == 0 ? HISTORY_DEFAULT : pb->history_limit;
    if (out->page_size > STATS_HISTORY_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "history_limit is %u, at most %d", out->page_size,
                            STATS_HISTORY_MAX);
    return PLEX_OK;
}

/* A text that is not UTF-8 says less than nothing. */
static char *
text_of(const char *text)
{
    return plex_utf8_valid((const uint8_t *)text, strlen(text))
               ? plex_wire_text(text)
               : plex_wire_text("?");
}

enum plex_status
work_stats_pack(const struct node_stats *stats,
                const struct node_event *const *events, size_t n,
                struct plex_arena *arena, struct plex_buf *out,
                struct plex_err *err)
{
    typedef ACTOR(GetSupervisorStatsResponse__FailurePatternsEntry) pb_entry;
    ACTOR(GetSupervisorStatsResponse)
    pb = PLEXSPACES__ACTOR__V1__GET_SUPERVISOR_STATS_RESPONSE__INIT;
    ACTOR(ChildRestart) *rows = plex_wire_array(arena, n, sizeof *rows);
    pb_entry *entries =
        plex_wire_array(arena, stats->n_patterns, sizeof *entries);

    pb.restart_history = plex_wire_array(arena, n, sizeof *pb.restart_history);
    pb.failure_patterns =
        plex_wire_array(arena, stats->n_patterns, sizeof *pb.failure_patterns);
    if (rows == NULL || entries == NULL || pb.restart_history == NULL ||
        pb.failure_patterns == NULL)
        return plex_wire_no_room(err);
    pb.failures = stats->failures;
    pb.restarts = stats->restarts;
    pb.gave_up = stats->gave_up;
    for (size_t i = 0; i < stats->n_patterns; i++) {
        entries[i] = (pb_entry)
            PLEXSPACES__ACTOR__V1__GET_SUPERVISOR_STATS_RESPONSE__FAILURE_PATTERNS_ENTRY__INIT;
        entries[i].key = text_of(stats->patterns[i].reason);
        entries[i].value = stats->patterns[i].count;
        pb.failure_patterns[pb.n_failure_patterns++] = &entries[i];
    }
    for (size_t i = 0; i < n; i++) {
        plexspaces__actor__v1__child_restart__init(&rows[i]);
        rows[i].wall_ms = events[i]->wall_ms;
        rows[i].child = text_of(events[i]->child);
        rows[i].count = events[i]->count;
        pb.restart_history[pb.n_restart_history++] = &rows[i];
    }
    return plex_wire_pack(&pb.base, out, err);
}
