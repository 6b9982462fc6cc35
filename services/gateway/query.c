#include "services/gateway/query.h"

#include "common/http.h"
#include "common/utf8.h"
#include "services/gateway/text.h"

#include <string.h>

/* Decode `len` bytes at `text` to `*out`, which is moved past the final NUL. */
static const char *
part_decode(const char *text, size_t len, char **out, struct plex_err *err)
{
    char *start = *out;

    if (plex_http_unescape(text, len, true, start, err) != PLEX_OK) {
        (void)plex_err_wrap(err, "query parameter");
        return NULL;
    }
    if (!plex_utf8_valid((const uint8_t *)start, strlen(start))) {
        (void)plex_err_set(err, PLEX_INVALID,
                           "query parameter \"%.*s\" is not UTF-8",
                           (int)(len < 100 ? len : 100), text);
        return NULL;
    }
    *out += strlen(start) + 1;
    return start;
}

static enum plex_status
param_add(struct gate_params *out, const char *text, size_t len, char **room,
          struct plex_err *err)
{
    const char *equals = memchr(text, '=', len);
    const size_t name_len = equals == NULL ? len : (size_t)(equals - text);
    struct gate_param *param = &out->at[out->n];

    if (out->n == GATE_PARAMS_MAX)
        return plex_err_set(err, PLEX_INVALID, "more than %d query parameters",
                            GATE_PARAMS_MAX);
    if (name_len == 0)
        return plex_err_set(err, PLEX_INVALID, "a query parameter has no name");
    param->taken = false;
    param->name = part_decode(text, name_len, room, err);
    if (param->name == NULL)
        return err->status;
    param->value = "";
    if (equals != NULL) {
        param->value = part_decode(equals + 1, len - name_len - 1, room, err);
        if (param->value == NULL)
            return err->status;
    }
    for (size_t i = 0; i < out->n; i++)
        if (strcmp(out->at[i].name, param->name) == 0)
            return plex_err_set(err, PLEX_INVALID,
                                "query parameter \"%.100s\" is given twice",
                                param->name);
    out->n++;
    return PLEX_OK;
}

enum plex_status
gate_params_parse(const char *query, struct plex_arena *arena,
                  struct gate_params *out, struct plex_err *err)
{
    char *room;

    out->n = 0;
    if (query[0] == '\0')
        return PLEX_OK;
    /* A parameter of n bytes needs at most n + 2: two NULs for its '='. */
    room = gate_alloc(arena, 2 * strlen(query) + 2);
    for (const char *at = query; *at != '\0';) {
        const size_t len = strcspn(at, "&");

        if (len > 0 && param_add(out, at, len, &room, err) != PLEX_OK)
            return err->status;
        at += len;
        if (*at == '&')
            at++;
    }
    return PLEX_OK;
}

const char *
gate_params_take(struct gate_params *params, const char *name)
{
    for (size_t i = 0; i < params->n; i++)
        if (strcmp(params->at[i].name, name) == 0) {
            params->at[i].taken = true;
            return params->at[i].value;
        }
    return NULL;
}

static char *
json_string(char *out, const char *text)
{
    static const char hex[] = "0123456789abcdef";

    *out++ = '"';
    for (; *text != '\0'; text++) {
        const unsigned char c = (unsigned char)*text;

        if (c < 0x20) {
            memcpy(out, "\\u00", 4);
            out[4] = hex[c >> 4];
            out[5] = hex[c & 15];
            out += 6;
            continue;
        }
        if (c == '"' || c == '\\')
            *out++ = '\\';
        *out++ = *text;
    }
    *out++ = '"';
    return out;
}

struct plex_bytes
gate_params_json(const struct gate_params *params, struct plex_arena *arena)
{
    size_t room = 2;
    char *start, *at;

    for (size_t i = 0; i < params->n; i++)
        if (!params->at[i].taken)
            room +=
                6 * (strlen(params->at[i].name) + strlen(params->at[i].value)) +
                6;
    if (room == 2)
        return (struct plex_bytes){(const uint8_t *)"{}", 2};
    start = at = gate_alloc(arena, room);
    for (size_t i = 0; i < params->n; i++) {
        if (params->at[i].taken)
            continue;
        *at = at == start ? '{' : ',';
        at = json_string(at + 1, params->at[i].name);
        *at++ = ':';
        at = json_string(at, params->at[i].value);
    }
    *at++ = '}';
    return (struct plex_bytes){(const uint8_t *)start, (size_t)(at - start)};
}
