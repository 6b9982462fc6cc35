#ifndef PLEXSPACES_LATTICE_H
#define PLEXSPACES_LATTICE_H

#include "process.h"

/*
 * Cells: values that several change at once (docs/lattices.md), from processes
 * and from actors that are not durable. A cell is "type/key". Where its type
 * has replicas, this worker's answers: no other machine is asked. A durable
 * actor sends the same JSON with plex_call().
 *
 * All return 0 and the answer, borrowed until the callback returns or asks
 * again, or what plex_ask() does. A refusal is an answer without a value.
 */

/* Writes `text` as a JSON text; returns the end. */
static inline char *
plex_lattice_quote(char *out, const char *text)
{
    *out++ = '"';
    for (; *text != '\0'; text++) {
        const unsigned char c = (unsigned char)*text;

        if (c < 0x20 || c == '"' || c == '\\')
            out += snprintf(out, 7, "\\u%04x", (unsigned)c);
        else
            *out++ = (char)c;
    }
    *out++ = '"';
    *out = '\0';
    return out;
}

/* `more`: further members of the request, like "\"op\":\"increment\"". */
static inline int
plex_lattice_ask(struct plex_ctx *ctx, const char *cell, const char *action,
                 const char *more, struct plex_msg *answer)
{
    const char *key = strchr(cell, '/');
    const size_t size = 6 * strlen(cell) + strlen(action) + strlen(more) + 64;
    char *text, *end;
    int status;

    if (key == NULL)
        return PLEX_E_INVALID;
    text = (char *)malloc(size);
    if (text == NULL)
        return PLEX_E_LIMIT;
    end = text + snprintf(text, size, "{\"action\":\"%s\",\"key\":", action);
    end = plex_lattice_quote(end, key + 1);
    end += snprintf(end, size - (size_t)(end - text), "%s%s}",
                    more[0] == '\0' ? "" : ",", more);
    status = plex_ask(ctx, plex_whereis(ctx, cell), 0, text,
                      (size_t)(end - text), 0, answer);
    free(text);
    return status;
}
static inline int
plex_lattice_get(struct plex_ctx *ctx, const char *cell,
                 struct plex_msg *answer)
{
    return plex_lattice_ask(ctx, cell, "get", "", answer);
}
/* Counters and clocks; `by` below 0 decrements a pn_counter. */
static inline int
plex_lattice_count(struct plex_ctx *ctx, const char *cell, int64_t by,
                   struct plex_msg *answer)
{
    char more[80];

    if (by == INT64_MIN)
        return PLEX_E_INVALID;
    (void)snprintf(more, sizeof more, "\"op\":\"%s\",\"by\":%lld",
                   by < 0 ? "decrement" : "increment",
                   (long long)(by < 0 ? -by : by));
    return plex_lattice_ask(ctx, cell, "update", more, answer);
}
/* "add" or "remove": an element of a set; "set": `json` is any JSON value. */
static inline int
plex_lattice_put(struct plex_ctx *ctx, const char *cell, const char *op,
                 const char *json, struct plex_msg *answer)
{
    const size_t size = strlen(op) + strlen(json) + 32;
    char *more = (char *)malloc(size);
    int status;

    if (more == NULL)
        return PLEX_E_LIMIT;
    (void)snprintf(more, size, "\"op\":\"%s\",\"value\":%s", op, json);
    status = plex_lattice_ask(ctx, cell, "update", more, answer);
    free(more);
    return status;
}
static inline int
plex_lattice_element(struct plex_ctx *ctx, const char *cell, bool add,
                     const char *text, struct plex_msg *answer)
{
    char *json = (char *)malloc(6 * strlen(text) + 8);
    int status;

    if (json == NULL)
        return PLEX_E_LIMIT;
    (void)plex_lattice_quote(json, text);
    status = plex_lattice_put(ctx, cell, add ? "add" : "remove", json, answer);
    free(json);
    return status;
}

/* The value in an answer as JSON, borrowed from it; NULL: it is a refusal,
 * whose `detail` says why. */
static inline const char *
plex_lattice_value(const struct plex_msg *answer, size_t *len)
{
    static const char head[] = "{\"value\":";
    const char *at = (const char *)answer->payload, *end, *begin;
    int depth = 0;
    bool text = false;

    if (answer->len < sizeof head || memcmp(at, head, sizeof head - 1) != 0)
        return NULL;
    end = at + answer->len;
    begin = at += sizeof head - 1;
    for (; at < end && (text || depth > 0 || (*at != ',' && *at != '}'));
         at++) {
        if (text && *at == '\\')
            at++;
        else if (*at == '"')
            text = !text;
        else if (!text && (*at == '{' || *at == '['))
            depth++;
        else if (!text && (*at == '}' || *at == ']'))
            depth--;
    }
    if (at >= end)
        return NULL;
    *len = (size_t)(at - begin);
    return begin;
}
/* Of a counter, a max or a min that has been set. */
static inline bool
plex_lattice_number(const struct plex_msg *answer, int64_t *out)
{
    size_t len;
    const char *value = plex_lattice_value(answer, &len);
    char text[24], *end;

    if (value == NULL || len == 0 || len >= sizeof text)
        return false;
    memcpy(text, value, len);
    text[len] = '\0';
    *out = strtoll(text, &end, 10);
    return *end == '\0';
}

#endif
