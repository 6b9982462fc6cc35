/* Handlers that misbehave, or call in circles: tests/e2e/virtual.sh. */
#include <plexspaces/actor.h>
#include <plexspaces/durable.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void
spin(int64_t ms)
{
    struct timespec from, now;

    clock_gettime(CLOCK_MONOTONIC, &from);
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while ((now.tv_sec - from.tv_sec) * 1000 +
               (now.tv_nsec - from.tv_nsec) / 1000000 <
           ms);
}

/* Counts; {"spin":MS} loops, {"hang":FILE} without end as long as the file is
 * there, {"crash":FILE} dies once, as long as the file is
 * there, {"mute":1} does not reply, {"twice":1} replies twice. */
static int
odd_handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    int64_t n = 0, ms = 0, mute = 0, twice = 0;
    const char *file;

    (void)msg;
    (void)plex_state_get(ctx, &n, sizeof n);
    if (plex_json_int(ctx, "spin", &ms) == 1)
        spin(ms);
    if (plex_json_text(ctx, "hang", &file) == 1 && unlink(file) == 0)
        spin(INT64_MAX);
    if (plex_json_text(ctx, "crash", &file) == 1 && unlink(file) == 0) {
        (void)signal(SIGSEGV, SIG_DFL); /* meant: no sanitizer's business */
        (void)raise(SIGSEGV);
    }
    if (plex_json_int(ctx, "read", &mute) != 1) {
        n++;
        plex_state_put(ctx, &n, sizeof n);
    }
    mute = 0;
    if (plex_json_int(ctx, "mute", &mute) == 1)
        return 0;
    plex_reply_json(ctx, "{\"n\":%lld}", (long long)n);
    if (plex_json_int(ctx, "twice", &twice) == 1)
        plex_reply_json(ctx, "{\"n\":-1}");
    return 0;
}

/* {"next":B,"then":A}: calls ring/B with {"next":A}, and says how it ended. */
static int
ring_handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *next, *then;
    struct plex_value value = {0};
    char body[200] = "{}";
    int status;

    (void)msg;
    if (plex_json_text(ctx, "next", &next) != 1) {
        plex_reply_json(ctx, "{\"end\":true}");
        return 0;
    }
    if (plex_json_text(ctx, "then", &then) == 1)
        (void)snprintf(body, sizeof body, "{\"next\":\"%s\"}", then);
    status =
        plex_call_wait(ctx, "ring", next, body, strlen(body), 60000, &value);
    if (status != 0)
        plex_reply_json(ctx, "{\"error\":\"%.*s\"}", (int)value.len,
                        (const char *)value.data);
    else
        plex_reply(ctx, "application/json", value.data, value.len);
    return 0;
}

static const struct plex_behaviour behaviours[] = {
    {.name = "odd", .handle_call = odd_handle},
    {.name = "ring", .handle_call = ring_handle},
    {0},
};
PLEX_MODULE(behaviours);
