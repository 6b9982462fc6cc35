/* Small texts from outside: percent-encoding, traces, ids, actor names. */
#include "common/context.h"
#include "common/http.h"
#include "common/json_text.h"
#include "common/name.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try_trace_and_id(const char *text)
{
    struct plex_trace trace;
    struct plex_err err;
    char out[56], id_text[27];
    uint8_t id[16], again[16];

    if (plex_trace_parse(text, &trace) == PLEX_OK) {
        plex_trace_format(&trace, out);
        assert(strcmp(out, text) == 0);
    }
    if (plex_id_parse(text, id, &err) == PLEX_OK) {
        plex_id_format(id, id_text);
        assert(plex_id_parse(id_text, again, &err) == PLEX_OK);
        assert(memcmp(id, again, sizeof id) == 0);
    }
}

static void
try_actor(char *text)
{
    char out[PLEX_ACTOR_NAME_MAX + 1];
    struct plex_actor_id id, again;
    struct plex_err err;

    if (plex_actor_parse(text, &id, &err) != PLEX_OK)
        return;
    plex_actor_format(&id, out, sizeof out);
    assert(plex_actor_parse(out, &again, &err) == PLEX_OK);
    assert(plex_actor_equal(&id, &again));
    assert(plex_actor_hash(&id) == plex_actor_hash(&again));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), *out = malloc(size + 1);
    char *escaped = malloc(6 * size + 1);
    struct plex_err err;

    if (text == NULL || out == NULL || escaped == NULL)
        abort();
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    if (plex_http_unescape(text, size, size % 2 == 0, out, &err) == PLEX_OK)
        assert(strlen(out) <= size);
    assert(plex_json_escape(escaped, 6 * size, text, size) <= 6 * size);
    if (plex_name_tenant(text, size, &err) == PLEX_OK)
        assert(plex_name_key(text, size, &err) == PLEX_OK);
    if (plex_name_type(text, size, &err) == PLEX_OK)
        assert(plex_name_key(text, size, &err) == PLEX_OK);
    try_trace_and_id(text);
    try_actor(text);
    free(text);
    free(out);
    free(escaped);
    return 0;
}
