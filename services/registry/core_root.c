/*
 * Which worker runs the processes of an application.
 *
 * Its lease on the node's name is its lease on the processes, too. Who has
 * them keeps them; who is lost keeps them for a while longer, in which it
 * notices that it is lost; whoever still claims them, having them from an
 * earlier life of the registry or not having stopped them yet, is waited for.
 */
#include "services/registry/core_private.h"

#include "common/mem.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_MAX = 64 + 32 + 64 + 3 };

static size_t
key_of(char key[KEY_MAX], const char *tenant, const char *ns, const char *app)
{
    const int len = snprintf(key, KEY_MAX, "%s/%s/%s", tenant, ns, app);

    return len > 0 && len < KEY_MAX ? (size_t)len : 0;
}

/* -- claims ---------------------------------------------------------------- */

static int
by_key(const void *a, const void *b)
{
    return strcmp(((const struct reg_claim_rec *)a)->key,
                  ((const struct reg_claim_rec *)b)->key);
}

void
reg_claims_free(struct reg_node_rec *rec)
{
    for (size_t i = 0; i < rec->n_claims; i++)
        free(rec->claims[i].key);
    free(rec->claims);
    rec->claims = NULL;
    rec->n_claims = 0;
}

bool
reg_claims_take(struct reg_node_rec *rec, const struct reg_node *node)
{
    struct reg_claim_rec *claims =
        plex_calloc(node->n_claims + 1, sizeof *claims);
    bool same = rec->n_claims == node->n_claims;
    char key[KEY_MAX];

    for (size_t i = 0; i < node->n_claims; i++) {
        const struct reg_claim *claim = &node->claims[i];

        (void)key_of(key, claim->tenant, claim->ns, claim->app);
        claims[i].key = plex_strdup(key);
        claims[i].epoch = claim->epoch;
    }
    qsort(claims, node->n_claims, sizeof *claims, by_key);
    for (size_t i = 0; same && i < node->n_claims; i++)
        same = strcmp(claims[i].key, rec->claims[i].key) == 0 &&
               claims[i].epoch == rec->claims[i].epoch;
    reg_claims_free(rec);
    rec->claims = claims;
    rec->n_claims = node->n_claims;
    return !same;
}

static const struct reg_claim_rec *
claim_of(const struct reg_node_rec *rec, char *key)
{
    const struct reg_claim_rec want = {.key = key};

    if (rec->n_claims == 0)
        return NULL;
    return bsearch(&want, rec->claims, rec->n_claims, sizeof want, by_key);
}

/* -- assignments ----------------------------------------------------------- */

static uint64_t
given_up_ns(const struct reg_core *core, const struct reg_node_rec *rec)
{
    return rec->lease_end_ns + reg_ms(core->config.hold_ms);
}

/* Look again then. */
static void
wake_at(struct reg_core *core, uint64_t at_ns)
{
    if (at_ns < core->roots_wake_ns)
        core->roots_wake_ns = at_ns;
}

static bool
may_have(const struct reg_node_rec *rec)
{
    return !rec->lost && rec->node.status != REG_NODE_DRAINING &&
           !rec->node.without_trees;
}

/* Who has it may keep it. */
static bool
keeps(struct reg_core *core, const struct reg_root_rec *root, uint64_t now_ns)
{
    const size_t at = reg_core_node_seek(core, root->node_id);
    const struct reg_node_rec *rec;

    if (root->node_id[0] == '\0' || at == core->n_nodes)
        return false;
    rec = core->nodes[at];
    if (strcmp(rec->node.node_id, root->node_id) != 0 ||
        rec->node.incarnation != root->incarnation)
        return false;
    if (rec->lost && now_ns < given_up_ns(core, rec)) {
        wake_at(core, given_up_ns(core, rec));
        return true;
    }
    return may_have(rec);
}

static void
give(struct reg_core *core, struct reg_root_rec *root,
     const struct reg_node_rec *to, uint64_t epoch)
{
    (void)snprintf(root->node_id, sizeof root->node_id, "%s",
                   to == NULL ? "" : to->node.node_id);
    root->incarnation = to == NULL ? 0 : to->node.incarnation;
    if (to == NULL)
        return;
    root->epoch = epoch;
    reg_note(core, "processes of %s: node %s, epoch %" PRIu64, root->key,
             root->node_id, epoch);
}

