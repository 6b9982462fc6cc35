/*
 * Where the children of our supervisors were placed, so that they can be moved
 * when their worker drains: one at a time for each supervisor, which does one
 * thing at a time too. Whether there is room elsewhere is tried before
 * anything is stopped.
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

enum { MOVES_MAX = 65536, TRIAL_MS = 2000, CHILDREN_STEP = 64 };

/* A child, or for simple_one_for_one some on one worker. */
struct move {
    UT_hash_handle hh;
    struct plex_ref supervisor;
    char *node_id, *tenant, *ns, *child, *address;
    uint64_t incarnation; /* of the worker */
    bool many, said;
    size_t key_len;
    char key[]; /* the supervisor's ref, the child's id, of many the worker */
};
/* What is under way for a supervisor. */
struct moving {
    struct node_note note;
    UT_hash_handle hh;
    struct plex_ref supervisor;
    struct work_node *node;
    char trial[48];
    bool trying; /* placement is being asked */
    bool many, alone;
    uint64_t incarnation;
    int status;
    char *node_id, *child;
    size_t key_len;
    char key[];
};
struct node_moves {
    struct move *all;
    struct moving *busy; /* by supervisor */
};

/* -- what is known --------------------------------------------------------- */

static void
move_free(struct node_moves *moves, struct move *move)
{
    HASH_DEL(moves->all, move);
    free(move->node_id);
    free(move->tenant);
    free(move->ns);
    free(move->child);
    free(move->address);
    free(move);
}

static void
moves_prune(struct work_node *node)
{
    struct move *move, *next;
    struct rt_info info;

    HASH_ITER(hh, node->moves->all, move, next)
    {
        if (rt_inspect(node->rt, move->supervisor, &info) != 0)
            move_free(node->moves, move);
    }
}

static struct move *
move_make(const struct node_start *start, const char *node_id, bool many)
{
    const size_t ref = sizeof start->supervisor;
    const size_t child = strlen(start->child) + 1;
    const size_t len = ref + child + (many ? strlen(node_id) : 0);
    struct move *move = plex_calloc(1, sizeof *move + len + 1);

    memcpy(move->key, &start->supervisor, ref);
    memcpy(move->key + ref, start->child, child);
    if (many)
        memcpy(move->key + ref + child, node_id, strlen(node_id));
    move->key_len = len;
    return move;
}

void
node_moves_note(struct work_node *node, const struct node_start *start,
                const struct node_need *need, const struct place_reserved *got)
{
    struct node_moves *moves = node->moves;
    const size_t n = HASH_COUNT(moves->all);
    struct move *move = move_make(start, got->node_id, !need->alone), *old;

    HASH_FIND(hh, moves->all, move->key, move->key_len, old);
    if (old != NULL)
        move_free(moves, old);
    else if (n > 0 && (n & (n - 1)) == 0)
        moves_prune(node);
    if (HASH_COUNT(moves->all) >= MOVES_MAX) {
        free(move);
        return; /* it stays where it is when its worker drains */
    }
    move->supervisor = start->supervisor;
    move->node_id = plex_strdup(got->node_id);
    move->tenant = plex_strdup(start->where.tenant);
    move->ns = plex_strdup(start->where.ns);
    move->child = plex_strdup(start->child);
    move->address = plex_strdup(start->address);
    move->incarnation = got->incarnation;
    move->many = !need->alone;
    HASH_ADD_KEYPTR(hh, moves->all, move->key, move->key_len, move);
}

/* -- the move, by a process ------------------------------------------------ */

/* One of many that is still there. */
static int
find_one(struct plex_ctx *ctx, const struct moving *moving,
         struct plex_ref *out)
{
    struct plex_child_info *infos = NULL;
    size_t max = 0;
    int n;

    do {
        max += CHILDREN_STEP + max;
        infos = plex_reallocarray(infos, max, sizeof *infos);
        n = plex_which_children(ctx, moving->supervisor, infos, max);
    } while (n > 0 && (size_t)n > max);
    for (int i = 0; i < n; i++)
        if (infos[i].ref.node == moving->incarnation) {
            *out = infos[i].ref;
            free(infos);
            return 0;
        }
    free(infos);
    return n < 0 ? n : PLEX_E_NOT_FOUND;
}

static int
mover_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    struct plex_supervisor_request request = {.verb = PLEX_SUP_MOVE};
    struct moving *moving;

    if (len != sizeof moving)
        return -1;
    memcpy(&moving, args, sizeof moving);
    request.id = moving->many ? NULL : moving->child;
    moving->status = moving->many ? find_one(ctx, moving, &request.ref) : 0;
    if (moving->status == 0)
        moving->status =
            plex_supervisor_call(ctx, moving->supervisor, &request);
    node_note_push(moving->node, &moving->note);
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

/* -- on the loop ----------------------------------------------------------- */

static void
moving_free(struct moving *moving)
{
    free(moving->node_id);
    free(moving->child);
    free(moving);
}

static void
moving_end(struct moving *moving)
{
    struct node_moves *moves = moving->node->moves;

    HASH_DEL(moves->busy, moving);
    moving_free(moving);
}

