#include "services/journal/backup_file.h"

#include "common/mem.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define END_PART UINT32_MAX
enum { HEADER_BYTES = 32, CHUNK_HEAD_BYTES = 16 };
static const char magic[8] = "PLXJBAK1";

static void
put_u32(uint8_t *out, uint32_t value)
{
    value = htole32(value);
    memcpy(out, &value, sizeof value);
}

static void
put_u64(uint8_t *out, uint64_t value)
{
    value = htole64(value);
    memcpy(out, &value, sizeof value);
}

static uint32_t
get_u32(const uint8_t *in)
{
    uint32_t value;

    memcpy(&value, in, sizeof value);
    return le32toh(value);
}

static uint64_t
get_u64(const uint8_t *in)
{
    uint64_t value;

    memcpy(&value, in, sizeof value);
    return le64toh(value);
}

static uint64_t
chunk_hash(const uint8_t *data, size_t len, uint64_t number, uint32_t part)
{
    return XXH3_64bits_withSeed(data, len, (uint64_t)part << 32 ^ number);
}

/* -- writing --------------------------------------------------------------- */

static enum plex_status
io_error(const char *what, const char *path, struct plex_err *err)
{
    const enum plex_status status =
        errno == ENOSPC || errno == EDQUOT ? PLEX_LIMIT : PLEX_UNAVAILABLE;

    return plex_err_set(err, status, "could not %s %s: %s", what, path,
                        strerror(errno));
}

static enum plex_status
put(struct backup_writer *w, const void *data, size_t len, struct plex_err *err)
{
    return fwrite(data, 1, len, w->file) == len
               ? PLEX_OK
               : io_error("write", w->part_path, err);
}

