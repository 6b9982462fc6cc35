/*
 * What operators ask about processes, and do to them. Supervisors answer
 * processes only, so a request to one is made by a process of its own: the
 * console, which lives as long as the request.
 */
#include "services/worker/node_private.h"

#include "common/mem.h"
#include "sdk/c/include/plexspaces/process.h"
#include "services/worker/wire_process.h"

#include <stdlib.h>
#include <string.h>

/* -- names ----------------------------------------------------------------- */

bool
node_ref_parse(const char *text, struct plex_ref *out)
{
    unsigned long long node;
    unsigned slot, generation;
    int end = 0;

    if (sscanf(text, "<%llu.%u.%u>%n", &node, &slot, &generation, &end) != 3 ||
        end == 0 || text[end] != '\0')
        return false;
    *out = (struct plex_ref){node, (uint64_t)generation << 32 | slot};
    return true;
}

/* "root/child/child": down from a registered supervisor. */
static struct plex_ref
walk(struct work_node *node, struct rt_where where, const char *path)
{
    struct plex_ref at = {0};
    struct rt_info infos[64];
    char part[256];

    for (bool first = true; *path != '\0'; first = false) {
        const size_t len = strcspn(path, "/");
        struct plex_ref next = {0};
        uint64_t cursor = 0;
        size_t n = first ? 0 : 64;

        (void)snprintf(part, sizeof part, "%.*s", (int)len, path);
        path += len + (path[len] == '/');
        if (first)
            next = rt_whereis(node->rt, where, part);
        while (n == 64 && next.id == 0) {
            n = rt_list(node->rt, where, &cursor, infos, 64);
            for (size_t i = 0; i < n; i++)
                if (plex_ref_is(infos[i].supervisor, at) &&
                    strcmp(infos[i].child, part) == 0)
                    next = infos[i].ref;
        }
        at = next;
        if (at.id == 0)
            break;
    }
    return at;
}

enum plex_status
node_process_find(struct work_node *node, const struct plex_call *call,
                  const char *ns, const char *process, struct plex_ref *out,
                  struct plex_err *err)
{
    const struct rt_where where = {plex_call_context(call)->tenant, ns};
    const char *at = strrchr(process, '@');
    struct rt_info info;
    char name[256];

    if (process[0] == '<') {
        if (!node_ref_parse(process, out))
            return plex_err_set(err, PLEX_INVALID,
                                "\"%.60s\" is not a ref like <12.3.4>",
                                process);
        if (out->node == node->config.host->incarnation &&
            rt_inspect(node->rt, *out, &info) == 0 &&
            strcmp(info.where.tenant, where.tenant) == 0)
            return PLEX_OK;
    } else if (at == NULL ||
               strcmp(at + 1, node->config.host->base->node) == 0) {
        (void)snprintf(name, sizeof name, "%.*s",
                       at == NULL ? 255 : (int)(at - process), process);
        *out = strchr(name, '/') != NULL ? walk(node, where, name)
                                         : rt_whereis(node->rt, where, name);
        if (out->id != 0)
            return PLEX_OK;
    }
    return plex_err_set(err, PLEX_NOT_FOUND,
                        "no process \"%.80s\" in namespace \"%s\"", process,
                        ns);
}

bool
node_request_begin(struct work_node *node, struct plex_call *call,
                   uint32_t method, struct work_process_request *request,
                   struct plex_ref *process)
{
    struct plex_err err;

    plex_arena_reset(&node->arena);
    node->scratch.len = 0;
    if (work_process_request_unpack(method, plex_call_payload(call),
                                    &node->arena, request, &err) == PLEX_OK &&
        (process == NULL ||
         node_process_find(node, call, request->ns, request->process, process,
                           &err) == PLEX_OK))
        return true;
    plex_call_refuse(call, &err);
    return false;
}

/* -- looking --------------------------------------------------------------- */

bool
node_is_internal(const struct rt_info *info)
{
    return strcmp(info->behaviour, "console") == 0 ||
           strcmp(info->behaviour, "rt-outside") == 0 ||
           strcmp(info->behaviour, "virtual-actor") == 0 ||
           strcmp(info->behaviour, "keeper") == 0;
}

