#ifndef SERVICES_WORKER_CORE_TYPES_H
#define SERVICES_WORKER_CORE_TYPES_H

#include "services/worker/core.h"
#include "services/worker/core_journals.h"
#include "services/worker/core_room.h"
#include "services/worker/tables.h"

#include <sys/queue.h>

/*
 * Shared by the core's own files only.
 *
 * An item is one message on its way through an actor: mailbox, run, turn,
 * answer. A pend is something kept for later in the journal (or, for actors
 * that are not durable, in memory): a timer, a delayed cast, a message to
 * another actor.
 */
enum {
    WORK_ID_MAX = JOURNAL_ID_MAX - 2, /* room for "a:" and "r:" */
    WORK_TURN_BYTES_MAX = 14 << 20,   /* one entry, so that it fits a frame */
    WORK_BATCH_BYTES_MAX = 8 << 20,   /* then the batch is closed */
    WORK_ATTEMPTS_MAX = 2,            /* runs of one item */
    WORK_PENDS_MAX = 4 << 20,
    WORK_PENDINGS_PAGE = 1000,
    WORK_ASIDES_MAX = 256, /* turns of one actor that wait */
    WORK_EVICT_LOOK = 64,  /* idle actors looked at for the largest state */
};
#define WORK_MS UINT64_C(1000000)    /* ns */
#define WORK_TTL_MS UINT64_C(600000) /* where a message names none */

enum item_state {
    ITEM_WAITING,   /* in the mailbox */
    ITEM_RUNNING,   /* RUN is out */
    ITEM_OPEN,      /* its handler waits: actor.open */
    ITEM_ASIDE,     /* its handler waits: actor.asides, or actor.woken */
    ITEM_READY,     /* nothing to write; waits for the turns before it */
    ITEM_UNWRITTEN, /* its turn waits for a flush */
    ITEM_WRITING,   /* its turn is in a batch */
    ITEM_WRITTEN,   /* durable; waits for the turns before it */
    ITEM_REFUSED,   /* surely not written */
    ITEM_UNKNOWN,   /* perhaps written */
    ITEM_EXISTED,   /* an earlier attempt was written: its reply is ours */
    ITEM_ANSWERED,  /* in the action queue */
};

/* A message id that this worker knows: under way (item) or answered. */
struct idrec {
    struct hnode node;
    struct actor *actor;
    struct item *item; /* NULL: recorded */
    struct plex_bytes id;
    uint64_t request_hash;
    uint64_t expires_ms;
    struct plex_bytes reply;
    TAILQ_ENTRY(idrec) recent;
};
TAILQ_HEAD(idrec_list, idrec);

enum write_kind { WRITE_TURN, WRITE_SNAPSHOT, WRITE_SETTLE };
/* One entry for the journal. */
struct write {
    TAILQ_ENTRY(write) link; /* of an outlet's unwritten ones */
    enum write_kind kind;
    struct actor *actor;
    struct item *item; /* turns */
    struct journal_entry entry;
    uint8_t *record; /* owned; what entry.record points to */
    size_t bytes;
    struct pend **made; /* by this turn; set up when it is written */
    size_t n_made;
    struct pend **ended; /* by this turn or settle */
    size_t n_ended;
    struct blind *blind; /* by this turn, if they are there; NULL: none */
};

