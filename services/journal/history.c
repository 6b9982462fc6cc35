#include "services/journal/store_backend.h"

#include <string.h>

/* History and time travel over any back end. */

static enum plex_status
no_room(struct plex_err *err)
{
    return plex_err_set(err, PLEX_TOO_LARGE,
                        "the answer does not fit its memory limit");
}

static enum plex_status
seen_head(struct journal_store *store, const struct plex_actor_id *actor,
          struct journal_stored_head *out, struct plex_err *err)
{
    char name[PLEX_ACTOR_NAME_MAX + 1];

    if (store->ops->history->head(store, actor, out, err) != PLEX_OK)
        return err->status;
    if (out->newest_seq > 0)
        return PLEX_OK;
    (void)journal_actor_name(actor, name);
    return plex_err_set(err, PLEX_NOT_FOUND,
                        "the journal has nothing of actor %s", name);
}

static enum plex_status
check_number(const char *what, uint64_t number, struct plex_err *err)
{
    if (number <= INT64_MAX)
        return PLEX_OK;
    return plex_err_set(err, PLEX_INVALID,
                        "%s is %llu, at most 2^63-1 is allowed", what,
                        (unsigned long long)number);
}

/* -- history --------------------------------------------------------------- */

static enum plex_status
decode(struct journal_store *store, enum journal_piece piece,
       const struct plex_actor_id *actor, uint64_t seq, uint64_t flags,
       struct plex_bytes *bytes, struct plex_arena *arena, struct plex_err *err)
{
    char name[PLEX_ACTOR_NAME_MAX + 1];
    const struct journal_coding coding = {.piece = piece,
                                          .flags = flags,
                                          .name = name,
                                          .name_len =
                                              journal_actor_name(actor, name),
                                          .seq = seq};

    if ((flags & (JOURNAL_FLAG_SEALED | JOURNAL_FLAG_ZSTD)) == 0)
        return PLEX_OK;
    return journal_decode(store, &coding, *bytes, arena, bytes, err);
}

static enum plex_status
turn_decode(struct journal_store *store, const struct plex_actor_id *actor,
            struct journal_row *row, struct plex_arena *arena,
            struct plex_err *err)
{
    if (decode(store, JOURNAL_PIECE_STATE, actor, row->seq, row->flags,
               &row->state, arena, err) != PLEX_OK ||
        decode(store, JOURNAL_PIECE_REPLY, actor, row->seq, row->flags,
               &row->reply, arena, err) != PLEX_OK)
        return err->status;
    return decode(store, JOURNAL_PIECE_RECORD, actor, row->seq, row->flags,
                  &row->record, arena, err);
}

static enum plex_status
past_fill(struct journal_store *store, const struct plex_actor_id *actor,
          struct journal_stored *from, size_t n, struct plex_arena *arena,
          struct journal_past *out, struct plex_err *err)
{
    struct journal_past_turn *turns =
        plex_arena_alloc(arena, n * sizeof *turns + 1);

    if (turns == NULL)
        return no_room(err);
    for (size_t i = 0; i < n; i++) {
        struct journal_row *row = &from[i].row;
        char name[PLEX_ACTOR_NAME_MAX + 1];

        if (from[i].damaged) {
            (void)journal_actor_name(actor, name);
            return plex_err_set(err, PLEX_CORRUPT,
                                "turn of actor %s at seq %llu does not match "
                                "its checksum",
                                name, (unsigned long long)row->seq);
        }
        if (turn_decode(store, actor, row, arena, err) != PLEX_OK)
            return err->status;
        turns[i] = (struct journal_past_turn){
            .seq = row->seq,
            .at_ms = row->at_ms,
            .expires_ms = row->expires_ms,
            .request_hash = row->request_hash,
            .message_id = row->message_id,
            .reply = row->reply,
            .record = row->record,
            .has_state = row->has_state != 0,
            .rebuilds = (row->flags & JOURNAL_FLAG_REBUILDS) != 0,
            .schema_version = row->schema_version,
            .state = row->state,
            .chain = {from[i].chain, from[i].chained ? JOURNAL_CHAIN_BYTES : 0},
        };
    }
    out->turns = turns;
    out->n = n;
    return PLEX_OK;
}

