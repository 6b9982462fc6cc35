#ifndef SERVICES_REGISTRY_CORE_H
#define SERVICES_REGISTRY_CORE_H

#include "common/arena.h"
#include "services/registry/client.h"

/*
 * The catalogue: who runs (nodes, with leases, in memory) and what is deployed
 * (applications, durable).
 *
 * Pure: time comes in as arguments (`now_ns` monotonic, `wall_ms` for stamps),
 * results are popped with reg_core_next(). After every input, pop until it
 * returns false; then reg_core_wake() says when reg_core_tick() is due.
 *
 * `call` is the caller's own token for one request; it comes back in exactly
 * one action. Changes of applications are stored one at a time, in order.
 */
struct reg_core;

enum {
    REG_URL_MAX = 255,
    REG_REASON_MAX = 255,
    REG_TYPES_MAX = 1000, /* per application */
    REG_FACETS_MAX = 16,  /* per type */
    REG_CONFIG_MAX = 32,  /* entries per facet */
    REG_DESCRIPTION_MAX = 1024,
    REG_PAGE_MAX = 1000,
    REG_NOTE_MAX = 256,
};

/* -- applications in full -------------------------------------------------- */

/* What a type declares beyond reg_actor_type. */
struct reg_type_extra {
    const struct reg_facet *facets;
    size_t n_facets;
    double cpu_cores;
    uint64_t memory_bytes;
};
/* `extras` has as many entries as app.types, or is NULL. */
struct reg_app_full {
    struct reg_app app;
    const struct reg_type_extra *extras;
};
/* Immutable, counted, everything inside. */
struct reg_app_rec {
    unsigned refs;
    struct reg_app_full full;
    struct plex_arena *memory;
};
struct reg_app_rec *reg_app_rec_ref(struct reg_app_rec *rec);
void reg_app_rec_unref(struct reg_app_rec *rec); /* accepts NULL */

/*
 * Check an application as a person declared it, and copy it with defaults
 * filled in and the facets virtual_actor and durability resolved. Tenant and
 * the output-only fields are taken as they are; "" or NULL are both "not
 * given".
 *
 * Errors: PLEX_INVALID naming the field ("actor_types[3].name"), what it holds
 * and what would be right.
 */
PLEX_MUST_USE enum plex_status reg_app_resolve(const struct reg_app_full *in,
                                               struct reg_app_rec **out,
                                               struct plex_err *err);

/* -- the core ---------------------------------------------------------------
 */

struct reg_core_config {
    uint32_t lease_ms;     /* of nodes; 1500 */
    uint32_t grace_ms;     /* after a start, catalogues of an earlier life are
                              answered only then: nodes announce first; 1500 */
    uint32_t hold_ms;      /* lost nodes keep their processes so long; 1500 */
    uint32_t forget_ms;    /* lost nodes are listed so long; 600000 */
    uint32_t nodes_max;    /* 4096 */
    uint32_t apps_max;     /* in all; 10000 */
    uint32_t types_max;    /* in all; 100000 */
    uint32_t watchers_max; /* 4096 */
    uint32_t changes_max;  /* waiting to be stored; 1024 */
};
extern const struct reg_core_config reg_core_defaults;

enum reg_action_kind {
    /* Make it durable, then call reg_core_stored(). One at a time. */
    REG_ACTION_PUT = 1, /* app: insert or replace */
    REG_ACTION_DELETE,  /* app: remove the one of this name */
    /* Replies. */
    REG_ACTION_ANNOUNCED, /* lease_ms, version */
    REG_ACTION_WITHDRAWN, /* - */
    REG_ACTION_CATALOG,   /* version; unchanged, or pack the catalogue */
    REG_ACTION_APP,       /* app: deploy, start and stop succeeded */
    REG_ACTION_GONE,      /* undeploy succeeded */
    REG_ACTION_FAIL,      /* status, text */
    REG_ACTION_NOTE,      /* text: a line for the log */
};
struct reg_action {
    enum reg_action_kind kind;
    void *call;
    enum plex_status status;
    uint64_t lease_ms;
    uint64_t version;
    bool unchanged;
    struct reg_app_rec *app; /* a reference for the popper: unref it */
    char text[REG_NOTE_MAX];
};

/* Versions start at wall_ms, so that they grow over restarts too. */
struct reg_core *reg_core_create(const struct reg_core_config *config,
                                 uint64_t now_ns, uint64_t wall_ms);
void reg_core_free(struct reg_core *core); /* accepts NULL */
/* At start: an application as stored, and the highest revision ever given. */
PLEX_MUST_USE enum plex_status reg_core_load(struct reg_core *core,
                                             const struct reg_app_full *app,
                                             struct plex_err *err);
void reg_core_load_revision(struct reg_core *core, uint64_t revision);

bool reg_core_next(struct reg_core *core, struct reg_action *out);
uint64_t reg_core_wake(const struct reg_core *core);
void reg_core_tick(struct reg_core *core, uint64_t now_ns);

/* EXISTS while another incarnation of the node_id holds a live lease. */
void reg_core_announce(struct reg_core *core, void *call,
                       const struct reg_node *node, uint64_t now_ns);
void reg_core_withdraw(struct reg_core *core, void *call, const char *node_id,
                       uint64_t incarnation, uint64_t now_ns);
/* Answers at once when the version differs from have_version, else when it
 * changes or after timeout_ms (at most 60 s). */
void reg_core_watch(struct reg_core *core, void *call, uint64_t have_version,
                    uint64_t timeout_ms, uint64_t now_ns);
/* Everybody who watches is told UNAVAILABLE, with `why`: we stop. */
void reg_core_dismiss(struct reg_core *core, const char *why);

/* app.tenant comes from the call's context. Errors: INVALID; EXISTS when a
 * type belongs to another application of the namespace; LIMIT. The same
 * content again keeps the revision. */
void reg_core_deploy(struct reg_core *core, void *call,
                     const struct reg_app_full *app, uint64_t now_ns,
                     uint64_t wall_ms);
/* `ns` "" means "default". NOT_FOUND. */
void reg_core_set_state(struct reg_core *core, void *call, const char *tenant,
                        const char *ns, const char *name,
                        enum reg_app_state state, uint64_t now_ns);
void reg_core_undeploy(struct reg_core *core, void *call, const char *tenant,
                       const char *ns, const char *name, uint64_t now_ns);
/* The outcome of the last PUT or DELETE. */
void reg_core_stored(struct reg_core *core, enum plex_status status,
                     const char *text, uint64_t now_ns);

/* -- reading; borrowed until the next input ---------------------------------
 */

uint64_t reg_core_version(const struct reg_core *core);
/* In order of node_id; the ages are as of now_ns. */
size_t reg_core_nodes(const struct reg_core *core);
struct reg_node reg_core_node(const struct reg_core *core, size_t i,
                              uint64_t now_ns);
/* Index of the first node_id >= `node_id`. */
size_t reg_core_node_seek(const struct reg_core *core, const char *node_id);
/* In order of tenant, namespace, name. */
size_t reg_core_apps(const struct reg_core *core);
struct reg_app_rec *reg_core_app(const struct reg_core *core, size_t i);
size_t reg_core_app_seek(const struct reg_core *core, const char *tenant,
                         const char *ns, const char *name);
struct reg_core_stats {
    uint32_t nodes_live, nodes_lost, apps, types, watchers;
};
struct reg_core_stats reg_core_stats(const struct reg_core *core);

#endif
