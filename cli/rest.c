#include "cli/rest.h"

#include "cli/print.h"

#include "common/bytes.h"
#include "common/mem.h"

#include <assert.h>
#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { OWNERLESS_TRIES = 20 }; /* 5 s */

struct rest {
    const struct cli *cli;
    CURL *curl;
    char error[CURL_ERROR_SIZE];
    struct plex_buf body;
};

void
rest_path_add(struct rest_path *path, const char *piece)
{
    size_t len = strlen(piece);

    /* Names are at most 255 bytes before encoding, so this is a bug. */
    assert(path->len + len < sizeof path->text);
    memcpy(path->text + path->len, piece, len + 1);
    path->len += len;
}

void
rest_path_segment(struct rest_path *path, const char *value)
{
    static const char hex[] = "0123456789ABCDEF";
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    char out[4] = {0};

    for (const char *c = value; *c != '\0'; c++) {
        unsigned char byte = (unsigned char)*c;

        if (path->len + 4 >= sizeof path->text)
            return; /* the server says what the limit is */
        if (strchr(plain, *c) != NULL)
            (void)snprintf(out, sizeof out, "%c", *c);
        else
            (void)snprintf(out, sizeof out, "%%%c%c", hex[byte >> 4],
                           hex[byte & 15]);
        rest_path_add(path, out);
    }
}

void
rest_path_param(struct rest_path *path, const char *name, const char *value)
{
    if (value[0] == '\0')
        return;
    rest_path_add(path, path->query ? "&" : "?");
    path->query = true;
    rest_path_add(path, name);
    rest_path_add(path, "=");
    rest_path_segment(path, value);
}

enum plex_status
rest_open(struct rest **out, const struct cli *cli, struct plex_err *err)
{
    struct rest *rest;

    if (strncmp(cli->server, "http://", 7) != 0 &&
        strncmp(cli->server, "https://", 8) != 0)
        return plex_err_set(err, PLEX_INVALID,
                            "server %s is not of the form http://host:port",
                            cli->server);
    rest = plex_calloc(1, sizeof *rest);
    rest->cli = cli;
    rest->body.max = REST_REPLY_MAX;
    rest->curl = curl_easy_init();
    if (rest->curl == NULL) {
        free(rest);
        return plex_err_set(err, PLEX_UNAVAILABLE, "could not start libcurl");
    }
    *out = rest;
    return PLEX_OK;
}

void
rest_close(struct rest *rest)
{
    if (rest == NULL)
        return;
    curl_easy_cleanup(rest->curl);
    plex_buf_free(&rest->body);
    free(rest);
}

static size_t
body_write(char *data, size_t size, size_t count, void *arg)
{
    struct rest *rest = arg;
    uint8_t *room = plex_buf_grow(&rest->body, size * count);

    if (room == NULL)
        return 0;
    memcpy(room, data, size * count);
    return size * count;
}

/* The problem's detail where there is one, else the start of the body. */
static enum plex_status
reply_problem(const struct rest_reply *reply, struct plex_err *err)
{
    const char *detail =
        json_string_value(json_object_get(reply->json, "detail"));
    const char *code = json_string_value(json_object_get(reply->json, "code"));
    const char *id =
        json_string_value(json_object_get(reply->json, "request_id"));
    enum plex_status status = PLEX_FAILED;

    if (reply->status == 404)
        status = PLEX_NOT_FOUND;
    if (detail == NULL)
        return plex_err_set(err, status, "HTTP %ld: %.120s", reply->status,
                            reply->body);
    return plex_err_set(err, status, "%.160s (%s, HTTP %ld%s%s)", detail,
                        code != NULL ? code : "no code", reply->status,
                        id != NULL ? ", request " : "", id != NULL ? id : "");
}

