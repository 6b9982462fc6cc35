/*
 * What placed processes hold here: placement hears of it, again when it has
 * forgotten, and when a process has ended (docs/placement.md). And where the
 * children of our supervisors were placed, so that they can be moved.
 */
#include "services/worker/node_private.h"

#include "common/log.h"
#include "common/mem.h"
#include "sdk/c/include/plexspaces/supervisor.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The default one falls through switch labels in a way clang dislikes. */
#define HASH_FUNCTION HASH_FNV
#include <uthash.h>

struct holding {
    UT_hash_handle hh;
    struct plex_ref process;
    char *id;
    uint8_t *held;
    size_t len;
    bool told;
    bool own; /* nobody's child */
};
struct ended {
    struct ended *next;
    char id[];
};
struct end_note {
    struct node_note note;
    struct plex_ref process;
};
struct move {
    UT_hash_handle hh;
    char *node_id, *tenant, *ns;
    char *path; /* "APP/CHILD" */
    bool trying, said;
    struct plex_ref supervisor;
    size_t key_len;
    char key[]; /* the supervisor's ref and the child's id */
};
struct node_holds {
    struct holding *all; /* by process */
    struct ended *ended; /* not told yet */
    size_t n_ended;
    uint64_t sequence;
    bool in_flight, dirty, full;
    struct move *moves;
};
enum { MOVES_MAX = 65536, TRIAL_MS = 2000, CHILD_MAX = 127 };

/* -- telling placement ----------------------------------------------------- */

static void hold_send(struct work_node *node);

static void
on_told(void *arg, enum plex_status status, bool again)
{
    struct work_node *node = arg;
    struct node_holds *holds = node->holds;

    if (status == PLEX_CANCELLED || holds == NULL)
        return;
    holds->in_flight = false;
    if (status != PLEX_OK || again) {
        holds->full = true;
        if (again)
            hold_send(node);
        return; /* else the tick does */
    }
    if (holds->dirty)
        hold_send(node);
}

static void
ended_free(struct node_holds *holds)
{
    struct ended *ended;

    while ((ended = holds->ended) != NULL) {
        holds->ended = ended->next;
        free(ended);
    }
    holds->n_ended = 0;
}

static void
hold_send(struct work_node *node)
{
    struct node_holds *holds = node->holds;
    const struct plex_host *host = node->config.host;
    const char *url = node->config.placement_url(node->config.arg);
    struct place_hold hold = {.node_id = host->base->node,
                              .incarnation = host->incarnation,
                              .full = holds->full};
    struct plex_bytes *held;
    const char **ids;
    struct holding *one, *next;

    holds->dirty = true;
    if (holds->in_flight || url == NULL)
        return;
    held = plex_calloc(HASH_COUNT(holds->all) + 1, sizeof *held);
    ids = plex_calloc(holds->n_ended + 1, sizeof *ids);
    HASH_ITER(hh, holds->all, one, next)
    {
        if ((holds->full || !one->told) && hold.n_held < PLACE_HELD_MAX)
            held[hold.n_held++] = (struct plex_bytes){one->held, one->len};
        one->told = true;
    }
    for (struct ended *e = holds->ended; e != NULL; e = e->next)
        ids[hold.n_ended++] = e->id;
    hold.held = held;
    hold.ended = ids;
    hold.sequence = ++holds->sequence;
    holds->in_flight = true;
    holds->dirty = holds->full = false;
    place_client_hold(host->link, url, &hold, on_told, node);
    ended_free(holds);
    free(held);
    free((void *)ids);
}

/* -- holding --------------------------------------------------------------- */

static int
digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* "worker-2?ID?HEX" */
static struct holding *
holding_parse(const char *address)
{
    const char *id = strchr(address, '?');
    const char *hex = id == NULL ? NULL : strchr(id + 1, '?');
    struct holding *one;
    size_t len;

    if (hex == NULL || strlen(hex + 1) % 2 != 0 ||
        strspn(hex + 1, "0123456789abcdef") != strlen(hex + 1))
        return NULL;
    len = strlen(hex + 1) / 2;
    one = plex_calloc(1, sizeof *one);
    one->id = plex_calloc((size_t)(hex - id), 1);
    memcpy(one->id, id + 1, (size_t)(hex - id - 1));
    one->held = plex_calloc(len + 1, 1);
    one->len = len;
    for (size_t i = 0; i < len; i++)
        one->held[i] =
            (uint8_t)(digit(hex[1 + 2 * i]) << 4 | digit(hex[2 + 2 * i]));
    return one;
}

static void
holding_free(struct holding *one)
{
    free(one->id);
    free(one->held);
    free(one);
}

static void
hold_end(struct work_node *node, struct holding *one)
{
    struct node_holds *holds = node->holds;
    struct ended *ended = plex_calloc(1, sizeof *ended + strlen(one->id) + 1);

    HASH_DEL(holds->all, one);
    memcpy(ended->id, one->id, strlen(one->id) + 1);
    ended->next = holds->ended;
    holds->ended = ended;
    holds->n_ended++;
    holding_free(one);
}

