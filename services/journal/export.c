#include "services/journal/export.h"

#include "common/mem.h"
#include "services/journal/client_wire.h"

#include <endian.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
    KIND_HEAD = 1,
    KIND_TURN = 2,
    KIND_END = 3,
    BODY_MAX = 17 << 20,
    RECORD_HEAD_BYTES = 16 + JOURNAL_CHAIN_BYTES,
};
static const char magic[8] = "PLXJEXP1";

struct journal_export_file {
    FILE *file;
    EVP_MD_CTX *hash;
    uint64_t records, turns, last_seq;
    uint8_t chain[JOURNAL_CHAIN_BYTES];
    struct plex_buf body;
    struct plex_arena head, arena; /* of the head, of the turn */
};

static struct journal_export_file *
file_make(FILE *file)
{
    struct journal_export_file *f = plex_calloc(1, sizeof *f);

    f->file = file;
    f->hash = EVP_MD_CTX_new();
    f->body.max = BODY_MAX;
    plex_arena_init(&f->head, 4 * BODY_MAX);
    plex_arena_init(&f->arena, 4 * BODY_MAX);
    return f;
}

void
journal_export_close(struct journal_export_file *f)
{
    if (f == NULL)
        return;
    if (f->file != NULL)
        (void)fclose(f->file);
    EVP_MD_CTX_free(f->hash);
    plex_buf_free(&f->body);
    plex_arena_fini(&f->head);
    plex_arena_fini(&f->arena);
    free(f);
}

static enum plex_status
chain_next(struct journal_export_file *f, uint32_t kind, struct plex_err *err)
{
    const uint32_t le = htole32(kind);

    if (f->hash == NULL ||
        EVP_DigestInit_ex(f->hash, EVP_sha256(), NULL) != 1 ||
        EVP_DigestUpdate(f->hash, f->chain, sizeof f->chain) != 1 ||
        EVP_DigestUpdate(f->hash, &le, sizeof le) != 1 ||
        EVP_DigestUpdate(f->hash, f->body.data, f->body.len) != 1 ||
        EVP_DigestFinal_ex(f->hash, f->chain, NULL) != 1)
        return plex_err_set(err, PLEX_UNSUPPORTED, "OpenSSL offers no SHA-256");
    return PLEX_OK;
}

static uint64_t
body_hash(const struct journal_export_file *f)
{
    return XXH3_64bits_withSeed(f->body.data, f->body.len, f->records);
}

/* -- writing --------------------------------------------------------------- */

static enum plex_status
record_write(struct journal_export_file *f, uint32_t kind, struct plex_err *err)
{
    const uint32_t len = htole32((uint32_t)f->body.len), le = htole32(kind);
    const uint64_t hash = htole64(body_hash(f));
    uint8_t head[RECORD_HEAD_BYTES];

    if (chain_next(f, kind, err) != PLEX_OK)
        return err->status;
    memcpy(head, &len, sizeof len);
    memcpy(head + 4, &le, sizeof le);
    memcpy(head + 8, &hash, sizeof hash);
    memcpy(head + 16, f->chain, sizeof f->chain);
    f->records++;
    if (fwrite(head, 1, sizeof head, f->file) != sizeof head ||
        fwrite(f->body.data, 1, f->body.len, f->file) != f->body.len)
        return plex_err_set(err, PLEX_LIMIT, "could not write: %s",
                            strerror(errno));
    return PLEX_OK;
}

enum plex_status
journal_export_create(struct journal_export_file **out, FILE *file,
                      const struct journal_export_head *head,
                      struct plex_err *err)
{
    struct journal_export_file *f = file_make(file);
    enum plex_status status = PLEX_OK;

    *out = NULL;
    if (fwrite(magic, 1, sizeof magic, file) != sizeof magic)
        status = plex_err_set(err, PLEX_LIMIT, "could not write: %s",
                              strerror(errno));
    if (status == PLEX_OK)
        status = journal_pack_export_head(head, &f->body, err);
    if (status == PLEX_OK)
        status = record_write(f, KIND_HEAD, err);
    if (status != PLEX_OK) {
        journal_export_close(f);
        return status;
    }
    *out = f;
    return PLEX_OK;
}

enum plex_status
journal_export_turn(struct journal_export_file *f,
                    const struct journal_past_turn *turn, struct plex_err *err)
{
    f->body.len = 0;
    if (journal_pack_past_turn(turn, &f->body, err) != PLEX_OK ||
        record_write(f, KIND_TURN, err) != PLEX_OK)
        return err->status;
    f->turns++;
    return PLEX_OK;
}

enum plex_status
journal_export_finish(struct journal_export_file *f, enum plex_status status,
                      struct plex_err *err)
{
    const uint64_t turns = f ? htole64(f->turns) : 0;
    uint8_t *body;

    if (f == NULL)
        return status;
    if (status == PLEX_OK) {
        f->body.len = 0;
        body = plex_buf_grow(&f->body, sizeof turns);
        memcpy(body, &turns, sizeof turns);
        status = record_write(f, KIND_END, err);
    }
    if (fclose(f->file) != 0 && status == PLEX_OK)
        status = plex_err_set(err, PLEX_LIMIT, "could not write: %s",
                              strerror(errno));
    f->file = NULL;
    journal_export_close(f);
    return status;
}

