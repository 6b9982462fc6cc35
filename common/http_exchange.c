/* The request as its handler sees it, and the answer. */
#include "common/http_private.h"

#include "common/json_text.h"
#include "common/log.h"
#include "common/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

const char *
plex_http_method(const struct plex_http_exchange *ex)
{
    return ex->method;
}

const char *
plex_http_path(const struct plex_http_exchange *ex)
{
    return ex->uri;
}

const char *
plex_http_query(const struct plex_http_exchange *ex)
{
    return ex->query;
}

const char *
plex_http_request_header(const struct plex_http_exchange *ex, const char *name)
{
    return MHD_lookup_connection_value(ex->mhd, MHD_HEADER_KIND, name);
}

struct each_header {
    void (*each)(void *arg, const char *name, const char *value);
    void *arg;
};

static enum MHD_Result
on_header(void *arg, enum MHD_ValueKind kind, const char *name,
          const char *value)
{
    const struct each_header *e = arg;

    (void)kind;
    e->each(e->arg, name, value != NULL ? value : "");
    return MHD_YES;
}

void
plex_http_each_header(const struct plex_http_exchange *ex,
                      void (*each)(void *arg, const char *name,
                                   const char *value),
                      void *arg)
{
    struct each_header e = {each, arg};

    (void)MHD_get_connection_values(ex->mhd, MHD_HEADER_KIND, on_header, &e);
}

struct plex_bytes
plex_http_body(const struct plex_http_exchange *ex)
{
    return (struct plex_bytes){ex->body.data, ex->body.len};
}

/* libmicrohttpd does not look at a suspended connection, so ask the socket. A
 * client that only shut down its sending side counts as gone too. */
bool
plex_http_gone(const struct plex_http_exchange *ex)
{
    char byte;

    return recv(ex->connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

void **
plex_http_user(struct plex_http_exchange *ex)
{
    return &ex->user;
}

/* -- answering ------------------------------------------------------------ */

static void
queue_response(struct plex_http_exchange *ex, unsigned status,
               struct MHD_Response *response)
{
    const bool was_waiting = ex->state == EXCHANGE_WAITING;

    assert(was_waiting || ex->state == EXCHANGE_HANDLING); /* answered once */
    ex->state = EXCHANGE_ANSWERED;
    if (ex->watch != NULL)
        http_watch_end(ex);
    if (MHD_queue_response(ex->mhd, status, response) != MHD_YES) {
        plex_log(PLEX_LOG_WARN, "http-response-refused",
                 "status %u could not be sent", status);
        ex->state = EXCHANGE_DROPPED;
    }
    MHD_destroy_response(response);
    if (was_waiting) {
        MHD_resume_connection(ex->mhd);
        http_run_later(ex->http);
    }
}

static void
add_header(struct MHD_Response *response, const char *name, const char *value)
{
    if (MHD_add_response_header(response, name, value) != MHD_YES)
        plex_log(PLEX_LOG_DEBUG, "http-header-refused",
                 "response header \"%.64s\" is malformed and was left out",
                 name);
}

void
http_respond(struct plex_http_exchange *ex, unsigned status,
             const char *content_type, const struct plex_http_header *headers,
             struct MHD_Response *response)
{
    if (content_type != NULL)
        add_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    for (; headers != NULL && headers->name != NULL; headers++)
        add_header(response, headers->name, headers->value);
    if (ex->http->draining)
        add_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    queue_response(ex, status, response);
}

void
plex_http_respond(struct plex_http_exchange *ex, unsigned status,
                  const char *content_type,
                  const struct plex_http_header *headers,
                  struct plex_bytes body)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        body.len, (void *)(uintptr_t)body.data, MHD_RESPMEM_MUST_COPY);

    if (response == NULL)
        abort(); /* out of memory */
    http_respond(ex, status, content_type, headers, response);
}

static size_t
put_member(char *out, size_t size, const char *name, const char *text)
{
    size_t used, n;

    if (text == NULL || text[0] == '\0')
        return 0;
    used = (size_t)snprintf(out, size, ",\"%s\":\"", name);
    n = plex_json_escape(out + used, size - used - 1, text, strlen(text));
    assert(n != SIZE_MAX); /* the caller counted six bytes for one */
    used += n;
    out[used++] = '"';
    return used;
}

static size_t
text_room(const char *text)
{
    return text != NULL ? 6 * strlen(text) + 32 : 0;
}

void
plex_http_respond_problem(struct plex_http_exchange *ex,
                          const struct plex_http_problem *problem,
                          const struct plex_http_header *headers)
{
    const char *title = MHD_get_reason_phrase_for(problem->status);
    const size_t size = 64 + text_room(title) + text_room(problem->detail) +
                        text_room(problem->code) + text_room(problem->source) +
                        text_room(problem->request_id);
    char *text = plex_calloc(size, 1);
    struct MHD_Response *response;
    size_t used;

    used = (size_t)snprintf(text, size, "{\"status\":%u", problem->status);
    used += put_member(text + used, size - used, "title", title);
    used += put_member(text + used, size - used, "detail", problem->detail);
    used += put_member(text + used, size - used, "code", problem->code);
    used += put_member(text + used, size - used, "source", problem->source);
    used +=
        put_member(text + used, size - used, "request_id", problem->request_id);
    text[used++] = '}';
    response =
        MHD_create_response_from_buffer(used, text, MHD_RESPMEM_MUST_FREE);
    if (response == NULL)
        abort(); /* out of memory */
    http_respond(ex, problem->status, "application/problem+json", headers,
                 response);
}
