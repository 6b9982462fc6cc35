#include "tests/integration/tuplespace/caller.h"

#include "common/mem.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct caller {
    struct plex_instance *instance;
    const struct plex_host *host;
    struct plex_setting given[6];
    char text[PLEX_ERR_TEXT_MAX];
    pthread_mutex_t lock;
    pthread_cond_t changed;
};
struct caller_call {
    struct plex_task task;
    struct caller *caller;
    char *peer;
    uint32_t method;
    uint8_t *payload;
    size_t len;
    bool done;
    enum plex_status status;
    uint8_t *reply;
    size_t reply_len;
};
struct config {
    struct plex_base_config base;
};

/* plex_instance_start() waits for start(), so one at a time is enough. */
static struct caller *starting;

static enum plex_status
start(void *state, const void *config, const struct plex_host *host,
      struct plex_err *err)
{
    (void)state, (void)config, (void)err;
    starting->host = host;
    return PLEX_OK;
}

static void
stop(void *state)
{
    (void)state;
}

static const struct plex_option no_options[] = {{0}};
static const struct plex_method no_methods[] = {{0}};
static const struct plex_service service = {
    .name = "caller",
    .summary = "a test",
    .options = no_options,
    .config_size = sizeof(struct config),
    .state_size = 1,
    .methods = no_methods,
    .start = start,
    .stop = stop,
};

struct caller *
caller_start(const char *url, const char *registry_url)
{
    struct caller *caller = plex_calloc(1, sizeof *caller);
    struct plex_err err;

    caller->given[0] = (struct plex_setting){"node", "caller"};
    caller->given[1] = (struct plex_setting){"listen_url", url};
    caller->given[2] = (struct plex_setting){"registry_url", registry_url};
    caller->given[3] = (struct plex_setting){"admin_addr", ""};
    caller->given[4] = (struct plex_setting){"log_level", "error"};
    pthread_mutex_init(&caller->lock, NULL);
    pthread_cond_init(&caller->changed, NULL);
    starting = caller;
    if (plex_instance_start(&caller->instance, &service, caller->given, &err) !=
        PLEX_OK) {
        (void)fprintf(stderr, "caller: %s\n", err.text);
        abort();
    }
    return caller;
}

void
caller_stop(struct caller *caller)
{
    if (caller == NULL)
        return;
    plex_instance_stop(caller->instance);
    pthread_cond_destroy(&caller->changed);
    pthread_mutex_destroy(&caller->lock);
    free(caller);
}

static void
call_done(void *arg, const struct plex_link_result *result)
{
    struct caller_call *call = arg;
    struct caller *caller = call->caller;

    pthread_mutex_lock(&caller->lock);
    call->status = result->status;
    (void)snprintf(caller->text, sizeof caller->text, "%s", result->text);
    call->reply_len = result->payload.len;
    call->reply = plex_calloc(1, result->payload.len + 1);
    if (result->payload.len > 0)
        memcpy(call->reply, result->payload.data, result->payload.len);
    call->done = true;
    pthread_cond_broadcast(&caller->changed);
    pthread_mutex_unlock(&caller->lock);
}

static void
call_run(struct plex_task *task)
{
    struct caller_call *call =
        plex_container_of(task, struct caller_call, task);
    struct plex_context context = plex_context_none;

    context.tenant = "default";
    context.ns = "default";
    context.deadline = plex_now() + 10000000000u;
    (void)plex_link_call(call->caller->host->link,
                         &(struct plex_link_request){
                             .peer = call->peer,
                             .method = call->method,
                             .context = &context,
                             .payload = {call->payload, call->len},
                             .retry = true,
                             .done = call_done,
                             .arg = call,
                         });
}

struct caller_call *
caller_begin(struct caller *caller, const char *peer, uint32_t method,
             const ProtobufCMessage *request)
{
    struct caller_call *call = plex_calloc(1, sizeof *call);

    call->caller = caller;
    call->peer = plex_strdup(peer);
    call->method = method;
    call->len = protobuf_c_message_get_packed_size(request);
    call->payload = plex_calloc(1, call->len + 1);
    (void)protobuf_c_message_pack(request, call->payload);
    call->task.run = call_run;
    plex_loop_post(caller->host->loop, &call->task);
    return call;
}

enum plex_status
caller_wait(struct caller_call *call, const ProtobufCMessageDescriptor *type,
            ProtobufCMessage **reply)
{
    struct caller *caller = call->caller;
    enum plex_status status;

    pthread_mutex_lock(&caller->lock);
    while (!call->done)
        pthread_cond_wait(&caller->changed, &caller->lock);
    pthread_mutex_unlock(&caller->lock);
    status = call->status;
    if (status == PLEX_OK && type != NULL) {
        *reply =
            protobuf_c_message_unpack(type, NULL, call->reply_len, call->reply);
        assert(*reply != NULL);
    }
    free(call->reply);
    free(call->payload);
    free(call->peer);
    free(call);
    return status;
}

const char *
caller_text(const struct caller *caller)
{
    return caller->text;
}
