/*
 * plex-upgrade-check DIR MODULE BEHAVIOUR ACTOR < RUN: runs the behaviour over
 * a packed open run, as a worker would after it lost the run, up to where the
 * code waits or asks for something new; nothing is carried out. Prints one
 * line: "fits" or "diverges", a blank, and why. A process of its own for each
 * run, since the module is code that nobody has tried.
 */
#include "common/loop.h"
#include "services/worker/handler.h"
#include "services/worker/module.h"
#include "services/worker/run_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SECONDS_MAX = 10, RUN_ARENA = 64 << 20 };
#define CHANGED "the code has changed:"

struct check {
    struct work_outcome outcome;
    struct work_run run;
    bool done;
};

/* The run's code may have written to stdout's buffer: it is ours. */
static void say(const char *verdict, const char *why) __attribute__((noreturn));

static void
say(const char *verdict, const char *why)
{
    (void)printf("%s %s\n", verdict, why);
    (void)fflush(stdout);
    _exit(0);
}

static const struct work_action *
on_wait(void *arg, uint64_t *wall_ms)
{
    const struct check *check = arg;
    const struct work_outcome *outcome = &check->outcome;

    (void)wall_ms;
    if (outcome->phase == WORK_PARKED && outcome->waits_for != NULL &&
        strncmp(outcome->waits_for, CHANGED, strlen(CHANGED)) == 0)
        say("diverges", outcome->waits_for);
    if (outcome->phase == WORK_PARKED)
        say("fits", "is parked");
    if (outcome->phase == WORK_COMMITS)
        say("fits", "goes on behind what is recorded");
    say("fits", outcome->waits_for == NULL ? "waits" : outcome->waits_for);
}

static void
check_run(const struct plex_behaviour *behaviour,
          const struct plex_actor_id *actor, struct plex_bytes packed,
          struct plex_arena *arena)
{
    struct work_handler *handler = work_handler_create();
    struct check check = {0};
    struct work_message message;
    struct work_reply reply;
    struct plex_err err;
    struct work_action action = {.kind = WORK_DO_RUN, .token = 1};
    const struct work_turn turn = {
        .behaviour = behaviour,
        .run = &action,
        .wall_ms = plex_wall_ms(),
        .wait = on_wait,
        .wait_arg = &check,
    };

    if (work_run_unpack(packed, arena, &check.run, &err) != PLEX_OK ||
        work_message_unpack(check.run.message, arena, &message, &err) !=
            PLEX_OK)
        say("diverges", "the recorded run cannot be read");
    action.run.how = WORK_RUN_REPLAY;
    action.run.activation = 1;
    action.run.durable = true;
    action.run.actor = actor;
    action.run.user = behaviour;
    action.run.message = &message;
    action.run.request_id = "";
    action.run.state = packed;
    action.run.has_state = true;
    action.run.schema_version = behaviour->schema_version;
    work_handler_run(handler, &turn, &check.outcome);
    if (check.outcome.failed &&
        work_reply_unpack(check.outcome.reply, arena, &reply, &err) == PLEX_OK)
        say("diverges", reply.error);
    say("fits", "would end");
}

static struct plex_bytes
read_all(void)
{
    struct plex_buf buf = {.max = JOURNAL_STATE_MAX};
    uint8_t chunk[65536], *room;
    size_t n;

    while ((n = fread(chunk, 1, sizeof chunk, stdin)) > 0) {
        room = plex_buf_grow(&buf, n);
        if (room == NULL)
            say("diverges", "the recorded run is too large");
        memcpy(room, chunk, n);
    }
    return (struct plex_bytes){buf.data, buf.len};
}

int
main(int argc, char **argv)
{
    const struct plex_behaviour *behaviour;
    struct work_modules *modules;
    struct plex_actor_id actor;
    struct plex_arena arena;
    struct plex_err err;

    if (argc != 5 || plex_actor_parse(argv[4], &actor, &err) != PLEX_OK) {
        (void)fprintf(stderr, "this is a part of plexspaces upgrade check\n");
        return 2;
    }
    (void)alarm(SECONDS_MAX);
    modules = work_modules_create(argv[1]);
    if (work_modules_find(modules, argv[2], argv[3], &behaviour, &err) !=
        PLEX_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        return 3;
    }
    plex_arena_init(&arena, RUN_ARENA);
    check_run(behaviour, &actor, read_all(), &arena);
}
