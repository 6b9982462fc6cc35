/* The plexspaces command: finds the command in the table, loads its options,
 * runs it. `dev` is a program of its own beside this one, so that the suite
 * does not carry an HTTP client and this does not carry the suite. */
#include "cli/cli.h"

#include <errno.h>
#include <jansson.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPTIONS_MAX = 32 };

/* One command per process: whether its errors are JSON too. */
static bool errors_json;

static void
fail_json(const struct plex_err *err, int code)
{
    json_t *json = json_pack("{s:{s:s, s:s%, s:i}}", "error", "status",
                             plex_status_text(err->status), "text", err->text,
                             strlen(err->text), "exit", code);

    if (json == NULL) /* text that is not UTF-8 */
        json = json_pack("{s:{s:s, s:i}}", "error", "status",
                         plex_status_text(err->status), "exit", code);
    (void)json_dumpf(json, stderr, JSON_COMPACT);
    (void)fprintf(stderr, "\n");
    json_decref(json);
}

int
cli_fail(const struct plex_err *err)
{
    const int code = err->status == PLEX_INVALID       ? CLI_EXIT_CONFIG
                     : err->status == PLEX_UNAVAILABLE ? CLI_EXIT_TEMPORARY
                                                       : CLI_EXIT_REFUSED;

    if (errors_json)
        fail_json(err, code);
    else
        (void)fprintf(stderr, "error: %s\n", err->text);
    return code;
}

static void
usage_line(const struct cli_command *command, FILE *to)
{
    (void)fprintf(to, "plexspaces %s%s%s%s%s%s", command->area,
                  command->area[0] != '\0' ? " " : "", command->name,
                  command->args[0] != '\0' ? " " : "", command->args,
                  command->options != NULL ? " [options]" : "");
}

static void
help_line(const struct cli_command *command)
{
    (void)printf("  ");
    usage_line(command, stdout);
    (void)printf("\n      %s\n", command->summary);
}

static bool
is_area(const char *name)
{
    for (const struct cli_command *c = cli_commands; c->name != NULL; c++) {
        if (c->area[0] != '\0' && strcmp(c->area, name) == 0)
            return true;
    }
    return false;
}

static int
help_area(const char *area)
{
    for (const struct cli_command *c = cli_commands; c->name != NULL; c++) {
        if (strcmp(c->area, area) == 0)
            help_line(c);
    }
    (void)printf("\nplexspaces %s COMMAND --help lists the options\n", area);
    return 0;
}

static int
help_all(void)
{
    (void)printf("plexspaces %s: durable actors, one command\n\n",
                 PLEX_VERSION);
    (void)printf("  plexspaces dev [options]\n"
                 "      run the whole suite on this machine\n");
    for (const struct cli_command *c = cli_commands; c->name != NULL; c++)
        help_line(c);
    (void)printf("  plexspaces version\n  plexspaces help [COMMAND]\n"
                 "\nEvery command takes:\n");
    plex_options_help(cli_options, "");
    (void)printf("\nExit codes: 0 done, 1 the server refused, 2 wrong usage, "
                 "100 mend the manifest or setting, 111 try again later\n");
    return 0;
}

static int
help_command(const struct cli_command *command)
{
    usage_line(command, stdout);
    (void)printf("\n    %s\n\n", command->summary);
    if (command->options != NULL)
        plex_options_help(command->options, "");
    plex_options_help(cli_options, "");
    return 0;
}

/* plex-dev lies beside this program; it is found there and nowhere else. */
static int
run_dev(int argc, char **argv)
{
    char self[PATH_MAX] = "", path[PATH_MAX + 16];

    (void)argc;
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0) {
        (void)fprintf(stderr, "error: /proc/self/exe: %s\n", strerror(errno));
        return CLI_EXIT_TEMPORARY;
    }
    (void)snprintf(path, sizeof path, "%s/plex-dev", dirname(self));
    (void)execv(path, argv);
    (void)fprintf(stderr, "error: could not run %s: %s\n", path,
                  strerror(errno));
    return CLI_EXIT_TEMPORARY;
}

static const struct cli_command *
command_find(int argc, char **argv)
{
    for (const struct cli_command *c = cli_commands; c->name != NULL; c++) {
        int words = c->area[0] != '\0' ? 2 : 1;

        if (argc > words && strcmp(argv[words], c->name) == 0 &&
            (words == 1 || strcmp(argv[1], c->area) == 0))
            return c;
    }
    return NULL;
}

static int
command_unknown(int argc, char **argv)
{
    if (!is_area(argv[1])) {
        (void)fprintf(stderr,
                      "error: unknown command %.60s; plexspaces help lists "
                      "them\n",
                      argv[1]);
        return CLI_EXIT_USAGE;
    }
    if (argc > 2)
        (void)fprintf(stderr,
                      "error: unknown command %s %.60s; known are:", argv[1],
                      argv[2]);
    else
        (void)fprintf(stderr, "error: %s what? known are:", argv[1]);
    for (const struct cli_command *c = cli_commands; c->name != NULL; c++) {
        if (strcmp(c->area, argv[1]) == 0)
            (void)fprintf(stderr, " %s", c->name);
    }
    (void)fprintf(stderr, "\n");
    return CLI_EXIT_USAGE;
}

