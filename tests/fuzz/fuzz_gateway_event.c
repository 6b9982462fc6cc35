/* Conditions on events, a line each: types, name, worker, expressions, tags. */
#include "services/gateway/event_filter.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct gate_event_view event = {
        "stopped", "crash", "cart-7", "7",     "<1.2.3>",
        "w-1",     "shop",  "cart",   "carts",
    };
    char *text = malloc(size + 1), *lines[6] = {NULL}, *at = text;
    struct gate_event_filter filter;
    struct gate_event_wish wish;
    enum gate_drop drop;
    struct plex_err err;

    memcpy(text, data, size);
    text[size] = '\0';
    for (size_t i = 0; i < 6 && at != NULL; i++) {
        lines[i] = at;
        at = strchr(at, '\n');
        if (at != NULL)
            *at++ = '\0';
    }
    wish = (struct gate_event_wish){lines[0], lines[1], lines[2],
                                    lines[3], lines[4], lines[5]};
    if (gate_event_filter_init(&filter, &wish, &err) == PLEX_OK &&
        gate_event_node(&filter, event.node_id))
        (void)gate_event_wanted(&filter, &event);
    gate_event_filter_fini(&filter);
    if (gate_drop_parse(text, &drop, &err) == PLEX_OK &&
        drop > GATE_DROP_NEWEST)
        abort();
    free(text);
    return 0;
}
