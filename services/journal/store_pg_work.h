#ifndef SERVICES_JOURNAL_STORE_PG_WORK_H
#define SERVICES_JOURNAL_STORE_PG_WORK_H

#include "services/journal/store_pg.h"

#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#define HASH_FUNCTION(key, len, hash) (hash) = (unsigned)XXH3_64bits(key, len)
#include <uthash.h>

/*
 * One commit, as its parts see it: read or assume the heads, decide the
 * results here, send what is to be written.
 */

/* What memory knows of an actor. The id never changes. The rest is what was
 * last seen, and right if last_seq turns out to be right. */
struct pg_head {
    UT_hash_handle hh; /* by name, in the order of insertion */
    uint64_t id, last_seq, state_seq;
    uint8_t chain[JOURNAL_CHAIN_BYTES]; /* of last_seq */
    uint64_t verified; /* the count of removals at which it was right */
    size_t name_len;
    char name[];
};

/* An actor of the commit. */
struct head {
    const char *name;
    size_t name_len;
    uint64_t id, last_seq, state_seq;
    uint8_t chain[JOURNAL_CHAIN_BYTES];
    uint64_t first_seq; /* last_seq before this commit */
    uint64_t verified;  /* see struct pg_head; 0: not */
    bool failed;        /* an entry of it */
    bool moved;         /* last_seq changed */
};

/* What the commit knows of one id of one actor: a recorded message, or the
 * last thing that happened to a pending. */
struct mark {
    UT_hash_handle hh; /* by actor and id */
    size_t head;
    struct plex_bytes id;
    /* message */
    bool recorded; /* before this commit */
    uint64_t request_hash, expires_ms;
    struct plex_bytes reply; /* of a recorded one: as it is stored */
    uint64_t flags, reply_seq;
    uint64_t seq; /* turn of this commit that took the id, 0: none */
    /* pending */
    const struct journal_pending *pending; /* NULL: settled */
    const char *tenant;
    uint32_t shard;
    size_t key_len;
    uint8_t key[];
};

struct work {
    struct pg_store *store;
    struct journal_commit *commit;
    struct plex_arena arena;
    struct head *heads; /* by name */
    size_t n_heads;
    size_t *head_of; /* per entry */
    size_t *order;   /* entries by name: all journals take locks in it */
    bool *ok;        /* per entry */
    struct mark *messages, *pendings;
    PGresult *recorded;           /* replies borrow from it */
    struct journal_epochs before; /* epochs, when they were changed */
    bool raised;
};

/* -- store_pg_decide.c */
void journal_work_init(struct work *w, struct pg_store *store,
                       struct journal_commit *commit);
void journal_work_fini(struct work *w);
void *journal_work_alloc(struct work *w, size_t size);
bool journal_work_has_id(const struct journal_entry *entry);
struct mark *journal_work_mark(struct work *w, struct mark **set, size_t head,
                               struct plex_bytes id, bool make);
/* Fill the results. */
void journal_work_decide(struct work *w);

/* -- store_pg_write.c: queue what was decided in the pipeline. */
/* An array of their names, those with an id left out if `unknown`. */
size_t journal_work_param_names(struct work *w, bool unknown);
/* The parameter of PG_APPEND and PG_TURNS_ADD. Returns their number. */
size_t journal_work_param_turns(struct work *w);
/* Everything but turns and epochs. */
PLEX_MUST_USE bool journal_work_send_others(struct work *w);
PLEX_MUST_USE bool journal_work_send_epochs(struct work *w);
/* Columns of PG_ACTORS_GET. */
void journal_work_head_read(struct head *head, const PGresult *result, int row);

/* -- store_pg_fast.c: memory of heads, and the commit in one trip. */
/* PLEX_CONFLICT: nothing was written, go the careful way. */
PLEX_MUST_USE enum plex_status journal_pg_commit_fast(
    struct pg_store *store, struct journal_commit *commit,
    struct plex_err *err);
/* What a read has found out; spares the next commit from asking. */
void journal_pg_head_learn(struct pg_store *store, const struct head *head);
/* Remember the actors of a commit that was made. */
void journal_pg_heads_keep(struct work *w);

#endif
