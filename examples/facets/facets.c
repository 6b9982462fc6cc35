/*
 * Actors that are mostly their facets, and a facet of the module's own:
 * docs/facets.md.
 */
#include <plexspaces/facet.h>
#include <plexspaces/http.h>
#include <plexspaces/kv.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* -- quotes: what handlers do when they are asked ------------------------- */

/* How often the handler has run is its state, so that callers see when it did
 * not. {"fail":"TEXT"} fails, {"attach":"FACET"} puts one more around it. */
static int
quote_handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *fail, *facet;
    int64_t runs = 0;

    (void)msg;
    (void)plex_state_get(ctx, &runs, sizeof runs);
    runs++;
    plex_state_put(ctx, &runs, sizeof runs);
    if (plex_json_text(ctx, "fail", &fail) == 1)
        return plex_fail(ctx, fail);
    if (plex_json_text(ctx, "attach", &facet) == 1) {
        plex_reply_json(ctx, "{\"status\":%d}",
                        plex_facet_attach(ctx, facet, 0, NULL, 0));
        return 0;
    }
    plex_reply_json(ctx, "{\"runs\":%" PRId64 "}", runs);
    return 0;
}

/* -- ticker: a declared timer, and what was emitted ------------------------ */

struct ticker {
    int64_t ticks, events;
    char last[64];
};

static int
ticker_timer(struct plex_ctx *ctx, const char *timer, const void *payload,
             size_t len)
{
    struct ticker state = {0};

    (void)timer;
    (void)payload;
    (void)len;
    (void)plex_state_get(ctx, &state, sizeof state);
    state.ticks++;
    plex_state_put(ctx, &state, sizeof state);
    return 0;
}

/* An event: its topic, a line feed, its payload. */
static int
ticker_event(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct ticker state = {0};
    const char *feed =
        msg->len == 0 ? NULL : memchr(msg->payload, '\n', msg->len);

    (void)plex_state_get(ctx, &state, sizeof state);
    state.events++;
    if (feed != NULL)
        (void)snprintf(state.last, sizeof state.last, "%.*s",
                       (int)(feed - (const char *)msg->payload),
                       (const char *)msg->payload);
    plex_state_put(ctx, &state, sizeof state);
    return 0;
}

static int
ticker_handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct ticker state = {0};
    const char *emit;

    (void)msg;
    (void)plex_state_get(ctx, &state, sizeof state);
    if (plex_json_text(ctx, "emit", &emit) == 1 &&
        plex_facet_invoke(ctx, "event_emitter", "emit", emit, strlen(emit),
                          NULL, NULL) != 0)
        plex_reply_problem(ctx, 400, "no such topic");
    else
        plex_reply_json(ctx,
                        "{\"ticks\":%" PRId64 ",\"events\":%" PRId64
                        ",\"last\":\"%s\"}",
                        state.ticks, state.events, state.last);
    return 0;
}

/* -- outside: keys and HTTP ------------------------------------------------ */

static void
reply_status(struct plex_ctx *ctx, int status)
{
    plex_reply_json(ctx, "{\"status\":%d}", status);
}

static void
outside_kv(struct plex_ctx *ctx, const char *op, const char *key)
{
    const char *text = "", *keys;
    const void *value;
    uint64_t revision;
    int64_t number;
    size_t len;
    int status;

    (void)plex_json_text(ctx, "value", &text);
    if (strcmp(op, "put") == 0) {
        reply_status(ctx, plex_kv_put(ctx, key, text, strlen(text), 0));
    } else if (strcmp(op, "count") == 0) {
        status = plex_kv_increment(ctx, key, 1, &number);
        plex_reply_json(ctx, "{\"status\":%d,\"number\":%" PRId64 "}", status,
                        number);
    } else if (strcmp(op, "list") == 0) {
        status = plex_kv_list(ctx, key, &keys, &len, &revision);
        plex_reply(ctx, "text/plain", keys, status == 0 ? len : 0);
    } else if (strcmp(op, "delete") == 0) {
        reply_status(ctx, plex_kv_delete(ctx, key));
    } else {
        status = plex_kv_get(ctx, key, &value, &len);
        if (status != 0)
            reply_status(ctx, status);
        else
            plex_reply(ctx, "text/plain", value, len);
    }
}

static int
outside_handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *op = "", *key = "";
    struct plex_http_reply reply;
    int status;

    (void)msg;
    (void)plex_json_text(ctx, "op", &op);
    (void)plex_json_text(ctx, "key", &key);
    if (strcmp(op, "http") != 0) {
        outside_kv(ctx, op, key);
        return 0;
    }
    status = plex_http_get(ctx, key, &reply);
    if (status != 0)
        reply_status(ctx, status);
    else
        plex_reply_status(ctx, 200, "text/plain", reply.body, reply.len);
    return 0;
}

/* -- stamp: a facet of the module's own ------------------------------------ */

struct stamp_config {
    const char *mark;
};

static const struct plex_facet_key stamp_keys[] = {
    {"mark", PLEX_FACET_TEXT, offsetof(struct stamp_config, mark), "seen", 1,
     32, NULL},
    {0},
};

static enum plex_facet_verdict
stamp_after(struct plex_facet *facet, const struct plex_msg *msg,
            const struct plex_facet_result *result, struct plex_facet_out *out)
{
    const struct stamp_config *config = facet->config;

    (void)msg;
    out->http_status = result->http_status;
    out->content_type = result->content_type;
    out->payload = result->payload;
    out->len = result->len;
    out->header = "X-Stamp";
    out->header_value = config->mark;
    return PLEX_FACET_REPLACE;
}

static const struct plex_facet_type facets[] = {
    {.name = "stamp",
     .priority = 500,
     .keys = stamp_keys,
     .config_size = sizeof(struct stamp_config),
     .after = stamp_after},
    {0},
};
PLEX_MODULE_FACETS(facets);

static const struct plex_behaviour behaviours[] = {
    {.name = "quote", .handle_call = quote_handle},
    {.name = "ticker",
     .handle_call = ticker_handle,
     .handle_cast = ticker_event,
     .handle_timer = ticker_timer},
    {.name = "outside", .handle_call = outside_handle},
    {0},
};
PLEX_MODULE(behaviours);
