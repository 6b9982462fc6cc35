#ifndef CLI_PROCESS_GROUP_H
#define CLI_PROCESS_GROUP_H

#include "cli/cli.h"

/* Commands about process groups: docs/processes.md. */
int cli_process_group_list(const struct cli *cli, const struct cli_args *args,
                           const void *config);
int cli_process_group_members(const struct cli *cli,
                              const struct cli_args *args, const void *config);
int cli_process_group_join(const struct cli *cli, const struct cli_args *args,
                           const void *config);
int cli_process_group_leave(const struct cli *cli, const struct cli_args *args,
                            const void *config);
int cli_process_group_publish(const struct cli *cli,
                              const struct cli_args *args, const void *config);

extern const struct plex_option cli_process_group_options[];
extern const struct plex_option cli_process_group_members_options[];
extern const struct plex_option cli_process_group_publish_options[];

/* clang-format off */
#define CLI_PROCESS_GROUP_COMMANDS                                            \
    {"process-group", "list", "[PREFIX]", 0, 1, "those that have members",    \
     cli_process_group_options, cli_process_group_list},                      \
    {"process-group", "members", "GROUP", 1, 1, "who is in it, and where",    \
     cli_process_group_members_options, cli_process_group_members},           \
    {"process-group", "join", "GROUP PROCESS", 2, 2,                          \
     "once more: it has to leave as often",                                   \
     cli_process_group_options, cli_process_group_join},                      \
    {"process-group", "leave", "GROUP PROCESS", 2, 2, "once",                 \
     cli_process_group_options, cli_process_group_leave},                     \
    {"process-group", "publish", "GROUP TEXT", 2, 2,                          \
     "a cast to every member",                                                \
     cli_process_group_publish_options, cli_process_group_publish}
/* clang-format on */

#endif
