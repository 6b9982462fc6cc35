#ifndef SERVICES_WORKER_CORE_WINDOW_H
#define SERVICES_WORKER_CORE_WINDOW_H

/* A part of core_private.h, which includes it: which of the stored timers and
 * delayed casts are in memory.
 *
 * Of a shard that is served, everything due before its horizon is: what is due
 * later may be in the journal only. A pass over the shards reads what is due
 * before a time a little ahead, and raises their horizons to it, or to what
 * the journal says is due next. The horizon goes down again when something
 * leaves memory that is due later.
 *
 * What goes out at once (messages to others, guards) is due at 0 in the
 * journal: it is loaded before a shard is served, and always in memory.
 *
 * A timer's id in the journal comes from its name, so that one that is not in
 * memory can be replaced and cancelled all the same.
 */
enum {
    WORK_TIMER_ID_LEN = 34,
    WORK_SPAN_MIN_MS = 250, /* how far a pass looks ahead */
    WORK_SPAN_MAX_MS = 60000,
};
#define WORK_HORIZON_ALL UINT64_MAX /* nothing of the shard is elsewhere */

/* Ids that a turn settles without knowing whether they are there. */
struct blind {
    size_t n;
    uint8_t ids[][WORK_TIMER_ID_LEN];
};

/* It left memory for good while a read is out that may still show it. */
struct gone {
    STAILQ_ENTRY(gone) next;
    struct hnode node;
    uint64_t number;
};
STAILQ_HEAD(gone_list, gone);

struct window {
    uint64_t token; /* of the read that is out; 0: none */
    uint64_t began; /* gones after it */
    bool passing;   /* on the way through the shards, to until_ms */
    uint64_t until_ms;
    bool inside;       /* a range: */
    uint32_t first;    /* of it */
    uint32_t last;     /* of it */
    uint32_t raised;   /* those before it have their new horizon */
    uint64_t floor_ms; /* least due of what left memory since it was begun */
    uint8_t after[64];
    size_t after_len;
    uint32_t at; /* where the next range is looked for */
    uint64_t span_ms;
    uint64_t next_ms;  /* no horizon is below */
    uint64_t again_ns; /* nothing is read before */
    uint32_t attempts;
    size_t loaded; /* pends in memory that came out of windows */
    size_t reads;  /* that gones matter to: a window's, refreshes */
    uint64_t numbers;
    struct gone_list gones;
    struct htab gones_by_id;
};

void work_window_init(struct work_core *core);
void work_window_fini(struct work_core *core);
/* Begin to read, if it is time. */
void work_window_go(struct work_core *core);
bool work_window_action(struct work_core *core, uint64_t token,
                        struct work_action *out);
/* True when the answer was for it. */
bool work_window_answered(struct work_core *core, uint64_t token,
                          enum plex_status status,
                          const struct journal_pending_item *items, size_t n,
                          struct plex_bytes next, uint64_t next_due_ms);
/* ns until work_window_go() is to be called; UINT64_MAX: not by itself. */
uint64_t work_window_due_in(const struct work_core *core, struct work_time t);
/* A shard is served from now on; nothing of it is here but what is due at 0.
 */
void work_window_serve(struct work_core *core, struct shard *shard);
/* It is not any more. */
void work_window_lose(struct work_core *core, uint32_t shard);

/* The id of a durable actor's timer in the journal. */
void work_timer_id(const char *name, uint8_t out[WORK_TIMER_ID_LEN]);
/* May the journal have timers of the actor that are not in memory? */
bool work_window_hides(const struct work_core *core, const struct actor *actor);
/* The turn ends the timer, should there be one. */
void work_blind_add(struct write *write, const char *name);
/* It is written. */
void work_blind_done(struct work_core *core, const struct write *write);
/* Turns that are under way may have ended it before it was loaded. */
void work_blind_attach(struct pend *pend);
/* One that the journal has. `go`: what leaves, leaves at once. False: there is
 * no room for it. */
bool work_pend_load(struct work_core *core,
                    const struct journal_pending_item *item,
                    const struct work_message *message, bool go);
/* When it is due in the journal; 0: at once. */
uint64_t work_pend_stored_due(const struct pend *pend);
/* `actor` leaves memory: its later timers do, too, when there are many. */
void work_pends_evict(struct work_core *core, struct actor *actor);

/* A read begins whose answer may be older than what is known here; it ends;
 * since it began, has this left for good? */
uint64_t work_gone_begin(struct work_core *core);
void work_gone_end(struct work_core *core);
void work_gone_add(struct work_core *core, const struct actor *owner,
                   struct plex_bytes id);
bool work_gone_since(const struct work_core *core, uint64_t began,
                     const struct plex_actor_id *owner, struct plex_bytes id);

#endif
