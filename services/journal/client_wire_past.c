#include "services/journal/client_wire.h"

#include "common/wire.h"

#include "plexspaces/journal/v1/journal.pb-c.h"

#define PB(name) Plexspaces__Journal__V1__##name
#define TYPE(name) &plexspaces__journal__v1__##name##__descriptor

static void
actor_out(const struct plex_actor_id *id, PB(ActorId) * out)
{
    plexspaces__journal__v1__actor_id__init(out);
    out->tenant = (char *)(uintptr_t)id->tenant;
    out->namespace_ = (char *)(uintptr_t)id->ns;
    out->type = (char *)(uintptr_t)id->type;
    out->key = (char *)(uintptr_t)id->key;
}

/* -- requests -------------------------------------------------------------- */

enum plex_status
journal_pack_history(const struct journal_history *want, struct plex_buf *out,
                     struct plex_err *err)
{
    PB(HistoryRequest)
    request = PLEXSPACES__JOURNAL__V1__HISTORY_REQUEST__INIT;
    PB(ActorId) actor;

    actor_out(&want->actor, &actor);
    request.actor = &actor;
    request.first_seq = want->first_seq;
    request.last_seq = want->last_seq;
    request.from_ms = want->from_ms;
    request.to_ms = want->to_ms;
    request.limit = want->limit;
    request.with_state = want->with_state;
    return plex_wire_pack(&request.base, out, err);
}

enum plex_status
journal_pack_at(const struct journal_at *want, struct plex_buf *out,
                struct plex_err *err)
{
    PB(AtRequest) request = PLEXSPACES__JOURNAL__V1__AT_REQUEST__INIT;
    PB(ActorId) actor;

    actor_out(&want->actor, &actor);
    request.actor = &actor;
    request.seq = want->seq;
    request.at_ms = want->at_ms;
    return plex_wire_pack(&request.base, out, err);
}

enum plex_status
journal_pack_verify(const struct journal_verify *want, struct plex_buf *out,
                    struct plex_err *err)
{
    PB(VerifyRequest) request = PLEXSPACES__JOURNAL__V1__VERIFY_REQUEST__INIT;
    PB(ActorId) actor;

    actor_out(&want->actor, &actor);
    if (want->actor.key != NULL && want->actor.key[0] != '\0')
        request.actor = &actor;
    request.after = plex_wire_bytes(want->after);
    request.limit = want->limit;
    request.tenant = plex_wire_text(want->tenant);
    return plex_wire_pack(&request.base, out, err);
}

static void
turn_in(const PB(PastTurn) * from, struct journal_past_turn *out)
{
    *out = (struct journal_past_turn){
        .seq = from->seq,
        .at_ms = from->at_ms,
        .expires_ms = from->expires_ms,
        .request_hash = from->request_hash,
        .message_id = plex_wire_bytes_in(from->message_id),
        .reply = plex_wire_bytes_in(from->reply),
        .record = plex_wire_bytes_in(from->record),
        .has_state = from->has_state != 0,
        .rebuilds = from->rebuilds != 0,
        .schema_version = from->schema_version,
        .state = plex_wire_bytes_in(from->state),
        .chain = plex_wire_bytes_in(from->chain),
    };
}

static void
was_in(const PB(AtReply) * from, struct journal_was *out)
{
    *out = (struct journal_was){
        .seq = from->seq,
        .newest_seq = from->newest_seq,
        .has_state = from->has_state != 0,
        .state = plex_wire_bytes_in(from->state),
        .schema_version = from->schema_version,
        .state_seq = from->state_seq,
    };
}

/* -- replies --------------------------------------------------------------- */

enum plex_status
journal_unpack_past(struct plex_bytes in, struct plex_arena *arena,
                    struct journal_past *out, struct plex_err *err)
{
    ProtobufCMessage *message;
    const PB(HistoryReply) * reply;
    struct journal_past_turn *turns;

    if (plex_wire_unpack(TYPE(history_reply), in, arena, &message, err) !=
        PLEX_OK)
        return err->status;
    reply = (const void *)message;
    turns = plex_arena_alloc(arena, reply->n_turns * sizeof *turns + 1);
    if (turns == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < reply->n_turns; i++)
        turn_in(reply->turns[i], &turns[i]);
    *out = (struct journal_past){turns, reply->n_turns, reply->next_seq,
                                 reply->oldest_seq, reply->newest_seq};
    return PLEX_OK;
}