static enum plex_status
rest_perform(struct rest *rest, struct plex_err *err)
{
    CURLcode code = curl_easy_perform(rest->curl);
    const char *text =
        rest->error[0] != '\0' ? rest->error : curl_easy_strerror(code);

    switch (code) {
    case CURLE_OK:
        return PLEX_OK;
    case CURLE_URL_MALFORMAT:
        return plex_err_set(err, PLEX_INVALID,
                            "server %s is not of the form http://host:port",
                            rest->cli->server);
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
        return plex_err_set(err, PLEX_UNAVAILABLE,
                            "could not reach the gateway at %s: %s; is it "
                            "running? --server or PLEXSPACES_SERVER names "
                            "another",
                            rest->cli->server, text);
    case CURLE_WRITE_ERROR:
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "the answer is longer than %d bytes",
                            REST_REPLY_MAX);
    default:
        return plex_err_set(err, PLEX_UNAVAILABLE,
                            "calling %s failed, perhaps after the request "
                            "was done: %s",
                            rest->cli->server, text);
    }
}

static struct curl_slist *
request_headers(const struct rest_request *request)
{
    struct curl_slist *list = NULL;

    /* Without a body, not the form type that libcurl would say. */
    list = curl_slist_append(list, request->body != NULL
                                       ? "Content-Type: application/json"
                                       : "Content-Type:");
    list = curl_slist_append(list, "Accept: application/json");
    list = curl_slist_append(list, "Expect:");
    for (int i = 0; i < REST_HEADERS_MAX && request->headers[i] != NULL; i++)
        list = curl_slist_append(list, request->headers[i]);
    return list;
}

enum plex_status
rest_call(struct rest *rest, const struct rest_request *request,
          struct rest_reply *reply, struct plex_err *err)
{
    char url[8192];
    const char *host;
    struct curl_slist *headers;
    enum plex_status status;