/* True when somebody's claim decides: it is given to them, or waited for. */
static bool
claimed(struct reg_core *core, struct reg_root_rec *root, uint64_t now_ns)
{
    bool waits = false;

    for (size_t i = 0; i < core->n_nodes; i++) {
        const struct reg_node_rec *rec = core->nodes[i];
        const struct reg_claim_rec *claim = claim_of(rec, root->key);

        if (claim == NULL || claim->epoch < root->epoch)
            continue;
        if (may_have(rec)) {
            give(core, root, rec, claim->epoch);
            return true;
        }
        if (!rec->lost)
            waits = true; /* draining: its announcement will say */
        else if (now_ns < given_up_ns(core, rec)) {
            wake_at(core, given_up_ns(core, rec));
            waits = true;
        }
    }
    return waits;
}

static void
assign(struct reg_core *core, struct reg_root_rec *root, uint64_t now_ns)
{
    give(core, root, NULL, 0);
    if (claimed(core, root, now_ns))
        return;
    if (now_ns < core->grace_end_ns || now_ns < root->held_until) {
        wake_at(core, core->grace_end_ns > root->held_until ? core->grace_end_ns
                                                            : root->held_until);
        return;
    }
    for (size_t i = 0; i < core->n_nodes; i++) {
        const struct reg_node_rec *rec = core->nodes[i];

        if (!may_have(rec) || rec->node.status != REG_NODE_READY ||
            strcmp(rec->node.kind, "worker") != 0)
            continue;
        give(core, root, rec,
             core->version >= root->epoch ? core->version + 1
                                          : root->epoch + 1);
        return;
    }
}

static struct reg_root_rec *
root_get(struct reg_core *core, const struct reg_app *app)
{
    char key[KEY_MAX];
    const size_t len = key_of(key, app->tenant, app->ns, app->name);
    struct reg_root_rec *root;

    HASH_FIND(hh, core->roots, key, len, root);
    if (root != NULL)
        return root;
    root = plex_calloc(1, sizeof *root + len + 1);
    memcpy(root->key, key, len);
    HASH_ADD_KEYPTR(hh, core->roots, root->key, len, root);
    return root;
}

static bool
roots_look(struct reg_core *core, uint64_t now_ns)
{
    bool changed = false;

    core->roots_wake_ns = UINT64_MAX;
    for (size_t i = 0; i < core->n_apps; i++) {
        struct reg_app *app = &core->apps[i]->full.app;
        struct reg_root_rec *root;
        uint64_t before;

        if (app->supervisor == NULL)
            continue;
        root = root_get(core, app);
        before = root->incarnation;
        if (app->state != REG_APP_RUNNING)
            give(core, root, NULL, 0);
        else if (!keeps(core, root, now_ns))
            assign(core, root, now_ns);
        changed = changed || before != root->incarnation;
        app->root =
            (struct reg_root){root->node_id, root->incarnation,
                              root->node_id[0] == '\0' ? 0 : root->epoch};
    }
    return changed;
}

void
reg_roots_update(struct reg_core *core, uint64_t now_ns)
{
    (void)roots_look(core, now_ns);
}

void
reg_roots_tick(struct reg_core *core, uint64_t now_ns)
{
    if (now_ns >= core->roots_wake_ns && roots_look(core, now_ns))
        reg_bump(core, now_ns);
}

void
reg_roots_hold(struct reg_core *core, const struct reg_node_rec *rec)
{
    struct reg_root_rec *root, *next;

    HASH_ITER(hh, core->roots, root, next)
    {
        if (root->incarnation == rec->node.incarnation &&
            strcmp(root->node_id, rec->node.node_id) == 0)
            root->held_until = given_up_ns(core, rec);
    }
}

void
reg_root_forget(struct reg_core *core, struct reg_app *app)
{
    char key[KEY_MAX];
    const size_t len = key_of(key, app->tenant, app->ns, app->name);
    struct reg_root_rec *root;

    HASH_FIND(hh, core->roots, key, len, root);
    app->root = (struct reg_root){.node_id = ""};
    if (root == NULL)
        return;
    HASH_DEL(core->roots, root);
    free(root);
}

void
reg_roots_free(struct reg_core *core)
{
    struct reg_root_rec *root, *next;

    HASH_ITER(hh, core->roots, root, next)
    {
        HASH_DEL(core->roots, root);
        free(root);
    }
}
