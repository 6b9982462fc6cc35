/*
 * What placed processes hold here: placement hears of it, again when it has
 * forgotten, and when a process has ended (docs/placement.md).
 */
#include "services/worker/node_private.h"

#include "common/log.h"
#include "common/mem.h"

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
    struct place_amounts amounts;
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
struct node_holds {
    struct holding *all; /* by process */
    struct ended *ended; /* not told yet */
    size_t n_ended;
    uint64_t sequence;
    bool in_flight, dirty, full;
    struct place_amounts sum;    /* of all */
    struct place_amounts actors; /* of virtual ones, together */
    bool actors_told;
};
enum { ACTORS_ID_BYTES = 32, ACTORS_HELD_BYTES = 256 };

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

/* Virtual actors come and go too often to be told one by one: they are one
 * reservation, and what it has is told anew. */
static void
actors_put(struct work_node *node, struct place_hold *hold,
           struct plex_bytes *held, struct plex_buf *space)
{
    static const struct place_amounts none;
    struct node_holds *holds = node->holds;
    char id[ACTORS_ID_BYTES];
    struct plex_err err;

    if ((holds->actors_told &&
         (!holds->full || memcmp(&holds->actors, &none, sizeof none) == 0)) ||
        hold->n_held == PLACE_HELD_MAX)
        return;
    (void)snprintf(id, sizeof id, "%" PRIx64 "-actors",
                   node->config.host->incarnation);
    if (place_client_held_make(id, &holds->actors, space, &err) != PLEX_OK)
        return;
    held[hold->n_held++] = (struct plex_bytes){space->data, space->len};
    holds->actors_told = true;
}

static void
hold_send(struct work_node *node)
{
    struct plex_buf space = {.max = ACTORS_HELD_BYTES};
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
    held = plex_calloc(HASH_COUNT(holds->all) + 2, sizeof *held);
    ids = plex_calloc(holds->n_ended + 1, sizeof *ids);
    HASH_ITER(hh, holds->all, one, next)
    {
        if ((holds->full || !one->told) && hold.n_held < PLACE_HELD_MAX)
            held[hold.n_held++] = (struct plex_bytes){one->held, one->len};
        one->told = true;
    }
    actors_put(node, &hold, held, &space);
    for (struct ended *e = holds->ended; e != NULL; e = e->next)
        ids[hold.n_ended++] = e->id;
    hold.held = held;
    hold.ended = ids;
    hold.sequence = ++holds->sequence;
    holds->in_flight = true;
    holds->dirty = holds->full = false;
    place_client_hold(host->link, url, &hold, on_told, node);
    ended_free(holds);
    plex_buf_free(&space);
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
sum_changed(struct work_node *node)
{
    if (node->config.held_changed != NULL)
        node->config.held_changed(node->config.arg);
}

static void
hold_put(struct work_node *node, struct holding *one)
{
    struct node_holds *holds = node->holds;

    one->amounts =
        place_client_held_amounts((struct plex_bytes){one->held, one->len});
    for (size_t i = 0; i < PLACE_RESOURCES; i++)
        holds->sum.of[i] += one->amounts.of[i];
    HASH_ADD(hh, holds->all, process, sizeof one->process, one);
    sum_changed(node);
}

static void
hold_end(struct work_node *node, struct holding *one)
{
    struct node_holds *holds = node->holds;
    struct ended *ended = plex_calloc(1, sizeof *ended + strlen(one->id) + 1);

    HASH_DEL(holds->all, one);
    for (size_t i = 0; i < PLACE_RESOURCES; i++)
        holds->sum.of[i] -= one->amounts.of[i];
    sum_changed(node);
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
    hold_put(node, one);
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
    hold_put(node, one);
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

struct place_amounts
work_node_held(const struct work_node *node)
{
    return node->holds->sum;
}

void
work_node_actors_hold(struct work_node *node,
                      const struct place_amounts *amounts)
{
    struct node_holds *holds = node->holds;

    if (memcmp(&holds->actors, amounts, sizeof *amounts) == 0)
        return;
    holds->actors = *amounts;
    holds->actors_told = false;
    hold_send(node);
}

size_t
node_hold_count(const struct work_node *node)
{
    return HASH_COUNT(node->holds->all);
}

/* -- life ------------------------------------------------------------------ */

void
node_holds_create(struct work_node *node)
{
    node->holds = plex_calloc(1, sizeof *node->holds);
    node->holds->full = true;
    node->holds->actors_told = true; /* none */
}

void
node_holds_free(struct work_node *node)
{
    struct node_holds *holds = node->holds;
    struct holding *one, *next_one;

    HASH_ITER(hh, holds->all, one, next_one)
    {
        HASH_DEL(holds->all, one);
        holding_free(one);
    }
    ended_free(holds);
    free(holds);
    node->holds = NULL;
}
