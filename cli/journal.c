/* The past of durable actors: history, at, diff; and the journal's chain. */
#include "cli/past.h"
#include "cli/print.h"
#include "cli/rest.h"
#include "common/context.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROW_TEXT_MAX = 60, PAST_ARENA = 64 << 20, DIFF_PATH_MAX = 512 };

struct history_config {
    uint64_t from;
    uint32_t limit;
};
struct diff_config {
    struct past_code code;
};

const struct plex_option cli_history_options[] = {
    {"from", PLEX_OPTION_U64, offsetof(struct history_config, from), "0",
     "first turn; 0: the newest ones", 0, 0},
    {"limit", PLEX_OPTION_U32, offsetof(struct history_config, limit), "50",
     "turns", 1, JOURNAL_HISTORY_MAX},
    {0},
};
const struct plex_option cli_at_options[] = {
    {"sequence", PLEX_OPTION_U64, offsetof(struct past_when, sequence), "0",
     "after this turn", 0, 0},
    {"time", PLEX_OPTION_STRING, offsetof(struct past_when, time), "",
     "at this time: ms since 1970, or UTC as 2026-01-31T12:00:00Z", 0, 0},
    {"module", PLEX_OPTION_STRING, offsetof(struct past_when, code.module), "",
     "file of the code, for a state that is made of events", 0, 0},
    {"behaviour", PLEX_OPTION_STRING,
     offsetof(struct past_when, code.behaviour), "",
     "in that file; empty: called like the type", 0, 0},
    {0},
};
const struct plex_option cli_diff_options[] = {
    {"module", PLEX_OPTION_STRING, offsetof(struct diff_config, code.module),
     "", "file of the code, for a state that is made of events", 0, 0},
    {"behaviour", PLEX_OPTION_STRING,
     offsetof(struct diff_config, code.behaviour), "",
     "in that file; empty: called like the type", 0, 0},
    {0},
};

static const struct print_column history_columns[] = {
    {"TURN", "sequence", PRINT_TEXT, NULL},
    {"TIME", "time", PRINT_TEXT, NULL},
    {"MESSAGE", "message", PRINT_TEXT, NULL},
    {"INPUT", "input", PRINT_TEXT, NULL},
    {"REPLY", "reply", PRINT_TEXT, NULL},
    {"EVENTS", "events", PRINT_TEXT, NULL},
    {"STATE", "state", PRINT_TEXT, NULL},
    {0},
};

/* -- history -----------------------------------------------------------------
 */

/* A value as one short line of text. */
static void
shorten(json_t *view, const char *field)
{
    json_t *value = json_object_get(view, field);
    char *text;

    if (value == NULL || json_is_string(value) || json_is_integer(value))
        return;
    if (json_is_null(value)) {
        json_object_set_new(view, field, json_string(""));
        return;
    }
    text =
        json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    if (text != NULL && strlen(text) > ROW_TEXT_MAX)
        memcpy(text + ROW_TEXT_MAX - 3, "...", 4);
    json_object_set_new(view, field, json_string(text));
    free(text);
}

/* Events by their types. */
static void
events_shorten(json_t *view)
{
    char text[ROW_TEXT_MAX + 1] = "";
    const json_t *event;
    size_t i, len = 0;

    json_array_foreach(json_object_get(view, "events"), i, event)
    {
        const char *type = json_string_value(json_object_get(event, "type"));

        if (len + strlen(type) + 6 > sizeof text) {
            len += (size_t)snprintf(text + len, sizeof text - len, "...");
            break;
        }
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s",
                                i > 0 ? ", " : "", type);
    }
    json_object_set_new(view, "events", json_string(text));
}

/* What came: a timer by its name, a message by its payload. */
static void
input_shorten(json_t *view)
{
    json_t *input = json_object_get(view, "input");
    json_t *what = json_object_get(input, "payload");

    if (json_is_string(input))
        return;
    if (what == NULL)
        what = json_object_get(input, "timer");
    if (what == NULL)
        what = json_object_get(input, "what");
    json_object_set_new(view, "input",
                        what == NULL ? json_string("") : json_incref(what));
    shorten(view, "input");
}

static enum plex_status
history_views(const json_t *reply, json_t *views, struct plex_err *err)
{
    struct plex_arena arena;
    struct journal_past_turn turn;
    enum plex_status status = PLEX_OK;
    const json_t *row;
    size_t i;

    plex_arena_init(&arena, PAST_ARENA);
    json_array_foreach(json_object_get(reply, "turns"), i, row)
    {
        status = past_turn(row, &arena, &turn, err);
        if (status != PLEX_OK)
            break;
        json_array_append_new(views, past_view_turn(&turn));
    }
    plex_arena_fini(&arena);
    return status;
}

