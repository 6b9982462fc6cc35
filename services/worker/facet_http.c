#include "services/worker/facet_http.h"

#include "common/bytes.h"
#include "common/loop.h"
#include "common/mem.h"
#include "services/worker/node_queue.h"

#include <ctype.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    JOBS_MAX = 10000,
    CONNECTIONS_MAX = 256,
    BACKOFF_MAX_MS = 60000,
    HEADERS_MAX = 16 << 10,
};

struct job {
    struct work_link link;
    struct job *next, **at; /* of http->jobs */
    work_http_fn done;
    void *arg;
    char *method, *url, *body;
    size_t len;
    struct curl_slist *headers;
    uint64_t deadline_ns, max_bytes, backoff_ms;
    uint32_t retries;
    CURL *easy; /* NULL: waits until due_ns */
    uint64_t due_ns;
    struct plex_buf answer;
    struct plex_buf told; /* the answer's headers */
    bool too_large;
    char error[CURL_ERROR_SIZE];
};
struct work_http {
    pthread_t thread;
    CURLM *multi;
    struct work_queue queue;
    _Atomic uint32_t n_jobs;
    _Atomic bool stops;
    struct job *jobs; /* the thread's own */
};

/* -- one request ----------------------------------------------------------- */

static void
job_free(struct work_http *http, struct job *job)
{
    if (job->easy != NULL) {
        (void)curl_multi_remove_handle(http->multi, job->easy);
        curl_easy_cleanup(job->easy);
    }
    if (job->at != NULL) {
        *job->at = job->next;
        if (job->next != NULL)
            job->next->at = job->at;
    }
    curl_slist_free_all(job->headers);
    plex_buf_free(&job->answer);
    plex_buf_free(&job->told);
    free(job->method);
    free(job->url);
    free(job->body);
    free(job);
    atomic_fetch_sub(&http->n_jobs, 1);
}

static void
job_fail(struct work_http *http, struct job *job, enum plex_status status,
         const char *text)
{
    const struct work_http_answer answer = {
        .status = status, .text = text, .content_type = ""};

    job->done(job->arg, &answer);
    job_free(http, job);
}

static size_t
on_body(char *data, size_t size, size_t n, void *arg)
{
    struct job *job = arg;
    uint8_t *at = plex_buf_grow(&job->answer, size * n);

    if (at == NULL) {
        job->too_large = true;
        return 0;
    }
    memcpy(at, data, size * n);
    return size * n;
}

/* One line of the answer's head, with its end. */
static size_t
on_header(char *data, size_t size, size_t n, void *arg)
{
    struct job *job = arg;
    size_t len = size * n;
    const char *colon = memchr(data, ':', len);
    size_t name_len = colon == NULL ? 0 : (size_t)(colon - data);
    uint8_t *at;

    if (len > 5 && memcmp(data, "HTTP/", 5) == 0)
        job->told.len = 0; /* those of an answer before this one */
    while (len > 0 && (data[len - 1] == '\r' || data[len - 1] == '\n'))
        len--;
    at = name_len == 0 || memchr(data, '\0', len) != NULL
             ? NULL
             : plex_buf_grow(&job->told, len + 1);
    if (at == NULL)
        return size * n;
    memcpy(at, data, len);
    at[len] = '\n';
    for (size_t i = 0; i < name_len; i++)
        at[i] = (uint8_t)tolower(at[i]);
    return size * n;
}

