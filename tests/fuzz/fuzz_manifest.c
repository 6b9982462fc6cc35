#include "cli/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct plex_err err;
    json_t *json;

    if (manifest_parse((struct plex_bytes){data, size}, "fuzz", &json, &err) ==
        PLEX_OK)
        json_decref(json);
    return 0;
}
