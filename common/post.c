#include "common/post.h"

#include "common/mem.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

struct watch {
    uv_poll_t uv;
    struct plex_post *post;
    curl_socket_t fd;
};
struct sending {
    struct sending *next, **at; /* post->all */
    struct plex_post *post;
    CURL *easy;
    struct curl_slist *headers;
    plex_post_fn done;
    void *arg;
    size_t answered;
    bool refused; /* by the reach */
    char error[CURL_ERROR_SIZE];
};
struct plex_post {
    struct plex_loop *loop;
    enum plex_post_reach reach;
    CURLM *multi;
    struct plex_timer *timer;
    struct sending *all;
    unsigned n;
};

/* -- where to --------------------------------------------------------------
 */

static bool
v4_is_private(uint32_t ip)
{
    static const struct {
        uint32_t net;
        unsigned bits;
    } ranges[] = {
        {0x00000000, 8},  {0x0a000000, 8},  {0x64400000, 10}, {0x7f000000, 8},
        {0xa9fe0000, 16}, {0xac100000, 12}, {0xc0000000, 24}, {0xc0a80000, 16},
        {0xc6120000, 15}, {0xe0000000, 3},
    };

    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if ((ip ^ ranges[i].net) >> (32 - ranges[i].bits) == 0)
            return true;
    return false;
}

static bool
v6_is_private(const struct in6_addr *ip)
{
    uint32_t v4;

    if (IN6_IS_ADDR_V4MAPPED(ip)) {
        memcpy(&v4, ip->s6_addr + 12, 4);
        return v4_is_private(ntohl(v4));
    }
    /* Public are 2000::/3 only; of those, 6to4 and Teredo carry others'. */
    return (ip->s6_addr[0] & 0xe0) != 0x20 ||
           (ip->s6_addr[0] == 0x20 && ip->s6_addr[1] == 0x02) ||
           memcmp(ip->s6_addr, "\x20\x01\0\0", 4) == 0;
}

static bool
is_private(const struct curl_sockaddr *to)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (to->family == AF_INET) {
        memcpy(&v4, &to->addr, sizeof v4);
        return v4_is_private(ntohl(v4.sin_addr.s_addr));
    }
    if (to->family != AF_INET6)
        return true;
    /* curl_sockaddr says it may be larger than its last member. */
    memcpy(&v6, (const char *)to + offsetof(struct curl_sockaddr, addr),
           sizeof v6);
    return v6_is_private(&v6.sin6_addr);
}

static curl_socket_t
on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
    struct sending *sending = arg;

    (void)purpose;
    if (sending->post->reach == PLEX_POST_PUBLIC && is_private(to)) {
        sending->refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

enum plex_status
plex_post_check(const char *url, size_t max, struct plex_err *err)
{
    CURLU *parts = curl_url();
    char *user = NULL, *fragment = NULL;
    CURLUcode code;
    bool http;

    http = strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
    code = parts == NULL || !http || strlen(url) > max
               ? CURLUE_MALFORMED_INPUT
               : curl_url_set(parts, CURLUPART_URL, url, 0);
    if (code == CURLUE_OK) {
        (void)curl_url_get(parts, CURLUPART_USER, &user, 0);
        (void)curl_url_get(parts, CURLUPART_FRAGMENT, &fragment, 0);
    }
    if (user != NULL || fragment != NULL)
        code = CURLUE_MALFORMED_INPUT;
    curl_free(user);
    curl_free(fragment);
    curl_url_cleanup(parts);
    if (code == CURLUE_OK)
        return PLEX_OK;
    return plex_err_set(err, PLEX_INVALID,
                        "\"%.60s\" is no http:// or https:// address of at "
                        "most %zu bytes, without user and fragment",
                        url, max);
}

/* -- one request -------------------------------------------------------------
 */

static void
sending_end(struct sending *sending, enum plex_status status, const char *text)
{
    struct plex_post *post = sending->post;

    (void)curl_multi_remove_handle(post->multi, sending->easy);
    curl_easy_cleanup(sending->easy);
    curl_slist_free_all(sending->headers);
    *sending->at = sending->next;
    if (sending->next != NULL)
        sending->next->at = sending->at;
    post->n--;
    sending->done(sending->arg, status, text);
    free(sending);
}

static void
sending_ended(struct sending *sending, CURLcode code)
{
    char text[CURL_ERROR_SIZE + 64];
    long status = 0;

    (void)curl_easy_getinfo(sending->easy, CURLINFO_RESPONSE_CODE, &status);
    if (sending->refused && code != CURLE_OK) {
        sending_end(sending, PLEX_DENIED,
                    "the endpoint has a private address, and only public "
                    "ones are allowed");
        return;
    }
    if (code == CURLE_OK && status >= 200 && status < 300) {
        sending_end(sending, PLEX_OK, "");
        return;
    }
    if (code == CURLE_OK)
        (void)snprintf(text, sizeof text, "the endpoint answered %ld", status);
    else
        (void)snprintf(text, sizeof text, "%s",
                       sending->error[0] != '\0' ? sending->error
                                                 : curl_easy_strerror(code));
    sending_end(sending,
                code == CURLE_OPERATION_TIMEDOUT ? PLEX_TIMEOUT
                : code == CURLE_URL_MALFORMAT    ? PLEX_INVALID
                                                 : PLEX_UNAVAILABLE,
                text);
}

static void
infos_read(struct plex_post *post)
{
    CURLMsg *info;
    int left;

    while ((info = curl_multi_info_read(post->multi, &left)) != NULL) {
        struct sending *sending = NULL;

        if (info->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(info->easy_handle, CURLINFO_PRIVATE, &sending);
        sending_ended(sending, info->data.result);
    }
}

static size_t
on_body(char *data, size_t size, size_t n, void *arg)
{
    struct sending *sending = arg;

    (void)data;
    sending->answered += size * n;
    return sending->answered > PLEX_POST_ANSWER ? 0 : size * n;
}

static void
options_set(struct sending *sending, const char *url, struct plex_bytes body,
            uint64_t timeout_ms)
{
    CURL *easy = sending->easy;

    (void)curl_easy_setopt(easy, CURLOPT_URL, url);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, sending->headers);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_POST, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                           (curl_off_t)body.len);
    (void)curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, body.data);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, sending);
    (void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    (void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, sending);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, sending->error);
    (void)curl_easy_setopt(easy, CURLOPT_PRIVATE, sending);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
}

