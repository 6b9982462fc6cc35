#include "common/replies.h"

#include "common/mem.h"

#include <stdlib.h>

struct plex_reply *
plex_replies_add(struct plex_replies *replies, struct plex_call *call,
                 enum plex_status status, const char *text, size_t max)
{
    struct plex_reply *reply = plex_calloc(1, sizeof *reply);

    reply->call = call;
    reply->status = plex_err_set(&reply->err, status, "%s", text);
    reply->payload.max = max;
    if (replies->first == NULL)
        replies->first = reply;
    else
        replies->last->next = reply;
    replies->last = reply;
    return reply;
}

void
plex_replies_send(struct plex_replies *replies, const struct plex_err *lost)
{
    struct plex_reply *reply;

    while ((reply = replies->first) != NULL) {
        replies->first = reply->next;
        if (lost != NULL)
            plex_call_fail(reply->call, PLEX_UNAVAILABLE, lost->text,
                           (struct plex_bytes){0});
        else
            plex_call_answer(reply->call, reply->status, &reply->payload,
                             &reply->err);
        plex_buf_free(&reply->payload);
        free(reply);
    }
}
