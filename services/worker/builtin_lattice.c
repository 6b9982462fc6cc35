/* Cells with one owner: a durable actor whose state is an encoded lattice. */
#include "services/worker/builtin_lattice_replica.h"

#include "common/mem.h"
#include "common/name.h"
#include "services/worker/builtin_private.h"
#include "services/worker/handler_private.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* -- behaviours ------------------------------------------------------------ */

struct work_lattice *
work_lattice_behaviour(const char *name, struct plex_err *err)
{
    struct lattice_declared declared;
    struct work_lattice *lattice;

    if (lattice_declared_parse(name, &declared, err) != PLEX_OK)
        return NULL;
    lattice = plex_calloc(1, sizeof *lattice);
    lattice->declared = declared;
    (void)snprintf(lattice->name, sizeof lattice->name, "%s", name);
    lattice->behaviour = (struct plex_behaviour){
        .name = lattice->name,
        .schema_version = 1,
        .handle_call = declared.consistency == LATTICE_LINEARIZABLE
                           ? work_lattice_call
                           : work_lattice_front_call,
    };
    return lattice;
}

/* -- messages -------------------------------------------------------------- */

static enum plex_status
action_of(const json_t *request, enum work_lattice_action *out,
          struct plex_err *err)
{
    const char *action = json_string_value(json_object_get(request, "action"));

    if (action == NULL)
        *out = json_object_get(request, "op") == NULL ? WORK_LATTICE_GET
                                                      : WORK_LATTICE_UPDATE;
    else if (strcmp(action, "get") == 0)
        *out = WORK_LATTICE_GET;
    else if (strcmp(action, "update") == 0)
        *out = WORK_LATTICE_UPDATE;
    else if (strcmp(action, "merge") == 0)
        *out = WORK_LATTICE_MERGE;
    else
        return plex_err_set(err, PLEX_INVALID,
                            "action \"%.40s\" is none of get, update and merge",
                            action);
    return PLEX_OK;
}

enum plex_status
work_lattice_request_init(struct work_lattice_request *request,
                          const void *payload, size_t len, struct plex_err *err)
{
    json_error_t error;

    *request = (struct work_lattice_request){0};
    request->json =
        len == 0 ? json_object()
                 : json_loadb(payload, len, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(request->json))
        return plex_err_set(
            err, PLEX_INVALID, "the message is no JSON object: %.100s",
            request->json == NULL ? error.text : "another value");
    if (action_of(request->json, &request->action, err) != PLEX_OK)
        return err->status;
    if (request->action != WORK_LATTICE_MERGE)
        return PLEX_OK;
    return work_lattice_parse(json_object_get(request->json, "state"),
                              &request->state, err);
}

void
work_lattice_request_fini(struct work_lattice_request *request)
{
    json_decref(request->json);
    lattice_free(request->state);
}

json_t *
work_lattice_text(const struct lattice *lattice)
{
    struct plex_buf bytes = {.max = SIZE_MAX};
    struct plex_err err;
    json_t *text = NULL;
    size_t size;
    char *out;

    if (lattice_encode(lattice, &bytes, &err) == PLEX_OK) {
        size = sodium_base64_encoded_len(bytes.len,
                                         sodium_base64_VARIANT_ORIGINAL);
        out = plex_calloc(1, size);
        (void)sodium_bin2base64(out, size, bytes.data, bytes.len,
                                sodium_base64_VARIANT_ORIGINAL);
        text = json_string(out);
        free(out);
    }
    plex_buf_free(&bytes);
    return text;
}

enum plex_status
work_lattice_parse(const json_t *text, struct lattice **out,
                   struct plex_err *err)
{
    const char *base64 = json_string_value(text), *end;
    const size_t len = json_string_length(text);
    uint8_t *bytes;
    size_t n = 0;
    enum plex_status status;

    *out = NULL;
    if (base64 == NULL)
        return plex_err_set(err, PLEX_INVALID,
                            "state is missing: a lattice's encoding in "
                            "base64, as a get with encoded=true gives it");
    if (len > LATTICE_BYTES_MAX / 3 * 4 + 8)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "state is larger than a lattice may be");
    bytes = plex_calloc(1, len + 1);
    if (sodium_base642bin(bytes, len, base64, len, NULL, &n, &end,
                          sodium_base64_VARIANT_ORIGINAL) != 0 ||
        end != base64 + len)
        status = plex_err_set(err, PLEX_INVALID, "state is no base64");
    else
        status = lattice_decode((struct plex_bytes){bytes, n}, out, err);
    free(bytes);
    return status;
}

