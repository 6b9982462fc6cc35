#include "services/journal/store_backend.h"

/* Over any back end: loading one after the other, and the records that rebuild
 * a state. */

void
journal_loads_each(struct journal_store *store,
                   struct journal_loading *loadings, size_t n, uint64_t wall_ms)
{
    for (size_t i = 0; i < n; i++) {
        struct journal_loading *l = &loadings[i];

        if (l->err.status == PLEX_OK)
            l->err.status =
                store->ops->load(store, l->load, wall_ms, l->arena, &l->out,
                                 &l->newest_epoch, &l->err);
    }
}

enum plex_status
journal_load_records(struct journal_store *store,
                     const struct journal_load *load, struct plex_arena *arena,
                     struct journal_loaded *out, struct plex_err *err)
{
    const struct journal_history want = {
        .actor = load->actor,
        .first_seq =
            load->records_from > 0 ? load->records_from : out->state_seq + 1,
        .last_seq = out->last_seq,
        .limit = JOURNAL_HISTORY_MAX,
    };
    struct journal_record *records;
    struct journal_past past;

    if (load->records_from > 0)
        *out = (struct journal_loaded){.last_seq = out->last_seq};
    if ((!load->records && load->records_from == 0) ||
        want.first_seq > want.last_seq)
        return PLEX_OK;
    if (journal_store_history(store, &want, arena, &past, err) != PLEX_OK)
        return err->status;
    records = plex_arena_alloc(arena, past.n * sizeof *records + 1);
    if (records == NULL)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "the records of the actor do not fit");
    for (size_t i = 0; i < past.n; i++)
        if (past.turns[i].rebuilds)
            records[out->n_records++] = (struct journal_record){
                .seq = past.turns[i].seq,
                .at_ms = past.turns[i].at_ms,
                .schema_version = past.turns[i].schema_version,
                .bytes = past.turns[i].record,
            };
    out->records = records;
    out->next_record = past.next_seq;
    return PLEX_OK;
}
