/*
 * What ran in a namespace. An execution's row is in a page, found by the hash
 * of its id, so that a change rewrites one small page. Pages "PART.PAGE" that
 * have ever had a row form a list, which begins in the actor "PART":
 *
 *   part  {"head": PAGE, "pages": [PAGE, ...]}
 *   page  {"rows": [ROW, ...], "linked": true, "next": PAGE or null}
 *
 * ROW is {"id","definition","version","status","labels","started_ms",
 * "ended_ms"}; the oldest comes first.
 */
#include "services/worker/builtin_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { PARTS = 64, PAGES = 32, ROWS_MAX = 200, MOVE_MAX = 100 };

struct index {
    struct plex_ctx *ctx;
    json_t *state;
    unsigned part;
    int page; /* -1: the part itself */
};

static void
tell_page(struct plex_ctx *ctx, const char *execution, json_t *message)
{
    const uint64_t hash = XXH3_64bits(execution, strlen(execution));
    char key[16];

    (void)snprintf(key, sizeof key, "%u.%u", (unsigned)(hash % PARTS),
                   (unsigned)(hash / PARTS % PAGES));
    work_builtin_cast(ctx, "workflow-index", key, message);
}

void
work_index_put(struct plex_ctx *ctx, const char *execution, json_t *entry)
{
    tell_page(ctx, execution,
              json_pack("{s:s, s:o}", "action", "put", "entry", entry));
}

void
work_index_remove(struct plex_ctx *ctx, const char *execution)
{
    tell_page(ctx, execution,
              json_pack("{s:s, s:s}", "action", "remove", "id", execution));
}

static const char *
text_of(const json_t *row, const char *field)
{
    const char *text = json_string_value(json_object_get(row, field));

    return text == NULL ? "" : text;
}

/* -- state ------------------------------------------------------------------
 */

/* False: no key of a part or of a page. */
static bool
key_read(struct index *x)
{
    char *end;
    const char *key = plex_self(x->ctx, NULL, NULL, NULL);
    const unsigned long part = strtoul(key, &end, 10);
    unsigned long page;
    char again[16];

    x->page = -1;
    x->part = (unsigned)part;
    if (*end == '.') {
        page = strtoul(end + 1, &end, 10);
        x->page = page < PAGES ? (int)page : 0;
        (void)snprintf(again, sizeof again, "%u.%d", x->part, x->page);
    } else {
        (void)snprintf(again, sizeof again, "%u", x->part);
    }
    return part < PARTS && strcmp(again, key) == 0;
}

static void
state_load(struct index *x)
{
    size_t len;
    const void *state = plex_state(x->ctx, &len);
    json_t *rows;

    x->state = state == NULL ? NULL : json_loadb(state, len, 0, NULL);
    if (json_is_array(x->state)) { /* a part as it was before there were pages
                                    */
        rows = x->state;
        x->state = json_pack("{s:o}", "rows", rows);
    }
    if (x->state == NULL)
        x->state = json_object();
}

static int
state_save(const struct index *x)
{
    char *text = json_dumps(x->state, JSON_COMPACT);

    if (text == NULL)
        return plex_fail(x->ctx, "the index cannot be written");
    plex_state_put(x->ctx, text, strlen(text));
    free(text);
    return 0;
}

/* The state's list of that name, made when it is not there. */
static json_t *
list_of(struct index *x, const char *field)
{
    json_t *list = json_object_get(x->state, field);

    if (list == NULL) {
        list = json_array();
        json_object_set_new(x->state, field, list);
    }
    return list;
}

/* -- rows -------------------------------------------------------------------
 */

/* The oldest that has ended makes room; nothing under way is forgotten while
 * anything else is left. */