void
node_hold_add(struct work_node *node, const char *request_id,
              struct plex_bytes held, struct plex_ref process)
{
    struct holding *one = plex_calloc(1, sizeof *one);

    one->id = plex_strdup(request_id);
    one->held = plex_calloc(held.len + 1, 1);
    if (held.len > 0)
        memcpy(one->held, held.data, held.len);
    one->len = held.len;
    one->own = true;
    one->process = process;
    HASH_ADD(hh, node->holds->all, process, sizeof one->process, one);
    hold_send(node);
}

void
node_hold_drain(struct work_node *node)
{
    for (const struct holding *one = node->holds->all; one != NULL;
         one = one->hh.next)
        if (one->own)
            rt_exit(node->rt, one->process, "shutdown");
}

bool
node_hold_find(const struct work_node *node, const char *request_id,
               struct plex_ref *process)
{
    struct rt_info info;

    for (const struct holding *one = node->holds->all; one != NULL;
         one = one->hh.next)
        if (strcmp(one->id, request_id) == 0 &&
            rt_inspect(node->rt, one->process, &info) == 0) {
            *process = one->process;
            return true;
        }
    return false;
}

void
node_spawn(struct work_node *node, const struct rt_signal *signal)
{
    struct holding *one =
        signal->reason == NULL ? NULL : holding_parse(signal->reason);
    struct plex_ref process;

    node_before_spawn(node, signal);
    process = rt_deliver_start(node->rt, signal);
    if (one == NULL)
        return;
    one->process = process;
    HASH_ADD(hh, node->holds->all, process, sizeof one->process, one);
    if (process.id == 0)
        hold_end(node, one);
    hold_send(node);
}

/* On an executor: its events alone say when a process that came from another
 * worker, or by way of placement, has ended. */
void
node_hold_event(struct work_node *node, const struct rt_event *event)
{
    struct end_note *end;

    if (event->kind != RT_STOPPED || event->supervisor.id != 0 ||
        strchr(event->behaviour, '=') == NULL)
        return;
    end = plex_calloc(1, sizeof *end);
    end->note.kind = NOTE_ENDED;
    end->process = event->process;
    node_note_push(node, &end->note);
}

void
node_hold_noted(struct work_node *node, struct node_note *note)
{
    struct end_note *end = plex_container_of(note, struct end_note, note);
    struct holding *one;

    HASH_FIND(hh, node->holds->all, &end->process, sizeof end->process, one);
    if (one != NULL) {
        hold_end(node, one);
        hold_send(node);
    }
    free(end);
}

void
node_hold_drop(struct node_note *note)
{
    free(plex_container_of(note, struct end_note, note));
}

void
node_hold_tick(struct work_node *node, bool asked)
{
    struct node_holds *holds = node->holds;
    struct holding *one, *next;
    struct rt_info info;
    const size_t before = holds->n_ended;

    HASH_ITER(hh, holds->all, one, next)
    {
        if (rt_inspect(node->rt, one->process, &info) != 0)
            hold_end(node, one);
    }
    holds->full = holds->full || asked;
    if (holds->full || holds->dirty || holds->n_ended != before)
        hold_send(node);
}

size_t
node_hold_count(const struct work_node *node)
{
    return HASH_COUNT(node->holds->all);
}

/* -- where they went ------------------------------------------------------- */

static void
move_free(struct node_holds *holds, struct move *move)
{
    HASH_DEL(holds->moves, move);
    free(move->node_id);
    free(move->tenant);
    free(move->ns);
    free(move->path);
    free(move);
}

static void
moves_prune(struct work_node *node)
{
    struct move *move, *next;
    struct rt_info info;

    HASH_ITER(hh, node->holds->moves, move, next)
    {
        if (rt_inspect(node->rt, move->supervisor, &info) != 0)
            move_free(node->holds, move);
    }
}

void
node_moves_note(struct work_node *node, const struct rt_signal *signal,
                const char *path, const char *node_id)
{
    const char *slash = strrchr(path, '/');
    const char *child = slash == NULL ? path : slash + 1;
    const size_t len = sizeof signal->from + strlen(child);
    const size_t n = HASH_COUNT(node->holds->moves);
    struct move *move = plex_calloc(1, sizeof *move + len + 1), *old;

    memcpy(move->key, &signal->from, sizeof signal->from);
    memcpy(move->key + sizeof signal->from, child, strlen(child));
    move->key_len = len;
    HASH_FIND(hh, node->holds->moves, move->key, len, old);
    if (old != NULL)
        move_free(node->holds, old);
    else if (n > 0 && (n & (n - 1)) == 0)
        moves_prune(node);
    if (HASH_COUNT(node->holds->moves) >= MOVES_MAX) {
        free(move);
        return; /* it stays where it is when its worker drains */
    }
    move->supervisor = signal->from;
    move->node_id = plex_strdup(node_id);
    move->tenant = plex_strdup(signal->where.tenant);
    move->ns = plex_strdup(signal->where.ns);
    move->path = plex_strdup(path);
    HASH_ADD_KEYPTR(hh, node->holds->moves, move->key, len, move);
}

