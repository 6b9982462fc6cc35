/*
 * One request to several shards: engine/scatter.h decides, this carries out its
 * steps, here and at the services that own the other shards.
 */
#include "common/loop.h"
#include "common/mem.h"
#include "services/tuplespace/engine/scatter.h"
#include "services/tuplespace/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CLAIM_MS = 30000, /* from the claim of a wait to its confirmation */
    OWNER_MAX = 48,
    METHOD_CONFIRM = 816,
    METHOD_RELEASE = 817,
};

/* One shard that was asked. Outlives the spread when that is over. */
struct part {
    struct part *next;
    struct tspace_spread *spread; /* NULL: nobody wants to know */
    uint32_t at;
    enum tspace_scatter_kind kind;
    uint64_t link_id;
    struct tspace_request *request; /* here: as long as it is the core's */
};
struct tspace_spread {
    struct tspace_spread *next, **from;
    struct tspace_server *server;
    struct plex_call *call;
    struct tspace_asked asked; /* as it came; its payload is copied */
    struct tspace_spread_of of;
    struct tspace_scatter machine;
    uint64_t cursor; /* where to begin at machine.at; 0: at its begin */
    uint64_t until;  /* of the wait */
    uint64_t number;
    char space[TSPACE_NAME_MAX + 1];
    struct tspace_space_stats stats;
    struct plex_buf out; /* what has been found; OK's */
    char text[PLEX_ERR_TEXT_MAX];
    char owner[OWNER_MAX];
    struct part *parts;
    bool running;
};

/* -- the answer --------------------------------------------------------------
 */

static void
spread_free(struct tspace_spread *spread)
{
    for (struct part *part = spread->parts; part != NULL; part = part->next)
        part->spread = NULL;
    *spread->from = spread->next;
    if (spread->next != NULL)
        spread->next->from = spread->from;
    plex_buf_free(&spread->out);
    free((void *)(uintptr_t)spread->asked.payload.data);
    free(spread);
}

static enum plex_status
number_out(uint64_t number, struct tspace_spread *spread, struct plex_err *err)
{
    const struct tspace_answer answer = {.number = number};

    return tspace_wire_answer(TSPACE_REPLY_COUNT, &answer,
                              &spread->server->parts, &spread->out, err);
}

static enum plex_status
answer_out(struct tspace_spread *spread, const struct tspace_scatter_step *last,
           struct plex_err *err)
{
    switch (spread->of.kind) {
    case TSPACE_SPREAD_NUMBER:
        return number_out(spread->number, spread, err);
    case TSPACE_SPREAD_SPACE:
        return tspace_wire_space_reply(spread->space, &spread->stats,
                                       &spread->server->parts, &spread->out,
                                       err);
    case TSPACE_SPREAD_READ:
        if (last->more && spread->cursor == 0)
            spread->cursor = (uint64_t)spread->machine.plan.shards[last->at]
                             << TSPACE_ID_SHARD;
        if (spread->machine.plan.take)
            return PLEX_OK; /* the next one begins anywhere */
        /* It counts as the last one of the field. */
        return last->more
                   ? tspace_wire_cursor_out(spread->cursor, &spread->out, err)
                   : PLEX_OK;
    case TSPACE_SPREAD_EXISTS:
    case TSPACE_SPREAD_EMPTY:
        break;
    }
    return PLEX_OK;
}

static void
finish(struct tspace_spread *spread, const struct tspace_scatter_step *last)
{
    struct plex_call *call = spread->call;
    enum plex_status status = last->status;
    struct plex_err err;

    plex_call_on_abandon(call, NULL, NULL);
    plex_arena_reset(&spread->server->parts);
    if (status == PLEX_OK && answer_out(spread, last, &err) != PLEX_OK) {
        status = err.status;
        (void)snprintf(spread->text, sizeof spread->text, "%s", err.text);
    }
    if (status == PLEX_OK)
        plex_call_reply(call,
                        (struct plex_bytes){spread->out.data, spread->out.len});
    else
        plex_call_fail(call, status, spread->text, (struct plex_bytes){0});
    spread_free(spread);
}

