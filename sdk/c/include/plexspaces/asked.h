#ifndef PLEXSPACES_ASKED_H
#define PLEXSPACES_ASKED_H

/* A part of durable.h, which includes it. */

/* -- what others may ask of a run that waits --
 *
 * The callback says at its beginning what it answers, and to that end hands
 * over `arg`, which has to be there for as long as it runs: take it from
 * plex_keep(). At most 64 names of 1 to 255 bytes; the newest of a name counts.
 */

/*
 * A query looks: `fn` answers with plex_reply*() from what the callback has
 * left in `arg` and from plex_state(), as they are where the callback waits. It
 * leaves no trace in the journal, so whatever changes something fails it:
 * effects, messages, timers, waits, the state. The last run of an actor still
 * answers when it has ended, if `arg` is from plex_keep() or NULL.
 */
static inline int
plex_on_query(struct plex_ctx *ctx, const char *name, plex_asked_fn fn,
              void *arg)
{
    if (ctx->ops->durable == NULL)
        return PLEX_E_UNSUPPORTED;
    return ctx->ops->durable->on_query(ctx, name, fn, arg);
}
/*
 * An update is carried out by `fn` as a part of the run, while the callback
 * waits for something (plex_wait*, plex_call_wait, plex_durable_sleep): it may
 * change `arg` and the state, have effects, and wait; the callback goes on
 * after it, and so does the next update. Its answer is the reply, 512 KiB at
 * most, as is its message. plex_fail() answers with an error, and undoes
 * nothing. `check` (NULL: everything is taken) looks, like a query, before
 * anything is recorded: it returns 0 without a reply to accept, else the update
 * is refused with its plex_reply_problem() or the reason it fails with.
 */
static inline int
plex_on_update(struct plex_ctx *ctx, const char *name, plex_asked_fn check,
               plex_asked_fn fn, void *arg)
{
    if (ctx->ops->durable == NULL)
        return PLEX_E_UNSUPPORTED;
    return ctx->ops->durable->on_update(ctx, name, check, fn, arg);
}

#endif
