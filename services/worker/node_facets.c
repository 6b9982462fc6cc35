/* Facets of processes: what manifests declare for the types of children, and
 * requests about those that run. */
#include "services/worker/node_private.h"

#include "common/mem.h"
#include "runtime/process_facets.h"
#include "services/worker/handler.h"
#include "services/worker/wire_process.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* As long as the worker: processes may have them until then. */
struct node_setup {
    struct node_setup *next;
    struct work_facet_setup *setup;
    struct rt_faceted faceted;
};

const struct plex_behaviour *
node_faceted(struct work_node *node, const struct reg_actor_type *type,
             const struct plex_behaviour *behaviour, struct plex_err *err)
{
    struct work_facet_setup *setup = NULL;
    struct node_setup *kept;

    if (type->n_facets == 0)
        return behaviour;
    if (node->config.facets_setup(node->config.arg, type, &setup, err) !=
        PLEX_OK)
        return NULL;
    if (setup->plan == NULL) {
        node->config.facets_free(setup);
        return behaviour;
    }
    kept = plex_calloc(1, sizeof *kept);
    kept->setup = setup;
    kept->next = node->setups;
    node->setups = kept;
    if (rt_faceted_init(&kept->faceted, behaviour, setup->plan, &setup->types,
                        err) == PLEX_OK)
        return &kept->faceted.is;
    (void)plex_err_wrap(err, "type %s", type->name);
    return NULL;
}

void
node_setups_free(struct work_node *node)
{
    struct node_setup *kept;

    while ((kept = node->setups) != NULL) {
        node->setups = kept->next;
        node->config.facets_free(kept->setup);
        free(kept);
    }
}

size_t
node_facets_suffix(const struct reg_app *app, const struct reg_actor_type *type,
                   char *out, size_t size)
{
    out[0] = '\0';
    if (type == NULL || type->n_facets == 0)
        return 0;
    return (size_t)snprintf(out, size, "?%s/%s/%s/%" PRIu64 "/%s", app->tenant,
                            app->ns, app->name, app->revision, type->name);
}

enum plex_status
node_facets_find(struct work_node *node, const char *path,
                 const struct reg_actor_type **out, struct plex_err *err)
{
    char tenant[65], ns[33], app[65], type[129];
    size_t n = 0;
    const struct reg_app *apps =
        node->catalog == NULL ? NULL : reg_catalog_apps(node->catalog, &n);
    uint64_t revision;

    if (sscanf(path, "%64[^/]/%32[^/]/%64[^/]/%" SCNu64 "/%128[^/]", tenant, ns,
               app, &revision, type) != 5)
        return plex_err_set(err, PLEX_INVALID, "\"%.80s\" names no type", path);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(apps[i].tenant, tenant) != 0 ||
            strcmp(apps[i].ns, ns) != 0 || strcmp(apps[i].name, app) != 0 ||
            apps[i].revision != revision)
            continue;
        for (size_t t = 0; t < apps[i].n_types; t++)
            if (strcmp(apps[i].types[t].name, type) == 0) {
                *out = &apps[i].types[t];
                return PLEX_OK;
            }
    }
    return plex_err_set(err, PLEX_NOT_FOUND, "no type %.80s in the catalogue",
                        path);
}

/* -- requests --------------------------------------------------------------
 */

enum { ASK_MS = 5000 };

struct errand {
    struct node_note note;
    struct work_node *node;
    struct plex_call *call;
    enum plex_facet_verb verb;
    int status;
    char *text; /* what is attached, or its answer, or why not */
};

static void
answered(void *arg, int status, const struct plex_msg *answer)
{
    struct errand *errand = arg;

    errand->status = status;
    errand->text = status == 0 ? plex_calloc(1, answer->len + 1)
                               : plex_strdup(answer->reason);
    if (status == 0 && answer->len > 0)
        memcpy(errand->text, answer->payload, answer->len);
    node_note_push(errand->node, &errand->note);
}

void
node_facets_drop(struct node_note *note)
{
    struct errand *errand = plex_container_of(note, struct errand, note);

    free(errand->text);
    free(errand);
}

void
node_facets_noted(struct work_node *node, struct node_note *note)
{
    struct errand *errand = plex_container_of(note, struct errand, note);
    struct plex_err err;

    node->scratch.len = 0;
    plex_arena_reset(&node->arena);
    if (errand->status == 0) {
        plex_call_answer(
            errand->call,
            errand->verb == PLEX_FACET_INVOKE
                ? work_facet_result_pack(errand->text, &node->scratch, &err)
                : work_facets_pack(errand->text, &node->arena, &node->scratch,
                                   &err),
            &node->scratch, &err);
    } else {
        const enum plex_status status = (enum plex_status) - errand->status;

        (void)plex_err_set(&err, status, "%s",
                           status == PLEX_TIMEOUT
                               ? "the process has not looked at it in time"
                           : errand->text[0] == '\0' ? plex_status_text(status)
                                                     : errand->text);
        plex_call_refuse(errand->call, &err);
    }
    node_facets_drop(note);
}

static void
ask(struct work_node *node, struct plex_call *call, uint32_t method,
    enum plex_facet_verb verb)
{
    struct work_process_request request;
    struct plex_facet_request wanted = {.verb = verb};
    struct plex_facet_pair op = {"op", ""};
    struct plex_ref process;
    struct rt_info info;
    struct errand *errand;
    struct plex_err err;

    if (!node_request_begin(node, call, method, &request, &process))
        return;
    if (rt_inspect(node->rt, process, &info) == 0 && node_is_internal(&info)) {
        (void)plex_err_set(&err, PLEX_UNSUPPORTED,
                           "\"%.80s\" is a process of the worker's own",
                           request.process);
        plex_call_refuse(call, &err);
        return;
    }
    op.value = request.op;
    wanted.facet = request.facet;
    wanted.priority = request.priority;
    wanted.config = request.config;
    wanted.n_config = request.n_config;
    if (verb == PLEX_FACET_INVOKE) {
        wanted.config = &op;
        wanted.n_config = 1;
    }
    errand = plex_calloc(1, sizeof *errand);
    errand->note.kind = NOTE_FACETS;
    errand->node = node;
    errand->call = call;
    errand->verb = verb;
    rt_facets_ask(node->rt, process, &wanted, ASK_MS, answered, errand);
}

void
node_on_facets(struct work_node *node, struct plex_call *call)
{
    ask(node, call, WORK_METHOD_LIST_FACETS, PLEX_FACET_LIST);
}

void
node_on_attach_facet(struct work_node *node, struct plex_call *call)
{
    ask(node, call, WORK_METHOD_ATTACH_FACET, PLEX_FACET_ATTACH);
}

void
node_on_detach_facet(struct work_node *node, struct plex_call *call)
{
    ask(node, call, WORK_METHOD_DETACH_FACET, PLEX_FACET_DETACH);
}

void
node_on_invoke_facet(struct work_node *node, struct plex_call *call)
{
    ask(node, call, WORK_METHOD_INVOKE_FACET, PLEX_FACET_INVOKE);
}
