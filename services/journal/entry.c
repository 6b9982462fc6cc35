#include "services/journal/core.h"

/* The limits of one entry and its weight. */

static enum plex_status
check_id(const char *what, struct plex_bytes id, size_t min,
         struct plex_err *err)
{
    if (id.len < min || id.len > JOURNAL_ID_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "%s is %zu bytes long, %zu to %d are allowed", what,
                            id.len, min, JOURNAL_ID_MAX);
    return PLEX_OK;
}

static enum plex_status
check_turn(const struct journal_entry *entry, struct plex_err *err)
{
    if (check_id("message id", entry->message_id, 0, err) != PLEX_OK)
        return err->status;
    if (entry->record.len > JOURNAL_RECORD_MAX)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "record is %zu bytes, at most %d are allowed",
                            entry->record.len, JOURNAL_RECORD_MAX);
    if (entry->n_pending > JOURNAL_ENTRIES_MAX)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "turn adds %zu pendings, at most %d are allowed",
                            entry->n_pending, JOURNAL_ENTRIES_MAX);
    for (size_t i = 0; i < entry->n_pending; i++)
        if (check_id("pending id", entry->pending[i].id, 1, err) != PLEX_OK)
            return err->status;
    return PLEX_OK;
}

enum plex_status
journal_entry_check(const struct journal_entry *entry, struct plex_err *err)
{
    const bool numbered = entry->kind != JOURNAL_SETTLE;

    if (entry->kind < JOURNAL_TURN || entry->kind > JOURNAL_SNAPSHOT)
        return plex_err_set(err, PLEX_INVALID,
                            "kind is %d, it must be turn, settle or snapshot",
                            (int)entry->kind);
    if (entry->shard > JOURNAL_SHARD_MAX || entry->epoch == 0 ||
        entry->epoch > INT64_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "shard is %u and epoch %llu; shards go to %d, "
                            "epochs start at 1",
                            entry->shard, (unsigned long long)entry->epoch,
                            JOURNAL_SHARD_MAX);
    if (numbered && (entry->seq == 0 || entry->seq > INT64_MAX))
        return plex_err_set(err, PLEX_INVALID,
                            "seq is %llu, sequences start at 1",
                            (unsigned long long)entry->seq);
    if (entry->state.len > JOURNAL_STATE_MAX)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "state is %zu bytes, at most %d are allowed",
                            entry->state.len, JOURNAL_STATE_MAX);
    if (entry->n_settled > JOURNAL_ENTRIES_MAX)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "%zu pendings are settled, at most %d are allowed",
                            entry->n_settled, JOURNAL_ENTRIES_MAX);
    for (size_t i = 0; i < entry->n_settled; i++)
        if (check_id("settled id", entry->settled[i], 1, err) != PLEX_OK)
            return err->status;
    return entry->kind == JOURNAL_TURN ? check_turn(entry, err) : PLEX_OK;
}

size_t
journal_entry_bytes(const struct journal_entry *entry)
{
    size_t bytes = sizeof *entry + entry->state.len + entry->reply.len +
                   entry->message_id.len + entry->record.len;

    for (size_t i = 0; i < entry->n_pending; i++)
        bytes += sizeof *entry->pending + entry->pending[i].id.len +
                 entry->pending[i].message.len;
    for (size_t i = 0; i < entry->n_settled; i++)
        bytes += sizeof *entry->settled + entry->settled[i].len;
    return bytes;
}
