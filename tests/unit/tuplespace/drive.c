#include "tests/unit/tuplespace/drive.h"

#include "common/mem.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* The default one falls through switch labels in a way clang dislikes. */
#define HASH_FUNCTION HASH_FNV
#include <uthash.h>

struct stored {
    UT_hash_handle hh;
    char tenant[65], ns[33], space[65];
    enum tspace_record record;
    uint8_t *body;
    size_t body_len, key_len, name_len;
    uint8_t name[800]; /* tenant, namespace, space, record, key */
};

const struct tspace_where here = {"acme", "default", "jobs"};

static size_t
stored_name(const struct tspace_action *action, uint8_t name[800])
{
    const int len =
        snprintf((char *)name, 200, "%s/%s/%s/%d/", action->where.tenant,
                 action->where.ns, action->where.space, (int)action->record);

    memcpy(name + len, action->key.data, action->key.len);
    return (size_t)len + action->key.len;
}

static void
stored_free(struct drive *drive, struct stored *stored)
{
    HASH_DEL(drive->stored, stored);
    free(stored->body);
    free(stored);
}

static void
store(struct drive *drive, const struct tspace_action *action)
{
    uint8_t name[800];
    const size_t len = stored_name(action, name);
    struct stored *stored;

    ck_assert(action->key.len >= 1 && action->key.len <= TSPACE_KEY_MAX);
    ck_assert(action->body.len <= TSPACE_BODY_MAX);
    if (drive->backend != NULL)
        drive->backend->apply(action);
    if (drive->quiet || drive->backend != NULL)
        return;
    HASH_FIND(hh, drive->stored, name, len, stored);
    if (stored != NULL)
        stored_free(drive, stored);
    if (action->kind == TSPACE_REMOVE)
        return;
    stored = plex_calloc(1, sizeof *stored);
    strcpy(stored->tenant, action->where.tenant);
    strcpy(stored->ns, action->where.ns);
    strcpy(stored->space, action->where.space);
    stored->record = action->record;
    stored->key_len = action->key.len;
    stored->name_len = len;
    memcpy(stored->name, name, len);
    stored->body_len = action->body.len;
    stored->body = plex_calloc(1, action->body.len + 1);
    memcpy(stored->body, action->body.data, action->body.len);
    HASH_ADD_KEYPTR(hh, drive->stored, stored->name, stored->name_len, stored);
}

unsigned
drive_stored(const struct drive *drive, enum tspace_record record)
{
    const struct stored *stored;
    unsigned n = 0;

    for (stored = drive->stored; stored != NULL; stored = stored->hh.next)
        n += stored->record == record;
    return n;
}

/* -- life ------------------------------------------------------------------ */

static bool
caller_gone(void *arg, void *call)
{
    const struct drive *drive = arg;

    return drive->gone[(uintptr_t)call];
}

void
drive_open(struct drive *drive, const struct tspace_config *config)
{
    *drive = (struct drive){.now = {1000000000, 5000}};
    drive->config = config != NULL ? *config : (struct tspace_config){0};
    drive->config.epoch = 1;
    drive->config.hash_seed = 0x1234567;
    if (drive->config.waiters_max == 0)
        drive->config.waiters_max = 1000;
    if (drive->config.requests_max == 0)
        drive->config.requests_max = 1000;
    drive->config.gone = caller_gone;
    drive->config.arg = drive;
    drive->core = tspace_core_create(&drive->config);
}

void
drive_keep(struct drive *drive, const struct drive_backend *backend)
{
    if (backend == NULL)
        return;
    tspace_core_free(drive->core);
    drive->backend = backend;
    backend->open(&drive->config.epoch);
    drive->core = tspace_core_create(&drive->config);
}

void
drive_close(struct drive *drive)
{
    struct stored *stored, *next;

    if (drive->backend != NULL)
        drive->backend->close();
    tspace_core_free(drive->core);
    HASH_ITER(hh, drive->stored, stored, next)
    {
        stored_free(drive, stored);
    }
}

void
drive_restart(struct drive *drive)
{
    struct plex_err err = {0};
    const struct stored *stored;

    drive_drain(drive);
    tspace_core_free(drive->core);
    drive->config.epoch++;
    if (drive->backend != NULL)
        drive->backend->reopen(&drive->config.epoch);
    drive->core = tspace_core_create(&drive->config);
    if (drive->backend != NULL) {
        drive->backend->load(drive->core, drive->now);
        return;
    }
    for (stored = drive->stored; stored != NULL; stored = stored->hh.next) {
        const struct tspace_where where = {stored->tenant, stored->ns,
                                           stored->space};
        const struct plex_bytes key = {
            stored->name + stored->name_len - stored->key_len, stored->key_len};
        const struct plex_bytes body = {stored->body, stored->body_len};

        ck_assert_msg(tspace_core_restore(drive->core, &where, stored->record,
                                          key, body, &err) == PLEX_OK,
                      "%s", err.text);
    }
    ck_assert_msg(tspace_core_restored(drive->core, drive->now, &err) ==
                      PLEX_OK,
                  "%s", err.text);
}

