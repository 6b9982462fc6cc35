#ifndef SERVICES_JOURNAL_STORE_PG_LOAD_H
#define SERVICES_JOURNAL_STORE_PG_LOAD_H

#include "services/journal/store_pg_work.h"

/* An actor that is being loaded: what the ways of loading have in common. */
struct pg_loading {
    struct pg_store *store;
    const struct journal_load *load;
    char name[PLEX_ACTOR_NAME_MAX + 1];
    struct head head; /* its name is the one above; id 0: never seen */
    struct plex_arena *arena;
    struct journal_loaded *out;
};

void journal_pg_loading_init(struct pg_loading *l, struct pg_store *store,
                             const struct journal_load *load,
                             struct plex_arena *arena,
                             struct journal_loaded *out);
/* Row i of PG_ACTORS_GET. The next commit need not ask for it. */
void journal_pg_loading_head(struct pg_loading *l, const PGresult *result,
                             int i);
/* PLEX_FENCED and *newest_epoch when the load's epoch is an old one. */
PLEX_MUST_USE enum plex_status journal_pg_loading_fenced(
    const struct pg_loading *l, uint64_t *newest_epoch, struct plex_err *err);
/* The state from row i of PG_SNAPSHOT_GET. One that is not whole is no error,
 * and changes nothing. */
enum plex_status journal_pg_loading_snapshot(struct pg_loading *l,
                                             const PGresult *result, int i,
                                             struct plex_err *err);
/* The state from row i of PG_TURN_STATE. */
enum plex_status journal_pg_loading_turn(struct pg_loading *l,
                                         const PGresult *result, int i,
                                         struct plex_err *err);
/* The recorded answers in rows [from, to) of PG_TURNS_RECENT. */
enum plex_status journal_pg_loading_recent(struct pg_loading *l,
                                           const PGresult *result, int from,
                                           int to, struct plex_err *err);

#endif