static void
move_begin(struct moving *moving, const struct move *move)
{
    const struct plex_spawn how = {.behaviour = &mover_behaviour,
                                   .args = &moving,
                                   .args_len = sizeof moving};
    const struct rt_where where = {move->tenant, move->ns};
    struct plex_ref ref;

    plex_log(PLEX_LOG_INFO, "worker.move",
             "worker %s drains: %s of %s/%s is started elsewhere",
             move->node_id, move->child, move->tenant, move->ns);
    if (rt_spawn(moving->node->rt, where, &how, NULL, NULL, &ref) < 0)
        moving_end(moving); /* the next heartbeat tries again */
}

static void
on_tried(void *arg, enum plex_status status, const char *text,
         const struct place_reserved *got)
{
    struct moving *moving = arg;
    struct work_node *node = moving->node;
    const char *url;
    struct move *move;

    (void)got;
    moving->trying = false;
    if (node->moves == NULL) {
        moving_free(moving);
        return;
    }
    HASH_FIND(hh, node->moves->all, moving->key, moving->key_len, move);
    url = node->config.placement_url(node->config.arg);
    if (status == PLEX_CANCELLED || move == NULL) {
        moving_end(moving);
    } else if (status == PLEX_OK) {
        /* What is alone takes over what was tried. */
        if (!moving->alone && url != NULL)
            place_client_release(node->config.host->link, url, moving->trial);
        move_begin(moving, move);
    } else {
        if (!move->said)
            plex_log(PLEX_LOG_WARN, "worker.move",
                     "worker %s drains, but %s of %s/%s stays there: %s",
                     move->node_id, move->child, move->tenant, move->ns, text);
        move->said = true;
        moving_end(moving);
    }
}

static void
move_try(struct work_node *node, struct move *move)
{
    const struct plex_host *host = node->config.host;
    const char *url = node->config.placement_url(node->config.arg);
    const struct node_start start = {
        {move->tenant, move->ns}, move->supervisor, move->child, move->address};
    struct place_reserve reserve = {.tenant = move->tenant,
                                    .ns = move->ns,
                                    .node_id = host->base->node,
                                    .ttl_ms = TRIAL_MS};
    struct moving *moving;
    struct node_need need;
    struct plex_err err;

    plex_arena_reset(&node->arena);
    if (url == NULL ||
        node_need_of(node, &start, &node->arena, &need, &err) != PLEX_OK)
        return;
    moving = plex_calloc(1, sizeof *moving + move->key_len);
    moving->note.kind = NOTE_MOVED;
    moving->node = node;
    moving->supervisor = move->supervisor;
    moving->trying = true;
    moving->many = move->many;
    moving->alone = need.alone;
    moving->incarnation = move->incarnation;
    moving->node_id = plex_strdup(move->node_id);
    moving->child = plex_strdup(move->child);
    moving->key_len = move->key_len;
    memcpy(moving->key, move->key, move->key_len);
    (void)snprintf(moving->trial, sizeof moving->trial, "%" PRIx64 "-%" PRIx64,
                   host->incarnation, ++node->ask_ids);
    HASH_ADD(hh, node->moves->busy, supervisor, sizeof moving->supervisor,
             moving);
    reserve.request_id = moving->trial;
    reserve.actor = need.actor;
    reserve.placement = need.placement;
    place_client_reserve(host->link, url, &reserve, TRIAL_MS, on_tried, moving);
}

void
node_moves_drained(struct work_node *node, const char *node_id)
{
    struct move *move, *next;
    struct moving *moving;
    struct rt_info info;

    HASH_ITER(hh, node->moves->all, move, next)
    {
        if (strcmp(move->node_id, node_id) != 0)
            continue;
        HASH_FIND(hh, node->moves->busy, &move->supervisor,
                  sizeof move->supervisor, moving);
        if (rt_inspect(node->rt, move->supervisor, &info) != 0)
            move_free(node->moves, move);
        else if (moving == NULL)
            move_try(node, move);
    }
}

void
node_moves_noted(struct work_node *node, struct node_note *note)
{
    struct moving *moving = plex_container_of(note, struct moving, note);
    const bool more = moving->many && moving->status == 0;
    char *node_id = moving->node_id;
    struct move *move;

    /* One that has moved is noted with its new worker; what could not be
     * moved does not run there any more. */
    HASH_FIND(hh, node->moves->all, moving->key, moving->key_len, move);
    if (move != NULL && !more && strcmp(move->node_id, node_id) == 0)
        move_free(node->moves, move);
    moving->node_id = NULL;
    moving_end(moving);
    node_moves_drained(node, node_id);
    free(node_id);
}

void
node_moves_drop(struct node_note *note)
{
    (void)note; /* node_moves_free() knows it */
}

/* -- life ------------------------------------------------------------------ */

void
node_moves_create(struct work_node *node)
{
    node->moves = plex_calloc(1, sizeof *node->moves);
}

void
node_moves_free(struct work_node *node)
{
    struct node_moves *moves = node->moves;
    struct moving *moving, *next_moving;
    struct move *move, *next;

    HASH_ITER(hh, moves->busy, moving, next_moving)
    {
        HASH_DEL(moves->busy, moving);
        if (!moving->trying) /* else on_tried() does */
            moving_free(moving);
    }
    HASH_ITER(hh, moves->all, move, next)
    {
        move_free(moves, move);
    }
    free(moves);
    node->moves = NULL;
}
