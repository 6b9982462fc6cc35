/* Would a new module fit the runs that wait? Each is gone through by
 * plex-upgrade-check, a process of its own. */
#include "cli/past.h"
#include "cli/print.h"
#include "cli/rest.h"
#include "common/arena.h"
#include "services/worker/run_log.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAST_ARENA = 64 << 20, TOKEN_MAX = 3000, VERDICT_MAX = 2000 };

struct upgrade_config {
    const char *module, *behaviour, *type, *as, *ns;
    struct past_definition definition;
};
const struct plex_option cli_upgrade_options[] = {
    {"module", PLEX_OPTION_STRING, offsetof(struct upgrade_config, module), "",
     "the new module's file", 0, 0},
    {"as", PLEX_OPTION_STRING, offsetof(struct upgrade_config, as), "",
     "the module it will replace; empty: the one of the file's name", 0, 0},
    {"behaviour", PLEX_OPTION_STRING,
     offsetof(struct upgrade_config, behaviour), "",
     "in the new module; empty: as deployed", 0, 0},
    {"type", PLEX_OPTION_STRING, offsetof(struct upgrade_config, type), "",
     "only runs of this type", 0, 0},
    {"namespace", PLEX_OPTION_STRING, offsetof(struct upgrade_config, ns), "",
     "only of this namespace", 0, 0},
    {"definition", PLEX_OPTION_STRING,
     offsetof(struct upgrade_config, definition.file), "",
     "instead of a module: a workflow definition's file", 0, 0},
    {"workflow", PLEX_OPTION_STRING,
     offsetof(struct upgrade_config, definition.workflow), "", "its id", 0, 0},
    {"language", PLEX_OPTION_STRING,
     offsetof(struct upgrade_config, definition.language), "",
     "asl: it is a state machine", 0, 0},
    {0},
};

struct upgrade {
    const struct cli *cli;
    const struct upgrade_config *config;
    char folder[PATH_MAX], stem[NAME_MAX + 1];
    const char *replaces;
    char checker[PATH_MAX];
    json_t *applications, *seen, *rows;
    size_t diverging;
};

static const struct print_column upgrade_columns[] = {
    {"RUN", "actor", PRINT_TEXT, NULL},
    {"VERDICT", "verdict", PRINT_TEXT, NULL},
    {"WHY", "why", PRINT_TEXT, NULL},
    {0},
};

/* -- one run -----------------------------------------------------------------
 */

