#ifndef CLI_LATTICE_H
#define CLI_LATTICE_H

#include "cli/run.h"

/* Cells: docs/lattices.md. */
cli_run_fn cli_lattice_enable, cli_lattice_get;
cli_run_fn cli_lattice_add, cli_lattice_remove, cli_lattice_set;
cli_run_fn cli_lattice_increment, cli_lattice_decrement, cli_lattice_merge;

extern const struct plex_option cli_lattice_options[];
extern const struct plex_option cli_lattice_get_options[];
extern const struct plex_option cli_lattice_update_options[];

/* Rows of the table of commands. */
// clang-format off
#define CLI_LATTICE_COMMANDS \
    {"lattice", "enable", "", 0, 0, \
     "let a namespace have cells of the built-in type lattice", \
     cli_lattice_options, cli_lattice_enable}, \
    {"lattice", "get", "TYPE/KEY", 1, 1, "the value of a cell", \
     cli_lattice_get_options, cli_lattice_get}, \
    {"lattice", "add", "TYPE/KEY TEXT", 2, 2, "to a set", \
     cli_lattice_update_options, cli_lattice_add}, \
    {"lattice", "remove", "TYPE/KEY TEXT", 2, 2, "from a set", \
     cli_lattice_update_options, cli_lattice_remove}, \
    {"lattice", "set", "TYPE/KEY JSON", 2, 2, \
     "a register; the least a max, the most a min can be", \
     cli_lattice_update_options, cli_lattice_set}, \
    {"lattice", "increment", "TYPE/KEY [BY]", 1, 2, "a counter or clock", \
     cli_lattice_update_options, cli_lattice_increment}, \
    {"lattice", "decrement", "TYPE/KEY [BY]", 1, 2, "a pn_counter", \
     cli_lattice_update_options, cli_lattice_decrement}, \
    {"lattice", "merge", "TYPE/KEY STATE", 2, 2, \
     "what get --encoded shows of another cell", cli_lattice_get_options, \
     cli_lattice_merge}
// clang-format on

#endif
