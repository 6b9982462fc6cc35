#ifndef COMMON_REPLIES_H
#define COMMON_REPLIES_H

#include "common/link.h"

/*
 * Answers that leave once what they say is durable: collected while an
 * iteration's actions are written, sent after the commit.
 */
struct plex_reply {
    struct plex_reply *next;
    struct plex_call *call;
    enum plex_status status; /* of packing, too */
    struct plex_buf payload; /* with PLEX_OK */
    struct plex_err err;     /* with another status */
};
struct plex_replies { /* zero-initialise */
    struct plex_reply *first, *last;
};

/* An answer of at most `max` bytes, whose payload the caller packs when
 * `status` is PLEX_OK. Valid until they are sent. */
struct plex_reply *plex_replies_add(struct plex_replies *replies,
                                    struct plex_call *call,
                                    enum plex_status status, const char *text,
                                    size_t max);
/* Sends all, in order, and leaves none. When `lost` is not NULL nothing became
 * durable: every call fails with PLEX_UNAVAILABLE and its text. */
void plex_replies_send(struct plex_replies *replies,
                       const struct plex_err *lost);

#endif
