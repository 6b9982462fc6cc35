#include "tests/unit/facets/helper.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct rt_facets *chain;
struct rt_facet_when when;
static struct rt_facet_plan *plan;
static char header[128];

static enum plex_status
plan_make(const char *type, const char *const *pairs, struct plex_err *err)
{
    struct plex_facet_pair config[RT_FACET_PAIRS];
    static char texts[RT_FACET_PAIRS][512];
    struct rt_facet_spec spec = {type, 0, config, 0};

    for (; pairs != NULL && *pairs != NULL; pairs++) {
        char *text = texts[spec.n_config], *sign;

        snprintf(text, sizeof texts[0], "%s", *pairs);
        sign = strchr(text, '=');
        *sign = '\0';
        config[spec.n_config++] = (struct plex_facet_pair){text, sign + 1};
    }
    return rt_facet_plan_create(NULL, &spec, 1, &plan, err);
}

void
facet_stop(void)
{
    rt_facets_free(chain);
    chain = NULL;
    rt_facet_plan_free(plan);
    plan = NULL;
}

void
facet_start(const char *type, const char *const *pairs)
{
    struct plex_err err;

    facet_stop();
    when = (struct rt_facet_when){1000000ULL * MS, 1700000000000, 42};
    ck_assert_msg(plan_make(type, pairs, &err) == PLEX_OK, "%s", err.text);
    ck_assert_int_eq(
        rt_facets_create(plan, "t/n/counter/a", "counter", when, &chain, &err),
        PLEX_OK);
}

void
facet_refused(const char *type, const char *const *pairs, const char *why)
{
    struct plex_err err;

    facet_stop();
    ck_assert_int_eq(plan_make(type, pairs, &err), PLEX_INVALID);
    ck_assert_msg(strstr(err.text, why) != NULL, "%s", err.text);
}

void
later(uint64_t ms)
{
    when.now_ns += ms * MS;
    when.wall_ms += ms;
    if (rt_facets_due_ns(chain) <= when.now_ns)
        rt_facets_tick(chain, when);
}

struct plex_msg
facet_msg(const char *method, const char *payload)
{
    return (struct plex_msg){.sender = "",
                             .id = "m1",
                             .method = method,
                             .path = "",
                             .subpath = "",
                             .query = "",
                             .content_type = "",
                             .payload = payload,
                             .len = strlen(payload),
                             .reason = ""};
}

static enum rt_facets_verdict
handler(struct rt_facet_call *call, unsigned status, const char *reply)
{
    const struct plex_facet_result result = {status, "text/plain", reply,
                                             strlen(reply), 0};

    return status == 0 ? rt_facets_error(chain, call, reply, when)
                       : rt_facets_after(chain, call, &result, when);
}

const char *
facet_send(const struct plex_msg *msg, const char *client, unsigned status,
           const char *reply)
{
    static char story[512];
    struct rt_facet_call call = {.client = client};
    enum rt_facets_verdict verdict = rt_facets_before(chain, &call, msg, when);
    const char *ran = "";

    while (verdict == RT_FACETS_RUN || verdict == RT_FACETS_RETRY) {
        if (verdict == RT_FACETS_RETRY)
            later(call.backoff_ms);
        ran = "run ";
        verdict = handler(&call, status, reply);
    }
    header[0] = '\0';
    if (call.header != NULL && verdict == RT_FACETS_RESULT)
        snprintf(header, sizeof header, "%s: %s", call.header,
                 call.header_value);
    if (verdict == RT_FACETS_FAIL)
        snprintf(story, sizeof story, "%sfail %s", ran, call.error);
    else if (call.problem != NULL)
        snprintf(story, sizeof story, "%s%u %s", ran, call.result.http_status,
                 call.problem);
    else
        snprintf(story, sizeof story, "%s%u %.*s", ran, call.result.http_status,
                 (int)call.result.len, (const char *)call.result.payload);
    rt_facets_end(chain, &call);
    return story;
}

const char *
facet_header(void)
{
    return header;
}

const char *
facet_action(void)
{
    static char text[1024];
    struct plex_facet_action a;

    if (!rt_facets_next(chain, &a))
        return "";
    switch (a.kind) {
    case PLEX_FACET_LOG:
        snprintf(text, sizeof text, "%s%slog%d %s",
                 a.name == NULL ? "" : a.name, a.name == NULL ? "" : " ",
                 a.level, a.text);
        break;
    case PLEX_FACET_COUNT:
    case PLEX_FACET_OBSERVE:
    case PLEX_FACET_GAUGE:
        snprintf(text, sizeof text, "%s %s{%s} %" PRIu64,
                 a.kind == PLEX_FACET_COUNT ? "count" : "observe", a.name,
                 a.labels, a.number);
        break;
    case PLEX_FACET_SPAN:
        snprintf(text, sizeof text, "%s%sspan %s",
                 a.name == NULL ? "" : a.labels, a.name == NULL ? "" : " ",
                 a.text);
        break;
    case PLEX_FACET_TICK:
        snprintf(text, sizeof text, "tick %s %" PRIu64, a.name, a.number);
        break;
    case PLEX_FACET_PUBLISH:
        snprintf(text, sizeof text, "publish %s %.*s", a.name, (int)a.len,
                 (const char *)a.payload);
        break;
    default:
        snprintf(text, sizeof text, "%s %s",
                 a.kind == PLEX_FACET_JOIN ? "join" : "leave", a.name);
    }
    return text;
}

int
facet_invoke(const char *op, const char *in, const char **answer)
{
    struct rt_facet_info info;
    const void *payload;
    static char copy[1024];
    size_t len;
    int status;

    ck_assert_uint_eq(rt_facets_list(chain, &info, 1), 1);
    status = rt_facets_invoke(chain, info.type, op, in, strlen(in), &payload,
                              &len, when);
    snprintf(copy, sizeof copy, "%.*s", (int)len,
             payload == NULL ? "" : (const char *)payload);
    if (answer != NULL)
        *answer = copy;
    return status;
}
