#include "services/journal/store_pg_work.h"

#include <string.h>

void
journal_work_head_read(struct head *head, const PGresult *result, int row)
{
    const struct plex_bytes chain = journal_pg_bytes(result, row, 4);

    head->id = journal_pg_u64(result, row, 1);
    head->last_seq = journal_pg_u64(result, row, 2);
    head->state_seq = journal_pg_u64(result, row, 3);
    if (chain.len == sizeof head->chain)
        memcpy(head->chain, chain.data, chain.len);
}

size_t
journal_work_param_names(struct work *w, bool unknown)
{
    size_t n = 0;

    journal_pg_array_text(w->store);
    for (size_t i = 0; i < w->n_heads; i++) {
        const struct head *head = &w->heads[i];

        if (unknown && head->id != 0)
            continue;
        journal_pg_add_bytes(
            w->store, 0,
            (struct plex_bytes){(const uint8_t *)head->name, head->name_len});
        n++;
    }
    return n;
}

/* The columns of journal_turn. */
static void
turn_add(struct work *w, const struct journal_entry *entry, size_t at,
         uint64_t state_seq)
{
    struct journal_row row = journal_row_of(entry);
    const struct journal_keep keep =
        journal_policy_of(&w->store->policy, entry->actor.type);
    const uint64_t keep_ms = entry->at_ms + keep.ms;
    struct head *head = &w->heads[at];
    const struct journal_coded of = {entry->actor.tenant, head->name,
                                     head->name_len};
    struct pg_store *store = w->store;
    struct mark *mark = NULL;

    journal_code_row(&store->base, &of, false, &row);
    journal_chain_next(store->base.chain, head->chain, head->name,
                       head->name_len, &row, head->chain);

    if (journal_work_has_id(entry))
        mark = journal_work_mark(w, &w->messages, at, entry->message_id, false);
    journal_pg_row_begin(store, 19);
    journal_pg_row_u64(store, head->id);
    journal_pg_row_u64(store, row.seq);
    journal_pg_row_u64(store, row.at_ms);
    journal_pg_row_u64(store, row.expires_ms);
    journal_pg_row_u64(store, row.request_hash);
    journal_pg_row_u64(store, state_seq);
    journal_pg_row_u64(store, row.schema_version);
    journal_pg_row_u64(store, row.state_hash);
    journal_pg_row_u64(store,
                       journal_row_checksum(&row, head->name, head->name_len));
    journal_pg_row_bool(store, mark != NULL && mark->seq == row.seq);
    journal_pg_row_bytes(store, row.message_id);
    journal_pg_row_bytes(store, row.reply);
    journal_pg_row_bytes(store, row.state);
    journal_pg_row_u64(store,
                       keep_ms > row.expires_ms ? keep_ms : row.expires_ms);
    journal_pg_row_u64(store, keep.turns);
    journal_pg_row_u64(store, row.flags);
    journal_pg_row_bytes(store,
                         (struct plex_bytes){head->chain, sizeof head->chain});
    journal_pg_row_u64(store, row.record_hash);
    journal_pg_row_bytes(store, row.record);
    journal_pg_row_end(store);
}

size_t
journal_work_param_turns(struct work *w)
{
    size_t n = 0;

    journal_pg_array_turns(w->store);
    for (size_t k = 0; k < w->commit->n_entries; k++) {
        const size_t i = w->order[k];
        const struct journal_entry *entry = w->commit->entries[i];
        struct head *head = &w->heads[w->head_of[i]];

        if (!w->ok[i] || entry->kind != JOURNAL_TURN)
            continue;
        if (entry->has_state)
            head->state_seq = entry->seq;
        turn_add(w, entry, w->head_of[i], head->state_seq);
        n++;
    }
    return n;
}

/* Arrays without elements are not worth a statement. */
static bool
send_some(struct work *w, size_t n, enum pg_statement which)
{
    if (n > 0)
        return journal_pg_send(w->store, which);
    w->store->n_params = 0;
    return true;
}

static bool
send_settled(struct work *w)
{
    size_t n = 0;

    journal_pg_array_bytes(w->store);
    journal_pg_array_u64(w->store);
    for (struct mark *m = w->pendings; m != NULL; m = m->hh.next) {
        if (m->pending != NULL)
            continue;
        journal_pg_add_bytes(w->store, 1, m->id);
        journal_pg_add_u64(w->store, 0, w->heads[m->head].id);
        n++;
    }
    return send_some(w, n, PG_PENDING_DROP);
}