struct item {
    TAILQ_ENTRY(item) link; /* of the mailbox or the unreleased turns */
    struct actor *actor;    /* NULL: refused before it had one */
    enum item_state state;
    uint64_t call;        /* to answer; 0: nobody outside */
    struct pend *from;    /* what this delivers to its own actor */
    struct pend *carries; /* what this delivers for another actor here */
    struct idrec id;
    bool has_id;     /* in core.ids */
    bool accept;     /* a delayed cast: put away, not run */
    bool activation; /* the behaviour's `activated` */
    bool step;       /* part of an open run: nobody's message */
    bool opened;     /* its run is in the journal */
    bool reopened;   /* of a run found open: who asks again may have it */
    bool maybe_done; /* nobody may be told that it was not */
    bool looked;     /* the journal has no answer to its id */
    bool let_in;     /* a turn of the actor led to it and may wait for it */
    bool yielded;    /* part of its turn has taken effect */
    bool awaits;     /* an update that was accepted: answered at its end */
    bool out;        /* a RUN with it went out: its handler may have run */
    uint8_t attempts;
    uint64_t deadline; /* ns; 0: none */
    uint64_t arrived;
    struct work_message message;
    uint8_t *accept_id; /* owned; what message.id is then */
    const char *request_id;
    uint64_t floor; /* ITEM_ASIDE: token of the RUN that yielded */
    size_t bytes;   /* counted in core.bytes */
    struct write *write;
    /* the answer */
    uint8_t *reply; /* owned */
    size_t reply_len;
    enum plex_status status;
    char *text; /* owned; NULL: "" */
    bool replayed;
    bool recorded;
    bool needs_lease;
};
TAILQ_HEAD(item_list, item);

enum pend_state {
    PEND_IDLE,      /* made or ended by a turn that is not yet durable */
    PEND_ARMED,     /* in the heap of due times */
    PEND_LANE,      /* waits in its lane */
    PEND_SENT,      /* SEND is out, or in a mailbox here */
    PEND_DELIVERED, /* in its own actor's mailbox or turn */
    PEND_SETTLING,  /* waits to be settled, or is */
};
struct pend {
    TAILQ_ENTRY(pend) of_actor;
    TAILQ_ENTRY(pend) link; /* of a lane or core.settles */
    struct hnode by_id;
    struct hnode by_token;
    struct heap_node heap;
    struct actor *owner;
    unsigned refs;
    enum pend_state state;
    bool gone;      /* not its actor's any more */
    bool made;      /* its turn is durable (or needs not be) */
    bool cancelled; /* by a turn that is not durable yet */
    bool durable;
    bool in_settles;
    bool tried;  /* sent before, perhaps by another activation */
    bool loaded; /* out of a window */
    uint32_t attempts;
    uint64_t token; /* of SEND */
    struct plex_bytes id;
    uint8_t *id_copy; /* owned; what id points to */
    uint64_t due_ms;
    struct work_message *message; /* owned */
    struct plex_buf packed;       /* its wire form, until it is written */
    struct work_message *result;  /* of a call: to be delivered */
    struct lane *lane;
};
TAILQ_HEAD(pend_list, pend);

/* Messages of one durable actor to one other, one under way at a time: that
 * keeps them in order through every retry. */
struct lane {
    struct hnode node;
    struct heap_node retry;
    struct pend_list waiting; /* the first is under way when busy */
    struct actor *owner;
    uint64_t to_hash;
    bool busy;
    uint32_t attempts;
};

