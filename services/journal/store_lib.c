#include "services/journal/store_backend.h"

#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

size_t
journal_actor_name(const struct plex_actor_id *id,
                   char out[PLEX_ACTOR_NAME_MAX + 1])
{
    const char *const parts[] = {id->tenant, id->ns, id->type, id->key};
    size_t used = 0;

    for (int i = 0; i < 4; i++) {
        const size_t len = strlen(parts[i]);

        if (used + len > PLEX_ACTOR_NAME_MAX - (i < 3)) /* unchecked name */
            break;
        memcpy(out + used, parts[i], len);
        used += len;
        if (i < 3)
            out[used++] = '/';
    }
    out[used] = '\0';
    return used;
}

enum plex_status
journal_actor_split(const char *name, size_t len, struct plex_arena *arena,
                    struct plex_actor_id *out, struct plex_err *err)
{
    char *copy = plex_arena_strndup(arena, name, len);

    if (copy == NULL)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "the answer does not fit its memory limit");
    if (plex_actor_parse(copy, out, err) != PLEX_OK) {
        err->status = PLEX_CORRUPT;
        return plex_err_wrap(err, "stored actor name");
    }
    return PLEX_OK;
}

enum plex_status
journal_bytes_copy(struct plex_bytes from, struct plex_arena *arena,
                   struct plex_bytes *out, struct plex_err *err)
{
    uint8_t *copy;

    *out = (struct plex_bytes){0};
    if (from.len == 0)
        return PLEX_OK;
    copy = plex_arena_alloc(arena, from.len);
    if (copy == NULL)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "%zu bytes do not fit the answer's memory limit",
                            from.len);
    memcpy(copy, from.data, from.len);
    *out = (struct plex_bytes){copy, from.len};
    return PLEX_OK;
}

static uint64_t
hash_bytes(struct plex_bytes bytes, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes.data, bytes.len, seed + bytes.len);
}

uint64_t
journal_state_hash(struct plex_bytes state)
{
    return hash_bytes(state, 0);
}

uint64_t
journal_record_hash(struct plex_bytes record)
{
    return record.len > 0 ? hash_bytes(record, 1) : 0;
}

struct journal_row
journal_row_of(const struct journal_entry *entry)
{
    const bool snapshot = entry->kind == JOURNAL_SNAPSHOT;
    struct journal_row row = {.seq = entry->seq,
                              .has_state = snapshot || entry->has_state,
                              .schema_version = entry->schema_version};

    if (row.has_state) {
        row.state = entry->state;
        row.state_hash = journal_state_hash(entry->state);
    }
    if (snapshot)
        return row;
    row.at_ms = entry->at_ms;
    row.expires_ms = entry->expires_ms;
    row.request_hash = entry->request_hash;
    row.message_id = entry->message_id;
    row.reply = entry->reply;
    row.record = entry->record;
    row.record_hash = journal_record_hash(entry->record);
    row.flags = entry->rebuilds ? JOURNAL_FLAG_REBUILDS : 0;
    return row;
}

uint64_t
journal_row_checksum(const struct journal_row *row, const char *actor,
                     size_t actor_len)
{
    const uint64_t fixed[] = {
        row->seq,        row->at_ms,
        row->expires_ms, row->request_hash,
        row->state_hash, (uint64_t)row->has_state << 32 | row->schema_version};
    const uint64_t coded[] = {row->flags, row->record_hash};
    uint64_t h = XXH3_64bits(fixed, sizeof fixed);

    h = XXH3_64bits_withSeed(actor, actor_len, h);
    h = hash_bytes(row->message_id, h);
    h = hash_bytes(row->reply, h);
    /* Rows of the first schema have neither. */
    if (row->flags != 0 || row->record_hash != 0)
        h = XXH3_64bits_withSeed(coded, sizeof coded, h);
    return h;
}

uint64_t
journal_pending_checksum(const struct journal_pending *pending)
{
    return hash_bytes(pending->message,
                      hash_bytes(pending->id, pending->due_ms));
}

static void
put_be(uint8_t *out, uint64_t value, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--, value >>= 8)
        out[i] = (uint8_t)value;
}

static uint64_t
get_be(const uint8_t *in, int bytes)
{
    uint64_t value = 0;

    for (int i = 0; i < bytes; i++)
        value = value << 8 | in[i];
    return value;
}

void
journal_cursor_write(const struct journal_cursor *cursor,
                     uint8_t out[JOURNAL_TOKEN_BYTES])
{
    put_be(out, cursor->shard, 4);
    put_be(out + 4, cursor->due_ms, 8);
    put_be(out + 12, cursor->row, 8);
}

enum plex_status
journal_cursor_read(struct plex_bytes token, uint32_t first,
                    struct journal_cursor *out, struct plex_err *err)
{
    *out = (struct journal_cursor){.shard = first};
    if (token.len == 0)
        return PLEX_OK;
    if (token.len != JOURNAL_TOKEN_BYTES)
        return plex_err_set(err, PLEX_INVALID,
                            "page token is %zu bytes long, pass the `next` of "
                            "the last page",
                            token.len);
    out->shard = (uint32_t)get_be(token.data, 4);
    out->due_ms = get_be(token.data + 4, 8);
    out->row = get_be(token.data + 12, 8);
    if (out->shard > JOURNAL_SHARD_MAX || out->due_ms > INT64_MAX ||
        out->row > INT64_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "page token is not one of the journal's");
    return PLEX_OK;
}

void
journal_answer_take(struct journal_answering *answering, size_t i,
                    const struct journal_row *row, const char *name,
                    size_t name_len)
{
    const struct journal_coding coding = {.piece = JOURNAL_PIECE_REPLY,
                                          .flags = row->flags,
                                          .name = name,
                                          .name_len = name_len,
                                          .seq = row->seq};
    struct journal_result *out = &answering->out[i];
    struct plex_err err;

    if (row->expires_ms <= answering->wall_ms)
        return;
    if (answering->bytes > 0 &&
        answering->bytes + row->reply.len > JOURNAL_ANSWERS_BYTES_MAX) {
        out->status = PLEX_LIMIT;
        return;
    }
    out->status = journal_decode(answering->store, &coding, row->reply,
                                 answering->arena, &out->reply, &err);
    if (out->status != PLEX_OK)
        return;
    answering->bytes += out->reply.len;
    out->status = PLEX_EXISTS;
    out->request_hash = row->request_hash;
}
