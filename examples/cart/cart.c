/*
 * A shopping cart that keeps what happened instead of what is: each change is
 * an event, and the cart is what apply() makes of them. So it can be looked at
 * as it was after any of them:
 *
 *   plexspaces actor history cart/anna
 *   plexspaces actor at cart/anna --sequence 2 --module build/modules/cart.so
 */
#include <plexspaces/actor.h>
#include <plexspaces/sourced.h>

#include <inttypes.h>

enum { LINES_MAX = 50, QUANTITY_MAX = 1000, TEXT_MAX = LINES_MAX * 80 + 64 };

struct line {
    char sku[32];
    unsigned quantity;
};
struct cart {
    struct line lines[LINES_MAX];
    int n;
    bool ordered;
};

/* -- the state is JSON, so that people can read it ---------------------------
 */

static void
cart_read(struct plex_ctx *ctx, struct cart *cart)
{
    char text[TEXT_MAX];
    size_t len;
    const void *state = plex_state(ctx, &len);
    const char *at = text;
    struct line line;

    *cart = (struct cart){0};
    if (state == NULL || len >= sizeof text)
        return;
    memcpy(text, state, len);
    text[len] = '\0';
    cart->ordered = strncmp(at, "{\"ordered\":true", 15) == 0;
    while (cart->n < LINES_MAX && (at = strstr(at, "{\"sku\"")) != NULL &&
           sscanf(at++, "{\"sku\":\"%31[^\"]\",\"quantity\":%u}", line.sku,
                  &line.quantity) == 2)
        cart->lines[cart->n++] = line;
}

static size_t
cart_text(const struct cart *cart, char *text, size_t size)
{
    size_t len = (size_t)snprintf(text, size, "{\"ordered\":%s,\"lines\":[",
                                  cart->ordered ? "true" : "false");

    for (int i = 0; i < cart->n; i++)
        len += (size_t)snprintf(
            text + len, size - len, "%s{\"sku\":\"%s\",\"quantity\":%u}",
            i > 0 ? "," : "", cart->lines[i].sku, cart->lines[i].quantity);
    return len + (size_t)snprintf(text + len, size - len, "]}");
}

static struct line *
line_find(struct cart *cart, const char *sku)
{
    for (int i = 0; i < cart->n; i++)
        if (strcmp(cart->lines[i].sku, sku) == 0)
            return &cart->lines[i];
    return NULL;
}

/* -- what happened makes what is ---------------------------------------------
 */

static void
line_add(struct cart *cart, const char *sku, unsigned quantity)
{
    struct line *line = line_find(cart, sku);

    if (line == NULL) {
        line = &cart->lines[cart->n++];
        (void)snprintf(line->sku, sizeof line->sku, "%s", sku);
        line->quantity = 0;
    }
    line->quantity += quantity;
}

static void
line_remove(struct cart *cart, const char *sku)
{
    struct line *line = line_find(cart, sku);

    if (line != NULL)
        *line = cart->lines[--cart->n];
}

static int
cart_apply(struct plex_ctx *ctx, const struct plex_event *event)
{
    char text[TEXT_MAX];
    const char *sku = "";
    int64_t quantity = 0;
    struct cart cart;

    cart_read(ctx, &cart);
    (void)plex_json_text(ctx, "sku", &sku);
    (void)plex_json_int(ctx, "quantity", &quantity);
    if (strcmp(event->type, "item_added") == 0)
        line_add(&cart, sku, (unsigned)quantity);
    else if (strcmp(event->type, "item_removed") == 0)
        line_remove(&cart, sku);
    else if (strcmp(event->type, "ordered") == 0)
        cart.ordered = true;
    else
        return plex_fail(ctx, "the cart knows no such event");
    plex_state_put(ctx, text, cart_text(&cart, text, sizeof text));
    return 0;
}

/* -- {"action":"add"|"remove"|"order"|"get","sku":S,"quantity":N} -- */

static bool
sku_ok(const char *sku)
{
    return sku[0] != '\0' && strlen(sku) < 32 &&
           sku[strspn(sku, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
}

static const char *
refusal(struct cart *cart, const char *action, const char *sku,
        int64_t quantity)
{
    const struct line *line = line_find(cart, sku);

    if (cart->ordered)
        return "the cart has been ordered";
    if (strcmp(action, "order") == 0)
        return cart->n == 0 ? "the cart is empty" : NULL;
    if (!sku_ok(sku))
        return "sku must be 1 to 31 of a-z, 0-9 and -";
    if (strcmp(action, "remove") == 0)
        return line == NULL ? "that is not in the cart" : NULL;
    if (quantity < 1 || quantity > QUANTITY_MAX)
        return "quantity must be 1 to 1000";
    if (line == NULL && cart->n == LINES_MAX)
        return "the cart is full";
    return NULL;
}

static int
cart_change(struct plex_ctx *ctx, const char *action, const char *sku,
            int64_t quantity)
{
    if (strcmp(action, "add") == 0)
        return plex_persist_json(ctx, "item_added",
                                 "{\"sku\":\"%s\",\"quantity\":%" PRId64 "}",
                                 sku, quantity);
    if (strcmp(action, "remove") == 0)
        return plex_persist_json(ctx, "item_removed", "{\"sku\":\"%s\"}", sku);
    return plex_persist(ctx, "ordered", "", 0);
}

static int
cart_handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    char text[TEXT_MAX];
    const char *action = "get", *sku = "", *why;
    int64_t quantity = 1;
    struct cart cart;

    (void)msg;
    (void)plex_json_text(ctx, "action", &action);
    (void)plex_json_text(ctx, "sku", &sku);
    if (plex_json_int(ctx, "quantity", &quantity) < 0)
        quantity = 0;
    cart_read(ctx, &cart);
    if (strcmp(action, "get") != 0) {
        if (strcmp(action, "add") != 0 && strcmp(action, "remove") != 0 &&
            strcmp(action, "order") != 0) {
            plex_reply_problem(ctx, 400,
                               "action must be add, remove, order or get");
            return 0;
        }
        why = refusal(&cart, action, sku, quantity);
        if (why != NULL) {
            plex_reply_problem(ctx, 409, "%s", why);
            return 0;
        }
        if (cart_change(ctx, action, sku, quantity) != 0)
            return -1;
        cart_read(ctx, &cart);
    }
    plex_reply(ctx, "application/json", text,
               cart_text(&cart, text, sizeof text));
    return 0;
}

static const struct plex_behaviour behaviours[] = {
    {.name = "cart",
     .schema_version = 1,
     .handle_call = cart_handle,
     .apply = cart_apply},
    {0},
};
PLEX_MODULE(behaviours);