enum plex_status
journal_unpack_was(struct plex_bytes in, struct plex_arena *arena,
                   struct journal_was *out, struct plex_err *err)
{
    ProtobufCMessage *message;
    const PB(AtReply) * reply;

    if (plex_wire_unpack(TYPE(at_reply), in, arena, &message, err) != PLEX_OK)
        return err->status;
    reply = (const void *)message;
    was_in(reply, out);
    return PLEX_OK;
}

enum plex_status
journal_unpack_verified(struct plex_bytes in, struct plex_arena *arena,
                        struct journal_verified *out, struct plex_err *err)
{
    ProtobufCMessage *message;
    const PB(VerifyReply) * reply;
    struct journal_broken *broken;

    if (plex_wire_unpack(TYPE(verify_reply), in, arena, &message, err) !=
        PLEX_OK)
        return err->status;
    reply = (const void *)message;
    broken = plex_arena_alloc(arena, reply->n_broken * sizeof *broken + 1);
    if (broken == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < reply->n_broken; i++) {
        const PB(Broken) *from = reply->broken[i];

        if (from->actor == NULL)
            return plex_err_set(err, PLEX_INVALID,
                                "broken[%zu]: actor is missing", i);
        broken[i] = (struct journal_broken){
            {from->actor->tenant, from->actor->namespace_, from->actor->type,
             from->actor->key},
            from->seq,
            from->text};
    }
    *out = (struct journal_verified){.turns = reply->turns,
                                     .bytes = reply->bytes,
                                     .actors = reply->actors,
                                     .unchained = reply->unchained,
                                     .broken = broken,
                                     .n_broken = reply->n_broken,
                                     .next = plex_wire_bytes_in(reply->next)};
    return PLEX_OK;
}

/* -- truncating ------------------------------------------------------------ */

enum plex_status
journal_pack_truncate(const struct journal_truncate *want, struct plex_buf *out,
                      struct plex_err *err)
{
    PB(TruncateRequest)
    request = PLEXSPACES__JOURNAL__V1__TRUNCATE_REQUEST__INIT;
    PB(ActorId) actor;

    actor_out(&want->actor, &actor);
    request.actor = &actor;
    request.seq = want->seq;
    return plex_wire_pack(&request.base, out, err);
}

enum plex_status
journal_unpack_truncated(struct plex_bytes in, struct plex_arena *arena,
                         struct journal_truncated *out, struct plex_err *err)
{
    ProtobufCMessage *message;
    const PB(TruncateReply) * reply;

    if (plex_wire_unpack(TYPE(truncate_reply), in, arena, &message, err) !=
        PLEX_OK)
        return err->status;
    reply = (const void *)message;
    *out = (struct journal_truncated){reply->oldest_seq, reply->newest_seq};
    return PLEX_OK;
}

/* -- shredding ------------------------------------------------------------- */

enum plex_status
journal_pack_shred(const char *tenant, struct plex_buf *out,
                   struct plex_err *err)
{
    PB(ShredRequest) request = PLEXSPACES__JOURNAL__V1__SHRED_REQUEST__INIT;

    request.tenant = (char *)(uintptr_t)tenant;
    return plex_wire_pack(&request.base, out, err);
}

enum plex_status
journal_unpack_shredded(struct plex_bytes in, struct plex_arena *arena,
                        uint64_t *keys, struct plex_err *err)
{
    ProtobufCMessage *message;

    if (plex_wire_unpack(TYPE(shred_reply), in, arena, &message, err) !=
        PLEX_OK)
        return err->status;
    *keys = ((const PB(ShredReply) *)(const void *)message)->keys;
    return PLEX_OK;
}

/* -- backups --------------------------------------------------------------- */

enum plex_status
journal_pack_backup(const char *name, struct plex_buf *out,
                    struct plex_err *err)
{
    PB(BackupRequest) request = PLEXSPACES__JOURNAL__V1__BACKUP_REQUEST__INIT;

    request.name = (char *)(uintptr_t)(name ? name : "");
    return plex_wire_pack(&request.base, out, err);
}

enum plex_status
journal_unpack_backups(struct plex_bytes in, struct plex_arena *arena,
                       const struct journal_backup **out, size_t *n,
                       struct plex_err *err)
{
    ProtobufCMessage *message;
    const PB(BackupReply) * reply;
    struct journal_backup *backups;