/* -- asking ------------------------------------------------------------------
 */

static void run(struct tspace_spread *spread);

static void
part_detach(struct part *part)
{
    struct part **at;

    if (part->spread == NULL)
        return;
    for (at = &part->spread->parts; *at != part; at = &(*at)->next)
        ;
    *at = part->next;
    part->spread = NULL;
}

static void
part_free(struct part *part)
{
    part_detach(part);
    free(part);
}

/* What a shard answered OK; n, and whether it has more. */
static enum plex_status
fold(struct tspace_spread *spread, enum tspace_scatter_kind kind,
     struct plex_bytes payload, struct tspace_wire_counted *out,
     struct plex_err *err)
{
    struct plex_arena *arena = &spread->server->parts;
    uint8_t *to;

    *out = (struct tspace_wire_counted){0};
    plex_arena_reset(arena);
    if (kind == TSPACE_SCATTER_CONFIRM ||
        spread->of.kind == TSPACE_SPREAD_EMPTY)
        return PLEX_OK;
    if (spread->of.kind == TSPACE_SPREAD_SPACE)
        return tspace_wire_space_counted(payload, arena, &spread->stats, err);
    if (spread->of.kind == TSPACE_SPREAD_NUMBER) {
        if (tspace_wire_number_counted(payload, arena, out, err) == PLEX_OK)
            spread->number += out->n;
        return err->status;
    }
    if ((spread->of.kind == TSPACE_SPREAD_EXISTS
             ? tspace_wire_exists_counted
             : tspace_wire_read_counted)(payload, arena, out, err) != PLEX_OK)
        return err->status;
    spread->cursor = out->cursor;
    if (out->n == 0)
        return PLEX_OK;
    to = plex_buf_grow(&spread->out, payload.len);
    if (to == NULL)
        return plex_err_set(err, PLEX_TOO_LARGE, "the answer is too large");
    memcpy(to, payload.data, payload.len);
    return PLEX_OK;
}

static void
part_done(void *arg, enum plex_status status, const char *text,
          struct plex_bytes payload)
{
    struct part *part = arg;
    struct tspace_spread *spread = part->spread;
    const enum tspace_scatter_kind kind = part->kind;
    const uint32_t at = part->at;
    struct tspace_wire_counted counted = {0};
    struct plex_err err = {0};

    part_free(part);
    if (spread == NULL)
        return;
    if (status == PLEX_OK) {
        status = fold(spread, kind, payload, &counted, &err);
        text = err.text;
    }
    if (status != PLEX_OK)
        (void)snprintf(spread->text, sizeof spread->text, "%s", text);
    tspace_scatter_result(&spread->machine, at, status, counted.n,
                          counted.cursor != 0);
    run(spread);
}

static void
part_there(void *arg, const struct plex_link_result *result)
{
    enum plex_status status = result->status;

    if (result->outcome_unknown && status == PLEX_UNAVAILABLE)
        status = PLEX_UNKNOWN;
    part_done(arg, status, result->text, result->payload);
}

/* Nobody wants to know of a release: its part has no spread. */
static void
ask(struct tspace_spread *spread, const struct tspace_scatter_step *step,
    uint32_t method, struct plex_bytes payload)
{
    struct tspace_server *server = spread->server;
    const uint32_t shard = spread->machine.plan.shards[step->at];
    const struct tspace_wire_shard request = {shard, method, payload};
    struct part *part = plex_calloc(1, sizeof *part);
    struct tspace_asked asked = spread->asked;
    struct plex_err err;

    part->at = step->at;
    part->kind = step->kind;
    if (step->kind != TSPACE_SCATTER_RELEASE) {
        part->spread = spread;
        part->next = spread->parts;
        spread->parts = part;
    }
    if (server->shells[shard].owned) {
        asked.call = NULL;
        asked.done = part_done;
        asked.arg = part;
        asked.made = &part->request;
        asked.method = tspace_method_find(method);
        asked.payload = payload;
        tspace_route_here(&asked, shard);
        return;
    }
    part->link_id =
        tspace_route_there(server, &request, plex_call_context(spread->call),
                           part_there, part, &err);
    if (part->link_id == 0)
        part_done(part, err.status, err.text, (struct plex_bytes){0});
}