static void
history_print(const struct cli *cli, json_t *views, const json_t *reply)
{
    const uint64_t oldest = past_u64(reply, "oldestSequence");
    json_t *view;
    size_t i;

    if (cli->json) {
        print_json(views);
        return;
    }
    json_array_foreach(views, i, view)
    {
        events_shorten(view);
        shorten(view, "reply");
        shorten(view, "state");
        shorten(view, "message");
        input_shorten(view);
    }
    print_table(history_columns, views);
    if (oldest > 1)
        (void)printf("turns before %" PRIu64 " are no longer kept\n", oldest);
    if (past_u64(reply, "nextSequence") != 0)
        (void)printf("more: --from %" PRIu64 "\n",
                     past_u64(reply, "nextSequence"));
}

int
cli_actor_history(const struct cli *cli, const struct cli_args *args,
                  const void *config)
{
    const struct history_config *history = config;
    char actor[PLEX_ACTOR_NAME_MAX + 1], number[24];
    struct rest_path path = {0};
    json_t *reply, *views;
    struct plex_err err;
    int code = 0;

    if (past_actor(args->values[0], actor, &err) != PLEX_OK)
        return cli_fail(&err);
    rest_path_add(&path, "/api/v1/actors/");
    rest_path_segment(&path, actor);
    rest_path_add(&path, "/history?with_state=true");
    path.query = true;
    (void)snprintf(number, sizeof number, "%" PRIu64, history->from);
    rest_path_param(&path, "first_sequence", number);
    (void)snprintf(number, sizeof number, "%u", history->limit);
    rest_path_param(&path, "limit", number);
    if (rest_get(cli, path.text, &reply, &err) != PLEX_OK)
        return cli_fail(&err);
    views = json_array();
    if (history_views(reply, views, &err) != PLEX_OK)
        code = cli_fail(&err);
    else
        history_print(cli, views, reply);
    json_decref(views);
    json_decref(reply);
    return code;
}

/* -- at ----------------------------------------------------------------------
 */

enum plex_status
past_time(const char *text, uint64_t *ms, struct plex_err *err)
{
    struct tm utc = {0};
    const char *end;
    char *number_end;
    long long seconds;

    errno = 0;
    *ms = strtoull(text, &number_end, 10);
    if (text[0] >= '0' && text[0] <= '9' && *number_end == '\0' && errno == 0 &&
        *ms > 0)
        return PLEX_OK;
    end = strptime(text, "%Y-%m-%dT%H:%M:%S", &utc);
    seconds = end == NULL ? -1 : (long long)timegm(&utc);
    if (seconds <= 0 || (strcmp(end, "Z") != 0 && end[0] != '.'))
        return plex_err_set(err, PLEX_INVALID,
                            "time %.60s must be ms since 1970, or UTC as "
                            "2026-01-31T12:00:00Z or ...00.123Z",
                            text);
    *ms = (uint64_t)seconds * 1000;
    if (end[0] == '.') {
        unsigned fraction;
        int used = 0;

        if (sscanf(end, ".%3uZ%n", &fraction, &used) != 1 || used != 5 ||
            end[used] != '\0')
            return plex_err_set(err, PLEX_INVALID,
                                "time %.60s must end as .123Z", text);
        *ms += fraction;
    }
    return PLEX_OK;
}

static json_t *
was_view(const char *actor, const struct journal_was *was)
{
    json_t *state =
        past_view_state(was->has_state, was->state, was->schema_version);

    return json_pack("{s:s, s:I, s:I, s:I, s:o}", "actor", actor, "sequence",
                     (json_int_t)was->seq, "newestSequence",
                     (json_int_t)was->newest_seq, "stateSequence",
                     (json_int_t)was->state_seq, "state", state);
}

static void
was_print(const json_t *view, const struct journal_was *was)
{
    char *text = json_dumps(json_object_get(view, "state"),
                            JSON_INDENT(2) | JSON_ENCODE_ANY);

    (void)printf("after turn %" PRIu64 " of %" PRIu64 "\n%s\n", was->seq,
                 was->newest_seq, text);
    free(text);
}

int
cli_actor_at(const struct cli *cli, const struct cli_args *args,
             const void *config)
{
    const struct past_when *at = config;
    char actor[PLEX_ACTOR_NAME_MAX + 1];
    struct plex_arena arena;
    struct journal_was was;
    struct plex_err err;
    uint64_t time_ms = 0;
    json_t *view;
    int code = 0;

    if (past_actor(args->values[0], actor, &err) != PLEX_OK ||
        (at->time[0] != '\0' && past_time(at->time, &time_ms, &err) != PLEX_OK))
        return cli_fail(&err);
    plex_arena_init(&arena, PAST_ARENA);
    if (past_at(cli, actor,
                &(struct past_of){at->sequence, time_ms,
                                  at->code.module[0] != '\0'},
                &arena, &was, &err) != PLEX_OK ||
        past_rebuild(cli, actor, &at->code, &arena, &was, &err) != PLEX_OK) {
        code = cli_fail(&err);
    } else {
        view = was_view(actor, &was);
        if (cli->json)
            print_json(view);
        else
            was_print(view, &was);
        json_decref(view);
    }
    plex_arena_fini(&arena);
    return code;
}

