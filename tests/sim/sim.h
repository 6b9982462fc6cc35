#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include "common/arena.h"
#include "common/context.h"
#include "services/journal/client.h"
#include "services/placement/client.h"
#include "services/registry/client.h"
#include "services/worker/client.h"
#include "tests/sim/config.h"

/*
 * The simulator: the real cores of registry, placement, journal, worker and
 * gateway in one process and one thread, with time, network, disks, clients
 * and faults that come out of one seed. docs/simulator.md tells the story.
 *
 * Everything that happens is an event at a simulated nanosecond. Nothing here
 * reads a clock or the kernel's randomness, so a seed replays exactly.
 */
enum {
    SIM_NODES_MAX = 12,
    SIM_TEXT_MAX = 400,
    SIM_TRACE_MAX = 200000, /* lines kept of a run that is traced */
};
#define SIM_US UINT64_C(1000)
#define SIM_MS UINT64_C(1000000)
#define SIM_S UINT64_C(1000000000)

struct sim;
struct sim_node;

/* -- randomness (engine.c) --------------------------------------------------
 */

uint64_t sim_random(struct sim *sim);
/* low <= result <= high */
uint64_t sim_between(struct sim *sim, uint64_t low, uint64_t high);
/* True in `percent` of 100 cases; hundredths for `sim_rarely`. */
bool sim_chance(struct sim *sim, unsigned percent);

/* -- events (engine.c) -------------------------------------------------------
 */

typedef void (*sim_event_fn)(struct sim *sim, struct sim_node *node, void *arg);
/* Run `fn` on `node` (NULL: the world) after `delay_ns`. Forgotten, after
 * `drop`, when the node has crashed by then; late when it is stopped. */
void sim_after(struct sim *sim, struct sim_node *node, uint64_t delay_ns,
               sim_event_fn fn, void *arg, void (*drop)(void *arg));

/* -- nodes (engine.c) -------------------------------------------------------
 */

struct sim_call;
/* What a kind of node does; `state` is freed by stop. */
struct sim_kind {
    const char *name;
    void (*start)(struct sim *sim, struct sim_node *node);
    void (*stop)(struct sim *sim, struct sim_node *node); /* crash */
    void (*serve)(struct sim *sim, struct sim_node *node,
                  struct sim_call *call);
    void (*wake)(struct sim *sim, struct sim_node *node);
};
struct sim_node {
    const struct sim_kind *kind;
    int index;
    char name[24];
    char url[40];
    bool up;
    uint64_t life;        /* counts starts */
    uint64_t incarnation; /* random, new for each start */
    uint64_t stopped_until;
    uint64_t mono_offset; /* its monotonic clock is not ours */
    int64_t wall_offset_ms;
    uint64_t wall_before_ms; /* the most it showed before it was set */
    uint64_t wake_at;        /* world time of its next wake; UINT64_MAX none */
    void *state;
    void *disk; /* survives crashes */
};
/* The node's clocks. */
uint64_t sim_mono(const struct sim *sim, const struct sim_node *node);
uint64_t sim_wall(const struct sim *sim, const struct sim_node *node);
/* Call kind->wake at that time of the node's monotonic clock, or never. Only
 * the earliest wish counts. */
void sim_wake_at(struct sim *sim, struct sim_node *node, uint64_t mono_ns);
struct sim_node *sim_find(struct sim *sim, const char *url);
void sim_start(struct sim *sim, struct sim_node *node);
void sim_crash(struct sim *sim, struct sim_node *node);

/* -- what travels (msg.c)
 * ------------------------------------------------------ */

enum sim_method {
    SIM_ANNOUNCE = 1,
    SIM_CATALOG,
    SIM_DEPLOY,
    SIM_HEARTBEAT,
    SIM_TABLE,
    SIM_LEAVE,
    SIM_APPEND,
    SIM_LOAD,
    SIM_FENCE,
    SIM_PENDINGS,
    SIM_LOOKUP,
    SIM_INVOKE,
    SIM_REQUEST, /* a client's, to a gateway */
};
const char *sim_method_name(enum sim_method method);

/* One request or reply, immutable once sent, counted. Everything it points to
 * is in its arena. */
struct sim_msg {
    unsigned refs;
    struct plex_arena arena;
    /* requests */
    struct plex_context context; /* its deadline is not used: see rpc */
    /* replies */
    enum plex_status status;
    const char *text;
    bool outcome_unknown; /* client replies */
    unsigned http_status; /* client replies */
    /* contents, by method */
    struct journal_entry *entries;
    struct journal_result *results;
    size_t n; /* entries, results, ranges, items */
    struct journal_load load;
    struct journal_loaded *loaded;
    struct journal_fence *ranges;
    uint64_t epoch;
    uint32_t first, last, limit;
    struct plex_bytes after; /* page token, both ways */
    uint64_t until_ms, next_due_ms;
    struct journal_pending_item *items;
    struct work_message *message;
    struct work_reply *reply;
    struct place_heartbeat heartbeat;
    uint64_t lease_ms;
    uint64_t version;
    struct place_table *table; /* a reference */
    struct reg_node node;
    struct reg_catalog *catalog; /* a reference */
    int app;                     /* deploy: which variant */
};
struct sim_msg *sim_msg_make(void);
struct sim_msg *sim_msg_ref(struct sim_msg *msg);
void sim_msg_unref(struct sim_msg *msg); /* accepts NULL */

