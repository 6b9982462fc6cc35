/* The table of commands, and the shell completion made from it. */
#include "cli/capacity.h"
#include "cli/cli.h"
#include "cli/group.h"
#include "cli/lattice.h"
#include "cli/message.h"
#include "cli/object.h"
#include "cli/past.h"
#include "cli/pool.h"
#include "cli/process.h"
#include "cli/process_group.h"
#include "cli/run.h"
#include "cli/timer.h"
#include "cli/tuplespace.h"

#include <stdio.h>
#include <string.h>

const struct plex_option cli_options[] = {
    {"server", PLEX_OPTION_STRING, offsetof(struct cli, server),
     "http://127.0.0.1:8080", "the gateway", 0, 0},
    {"output", PLEX_OPTION_STRING, offsetof(struct cli, output), "table",
     "table or json", 0, 0},
    {"timeout_s", PLEX_OPTION_U32, offsetof(struct cli, timeout_s), "60",
     "seconds to wait for an answer", 1, 86400},
    {0},
};

const struct cli_command cli_commands[] = {
    {"node", "list", "", 0, 0, "the daemons of the suite",
     cli_node_list_options, cli_node_list},
    {"node", "status", "NODE", 1, 1, "one daemon", NULL, cli_node_status},
    CLI_CAPACITY_COMMANDS,
    {"actor", "list", "", 0, 0, "actors in memory", cli_actor_list_options,
     cli_actor_list},
    {"actor", "status", "ACTOR", 1, 1,
     "one actor: [[TENANT/]NAMESPACE/]TYPE/KEY", NULL, cli_actor_status},
    {"actor", "activate", "ACTOR", 1, 1, "bring it into memory", NULL,
     cli_actor_activate},
    {"actor", "deactivate", "ACTOR", 1, 1,
     "it leaves memory once it has nothing to do", NULL, cli_actor_deactivate},
    {"actor", "exists", "ACTOR", 1, 1, "in memory, or in the journal?", NULL,
     cli_actor_exists},
    {"actor", "call", "ACTOR [JSON]", 1, 2,
     "send JSON ({} when none, - for standard input) and print the reply",
     cli_actor_call_options, cli_actor_call},
    {"actor", "cast", "ACTOR [JSON]", 1, 2,
     "send without waiting for the reply", cli_actor_cast_options,
     cli_actor_cast},
    CLI_PAST_ACTOR_COMMANDS,
    CLI_MESSAGE_COMMANDS,
    CLI_PROCESS_COMMANDS,
    CLI_RUN_COMMANDS,
    CLI_TIMER_COMMANDS,
    CLI_PAST_COMMANDS,
    CLI_GROUP_COMMANDS,
    CLI_POOL_COMMANDS,
    CLI_LATTICE_COMMANDS,
    {"application", "deploy", "FILE", 1, 1,
     "deploy the application of a YAML manifest", NULL, cli_application_deploy},
    {"application", "list", "", 0, 0, "what is deployed",
     cli_application_options, cli_application_list},
    {"application", "status", "NAME", 1, 1, "one application and its types",
     cli_application_options, cli_application_status},
    {"application", "stop", "NAME", 1, 1, "its types answer 503",
     cli_application_options, cli_application_stop},
    {"application", "start", "NAME", 1, 1, "after a stop",
     cli_application_options, cli_application_start},
    {"application", "undeploy", "NAME", 1, 1,
     "its types answer 404; what its actors recorded stays",
     cli_application_options, cli_application_undeploy},
    {"application", "facets", "NAME TYPE", 2, 2, "what its type's actors carry",
     cli_process_options, cli_type_facets},
    {"application", "attach-facet", "NAME TYPE FACET [JSON]", 3, 4,
     "deploy it again with one more; JSON: its configuration",
     cli_facet_attach_options, cli_type_attach},
    {"application", "detach-facet", "NAME TYPE FACET", 3, 3,
     "deploy it again without", cli_process_options, cli_type_detach},
    CLI_TUPLESPACE_COMMANDS,
    {"kv", "get", "KEY", 1, 1, "print a value", cli_kv_options, cli_kv_get},
    {"kv", "put", "KEY VALUE", 2, 2, "set a value and print its version",
     cli_kv_put_options, cli_kv_put},
    {"kv", "delete", "KEY", 1, 1, "print whether it was there", cli_kv_options,
     cli_kv_delete},
    {"kv", "list", "[PREFIX]", 0, 1, "keys and values in order", cli_kv_options,
     cli_kv_list},
    {"kv", "cas", "KEY VALUE", 2, 2,
     "set a value if the old one is as expected; exits 1 otherwise",
     cli_kv_cas_options, cli_kv_cas},
    {"kv", "increment", "KEY [DELTA]", 1, 2, "add to a number",
     cli_kv_change_options, cli_kv_increment},
    {"kv", "clear", "PREFIX", 1, 1, "delete all keys that begin so",
     cli_kv_options, cli_kv_clear},
    {"kv", "stats", "", 0, 0, "how many keys, how much memory", cli_kv_options,
     cli_kv_stats},
    {"kv", "watch", "[PREFIX]", 0, 1, "wait for changes and print them",
     cli_kv_watch_options, cli_kv_watch},
    {"lock", "acquire", "KEY", 1, 1, "take a lock, or wait in turn for it",
     cli_lock_acquire_options, cli_lock_acquire},
    {"lock", "renew", "KEY", 1, 1, "begin its lease anew",
     cli_lock_renew_options, cli_lock_renew},
    {"lock", "release", "KEY", 1, 1, "to the next who waits",
     cli_lock_release_options, cli_lock_release},
    {"lock", "status", "KEY", 1, 1, "who holds it", cli_lock_options,
     cli_lock_status},
    {"lock", "list", "[PREFIX]", 0, 1, "the locks that are held",
     cli_lock_options, cli_lock_list},
    {"lock", "delete", "KEY", 1, 1, "take it away from its holder",
     cli_lock_options, cli_lock_delete},
    CLI_OBJECT_COMMANDS,
    CLI_PROCESS_GROUP_COMMANDS,
    {"", "health", "", 0, 0, "of the suite; exits 1 unless it is healthy",
     cli_health_options, cli_health},
    {"", "metrics", "[NODE]", 0, 1, "Prometheus text of one daemon, or of all",
     NULL, cli_metrics},
    {"", "completion", "bash|zsh", 1, 1, "a completion script to source", NULL,
     cli_completion},
    {0},
};

