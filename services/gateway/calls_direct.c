/*
 * Calls to processes. Of a type that is not keyed, the worker that runs the
 * root of the application's processes picks an instance. It knows those whose
 * supervisors it runs; when it surely has none the others are asked, from one
 * on that chance picks. A process that is named gets the message itself.
 * Nothing is sent twice: only virtual actors know a message by its id.
 */
#include "common/wire.h"
#include "services/gateway/calls.h"
#include "services/gateway/rest_find.h"
#include "services/gateway/send_path.h"
#include "services/worker/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *
instances_url(const struct gate *gate, const struct plex_actor_id *to,
              uint64_t *incarnation)
{
    const struct reg_catalog *catalog = gate_core_catalog_now(gate->core);
    const struct reg_app *app = NULL;
    const struct reg_actor_type *type =
        catalog == NULL
            ? NULL
            : reg_catalog_type(catalog, to->tenant, to->ns, to->type, &app);
    const struct reg_node *nodes;
    size_t n;

    if (type == NULL || type->is_virtual || app->state != REG_APP_RUNNING ||
        app->root.incarnation == 0)
        return NULL;
    *incarnation = app->root.incarnation;
    nodes = reg_catalog_nodes(catalog, &n);
    for (size_t i = 0; i < n; i++)
        if (nodes[i].incarnation == app->root.incarnation &&
            nodes[i].status != REG_NODE_LOST)
            return nodes[i].url;
    return NULL;
}

/* The next worker that may run a supervisor of such instances; NULL: all have
 * been asked. */
static const char *
other_url(struct gate_work *work)
{
    const struct reg_catalog *catalog = gate_core_catalog_now(work->gate->core);
    size_t n = 0;
    const struct reg_node *nodes =
        catalog == NULL ? NULL : reg_catalog_nodes(catalog, &n);

    if (work->direct_tried == 0)
        plex_random(&work->direct_turn, sizeof work->direct_turn);
    while (work->direct_tried < n) {
        const struct reg_node *node =
            &nodes[(work->direct_turn % n + work->direct_tried++) % n];

        if (gate_is_worker(node) && node->incarnation != work->direct_first)
            return node->url;
    }
    return NULL;
}

static const char *
code_of(const struct gate_work *work, enum plex_status status)
{
    switch (status) {
    case PLEX_NOT_FOUND:
        return work->request.sends ? "PROCESS_NOT_FOUND" : "NO_LIVE_INSTANCE";
    case PLEX_TIMEOUT:
        return "DEADLINE_EXCEEDED";
    case PLEX_UNKNOWN:
        return "OUTCOME_UNKNOWN";
    default:
        return plex_status_name(status);
    }
}

static void
instance_done(void *arg, enum plex_status status, const char *text,
              const struct work_reply *reply)
{
    struct gate_work *work = arg;
    struct gate_problem *problem = &work->call.problem;
    const bool failed = status == PLEX_OK && reply->failed;
    const char *url;

    if (status == PLEX_NOT_FOUND && work->direct_first != 0 &&
        !work->gate->stopped && (url = other_url(work)) != NULL) {
        (void)work_client_invoke(work->gate->host->link, url,
                                 work->call.context, work->call.message,
                                 instance_done, work);
        return;
    }
    work->attempts--;
    if (work->gate->stopped) {
        work->answered = true;
        gate_work_release(work);
        return;
    }
    if (status == PLEX_UNKNOWN && plex_now() >= work->request.context.deadline)
        status = PLEX_TIMEOUT;
    *problem = (struct gate_problem){
        .status = failed ? 500 : (unsigned)plex_status_http(status),
        .code = failed ? "ACTOR_FAILED" : code_of(work, status),
        .source = failed ? "actor" : "worker",
        .outcome_unknown = status == PLEX_TIMEOUT || status == PLEX_UNKNOWN,
    };
    (void)snprintf(problem->detail, sizeof problem->detail, "%.200s",
                   failed            ? reply->error
                   : text[0] == '\0' ? plex_status_text(status)
                                     : text);
    gate_work_answer(work, status == PLEX_OK ? reply : NULL);
}

/* -- one that is named ------------------------------------------------------
 */

static void
post_done(void *arg, const struct plex_link_result *result)
{
    struct gate_work *work = arg;
    const bool unknown = result->status != PLEX_OK && result->outcome_unknown;
    struct plex_arena arena;
    struct work_reply reply;
    struct plex_err err;

    plex_arena_init(&arena, PLEX_LINK_FRAME_MAX);
    if (result->status == PLEX_OK &&
        work_reply_unpack(result->payload, &arena, &reply, &err) != PLEX_OK)
        instance_done(work, PLEX_UNKNOWN, err.text, NULL);
    else
        instance_done(work, unknown ? PLEX_UNKNOWN : result->status,
                      result->text, result->status == PLEX_OK ? &reply : NULL);
    plex_arena_fini(&arena);
}

static void
refuse(struct gate_work *work, unsigned status, const char *code,
       const char *text, const char *what)
{
    struct gate_problem *problem = &work->call.problem;

    work->attempts--;
    *problem = (struct gate_problem){
        .status = status, .code = code, .source = "gateway"};
    (void)snprintf(problem->detail, sizeof problem->detail, "%s%.150s", text,
                   what);
    gate_work_answer(work, NULL);
}

static void
on_found(void *arg, const struct gate_found *found)
{
    struct gate_work *work = arg;
    struct plex_link_request request = {.peer = found->url,
                                        .method = WORK_POST_METHOD,
                                        .context = &work->request.context,
                                        .done = post_done,
                                        .arg = work};
    struct plex_buf out = {.max = PLEX_WIRE_BYTES_MAX};
    struct plex_err err;

    if (work->gate->stopped || found->failed != PLEX_OK) {
        instance_done(
            work, found->failed == PLEX_OK ? PLEX_UNAVAILABLE : found->failed,
            found->failed_text, NULL);
    } else if (found->n == 0) {
        refuse(work, 404, "PROCESS_NOT_FOUND",
               "no worker has, in that namespace, the process ",
               work->request.send.process);
    } else if (found->n > 1) {
        refuse(work, 409, "NAME_AMBIGUOUS",
               "several workers have a process of that name, say which:",
               found->nodes);
    } else if (work_message_pack(&work->request.message, &out, &err) !=
               PLEX_OK) {
        refuse(work, 413, "TOO_LARGE", "", err.text);
    } else {
        request.payload = (struct plex_bytes){out.data, out.len};
        (void)plex_link_call(work->gate->host->link, &request);
    }
    plex_buf_free(&out);
}

bool
gate_call_directly(struct gate_work *work)
{
    struct gate *gate = work->gate;
    struct gate_request *request = &work->request;
    const char *url;

    work->direct_first = 0;
    work->direct_tried = 0;
    if (request->sends && request->send.process != NULL) {
        work->attempts++;
        request->message.timer = request->send.process;
        gate_find_process(gate, &request->context, request->message.to.ns,
                          request->send.process, on_found, work);
        return true;
    }
    url = instances_url(gate, &request->message.to, &work->direct_first);
    if (url == NULL)
        return false;
    work->attempts++;
    (void)work_client_invoke(gate->host->link, url, work->call.context,
                             work->call.message, instance_done, work);
    return true;
}
