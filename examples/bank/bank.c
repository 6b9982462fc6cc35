/*
 * Transfers between accounts that survive anything. An account is a small
 * durable actor; a transfer is a run that waits for two of them, and undoes
 * what it did when the second refuses.
 */
#include <plexspaces/actor.h>
#include <plexspaces/durable.h>

#include <inttypes.h>
#include <string.h>

/* -- account: {"action":"deposit"|"withdraw"|"get","amount":N} -- */

static int
account_handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    int64_t balance = 0, amount = 0;
    const char *action;

    (void)msg;
    (void)plex_state_get(ctx, &balance, sizeof balance);
    if (plex_json_text(ctx, "action", &action) != 1)
        action = "";
    if (strcmp(action, "get") != 0 &&
        (plex_json_int(ctx, "amount", &amount) != 1 || amount <= 0))
        return plex_fail(ctx, "amount must be a positive integer");
    if (strcmp(action, "withdraw") == 0) {
        if (balance < amount)
            return plex_fail(ctx, "insufficient funds");
        balance -= amount;
    } else if (strcmp(action, "deposit") == 0) {
        if (__builtin_add_overflow(balance, amount, &balance))
            return plex_fail(ctx, "that is more than an account holds");
    } else if (strcmp(action, "get") != 0) {
        return plex_fail(ctx, "action must be deposit, withdraw or get");
    }
    if (amount > 0)
        plex_state_put(ctx, &balance, sizeof balance);
    plex_reply_json(ctx, "{\"balance\":%" PRId64 "}", balance);
    return 0;
}

/* -- transfer: {"from":K,"to":K,"amount":N}; its key is the transfer's id -- */

static int
book(struct plex_ctx *ctx, const char *action, const char *account,
     int64_t amount)
{
    char request[128];
    struct plex_value reply;
    const int len =
        snprintf(request, sizeof request,
                 "{\"action\":\"%s\",\"amount\":%" PRId64 "}", action, amount);

    return plex_call_wait(ctx, "account", account, request, (size_t)len, 60000,
                          &reply);
}

static int
transfer_handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *from, *to;
    int64_t amount;

    (void)msg;
    if (plex_json_text(ctx, "from", &from) != 1 ||
        plex_json_text(ctx, "to", &to) != 1 ||
        plex_json_int(ctx, "amount", &amount) != 1) {
        plex_reply_problem(ctx, 400, "from, to and amount are needed");
        return 0;
    }
    if (book(ctx, "withdraw", from, amount) != 0) {
        plex_reply_problem(ctx, 409, "%s has not enough", from);
        return 0;
    }
    if (book(ctx, "deposit", to, amount) != 0) {
        /* Undo: this too is kept up until it has been done. */
        if (book(ctx, "deposit", from, amount) != 0)
            return plex_fail(ctx, "the money could not be given back");
        plex_reply_problem(ctx, 409, "%s does not take it", to);
        return 0;
    }
    plex_state_put(ctx, "done", 4);
    plex_reply_json(ctx, "{\"status\":\"done\"}");
    return 0;
}

static const struct plex_behaviour behaviours[] = {
    {.name = "account", .handle_call = account_handle},
    {.name = "transfer", .handle_call = transfer_handle},
    {0},
};
PLEX_MODULE(behaviours);