enum open_phase {
    OPEN_RUNNING,    /* or no run is open */
    OPEN_WAITING,    /* for something to come */
    OPEN_COMMITTING, /* for unreleased turns */
    OPEN_CONTINUES,  /* they are released */
    OPEN_REPLAYS,    /* to be run over its log */
    OPEN_PARKED,
    OPEN_LOOKUP, /* perhaps it was done before: the journal is asked */
};
enum actor_state {
    ACTOR_COLD,    /* nothing in memory but its pends */
    ACTOR_LOADING, /* LOAD is out */
    ACTOR_ACTIVE,
    ACTOR_DROPPED, /* waits for what is under way, then is rebuilt or goes */
};
struct actor {
    struct hnode node;
    TAILQ_ENTRY(actor) of_shard;
    TAILQ_ENTRY(actor) of_type;
    TAILQ_ENTRY(actor) idle;
    struct plex_actor_id id;
    uint32_t slot, generation; /* together: the token of LOAD and RUN */
    uint32_t shard;
    enum actor_state state;
    struct type *type; /* NULL: known by its pends only */
    bool is_idle;      /* in the type's idle list */
    bool durable;
    bool drop_requeues; /* DROPPED: not finished messages are run again */
    enum plex_status drop_status;
    char *drop_text;    /* owned */
    bool suspect;       /* the journal may hold pends of it that we lack */
    struct take *check; /* LOADING: these pends are awaited */
    struct item *running;
    struct item *open; /* whose handler waits, or is in between waits */
    enum open_phase phase;
    struct item *update;  /* that awaits its end; NULL: none does */
    bool takes;           /* OPEN_WAITING: updates, too */
    char *waits_for;      /* owned; NULL: "" */
    uint64_t waits_since; /* wall ms */
    uint64_t activation;
    bool hosted; /* a RUN went out: somebody must hear of our end */
    bool dirty;  /* persist: the state is newer than what is stored */
    bool leaves; /* passivated as soon as it is idle */
    bool pinned; /* never passivated unasked */
    bool held;   /* nor now: work_outcome.holds */
    struct item_list asides; /* turns that wait while others run */
    struct item_list woken;  /* of those, who want to go on, in order */
    size_t n_asides;         /* of both */
    bool taking; /* outcomes that came together: more of them follow */
    struct item_list mailbox;
    struct item_list ahead;      /* before it; went along with RUN */
    size_t mailbox_n;            /* of both */
    struct item_list unreleased; /* turns, oldest first */
    size_t unreleased_n;
    size_t writing; /* entries queued or in batches */
    uint64_t epoch;
    uint64_t seq;                  /* last given out */
    uint64_t committed;            /* last durable */
    uint64_t known;                /* was, in an earlier activation */
    uint32_t since_snapshot;       /* turns that changed the state */
    uint64_t bytes_since_snapshot; /* of their records */
    uint64_t snapshot_ms;          /* wall clock of the last one */
    struct work_outcome *first;    /* OPEN_LOOKUP: its first stretch */
    struct restore *restore;       /* LOADING: the state is being made */
    struct fold *fold;             /* LOADING: the log of an open run is */
    uint64_t delta_bytes;          /* of the records that were part of it */
    uint8_t *data;                 /* the state */
    size_t data_len, data_cap;
    bool has_data;
    uint32_t schema_version;
    struct pend_list pends;
    struct idrec_list recents; /* newest first */
    uint32_t recents_n;
    uint64_t last_used;
    uint64_t activated_at;
    uint64_t messages;
};
TAILQ_HEAD(actor_list, actor);

/* A page of records on its way onto the state (core_restore.c). */
struct restore {
    uint64_t next; /* of the page after it; 0: it is the last */
    bool out;      /* RUN is out, and points in here */
    size_t bytes;  /* counted in core.bytes */
    size_t n;
    struct journal_record *records;
};

/* Records of an open run, to be added to its log (core_fold.c). */
struct fold {
    uint64_t next; /* to be loaded; 0: all are here */
    struct plex_bytes *records;
    size_t n, bytes;
};

struct type {
    struct hnode node;
    TAILQ_ENTRY(type) link;
    struct work_type info; /* strings owned */
    bool gone;
    bool seen;
    struct actor_list actors;
    struct actor_list idle; /* least recently used first */
    uint64_t active;        /* activations */
    struct actor **locals;  /* stateless: its activations by number */
    size_t n_locals;
    size_t last_local; /* that got a message */
    uint64_t bytes;    /* of their states */
};
TAILQ_HEAD(type_list, type);

enum { NODE_LANE = 1, NODE_TAKE, NODE_PEND }; /* heap_node.kind */

enum shard_state { SHARD_OTHERS, SHARD_TAKING, SHARD_SERVING, SHARD_FENCED };
struct shard {
    enum shard_state state;
    uint64_t epoch;
    int32_t owner;       /* index of core.urls; -1 none */
    uint64_t horizon_ms; /* SERVING: core_window.h */
    struct take *take;
    struct take *refresh; /* one that has not begun to read */
    struct actor_list actors;
};

#endif
