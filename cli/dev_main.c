#include "cli/dev.h"

#include "common/log.h"
#include "common/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPTION(field, type, def, help, low, high)                            \
    {                                                                        \
#field, PLEX_OPTION_##type, offsetof(struct dev_config, field), def, \
            help, low, high                                                  \
    }

static const struct plex_option options[] = {
    OPTION(data, STRING, "./plexspaces-data",
           "folder of everything the suite keeps", 0, 0),
    OPTION(http, STRING, "127.0.0.1:8080",
           "where the gateway listens; port 0 takes a free one", 0, 0),
    OPTION(grpc, STRING, "", "not served yet: accepted and said so", 0, 0),
    OPTION(store, STRING, "sqlite",
           "sqlite (files in the data folder), mem: or postgres://...", 0, 0),
    OPTION(workers, U32, "1", "workers", 1, DEV_WORKERS_MAX),
    OPTION(journals, U32, "1",
           "journals that share the shards; several want postgres://...", 1,
           DEV_JOURNALS_MAX),
    OPTION(processes, BOOL, "false",
           "a daemon for each service instead of a thread", 0, 0),
    OPTION(modules, STRING, "",
           "folder of actor modules; empty for the one built beside this "
           "program, else DATA/modules",
           0, 0),
    OPTION(log_level, STRING, "warn", "error, warn, info or debug", 0, 0),
    {0},
};

static enum plex_status
paths_find(struct dev *dev, struct plex_err *err)
{
    /* Of the program: in a build folder, and as installed. */
    static const char *const beside[] = {"../modules",
                                         "../lib/plexspaces/modules"};
    char self[PATH_MAX] = "", near[PATH_MAX + 64];
    struct stat info;

    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
        return plex_err_set(err, PLEX_UNAVAILABLE, "/proc/self/exe: %s",
                            strerror(errno));
    (void)snprintf(dev->bin, sizeof dev->bin, "%s", dirname(self));
    if (dev->config.modules[0] != '\0') {
        if (realpath(dev->config.modules, dev->modules) == NULL)
            return plex_err_set(err, PLEX_INVALID, "module folder %.120s: %s",
                                dev->config.modules, strerror(errno));
        return PLEX_OK;
    }
    for (size_t i = 0; i < sizeof beside / sizeof beside[0]; i++) {
        (void)snprintf(near, sizeof near, "%s/%s", dev->bin, beside[i]);
        if (realpath(near, dev->modules) != NULL &&
            stat(dev->modules, &info) == 0 && S_ISDIR(info.st_mode))
            return PLEX_OK;
    }
    if ((size_t)snprintf(dev->modules, sizeof dev->modules, "%.*s/modules",
                         PATH_MAX - 16, dev->data) >= sizeof dev->modules ||
        (mkdir(dev->modules, 0700) != 0 && errno != EEXIST))
        return plex_err_set(err, PLEX_INVALID, "module folder %.120s: %s",
                            dev->modules, strerror(errno));
    return PLEX_OK;
}

/* Port 0 of "127.0.0.1:0" becomes a free one, so that dev can say which. */
static enum plex_status
http_choose(struct dev *dev, struct plex_err *err)
{
    struct sockaddr_in addr = {.sin_family = AF_INET};
    socklen_t size = sizeof addr;
    const char *colon = strrchr(dev->config.http, ':');
    int fd;

    (void)snprintf(dev->http, sizeof dev->http, "%s", dev->config.http);
    if (colon == NULL || strlen(dev->config.http) > 100)
        return plex_err_set(err, PLEX_INVALID,
                            "option http is \"%.80s\", it must be ADDR:PORT",
                            dev->config.http);
    if (strcmp(colon, ":0") != 0)
        return PLEX_OK;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof addr) != 0 ||
        getsockname(fd, (struct sockaddr *)&addr, &size) != 0) {
        (void)plex_err_set(err, PLEX_UNAVAILABLE, "no free port: %s",
                           strerror(errno));
        if (fd >= 0)
            (void)close(fd);
        return PLEX_UNAVAILABLE;
    }
    (void)close(fd);
    (void)snprintf(dev->http, sizeof dev->http, "%.*s:%u",
                   (int)(colon - dev->config.http), dev->config.http,
                   (unsigned)ntohs(addr.sin_port));
    return PLEX_OK;
}

void
dev_announce(const struct dev *dev)
{
    (void)printf("plexspaces %s is ready after %" PRIu64 " ms\n"
                 "  gateway   http://%s\n"
                 "  data      %s (%s)\n"
                 "  modules   %s\n"
                 "  runs     ",
                 PLEX_VERSION, (plex_now() - dev->began_ns) / 1000000u,
                 dev->http, dev->data,
                 strncmp(dev->config.store, "postgres", 8) == 0
                     ? "and Postgres"
                     : dev->config.store,
                 dev->modules);
    for (size_t i = 0; i < dev->count; i++)
        (void)printf(" %s", dev->parts[i].name);
    (void)printf(", %s\n",
                 dev->config.processes ? "each a process" : "in one process");
    if (dev->config.grpc[0] != '\0')
        (void)printf("  grpc      not served yet, %s is not listened on\n",
                     dev->config.grpc);
    (void)printf("  development mode: no credentials, loopback only\n");
    (void)fflush(stdout);
}

static int
dev_fail(const struct plex_err *err)
{
    (void)fprintf(stderr, "error: %s\n", err->text);
    return err->status == PLEX_UNAVAILABLE || err->status == PLEX_CONFLICT
               ? PLEX_EXIT_TEMPORARY
               : PLEX_EXIT_CONFIG;
}

static enum plex_status
dev_prepare(struct dev *dev, int argc, char **argv, struct plex_err *err)
{
    static struct plex_setting given[64];
    const struct plex_option *const tables[] = {options, NULL};
    enum plex_log_level level;
    enum plex_status status;

    status = plex_options_argv(tables, argc, argv, given, 63, err);
    if (status == PLEX_OK)
        status = plex_options_load(options, "dev", given, &dev->config, err);
    if (status == PLEX_OK)
        status = plex_log_level_parse(dev->config.log_level, &level, err);
    if (status == PLEX_OK)
        status = http_choose(dev, err);
    if (status == PLEX_OK)
        status = dev_data_open(dev, err);
    if (status == PLEX_OK)
        status = paths_find(dev, err);
    if (status == PLEX_OK)
        status = dev_plan(dev, err);
    return status;
}

int
main(int argc, char **argv)
{
    static struct dev dev = {.lock = -1};
    struct plex_err err = {.text = ""};
    sigset_t blocked;
    int code;

    dev.began_ns = plex_now();
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        (void)printf(
            "plexspaces dev [options]\n\n"
            "    run the whole suite on this machine until Ctrl-C\n\n");
        plex_options_help(options, "dev");
        return 0;
    }
    /* Before any thread: they inherit the mask. */
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGINT);
    (void)sigaddset(&blocked, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &blocked, NULL);
    if (dev_prepare(&dev, argc, argv, &err) != PLEX_OK)
        code = dev_fail(&err);
    else
        code = dev.config.processes ? dev_run_processes(&dev)
                                    : dev_run_threads(&dev);
    dev_data_close(&dev);
    return code;
}
