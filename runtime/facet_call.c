/* Messages through a chain. */
#include "runtime/facet_private.h"

#include <string.h>

static struct plex_facet *
passed_ready(struct rt_facets *chain, struct rt_facet_call *call, size_t i)
{
    struct rt_facet_entry *entry =
        rt_facet_by_serial(chain, call->passed[i].serial);
    struct plex_facet *facet;

    if (entry == NULL)
        return NULL; /* detached meanwhile */
    facet = rt_facet_ready(chain, entry);
    facet->token = call->passed[i].token;
    return facet;
}

static void
result_set(struct rt_facet_call *call, const struct plex_facet_out *out,
           uint32_t status)
{
    call->result.http_status =
        out->http_status != 0 ? out->http_status : status;
    call->result.content_type =
        out->content_type != NULL ? out->content_type : "application/json";
    call->result.payload = out->payload;
    call->result.len = out->len;
    call->header = out->header;
    call->header_value = out->header_value;
    call->problem = out->text;
    if (out->text == NULL)
        return;
    call->result.content_type = "application/problem+json";
    call->result.payload = NULL;
    call->result.len = 0;
    if (out->http_status == 0)
        call->result.http_status = 500;
}

/* The result goes out through the first `n` facets that passed. */
static enum rt_facets_verdict
unwind(struct rt_facets *chain, struct rt_facet_call *call, size_t n)
{
    while (n-- > 0) {
        struct plex_facet *facet = passed_ready(chain, call, n);
        struct plex_facet_out out = {0};

        if (facet == NULL || facet->type->after == NULL)
            continue;
        call->result.took_ns = chain->when.now_ns - call->started_ns;
        if (facet->type->after(facet, &call->msg, &call->result, &out) ==
            PLEX_FACET_REPLACE)
            result_set(call, &out, call->result.http_status);
    }
    call->result.took_ns = chain->when.now_ns - call->started_ns;
    call->n = 0;
    chain->call = NULL;
    return RT_FACETS_RESULT;
}

enum rt_facets_verdict
rt_facets_before(struct rt_facets *chain, struct rt_facet_call *call,
                 const struct plex_msg *msg, struct rt_facet_when when)
{
    *call = (struct rt_facet_call){.client = call->client,
                                   .traceparent = call->traceparent,
                                   .msg = *msg,
                                   .started_ns = when.now_ns,
                                   .attempts = 1};
    rt_facet_begin(chain, call, when);
    for (size_t i = 0; i < chain->n; i++) {
        struct rt_facet_entry *entry = chain->at[i];
        struct plex_facet *facet = rt_facet_ready(chain, entry);
        struct plex_facet_out out = {0};
        enum plex_facet_verdict verdict = PLEX_FACET_CONTINUE;

        if (facet->type->before != NULL)
            verdict = facet->type->before(facet, &call->msg, &out);
        if (verdict == PLEX_FACET_SHORT_CIRCUIT) {
            result_set(call, &out, 200);
            return unwind(chain, call, call->n);
        }
        if (verdict == PLEX_FACET_REPLACE) {
            call->msg.payload = out.payload;
            call->msg.len = out.len;
            if (out.content_type != NULL)
                call->msg.content_type = out.content_type;
        }
        call->passed[call->n++] =
            (struct rt_facet_slot){entry->serial, facet->token};
    }
    chain->call = NULL;
    return RT_FACETS_RUN;
}

enum rt_facets_verdict
rt_facets_after(struct rt_facets *chain, struct rt_facet_call *call,
                const struct plex_facet_result *result,
                struct rt_facet_when when)
{
    rt_facet_begin(chain, call, when);
    call->result = *result;
    return unwind(chain, call, call->n);
}

enum rt_facets_verdict
rt_facets_error(struct rt_facets *chain, struct rt_facet_call *call,
                const char *error, struct rt_facet_when when)
{
    rt_facet_begin(chain, call, when);
    call->error = error;
    for (size_t i = call->n; i-- > 0;) {
        struct plex_facet *facet = passed_ready(chain, call, i);
        struct plex_facet_out out = {0};
        enum plex_facet_verdict verdict;

        if (facet == NULL || facet->type->error == NULL)
            continue;
        verdict = facet->type->error(facet, &call->msg, call->error, &out);
        if (verdict == PLEX_FACET_TRANSFORM && out.text != NULL)
            call->error = out.text;
        if (verdict == PLEX_FACET_DEFAULT) {
            result_set(call, &out, 200);
            return unwind(chain, call, i);
        }
        if (verdict == PLEX_FACET_RETRY && call->attempts < out.max_attempts) {
            call->attempts++;
            call->backoff_ms = out.backoff_ms;
            call->passed[i].token = facet->token;
            chain->call = NULL;
            return RT_FACETS_RETRY;
        }
    }
    call->n = 0;
    chain->call = NULL;
    return RT_FACETS_FAIL;
}

/* The handler once; RUN: it stands as it is. */
static enum rt_facets_verdict
attempt(struct rt_facets *chain, struct rt_facet_call *call,
        const struct rt_facet_host *host, void *arg)
{
    struct rt_facet_attempt made = {.error = NULL};
    const struct plex_facet_result *is = &call->result, *was = &made.result;
    enum rt_facets_verdict verdict;

    host->attempt(arg, &call->msg, &made);
    if (made.gone)
        return RT_FACETS_RUN;
    if (made.error != NULL) {
        verdict = rt_facets_error(chain, call, made.error, host->when(arg));
        return verdict == RT_FACETS_RETRY && made.lasts ? RT_FACETS_FAIL
                                                        : verdict;
    }
    verdict = rt_facets_after(chain, call, was, host->when(arg));
    if (call->problem == NULL && call->header == NULL &&
        is->payload == was->payload && is->len == was->len &&
        is->http_status == was->http_status)
        return RT_FACETS_RUN;
    return verdict;
}

void
rt_facets_pass(struct rt_facets *chain, struct rt_facet_call *call,
               const struct plex_msg *msg, const struct rt_facet_host *host,
               void *arg)
{
    enum rt_facets_verdict verdict =
        rt_facets_before(chain, call, msg, host->when(arg));

    if (call->msg.payload != msg->payload || call->msg.len != msg->len)
        host->replaced(arg, &call->msg);
    if (verdict == RT_FACETS_RUN)
        verdict = attempt(chain, call, host, arg);
    while (verdict == RT_FACETS_RETRY) {
        if (!host->again(arg, call->backoff_ms))
            return;
        verdict = attempt(chain, call, host, arg);
    }
    if (verdict == RT_FACETS_RESULT)
        host->answer(arg, call);
    else if (verdict == RT_FACETS_FAIL)
        host->failed(arg, call->error);
}

void
rt_facets_end(struct rt_facets *chain, struct rt_facet_call *call)
{
    if (chain->call == call)
        chain->call = NULL;
    call->n = 0;
    rt_facet_blocks_free(&call->memory);
}
