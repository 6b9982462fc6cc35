#ifndef CLI_PROCESS_H
#define CLI_PROCESS_H

#include "cli/cli.h"

/* Commands about processes (process.c) and what happens to them (events.c). */
/* A table of them on standard output, if there are any. */
void cli_process_append(const struct cli *cli, const char *ns);
int cli_process_list(const struct cli *cli, const struct cli_args *args,
                     const void *config);
int cli_process_tree(const struct cli *cli, const struct cli_args *args,
                     const void *config);
int cli_process_inspect(const struct cli *cli, const struct cli_args *args,
                        const void *config);
int cli_process_exit(const struct cli *cli, const struct cli_args *args,
                     const void *config);
int cli_process_invoke(const struct cli *cli, const struct cli_args *args,
                       const void *config);
int cli_process_facets(const struct cli *cli, const struct cli_args *args,
                       const void *config);
int cli_process_attach(const struct cli *cli, const struct cli_args *args,
                       const void *config);
int cli_process_detach(const struct cli *cli, const struct cli_args *args,
                       const void *config);
int cli_type_facets(const struct cli *cli, const struct cli_args *args,
                    const void *config);
int cli_type_attach(const struct cli *cli, const struct cli_args *args,
                    const void *config);
int cli_type_detach(const struct cli *cli, const struct cli_args *args,
                    const void *config);
int cli_supervisor_list(const struct cli *cli, const struct cli_args *args,
                        const void *config);
int cli_supervisor_which(const struct cli *cli, const struct cli_args *args,
                         const void *config);
int cli_supervisor_count(const struct cli *cli, const struct cli_args *args,
                         const void *config);
int cli_child_start(const struct cli *cli, const struct cli_args *args,
                    const void *config);
int cli_child_terminate(const struct cli *cli, const struct cli_args *args,
                        const void *config);
int cli_child_restart(const struct cli *cli, const struct cli_args *args,
                      const void *config);
int cli_child_delete(const struct cli *cli, const struct cli_args *args,
                     const void *config);
/* The body of a request that declares a child; NULL and err. */
json_t *cli_child_body(const struct cli_args *args, const void *config,
                       struct plex_err *err);
/* supervisor.c */
int cli_child_change(const struct cli *cli, const struct cli_args *args,
                     const void *config);
int cli_supervisor_plan(const struct cli *cli, const struct cli_args *args,
                        const void *config);
int cli_events(const struct cli *cli, const struct cli_args *args,
               const void *config);

extern const struct plex_option cli_process_options[];
extern const struct plex_option cli_process_list_options[];
extern const struct plex_option cli_process_exit_options[];
extern const struct plex_option cli_facet_attach_options[];
extern const struct plex_option cli_child_start_options[];
extern const struct plex_option cli_supervisor_plan_options[];
extern const struct plex_option cli_events_options[];

