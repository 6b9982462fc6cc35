#ifndef COMMON_NAME_H
#define COMMON_NAME_H

#include "common/bytes.h"

#include <stdint.h>

/*
 * The names users give things, their limits, and where a name hashes to.
 *
 * An actor is (tenant, namespace, type, key), written
 * "tenant/namespace/type/key". All parts are NUL-terminated and borrowed.
 *
 *   tenant     1..64   lower-case letters, digits, '-'; ends and begins
 *                      with a letter or digit
 *   namespace  1..32   as tenant
 *   type       1..128  a lower-case letter, then letters, digits, '_', '-'
 *   key        1..255  UTF-8 without control characters or '/'
 */
enum {
    PLEX_TENANT_MAX = 64,
    PLEX_NAMESPACE_MAX = 32,
    PLEX_TYPE_MAX = 128,
    PLEX_KEY_MAX = 255,
    PLEX_ACTOR_NAME_MAX = 64 + 32 + 128 + 255 + 3, /* bytes, without NUL */
};

struct plex_actor_id {
    const char *tenant;
    const char *ns;
    const char *type;
    const char *key;
};

/* Each fills `err` with the part, what is wrong and what would be right.
 * `len` is given because bytes from outside may hold NUL: that is refused. */
PLEX_MUST_USE enum plex_status plex_name_tenant(const char *text, size_t len,
                                                struct plex_err *err);
PLEX_MUST_USE enum plex_status plex_name_namespace(const char *text, size_t len,
                                                   struct plex_err *err);
PLEX_MUST_USE enum plex_status plex_name_type(const char *text, size_t len,
                                              struct plex_err *err);
PLEX_MUST_USE enum plex_status plex_name_key(const char *text, size_t len,
                                             struct plex_err *err);
/* Node ids and application names: as tenant, 1..64, '_' and '.' allowed. */
PLEX_MUST_USE enum plex_status plex_name_plain(const char *what,
                                               const char *text, size_t len,
                                               struct plex_err *err);
PLEX_MUST_USE enum plex_status plex_name_actor(const struct plex_actor_id *id,
                                               struct plex_err *err);

/* Write "tenant/namespace/type/key" into `buf` of PLEX_ACTOR_NAME_MAX + 1. */
void plex_actor_format(const struct plex_actor_id *id, char *buf, size_t size);

/* Split "tenant/namespace/type/key" in place: '/' become NUL in `text`, whose
 * parts `id` then borrows. The key is everything after the third '/'. */
PLEX_MUST_USE enum plex_status plex_actor_parse(char *text,
                                                struct plex_actor_id *id,
                                                struct plex_err *err);

bool plex_actor_equal(const struct plex_actor_id *a,
                      const struct plex_actor_id *b);

/* XXH3-64 of the four parts, each with its final NUL. On the wire and on
 * disk: never changes. */
uint64_t plex_actor_hash(const struct plex_actor_id *id);

/* The top `bits` bits of the hash: equal ranges, so doubling splits in two. */
uint32_t plex_shard_of(uint64_t hash, unsigned bits);

#endif
