#include "services/journal/store_mem.h"

#include <stdlib.h>
#include <string.h>

static enum plex_status
mem_head(struct journal_store *base, const struct plex_actor_id *id,
         struct journal_stored_head *out, struct plex_err *err)
{
    const struct mem_actor *actor =
        journal_mem_actor((struct mem_store *)base, id);

    (void)err;
    if (actor == NULL)
        return PLEX_OK;
    out->newest_seq = actor->last_seq;
    out->state_seq = actor->state_seq;
    out->anchor_seq = actor->anchor_seq;
    out->anchor_chained = actor->anchor_seq > 0;
    memcpy(out->anchor, actor->anchor, sizeof out->anchor);
    return PLEX_OK;
}

static enum plex_status
turn_copy(const struct mem_turn *turn, bool with_state,
          struct plex_arena *arena, struct journal_stored *out,
          struct plex_err *err)
{
    *out = (struct journal_stored){.row = turn->row, .chained = true};
    memcpy(out->chain, turn->chain, sizeof out->chain);
    out->row.state = (struct plex_bytes){0};
    if (with_state && journal_bytes_copy(turn->row.state, arena,
                                         &out->row.state, err) != PLEX_OK)
        return err->status;
    if (journal_bytes_copy(turn->row.message_id, arena, &out->row.message_id,
                           err) != PLEX_OK ||
        journal_bytes_copy(turn->row.record, arena, &out->row.record, err) !=
            PLEX_OK)
        return err->status;
    return journal_bytes_copy(turn->row.reply, arena, &out->row.reply, err);
}

static enum plex_status
mem_turns(struct journal_store *base, const struct plex_actor_id *id,
          const struct journal_stored_range *range, struct plex_arena *arena,
          struct journal_stored **out, size_t *n, struct plex_err *err)
{
    const struct mem_actor *actor =
        journal_mem_actor((struct mem_store *)base, id);
    struct journal_stored *turns =
        plex_arena_alloc(arena, range->limit * sizeof *turns + 1);
    const struct mem_turn *turn;
    size_t bytes = 0;

    *out = turns;
    *n = 0;
    if (turns == NULL)
        return plex_err_set(err, PLEX_TOO_LARGE, "no memory for %u turns",
                            range->limit);
    if (actor == NULL)
        return PLEX_OK;
    TAILQ_FOREACH(turn, &actor->turns, link)
    {
        const struct journal_row *row = &turn->row;

        if (row->seq < range->first)
            continue;
        if (row->seq > range->last || *n == range->limit ||
            bytes >= JOURNAL_PAGE_BYTES_MAX)
            break;
        if (turn_copy(turn, range->with_state, arena, &turns[*n], err) !=
            PLEX_OK)
            return err->status;
        bytes += row->reply.len + row->record.len +
                 (range->with_state ? row->state.len : 0);
        (*n)++;
    }
    return PLEX_OK;
}

static enum plex_status
mem_seq_at(struct journal_store *base, const struct plex_actor_id *id,
           uint64_t at_ms, uint64_t *seq, struct plex_err *err)
{
    const struct mem_actor *actor =
        journal_mem_actor((struct mem_store *)base, id);
    const struct mem_turn *turn;

    (void)err;
    *seq = 0;
    if (actor == NULL)
        return PLEX_OK;
    TAILQ_FOREACH_REVERSE(turn, &actor->turns, mem_turns, link)
    {
        if (turn->row.at_ms > at_ms)
            continue;
        *seq = turn->row.seq;
        break;
    }
    return PLEX_OK;
}

static enum plex_status
state_give(uint64_t seq, uint32_t schema_version, struct plex_bytes state,
           struct plex_arena *arena, struct journal_stored_state *out,
           struct plex_err *err)
{
    out->found = true;
    out->seq = seq;
    out->schema_version = schema_version;
    return journal_bytes_copy(state, arena, &out->state, err);
}

static enum plex_status
mem_state_at(struct journal_store *base, const struct plex_actor_id *id,
             uint64_t seq, struct plex_arena *arena,
             struct journal_stored_state *out, struct plex_err *err)
{
    const struct mem_actor *actor =
        journal_mem_actor((struct mem_store *)base, id);
    const struct mem_turn *turn;

    if (actor == NULL)
        return PLEX_OK;
    turn = journal_mem_turn(actor, seq);
    out->known = turn != NULL;
    out->expected = turn ? turn->state_seq : 0;
    for (int i = 0; i < MEM_SNAPSHOTS; i++) {
        const struct mem_snapshot *s = &actor->snapshots[i];

        if (s->seq > 0 && s->seq <= seq && s->seq >= out->expected)
            return state_give(s->seq, s->schema_version, s->state, arena, out,
                              err);
    }
    turn = out->expected > 0 ? journal_mem_turn(actor, out->expected) : NULL;
    if (turn == NULL)
        return PLEX_OK;
    return state_give(out->expected, turn->row.schema_version, turn->row.state,
                      arena, out, err);
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static enum plex_status
mem_actors(struct journal_store *base, const char *after, uint32_t limit,
           struct plex_arena *arena, const char *const **out, size_t *n,
           struct plex_err *err)
{
    const struct mem_store *store = (struct mem_store *)base;
    const char **names = plex_arena_alloc(
        arena, HASH_COUNT(store->actors) * sizeof(const char *) + 1);

    *n = 0;
    *out = names;
    if (names == NULL)
        return plex_err_set(err, PLEX_TOO_LARGE, "no memory for names");
    for (const struct mem_actor *a = store->actors; a != NULL; a = a->hh.next)
        if (strcmp(a->name, after) > 0)
            names[(*n)++] = a->name;
    if (*n > 0)
        qsort(names, *n, sizeof(const char *), by_name);
    *n = *n < limit ? *n : limit;
    return PLEX_OK;
}

static enum plex_status
mem_unkeep(struct journal_store *base, const struct plex_actor_id *actor,
           uint64_t first, uint64_t last, uint64_t wall_ms,
           struct plex_err *err)
{
    struct mem_actor *found =
        journal_mem_actor((struct mem_store *)base, actor);
    struct mem_turn *turn;

    (void)wall_ms;
    (void)err;
    if (found == NULL)
        return PLEX_OK;
    TAILQ_FOREACH(turn, &found->turns, link)
    if (turn->row.seq >= first && turn->row.seq <= last) {
        turn->keep_ms = turn->row.expires_ms;
        turn->keep_turns = 0;
    }
    return PLEX_OK;
}

const struct journal_history_ops journal_mem_history = {
    .head = mem_head,
    .turns = mem_turns,
    .seq_at = mem_seq_at,
    .state_at = mem_state_at,
    .actors = mem_actors,
    .unkeep = mem_unkeep,
};

/* -- answers --------------------------------------------------------------- */

enum plex_status
journal_mem_answers(struct journal_answering *answering, struct plex_err *err)
{
    struct mem_store *store = (struct mem_store *)answering->store;

    (void)err;
    for (size_t i = 0; i < answering->n; i++) {
        const struct journal_asked *asked = &answering->asked[i];
        const struct mem_actor *actor = journal_mem_actor(store, &asked->actor);
        const struct mem_turn *turn =
            actor == NULL
                ? NULL
                : journal_mem_remembered(store, actor, asked->message_id);

        if (turn != NULL)
            journal_answer_take(answering, i, &turn->row, actor->name,
                                actor->name_len);
    }
    return PLEX_OK;
}
