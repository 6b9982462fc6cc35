#include "common/park.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void
plex_park_wait(_Atomic uint32_t *word, uint32_t value, uint64_t deadline_ns,
               uint64_t now_ns)
{
    struct timespec timeout, *limit = NULL;

    if (deadline_ns != UINT64_MAX) {
        uint64_t ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;

        timeout.tv_sec = (time_t)(ns / 1000000000);
        timeout.tv_nsec = (long)(ns % 1000000000);
        limit = &timeout;
    }
    (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, limit, NULL, 0);
}

void
plex_park_wake(_Atomic uint32_t *word)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
