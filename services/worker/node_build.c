/*
 * From a manifest to behaviours. A child that runs on another worker is named
 * there by text: "label=module/behaviour" for a behaviour of a module, and
 * "supervisor=tenant/namespace/application/revision/n" for the n-th supervisor
 * of a tree, which that worker makes from its own catalogue. The node of a
 * child that is placed is "?APP/CHILD/...": node_place.c finds a worker.
 */
#include "services/worker/node_private.h"

#include "common/log.h"
#include "common/mem.h"

#include <assert.h>
#include <dlfcn.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    PATH_BYTES_MAX = 4300,
    NAME_MAX_BYTES = 1000,
    FACETS_MAX_BYTES = 400,
    PLAN_BYTES_MAX = 256 << 20
};

struct node_plan {
    struct node_plan *next; /* retired */
    struct plex_arena memory;
    const struct plex_behaviour **supervisors;
    size_t n, cap;
};

struct build {
    struct work_node *node;
    const struct reg_app *app;
    struct node_plan *plan;
    struct plex_err *err;
    char path[PATH_BYTES_MAX]; /* "APP/CHILD/CHILD" */
};

size_t
node_label(const char *behaviour)
{
    return strcspn(behaviour, "=");
}

static void *
get(struct build *build, size_t size)
{
    void *memory = plex_arena_alloc(&build->plan->memory, size);

    if (memory == NULL) {
        (void)plex_err_set(build->err, PLEX_LIMIT,
                           "the tree needs more than %d bytes", PLAN_BYTES_MAX);
        return NULL;
    }
    memset(memory, 0, size);
    return memory;
}

static const char *
text(struct build *build, const char *from)
{
    char *copy = get(build, strlen(from) + 1);

    if (copy != NULL)
        memcpy(copy, from, strlen(from) + 1);
    return copy;
}

/* -- workers --------------------------------------------------------------- */

static const struct reg_actor_type *
type_of(const struct reg_app *app, const char *name)
{
    for (size_t i = 0; i < app->n_types; i++)
        if (strcmp(app->types[i].name, name) == 0)
            return &app->types[i];
    return NULL;
}

static const struct plex_behaviour *
worker_behaviour(struct build *build, const struct reg_child *child,
                 bool elsewhere)
{
    const struct reg_actor_type *type =
        child->type[0] == '\0' ? NULL : type_of(build->app, child->type);
    const char *module = type == NULL ? child->module : type->module;
    const char *behaviour = type == NULL ? child->behaviour : type->behaviour;
    const char *label = type == NULL ? behaviour : type->name;
    const struct plex_behaviour *from = NULL;
    struct plex_behaviour *copy;
    char name[NAME_MAX_BYTES], facets[FACETS_MAX_BYTES];

    if (work_modules_find(build->node->config.modules, module, behaviour, &from,
                          build->err) != PLEX_OK)
        return NULL;
    copy = get(build, sizeof *copy);
    if (copy == NULL)
        return NULL;
    (void)node_facets_suffix(build->app, type, facets, sizeof facets);
    (void)snprintf(name, sizeof name, elsewhere ? "%s=%s/%s%s" : "%s", label,
                   module, behaviour, facets);
    *copy = *from;
    copy->name = text(build, name);
    if (type != NULL && copy->mailbox.max == 0)
        copy->mailbox.max = type->mailbox_max;
    if (copy->name == NULL)
        return NULL;
    return type == NULL ? copy
                        : node_faceted(build->node, type, copy, build->err);
}

/* -- supervisors ----------------------------------------------------------- */

static bool
elsewhere(const struct build *build, const struct reg_child *child)
{
    if (child->placement.len > 0)
        return true;
    return child->node[0] != '\0' &&
           strcmp(child->node, build->node->config.host->base->node) != 0;
}

static struct plex_behaviour *supervisor(struct build *build,
                                         const struct reg_supervisor *from,
                                         bool elsewhere);

static bool
child_set(struct build *build, const struct reg_child *from,
          struct plex_child *out)
{
    const bool far = elsewhere(build, from);
    const size_t len = strlen(build->path);
    char place[PATH_BYTES_MAX + 1];

