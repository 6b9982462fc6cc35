/* The journal of one actor as a file: written, and gone through. */
#include "cli/past.h"
#include "cli/print.h"
#include "cli/replay_module.h"
#include "cli/rest.h"
#include "common/arena.h"
#include "common/loop.h"
#include "services/journal/export.h"
#include "services/worker/run_log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAST_ARENA = 128 << 20, LINE_MAX_BYTES = 64, PAGE = 1000 };

/* -- export ------------------------------------------------------------------
 */

struct export
{
    const struct cli *cli;
    char actor[PLEX_ACTOR_NAME_MAX + 1];
    char parts[PLEX_ACTOR_NAME_MAX + 1]; /* of `id` */
    struct plex_actor_id id;
    struct plex_arena head, arena; /* of the head, of one page */
    struct journal_export_file *file;
    uint64_t turns;
};

static enum plex_status
page_get(struct export *export, uint64_t from, json_t **out,
         struct plex_err *err)
{
    struct rest_path path = {0};
    char number[24];

    rest_path_add(&path, "/api/v1/actors/");
    rest_path_segment(&path, export->actor);
    rest_path_add(&path, "/history?with_state=true");
    path.query = true;
    (void)snprintf(number, sizeof number, "%" PRIu64, from);
    rest_path_param(&path, "first_sequence", number);
    (void)snprintf(number, sizeof number, "%d", PAGE);
    rest_path_param(&path, "limit", number);
    return rest_get(export->cli, path.text, out, err);
}

/* Its oldest turn may need the state that was there before. */
static enum plex_status
export_begin(struct export *export, FILE *file, const json_t *page,
             struct plex_err *err)
{
    struct journal_export_head head = {
        .actor = export->id,
        .at_ms = plex_wall_ms(),
        .oldest_seq = past_u64(page, "oldestSequence"),
        .newest_seq = past_u64(page, "newestSequence"),
    };

    if (head.oldest_seq > 1)
        head.has_base =
            past_at(export->cli, export->actor,
                    &(struct past_of){.sequence = head.oldest_seq - 1,
                                      .stored = true},
                    &export->head, &head.base, err) == PLEX_OK;
    return journal_export_create(&export->file, file, &head, err);
}

static enum plex_status
export_page(struct export *export, const json_t *page, struct plex_err *err)
{
    struct journal_past_turn turn;
    const json_t *row;
    size_t i;

    plex_arena_reset(&export->arena);
    json_array_foreach(json_object_get(page, "turns"), i, row)
    {
        if (past_turn(row, &export->arena, &turn, err) != PLEX_OK ||
            journal_export_turn(export->file, &turn, err) != PLEX_OK)
            return err->status;
        export->turns++;
    }
    return PLEX_OK;
}

static enum plex_status
export_all(struct export *export, const char *name, struct plex_err *err)
{
    enum plex_status status;
    uint64_t next;
    json_t *page;
    FILE *file;

    if (page_get(export, 1, &page, err) != PLEX_OK)
        return err->status;
    if (past_u64(page, "newestSequence") == 0) {
        json_decref(page);
        return plex_err_set(err, PLEX_NOT_FOUND,
                            "the journal has no turns of %.120s",
                            export->actor);
    }
    file = fopen(name, "wb");
    if (file == NULL) {
        json_decref(page);
        return plex_err_set(err, PLEX_INVALID, "file %.120s: %s", name,
                            strerror(errno));
    }
    status = export_begin(export, file, page, err);
    while (status == PLEX_OK) {
        status = export_page(export, page, err);
        next = past_u64(page, "nextSequence");
        json_decref(page);
        page = NULL;
        if (status != PLEX_OK || next == 0)
            break;
        status = page_get(export, next, &page, err);
    }
    json_decref(page);
    status = journal_export_finish(export->file, status, err);
    if (status != PLEX_OK)
        (void)unlink(name);
    return status;
}

int
cli_actor_export(const struct cli *cli, const struct cli_args *args,
                 const void *config)
{
    struct export export = {.cli = cli};
    struct plex_err err;
    int code = 0;

    (void)config;
    if (past_actor(args->values[0], export.actor, &err) != PLEX_OK)
        return cli_fail(&err);
    memcpy(export.parts, export.actor, sizeof export.parts);
    if (plex_actor_parse(export.parts, &export.id, &err) != PLEX_OK)
        return cli_fail(&err);
    plex_arena_init(&export.head, PAST_ARENA);
    plex_arena_init(&export.arena, PAST_ARENA);
    if (export_all(&export, args->values[1], &err) != PLEX_OK)
        code = cli_fail(&err);
    else
        (void)printf("%" PRIu64 " turns\n", export.turns);
    plex_arena_fini(&export.head);
    plex_arena_fini(&export.arena);
    return code;
}