/* -- diff --------------------------------------------------------------------
 */

static void
diff_add(json_t *rows, const char *path, json_t *from, json_t *to)
{
    json_t *row = json_pack("{s:s}", "path", path);

    if (row == NULL) /* cut in the middle of a character */
        row = json_pack("{s:s}", "path", "...");
    if (from != NULL)
        json_object_set(row, "from", from);
    if (to != NULL)
        json_object_set(row, "to", to);
    json_array_append_new(rows, row);
}

static void diff(json_t *rows, const char *path, json_t *from, json_t *to);

static void
diff_members(json_t *rows, const char *path, json_t *from, json_t *to)
{
    char member[DIFF_PATH_MAX];
    const char *name;
    json_t *value;

    json_object_foreach(from, name, value)
    {
        (void)snprintf(member, sizeof member, "%s/%s", path, name);
        diff(rows, member, value, json_object_get(to, name));
    }
    json_object_foreach(to, name, value)
    {
        (void)snprintf(member, sizeof member, "%s/%s", path, name);
        if (json_object_get(from, name) == NULL)
            diff_add(rows, member, NULL, value);
    }
}

/* `path` is a JSON Pointer, as far as names need no escapes. jansson bounds
 * how deep values are. */
static void
diff(json_t *rows, const char *path, json_t *from, json_t *to)
{
    char member[DIFF_PATH_MAX];

    if (json_equal(from, to))
        return;
    if (json_is_object(from) && json_is_object(to)) {
        diff_members(rows, path, from, to);
    } else if (json_is_array(from) && json_is_array(to)) {
        const size_t n = json_array_size(from) > json_array_size(to)
                             ? json_array_size(from)
                             : json_array_size(to);

        for (size_t i = 0; i < n; i++) {
            (void)snprintf(member, sizeof member, "%s/%zu", path, i);
            diff(rows, member, json_array_get(from, i), json_array_get(to, i));
        }
    } else {
        diff_add(rows, path, from, to);
    }
}

static void
diff_line(char sign, const json_t *row, const char *field)
{
    const json_t *value = json_object_get(row, field);
    const char *path = json_string_value(json_object_get(row, "path"));
    char *text = value == NULL
                     ? NULL
                     : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

    if (text != NULL)
        (void)printf("%c %s: %s\n", sign, path[0] == '\0' ? "/" : path, text);
    free(text);
}

static void
diff_print(const struct cli *cli, const json_t *rows)
{
    const json_t *row;
    size_t i;

    if (cli->json) {
        print_json(rows);
        return;
    }
    if (json_array_size(rows) == 0)
        (void)printf("no difference\n");
    json_array_foreach(rows, i, row)
    {
        diff_line('-', row, "from");
        diff_line('+', row, "to");
    }
}

static enum plex_status
state_at(const struct cli *cli, const char *actor, const char *sequence,
         const struct past_code *code, json_t **out, struct plex_err *err)
{
    struct journal_was was;
    struct plex_arena arena;
    enum plex_status status;
    char *end;
    uint64_t turn;

    errno = 0;
    turn = strtoull(sequence, &end, 10);
    if (sequence[0] < '0' || sequence[0] > '9' || *end != '\0' || errno != 0 ||
        turn == 0)
        return plex_err_set(err, PLEX_INVALID,
                            "turn %.40s must be a number from 1 on", sequence);
    plex_arena_init(&arena, PAST_ARENA);
    status = past_at(
        cli, actor,
        &(struct past_of){.sequence = turn, .stored = code->module[0] != '\0'},
        &arena, &was, err);
    if (status == PLEX_OK)
        status = past_rebuild(cli, actor, code, &arena, &was, err);
    if (status == PLEX_OK)
        *out = past_view_state(was.has_state, was.state, was.schema_version);
    plex_arena_fini(&arena);
    return status;
}

int
cli_actor_diff(const struct cli *cli, const struct cli_args *args,
               const void *config)
{
    const struct past_code *with = &((const struct diff_config *)config)->code;
    char actor[PLEX_ACTOR_NAME_MAX + 1];
    json_t *from = NULL, *to = NULL, *rows;
    struct plex_err err;
    int code = 0;

    if (past_actor(args->values[0], actor, &err) != PLEX_OK ||
        state_at(cli, actor, args->values[1], with, &from, &err) != PLEX_OK ||
        state_at(cli, actor, args->values[2], with, &to, &err) != PLEX_OK) {
        code = cli_fail(&err);
    } else {
        rows = json_array();
        diff(rows, "", from, to);
        diff_print(cli, rows);
        json_decref(rows);
    }
    json_decref(from);
    json_decref(to);
    return code;
}
