/* In place of the journal's client for the past: there is none. */
#include "services/journal/client.h"

void
journal_client_history(struct journal_client *client,
                       const struct plex_context *context,
                       const struct journal_history *want,
                       journal_history_fn done, void *arg)
{
    (void)client, (void)context, (void)want;
    done(arg, PLEX_UNSUPPORTED, "a fake keeps no past", NULL);
}

void
journal_client_at(struct journal_client *client,
                  const struct plex_context *context,
                  const struct journal_at *want, journal_at_fn done, void *arg)
{
    (void)client, (void)context, (void)want;
    done(arg, PLEX_UNSUPPORTED, "a fake keeps no past", NULL);
}

void
journal_client_verify(struct journal_client *client,
                      const struct plex_context *context,
                      const struct journal_verify *want, journal_verify_fn done,
                      void *arg)
{
    (void)client, (void)context, (void)want;
    done(arg, PLEX_UNSUPPORTED, "a fake keeps no past", NULL);
}

void
journal_client_truncate(struct journal_client *client,
                        const struct plex_context *context,
                        const struct journal_truncate *want,
                        journal_truncate_fn done, void *arg)
{
    (void)client, (void)context, (void)want;
    done(arg, PLEX_UNSUPPORTED, "a fake keeps no past", NULL);
}

void
journal_client_shred(struct journal_client *client,
                     const struct plex_context *context, const char *tenant,
                     journal_shred_fn done, void *arg)
{
    (void)client, (void)context, (void)tenant;
    done(arg, PLEX_UNSUPPORTED, "a fake seals nothing", 0);
}

void
journal_client_backup(struct journal_client *client,
                      const struct plex_context *context,
                      enum journal_backup_op op, const char *name,
                      journal_backup_fn done, void *arg)
{
    (void)client, (void)context, (void)op, (void)name;
    done(arg, PLEX_UNSUPPORTED, "a fake keeps no backups", NULL, 0);
}

void
journal_client_pending(struct journal_client *client,
                       const struct plex_context *context, uint32_t first,
                       uint32_t last, struct plex_bytes after, uint32_t limit,
                       journal_pending_fn done, void *arg)
{
    (void)client, (void)context, (void)first, (void)last, (void)after;
    (void)limit;
    done(arg, PLEX_UNSUPPORTED, "a fake keeps no runs", NULL, 0,
         (struct plex_bytes){0});
}