static void
reply_take(struct drive *drive, const struct tspace_action *action)
{
    struct reply *reply = &drive->replies[(uintptr_t)action->call];
    struct tspace_tuple tuple;
    struct tspace_value value;

    ck_assert_msg(!reply->done, "call %zu was answered twice",
                  (size_t)(uintptr_t)action->call);
    *reply = (struct reply){.done = true, .status = action->status};
    snprintf(reply->text, sizeof reply->text, "%s", action->text);
    if (action->status != PLEX_OK) {
        ck_assert(action->text[0] != '\0');
        return;
    }
    reply->n = action->answer->n;
    reply->number = action->answer->number;
    reply->cursor = action->answer->cursor;
    for (uint32_t i = 0; i < reply->n && i < IDS_MAX; i++) {
        if (action->answer->is_write) {
            reply->ids[i] = action->answer->first_id + i;
            continue;
        }
        tspace_answer_tuple(action->answer, i, &tuple);
        reply->ids[i] = tuple.id;
        for (uint32_t field = 0;
             i == 0 && field < tspace_packed_fields(tuple.packed.data);
             field++) {
            tspace_packed_get(tuple.packed.data, field, &value);
            if (value.type == TSPACE_INTEGER) {
                reply->first = value.integer;
                break;
            }
        }
    }
}

void
drive_drain(struct drive *drive)
{
    struct tspace_action action;

    while (tspace_core_next(drive->core, &action)) {
        drive->puts += action.kind == TSPACE_PUT;
        drive->removes += action.kind == TSPACE_REMOVE;
        if (action.kind == TSPACE_REPLY) {
            reply_take(drive, &action);
        } else if (action.kind == TSPACE_NOTIFY) {
            if (drive->n_heard < 64)
                drive->heard[drive->n_heard++] = (struct heard){
                    action.notice->subscription, action.notice->number,
                    action.notice->lost, action.notice->tuple.id,
                    action.notice->event};
        } else {
            store(drive, &action);
        }
    }
    if (drive->backend != NULL)
        drive->backend->commit();
}

void
drive_pass(struct drive *drive, uint64_t ms)
{
    drive->now.mono_ns += ms * 1000000;
    drive->now.wall_ms += ms;
    tspace_core_tick(drive->core, drive->now);
    drive_drain(drive);
}

/* -- tuples and templates -------------------------------------------------- */

static struct tspace_matcher
matcher_of(char kind, va_list *arguments)
{
    static struct tspace_matcher items_ring[16][2];
    static unsigned turn;
    struct tspace_matcher matcher = {.kind = TSPACE_EXACT}, *items;
    struct tspace_value *value = &matcher.value;
    const char *text;

    switch (kind) {
    case 'i':
    case '>':
    case '<':
        value->type = TSPACE_INTEGER;
        value->integer = va_arg(*arguments, int64_t);
        if (kind == 'i')
            break;
        matcher.kind = TSPACE_RANGE;
        *(kind == '>' ? &matcher.low : &matcher.high) =
            (struct tspace_bound){true, true, *value};
        break;
    case 'f':
        value->type = TSPACE_FLOAT;
        value->real = va_arg(*arguments, double);
        break;
    case 'b':
        value->type = TSPACE_BOOLEAN;
        value->integer = va_arg(*arguments, int);
        break;
    case 'n':
        value->type = TSPACE_NULL;
        break;
    case 't':
        value->type = TSPACE_TUPLE;
        value->bytes = va_arg(*arguments, struct plex_bytes);
        break;
    case 's':
    case 'p':
    case 'r':
        text = va_arg(*arguments, const char *);
        value->type = TSPACE_STRING;
        value->bytes = (struct plex_bytes){(const uint8_t *)text, strlen(text)};
        if (kind != 's')
            matcher.kind = kind == 'p' ? TSPACE_PREFIX : TSPACE_REGEX;
        break;
    case 'v':
        matcher.kind = TSPACE_BIND;
        matcher.variable = (uint32_t)va_arg(*arguments, int);
        break;
    case 'm':
        items = items_ring[turn++ % 16];
        for (int i = 0; i < 2; i++)
            items[i] = (struct tspace_matcher){
                .kind = TSPACE_EXACT,
                .value = {.type = TSPACE_INTEGER,
                          .integer = va_arg(*arguments, int64_t)}};
        matcher.kind = TSPACE_IN;
        matcher.items = items;
        matcher.n_items = 2;
        break;
    case '?':
        matcher.kind = TSPACE_ANY;
        break;
    default:
        matcher.kind = TSPACE_OF_TYPE;
        matcher.type = kind == 'I'   ? TSPACE_INTEGER
                       : kind == 'F' ? TSPACE_FLOAT
                                     : TSPACE_STRING;
    }
    return matcher;
}