/* -- reading --------------------------------------------------------------- */

static enum plex_status
corrupt(const struct journal_export_file *f, const char *what,
        struct plex_err *err)
{
    return plex_err_set(err, PLEX_CORRUPT, "record %llu of the export %s",
                        (unsigned long long)f->records, what);
}

static enum plex_status
get(struct journal_export_file *f, void *out, size_t len, struct plex_err *err)
{
    if (fread(out, 1, len, f->file) == len)
        return PLEX_OK;
    return ferror(f->file) ? plex_err_set(err, PLEX_UNAVAILABLE,
                                          "could not read: %s", strerror(errno))
                           : corrupt(f, "is cut off", err);
}

/* The body grows as it is read: a length that lies costs no memory. */
static enum plex_status
body_get(struct journal_export_file *f, uint32_t len, struct plex_err *err)
{
    enum { STEP = 1 << 20 };

    f->body.len = 0;
    while (f->body.len < len) {
        const size_t rest = len - f->body.len;
        const size_t n = rest < STEP ? rest : STEP;
        uint8_t *to = plex_buf_grow(&f->body, n);

        if (to == NULL)
            return corrupt(f, "is too long", err);
        if (get(f, to, n, err) != PLEX_OK)
            return err->status;
    }
    return PLEX_OK;
}

static enum plex_status
record_read(struct journal_export_file *f, uint32_t *kind, struct plex_err *err)
{
    uint8_t head[RECORD_HEAD_BYTES];
    uint32_t len;
    uint64_t hash;

    if (get(f, head, sizeof head, err) != PLEX_OK)
        return err->status;
    memcpy(&len, head, sizeof len);
    memcpy(kind, head + 4, sizeof *kind);
    memcpy(&hash, head + 8, sizeof hash);
    *kind = le32toh(*kind);
    if (le32toh(len) > BODY_MAX)
        return corrupt(f, "is too long", err);
    if (body_get(f, le32toh(len), err) != PLEX_OK)
        return err->status;
    if (le64toh(hash) != body_hash(f))
        return corrupt(f, "does not match its checksum", err);
    if (chain_next(f, *kind, err) != PLEX_OK)
        return err->status;
    if (memcmp(f->chain, head + 16, sizeof f->chain) != 0)
        return corrupt(f, "does not match the chain", err);
    f->records++;
    return PLEX_OK;
}

static enum plex_status
head_read(struct journal_export_file *f, struct journal_export_head *head,
          struct plex_err *err)
{
    uint8_t start[sizeof magic];
    uint32_t kind;

    if (get(f, start, sizeof start, err) != PLEX_OK ||
        memcmp(start, magic, sizeof magic - 1) != 0)
        return plex_err_set(err, PLEX_CORRUPT,
                            "it is no exported journal of an actor");
    if (start[7] != (uint8_t)magic[7])
        return plex_err_set(err, PLEX_UNSUPPORTED,
                            "the export is of a newer format");
    if (record_read(f, &kind, err) != PLEX_OK)
        return err->status;
    if (kind != KIND_HEAD)
        return corrupt(f, "is not the head", err);
    return journal_unpack_export_head(
        (struct plex_bytes){f->body.data, f->body.len}, &f->head, head, err);
}

enum plex_status
journal_export_open(struct journal_export_file **out, FILE *file,
                    struct journal_export_head *head, struct plex_err *err)
{
    struct journal_export_file *f = file_make(file);

    *out = NULL;
    *head = (struct journal_export_head){0};
    if (head_read(f, head, err) != PLEX_OK) {
        journal_export_close(f);
        return err->status;
    }
    *out = f;
    return PLEX_OK;
}

static enum plex_status
end_read(struct journal_export_file *f, struct plex_err *err)
{
    uint64_t turns;

    if (f->body.len != sizeof turns)
        return corrupt(f, "is not the end", err);
    memcpy(&turns, f->body.data, sizeof turns);
    if (le64toh(turns) != f->turns || getc(f->file) != EOF)
        return corrupt(f, "is not the end", err);
    return PLEX_OK;
}

enum plex_status
journal_export_next(struct journal_export_file *f, bool *end,
                    struct journal_past_turn *turn, struct plex_err *err)
{
    uint32_t kind;

    *end = false;
    plex_arena_reset(&f->arena);
    if (record_read(f, &kind, err) != PLEX_OK)
        return err->status;
    if (kind == KIND_END) {
        *end = true;
        return end_read(f, err);
    }
    if (kind != KIND_TURN)
        return corrupt(f, "is of an unknown kind", err);
    if (journal_unpack_past_turn((struct plex_bytes){f->body.data, f->body.len},
                                 &f->arena, turn, err) != PLEX_OK)
        return err->status;
    if (turn->seq <= f->last_seq)
        return corrupt(f, "is out of order", err);
    f->last_seq = turn->seq;
    f->turns++;
    return PLEX_OK;
}