    /* The registry bounds the ids and the depth. */
    assert(len + strlen(from->id) + 2 <= sizeof build->path);
    build->path[len] = '/';
    memcpy(build->path + len + 1, from->id, strlen(from->id) + 1);
    (void)snprintf(place, sizeof place, "?%s", build->path);
    out->behaviour = from->supervisor != NULL
                         ? supervisor(build, from->supervisor, far)
                         : worker_behaviour(build, from, far);
    if (out->behaviour == NULL)
        return false;
    out->id = text(build, from->id);
    out->args = text(build, from->args);
    out->args_len = strlen(from->args);
    out->name = from->name[0] == '\0' ? NULL : text(build, from->name);
    out->node = !far                       ? NULL
                : from->placement.len == 0 ? text(build, from->node)
                                           : text(build, place);
    out->restart = (enum plex_restart)from->restart;
    out->shutdown_ms = from->shutdown_ms;
    out->significant = from->significant;
    build->path[len] = '\0';
    return out->id != NULL && out->args != NULL;
}

static struct plex_behaviour *
supervisor_note(struct build *build, bool far)
{
    struct node_plan *plan = build->plan;
    struct plex_behaviour *behaviour = get(build, sizeof *behaviour);
    char name[NAME_MAX_BYTES];

    if (behaviour == NULL)
        return NULL;
    if (plan->n == plan->cap) {
        plan->cap = plan->cap == 0 ? 16 : plan->cap * 2;
        plan->supervisors = plex_reallocarray(
            (void *)plan->supervisors, plan->cap, sizeof *plan->supervisors);
    }
    (void)snprintf(name, sizeof name,
                   far ? "supervisor=%s/%s/%s/%" PRIu64 "/%zu" : "supervisor",
                   build->app->tenant, build->app->ns, build->app->name,
                   build->app->revision, plan->n);
    plan->supervisors[plan->n++] = behaviour;
    behaviour->name = text(build, name);
    behaviour->trap_exit = true;
    return behaviour->name == NULL ? NULL : behaviour;
}

/* As deep as the tree, which the registry bounds. */
static struct plex_behaviour *
supervisor(struct build *build, const struct reg_supervisor *from, bool far)
{
    struct plex_behaviour *behaviour = supervisor_note(build, far);
    struct plex_supervisor *flags = get(build, sizeof *flags);
    struct plex_child *children =
        get(build, (from->n_children + 1) * sizeof *children);

    if (behaviour == NULL || flags == NULL || children == NULL)
        return NULL;
    for (size_t i = 0; i < from->n_children; i++)
        if (!child_set(build, &from->children[i], &children[i])) {
            (void)plex_err_wrap(build->err, "child %s", from->children[i].id);
            return NULL;
        }
    *flags = (struct plex_supervisor){
        .strategy = (enum plex_strategy)from->strategy,
        .intensity = from->intensity,
        .period_ms = from->period_ms,
        .auto_shutdown = (enum plex_auto_shutdown)from->auto_shutdown,
        .children = children,
        .backoff_initial_ms = from->backoff_initial_ms,
        .backoff_max_ms = from->backoff_max_ms,
    };
    behaviour->supervisor = flags;
    return behaviour;
}

enum plex_status
node_plan_make(struct work_node *node, const struct reg_app *app,
               struct node_plan **out, struct plex_err *err)
{
    struct node_plan *plan = plex_calloc(1, sizeof *plan);
    struct build build = {.node = node, .app = app, .plan = plan, .err = err};

    plex_arena_init(&plan->memory, PLAN_BYTES_MAX);
    (void)snprintf(build.path, sizeof build.path, "%s", app->name);
    if (supervisor(&build, app->supervisor, false) == NULL) {
        node_plan_free(plan);
        return err->status;
    }
    *out = plan;
    return PLEX_OK;
}

void
node_plan_free(struct node_plan *plan)
{
    if (plan == NULL)
        return;
    plex_arena_fini(&plan->memory);
    free((void *)plan->supervisors);
    free(plan);
}

void
node_plan_retire(struct work_node *node, struct node_plan *plan)
{
    if (plan == NULL)
        return;
    plan->next = node->retired;
    node->retired = plan;
}

void
node_plans_free(struct work_node *node)
{
    struct node_plan *plan;

    while ((plan = node->retired) != NULL) {
        node->retired = plan->next;
        node_plan_free(plan);
    }
}

const struct plex_behaviour *
node_plan_supervisor(const struct node_plan *plan, size_t n)
{
    return n < plan->n ? plan->supervisors[n] : NULL;
}

/* -- asked for by other workers -------------------------------------------- */

const struct plex_behaviour *
node_find(void *arg, const char *name)
{
    struct work_node *node = arg;
    const struct node_found *found = atomic_load(&node->found);

    for (; found != NULL; found = found->next)
        if (strcmp(found->name, name) == 0)
            return found->behaviour;
    return NULL;
}

