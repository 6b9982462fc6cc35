/*
 * A request to the outside as a recorded effect: an http step of a workflow.
 * It blocks its executor while it waits; the watchdog lets another thread take
 * over. The key names the request, so it is made once.
 */
#include "services/worker/builtin_private.h"

#include "common/bytes.h"
#include "sdk/c/include/plexspaces/durable.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_MAX = 256 << 10, TIMEOUT_MAX_MS = 300000 };

struct exchange {
    json_t *request;
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
    if (text != NULL)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, text);
    code = curl_easy_perform(curl);
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, http);
    curl_slist_free_all(headers);
    free(text);
    return code;
}

/* Its result is the answer, also when that is a refusal; only what never
 * reached anybody is tried again. */
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
    code = perform(x, curl, &http);
    curl_easy_cleanup(curl);
    if (code != CURLE_OK) {
        plex_effect_error(ctx, x->too_large
                                   ? "the answer is larger than 256 KiB"
                                   : curl_easy_strerror(code));
        return code == CURLE_URL_MALFORMAT || x->too_large ? 2 : 1;
    }
    body = json_loadb((const char *)x->body.data, x->body.len, JSON_DECODE_ANY,
                      NULL);
    if (body == NULL)
        body = json_stringn((const char *)x->body.data, x->body.len);
    out = json_pack("{s:I, s:o}", "http_status", (json_int_t)http, "body",
                    body == NULL ? json_null() : body);
    text = json_dumps(out, JSON_COMPACT);
    json_decref(out);
    if (text == NULL)
        return 2;
    plex_effect_result(ctx, text, strlen(text));
    free(text);
    return 0;
}

int
work_http_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    static const int fatal[] = {2, 0};
    const struct plex_retry retry = {.attempts = 3, .fatal = fatal};
    struct exchange x = {.body = {.max = BODY_MAX}};
    struct plex_value out;
    const char *action;
    int status;

    x.request = work_builtin_request(ctx, msg, &action);
    if (x.request == NULL)
        return 0;
    if (json_string_value(json_object_get(x.request, "url")) == NULL) {
        plex_reply_problem(ctx, 400, "url is missing");
        status = 0;
    } else {
        status = plex_run(ctx, "http", request_effect, &x, &retry, &out);
        if (status == 0)
            plex_reply(ctx, "application/json", out.data, out.len);
        else if (status == PLEX_E_FAILED)
            status = plex_fail(ctx, out.data);
    }
    json_decref(x.request);
    plex_buf_free(&x.body);
    return status == 0 ? 0 : -1;
}
