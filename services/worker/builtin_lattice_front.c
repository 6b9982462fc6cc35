/* Types with replicas: their activations ask this worker's replica, and the
 * owner where a cell is kept. */
#include "services/worker/builtin_lattice_replica.h"
#include "services/worker/builtin_private.h"
#include "services/worker/handler_private.h"

#include "sdk/c/include/plexspaces/process.h"

#include <stdlib.h>
#include <string.h>

enum {
    ASK_MS = 5000,
    BEHIND_MS = 5000, /* what a token asks for is waited for so long */
    BEHIND_LOOK_MS = 10,
};

static const struct lattice_declared *
declared_of(struct plex_ctx *ctx)
{
    return &plex_container_of(work_handler_of(ctx)->turn->behaviour,
                              struct work_lattice, behaviour)
                ->declared;
}

/* What `name` answers to that; NULL: nobody does. */
static json_t *
ask(struct plex_ctx *ctx, const char *name, const json_t *request)
{
    char *text = json_dumps(request, JSON_COMPACT);
    const struct plex_ref to = plex_whereis(ctx, name);
    struct plex_msg answer;
    json_t *value = NULL;

    if (!plex_ref_none(to) &&
        plex_ask(ctx, to, 0, text, strlen(text), ASK_MS, &answer) == 0)
        value = json_loadb(answer.payload, answer.len, 0, NULL);
    free(text);
    return value;
}

static json_t *
ask_replica(struct plex_ctx *ctx, const json_t *request)
{
    char group[WORK_LATTICE_GROUP_MAX];
    const char *type;

    (void)plex_self(ctx, NULL, NULL, &type);
    work_lattice_group(type, group);
    return ask(ctx, group, request);
}

/* The owner's answer with its state; NULL: it cannot be reached, and a refusal
 * of it has "status". */
static json_t *
ask_owner(struct plex_ctx *ctx, const json_t *request, const char *action)
{
    const char *key = json_string_value(json_object_get(request, "key"));
    char name[LATTICE_KEPT_MAX + LATTICE_KEY_MAX + 2];
    json_t *message, *answer;

    if (key == NULL || key[0] == '\0' || strlen(key) > LATTICE_KEY_MAX) {
        return json_pack("{s:i, s:s}", "status", 400, "detail",
                         "key must be a text of 1 to 512 bytes");
    }
    message = json_copy((json_t *)(uintptr_t)request);
    json_object_set_new(message, "action", json_string(action));
    json_object_set_new(message, "encoded", json_true());
    (void)snprintf(name, sizeof name, "%s/%s", declared_of(ctx)->kept_in, key);
    answer = ask(ctx, name, message);
    json_decref(message);
    return answer;
}

static int
refuse(struct plex_ctx *ctx, int status, const char *detail)
{
    plex_reply_problem(ctx, (uint32_t)status, "%s", detail);
    return 0;
}

/* -- read_committed -------------------------------------------------------- */

/* The owner first; then what it has is merged here. */
static int
commit(struct plex_ctx *ctx, const struct work_lattice_request *request)
{
    json_t *answer =
        ask_owner(ctx, request->json,
                  request->action == WORK_LATTICE_UPDATE ? "update" : "merge");
    const json_t *state = json_object_get(answer, "state");
    const json_t *status = json_object_get(answer, "status");
    json_t *merge, *merged;
    int result;

    if (state == NULL) {
        result =
            status == NULL
                ? refuse(ctx, 503, "the owner of the cell does not answer")
                : refuse(ctx, (int)json_integer_value(status),
                         json_string_value(json_object_get(answer, "detail")));
        json_decref(answer);
        return result;
    }
    merge = json_pack("{s:s, s:O, s:O, s:b, s:n}", "action", "merge", "key",
                      json_object_get(request->json, "key"), "state", state,
                      "kept", 1, "recalled");
    merged = ask_replica(ctx, merge);
    json_decref(merge);
    json_decref(merged); /* it will hear of it otherwise */
    if (!json_is_true(json_object_get(request->json, "encoded")))
        json_object_del(answer, "state");
    return work_builtin_reply(ctx, 200, answer);
}

/* -- the others ------------------------------------------------------------ */

/* What the owner has of a cell that is not known here; false: the request has
 * been refused. */
static bool
recall(struct plex_ctx *ctx, const struct work_lattice_request *request)
{
    json_t *answer = ask_owner(ctx, request->json, "get");
    json_t *state = json_object_get(answer, "state");
    const bool can_do_without = request->action != WORK_LATTICE_GET;

    if (state == NULL && !can_do_without) {
        json_decref(answer);
        (void)refuse(ctx, 503,
                     "nothing is known of the cell here, and the owner that "
                     "keeps it does not answer");
        return false;
    }
    if (state == NULL)
        (void)json_object_set_new(request->json, "recalled", json_null());
    else
        (void)json_object_set(request->json, "recalled", state);
    json_decref(answer);
    return true;
}

/* Of what the replica said; 1: ask again. */
static int
settle(struct plex_ctx *ctx, struct work_lattice_request *request, json_t *said,
       uint64_t *waited)
{
    json_t *answer = json_object_get(said, "answer");
    const json_t *refused = json_object_get(said, "refused");

    if (answer != NULL)
        return work_builtin_reply(ctx, 200, json_incref(answer));
    if (refused != NULL)
        return refuse(ctx, (int)json_integer_value(refused),
                      json_string_value(json_object_get(said, "detail")));
    if (json_object_get(said, "recall") != NULL)
        return recall(ctx, request) ? 1 : 0;
    if (json_object_get(said, "behind") == NULL)
        return refuse(ctx, 503, "this worker's replica does not answer");
    if (*waited >= BEHIND_MS)
        return refuse(
            ctx, 503,
            "this worker's replica has not heard of what is asked for yet");
    plex_sleep(ctx, BEHIND_LOOK_MS);
    *waited += BEHIND_LOOK_MS;
    return 1;
}

int
work_lattice_front_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct work_lattice_request request;
    struct plex_err err;
    uint64_t waited = 0;
    int result = 1;

    if (work_lattice_request_init(&request, msg->payload, msg->len, &err) !=
        PLEX_OK) {
        work_lattice_request_fini(&request);
        return work_builtin_refuse(ctx, &err);
    }
    json_object_del(request.json, "recalled");
    json_object_del(request.json, "kept");
    if (declared_of(ctx)->consistency == LATTICE_READ_COMMITTED &&
        request.action != WORK_LATTICE_GET)
        result = commit(ctx, &request);
    while (result == 1) {
        json_t *said = ask_replica(ctx, request.json);

        result = settle(ctx, &request, said, &waited);
        json_decref(said);
    }
    work_lattice_request_fini(&request);
    return result;
}
