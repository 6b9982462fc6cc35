/* The suite as daemons: start, restart what dies, stop in order. One thread,
 * signals by descriptor, so that fork() is safe. */
#include "cli/dev.h"

#include "common/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    BACKOFF_MIN_MS = 100,
    BACKOFF_MAX_MS = 2000,
    STEADY_MS = 10000, /* after so long a life the back-off starts anew */
    AGAIN_MS = 1000,   /* between two signals that mean it twice */
    FIRST_TRIES = 4,   /* of a daemon, before the suite has ever been ready */
};

struct child {
    struct dev_part *part;
    pid_t pid;  /* 0: not running */
    int notify; /* read end until ready, else -1 */
    unsigned tries;
    bool ready;
    uint32_t backoff_ms; /* before the next restart */
    uint64_t began_ns;
    uint64_t restart_ns; /* when pid is 0 */
};

struct family {
    struct dev *dev;
    struct child children[DEV_PARTS_MAX];
    int signals;
    sigset_t unblocked; /* what children get */
    bool announced;
    bool stopping;
    int code;
};

static void
child_env(const struct dev_part *part, int notify)
{
    char name[128], number[16];

    for (const struct plex_setting *s = part->settings; s->name != NULL; s++) {
        (void)snprintf(name, sizeof name, "PLEXSPACES_%s_%s", part->service,
                       s->name);
        for (char *c = name; *c != '\0'; c++) {
            if (*c >= 'a' && *c <= 'z')
                *c = (char)(*c - 'a' + 'A');
            else if (*c == '-')
                *c = '_';
        }
        (void)setenv(name, s->value, 1);
    }
    (void)snprintf(number, sizeof number, "%d", notify);
    (void)setenv("PLEXSPACES_NOTIFY_FD", number, 1);
    (void)setenv("PLEXSPACES_PDEATHSIG", "1", 1);
}

static void
child_exec(const struct family *family, const struct dev_part *part, int notify)
{
    char path[PATH_MAX + 64], name[64];
    char *argv[] = {name, NULL};

    (void)snprintf(name, sizeof name, "plex-%s", part->service);
    (void)snprintf(path, sizeof path, "%s/%s", family->dev->bin, name);
    /* A group of its own: Ctrl-C is for dev, which then stops in order. */
    (void)setpgid(0, 0);
    (void)sigprocmask(SIG_SETMASK, &family->unblocked, NULL);
    (void)fcntl(notify, F_SETFD, 0);
    child_env(part, notify);
    (void)execv(path, argv);
    (void)fprintf(stderr, "error: could not run %s: %s\n", path,
                  strerror(errno));
    _exit(PLEX_EXIT_CONFIG);
}

static void
child_retry(struct child *child)
{
    uint64_t now = plex_now();

    child->restart_ns = now + (uint64_t)child->backoff_ms * 1000000u;
    child->backoff_ms = child->backoff_ms == 0 ? BACKOFF_MIN_MS
                        : child->backoff_ms * 2 > BACKOFF_MAX_MS
                            ? BACKOFF_MAX_MS
                            : child->backoff_ms * 2;
}

static void
child_start(struct family *family, struct child *child)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        (void)fprintf(stderr, "dev: pipe: %s\n", strerror(errno));
        child_retry(child);
        return;
    }
    child->began_ns = plex_now();
    child->tries++;
    child->pid = fork();
    if (child->pid == 0)
        child_exec(family, child->part, ends[1]);
    (void)close(ends[1]);
    if (child->pid < 0) {
        (void)fprintf(stderr, "dev: fork: %s\n", strerror(errno));
        (void)close(ends[0]);
        child->pid = 0;
        child_retry(child);
        return;
    }
    child->notify = ends[0];
    child->ready = false;
    dev_data_pid(family->dev, child->part->name, child->pid);
}

static void
child_describe(int status, char *text, size_t size)
{
    if (WIFSIGNALED(status))
        (void)snprintf(text, size, "was killed by signal %d (%s)",
                       WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        (void)snprintf(text, size, "exited with %d", WEXITSTATUS(status));
}

static void
child_ended(struct family *family, struct child *child, int status)
{
    char how[96];
    bool temporary =
        WIFSIGNALED(status) || WEXITSTATUS(status) == PLEX_EXIT_TEMPORARY;

    if (child->notify >= 0)
        (void)close(child->notify);
    child->notify = -1;
    child->pid = 0;
    child->ready = false;
    dev_data_pid(family->dev, child->part->name, 0);
    if (family->stopping)
        return;
    child_describe(status, how, sizeof how);
    if (!family->announced && (!temporary || child->tries >= FIRST_TRIES)) {
        /* Never worked: trying for ever would only hide what it said. */
        (void)fprintf(stderr, "error: %s %s\n", child->part->name, how);
        family->code = WIFEXITED(status) && WEXITSTATUS(status) != 0
                           ? WEXITSTATUS(status)
                           : PLEX_EXIT_TEMPORARY;
        family->stopping = true;
        return;
    }
    if (plex_now() - child->began_ns > (uint64_t)STEADY_MS * 1000000u)
        child->backoff_ms = 0;
    (void)fprintf(stderr, "dev: %s %s; starting it again %s\n",
                  child->part->name, how,
                  child->backoff_ms == 0 ? "at once" : "after a pause");
    child_retry(child);
}

static void
family_reap(struct family *family)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (size_t i = 0; i < family->dev->count; i++) {
            if (family->children[i].pid == pid)
                child_ended(family, &family->children[i], status);
        }
    }
}

