#ifndef SERVICES_CHANNEL_BROKER_WIRE_H
#define SERVICES_CHANNEL_BROKER_WIRE_H

#include "common/arena.h"
#include "services/channel-broker/core.h"

/*
 * Requests and replies between bytes and the core's structs. Decoders check
 * every limit of channel.proto; results live in `arena`, tenant and namespace
 * are left to the caller. Errors: PLEX_INVALID naming field and rule.
 */
PLEX_MUST_USE enum plex_status broker_wire_send(struct plex_bytes in,
                                                struct plex_arena *arena,
                                                struct broker_send *out,
                                                struct plex_err *err);
PLEX_MUST_USE enum plex_status broker_wire_receive(struct plex_bytes in,
                                                   struct plex_arena *arena,
                                                   struct broker_receive *out,
                                                   struct plex_err *err);
/* AckRequest or NackRequest, by `ack`. */
PLEX_MUST_USE enum plex_status broker_wire_settle(struct plex_bytes in,
                                                  bool ack,
                                                  struct plex_arena *arena,
                                                  struct broker_settle *out,
                                                  struct plex_err *err);
PLEX_MUST_USE enum plex_status broker_wire_stats(struct plex_bytes in,
                                                 struct plex_arena *arena,
                                                 struct broker_where *where,
                                                 const char **group,
                                                 struct plex_err *err);

/* Append the reply that a BROKER_REPLY asks for. */
PLEX_MUST_USE enum plex_status broker_wire_answer(
    const struct broker_action *action, struct plex_arena *arena,
    struct plex_buf *out, struct plex_err *err);
PLEX_MUST_USE enum plex_status broker_wire_stats_reply(
    const struct broker_stats *stats, struct plex_buf *out,
    struct plex_err *err);

#endif
