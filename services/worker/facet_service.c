#include "services/worker/facet_service.h"

#include "common/mem.h"
#include "sdk/c/include/plexspaces/http.h"
#include "sdk/c/include/plexspaces/tuplespace.h"
#include "services/registry/client.h"
#include "services/worker/facet_http.h"
#include "services/worker/node_queue.h"
#include "services/worker/tuple_bridge.h"

#include <stdlib.h>
#include <string.h>

enum { WAITING_MAX = 100000, CALL_MS = 30000, PARTS = 3 };

/* One request of a process, from its signal to the answer. */
struct errand {
    struct work_link link;
    struct work_facet_service *service;
    struct plex_ref from;
    uint64_t call;
    size_t len;
    unsigned char request[];
};
struct work_facet_service {
    const struct plex_host *host;
    struct rt *rt;
    struct work_http *http;
    struct work_tuple_bridge *tuples;
    struct work_queue queue; /* for keys */
    struct plex_task task;
    _Atomic uint32_t waiting;
    _Atomic bool stopped;
};

/* Takes the errand. */
static void
answer(struct errand *errand, int status, const char *reason, const void *head,
       size_t head_len, const struct plex_bytes parts[PARTS])
{
    struct work_facet_service *service = errand->service;
    struct rt_signal signal = {.kind = RT_ANSWER,
                               .from = {PLEX_SERVICE_NODE, 1},
                               .to = errand->from,
                               .where = {"", ""},
                               .name = "",
                               .text = "",
                               .reason = reason,
                               .call = errand->call,
                               .status = status};
    unsigned char *bytes = plex_calloc(1, head_len + parts[0].len +
                                              parts[1].len + parts[2].len + 1);

    memcpy(bytes, head, head_len);
    signal.post.payload = bytes;
    signal.post.len = head_len;
    for (size_t i = 0; i < PARTS; i++) {
        if (parts[i].len > 0)
            memcpy(bytes + signal.post.len, parts[i].data, parts[i].len);
        signal.post.len += parts[i].len;
    }
    if (!atomic_load(&service->stopped))
        rt_deliver(service->rt, &signal);
    atomic_fetch_sub(&service->waiting, 1);
    free(bytes);
    free(errand);
}

/* -- keys, on the loop ----------------------------------------------------- */

static void
kv_done(void *arg, enum plex_status status, const char *text,
        const struct reg_kv_told *told)
{
    const struct plex_kv_wire_answer head = {
        .status = -(int32_t)status,
        .flags = told->done ? PLEX_KV_DONE : 0,
        .value_len = (uint32_t)told->value.len,
        .number = told->number,
        .version = told->version,
    };
    const struct plex_bytes parts[PARTS] = {told->value};

    (void)text;
    answer(arg, 0, "", &head, sizeof head, parts);
}

/* "tenant/namespace" as the facet wrote it. */
static bool
where_read(struct plex_bytes text, char *tenant, char *ns)
{
    const uint8_t *slash =
        text.len == 0 ? NULL : memchr(text.data, '/', text.len);
    const size_t first = slash == NULL ? 0 : (size_t)(slash - text.data);

    if (slash == NULL || first > 64 || text.len - first - 1 > 32)
        return false;
    memcpy(tenant, text.data, first);
    tenant[first] = '\0';
    memcpy(ns, slash + 1, text.len - first - 1);
    ns[text.len - first - 1] = '\0';
    return true;
}

static void
kv_ask(struct errand *errand)
{
    struct work_facet_service *service = errand->service;
    struct plex_context context = plex_context_none;
    struct reg_kv_told none = {0};
    struct plex_kv_wire wire;
    struct reg_kv_ask ask = {0};
    char key[4400], tenant[65], ns[33];
    const uint8_t *at = errand->request + sizeof wire;

    if (errand->len < sizeof wire) {
        kv_done(errand, PLEX_INVALID, "", &none);
        return;
    }
    memcpy(&wire, errand->request, sizeof wire);
    if (errand->len - sizeof wire != (size_t)wire.key_len + wire.value_len +
                                         wire.expected_len + wire.where_len ||
        wire.key_len >= sizeof key ||
        !where_read((struct plex_bytes){at + wire.key_len + wire.value_len +
                                            wire.expected_len,
                                        wire.where_len},
                    tenant, ns)) {
        kv_done(errand, PLEX_INVALID, "", &none);
        return;
    }
    memcpy(key, at, wire.key_len);
    key[wire.key_len] = '\0';
    ask.verb = (enum reg_kv_verb)wire.op; /* the same numbers */
    ask.key = key;
    ask.value = (struct plex_bytes){at + wire.key_len, wire.value_len};
    ask.expected = (struct plex_bytes){at + wire.key_len + wire.value_len,
                                       wire.expected_len};
    ask.expect = (wire.flags & PLEX_KV_EXPECTED) != 0;
    ask.number = wire.number;
    ask.version = wire.version;
    ask.ttl_ms = wire.ttl_ms;
    ask.timeout_ms = wire.timeout_ms;
    context.tenant = tenant;
    context.ns = ns;
    context.deadline =
        plex_now() + (CALL_MS + wire.timeout_ms) * UINT64_C(1000000);
    reg_client_kv(service->host, &context, &ask, wire.strip, kv_done, errand);
}
_Static_assert((int)PLEX_KV_WATCH == (int)REG_KV_ASK_WATCH &&
                   (int)PLEX_KV_CAS == (int)REG_KV_ASK_CAS,
               "the verbs have the same numbers");

