#include "services/journal/export.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A file that says it is an exported journal. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FILE *file =
        size == 0 ? NULL : fmemopen((void *)(uintptr_t)data, size, "r");
    struct journal_export_file *export;
    struct journal_export_head head;
    struct journal_past_turn turn;
    struct plex_err err;
    uint64_t last = 0;
    bool end = false;

    if (file == NULL ||
        journal_export_open(&export, file, &head, &err) != PLEX_OK)
        return 0;
    while (!end && journal_export_next(export, &end, &turn, &err) == PLEX_OK) {
        if (!end && turn.seq <= last)
            abort();
        last = turn.seq;
    }
    journal_export_close(export);
    return 0;
}
