/*
 * A run that begins anew: the callback has returned and wants to be called
 * again, with another payload over a state of now, and without the log that
 * has grown. The run stays the one it was: whoever waits for its reply goes on
 * waiting, signals that came are kept, and no other message comes between.
 */
#include "services/worker/handler_private.h"

#include "common/mem.h"

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/* What goes over to the new log, while the old one's memory is given up. */
struct kept {
    struct plex_buf message, state;
    bool has_state;
    struct work_step *signals;
    size_t n_signals;
};

uint32_t
work_run_nonce(const struct work_handler *h)
{
    const struct plex_bytes id =
        h->message == NULL ? (struct plex_bytes){0} : h->message->id;

    return (uint32_t)XXH3_64bits_withSeed(id.data, id.len,
                                          h->open.log.continued) &
           0x7fffffffu;
}

int
work_run_continue_as_new(struct plex_ctx *ctx, const void *payload, size_t len)
{
    struct work_handler *h = work_handler_of(ctx);
    struct work_handler_run *open = &h->open;

    if (!h->durable || h->wait == NULL || h->message == NULL ||
        (h->message->kind != WORK_CALL && h->message->kind != WORK_CAST))
        return PLEX_E_UNSUPPORTED;
    if (open->in_effect || open->in_update || len > WORK_PAYLOAD_MAX) {
        (void)work_handler_fail(
            ctx, open->in_effect   ? "an effect used durable execution itself"
                 : open->in_update ? "an update cannot begin its run anew"
                                   : "the payload to go on with is too large");
        return PLEX_E_INVALID;
    }
    open->next.data = work_run_keep(h, payload, len);
    open->next.len = len;
    open->continues = !h->failed;
    return h->failed ? PLEX_E_FAILED : 0;
}

static void
bytes_keep(struct plex_buf *out, struct plex_bytes bytes)
{
    uint8_t *at;

    out->max = bytes.len;
    at = bytes.len == 0 ? NULL : plex_buf_grow(out, bytes.len);
    if (at != NULL)
        memcpy(at, bytes.data, bytes.len);
}

static enum plex_status
keep(struct work_handler *h, struct kept *kept, struct plex_err *err)
{
    const struct work_run *log = &h->open.log;
    struct work_message message = *h->message;

    message.payload = h->open.next;
    kept->message.max = WORK_PAYLOAD_MAX + (1 << 20);
    if (work_message_pack(&message, &kept->message, err) != PLEX_OK)
        return err->status;
    kept->has_state = h->state_changed || h->has_base;
    bytes_keep(&kept->state,
               h->state_changed
                   ? (struct plex_bytes){h->state.data, h->state.len}
                   : h->base);
    kept->signals = plex_calloc(log->n_signals + 1, sizeof *kept->signals);
    for (size_t i = 0; i < log->n_signals; i++) {
        const struct work_step *from = &log->signals[i];
        struct work_step *to = &kept->signals[kept->n_signals];
        struct plex_buf result = {0};

        if (from->used)
            continue;
        *to = (struct work_step){.kind = WORK_STEP_SIGNAL,
                                 .name = plex_strdup(from->name)};
        bytes_keep(&result, from->result);
        to->result = (struct plex_bytes){result.data, result.len};
        kept->n_signals++;
    }
    return PLEX_OK;
}

static void
kept_fini(struct kept *kept)
{
    for (size_t i = 0; i < kept->n_signals; i++) {
        free((char *)(uintptr_t)kept->signals[i].name);
        free((uint8_t *)(uintptr_t)kept->signals[i].result.data);
    }
    free(kept->signals);
    plex_buf_free(&kept->message);
    plex_buf_free(&kept->state);
}

/* The new log, in the old one's place. False: it has failed. */
static bool
begin(struct work_handler *h, const struct kept *kept, struct plex_err *err)
{
    struct work_handler_run *open = &h->open;
    const struct work_run old = open->log;
    const struct plex_arena arena = open->arena;
    const struct plex_buf opened = open->opened;
    struct work_message *message;

    *open = (struct work_handler_run){.arena = arena, .opened = opened};
    plex_arena_reset(&open->arena);
    open->log = (struct work_run){
        .has_state = kept->has_state,
        .state = {work_run_keep(h, kept->state.data, kept->state.len),
                  kept->state.len},
        .message = {work_run_keep(h, kept->message.data, kept->message.len),
                    kept->message.len},
        .started_ms = h->wall_ms,
        .parked = "",
        .cancelled = old.cancelled,
        .order = old.order,
        .continued = old.continued + 1,
    };
    for (size_t i = 0; i < kept->n_signals && !h->failed; i++)
        work_run_signal_add(h, kept->signals[i].name, kept->signals[i].result);
    message = plex_arena_alloc(&open->arena, sizeof *message);
    if (h->failed || message == NULL ||
        work_message_unpack(open->log.message, &open->arena, message, err) !=
            PLEX_OK)
        return false;
    h->message = message;
    open->nonce = work_run_nonce(h);
    open->now_ms = h->wall_ms;
    open->is_open = open->dirty = true;
    h->has_base = kept->has_state;
    h->base = open->log.state;
    h->state_changed = false;
    work_json_fini(&h->json);
    work_json_init(&h->json, message->payload);
    return true;
}

bool
work_run_continue(struct work_handler *h)
{
    struct kept kept = {0};
    struct plex_err err = {.text = "the run cannot begin anew"};
    bool ok = false;

    if (h->replied)
        (void)work_handler_fail(&h->ctx,
                                "a run that begins anew replies at its end");
    else if (h->events.n > 0)
        (void)work_handler_fail(&h->ctx, "a run that has persisted events "
                                         "cannot begin anew");
    if (h->failed)
        return false;
    work_run_end(h);
    ok = !h->failed && keep(h, &kept, &err) == PLEX_OK &&
         begin(h, &kept, &err) &&
         work_run_stretch(h, WORK_COMMITS,
                          "its beginning anew to be durable") == 0;
    kept_fini(&kept);
    if (!ok)
        (void)work_handler_fail(&h->ctx, err.text);
    return ok;
}
