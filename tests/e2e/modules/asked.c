/* A run that is asked while it waits, as tests/e2e/asked.sh wants it. */
#include <plexspaces/actor.h>
#include <plexspaces/durable.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct poll {
    const char *file; /* a line for each vote that is counted */
    int64_t votes, rounds;
    char last[64];
};

static int
votes_query(struct plex_ctx *ctx, const struct plex_msg *msg, void *arg)
{
    const struct poll *poll = arg;

    (void)msg;
    plex_reply_json(ctx, "{\"votes\":%" PRId64 ",\"last\":\"%s\"}", poll->votes,
                    poll->last);
    return 0;
}

/* What a query must not do. */
static int
meddle_query(struct plex_ctx *ctx, const struct plex_msg *msg, void *arg)
{
    (void)msg;
    (void)arg;
    plex_state_put(ctx, "x", 1);
    plex_cast(ctx, "asked", "other", "{}", 2);
    plex_reply_json(ctx, "{}");
    return 0;
}

static int
note(struct plex_ctx *ctx, void *arg)
{
    const struct poll *poll = arg;
    FILE *file = fopen(poll->file, "a");

    if (file == NULL) {
        plex_effect_error(ctx, "the file cannot be opened");
        return 7;
    }
    (void)fprintf(file, "%s\n", poll->last);
    (void)fclose(file);
    return 0;
}

static int
vote_check(struct plex_ctx *ctx, const struct plex_msg *msg, void *arg)
{
    const char *who;

    (void)msg;
    (void)arg;
    if (plex_json_text(ctx, "who", &who) != 1 || strlen(who) > 60) {
        plex_reply_problem(ctx, 400, "who votes? {\"who\":TEXT}");
        return 0;
    }
    return strcmp(who, "nobody") == 0 ? plex_fail(ctx, "nobody has no vote")
                                      : 0;
}

/* {"who":TEXT, "ms":N}: thinks so long, then has an effect. */
static int
vote_update(struct plex_ctx *ctx, const struct plex_msg *msg, void *arg)
{
    struct poll *poll = arg;
    int64_t ms = 0;
    const char *who;

    (void)msg;
    if (plex_json_text(ctx, "who", &who) != 1)
        return plex_fail(ctx, "it was checked");
    (void)plex_json_int(ctx, "ms", &ms);
    (void)snprintf(poll->last, sizeof poll->last, "%s", who);
    if (ms > 0 && plex_durable_sleep(ctx, (uint64_t)ms) != 0)
        return plex_fail(ctx, "cancelled");
    if (plex_run(ctx, "note", note, poll, NULL, NULL) != 0)
        return plex_fail(ctx, "cancelled");
    poll->votes++;
    plex_reply_json(ctx, "{\"votes\":%" PRId64 "}", poll->votes);
    return 0;
}

/* No effect, no wait: one record. */
static int
rename_update(struct plex_ctx *ctx, const struct plex_msg *msg, void *arg)
{
    struct poll *poll = arg;

    (void)msg;
    poll->rounds++;
    (void)snprintf(poll->last, sizeof poll->last, "renamed %d",
                   (int)poll->rounds);
    plex_reply_json(ctx, "{\"last\":\"%s\"}", poll->last);
    return 0;
}

/* {"file":F}: counts votes until it gets the signal "end". */
static int
asked_handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct poll *poll = plex_keep(ctx, sizeof *poll);
    struct plex_value value;

    (void)msg;
    if (poll == NULL || plex_json_text(ctx, "file", &poll->file) != 1)
        return plex_fail(ctx, "file is missing");
    (void)plex_on_query(ctx, "votes", votes_query, poll);
    (void)plex_on_query(ctx, "meddle", meddle_query, poll);
    (void)plex_on_update(ctx, "vote", vote_check, vote_update, poll);
#ifndef WITHOUT_RENAME
    (void)plex_on_update(ctx, "rename", NULL, rename_update, poll);
#endif
    if (plex_wait_signal(ctx, "end", 0, &value) != 0)
        return plex_fail(ctx, "cancelled");
#ifdef LONGER
    (void)plex_durable_sleep(ctx, 1);
#endif
    plex_state_put(ctx, &poll->votes, sizeof poll->votes);
    plex_reply_json(ctx, "{\"votes\":%" PRId64 "}", poll->votes);
    return 0;
}

static const struct plex_behaviour behaviours[] = {
    {.name = "asked", .handle_call = asked_handle},
    {0},
};
PLEX_MODULE(behaviours);
