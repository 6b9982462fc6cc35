#include "services/journal/wire.h"

#include "common/wire.h"

#include "plexspaces/journal/v1/journal.pb-c.h"

#define PB(name) Plexspaces__Journal__V1__##name

/* Replies about the past. */

static void
turn_out(const struct journal_past_turn *from, PB(PastTurn) * out)
{
    plexspaces__journal__v1__past_turn__init(out);
    out->seq = from->seq;
    out->at_ms = from->at_ms;
    out->expires_ms = from->expires_ms;
    out->request_hash = from->request_hash;
    out->message_id = plex_wire_bytes(from->message_id);
    out->reply = plex_wire_bytes(from->reply);
    out->record = plex_wire_bytes(from->record);
    out->has_state = from->has_state;
    out->rebuilds = from->rebuilds;
    out->schema_version = from->schema_version;
    out->state = plex_wire_bytes(from->state);
    out->chain = plex_wire_bytes(from->chain);
}

enum plex_status
journal_wire_past(const struct journal_past *past, struct plex_arena *arena,
                  struct plex_buf *out, struct plex_err *err)
{
    PB(HistoryReply) reply = PLEXSPACES__JOURNAL__V1__HISTORY_REPLY__INIT;
    PB(PastTurn) *items = plex_arena_alloc(arena, past->n * sizeof *items + 1);

    reply.turns = plex_arena_alloc(arena, past->n * sizeof *reply.turns + 1);
    if (items == NULL || reply.turns == NULL)
        return plex_wire_no_room(err);
    reply.n_turns = past->n;
    for (size_t i = 0; i < past->n; i++) {
        turn_out(&past->turns[i], &items[i]);
        reply.turns[i] = &items[i];
    }
    reply.next_seq = past->next_seq;
    reply.oldest_seq = past->oldest_seq;
    reply.newest_seq = past->newest_seq;
    return plex_wire_pack(&reply.base, out, err);
}

enum plex_status
journal_wire_was(const struct journal_was *was, struct plex_buf *out,
                 struct plex_err *err)
{
    PB(AtReply) reply = PLEXSPACES__JOURNAL__V1__AT_REPLY__INIT;

    reply.seq = was->seq;
    reply.newest_seq = was->newest_seq;
    reply.has_state = was->has_state;
    reply.state = plex_wire_bytes(was->state);
    reply.schema_version = was->schema_version;
    reply.state_seq = was->state_seq;
    return plex_wire_pack(&reply.base, out, err);
}

enum plex_status
journal_wire_verified(const struct journal_verified *verified,
                      struct plex_arena *arena, struct plex_buf *out,
                      struct plex_err *err)
{
    PB(VerifyReply) reply = PLEXSPACES__JOURNAL__V1__VERIFY_REPLY__INIT;
    const size_t n = verified->n_broken;
    struct item {
        PB(Broken) broken;
        PB(ActorId) actor;
    } *items = plex_arena_alloc(arena, n * sizeof *items + 1);

    reply.broken = plex_arena_alloc(arena, n * sizeof *reply.broken + 1);
    if (items == NULL || reply.broken == NULL)
        return plex_wire_no_room(err);
    reply.n_broken = n;
    for (size_t i = 0; i < n; i++) {
        const struct journal_broken *from = &verified->broken[i];
        struct item *item = &items[i];

        plexspaces__journal__v1__broken__init(&item->broken);
        plexspaces__journal__v1__actor_id__init(&item->actor);
        item->actor.tenant = (char *)(uintptr_t)from->actor.tenant;
        item->actor.namespace_ = (char *)(uintptr_t)from->actor.ns;
        item->actor.type = (char *)(uintptr_t)from->actor.type;
        item->actor.key = (char *)(uintptr_t)from->actor.key;
        item->broken.actor = &item->actor;
        item->broken.seq = from->seq;
        item->broken.text = (char *)(uintptr_t)from->text;
        reply.broken[i] = &item->broken;
    }
    reply.turns = verified->turns;
    reply.actors = verified->actors;
    reply.unchained = verified->unchained;
    reply.bytes = verified->bytes;
    reply.next = plex_wire_bytes(verified->next);
    return plex_wire_pack(&reply.base, out, err);
}

enum plex_status
journal_wire_truncated(const struct journal_truncated *truncated,
                       struct plex_buf *out, struct plex_err *err)
{
    PB(TruncateReply) reply = PLEXSPACES__JOURNAL__V1__TRUNCATE_REPLY__INIT;

    reply.oldest_seq = truncated->oldest_seq;
    reply.newest_seq = truncated->newest_seq;
    return plex_wire_pack(&reply.base, out, err);
}

enum plex_status
journal_wire_shredded(uint64_t keys, struct plex_buf *out, struct plex_err *err)
{
    PB(ShredReply) reply = PLEXSPACES__JOURNAL__V1__SHRED_REPLY__INIT;

    reply.keys = keys;
    return plex_wire_pack(&reply.base, out, err);
}

enum plex_status
journal_wire_backup_in(struct plex_bytes in, struct plex_arena *arena,
                       const char **name, struct plex_err *err)
{
    ProtobufCMessage *message;

    if (plex_wire_unpack(&plexspaces__journal__v1__backup_request__descriptor,
                         in, arena, &message, err) != PLEX_OK)
        return err->status;
    *name = ((const PB(BackupRequest) *)(const void *)message)->name;
    return PLEX_OK;
}

enum plex_status
journal_wire_backups(const struct journal_backup *backups, size_t n,
                     struct plex_arena *arena, struct plex_buf *out,
                     struct plex_err *err)
{
    PB(BackupReply) reply = PLEXSPACES__JOURNAL__V1__BACKUP_REPLY__INIT;
    PB(Backup) *items = plex_arena_alloc(arena, n * sizeof *items + 1);

    reply.backups = plex_arena_alloc(arena, n * sizeof *reply.backups + 1);
    if (items == NULL || reply.backups == NULL)
        return plex_wire_no_room(err);
    reply.n_backups = n;
    for (size_t i = 0; i < n; i++) {
        plexspaces__journal__v1__backup__init(&items[i]);
        items[i].name = (char *)(uintptr_t)backups[i].name;
        items[i].backend = (char *)(uintptr_t)backups[i].backend;
        items[i].schema = backups[i].schema;
        items[i].at_ms = backups[i].at_ms;
        items[i].bytes = backups[i].bytes;
        reply.backups[i] = &items[i];
    }
    return plex_wire_pack(&reply.base, out, err);
}