static void
found_add(struct work_node *node, const char *name,
          const struct plex_behaviour *behaviour, struct node_plan *plan)
{
    struct node_found *found = plex_calloc(1, sizeof *found + strlen(name) + 1);

    memcpy(found->name, name, strlen(name) + 1);
    found->behaviour = behaviour;
    found->plan = plan;
    found->next = atomic_load(&node->found);
    atomic_store(&node->found, found);
    node->n_found++;
}

/* "tenant/namespace/application/revision/n" */
static enum plex_status
find_supervisor(struct work_node *node, const char *name, const char *path,
                struct plex_err *err)
{
    char tenant[65], ns[33], app[65];
    uint64_t revision;
    size_t n, n_apps = 0;
    const struct reg_app *apps =
        node->catalog == NULL ? NULL : reg_catalog_apps(node->catalog, &n_apps);
    struct node_plan *plan = NULL;

    if (sscanf(path, "%64[^/]/%32[^/]/%64[^/]/%" SCNu64 "/%zu", tenant, ns, app,
               &revision, &n) != 5)
        return plex_err_set(err, PLEX_INVALID, "\"%.80s\" names no supervisor",
                            path);
    for (size_t i = 0; i < n_apps; i++) {
        const struct plex_behaviour *behaviour;

        if (strcmp(apps[i].tenant, tenant) != 0 ||
            strcmp(apps[i].ns, ns) != 0 || strcmp(apps[i].name, app) != 0 ||
            apps[i].revision != revision || apps[i].supervisor == NULL)
            continue;
        if (node_plan_make(node, &apps[i], &plan, err) != PLEX_OK)
            return err->status;
        behaviour = node_plan_supervisor(plan, n);
        if (behaviour == NULL)
            break;
        found_add(node, name, behaviour, plan);
        return PLEX_OK;
    }
    node_plan_free(plan);
    return plex_err_set(err, PLEX_NOT_FOUND,
                        "no supervisor %.80s in the catalogue", path);
}

/* "module/behaviour", and where its facets are declared */
static enum plex_status
find_behaviour(struct work_node *node, const char *name, const char *path,
               struct plex_err *err)
{
    const char *slash = strchr(path, '/'), *facets = strchr(path, '?');
    const struct plex_behaviour *from = NULL;
    const struct reg_actor_type *type = NULL;
    struct plex_behaviour *copy;
    struct node_plan *plan;
    char module[PLEX_TYPE_MAX + 1], behaviour[PLEX_TYPE_MAX + 1];

    if (slash == NULL || (size_t)(slash - path) >= sizeof module)
        return plex_err_set(err, PLEX_INVALID, "\"%.80s\" names no behaviour",
                            path);
    (void)snprintf(module, sizeof module, "%.*s", (int)(slash - path), path);
    (void)snprintf(behaviour, sizeof behaviour, "%.*s",
                   (int)strcspn(slash + 1, "?"), slash + 1);
    if (work_modules_find(node->config.modules, module, behaviour, &from,
                          err) != PLEX_OK ||
        (facets != NULL &&
         node_facets_find(node, facets + 1, &type, err) != PLEX_OK))
        return err->status;
    plan = plex_calloc(1, sizeof *plan);
    plex_arena_init(&plan->memory, 1 << 16);
    copy = plex_arena_alloc(&plan->memory, sizeof *copy);
    *copy = *from;
    /* Its supervisor tells what happens to it: events know by the '='. */
    copy->name = plex_arena_strndup(&plan->memory, name, strlen(name));
    from = type == NULL ? copy : node_faceted(node, type, copy, err);
    if (from == NULL) {
        node_plan_free(plan);
        return err->status;
    }
    found_add(node, name, from, plan);
    return PLEX_OK;
}

enum plex_status
node_behaviour_far(struct work_node *node, const char *module,
                   const char *behaviour, const struct plex_behaviour **out,
                   struct plex_err *err)
{
    char name[NAME_MAX_BYTES];

    (void)snprintf(name, sizeof name, "%s=%s/%s", behaviour, module, behaviour);
    if (node_find(node, name) == NULL &&
        find_behaviour(node, name, strchr(name, '=') + 1, err) != PLEX_OK)
        return err->status;
    *out = node_find(node, name);
    return PLEX_OK;
}

enum plex_status
node_behaviour_typed(struct work_node *node, const char *tenant, const char *ns,
                     const char *type, const struct plex_behaviour **out,
                     struct plex_err *err)
{
    const struct reg_app *app = NULL;
    const struct reg_actor_type *declared =
        node->catalog == NULL
            ? NULL
            : reg_catalog_type(node->catalog, tenant, ns, type, &app);
    char name[NAME_MAX_BYTES], facets[FACETS_MAX_BYTES];