static uint64_t
at_least(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* What of the actor is wanted, as a range; empty when last < first. */
static enum plex_status
range_of(struct journal_store *store, const struct journal_history *want,
         const struct journal_stored_head *head,
         struct journal_stored_range *out, struct plex_err *err)
{
    const struct journal_history_ops *ops = store->ops->history;
    uint64_t seq, first = head->anchor_seq + 1, last = head->newest_seq;

    if (want->from_ms > 0) {
        if (ops->seq_at(store, &want->actor, want->from_ms - 1, &seq, err) !=
            PLEX_OK)
            return err->status;
        first = at_least(first, seq + 1);
    }
    if (want->to_ms > 0) {
        if (ops->seq_at(store, &want->actor, want->to_ms, &seq, err) != PLEX_OK)
            return err->status;
        last = seq;
    }
    if (want->last_seq > 0 && want->last_seq < last)
        last = want->last_seq;
    if (want->first_seq > 0)
        first = at_least(first, want->first_seq);
    else if (last > want->limit)
        first = at_least(first, last - want->limit + 1);
    *out = (struct journal_stored_range){first, last, want->limit,
                                         want->with_state};
    return PLEX_OK;
}

enum plex_status
journal_store_history(struct journal_store *store,
                      const struct journal_history *want,
                      struct plex_arena *arena, struct journal_past *out,
                      struct plex_err *err)
{
    struct journal_stored_head head = {0};
    struct journal_stored_range range;
    struct journal_stored *turns;
    size_t n;

    *out = (struct journal_past){0};
    if (want->limit == 0 || want->limit > JOURNAL_HISTORY_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "history limit is %u, 1 to %d are allowed",
                            want->limit, JOURNAL_HISTORY_MAX);
    if (check_number("first_seq", want->first_seq, err) != PLEX_OK ||
        check_number("from_ms", want->from_ms, err) != PLEX_OK ||
        check_number("to_ms", want->to_ms, err) != PLEX_OK ||
        store->ops->history->head(store, &want->actor, &head, err) != PLEX_OK)
        return err->status;
    if (head.newest_seq == 0)
        return PLEX_OK;
    out->newest_seq = head.newest_seq;
    out->oldest_seq = head.anchor_seq + 1;
    if (range_of(store, want, &head, &range, err) != PLEX_OK)
        return err->status;
    if (range.last < range.first)
        return PLEX_OK;
    if (store->ops->history->turns(store, &want->actor, &range, arena, &turns,
                                   &n, err) != PLEX_OK)
        return err->status;
    if (n > 0 && turns[n - 1].row.seq < range.last)
        out->next_seq = turns[n - 1].row.seq + 1;
    return past_fill(store, &want->actor, turns, n, arena, out, err);
}

/* -- time travel ----------------------------------------------------------- */

static enum plex_status
not_kept(const struct plex_actor_id *actor, uint64_t seq,
         const struct journal_stored_head *head, struct plex_err *err)
{
    char name[PLEX_ACTOR_NAME_MAX + 1];

    (void)journal_actor_name(actor, name);
    return plex_err_set(err, PLEX_NOT_FOUND,
                        "the state of actor %s at seq %llu is no longer kept; "
                        "its turns are kept from seq %llu on",
                        name, (unsigned long long)seq,
                        (unsigned long long)head->anchor_seq + 1);
}

static enum plex_status
seq_of(struct journal_store *store, const struct journal_at *want,
       const struct journal_stored_head *head, uint64_t *seq,
       struct plex_err *err)
{
    *seq = want->seq;
    if (want->seq > head->newest_seq)
        return plex_err_set(err, PLEX_NOT_FOUND,
                            "there is no turn %llu, the newest is %llu",
                            (unsigned long long)want->seq,
                            (unsigned long long)head->newest_seq);
    if (want->seq > 0)
        return PLEX_OK;
    if (store->ops->history->seq_at(store, &want->actor, want->at_ms, seq,
                                    err) != PLEX_OK)
        return err->status;
    if (*seq == 0 && head->anchor_seq > 0)
        return not_kept(&want->actor, 0, head, err);
    return PLEX_OK;
}

enum plex_status
journal_store_at(struct journal_store *store, const struct journal_at *want,
                 struct plex_arena *arena, struct journal_was *out,
                 struct plex_err *err)
{
    struct journal_stored_head head = {0};
    struct journal_stored_state state = {0};

    *out = (struct journal_was){0};
    if (want->seq == 0 && want->at_ms == 0)
        return plex_err_set(err, PLEX_INVALID,
                            "neither a sequence nor a time is given");
    if (check_number("at_ms", want->at_ms, err) != PLEX_OK ||
        seen_head(store, &want->actor, &head, err) != PLEX_OK ||
        seq_of(store, want, &head, &out->seq, err) != PLEX_OK)
        return err->status;
    out->newest_seq = head.newest_seq;
    if (out->seq == 0)
        return PLEX_OK;
    if (store->ops->history->state_at(store, &want->actor, out->seq, arena,
                                      &state, err) != PLEX_OK)
        return err->status;
    if (!state.found)
        return state.known && state.expected == 0
                   ? PLEX_OK
                   : not_kept(&want->actor, out->seq, &head, err);
    /* Removed turns in between may have had a state. */
    if (!state.known && state.seq != out->seq && head.anchor_seq > state.seq &&
        state.seq != head.state_seq)
        return not_kept(&want->actor, out->seq, &head, err);
    if (decode(store, JOURNAL_PIECE_STATE, &want->actor, state.seq, state.flags,
               &state.state, arena, err) != PLEX_OK)
        return err->status;
    out->has_state = true;
    out->state = state.state;
    out->schema_version = state.schema_version;
    out->state_seq = state.seq;
    return PLEX_OK;
}