/* -- replay ------------------------------------------------------------------
 */

struct replay_config {
    bool step;
    struct replay_code code;
};
const struct plex_option cli_replay_options[] = {
    {"step", PLEX_OPTION_BOOL, offsetof(struct replay_config, step), "false",
     "one turn at a time: n forwards, p backwards, a number goes there, q ends",
     0, 0},
    {"module", PLEX_OPTION_STRING, offsetof(struct replay_config, code.module),
     "", "file of the code to run each turn with, to compare what it does", 0,
     0},
    {"behaviour", PLEX_OPTION_STRING,
     offsetof(struct replay_config, code.behaviour), "",
     "in that file; empty: called like the type", 0, 0},
    {0},
};

/* The log of an open run grows by what the records of its turns add. */
struct run_log {
    bool open;
    struct plex_buf packed;
};

static void
run_log_take(struct run_log *log, struct plex_bytes packed)
{
    struct plex_buf next = {.max = JOURNAL_STATE_MAX};
    uint8_t *at = packed.len == 0 ? NULL : plex_buf_grow(&next, packed.len);

    if (at != NULL)
        memcpy(at, packed.data, packed.len);
    plex_buf_free(&log->packed);
    log->packed = next;
}

/* The state after a turn that only says what it added; NULL: it is another. */
static json_t *
run_log_add(struct run_log *log, const struct journal_past_turn *turn)
{
    struct plex_buf next = {.max = JOURNAL_STATE_MAX};
    struct plex_err err;

    if (turn->has_state) {
        log->open = (turn->schema_version & WORK_SCHEMA_OPEN) != 0;
        if (log->open)
            run_log_take(log, turn->state);
        return NULL;
    }
    if (!log->open || !turn->rebuilds)
        return NULL;
    if (work_run_fold((struct plex_bytes){log->packed.data, log->packed.len},
                      &turn->record, 1, &next, &err) != PLEX_OK) {
        plex_buf_free(&next);
        log->open = false;
        return NULL;
    }
    plex_buf_free(&log->packed);
    log->packed = next;
    return past_view_state(true, (struct plex_bytes){next.data, next.len},
                           turn->schema_version);
}

/* Every turn with the state after it, also where it did not change. */
static enum plex_status
turns_read(struct journal_export_file *file,
           const struct journal_export_head *head, json_t *turns,
           struct plex_err *err)
{
    json_t *state =
        head->has_base ? past_view_state(head->base.has_state, head->base.state,
                                         head->base.schema_version)
                       : json_null();
    struct journal_past_turn turn;
    struct run_log log = {0};
    enum plex_status status;
    bool end;

    if (head->has_base && head->base.has_state &&
        (head->base.schema_version & WORK_SCHEMA_OPEN) != 0) {
        log.open = true;
        run_log_take(&log, head->base.state);
    }
    while ((status = journal_export_next(file, &end, &turn, err)) == PLEX_OK &&
           !end) {
        json_t *view = past_view_turn(&turn);
        json_t *grown = run_log_add(&log, &turn);

        json_object_set_new(view, "changed",
                            json_boolean(turn.has_state || grown != NULL));
        if (grown != NULL)
            json_object_set_new(view, "state", grown);
        if (turn.has_state || grown != NULL) {
            json_decref(state);
            state = json_incref(json_object_get(view, "state"));
        } else {
            json_object_set(view, "state", state);
        }
        json_array_append_new(turns, view);
    }
    json_decref(state);
    plex_buf_free(&log.packed);
    return status;
}

static void
value_print(const char *title, const json_t *value)
{
    char *text = json_dumps(value, JSON_INDENT(2) | JSON_ENCODE_ANY);

    (void)printf("  %-8s %s\n", title, text == NULL ? "" : text);
    free(text);
}

