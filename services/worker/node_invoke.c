/*
 * Calls from outside to types that are not keyed: one of the running instances
 * gets them, the less loaded of two that chance picks. An instance is a child
 * of a supervisor of this worker, here or elsewhere, that was declared with
 * that type.
 */
#include "services/worker/node_private.h"

#include "common/mem.h"
#include "common/wire.h"
#include "runtime/http.h"
#include "services/worker/client.h"

#include <stdlib.h>
#include <string.h>

/* The default one falls through switch labels in a way clang dislikes. */
#define HASH_FUNCTION HASH_FNV
#include <uthash.h>

struct node_type {
    UT_hash_handle hh;
    struct plex_ref *refs;
    size_t n, cap;
    char key[];
};
enum { KEY_MAX = 64 + 32 + 128 + 3 };

static size_t
key_of(char key[KEY_MAX], const char *tenant, const char *ns, const char *type)
{
    const int len = snprintf(key, KEY_MAX, "%s/%s/%s", tenant, ns, type);

    return len > 0 && len < KEY_MAX ? (size_t)len : 0;
}

static struct node_type *
type_find(struct work_node *node, const char *tenant, const char *ns,
          const char *type)
{
    char key[KEY_MAX];
    const size_t len = key_of(key, tenant, ns, type);
    struct node_type *found = NULL;

    if (len > 0)
        HASH_FIND(hh, node->types, key, len, found);
    return found;
}

/* -- who runs ---------------------------------------------------------------
 */

static bool
is_instance(const struct work_node *node, const struct node_event *event)
{
    const struct reg_actor_type *type;

    if (event->supervisor.id == 0 || node->catalog == NULL)
        return false;
    type = reg_catalog_type(node->catalog, event->tenant, event->ns_name,
                            event->behaviour, NULL);
    return type != NULL && !type->is_virtual;
}

static void
forget(struct node_type *type, struct plex_ref ref)
{
    for (size_t i = 0; i < type->n; i++)
        if (plex_ref_is(type->refs[i], ref)) {
            type->refs[i] = type->refs[--type->n];
            return;
        }
}

static void
started(struct work_node *node, const struct node_event *event)
{
    struct node_type *type =
        type_find(node, event->tenant, event->ns_name, event->behaviour);
    char key[KEY_MAX];
    const size_t len =
        key_of(key, event->tenant, event->ns_name, event->behaviour);

    if (len == 0 || !is_instance(node, event))
        return;
    if (type == NULL) {
        type = plex_calloc(1, sizeof *type + len + 1);
        memcpy(type->key, key, len);
        HASH_ADD_KEYPTR(hh, node->types, type->key, len, type);
    }
    forget(type, event->process); /* once is enough */
    if (type->n == type->cap) {
        type->cap = type->cap == 0 ? 4 : type->cap * 2;
        type->refs =
            plex_reallocarray(type->refs, type->cap, sizeof *type->refs);
    }
    type->refs[type->n++] = event->process;
}

void
node_instances_note(struct work_node *node, const struct node_event *event)
{
    struct node_type *type;

    if (event->kind == RT_STARTED || event->kind == RT_RESTARTED) {
        started(node, event);
    } else if (event->kind == RT_STOPPED) {
        type = type_find(node, event->tenant, event->ns_name, event->behaviour);
        if (type != NULL)
            forget(type, event->process);
    }
}

void
node_instances_free(struct work_node *node)
{
    struct node_type *type, *next;

    HASH_ITER(hh, node->types, type, next)
    {
        HASH_DEL(node->types, type);
        free(type->refs);
        free(type);
    }
}

/* -- calls ------------------------------------------------------------------
 */

struct errand {
    struct node_note note;
    struct work_node *node;
    struct plex_call *call;
    int status;
    uint32_t http_status;
    struct plex_arena memory; /* of: */
    const char *content_type;
    struct work_header *headers;
    size_t n_headers;
    const char *reason;
    uint8_t *payload;
    size_t len;
};
enum { ANSWER_BYTES_MAX = 8 << 20 };

