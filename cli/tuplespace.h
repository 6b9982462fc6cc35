#ifndef CLI_TUPLESPACE_H
#define CLI_TUPLESPACE_H

#include "cli/cli.h"

/* Commands about tuple spaces. Tuples and templates are typed as
 * services/tuplespace/client.h says: ["order", ?, >100, "pending"]. */
int cli_tuple_write(const struct cli *cli, const struct cli_args *args,
                    const void *config);
int cli_tuple_read(const struct cli *cli, const struct cli_args *args,
                   const void *config);
int cli_tuple_take(const struct cli *cli, const struct cli_args *args,
                   const void *config);
int cli_tuple_count(const struct cli *cli, const struct cli_args *args,
                    const void *config);
int cli_tuple_clear(const struct cli *cli, const struct cli_args *args,
                    const void *config);
int cli_tuple_list(const struct cli *cli, const struct cli_args *args,
                   const void *config);
int cli_tuple_stats(const struct cli *cli, const struct cli_args *args,
                    const void *config);
int cli_tuple_watch(const struct cli *cli, const struct cli_args *args,
                    const void *config);
int cli_tuple_tx(const struct cli *cli, const struct cli_args *args,
                 const void *config);

int cli_tuple_eval(const struct cli *cli, const struct cli_args *args,
                   const void *config);
int cli_tuple_enable(const struct cli *cli, const struct cli_args *args,
                     const void *config);

extern const struct plex_option cli_tuple_options[];
extern const struct plex_option cli_tuple_write_options[];
extern const struct plex_option cli_tuple_read_options[];
extern const struct plex_option cli_tuple_watch_options[];
extern const struct plex_option cli_tuple_tx_options[];
extern const struct plex_option cli_tuple_eval_options[];

#define CLI_TUPLESPACE_COMMANDS                                 \
    {"tuplespace",                                              \
     "write",                                                   \
     "SPACE TUPLE...",                                          \
     2,                                                         \
     100,                                                       \
     "write tuples and print their ids",                        \
     cli_tuple_write_options,                                   \
     cli_tuple_write},                                          \
        {"tuplespace",                                          \
         "read",                                                \
         "SPACE TEMPLATE",                                      \
         2,                                                     \
         2,                                                     \
         "print a tuple that matches",                          \
         cli_tuple_read_options,                                \
         cli_tuple_read},                                       \
        {"tuplespace",                                          \
         "take",                                                \
         "SPACE TEMPLATE",                                      \
         2,                                                     \
         2,                                                     \
         "print it, and remove it",                             \
         cli_tuple_read_options,                                \
         cli_tuple_take},                                       \
        {"tuplespace",                                          \
         "count",                                               \
         "SPACE [TEMPLATE]",                                    \
         1,                                                     \
         2,                                                     \
         "how many tuples match",                               \
         cli_tuple_options,                                     \
         cli_tuple_count},                                      \
        {"tuplespace",                                          \
         "clear",                                               \
         "SPACE [TEMPLATE]",                                    \
         1,                                                     \
         2,                                                     \
         "remove all that match and print how many",            \
         cli_tuple_options,                                     \
         cli_tuple_clear},                                      \
        {"tuplespace",                                          \
         "list",                                                \
         "",                                                    \
         0,                                                     \
         0,                                                     \
         "the spaces of a namespace",                           \
         cli_tuple_options,                                     \
         cli_tuple_list},                                       \
        {"tuplespace",                                          \
         "stats",                                               \
         "[SPACE]",                                             \
         0,                                                     \
         1,                                                     \
         "what a space, or all of them, hold",                  \
         cli_tuple_options,                                     \
         cli_tuple_stats},                                      \
        {"tuplespace",                                          \
         "watch",                                               \
         "SPACE [TEMPLATE]",                                    \
         1,                                                     \
         2,                                                     \
         "wait for events and print them",                      \
         cli_tuple_watch_options,                               \
         cli_tuple_watch},                                      \
        {"tuplespace",                                          \
         "eval",                                                \
         "SPACE TYPE[/KEY] [JSON]",                             \
         2,                                                     \
         3,                                                     \
         "let an actor's reply become a tuple",                 \
         cli_tuple_eval_options,                                \
         cli_tuple_eval},                                       \
        {"tuplespace",                                          \
         "enable",                                              \
         "",                                                    \
         0,                                                     \
         0,                                                     \
         "let a namespace have eval",                           \
         cli_tuple_options,                                     \
         cli_tuple_enable},                                     \
    {                                                           \
        "tuplespace", "tx", "begin|commit|abort [ID]", 1, 2,    \
            "begin a transaction and print its id, or end one", \
            cli_tuple_tx_options, cli_tuple_tx                  \
    }

#endif