static uint64_t
left_ms(const struct tspace_spread *spread)
{
    const uint64_t now = plex_now();

    return now + 1000000 >= spread->until ? 1 : (spread->until - now) / 1000000;
}

/* The payload for this step; empty: as it came. */
static enum plex_status
payload_make(struct tspace_spread *spread,
             const struct tspace_scatter_step *step, struct plex_buf *out,
             struct plex_err *err)
{
    struct tspace_wire_part part = {.max_results = (uint32_t)step->want,
                                    .cursor = spread->cursor};

    plex_arena_reset(&spread->server->parts);
    if (step->kind == TSPACE_SCATTER_CONFIRM ||
        step->kind == TSPACE_SCATTER_RELEASE)
        return tspace_wire_claim_part(spread->owner, out, err);
    if (spread->of.kind != TSPACE_SPREAD_READ)
        return PLEX_OK;
    spread->cursor = 0; /* only the first one begins in its middle */
    if (step->kind == TSPACE_SCATTER_WAIT) {
        part.max_results = 1;
        part.cursor = 0;
        part.timeout_ms = left_ms(spread);
        part.claim_owner = spread->machine.plan.take ? spread->owner : NULL;
        part.claim_lease_ms = CLAIM_MS;
    }
    return tspace_wire_read_part(spread->asked.payload, &part,
                                 &spread->server->parts, out, err);
}

static void
carry_out(struct tspace_spread *spread, const struct tspace_scatter_step *step)
{
    struct plex_buf payload = {.max = TSPACE_REPLY_MAX};
    struct plex_err err;

    if (payload_make(spread, step, &payload, &err) != PLEX_OK) {
        (void)snprintf(spread->text, sizeof spread->text, "%s", err.text);
        tspace_scatter_result(&spread->machine, step->at, err.status, 0, false);
    } else {
        ask(spread, step,
            step->kind == TSPACE_SCATTER_CONFIRM   ? METHOD_CONFIRM
            : step->kind == TSPACE_SCATTER_RELEASE ? METHOD_RELEASE
                                                   : spread->asked.method->id,
            payload.len == 0 ? spread->asked.payload
                             : (struct plex_bytes){payload.data, payload.len});
    }
    plex_buf_free(&payload);
}

/* A wait that is not wanted any more. Here it is forgotten at once; elsewhere,
 * or when its answer is on the way, it ends by itself. */
static void
cancel(struct tspace_spread *spread, uint32_t at)
{
    struct part *part = spread->parts;

    while (part != NULL &&
           (part->at != at || part->kind != TSPACE_SCATTER_WAIT))
        part = part->next;
    if (part == NULL)
        return;
    if (part->link_id != 0)
        plex_link_cancel(spread->server->host->link, part->link_id);
    else if (part->request != NULL && tspace_request_cancel(part->request)) {
        part_free(part);
        return;
    }
    part_detach(part);
}

static void
run(struct tspace_spread *spread)
{
    struct tspace_scatter_step step;

    if (spread->running)
        return;
    spread->running = true;
    while (tspace_scatter_next(&spread->machine, &step)) {
        if (step.kind == TSPACE_SCATTER_END) {
            finish(spread, &step);
            return;
        }
        if (step.kind == TSPACE_SCATTER_CANCEL)
            cancel(spread, step.at);
        else
            carry_out(spread, &step);
    }
    spread->running = false;
}

