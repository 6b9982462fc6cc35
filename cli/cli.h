#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "common/option.h"

#include <jansson.h>

/*
 * The plexspaces command: one const table of commands, each a function over
 * its positional arguments and a config struct filled from its option table.
 */

/* Exit codes beside 0. 100 and 111 are the daemons' too (common/service.h). */
enum cli_exit {
    CLI_EXIT_REFUSED = 1,     /* the server answered, and said no */
    CLI_EXIT_USAGE = 2,       /* this command line cannot be meant */
    CLI_EXIT_CONFIG = 100,    /* a manifest or a setting must be mended */
    CLI_EXIT_TEMPORARY = 111, /* the server is not there: try again later */
};

struct cli {
    /* Options every command has; the environment names are PLEXSPACES_SERVER
     * and so on. */
    const char *server;
    const char *output; /* "table" or "json" */
    uint32_t timeout_s;
    bool json;
};

struct cli_args {
    int count;
    char **values;
};

struct cli_command {
    const char *area; /* "node"; "" for commands of one word */
    const char *name;
    const char *args; /* for the usage line: "NODE", "[NODE]", "" */
    int args_min, args_max;
    const char *summary;
    const struct plex_option *options; /* NULL for none */
    int (*run)(const struct cli *cli, const struct cli_args *args,
               const void *config);
};

enum { CLI_CONFIG_MAX = 256 }; /* bytes of any command's config struct */

extern const struct cli_command cli_commands[]; /* name NULL ends */
extern const struct plex_option cli_options[];

/* "error: ..." on stderr; returns the exit code that fits the status. */
int cli_fail(const struct plex_err *err);

int cli_node_list(const struct cli *cli, const struct cli_args *args,
                  const void *config);
int cli_node_status(const struct cli *cli, const struct cli_args *args,
                    const void *config);
int cli_actor_list(const struct cli *cli, const struct cli_args *args,
                   const void *config);
int cli_actor_status(const struct cli *cli, const struct cli_args *args,
                     const void *config);
int cli_actor_activate(const struct cli *cli, const struct cli_args *args,
                       const void *config);
int cli_actor_deactivate(const struct cli *cli, const struct cli_args *args,
                         const void *config);
int cli_actor_exists(const struct cli *cli, const struct cli_args *args,
                     const void *config);
int cli_actor_call(const struct cli *cli, const struct cli_args *args,
                   const void *config);
int cli_actor_cast(const struct cli *cli, const struct cli_args *args,
                   const void *config);
int cli_application_deploy(const struct cli *cli, const struct cli_args *args,
                           const void *config);
int cli_application_list(const struct cli *cli, const struct cli_args *args,
                         const void *config);
int cli_application_status(const struct cli *cli, const struct cli_args *args,
                           const void *config);
int cli_application_stop(const struct cli *cli, const struct cli_args *args,
                         const void *config);
int cli_application_start(const struct cli *cli, const struct cli_args *args,
                          const void *config);
int cli_application_undeploy(const struct cli *cli, const struct cli_args *args,
                             const void *config);
int cli_health(const struct cli *cli, const struct cli_args *args,
               const void *config);
int cli_metrics(const struct cli *cli, const struct cli_args *args,
                const void *config);
int cli_completion(const struct cli *cli, const struct cli_args *args,
                   const void *config);

int cli_kv_get(const struct cli *cli, const struct cli_args *args,
               const void *config);
int cli_kv_put(const struct cli *cli, const struct cli_args *args,
               const void *config);
int cli_kv_delete(const struct cli *cli, const struct cli_args *args,
                  const void *config);
int cli_kv_list(const struct cli *cli, const struct cli_args *args,
                const void *config);
int cli_kv_cas(const struct cli *cli, const struct cli_args *args,
               const void *config);
int cli_kv_increment(const struct cli *cli, const struct cli_args *args,
                     const void *config);
int cli_kv_clear(const struct cli *cli, const struct cli_args *args,
                 const void *config);
int cli_kv_stats(const struct cli *cli, const struct cli_args *args,
                 const void *config);
int cli_kv_watch(const struct cli *cli, const struct cli_args *args,
                 const void *config);
int cli_lock_acquire(const struct cli *cli, const struct cli_args *args,
                     const void *config);
int cli_lock_renew(const struct cli *cli, const struct cli_args *args,
                   const void *config);
int cli_lock_release(const struct cli *cli, const struct cli_args *args,
                     const void *config);
int cli_lock_status(const struct cli *cli, const struct cli_args *args,
                    const void *config);
int cli_lock_list(const struct cli *cli, const struct cli_args *args,
                  const void *config);
int cli_lock_delete(const struct cli *cli, const struct cli_args *args,
                    const void *config);

extern const struct plex_option cli_node_list_options[];
extern const struct plex_option cli_actor_list_options[];
extern const struct plex_option cli_actor_call_options[];
extern const struct plex_option cli_actor_cast_options[];
extern const struct plex_option cli_application_options[];
extern const struct plex_option cli_health_options[];
extern const struct plex_option cli_kv_options[];
extern const struct plex_option cli_kv_put_options[];
extern const struct plex_option cli_kv_cas_options[];
extern const struct plex_option cli_kv_change_options[];
extern const struct plex_option cli_kv_watch_options[];
extern const struct plex_option cli_lock_options[];
extern const struct plex_option cli_lock_acquire_options[];
extern const struct plex_option cli_lock_renew_options[];
extern const struct plex_option cli_lock_release_options[];

#endif
