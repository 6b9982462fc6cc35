#ifndef SERVICES_TUPLESPACE_TARGET_H
#define SERVICES_TUPLESPACE_TARGET_H

#include "common/bytes.h"
#include "common/name.h"

/*
 * Where a subscription's events are pushed: "actor:TYPE/KEY" and
 * "channel:NAME", of the subscription's namespace, and "http://..." or
 * "https://...". "" is none: events wait for PollEvents.
 */
enum tspace_target_kind {
    TSPACE_TARGET_NONE,
    TSPACE_TARGET_ACTOR,
    TSPACE_TARGET_CHANNEL,
    TSPACE_TARGET_HTTP,
};
struct tspace_target_address {
    enum tspace_target_kind kind;
    char type[PLEX_TYPE_MAX + 1];
    const char *rest; /* key, channel or URL; borrowed from the text */
};

/* Errors: PLEX_INVALID saying what is wrong with it, or what there is. */
PLEX_MUST_USE enum plex_status tspace_target_parse(
    const char *text, struct tspace_target_address *out, struct plex_err *err);

/* A SendRequest of the channel broker with one message. */
PLEX_MUST_USE enum plex_status tspace_wire_channel_send(
    const char *channel, const uint8_t id[16], struct plex_bytes payload,
    struct plex_buf *out, struct plex_err *err);
enum { TSPACE_CHANNEL_SEND = 901 };

#endif
