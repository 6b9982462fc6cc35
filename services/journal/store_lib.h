#ifndef SERVICES_JOURNAL_STORE_LIB_H
#define SERVICES_JOURNAL_STORE_LIB_H

#include "services/journal/store.h"

/* What the back ends share. */

/* Of all recorded replies that one commit hands back as EXISTS; what does not
 * fit is a CONFLICT. The append's answer must fit one message. */
enum { JOURNAL_EXISTS_BYTES_MAX = 12 << 20 };

/* "tenant/namespace/type/key": how stores name an actor. Returns its length.
 * Names were checked on the way in. */
size_t journal_actor_name(const struct plex_actor_id *id,
                          char out[PLEX_ACTOR_NAME_MAX + 1]);
/* The reverse; the parts are allocated in `arena`. PLEX_CORRUPT, TOO_LARGE. */
PLEX_MUST_USE enum plex_status journal_actor_split(const char *name, size_t len,
                                                   struct plex_arena *arena,
                                                   struct plex_actor_id *out,
                                                   struct plex_err *err);
/* PLEX_TOO_LARGE past the arena's ceiling. */
PLEX_MUST_USE enum plex_status journal_bytes_copy(struct plex_bytes from,
                                                  struct plex_arena *arena,
                                                  struct plex_bytes *out,
                                                  struct plex_err *err);

/* How the bytes of a row are coded, on disk: never changes. */
enum journal_flag {
    JOURNAL_FLAG_ZSTD = 1,     /* the state is compressed */
    JOURNAL_FLAG_SEALED = 2,   /* state, reply and record are encrypted */
    JOURNAL_FLAG_REBUILDS = 4, /* see struct journal_entry */
    JOURNAL_FLAG_KEY_BITS = 8, /* id of the key that sealed it: from this bit */
};

/* A turn or a snapshot (without ids, reply and record) as it is stored. */
struct journal_row {
    uint64_t seq, at_ms, expires_ms, request_hash, state_hash, record_hash;
    uint32_t has_state, schema_version;
    uint64_t flags;
    struct plex_bytes message_id, reply, record, state;
};
struct journal_row journal_row_of(const struct journal_entry *entry);
uint64_t journal_state_hash(struct plex_bytes state);
uint64_t journal_record_hash(struct plex_bytes record); /* 0 when empty */
/* XXH3-64 over everything the row says, on disk: never changes. State and
 * record go in by their own hashes, so that a row can be checked without
 * reading them. */
uint64_t journal_row_checksum(const struct journal_row *row, const char *actor,
                              size_t actor_len);
/* The same for a pending. */
uint64_t journal_pending_checksum(const struct journal_pending *pending);

/* Answers that are asked for, on their way; all are NOT_FOUND at first. */
struct journal_answering {
    struct journal_store *store;
    const struct journal_asked *asked;
    size_t n;
    uint64_t wall_ms;
    struct plex_arena *arena;
    struct journal_result *out;
    size_t bytes; /* of the replies so far */
};
/* The row of the i-th, whose expires_ms, request_hash, seq, flags and reply
 * are looked at; `name` is its actor's. */
void journal_answer_take(struct journal_answering *answering, size_t i,
                         const struct journal_row *row, const char *name,
                         size_t name_len);

/* Page tokens: shard, due, row id, big endian. */
enum { JOURNAL_TOKEN_BYTES = 20 };
struct journal_cursor {
    uint32_t shard;
    uint64_t due_ms, row;
};
void journal_cursor_write(const struct journal_cursor *cursor,
                          uint8_t out[JOURNAL_TOKEN_BYTES]);
/* An empty token is the start of `first`. PLEX_INVALID. */
PLEX_MUST_USE enum plex_status journal_cursor_read(struct plex_bytes token,
                                                   uint32_t first,
                                                   struct journal_cursor *out,
                                                   struct plex_err *err);

#endif
