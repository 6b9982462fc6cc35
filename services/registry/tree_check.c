/* Which supervision trees may be deployed: every rule names the child and says
 * what would be right. */
#include "services/registry/tree.h"

#include "common/mem.h"
#include "common/name.h"
#include "common/utf8.h"
#include "services/placement/client.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STRATEGY_SIMPLE = 4, RESTART_PERMANENT = 0, AUTO_NEVER = 0 };

struct check {
    const struct reg_app *app;
    char path[160]; /* "supervisor.children[2]" */
    size_t n_children;
    const char **names; /* of registered ones, in all */
    size_t n_names, names_cap;
    struct plex_err *err;
};

static enum plex_status
refuse(struct check *check, const char *field, const char *value,
       const char *wrong)
{
    return plex_err_set(check->err, PLEX_INVALID, "%s.%s \"%.40s\" %s",
                        check->path, field, value, wrong);
}

/* -- one child ------------------------------------------------------------- */

static bool
is_plain(const char *text, size_t max, const char *without)
{
    const size_t len = strlen(text);

    if (len > max)
        return false;
    for (size_t i = 0; i < len; i++)
        if (iscntrl((unsigned char)text[i]) || strchr(without, text[i]) != NULL)
            return false;
    return true;
}

static const struct reg_actor_type *
type_find(const struct reg_app *app, const char *name)
{
    for (size_t i = 0; i < app->n_types; i++)
        if (strcmp(app->types[i].name, name) == 0)
            return &app->types[i];
    return NULL;
}

static enum plex_status
kind_check(struct check *check, const struct reg_child *child)
{
    const int n = (child->type[0] != '\0') + (child->module[0] != '\0') +
                  (child->supervisor != NULL);
    const struct reg_actor_type *type;

    if (n != 1)
        return plex_err_set(check->err, PLEX_INVALID,
                            "%s has %s of type, module and supervisor; give "
                            "exactly one",
                            check->path, n == 0 ? "none" : "more than one");
    if (child->module[0] != '\0' &&
        plex_name_type(child->module, strlen(child->module), check->err) !=
            PLEX_OK)
        return plex_err_wrap(check->err, "%s.module", check->path);
    if (!is_plain(child->behaviour, PLEX_TYPE_MAX, "/=@"))
        return refuse(check, "behaviour", child->behaviour,
                      "must be at most 128 bytes without \"/=@\"");
    if (child->type[0] == '\0')
        return PLEX_OK;
    type = type_find(check->app, child->type);
    if (type == NULL)
        return refuse(check, "type", child->type,
                      "is not one of this application's actor_types");
    if (type->is_virtual)
        return refuse(check, "type", child->type,
                      "is virtual: such actors are activated by messages, not "
                      "supervised");
    if (type->durable)
        return refuse(check, "type", child->type,
                      "is durable: only virtual actors can be");
    return PLEX_OK;
}

static enum plex_status
child_check(struct check *check, const struct reg_supervisor *above,
            const struct reg_child *child)
{
    if (child->id[0] == '\0' || !is_plain(child->id, REG_CHILD_ID_MAX, "/"))
        return refuse(check, "id", child->id,
                      "must be 1 to 127 bytes without control characters or "
                      "'/'");
    if (!is_plain(child->name, REG_CHILD_NAME_MAX, "/@<"))
        return refuse(check, "name", child->name,
                      "must be at most 255 bytes without control characters "
                      "or \"/@<\"");
    if (strlen(child->args) > REG_CHILD_ARGS_MAX)
        return plex_err_set(check->err, PLEX_INVALID,
                            "%s.args has %zu bytes, at most %d are allowed",
                            check->path, strlen(child->args),
                            REG_CHILD_ARGS_MAX);
    if (child->node[0] != '\0' &&
        plex_name_plain("node", child->node, strlen(child->node), check->err) !=
            PLEX_OK)
        return plex_err_wrap(check->err, "%s", check->path);
    if (child->placement.len > 0 && child->node[0] != '\0')
        return refuse(check, "node", child->node,
                      "is given, and a placement as well; give one");
    if (child->placement.len > 0 &&
        place_client_need_check(child->placement, check->err) != PLEX_OK)
        return plex_err_wrap(check->err, "%s.placement", check->path);
    if (child->significant && (child->restart == RESTART_PERMANENT ||
                               above->auto_shutdown == AUTO_NEVER))
        return plex_err_set(check->err, PLEX_INVALID,
                            "%s.significant is for transient and temporary "
                            "children of a supervisor with auto_shutdown",
                            check->path);
    if (above->strategy == STRATEGY_SIMPLE && child->name[0] != '\0')
        return refuse(check, "name", child->name,
                      "would be taken twice: simple_one_for_one starts many "
                      "from one template");
    return kind_check(check, child);
}

static void
name_note(struct check *check, const char *name)
{
    if (name[0] == '\0')
        return;
    if (check->n_names == check->names_cap) {
        check->names_cap = check->names_cap == 0 ? 64 : check->names_cap * 2;
        check->names = plex_reallocarray((void *)check->names, check->names_cap,
                                         sizeof *check->names);
    }
    check->names[check->n_names++] = name;
}