    if (plex_wire_unpack(TYPE(backup_reply), in, arena, &message, err) !=
        PLEX_OK)
        return err->status;
    reply = (const void *)message;
    backups = plex_arena_alloc(arena, reply->n_backups * sizeof *backups + 1);
    if (backups == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < reply->n_backups; i++)
        backups[i] = (struct journal_backup){
            reply->backups[i]->name, reply->backups[i]->backend,
            reply->backups[i]->schema, reply->backups[i]->at_ms,
            reply->backups[i]->bytes};
    *out = backups;
    *n = reply->n_backups;
    return PLEX_OK;
}

/* -- exported journals ------------------------------------------------------
 */

enum plex_status
journal_pack_past_turn(const struct journal_past_turn *turn,
                       struct plex_buf *out, struct plex_err *err)
{
    PB(PastTurn) pb = PLEXSPACES__JOURNAL__V1__PAST_TURN__INIT;

    pb.seq = turn->seq;
    pb.at_ms = turn->at_ms;
    pb.expires_ms = turn->expires_ms;
    pb.request_hash = turn->request_hash;
    pb.message_id = plex_wire_bytes(turn->message_id);
    pb.reply = plex_wire_bytes(turn->reply);
    pb.record = plex_wire_bytes(turn->record);
    pb.has_state = turn->has_state;
    pb.rebuilds = turn->rebuilds;
    pb.schema_version = turn->schema_version;
    pb.state = plex_wire_bytes(turn->state);
    pb.chain = plex_wire_bytes(turn->chain);
    return plex_wire_pack(&pb.base, out, err);
}

enum plex_status
journal_unpack_past_turn(struct plex_bytes in, struct plex_arena *arena,
                         struct journal_past_turn *out, struct plex_err *err)
{
    ProtobufCMessage *message;

    if (plex_wire_unpack(TYPE(past_turn), in, arena, &message, err) != PLEX_OK)
        return err->status;
    turn_in((const void *)message, out);
    return PLEX_OK;
}

enum plex_status
journal_pack_export_head(const struct journal_export_head *head,
                         struct plex_buf *out, struct plex_err *err)
{
    PB(ExportHead) pb = PLEXSPACES__JOURNAL__V1__EXPORT_HEAD__INIT;
    PB(ActorId) actor = PLEXSPACES__JOURNAL__V1__ACTOR_ID__INIT;
    PB(AtReply) base = PLEXSPACES__JOURNAL__V1__AT_REPLY__INIT;

    actor.tenant = (char *)(uintptr_t)head->actor.tenant;
    actor.namespace_ = (char *)(uintptr_t)head->actor.ns;
    actor.type = (char *)(uintptr_t)head->actor.type;
    actor.key = (char *)(uintptr_t)head->actor.key;
    pb.actor = &actor;
    pb.at_ms = head->at_ms;
    pb.oldest_seq = head->oldest_seq;
    pb.newest_seq = head->newest_seq;
    if (head->has_base) {
        base.seq = head->base.seq;
        base.newest_seq = head->base.newest_seq;
        base.has_state = head->base.has_state;
        base.state = plex_wire_bytes(head->base.state);
        base.schema_version = head->base.schema_version;
        base.state_seq = head->base.state_seq;
        pb.before = &base;
    }
    return plex_wire_pack(&pb.base, out, err);
}

enum plex_status
journal_unpack_export_head(struct plex_bytes in, struct plex_arena *arena,
                           struct journal_export_head *out,
                           struct plex_err *err)
{
    ProtobufCMessage *message;
    const PB(ExportHead) * head;

    if (plex_wire_unpack(TYPE(export_head), in, arena, &message, err) !=
        PLEX_OK)
        return err->status;
    head = (const void *)message;
    *out = (struct journal_export_head){.at_ms = head->at_ms,
                                        .oldest_seq = head->oldest_seq,
                                        .newest_seq = head->newest_seq,
                                        .has_base = head->before != NULL};
    if (head->before != NULL)
        was_in(head->before, &out->base);
    if (head->actor == NULL)
        return plex_err_set(err, PLEX_INVALID, "actor is missing");
    out->actor =
        (struct plex_actor_id){head->actor->tenant, head->actor->namespace_,
                               head->actor->type, head->actor->key};
    return plex_name_actor(&out->actor, err);
}
