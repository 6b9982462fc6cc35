#ifndef SERVICES_REGISTRY_CLIENT_H
#define SERVICES_REGISTRY_CLIENT_H

#include "common/link.h"
#include "common/service.h"
#include "common/spread.h"

/*
 * What others may know of plex-registry: announcing oneself, and a local copy
 * of the catalogue. Field meanings: proto/public/.../node.proto and
 * application.proto.
 */
enum reg_node_status {
    REG_NODE_STARTING = 1,
    REG_NODE_READY = 2,
    REG_NODE_DRAINING = 3,
    REG_NODE_LOST = 4,
};
/* Processes of an application that a node runs or still stops. */
struct reg_claim {
    const char *tenant;
    const char *ns;
    const char *app;
    uint64_t epoch;
};
struct reg_node {
    const char *node_id;
    const char *kind;
    enum reg_node_status status;
    const char *url;
    const char *admin_addr;
    uint64_t incarnation;
    const char *version;
    uint64_t started_ms;
    uint64_t heartbeat_age_ms; /* as of the catalogue's answer */
    uint64_t lease_left_ms;
    const char *reason;
    uint32_t shards;
    uint64_t activations;
    uint64_t resident_bytes;
    const char *store; /* what nodes of a kind share, "": nothing */
    const struct reg_claim *claims; /* announcements only */
    size_t n_claims;
    bool without_trees; /* announcements: it is to have none any more */
};

struct reg_pair {
    const char *key, *value;
};
struct reg_facet {
    const char *type;
    uint32_t priority;
    const struct reg_pair *config;
    size_t n_config;
};
struct reg_actor_type {
    const char *name;
    const char *module;
    const char *behaviour; /* never "": defaults are filled in */
    bool is_virtual;
    bool durable;
    uint64_t idle_timeout_ms;
    uint32_t mailbox_max;
    uint32_t snapshot_every;
    const char *pool;
    const struct reg_facet *facets;
    size_t n_facets;
    double cpu_cores; /* what an activation reserves; 0: nothing */
    uint64_t memory_bytes;
    bool stateless;
    uint32_t max_local; /* activations on one worker; 0: as it has cores */
    enum plex_spread route;
};

/* The processes of an application. Numbers as in plexspaces/supervisor.h. */
struct reg_supervisor;
struct reg_child {
    const char *id;
    const char *type;   /* "" or one of the application's, which says more */
    const char *module; /* "" where there is a type or a supervisor */
    const char *behaviour;
    const struct reg_supervisor *supervisor; /* NULL for a worker */
    const char *name, *args, *node;          /* "" for none */
    uint8_t restart;
    bool significant;
    uint32_t shutdown_ms;
    struct plex_bytes placement; /* packed application.v1 Placement; or none */
};
struct reg_supervisor {
    uint8_t strategy, auto_shutdown;
    uint32_t intensity, period_ms;
    uint32_t backoff_initial_ms, backoff_max_ms;
    const struct reg_child *children;
    size_t n_children;
};
/* Where they run; node_id "" while nowhere. */
struct reg_root {
    const char *node_id;
    uint64_t incarnation;
    uint64_t epoch;
};

/* Words of the manifest. PLEX_INVALID lists the known ones. "" gives the
 * default; case does not matter. */
enum reg_word { REG_WORD_STRATEGY, REG_WORD_RESTART, REG_WORD_AUTO_SHUTDOWN };
PLEX_MUST_USE enum plex_status reg_word_parse(enum reg_word kind,
                                              const char *text, uint8_t *out,
                                              struct plex_err *err);
const char *reg_word_text(enum reg_word kind, uint8_t value);
/* "brutal_kill", "infinity", "5s"; "" means PLEX_SHUTDOWN_DEFAULT. */
PLEX_MUST_USE enum plex_status reg_shutdown_parse(const char *text,
                                                  uint32_t *out,
                                                  struct plex_err *err);
/* `out` has room for 24 bytes. */
void reg_shutdown_text(uint32_t shutdown_ms, char *out);

enum reg_app_state { REG_APP_RUNNING = 1, REG_APP_STOPPED = 2 };
struct reg_app {
    const char *tenant;
    const char *ns;
    const char *name;
    const char *version;
    const char *description;
    enum reg_app_state state;
    uint64_t deployed_ms;
    uint64_t revision;
    const struct reg_actor_type *types;
    size_t n_types;
    const struct reg_supervisor *supervisor; /* NULL: none */
    struct reg_root root;
};

