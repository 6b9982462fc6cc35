/* Requests about facets, as bytes: verb (1 byte), priority (4, little endian),
 * then texts, each with its NUL: the facet, keys and values; and answered. */
#include "runtime/facet_request.h"

#include <stdio.h>
#include <string.h>

enum { HEAD = 5 };

static void
put(struct plex_buf *out, const void *bytes, size_t len)
{
    uint8_t *at = plex_buf_grow(out, len);

    if (at != NULL && len > 0)
        memcpy(at, bytes, len);
}

static void
put_text(struct plex_buf *out, const char *text)
{
    put(out, text, strlen(text) + 1);
}

void
rt_facets_pack(const struct plex_facet_request *request, struct plex_buf *out)
{
    uint8_t head[HEAD] = {(uint8_t)request->verb};

    for (int i = 0; i < 4; i++)
        head[1 + i] = (uint8_t)(request->priority >> (8 * i));
    put(out, head, sizeof head);
    put_text(out, request->facet == NULL ? "" : request->facet);
    for (size_t i = 0; i < request->n_config; i++) {
        put_text(out, request->config[i].key);
        put_text(out, request->config[i].value);
    }
}

/* The text at `*at`, which is past it then; NULL: none. */
static const char *
take_text(const char **at, const char *end)
{
    const char *text = *at;
    const char *nul =
        text == end ? NULL : memchr(text, 0, (size_t)(end - text));

    if (nul == NULL)
        return NULL;
    *at = nul + 1;
    return text;
}

bool
rt_facets_unpack(const void *bytes, size_t len, struct rt_facets_asked *out)
{
    const uint8_t *head = bytes;
    const char *at = (const char *)bytes + HEAD, *end;
    struct plex_facet_request *request = &out->request;

    *request = (struct plex_facet_request){.config = out->pairs};
    if (bytes == NULL || len <= HEAD || head[0] < PLEX_FACET_ATTACH ||
        head[0] > PLEX_FACET_INVOKE)
        return false;
    end = (const char *)bytes + len;
    request->verb = (enum plex_facet_verb)head[0];
    for (int i = 0; i < 4; i++)
        request->priority |= (uint32_t)head[1 + i] << (8 * i);
    request->facet = take_text(&at, end);
    while (at < end) {
        struct plex_facet_pair *pair = &out->pairs[request->n_config];

        if (request->n_config == RT_FACET_PAIRS ||
            (pair->key = take_text(&at, end)) == NULL ||
            (pair->value = take_text(&at, end)) == NULL)
            return false;
        request->n_config++;
    }
    return request->facet != NULL;
}

static void
describe(const struct rt_facets *chain, struct plex_buf *out)
{
    struct rt_facet_info infos[RT_FACETS_MAX];
    const size_t n = rt_facets_list(chain, infos, RT_FACETS_MAX);
    char line[128];

    for (size_t i = 0; i < n; i++) {
        const int len = snprintf(line, sizeof line, "%u %s\n",
                                 infos[i].priority, infos[i].type);

        if (len > 0 && (size_t)len < sizeof line)
            put(out, line, (size_t)len);
    }
}

enum plex_status
rt_facet_attach_check(const char *type, struct plex_err *err)
{
    if (strcmp(type, "virtual_actor") == 0)
        return plex_err_set(err, PLEX_INVALID,
                            "facet virtual_actor says how actors of a type are "
                            "activated: it belongs into the type's manifest");
    if (strcmp(type, "durability") == 0 || strcmp(type, "reminder") == 0)
        return plex_err_set(err, PLEX_INVALID,
                            "facet %s says how actors of a type are kept: it "
                            "belongs into the type's manifest",
                            type);
    return PLEX_OK;
}

/* What may be asked from outside: nothing that acts for the actor. */
static bool
is_open(const char *type, const char *op)
{
    static const char *const open[][2] = {
        {"circuit_breaker", "state"},
        {"circuit_breaker", "trip"},
        {"circuit_breaker", "reset"},
        {"circuit_breaker", "disable"},
        {"http_client", "state"},
        {"http_client", "trip"},
        {"http_client", "reset"},
        {"http_client", "disable"},
        {"caching", "clear"},
        {"caching", "stats"},
        {"timer", "list"},
    };

    for (size_t i = 0; i < sizeof open / sizeof *open; i++)
        if (strcmp(open[i][0], type) == 0 && strcmp(open[i][1], op) == 0)
            return true;
    return false;
}

/* The operation is the only pair of the request. */
static enum plex_status
ask(struct rt_facets *chain, const struct plex_facet_request *request,
    struct rt_facet_when when, struct plex_buf *out, struct plex_err *err)
{
    const char *op = request->n_config == 1 ? request->config[0].value : "";
    const void *answer = NULL;
    size_t len = 0;
    int status;

    if (!is_open(request->facet, op))
        return plex_err_set(err, PLEX_UNSUPPORTED,
                            "facet %.64s cannot be asked for \"%.32s\" from "
                            "outside: circuit_breaker and http_client "
                            "state, trip, reset, disable; caching clear, "
                            "stats; timer list",
                            request->facet, op);
    status = chain == NULL ? -PLEX_NOT_FOUND
                           : rt_facets_invoke(chain, request->facet, op, "", 0,
                                              &answer, &len, when);
    if (status == -PLEX_NOT_FOUND)
        return plex_err_set(err, PLEX_NOT_FOUND, "facet %.64s is not attached",
                            request->facet);
    if (status != 0)
        return plex_err_set(err, (enum plex_status) - status,
                            "facet %.64s could not do \"%.32s\"",
                            request->facet, op);
    put(out, answer, len);
    return PLEX_OK;
}

enum plex_status
rt_facets_change(struct rt_facets *chain, const struct rt_facet_types *types,
                 const struct plex_facet_request *request,
                 struct rt_facet_when when, struct plex_buf *out,
                 struct plex_err *err)
{
    const struct rt_facet_spec spec = {request->facet, request->priority,
                                       request->config, request->n_config};

    err->status = PLEX_OK;
    switch (request->verb) {
    case PLEX_FACET_LIST:
        break;
    case PLEX_FACET_ATTACH:
        err->status = rt_facet_attach_check(request->facet, err);
        if (err->status == PLEX_OK)
            err->status = rt_facets_attach(chain, types, &spec, when, err);
        break;
    case PLEX_FACET_DETACH:
        if (chain != NULL)
            err->status = rt_facets_detach(chain, request->facet, when, err);
        else
            (void)plex_err_set(err, PLEX_NOT_FOUND,
                               "facet %.64s is not attached", request->facet);
        break;
    case PLEX_FACET_INVOKE:
        return ask(chain, request, when, out, err);
    default:
        (void)plex_err_set(err, PLEX_INVALID, "no request about facets");
        break;
    }
    if (err->status == PLEX_OK && chain != NULL)
        describe(chain, out);
    return err->status;
}

void
rt_facet_join(struct plex_ctx *ctx, const struct plex_facet_action *action)
{
    char line[256];

    if (action->number > 0 &&
        ctx->process->group_members(ctx, action->name, false, NULL, 0) >=
            action->number) {
        (void)snprintf(line, sizeof line,
                       "group %.150s has its %u members: not joined",
                       action->name, (unsigned)action->number);
        ctx->ops->log(ctx, 1, line);
        return;
    }
    (void)ctx->process->group_join(ctx, action->name);
}
