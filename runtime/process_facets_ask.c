/* Facets of a process while it runs: by its own code, and for others. */
#include "runtime/process_facets_private.h"

/* Whether the process may have facets; then with a chain. */
static enum plex_status
chain_ready(struct plex_ctx *ctx, struct plex_err *err)
{
    struct rt_around *around = rt_around_of(ctx);

    if (rt_around_may(rt_turn_of(ctx)->proc->engine, err) != PLEX_OK)
        return err->status;
    if (around == NULL)
        around = rt_around_make(ctx);
    if (around->chain != NULL)
        return PLEX_OK;
    if (rt_around_chain(ctx, around, err) != PLEX_OK)
        return err->status;
    if ((rt_turn_of(ctx)->proc->flags & RT_PROC_INIT_DONE) != 0)
        rt_facets_init_complete(around->chain, rt_around_when(ctx));
    return PLEX_OK;
}

static bool
changes(const struct plex_facet_request *request)
{
    return request->verb == PLEX_FACET_ATTACH ||
           request->verb == PLEX_FACET_DETACH;
}

int
rt_op_facet(struct plex_ctx *ctx, struct plex_facet_request *request)
{
    struct rt_around *around = rt_around_of(ctx);
    struct plex_err err = {0};
    int status;

    request->answer = NULL;
    request->answer_len = 0;
    if (request->verb == PLEX_FACET_ATTACH) {
        if (rt_facet_attach_check(request->facet, &err) != PLEX_OK ||
            chain_ready(ctx, &err) != PLEX_OK) {
            ctx->ops->log(ctx, 1, err.text);
            return -(int)err.status;
        }
        around = rt_around_of(ctx);
    }
    if (around == NULL || around->chain == NULL)
        return request->verb == PLEX_FACET_LIST ? 0 : -PLEX_NOT_FOUND;
    status = rt_facets_request(around->chain, around->types, request,
                               rt_around_when(ctx));
    if (rt_around_act(ctx, around) != 0)
        (void)ctx->ops->fail(ctx, "a timer of a facet failed");
    if (changes(request) && (rt_turn_of(ctx)->proc->flags & RT_PROC_INIT_DONE))
        rt_around_arm(ctx, around);
    return status;
}

static enum plex_status
asked_do(struct plex_ctx *ctx, const struct plex_facet_request *request,
         struct plex_buf *out, struct plex_err *err)
{
    struct rt_around *around;

    if (request->verb == PLEX_FACET_ATTACH && chain_ready(ctx, err) != PLEX_OK)
        return err->status;
    around = rt_around_of(ctx);
    err->status = rt_facets_change(around == NULL ? NULL : around->chain,
                                   around == NULL ? NULL : around->types,
                                   request, rt_around_when(ctx), out, err);
    if (around != NULL && around->chain != NULL && changes(request)) {
        (void)rt_around_act(ctx, around);
        rt_around_arm(ctx, around);
    }
    return err->status;
}

int
rt_around_asked(struct rt_turn *turn)
{
    struct plex_ctx *ctx = &turn->ctx;
    struct rt_facets_asked asked;
    struct plex_buf out = {.max = 1 << 16};
    struct plex_err err = {0};

    if (!rt_facets_unpack(turn->msg->payload, turn->msg->len, &asked))
        (void)plex_err_set(&err, PLEX_INVALID, "no request about facets");
    else
        (void)asked_do(ctx, &asked.request, &out, &err);
    if (err.status == PLEX_OK) {
        ctx->ops->reply(ctx, 200, "text/plain", out.data, out.len);
    } else {
        rt_answer_status(rt_around_exec(ctx), &turn->from,
                         rt_ref(rt_around_exec(ctx)->rt, turn->proc),
                         -(int)err.status, err.text);
        turn->from.call = 0;
    }
    plex_buf_free(&out);
    return 0;
}
