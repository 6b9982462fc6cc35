#ifndef CLI_PAST_H
#define CLI_PAST_H

#include "cli/cli.h"

#include "common/arena.h"
#include "services/journal/types.h"

/*
 * The past of actors, for people: journal.c, backup.c, replay.c, upgrade.c
 * (docs/timetravel.md), and what they share.
 */
typedef int cli_past_fn(const struct cli *cli, const struct cli_args *args,
                        const void *config);

cli_past_fn cli_actor_history, cli_actor_at, cli_actor_diff, cli_actor_export;
cli_past_fn cli_actor_set_state, cli_actor_restore, cli_actor_fork,
    cli_actor_checkpoint, cli_actor_forget;
cli_past_fn cli_journal_stats, cli_journal_truncate;
cli_past_fn cli_journal_enable, cli_journal_verify, cli_journal_shred,
    cli_replay, cli_upgrade_check;
cli_past_fn cli_backup_create, cli_backup_list, cli_backup_restore;

extern const struct plex_option cli_history_options[];
extern const struct plex_option cli_at_options[]; /* restore and fork, too */
extern const struct plex_option cli_set_state_options[];
extern const struct plex_option cli_diff_options[];
extern const struct plex_option cli_replay_options[];
extern const struct plex_option cli_stream_options[];
extern const struct plex_option cli_upgrade_options[];

/* Rows of the table of commands. */
// clang-format off
#define CLI_PAST_ACTOR_COMMANDS \
    {"actor", "history", "ACTOR", 1, 1, "the turns of a durable actor", \
     cli_history_options, cli_actor_history}, \
    {"actor", "at", "ACTOR", 1, 1, \
     "its state after a turn, or at a time, beside the live one", \
     cli_at_options, cli_actor_at}, \
    {"actor", "diff", "ACTOR TURN TURN", 3, 3, \
     "what differs between its states after two turns", cli_diff_options, \
     cli_actor_diff}, \
    {"actor", "export", "ACTOR FILE", 2, 2, \
     "write its journal to a file, for replay", NULL, cli_actor_export}, \
    {"actor", "set-state", "ACTOR STATE", 2, 2, \
     "a turn that puts this state, a text", cli_set_state_options, \
     cli_actor_set_state}, \
    {"actor", "restore", "ACTOR", 1, 1, \
     "its state after a turn, or at a time, is its state again", \
     cli_at_options, cli_actor_restore}, \
    {"actor", "fork", "ACTOR NEW", 2, 2, \
     "another actor that begins with its state, or one it had", \
     cli_at_options, cli_actor_fork}, \
    {"actor", "checkpoint", "ACTOR", 1, 1, \
     "write its whole state: it is rebuilt from there", NULL, \
     cli_actor_checkpoint}, \
    {"actor", "forget", "ACTOR", 1, 1, "it has no state from now on", NULL, \
     cli_actor_forget}
#define CLI_PAST_COMMANDS \
    {"", "replay", "FILE", 1, 1, "look at an exported journal, turn by turn", \
     cli_replay_options, cli_replay}, \
    {"journal", "enable", "", 0, 0, "let a namespace have event streams", \
     cli_stream_options, cli_journal_enable}, \
    {"journal", "verify", "[ACTOR]", 0, 1, \
     "compute the chain of hashes again; exits 1 when it is broken", NULL, \
     cli_journal_verify}, \
    {"journal", "stats", "[ACTOR]", 0, 1, \
     "how much it has of an actor, or of all", NULL, cli_journal_stats}, \
    {"journal", "truncate", "ACTOR TURN", 2, 2, \
     "let go the turns up to that one, but for what is needed", NULL, \
     cli_journal_truncate}, \
    {"journal", "shred", "TENANT", 1, 1, \
     "destroy the keys of the tenant: nothing of it can be read again", NULL, \
     cli_journal_shred}, \
    {"backup", "create", "NAME", 1, 1, "of the running journal", NULL, \
     cli_backup_create}, \
    {"backup", "list", "", 0, 0, "the backups there are", NULL, \
     cli_backup_list}, \
    {"backup", "restore", "NAME", 1, 1, "into an empty journal", NULL, \
     cli_backup_restore}, \
    {"upgrade", "check", "", 0, 0, \
     "would a new module fit the runs that wait? exits 1 unless all fit", \
     cli_upgrade_options, cli_upgrade_check}
