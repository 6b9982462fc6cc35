/* States of event-sourced actors, made by their code: the journal has the
 * events, plex-rebuild beside this program runs a module over them. */
#include "cli/past.h"
#include "cli/rest.h"
#include "services/worker/record.h"
#include "services/worker/run_log.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    VIEW_ARENA = 16 << 20,
    PAGE = 1000,
    INPUT_BYTES_MAX = 256 << 20,
    EVENTS_TURNS_MAX = 1000000,
};

json_t *
past_view_events(struct plex_bytes record)
{
    struct plex_arena arena;
    struct work_record of;
    struct plex_err err;
    json_t *events = NULL;

    if (record.len == 0)
        return NULL;
    plex_arena_init(&arena, VIEW_ARENA);
    if (work_record_unpack(record, &arena, &of, &err) == PLEX_OK &&
        of.n_events > 0) {
        events = json_array();
        for (size_t i = 0; i < of.n_events; i++)
            json_array_append_new(
                events, json_pack("{s:s, s:o}", "type", of.events[i].type,
                                  "data", past_view_bytes(of.events[i].data)));
    }
    plex_arena_fini(&arena);
    return events;
}

/* -- what the code is given --------------------------------------------------
 */

static enum plex_status
input_add(struct plex_buf *input, const char *head, struct plex_bytes bytes,
          struct plex_err *err)
{
    const size_t len = strlen(head);
    uint8_t *at = plex_buf_grow(input, len + bytes.len);

    if (at == NULL)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "the events are larger than %d MiB",
                            INPUT_BYTES_MAX >> 20);
    memcpy(at, head, len);
    if (bytes.len > 0)
        memcpy(at + len, bytes.data, bytes.len);
    return PLEX_OK;
}

static enum plex_status
page_get(const struct cli *cli, const char *actor, uint64_t from, uint64_t to,
         json_t **out, struct plex_err *err)
{
    struct rest_path path = {0};
    char number[24];

    rest_path_add(&path, "/api/v1/actors/");
    rest_path_segment(&path, actor);
    rest_path_add(&path, "/history");
    (void)snprintf(number, sizeof number, "%" PRIu64, from);
    rest_path_param(&path, "first_sequence", number);
    (void)snprintf(number, sizeof number, "%" PRIu64, to);
    rest_path_param(&path, "last_sequence", number);
    (void)snprintf(number, sizeof number, "%d", PAGE);
    rest_path_param(&path, "limit", number);
    return rest_get(cli, path.text, out, err);
}

/* The records of a page; how many in *n. */
static enum plex_status
page_add(const json_t *page, struct plex_buf *input, size_t *n,
         struct plex_err *err)
{
    struct journal_past_turn turn;
    struct plex_arena arena;
    enum plex_status status = PLEX_OK;
    const json_t *row;
    char head[96];
    size_t i;

    plex_arena_init(&arena, INPUT_BYTES_MAX);
    json_array_foreach(json_object_get(page, "turns"), i, row)
    {
        status = past_turn(row, &arena, &turn, err);
        if (status != PLEX_OK)
            break;
        if (!turn.rebuilds)
            continue;
        (void)snprintf(head, sizeof head,
                       "record %" PRIu64 " %" PRIu64 " %u %zu\n", turn.seq,
                       turn.at_ms, turn.schema_version, turn.record.len);
        status = input_add(input, head, turn.record, err);
        if (status != PLEX_OK)
            break;
        ++*n;
    }
    plex_arena_fini(&arena);
    return status;
}

/* State and records; *n of these. */
static enum plex_status
input_make(const struct cli *cli, const char *actor,
           const struct journal_was *was, struct plex_buf *input, size_t *n,
           struct plex_err *err)
{
    uint64_t next = was->state_seq + 1;
    enum plex_status status;
    char head[64];
    json_t *page;

    (void)snprintf(head, sizeof head, "state %d %u %zu\n", was->has_state,
                   was->schema_version, was->state.len);
    status = input_add(input, head, was->state, err);
    while (status == PLEX_OK && next != 0 && next <= was->seq) {
        status = page_get(cli, actor, next, was->seq, &page, err);
        if (status != PLEX_OK)
            return status;
        status = page_add(page, input, n, err);
        next = past_u64(page, "nextSequence");
        json_decref(page);
        if (status == PLEX_OK && *n > EVENTS_TURNS_MAX)
            return plex_err_set(err, PLEX_TOO_LARGE,
                                "the state is made of more than %d turns",
                                EVENTS_TURNS_MAX);
    }
    return status;
}

/* -- the code ----------------------------------------------------------------
 */

struct place {
    char program[PATH_MAX + 16];
    char folder[PATH_MAX];
    const char *stem; /* in `folder` */
    const char *behaviour;
    const char *actor;
};

static enum plex_status
place_find(const struct past_code *code, const char *actor, struct place *place,
           struct plex_err *err)
{
    char self[PATH_MAX];
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *name;
    size_t len;