/* "list status ..." of one area, or with "" every first word. */
static void
print_words(const char *area)
{
    const char *last = "";

    if (area[0] == '\0')
        (void)printf("dev version help");
    for (const struct cli_command *c = cli_commands; c->name != NULL; c++) {
        if (area[0] != '\0') {
            if (strcmp(c->area, area) == 0)
                (void)printf(" %s", c->name);
        } else if (c->area[0] == '\0') {
            (void)printf(" %s", c->name);
        } else if (strcmp(c->area, last) != 0) {
            (void)printf(" %s", c->area);
            last = c->area;
        }
    }
}

static void
print_options(const struct plex_option *options)
{
    for (; options != NULL && options->name != NULL; options++) {
        (void)printf(" --");
        for (const char *c = options->name; *c != '\0'; c++)
            (void)printf("%c", *c == '_' ? '-' : *c);
    }
}

static void
print_bash(void)
{
    const char *last = "";

    (void)printf("_plexspaces() {\n"
                 "    local word=${COMP_WORDS[COMP_CWORD]} words=\n"
                 "    case \"$COMP_CWORD:${COMP_WORDS[1]}"
                 ":${COMP_WORDS[2]}\" in\n");
    (void)printf("    1:*) words=\"");
    print_words("");
    (void)printf("\" ;;\n");
    for (const struct cli_command *c = cli_commands; c->name != NULL; c++) {
        if (c->area[0] == '\0' || strcmp(c->area, last) == 0)
            continue;
        last = c->area;
        (void)printf("    2:%s:*) words=\"", c->area);
        print_words(c->area);
        (void)printf("\" ;;\n");
    }
    (void)printf("    2:completion:*) words=\"bash zsh\" ;;\n"
                 "    *:application:deploy)\n"
                 "        COMPREPLY=($(compgen -f -- \"$word\"))\n"
                 "        return ;;\n");
    for (const struct cli_command *c = cli_commands; c->name != NULL; c++) {
        (void)printf("    *:%s%s%s%s) words=\"", c->area,
                     c->area[0] != '\0' ? ":" : "", c->name,
                     c->area[0] != '\0' ? "" : ":*");
        print_options(c->options);
        print_options(cli_options);
        (void)printf("\" ;;\n");
    }
    (void)printf("    *:dev:*) words=\"--data --http --grpc --store --workers "
                 "--journals --processes --modules --log-level\" ;;\n"
                 "    esac\n"
                 "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
                 "}\ncomplete -F _plexspaces plexspaces\n");
}

int
cli_completion(const struct cli *cli, const struct cli_args *args,
               const void *config)
{
    (void)cli;
    (void)config;
    if (strcmp(args->values[0], "zsh") == 0) {
        (void)printf("autoload -U +X compinit && compinit\n"
                     "autoload -U +X bashcompinit && bashcompinit\n");
    } else if (strcmp(args->values[0], "bash") != 0) {
        (void)fprintf(stderr,
                      "error: no completion for %.40s; known are bash "
                      "and zsh\n",
                      args->values[0]);
        return CLI_EXIT_USAGE;
    }
    print_bash();
    return 0;
}
