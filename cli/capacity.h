#ifndef CLI_CAPACITY_H
#define CLI_CAPACITY_H

#include "cli/cli.h"

/* What workers have, and emptying them: cli/commands.c. */
extern const struct plex_option cli_node_capacity_options[];
extern const struct plex_option cli_node_drain_options[];
int cli_node_capacity(const struct cli *cli, const struct cli_args *args,
                      const void *config);
int cli_node_drain(const struct cli *cli, const struct cli_args *args,
                   const void *config);

#define CLI_CAPACITY_COMMANDS                                               \
    {"node",                                                                \
     "capacity",                                                            \
     "[NODE]",                                                              \
     0,                                                                     \
     1,                                                                     \
     "what processes may reserve on workers, and what is reserved",         \
     cli_node_capacity_options,                                             \
     cli_node_capacity},                                                    \
    {                                                                       \
        "node", "drain", "WORKER", 1, 1,                                    \
            "move all that runs there to other workers, until it restarts", \
            cli_node_drain_options, cli_node_drain                          \
    }

#endif