struct plex_bytes sim_copy_bytes(struct sim_msg *msg, struct plex_bytes in);
const char *sim_copy_text(struct sim_msg *msg, const char *text);
void *sim_copy(struct sim_msg *msg, const void *data, size_t size);
struct plex_actor_id sim_copy_actor(struct sim_msg *msg,
                                    const struct plex_actor_id *id);
void sim_put_entries(struct sim_msg *msg, const struct journal_entry *entries,
                     size_t n);
void sim_put_results(struct sim_msg *msg, const struct journal_result *results,
                     size_t n);
void sim_put_loaded(struct sim_msg *msg, const struct journal_loaded *loaded);
void sim_put_items(struct sim_msg *msg,
                   const struct journal_pending_item *items, size_t n);
void sim_put_message(struct sim_msg *msg, const struct work_message *message);
void sim_put_reply(struct sim_msg *msg, const struct work_reply *reply);
void sim_put_context(struct sim_msg *msg, const struct plex_context *context);

/* -- calls between nodes (net.c)
 * ------------------------------------------------ */

typedef void (*sim_done_fn)(struct sim *sim, struct sim_node *node, void *arg,
                            uint64_t token, const struct sim_msg *reply);
struct sim_request {
    struct sim_node *from;
    const char *url;
    enum sim_method method;
    struct sim_msg *msg; /* taken over */
    uint64_t timeout_ns;
    bool retry; /* as plex_link_request.retry */
    sim_done_fn done;
    void *arg;
    uint64_t token;
};
/* done() runs once, later, on `from`, unless that crashes. Returns an id. */
uint64_t sim_rpc(struct sim *sim, const struct sim_request *request);
/* done() then never runs. */
void sim_rpc_cancel(struct sim *sim, uint64_t id);

/* One request being served. */
struct sim_call {
    uint64_t id; /* never 0 */
    struct sim_node *at;
    struct sim_node *from;
    uint64_t from_life;
    uint64_t rpc;
    uint64_t connection; /* generation */
    uint64_t deadline;   /* on the server's monotonic clock */
    enum sim_method method;
    struct sim_msg *msg;
};
/* NULL when it is gone. */
struct sim_call *sim_call_find(struct sim *sim, uint64_t id);
/* Takes over `reply`; the call is then gone. */
void sim_answer(struct sim *sim, uint64_t id, struct sim_msg *reply);
void sim_refuse(struct sim *sim, uint64_t id, enum plex_status status,
                const char *text);

void sim_net_init(struct sim *sim);
void sim_net_fini(struct sim *sim);
/* Every connection of the node breaks; its calls and requests end. */
void sim_net_crashed(struct sim *sim, struct sim_node *node);
void sim_net_break(struct sim *sim, struct sim_node *a, struct sim_node *b);
/* Nothing gets through until then; what is under way waits. */
void sim_net_block(struct sim *sim, struct sim_node *a, struct sim_node *b,
                   uint64_t until);

/* -- the world
 * ------------------------------------------------------------------ */

struct sim_op;
struct sim_check;
struct sim_net;
struct sim_clients;
struct sim_flow_check;
struct sim_asked;
struct sim_reminders;
struct sim_heap {
    struct sim_event **at;
    size_t n, cap;
};
struct sim_line {
    uint64_t at;
    int key; /* -1: everybody's */
    char *text;
};

struct sim {
    struct sim_config config;
    uint64_t random[4];
    uint64_t now;
    uint64_t events; /* made */
    uint64_t steps;  /* done */
    struct sim_heap heap;
    struct sim_node nodes[SIM_NODES_MAX];
    int n_nodes;
    struct sim_node *registry, *placement, *journal, *world;
    struct sim_node *workers[4], *gateways[3];
    int n_workers, n_gateways;
    struct sim_net *net;
    struct sim_check *check;
    struct sim_flow_check *flow_check;
    struct sim_asked *asked;
    struct sim_reminders *reminders;
    struct sim_clients *clients;
    bool faults_over;
    uint64_t disk_slow_until;
    uint64_t boundaries;    /* passed: boundary.h */
    struct sim_node *dying; /* at the end of this event */
    int version;            /* deployed last */
    bool failed;
    char failure[SIM_TEXT_MAX]; /* "G1: ..." */
    int failure_key;
    struct sim_line *lines;
    size_t n_lines;
};

/* `key` is the index of the counter concerned, -1 none. */
void sim_trace(struct sim *sim, int key, const struct sim_node *node,
               const char *fmt, ...) PLEX_PRINTF(4, 5);
/* A guarantee is violated: the run ends after this step. */
void sim_fail(struct sim *sim, int key, const char *fmt, ...) PLEX_PRINTF(3, 4);

/* node_*.c */
extern const struct sim_kind sim_kind_registry, sim_kind_placement,
    sim_kind_journal, sim_kind_worker, sim_kind_gateway, sim_kind_world;
void sim_journal_disk_free(struct sim_node *node);
void sim_placement_disk_free(struct sim_node *node);
void sim_registry_disk_free(struct sim_node *node);

void sim_worker_drain(struct sim *sim, struct sim_node *node);

/* clients.c: begin; are all done?; tell the registry what to run */
void sim_clients_start(struct sim *sim);
bool sim_clients_done(const struct sim *sim);
void sim_clients_free(struct sim *sim);
void sim_deploy(struct sim *sim, int version);

/* faults.c */
void sim_faults_start(struct sim *sim);

#endif