    if (realpath(code->module, place->folder) == NULL)
        return plex_err_set(err, PLEX_INVALID, "module %.120s: %s",
                            code->module, strerror(errno));
    name = strrchr(place->folder, '/');
    *name++ = '\0';
    len = strlen(name);
    if (len <= 3 || strcmp(name + len - 3, ".so") != 0)
        return plex_err_set(err, PLEX_INVALID, "module %.120s must end in .so",
                            code->module);
    name[len - 3] = '\0';
    if (n <= 0)
        return plex_err_set(err, PLEX_INVALID,
                            "cannot find out where this program lies");
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    (void)snprintf(place->program, sizeof place->program, "%s/plex-rebuild",
                   self);
    place->stem = name;
    place->behaviour = code->behaviour;
    place->actor = actor;
    return PLEX_OK;
}

static void
write_all(int fd, struct plex_bytes bytes)
{
    while (bytes.len > 0) {
        const ssize_t n = write(fd, bytes.data, bytes.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* it has ended: its status says how */
        bytes.data += n;
        bytes.len -= (size_t)n;
    }
}

static void
child(const struct place *place, const int in[2], const int out[2])
{
    (void)dup2(in[0], STDIN_FILENO);
    (void)dup2(out[1], STDOUT_FILENO);
    (void)close(in[0]);
    (void)close(in[1]);
    (void)close(out[0]);
    (void)close(out[1]);
    (void)execl(place->program, place->program,
                place->folder[0] == '\0' ? "/" : place->folder, place->stem,
                place->behaviour, place->actor, (char *)NULL);
    _exit(127);
}

static enum plex_status
read_all(int fd, struct plex_buf *out, struct plex_err *err)
{
    uint8_t chunk[65536], *room;
    ssize_t n;

    while ((n = read(fd, chunk, sizeof chunk)) > 0) {
        room = plex_buf_grow(out, (size_t)n);
        if (room == NULL)
            return plex_err_set(err, PLEX_TOO_LARGE, "the code said too much");
        memcpy(room, chunk, (size_t)n);
    }
    return PLEX_OK;
}

/* It reads everything before it says anything. */
static enum plex_status
code_run(const struct place *place, struct plex_bytes input,
         struct plex_buf *output, struct plex_err *err)
{
    int in[2], out[2], status = 0;
    enum plex_status read;
    pid_t pid;

    if (pipe(in) != 0 || pipe(out) != 0)
        return plex_err_set(err, PLEX_UNAVAILABLE, "pipe: %s", strerror(errno));
    (void)signal(SIGPIPE, SIG_IGN); /* the module may end before it reads */
    pid = fork();
    if (pid == 0)
        child(place, in, out);
    (void)close(in[0]);
    (void)close(out[1]);
    if (pid > 0)
        write_all(in[1], input);
    (void)close(in[1]);
    read = read_all(out[0], output, err);
    (void)close(out[0]);
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return plex_err_set(err, PLEX_UNAVAILABLE, "fork: %s", strerror(errno));
    if (WIFSIGNALED(status))
        return plex_err_set(err, PLEX_FAILED,
                            "the module was ended by signal %d (%s)",
                            WTERMSIG(status), strsignal(WTERMSIG(status)));
    if (WEXITSTATUS(status) == 127)
        return plex_err_set(err, PLEX_UNAVAILABLE, "could not run %.200s",
                            place->program);
    if (WEXITSTATUS(status) != 0)
        return plex_err_set(err, PLEX_FAILED, "%.*s", (int)output->len,
                            output->len > 0 ? (const char *)output->data : "");
    return read;
}

enum plex_status
past_rebuild(const struct cli *cli, const char *actor,
             const struct past_code *code, struct plex_arena *arena,
             struct journal_was *was, struct plex_err *err)
{
    struct plex_buf input = {.max = INPUT_BYTES_MAX},
                    output = {.max = JOURNAL_STATE_MAX + 4096};
    enum plex_status status;
    struct place place;
    size_t n = 0;
    uint8_t *copy;

    if (was->state_seq >= was->seq ||
        (was->schema_version & WORK_SCHEMA_OPEN) != 0)
        return PLEX_OK;
    status = input_make(cli, actor, was, &input, &n, err);
    if (status == PLEX_OK && n > 0 && code->module[0] == '\0')
        status = plex_err_set(err, PLEX_INVALID,
                              "the state after turn %" PRIu64 " is made of the "
                              "events of %zu turns since turn %" PRIu64
                              ": name the code with --module FILE.so",
                              was->seq, n, was->state_seq);
    if (status == PLEX_OK && n > 0)
        status = place_find(code, actor, &place, err);
    if (status == PLEX_OK && n > 0)
        status = code_run(&place, (struct plex_bytes){input.data, input.len},
                          &output, err);
    if (status == PLEX_OK && n > 0) {
        copy = plex_arena_alloc(arena, output.len + 1);
        if (copy == NULL)
            status = plex_err_set(err, PLEX_TOO_LARGE,
                                  "the state does not fit into memory");
        else if (output.len > 0)
            memcpy(copy, output.data, output.len);
        was->has_state = true;
        was->state = (struct plex_bytes){copy, output.len};
        was->schema_version = 0; /* nothing of a run */
    }
    plex_buf_free(&input);
    plex_buf_free(&output);
    return status;
}