static void
pending_add(struct work *w, const struct mark *m)
{
    const struct head *head = &w->heads[m->head];
    const struct journal_coded of = {m->tenant, head->name, head->name_len};
    struct journal_pending pending = *m->pending;
    const uint64_t flags = journal_code_pending(&w->store->base, &of, &pending);

    journal_pg_add_u64(w->store, 6, m->shard);
    journal_pg_add_u64(w->store, 5, pending.due_ms);
    journal_pg_add_u64(w->store, 4, head->id);
    journal_pg_add_u64(w->store, 3, journal_pending_checksum(&pending));
    journal_pg_add_bytes(w->store, 2, pending.id);
    journal_pg_add_bytes(w->store, 1, pending.message);
    journal_pg_add_u64(w->store, 0, flags);
}

static bool
send_pendings(struct work *w)
{
    size_t n = 0;

    for (int i = 0; i < 4; i++)
        journal_pg_array_u64(w->store);
    journal_pg_array_bytes(w->store);
    journal_pg_array_bytes(w->store);
    journal_pg_array_u64(w->store);
    for (struct mark *m = w->pendings; m != NULL; m = m->hh.next) {
        if (m->pending == NULL)
            continue;
        pending_add(w, m);
        n++;
    }
    return send_some(w, n, PG_PENDING_ADD);
}

static bool
send_snapshots(struct work *w)
{
    for (size_t i = 0; i < w->commit->n_entries; i++) {
        const struct journal_entry *entry = w->commit->entries[i];
        const struct head *head = &w->heads[w->head_of[i]];
        struct journal_coded of;
        struct journal_row row;

        if (!w->ok[i] || entry->kind != JOURNAL_SNAPSHOT)
            continue;
        of = (struct journal_coded){entry->actor.tenant, head->name,
                                    head->name_len};
        row = journal_row_of(entry);
        journal_code_row(&w->store->base, &of, true, &row);
        journal_pg_param_u64(w->store, head->id);
        journal_pg_param_u64(w->store, row.seq);
        journal_pg_param_u64(w->store, row.schema_version);
        journal_pg_param_u64(w->store, row.state_hash);
        journal_pg_param_u64(
            w->store, journal_row_checksum(&row, head->name, head->name_len));
        journal_pg_param_bytes(w->store, row.state);
        journal_pg_param_u64(w->store, row.flags);
        if (!journal_pg_send(w->store, PG_SNAPSHOT_ADD))
            return false;
        journal_pg_param_u64(w->store, head->id);
        if (!journal_pg_send(w->store, PG_SNAPSHOT_TRIM))
            return false;
    }
    return true;
}

static int
by_head(const struct mark *a, const struct mark *b)
{
    return (a->head > b->head) - (a->head < b->head);
}

bool
journal_work_send_others(struct work *w)
{
    HASH_SORT(w->pendings, by_head);
    return send_settled(w) && send_pendings(w) && send_snapshots(w);
}

/* The chunks that changed, and the version that tells the others. */
bool
journal_work_send_epochs(struct work *w)
{
    const struct journal_epochs *now = &w->store->epochs;
    uint8_t blob[4096 * 8];

    if (!w->raised)
        return true;
    for (uint32_t chunk = 0; chunk * 4096 < now->n; chunk++) {
        const uint64_t *from = now->by_shard + chunk * 4096;

        if (chunk * 4096 < w->before.n &&
            memcmp(from, w->before.by_shard + chunk * 4096, sizeof blob) == 0)
            continue;
        for (size_t i = 0; i < 4096; i++)
            for (size_t k = 0; k < 8; k++)
                blob[i * 8 + k] = (uint8_t)(from[i] >> (56 - 8 * k));
        journal_pg_param_u64(w->store, chunk);
        journal_pg_param_bytes(w->store,
                               (struct plex_bytes){blob, sizeof blob});
        if (!journal_pg_send(w->store, PG_EPOCH_SET))
            return false;
    }
    return journal_pg_send(w->store, PG_EPOCH_BUMP);
}
