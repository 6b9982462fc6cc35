#ifndef SERVICES_WORKER_SHELL_H
#define SERVICES_WORKER_SHELL_H

#include "common/service.h"
#include "services/journal/client.h"
#include "services/placement/client.h"
#include "services/registry/client.h"
#include "services/worker/capacity.h"
#include "services/worker/core.h"
#include "services/worker/facet_service.h"
#include "services/worker/facet_sink.h"
#include "services/worker/host.h"
#include "services/worker/module.h"
#include "services/worker/node.h"

/* Shared by the shell's own files only. */
enum {
    WORK_HEARTBEAT_MS = 500,
    WORK_HEARTBEAT_FIRST_MS = 50, /* until placement has answered once */
    WORK_LEASE_MARGIN_MS = 100,
    WORK_JOURNAL_MS = 10000, /* deadline of calls to the journal */
    WORK_TYPE_SERIES_MAX = 100,
};

struct work_config {
    struct plex_base_config base;
    const char *module_dir;
    const char *facet_log_dir;
    const char *pool;
    uint32_t activations_max;
    uint32_t messages_max;
    uint64_t memory_max_bytes;
    uint32_t unreleased_max;
    uint32_t recent_max;
    uint32_t appends_max;
    uint32_t executors;
    uint32_t watchdog_ms;
    uint32_t watchdog_exit_ms;
    uint32_t processes_max;
    struct work_offer_options offer;
};

/* A deployed type and the behaviour that runs it: the core's `user`. Kept as
 * long as the same type has the same behaviour. */
struct work_bound {
    struct work_bound *next;
    char *tenant;
    char *ns;
    char *type;
    const struct plex_behaviour *behaviour;
    struct plex_counter *turns;
    struct work_facet_setup *facets;
    uint64_t facets_digest; /* of what the manifest says; 0: none */
    struct work_past *past; /* not NULL: no activation's, shell_past.h */
};

/* A type that cannot run, and that this was said. */
struct work_broken {
    struct work_broken *next;
    char *line;
};

struct work_state {
    struct work_node *node; /* first: node.h */
    struct work_capacity capacity;
    const struct plex_host *host;
    struct work_config config;
    struct work_core *core;
    struct rt *rt;
    struct work_host *turns;
    struct work_modules *modules;
    struct work_bound *bounds;
    struct work_facet_sink *facets;
    struct work_facet_service *services;
    size_t n_series;
    struct work_broken *broken;
    size_t n_broken;
    struct plex_counter *other_turns;
    struct plex_histogram *wait_us, *turn_us;
    struct plex_arena arena;
    struct plex_buf scratch;
    struct plex_task flush; /* deferred when flushing */
    bool flushing;
    struct plex_task resume; /* posted when resuming */
    bool resuming;
    struct plex_timer *timer;
    uint64_t timer_at; /* ns; UINT64_MAX: not armed */
    struct reg_client *registry;
    struct work_journals *journals; /* shell_journal.c */
    struct place_watch *watch;
    struct plex_timer *heartbeat;
    uint64_t turns_reported; /* for the load of the next heartbeat */
    uint64_t lost_reported;
    uint64_t heartbeat_at;
    uint64_t load;
    bool granted; /* placement has answered */
    bool refused_logged;
    bool draining;
    bool leaving, left;
    bool catalogued; /* the first catalogue has come */
    enum reg_node_status status;
    char reason[128];
    size_t n_pasts;        /* turns of the past under way */
    struct work_ask *asks; /* shell_asked.c: queries that the core has */
    uint64_t pasts;        /* so far */
    struct mail *mails;    /* shell_mail.c: from processes to virtual actors */
    size_t n_mails;
    uint64_t mail_ids;
};

struct work_time work_now(void);
/* Do every action of the core, and see to it that the rest is flushed. */
void work_pump(struct work_state *state);

/* shell_peers.c */
void work_peers_start(struct work_state *state);
void work_peers_stop(struct work_state *state);
void work_heartbeat(struct work_state *state);
/* Announce what has become of us, if it changed. */
void work_status(struct work_state *state);
bool work_leave(struct work_state *state);

/* shell_facets.c */
/* What `type` declares, 0: nothing; and ready to be run, with a plan of NULL
 * when none is a link of the chain. */
uint64_t work_facets_digest(const struct reg_actor_type *type);
PLEX_MUST_USE enum plex_status work_facets_setup(
    struct work_state *state, const struct reg_actor_type *type,
    struct work_facet_setup **out, struct plex_err *err);
void work_facets_free(struct work_facet_setup *setup); /* accepts NULL */

/* shell_methods.c */
extern const struct plex_method work_methods[];
void work_answer(struct work_state *state, const struct work_action *action);

/* shell_mail.c: messages between processes and virtual actors. */
/* Who is answered by the core and is no caller on the link: the token given to
 * work_core_deliver() is its address, with this bit set. */
#define WORK_ERRAND UINT64_C(1)
struct work_errand {
    /* `reply` is not NULL; borrowed for the call. */
    void (*answered)(struct work_errand *errand, enum plex_status status,
                     const char *text, const struct work_reply *reply);
};
void work_errand_answer(struct work_state *state,
                        const struct work_action *action);
/* To the name of a virtual actor; and to the process of an activation here. */
void work_mail_to_actor(void *arg, const struct rt_signal *signal);
void work_mail_inbound(void *arg, const struct work_inbound *in);
/* WORK_FIND; the call is or will be answered. */
void work_mail_find(struct work_state *state, struct plex_call *call,
                    const struct work_message *message);
void work_found_reply(struct work_state *state, struct plex_call *call,
                      struct plex_ref ref);
void work_mails_free(struct work_state *state);

/* shell_node.c */
void work_shell_node_create(struct work_state *state);
void work_shell_node_end(struct work_state *state);
/* Placement is to know what virtual actors reserve. */
void work_room_tell(struct work_state *state);
/* shell.c, any thread: an event of the runtime; true: of an activation. */
bool work_shell_event(void *arg, const struct rt_event *event);

/* shell_peers.c: what the facet virtual_actor says of the type; all 0 without
 * one. The keys lie in the arena. */
PLEX_MUST_USE enum plex_status work_virtual_of(
    const struct reg_actor_type *type, struct plex_arena *arena,
    struct rt_facet_virtual *out, struct plex_err *err);

/* shell_journal.c */
void work_journal(struct work_state *state, const struct work_action *action);
/* That the shard belongs to. */
struct journal_client work_journal_client(const struct work_state *state,
                                          uint32_t shard);
/* "journal NODE": who writes and reads it. */
const char *work_journal_name(struct work_state *state, uint32_t shard);
void work_journals_start(struct work_state *state);
void work_journals_catalog(struct work_state *state,
                           const struct reg_catalog *catalog);
void work_journals_free(struct work_state *state);

/* shell_rebuild.c: states of the past, made beside the actors */
void work_rebuild_begin(void *arg, struct plex_call *call);
/* shell_asked.c: a query goes to the core. */
void work_asked_keep(struct work_state *state, struct plex_call *call);
/* The core answers that call. True: it is a query, no run is open, and it will
 * be answered by one that has ended. */
bool work_asked_answers(struct work_state *state, struct plex_call *call,
                        enum plex_status status);
void work_asked_free(struct work_state *state);

/* shell_inspect.c */
void work_inspect_journal(struct work_state *state, struct plex_call *call,
                          const struct plex_actor_id *actor);

#endif
