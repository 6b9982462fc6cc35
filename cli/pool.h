#ifndef CLI_POOL_H
#define CLI_POOL_H

#include "cli/run.h"

/* Elastic pools: docs/groups.md. */
cli_run_fn cli_pool_enable, cli_pool_create, cli_pool_stats, cli_pool_checkout;
cli_run_fn cli_pool_checkin, cli_pool_renew, cli_pool_scale, cli_pool_pause;
cli_run_fn cli_pool_resume, cli_pool_drain, cli_pool_delete, cli_pool_list;
cli_run_fn cli_pool_watch;

extern const struct plex_option cli_pool_options[];
extern const struct plex_option cli_pool_create_options[];
extern const struct plex_option cli_pool_list_options[];
extern const struct plex_option cli_pool_watch_options[];
extern const struct plex_option cli_pool_checkout_options[];
extern const struct plex_option cli_pool_checkin_options[];

/* Rows of the table of commands. */
// clang-format off
#define CLI_POOL_COMMANDS \
    {"pool", "enable", "", 0, 0, "let a namespace have pools", \
     cli_pool_options, cli_pool_enable}, \
    {"pool", "create", "POOL TYPE", 2, 2, \
     "lend actors of that type one at a time", cli_pool_create_options, \
     cli_pool_create}, \
    {"pool", "list", "", 0, 0, "which there are", cli_pool_list_options, \
     cli_pool_list}, \
    {"pool", "watch", "POOL", 1, 1, "its numbers, over and over", \
     cli_pool_watch_options, cli_pool_watch}, \
    {"pool", "stats", "POOL", 1, 1, "how many there are, and lent", \
     cli_pool_options, cli_pool_stats}, \
    {"pool", "checkout", "POOL", 1, 1, "borrow one", \
     cli_pool_checkout_options, cli_pool_checkout}, \
    {"pool", "checkin", "POOL CHECKOUT", 2, 2, "give it back", \
     cli_pool_checkin_options, cli_pool_checkin}, \
    {"pool", "renew", "POOL CHECKOUT", 2, 2, "keep it for longer", \
     cli_pool_options, cli_pool_renew}, \
    {"pool", "scale", "POOL WORKERS", 2, 2, \
     "to so many, or by so many: +2, -1", cli_pool_options, cli_pool_scale}, \
    {"pool", "pause", "POOL", 1, 1, "no scaling by itself", \
     cli_pool_options, cli_pool_pause}, \
    {"pool", "resume", "POOL", 1, 1, "after a pause", cli_pool_options, \
     cli_pool_resume}, \
    {"pool", "drain", "POOL", 1, 1, "lend nothing any more", \
     cli_pool_options, cli_pool_drain}, \
    {"pool", "delete", "POOL", 1, 1, "forget it; its members are kept", \
     cli_pool_options, cli_pool_delete}
// clang-format on

#endif