static void
child_notified(struct family *family, struct child *child)
{
    char byte;
    ssize_t got = read(child->notify, &byte, 1);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    (void)close(child->notify);
    child->notify = -1;
    if (got != 1)
        return; /* ended, or closed it: SIGCHLD tells */
    child->ready = true;
    if (family->announced)
        (void)fprintf(stderr, "dev: %s is ready again, %" PRIu64 " ms\n",
                      child->part->name,
                      (plex_now() - child->began_ns) / 1000000u);
}

static void
family_announce(struct family *family)
{
    for (size_t i = 0; i < family->dev->count; i++) {
        if (!family->children[i].ready)
            return;
    }
    family->announced = true;
    dev_announce(family->dev);
}

/* Start what is due; the milliseconds until the next is, or -1. */
static int
family_restart(struct family *family)
{
    uint64_t now = plex_now();
    int wait = -1;

    for (size_t i = 0; i < family->dev->count; i++) {
        struct child *child = &family->children[i];
        int left;

        if (child->pid != 0)
            continue;
        if (child->restart_ns <= now) {
            child_start(family, child);
            continue;
        }
        left = (int)((child->restart_ns - now) / 1000000u) + 1;
        if (wait < 0 || left < wait)
            wait = left;
    }
    return wait;
}

/* The signal that came, or 0 after anything else or `wait_ms`. */
static int
family_poll(struct family *family, int wait_ms)
{
    struct pollfd fds[1 + DEV_PARTS_MAX];
    struct child *owners[1 + DEV_PARTS_MAX];
    struct signalfd_siginfo info;
    nfds_t count = 1;
    int seen = 0;

    fds[0] = (struct pollfd){.fd = family->signals, .events = POLLIN};
    for (size_t i = 0; i < family->dev->count; i++) {
        if (family->children[i].notify < 0)
            continue;
        owners[count] = &family->children[i];
        fds[count++] =
            (struct pollfd){.fd = family->children[i].notify, .events = POLLIN};
    }
    if (poll(fds, count, wait_ms) <= 0)
        return 0;
    for (nfds_t i = 1; i < count; i++) {
        if (fds[i].revents != 0)
            child_notified(family, owners[i]);
    }
    while (read(family->signals, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            family_reap(family);
        else
            seen = (int)info.ssi_signo;
    }
    return seen;
}

static bool
stage_runs(const struct family *family, unsigned stage)
{
    for (size_t i = 0; i < family->dev->count; i++) {
        if (family->children[i].pid != 0 &&
            family->children[i].part->stage == stage)
            return true;
    }
    return false;
}

static void
stage_signal(const struct family *family, unsigned stage, int number)
{
    for (size_t i = 0; i < family->dev->count; i++) {
        const struct child *child = &family->children[i];

        if (child->pid == 0 || child->part->stage != stage)
            continue;
        (void)kill(child->pid, number);
        (void)kill(child->pid, SIGCONT); /* it may have been stopped */
        if (number == SIGKILL)
            (void)fprintf(stderr, "dev: %s did not end in time, killed\n",
                          child->part->name);
    }
}

/* Callers first. A second signal from the user makes it short; one that comes
 * at once is the same Ctrl-C, passed on by a script around this. */
static void
family_stop(struct family *family)
{
    uint64_t began = plex_now();

    family->stopping = true;
    for (unsigned stage = 0; stage < DEV_STAGES; stage++) {
        uint64_t deadline = plex_now() + (uint64_t)DEV_STOP_MS * 1000000u;
        bool killed = false;

        stage_signal(family, stage, SIGTERM);
        while (stage_runs(family, stage)) {
            if (family_poll(family, 100) != 0 &&
                plex_now() - began > (uint64_t)AGAIN_MS * 1000000u)
                deadline = 0;
            if (!killed && plex_now() > deadline) {
                stage_signal(family, stage, SIGKILL);
                killed = true;
            }
        }
    }
}

int
dev_run_processes(struct dev *dev)
{
    static struct family family;
    sigset_t wanted;

    (void)sigemptyset(&wanted);
    (void)sigaddset(&wanted, SIGINT);
    (void)sigaddset(&wanted, SIGTERM);
    (void)sigaddset(&wanted, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &wanted, NULL);
    (void)sigemptyset(&family.unblocked);
    family.dev = dev;
    family.signals = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
    if (family.signals < 0) {
        (void)fprintf(stderr, "error: signalfd: %s\n", strerror(errno));
        return PLEX_EXIT_TEMPORARY;
    }
    for (size_t i = 0; i < dev->count; i++) {
        family.children[i].part = &dev->parts[i];
        family.children[i].notify = -1;
    }
    while (!family.stopping) {
        int wait = family_restart(&family);

        if (family_poll(&family, wait) != 0)
            break;
        if (!family.announced)
            family_announce(&family);
    }
    family_stop(&family);
    (void)close(family.signals);
    return family.code;
}
