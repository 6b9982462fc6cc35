#include "services/journal/client_call.h"
#include "services/journal/client_wire.h"
#include "services/journal/methods.h"

/* Calls about the past. */

static void
history_finish(struct journal_call *call, enum plex_status status,
               const char *text, struct plex_bytes payload,
               struct plex_arena *arena)
{
    struct journal_past reply;
    struct plex_err err;

    if (status == PLEX_OK &&
        journal_unpack_past(payload, arena, &reply, &err) != PLEX_OK) {
        status = PLEX_INTERNAL;
        text = err.text;
    }
    call->done.history(call->arg, status, text,
                       status == PLEX_OK ? &reply : NULL);
}

void
journal_client_history(struct journal_client *client,
                       const struct plex_context *context,
                       const struct journal_history *want,
                       journal_history_fn done, void *arg)
{
    struct journal_call *call = journal_call_make(history_finish, arg);

    call->done.history = done;
    call->err.status = journal_pack_history(want, &call->payload, &call->err);
    journal_call_send(client, context, JOURNAL_METHOD_HISTORY, call);
}

static void
at_finish(struct journal_call *call, enum plex_status status, const char *text,
          struct plex_bytes payload, struct plex_arena *arena)
{
    struct journal_was reply;
    struct plex_err err;

    if (status == PLEX_OK &&
        journal_unpack_was(payload, arena, &reply, &err) != PLEX_OK) {
        status = PLEX_INTERNAL;
        text = err.text;
    }
    call->done.at(call->arg, status, text, status == PLEX_OK ? &reply : NULL);
}

void
journal_client_at(struct journal_client *client,
                  const struct plex_context *context,
                  const struct journal_at *want, journal_at_fn done, void *arg)
{
    struct journal_call *call = journal_call_make(at_finish, arg);

    call->done.at = done;
    call->err.status = journal_pack_at(want, &call->payload, &call->err);
    journal_call_send(client, context, JOURNAL_METHOD_AT, call);
}

static void
verify_finish(struct journal_call *call, enum plex_status status,
              const char *text, struct plex_bytes payload,
              struct plex_arena *arena)
{
    struct journal_verified reply;
    struct plex_err err;

    if (status == PLEX_OK &&
        journal_unpack_verified(payload, arena, &reply, &err) != PLEX_OK) {
        status = PLEX_INTERNAL;
        text = err.text;
    }
    call->done.verify(call->arg, status, text,
                      status == PLEX_OK ? &reply : NULL);
}

void
journal_client_verify(struct journal_client *client,
                      const struct plex_context *context,
                      const struct journal_verify *want, journal_verify_fn done,
                      void *arg)
{
    struct journal_call *call = journal_call_make(verify_finish, arg);

    call->done.verify = done;
    call->err.status = journal_pack_verify(want, &call->payload, &call->err);
    journal_call_send(client, context, JOURNAL_METHOD_VERIFY, call);
}

static void
truncate_finish(struct journal_call *call, enum plex_status status,
                const char *text, struct plex_bytes payload,
                struct plex_arena *arena)
{
    struct journal_truncated reply;
    struct plex_err err;

    if (status == PLEX_OK &&
        journal_unpack_truncated(payload, arena, &reply, &err) != PLEX_OK) {
        status = PLEX_INTERNAL;
        text = err.text;
    }
    call->done.truncate(call->arg, status, text,
                        status == PLEX_OK ? &reply : NULL);
}

void
journal_client_truncate(struct journal_client *client,
                        const struct plex_context *context,
                        const struct journal_truncate *want,
                        journal_truncate_fn done, void *arg)
{
    struct journal_call *call = journal_call_make(truncate_finish, arg);

    call->done.truncate = done;
    call->err.status = journal_pack_truncate(want, &call->payload, &call->err);
    journal_call_send(client, context, JOURNAL_METHOD_TRUNCATE, call);
}

static void
shred_finish(struct journal_call *call, enum plex_status status,
             const char *text, struct plex_bytes payload,
             struct plex_arena *arena)
{
    uint64_t keys = 0;
    struct plex_err err;

    if (status == PLEX_OK &&
        journal_unpack_shredded(payload, arena, &keys, &err) != PLEX_OK) {
        status = PLEX_UNKNOWN;
        text = err.text;
    }
    call->done.shred(call->arg, status, text, keys);
}

void
journal_client_shred(struct journal_client *client,
                     const struct plex_context *context, const char *tenant,
                     journal_shred_fn done, void *arg)
{
    struct journal_call *call = journal_call_make(shred_finish, arg);

    call->changes = true;
    call->done.shred = done;
    call->err.status = journal_pack_shred(tenant, &call->payload, &call->err);
    journal_call_send(client, context, JOURNAL_METHOD_SHRED, call);
}

/* -- due ------------------------------------------------------------------- */

static void
due_finish(struct journal_call *call, enum plex_status status, const char *text,
           struct plex_bytes payload, struct plex_arena *arena)
{
    struct journal_replied_page page = {0};
    struct plex_err err;

    if (status == PLEX_OK &&
        journal_unpack_pending(payload, arena, &page, &err) != PLEX_OK) {
        status = PLEX_INTERNAL;
        text = err.text;
        page = (struct journal_replied_page){0};
    }
    call->done.due(call->arg, status, text, page.items, page.n, page.next,
                   page.next_due_ms);
}

void
journal_client_due(struct journal_client *client,
                   const struct plex_context *context,
                   const struct journal_due *want, journal_due_fn done,
                   void *arg)
{
    struct journal_call *call = journal_call_make(due_finish, arg);

    call->done.due = done;
    call->err.status = journal_pack_due(want, &call->payload, &call->err);
    journal_call_send(client, context, JOURNAL_METHOD_PENDING, call);
}

/* -- backups --------------------------------------------------------------- */

static void
backup_finish(struct journal_call *call, enum plex_status status,
              const char *text, struct plex_bytes payload,
              struct plex_arena *arena)
{
    const struct journal_backup *backups = NULL;
    struct plex_err err;
    size_t n = 0;

    if (status == PLEX_OK &&
        journal_unpack_backups(payload, arena, &backups, &n, &err) != PLEX_OK) {
        status = PLEX_INTERNAL;
        text = err.text;
    }
    call->done.backup(call->arg, status, text, backups, n);
}

void
journal_client_backup(struct journal_client *client,
                      const struct plex_context *context,
                      enum journal_backup_op op, const char *name,
                      journal_backup_fn done, void *arg)
{
    static const uint32_t methods[] = {
        [JOURNAL_BACKUP_CREATE] = JOURNAL_METHOD_BACKUP_CREATE,
        [JOURNAL_BACKUP_LIST] = JOURNAL_METHOD_BACKUP_LIST,
        [JOURNAL_BACKUP_RESTORE] = JOURNAL_METHOD_BACKUP_RESTORE};
    struct journal_call *call = journal_call_make(backup_finish, arg);

    call->changes = op != JOURNAL_BACKUP_LIST;
    call->done.backup = done;
    call->err.status = journal_pack_backup(name, &call->payload, &call->err);
    journal_call_send(client, context, methods[op], call);
}