enum { MOVER_TRIES = 10 };

/* Stops one child and starts it again: its worker is asked for anew, and the
 * supervisor counts no restart. */
struct mover {
    struct plex_ref supervisor;
    char child[128];
};

static int
mover_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    struct mover mover;

    if (len != sizeof mover)
        return -1;
    memcpy(&mover, args, sizeof mover);
    if (plex_terminate_child(ctx, mover.supervisor, mover.child) == 0)
        for (int i = 0; i < MOVER_TRIES; i++)
            if (plex_restart_child(ctx, mover.supervisor, mover.child, NULL) !=
                PLEX_E_UNAVAILABLE)
                break;
    plex_exit_self(ctx, "normal");
    return 0;
}

static int
mover_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    (void)msg;
    return plex_fail(ctx, "a mover takes no calls");
}

static const struct plex_behaviour mover_behaviour = {
    .name = "console", /* internal, as those are */
    .init = mover_init,
    .handle_call = mover_call,
};

static void
move_begin(struct work_node *node, struct move *move)
{
    struct mover mover = {.supervisor = move->supervisor};
    const struct plex_spawn how = {.behaviour = &mover_behaviour,
                                   .args = &mover,
                                   .args_len = sizeof mover};
    const struct rt_where where = {move->tenant, move->ns};
    struct plex_ref ref;

    memcpy(mover.child, move->key + sizeof move->supervisor,
           move->key_len - sizeof move->supervisor);
    plex_log(PLEX_LOG_INFO, "worker.move",
             "worker %s drains: %s of %s/%s is started elsewhere",
             move->node_id, move->path, move->tenant, move->ns);
    (void)rt_spawn(node->rt, where, &how, NULL, NULL, &ref);
    move_free(node->holds, move);
}

/* Is there room elsewhere? It is not stopped before. */
struct trial {
    struct work_node *node;
    char id[48];
    size_t key_len;
    char key[];
};

static void
on_tried(void *arg, enum plex_status status, const char *text,
         const struct place_reserved *got)
{
    struct trial *trial = arg;
    struct work_node *node = trial->node;
    const char *url;
    struct move *move = NULL;

    (void)got;
    if (status != PLEX_CANCELLED && node->holds != NULL)
        HASH_FIND(hh, node->holds->moves, trial->key, trial->key_len, move);
    if (move != NULL && move->trying) {
        url = node->config.placement_url(node->config.arg);
        move->trying = false;
        if (status == PLEX_OK && url != NULL) {
            place_client_release(node->config.host->link, url, trial->id);
            move_begin(node, move);
        } else if (!move->said) {
            move->said = true;
            plex_log(PLEX_LOG_WARN, "worker.move",
                     "worker %s drains, but %s of %s/%s stays there: %s",
                     move->node_id, move->path, move->tenant, move->ns, text);
        }
    }
    free(trial);
}

static void
move_try(struct work_node *node, struct move *move)
{
    const struct plex_host *host = node->config.host;
    const char *url = node->config.placement_url(node->config.arg);
    const struct rt_where where = {move->tenant, move->ns};
    bool alone;
    const struct reg_child *child =
        node_place_child(node, where, move->path, &alone);
    struct trial *trial;
    struct place_reserve reserve = {
        .tenant = move->tenant,
        .ns = move->ns,
        .actor = move->path,
        .node_id = host->base->node,
        .ttl_ms = TRIAL_MS,
    };

    if (url == NULL || child == NULL || child->placement.len == 0)
        return;
    trial = plex_calloc(1, sizeof *trial + move->key_len);
    trial->node = node;
    trial->key_len = move->key_len;
    memcpy(trial->key, move->key, move->key_len);
    (void)snprintf(trial->id, sizeof trial->id, "%" PRIx64 "-%" PRIx64,
                   host->incarnation, ++node->ask_ids);
    reserve.request_id = trial->id;
    reserve.placement = child->placement;
    move->trying = true;
    place_client_reserve(host->link, url, &reserve, TRIAL_MS, on_tried, trial);
}

void
node_moves_drained(struct work_node *node, const char *node_id)
{
    struct move *move, *next;
    struct rt_info info;

    HASH_ITER(hh, node->holds->moves, move, next)
    {
        if (strcmp(move->node_id, node_id) != 0 || move->trying)
            continue;
        if (rt_inspect(node->rt, move->supervisor, &info) != 0)
            move_free(node->holds, move);
        else
            move_try(node, move);
    }
}

/* -- life ------------------------------------------------------------------ */

void
node_holds_create(struct work_node *node)
{
    node->holds = plex_calloc(1, sizeof *node->holds);
    node->holds->full = true;
}

void
node_holds_free(struct work_node *node)
{
    struct node_holds *holds = node->holds;
    struct holding *one, *next_one;
    struct move *move, *next;

    HASH_ITER(hh, holds->all, one, next_one)
    {
        HASH_DEL(holds->all, one);
        holding_free(one);
    }
    HASH_ITER(hh, holds->moves, move, next)
    {
        move_free(holds, move);
    }
    ended_free(holds);
    free(holds);
    node->holds = NULL;
}