// clang-format on

/* TYPE/KEY, NAMESPACE/TYPE/KEY or all four parts, as all four. */
PLEX_MUST_USE enum plex_status past_actor(const char *text,
                                          char full[PLEX_ACTOR_NAME_MAX + 1],
                                          struct plex_err *err);

/* "2026-01-31T12:00:00Z", or ms since 1970. */
PLEX_MUST_USE enum plex_status past_time(const char *text, uint64_t *ms,
                                         struct plex_err *err);

/* -- what the gateway answers with -- */

uint64_t past_u64(const json_t *object, const char *field);
/* A field of base64; bytes are in `arena`. */
PLEX_MUST_USE enum plex_status past_bytes(const json_t *object,
                                          const char *field,
                                          struct plex_arena *arena,
                                          struct plex_bytes *out,
                                          struct plex_err *err);
PLEX_MUST_USE enum plex_status past_turn(const json_t *object,
                                         struct plex_arena *arena,
                                         struct journal_past_turn *out,
                                         struct plex_err *err);
/* GET .../at of `actor`, all four parts; 0 and 0: now. `was` borrows from
 * `arena`. */
struct past_of {
    uint64_t sequence, time_ms; /* 0, 0: now */
    bool stored;                /* not made of events by the server */
};
PLEX_MUST_USE enum plex_status past_at(const struct cli *cli, const char *actor,
                                       const struct past_of *when,
                                       struct plex_arena *arena,
                                       struct journal_was *was,
                                       struct plex_err *err);

/* -- states that only the code can make: rebuild.c -- */

/* The code of an event-sourced actor. */
struct past_code {
    const char *module;    /* its file; "": none is named */
    const char *behaviour; /* "": it is called like the type */
};
/* What cli_at_options fill. */
struct past_when {
    uint64_t sequence;
    const char *time;
    struct past_code code;
};
/* Go through the events between the state in `was` and its turn, with the code,
 * in a process of its own: `was` has the state of the turn afterwards. Does
 * nothing where there are none. PLEX_INVALID: there are, and no code is named.
 */
PLEX_MUST_USE enum plex_status past_rebuild(
    const struct cli *cli, const char *actor, const struct past_code *code,
    struct plex_arena *arena, struct journal_was *was, struct plex_err *err);

/* -- upgrade_definition.c -- */

struct past_definition {
    const char *file, *workflow, *language;
};
/* Could the runs of the workflow that have not ended move to it? The exit
 * code. */
int past_check_definition(const struct cli *cli, const char *ns,
                          const struct past_definition *definition);

/* -- as JSON that can be read; new references -- */

/* The events in the record of a turn, as an array; NULL: it has none. */
json_t *past_view_events(struct plex_bytes record);

/* JSON as it is, text as a string, other bytes as {"base64": ...}. */
json_t *past_view_bytes(struct plex_bytes bytes);
/* "input" and "commands" from the record of a turn, into its view. */
void past_view_record(struct plex_bytes record, json_t *view);
/* Null without one; an open run as {"run": {...steps...}}. */
json_t *past_view_state(bool has_state, struct plex_bytes state,
                        uint32_t schema_version);
/* sequence, time, message, input, reply and, when it changed, state. */
json_t *past_view_turn(const struct journal_past_turn *turn);
json_t *past_view_time(uint64_t ms); /* "2026-01-02T03:04:05.678Z" */

#endif