static void
write_all(int fd, struct plex_bytes bytes)
{
    while (bytes.len > 0) {
        const ssize_t n = write(fd, bytes.data, bytes.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* it has ended: its status says how */
        bytes.data += n;
        bytes.len -= (size_t)n;
    }
}

static void
child(const struct upgrade *up, const char *behaviour, const char *actor,
      const int in[2], const int out[2])
{
    (void)dup2(in[0], STDIN_FILENO);
    (void)dup2(out[1], STDOUT_FILENO);
    (void)close(in[0]);
    (void)close(in[1]);
    (void)close(out[0]);
    (void)close(out[1]);
    (void)execl(up->checker, up->checker, up->folder, up->stem, behaviour,
                actor, (char *)NULL);
    _exit(127);
}

/* The last line that it said. It reads all before it says anything. */
static enum plex_status
run_child(const struct upgrade *up, const char *behaviour, const char *actor,
          struct plex_bytes packed, char verdict[VERDICT_MAX],
          struct plex_err *err)
{
    int in[2], out[2], status = 0;
    size_t used = 0;
    ssize_t n;
    pid_t pid;

    if (pipe(in) != 0 || pipe(out) != 0)
        return plex_err_set(err, PLEX_UNAVAILABLE, "pipe: %s", strerror(errno));
    pid = fork();
    if (pid == 0)
        child(up, behaviour, actor, in, out);
    (void)close(in[0]);
    (void)close(out[1]);
    if (pid > 0)
        write_all(in[1], packed);
    (void)close(in[1]);
    while (used + 1 < VERDICT_MAX &&
           (n = read(out[0], verdict + used, VERDICT_MAX - 1 - used)) > 0)
        used += (size_t)n;
    verdict[used] = '\0';
    (void)close(out[0]);
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return plex_err_set(err, PLEX_UNAVAILABLE, "fork: %s", strerror(errno));
    if (WIFSIGNALED(status))
        (void)snprintf(verdict, VERDICT_MAX, "diverges %s",
                       WTERMSIG(status) == SIGALRM
                           ? "neither waits nor ends within 10 s"
                           : "the new code crashes");
    else if (WEXITSTATUS(status) == 127)
        return plex_err_set(err, PLEX_INVALID, "%.200s cannot be started",
                            up->checker);
    else if (WEXITSTATUS(status) != 0)
        (void)snprintf(verdict, VERDICT_MAX,
                       "diverges the new module does not have behaviour %s",
                       behaviour);
    return PLEX_OK;
}

static void
row_add(struct upgrade *up, const char *actor, char *verdict)
{
    char *why = strchr(verdict, ' ');
    json_t *row;

    verdict[strcspn(verdict, "\n")] = '\0';
    if (why == NULL || strncmp(verdict, "fits ", 5) != 0)
        up->diverging++;
    if (why != NULL)
        *why++ = '\0';
    row = json_pack("{s:s, s:s, s:s}", "actor", actor, "verdict", verdict,
                    "why", why == NULL ? "" : why);
    if (row != NULL)
        json_array_append_new(up->rows, row);
}

/* The behaviour that the type is deployed with, when it is of the module that
 * is replaced; NULL: it is not. */
static const char *
behaviour_of(const struct upgrade *up, const struct plex_actor_id *id)
{
    const json_t *app, *type;
    size_t i, k;

    json_array_foreach(up->applications, i, app)
    {
        const char *ns = json_string_value(json_object_get(app, "namespace"));

        if (ns == NULL || strcmp(ns, id->ns) != 0)
            continue;
        json_array_foreach(json_object_get(app, "actorTypes"), k, type)
        {
            const char *name = json_string_value(json_object_get(type, "name"));
            const char *module =
                json_string_value(json_object_get(type, "module"));
            const char *behaviour =
                json_string_value(json_object_get(type, "behaviour"));

            if (name == NULL || module == NULL || strcmp(name, id->type) != 0)
                continue;
            if (strcmp(module, up->replaces) != 0)
                return NULL;
            return behaviour == NULL || behaviour[0] == '\0' ? name : behaviour;
        }
    }
    return NULL;
}

static enum plex_status
check_actor(struct upgrade *up, const char *actor, struct plex_err *err)
{
    char parts[PLEX_ACTOR_NAME_MAX + 1], behaviour[256], verdict[VERDICT_MAX];
    struct plex_actor_id id;
    struct plex_arena arena;
    struct journal_was was;
    enum plex_status status;
    const char *deployed;

    (void)snprintf(parts, sizeof parts, "%s", actor);
    if (plex_actor_parse(parts, &id, err) != PLEX_OK)
        return err->status;
    deployed = behaviour_of(up, &id);
    if (deployed == NULL)
        return PLEX_OK;
    (void)snprintf(behaviour, sizeof behaviour, "%s",
                   up->config->behaviour[0] != '\0' ? up->config->behaviour
                                                    : deployed);
    plex_arena_init(&arena, PAST_ARENA);
    status = past_at(up->cli, actor, &(struct past_of){.stored = true}, &arena,
                     &was, err);
    /* It may have ended since the list was made. */
    if (status == PLEX_OK && (was.schema_version & WORK_SCHEMA_OPEN) != 0) {
        status = run_child(up, behaviour, actor, was.state, verdict, err);
        if (status == PLEX_OK)
            row_add(up, actor, verdict);
    }
    plex_arena_fini(&arena);
    return status == PLEX_NOT_FOUND ? PLEX_OK : status;
}

/* -- all runs ----------------------------------------------------------------
 */

static enum plex_status
check_page(struct upgrade *up, const json_t *page, struct plex_err *err)
{
    const json_t *run;
    size_t i;

    json_array_foreach(json_object_get(page, "runs"), i, run)
    {
        const char *actor = json_string_value(json_object_get(run, "actorId"));

        if (actor == NULL || json_object_get(up->seen, actor) != NULL)
            continue;
        json_object_set_new(up->seen, actor, json_true());
        if (check_actor(up, actor, err) != PLEX_OK)
            return err->status;
    }
    return PLEX_OK;
}

static enum plex_status
check_all(struct upgrade *up, struct plex_err *err)
{
    char token[TOKEN_MAX] = "";
    enum plex_status status;

    if (rest_list(up->cli, "/api/v1/applications", "applications",
                  &up->applications, err) != PLEX_OK)
        return err->status;
    do {
        struct rest_path path = {0};
        const char *next;
        json_t *page;

        rest_path_add(&path, "/api/v1/runs");
        rest_path_param(&path, "namespace", up->config->ns);
        rest_path_param(&path, "type", up->config->type);
        rest_path_param(&path, "page_token", token);
        if (rest_get(up->cli, path.text, &page, err) != PLEX_OK)
            return err->status;
        status = check_page(up, page, err);
        next = json_string_value(json_object_get(page, "nextPageToken"));
        (void)snprintf(token, sizeof token, "%s", next == NULL ? "" : next);
        json_decref(page);
    } while (status == PLEX_OK && token[0] != '\0');
    return status;
}

/* Folder and name of the module's file, and the checker beside ourselves. */
static enum plex_status
files_find(struct upgrade *up, struct plex_err *err)
{
    const char *module = up->config->module;
    char path[PATH_MAX], self[PATH_MAX];
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *name;
    size_t len;

    if (module[0] == '\0')
        return plex_err_set(err, PLEX_INVALID,
                            "--module names the new module's file");
    if (realpath(module, path) == NULL)
        return plex_err_set(err, PLEX_INVALID, "module %.120s: %s", module,
                            strerror(errno));
    name = strrchr(path, '/');
    *name++ = '\0';
    len = strlen(name);
    if (len <= 3 || strcmp(name + len - 3, ".so") != 0)
        return plex_err_set(err, PLEX_INVALID, "module %.120s must end in .so",
                            module);
    (void)snprintf(up->folder, sizeof up->folder, "%s",
                   path[0] == '\0' ? "/" : path);
    (void)snprintf(up->stem, sizeof up->stem, "%.*s", (int)(len - 3), name);
    up->replaces = up->config->as[0] != '\0' ? up->config->as : up->stem;
    if (n <= 0)
        return plex_err_set(err, PLEX_INVALID,
                            "cannot find out where this "
                            "program lies");
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    if ((size_t)snprintf(up->checker, sizeof up->checker,
                         "%s/plex-upgrade-check", self) >= sizeof up->checker)
        return plex_err_set(err, PLEX_INVALID,
                            "this program's path is too "
                            "long");
    return PLEX_OK;
}

int
cli_upgrade_check(const struct cli *cli, const struct cli_args *args,
                  const void *config)
{
    struct upgrade up = {.cli = cli,
                         .config = config,
                         .seen = json_object(),
                         .rows = json_array()};
    struct plex_err err;
    int code = 0;

    (void)args;
    if (up.config->definition.file[0] != '\0') {
        json_decref(up.seen);
        json_decref(up.rows);
        return past_check_definition(cli, up.config->ns,
                                     &up.config->definition);
    }
    (void)signal(SIGPIPE, SIG_IGN); /* a module may end before it reads */
    if (files_find(&up, &err) != PLEX_OK || check_all(&up, &err) != PLEX_OK) {
        code = cli_fail(&err);
    } else {
        code = up.diverging == 0 ? 0 : CLI_EXIT_REFUSED;
        if (cli->json)
            print_json(up.rows);
        else
            print_table(upgrade_columns, up.rows);
        if (!cli->json)
            (void)printf("%zu runs, %zu would diverge\n",
                         json_array_size(up.rows), up.diverging);
    }
    json_decref(up.applications);
    json_decref(up.seen);
    json_decref(up.rows);
    return code;
}
