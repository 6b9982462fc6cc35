#include "common/name.h"

#include "common/utf8.h"

#include <stdio.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

static bool
is_lower(unsigned char c)
{
    return c >= 'a' && c <= 'z';
}

static bool
is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

static enum plex_status
check_size(const char *what, size_t len, size_t max, struct plex_err *err)
{
    if (len == 0)
        return plex_err_set(err, PLEX_INVALID, "%s is empty", what);
    if (len > max)
        return plex_err_set(err, PLEX_INVALID,
                            "%s is %zu bytes long, at most %zu are allowed",
                            what, len, max);
    return PLEX_OK;
}

/* A DNS-label-like word; `also` holds further characters allowed inside. */
static enum plex_status
check_word(const char *what, const char *text, size_t len, size_t max,
           const char *also, struct plex_err *err)
{
    if (check_size(what, len, max, err) != PLEX_OK)
        return err->status;
    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)text[i];
        const bool edge = i == 0 || i + 1 == len;

        if (is_lower(c) || is_digit(c) ||
            (!edge && c != '\0' && strchr(also, c) != NULL))
            continue;
        return plex_err_set(
            err, PLEX_INVALID,
            "%s has byte 0x%02x at position %zu; lower-case letters and "
            "digits are allowed, and inside also %s",
            what, c, i + 1, also);
    }
    return PLEX_OK;
}

enum plex_status
plex_name_tenant(const char *text, size_t len, struct plex_err *err)
{
    return check_word("tenant", text, len, PLEX_TENANT_MAX, "-", err);
}

enum plex_status
plex_name_namespace(const char *text, size_t len, struct plex_err *err)
{
    return check_word("namespace", text, len, PLEX_NAMESPACE_MAX, "-", err);
}

enum plex_status
plex_name_plain(const char *what, const char *text, size_t len,
                struct plex_err *err)
{
    return check_word(what, text, len, PLEX_TENANT_MAX, "-_.", err);
}

enum plex_status
plex_name_type(const char *text, size_t len, struct plex_err *err)
{
    if (check_size("actor type", len, PLEX_TYPE_MAX, err) != PLEX_OK)
        return err->status;
    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)text[i];

        if (is_lower(c) || (i > 0 && (is_digit(c) || c == '_' || c == '-')))
            continue;
        return plex_err_set(
            err, PLEX_INVALID,
            "actor type has byte 0x%02x at position %zu; it must begin with a "
            "lower-case letter and go on with those, digits, '_' or '-'",
            c, i + 1);
    }
    return PLEX_OK;
}

enum plex_status
plex_name_key(const char *text, size_t len, struct plex_err *err)
{
    const unsigned char *s = (const unsigned char *)text;

    if (check_size("actor key", len, PLEX_KEY_MAX, err) != PLEX_OK)
        return err->status;
    for (size_t i = 0, n; i < len; i += n) {
        n = plex_utf8_char(s + i, len - i);
        if (n == 0)
            return plex_err_set(err, PLEX_INVALID,
                                "actor key is not UTF-8 at byte %zu", i + 1);
        if (s[i] < 0x20 || s[i] == 0x7f || s[i] == '/')
            return plex_err_set(
                err, PLEX_INVALID,
                "actor key has byte 0x%02x at position %zu; control "
                "characters and '/' are not allowed",
                s[i], i + 1);
    }
    return PLEX_OK;
}

enum plex_status
plex_name_actor(const struct plex_actor_id *id, struct plex_err *err)
{
    if (plex_name_tenant(id->tenant, strlen(id->tenant), err) != PLEX_OK ||
        plex_name_namespace(id->ns, strlen(id->ns), err) != PLEX_OK ||
        plex_name_type(id->type, strlen(id->type), err) != PLEX_OK)
        return err->status;
    return plex_name_key(id->key, strlen(id->key), err);
}

void
plex_actor_format(const struct plex_actor_id *id, char *buf, size_t size)
{
    (void)snprintf(buf, size, "%s/%s/%s/%s", id->tenant, id->ns, id->type,
                   id->key);
}

enum plex_status
plex_actor_parse(char *text, struct plex_actor_id *id, struct plex_err *err)
{
    char *part[4] = {text};

    for (int i = 1; i < 4; i++) {
        part[i] = strchr(part[i - 1], '/');
        if (part[i] == NULL)
            return plex_err_set(err, PLEX_INVALID,
                                "actor name \"%.100s\" is not "
                                "tenant/namespace/type/key",
                                text);
        *part[i]++ = '\0';
    }
    *id = (struct plex_actor_id){part[0], part[1], part[2], part[3]};
    return plex_name_actor(id, err);
}

bool
plex_actor_equal(const struct plex_actor_id *a, const struct plex_actor_id *b)
{
    return strcmp(a->key, b->key) == 0 && strcmp(a->type, b->type) == 0 &&
           strcmp(a->ns, b->ns) == 0 && strcmp(a->tenant, b->tenant) == 0;
}

uint64_t
plex_actor_hash(const struct plex_actor_id *id)
{
    const char *const parts[] = {id->tenant, id->ns, id->type, id->key};
    char flat[PLEX_ACTOR_NAME_MAX + 1];
    size_t used = 0;

    for (int i = 0; i < 4; i++) {
        const size_t len = strlen(parts[i]) + 1;

        if (len > sizeof flat - used) /* unchecked name: still a hash */
            break;
        memcpy(flat + used, parts[i], len);
        used += len;
    }
    return XXH3_64bits(flat, used);
}

uint32_t
plex_shard_of(uint64_t hash, unsigned bits)
{
    return bits == 0 ? 0 : (uint32_t)(hash >> (64 - bits));
}