void
node_on_list(struct work_node *node, struct plex_call *call)
{
    struct work_process_request request;
    struct rt_info *infos;
    struct plex_err err;
    struct rt_where where;
    uint64_t cursor = 0;
    size_t n = 0, got;

    if (!node_request_begin(node, call, WORK_METHOD_LIST_PROCESSES, &request,
                            NULL))
        return;
    where = (struct rt_where){plex_call_context(call)->tenant, request.ns};
    infos = plex_calloc(request.page_size + 1, sizeof *infos);
    do {
        const size_t from = n;

        got = rt_list(node->rt, where, &cursor, infos + n,
                      request.page_size + 1 - n);
        for (size_t i = from; i < from + got; i++)
            if ((!request.supervisors || infos[i].is_supervisor) &&
                !node_is_internal(&infos[i]))
                infos[n++] = infos[i];
        got = got < request.page_size + 1 - from ? 0 : got;
    } while (got > 0 && n <= request.page_size);
    plex_call_answer(
        call,
        work_processes_pack(
            node, infos, n > request.page_size ? request.page_size : n,
            n > request.page_size, &node->arena, &node->scratch, &err),
        &node->scratch, &err);
    free(infos);
}

static bool
inspect(struct work_node *node, struct plex_call *call, struct plex_ref ref,
        struct rt_info *out)
{
    struct plex_err err;

    if (rt_inspect(node->rt, ref, out) == 0)
        return true;
    (void)plex_err_set(&err, PLEX_NOT_FOUND, "the process has just ended");
    plex_call_refuse(call, &err);
    return false;
}

void
node_on_get(struct work_node *node, struct plex_call *call)
{
    struct work_process_request request;
    struct plex_ref process;
    struct rt_info info;
    struct plex_err err;

    if (!node_request_begin(node, call, WORK_METHOD_GET_PROCESS, &request,
                            &process) ||
        !inspect(node, call, process, &info))
        return;
    plex_call_answer(
        call,
        work_process_pack(node, &info, &node->arena, &node->scratch, &err),
        &node->scratch, &err);
}

void
node_on_exit(struct work_node *node, struct plex_call *call)
{
    struct work_process_request request;
    struct plex_ref process;
    struct rt_info info;
    struct plex_err err;

    if (!node_request_begin(node, call, WORK_METHOD_EXIT_PROCESS, &request,
                            &process) ||
        !inspect(node, call, process, &info))
        return;
    rt_exit(node->rt, process, request.reason);
    plex_call_answer(
        call,
        work_process_pack(node, &info, &node->arena, &node->scratch, &err),
        &node->scratch, &err);
}

/* -- supervisors ----------------------------------------------------------- */

struct console {
    struct node_note note;
    struct console *next;
    struct work_node *node;
    struct plex_call *call;
    uint32_t method;
    struct plex_ref supervisor;
    struct plex_child spec;
    char *id, *name, *args, *where; /* owned; "" is NULL */
    int status;
    struct plex_ref ref;
    uint32_t wait_ms; /* MONITOR */
    char reason[256]; /* the same; "" while it lives */
    struct plex_child_count counts;
    struct plex_plan plan;
    struct plex_child_info *children; /* owned */
    size_t n_children;
};

static char *
own(const char *text)
{
    return text[0] == '\0' ? NULL : plex_strdup(text);
}

static void
console_free(struct console *console)
{
    free(console->id);
    free(console->name);
    free(console->args);
    free(console->where);
    free(console->children);
    free(console);
}

void
node_consoles_free(struct work_node *node)
{
    struct console *console;

    while ((console = node->consoles) != NULL) {
        node->consoles = console->next;
        console_free(console); /* its call ends with the link */
    }
}

/* As many as there are, also when more come in between. */
static int
which(struct plex_ctx *ctx, struct console *console)
{
    size_t max = 64;

    for (;;) {
        int n;

        console->children = plex_reallocarray(console->children, max,
                                              sizeof(struct plex_child_info));
        n = plex_which_children(ctx, console->supervisor, console->children,
                                max);
        if (n < 0)
            return n;
        console->n_children = (size_t)n;
        if (console->n_children <= max)
            return 0;
        max = console->n_children + 64;
    }
}

static bool
is_down(void *arg, const struct plex_msg *msg)
{
    return msg->kind == PLEX_MSG_DOWN && msg->tag == *(const uint64_t *)arg;
}

