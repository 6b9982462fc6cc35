/* Requests about processes and events, as they arrive on a link: the first
 * byte chooses which. */
#include "services/worker/wire_place.h"
#include "services/worker/wire_process.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint32_t methods[] = {710, 711, 712, 714, 715, 716, 717,
                                       718, 719, 720, 721, 722, 727, 728,
                                       729, 730, 731, 732, 733, 735};
    struct plex_arena arena;
    struct work_process_request request;
    struct work_events_request events;
    struct work_start start;
    struct plex_ref ref;
    struct plex_bytes in;
    struct plex_err err;
    uint32_t method;

    if (size == 0)
        return 0;
    in = (struct plex_bytes){data + 1, size - 1};
    method = methods[data[0] % (sizeof methods / sizeof *methods)];
    plex_arena_init(&arena, 16 << 20);
    if (work_process_request_unpack(method, in, &arena, &request, &err) ==
        PLEX_OK) {
        /* What was accepted is what the handlers rely on. */
        if (method != 710 &&
            (request.ns[0] == '\0' || request.process[0] == '\0'))
            abort();
        if (method >= 717 && method <= 719 && request.child[0] == '\0')
            abort();
        if (method == 735 && request.op[0] == '\0')
            abort();
        if ((method == 721 || method == 722 || method == 735) &&
            request.facet[0] == '\0')
            abort();
        if (method == 732 && request.plan.set == 0)
            abort();
        (void)node_ref_parse(request.process, &ref);
    }
    if (work_start_unpack(in, &arena, &start, &err) == PLEX_OK &&
        start.request_id[0] == '\0')
        abort();
    if (work_events_request_unpack(in, &arena, &events, &err) == PLEX_OK &&
        (events.limit == 0 || events.limit > WORK_EVENTS_PAGE))
        abort();
    plex_arena_fini(&arena);
    return 0;
}
