#ifndef PLEXSPACES_SERVER_H
#define PLEXSPACES_SERVER_H

#include "actor.h"

/* Part of process.h. */

/* -- what comes next: gen_server's continue and timeout -- */

/* PLEX_MSG_CONTINUE to handle_info when this callback, init too, has returned,
 * before any message that waits; several in their order. Lost when it fails.
 * PLEX_E_INVALID for fsm (plex_fsm_next_event()), events and supervisor,
 * PLEX_E_UNSUPPORTED for virtual actors. */
static inline int
plex_continue(struct plex_ctx *ctx, uint64_t tag, const void *payload,
              size_t len)
{
    return ctx->process->then(ctx, tag, payload, len);
}
/* PLEX_MSG_IDLE to handle_info when no message is handled within so many ms;
 * any that is ends it, so ask again in each callback that wants it. Replaces
 * the one before; UINT64_MAX: none. As plex_continue(), and PLEX_E_LIMIT. */
static inline int
plex_idle_after(struct plex_ctx *ctx, uint64_t ms, uint64_t tag)
{
    return ctx->process->idle_after(ctx, ms, tag);
}

#endif
