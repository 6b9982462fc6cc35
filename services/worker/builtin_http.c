/*
 * A request to the outside as a recorded effect: an http step of a workflow.
 * The worker's client makes it (facet_http.c) while the executor runs others.
 * The key names the request, so that many are under way at a time.
 */
#include "services/worker/builtin_private.h"

#include "sdk/c/include/plexspaces/durable.h"
#include "sdk/c/include/plexspaces/http.h"

#include "common/bytes.h"
#include "common/err.h"

#include <stdlib.h>
#include <string.h>

enum {
    BODY_MAX = 256 << 10,
    HEADERS_MAX = 64, /* of an answer */
    TEXT_MAX = 32768, /* of the request's headers */
    TIMEOUT_MS = 30000,
    TIMEOUT_MAX_MS = 300000,
    SLACK_MS = 10000, /* the client keeps the time; this is against its loss */
};

/* Names and values, one a line; what would break out of its line is left. */
static char *
headers_text(const json_t *request)
{
    struct plex_buf text = {.max = TEXT_MAX};
    const char *name;
    json_t *value;

    json_object_foreach(json_object_get(request, "headers"), name, value)
    {
        const char *is = json_string_value(value);
        const size_t len = is == NULL ? 0 : strlen(name) + strlen(is) + 3;
        uint8_t *at;

        if (is == NULL || strpbrk(is, "\r\n") != NULL ||
            strpbrk(name, "\r\n:") != NULL)
            continue;
        at = plex_buf_grow(&text, len);
        if (at == NULL)
            break;
        memcpy(at, name, strlen(name));
        memcpy(at + strlen(name), ": ", 2);
        memcpy(at + strlen(name) + 2, is, strlen(is));
        at[len - 1] = '\n';
    }
    if (plex_buf_grow(&text, 1) != NULL)
        text.data[text.len - 1] = '\0';
    return (char *)text.data; /* from malloc; NULL: too long */
}

static uint64_t
timeout_of(const json_t *request)
{
    const json_int_t ms =
        json_integer_value(json_object_get(request, "timeout_ms"));

    return ms <= 0               ? TIMEOUT_MS
           : ms > TIMEOUT_MAX_MS ? TIMEOUT_MAX_MS
                                 : (uint64_t)ms;
}

/* For the worker's client; NULL: too long. */
static void *
request_pack(const json_t *request, size_t *size)
{
    const json_t *body = json_object_get(request, "body");
    char *text = body == NULL || json_is_null(body)
                     ? NULL
                     : json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY);
    char *headers = headers_text(request);
    const char *method = json_string_value(json_object_get(request, "method"));
    const struct plex_http_call call = {
        .method = method == NULL ? "GET" : method,
        .url = json_string_value(json_object_get(request, "url")),
        .headers = headers,
        .body = text,
        .len = text == NULL ? 0 : strlen(text),
        .timeout_ms = timeout_of(request),
    };
    struct plex_http_wire wire;
    unsigned char *bytes = headers == NULL ? NULL : plex_http_pack(&call, size);

    if (bytes != NULL) {
        memcpy(&wire, bytes, sizeof wire);
        wire.max_bytes = BODY_MAX;
        memcpy(bytes, &wire, sizeof wire);
    }
    free(headers);
    free(text);
    return bytes;
}

/* -- the answer -------------------------------------------------------------
 */

static json_t *
failed(const char *code, const char *why)
{
    return json_pack("{s:s, s:s}", "http_error", why, "code", code);
}

static const char *
code_of(int status)
{
    return status == -(int)PLEX_TOO_LARGE ? "TOO_LARGE"
           : status == -(int)PLEX_INVALID ? "INVALID"
           : status == -(int)PLEX_TIMEOUT ? "TIMEOUT"
                                          : "UNAVAILABLE";
}

