/*
 * A request to the outside as a recorded effect: an http step of a workflow.
 * It blocks its executor while it waits; the watchdog lets another thread take
 * over. The key names the request, so it is made once.
 */
#include "services/worker/builtin_private.h"

#include "common/bytes.h"
#include "sdk/c/include/plexspaces/durable.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_MAX = 256 << 10, HEADERS_MAX = 64, TIMEOUT_MAX_MS = 300000 };

struct exchange {
    json_t *request;
    json_t *headers; /* of the answer: texts, by names in lower case */
    struct plex_buf body;
    bool too_large;
};

static size_t
on_body(char *data, size_t size, size_t n, void *arg)
{
    struct exchange *x = arg;
    uint8_t *at = plex_buf_grow(&x->body, size * n);

    if (at == NULL) {
        x->too_large = true;
        return 0;
    }
    memcpy(at, data, size * n);
    return size * n;
}

static size_t
on_header(char *data, size_t size, size_t n, void *arg)
{
    struct exchange *x = arg;
    const size_t len = size * n;
    const char *colon = memchr(data, ':', len);
    size_t name_len = colon == NULL ? 0 : (size_t)(colon - data);
    size_t from = name_len + 1, to = len;
    char name[128];

    if (memchr(data, ':', len) == NULL && len > 5 &&
        memcmp(data, "HTTP/", 5) == 0)
        json_object_clear(x->headers); /* of an answer before this one */
    if (name_len == 0 || name_len >= sizeof name ||
        json_object_size(x->headers) >= HEADERS_MAX)
        return len;
    for (size_t i = 0; i < name_len; i++)
        name[i] = (char)tolower((unsigned char)data[i]);
    name[name_len] = '\0';
    while (from < to && strchr(" \t", data[from]) != NULL)
        from++;
    while (to > from && strchr(" \t\r\n", data[to - 1]) != NULL)
        to--;
    json_object_set_new(x->headers, name, json_stringn(data + from, to - from));
    return len;
}

static struct curl_slist *
headers_of(const json_t *request)
{
    struct curl_slist *list = NULL;
    const char *name;
    json_t *value;
    char line[4096];

    json_object_foreach(json_object_get(request, "headers"), name, value)
    {
        const char *text = json_string_value(value);

        if (text == NULL || strpbrk(text, "\r\n") != NULL ||
            strpbrk(name, "\r\n:") != NULL)
            continue;
        (void)snprintf(line, sizeof line, "%s: %s", name, text);
        list = curl_slist_append(list, line);
    }
    return list;
}

static long
timeout_of(const json_t *request)
{
    const json_int_t ms =
        json_integer_value(json_object_get(request, "timeout_ms"));

    return ms <= 0 ? 30000 : ms > TIMEOUT_MAX_MS ? TIMEOUT_MAX_MS : (long)ms;
}

static CURLcode
perform(struct exchange *x, CURL *curl, long *http)
{
    const char *method =
        json_string_value(json_object_get(x->request, "method"));
    const json_t *body = json_object_get(x->request, "body");
    struct curl_slist *headers = headers_of(x->request);
    char *text = body == NULL || json_is_null(body)
                     ? NULL
                     : json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY);
    CURLcode code;

    if (text != NULL)
        headers = curl_slist_append(headers, "Content-Type: application/json");
    curl_easy_setopt(curl, CURLOPT_URL,
                     json_string_value(json_object_get(x->request, "url")));
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST,
                     method == NULL ? "GET" : method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, timeout_of(x->request));
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, x);
    if (text != NULL)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, text);
    code = curl_easy_perform(curl);
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, http);
    curl_slist_free_all(headers);
    free(text);
    return code;
}

static const char *
code_of(CURLcode code, bool too_large)
{
    return too_large                            ? "TOO_LARGE"
           : code == CURLE_URL_MALFORMAT        ? "INVALID"
           : code == CURLE_UNSUPPORTED_PROTOCOL ? "INVALID"
           : code == CURLE_OPERATION_TIMEDOUT   ? "TIMEOUT"
                                                : "UNAVAILABLE";
}

/* Its result is what came of it, also when nothing did: whether it is tried
 * again is for the step's retry to say. */
static int
request_effect(struct plex_ctx *ctx, void *arg)
{
    struct exchange *x = arg;
    CURL *curl = curl_easy_init();
    json_t *body, *out;
    CURLcode code;
    long http = 0;
    char *text;

    if (curl == NULL)
        return 1;
    x->body.len = 0;
    x->too_large = false;
    json_object_clear(x->headers);
    code = perform(x, curl, &http);
    curl_easy_cleanup(curl);
    if (code != CURLE_OK) {
        out = json_pack("{s:s, s:s}", "http_error",
                        x->too_large ? "the answer is larger than 256 KiB"
                                     : curl_easy_strerror(code),
                        "code", code_of(code, x->too_large));
    } else {
        body = json_loadb((const char *)x->body.data, x->body.len,
                          JSON_DECODE_ANY, NULL);
        if (body == NULL)
            body = json_stringn((const char *)x->body.data, x->body.len);
        out = json_pack("{s:I, s:o, s:O}", "http_status", (json_int_t)http,
                        "body", body == NULL ? json_null() : body,
                        "http_headers", x->headers);
    }
    text = json_dumps(out, JSON_COMPACT);
    json_decref(out);
    if (text == NULL)
        return 1;
    plex_effect_result(ctx, text, strlen(text));
    free(text);
    return 0;
}

int
work_http_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct exchange x = {.body = {.max = BODY_MAX}};
    struct plex_value out;
    const char *action;
    int status;

    x.request = work_builtin_request(ctx, msg, &action);
    if (x.request == NULL)
        return 0;
    x.headers = json_object();
    if (json_string_value(json_object_get(x.request, "url")) == NULL) {
        plex_reply_problem(ctx, 400, "url is missing");
        status = 0;
    } else {
        status = plex_run(ctx, "http", request_effect, &x, NULL, &out);
        if (status == 0)
            plex_reply(ctx, "application/json", out.data, out.len);
        else if (status == PLEX_E_FAILED)
            status = plex_fail(ctx, out.data);
    }
    json_decref(x.request);
    json_decref(x.headers);
    plex_buf_free(&x.body);
    return status == 0 ? 0 : -1;
}
