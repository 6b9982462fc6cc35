/*
 * plex-replay DIR MODULE BEHAVIOUR FILE FIRST: runs the turns of an exported
 * journal again, from turn FIRST on, and says of each whether the code does
 * what was recorded. Nothing is carried out. Prints a line per turn: its
 * number, "same", "differs" or "skipped", and why. A process of its own,
 * since the module may crash.
 */
#include "cli/replay_turn.h"
#include "common/arena.h"
#include "services/journal/export.h"
#include "services/worker/module.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SECONDS_MAX = 10 };

static int
fail(const struct plex_err *err)
{
    (void)printf("error %s\n", err->text);
    return 1;
}

/* One line, whatever is in it. */
static void
say(uint64_t seq, const struct replay_verdict *verdict)
{
    (void)printf("%" PRIu64 " %s ", seq, replay_says(verdict->kind));
    for (const char *c = verdict->why; *c != '\0'; c++)
        (void)putchar((unsigned char)*c < ' ' ? ' ' : *c);
    (void)putchar('\n');
    (void)fflush(stdout);
}

static enum plex_status
replay_all(struct journal_export_file *file,
           const struct journal_export_head *head,
           const struct plex_behaviour *behaviour, uint64_t first,
           struct plex_err *err)
{
    struct replay *replay = replay_create(behaviour, head);
    struct replay_verdict verdict;
    struct journal_past_turn turn;
    enum plex_status status;
    bool end;

    while ((status = journal_export_next(file, &end, &turn, err)) == PLEX_OK &&
           !end) {
        if (turn.seq >= first) {
            (void)alarm(SECONDS_MAX);
            replay_turn(replay, &turn, &verdict);
            (void)alarm(0);
            say(turn.seq, &verdict);
        }
        replay_advance(replay, &turn);
    }
    replay_free(replay);
    return status;
}

int
main(int argc, char **argv)
{
    struct journal_export_file *file = NULL;
    const struct plex_behaviour *behaviour;
    struct journal_export_head head;
    struct work_modules *modules;
    struct plex_err err;
    FILE *in;
    int code = 0;

    if (argc != 6) {
        (void)fprintf(stderr, "this is a part of plexspaces replay\n");
        return 2;
    }
    in = fopen(argv[4], "rb");
    if (in == NULL) {
        (void)plex_err_set(&err, PLEX_INVALID, "file %.120s: %s", argv[4],
                           strerror(errno));
        return fail(&err);
    }
    if (journal_export_open(&file, in, &head, &err) != PLEX_OK)
        return fail(&err);
    modules = work_modules_create(argv[1]);
    if (work_modules_find(modules, argv[2],
                          argv[3][0] == '\0' ? head.actor.type : argv[3],
                          &behaviour, &err) != PLEX_OK ||
        replay_all(file, &head, behaviour, strtoull(argv[5], NULL, 10), &err) !=
            PLEX_OK)
        code = fail(&err);
    journal_export_close(file);
    work_modules_free(modules);
    return code;
}
