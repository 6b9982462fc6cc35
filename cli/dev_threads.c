/* The suite as threads of this process. */
#include "cli/dev.h"

#include "common/loop.h"

#include <signal.h>
#include <stdio.h>

enum { READY_MS = 30000 };

static void
threads_stop(struct dev *dev, struct plex_instance **instances)
{
    for (unsigned stage = 0; stage < DEV_STAGES; stage++) {
        for (size_t i = 0; i < dev->count; i++) {
            if (dev->parts[i].stage != stage || instances[i] == NULL)
                continue;
            plex_instance_stop(instances[i]);
            instances[i] = NULL;
        }
    }
}

static int
threads_wait(struct dev *dev, struct plex_instance **instances)
{
    uint64_t deadline = plex_now() + (uint64_t)READY_MS * 1000000u;
    sigset_t wanted;
    int number;

    for (size_t i = 0; i < dev->count; i++) {
        uint64_t now = plex_now();
        uint32_t left =
            now < deadline ? (uint32_t)((deadline - now) / 1000000u) : 0;

        if (!plex_instance_wait_ready(instances[i], left)) {
            (void)fprintf(stderr, "error: %s did not become ready\n",
                          dev->parts[i].name);
            return PLEX_EXIT_TEMPORARY;
        }
    }
    dev_announce(dev);
    (void)sigemptyset(&wanted);
    (void)sigaddset(&wanted, SIGINT);
    (void)sigaddset(&wanted, SIGTERM);
    (void)sigwait(&wanted, &number);
    return 0;
}

int
dev_run_threads(struct dev *dev)
{
    struct plex_instance *instances[DEV_PARTS_MAX] = {0};
    struct plex_err err;
    int code = 0;

    (void)signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < dev->count && code == 0; i++) {
        struct dev_part *part = &dev->parts[i];

        if (plex_instance_start(&instances[i], part->code, part->settings,
                                &err) != PLEX_OK) {
            (void)fprintf(stderr, "error: %s: %s\n", part->name, err.text);
            code = err.status == PLEX_INVALID ? PLEX_EXIT_CONFIG
                                              : PLEX_EXIT_TEMPORARY;
        }
    }
    if (code == 0)
        code = threads_wait(dev, instances);
    threads_stop(dev, instances);
    return code;
}
