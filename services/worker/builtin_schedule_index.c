/* The schedules of a namespace, by id: {ID: {"id","when","target","paused",
 * "created_ms"}}. It changes only when somebody changes a schedule. */
#include "services/worker/builtin_schedule.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE_DEFAULT = 100, PAGE_MAX = 1000 };

void
work_schedule_tell(struct plex_ctx *ctx, const char *id, json_t *entry)
{
    work_builtin_cast(ctx, "schedule-index", "schedules",
                      json_pack("{s:s, s:s, s:o}", "action", "put", "id", id,
                                "entry", entry));
}

void
work_schedule_untell(struct plex_ctx *ctx, const char *id)
{
    work_builtin_cast(ctx, "schedule-index", "schedules",
                      json_pack("{s:s, s:s}", "action", "remove", "id", id));
}

static json_t *
index_load(struct plex_ctx *ctx)
{
    size_t len;
    const void *state = plex_state(ctx, &len);
    json_t *rows = state == NULL ? NULL : json_loadb(state, len, 0, NULL);

    return rows == NULL ? json_object() : rows;
}

static int
index_save(struct plex_ctx *ctx, const json_t *rows)
{
    char *text = json_dumps(rows, JSON_COMPACT | JSON_SORT_KEYS);

    if (text == NULL)
        return plex_fail(ctx, "the index cannot be written");
    plex_state_put(ctx, text, strlen(text));
    free(text);
    return 0;
}

static const char *
text_of(const json_t *request, const char *field)
{
    const char *text = json_string_value(json_object_get(request, field));

    return text == NULL ? "" : text;
}

/* In the order of ids: the state is written sorted. */
static int
list(struct plex_ctx *ctx, json_t *rows, const json_t *request)
{
    const char *prefix = text_of(request, "prefix"), *id, *next = NULL;
    const char *token = text_of(request, "page_token");
    json_int_t size = json_integer_value(json_object_get(request, "page_size"));
    json_t *out = json_array(), *row;

    if (size <= 0 || size > PAGE_MAX)
        size = PAGE_DEFAULT;
    json_object_foreach(rows, id, row)
    {
        if (strncmp(id, prefix, strlen(prefix)) != 0 || strcmp(id, token) <= 0)
            continue;
        if (json_array_size(out) == (size_t)size) {
            next = text_of(json_array_get(out, (size_t)size - 1), "id");
            break;
        }
        json_array_append(out, row);
    }
    out = json_pack("{s:o}", "schedules", out);
    if (next != NULL)
        json_object_set_new(out, "nextPageToken", json_string(next));
    return work_builtin_reply(ctx, 200, out);
}

int
work_schedule_index_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *action;
    json_t *request = work_builtin_request(ctx, msg, &action);
    json_t *rows;
    int status = 0;

    if (request == NULL)
        return 0;
    rows = index_load(ctx);
    if (strcmp(action, "list") == 0) {
        status = list(ctx, rows, request);
    } else if (strcmp(action, "put") == 0) {
        if (json_object_size(rows) < SCHEDULES_MAX)
            json_object_set(rows, text_of(request, "id"),
                            json_object_get(request, "entry"));
        status = index_save(ctx, rows);
    } else if (strcmp(action, "remove") == 0) {
        json_object_del(rows, text_of(request, "id"));
        status = index_save(ctx, rows);
    } else {
        plex_reply_problem(ctx, 400, "list, put and remove are known");
    }
    json_decref(rows);
    json_decref(request);
    return status;
}