enum plex_status
backup_create(struct backup_writer *w, const char *path,
              const struct backup_header *header, struct plex_err *err)
{
    const size_t len = strlen(path);
    uint8_t head[HEADER_BYTES];
    int fd;

    *w = (struct backup_writer){.path = plex_strdup(path)};
    w->part_path = plex_calloc(1, len + sizeof ".part");
    memcpy(w->part_path, path, len);
    memcpy(w->part_path + len, ".part", sizeof ".part");
    if (access(path, F_OK) == 0)
        return backup_finish(
            w, plex_err_set(err, PLEX_EXISTS, "%s is already there", path),
            err);
    fd = open(w->part_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    w->file = fd < 0 ? NULL : fdopen(fd, "w");
    if (w->file == NULL)
        return backup_finish(w, io_error("create", w->part_path, err), err);
    memcpy(head, magic, sizeof magic);
    put_u32(head + 8, header->backend);
    put_u32(head + 12, header->schema);
    put_u64(head + 16, header->at_ms);
    put_u64(head + 24, XXH3_64bits(head, 24));
    if (put(w, head, sizeof head, err) != PLEX_OK)
        return backup_finish(w, err->status, err);
    return PLEX_OK;
}

static enum plex_status
chunk_write(struct backup_writer *w, uint32_t part, const uint8_t *data,
            size_t len, struct plex_err *err)
{
    uint8_t head[CHUNK_HEAD_BYTES];

    put_u32(head, part);
    put_u32(head + 4, (uint32_t)len);
    put_u64(head + 8, chunk_hash(data, len, w->chunks, part));
    w->chunks++;
    if (put(w, head, sizeof head, err) != PLEX_OK)
        return err->status;
    return put(w, data, len, err);
}

enum plex_status
backup_write(struct backup_writer *w, uint32_t part, struct plex_bytes data,
             struct plex_err *err)
{
    for (size_t at = 0; at < data.len; at += BACKUP_CHUNK_MAX) {
        const size_t rest = data.len - at;

        if (chunk_write(w, part, data.data + at,
                        rest < BACKUP_CHUNK_MAX ? rest : BACKUP_CHUNK_MAX,
                        err) != PLEX_OK)
            return err->status;
    }
    return PLEX_OK;
}

static enum plex_status
folder_sync(const char *path, struct plex_err *err)
{
    char *folder = plex_strdup(path);
    char *slash = strrchr(folder, '/');
    enum plex_status status = PLEX_OK;
    int fd;

    if (slash != NULL)
        slash[slash == folder] = '\0';
    fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        status = io_error("flush the folder of", path, err);
    if (fd >= 0)
        (void)close(fd);
    free(folder);
    return status;
}

static enum plex_status
end_write(struct backup_writer *w, struct plex_err *err)
{
    uint8_t count[8];

    put_u64(count, w->chunks);
    if (chunk_write(w, END_PART, count, sizeof count, err) != PLEX_OK)
        return err->status;
    if (fflush(w->file) != 0 || fsync(fileno(w->file)) != 0)
        return io_error("write", w->part_path, err);
    if (rename(w->part_path, w->path) != 0)
        return io_error("rename", w->part_path, err);
    return folder_sync(w->path, err);
}

enum plex_status
backup_finish(struct backup_writer *w, enum plex_status status,
              struct plex_err *err)
{
    if (status == PLEX_OK)
        status = end_write(w, err);
    if (w->file != NULL) {
        (void)fclose(w->file);
        if (status != PLEX_OK)
            (void)unlink(w->part_path);
    }
    free(w->path);
    free(w->part_path);
    *w = (struct backup_writer){0};
    return status;
}

/* -- reading --------------------------------------------------------------- */

static enum plex_status
get(struct backup_reader *r, void *out, size_t len, struct plex_err *err)
{
    if (fread(out, 1, len, r->file) == len)
        return PLEX_OK;
    if (ferror(r->file))
        return plex_err_set(err, PLEX_UNAVAILABLE, "could not read: %s",
                            strerror(errno));
    return plex_err_set(err, PLEX_CORRUPT, "the backup ends in chunk %llu",
                        (unsigned long long)r->chunks);
}

enum plex_status
backup_open_file(struct backup_reader *r, FILE *file, struct plex_err *err)
{
    uint8_t head[HEADER_BYTES];

    *r = (struct backup_reader){.file = file};
    if (get(r, head, sizeof head, err) != PLEX_OK ||
        memcmp(head, magic, sizeof magic - 1) != 0)
        return plex_err_set(err, PLEX_CORRUPT,
                            "it is no backup of plex-journal");
    if (head[7] != (uint8_t)magic[7])
        return plex_err_set(err, PLEX_UNSUPPORTED,
                            "the backup is of a newer format");
    if (get_u64(head + 24) != XXH3_64bits(head, 24))
        return plex_err_set(err, PLEX_CORRUPT,
                            "the backup's header does not match its checksum");
    r->header = (struct backup_header){get_u32(head + 8), get_u32(head + 12),
                                       get_u64(head + 16)};
    if (r->header.backend != BACKUP_SQLITE &&
        r->header.backend != BACKUP_POSTGRES)
        return plex_err_set(err, PLEX_UNSUPPORTED,
                            "the backup is of back end %u", r->header.backend);
    r->data = plex_calloc(1, BACKUP_CHUNK_MAX);
    return PLEX_OK;
}

enum plex_status
backup_open(struct backup_reader *r, const char *path, struct plex_err *err)
{
    FILE *file = fopen(path, "re");

    *r = (struct backup_reader){0};
    if (file == NULL)
        return plex_err_set(err, PLEX_NOT_FOUND, "could not open %s: %s", path,
                            strerror(errno));
    if (backup_open_file(r, file, err) != PLEX_OK)
        return plex_err_wrap(err, "%s", path);
    return PLEX_OK;
}

static enum plex_status
end_check(const struct backup_reader *r, size_t len, struct plex_err *err)
{
    if (len != 8 || get_u64(r->data) != r->chunks || getc(r->file) != EOF)
        return plex_err_set(err, PLEX_CORRUPT,
                            "the backup does not end where it says");
    return PLEX_OK;
}

enum plex_status
backup_read(struct backup_reader *r, bool *end, uint32_t *part,
            struct plex_bytes *data, struct plex_err *err)
{
    uint8_t head[CHUNK_HEAD_BYTES];
    uint32_t len;

    *end = false;
    if (get(r, head, sizeof head, err) != PLEX_OK)
        return err->status;
    *part = get_u32(head);
    len = get_u32(head + 4);
    if (len > BACKUP_CHUNK_MAX)
        return plex_err_set(err, PLEX_CORRUPT,
                            "chunk %llu of the backup has %u bytes, at most "
                            "%d are possible",
                            (unsigned long long)r->chunks, len,
                            BACKUP_CHUNK_MAX);
    if (get(r, r->data, len, err) != PLEX_OK)
        return err->status;
    if (get_u64(head + 8) != chunk_hash(r->data, len, r->chunks, *part))
        return plex_err_set(err, PLEX_CORRUPT,
                            "chunk %llu of the backup does not match its "
                            "checksum",
                            (unsigned long long)r->chunks);
    if (*part == END_PART) {
        *end = true;
        return end_check(r, len, err);
    }
    r->chunks++;
    *data = (struct plex_bytes){r->data, len};
    return PLEX_OK;
}

void
backup_close(struct backup_reader *r)
{
    if (r->file != NULL)
        (void)fclose(r->file);
    free(r->data);
    *r = (struct backup_reader){0};
}