static void
on_task(struct plex_task *task)
{
    struct work_facet_service *service =
        plex_container_of(task, struct work_facet_service, task);
    struct work_link *link = work_queue_take(&service->queue);

    while (link != NULL) {
        struct errand *errand = plex_container_of(link, struct errand, link);

        link = link->next;
        kv_ask(errand);
    }
}

/* -- HTTP ------------------------------------------------------------------ */

static void
http_done(void *arg, const struct work_http_answer *told)
{
    const bool good = told->status == PLEX_OK;
    const char *type = good ? told->content_type : "";
    const struct plex_bytes parts[PARTS] = {
        {(const uint8_t *)type, strlen(type)},
        {good ? told->body : (const uint8_t *)told->text,
         good ? told->len : strlen(told->text)},
        {told->headers, good ? told->headers_len : 0}};
    const struct plex_http_wire_answer head = {
        .status = -(int32_t)told->status,
        .http_status = told->http_status,
        .type_len = (uint32_t)parts[0].len,
        .body_len = (uint32_t)parts[1].len,
    };

    answer(arg, 0, "", &head, sizeof head, parts);
}

static char *
text_take(const unsigned char **at, size_t len)
{
    char *text = plex_calloc(1, len + 1);

    memcpy(text, *at, len);
    *at += len;
    return text;
}

static void
http_ask(struct errand *errand)
{
    struct work_http_answer refused = {.status = PLEX_INVALID,
                                       .text = "not a request of the facet"};
    struct plex_http_wire wire;
    const unsigned char *at = errand->request + sizeof wire;
    char *method, *url, *type, *headers;

    if (errand->len >= sizeof wire)
        memcpy(&wire, errand->request, sizeof wire);
    if (errand->len < sizeof wire ||
        errand->len - sizeof wire != (size_t)wire.method_len + wire.url_len +
                                         wire.type_len + wire.headers_len +
                                         wire.body_len) {
        http_done(errand, &refused);
        return;
    }
    method = text_take(&at, wire.method_len);
    url = text_take(&at, wire.url_len);
    type = text_take(&at, wire.type_len);
    headers = text_take(&at, wire.headers_len);
    if (errand->service->http == NULL ||
        !work_http_send(errand->service->http,
                        &(struct work_http_request){
                            .method = method,
                            .url = url,
                            .content_type = type,
                            .headers = headers,
                            .body = at,
                            .len = wire.body_len,
                            .timeout_ms = wire.timeout_ms,
                            .retries = wire.retries,
                            .backoff_ms = wire.backoff_ms,
                            .max_bytes = wire.max_bytes,
                        },
                        http_done, errand)) {
        refused.status = PLEX_LIMIT;
        refused.text = "too many requests are under way";
        http_done(errand, &refused);
    }
    free(method);
    free(url);
    free(type);
    free(headers);
}

/* -- signals, on executors ------------------------------------------------- */

bool
work_facet_service_take(struct work_facet_service *service,
                        const struct rt_signal *signal)
{
    struct errand *errand;

    if (service != NULL && signal->to.id == PLEX_SERVICE_TUPLES.id)
        return work_tuple_bridge_take(service->tuples, signal);
    if (service == NULL || signal->kind != RT_SEND || signal->call == 0)
        return false;
    if ((signal->to.id != PLEX_SERVICE_KV.id &&
         signal->to.id != PLEX_SERVICE_HTTP.id))
        return false;
    if (atomic_fetch_add(&service->waiting, 1) >= WAITING_MAX) {
        atomic_fetch_sub(&service->waiting, 1);
        return false;
    }
    errand = plex_calloc(1, sizeof *errand + signal->post.len);
    errand->service = service;
    errand->from = signal->from;
    errand->call = signal->call;
    errand->len = signal->post.len;
    if (errand->len > 0)
        memcpy(errand->request, signal->post.payload, errand->len);
    if (signal->to.id == PLEX_SERVICE_HTTP.id)
        http_ask(errand);
    else if (work_queue_push(&service->queue, &errand->link))
        plex_loop_post(service->host->loop, &service->task);
    return true;
}

/* -- life ------------------------------------------------------------------ */

struct work_facet_service *
work_facet_service_create(const struct plex_host *host, struct rt *rt)
{
    struct work_facet_service *service = plex_calloc(1, sizeof *service);

    service->host = host;
    service->rt = rt;
    service->task.run = on_task;
    service->http = work_http_create();
    service->tuples = work_tuple_bridge_create(host, rt);
    return service;
}

void
work_facet_service_registry(struct work_facet_service *service,
                            const struct reg_client *registry)
{
    work_tuple_bridge_registry(service->tuples, registry);
}

void
work_facet_service_stop(struct work_facet_service *service)
{
    if (service == NULL)
        return;
    atomic_store(&service->stopped, true);
    work_tuple_bridge_stop(service->tuples);
    work_http_free(service->http);
    service->http = NULL;
}

void
work_facet_service_free(struct work_facet_service *service)
{
    struct work_link *link;

    if (service == NULL)
        return;
    link = work_queue_take(&service->queue);
    while (link != NULL) {
        struct errand *errand = plex_container_of(link, struct errand, link);

        link = link->next;
        free(errand);
    }
    work_tuple_bridge_free(service->tuples);
    free(service);
}