bool
plex_post_send(struct plex_post *post, const char *url,
               const char *content_type, struct plex_bytes body,
               uint64_t timeout_ms, plex_post_fn done, void *arg)
{
    struct sending *sending;
    char line[128];

    if (post->n >= PLEX_POST_MAX)
        return false;
    sending = plex_calloc(1, sizeof *sending);
    sending->easy = curl_easy_init();
    if (sending->easy == NULL) {
        free(sending);
        return false;
    }
    sending->post = post;
    sending->done = done;
    sending->arg = arg;
    (void)snprintf(line, sizeof line, "Content-Type: %.100s", content_type);
    sending->headers = curl_slist_append(NULL, line);
    /* No round trip before the body. */
    sending->headers = curl_slist_append(sending->headers, "Expect:");
    options_set(sending, url, body, timeout_ms);
    sending->at = &post->all;
    sending->next = post->all;
    if (sending->next != NULL)
        sending->next->at = &sending->next;
    post->all = sending;
    post->n++;
    /* Asks for the timer, which begins it. */
    (void)curl_multi_add_handle(post->multi, sending->easy);
    return true;
}

/* -- the loop ----------------------------------------------------------------
 */

static void
on_timer(void *arg)
{
    struct plex_post *post = arg;
    int running;

    (void)curl_multi_socket_action(post->multi, CURL_SOCKET_TIMEOUT, 0,
                                   &running);
    infos_read(post);
}

static int
on_timeout(CURLM *multi, long ms, void *arg)
{
    struct plex_post *post = arg;

    (void)multi;
    if (ms < 0)
        plex_timer_stop(post->timer);
    else
        plex_timer_start(post->timer, (uint64_t)ms);
    return 0;
}

static void
on_ready(uv_poll_t *uv, int status, int events)
{
    struct watch *watch = plex_container_of(uv, struct watch, uv);
    struct plex_post *post = watch->post;
    int flags = 0, running;

    if (status < 0)
        flags = CURL_CSELECT_ERR;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    (void)curl_multi_socket_action(post->multi, watch->fd, flags, &running);
    infos_read(post);
}

static void
watch_closed(uv_handle_t *uv)
{
    free(plex_container_of(uv, struct watch, uv));
}

static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *of_socket)
{
    struct plex_post *post = arg;
    struct watch *watch = of_socket;
    int events = 0;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (watch != NULL)
            uv_close((uv_handle_t *)&watch->uv, watch_closed);
        (void)curl_multi_assign(post->multi, fd, NULL);
        return 0;
    }
    if (watch == NULL) {
        watch = plex_calloc(1, sizeof *watch);
        watch->post = post;
        watch->fd = fd;
        if (uv_poll_init_socket(plex_loop_uv(post->loop), &watch->uv, fd) !=
            0) {
            free(watch);
            return -1;
        }
        (void)curl_multi_assign(post->multi, fd, watch);
    }
    if (what & CURL_POLL_IN)
        events |= UV_READABLE;
    if (what & CURL_POLL_OUT)
        events |= UV_WRITABLE;
    return uv_poll_start(&watch->uv, events, on_ready);
}

/* -- life --------------------------------------------------------------------
 */

struct plex_post *
plex_post_create(struct plex_loop *loop, enum plex_post_reach reach)
{
    struct plex_post *post = plex_calloc(1, sizeof *post);

    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    post->loop = loop;
    post->reach = reach;
    post->timer = plex_timer_create(loop, on_timer, post);
    post->multi = curl_multi_init();
    (void)curl_multi_setopt(post->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    (void)curl_multi_setopt(post->multi, CURLMOPT_SOCKETDATA, post);
    (void)curl_multi_setopt(post->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
    (void)curl_multi_setopt(post->multi, CURLMOPT_TIMERDATA, post);
    (void)curl_multi_setopt(post->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
                            (long)PLEX_POST_AT_ONCE);
    (void)curl_multi_setopt(post->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
                            (long)PLEX_POST_HOST);
    return post;
}

void
plex_post_free(struct plex_post *post)
{
    if (post == NULL)
        return;
    while (post->all != NULL)
        sending_end(post->all, PLEX_CANCELLED, "the service stops");
    (void)curl_multi_cleanup(post->multi);
    plex_timer_free(post->timer);
    curl_global_cleanup();
    free(post);
}
