/* What ran in a namespace: a part of the executions, by id. The state is an
 * array of {"id","definition","version","status","labels","started_ms",
 * "ended_ms"}, oldest first. */
#include "services/worker/builtin_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

void
work_index_put(struct plex_ctx *ctx, const char *execution, json_t *entry)
{
    char key[16];

    (void)snprintf(key, sizeof key, "%u",
                   (unsigned)(XXH3_64bits(execution, strlen(execution)) %
                              BUILTIN_INDEX_SHARDS));
    work_builtin_cast(ctx, "workflow-index", key,
                      json_pack("{s:s, s:o}", "action", "put", "entry", entry));
}

static json_t *
index_load(struct plex_ctx *ctx)
{
    size_t len;
    const void *state = plex_state(ctx, &len);
    json_t *rows = state == NULL ? NULL : json_loadb(state, len, 0, NULL);

    return rows == NULL ? json_array() : rows;
}

static const char *
text_of(const json_t *row, const char *field)
{
    const char *text = json_string_value(json_object_get(row, field));

    return text == NULL ? "" : text;
}

/* The oldest that has ended makes room; nothing under way is forgotten while
 * anything else is left. */
static void
make_room(json_t *rows)
{
    size_t i;
    json_t *row;

    if (json_array_size(rows) < BUILTIN_INDEX_MAX)
        return;
    json_array_foreach(rows, i, row)
    {
        if (json_object_get(row, "ended_ms") != NULL) {
            json_array_remove(rows, i);
            return;
        }
    }
    json_array_remove(rows, 0);
}

static int
put(struct plex_ctx *ctx, json_t *rows, const json_t *request)
{
    json_t *entry = json_object_get(request, "entry"), *row = NULL;
    const char *id = text_of(entry, "id");
    char *text;
    size_t i;

    json_array_foreach(rows, i, row)
    {
        if (strcmp(text_of(row, "id"), id) == 0)
            break;
    }
    if (row != NULL && i < json_array_size(rows)) {
        json_object_update(row, entry);
    } else {
        make_room(rows);
        json_array_append(rows, entry);
    }
    text = json_dumps(rows, JSON_COMPACT);
    if (text == NULL)
        return plex_fail(ctx, "the index cannot be written");
    plex_state_put(ctx, text, strlen(text));
    free(text);
    return 0;
}

static bool
wanted(const json_t *row, const json_t *request)
{
    const char *status = text_of(request, "status");
    const char *definition = text_of(request, "definition");
    const json_int_t after =
        json_integer_value(json_object_get(request, "started_after_ms"));
    const json_t *before = json_object_get(request, "started_before_ms");
    json_t *labels = json_object_get(request, "labels");
    json_t *has = json_object_get(row, "labels"), *value;
    const char *name;

    if ((status[0] != '\0' && strcmp(status, text_of(row, "status")) != 0) ||
        (definition[0] != '\0' &&
         strcmp(definition, text_of(row, "definition")) != 0) ||
        json_integer_value(json_object_get(row, "started_ms")) < after ||
        (before != NULL &&
         json_integer_value(json_object_get(row, "started_ms")) >=
             json_integer_value(before)))
        return false;
    json_object_foreach(labels, name, value)
    {
        if (!json_equal(json_object_get(has, name), value))
            return false;
    }
    return true;
}

static int
list(struct plex_ctx *ctx, const json_t *rows, const json_t *request)
{
    json_t *out = json_array(), *row;
    size_t i;

    for (i = json_array_size(rows); i-- > 0;) {
        row = json_array_get(rows, i);
        if (wanted(row, request))
            json_array_append(out, row);
    }
    out = json_pack("{s:o}", "executions", out);
    if (json_is_integer(json_object_get(request, "next"))) {
        char next[16];

        (void)snprintf(
            next, sizeof next, "%d",
            (int)json_integer_value(json_object_get(request, "next")));
        json_object_set_new(out, "nextPageToken", json_string(next));
    }
    return work_builtin_reply(ctx, 200, out);
}

int
work_index_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *action;
    json_t *request = work_builtin_request(ctx, msg, &action);
    json_t *rows;
    int status = 0;

    if (request == NULL)
        return 0;
    rows = index_load(ctx);
    if (strcmp(action, "put") == 0)
        status = put(ctx, rows, request);
    else if (strcmp(action, "list") == 0)
        status = list(ctx, rows, request);
    else
        plex_reply_problem(ctx, 400, "put and list are known");
    json_decref(rows);
    json_decref(request);
    return status;
}
