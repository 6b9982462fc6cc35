/* Processes that placement starts here for people: nobody restarts them, and
 * what they have reserved ends with them. */
#include "services/worker/node_private.h"

#include "common/mem.h"
#include "services/worker/wire_place.h"

#include <stdlib.h>
#include <string.h>

/* A start that waits for init. */
struct start {
    struct node_note note;
    struct start *next, **at; /* of node->starts */
    uint8_t *held;
    size_t held_len;
    char *request_id;
    struct work_node *node;
    struct plex_call *call;
    int status;
    struct plex_ref process;
    char reason[256];
};

/* On an executor. */
static void
on_started(void *arg, int status, struct plex_ref process, const char *reason)
{
    struct start *start = arg;

    start->status = status;
    start->process = process;
    (void)snprintf(start->reason, sizeof start->reason, "%s",
                   reason == NULL ? "" : reason);
    node_note_push(start->node, &start->note);
}

static void
answer(struct work_node *node, struct plex_call *call, struct plex_ref process)
{
    char text[NODE_REF_TEXT];
    enum plex_status status;
    struct plex_err err;

    node->scratch.len = 0;
    status =
        work_started_pack(node_ref_text(process, text), &node->scratch, &err);
    plex_call_answer(call, status, &node->scratch, &err);
}

static void
start_free(struct start *start)
{
    *start->at = start->next;
    if (start->next != NULL)
        start->next->at = start->at;
    free(start->held);
    free(start->request_id);
    free(start);
}

void
node_schedule_noted(struct work_node *node, struct node_note *note)
{
    struct start *start = plex_container_of(note, struct start, note);
    struct plex_err err;

    if (start->status == 0) {
        node_hold_add(node, start->request_id,
                      (struct plex_bytes){start->held, start->held_len},
                      start->process);
        answer(node, start->call, start->process);
    } else {
        (void)plex_err_set(
            &err, PLEX_FAILED, "it did not start: %s",
            start->reason[0] != '\0'
                ? start->reason
                : plex_status_text((enum plex_status) - start->status));
        plex_call_refuse(start->call, &err);
    }
    start_free(start);
}

void
node_schedule_drop(struct node_note *note)
{
    start_free(plex_container_of(note, struct start, note));
}

static enum plex_status
start_make(struct work_node *node, struct plex_call *call,
           const struct work_start *asked, struct plex_err *err)
{
    struct plex_spawn how = {.args = asked->args,
                             .args_len = strlen(asked->args),
                             .name =
                                 asked->name[0] == '\0' ? NULL : asked->name,
                             .wait = true};
    const struct rt_where where = {asked->tenant, asked->ns};
    struct start *start;
    struct plex_ref process;
    int status;

    if (work_modules_find(node->config.modules, asked->module, asked->behaviour,
                          &how.behaviour, err) != PLEX_OK)
        return err->status;
    start = plex_calloc(1, sizeof *start);
    start->note.kind = NOTE_SCHEDULED;
    start->node = node;
    start->call = call;
    start->request_id = plex_strdup(asked->request_id);
    start->held = plex_calloc(asked->held.len + 1, 1);
    start->held_len = asked->held.len;
    if (asked->held.len > 0)
        memcpy(start->held, asked->held.data, asked->held.len);
    start->at = &node->starts;
    start->next = node->starts;
    if (start->next != NULL)
        start->next->at = &start->next;
    node->starts = start;
    status = rt_spawn(node->rt, where, &how, on_started, start, &process);
    if (status < 0) {
        start_free(start);
        return plex_err_set(err, (enum plex_status) - status,
                            "it could not be started: %s",
                            plex_status_text((enum plex_status) - status));
    }
    return PLEX_OK;
}

static bool
is_starting(const struct work_node *node, const char *request_id)
{
    for (const struct start *start = node->starts; start != NULL;
         start = start->next)
        if (strcmp(start->request_id, request_id) == 0)
            return true;
    return false;
}

void
node_on_start_placed(struct work_node *node, struct plex_call *call)
{
    struct plex_ref process;
    struct work_start asked;
    struct plex_err err;

    plex_arena_reset(&node->arena);
    if (work_start_unpack(plex_call_payload(call), &node->arena, &asked,
                          &err) != PLEX_OK) {
        plex_call_refuse(call, &err);
        return;
    }
    if (node_hold_find(node, asked.request_id, &process)) {
        answer(node, call, process); /* the same request, again */
        return;
    }
    if (is_starting(node, asked.request_id)) {
        (void)plex_err_set(&err, PLEX_IN_FLIGHT, "it is being started");
        plex_call_refuse(call, &err);
        return;
    }
    if (node->draining || node->evicted) {
        (void)plex_err_set(&err, PLEX_UNAVAILABLE, "the worker drains");
        plex_call_refuse(call, &err);
        return;
    }
    if (start_make(node, call, &asked, &err) != PLEX_OK)
        plex_call_refuse(call, &err);
}
