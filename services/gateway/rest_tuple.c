/* What is special about the tuple space over HTTP: its requests say their
 * namespace, may wait for long, and take an Idempotency-Key. */
#include "services/gateway/rest.h"
#include "services/gateway/text.h"
#include "services/tuplespace/client.h"

#include <string.h>

enum {
    GATE_TUPLE_AGAIN_MS = 5000, /* until a moved namespace is found */
    GATE_TUPLE_PAUSE_MS = 20,
};

/* The member called `name`, NULL when the request has none. */
static void *
member(const struct gate_rest *rest, const char *name)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(
            rest->request->descriptor, name);

    return field == NULL ? NULL : (char *)rest->request + field->offset;
}

static bool
namespace_set(struct gate_rest *rest)
{
    char *const *ns = member(rest, "namespace");
    struct plex_err err;

    rest->context.ns = ns != NULL && (*ns)[0] != '\0' ? *ns : "default";
    if (plex_name_namespace(rest->context.ns, strlen(rest->context.ns), &err) ==
        PLEX_OK)
        return true;
    gate_rest_problem(rest, 400, "INVALID", "gateway", "%s", err.text);
    return false;
}

/* A request that is not remembered under an id must not be sent twice. */
static bool
request_id_set(struct gate_rest *rest)
{
    const char *value = plex_http_request_header(rest->ex, "Idempotency-Key");
    ProtobufCBinaryData *id = member(rest, "request_id");
    struct plex_err err;
    const char *key;

    rest->once =
        id != NULL && strcmp(rest->route->rpc, "TupleSpaceService.Read") != 0;
    if (value == NULL || id == NULL)
        return true;
    key = gate_key_parse(value, &rest->arena, &err);
    if (key == NULL) {
        gate_rest_problem(rest, 400, "INVALID_IDEMPOTENCY_KEY", "gateway", "%s",
                          err.text);
        return false;
    }
    if (strlen(key) > GATE_TUPLE_KEY_MAX) {
        gate_rest_problem(rest, 400, "INVALID_IDEMPOTENCY_KEY", "gateway",
                          "Idempotency-Key has %zu characters, at most %d are "
                          "allowed here",
                          strlen(key), GATE_TUPLE_KEY_MAX);
        return false;
    }
    id->data = (uint8_t *)(uintptr_t)key;
    id->len = strlen(key);
    rest->once = false;
    return true;
}

static void
on_gone(void *arg)
{
    struct gate_rest *rest = arg;

    rest->gone = true;
    plex_link_cancel(rest->gate->host->link, rest->link_id);
}

/* One that waits is counted apart: it costs memory only, and it ends when its
 * client leaves. */
static bool
wait_set(struct gate_rest *rest)
{
    const uint64_t *timeout_ms = member(rest, "timeout_ms");

    if (timeout_ms == NULL || *timeout_ms == 0 ||
        *timeout_ms > GATE_TUPLE_WAIT_MAX_MS)
        return true;
    if (member(rest, "subscription_id") == NULL &&
        member(rest, "template") == NULL)
        return true; /* another kind of timeout */
    rest->context.deadline += *timeout_ms * 1000000;
    rest->gate->n_rest--;
    rest->waits = true;
    if (++rest->gate->n_waits <= GATE_TUPLE_WAITS_MAX)
        return true;
    gate_rest_problem(rest, 503, "OVERLOADED", "gateway",
                      "%d requests wait, which is the limit",
                      GATE_TUPLE_WAITS_MAX);
    return false;
}

bool
gate_rest_tuple(struct gate_rest *rest)
{
    return namespace_set(rest) && request_id_set(rest) && wait_set(rest);
}

void
gate_rest_tuple_sent(struct gate_rest *rest)
{
    if (!rest->waits || rest->watched)
        return;
    rest->watched = true;
    plex_http_on_gone(rest->ex, on_gone, rest);
}

void
gate_rest_tuple_send(struct gate_rest *rest)
{
    const char *url =
        tspace_client_url(reg_client_catalog(rest->gate->registry),
                          rest->context.tenant, rest->context.ns);

    if (url == NULL)
        gate_rest_problem(rest, 503, "UNAVAILABLE", "gateway",
                          "no tuplespace is registered");
    else
        gate_rest_forward(rest, url);
}

static void
on_again(void *arg)
{
    struct gate_rest *rest = arg;

    if (rest->prev != NULL)
        rest->prev->next = rest->next;
    else
        rest->gate->again = rest->next;
    if (rest->next != NULL)
        rest->next->prev = rest->prev;
    rest->again = false;
    plex_timer_free(rest->timer);
    rest->timer = NULL;
    if (rest->gone)
        gate_rest_failed(rest, "gateway", PLEX_CANCELLED, "", false);
    else
        gate_rest_tuple_send(rest);
}

bool
gate_rest_tuple_again(struct gate_rest *rest,
                      const struct plex_link_result *result)
{
    struct gate *gate = rest->gate;
    const uint64_t now = plex_loop_now(gate->host->loop);

    if (result->status != PLEX_NOT_OWNER || rest->gone || gate->stopped ||
        strcmp(rest->route->served_by, "tuplespace") != 0)
        return false;
    if (rest->again_until == 0)
        rest->again_until = now + (uint64_t)GATE_TUPLE_AGAIN_MS * 1000000;
    if (now > rest->again_until)
        return false;
    rest->again = true;
    rest->prev = NULL;
    rest->next = gate->again;
    if (rest->next != NULL)
        rest->next->prev = rest;
    gate->again = rest;
    rest->timer = plex_timer_create(gate->host->loop, on_again, rest);
    plex_timer_start(rest->timer, GATE_TUPLE_PAUSE_MS);
    return true;
}

void
gate_rest_tuple_fini(struct gate *gate)
{
    while (gate->again != NULL)
        gate_rest_problem(gate->again, 503, "NOT_OWNER", "gateway",
                          "the gateway ends before the owner was found");
}