static const char *
text_of(struct errand *errand, const char *text)
{
    const char *copy =
        text == NULL ? NULL
                     : plex_arena_strndup(&errand->memory, text, strlen(text));

    return copy == NULL ? "" : copy;
}

static void
headers_take(struct errand *errand, const struct rt_http *http)
{
    const char *name, *value;

    errand->headers = plex_arena_alloc(
        &errand->memory, RT_HTTP_HEADERS_MAX * sizeof *errand->headers);
    while (errand->headers != NULL && errand->n_headers < RT_HTTP_HEADERS_MAX &&
           rt_http_header_at(http, errand->n_headers, &name, &value))
        errand->headers[errand->n_headers++] =
            (struct work_header){text_of(errand, name), text_of(errand, value)};
}

static void
answered(void *arg, int status, const struct plex_msg *answer)
{
    struct errand *errand = arg;

    errand->status = status;
    if (status == 0) {
        errand->http_status = (uint32_t)answer->tag;
        errand->content_type = text_of(errand, answer->content_type);
        if (rt_http_answer(answer) != NULL)
            headers_take(errand, rt_http_answer(answer));
        errand->payload = plex_arena_alloc(&errand->memory, answer->len + 1);
        errand->len = errand->payload == NULL ? 0 : answer->len;
        if (errand->len > 0)
            memcpy(errand->payload, answer->payload, answer->len);
    } else {
        errand->reason = text_of(errand, answer == NULL ? "" : answer->reason);
    }
    node_note_push(errand->node, &errand->note);
}

void
node_errand_drop(struct node_note *note)
{
    struct errand *errand = plex_container_of(note, struct errand, note);

    plex_arena_fini(&errand->memory);
    free(errand);
}

static void
reply(struct work_node *node, struct plex_call *call,
      const struct work_reply *out)
{
    struct plex_err err;

    node->scratch.len = 0;
    plex_call_answer(call, work_reply_pack(out, &node->scratch, &err),
                     &node->scratch, &err);
}

void
node_errand_noted(struct work_node *node, struct node_note *note)
{
    struct errand *errand = plex_container_of(note, struct errand, note);
    const struct work_reply out = {
        .http_status = errand->http_status,
        .content_type = errand->content_type,
        .headers = errand->headers,
        .n_headers = errand->n_headers,
        .payload = {errand->payload, errand->len},
        .failed = errand->status == -PLEX_FAILED,
        .error = errand->reason,
    };

    if (errand->status == 0 || out.failed)
        reply(node, errand->call, &out);
    else
        plex_call_fail(errand->call, (enum plex_status) - errand->status,
                       out.error, (struct plex_bytes){0});
    node_errand_drop(note);
}

/* Two by chance, the one with fewer messages waiting. */
static struct plex_ref
pick(struct work_node *node, const struct node_type *type)
{
    struct rt_info a, b;
    uint64_t random;
    struct plex_ref one, two;

    plex_random(&random, sizeof random);
    one = type->refs[(uint32_t)random % type->n];
    two = type->refs[(uint32_t)(random >> 32) % type->n];
    if (plex_ref_is(one, two) || rt_inspect(node->rt, one, &a) != 0 ||
        rt_inspect(node->rt, two, &b) != 0)
        return one;
    return a.mailbox <= b.mailbox ? one : two;
}

/* All of the request, as its handler will see it. */
static bool
post_make(const struct work_message *message, struct plex_post *post)
{
    const char *headers[2 * RT_HTTP_HEADERS_MAX];
    const struct rt_http_parts parts = {
        .method = message->method,
        .path = message->path,
        .subpath = message->subpath,
        .query = message->query,
        .content_type = message->content_type,
        .headers = headers,
        .n_headers = message->n_headers,
        .body = message->payload.data,
        .len = message->payload.len,
    };

    if (message->n_headers > RT_HTTP_HEADERS_MAX)
        return false;
    for (size_t i = 0; i < message->n_headers; i++) {
        headers[2 * i] = message->headers[i].name;
        headers[2 * i + 1] = message->headers[i].value;
    }
    *post = (struct plex_post){
        .kind = message->kind == WORK_CALL ? PLEX_MSG_CALL : PLEX_MSG_CAST,
        .tag = message->tag,
    };
    return rt_http_post(&parts, post);
}

