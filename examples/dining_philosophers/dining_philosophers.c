/*
 * Five philosophers, five forks. A fork is a process that answers "take" when
 * it is free, and later otherwise; who holds it is monitored, so a philosopher
 * that crashes while eating lets its forks go. A philosopher is a state
 * machine: thinking, hungry for the first fork, for the second, eating.
 * Everyone takes the fork of the lower number first, so nobody waits in a
 * circle.
 *
 * Calls to table: {"meals":[...]}.
 */
#include <plexspaces/fsm.h>
#include <plexspaces/group.h>

enum { SEATS = 5, THINK_MS = 5, EAT_MS = 5, WAITING_MAX = 16 };
enum { TAKE = 1, PUT, ATE, FIRST, SECOND };

/* -- forks -- */

struct fork {
    struct plex_ref holder; /* none: free */
    uint64_t monitor;
    uint32_t waiting;
    struct plex_from queue[WAITING_MAX];
};

static void
fork_give(struct plex_ctx *ctx, struct fork *own, const struct plex_from *to)
{
    own->holder = to->ref;
    own->monitor = plex_monitor(ctx, to->ref);
    (void)plex_answer(ctx, to, NULL, 0);
}

static void
fork_free(struct plex_ctx *ctx, struct fork *own)
{
    struct plex_from next = own->queue[0];

    own->holder = (struct plex_ref){0, 0};
    if (own->waiting == 0)
        return;
    own->waiting--;
    memmove(own->queue, own->queue + 1, own->waiting * sizeof *own->queue);
    fork_give(ctx, own, &next);
}

static int
fork_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct fork *own = plex_data(ctx);
    struct plex_from from = plex_reply_later(ctx);

    (void)msg;
    if (plex_ref_none(own->holder))
        fork_give(ctx, own, &from);
    else if (own->waiting < WAITING_MAX)
        own->queue[own->waiting++] = from;
    else
        return plex_fail(ctx, "too many want this fork");
    return 0;
}

static int
fork_cast(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct fork *own = plex_data(ctx);

    if (!plex_ref_is(msg->from, own->holder))
        return 0;
    plex_demonitor(ctx, own->monitor);
    fork_free(ctx, own);
    return 0;
}

/* Its holder is gone. */
static int
fork_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct fork *own = plex_data(ctx);

    if (msg->kind == PLEX_MSG_DOWN && msg->tag == own->monitor)
        fork_free(ctx, own);
    return 0;
}

/* -- philosophers -- */

struct philosopher {
    int seat;
};

static struct plex_ref
fork_of(struct plex_ctx *ctx, const struct philosopher *own, bool first)
{
    int left = own->seat, right = (own->seat + 1) % SEATS;
    int low = left < right ? left : right, high = left + right - low;
    char name[16];

    (void)snprintf(name, sizeof name, "fork%d", first ? low : high);
    return plex_whereis(ctx, name);
}

static int
philosopher_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    static const char field[] = "\"seat\":";
    struct philosopher *own = plex_data(ctx);
    char text[64];
    const char *at;

    if (len >= sizeof text)
        return plex_fail(ctx, "the arguments are too long");
    memcpy(text, args, len);
    text[len] = '\0';
    at = strstr(text, field);
    own->seat = at == NULL ? -1 : atoi(at + sizeof field - 1);
    if (own->seat < 0 || own->seat >= SEATS)
        return plex_fail(ctx, "args want {\"seat\": 0 to 4}");
    return 0;
}

static int
thinking(struct plex_ctx *ctx, const struct plex_fsm_event *event)
{
    if (event->kind == PLEX_FSM_ENTER)
        return plex_fsm_state_timeout(ctx, THINK_MS, 0);
    if (event->kind != PLEX_FSM_STATE_TIMEOUT)
        return 0;
    plex_call_ref(ctx, fork_of(ctx, plex_data(ctx), true), NULL, 0, 60000,
                  FIRST);
    return plex_fsm_goto(ctx, "hungry");
}

/* The forks answer to philosopher_reply(), which makes an event of it. */
static int
hungry(struct plex_ctx *ctx, const struct plex_fsm_event *event)
{
    if (event->kind != PLEX_FSM_INFO || event->tag == 0)
        return 0;
    if (event->tag == SECOND)
        return plex_fsm_goto(ctx, "eating");
    plex_call_ref(ctx, fork_of(ctx, plex_data(ctx), false), NULL, 0, 60000,
                  SECOND);
    return 0;
}

static int
eating(struct plex_ctx *ctx, const struct plex_fsm_event *event)
{
    const struct philosopher *own = plex_data(ctx);

    if (event->kind == PLEX_FSM_ENTER)
        return plex_fsm_state_timeout(ctx, EAT_MS, 0);
    if (event->kind != PLEX_FSM_STATE_TIMEOUT)
        return 0;
    plex_cast_ref(ctx, fork_of(ctx, own, true), PUT, NULL, 0);
    plex_cast_ref(ctx, fork_of(ctx, own, false), PUT, NULL, 0);
    plex_cast_ref(ctx, plex_whereis(ctx, "table"), ATE, &own->seat,
                  sizeof own->seat);
    return plex_fsm_goto(ctx, "thinking");
}

/* A fork that is not there just now (it was restarted) is a reason to start
 * over: with neither fork in hand. */
static int
philosopher_reply(struct plex_ctx *ctx, uint64_t tag,
                  enum plex_result_status status, const void *payload,
                  size_t len)
{
    (void)payload;
    (void)len;
    if (status != PLEX_CALL_OK)
        return plex_fail(ctx, "a fork is gone");
    plex_send(ctx, plex_self_ref(ctx), tag, NULL, 0);
    return 0;
}

static const struct plex_fsm_state philosopher_states[] = {
    {.name = "thinking", .handle = thinking, .enter = true},
    {.name = "hungry", .handle = hungry},
    {.name = "eating", .handle = eating, .enter = true},
    {0},
};
static const struct plex_fsm philosopher_fsm = {philosopher_states};

/* -- the table counts -- */

struct table {
    unsigned long long meals[SEATS];
};
static int
table_cast(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct table *own = plex_data(ctx);
    int seat;

    if (msg->len != sizeof seat)
        return 0;
    memcpy(&seat, msg->payload, sizeof seat);
    if (seat >= 0 && seat < SEATS)
        own->meals[seat]++;
    return 0;
}
static int
table_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const struct table *own = plex_data(ctx);

    (void)msg;
    plex_reply_json(ctx, "{\"meals\":[%llu,%llu,%llu,%llu,%llu]}",
                    own->meals[0], own->meals[1], own->meals[2], own->meals[3],
                    own->meals[4]);
    return 0;
}

static const struct plex_behaviour behaviours[] = {
    {.name = "fork",
     .handle_call = fork_call,
     .handle_cast = fork_cast,
     .handle_info = fork_info,
     .data_size = sizeof(struct fork)},
    {.name = "philosopher",
     .init = philosopher_init,
     .handle_reply = philosopher_reply,
     .fsm = &philosopher_fsm,
     .data_size = sizeof(struct philosopher)},
    {.name = "table",
     .handle_call = table_call,
     .handle_cast = table_cast,
     .data_size = sizeof(struct table)},
    {0},
};
PLEX_MODULE(behaviours);
