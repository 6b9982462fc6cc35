#ifndef SERVICES_JOURNAL_CLIENT_H
#define SERVICES_JOURNAL_CLIENT_H

#include "common/link.h"
#include "services/journal/types.h" // IWYU pragma: export

#include <sys/queue.h>

/* What other services may include: the entries (types.h), and the calls. */

/* Each done() runs once, on the loop. With a status but PLEX_OK the pointer is
 * NULL; PLEX_UNKNOWN means that it may or may not have been done. Appends are
 * retried by the link with the same content until the context's deadline:
 * an entry that an earlier attempt wrote comes back as EXISTS with its own
 * reply, or CONFLICT where it has no message id. */
struct journal_calls;
struct journal_client {
    struct plex_link *link;
    const char *url; /* of the journal's inbox; may change between calls */
    struct journal_calls *calls; /* which ones can be moved; NULL: none */
};

/* Calls under way that may move from one journal to another that shares its
 * store: where it is written does not matter, so this is the retry of the link
 * by another way. Their context carries nothing but a deadline. */
struct journal_calls {
    TAILQ_HEAD(, journal_call) under_way;
};
void journal_calls_init(struct journal_calls *calls);
/* Each call is sent once more, in order, to what `to` gives for the URL that it
 * went to; NULL: it stays. */
void journal_calls_move(struct journal_calls *calls,
                        const char *(*to)(void *arg, const char *url),
                        void *arg);

typedef void (*journal_append_fn)(void *arg, enum plex_status status,
                                  const char *text,
                                  const struct journal_result *results,
                                  size_t n);
void journal_client_append(struct journal_client *client,
                           const struct plex_context *context,
                           const struct journal_entry *entries, size_t n,
                           journal_append_fn done, void *arg);

typedef void (*journal_load_fn)(void *arg, enum plex_status status,
                                const char *text,
                                const struct journal_loaded *loaded);
void journal_client_load(struct journal_client *client,
                         const struct plex_context *context,
                         const struct journal_load *load, journal_load_fn done,
                         void *arg);

/* newest_epoch is set when status is PLEX_FENCED. */
typedef void (*journal_fence_fn)(void *arg, enum plex_status status,
                                 const char *text, uint64_t newest_epoch);
void journal_client_fence(struct journal_client *client,
                          const struct plex_context *context,
                          const struct journal_fence *ranges, size_t n,
                          journal_fence_fn done, void *arg);

typedef void (*journal_lookup_fn)(void *arg, enum plex_status status,
                                  const char *text,
                                  const struct journal_lookup *found);
void journal_client_lookup(struct journal_client *client,
                           const struct plex_context *context,
                           const char *tenant, struct plex_bytes message_id,
                           journal_lookup_fn done, void *arg);

/* One result for each that is asked for, at most JOURNAL_ASKED_MAX. */
void journal_client_answers(struct journal_client *client,
                            const struct plex_context *context,
                            const struct journal_asked *asked, size_t n,
                            journal_append_fn done, void *arg);

/* An actor that was never seen has an empty history. */
typedef void (*journal_history_fn)(void *arg, enum plex_status status,
                                   const char *text,
                                   const struct journal_past *past);
void journal_client_history(struct journal_client *client,
                            const struct plex_context *context,
                            const struct journal_history *want,
                            journal_history_fn done, void *arg);

/* PLEX_NOT_FOUND: no such actor or turn, or its state is no longer kept. */
typedef void (*journal_at_fn)(void *arg, enum plex_status status,
                              const char *text, const struct journal_was *was);
void journal_client_at(struct journal_client *client,
                       const struct plex_context *context,
                       const struct journal_at *want, journal_at_fn done,
                       void *arg);

typedef void (*journal_verify_fn)(void *arg, enum plex_status status,
                                  const char *text,
                                  const struct journal_verified *verified);
void journal_client_verify(struct journal_client *client,
                           const struct plex_context *context,
                           const struct journal_verify *want,
                           journal_verify_fn done, void *arg);

/* PLEX_INVALID for the newest turn, PLEX_NOT_FOUND. */
typedef void (*journal_truncate_fn)(void *arg, enum plex_status status,
                                    const char *text,
                                    const struct journal_truncated *truncated);
void journal_client_truncate(struct journal_client *client,
                             const struct plex_context *context,
                             const struct journal_truncate *want,
                             journal_truncate_fn done, void *arg);

/* Destroy the keys of a tenant: nothing of it that is stored can be read ever
 * again. (A backup has keys of its own time.) PLEX_UNSUPPORTED where
 * nothing is sealed. */
typedef void (*journal_shred_fn)(void *arg, enum plex_status status,
                                 const char *text, uint64_t keys);
void journal_client_shred(struct journal_client *client,
                          const struct plex_context *context,
                          const char *tenant, journal_shred_fn done, void *arg);

/* Is it time for a snapshot of an actor whose records rebuild its state? 0 in
 * a rule: not for that reason. What has come since the last one is given. */
struct journal_snapshot_rule {
    uint64_t turns, bytes, ms;
};
static inline bool
journal_snapshot_due(const struct journal_snapshot_rule *rule, uint64_t turns,
                     uint64_t bytes, uint64_t ms)
{
    return turns > 0 && ((rule->turns > 0 && turns >= rule->turns) ||
                         (rule->bytes > 0 && bytes >= rule->bytes) ||
                         (rule->ms > 0 && ms >= rule->ms));
}

/* `next` is empty at the end; pass it as `after` otherwise. */
typedef void (*journal_pending_fn)(void *arg, enum plex_status status,
                                   const char *text,
                                   const struct journal_pending_item *items,
                                   size_t n, struct plex_bytes next);
void journal_client_pending(struct journal_client *client,
                            const struct plex_context *context, uint32_t first,
                            uint32_t last, struct plex_bytes after,
                            uint32_t limit, journal_pending_fn done, void *arg);

/* Only what is due before until_ms, by (shard, due_ms): a worker need not hold
 * more than the next few minutes of its shards. With the last page comes when
 * the next one after it is due, 0: there is none. */
typedef void (*journal_due_fn)(void *arg, enum plex_status status,
                               const char *text,
                               const struct journal_pending_item *items,
                               size_t n, struct plex_bytes next,
                               uint64_t next_due_ms);
void journal_client_due(struct journal_client *client,
                        const struct plex_context *context,
                        const struct journal_due *want, journal_due_fn done,
                        void *arg);

/* CREATE writes a backup of the running journal, checks it and answers with
 * it; LIST answers with all there are; RESTORE fills an empty journal (else
 * PLEX_CONFLICT) and opens it anew. A large one takes longer than most
 * deadlines: it goes on, LIST tells. `name` is for CREATE and RESTORE. */
enum journal_backup_op {
    JOURNAL_BACKUP_CREATE = 1,
    JOURNAL_BACKUP_LIST,
    JOURNAL_BACKUP_RESTORE,
};
typedef void (*journal_backup_fn)(void *arg, enum plex_status status,
                                  const char *text,
                                  const struct journal_backup *backups,
                                  size_t n);
void journal_client_backup(struct journal_client *client,
                           const struct plex_context *context,
                           enum journal_backup_op op, const char *name,
                           journal_backup_fn done, void *arg);

#endif
