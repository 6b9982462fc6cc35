#include "services/journal/backup_file.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A file that says it is a backup. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FILE *file =
        size == 0 ? NULL : fmemopen((void *)(uintptr_t)data, size, "r");
    struct backup_reader reader;
    struct plex_bytes chunk;
    struct plex_err err;
    uint32_t part;
    bool end = false;
    enum plex_status status;

    if (file == NULL)
        return 0;
    status = backup_open_file(&reader, file, &err);
    while (status == PLEX_OK && !end)
        status = backup_read(&reader, &end, &part, &chunk, &err);
    backup_close(&reader);
    return 0;
}