static int
watch(struct plex_ctx *ctx, struct console *console)
{
    uint64_t monitor = plex_monitor(ctx, console->ref);
    struct plex_msg msg;
    int status = plex_receive(ctx, is_down, &monitor, console->wait_ms, &msg);

    if (status == 0)
        (void)snprintf(console->reason, sizeof console->reason, "%s",
                       msg.reason);
    return status == PLEX_E_TIMEOUT ? 0 : status;
}

static int
ask(struct plex_ctx *ctx, struct console *console)
{
    const struct plex_ref to = console->supervisor;
    struct plex_supervisor_request by_ref = {.verb = PLEX_SUP_TERMINATE};

    switch (console->method) {
    case WORK_METHOD_MONITOR_ACTOR:
        return watch(ctx, console);
    case WORK_METHOD_LIST_CHILDREN:
        return which(ctx, console);
    case WORK_METHOD_COUNT_CHILDREN:
        return plex_count_children(ctx, to, &console->counts);
    case WORK_METHOD_START_CHILD:
        return plex_start_child(ctx, to, &console->spec, &console->ref);
    case WORK_METHOD_CHANGE_CHILD:
        return plex_change_child(ctx, to, &console->spec);
    case WORK_METHOD_GET_PLAN:
    case WORK_METHOD_CHANGE_PLAN:
        return plex_supervisor_plan(ctx, to, &console->plan);
    case WORK_METHOD_RESTART_CHILD:
        return plex_restart_child(ctx, to, console->id, &console->ref);
    case WORK_METHOD_DELETE_CHILD:
        return plex_delete_child(ctx, to, console->id);
    default:
        if (node_ref_parse(console->id, &by_ref.ref))
            return plex_supervisor_call(ctx, to, &by_ref);
        return plex_terminate_child(ctx, to, console->id);
    }
}

static int
console_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    struct console *console;

    if (len != sizeof console)
        return -1;
    memcpy(&console, args, sizeof console);
    console->status = ask(ctx, console);
    node_note_push(console->node, &console->note);
    plex_exit_self(ctx, "normal");
    return 0;
}

static int
console_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    (void)msg;
    return plex_fail(ctx, "a console takes no calls");
}

static const struct plex_behaviour console_behaviour = {
    .name = "console",
    .handle_call = console_call,
    .init = console_init,
};

static const char *
why(const struct console *console, enum plex_status status)
{
    switch (status) {
    case PLEX_NOT_FOUND:
        return console->id == NULL ? "it is not a supervisor"
                                   : "it is not a supervisor, or has no such "
                                     "child";
    case PLEX_EXISTS:
        return "there is a child with that id";
    case PLEX_CONFLICT:
        if (console->method == WORK_METHOD_CHANGE_PLAN)
            return "a child is significant: auto_shutdown cannot be never";
        return "the child runs or is being restarted; terminate it first";
    case PLEX_INVALID:
        if (console->method == WORK_METHOD_CHANGE_PLAN)
            return "simple_one_for_one stays what it is and no other becomes "
                   "it, or intensity is over 16777216";
        return "that is not possible with this supervisor's strategy, or the "
               "child's declaration is wrong";
    case PLEX_FAILED:
        return "the child did not start; its reason is in the worker's log";
    default:
        return plex_status_text(status);
    }
}

static enum plex_status
pack(struct work_node *node, const struct console *console,
     struct plex_err *err)
{
    const char *end;

    if (console->status < 0) {
        const enum plex_status status = (enum plex_status) - console->status;

        return plex_err_set(err, status, "%s", why(console, status));
    }
    switch (console->method) {
    case WORK_METHOD_MONITOR_ACTOR:
        end = strcmp(console->reason, "noproc") == 0
                  ? node_events_end(node, console->ref)
                  : NULL;
        return work_down_pack(console->ref, end == NULL ? console->reason : end,
                              console->reason[0] != '\0', &node->arena,
                              &node->scratch, err);
    case WORK_METHOD_LIST_CHILDREN:
        return work_children_pack(console->children, console->n_children,
                                  &node->arena, &node->scratch, err);
    case WORK_METHOD_COUNT_CHILDREN:
        return work_count_pack(&console->counts, &node->scratch, err);
    case WORK_METHOD_GET_PLAN:
    case WORK_METHOD_CHANGE_PLAN:
        return work_plan_pack(&console->plan, &node->scratch, err);
    case WORK_METHOD_START_CHILD:
    case WORK_METHOD_RESTART_CHILD:
        return work_ref_pack(console->ref, &node->scratch, err);
    default:
        return PLEX_OK;
    }
}

