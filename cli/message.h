#ifndef CLI_MESSAGE_H
#define CLI_MESSAGE_H

#include "cli/cli.h"

extern const struct plex_option cli_message_send_options[];
extern const struct plex_option cli_actor_spawn_options[];
extern const struct plex_option cli_actor_create_options[];
extern const struct plex_option cli_actor_where_options[];
int cli_message_send(const struct cli *cli, const struct cli_args *args,
                     const void *config);
int cli_actor_spawn(const struct cli *cli, const struct cli_args *args,
                    const void *config);
int cli_actor_create(const struct cli *cli, const struct cli_args *args,
                     const void *config);
int cli_actor_link(const struct cli *cli, const struct cli_args *args,
                   const void *config);
int cli_actor_unlink(const struct cli *cli, const struct cli_args *args,
                     const void *config);
int cli_supervisor_stats(const struct cli *cli, const struct cli_args *args,
                         const void *config);
int cli_actor_monitor(const struct cli *cli, const struct cli_args *args,
                      const void *config);

#define CLI_MESSAGE_COMMANDS                                                  \
    {"actor",                                                                 \
     "send",                                                                  \
     "RECEIVER [JSON]",                                                       \
     1,                                                                       \
     2,                                                                       \
     "a message to an actor, or to a process: TYPE/KEY, NAME[@NODE]",         \
     cli_message_send_options,                                                \
     cli_message_send},                                                       \
        {"actor",                                                             \
         "spawn",                                                             \
         "TYPE [NAME]",                                                       \
         1,                                                                   \
         2,                                                                   \
         "start a process of a type under a supervisor",                      \
         cli_actor_spawn_options,                                             \
         cli_actor_spawn},                                                    \
        {"actor",                                                             \
         "link",                                                              \
         "PROCESS PROCESS",                                                   \
         2,                                                                   \
         2,                                                                   \
         "the end of one, unless normal, ends the other",                     \
         cli_actor_where_options,                                             \
         cli_actor_link},                                                     \
        {"actor", "unlink",       "PROCESS PROCESS",       2,                 \
         2,       "not any more", cli_actor_where_options, cli_actor_unlink}, \
        {"actor",                                                             \
         "monitor",                                                           \
         "PROCESS",                                                           \
         1,                                                                   \
         1,                                                                   \
         "wait for its end, and print why",                                   \
         cli_actor_where_options,                                             \
         cli_actor_monitor},                                                  \
        {"supervisor",                                                        \
         "stats",                                                             \
         "SUPERVISOR",                                                        \
         1,                                                                   \
         1,                                                                   \
         "failures of its children by reason, and restarts",                  \
         cli_actor_where_options,                                             \
         cli_supervisor_stats},                                               \
    {                                                                         \
        "actor", "create", "TYPE KEY", 2, 2,                                  \
            "a virtual actor, in memory and with a state",                    \
            cli_actor_create_options, cli_actor_create                        \
    }

#endif
