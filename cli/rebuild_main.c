/*
 * plex-rebuild DIR MODULE BEHAVIOUR ACTOR < INPUT: runs the behaviour's apply()
 * over a state and records, as a worker would that loads the actor, and writes
 * the state; or exits 1 and writes why it cannot. An empty BEHAVIOUR is the
 * actor's type. A process of its own, since a module is code that may do
 * anything. INPUT is text lines, each followed by so many bytes:
 *
 *   state HAS SCHEMA BYTES
 *   record SEQUENCE TIME SCHEMA BYTES     any number of them
 */
#include "common/loop.h"
#include "common/mem.h"
#include "services/worker/handler.h"
#include "services/worker/module.h"
#include "services/worker/run_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SECONDS_MAX = 60, REPLY_ARENA = 1 << 20 };

struct input {
    bool has_state;
    unsigned schema;
    struct plex_bytes state;
    struct journal_record *records;
    size_t n, cap;
};

static void stop(const char *why) __attribute__((noreturn));

static void
stop(const char *why)
{
    (void)printf("%s", why);
    (void)fflush(stdout);
    _exit(1);
}

static struct plex_bytes
bytes_read(size_t len)
{
    uint8_t *data;

    if (len > JOURNAL_STATE_MAX)
        stop("a part of the input is too large");
    data = plex_reallocarray(NULL, 1, len + 1);
    if (fread(data, 1, len, stdin) != len)
        stop("the input is cut off");
    return (struct plex_bytes){data, len};
}

static void
input_read(struct input *input)
{
    struct journal_record record = {0};
    int has_state;
    char line[128];
    size_t len;

    if (fgets(line, sizeof line, stdin) == NULL ||
        sscanf(line, "state %d %u %zu", &has_state, &input->schema, &len) != 3)
        stop("the input has no state");
    input->has_state =
        has_state != 0 && (input->schema & WORK_SCHEMA_NONE) == 0;
    input->state = bytes_read(len);
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (sscanf(line, "record %" SCNu64 " %" SCNu64 " %" SCNu32 " %zu",
                   &record.seq, &record.at_ms, &record.schema_version,
                   &len) != 4)
            stop("the input has a line that is no record");
        record.bytes = bytes_read(len);
        if (input->n == input->cap) {
            input->cap = input->cap == 0 ? 64 : input->cap * 2;
            input->records = plex_reallocarray(input->records, input->cap,
                                               sizeof *input->records);
        }
        input->records[input->n++] = record;
    }
}

static void
rebuild(const struct plex_behaviour *behaviour,
        const struct plex_actor_id *actor, const struct input *input)
{
    struct work_handler *handler = work_handler_create();
    const struct work_action action = {
        .kind = WORK_DO_RUN,
        .token = 1,
        .run = {.how = WORK_RUN_RESTORE,
                .activation = 1,
                .settled = true,
                .durable = true,
                .actor = actor,
                .user = behaviour,
                .request_id = "",
                .state = input->state,
                .has_state = input->has_state,
                .schema_version = input->schema & WORK_SCHEMA_MASK,
                .records = input->records,
                .n_records = input->n},
    };
    const struct work_turn turn = {
        .behaviour = behaviour, .run = &action, .wall_ms = plex_wall_ms()};
    struct work_outcome outcome;
    struct work_reply reply;
    struct plex_arena arena;
    struct plex_err err;

    work_handler_run(handler, &turn, &outcome);
    plex_arena_init(&arena, REPLY_ARENA);
    if (outcome.failed)
        stop(work_reply_unpack(outcome.reply, &arena, &reply, &err) == PLEX_OK
                 ? reply.error
                 : err.text);
    if (!outcome.state_changed)
        outcome.state = input->state;
    (void)fwrite(outcome.state.data, 1, outcome.state.len, stdout);
    (void)fflush(stdout);
    _exit(0);
}

int
main(int argc, char **argv)
{
    const struct plex_behaviour *behaviour;
    struct work_modules *modules;
    struct plex_actor_id actor;
    struct input input = {0};
    struct plex_err err;

    if (argc != 5 || plex_actor_parse(argv[4], &actor, &err) != PLEX_OK) {
        (void)fprintf(stderr, "this is a part of plexspaces actor at\n");
        return 2;
    }
    (void)alarm(SECONDS_MAX);
    input_read(&input);
    modules = work_modules_create(argv[1]);
    if (work_modules_find(modules, argv[2],
                          argv[3][0] == '\0' ? actor.type : argv[3], &behaviour,
                          &err) != PLEX_OK)
        stop(err.text);
    rebuild(behaviour, &actor, &input);
}