    if (declared == NULL || declared->is_virtual)
        return plex_err_set(err, PLEX_NOT_FOUND,
                            "namespace \"%s\" has no type \"%.80s\" whose "
                            "actors are processes",
                            ns, type);
    (void)node_facets_suffix(app, declared, facets, sizeof facets);
    (void)snprintf(name, sizeof name, "%s=%s/%s%s", declared->name,
                   declared->module, declared->behaviour, facets);
    if (node_find(node, name) == NULL && node->n_found >= NODE_FOUND_MAX)
        return plex_err_set(err, PLEX_LIMIT, "%d behaviours were asked for",
                            NODE_FOUND_MAX);
    if (node_find(node, name) == NULL &&
        find_behaviour(node, name, strchr(name, '=') + 1, err) != PLEX_OK)
        return err->status;
    *out = node_find(node, name);
    return PLEX_OK;
}

/* On executors. From code: "module/behaviour", by the file that it lies in, as
 * somebody's child "behaviour=module/behaviour". */
bool
node_name_of(void *arg, const struct plex_behaviour *behaviour, bool is_child,
             char *out, size_t size)
{
    const char *file, *end;
    Dl_info info;

    (void)arg;
    if (strchr(behaviour->name, '=') != NULL || dladdr(behaviour, &info) == 0 ||
        info.dli_fname == NULL)
        return false;
    file = strrchr(info.dli_fname, '/');
    file = file == NULL ? info.dli_fname : file + 1;
    end = strstr(file, ".so");
    return end != NULL && end[3] == '\0' &&
           snprintf(out, size, "%s%s%.*s/%s", is_child ? behaviour->name : "",
                    is_child ? "=" : "", (int)(end - file), file,
                    behaviour->name) < (int)size;
}

/* "module/behaviour" */
static enum plex_status
find_from_code(struct work_node *node, const char *name, struct plex_err *err)
{
    const struct plex_behaviour *behaviour;
    char module[PLEX_TYPE_MAX + 1];
    const size_t len = strcspn(name, "/");

    (void)snprintf(module, sizeof module, "%.*s", (int)len, name);
    if (len >= sizeof module ||
        work_modules_find(node->config.modules, module, name + len + 1,
                          &behaviour, err) != PLEX_OK)
        return plex_err_set(err, PLEX_NOT_FOUND, "no behaviour \"%.80s\"",
                            name);
    found_add(node, name, behaviour, NULL);
    return PLEX_OK;
}

/* A bare name, from code: of any module that the catalogue names. */
static enum plex_status
find_bare(struct work_node *node, const struct rt_signal *signal,
          struct plex_err *err)
{
    size_t n_apps = 0;
    const struct reg_app *apps =
        node->catalog == NULL ? NULL : reg_catalog_apps(node->catalog, &n_apps);
    const struct plex_behaviour *behaviour;

    for (size_t i = 0; i < n_apps; i++) {
        if (strcmp(apps[i].tenant, signal->where.tenant) != 0)
            continue;
        for (size_t t = 0; t < apps[i].n_types; t++)
            if (work_modules_find(node->config.modules, apps[i].types[t].module,
                                  signal->text, &behaviour, err) == PLEX_OK) {
                found_add(node, signal->text, behaviour, NULL);
                return PLEX_OK;
            }
    }
    return plex_err_set(err, PLEX_NOT_FOUND,
                        "no deployed module has a behaviour \"%.80s\"",
                        signal->text);
}

void
node_before_spawn(struct work_node *node, const struct rt_signal *signal)
{
    const char *name = signal->text;
    const char *path = strchr(name, '=');
    enum plex_status status;
    struct plex_err err;

    if (node_find(node, name) != NULL)
        return;
    if (node->n_found >= NODE_FOUND_MAX)
        status = plex_err_set(&err, PLEX_LIMIT, "%d behaviours were asked for",
                              NODE_FOUND_MAX);
    else if (path == NULL && strchr(name, '/') != NULL)
        status = find_from_code(node, name, &err);
    else if (path == NULL)
        status = find_bare(node, signal, &err);
    else if (strncmp(name, "supervisor=", 11) == 0)
        status = find_supervisor(node, name, path + 1, &err);
    else
        status = find_behaviour(node, name, path + 1, &err);
    if (status != PLEX_OK)
        plex_log(PLEX_LOG_WARN, "worker.spawn",
                 "another worker asked for %.80s: %s", name, err.text);
}

void
node_found_free(struct work_node *node)
{
    struct node_found *found = atomic_load(&node->found), *next;

    for (; found != NULL; found = next) {
        next = found->next;
        node_plan_free(found->plan);
        free(found);
    }
    atomic_store(&node->found, NULL);
}
