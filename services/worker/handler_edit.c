/* What somebody who operates the suite does to an actor's state: turns like
 * others, in order and by its one writer, that no callback handles. */
#include "services/worker/handler_private.h"

#include <string.h>

static int
refuse(struct work_handler *h, const char *why)
{
    const char *key, *type;

    key = work_handler_self(&h->ctx, NULL, NULL, &type);
    plex_reply_problem(&h->ctx, 409, "%s/%.255s %s", type, key, why);
    return 0;
}

/* The given state, which may be of an older schema. */
static int
put(struct work_handler *h)
{
    const struct work_message *m = h->message;
    const uint32_t newest = h->turn->behaviour->schema_version;
    const uint64_t schema = m->tag == 0 ? newest : m->tag - 1;

    if (schema > newest)
        return refuse(h, "has code of an older schema than that state");
    work_events_adopt(h, m->payload, (uint32_t)schema);
    return h->failed ? -1 : 0;
}

int
work_handler_edit(struct work_handler *h)
{
    const char *what = h->message->method;
    const bool has_state = h->has_base && h->base.len > 0;

    if (!h->durable)
        return refuse(h, "is not durable: nothing of it is kept");
    if (strcmp(what, WORK_EDIT_FORGET) == 0)
        work_handler_state_put(h, "", 0);
    else if (strcmp(what, WORK_EDIT_KEEP) == 0 && has_state)
        work_handler_state_put(h, h->base.data, h->base.len);
    else if (strcmp(what, WORK_EDIT_KEEP) == 0)
        return refuse(h, "has no state");
    else if (strcmp(what, WORK_EDIT_CREATE) == 0 && has_state)
        return refuse(h, "has a state already");
    else if (strcmp(what, WORK_EDIT_CREATE) == 0 ||
             strcmp(what, WORK_EDIT_PUT) == 0)
        return put(h);
    else
        return refuse(h, "is asked for an edit that is not known");
    return 0;
}