/* -- a supervisor ---------------------------------------------------------- */

static int
by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorts; the first that is there twice, or NULL. */
static const char *
twice(const char **texts, size_t n)
{
    if (n > 1)
        qsort((void *)texts, n, sizeof *texts, by_text);
    for (size_t i = 1; i < n; i++)
        if (strcmp(texts[i - 1], texts[i]) == 0)
            return texts[i];
    return NULL;
}

static enum plex_status
ids_check(struct check *check, const struct reg_supervisor *tree)
{
    const char **ids =
        plex_reallocarray(NULL, tree->n_children + 1, sizeof *ids);
    const char *again;

    for (size_t i = 0; i < tree->n_children; i++)
        ids[i] = tree->children[i].id;
    again = twice(ids, tree->n_children);
    free((void *)ids);
    if (again != NULL)
        return plex_err_set(check->err, PLEX_INVALID,
                            "%s has two children with the id \"%.60s\"",
                            check->path, again);
    return PLEX_OK;
}

static enum plex_status
numbers_check(struct check *check, const struct reg_supervisor *tree)
{
    if (tree->intensity > REG_INTENSITY_MAX)
        return plex_err_set(check->err, PLEX_INVALID,
                            "%s.intensity is %u, the most is %d", check->path,
                            tree->intensity, REG_INTENSITY_MAX);
    if (tree->period_ms == 0 || tree->period_ms > REG_PERIOD_MAX)
        return plex_err_set(check->err, PLEX_INVALID,
                            "%s.period_ms must be 1 to %d", check->path,
                            REG_PERIOD_MAX);
    if (tree->backoff_initial_ms > REG_PERIOD_MAX ||
        tree->backoff_max_ms > REG_PERIOD_MAX ||
        (tree->backoff_max_ms != 0 &&
         tree->backoff_max_ms < tree->backoff_initial_ms))
        return plex_err_set(check->err, PLEX_INVALID,
                            "%s: backoff_initial_ms to backoff_max_ms must "
                            "rise, and be at most %d",
                            check->path, REG_PERIOD_MAX);
    if (tree->strategy == STRATEGY_SIMPLE && tree->n_children != 1)
        return plex_err_set(check->err, PLEX_INVALID,
                            "%s has %zu children; simple_one_for_one takes "
                            "one, the template",
                            check->path, tree->n_children);
    return PLEX_OK;
}

static enum plex_status
tree_check(struct check *check, const struct reg_supervisor *tree,
           unsigned depth)
{
    const size_t len = strlen(check->path);

    if (depth > REG_TREE_DEPTH_MAX)
        return plex_err_set(check->err, PLEX_INVALID,
                            "supervisor is nested deeper than %d",
                            REG_TREE_DEPTH_MAX);
    check->n_children += tree->n_children;
    if (check->n_children > REG_TREE_CHILDREN_MAX)
        return plex_err_set(check->err, PLEX_INVALID,
                            "supervisor has more than %d children in all",
                            REG_TREE_CHILDREN_MAX);
    if (numbers_check(check, tree) != PLEX_OK ||
        ids_check(check, tree) != PLEX_OK)
        return check->err->status;
    for (size_t i = 0; i < tree->n_children; i++) {
        const struct reg_child *child = &tree->children[i];

        (void)snprintf(check->path + len, sizeof check->path - len,
                       ".children[%zu]", i);
        if (child_check(check, tree, child) != PLEX_OK)
            return check->err->status;
        name_note(check, child->name);
        if (child->supervisor == NULL)
            continue;
        (void)strncat(check->path, ".supervisor",
                      sizeof check->path - strlen(check->path) - 1);
        if (tree_check(check, child->supervisor, depth + 1) != PLEX_OK)
            return check->err->status;
        check->path[len] = '\0';
    }
    check->path[len] = '\0';
    return PLEX_OK;
}

enum plex_status
reg_tree_check(const struct reg_app *app, struct plex_err *err)
{
    struct check check = {.app = app, .path = "supervisor", .err = err};
    enum plex_status status = PLEX_OK;
    const char *again;

    if (app->supervisor == NULL)
        return PLEX_OK;
    status = tree_check(&check, app->supervisor, 1);
    if (status == PLEX_OK) {
        name_note(&check, app->name); /* the root's own */
        again = twice(check.names, check.n_names);
        if (again != NULL)
            status = plex_err_set(err, PLEX_INVALID,
                                  "supervisor registers the name \"%.60s\" "
                                  "twice (the root has the application's)",
                                  again);
    }
    free((void *)check.names);
    return status;
}

/* -- defaults -------------------------------------------------------------- */

static void
resolve(const struct reg_supervisor *tree)
{
    /* The copy is the caller's: nobody else has seen it. */
    struct reg_child *children = (struct reg_child *)(uintptr_t)tree->children;

    for (size_t i = 0; i < tree->n_children; i++) {
        if (children[i].supervisor != NULL)
            resolve(children[i].supervisor);
        if (children[i].module[0] != '\0' && children[i].behaviour[0] == '\0')
            children[i].behaviour = children[i].module;
    }
}

void
reg_tree_resolve(struct reg_app *app)
{
    if (app->supervisor != NULL)
        resolve(app->supervisor);
}
