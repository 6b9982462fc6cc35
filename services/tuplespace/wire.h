#ifndef SERVICES_TUPLESPACE_WIRE_H
#define SERVICES_TUPLESPACE_WIRE_H

#include "common/arena.h"
#include "services/tuplespace/engine/action.h"

/*
 * Requests and replies between bytes and the engine's structs. Decoders check
 * what the engine takes for granted; results lie in `wire` until its reset,
 * tenant and namespace are the caller's to set. Where there is a template, the
 * caller has a reference to drop. Errors: PLEX_INVALID or PLEX_TOO_LARGE,
 * naming field and rule.
 */
struct tspace_wire {
    struct plex_arena arena;
    struct plex_buf packed; /* tuples */
};
void tspace_wire_init(struct tspace_wire *wire);
void tspace_wire_fini(struct tspace_wire *wire);
void tspace_wire_reset(struct tspace_wire *wire);

enum plex_status tspace_wire_write(struct plex_bytes in,
                                   struct tspace_wire *wire,
                                   struct tspace_write *out,
                                   struct plex_err *err);
enum plex_status tspace_wire_read(struct plex_bytes in, bool take,
                                  struct tspace_wire *wire,
                                  struct tspace_read *out,
                                  struct plex_err *err);
enum plex_status tspace_wire_count(struct plex_bytes in,
                                   struct tspace_wire *wire,
                                   struct tspace_count *out,
                                   struct plex_err *err);
/* `update`: by id, where no template means any. */
enum plex_status tspace_wire_swap(struct plex_bytes in, bool update,
                                  struct tspace_wire *wire,
                                  struct tspace_swap *out,
                                  struct plex_err *err);
enum plex_status tspace_wire_clear(struct plex_bytes in,
                                   struct tspace_wire *wire,
                                   struct tspace_collect *out,
                                   struct plex_err *err);
enum plex_status tspace_wire_collect(struct plex_bytes in,
                                     struct tspace_wire *wire,
                                     struct tspace_collect *out,
                                     struct plex_err *err);
enum plex_status tspace_wire_lease(struct plex_bytes in, bool cancel,
                                   struct tspace_wire *wire,
                                   struct tspace_lease *out,
                                   struct plex_err *err);
enum plex_status tspace_wire_begin(struct plex_bytes in,
                                   struct tspace_wire *wire,
                                   struct tspace_begin *out,
                                   struct plex_err *err);
enum plex_status tspace_wire_end(struct plex_bytes in, struct tspace_wire *wire,
                                 struct tspace_op *out, struct plex_err *err);
enum plex_status tspace_wire_claim(struct plex_bytes in,
                                   enum tspace_claim_verb verb,
                                   struct tspace_wire *wire,
                                   struct tspace_claim *out,
                                   struct plex_err *err);
enum plex_status tspace_wire_subscribe(struct plex_bytes in,
                                       struct tspace_wire *wire,
                                       struct tspace_subscribe *out,
                                       struct plex_err *err);
enum plex_status tspace_wire_unsubscribe(struct plex_bytes in,
                                         struct tspace_wire *wire,
                                         struct tspace_subscription *out,
                                         struct plex_err *err);
enum plex_status tspace_wire_acknowledge(struct plex_bytes in,
                                         struct tspace_wire *wire,
                                         struct tspace_subscription *out,
                                         struct plex_err *err);

struct tspace_wire_poll {
    uint64_t subscription;
    uint64_t timeout_ms;
    uint32_t max_events;
    uint64_t after, acknowledge;
};
enum plex_status tspace_wire_poll(struct plex_bytes in,
                                  struct tspace_wire *wire,
                                  struct tspace_wire_poll *out,
                                  struct plex_err *err);
/* *space is its name. */
enum plex_status tspace_wire_space(struct plex_bytes in,
                                   struct tspace_wire *wire, const char **space,
                                   struct tspace_options *options,
                                   struct plex_err *err);
enum plex_status tspace_wire_get_space(struct plex_bytes in,
                                       struct tspace_wire *wire,
                                       const char **space,
                                       struct plex_err *err);
struct tspace_wire_list {
    const char *after;
    uint32_t max;
};
enum plex_status tspace_wire_list(struct plex_bytes in,
                                  struct tspace_wire *wire,
                                  struct tspace_wire_list *out,
                                  struct plex_err *err);

