#ifndef SERVICES_TUPLESPACE_CORE_PRIVATE_H
#define SERVICES_TUPLESPACE_CORE_PRIVATE_H

/* What core.c and core_request.c share. */

#include "services/tuplespace/core.h"

#include "common/mem.h"
#include "services/tuplespace/tuple.h"

#include <sys/queue.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#define uthash_malloc(size) plex_calloc(1, size)
#define HASH_FUNCTION(key, len, hash) ((hash) = (unsigned)XXH3_64bits(key, len))
#include <uthash.h>

enum {
    NAME_MAX_BYTES = 64 + 32 + TSPACE_NAME_MAX + 3,
    REPLY_BYTES_MAX = 8 << 20, /* of tuples; a reply holds at least one */
    SWEEP_MS = 1000, /* expired tuples are invisible at once, removed later */
};

struct entry {
    TAILQ_ENTRY(entry) next;
    struct tspace_held *held;
};
struct space {
    UT_hash_handle hh;
    char *tenant; /* the three names, each with its NUL: the hash key */
    size_t name_len;
    struct tspace_where where;
    TAILQ_HEAD(, entry) entries;
    TAILQ_HEAD(, waiter) waiters;
};
struct waiter {
    TAILQ_ENTRY(waiter) next;     /* of its space */
    TAILQ_ENTRY(waiter) all_next; /* of the core */
    struct space *space;
    void *call;
    uint64_t deadline_ns;
    bool take;
    uint8_t request_id[TSPACE_ID_BYTES];
    bool has_request_id;
    struct tspace_held *pattern_bytes; /* owns what the patterns point to */
    struct tspace_pattern *patterns;
    uint32_t n_patterns;
};
/* A counted answer: remembered, to be stored and to be sent, at once. */
struct answer {
    struct tspace_answer pub;
    unsigned refs;
};
struct request {
    UT_hash_handle hh;
    TAILQ_ENTRY(request) next; /* oldest first */
    struct space *space;
    uint64_t expires_ms;
    struct answer *answer;
    /* the hash key: space pointer is not stable across runs, its name is */
    uint8_t key[NAME_MAX_BYTES + TSPACE_ID_BYTES];
    size_t key_len;
};
struct output {
    STAILQ_ENTRY(output) next;
    enum tspace_action_kind kind;
    struct space *space;
    struct tspace_held *held;
    struct answer *answer;
    uint8_t request_id[TSPACE_ID_BYTES];
    uint64_t expires_ms;
    void *call;
    enum plex_status status;
    const char *text;
};
struct tspace_core {
    struct tspace_config config;
    struct space *spaces;     /* hash, in order of making */
    struct request *requests; /* hash */
    TAILQ_HEAD(, request) by_age;
    TAILQ_HEAD(, waiter) waiters;
    STAILQ_HEAD(, output) outputs;
    struct output *popped;
    struct tspace_stats stats;
    uint64_t expiry_ms;     /* no tuple expires before; UINT64_MAX: none */
    uint64_t swept_ms;      /* wall clock of the last sweep */
    uint64_t wait_until_ns; /* no waiter's time ends before */
};

/* core.c */
struct space *tspace_space_get(struct tspace_core *core,
                               const struct tspace_where *where);
struct output *tspace_output_add(struct tspace_core *core,
                                 enum tspace_action_kind kind,
                                 struct space *space);
struct answer *tspace_answer_make(uint32_t room);
void tspace_answer_add(struct answer *answer, struct tspace_held *held);
void tspace_answer_unref(struct answer *answer); /* accepts NULL */
void tspace_entry_add(struct tspace_core *core, struct space *space,
                      struct tspace_held *held);

/* core_request.c: answers by request id */
struct request *tspace_request_find(const struct tspace_core *core,
                                    const struct space *space,
                                    struct plex_bytes id,
                                    struct tspace_now now);
void tspace_request_remember(struct tspace_core *core, struct space *space,
                             struct plex_bytes id, struct tspace_now now,
                             struct answer *answer);
void tspace_request_forget(struct tspace_core *core, struct request *request);
void tspace_request_free(struct tspace_core *core, struct request *request);

#endif