    *reply = (struct rest_reply){0};
    host = strstr(rest->cli->server, "://") + 3; /* rest_open saw it */
    (void)snprintf(url, sizeof url, "%.*s%s",
                   (int)(host + strcspn(host, "/") - rest->cli->server),
                   rest->cli->server, request->path);
    headers = request_headers(request);
    rest->body.len = 0;
    rest->error[0] = '\0';
    curl_easy_reset(rest->curl);
    (void)curl_easy_setopt(rest->curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(rest->curl, CURLOPT_NOPROXY, "*");
    (void)curl_easy_setopt(rest->curl, CURLOPT_CUSTOMREQUEST, request->method);
    (void)curl_easy_setopt(rest->curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(rest->curl, CURLOPT_TIMEOUT,
                           (long)rest->cli->timeout_s);
    (void)curl_easy_setopt(rest->curl, CURLOPT_CONNECTTIMEOUT, 5L);
    (void)curl_easy_setopt(rest->curl, CURLOPT_ERRORBUFFER, rest->error);
    (void)curl_easy_setopt(rest->curl, CURLOPT_WRITEFUNCTION, body_write);
    (void)curl_easy_setopt(rest->curl, CURLOPT_WRITEDATA, rest);
    if (request->body != NULL)
        (void)curl_easy_setopt(rest->curl, CURLOPT_POSTFIELDS, request->body);
    else if (strcmp(request->method, "POST") == 0)
        (void)curl_easy_setopt(rest->curl, CURLOPT_POSTFIELDS, "");
    status = rest_perform(rest, err);
    curl_slist_free_all(headers);
    if (status != PLEX_OK)
        return status;
    (void)curl_easy_getinfo(rest->curl, CURLINFO_RESPONSE_CODE, &reply->status);
    reply->len = rest->body.len;
    reply->body = plex_calloc(1, reply->len + 1);
    if (reply->len > 0)
        memcpy(reply->body, rest->body.data, reply->len);
    reply->json = json_loadb(reply->body, reply->len, JSON_DECODE_ANY, NULL);
    if (reply->status < 200 || reply->status > 299)
        return reply_problem(reply, err);
    return PLEX_OK;
}

void
rest_reply_free(struct rest_reply *reply)
{
    free(reply->body);
    json_decref(reply->json);
    *reply = (struct rest_reply){0};
}

/* After the death of a worker another one takes over within seconds. */
static bool
is_ownerless(const struct rest_reply *reply)
{
    const char *code = json_string_value(json_object_get(reply->json, "code"));

    return reply->status == 503 && code != NULL &&
           strcmp(code, "NO_OWNER") == 0;
}

enum plex_status
rest_get(const struct cli *cli, const char *path, json_t **out,
         struct plex_err *err)
{
    struct rest_request request = {.method = "GET", .path = path};
    struct rest_reply reply = {0};
    struct rest *rest;
    enum plex_status status = rest_open(&rest, cli, err);

    if (status != PLEX_OK)
        return status;
    status = rest_call(rest, &request, &reply, err);
    for (int tries = 1; tries < OWNERLESS_TRIES && is_ownerless(&reply);
         tries++) {
        rest_reply_free(&reply);
        (void)nanosleep(&(struct timespec){.tv_nsec = 250000000}, NULL);
        status = rest_call(rest, &request, &reply, err);
    }
    if (status == PLEX_OK && !json_is_object(reply.json))
        status = plex_err_set(err, PLEX_FAILED,
                              "%s does not answer as a gateway would: %.80s",
                              cli->server, reply.body);
    if (status == PLEX_OK)
        *out = json_incref(reply.json);
    rest_reply_free(&reply);
    rest_close(rest);
    return status;
}

enum plex_status
rest_ask(const struct cli *cli, const char *method, const char *path,
         json_t *body, json_t **out, struct plex_err *err)
{
    char *text = body == NULL ? NULL : json_dumps(body, JSON_COMPACT);
    const struct rest_request request = {
        .method = method, .path = path, .body = text};
    struct rest_reply got = {0};
    struct rest *rest = NULL;
    enum plex_status status = rest_open(&rest, cli, err);

    *out = NULL;
    if (status == PLEX_OK)
        status = rest_call(rest, &request, &got, err);
    if (status == PLEX_OK)
        *out = json_incref(got.json);
    rest_reply_free(&got);
    rest_close(rest);
    json_decref(body);
    free(text);
    return status;
}

int
rest_show(const struct cli *cli, const char *method, const char *path,
          json_t *body)
{
    struct plex_err err;
    json_t *reply;

    if (rest_ask(cli, method, path, body, &reply, &err) != PLEX_OK)
        return cli_fail(&err);
    print_json(reply);
    json_decref(reply);
    return 0;
}

enum plex_status
cli_builtins_deploy(const struct cli *cli, const char *application,
                    const char *ns, const char *description,
                    const char *const *types, json_t **out,
                    struct plex_err *err)
{
    json_t *list = json_array(), *reply;
    enum plex_status status;

    for (; *types != NULL; types++) {
        const bool kept = (*types)[0] != '~';
        const char *name = kept ? *types : *types + 1;

        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s, s:b, s:b}", "name",
                                        name, "module", "builtin", "behaviour",
                                        name, "virtual", 1, "durable", kept));
    }
    status =
        rest_ask(cli, "POST", "/api/v1/applications",
                 json_pack("{s:{s:s, s:s, s:s, s:s, s:o}}", "application",
                           "name", application, "version", "1.0.0", "namespace",
                           ns, "description", description, "actorTypes", list),
                 &reply, err);
    if (out != NULL)
        *out = reply;
    else
        json_decref(reply);
    return status;
}

enum plex_status
rest_list(const struct cli *cli, const char *path, const char *field,
          json_t **out, struct plex_err *err)
{
    json_t *all = json_array();
    char token[1024] = "";
    enum plex_status status;

    do {
        struct rest_path page = {0};
        json_t *answer = NULL;
        const char *next;

        rest_path_add(&page, path);
        page.query = strchr(path, '?') != NULL;
        rest_path_param(&page, "page_size", "1000");
        rest_path_param(&page, "page_token", token);
        status = rest_get(cli, page.text, &answer, err);
        if (status != PLEX_OK)
            break;
        (void)json_array_extend(all, json_object_get(answer, field));
        next = json_string_value(json_object_get(answer, "nextPageToken"));
        (void)snprintf(token, sizeof token, "%s", next != NULL ? next : "");
        json_decref(answer);
    } while (token[0] != '\0');
    if (status != PLEX_OK) {
        json_decref(all);
        return status;
    }
    *out = all;
    return PLEX_OK;
}
