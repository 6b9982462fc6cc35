/* Whatever a query parses to becomes valid JSON; JSON texts, keys, durations
 * and invocation ids are read without harm. */
#include "services/gateway/json_check.h"
#include "services/gateway/query.h"
#include "services/gateway/text.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct plex_arena arena;
    struct gate_params params;
    struct plex_bytes json, id;
    struct plex_err err;
    char *text, back[GATE_ID_TEXT_MAX + 1];
    uint64_t ms;

    if (size > 16384)
        return 0;
    text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    plex_arena_init(&arena, 1 << 20);
    (void)!gate_json_check((struct plex_bytes){data, size}, &err);
    if (gate_params_parse(text, &arena, &params, &err) == PLEX_OK) {
        json = gate_params_json(&params, &arena);
        assert(gate_json_check(json, &err) == PLEX_OK);
    }
    (void)gate_key_parse(text, &arena, &err);
    (void)gate_duration_parse(text, 1000000, &ms);
    if (gate_id_parse(text, &arena, &id, &err) == PLEX_OK &&
        (id.len == 16 || id.len <= 18 + GATE_KEY_MAX)) {
        gate_id_format(id, back);
        assert(id.len == 16 || strcmp(text, back) == 0);
    }
    plex_arena_fini(&arena);
    free(text);
    return 0;
}
