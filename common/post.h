#ifndef COMMON_POST_H
#define COMMON_POST_H

#include "common/bytes.h"
#include "common/loop.h"

/*
 * POST requests over HTTP from the loop thread, many at once, none of which
 * waits for another (libcurl's multi interface). Redirects are not followed:
 * who may be told one address may not be led to another. A library of its own,
 * plex_post: a daemon without it does not link libcurl.
 */
struct plex_post;

enum plex_post_reach {
    PLEX_POST_ANY,
    PLEX_POST_PUBLIC, /* no loopback, private, link-local or multicast address,
                         whatever the name: checked when connecting */
};
enum {
    PLEX_POST_MAX = 10000,    /* under way at once */
    PLEX_POST_AT_ONCE = 256,  /* connections; the rest wait, in their time */
    PLEX_POST_HOST = 8,       /* of those to one host */
    PLEX_POST_ANSWER = 65536, /* bytes of an answer, which are not kept */
};

/* Any answer 2xx is PLEX_OK. Else UNAVAILABLE, TIMEOUT, INVALID (the URL),
 * DENIED (the reach), CANCELLED (plex_post_free); `text` says why. */
typedef void (*plex_post_fn)(void *arg, enum plex_status status,
                             const char *text);

struct plex_post *plex_post_create(struct plex_loop *loop,
                                   enum plex_post_reach reach);
/* `url` and `body` are copied. done() runs once, never inside. False, and
 * done() does not run, when PLEX_POST_MAX are under way. */
PLEX_MUST_USE bool plex_post_send(struct plex_post *post, const char *url,
                                  const char *content_type,
                                  struct plex_bytes body, uint64_t timeout_ms,
                                  plex_post_fn done, void *arg);
/* http:// or https:// with a host, at most `max` bytes, no user, no fragment.
 */
PLEX_MUST_USE enum plex_status plex_post_check(const char *url, size_t max,
                                               struct plex_err *err);
/* Ends all with PLEX_CANCELLED. Not inside done(). Accepts NULL. */
void plex_post_free(struct plex_post *post);

#endif
