/*
 * Supervision trees of applications. Each has a keeper: a process that starts
 * the root, is told to stop it, and says how it ended. The registry says which
 * trees are ours (core_root.c there); we keep claiming one until it has been
 * stopped.
 */
#include "services/worker/node_private.h"

#include "common/log.h"
#include "common/mem.h"
#include "sdk/c/include/plexspaces/supervisor.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* -- the keeper, on executors ---------------------------------------------- */

enum { KEEP_STOP = 1 };

struct keeper {
    struct work_tree *tree; /* outlives the keeper */
    struct plex_ref root;
};
struct tree_note {
    struct node_note note;
    struct work_tree *tree;
    struct plex_ref keeper, root;
    bool up;
    char reason[128];
};

static void
say(struct plex_ctx *ctx, bool up, const char *reason)
{
    struct keeper *keeper = plex_data(ctx);
    struct tree_note *note = plex_calloc(1, sizeof *note);

    note->note.kind = NOTE_TREE;
    note->tree = keeper->tree;
    note->keeper = plex_self_ref(ctx);
    note->root = keeper->root;
    note->up = up;
    (void)snprintf(note->reason, sizeof note->reason, "%s", reason);
    node_note_push(keeper->tree->node, &note->note);
}

static int
keeper_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    struct keeper *keeper = plex_data(ctx);
    struct plex_spawn how = {.link = true};
    struct plex_child_count count;
    int status;

    if (len != sizeof keeper->tree)
        return -1;
    memcpy(&keeper->tree, args, sizeof keeper->tree);
    how.behaviour = node_plan_supervisor(keeper->tree->plan, 0);
    how.name = keeper->tree->app;
    status = plex_spawn(ctx, &how, &keeper->root);
    if (status < 0) {
        say(ctx, false, plex_status_text((enum plex_status) - status));
        plex_exit_self(ctx, "normal");
    } else if (plex_count_children(ctx, keeper->root, &count) == 0) {
        say(ctx, true, ""); /* it answers when its children run */
    }                       /* else its exit says why not */
    return 0;
}

static int
keeper_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct keeper *keeper = plex_data(ctx);

    if (msg->kind != PLEX_MSG_EXIT || !plex_ref_is(msg->from, keeper->root))
        return 0;
    say(ctx, false, msg->reason);
    plex_exit_self(ctx, "normal");
    return 0;
}

static int
keeper_cast(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct keeper *keeper = plex_data(ctx);

    if (msg->tag == KEEP_STOP)
        plex_exit(ctx, keeper->root, "shutdown");
    return 0;
}

static int
keeper_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    (void)msg;
    return plex_fail(ctx, "the keeper of a tree takes no calls");
}

static const struct plex_behaviour keeper_behaviour = {
    .name = "keeper",
    .handle_call = keeper_call,
    .handle_cast = keeper_cast,
    .init = keeper_init,
    .handle_info = keeper_info,
    .data_size = sizeof(struct keeper),
    .trap_exit = true,
};

/* -- trees, on the loop ---------------------------------------------------- */

static bool
may_run(const struct work_node *node)
{
    return node->allowed && !node->draining && !node->evicted;
}

static const struct reg_app *
wanted(const struct work_node *node, const char *tenant, const char *ns,
       const char *name)
{
    const struct plex_host *host = node->config.host;
    size_t n = 0;
    const struct reg_app *apps =
        node->catalog == NULL ? NULL : reg_catalog_apps(node->catalog, &n);

    for (size_t i = 0; i < n && may_run(node); i++)
        if (apps[i].supervisor != NULL &&
            apps[i].root.incarnation == host->incarnation &&
            strcmp(apps[i].root.node_id, host->base->node) == 0 &&
            strcmp(apps[i].name, name) == 0 && strcmp(apps[i].ns, ns) == 0 &&
            strcmp(apps[i].tenant, tenant) == 0)
            return &apps[i];
    return NULL;
}