void
node_console_noted(struct work_node *node, struct node_note *note)
{
    struct console *console = plex_container_of(note, struct console, note);
    struct console **at;
    struct plex_err err;

    for (at = &node->consoles; *at != console; at = &(*at)->next)
        ;
    *at = console->next;
    node->n_consoles--;
    node->scratch.len = 0;
    plex_arena_reset(&node->arena);
    plex_call_answer(console->call, pack(node, console, &err), &node->scratch,
                     &err);
    console_free(console);
}

static enum plex_status
spec_fill(struct work_node *node, const struct work_process_request *request,
          struct console *console, struct plex_err *err)
{
    struct plex_child *spec = &console->spec;

    spec->id = console->id;
    spec->name = console->name = own(request->name);
    spec->args = console->args = own(request->args);
    spec->args_len = strlen(request->args);
    spec->node = console->where =
        own(request->placement[0] != '\0' ? request->placement : request->node);
    spec->restart = (enum plex_restart)request->restart;
    spec->shutdown_ms = request->shutdown_ms;
    if (request->type[0] != '\0')
        return node_behaviour_typed(
            node, plex_call_context(console->call)->tenant, request->ns,
            request->type, &spec->behaviour, err);
    if (request->module[0] == '\0')
        return PLEX_OK; /* from the template of simple_one_for_one */
    if (spec->node != NULL &&
        strcmp(spec->node, node->config.host->base->node) != 0)
        return node_behaviour_far(node, request->module, request->behaviour,
                                  &spec->behaviour, err);
    return work_modules_find(node->config.modules, request->module,
                             request->behaviour, &spec->behaviour, err);
}

static struct console *
console_make(struct work_node *node, struct plex_call *call, uint32_t method)
{
    struct console *console = plex_calloc(1, sizeof *console);

    console->note.kind = NOTE_CONSOLE;
    console->node = node;
    console->call = call;
    console->method = method;
    return console;
}

/* Refuses the call unless `status` is OK and there is room for it. */
static void
console_begin(struct console *console, enum plex_status status,
              struct plex_err *err)
{
    struct work_node *node = console->node;
    const struct plex_spawn how = {.behaviour = &console_behaviour,
                                   .args = &console,
                                   .args_len = sizeof console};
    struct plex_ref ignored;

    if (status == PLEX_OK && node->n_consoles >= WORK_CONSOLES_MAX)
        status = plex_err_set(err, PLEX_LIMIT,
                              "%d requests about processes are under way",
                              WORK_CONSOLES_MAX);
    if (status == PLEX_OK && rt_spawn(node->rt, (struct rt_where){"", ""}, &how,
                                      NULL, NULL, &ignored) < 0)
        status = plex_err_set(err, PLEX_LIMIT, "too many processes");
    if (status != PLEX_OK) {
        plex_call_refuse(console->call, err);
        console_free(console);
        return;
    }
    console->next = node->consoles;
    node->consoles = console;
    node->n_consoles++;
}

static void
supervise(struct work_node *node, struct plex_call *call, uint32_t method)
{
    struct work_process_request request;
    struct plex_ref supervisor;
    struct rt_info info;
    struct console *console;
    enum plex_status status = PLEX_OK;
    struct plex_err err;

    if (!node_request_begin(node, call, method, &request, &supervisor) ||
        !inspect(node, call, supervisor, &info))
        return;
    if (!info.is_supervisor) {
        (void)plex_err_set(&err, PLEX_NOT_FOUND,
                           "\"%.80s\" is not a supervisor", request.process);
        plex_call_refuse(call, &err);
        return;
    }
    if (info.of_many && method == WORK_METHOD_START_CHILD &&
        request.type[0] != '\0') {
        (void)plex_err_set(&err, PLEX_INVALID,
                           "\"%.80s\" starts what its template says: name no "
                           "type",
                           request.process);
        plex_call_refuse(call, &err);
        return;
    }
    console = console_make(node, call, method);
    console->supervisor = supervisor;
    console->id = own(request.child);
    console->plan = request.plan;
    if (method == WORK_METHOD_START_CHILD || method == WORK_METHOD_CHANGE_CHILD)
        status = spec_fill(node, &request, console, &err);
    console_begin(console, status, &err);
}

