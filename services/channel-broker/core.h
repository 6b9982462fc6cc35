#ifndef SERVICES_CHANNEL_BROKER_CORE_H
#define SERVICES_CHANNEL_BROKER_CORE_H

#include "common/bytes.h"

#include <stdint.h>

/*
 * Channels as a pure state machine: no clock, no threads, no sockets, no
 * store. What has to be stored and who has to be answered comes out as
 * actions, in order; an answer may leave only when every storing action before
 * it is durable.
 *
 * A channel is named by (tenant, namespace, name) and made by its first use.
 * A consumer group is made by its first receive and begins with the oldest
 * message the channel still keeps. A message is kept until every group has
 * acknowledged it; while there is no group, until one does.
 *
 * Order: messages of one non-empty key reach a group one at a time, in the
 * order in which they were sent; the next is held back until the one before is
 * acknowledged or dead-lettered. A delivery that was interrupted by a restart
 * does not count towards the dead-letter limit.
 */
enum {
    BROKER_ID_BYTES = 16,
    BROKER_NAME_MAX = 64,
    BROKER_KEY_MAX = 255,
    BROKER_HEADERS_MAX = 100,
    BROKER_PAYLOAD_MAX = 5 << 20, /* bytes */
    BROKER_SEND_MAX = 1000,       /* messages per send */
    BROKER_RECEIVE_MAX = 1000,
    BROKER_WAIT_MAX_MS = 3600 * 1000,
    BROKER_VISIBILITY_MS = 30 * 1000, /* when not given */
    BROKER_VISIBILITY_MAX_MS = 12 * 3600 * 1000,
    BROKER_DELIVERIES_MAX = 5, /* then dead-lettered */
    BROKER_REMEMBER_MS = 600 * 1000,
};

struct broker_header {
    const char *name;
    const char *value;
};
struct broker_message {
    uint8_t id[BROKER_ID_BYTES];
    uint64_t seq; /* order of sending, over all channels */
    const char *key;
    struct plex_bytes payload;
    const struct broker_header *headers;
    uint32_t n_headers;
    uint64_t sent_ms;
};
/* A message as delivered. */
struct broker_delivered {
    const struct broker_message *message;
    uint32_t count; /* 1 at the first delivery */
};

struct broker_where {
    const char *tenant;
    const char *ns;
    const char *channel;
};
struct broker_now {
    uint64_t mono_ns;
    uint64_t wall_ms;
};

struct broker_config {
    uint64_t channels_max;
    uint64_t groups_max; /* per channel */
    uint64_t messages_max;
    uint64_t bytes_max;
    uint32_t waiters_max;
    uint32_t requests_max;
    /* Has the caller given up? Asked before a waiter is served; NULL: no. */
    bool (*gone)(void *arg, void *call);
    void *arg;
};

struct broker_core;

struct broker_core *broker_core_create(const struct broker_config *config);
void broker_core_free(struct broker_core *core); /* accepts NULL */

/* `call` is answered by exactly one BROKER_REPLY, possibly much later. All
 * pointers are borrowed for the call. */
struct broker_send {
    struct broker_where where;
    const struct broker_message *messages; /* key, payload, headers */
    uint32_t n;
    struct plex_bytes request_id;      /* 16 bytes or empty */
    uint8_t first_id[BROKER_ID_BYTES]; /* message i: plus i, big endian */
};
void broker_core_send(struct broker_core *core, struct broker_now now,
                      void *call, const struct broker_send *send);

struct broker_receive {
    struct broker_where where;
    const char *group;
    uint32_t max;
    uint64_t timeout_ms; /* 0: do not wait */
    uint64_t visibility_ms;
};
void broker_core_receive(struct broker_core *core, struct broker_now now,
                         void *call, const struct broker_receive *receive);

/* Acknowledge, or give back, what is in flight; other ids are not counted. */
struct broker_settle {
    struct broker_where where;
    const char *group;
    const struct plex_bytes *ids; /* each 16 bytes */
    uint32_t n;
    bool ack;
};
void broker_core_settle(struct broker_core *core, struct broker_now now,
                        void *call, const struct broker_settle *settle);

struct broker_stats {
    uint64_t waiting, in_flight, dead_letters, sent_total, acked_total;
};
/* Of one group; a group that does not exist waits for everything kept. The
 * totals count since the start. */
struct broker_stats broker_core_stats(const struct broker_core *core,
                                      const struct broker_where *where,
                                      const char *group);

/* Redelivers what was not acknowledged in time and ends waits. */
void broker_core_tick(struct broker_core *core, struct broker_now now);
/* Milliseconds until a tick has work to do; UINT64_MAX: nothing is due. */
uint64_t broker_core_wait_ms(const struct broker_core *core,
                             struct broker_now now);
/* Answer every waiter UNAVAILABLE. */
void broker_core_fail_waiters(struct broker_core *core, const char *text);

enum broker_action_kind {
    BROKER_PUT,      /* store `message` of `where` */
    BROKER_REMOVE,   /* forget message->seq and its deliveries */
    BROKER_GROUP,    /* store that `group` begins at from_seq */
    BROKER_DELIVERY, /* store (message->seq, group) -> state, count */
    BROKER_REMEMBER, /* store request_id -> first_id, n */
    BROKER_FORGET,   /* drop request_id */
    BROKER_REPLY,    /* answer `call` */
};
/* In the store: never renumber. */
enum broker_delivery_state {
    BROKER_WAITING = 0,
    BROKER_ACKED = 1,
    BROKER_DEAD = 2,
};
enum broker_answer { BROKER_IDS, BROKER_MESSAGES, BROKER_COUNT };
struct broker_action {
    enum broker_action_kind kind;
    struct broker_where where;
    const struct broker_message *message;
    const char *group;
    uint64_t from_seq;
    enum broker_delivery_state state;
    uint32_t count; /* deliveries; BROKER_COUNT: settled */
    struct plex_bytes request_id;
    uint64_t expires_ms;
    uint8_t first_id[BROKER_ID_BYTES]; /* BROKER_IDS, REMEMBER */
    uint32_t n;                        /* ids or messages */
    void *call;
    enum plex_status status;
    const char *text;
    enum broker_answer answer;
    const struct broker_delivered *delivered; /* BROKER_MESSAGES */
};
/* The next action; what it points to is valid until the next call. */
bool broker_core_next(struct broker_core *core, struct broker_action *out);

/* Put back what a store held: groups, then messages by seq, then deliveries,
 * then requests. */
void broker_core_restore_group(struct broker_core *core,
                               const struct broker_where *where,
                               const char *group, uint64_t from_seq);
void broker_core_restore_message(struct broker_core *core,
                                 const struct broker_where *where,
                                 const struct broker_message *message);
/* False when there is no such message or group: the store is corrupt. */
bool broker_core_restore_delivery(struct broker_core *core, uint64_t seq,
                                  const char *group,
                                  enum broker_delivery_state state,
                                  uint32_t count);
void broker_core_restore_request(struct broker_core *core,
                                 const struct broker_where *where,
                                 struct plex_bytes request_id,
                                 uint64_t expires_ms,
                                 const uint8_t first_id[BROKER_ID_BYTES],
                                 uint32_t n);

struct broker_totals {
    uint64_t channels, messages, bytes, waiters, requests, dead_letters;
};
struct broker_totals broker_core_totals(const struct broker_core *core);

/* Id number `index` of a send that began at `first`. */
void broker_id_at(const uint8_t first[BROKER_ID_BYTES], uint32_t index,
                  uint8_t out[BROKER_ID_BYTES]);

#endif
