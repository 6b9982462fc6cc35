#ifndef CLI_GROUP_H
#define CLI_GROUP_H

#include "cli/run.h"

/* Groups of actors: docs/groups.md. */
cli_run_fn cli_group_enable, cli_group_create, cli_group_get, cli_group_list;
cli_run_fn cli_group_scale, cli_group_send, cli_group_gather, cli_group_delete;
cli_run_fn cli_group_rebalance, cli_group_load;

extern const struct plex_option cli_group_options[];
extern const struct plex_option cli_group_create_options[];
extern const struct plex_option cli_group_list_options[];
extern const struct plex_option cli_group_scale_options[];
extern const struct plex_option cli_group_send_options[];
extern const struct plex_option cli_group_gather_options[];

/* Rows of the table of commands. */
// clang-format off
#define CLI_GROUP_COMMANDS \
    {"group", "enable", "", 0, 0, "let a namespace have groups of actors", \
     cli_group_options, cli_group_enable}, \
    {"group", "create", "GROUP TYPE", 2, 2, \
     "spread actors of that type over shards", cli_group_create_options, \
     cli_group_create}, \
    {"group", "get", "GROUP", 1, 1, "one group", cli_group_options, \
     cli_group_get}, \
    {"group", "list", "", 0, 0, "the groups of a namespace", \
     cli_group_list_options, cli_group_list}, \
    {"group", "scale", "GROUP SHARDS", 2, 2, "more shards, or fewer", \
     cli_group_scale_options, cli_group_scale}, \
    {"group", "send", "GROUP KEY [JSON]", 2, 3, \
     "to the shard that has the key", cli_group_send_options, \
     cli_group_send}, \
    {"group", "gather", "GROUP [JSON]", 1, 2, \
     "ask all shards and make one answer of theirs", \
     cli_group_gather_options, cli_group_gather}, \
    {"group", "rebalance", "GROUP", 1, 1, \
     "move keys from shards that get much to those that get little", \
     cli_group_options, cli_group_rebalance}, \
    {"group", "load", "GROUP", 1, 1, "what each shard gets", \
     cli_group_options, cli_group_load}, \
    {"group", "delete", "GROUP", 1, 1, \
     "forget the group; what its shards recorded stays", cli_group_options, \
     cli_group_delete}
// clang-format on

#endif
