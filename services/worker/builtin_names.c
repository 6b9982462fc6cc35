/* What there is of a kind in a namespace: {ID: row}, written in the order of
 * ids. It changes only when somebody makes, changes or removes one. */
#include "services/worker/builtin_private.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE_DEFAULT = 100, PAGE_MAX = 1000 };

const struct work_names work_group_names = {"actor-group-index", "groups",
                                            10000};
const struct work_names work_pool_names = {"pool-index", "pools", 10000};
const struct work_names work_schedule_names = {"schedule-index", "schedules",
                                               5000};

void
work_names_tell(struct plex_ctx *ctx, const struct work_names *names,
                const char *id, json_t *row)
{
    work_builtin_cast(
        ctx, names->type, names->rows,
        json_pack("{s:s, s:s, s:o}", "action", "put", "id", id, "entry", row));
}

void
work_names_untell(struct plex_ctx *ctx, const struct work_names *names,
                  const char *id)
{
    work_builtin_cast(ctx, names->type, names->rows,
                      json_pack("{s:s, s:s}", "action", "remove", "id", id));
}

static json_t *
rows_load(struct plex_ctx *ctx)
{
    size_t len;
    const void *state = plex_state(ctx, &len);
    json_t *rows = state == NULL ? NULL : json_loadb(state, len, 0, NULL);

    return rows == NULL ? json_object() : rows;
}

static int
rows_save(struct plex_ctx *ctx, const json_t *rows)
{
    char *text = json_dumps(rows, JSON_COMPACT | JSON_SORT_KEYS);

    if (text == NULL)
        return plex_fail(ctx, "the index cannot be written");
    plex_state_put(ctx, text, strlen(text));
    free(text);
    return 0;
}

static const char *
text_of(const json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(object, field));

    return text == NULL ? "" : text;
}

/* Of the type that is asked for, or of any. */
static bool
is_wanted(const json_t *request, const char *id, const json_t *row)
{
    const char *prefix = text_of(request, "prefix");
    const char *type = text_of(request, "actor_type");

    return strncmp(id, prefix, strlen(prefix)) == 0 &&
           strcmp(id, text_of(request, "page_token")) > 0 &&
           (type[0] == '\0' || strcmp(type, text_of(row, "actor_type")) == 0);
}

static int
list(struct plex_ctx *ctx, const struct work_names *names, json_t *rows,
     const json_t *request)
{
    json_int_t size = json_integer_value(json_object_get(request, "page_size"));
    const char *id, *last = NULL;
    json_t *out, *row;
    bool more = false;

    if (size < 0 || size > PAGE_MAX) {
        plex_reply_problem(ctx, 400, "page_size must be 1 to %d", PAGE_MAX);
        return 0;
    }
    if (size == 0)
        size = PAGE_DEFAULT;
    out = json_array();
    json_object_foreach(rows, id, row)
    {
        if (!is_wanted(request, id, row))
            continue;
        more = json_array_size(out) == (size_t)size;
        if (more)
            break;
        json_array_append(out, row);
        last = id;
    }
    out = json_pack("{s:o}", names->rows, out);
    if (more)
        json_object_set_new(out, "nextPageToken", json_string(last));
    return work_builtin_reply(ctx, 200, out);
}

static int
names_call(struct plex_ctx *ctx, const struct plex_msg *msg,
           const struct work_names *names)
{
    const char *action;
    json_t *request = work_builtin_request(ctx, msg, &action);
    json_t *rows;
    int status = 0;

    if (request == NULL)
        return 0;
    rows = rows_load(ctx);
    if (strcmp(action, "list") == 0) {
        status = list(ctx, names, rows, request);
    } else if (strcmp(action, "put") == 0) {
        /* What is one too many works, and is not listed. */
        if (json_object_size(rows) < names->max)
            json_object_set(rows, text_of(request, "id"),
                            json_object_get(request, "entry"));
        status = rows_save(ctx, rows);
    } else if (strcmp(action, "remove") == 0) {
        json_object_del(rows, text_of(request, "id"));
        status = rows_save(ctx, rows);
    } else {
        plex_reply_problem(ctx, 400, "list, put and remove are known");
    }
    json_decref(rows);
    json_decref(request);
    return status;
}

int
work_group_index_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    return names_call(ctx, msg, &work_group_names);
}

int
work_pool_index_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    return names_call(ctx, msg, &work_pool_names);
}

int
work_schedule_index_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    return names_call(ctx, msg, &work_schedule_names);
}
