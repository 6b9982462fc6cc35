#include "services/journal/keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 16384, HEX_DIGITS = 2 * JOURNAL_KEY_BYTES };
#define BLANKS " \t\r"

static enum plex_status
line_parse(const char *line, size_t len, struct journal_keyring *out,
           struct plex_err *err)
{
    struct journal_master_key *key = &out->keys[out->n];
    unsigned long id;
    char *end;
    size_t hex_len, rest;

    if (out->n == JOURNAL_KEYRING_MAX)
        return plex_err_set(err, PLEX_INVALID, "more than %d keys",
                            JOURNAL_KEYRING_MAX);
    errno = 0;
    id = strtoul(line, &end, 10);
    if (*line < '0' || *line > '9' || id == 0 || id > UINT32_MAX || errno != 0)
        return plex_err_set(err, PLEX_INVALID,
                            "a number from 1 and 64 hexadecimal digits are "
                            "wanted");
    if (out->n > 0 && id <= out->keys[out->n - 1].id)
        return plex_err_set(err, PLEX_INVALID,
                            "key %lu comes after key %u, numbers must rise", id,
                            out->keys[out->n - 1].id);
    end += strspn(end, BLANKS);
    hex_len = strcspn(end, BLANKS "#\n");
    rest = (size_t)(end - line) + hex_len;
    if (rest > len || hex_len != HEX_DIGITS ||
        sodium_hex2bin(key->bytes, sizeof key->bytes, end, HEX_DIGITS, NULL,
                       NULL, NULL) != 0)
        return plex_err_set(err, PLEX_INVALID,
                            "key %lu is not 64 hexadecimal digits", id);
    rest += strspn(line + rest, BLANKS);
    if (rest < len && line[rest] != '#')
        return plex_err_set(err, PLEX_INVALID, "more follows key %lu", id);
    key->id = (uint32_t)id;
    out->n++;
    return PLEX_OK;
}

enum plex_status
journal_keyring_parse(const char *text, struct journal_keyring *out,
                      struct plex_err *err)
{
    *out = (struct journal_keyring){0};
    for (int line = 1; *text != '\0'; line++) {
        const size_t len = strcspn(text, "\n");
        const size_t blank = strspn(text, BLANKS);

        if (blank < len && text[blank] != '#' &&
            line_parse(text + blank, len - blank, out, err) != PLEX_OK)
            return plex_err_wrap(err, "line %d", line);
        text += len + (text[len] == '\n');
    }
    if (out->n == 0)
        return plex_err_set(err, PLEX_INVALID, "there is no key in it");
    return PLEX_OK;
}

static enum plex_status
file_read(const char *path, char *text, struct plex_err *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    ssize_t n = -1;

    if (fd < 0)
        return plex_err_set(err, PLEX_INVALID, "%s", strerror(errno));
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        (void)plex_err_set(err, PLEX_INVALID, "it is not a file");
    else if ((st.st_mode & 077) != 0)
        (void)plex_err_set(err, PLEX_INVALID,
                           "others than its owner may read it, its mode must "
                           "be 0600 or 0400");
    else if ((n = read(fd, text, FILE_MAX)) < 0)
        (void)plex_err_set(err, PLEX_INVALID, "%s", strerror(errno));
    else if (n == FILE_MAX)
        (void)plex_err_set(err, PLEX_INVALID, "it is longer than %d bytes",
                           FILE_MAX - 1);
    (void)close(fd);
    if (n < 0 || n == FILE_MAX)
        return err->status;
    text[n] = '\0';
    return PLEX_OK;
}

enum plex_status
journal_keyring_read(const char *path, struct journal_keyring *out,
                     struct plex_err *err)
{
    char text[FILE_MAX + 1];
    enum plex_status status = file_read(path, text, err);

    *out = (struct journal_keyring){0};
    if (status == PLEX_OK)
        status = journal_keyring_parse(text, out, err);
    sodium_memzero(text, sizeof text);
    if (status == PLEX_OK)
        return PLEX_OK;
    journal_keyring_wipe(out);
    return plex_err_wrap(err, "master_key_file: %s", path);
}

void
journal_keyring_wipe(struct journal_keyring *ring)
{
    sodium_memzero(ring, sizeof *ring);
}

const struct journal_master_key *
journal_keyring_find(const struct journal_keyring *ring, uint32_t id)
{
    for (size_t i = 0; i < ring->n; i++)
        if (ring->keys[i].id == id)
            return &ring->keys[i];
    return NULL;
}

const struct journal_master_key *
journal_keyring_current(const struct journal_keyring *ring)
{
    return ring->n == 0 ? NULL : &ring->keys[ring->n - 1];
}
