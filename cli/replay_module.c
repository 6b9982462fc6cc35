/* plex-replay, which runs recorded turns, and what it says. */
#include "cli/replay_module.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SAID_MAX = 4096 };

struct program {
    char path[PATH_MAX], folder[PATH_MAX], stem[NAME_MAX + 1];
    const char *behaviour, *file;
};

/* Folder and name of the module's file, and the program beside ourselves. */
static enum plex_status
program_find(const struct replay_code *code, const char *file,
             struct program *out, struct plex_err *err)
{
    char path[PATH_MAX], self[PATH_MAX];
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    size_t len;
    char *name;

    out->behaviour = code->behaviour;
    out->file = file;
    if (realpath(code->module, path) == NULL)
        return plex_err_set(err, PLEX_INVALID, "module %.120s: %s",
                            code->module, strerror(errno));
    name = strrchr(path, '/');
    *name++ = '\0';
    len = strlen(name);
    if (len <= 3 || len > NAME_MAX || strcmp(name + len - 3, ".so") != 0)
        return plex_err_set(err, PLEX_INVALID, "module %.120s must end in .so",
                            code->module);
    (void)snprintf(out->folder, sizeof out->folder, "%s",
                   path[0] == '\0' ? "/" : path);
    (void)snprintf(out->stem, sizeof out->stem, "%.*s", (int)(len - 3), name);
    if (n <= 0)
        return plex_err_set(err, PLEX_INVALID,
                            "cannot find out where this program lies");
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    if ((size_t)snprintf(out->path, sizeof out->path, "%s/plex-replay", self) >=
        sizeof out->path)
        return plex_err_set(err, PLEX_INVALID,
                            "this program's path is too long");
    return PLEX_OK;
}

static void
child(const struct program *program, uint64_t first, int out)
{
    char number[24];

    (void)snprintf(number, sizeof number, "%" PRIu64, first);
    (void)dup2(out, STDOUT_FILENO);
    (void)close(out);
    (void)execl(program->path, program->path, program->folder, program->stem,
                program->behaviour, program->file, number, (char *)NULL);
    _exit(127);
}

static void
verdict_set(json_t *view, const char *verdict, const char *why)
{
    json_object_set_new(view, "verdict", json_string(verdict));
    json_object_set_new(view, "why", json_string(why));
    if (json_object_get(view, "why") == NULL) /* not UTF-8 */
        json_object_set_new(view, "why", json_string("it cannot be shown"));
}

/* "12 same why". False: it is something else. */
static bool
line_take(json_t *turns, size_t *at, char *line)
{
    char *why, *verdict = strchr(line, ' ');
    json_t *view;

    line[strcspn(line, "\n")] = '\0';
    if (verdict == NULL)
        return false;
    *verdict++ = '\0';
    why = strchr(verdict, ' ');
    if (why == NULL)
        return false;
    *why++ = '\0';
    for (; *at < json_array_size(turns); ++*at) {
        view = json_array_get(turns, *at);
        if ((uint64_t)json_integer_value(json_object_get(view, "sequence")) !=
            strtoull(line, NULL, 10))
            continue;
        verdict_set(view, verdict, why);
        ++*at;
        return true;
    }
    return false;
}

/* One process over the turns from *at on. *at is where it ended. */
static enum plex_status
program_run(const struct program *program, json_t *turns, size_t *at,
            struct plex_err *err)
{
    const uint64_t first = (uint64_t)json_integer_value(
        json_object_get(json_array_get(turns, *at), "sequence"));
    char line[SAID_MAX], said[SAID_MAX] = "";
    int ends[2], status = 0;
    FILE *in;
    pid_t pid;

    (void)fflush(stdout);
    if (pipe(ends) != 0)
        return plex_err_set(err, PLEX_UNAVAILABLE, "pipe: %s", strerror(errno));
    pid = fork();
    if (pid == 0) {
        (void)close(ends[0]);
        child(program, first, ends[1]);
    }
    (void)close(ends[1]);
    in = fdopen(ends[0], "r");
    while (in != NULL && fgets(line, sizeof line, in) != NULL)
        if (strncmp(line, "error ", 6) == 0)
            (void)snprintf(said, sizeof said, "%.*s",
                           (int)strcspn(line + 6, "\n"), line + 6);
        else
            (void)line_take(turns, at, line); /* else the module's own words */
    if (in != NULL)
        (void)fclose(in);
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return plex_err_set(err, PLEX_UNAVAILABLE, "fork: %s", strerror(errno));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return plex_err_set(err, PLEX_INVALID, "%.200s cannot be started",
                            program->path);
    if (said[0] != '\0')
        return plex_err_set(err, PLEX_INVALID, "%.200s", said);
    if (*at < json_array_size(turns)) {
        const bool late = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;

        verdict_set(json_array_get(turns, *at), late ? "differs" : "crashes",
                    late ? "neither waits nor ends within 10 s"
                         : "the code ends the process");
        ++*at;
    }
    return PLEX_OK;
}

enum plex_status
replay_module(const struct replay_code *code, const char *file, json_t *turns,
              struct plex_err *err)
{
    struct program program;
    size_t at = 0;

    if (program_find(code, file, &program, err) != PLEX_OK)
        return err->status;
    while (at < json_array_size(turns))
        if (program_run(&program, turns, &at, err) != PLEX_OK)
            return err->status;
    return PLEX_OK;
}
