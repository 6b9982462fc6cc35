/* Requests to supervisors and their answers, as they come from other nodes:
 * what is read must be written and read to the same. */
#include "runtime/supervisor_code.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
request(const uint8_t *data, size_t size)
{
    struct rt_sup_read read, again;
    struct plex_supervisor_request *one = &read.request, *two = &again.request;
    const char *behaviour, *other;
    size_t len;
    void *bytes;

    if (!rt_sup_request_read(data, size, &read, &behaviour))
        return;
    bytes = rt_sup_request_write(one, behaviour, &len);
    if (!rt_sup_request_read(bytes, len, &again, &other) ||
        one->verb != two->verb || one->out_max != two->out_max ||
        (one->id == NULL) != (two->id == NULL) ||
        (one->id != NULL && strcmp(one->id, two->id) != 0) ||
        (one->child == NULL) != (two->child == NULL) ||
        (one->child != NULL && strcmp(behaviour, other) != 0) ||
        (one->verb == PLEX_SUP_PLAN &&
         memcmp(&read.plan, &again.plan, sizeof read.plan) != 0) ||
        read.child.shutdown_ms != again.child.shutdown_ms ||
        read.child.args_len != again.child.args_len)
        abort();
    free(bytes);
}

static void
answer(const uint8_t *data, size_t size)
{
    size_t rows, rows_again, len;
    struct rt_sup_answer *one = rt_sup_answer_read(data, size, &rows), *two;
    void *bytes;

    if (one == NULL)
        return;
    bytes = rt_sup_answer_write(one, rows, &len);
    two = rt_sup_answer_read(bytes, len, &rows_again);
    if (two == NULL || rows != rows_again || one->status != two->status)
        abort();
    for (size_t i = 0; i < rows; i++)
        if (strcmp(one->infos[i].id, two->infos[i].id) != 0 ||
            one->infos[i].restarts != two->infos[i].restarts)
            abort();
    free(bytes);
    free(one);
    free(two);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    request(data, size);
    answer(data, size);
    return 0;
}
