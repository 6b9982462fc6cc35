/* The record of a turn or stretch: what it was given, and what it asked for.
 * With the state before, that is enough to run it again anywhere. */
#include "services/worker/handler_private.h"

#include "common/context.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/* -- randomness --------------------------------------------------------------
 */

/* What a durable turn draws comes from a seed that is kept. */
void
work_record_random(struct work_handler *h, void *out, size_t len)
{
    struct work_handler_record *record = &h->record;
    uint8_t nonce[crypto_stream_chacha20_NONCEBYTES] = {0};

    if (!h->turn->run->run.durable) {
        plex_random(out, len);
        return;
    }
    if (!record->has_seed && h->turn->again != NULL &&
        h->turn->again->seed.len == sizeof record->seed)
        memcpy(record->seed, h->turn->again->seed.data, sizeof record->seed);
    else if (!record->has_seed)
        plex_random(record->seed, sizeof record->seed);
    record->has_seed = true;
    memcpy(nonce, &record->drawn, sizeof record->drawn);
    record->drawn++;
    (void)crypto_stream_chacha20(out, len, nonce, record->seed);
}

/* -- input -------------------------------------------------------------------
 */

/* Who somebody is must not lie in a history. */
static bool
is_secret(const char *name)
{
    static const char *const secrets[] = {
        "authorization", "proxy-authorization", "cookie", "x-api-key"};

    for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++)
        if (strcasecmp(name, secrets[i]) == 0)
            return true;
    return false;
}

void
work_record_header(struct work_handler *h, size_t index)
{
    if (index < WORK_HEADERS_MAX)
        h->record.headers[index] = true;
}

static enum plex_status
input_pack(struct work_handler *h, const struct work_message *from,
           struct plex_err *err)
{
    struct work_header headers[WORK_HEADERS_MAX];
    struct work_message m = *from;

    m.to = (struct plex_actor_id){"", "", "", ""};
    m.chain = NULL;
    m.headers = headers;
    m.n_headers = 0;
    for (size_t i = 0; i < from->n_headers; i++)
        if (h->record.headers[i] && !is_secret(from->headers[i].name))
            headers[m.n_headers++] = from->headers[i];
    h->record.input.len = 0;
    h->record.input.max = JOURNAL_RECORD_MAX;
    return work_message_pack(&m, &h->record.input, err);
}

static void
input_put(struct work_handler *h, struct work_record *record)
{
    const enum work_run_how how = h->run->run.how;
    const struct work_message *m = NULL;
    struct plex_err err;

    switch (how) {
    case WORK_RUN_MESSAGE:
        m = h->message;
        record->what = m == NULL ? WORK_RECORD_ACTIVATED : WORK_RECORD_MESSAGE;
        break;
    case WORK_RUN_RESULT:
        m = h->run->run.message;
        record->what = WORK_RECORD_RESULT;
        break;
    case WORK_RUN_CONTINUE:
        record->what = WORK_RECORD_CONTINUE;
        break;
    case WORK_RUN_RESUME: /* of actors that have no records */
    case WORK_RUN_REPLAY:
    case WORK_RUN_RESTORE:
        record->what = WORK_RECORD_REPLAY;
        break;
    }
    if (m == NULL)
        return;
    if (input_pack(h, m, &err) == PLEX_OK)
        record->input =
            (struct plex_bytes){h->record.input.data, h->record.input.len};
    else
        record->input_bytes = m->payload.len;
}

/* -- commands ----------------------------------------------------------------
 */

static const char *
text_of(const char *text)
{
    return text == NULL ? "" : text;
}

static void
commands_put(struct work_handler *h, struct work_record *record)
{
    struct work_command *rows =
        plex_arena_alloc(&h->arena, (h->n_outputs + 1) * sizeof *rows);

    if (rows == NULL)
        return;
    for (size_t i = 0; i < h->n_outputs; i++)
        work_command_of(&h->outputs[i], &rows[i]);
    record->commands = rows;
    record->n_commands = h->n_outputs;
}

void
work_command_of(const struct work_output *from, struct work_command *to)
{
    *to = (struct work_command){
        .kind = from->kind,
        .type = text_of(from->type),
        .key = text_of(from->key),
        .timer = text_of(from->timer),
        .delay_ms = from->delay_ms,
        .tag = from->tag,
        .payload_bytes = from->payload.len,
        .payload_hash = XXH3_64bits(from->payload.data, from->payload.len),
    };
    if (from->payload.len <= WORK_COMMAND_BYTES_MAX)
        to->payload = from->payload;
}

/* -- the record --------------------------------------------------------------
 */

void
work_record_begin(struct work_handler *h)
{
    struct work_handler_record *record = &h->record;

    record->has_seed = false;
    record->drawn = 0;
    memset(record->headers, 0, sizeof record->headers);
}

bool
work_record_put(struct work_handler *h, const struct work_run_delta *delta,
                struct work_outcome *out)
{
    const bool ends = out->phase == WORK_ENDED || out->phase == WORK_CLOSED;
    struct work_handler_record *own = &h->record;
    struct work_record record = {
        .at_ms = h->wall_ms,
        .epoch = h->run->run.epoch,
        .events = h->events.rows,
        .n_events = ends ? h->events.n : 0, /* of the whole run, once */
        .run = delta,
    };
    enum plex_status status;
    struct plex_err err;

    input_put(h, &record);
    commands_put(h, &record);
    if (own->has_seed)
        record.seed = (struct plex_bytes){own->seed, sizeof own->seed};
    own->packed.len = 0;
    own->packed.max = JOURNAL_RECORD_MAX;
    status = work_record_pack(&record, &own->packed, &err);
    if (status == PLEX_TOO_LARGE && record.input.len > 0) {
        record.input_bytes = record.input.len;
        record.input = (struct plex_bytes){0};
        own->packed.len = 0;
        status = work_record_pack(&record, &own->packed, &err);
    }
    if (status != PLEX_OK)
        return false;
    out->record = (struct plex_bytes){own->packed.data, own->packed.len};
    return true;
}

void
work_record_fini(struct work_handler *h)
{
    plex_buf_free(&h->record.input);
    plex_buf_free(&h->record.packed);
}