static bool
option_is_bool(const struct plex_option *const *tables, const char *arg)
{
    for (; *tables != NULL; tables++) {
        for (const struct plex_option *o = *tables; o->name != NULL; o++) {
            const char *name = o->name;
            const char *c = arg + 2;

            while (*c != '\0' && (*c == *name || (*c == '-' && *name == '_'))) {
                c++;
                name++;
            }
            if (*c == '\0' && *name == '\0')
                return o->type == PLEX_OPTION_BOOL;
        }
    }
    return false;
}

/* Options may stand between the arguments: sort them apart. "--" ends them. */
static void
split_arguments(const struct plex_option *const *tables, int argc, char **argv,
                struct cli_args *args, struct cli_args *options)
{
    bool only_args = false;

    options->values[options->count++] = argv[0];
    for (int i = 1; i < argc; i++) {
        if (!only_args && strcmp(argv[i], "--") == 0) {
            only_args = true;
        } else if (!only_args && strncmp(argv[i], "--", 2) == 0) {
            options->values[options->count++] = argv[i];
            if (strchr(argv[i], '=') == NULL && i + 1 < argc &&
                !option_is_bool(tables, argv[i]))
                options->values[options->count++] = argv[++i];
        } else {
            args->values[args->count++] = argv[i];
        }
    }
}

static int
usage_error(const struct cli_command *command, const char *text)
{
    (void)fprintf(stderr, "error: %s\nusage: ", text);
    usage_line(command, stderr);
    (void)fprintf(stderr, "\n");
    return CLI_EXIT_USAGE;
}

static int
command_run(const struct cli_command *command, int argc, char **argv)
{
    static const struct plex_option none[] = {{0}};
    const struct plex_option *own = command->options ? command->options : none;
    const struct plex_option *const tables[] = {own, cli_options, NULL};
    struct plex_setting given[OPTIONS_MAX + 1] = {0};
    struct cli_args args = {0, calloc((size_t)argc + 1, sizeof(char *))};
    struct cli_args options = {0, calloc((size_t)argc + 1, sizeof(char *))};
    uint64_t config[CLI_CONFIG_MAX / sizeof(uint64_t)] = {0};
    struct cli cli;
    struct plex_err err = {.text = ""};
    int code;

    if (args.values == NULL || options.values == NULL)
        return CLI_EXIT_TEMPORARY;
    split_arguments(tables, argc, argv, &args, &options);
    if (plex_options_argv(tables, options.count, options.values, given,
                          OPTIONS_MAX, &err) != PLEX_OK ||
        plex_options_load(own, "", given, config, &err) != PLEX_OK ||
        plex_options_load(cli_options, "", given, &cli, &err) != PLEX_OK) {
        code = usage_error(command, err.text);
    } else if (strcmp(cli.output, "table") != 0 &&
               strcmp(cli.output, "json") != 0) {
        code = usage_error(command, "option output must be table or json");
    } else if (args.count < command->args_min) {
        code = usage_error(command, "an argument is missing");
    } else if (args.count > command->args_max) {
        code = usage_error(command, "too many arguments");
    } else {
        cli.json = strcmp(cli.output, "json") == 0;
        errors_json = cli.json;
        code = command->run(&cli, &args, config);
    }
    free(args.values);
    free(options.values);
    return code;
}

static bool
wants_help(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    }
    return false;
}

int
main(int argc, char **argv)
{
    const struct cli_command *command;

    if (argc >= 2 && strcmp(argv[1], "dev") == 0)
        return run_dev(argc - 1, argv + 1);
    if (argc >= 2 && (strcmp(argv[1], "version") == 0 ||
                      strcmp(argv[1], "--version") == 0)) {
        (void)printf("plexspaces %s\n", PLEX_VERSION);
        return 0;
    }
    if (argc < 2)
        return help_all(), CLI_EXIT_USAGE;
    if (strcmp(argv[1], "help") == 0) {
        command = command_find(argc - 1, argv + 1);
        if (command == NULL && argc > 2 && strcmp(argv[2], "dev") == 0)
            return run_dev(2, (char *[]){argv[2], "--help", NULL});
        if (command == NULL && argc == 3 && is_area(argv[2]))
            return help_area(argv[2]);
        if (command == NULL && argc > 2)
            return command_unknown(argc - 1, argv + 1);
        return command != NULL ? help_command(command) : help_all();
    }
    if (strncmp(argv[1], "-", 1) == 0 && wants_help(argc, argv))
        return help_all();
    command = command_find(argc, argv);
    if (command == NULL && argc == 3 && is_area(argv[1]) &&
        (wants_help(argc, argv) || strcmp(argv[2], "help") == 0))
        return help_area(argv[1]);
    if (command == NULL)
        return command_unknown(argc, argv);
    if (wants_help(argc, argv))
        return help_command(command);
    if (command->area[0] != '\0')
        return command_run(command, argc - 2, argv + 2);
    return command_run(command, argc - 1, argv + 1);
}
