#ifndef CLI_TIMER_H
#define CLI_TIMER_H

#include "cli/cli.h"

/* Timers and reminders of an actor: docs/schedules.md. */
typedef int cli_timer_fn(const struct cli *cli, const struct cli_args *args,
                         const void *config);

cli_timer_fn cli_timer_register, cli_timer_list, cli_timer_get,
    cli_timer_unregister;
cli_timer_fn cli_reminder_register, cli_reminder_list, cli_reminder_get,
    cli_reminder_unregister;

extern const struct plex_option cli_timer_options[];

/* Rows of the table of commands. */
// clang-format off
#define CLI_TIMER_COMMANDS \
    {"timer", "register", "ACTOR TIMER", 2, 2, \
     "send an actor a message again and again, or once", cli_timer_options, \
     cli_timer_register}, \
    {"timer", "list", "ACTOR", 1, 1, "its timers", NULL, cli_timer_list}, \
    {"timer", "get", "ACTOR TIMER", 2, 2, "one, and when it is due", NULL, \
     cli_timer_get}, \
    {"timer", "unregister", "ACTOR TIMER", 2, 2, "it is never due again", \
     NULL, cli_timer_unregister}, \
    {"reminder", "register", "ACTOR REMINDER", 2, 2, \
     "the same as a reminder", cli_timer_options, cli_reminder_register}, \
    {"reminder", "list", "ACTOR", 1, 1, \
     "its reminders, also those of its own code", NULL, cli_reminder_list}, \
    {"reminder", "get", "ACTOR REMINDER", 2, 2, "one, and when it is due", \
     NULL, cli_reminder_get}, \
    {"reminder", "unregister", "ACTOR REMINDER", 2, 2, \
     "it is never due again", NULL, cli_reminder_unregister}
// clang-format on

#endif