#define CLI_PROCESS_COMMANDS                                                   \
    {"actor",                                                                  \
     "processes",                                                              \
     "",                                                                       \
     0,                                                                        \
     0,                                                                        \
     "processes of all workers",                                               \
     cli_process_list_options,                                                 \
     cli_process_list},                                                        \
        {"actor",                                                              \
         "tree",                                                               \
         "[NAME]",                                                             \
         0,                                                                    \
         1,                                                                    \
         "processes under their supervisors",                                  \
         cli_process_list_options,                                             \
         cli_process_tree},                                                    \
        {"actor",                                                              \
         "inspect",                                                            \
         "PROCESS",                                                            \
         1,                                                                    \
         1,                                                                    \
         "one process: NAME, NAME@NODE, SUPERVISOR/CHILD, a ref; or TYPE/KEY", \
         cli_process_options,                                                  \
         cli_process_inspect},                                                 \
        {"actor",                                                              \
         "exit",                                                               \
         "PROCESS",                                                            \
         1,                                                                    \
         1,                                                                    \
         "send it an exit signal",                                             \
         cli_process_exit_options,                                             \
         cli_process_exit},                                                    \
        {"actor",                                                              \
         "facets",                                                             \
         "NAME",                                                               \
         1,                                                                    \
         1,                                                                    \
         "what stands around the callbacks of a process, or TYPE/KEY",         \
         cli_process_options,                                                  \
         cli_process_facets},                                                  \
        {"actor",                                                              \
         "invoke-facet",                                                       \
         "NAME FACET OP",                                                      \
         3,                                                                    \
         3,                                                                    \
         "ask a facet: circuit_breaker state, trip, reset or disable",         \
         cli_process_options,                                                  \
         cli_process_invoke},                                                  \
        {"actor",                                                              \
         "attach-facet",                                                       \
         "NAME FACET [JSON]",                                                  \
         2,                                                                    \
         3,                                                                    \
         "put one more around them; JSON: its configuration",                  \
         cli_facet_attach_options,                                             \
         cli_process_attach},                                                  \
        {"actor", "detach-facet",  "NAME FACET",        2,                     \
         2,       "take one away", cli_process_options, cli_process_detach},   \
        {"supervisor",                                                         \
         "list",                                                               \
         "",                                                                   \
         0,                                                                    \
         0,                                                                    \
         "supervisors of all workers",                                         \
         cli_process_list_options,                                             \
         cli_supervisor_list},                                                 \
        {"supervisor",                                                         \
         "which",                                                              \
         "SUPERVISOR",                                                         \
         1,                                                                    \
         1,                                                                    \
         "its children, in the order of their start",                          \
         cli_process_options,                                                  \
         cli_supervisor_which},                                                \
        {"supervisor",                                                         \
         "count",                                                              \
         "SUPERVISOR",                                                         \
         1,                                                                    \
         1,                                                                    \
         "how many there are of which",                                        \
         cli_process_options,                                                  \
         cli_supervisor_count},                                                \
        {"supervisor",                                                         \
         "plan",                                                               \
         "SUPERVISOR",                                                         \
         1,                                                                    \
         1,                                                                    \
         "its strategy and limits; with options: change them",                 \
         cli_supervisor_plan_options,                                          \
         cli_supervisor_plan},                                                 \
        {"supervisor",                                                         \
         "change-child",                                                       \
         "SUPERVISOR ID MODULE",                                               \
         3,                                                                    \
         3,                                                                    \
         "declare a child anew; its process goes on",                          \
         cli_child_start_options,                                              \
         cli_child_change},                                                    \
        {"supervisor",                                                         \
         "start-child",                                                        \
         "SUPERVISOR [ID MODULE]",                                             \
         1,                                                                    \
         3,                                                                    \
         "add a child; without ID one more of simple_one_for_one",             \
         cli_child_start_options,                                              \
         cli_child_start},                                                     \
        {"supervisor",                                                         \
         "terminate-child",                                                    \
         "SUPERVISOR ID",                                                      \
         2,                                                                    \
         2,                                                                    \
         "stop a child; it stays declared",                                    \
         cli_process_options,                                                  \
         cli_child_terminate},                                                 \
        {"supervisor",                                                         \
         "restart-child",                                                      \
         "SUPERVISOR ID",                                                      \
         2,                                                                    \
         2,                                                                    \
         "start a child that was terminated",                                  \
         cli_process_options,                                                  \
         cli_child_restart},                                                   \
        {"supervisor",                                                         \
         "delete-child",                                                       \
         "SUPERVISOR ID",                                                      \
         2,                                                                    \
         2,                                                                    \
         "forget a child that was terminated",                                 \
         cli_process_options,                                                  \
         cli_child_delete},                                                    \
    {                                                                          \
        "", "events", "", 0, 0,                                                \
            "starts, stops, restarts of processes; a line each",               \
            cli_events_options, cli_events                                     \
    }

#endif
