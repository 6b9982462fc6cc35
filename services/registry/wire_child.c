/* Children that are a behaviour of a module and have facets: each gets a type
 * of its own, as if the manifest had declared it. */
#include "services/registry/wire_tree.h"

#include "common/wire.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define APP(name) Plexspaces__Application__V1__##name

enum { DEPTH_MAX = 40, NAME_BYTES_MAX = 128 };

struct making {
    APP(Application) * app;
    struct plex_arena *arena;
    const char *path[DEPTH_MAX]; /* ids, from the root */
    size_t depth, cap;           /* cap: room for types */
};

static size_t
count(const APP(Supervisor) * tree, size_t depth)
{
    size_t n = 0;

    for (size_t i = 0;
         tree != NULL && depth < DEPTH_MAX && i < tree->n_children; i++)
        n += (tree->children[i]->n_facets > 0) +
             count(tree->children[i]->supervisor, depth + 1);
    return n;
}

/* "application-id-id", in the letters that types have. */
static char *
type_name(const struct making *making, struct plex_err *err)
{
    char name[NAME_BYTES_MAX + 1];
    size_t len =
        (size_t)snprintf(name, sizeof name, "%.64s", making->app->name);

    for (size_t i = 0; i < making->depth && len < sizeof name; i++)
        len += (size_t)snprintf(name + len, sizeof name - len, "-%s",
                                making->path[i]);
    for (char *c = name; *c != '\0'; c++)
        if (!islower((unsigned char)*c) && !isdigit((unsigned char)*c))
            *c = isupper((unsigned char)*c) ? (char)tolower((unsigned char)*c)
                                            : '-';
    for (size_t i = 0; i < making->app->n_actor_types; i++)
        if (strcmp(making->app->actor_types[i]->name, name) == 0) {
            (void)plex_err_set(err, PLEX_INVALID,
                               "its facets want a type \"%.80s\", which there "
                               "is already: give it a type of its own",
                               name);
            return NULL;
        }
    if (len < sizeof name)
        return plex_arena_strndup(making->arena, name, len);
    (void)plex_err_set(err, PLEX_INVALID,
                       "with its facets its path is longer than %d bytes: "
                       "give it a type of its own",
                       NAME_BYTES_MAX);
    return NULL;
}

static enum plex_status
child_make(struct making *making, APP(Child) * child, struct plex_err *err)
{
    APP(Application) *app = making->app;
    APP(ActorType) * type;

    if (child->type[0] != '\0')
        return plex_err_set(err, PLEX_INVALID,
                            "it has those facets that its type \"%.80s\" "
                            "declares: leave out facets, or type",
                            child->type);
    if (child->module[0] == '\0')
        return plex_err_set(err, PLEX_INVALID,
                            "a supervisor has no facets: they stand around "
                            "callbacks");
    type = plex_wire_array(making->arena, 1, sizeof *type);
    if (type == NULL)
        return plex_wire_no_room(err);
    plexspaces__application__v1__actor_type__init(type);
    err->status = PLEX_OK;
    type->name = type_name(making, err);
    if (type->name == NULL)
        return err->status != PLEX_OK ? err->status : plex_wire_no_room(err);
    type->module = child->module;
    type->behaviour =
        child->behaviour[0] == '\0' ? child->module : child->behaviour;
    type->facets = child->facets;
    type->n_facets = child->n_facets;
    app->actor_types[app->n_actor_types++] = type;
    child->type = type->name;
    child->module = child->behaviour = plex_wire_text("");
    child->facets = NULL;
    child->n_facets = 0;
    return PLEX_OK;
}

static enum plex_status
walk(struct making *making, APP(Supervisor) * tree, struct plex_err *err)
{
    if (tree == NULL || making->depth == DEPTH_MAX)
        return PLEX_OK; /* the tree's own check says that it is too deep */
    for (size_t i = 0; i < tree->n_children; i++) {
        APP(Child) *child = tree->children[i];
        enum plex_status status = PLEX_OK;

        making->path[making->depth++] = child->id;
        if (child->n_facets > 0)
            status = child_make(making, child, err);
        if (status == PLEX_OK)
            status = walk(making, child->supervisor, err);
        making->depth--;
        if (status != PLEX_OK)
            return plex_err_wrap(err, "children[%zu]", i);
    }
    return PLEX_OK;
}

enum plex_status
reg_pb_children_types(APP(Application) * app, struct plex_arena *arena,
                      struct plex_err *err)
{
    const size_t more = count(app->supervisor, 0);
    struct making making = {.app = app, .arena = arena};
    APP(ActorType) * *types;

    if (more == 0)
        return PLEX_OK;
    types = plex_wire_array(arena, app->n_actor_types + more, sizeof *types);
    if (types == NULL)
        return plex_wire_no_room(err);
    if (app->n_actor_types > 0)
        memcpy(types, app->actor_types, app->n_actor_types * sizeof *types);
    app->actor_types = types;
    return walk(&making, app->supervisor, err);
}
