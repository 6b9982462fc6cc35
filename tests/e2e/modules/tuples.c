/* For tests/e2e/linda.sh: each operation of tuplespace.h; the line of the
 * first that did something else. */
#define _GNU_SOURCE
#include <plexspaces/tuplespace.h>

#define S "sdk"
#define HOLDS(what)          \
    do {                     \
        if (!(what))         \
            return __LINE__; \
    } while (0)

static bool
is(const struct plex_value *value, const char *text)
{
    return value->len == strlen(text) &&
           memcmp(value->data, text, value->len) == 0;
}

static int
all(struct plex_ctx *ctx)
{
    struct plex_value got;
    uint64_t n, began;
    char text[64];
    bool swapped;

    HOLDS(plex_tuple_clear(ctx, S, "[]") == 0);
    HOLDS(plex_tuple_inp(ctx, S, "[\"a\"]", &got) == PLEX_E_NOT_FOUND);
    HOLDS(plex_tuple_out(ctx, S, "[\"a\",1,\"]\\\"[\"]", 0) == 0);
    HOLDS(plex_tuple_rd(ctx, S, "[\"a\",1,{\"any\":true}]", 0, &got) == 0);
    HOLDS(is(&got, "[\"a\",1,\"]\\\"[\"]"));
    HOLDS(plex_tuple_rdp(ctx, S, "[\"a\",{\"gt\":1},{\"any\":true}]", &got) ==
          PLEX_E_NOT_FOUND);
    HOLDS(plex_tuple_out(ctx, S, "[\"b\",1]", 0) == 0);
    HOLDS(plex_tuple_out(ctx, S, "[\"b\",2]", 60000) == 0);
    HOLDS(plex_tuple_count(ctx, S, "[\"b\",{\"any\":true}]", &n) == 0);
    HOLDS(n == 2);
    HOLDS(plex_tuple_cas(ctx, S, "[\"b\",1]", "[\"b\",3]", &swapped) == 0);
    HOLDS(swapped);
    HOLDS(plex_tuple_cas(ctx, S, "[\"b\",1]", "[\"b\",3]", &swapped) == 0);
    HOLDS(!swapped);
    HOLDS(plex_tuple_in(ctx, S, "[\"b\",{\"any\":true}]", 1000, &got) == 0);
    HOLDS(is(&got, "[\"b\",3]"));
    HOLDS(plex_tuple_all(ctx, true, S, "[]", 100, &got) == 0);
    HOLDS(plex_tuple_count(ctx, S, "[]", &n) == 0 && n == 0);
    began = plex_monotonic_ns(ctx);
    HOLDS(plex_tuple_in(ctx, S, "[\"never\"]", 100, &got) == PLEX_E_NOT_FOUND);
    HOLDS(plex_monotonic_ns(ctx) - began >= 100 * UINT64_C(1000000));
    HOLDS(plex_tuple_out(ctx, S, "[\"broken\"", 0) == PLEX_E_INVALID);
    HOLDS(plex_tuple_in(ctx, S, "[{\"wrong\":1}]", 0, &got) == PLEX_E_INVALID);
    HOLDS(got.len > 0 && memmem(got.data, got.len, "wrong", 5) != NULL);
    HOLDS(plex_tuple_in(ctx, S, "[1]", 3600001, &got) == PLEX_E_INVALID);
    HOLDS(plex_tuple_eval(ctx, S, "echo", "e", "[\"evaluated\",5]", 5000) == 0);
    HOLDS(plex_tuple_inp(ctx, S, "[\"evaluated\",5]", &got) == 0);
    HOLDS(plex_tuple_quote("a\"\\\n", text, sizeof text));
    HOLDS(strcmp(text, "\"a\\\"\\\\\\u000a\"") == 0);
    HOLDS(!plex_tuple_quote("abcdef", text, 6));
    return 0;
}

static int
tuples(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    (void)msg;
    plex_reply_json(ctx, "{\"line\":%d}", all(ctx));
    return 0;
}

static int
echo(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    plex_reply(ctx, "application/json", msg->payload, msg->len);
    return 0;
}

static int
once(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const struct plex_tuple_op write = {
        .method = PLEX_TUPLE_WRITE,
        .json = "{\"space\":\"once\",\"tuples\":[[\"once\",7]]}"};
    const struct plex_tuple_op take = {
        .method = PLEX_TUPLE_TAKE,
        .json = "{\"space\":\"once\",\"template\":[\"once\",{\"any\":true}],"
                "\"timeout_ms\":5000}",
        .wait_ms = 5000};
    struct plex_value got;

    (void)msg;
    if (plex_tuple_once(ctx, "write", &write, &got) != 0 ||
        plex_tuple_once(ctx, "take", &take, &got) != 0)
        return plex_fail(ctx, "the tuple space refused");
    plex_reply(ctx, "application/json", got.data, got.len);
    return 0;
}

static const struct plex_behaviour behaviours[] = {
    {.name = "tuples", .handle_call = tuples},
    {.name = "echo", .handle_call = echo},
    {.name = "once", .handle_call = once},
    {0},
};
PLEX_MODULE(behaviours);