json_t *
work_lattice_answer(const struct lattice *cell, const char *kinds, bool durable,
                    const json_t *request)
{
    struct lattice *empty = NULL;
    enum lattice_kind kind;
    json_t *answer;

    if (cell == NULL) {
        kind = lattice_kind_parse(kinds, strcspn(kinds, "/"));
        if (kind != 0)
            cell = empty = lattice_create(kind);
    }
    answer =
        json_pack("{s:o, s:s, s:b}", "value",
                  cell == NULL ? json_null() : lattice_view(cell), "kind",
                  cell == NULL ? "" : lattice_kind_text(lattice_kind_of(cell)),
                  "durable", durable);
    if (cell != NULL && json_is_true(json_object_get(request, "encoded")))
        (void)json_object_set_new(answer, "state", work_lattice_text(cell));
    lattice_free(empty);
    return answer;
}

enum plex_status
work_lattice_check(const struct lattice *cell, const struct lattice *delta,
                   const char *kinds, struct plex_err *err)
{
    const enum lattice_kind kind =
        cell != NULL ? lattice_kind_of(cell)
                     : lattice_kind_parse(kinds, strcspn(kinds, "/"));

    if (kind != 0 && lattice_kind_of(delta) != kind)
        return plex_err_set(err, PLEX_CONFLICT, "the lattice is a %s, not a %s",
                            lattice_kind_text(kind),
                            lattice_kind_text(lattice_kind_of(delta)));
    return cell == NULL ? PLEX_OK : lattice_room(cell, delta, err);
}

/* -- the owner ------------------------------------------------------------- */

/* What replicas in several places must not have in common. */
static uint64_t
self_of(struct plex_ctx *ctx)
{
    struct plex_actor_id id;
    uint64_t hash;

    id.key = plex_self(ctx, &id.tenant, &id.ns, &id.type);
    hash = plex_actor_hash(&id);
    return hash == 0 ? 1 : hash;
}

static const char *
kinds_of(struct plex_ctx *ctx)
{
    const struct plex_behaviour *behaviour =
        work_handler_of(ctx)->turn->behaviour;

    /* "lattice" is a row of the table of all built-in ones. */
    if (strcmp(behaviour->name, "lattice") == 0)
        return "";
    return plex_container_of(behaviour, struct work_lattice, behaviour)
        ->declared.kinds;
}

static enum plex_status
act(struct plex_ctx *ctx, struct work_lattice_request *request,
    struct lattice **cell, struct plex_err *err)
{
    const char *kinds = kinds_of(ctx);
    struct lattice *delta = NULL;
    struct plex_buf bytes = {.max = LATTICE_BYTES_MAX};
    enum plex_status status = PLEX_OK;

    if (request->action == WORK_LATTICE_GET)
        return PLEX_OK;
    if (request->action == WORK_LATTICE_UPDATE) {
        status = lattice_update(*cell, kinds, self_of(ctx), plex_turn_ms(ctx),
                                request->json, &delta, err);
    } else {
        status = work_lattice_check(*cell, request->state, kinds, err);
        delta = request->state;
        request->state = NULL;
    }
    if (status == PLEX_OK) {
        if (*cell == NULL)
            *cell = lattice_create(lattice_kind_of(delta));
        if (lattice_merge(*cell, delta))
            status = lattice_encode(*cell, &bytes, err);
        if (status == PLEX_OK && bytes.len > 0)
            plex_state_put(ctx, bytes.data, bytes.len);
    }
    plex_buf_free(&bytes);
    lattice_free(delta);
    return status;
}

int
work_lattice_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct work_lattice_request request;
    struct lattice *cell = NULL;
    struct plex_err err;
    size_t len;
    const void *state = plex_state(ctx, &len);
    int result = 0;

    if (len > 0 &&
        lattice_decode((struct plex_bytes){state, len}, &cell, &err) != PLEX_OK)
        return plex_fail(ctx, err.text);
    if (work_lattice_request_init(&request, msg->payload, msg->len, &err) !=
            PLEX_OK ||
        act(ctx, &request, &cell, &err) != PLEX_OK)
        result = work_builtin_refuse(ctx, &err);
    else
        result = work_builtin_reply(
            ctx, 200,
            work_lattice_answer(cell, kinds_of(ctx), true, request.json));
    work_lattice_request_fini(&request);
    lattice_free(cell);
    return result;
}