/* -- the beginning -----------------------------------------------------------
 */

static void
on_gone(void *arg, struct plex_call *call)
{
    struct tspace_spread *spread = arg;

    (void)call;
    (void)snprintf(spread->text, sizeof spread->text, "the caller gave up");
    tspace_scatter_abandon(&spread->machine);
    run(spread);
}

/* Takes begin anywhere, lest the last shards are never come to; the same
 * request again where it began. */
static uint32_t
begin_at(const struct tspace_read *read)
{
    const struct plex_bytes id = read->op.request_id;
    uint32_t at = 0;

    if (!read->take || read->after != 0)
        return 0;
    if (id.len == 0)
        plex_random(&at, sizeof at);
    for (size_t i = 0; i < id.len; i++)
        at = at * 31 + id.data[i];
    return at;
}

static void
plan_make(const struct tspace_spread_of *of, struct tspace_scatter_plan *plan)
{
    const struct tspace_read *read = of->read;
    uint32_t shards = of->shards, begin;
    uint8_t all[TSPACE_SCATTER_MAX];
    uint32_t n = 0;

    *plan = (struct tspace_scatter_plan){.may_miss = of->may_miss};
    plan->want = of->kind == TSPACE_SPREAD_EXISTS;
    if (of->last != 0)
        shards &= ~(1u << (of->last - 1));
    if (read != NULL) {
        plan->want = read->max_results;
        plan->take = read->take;
        plan->wait = read->timeout_ms > 0;
        shards &= UINT32_MAX
                  << ((read->after >> TSPACE_ID_SHARD) & TSPACE_PARTS);
    }
    for (uint32_t i = 0; i <= TSPACE_PARTS; i++)
        if ((shards >> i & 1) != 0)
            all[n++] = (uint8_t)i;
    begin = read != NULL ? begin_at(read) : 0;
    for (uint32_t i = 0; i < n; i++)
        plan->shards[plan->n++] = all[(begin + i) % n];
    if (of->last != 0)
        plan->shards[plan->n++] = (uint8_t)(of->last - 1);
}

void
tspace_spread_begin(const struct tspace_asked *asked,
                    const struct tspace_spread_of *of)
{
    struct tspace_server *server = asked->shell->server;
    struct tspace_spread *spread = plex_calloc(1, sizeof *spread);
    uint8_t *payload = plex_calloc(1, asked->payload.len + 1);
    struct tspace_scatter_plan plan;
    uint64_t number;

    if (asked->payload.len > 0)
        memcpy(payload, asked->payload.data, asked->payload.len);
    spread->server = server;
    spread->call = asked->call;
    spread->asked = *asked;
    spread->asked.payload.data = payload;
    spread->of = *of;
    spread->of.read = NULL;
    spread->out.max = TSPACE_REPLY_MAX;
    if (of->read != NULL) {
        spread->cursor = of->read->after;
        spread->until = plex_now() + of->read->timeout_ms * 1000000;
    }
    if (of->stats != NULL) {
        (void)snprintf(spread->space, sizeof spread->space, "%s", of->space);
        spread->stats.options = of->stats->options;
    }
    plex_random(&number, sizeof number);
    (void)snprintf(spread->owner, sizeof spread->owner, "tuplespace/%016llx",
                   (unsigned long long)number);
    spread->next = server->spreads;
    spread->from = &server->spreads;
    if (spread->next != NULL)
        spread->next->from = &spread->next;
    server->spreads = spread;
    plan_make(of, &plan);
    plex_call_on_abandon(asked->call, on_gone, spread);
    tspace_scatter_begin(&spread->machine, &plan);
    run(spread);
}

void
tspace_spreads_stop(struct tspace_server *server)
{
    struct tspace_spread *spread;

    while ((spread = server->spreads) != NULL) {
        while (spread->parts != NULL)
            part_free(spread->parts);
        spread_free(spread);
    }
}
