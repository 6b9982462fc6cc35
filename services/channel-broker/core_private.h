#ifndef SERVICES_CHANNEL_BROKER_CORE_PRIVATE_H
#define SERVICES_CHANNEL_BROKER_CORE_PRIVATE_H

/* What core.c, core_group.c and core_request.c share. */

#include "services/channel-broker/core.h"

#include "common/mem.h"

#include <sys/queue.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#define uthash_malloc(size) plex_calloc(1, size)
#define HASH_FUNCTION(key, len, hash) ((hash) = (unsigned)XXH3_64bits(key, len))
#include <uthash.h>

enum {
    NAME_BYTES_MAX = 64 + 32 + BROKER_NAME_MAX + 3,
    REPLY_BYTES_MAX = 8 << 20, /* a reply holds at least one message */
};

/* One allocation: the message with all it points to. */
struct held {
    struct broker_message message; /* first */
    UT_hash_handle hh;             /* of the core, by seq */
    TAILQ_ENTRY(held) next;        /* of its channel, by seq */
    struct channel *channel;
    size_t bytes;
    unsigned refs;    /* its channel's and those of outputs */
    uint32_t pending; /* groups that have not acknowledged it */
};
enum place { READY, IN_FLIGHT, DEAD };
/* A message as one group sees it, until acknowledged. */
struct delivery {
    TAILQ_ENTRY(delivery) next; /* of the list its place names */
    UT_hash_handle hh;          /* of its group, by id */
    struct held *held;
    struct group *group;
    enum place place;
    uint32_t count;
    uint64_t until_ns; /* in flight */
};
TAILQ_HEAD(delivery_list, delivery);
/* A key of which a message is in flight: the others wait. */
struct busy_key {
    UT_hash_handle hh;
    size_t len;
    char text[];
};
struct waiter {
    TAILQ_ENTRY(waiter) next; /* of its group */
    struct group *group;
    void *call;
    uint32_t max;
    uint64_t visibility_ms;
    uint64_t deadline_ns;
};
struct group {
    TAILQ_ENTRY(group) next; /* of its channel */
    struct channel *channel;
    char *name;
    uint64_t from_seq;
    struct delivery *by_id; /* hash */
    struct delivery_list lists[3];
    uint64_t counts[3]; /* of the lists */
    struct busy_key *busy;
    TAILQ_HEAD(, waiter) waiters;
};
struct channel {
    UT_hash_handle hh;
    char *name; /* the three names, each with its NUL: the hash key */
    size_t name_len;
    struct broker_where where;
    TAILQ_HEAD(, held) messages;
    uint64_t n_messages;
    TAILQ_HEAD(, group) groups;
    uint64_t n_groups;
    uint64_t sent_total, acked_total;
};
struct request {
    UT_hash_handle hh;
    TAILQ_ENTRY(request) next; /* oldest first */
    struct channel *channel;
    uint64_t expires_ms;
    uint8_t first_id[BROKER_ID_BYTES];
    uint32_t n;
    uint8_t key[NAME_BYTES_MAX + BROKER_ID_BYTES]; /* channel, request id */
    size_t key_len;
};
struct output {
    STAILQ_ENTRY(output) next;
    struct broker_action action;
    uint8_t request_id[BROKER_ID_BYTES];
    struct broker_delivered *delivered; /* owned; each holds a reference */
    struct held *held;                  /* owned reference */
};
struct broker_core {
    struct broker_config config;
    struct channel *channels; /* hash, in order of making */
    struct held *by_seq;      /* hash */
    struct request *requests; /* hash */
    TAILQ_HEAD(, request) by_age;
    STAILQ_HEAD(, output) outputs;
    struct output *popped;
    struct broker_totals totals;
    uint64_t next_seq;
    uint64_t due_ns; /* nothing in flight or waiting ends before */
};

/* core.c */
struct channel *broker_channel_find(const struct broker_core *core,
                                    const struct broker_where *where);
struct channel *broker_channel_get(struct broker_core *core,
                                   const struct broker_where *where);
/* NULL, and the caller refused, when there would be too many. */
struct channel *broker_channel_use(struct broker_core *core,
                                   const struct broker_where *where,
                                   void *call);
void broker_held_unref(struct held *held);
/* Every group has acknowledged it. */
void broker_held_remove(struct broker_core *core, struct held *held);
struct output *broker_output_add(struct broker_core *core,
                                 enum broker_action_kind kind,
                                 const struct channel *channel);
void broker_output_refuse(struct broker_core *core, void *call,
                          enum plex_status status, const char *text);

/* core_group.c */
struct group *broker_group_find(const struct channel *channel,
                                const char *name);
struct group *broker_group_make(struct broker_core *core,
                                struct channel *channel, const char *name,
                                uint64_t from_seq);
void broker_group_free(struct broker_core *core, struct group *group);
struct delivery *broker_delivery_add(struct group *group, struct held *held);
void broker_delivery_place(struct broker_core *core, struct delivery *delivery,
                           enum place place);
/* Acknowledged: forget it, and the message when nobody else needs it. */
void broker_delivery_done(struct broker_core *core, struct delivery *delivery,
                          bool store);
void broker_group_serve(struct broker_core *core, struct group *group,
                        struct broker_now now);

/* core_request.c */
struct request *broker_request_find(const struct broker_core *core,
                                    const struct channel *channel,
                                    struct plex_bytes id,
                                    struct broker_now now);
void broker_request_remember(struct broker_core *core, struct channel *channel,
                             struct broker_now now,
                             const struct broker_send *send);
void broker_request_forget(struct broker_core *core, struct request *request);
void broker_request_free(struct broker_core *core, struct request *request);

#endif
