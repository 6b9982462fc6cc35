#ifndef COMMON_LINK_IMPL_H
#define COMMON_LINK_IMPL_H

#include "common/link.h"
#include "common/link_frame.h"
#include "common/link_transport.h"

/*
 * What the files of a link share: link.c (life, incoming frames), link_peer.c
 * (peers and their outboxes), link_call.c (calls we make), link_serve.c (calls
 * we answer), link_heap.c (deadlines). Private to common/link*.c.
 */
enum {
    LINK_PEERS_MAX = 4096,
    LINK_STATUSES = 32,           /* wire numbers of statuses are below this */
    LINK_CALL_TIMEOUT_MS = 30000, /* of a call without a deadline */
    /* Answers may use more than requests; beyond it they lose their payload,
     * so that their callers at least hear of it. */
    LINK_QUEUE_REPLY_MAX = 2 * PLEX_LINK_QUEUE_MAX,
};

/* -- deadlines ------------------------------------------------------------ */

struct link_deadline {
    uint64_t at;  /* ns */
    size_t index; /* 1 + place in the heap; 0: not in it */
    void (*expired)(struct link_deadline *deadline);
};

struct link_heap {
    struct link_deadline **at;
    size_t count;
    size_t cap;
};

void link_heap_add(struct link_heap *heap, struct link_deadline *deadline);
void link_heap_remove(struct link_heap *heap, struct link_deadline *deadline);

/* -- peers ----------------------------------------------------------------- */

struct link_call;

struct link_peer {
    struct plex_link *link;
    struct link_peer *next; /* in its bucket */
    uint64_t hash;
    char *url;
    size_t url_len;

    uint64_t incarnation; /* as last heard, 0: never */
    bool may_restart;     /* a loss was seen: another incarnation is no news */
    uint64_t conn;        /* its frames come in by this one, 0: unknown */

    struct plex_outbox *outbox; /* NULL while there is nothing to send */
    bool connected;
    bool writable;
    struct plex_frame *frames; /* not yet handed over, oldest first */
    struct plex_frame *last;   /* may be appended to unless `full` */
    bool full;
    uint64_t frame_number; /* of `last` */
    uint64_t handed;       /* number of the last frame handed over */
    size_t queued;         /* bytes in frames */
    size_t hint;           /* how large frames lately were */
    struct link_deadline connect;
    bool dirty; /* in link->dirty */
    struct link_peer *next_dirty;

    struct link_call *calls; /* pending, oldest first */
    struct link_call **calls_tail;
    size_t pending;
    struct plex_call *served; /* not yet answered */
    size_t serving;
};

/* Find or make. NULL with `err` set: PLEX_INVALID (URL), PLEX_LIMIT. */
struct link_peer *link_peer_get(struct plex_link *link, const char *url,
                                size_t len, struct plex_err *err);
/* Have an outbox. Errors: PLEX_INVALID (URL). */
PLEX_MUST_USE enum plex_status link_peer_dial(struct link_peer *peer,
                                              struct plex_err *err);
/* Append to the outbox and see to its flushing. The caller checked limits. */
void link_peer_queue(struct link_peer *peer,
                     const struct plex_envelope *envelope, size_t size,
                     uint64_t *frame, size_t *offset);
/* Take back what was queued in a frame not yet handed over. */
void link_peer_withdraw(struct link_peer *peer, uint64_t frame, size_t offset);
void link_peer_flush(struct link_peer *peer);
/* Begin a new frame before the next envelope. */
void link_peer_cut(struct link_peer *peer);
/* Free what holds nothing any more. */
void link_peers_reap(struct plex_link *link);
void link_peers_free(struct plex_link *link);

/* -- calls we make --------------------------------------------------------- */

