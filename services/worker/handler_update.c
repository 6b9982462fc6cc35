/* Updates: what is asked of a run that waits, and becomes a part of it. One is
 * a step of the log, put there when it is accepted; its own steps follow, then
 * its answer. A replay carries it out where the run waited when it came. */
#include "services/worker/handler_private.h"

#include <stdio.h>
#include <string.h>

/*
 * The result of its step: the length of its message's id (2 bytes), what the
 * request was (8 bytes, a hash), the id, and the packed message.
 */
enum { HEAD = 2 + 8 };

struct kept {
    struct plex_bytes id, message;
    uint64_t hash;
};

static bool
kept_read(const struct work_step *step, struct kept *out)
{
    const struct plex_bytes in = step->result;
    uint16_t len;

    if (step->kind != WORK_STEP_UPDATE || in.len < HEAD)
        return false;
    memcpy(&len, in.data, sizeof len);
    memcpy(&out->hash, in.data + 2, sizeof out->hash);
    if (in.len < HEAD + (size_t)len)
        return false;
    out->id = (struct plex_bytes){in.data + HEAD, len};
    out->message =
        (struct plex_bytes){in.data + HEAD + len, in.len - HEAD - len};
    return true;
}

bool
work_update_known(const struct work_handler *h, const struct work_message *m,
                  struct plex_bytes *reply, bool *same)
{
    const struct work_run *log = &h->open.log;
    bool found = false;
    struct kept kept;

    for (size_t i = 0; i < log->n_steps; i++) {
        const struct work_step *step = &log->steps[i];

        if (found && step->kind == WORK_STEP_ANSWER) {
            *reply = step->result;
            return true;
        }
        if (found || m->id.len == 0 || !kept_read(step, &kept) ||
            kept.id.len != m->id.len ||
            memcmp(kept.id.data, m->id.data, m->id.len) != 0)
            continue;
        *same = kept.hash == m->request_hash;
        if (!*same)
            return true;
        found = true;
    }
    return false;
}

void
work_update_accept(struct work_handler *h, const struct work_message *from)
{
    struct plex_buf buf = {.max = WORK_STEP_RESULT_MAX};
    const uint16_t len = (uint16_t)from->id.len;
    struct work_message m = *from;
    struct work_step *step;
    struct plex_err err;
    uint8_t *at = plex_buf_grow(&buf, HEAD + len);

    m.headers = NULL;
    m.n_headers = 0;
    m.chain = NULL;
    m.path = m.subpath = m.query = "";
    if (at != NULL) {
        memcpy(at, &len, sizeof len);
        memcpy(at + 2, &m.request_hash, sizeof m.request_hash);
        if (len > 0)
            memcpy(at + HEAD, m.id.data, len);
    }
    step = work_step_add(h, WORK_STEP_UPDATE, m.method);
    if (step == NULL || at == NULL ||
        work_message_pack(&m, &buf, &err) != PLEX_OK)
        (void)work_handler_fail(&h->ctx,
                                "an update does not fit into the run's log");
    else
        work_step_done(h, step, PLEX_OK,
                       (struct plex_bytes){buf.data, buf.len});
    h->open.cursor = h->open.log.n_steps - 1;
    plex_buf_free(&buf);
}

/* What the record has of it; NULL: the run has failed. */
static const struct work_message *
message_of(struct work_handler *h, const struct work_step *step)
{
    struct work_message *m = plex_arena_alloc(&h->open.arena, sizeof *m);
    struct kept kept;
    struct plex_err err;

    if (m != NULL && kept_read(step, &kept) &&
        work_message_unpack(kept.message, &h->open.arena, m, &err) == PLEX_OK)
        return m;
    (void)work_handler_fail(&h->ctx, "a recorded update does not decode");
    return NULL;
}

/* Newer code does not know it any more. */
static int
park(struct work_handler *h, const struct work_step *step)
{
    char text[400];
    int status = 0;

    (void)snprintf(text, sizeof text,
                   "the code has changed: step %zu is recorded as update "
                   "\"%s\", which the code does not have",
                   h->open.cursor, step->name);
    while (status == 0)
        status = work_run_park(h, text);
    return status;
}

/* The answer is part of the log, and leaves with it: in the record of the
 * update itself where that did not wait. */
static int
answer(struct work_handler *h, const char *name, struct plex_bytes reply)
{
    struct work_step *step;
    int status = work_run_command(h, WORK_STEP_ANSWER, name, &step);

    if (status != 0)
        return status < 0 ? status : 0;
    step = work_step_add(h, WORK_STEP_ANSWER, name);
    if (step == NULL)
        return PLEX_E_LIMIT;
    work_step_done(h, step, PLEX_OK, reply);
    h->open.answer = step->result;
    return work_run_stretch(h, WORK_COMMITS, "an update to be durable");
}

static int
carry_out(struct work_handler *h, const struct work_step *recorded,
          const struct work_asked_of *of)
{
    struct work_handler_run *open = &h->open;
    const struct work_step step = *recorded; /* the log may be moved */
    const struct work_message *m = message_of(h, &step);

    if (m == NULL)
        return PLEX_E_FAILED;
    (void)work_step_give(h, &step, NULL);
    open->cursor++;
    open->in_update = true;
    work_ask_begin(h, &h->update, m);
    if (work_ask_call(h, of->fn, of->arg, m) != 0 && !h->update.failed)
        (void)h->ctx.ops->fail(&h->ctx, "the update failed without saying why");
    (void)work_ask_end(h, &h->update);
    open->in_update = false;
    if (h->failed)
        return PLEX_E_FAILED;
    return answer(
        h, step.name,
        (struct plex_bytes){h->update.packed.data, h->update.packed.len});
}

int
work_update_next(struct work_handler *h, uint64_t order)
{
    struct work_handler_run *open = &h->open;
    const struct work_step *step;
    const struct work_asked_of *of;
    int status;

    if (open->in_update || open->cursor >= open->log.n_steps)
        return 0;
    step = &open->log.steps[open->cursor];
    if (step->kind != WORK_STEP_UPDATE || step->order > order)
        return 0;
    of = work_ask_find(h, step->name, true);
    status = of == NULL ? park(h, step) : carry_out(h, step, of);
    return status == 0 ? 1 : status;
}