static void
job_begin(struct work_http *http, struct job *job)
{
    const uint64_t now = plex_now();
    CURL *easy = curl_easy_init();

    if (easy == NULL || now >= job->deadline_ns) {
        curl_easy_cleanup(easy);
        job_fail(http, job, PLEX_TIMEOUT, "no time is left");
        return;
    }
    job->easy = easy;
    job->error[0] = '\0';
    job->answer.len = 0;
    job->told.len = 0;
    (void)curl_easy_setopt(easy, CURLOPT_URL, job->url);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, job->method);
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, job->headers);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, job);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, job);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, job->error);
    (void)curl_easy_setopt(easy, CURLOPT_PRIVATE, job);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS,
                           (long)((job->deadline_ns - now) / 1000000 + 1));
    if (strcmp(job->method, "HEAD") == 0)
        (void)curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    if (job->len > 0) {
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, job->body);
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                               (curl_off_t)job->len);
    }
    (void)curl_multi_add_handle(http->multi, easy);
}

/* May it be done twice? */
static bool
is_idempotent(const char *method)
{
    static const char *const known[] = {"GET", "HEAD", "PUT", "DELETE",
                                        "OPTIONS"};

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i], method) == 0)
            return true;
    return false;
}

static bool
is_worth_it(const struct job *job, CURLcode code, long http_status)
{
    const bool never_began =
        code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST;
    const bool failed = code != CURLE_OK && code != CURLE_OPERATION_TIMEDOUT;

    if (job->retries == 0 || job->too_large ||
        plex_now() + job->backoff_ms * 1000000 >= job->deadline_ns)
        return false;
    if (never_began)
        return true;
    return is_idempotent(job->method) &&
           (failed || http_status == 502 || http_status == 503 ||
            http_status == 504);
}

static void
job_again(struct work_http *http, struct job *job)
{
    (void)curl_multi_remove_handle(http->multi, job->easy);
    curl_easy_cleanup(job->easy);
    job->easy = NULL;
    job->retries--;
    job->due_ns = plex_now() + job->backoff_ms * 1000000;
    if (job->backoff_ms < BACKOFF_MAX_MS)
        job->backoff_ms *= 2;
}

static enum plex_status
status_of(const struct job *job, CURLcode code)
{
    if (job->too_large)
        return PLEX_TOO_LARGE;
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return PLEX_TIMEOUT;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return PLEX_INVALID;
    default:
        return PLEX_UNAVAILABLE;
    }
}

static void
job_ended(struct work_http *http, struct job *job, CURLcode code)
{
    struct work_http_answer answer = {.status = PLEX_OK, .text = ""};
    const char *type = NULL;
    long http_status = 0;

    (void)curl_easy_getinfo(job->easy, CURLINFO_RESPONSE_CODE, &http_status);
    if (is_worth_it(job, code, http_status)) {
        job_again(http, job);
        return;
    }
    if (code != CURLE_OK) {
        job_fail(http, job, status_of(job, code),
                 job->too_large       ? "the answer is too large"
                 : job->error[0] != 0 ? job->error
                                      : curl_easy_strerror(code));
        return;
    }
    (void)curl_easy_getinfo(job->easy, CURLINFO_CONTENT_TYPE, &type);
    answer.http_status = (uint32_t)http_status;
    answer.content_type = type == NULL ? "" : type;
    answer.body = job->answer.data;
    answer.len = job->answer.len;
    answer.headers = job->told.data;
    answer.headers_len = job->told.len;
    job->done(job->arg, &answer);
    job_free(http, job);
}

/* -- the thread ------------------------------------------------------------ */

static void
jobs_take(struct work_http *http)
{
    struct work_link *link = work_queue_take(&http->queue);

    while (link != NULL) {
        struct job *job = plex_container_of(link, struct job, link);

        link = link->next;
        job->next = http->jobs;
        job->at = &http->jobs;
        if (job->next != NULL)
            job->next->at = &job->next;
        http->jobs = job;
    }
}

/* Begins what is due; returns in how many ms the next one is. */
static int
jobs_begin(struct work_http *http)
{
    const uint64_t now = plex_now();
    uint64_t wait_ms = 1000;

    for (struct job *job = http->jobs, *next; job != NULL; job = next) {
        next = job->next;
        if (job->easy != NULL)
            continue;
        if (job->due_ns <= now)
            job_begin(http, job);
        else if ((job->due_ns - now) / 1000000 < wait_ms)
            wait_ms = (job->due_ns - now) / 1000000 + 1;
    }
    return (int)wait_ms;
}

