/* A shop's carts, spread over a group of actors: every shard keeps the carts
 * whose customers are its own. {"action":"add","customer":"ada","amount":2},
 * {"action":"get","customer":"ada"}, and for all shards {"action":"total"}.
 * When the group is scaled, each shard hands over the carts that have moved. */
#include <plexspaces/shard.h>

#include <inttypes.h>

enum { CUSTOMERS = 200, NAME = 40 };

struct cart {
    char customer[NAME];
    int64_t items;
};
struct shard {
    int32_t n, padding;
    struct cart carts[CUSTOMERS];
};

static struct cart *
cart_of(struct shard *shard, const char *customer, bool make)
{
    for (int32_t i = 0; i < shard->n; i++)
        if (strcmp(shard->carts[i].customer, customer) == 0)
            return &shard->carts[i];
    if (!make || shard->n == CUSTOMERS || strlen(customer) >= NAME)
        return NULL;
    (void)snprintf(shard->carts[shard->n].customer, NAME, "%s", customer);
    shard->carts[shard->n].items = 0; /* what was handed over left its own */
    return &shard->carts[shard->n++];
}

/* The group has another size now, or its shards other shares of the keys:
 * {"shard_count":4,"group_id":"carts","weights":"100,80,120,100"}; what is not
 * this shard's any more goes where it belongs. */
static void
hand_over(struct plex_ctx *ctx, struct shard *shard, const char *group,
          uint32_t count, const char *weights)
{
    const char *type, *self = plex_self(ctx, NULL, NULL, &type);
    const struct plex_shards g = {.type = type,
                                  .group = group,
                                  .shards = count,
                                  .partition = PLEX_PARTITION_CONSISTENT,
                                  .weights = weights};
    char key[256], text[160];
    int32_t kept = 0;

    for (int32_t i = 0; i < shard->n; i++) {
        const struct cart *cart = &shard->carts[i];

        if (plex_shard_key(
                &g, plex_shard_of(&g, cart->customer, strlen(cart->customer)),
                key) &&
            strcmp(key, self) == 0) {
            shard->carts[kept++] = *cart;
            continue;
        }
        (void)snprintf(text, sizeof text,
                       "{\"action\":\"add\",\"customer\":\"%s\",\"amount\":"
                       "%" PRId64 "}",
                       cart->customer, cart->items);
        plex_shard_cast(ctx, &g, cart->customer, text, strlen(text));
    }
    shard->n = kept;
}

static int
total(struct plex_ctx *ctx, const struct shard *shard)
{
    int64_t items = 0;

    for (int32_t i = 0; i < shard->n; i++)
        items += shard->carts[i].items;
    plex_reply_json(ctx, "{\"carts\":%d,\"items\":%" PRId64 "}", (int)shard->n,
                    items);
    return 0;
}

static int
cart_handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *action = "", *customer = "", *group = "", *weights = "";
    struct shard *shard = calloc(1, sizeof *shard);
    int64_t amount = 1, count = 0;
    struct cart *cart;

    (void)msg;
    if (shard == NULL)
        return plex_fail(ctx, "no memory");
    (void)plex_state_get(ctx, shard, sizeof *shard);
    (void)plex_json_text(ctx, "action", &action);
    (void)plex_json_text(ctx, "customer", &customer);
    (void)plex_json_int(ctx, "amount", &amount);
    if (strcmp(action, "total") == 0) {
        (void)total(ctx, shard);
    } else if (strcmp(action, "group_scaled") == 0) {
        (void)plex_json_text(ctx, "group_id", &group);
        (void)plex_json_int(ctx, "shard_count", &count);
        (void)plex_json_text(ctx, "weights", &weights);
        hand_over(ctx, shard, group, (uint32_t)count, weights);
        plex_state_put(ctx, shard, sizeof *shard);
    } else if (customer[strcspn(customer, "\"\\")] != '\0' ||
               customer[0] == '\0') {
        plex_reply_problem(ctx, 400, "customer is missing, or has quotes");
    } else if (strcmp(action, "add") == 0) {
        cart = cart_of(shard, customer, true);
        if (cart == NULL) {
            plex_reply_problem(ctx, 409, "no room for another customer");
        } else {
            cart->items += amount;
            plex_state_put(ctx, shard, sizeof *shard);
            plex_reply_json(ctx, "{\"items\":%" PRId64 "}", cart->items);
        }
    } else {
        cart = cart_of(shard, customer, false);
        plex_reply_json(ctx, "{\"items\":%" PRId64 "}",
                        cart == NULL ? (int64_t)0 : cart->items);
    }
    free(shard);
    return 0;
}

/* A partition of one's own: customers by the first letter of their names. */
static int
letter_handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *key = "";
    int64_t count = 1;

    (void)msg;
    (void)plex_json_text(ctx, "key", &key);
    (void)plex_json_int(ctx, "shard_count", &count);
    plex_reply_json(ctx, "{\"shard\":%d}",
                    (int)((unsigned char)key[0] % (count < 1 ? 1 : count)));
    return 0;
}

static const struct plex_behaviour behaviours[] = {
    {.name = "cart", .handle_call = cart_handle},
    {.name = "by-letter", .handle_call = letter_handle},
    {0},
};
PLEX_MODULE(behaviours);