/* Immutable once published, counted, all strings inside. */
struct reg_catalog;
struct reg_catalog *reg_catalog_ref(struct reg_catalog *catalog);
void reg_catalog_unref(struct reg_catalog *catalog); /* accepts NULL */
uint64_t reg_catalog_version(const struct reg_catalog *catalog);
const struct reg_node *reg_catalog_nodes(const struct reg_catalog *catalog,
                                         size_t *n);
const struct reg_app *reg_catalog_apps(const struct reg_catalog *catalog,
                                       size_t *n);
/* O(1). NULL when there is none; *app (may be NULL) is its application. */
const struct reg_actor_type *reg_catalog_type(const struct reg_catalog *catalog,
                                              const char *tenant,
                                              const char *ns, const char *type,
                                              const struct reg_app **app);
/* A READY node of the kind, else a STARTING one, else NULL. */
const struct reg_node *reg_catalog_service(const struct reg_catalog *catalog,
                                           const char *kind);
/* Those among which the work of a kind is spread: READY nodes that say they
 * have the same store, in the catalogue's order (by node_id), at most `max`.
 * One alone where they share none; where none is READY,
 * reg_catalog_service()'s. */
size_t reg_catalog_replicas(const struct reg_catalog *catalog, const char *kind,
                            const struct reg_node **out, size_t max);
/* Build one by hand, for tests and the simulator; everything is copied. */
struct reg_catalog *reg_catalog_make(uint64_t version,
                                     const struct reg_node *nodes,
                                     size_t n_nodes, const struct reg_app *apps,
                                     size_t n_apps);

/* -- over a link -------------------------------------------------------------
 *
 * One per service instance. Announces the node (kind = the service's name)
 * and renews its lease at a third of it; watches the catalogue.
 */
struct reg_client;

struct reg_client_config {
    const struct plex_host *host;
    const char *kind;
    /* Fill shards, activations, claims (borrowed) before each announcement;
     * may be NULL. */
    void (*describe)(void *arg, struct reg_node *node);
    /* First and every later catalogue, borrowed; may be NULL. */
    void (*changed)(void *arg, struct reg_catalog *catalog);
    /* The registry refuses us: another incarnation holds the name. Called for
     * each refusal; the client goes on trying for 10 s, then it aborts the
     * service (PLEX_EXIT_TEMPORARY). May be NULL. */
    void (*refused)(void *arg, const char *text);
    void *arg;
};
struct reg_client *reg_client_start(const struct reg_client_config *config);
/* What is announced and, at once when it changes, announced anew. The client
 * itself calls plex_service_ready with this AND its own lease. */
void reg_client_status(struct reg_client *client, enum reg_node_status status,
                       const char *reason);
/* Say everything again now: the claims have changed. */
void reg_client_announce(struct reg_client *client);
/* Until when, on the scale of plex_now(), nobody else is taken for this node.
 */
uint64_t reg_client_lease_end(const struct reg_client *client);
/* NULL before the first answer. Borrowed. */
struct reg_catalog *reg_client_catalog(const struct reg_client *client);
/* URL of a service of that kind, NULL if none is known. Borrowed until the
 * catalogue changes. */
const char *reg_client_url(const struct reg_client *client, const char *kind);
/* The same, each of those that share the work in its turn. */
const char *reg_client_next_url(struct reg_client *client, const char *kind);
/* Withdraws (best effort), then releases. Accepts NULL. */
void reg_client_stop(struct reg_client *client);

/* -- keys: docs/keyvalue.md -- */

enum reg_kv_verb {
    REG_KV_ASK_GET = 1,
    REG_KV_ASK_PUT,
    REG_KV_ASK_DELETE,
    REG_KV_ASK_CAS,
    REG_KV_ASK_INCREMENT,
    REG_KV_ASK_LIST,  /* keys that begin with `key` */
    REG_KV_ASK_WATCH, /* the same, after `version`, for timeout_ms */
};
struct reg_kv_ask { /* copied */
    enum reg_kv_verb verb;
    const char *key;
    struct plex_bytes value, expected;
    bool expect; /* CAS; false: the key must not exist */
    int64_t number;
    uint64_t version, ttl_ms, timeout_ms;
};
struct reg_kv_told { /* borrowed for the call */
    bool done;
    struct plex_bytes value; /* LIST: keys, WATCH: "PUT key", one a line */
    int64_t number;
    uint64_t version;
};
typedef void (*reg_kv_fn)(void *arg, enum plex_status status, const char *text,
                          const struct reg_kv_told *told);
/* Changes happen once, however often the link has to repeat them. `strip`:
 * bytes of prefix that keys of lists are given without. */
void reg_client_kv(const struct plex_host *host,
                   const struct plex_context *context,
                   const struct reg_kv_ask *ask, size_t strip, reg_kv_fn done,
                   void *arg);

#endif
