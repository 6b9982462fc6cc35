/*
 * What starts that go by way of placement ask for: "?APP/CHILD/..." is a child
 * that a manifest declares, and anything that begins with '{' is a placement
 * in JSON, from code or from a request.
 */
#include "services/worker/node_private.h"

#include "sdk/c/include/plexspaces/supervisor.h"

#include <string.h>

enum { DEPTH_MAX = 32 };

bool
node_is_need(const char *address)
{
    return address[0] == '?' || address[0] == '{';
}

/* -- declared -------------------------------------------------------------- */

static const struct reg_child *
child_of(const struct reg_supervisor *tree, const char *path)
{
    while (tree != NULL) {
        const size_t len = strcspn(path, "/");
        const struct reg_child *found = NULL;

        for (size_t i = 0; i < tree->n_children && found == NULL; i++)
            if (strncmp(tree->children[i].id, path, len) == 0 &&
                tree->children[i].id[len] == '\0')
                found = &tree->children[i];
        if (found == NULL || path[len] == '\0')
            return found;
        tree = found->supervisor;
        path += len + 1;
    }
    return NULL;
}

/* `path` is "APP/CHILD/CHILD". */
static const struct reg_child *
declared(const struct work_node *node, struct rt_where where, const char *path)
{
    const size_t len = strcspn(path, "/");
    size_t n = 0;
    const struct reg_app *apps =
        node->catalog == NULL ? NULL : reg_catalog_apps(node->catalog, &n);

    for (size_t i = 0; i < n; i++)
        if (strcmp(apps[i].tenant, where.tenant) == 0 &&
            strcmp(apps[i].ns, where.ns) == 0 &&
            strncmp(apps[i].name, path, len) == 0 &&
            apps[i].name[len] == '\0' && path[len] == '/')
            return child_of(apps[i].supervisor, path + len + 1);
    return NULL;
}

/* -- from code and requests ------------------------------------------------ */

/* As manifests have it: "APP/CHILD/CHILD". The root is named like its
 * application; what lies on another worker is named by its ref. */
static void
path_of(struct work_node *node, struct plex_ref supervisor, const char *child,
        char out[NODE_ACTOR_TEXT])
{
    char rest[NODE_ACTOR_TEXT], ref[NODE_REF_TEXT];
    struct rt_info info;

    (void)snprintf(out, NODE_ACTOR_TEXT, "%s", child);
    for (int depth = 0; depth < DEPTH_MAX; depth++) {
        const bool known = supervisor.node == node->config.host->incarnation &&
                           rt_inspect(node->rt, supervisor, &info) == 0;
        const bool inner =
            known && info.child[0] != '\0' && info.supervisor.id != 0;

        memcpy(rest, out, sizeof rest);
        (void)snprintf(out, NODE_ACTOR_TEXT, "%.127s/%.*s",
                       inner ? info.child
                       : known && info.name[0] != '\0'
                           ? info.name
                           : node_ref_text(supervisor, ref),
                       NODE_ACTOR_TEXT - 129, rest);
        if (!inner)
            return;
        supervisor = info.supervisor;
    }
}

/* -- both ------------------------------------------------------------------ */

enum plex_status
node_need_of(struct work_node *node, const struct node_start *start,
             struct plex_arena *arena, struct node_need *out,
             struct plex_err *err)
{
    const struct reg_child *child;
    struct rt_info info;

    out->alone = start->child != NULL &&
                 rt_inspect(node->rt, start->supervisor, &info) == 0 &&
                 !info.of_many;
    if (start->address[0] == '{') {
        out->actor[0] = '\0';
        if (start->child != NULL)
            path_of(node, start->supervisor, start->child, out->actor);
        return place_client_need_json(start->address, arena, &out->placement,
                                      err);
    }
    (void)snprintf(out->actor, sizeof out->actor, "%s", start->address + 1);
    child = declared(node, start->where, out->actor);
    if (child == NULL || child->placement.len == 0)
        return plex_err_set(err, PLEX_NOT_FOUND, "it is not declared any more");
    out->placement = child->placement;
    return PLEX_OK;
}
