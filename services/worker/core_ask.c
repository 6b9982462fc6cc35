/* What is asked of a run that waits: queries, which leave no trace, and
 * updates, which are turns. One whose handler waits is answered at its end. */
#include "services/worker/core_private.h"
#include "services/worker/run_log.h"

#include <stdlib.h>
#include <string.h>

static bool
is_update(const struct item *item)
{
    return item->message.kind == WORK_UPDATE;
}

bool
work_ask_is(const struct item *item)
{
    return item->message.kind == WORK_QUERY || is_update(item);
}

bool
work_ask_takes(const struct actor *actor, const struct item *item)
{
    if (is_update(item))
        return actor->phase == OPEN_WAITING && actor->takes;
    return actor->phase == OPEN_WAITING || actor->phase == OPEN_PARKED;
}

bool
work_ask_parked(const struct actor *actor, const struct item *item)
{
    return is_update(item) && actor->phase == OPEN_PARKED;
}

void
work_ask_answered(struct work_core *core, struct actor *actor,
                  struct item *item, const struct work_outcome *outcome)
{
    work_item_reply_set(core, item, outcome->reply);
    work_turn_ready(actor, item);
}

static void
reply_accepted(struct work_core *core, struct item *item)
{
    static const char body[] = "{\"status\":\"accepted\"}";
    static const struct work_reply accepted = {
        .http_status = 202,
        .content_type = "application/json",
        .payload = {(const uint8_t *)body, sizeof body - 1},
        .error = "",
        .recorded = true};
    struct plex_buf buf = {.max = 4096};
    struct plex_err err;

    if (work_reply_pack(&accepted, &buf, &err) == PLEX_OK)
        work_item_reply_set(core, item, (struct plex_bytes){buf.data, buf.len});
    plex_buf_free(&buf);
}

void
work_ask_accepted(struct work_core *core, struct actor *actor,
                  struct item *item, const struct work_outcome *outcome)
{
    if (outcome->answer.len > 0) {
        work_item_reply_set(core, item, outcome->answer);
        return;
    }
    reply_accepted(core, item);
    if (item->message.tag == WORK_UPDATE_ACCEPTED)
        return;
    item->awaits = true;
    actor->update = item;
}

/* Who waits gets the answer in its turn, after what is written before it. */
static void
answer_pass(struct work_core *core, struct actor *actor, struct item *update,
            struct plex_bytes answer)
{
    struct work_message nothing = {.to = actor->id,
                                   .kind = WORK_CAST,
                                   .method = "",
                                   .path = "",
                                   .subpath = "",
                                   .query = "",
                                   .content_type = "",
                                   .sender = "",
                                   .timer = ""};
    struct item *item = work_item_make(core, &plex_context_none, &nothing);

    item->actor = actor;
    item->step = true;
    item->recorded = true;
    item->maybe_done = true;
    item->call = update->call;
    update->call = 0;
    work_item_reply_set(core, item, answer);
    work_turn_ready(actor, item);
}

void
work_ask_done(struct work_core *core, struct actor *actor,
              const struct work_outcome *outcome)
{
    struct item *update = actor->update;

    if (update == NULL || outcome->answer.len == 0)
        return;
    actor->update = NULL;
    answer_pass(core, actor, update, outcome->answer);
    update->awaits = false;
    if (update->state == ITEM_OPEN)
        work_item_finish(core, update, PLEX_CANCELLED, NULL);
}

void
work_ask_closed(struct work_core *core, struct actor *actor, struct item *item)
{
    struct item *update = actor->update;

    actor->update = NULL;
    actor->takes = false;
    if (item != NULL && work_ask_is(item)) {
        item->awaits = false;
        work_turn_failed_reply(core, item,
                               "the run failed while it was being asked");
        work_turn_ready(actor, item);
    }
    if (update == NULL || update == item)
        return;
    update->awaits = false;
    if (update->state != ITEM_OPEN)
        return; /* it is told that it was accepted, which is true */
    work_turn_failed_reply(core, update,
                           "the run failed before the update had ended");
    work_turn_ready(actor, update);
}

bool
work_ask_released(struct work_core *core, struct item *item)
{
    if (!item->awaits)
        return false;
    work_write_free(core, item->write);
    item->write = NULL;
    item->state = ITEM_OPEN;
    item->opened = true;
    return true;
}

struct item *
work_ask_dropped(struct actor *actor)
{
    struct item *update = actor->update;

    actor->update = NULL;
    actor->takes = false;
    if (update == NULL)
        return NULL;
    update->awaits = false;
    return update->state == ITEM_OPEN ? update : NULL;
}

bool
work_ask_wants_more(const struct actor *actor, const struct item *item,
                    struct plex_bytes recorded)
{
    struct plex_arena arena;
    struct work_reply reply;
    struct plex_err err;
    bool more;

    if (!is_update(item) || actor->open == NULL ||
        item->message.tag == WORK_UPDATE_ACCEPTED)
        return false;
    plex_arena_init(&arena, WORK_PAYLOAD_MAX + (1 << 20));
    more = work_reply_unpack(recorded, &arena, &reply, &err) == PLEX_OK &&
           reply.http_status == 202;
    plex_arena_fini(&arena);
    return more;
}

bool
work_ask_joins(struct work_core *core, const struct item *first,
               struct item *item)
{
    if (!is_update(item) || !first->opened ||
        item->message.tag != WORK_UPDATE_ACCEPTED)
        return false;
    reply_accepted(core, item);
    item->recorded = true;
    work_item_finish(core, item, PLEX_OK, NULL);
    return true;
}
