/* One request to several shards. */
#include "services/tuplespace/engine/scatter.h"

#include <assert.h>

static struct tspace_scatter_step *
step(struct tspace_scatter *scatter, enum tspace_scatter_kind kind, uint32_t at)
{
    const uint32_t max = sizeof scatter->steps / sizeof scatter->steps[0];
    struct tspace_scatter_step *out;

    assert(scatter->n < max);
    out = &scatter->steps[(scatter->first + scatter->n++) % max];
    *out = (struct tspace_scatter_step){.kind = kind, .at = at};
    return out;
}

static void
end(struct tspace_scatter *scatter, enum plex_status status, uint32_t at,
    bool more)
{
    struct tspace_scatter_step *last = step(scatter, TSPACE_SCATTER_END, at);

    scatter->state = SCATTER_OVER;
    last->status = status;
    last->more = more;
}

static void
ask(struct tspace_scatter *scatter)
{
    step(scatter, TSPACE_SCATTER_ASK, scatter->at)->want =
        scatter->plan.want == 0 ? 0 : scatter->plan.want - scatter->got;
}

void
tspace_scatter_begin(struct tspace_scatter *scatter,
                     const struct tspace_scatter_plan *plan)
{
    assert(plan->n > 0 && plan->n <= TSPACE_SCATTER_MAX);
    *scatter = (struct tspace_scatter){.plan = *plan};
    ask(scatter);
}

/* Whoever was asked to wait need not any more. What a take may have claimed
 * meanwhile returns. */
static void
dismiss(struct tspace_scatter *scatter, uint32_t but)
{
    scatter->n = 0; /* who was to be asked, and has not been */
    for (uint32_t i = 0; i < scatter->plan.n; i++) {
        if (i == but || (scatter->waiting >> i & 1) == 0)
            continue;
        step(scatter, TSPACE_SCATTER_CANCEL, i);
        if (scatter->plan.take)
            step(scatter, TSPACE_SCATTER_RELEASE, i);
    }
    scatter->waiting = 0;
}

static void
wait_begin(struct tspace_scatter *scatter)
{
    scatter->state = SCATTER_WAIT;
    for (uint32_t i = 0; i < scatter->plan.n; i++)
        step(scatter, TSPACE_SCATTER_WAIT, i);
}

static void
turn_result(struct tspace_scatter *scatter, enum plex_status status, uint64_t n,
            bool more)
{
    const struct tspace_scatter_plan *plan = &scatter->plan;
    const uint32_t at = scatter->at;

    if (status == PLEX_OK) {
        scatter->answered++;
        scatter->got += n;
    } else if (status != PLEX_NOT_FOUND || !plan->may_miss) {
        /* Only a read has something by now, and can be done again. */
        end(scatter, status, at, false);
        return;
    }
    /* What was taken is taken and must reach the caller, whatever would become
     * of the next shard: so one take is one shard's. */
    if (plan->want > 0 && (more || scatter->got >= plan->want ||
                           (plan->take && scatter->got > 0))) {
        end(scatter, PLEX_OK, more ? at : at + 1, more || at + 1 < plan->n);
        return;
    }
    if (++scatter->at < plan->n)
        ask(scatter);
    else if (plan->wait && scatter->got == 0)
        wait_begin(scatter);
    else
        end(scatter,
            plan->may_miss && scatter->answered == 0 ? PLEX_NOT_FOUND : PLEX_OK,
            at, false);
}

static void
wait_result(struct tspace_scatter *scatter, uint32_t at,
            enum plex_status status, uint64_t n)
{
    if ((scatter->waiting >> at & 1) == 0)
        return; /* too late: it is dismissed */
    scatter->waiting &= ~(1u << at);
    if (status == PLEX_OK && n > 0) {
        dismiss(scatter, at);
        scatter->winner = at;
        if (!scatter->plan.take) {
            end(scatter, PLEX_OK, at, false);
            return;
        }
        scatter->state = SCATTER_CONFIRM;
        step(scatter, TSPACE_SCATTER_CONFIRM, at);
    } else if (status != PLEX_OK) {
        /* It may have claimed something before it was lost. */
        dismiss(scatter, at);
        if (scatter->plan.take)
            step(scatter, TSPACE_SCATTER_RELEASE, at);
        end(scatter, status, at, false);
    } else if (scatter->waiting == 0 && scatter->n == 0) {
        end(scatter, PLEX_OK, at, false); /* nothing came in time */
    }
}

void
tspace_scatter_result(struct tspace_scatter *scatter, uint32_t at,
                      enum plex_status status, uint64_t n, bool more)
{
    assert(at < scatter->plan.n);
    if (scatter->state == SCATTER_TURN && at == scatter->at)
        turn_result(scatter, status, n, more);
    else if (scatter->state == SCATTER_WAIT)
        wait_result(scatter, at, status, n);
    else if (scatter->state == SCATTER_CONFIRM && at == scatter->winner)
        /* A claim that lapsed before: the tuple is back, and nobody's. */
        end(scatter,
            status == PLEX_CONFLICT || status == PLEX_NOT_FOUND
                ? PLEX_UNAVAILABLE
                : status,
            at, false);
}

void
tspace_scatter_abandon(struct tspace_scatter *scatter)
{
    /* One that is being confirmed is taken, or nobody knows. */
    if (scatter->state == SCATTER_CONFIRM || scatter->state == SCATTER_OVER)
        return;
    dismiss(scatter, TSPACE_SCATTER_MAX);
    end(scatter, PLEX_CANCELLED, 0, false);
}

bool
tspace_scatter_next(struct tspace_scatter *scatter,
                    struct tspace_scatter_step *out)
{
    const uint32_t max = sizeof scatter->steps / sizeof scatter->steps[0];

    if (scatter->n == 0)
        return false;
    *out = scatter->steps[scatter->first];
    scatter->first = (scatter->first + 1) % max;
    scatter->n--;
    if (out->kind == TSPACE_SCATTER_WAIT)
        scatter->waiting |= 1u << out->at;
    return true;
}