static void
make_room(json_t *rows)
{
    size_t i;
    json_t *row;

    if (json_array_size(rows) < ROWS_MAX)
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

/* SIZE_MAX: not there. */
static size_t
row_find(const json_t *rows, const char *id)
{
    size_t i;
    json_t *row;

    json_array_foreach(rows, i, row)
    {
        if (strcmp(text_of(row, "id"), id) == 0)
            return i;
    }
    return SIZE_MAX;
}

static int
put(struct index *x, const json_t *request)
{
    json_t *entry = json_object_get(request, "entry");
    json_t *rows = list_of(x, "rows");
    const size_t i = row_find(rows, text_of(entry, "id"));

    if (i == SIZE_MAX) {
        make_room(rows);
        json_array_append(rows, entry);
    } else if (!json_is_true(json_object_get(request, "moved"))) {
        json_array_set(rows, i, entry);
    }
    if (!json_is_true(json_object_get(x->state, "linked"))) {
        char part[8];

        (void)snprintf(part, sizeof part, "%u", x->part);
        json_object_set_new(x->state, "linked", json_true());
        work_builtin_cast(
            x->ctx, "workflow-index", part,
            json_pack("{s:s, s:i}", "action", "link", "page", x->page));
    }
    return state_save(x);
}

static int
remove_row(struct index *x, const json_t *request)
{
    json_t *rows = list_of(x, "rows");
    const size_t i = row_find(rows, text_of(request, "id"));

    if (i == SIZE_MAX)
        return 0;
    json_array_remove(rows, i);
    return state_save(x);
}

/* -- the list of pages ------------------------------------------------------
 */

static int
link_page(struct index *x, const json_t *request)
{
    json_t *page = json_object_get(request, "page"), *known;
    json_t *pages = list_of(x, "pages"), *head;
    char key[16];
    size_t i;

    json_array_foreach(pages, i, known)
    {
        if (json_equal(known, page))
            return 0;
    }
    head = json_object_get(x->state, "head");
    (void)snprintf(key, sizeof key, "%u.%d", x->part,
                   (int)json_integer_value(page));
    work_builtin_cast(x->ctx, "workflow-index", key,
                      json_pack("{s:s, s:O}", "action", "next", "page",
                                head == NULL ? json_null() : head));
    json_array_append(pages, page);
    json_object_set(x->state, "head", page);
    return state_save(x);
}

static int
next_page(struct index *x, const json_t *request)
{
    json_object_set(x->state, "next", json_object_get(request, "page"));
    return state_save(x);
}

/* Rows of a part as it was before there were pages go to theirs. */
static int
rows_move(struct index *x)
{
    json_t *rows = json_object_get(x->state, "rows"), *row;

    for (unsigned i = 0; i < MOVE_MAX && json_array_size(rows) > 0; i++) {
        row = json_array_get(rows, 0);
        tell_page(x->ctx, text_of(row, "id"),
                  json_pack("{s:s, s:O, s:b}", "action", "put", "entry", row,
                            "moved", 1));
        json_array_remove(rows, 0);
    }
    if (json_array_size(rows) == 0)
        json_object_del(x->state, "rows");
    return state_save(x);
}

/* -- lists ------------------------------------------------------------------
 */

int
work_labels_match(const json_t *has, const char *wanted)
{
    char name[256];
    int match = 1;

    while (*wanted != '\0') {
        const size_t len = strcspn(wanted, ",");
        const char *eq = memchr(wanted, '=', len);
        const char *value;

        if (eq == NULL || eq == wanted || (size_t)(eq - wanted) >= sizeof name)
            return -1;
        (void)snprintf(name, sizeof name, "%.*s", (int)(eq - wanted), wanted);
        value = text_of(has, name);
        eq++;
        if (json_object_get(has, name) == NULL ||
            strlen(value) != len - (size_t)(eq - wanted) ||
            strncmp(value, eq, strlen(value)) != 0)
            match = 0;
        wanted += len + (wanted[len] == ',');
    }
    return match;
}

static bool
is_wanted(const json_t *row, const json_t *request)
{
    const char *status = text_of(request, "status");
    const char *definition = text_of(request, "definition");
    const json_int_t started =
        json_integer_value(json_object_get(row, "started_ms"));
    const json_t *before = json_object_get(request, "started_before_ms");

    return (status[0] == '\0' || strcmp(status, text_of(row, "status")) == 0) &&
           (definition[0] == '\0' ||
            strcmp(definition, text_of(row, "definition")) == 0) &&
           started >= json_integer_value(
                          json_object_get(request, "started_after_ms")) &&
           (before == NULL || started < json_integer_value(before)) &&
           work_labels_match(json_object_get(row, "labels"),
                             text_of(request, "labels")) == 1;
}

/* Where the list goes on; false: it ends here. A page that does not know yet
 * is asked again. */
static bool
next_token(const struct index *x, char token[16])
{
    const json_t *next =
        json_object_get(x->state, x->page < 0 ? "head" : "next");

    if (next == NULL && x->page >= 0 &&
        json_is_true(json_object_get(x->state, "linked")))
        (void)snprintf(token, 16, "%u.%d", x->part, x->page);
    else if (json_is_integer(next))
        (void)snprintf(token, 16, "%u.%d", x->part,
                       (int)json_integer_value(next));
    else if (x->part + 1 < PARTS)
        (void)snprintf(token, 16, "%u", x->part + 1);
    else
        return false;
    return true;
}

static bool
is_status(const char *text)
{
    for (int s = FLOW_PENDING; s <= FLOW_TIMED_OUT; s++)
        if (strcmp(text, flow_status_name((enum flow_status)s)) == 0)
            return true;
    return text[0] == '\0';
}

static int
list(struct index *x, const json_t *request)
{
    json_t *out, *row, *rows = json_object_get(x->state, "rows");
    const bool unlinked =
        x->page >= 0 && json_object_get(x->state, "next") == NULL;
    char token[16];

    if (!is_status(text_of(request, "status"))) {
        plex_reply_problem(x->ctx, 400,
                           "status is PENDING, RUNNING, PAUSED, PARKED, "
                           "COMPLETED, FAILED, CANCELLED, TERMINATED or "
                           "TIMED_OUT");
        return 0;
    }
    if (work_labels_match(NULL, text_of(request, "labels")) < 0) {
        plex_reply_problem(x->ctx, 400,
                           "labels is NAME=VALUE, several with commas");
        return 0;
    }
    out = json_array();
    for (size_t i = json_array_size(rows); i-- > 0 && !unlinked;) {
        row = json_array_get(rows, i);
        if (is_wanted(row, request))
            json_array_append(out, row);
    }
    out = json_pack("{s:o}", "executions", out);
    if (next_token(x, token))
        json_object_set_new(out, "nextPageToken", json_string(token));
    if (x->page < 0 && rows != NULL && rows_move(x) != 0) {
        json_decref(out);
        return -1;
    }
    return work_builtin_reply(x->ctx, 200, out);
}

static int
obey(struct index *x, const char *action, const json_t *request)
{
    static const struct {
        const char *action;
        int (*page)(struct index *x, const json_t *request);
        int (*part)(struct index *x, const json_t *request);
    } rows[] = {
        {"list", list, list},         {"put", put, NULL},
        {"remove", remove_row, NULL}, {"link", NULL, link_page},
        {"next", next_page, NULL},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].action, action) == 0) {
            if (x->page < 0 && rows[i].part != NULL)
                return rows[i].part(x, request);
            if (x->page >= 0 && rows[i].page != NULL)
                return rows[i].page(x, request);
        }
    plex_reply_problem(x->ctx, 400, "action \"%.40s\" is not known here",
                       action);
    return 0;
}

int
work_index_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct index x = {.ctx = ctx};
    const char *action;
    json_t *request = work_builtin_request(ctx, msg, &action);
    int status = 0;

    if (request == NULL)
        return 0;
    if (work_kept_is(plex_self(ctx, NULL, NULL, NULL))) {
        status = work_kept_call(ctx, action, request);
    } else if (key_read(&x)) {
        state_load(&x);
        status = obey(&x, action, request);
        json_decref(x.state);
    } else {
        plex_reply_problem(ctx, 400,
                           "page_token is not one that was given out");
    }
    json_decref(request);
    return status;
}