/* -- between tuple spaces (wire_shard.c)
 * ---------------------------------------
 */

struct tspace_wire_shard {
    uint32_t shard, method;
    struct plex_bytes payload; /* of the request itself */
};
enum plex_status tspace_wire_shard_out(const struct tspace_wire_shard *in,
                                       struct plex_buf *out,
                                       struct plex_err *err);
enum plex_status tspace_wire_shard(struct plex_bytes in,
                                   struct plex_arena *arena,
                                   struct tspace_wire_shard *out,
                                   struct plex_err *err);

/* The same read or take as in `in`, for one of several shards. */
struct tspace_wire_part {
    uint32_t max_results;
    uint64_t cursor, timeout_ms;
    const char *claim_owner; /* NULL: as it was */
    uint64_t claim_lease_ms;
};
enum plex_status tspace_wire_read_part(struct plex_bytes in,
                                       const struct tspace_wire_part *part,
                                       struct plex_arena *arena,
                                       struct plex_buf *out,
                                       struct plex_err *err);
/* Confirm or release what it claimed. */
enum plex_status tspace_wire_claim_part(const char *owner, struct plex_buf *out,
                                        struct plex_err *err);
/* What one shard answered: how many tuples, or which number. */
struct tspace_wire_counted {
    uint64_t n, cursor;
};
enum plex_status tspace_wire_read_counted(struct plex_bytes reply,
                                          struct plex_arena *arena,
                                          struct tspace_wire_counted *out,
                                          struct plex_err *err);
enum plex_status tspace_wire_number_counted(struct plex_bytes reply,
                                            struct plex_arena *arena,
                                            struct tspace_wire_counted *out,
                                            struct plex_err *err);
enum plex_status tspace_wire_exists_counted(struct plex_bytes reply,
                                            struct plex_arena *arena,
                                            struct tspace_wire_counted *out,
                                            struct plex_err *err);
/* Adds tuples, bytes, waiters and indexes of a Space to *out. */
enum plex_status tspace_wire_space_counted(struct plex_bytes reply,
                                           struct plex_arena *arena,
                                           struct tspace_space_stats *out,
                                           struct plex_err *err);
/* A ReadReply is those of the shards one after the other, and this. */
enum plex_status tspace_wire_cursor_out(uint64_t cursor, struct plex_buf *out,
                                        struct plex_err *err);

/* -- replies ------------------------------------------------------------------
 */

/* What an answer of the engine means to the method that asked. */
enum tspace_reply {
    TSPACE_REPLY_WRITE,
    TSPACE_REPLY_READ,
    TSPACE_REPLY_EXISTS,
    TSPACE_REPLY_COUNT,
    TSPACE_REPLY_SWAP,
    TSPACE_REPLY_LEASE,
    TSPACE_REPLY_BEGIN,
    TSPACE_REPLY_SUBSCRIBE,
    TSPACE_REPLY_EMPTY,
};
/* Each appends one message to `out`. */
enum plex_status tspace_wire_answer(enum tspace_reply kind,
                                    const struct tspace_answer *answer,
                                    struct plex_arena *arena,
                                    struct plex_buf *out, struct plex_err *err);
enum plex_status tspace_wire_space_reply(const char *space,
                                         const struct tspace_space_stats *stats,
                                         struct plex_arena *arena,
                                         struct plex_buf *out,
                                         struct plex_err *err);
/* `more`: there are names after the last one. */
enum plex_status tspace_wire_list_reply(const char *const *names, uint32_t n,
                                        bool more, struct plex_buf *out,
                                        struct plex_err *err);
enum plex_status tspace_wire_stats_reply(const struct tspace_stats *stats,
                                         struct plex_buf *out,
                                         struct plex_err *err);
/* An event as it waits for PollEvents, to be put into one reply. */
enum plex_status tspace_wire_event(const struct tspace_notice *notice,
                                   struct plex_arena *arena,
                                   struct plex_buf *out, struct plex_err *err);
enum plex_status tspace_wire_events_reply(const struct plex_bytes *events,
                                          size_t n, struct plex_buf *out,
                                          struct plex_err *err);
/* The JSON of an event, for a webhook; the caller's to free(). */
char *tspace_wire_event_json(struct plex_bytes event, uint64_t subscription);

#endif
