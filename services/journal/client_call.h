#ifndef SERVICES_JOURNAL_CLIENT_CALL_H
#define SERVICES_JOURNAL_CLIENT_CALL_H

#include "common/arena.h"
#include "services/journal/client.h"

/* What the calls of client.h have in common. Private to client*.c. */
enum { JOURNAL_CALL_BYTES_MAX = 16 << 20 };

struct journal_call;
typedef void (*journal_finish_fn)(struct journal_call *call,
                                  enum plex_status status, const char *text,
                                  struct plex_bytes payload,
                                  struct plex_arena *arena);
struct journal_call {
    struct plex_err err; /* why nothing was sent; PLEX_OK when it was */
    size_t n;            /* entries of an append */
    bool changes;        /* an unknown outcome matters */
    journal_finish_fn finish;
    struct plex_buf payload; /* kept as long as the call can be moved */
    union {
        journal_append_fn append;
        journal_load_fn load;
        journal_fence_fn fence;
        journal_lookup_fn lookup;
        journal_pending_fn pending;
        journal_due_fn due;
        journal_backup_fn backup;
        journal_history_fn history;
        journal_at_fn at;
        journal_verify_fn verify;
        journal_shred_fn shred;
        journal_truncate_fn truncate;
    } done;
    void *arg;

    struct journal_calls *calls; /* NULL: it cannot be moved, nor has what
                                    follows */
    TAILQ_ENTRY(journal_call) under_way;
    struct plex_link *link;
    uint64_t id, deadline;
    uint32_t method;
    char *url, *next; /* next: it is being moved there */
};

/* The request is packed into its payload; what was not packed, which is said in
 * its err, fails as everything else: later, on the loop. */
struct journal_call *journal_call_make(journal_finish_fn finish, void *arg);
void journal_call_send(struct journal_client *client,
                       const struct plex_context *context, uint32_t method,
                       struct journal_call *call);

#endif
