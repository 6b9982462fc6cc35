#ifndef RUNTIME_EXT_H
#define RUNTIME_EXT_H

#include "runtime/sched.h"

/* What most processes never need: made when first used. */

/* A relation of a process with another, or with itself. */
enum rt_rel_kind {
    RT_REL_LINK = 1,    /* key: ref */
    RT_REL_UNLINKING,   /* key: ref; the answer to UNLINK is awaited */
    RT_REL_WATCH,       /* key: number; ref: whom */
    RT_REL_WATCHED,     /* key: number and ref: by whom */
    RT_REL_CALL,        /* key: number; ref: whom; aux: tag; timer */
    RT_REL_START,       /* key: number; ref: the child; aux: tag */
    RT_REL_OWED,        /* key: number and ref: an answer to whom */
    RT_REL_GROUP,       /* key: number (of the group); aux: how often */
    RT_REL_GROUP_WATCH, /* key: number */
    RT_REL_SEEN,        /* key: number (id) and ref: deduplication */
};
struct rt_rel {
    uint32_t kind; /* 0: free */
    uint32_t spare;
    struct plex_ref ref;
    uint64_t number;
    uint64_t aux;
    uint64_t timer;
};
struct rt_rels { /* open addressing */
    struct rt_rel *rows;
    uint32_t mask; /* rows - 1; 0: none */
    uint32_t count;
};
/* Borrowed until the next add or remove. */
struct rt_rel *rt_rel_find(const struct rt_rels *rels, enum rt_rel_kind kind,
                           struct plex_ref ref, uint64_t number);
/* There must be none yet. */
struct rt_rel *rt_rel_add(struct rt_rels *rels, enum rt_rel_kind kind,
                          struct plex_ref ref, uint64_t number);
void rt_rel_remove(struct rt_rels *rels, struct rt_rel *rel);
void rt_rels_fini(struct rt_rels *rels);

struct rt_named_timer {
    struct rt_named_timer *next;
    uint64_t timer;
    void *payload; /* behind the name */
    size_t len;
    char name[];
};
enum { RT_BECOME_MAX = 16 };

struct rt_ext {
    struct rt_rels rels;
    _Atomic uint32_t links, monitors; /* for lookers */
    char *reason;                     /* of a dying one */
    /* Waiting. */
    struct rt_fiber *fiber;
    struct rt_turn *turn; /* on that stack */
    uint64_t awaited;     /* call; 0: none */
    struct plex_ref awaited_of;
    bool start_link; /* the awaited answer is to a start: link */
    struct rt_msg *answer;
    uint64_t deadline_ns;
    uint64_t wake_timer;
    uint64_t wake_ns; /* when that one fires */
    uint64_t calls;   /* numbers given out */
    /* Starting. */
    struct plex_from starter; /* waits for init; call 0: nobody */
    /* A name and a supervisor. */
    char *name;
    char *child;
    char *label; /* of the behaviour, where its name has more */
    struct plex_ref supervisor;
    /* The mailbox. */
    struct rt_list *bands;    /* [4], NULL: none */
    struct plex_ref *waiters; /* senders, with their calls */
    uint64_t *waiter_calls;
    uint32_t waiter_count, waiter_max;
    uint32_t dedup, dedup_next;
    struct plex_from *seen; /* [dedup]: sender and id */
    /* The rest. */
    void *state; /* plex_state() */
    size_t state_len;
    void *engine_state;
    struct rt_named_timer *named;
    uint64_t idle_timer, idle_since; /* 0: none; messages handled by then */
    struct rt_around *around;        /* facets; NULL: none */
    const struct plex_behaviour *before[RT_BECOME_MAX];
    uint32_t before_count;
};
struct rt_ext *rt_ext(struct rt_exec *exec, struct rt_proc *proc);
void rt_ext_free(struct rt_exec *exec, struct rt_proc *proc);

#endif
