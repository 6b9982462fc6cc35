/* Fields of a payload, as handlers ask for them. */
#include "services/worker/json_field.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct work_json json;
    const char *text = NULL;
    int64_t number = 0;

    work_json_init(&json, (struct plex_bytes){data, size});
    if (work_json_text(&json, "action", &text) == 1 && text == NULL)
        abort();
    if (work_json_int(&json, "amount", &number) == 1 &&
        work_json_int(&json, "amount", &number) != 1)
        abort();
    work_json_fini(&json);
    return 0;
}
