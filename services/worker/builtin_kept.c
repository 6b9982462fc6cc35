/*
 * The runs of one definition that ended in one way, newest last, where only so
 * many are kept: key "kept:OUTCOME:DEFINITION". A list of [id, ended_ms];
 * whoever is one too many is told to go, and does if it still is that run.
 */
#include "services/worker/builtin_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char prefix[] = "kept:";

bool
work_kept_is(const char *key)
{
    return strncmp(key, prefix, sizeof prefix - 1) == 0;
}

void
work_kept_tell(struct plex_ctx *ctx, const char *outcome,
               const char *definition, const char *execution, uint32_t max)
{
    char key[256];
    const int len =
        snprintf(key, sizeof key, "%s%s:%s", prefix, outcome, definition);

    if (len > 0 && (size_t)len < sizeof key)
        work_builtin_cast(ctx, "workflow-index", key,
                          json_pack("{s:s, s:s, s:I, s:I}", "action", "ended",
                                    "id", execution, "ended_ms",
                                    (json_int_t)plex_turn_ms(ctx), "max",
                                    (json_int_t)max));
}

static const char *
id_of(const json_t *row)
{
    const char *id = json_string_value(json_array_get(row, 0));

    return id == NULL ? "" : id;
}

static void
ended(struct plex_ctx *ctx, json_t *rows, const json_t *request)
{
    const char *id = json_string_value(json_object_get(request, "id"));
    const json_int_t max = json_integer_value(json_object_get(request, "max"));
    json_t *row;
    size_t i;

    json_array_foreach(rows, i, row)
    {
        if (strcmp(id_of(row), id) == 0) {
            json_array_remove(rows, i);
            break;
        }
    }
    json_array_append_new(
        rows, json_pack("[s, O]", id, json_object_get(request, "ended_ms")));
    while (json_array_size(rows) > (size_t)max) {
        row = json_array_get(rows, 0);
        work_builtin_cast(ctx, "workflow", id_of(row),
                          json_pack("{s:s, s:O}", "action", "expire",
                                    "ended_ms", json_array_get(row, 1)));
        json_array_remove(rows, 0);
    }
}

int
work_kept_call(struct plex_ctx *ctx, const char *action, const json_t *request)
{
    size_t len;
    const void *state = plex_state(ctx, &len);
    json_t *rows =
        state == NULL || len == 0 ? NULL : json_loadb(state, len, 0, NULL);
    char *text;

    if (strcmp(action, "ended") != 0 ||
        !json_is_string(json_object_get(request, "id")) ||
        json_integer_value(json_object_get(request, "max")) < 1) {
        json_decref(rows);
        plex_reply_problem(ctx, 400, "ended, with id and max, is known here");
        return 0;
    }
    if (rows == NULL)
        rows = json_array();
    ended(ctx, rows, request);
    text = json_dumps(rows, JSON_COMPACT);
    json_decref(rows);
    if (text == NULL)
        return plex_fail(ctx, "the list of ended runs cannot be written");
    plex_state_put(ctx, text, strlen(text));
    free(text);
    return 0;
}