void
node_on_children(struct work_node *node, struct plex_call *call)
{
    supervise(node, call, WORK_METHOD_LIST_CHILDREN);
}

void
node_on_count(struct work_node *node, struct plex_call *call)
{
    supervise(node, call, WORK_METHOD_COUNT_CHILDREN);
}

void
node_on_start(struct work_node *node, struct plex_call *call)
{
    supervise(node, call, WORK_METHOD_START_CHILD);
}

void
node_on_terminate(struct work_node *node, struct plex_call *call)
{
    supervise(node, call, WORK_METHOD_TERMINATE_CHILD);
}

void
node_on_restart(struct work_node *node, struct plex_call *call)
{
    supervise(node, call, WORK_METHOD_RESTART_CHILD);
}

void
node_on_plan(struct work_node *node, struct plex_call *call)
{
    supervise(node, call, WORK_METHOD_GET_PLAN);
}

void
node_on_change_plan(struct work_node *node, struct plex_call *call)
{
    supervise(node, call, WORK_METHOD_CHANGE_PLAN);
}

void
node_on_change_child(struct work_node *node, struct plex_call *call)
{
    supervise(node, call, WORK_METHOD_CHANGE_CHILD);
}

void
node_on_delete(struct work_node *node, struct plex_call *call)
{
    supervise(node, call, WORK_METHOD_DELETE_CHILD);
}

/* -- links and monitors from outside ----------------------------------------
 */

/* One side of a link: as if the other had asked for it. */
static void
link_side(struct work_node *node, struct plex_call *call, uint32_t method)
{
    struct work_process_request request;
    struct rt_signal signal = {
        .kind = method == WORK_METHOD_LINK_ACTOR ? RT_LINK : RT_UNLINK,
        .name = "",
        .text = "",
        .reason = ""};
    struct plex_err err;

    if (!node_request_begin(node, call, method, &request, &signal.to))
        return;
    if (!node_ref_parse(request.child, &signal.from) ||
        plex_ref_is(signal.from, signal.to)) {
        (void)plex_err_set(&err, PLEX_INVALID,
                           "\"%.60s\" is not the ref of another process",
                           request.child);
        plex_call_refuse(call, &err);
        return;
    }
    signal.where =
        (struct rt_where){plex_call_context(call)->tenant, request.ns};
    rt_deliver(node->rt, &signal);
    plex_call_reply(call, (struct plex_bytes){0});
}

void
node_on_link(struct work_node *node, struct plex_call *call)
{
    link_side(node, call, WORK_METHOD_LINK_ACTOR);
}

void
node_on_unlink(struct work_node *node, struct plex_call *call)
{
    link_side(node, call, WORK_METHOD_UNLINK_ACTOR);
}

/* A ref that has ended is no error: how it ended is what is asked. Its event
 * may still be on its way: that of a console comes after it. */
static bool
is_ended(const struct work_node *node, const char *text, struct plex_ref *out)
{
    struct rt_info info;

    return text[0] == '<' && node_ref_parse(text, out) &&
           out->node == node->config.host->incarnation &&
           rt_inspect(node->rt, *out, &info) != 0;
}

void
node_on_monitor(struct work_node *node, struct plex_call *call)
{
    struct work_process_request request;
    struct console *console;
    struct plex_ref process;
    struct plex_err err;

    if (!node_request_begin(node, call, WORK_METHOD_MONITOR_ACTOR, &request,
                            NULL))
        return;
    if (!is_ended(node, request.process, &process) &&
        node_process_find(node, call, request.ns, request.process, &process,
                          &err) != PLEX_OK) {
        plex_call_refuse(call, &err);
        return;
    }
    console = console_make(node, call, WORK_METHOD_MONITOR_ACTOR);
    console->ref = process;
    console->wait_ms = request.wait_ms;
    console_begin(console, PLEX_OK, &err);
}
