/* What is asked of an actor's timers: requests with a line each; after each
 * some of what is due fires. No request fails a turn. */
#include "tests/unit/worker/timer_bench.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct timer_bench *bench = timer_bench_create();
    const char *at = (const char *)data;

    for (int i = 0; i < 20 && size > 0; i++) {
        const char *end = memchr(at, '\n', size);
        const size_t len = end == NULL ? size : (size_t)(end - at);

        if (timer_bench_ask(bench, at, len) == 500)
            abort();
        (void)timer_bench_pass(bench, 50000, 5);
        at += len + (end != NULL);
        size -= len + (end != NULL);
    }
    timer_bench_free(bench);
    return 0;
}
