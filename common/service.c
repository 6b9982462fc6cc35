/* A service as a process: command line, signals, exit code. */
#include "common/service_private.h"

#include "common/log.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <uv.h>

enum { SERVICE_SETTINGS_MAX = 256 };

/* The signals of one process, on its loop. */
struct signals {
    struct plex_instance *instance;
    uv_poll_t poll;
    int fd;
    unsigned seen;
};

static int
exit_code(enum plex_status status)
{
    switch (status) {
    case PLEX_OK:
        return 0;
    case PLEX_INVALID:
    case PLEX_UNSUPPORTED:
    case PLEX_DENIED:
    case PLEX_CORRUPT: /* trying again does not mend a file */
        return PLEX_EXIT_CONFIG;
    default:
        return PLEX_EXIT_TEMPORARY;
    }
}

static bool
has_option(const struct plex_option *options, const char *name)
{
    for (; options->name != NULL; options++) {
        if (strcmp(options->name, name) == 0)
            return true;
    }
    return false;
}

/* A service that lists a common option itself has its own default for it. */
static void
print_help(const struct plex_service *service)
{
    struct service_options common;

    printf("plex-%s %s: %s\n\n", service->name, PLEX_VERSION, service->summary);
    printf("usage: plex-%s [--OPTION VALUE]...\n"
           "       plex-%s --check [--OPTION VALUE]...   check the options "
           "and exit\n"
           "       plex-%s --help | --version\n\n"
           "An option may also be set by its environment variable; the command "
           "line wins.\nExit codes: 0 clean, 100 fix the configuration, 111 "
           "try again later.\n\n",
           service->name, service->name, service->name);
    plex_options_help(service->options, service->name);
    service_options_init(&common, service);
    for (const struct plex_option *o = common.rows; o->name != NULL; o++) {
        const struct plex_option one[] = {*o, {0}};

        if (!has_option(service->options, o->name))
            plex_options_help(one, service->name);
    }
}

/* Exit as asked by --help or --version; take --check out of argv. */
static bool
special_arguments(const struct plex_service *service, int *argc, char **argv,
                  bool *check_only)
{
    int kept = 1;

    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help(service);
            return true;
        }
        if (strcmp(argv[i], "--version") == 0) {
            printf("plex-%s %s\n", service->name, PLEX_VERSION);
            return true;
        }
        if (strcmp(argv[i], "--check") == 0)
            *check_only = true;
        else
            argv[kept++] = argv[i];
    }
    *argc = kept;
    return false;
}

static void
on_signal(uv_poll_t *poll, int status, int events)
{
    struct signals *signals = poll->data;
    struct signalfd_siginfo info;

    (void)status;
    (void)events;
    if (read(signals->fd, &info, sizeof info) != (ssize_t)sizeof info)
        return;
    if (signals->seen++ > 0) {
        plex_log(PLEX_LOG_WARN, "killed", "second signal, exiting at once");
        _exit(PLEX_EXIT_TEMPORARY);
    }
    service_begin_drain(signals->instance);
}

/* Before any thread starts: they inherit the mask. */
static int
block_signals(void)
{
    sigset_t set;

    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static void
watch_signals(struct signals *signals, struct plex_instance *instance)
{
    signals->instance = instance;
    signals->poll.data = signals;
    (void)uv_poll_init(plex_loop_uv(instance->host.loop), &signals->poll,
                       signals->fd);
    (void)uv_poll_start(&signals->poll, UV_READABLE, on_signal);
}

/* A supervisor's wish: its end is ours. It may have ended before we asked. */
static void
follow_parent(void)
{
    const char *wish = getenv("PLEXSPACES_PDEATHSIG");
    const pid_t parent = getppid();

    if (wish == NULL || strcmp(wish, "1") != 0)
        return;
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        (void)raise(SIGTERM);
}

static int
notify_fd(void)
{
    const char *text = getenv("PLEXSPACES_NOTIFY_FD");
    char *end;
    long fd;

    if (text == NULL || text[0] == '\0')
        return -1;
    fd = strtol(text, &end, 10);
    return *end == '\0' && fd >= 0 && fd <= 65535 ? (int)fd : -1;
}

static int
run_process(struct plex_instance *instance)
{
    struct signals signals = {.fd = block_signals()};
    struct plex_err err;

    follow_parent();
    instance->notify_fd = notify_fd();
    if (service_open(instance, &err) != PLEX_OK) {
        plex_log(PLEX_LOG_ERROR, "start-failed", "%s", err.text);
        (void)close(signals.fd);
        return exit_code(err.status);
    }
    watch_signals(&signals, instance);
    plex_loop_run(instance->host.loop);
    uv_close((uv_handle_t *)&signals.poll, NULL);
    service_close(instance);
    (void)close(signals.fd);
    return instance->aborted ? exit_code(instance->abort_err.status) : 0;
}

int
plex_service_main(const struct plex_service *service, int argc, char **argv)
{
    const struct plex_option *const tables[] = {service->options,
                                                plex_base_options, NULL};
    struct plex_setting given[SERVICE_SETTINGS_MAX + 1];
    struct plex_instance *instance;
    bool check_only = false;
    struct plex_err err;
    int code = 0;

    if (special_arguments(service, &argc, argv, &check_only))
        return 0;
    plex_log_bind(service->name, "");
    instance = service_create();
    if (plex_options_argv(tables, argc, argv, given, SERVICE_SETTINGS_MAX,
                          &err) != PLEX_OK ||
        service_configure(instance, service, given, &err) != PLEX_OK) {
        plex_log(PLEX_LOG_ERROR, "configuration-refused", "%s", err.text);
        code = PLEX_EXIT_CONFIG;
    } else if (!check_only) {
        code = run_process(instance);
    }
    service_free(instance);
    return code;
}