static void
turn_print(const json_t *turn, size_t n)
{
    const char *time = json_string_value(json_object_get(turn, "time"));
    const char *title =
        json_is_true(json_object_get(turn, "changed")) ? "state" : "state =";
    const char *verdict = json_string_value(json_object_get(turn, "verdict"));
    const char *why = json_string_value(json_object_get(turn, "why"));

    (void)printf("turn %" JSON_INTEGER_FORMAT " of %zu  %s\n",
                 json_integer_value(json_object_get(turn, "sequence")), n,
                 time == NULL ? "" : time);
    value_print("message", json_object_get(turn, "message"));
    if (json_object_get(turn, "input") != NULL)
        value_print("input", json_object_get(turn, "input"));
    if (json_object_get(turn, "commands") != NULL)
        value_print("asks", json_object_get(turn, "commands"));
    value_print("reply", json_object_get(turn, "reply"));
    value_print(title, json_object_get(turn, "state"));
    if (verdict != NULL)
        (void)printf("  %-8s %s%s%s\n", "run", verdict,
                     why[0] == '\0' ? "" : ": ", why);
}

/* Where a line of input leads; false: to the end. */
static bool
step_read(const json_t *turns, size_t *at)
{
    const size_t n = json_array_size(turns);
    const json_int_t first = json_integer_value(
        json_object_get(json_array_get(turns, 0), "sequence"));
    char line[LINE_MAX_BYTES];
    long long wanted;

    for (;;) {
        (void)fputs("n, p, a number or q: ", stderr);
        if (fgets(line, sizeof line, stdin) == NULL || line[0] == 'q')
            return false;
        wanted = (line[0] == 'n' || line[0] == '\n') ? (long long)*at + 1
                 : line[0] == 'p'                    ? (long long)*at - 1
                 : line[0] >= '0' && line[0] <= '9'  ? atoll(line) - first
                                                     : -2;
        if (wanted >= 0 && wanted < (long long)n)
            break;
        (void)printf(wanted == -2 ? "n, p, a number or q\n"
                     : wanted < 0 ? "that is before the first turn\n"
                                  : "that is after the last turn\n");
    }
    *at = (size_t)wanted;
    return true;
}

static void
replay_print(const struct cli *cli, const struct journal_export_head *head,
             const json_t *turns, bool step)
{
    const size_t n = json_array_size(turns);
    char actor[PLEX_ACTOR_NAME_MAX + 1];
    size_t at = 0;

    if (cli->json) {
        print_json(turns);
        return;
    }
    plex_actor_format(&head->actor, actor, sizeof actor);
    (void)printf("%s, turns %" PRIu64 " to %" PRIu64 "\n", actor,
                 head->oldest_seq, head->newest_seq);
    if (n == 0)
        return;
    if (!step) {
        for (size_t i = 0; i < n; i++)
            turn_print(json_array_get(turns, i), n);
        return;
    }
    do
        turn_print(json_array_get(turns, at), n);
    while (step_read(turns, &at));
}

/* How many turns do something else now. */
static size_t
replay_differs(const struct cli *cli, const json_t *turns)
{
    size_t n = json_array_size(turns), same = 0, skipped = 0, i;
    const json_t *turn;

    json_array_foreach(turns, i, turn)
    {
        const char *verdict =
            json_string_value(json_object_get(turn, "verdict"));

        same += verdict != NULL && strcmp(verdict, "same") == 0;
        skipped += verdict != NULL && strcmp(verdict, "skipped") == 0;
    }
    if (!cli->json)
        (void)printf("%zu turns: %zu do the same, %zu differ, %zu skipped\n", n,
                     same, n - same - skipped, skipped);
    return n - same - skipped;
}

int
cli_replay(const struct cli *cli, const struct cli_args *args,
           const void *config)
{
    const struct replay_config *replay = config;
    const bool runs = replay->code.module[0] != '\0';
    struct journal_export_file *file = NULL;
    FILE *in = fopen(args->values[0], "rb");
    struct journal_export_head head;
    json_t *turns = json_array();
    struct plex_err err;
    int code = 0;

    if (in == NULL)
        (void)plex_err_set(&err, PLEX_INVALID, "file %.120s: %s",
                           args->values[0], strerror(errno));
    if (in == NULL || journal_export_open(&file, in, &head, &err) != PLEX_OK ||
        turns_read(file, &head, turns, &err) != PLEX_OK ||
        (runs &&
         replay_module(&replay->code, args->values[0], turns, &err) != PLEX_OK))
        code = cli_fail(&err);
    else
        replay_print(cli, &head, turns, replay->step);
    if (code == 0 && runs && replay_differs(cli, turns) > 0)
        code = CLI_EXIT_REFUSED;
    journal_export_close(file);
    json_decref(turns);
    return code;
}