struct link_call {
    uint64_t id; /* generation << 24 | slot; 0: free or finished */
    struct plex_link *link;
    struct link_peer *peer; /* NULL once finished */
    struct link_call *next; /* of the peer; or in a list of the link */
    struct link_call **prev;
    struct link_deadline deadline;
    uint64_t frame; /* the one its envelope lies in */
    size_t offset;
    uint32_t slot;
    uint32_t generation;
    uint32_t attempt;
    uint32_t method;
    bool retry;
    bool ever_sent; /* by an earlier attempt */
    plex_link_fn done;
    void *arg;
    void *copy; /* retry: struct link_copy */

    enum plex_status status; /* finished: what done() is told */
    bool outcome_unknown;
    char *text;
};

void link_call_reply(struct plex_link *link,
                     const struct plex_envelope *envelope);
/* Everything handed over up to frame `until` may be lost. */
void link_calls_lost(struct link_peer *peer, uint64_t until, const char *why);
/* Not connected for PLEX_LINK_CONNECT_MS: fail what has not left and queue
 * again what is to be retried, into an empty queue. */
void link_calls_unreachable(struct link_peer *peer);
void link_calls_cancel_all(struct link_peer *peer);
/* Run done() of what has finished; true if there was something. */
bool link_calls_finish(struct plex_link *link);
void link_calls_free(struct plex_link *link);

/* -- calls we answer --------------------------------------------------------
 */

struct plex_call {
    struct plex_link *link;
    struct link_peer *peer;
    struct plex_call *next_hash;
    struct plex_call *next; /* of the peer, or of the free list */
    struct plex_call **prev;
    uint64_t id;
    uint64_t incarnation; /* of the peer when it asked */
    bool event;
    bool abandoned;
    void (*on_abandon)(void *arg, struct plex_call *call); /* or NULL */
    void *on_abandon_arg;
    struct plex_bytes payload;
    struct plex_context context;
    char *long_strings; /* those that do not fit below */
    char strings[128];
};

void link_serve_request(struct link_peer *peer,
                        const struct plex_envelope *envelope);
void link_serve_cancel(struct link_peer *peer, uint64_t id);
/* The peer's life or connection ended. */
void link_served_abandon(struct link_peer *peer);
void link_served_free(struct plex_link *link);

/* -- the link ----------------------------------------------------------------
 */

struct link_metrics {
    struct plex_counter *frames_sent, *frames_received;
    struct plex_counter *envelopes_sent, *envelopes_received;
    struct plex_counter *bytes_sent, *bytes_received;
    struct plex_counter *frames_bad, *peers_lost;
    struct plex_counter *calls[LINK_STATUSES];
    struct plex_gauge *pending, *serving;
};

struct plex_link {
    struct plex_loop *loop;
    struct plex_link_config config;
    struct plex_inbox *inbox;
    uint64_t incarnation;
    bool draining;
    bool closing;
    bool closed;

    struct link_peer **peers; /* hash table */
    size_t peer_buckets;
    size_t peer_count;
    struct link_peer *recent; /* looked up last */
    struct link_peer *dirty;  /* have something to flush */
    bool reap;                /* some peer may have become useless */
    bool deferred;
    struct plex_task flush;

    struct link_call **slots; /* blocks of them */
    size_t slot_count;
    struct link_call *free_calls;
    struct link_call *finished;
    struct link_call **finished_tail;
    bool posted;
    struct plex_task finish;

    struct plex_call **served; /* hash table by id */
    size_t served_buckets;
    size_t serving;
    struct plex_call *free_served;
    struct plex_call *current; /* its handler runs */

    struct link_heap heap;
    struct plex_timer *timer;
    uint64_t timer_at; /* 0: not armed */

    uint64_t bad_logged_at;
    struct link_metrics metrics;
    struct plex_counter no_counter;
    struct plex_gauge no_gauge;
};

/* The heap's first entry may have become earlier. */
void link_timer_update(struct plex_link *link);
/* Have flush run at the end of the iteration. */
void link_defer_flush(struct plex_link *link);
void link_metrics_init(struct plex_link *link, struct plex_metrics *metrics);

#endif
