/* Actors that call each other while they wait: tests/e2e/reentrancy.sh. */
#include <plexspaces/actor.h>
#include <plexspaces/process.h>
#include <plexspaces/status.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Who is in the code of one actor (key "watched") right now; most at once. */
static _Atomic int inside;
static _Atomic int most;

static void
enter(bool watched)
{
    const int now = watched ? ++inside : 0;

    if (now > most)
        most = now;
}

static void
leave(bool watched)
{
    if (watched)
        inside--;
}

static void
spin_us(int64_t us)
{
    struct timespec from, now;

    clock_gettime(CLOCK_MONOTONIC, &from);
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while ((now.tv_sec - from.tv_sec) * 1000000 +
               (now.tv_nsec - from.tv_nsec) / 1000 <
           us);
}

static int64_t
count(struct plex_ctx *ctx)
{
    int64_t n = 0;

    (void)plex_state_get(ctx, &n, sizeof n);
    return n;
}

/* Asks the first name of `via` ("type/key type/key ...") to ask the rest, and
 * puts what comes of it into `out`, as JSON. */
static void
ask(struct plex_ctx *ctx, const char *via, char *out, size_t size)
{
    const size_t n = strcspn(via, " ");
    const char *rest = via[n] == ' ' ? via + n + 1 : "";
    struct plex_msg answer;
    char name[300], body[4000];
    int status;

    (void)snprintf(name, sizeof name, "%.*s", (int)n, via);
    (void)snprintf(body, sizeof body, "{\"add\":\"1\",\"via\":\"%s\"}", rest);
    status = plex_ask(ctx, plex_whereis(ctx, name), 0, body, strlen(body),
                      10000, &answer);
    if (status == 0)
        (void)snprintf(out, size, "%.*s", (int)answer.len,
                       (const char *)answer.payload);
    else
        (void)snprintf(out, size, "{\"error\":%d,\"reason\":\"%s\"}", status,
                       answer.reason == NULL ? "" : answer.reason);
}

/* {"deep":NAME}: asks that one for the same, until somebody says no. */
static int
deep_handle(struct plex_ctx *ctx, const struct plex_msg *msg, const char *name)
{
    struct plex_msg answer;
    const int status = plex_ask(ctx, plex_whereis(ctx, name), 0, msg->payload,
                                msg->len, 10000, &answer);

    if (status == 0)
        plex_reply(ctx, "application/json", answer.payload, answer.len);
    else
        plex_reply_json(ctx, "{\"error\":%d,\"reason\":\"%s\"}", status,
                        answer.reason);
    return 0;
}

/* {"add":N,"nap":MS,"until":N,"via":"...","more":N,"fail":1}: adds N, naps,
 * waits until the count is that, asks, adds N more; replies with the count
 * before and after that. "most":1 says how many were ever in the code of the
 * actor "watched" at once. */
static int
again_handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *key = plex_self(ctx, NULL, NULL, NULL), *via = "";
    const bool watched = strcmp(key, "watched") == 0;
    int64_t add = 0, more = 0, nap = 0, until = 0, fail = 0, before;
    char answer[8000] = "null";

    if (plex_json_text(ctx, "deep", &via) == 1)
        return deep_handle(ctx, msg, via);
    via = "";
    if (plex_json_int(ctx, "most", &nap) == 1) {
        plex_reply_json(ctx, "{\"most\":%d,\"n\":%lld}", most,
                        (long long)count(ctx));
        return 0;
    }
    enter(watched);
    (void)plex_json_int(ctx, "add", &add);
    (void)plex_json_int(ctx, "more", &more);
    (void)plex_json_int(ctx, "nap", &nap);
    (void)plex_json_int(ctx, "until", &until);
    (void)plex_json_int(ctx, "fail", &fail);
    (void)plex_json_text(ctx, "via", &via);
    before = count(ctx) + add;
    if (add != 0)
        plex_state_put(ctx, &before, sizeof before);
    spin_us(watched ? 200 : 0);
    while (nap > 0 || count(ctx) < until) {
        leave(watched);
        plex_sleep(ctx, nap > 0 ? (uint64_t)nap : 5);
        enter(watched);
        nap = 0;
    }
    if (via[0] != '\0') {
        leave(watched);
        ask(ctx, via, answer, sizeof answer);
        enter(watched);
    }
    if (more != 0) {
        const int64_t after = count(ctx) + more;

        plex_state_put(ctx, &after, sizeof after);
    }
    spin_us(watched ? 200 : 0);
    leave(watched);
    if (fail != 0)
        return plex_fail(ctx, "asked to");
    plex_reply_json(ctx, "{\"before\":%lld,\"after\":%lld,\"answer\":%s}",
                    (long long)before, (long long)count(ctx), answer);
    return 0;
}

static const struct plex_behaviour behaviours[] = {
    {.name = "again", .handle_call = again_handle},
    {0},
};
PLEX_MODULE(behaviours);
