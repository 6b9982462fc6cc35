#include "cli/dev.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* nng copies ipc paths into sun_path: 108 bytes with the NUL. */
enum { SOCKET_PATH_MAX = 107, SOCKET_NAME_MAX = 24 };

static enum plex_status
folder_make(const char *path, mode_t mode, struct plex_err *err)
{
    char part[PATH_MAX];

    if (path[0] == '\0' || strlen(path) >= sizeof part)
        return plex_err_set(err, PLEX_INVALID,
                            "data folder \"%.80s\" must be a path of 1 to %d "
                            "bytes",
                            path, PATH_MAX - 1);
    (void)snprintf(part, sizeof part, "%s", path);
    for (char *c = part + 1;; c++) {
        if (*c != '/' && *c != '\0')
            continue;
        *c = '\0';
        if (mkdir(part, mode) != 0 && errno != EEXIST)
            return plex_err_set(err, PLEX_INVALID,
                                "could not make folder %.120s: %s", part,
                                strerror(errno));
        if (strlen(part) == strlen(path))
            return PLEX_OK;
        *c = '/';
    }
}

static long
file_number(const char *path)
{
    FILE *file = fopen(path, "re");
    long number = 0;

    if (file == NULL)
        return 0;
    if (fscanf(file, "%ld", &number) != 1)
        number = 0;
    (void)fclose(file);
    return number;
}

static enum plex_status
data_lock(struct dev *dev, struct plex_err *err)
{
    char path[PATH_MAX + 16], text[32];
    int len;

    (void)snprintf(path, sizeof path, "%s/dev.lock", dev->data);
    dev->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (dev->lock < 0)
        return plex_err_set(err, PLEX_INVALID, "could not open %.160s: %s",
                            path, strerror(errno));
    if (flock(dev->lock, LOCK_EX | LOCK_NB) != 0)
        return plex_err_set(err, PLEX_CONFLICT,
                            "data folder %.120s is in use by another "
                            "plexspaces dev, process %ld",
                            dev->data, file_number(path));
    len = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(dev->lock, 0) != 0 ||
        pwrite(dev->lock, text, (size_t)len, 0) != len)
        return plex_err_set(err, PLEX_UNAVAILABLE, "could not write %.160s: %s",
                            path, strerror(errno));
    return PLEX_OK;
}

/* A pid alone may be somebody else's by now: its program must be ours. */
static bool
is_daemon(long pid)
{
    char link[64], path[PATH_MAX] = "";
    const char *name;

    (void)snprintf(link, sizeof link, "/proc/%ld/exe", pid);
    if (readlink(link, path, sizeof path - 1) < 0)
        return false;
    name = strrchr(path, '/');
    return name != NULL && strncmp(name, "/plex-", 6) == 0;
}

/* The lock is ours, so the dev that started these is dead. */
static void
orphans_end(struct dev *dev)
{
    const struct timespec pause = {.tv_nsec = 2000000};
    DIR *folder = opendir(dev->run);
    struct dirent *entry;
    char path[PATH_MAX + 300];

    if (folder == NULL)
        return;
    while ((entry = readdir(folder)) != NULL) {
        const char *dot = strrchr(entry->d_name, '.');
        long pid;

        if (dot == NULL || strcmp(dot, ".pid") != 0)
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", dev->run, entry->d_name);
        pid = file_number(path);
        if (pid > 1 && is_daemon(pid)) {
            (void)fprintf(stderr,
                          "dev: ending %.40s, process %ld, which an "
                          "earlier dev left behind\n",
                          entry->d_name, pid);
            (void)kill((pid_t)pid, SIGKILL);
            for (int i = 0; i < 2000 && is_daemon(pid); i++)
                (void)nanosleep(&pause, NULL);
        }
        (void)unlink(path);
    }
    (void)closedir(folder);
}

static enum plex_status
sockets_choose(struct dev *dev, struct plex_err *err)
{
    (void)snprintf(dev->sockets, sizeof dev->sockets, "%s", dev->run);
    if (strlen(dev->run) + SOCKET_NAME_MAX <= SOCKET_PATH_MAX ||
        !dev->config.processes)
        return PLEX_OK;
    (void)snprintf(dev->sockets, sizeof dev->sockets, "/tmp/plexspaces-XXXXXX");
    if (mkdtemp(dev->sockets) == NULL)
        return plex_err_set(err, PLEX_UNAVAILABLE, "could not make %s: %s",
                            dev->sockets, strerror(errno));
    (void)fprintf(stderr, "dev: %s is too long a path for sockets, using %s\n",
                  dev->run, dev->sockets);
    return PLEX_OK;
}

enum plex_status
dev_data_open(struct dev *dev, struct plex_err *err)
{
    enum plex_status status = folder_make(dev->config.data, 0700, err);

    if (status != PLEX_OK)
        return status;
    if (realpath(dev->config.data, dev->data) == NULL)
        return plex_err_set(err, PLEX_INVALID, "data folder %.120s: %s",
                            dev->config.data, strerror(errno));
    if (strpbrk(dev->data, "?#%") != NULL)
        return plex_err_set(err, PLEX_INVALID,
                            "data folder %.120s: '?', '#' and '%%' may not be "
                            "in its path",
                            dev->data);
    (void)snprintf(dev->run, sizeof dev->run, "%s/run", dev->data);
    status = data_lock(dev, err);
    if (status == PLEX_OK)
        status = folder_make(dev->run, 0700, err);
    if (status != PLEX_OK)
        return status;
    orphans_end(dev);
    return sockets_choose(dev, err);
}

void
dev_data_pid(const struct dev *dev, const char *name, long pid)
{
    char path[PATH_MAX + 64], fresh[PATH_MAX + 72];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/%s.pid", dev->run, name);
    if (pid == 0) {
        (void)unlink(path);
        return;
    }
    /* Renamed, so that a reader never sees half a number. */
    (void)snprintf(fresh, sizeof fresh, "%s.new", path);
    file = fopen(fresh, "we");
    if (file == NULL)
        return;
    (void)fprintf(file, "%ld\n", pid);
    if (fclose(file) == 0)
        (void)rename(fresh, path);
}

void
dev_data_close(struct dev *dev)
{
    char path[PATH_MAX + 64];

    if (dev->sockets[0] != '\0' && strcmp(dev->sockets, dev->run) != 0) {
        for (size_t i = 0; i < dev->count; i++) {
            (void)snprintf(path, sizeof path, "%s/%s.sock", dev->sockets,
                           dev->parts[i].name);
            (void)unlink(path);
        }
        (void)rmdir(dev->sockets);
    }
    if (dev->lock >= 0)
        (void)close(dev->lock);
    dev->lock = -1;
}