struct plex_bytes
tuple(const char *format, ...)
{
    static uint8_t ring[16][4096];
    static unsigned turn;
    struct plex_buf buf = {.max = sizeof ring[0]};
    struct tspace_value values[16];
    struct plex_err err = {0};
    uint32_t n = 0;
    va_list arguments;

    va_start(arguments, format);
    for (; format[n] != '\0'; n++)
        values[n] = matcher_of(format[n], &arguments).value;
    va_end(arguments);
    ck_assert_msg(tspace_pack(values, n, &buf, &err) == PLEX_OK, "%s",
                  err.text);
    turn = (turn + 1) % 16;
    memcpy(ring[turn], buf.data, buf.len);
    const struct plex_bytes packed = {ring[turn], buf.len};

    plex_buf_free(&buf);
    return packed;
}

struct tspace_template *template(const char *format, ...)
{
    struct tspace_matcher matchers[16];
    struct tspace_template *out = NULL;
    struct plex_err err = {0};
    uint32_t n = 0;
    va_list arguments;

    va_start(arguments, format);
    for (; format[n] != '\0'; n++)
        matchers[n] = matcher_of(format[n], &arguments);
    va_end(arguments);
    ck_assert_msg(tspace_template_create(&out, matchers, n, &err) == PLEX_OK,
                  "%s", err.text);
    return out;
}

/* -- requests -------------------------------------------------------------- */

struct tspace_op
op(unsigned call)
{
    return (struct tspace_op){.call = (void *)(uintptr_t)call, .where = here};
}

static struct reply *
answered(struct drive *drive, const struct tspace_op *request)
{
    drive_drain(drive);
    return &drive->replies[(uintptr_t)request->call];
}

struct reply *
write_with(struct drive *drive, struct tspace_write *write)
{
    drive->replies[(uintptr_t)write->op.call].done = false;
    tspace_core_write(drive->core, drive->now, write);
    return answered(drive, &write->op);
}

uint64_t
put(struct drive *drive, unsigned call, struct plex_bytes packed)
{
    struct tspace_write write = {
        .op = op(call), .tuples = &packed, .n_tuples = 1};
    const struct reply *reply = write_with(drive, &write);

    ck_assert_msg(reply->status == PLEX_OK, "%s", reply->text);
    return reply->ids[0];
}

struct reply *
read_with(struct drive *drive, struct tspace_read *read)
{
    drive->replies[(uintptr_t)read->op.call].done = false;
    if (read->max_results == 0)
        read->max_results = 1;
    tspace_core_read(drive->core, drive->now, read);
    tspace_template_unref(read->template);
    return answered(drive, &read->op);
}

struct reply *
take(struct drive *drive, unsigned call, struct tspace_template *wanted,
     uint64_t timeout_ms)
{
    struct tspace_read read = {.op = op(call),
                               .template = wanted,
                               .timeout_ms = timeout_ms,
                               .take = true};

    return read_with(drive, &read);
}

struct reply *
read_one(struct drive *drive, unsigned call, struct tspace_template *wanted,
         uint64_t timeout_ms)
{
    struct tspace_read read = {
        .op = op(call), .template = wanted, .timeout_ms = timeout_ms};

    return read_with(drive, &read);
}

struct reply *
count(struct drive *drive, unsigned call, struct tspace_template *wanted)
{
    const struct tspace_count request = {.op = op(call), .template = wanted};

    drive->replies[call].done = false;
    tspace_core_count(drive->core, drive->now, &request);
    tspace_template_unref(wanted);
    return answered(drive, &request.op);
}

uint64_t
begin(struct drive *drive, unsigned call, uint64_t timeout_ms)
{
    const struct tspace_begin request = {.op = op(call),
                                         .timeout_ms = timeout_ms};

    drive->replies[call].done = false;
    tspace_core_begin(drive->core, drive->now, &request);
    return answered(drive, &request.op)->number;
}

struct reply *
end(struct drive *drive, unsigned call, uint64_t tx, enum tspace_end how)
{
    struct tspace_op request = op(call);

    request.tx = tx;
    drive->replies[call].done = false;
    tspace_core_end(drive->core, drive->now, &request, how);
    return answered(drive, &request);
}