static void
carry(struct work_node *node, struct plex_call *call, struct plex_ref to,
      const struct plex_post *post)
{
    const uint64_t deadline = plex_call_context(call)->deadline;
    const uint64_t now = plex_now();
    const struct work_reply taken = {.content_type = "", .error = ""};
    struct errand *errand;
    int status;

    if (post->kind != PLEX_MSG_CALL) {
        status = rt_send(node->rt, to, post);
        if (status == 0)
            reply(node, call, &taken);
        else
            plex_call_fail(call, (enum plex_status) - status,
                           "the mailbox is full", (struct plex_bytes){0});
        return;
    }
    errand = plex_calloc(1, sizeof *errand);
    plex_arena_init(&errand->memory, ANSWER_BYTES_MAX);
    errand->content_type = errand->reason = "";
    errand->note.kind = NOTE_ERRAND;
    errand->node = node;
    errand->call = call;
    rt_call(node->rt, to, post,
            deadline > now ? (deadline - now) / 1000000 + 1 : 1, answered,
            errand);
}

static void
invoke(struct work_node *node, struct plex_call *call, struct plex_ref to,
       const struct work_message *message)
{
    struct plex_post post;

    if (post_make(message, &post))
        carry(node, call, to, &post);
    else
        plex_call_fail(call, PLEX_TOO_LARGE, "the request's headers",
                       (struct plex_bytes){0});
}

bool
work_node_invoke(struct work_node *node, struct plex_call *call,
                 const struct work_message *message)
{
    const struct reg_actor_type *declared =
        !node->has_plain
            ? NULL
            : reg_catalog_type(node->catalog, message->to.tenant,
                               message->to.ns, message->to.type, NULL);
    const char *own = plex_call_context(call)->tenant;
    const struct node_type *type;

    if (declared == NULL || declared->is_virtual)
        return false;
    type =
        type_find(node, message->to.tenant, message->to.ns, message->to.type);
    if (own[0] != '\0' && strcmp(own, message->to.tenant) != 0)
        plex_call_fail(call, PLEX_DENIED, "the actors belong to another tenant",
                       (struct plex_bytes){0});
    else if (message->kind != WORK_CALL && message->kind != WORK_CAST)
        plex_call_fail(call, PLEX_UNSUPPORTED,
                       "only virtual actors are activated, and have runs",
                       (struct plex_bytes){0});
    else if (message->delay_ms > 0)
        plex_call_fail(call, PLEX_UNSUPPORTED,
                       "only virtual actors take delayed messages",
                       (struct plex_bytes){0});
    else if (type == NULL || type->n == 0)
        plex_call_fail(call, PLEX_NOT_FOUND, "no instance of it is running",
                       (struct plex_bytes){0});
    else
        invoke(node, call, pick(node, type), message);
    return true;
}

/* -- to a process that is named ---------------------------------------------
 */

void
node_on_post(struct work_node *node, struct plex_call *call)
{
    struct work_message message;
    struct plex_ref to;
    struct plex_post post;
    struct plex_err err;

    plex_arena_reset(&node->arena);
    if (work_message_unpack(plex_call_payload(call), &node->arena, &message,
                            &err) != PLEX_OK ||
        node_process_find(node, call, message.to.ns, message.timer, &to,
                          &err) != PLEX_OK) {
        plex_call_refuse(call, &err);
        return;
    }
    if (message.process_kind < PLEX_MSG_CALL ||
        message.process_kind > PLEX_MSG_INFO || !post_make(&message, &post)) {
        (void)plex_err_set(&err, PLEX_INVALID,
                           "kind %u of a message is unknown, or its headers "
                           "are too long",
                           message.process_kind);
        plex_call_refuse(call, &err);
        return;
    }
    post.kind = message.process_kind;
    post.priority = (uint32_t)message.tag;
    post.tag = 0;
    post.ttl_ms = message.ttl_ms;
    carry(node, call, to, &post);
}
