#ifndef SERVICES_TUPLESPACE_STORE_REDIS_H
#define SERVICES_TUPLESPACE_STORE_REDIS_H

#include "services/tuplespace/store_backend.h"

#include <hiredis/hiredis.h>

/* What the files store_redis*.c share. */
enum { TSPACE_REDIS_NAME_MAX = 128 };

struct redis_store {
    struct tspace_store base;
    redisContext *redis;
    uint64_t epoch;
    char epoch_text[24];
    char epoch_key[TSPACE_REDIS_NAME_MAX], records_key[TSPACE_REDIS_NAME_MAX];
    char sha[48];
    char removed_text[24];
    struct plex_buf fields;
    const char **argv;
    size_t *lengths;
    size_t argv_cap;
};

enum plex_status tspace_redis_lost(const struct redis_store *store,
                                   struct plex_err *err);
/* Takes `reply`; NULL when it is not of that type. */
redisReply *tspace_redis_reply(const struct redis_store *store, void *reply,
                               int type, struct plex_err *err);
enum plex_status tspace_redis_load(struct tspace_store *base,
                                   tspace_load_fn each, void *arg,
                                   struct plex_err *err);

#endif
