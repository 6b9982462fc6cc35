/*
 * eval of the tuple space: an actor is called, and its reply becomes a tuple.
 * The key is the eval's id. The turn that accepts it makes the call, which is
 * delivered once; the turn that gets the reply writes the tuple, once however
 * often it is run again. State: the request, and under "state" running, done
 * or failed.
 */
#include "services/worker/builtin_private.h"

#include "common/name.h"
#include "sdk/c/include/plexspaces/tuplespace.h"

#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 60000, TIMEOUT_MAX_MS = 3600000 };
#define TTL_MAX_MS ((json_int_t)30 * 24 * 3600 * 1000)

static json_t *
state_load(struct plex_ctx *ctx)
{
    size_t len;
    const void *state = plex_state(ctx, &len);

    return state == NULL ? NULL : json_loadb(state, len, 0, NULL);
}

static int
state_save(struct plex_ctx *ctx, const json_t *eval)
{
    char *text = json_dumps(eval, JSON_COMPACT);

    if (text == NULL)
        return plex_fail(ctx, "the state cannot be written");
    plex_state_put(ctx, text, strlen(text));
    free(text);
    return 0;
}

static const char *
text_of(const json_t *json, const char *field)
{
    const char *text = json_string_value(json_object_get(json, field));

    return text == NULL ? "" : text;
}

/* What others see of it. */
static int
show(struct plex_ctx *ctx, const json_t *eval)
{
    return work_builtin_reply(
        ctx, 200,
        json_pack("{s:s, s:s, s:s, s:s+++, s:s}", "eval_id",
                  plex_self(ctx, NULL, NULL, NULL), "state",
                  text_of(eval, "state"), "space", text_of(eval, "space"),
                  "actor", text_of(eval, "actor_type"), "/",
                  text_of(eval, "actor_key"), "", "reason",
                  text_of(eval, "reason")));
}

/* -- the request ------------------------------------------------------------
 */

static bool
number_good(const json_t *request, const char *field, json_int_t least,
            json_int_t most)
{
    const json_t *number = json_object_get(request, field);

    return number == NULL ||
           (json_is_integer(number) && json_integer_value(number) >= least &&
            json_integer_value(number) <= most);
}

/* NULL: nothing. */
static const char *
wrong_with(const json_t *request, struct plex_err *err)
{
    const char *space = text_of(request, "space");
    const char *type = text_of(request, "actor_type");
    const char *key = text_of(request, "actor_key");

    if (plex_name_plain("space", space, strlen(space), err) != PLEX_OK ||
        plex_name_type(type, strlen(type), err) != PLEX_OK ||
        (key[0] != '\0' && plex_name_key(key, strlen(key), err) != PLEX_OK))
        return err->text;
    if (!number_good(request, "timeout_ms", 1, TIMEOUT_MAX_MS))
        return "timeout_ms must be 1 to 3600000";
    if (!number_good(request, "ttl_ms", 0, TTL_MAX_MS))
        return "ttl_ms must be 0 to 30 days";
    return NULL;
}

/* The same again is the same eval, whatever has become of it. */
static bool
is_same(const json_t *eval, const json_t *request)
{
    static const char *const fields[] = {"space",      "actor_type", "message",
                                         "timeout_ms", "ttl_ms",     NULL};
    const char *key = text_of(request, "actor_key");

    for (size_t i = 0; fields[i] != NULL; i++) {
        const json_t *a = json_object_get(eval, fields[i]);
        const json_t *b = json_object_get(request, fields[i]);

        if ((a == NULL) != (b == NULL) || (a != NULL && !json_equal(a, b)))
            return false;
    }
    return key[0] == '\0' || strcmp(key, text_of(eval, "actor_key")) == 0;
}

static void
call_actor(struct plex_ctx *ctx, const json_t *eval)
{
    const json_t *message = json_object_get(eval, "message");
    const json_int_t timeout_ms =
        json_integer_value(json_object_get(eval, "timeout_ms"));
    char *text = message == NULL
                     ? NULL
                     : json_dumps(message, JSON_COMPACT | JSON_ENCODE_ANY);
    const char *payload = text == NULL ? "{}" : text;

    plex_call(ctx, text_of(eval, "actor_type"), text_of(eval, "actor_key"),
              payload, strlen(payload),
              timeout_ms <= 0 ? TIMEOUT_MS : (uint64_t)timeout_ms, 0);
    free(text);
}