static json_t *
headers_json(const char *at, size_t len)
{
    json_t *headers = json_object();
    const char *const end = at + len;

    while (at < end && json_object_size(headers) < HEADERS_MAX) {
        const char *line = memchr(at, '\n', (size_t)(end - at));
        const char *colon;

        if (line == NULL)
            break;
        colon = memchr(at, ':', (size_t)(line - at));
        if (colon != NULL) {
            const char *value = colon + 1, *last = line;

            while (value < last && (*value == ' ' || *value == '\t'))
                value++;
            while (last > value && (last[-1] == ' ' || last[-1] == '\t'))
                last--;
            json_object_setn_new(headers, at, (size_t)(colon - at),
                                 json_stringn(value, (size_t)(last - value)));
        }
        at = line + 1;
    }
    return headers;
}

static json_t *
answered(const struct plex_msg *msg)
{
    const char *at = msg->payload;
    struct plex_http_wire_answer head;
    json_t *body;
    char why[256];
    size_t rest;

    if (msg->len < sizeof head)
        return failed("UNAVAILABLE", "the worker's client did not answer");
    memcpy(&head, at, sizeof head);
    rest = msg->len - sizeof head;
    if (head.type_len > rest || head.body_len > rest - head.type_len)
        return failed("UNAVAILABLE", "the worker's client did not answer");
    at += sizeof head + head.type_len;
    rest -= head.type_len;
    if (head.status != 0) {
        (void)snprintf(why, sizeof why, "%.*s", (int)head.body_len, at);
        return failed(code_of(head.status),
                      head.status == -(int)PLEX_TOO_LARGE
                          ? "the answer is larger than 256 KiB"
                          : why);
    }
    body = json_loadb(at, head.body_len, JSON_DECODE_ANY, NULL);
    if (body == NULL)
        body = json_stringn(at, head.body_len);
    return json_pack("{s:I, s:o, s:o}", "http_status",
                     (json_int_t)head.http_status, "body",
                     body == NULL ? json_null() : body, "http_headers",
                     headers_json(at + head.body_len, rest - head.body_len));
}

/* Its result is what came of it, also when nothing did: whether it is tried
 * again is for the step's retry to say. */
static int
request_effect(struct plex_ctx *ctx, void *arg)
{
    const json_t *request = arg;
    struct plex_msg answer;
    json_t *out;
    char *text;
    size_t size;
    void *bytes = request_pack(request, &size);
    int status = PLEX_E_UNSUPPORTED;

    if (bytes != NULL && ctx->process != NULL)
        status = plex_ask(ctx, PLEX_SERVICE_HTTP, 0, bytes, size,
                          timeout_of(request) + SLACK_MS, &answer);
    free(bytes);
    out = bytes == NULL ? failed("INVALID", "the url or the headers are longer "
                                            "than 8 KiB or 32 KiB")
          : status == 0
              ? answered(&answer)
              : failed(status == PLEX_E_TIMEOUT ? "TIMEOUT" : "UNAVAILABLE",
                       "the worker's client did not answer");
    text = json_dumps(out, JSON_COMPACT);
    json_decref(out);
    if (text == NULL) {
        plex_effect_error(ctx, "the answer cannot be written as JSON");
        return 1;
    }
    plex_effect_result(ctx, text, strlen(text));
    free(text);
    return 0;
}

int
work_http_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct plex_value out;
    const char *action;
    json_t *request = work_builtin_request(ctx, msg, &action);
    int status = 0;

    if (request == NULL)
        return 0;
    if (json_string_value(json_object_get(request, "url")) == NULL) {
        plex_reply_problem(ctx, 400, "url is missing");
    } else {
        status = plex_run(ctx, "http", request_effect, request, NULL, &out);
        if (status == 0)
            plex_reply(ctx, "application/json", out.data, out.len);
        else if (status == PLEX_E_FAILED)
            status = plex_fail(ctx, out.data);
    }
    json_decref(request);
    return status == 0 ? 0 : -1;
}
