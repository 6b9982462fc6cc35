/*
 * The services of a small shop, as actors that a workflow calls. Each refuses
 * with a code of its own, so that definitions can retry, catch and compensate
 * by code.
 */
#include <plexspaces/actor.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int
refuse(struct plex_ctx *ctx, int status, const char *code, const char *detail)
{
    char text[256];
    const int len = snprintf(text, sizeof text,
                             "{\"status\":%d,\"source\":\"actor\","
                             "\"code\":\"%s\",\"detail\":\"%s\"}",
                             status, code, detail);

    plex_reply_status(ctx, (uint32_t)status, "application/problem+json", text,
                      (size_t)len);
    return 0;
}

static bool
action_is(struct plex_ctx *ctx, const char *name)
{
    const char *action;

    return plex_json_text(ctx, "action", &action) == 1 &&
           strcmp(action, name) == 0;
}

/* -- stock/SKU: reserve, release {"count"}; put {"count"}; get -- */

static int
stock_handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    int64_t left = 0, count = 0;

    (void)msg;
    (void)plex_state_get(ctx, &left, sizeof left);
    if (!action_is(ctx, "get") &&
        (plex_json_int(ctx, "count", &count) != 1 || count <= 0))
        return refuse(ctx, 400, "INVALID", "count must be positive");
    if (action_is(ctx, "reserve")) {
        if (left < count)
            return refuse(ctx, 409, "OUT_OF_STOCK", "there are not so many");
        left -= count;
    } else if (!action_is(ctx, "get")) {
        left += count;
    }
    if (count > 0)
        plex_state_put(ctx, &left, sizeof left);
    plex_reply_json(ctx, "{\"left\":%" PRId64 "}", left);
    return 0;
}

/* -- card/ID: charge, refund {"cents"}; limit {"cents"}; get. A card has a
 * limit of 100,000 cents until another is set. -- */

struct card {
    int64_t limit, charged, tries;
};

static int
card_handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct card card = {.limit = 100000};
    int64_t cents = 0;

    (void)msg;
    (void)plex_state_get(ctx, &card, sizeof card);
    if (!action_is(ctx, "get") && plex_json_int(ctx, "cents", &cents) != 1)
        return refuse(ctx, 400, "INVALID", "cents are missing");
    card.tries += action_is(ctx, "charge");
    if (action_is(ctx, "limit"))
        card.limit = cents;
    else if (action_is(ctx, "refund"))
        card.charged -= cents;
    if (!action_is(ctx, "get"))
        plex_state_put(ctx, &card, sizeof card);
    if (action_is(ctx, "charge")) {
        if (card.charged + cents > card.limit)
            return refuse(ctx, 402, "CARD_DECLINED", "over the limit");
        card.charged += cents;
        plex_state_put(ctx, &card, sizeof card);
    }
    plex_reply_json(ctx,
                    "{\"cents\":%" PRId64 ",\"charged\":%" PRId64
                    ",\"tries\":%" PRId64 "}",
                    cents, card.charged, card.tries);
    return 0;
}

/* -- parcel/ID: send; busy for the first "busy" tries of a key -- */

static int
parcel_handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    int64_t tries = 0, busy = 0;

    (void)msg;
    (void)plex_state_get(ctx, &tries, sizeof tries);
    (void)plex_json_int(ctx, "busy", &busy);
    tries++;
    plex_state_put(ctx, &tries, sizeof tries);
    if (tries <= busy)
        return refuse(ctx, 503, "BUSY", "the carrier is busy");
    plex_reply_json(ctx, "{\"parcel\":\"%s\",\"tries\":%" PRId64 "}",
                    plex_self(ctx, NULL, NULL, NULL), tries);
    return 0;
}

/* -- log/NAME: add {"line"}; get: how often it was written -- */

static int
log_handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    int64_t count = 0;

    (void)msg;
    (void)plex_state_get(ctx, &count, sizeof count);
    if (!action_is(ctx, "get")) {
        count++;
        plex_state_put(ctx, &count, sizeof count);
    }
    plex_reply_json(ctx, "{\"count\":%" PRId64 "}", count);
    return 0;
}

static const struct plex_behaviour behaviours[] = {
    {.name = "stock", .handle_call = stock_handle},
    {.name = "card", .handle_call = card_handle},
    {.name = "parcel", .handle_call = parcel_handle},
    {.name = "log", .handle_call = log_handle},
    {0},
};
PLEX_MODULE(behaviours);