static void
tree_wait(struct work_tree *tree, const char *why)
{
    uint64_t ms = WORK_TREE_AGAIN_MS;

    for (unsigned i = 0; i < tree->failures && ms < WORK_TREE_AGAIN_MAX_MS; i++)
        ms *= 2;
    ms = ms < WORK_TREE_AGAIN_MAX_MS ? ms : WORK_TREE_AGAIN_MAX_MS;
    tree->failures++;
    tree->state = TREE_WAITING;
    tree->again_at = plex_now() + ms * UINT64_C(1000000);
    plex_log(PLEX_LOG_ERROR, "worker.tree",
             "processes of %s/%s/%s: %s; they are started again in %" PRIu64
             " ms",
             tree->tenant, tree->ns, tree->app, why, ms);
}

static void
tree_start(struct work_tree *tree, const struct reg_app *app)
{
    struct work_node *node = tree->node;
    struct plex_spawn how = {
        .behaviour = &keeper_behaviour, .args = &tree, .args_len = sizeof tree};
    struct plex_err err;
    int status;

    if (app->revision != tree->revision) {
        node_plan_retire(node, tree->plan);
        tree->plan = NULL;
    }
    tree->revision = app->revision;
    tree->epoch = app->root.epoch;
    tree->keeper = tree->root = (struct plex_ref){0};
    if (tree->plan == NULL &&
        node_plan_make(node, app, &tree->plan, &err) != PLEX_OK) {
        tree_wait(tree, err.text);
        return;
    }
    tree->state = TREE_STARTING;
    status = rt_spawn(node->rt, (struct rt_where){tree->tenant, tree->ns}, &how,
                      NULL, NULL, &tree->keeper);
    if (status < 0)
        tree_wait(tree, plex_status_text((enum plex_status) - status));
}

static void
tree_stop(struct work_tree *tree)
{
    const struct plex_post stop = {
        .kind = PLEX_MSG_CAST, .tag = KEEP_STOP, .payload = ""};

    if (tree->state != TREE_STARTING && tree->state != TREE_RUNNING)
        return;
    plex_log(PLEX_LOG_INFO, "worker.tree", "stopping processes of %s/%s/%s",
             tree->tenant, tree->ns, tree->app);
    tree->state = TREE_STOPPING;
    (void)rt_send(tree->node->rt, tree->keeper, &stop);
}

static void
tree_free(struct work_tree *tree)
{
    struct work_tree **at = &tree->node->trees;

    while (*at != tree)
        at = &(*at)->next;
    *at = tree->next;
    node_plan_retire(tree->node, tree->plan);
    free(tree->tenant);
    free(tree->ns);
    free(tree->app);
    free(tree);
}

static struct work_tree *
tree_find(const struct work_node *node, const struct reg_app *app)
{
    for (struct work_tree *tree = node->trees; tree != NULL; tree = tree->next)
        if (strcmp(tree->app, app->name) == 0 &&
            strcmp(tree->ns, app->ns) == 0 &&
            strcmp(tree->tenant, app->tenant) == 0)
            return tree;
    return NULL;
}

static struct work_tree *
tree_make(struct work_node *node, const struct reg_app *app)
{
    struct work_tree *tree = plex_calloc(1, sizeof *tree);

    tree->node = node;
    tree->tenant = plex_strdup(app->tenant);
    tree->ns = plex_strdup(app->ns);
    tree->app = plex_strdup(app->name);
    tree->next = node->trees;
    node->trees = tree;
    return tree;
}

/* What should become of it, as things stand. True when it is gone. */
static bool
tree_look(struct work_tree *tree)
{
    const struct reg_app *app =
        wanted(tree->node, tree->tenant, tree->ns, tree->app);
    const bool at_work =
        tree->state == TREE_STARTING || tree->state == TREE_RUNNING;

    if (app == NULL && !at_work && tree->state != TREE_STOPPING) {
        tree_free(tree);
        return true;
    }
    if (app == NULL || (at_work && app->revision != tree->revision)) {
        tree_stop(tree);
        return false;
    }
    if (at_work)
        tree->epoch = app->root.epoch;
    else if (tree->state == TREE_WAITING &&
             (app->revision != tree->revision || plex_now() >= tree->again_at))
        tree_start(tree, app);
    return false;
}

