#ifndef CLI_OBJECT_H
#define CLI_OBJECT_H

#include "cli/cli.h"

/* Commands about the object registry: docs/registry.md. */
int cli_object_register(const struct cli *cli, const struct cli_args *args,
                        const void *config);
int cli_object_unregister(const struct cli *cli, const struct cli_args *args,
                          const void *config);
int cli_object_lookup(const struct cli *cli, const struct cli_args *args,
                      const void *config);
int cli_object_discover(const struct cli *cli, const struct cli_args *args,
                        const void *config);
int cli_object_heartbeat(const struct cli *cli, const struct cli_args *args,
                         const void *config);
int cli_object_types(const struct cli *cli, const struct cli_args *args,
                     const void *config);

extern const struct plex_option cli_object_register_options[];
extern const struct plex_option cli_object_name_options[];
extern const struct plex_option cli_object_discover_options[];
extern const struct plex_option cli_object_heartbeat_options[];
extern const struct plex_option cli_object_types_options[];

/* clang-format off */
#define CLI_OBJECT_COMMANDS                                                   \
    {"registry", "register", "TYPE ID", 2, 2,                                 \
     "say that something exists, or what it is now",                          \
     cli_object_register_options, cli_object_register},                       \
    {"registry", "unregister", "ID", 1, 1, "it is no more",                   \
     cli_object_name_options, cli_object_unregister},                         \
    {"registry", "lookup", "ID", 1, 1, "what is known of it",                 \
     cli_object_name_options, cli_object_lookup},                             \
    {"registry", "objects", "[PREFIX]", 0, 1,                                 \
     "what there is, in the order of its making",                             \
     cli_object_discover_options, cli_object_discover},                       \
    {"registry", "heartbeat", "ID", 1, 1, "it lives, and how it is",          \
     cli_object_heartbeat_options, cli_object_heartbeat},                     \
    {"registry", "types", "", 0, 0, "how many of each type, by health",       \
     cli_object_types_options, cli_object_types}
/* clang-format on */

#endif
