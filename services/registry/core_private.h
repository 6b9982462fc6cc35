#ifndef SERVICES_REGISTRY_CORE_PRIVATE_H
#define SERVICES_REGISTRY_CORE_PRIVATE_H

#include "services/registry/core.h"

/* The default one falls through switch labels in a way clang dislikes. */
#define HASH_FUNCTION HASH_FNV
#include <uthash.h>

/* Shared by the files of the core: core.c (actions, watching), core_node.c
 * (nodes and leases), core_app.c (applications) and core_root.c (who runs
 * their processes). */

struct reg_claim_rec {
    char *key; /* "tenant/namespace/application" */
    uint64_t epoch;
};
struct reg_node_rec {
    struct reg_node node; /* strings owned; status as announced */
    uint64_t seen_ns;
    uint64_t lease_end_ns;
    bool lost;
    struct reg_claim_rec *claims; /* by key */
    size_t n_claims;
};

/* Who runs the processes of an application; as long as it is deployed. */
struct reg_root_rec {
    UT_hash_handle hh;
    char node_id[65];     /* "": nobody */
    uint64_t incarnation; /* 0: nobody */
    uint64_t epoch;       /* the highest given */
    uint64_t held_until;  /* by an earlier life of a node */
    char key[];
};

/* Which application has a type; the key is "tenant/namespace/type". */
struct reg_type_entry {
    UT_hash_handle hh;
    struct reg_app_rec *app; /* the one listed in core->apps */
    char key[];
};

enum reg_change_kind { REG_CHANGE_DEPLOY, REG_CHANGE_STATE, REG_CHANGE_REMOVE };
/* A change of an application, from its request until it is stored. */
struct reg_change {
    struct reg_change *next;
    enum reg_change_kind kind;
    void *call;
    struct reg_app_rec *app; /* what is to be; only names in a removal */
};

struct reg_watcher {
    struct reg_watcher *next;
    void *call;
    uint64_t have;
    uint64_t deadline_ns;
};

struct reg_core {
    struct reg_core_config config;
    uint64_t version;
    uint64_t first_version; /* of this life */
    uint64_t grace_end_ns;
    uint64_t revision;           /* the highest given */
    struct reg_node_rec **nodes; /* by node_id */
    size_t n_nodes;
    struct reg_app_rec **apps; /* by tenant, namespace, name */
    size_t n_apps;
    struct reg_type_entry *types;
    struct reg_root_rec *roots;
    uint64_t roots_wake_ns;                     /* UINT64_MAX: nothing waits */
    struct reg_change *changes, **changes_tail; /* head may be under way */
    size_t n_changes;
    bool storing; /* the head is with the store */
    struct reg_watcher *watchers, **watchers_tail;
    uint32_t n_watchers;
    struct reg_action *actions; /* [head, tail) */
    size_t actions_head, actions_tail, actions_cap;
};

static inline uint64_t
reg_ms(uint64_t ms)
{
    return ms * 1000000U;
}

/* core.c */
struct reg_action *reg_push(struct reg_core *core, enum reg_action_kind kind,
                            void *call);
void reg_push_fail(struct reg_core *core, void *call,
                   const struct plex_err *err);
void reg_note(struct reg_core *core, const char *fmt, ...) PLEX_PRINTF(2, 3);
/* The catalogue changed. */
void reg_bump(struct reg_core *core, uint64_t now_ns);

/* core_node.c */
void reg_nodes_expire(struct reg_core *core, uint64_t now_ns);
uint64_t reg_nodes_wake(const struct reg_core *core);
void reg_nodes_free(struct reg_core *core);

/* core_root.c */
/* What the node claims from now on; true when that is news. */
bool reg_claims_take(struct reg_node_rec *rec, const struct reg_node *node);
void reg_claims_free(struct reg_node_rec *rec);
/* Nodes or applications have changed; for reg_bump(). */
void reg_roots_update(struct reg_core *core, uint64_t now_ns);
void reg_roots_tick(struct reg_core *core, uint64_t now_ns);
/* Another life of a lost node begins: what the old one runs, it may run for a
 * while yet. */
void reg_roots_hold(struct reg_core *core, const struct reg_node_rec *rec);
void reg_root_forget(struct reg_core *core, struct reg_app *app);
void reg_roots_free(struct reg_core *core);

/* core_app.c */
void reg_apps_free(struct reg_core *core);

/* app.c: a copy as it is, nothing checked or filled in. */
struct reg_app_rec *reg_app_copy(const struct reg_app_full *in);
/* Everything a person can declare is the same. */
bool reg_app_same(const struct reg_app_rec *a, const struct reg_app_rec *b);

#endif