static void
infos_read(struct work_http *http)
{
    CURLMsg *info;
    int left;

    while ((info = curl_multi_info_read(http->multi, &left)) != NULL) {
        struct job *job = NULL;

        if (info->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(info->easy_handle, CURLINFO_PRIVATE, &job);
        job_ended(http, job, info->data.result);
    }
}

static void *
run(void *arg)
{
    struct work_http *http = arg;
    int running;

    while (!atomic_load(&http->stops)) {
        int wait_ms;

        jobs_take(http);
        wait_ms = jobs_begin(http);
        (void)curl_multi_perform(http->multi, &running);
        infos_read(http);
        /* Idle: a wake-up comes with the next request. */
        (void)curl_multi_poll(http->multi, NULL, 0,
                              http->jobs == NULL ? 3600000 : wait_ms, NULL);
    }
    jobs_take(http);
    while (http->jobs != NULL)
        job_fail(http, http->jobs, PLEX_CANCELLED, "the worker stops");
    return NULL;
}

/* -- from outside ---------------------------------------------------------- */

struct work_http *
work_http_create(void)
{
    struct work_http *http = plex_calloc(1, sizeof *http);

    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    http->multi = curl_multi_init();
    if (http->multi == NULL) {
        free(http);
        return NULL;
    }
    (void)curl_multi_setopt(http->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
                            (long)CONNECTIONS_MAX);
    if (pthread_create(&http->thread, NULL, run, http) != 0) {
        (void)curl_multi_cleanup(http->multi);
        free(http);
        return NULL;
    }
    return http;
}

/* "Name: value" lines; none may hold control characters. */
static struct curl_slist *
headers_make(const struct work_http_request *request)
{
    struct curl_slist *list = NULL;
    char line[4096];
    const char *at = request->headers;

    if (request->len > 0) {
        (void)snprintf(line, sizeof line, "Content-Type: %s",
                       request->content_type);
        list = curl_slist_append(list, line);
    }
    while (*at != '\0') {
        const size_t len = strcspn(at, "\r\n");

        if (len > 0 && len < sizeof line && memchr(at, ':', len) != NULL) {
            (void)snprintf(line, sizeof line, "%.*s", (int)len, at);
            list = curl_slist_append(list, line);
        }
        at += len + strspn(at + len, "\r\n");
    }
    return list;
}

bool
work_http_send(struct work_http *http, const struct work_http_request *request,
               work_http_fn done, void *arg)
{
    struct job *job;

    if (atomic_fetch_add(&http->n_jobs, 1) >= JOBS_MAX) {
        atomic_fetch_sub(&http->n_jobs, 1);
        return false;
    }
    job = plex_calloc(1, sizeof *job);
    job->done = done;
    job->arg = arg;
    job->method = plex_strdup(request->method);
    job->url = plex_strdup(request->url);
    job->body = plex_calloc(1, request->len + 1);
    if (request->len > 0)
        memcpy(job->body, request->body, request->len);
    job->len = request->len;
    job->headers = headers_make(request);
    job->deadline_ns = plex_now() + request->timeout_ms * 1000000;
    job->retries = request->retries;
    job->backoff_ms = request->backoff_ms;
    job->answer.max = request->max_bytes;
    job->told.max = HEADERS_MAX;
    if (work_queue_push(&http->queue, &job->link))
        (void)curl_multi_wakeup(http->multi);
    return true;
}

void
work_http_free(struct work_http *http)
{
    if (http == NULL)
        return;
    atomic_store(&http->stops, true);
    (void)curl_multi_wakeup(http->multi);
    (void)pthread_join(http->thread, NULL);
    (void)curl_multi_cleanup(http->multi);
    curl_global_cleanup();
    free(http);
}