void
node_trees_look(struct work_node *node)
{
    const struct plex_host *host = node->config.host;
    bool changed = false;
    size_t n = 0;
    const struct reg_app *apps =
        node->catalog == NULL ? NULL : reg_catalog_apps(node->catalog, &n);

    if (node->stopping)
        return;
    for (struct work_tree *tree = node->trees, *next; tree != NULL;
         tree = next) {
        next = tree->next;
        changed = tree_look(tree) || changed;
    }
    for (size_t i = 0; i < n && may_run(node); i++) {
        if (apps[i].supervisor == NULL ||
            apps[i].root.incarnation != host->incarnation ||
            strcmp(apps[i].root.node_id, host->base->node) != 0 ||
            tree_find(node, &apps[i]) != NULL)
            continue;
        tree_start(tree_make(node, &apps[i]), &apps[i]);
        changed = true;
    }
    if (changed)
        node->config.claims_changed(node->config.arg);
}

void
node_trees_again(struct work_node *node)
{
    for (struct work_tree *tree = node->trees; tree != NULL; tree = tree->next)
        tree->again_at = 0;
}

static void
tree_up(struct work_tree *tree, struct plex_ref root)
{
    tree->root = root;
    if (tree->state != TREE_STARTING)
        return;
    tree->state = TREE_RUNNING;
    tree->since = plex_now();
    plex_log(PLEX_LOG_INFO, "worker.tree",
             "processes of %s/%s/%s run here, revision %" PRIu64
             ", epoch %" PRIu64,
             tree->tenant, tree->ns, tree->app, tree->revision, tree->epoch);
}

static void
tree_down(struct work_tree *tree, const char *reason)
{
    struct work_node *node = tree->node;
    char why[192];

    tree->keeper = (struct plex_ref){0};
    if (tree->state == TREE_STOPPING) {
        const struct reg_app *app =
            wanted(node, tree->tenant, tree->ns, tree->app);

        plex_log(PLEX_LOG_INFO, "worker.tree", "processes of %s/%s/%s stopped",
                 tree->tenant, tree->ns, tree->app);
        if (app != NULL) {
            tree->failures = 0;
            tree_start(tree, app);
        } else {
            tree_free(tree);
            node->config.claims_changed(node->config.arg);
        }
        return;
    }
    /* Having run for long enough it is forgiven what was before. */
    if (tree->state == TREE_RUNNING &&
        plex_now() - tree->since > WORK_TREE_AGAIN_MAX_MS * UINT64_C(1000000))
        tree->failures = 0;
    (void)snprintf(why, sizeof why, "%s: %s",
                   tree->state == TREE_RUNNING ? "the root ended"
                                               : "they did not start",
                   reason);
    tree_wait(tree, why);
}

void
node_tree_noted(struct work_node *node, struct node_note *base)
{
    struct tree_note *note = plex_container_of(base, struct tree_note, note);

    for (struct work_tree *tree = node->trees; tree != NULL; tree = tree->next)
        if (tree == note->tree && plex_ref_is(tree->keeper, note->keeper)) {
            if (note->up)
                tree_up(tree, note->root);
            else
                tree_down(tree, note->reason);
            break;
        }
    free(note);
}

void
node_tree_ended(struct work_node *node, struct plex_ref process,
                const char *reason)
{
    for (struct work_tree *tree = node->trees; tree != NULL; tree = tree->next)
        if (plex_ref_is(tree->keeper, process)) {
            tree_down(tree, reason);
            return;
        }
}

uint64_t
node_trees_due(const struct work_node *node, uint64_t now)
{
    uint64_t due = UINT64_MAX;

    for (const struct work_tree *tree = node->trees; tree != NULL;
         tree = tree->next)
        if (tree->state == TREE_WAITING && tree->again_at < due)
            due = tree->again_at;
    return due == UINT64_MAX ? due : due > now ? due - now : 0;
}

size_t
work_node_claims(struct work_node *node, const struct reg_claim **out)
{
    size_t n = 0;

    for (const struct work_tree *tree = node->trees; tree != NULL;
         tree = tree->next) {
        if (n == node->claims_cap) {
            node->claims_cap = n == 0 ? 16 : n * 2;
            node->claims = plex_reallocarray(node->claims, node->claims_cap,
                                             sizeof *node->claims);
        }
        node->claims[n++] =
            (struct reg_claim){tree->tenant, tree->ns, tree->app, tree->epoch};
    }
    *out = node->claims;
    return n;
}

void
node_trees_free(struct work_node *node)
{
    while (node->trees != NULL)
        tree_free(node->trees);
}