static int
begin(struct plex_ctx *ctx, json_t *eval, json_t *request)
{
    const char *wrong;
    struct plex_err err;

    if (eval != NULL) {
        if (is_same(eval, request))
            return show(ctx, eval);
        plex_reply_problem(ctx, 409, "another eval has this id");
        return 0;
    }
    wrong = wrong_with(request, &err);
    if (wrong != NULL) {
        plex_reply_problem(ctx, 400, "%s", wrong);
        return 0;
    }
    if (text_of(request, "actor_key")[0] == '\0')
        json_object_set_new(request, "actor_key",
                            json_string(plex_self(ctx, NULL, NULL, NULL)));
    json_object_set_new(request, "state", json_string("running"));
    if (state_save(ctx, request) != 0)
        return -1;
    call_actor(ctx, request);
    return show(ctx, request);
}

int
work_eval_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *action;
    json_t *request = work_builtin_request(ctx, msg, &action), *eval;
    int status = 0;

    if (request == NULL)
        return 0;
    eval = state_load(ctx);
    if (strcmp(action, "eval") == 0)
        status = begin(ctx, eval, request);
    else if (strcmp(action, "get") == 0 && eval != NULL)
        status = show(ctx, eval);
    else if (strcmp(action, "get") == 0)
        plex_reply_problem(ctx, 404, "no such eval");
    else
        plex_reply_problem(ctx, 400, "eval and get are known");
    json_decref(eval);
    json_decref(request);
    return status;
}

/* -- the work ---------------------------------------------------------------
 */

/* NULL: `tuple` is one; the reason why it is none. */
static const char *
tuple_of(const struct plex_value *reply, json_t **tuple)
{
    json_error_t error;

    *tuple =
        json_loadb(reply->data, reply->len, JSON_REJECT_DUPLICATES, &error);
    if (json_is_array(*tuple))
        return NULL;
    return strcmp(text_of(*tuple, "source"), "actor") == 0
               ? text_of(*tuple, "detail")
               : "the actor's reply is no JSON list, which a tuple is";
}

static const char *
why_no_reply(enum plex_result_status outcome)
{
    return outcome == PLEX_CALL_TIMEOUT  ? "the actor did not answer in time"
           : outcome == PLEX_CALL_FAILED ? "the actor failed"
                                         : "the actor could not be reached";
}

/* Once, however often this is run again. */
static int
tuple_write(struct plex_ctx *ctx, const json_t *eval, json_t *tuple,
            struct plex_value *out)
{
    json_t *write = json_pack(
        "{s:s, s:[O], s:I}", "space", text_of(eval, "space"), "tuples", tuple,
        "ttl_ms", json_integer_value(json_object_get(eval, "ttl_ms")));
    char *text = json_dumps(write, JSON_COMPACT);
    const struct plex_tuple_op op = {.method = PLEX_TUPLE_WRITE, .json = text};
    const int status =
        text == NULL ? PLEX_E_INVALID : plex_tuple_once(ctx, "write", &op, out);

    free(text);
    json_decref(write);
    return status;
}

int
work_eval_reply(struct plex_ctx *ctx, uint64_t tag,
                enum plex_result_status outcome, const void *payload,
                size_t len)
{
    const struct plex_value reply = {payload == NULL ? "" : payload, len};
    json_t *eval = state_load(ctx), *tuple = NULL;
    struct plex_value written = {"", 0};
    const char *reason;
    char text[300];
    int status;

    (void)tag;
    if (eval == NULL)
        return 0;
    reason = outcome == PLEX_CALL_OK ? tuple_of(&reply, &tuple)
                                     : why_no_reply(outcome);
    status = reason == NULL ? tuple_write(ctx, eval, tuple, &written) : 0;
    if (status != 0) {
        (void)snprintf(text, sizeof text, "the tuple space refused it: %.*s",
                       (int)(written.len > 200 ? 200 : written.len),
                       (const char *)written.data);
        reason = status == PLEX_E_CANCELLED ? "it was cancelled" : text;
    }
    json_object_set_new(eval, "state",
                        json_string(reason == NULL ? "done" : "failed"));
    if (reason != NULL)
        json_object_set_new(eval, "reason", json_string(reason));
    status = state_save(ctx, eval);
    json_decref(tuple);
    json_decref(eval);
    return status;
}
