/* Chains: what is attached, and the actor's life. */
#include "runtime/facet_private.h"

#include "common/bytes.h"
#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

/* splitmix64 */
static uint64_t
random_next(uint64_t *state)
{
    uint64_t value = (*state += 0x9e3779b97f4a7c15U);

    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9U;
    value = (value ^ value >> 27) * 0x94d049bb133111ebU;
    return value ^ value >> 31;
}

void
rt_facet_begin(struct rt_facets *chain, struct rt_facet_call *call,
               struct rt_facet_when when)
{
    rt_facet_blocks_free(&chain->scratch);
    chain->call = call;
    chain->when = when;
    chain->random ^= when.random;
}

struct plex_facet *
rt_facet_ready(struct rt_facets *chain, struct rt_facet_entry *entry)
{
    struct plex_facet *facet = &entry->facet;
    const struct rt_facet_call *call = chain->call;

    facet->now_ns = chain->when.now_ns;
    facet->wall_ms = chain->when.wall_ms;
    facet->random = random_next(&chain->random);
    facet->client = call == NULL || call->client == NULL ? "" : call->client;
    facet->trace =
        call == NULL || call->traceparent == NULL ? "" : call->traceparent;
    facet->token = 0;
    return facet;
}

struct rt_facet_entry *
rt_facet_find(const struct rt_facets *chain, const char *type)
{
    for (size_t i = 0; i < chain->n; i++)
        if (strcmp(chain->at[i]->config.name, type) == 0)
            return chain->at[i];
    return NULL;
}

struct rt_facet_entry *
rt_facet_by_serial(const struct rt_facets *chain, uint64_t serial)
{
    for (size_t i = 0; i < chain->n; i++)
        if (chain->at[i]->serial == serial)
            return chain->at[i];
    return NULL;
}

/* -- attaching ------------------------------------------------------------- */

static void
entry_free(struct rt_facet_entry *entry)
{
    if (entry->facet.type->fini != NULL)
        entry->facet.type->fini(entry->facet.data);
    if (entry->owns_config)
        rt_facet_config_fini(&entry->config);
    free(entry->facet.data);
    free(entry);
}

/* The configuration is taken when `owns`, also on failure. */
static enum plex_status
entry_attach(struct rt_facets *chain, const struct rt_facet_config *config,
             bool owns, struct plex_err *err)
{
    struct rt_facet_entry *entry = plex_calloc(1, sizeof *entry);
    size_t at = chain->n;

    entry->config = *config;
    entry->owns_config = owns;
    entry->serial = ++chain->serials;
    entry->wake_ns = UINT64_MAX;
    entry->facet = (struct plex_facet){
        .ops = &rt_facet_ops,
        .type = config->type,
        .config = config->values,
        .data = config->type->data_size == 0
                    ? NULL
                    : plex_calloc(1, config->type->data_size),
        .actor = chain->actor,
        .family = chain->family,
        .of = chain,
    };
    if (config->type->attach != NULL &&
        config->type->attach(rt_facet_ready(chain, entry)) != 0) {
        (void)plex_err_set(err, PLEX_FAILED, "facet %s could not be attached",
                           config->name);
        entry_free(entry);
        return err->status;
    }
    for (; at > 0 && chain->at[at - 1]->config.priority < config->priority;
         at--)
        chain->at[at] = chain->at[at - 1];
    chain->at[at] = entry;
    chain->n++;
    return PLEX_OK;
}

static void
entry_complete(struct rt_facets *chain, struct rt_facet_entry *entry)
{
    if (entry->facet.type->init_complete != NULL)
        entry->facet.type->init_complete(rt_facet_ready(chain, entry));
}

static void
entry_detach(struct rt_facets *chain, size_t at)
{
    struct rt_facet_entry *entry = chain->at[at];

    if (entry->facet.type->detach != NULL)
        entry->facet.type->detach(rt_facet_ready(chain, entry));
    chain->n--;
    memmove(&chain->at[at], &chain->at[at + 1],
            (chain->n - at) * sizeof chain->at[0]);
    entry_free(entry);
}

enum plex_status
rt_facets_create(const struct rt_facet_plan *plan, const char *actor,
                 const char *family, struct rt_facet_when when,
                 struct rt_facets **out, struct plex_err *err)
{
    struct rt_facets *chain = plex_calloc(1, sizeof *chain);

    chain->actor = plex_strdup(actor);
    chain->family = plex_strdup(family);
    chain->last = &chain->first;
    rt_facet_begin(chain, NULL, when);
    for (size_t i = 0; plan != NULL && i < plan->n; i++)
        if (entry_attach(chain, &plan->at[i], false, err) != PLEX_OK) {
            rt_facets_detach_all(chain, when);
            rt_facets_free(chain);
            return err->status;
        }
    *out = chain;
    return PLEX_OK;
}

void
rt_facets_free(struct rt_facets *chain)
{
    if (chain == NULL)
        return;
    while (chain->n > 0)
        entry_free(chain->at[--chain->n]);
    rt_facet_actions_free(chain);
    rt_facet_blocks_free(&chain->scratch);
    free(chain->blob);
    free(chain->actor);
    free(chain->family);
    free(chain);
}

enum plex_status
rt_facets_attach(struct rt_facets *chain, const struct rt_facet_types *types,
                 const struct rt_facet_spec *spec, struct rt_facet_when when,
                 struct plex_err *err)
{
    struct rt_facet_call *call = chain->call;
    struct rt_facet_config config;

    err->status = PLEX_OK;
    if (rt_facet_find(chain, spec->type) != NULL)
        return plex_err_set(err, PLEX_EXISTS, "facet %s is attached already",
                            spec->type);
    if (chain->n == RT_FACETS_MAX)
        return plex_err_set(err, PLEX_LIMIT,
                            "%d facets are attached, as many "
                            "as may",
                            RT_FACETS_MAX);
    if (rt_facet_config_make(types, spec, &config, err) != PLEX_OK)
        return err->status;
    rt_facet_begin(chain, NULL, when);
    err->status = entry_attach(chain, &config, true, err);
    if (err->status == PLEX_OK && chain->complete)
        entry_complete(chain, rt_facet_find(chain, spec->type));
    chain->call = call;
    return err->status;
}

enum plex_status
rt_facets_detach(struct rt_facets *chain, const char *type,
                 struct rt_facet_when when, struct plex_err *err)
{
    struct rt_facet_call *call = chain->call;

    for (size_t i = 0; i < chain->n; i++)
        if (strcmp(chain->at[i]->config.name, type) == 0) {
            rt_facet_begin(chain, NULL, when);
            entry_detach(chain, i);
            chain->call = call;
            return PLEX_OK;
        }
    return plex_err_set(err, PLEX_NOT_FOUND, "facet %.64s is not attached",
                        type);
}

void
rt_facets_detach_all(struct rt_facets *chain, struct rt_facet_when when)
{
    rt_facet_begin(chain, NULL, when);
    while (chain->n > 0)
        entry_detach(chain, chain->n - 1);
}

size_t
rt_facets_list(const struct rt_facets *chain, struct rt_facet_info *out,
               size_t max)
{
    for (size_t i = 0; i < chain->n && i < max; i++)
        out[i] = (struct rt_facet_info){chain->at[i]->config.name,
                                        chain->at[i]->config.priority};
    return chain->n;
}

/* -- life ------------------------------------------------------------------ */

void
rt_facets_init_complete(struct rt_facets *chain, struct rt_facet_when when)
{
    rt_facet_begin(chain, NULL, when);
    chain->complete = true;
    for (size_t i = 0; i < chain->n; i++)
        entry_complete(chain, chain->at[i]);
}

void
rt_facets_terminate(struct rt_facets *chain, const char *reason,
                    struct rt_facet_when when)
{
    rt_facet_begin(chain, NULL, when);
    for (size_t i = 0; i < chain->n; i++)
        if (chain->at[i]->facet.type->terminate_start != NULL)
            chain->at[i]->facet.type->terminate_start(
                rt_facet_ready(chain, chain->at[i]), reason);
}

void
rt_facets_exit(struct rt_facets *chain, struct plex_ref who, const char *reason,
               struct rt_facet_when when)
{
    rt_facet_begin(chain, NULL, when);
    for (size_t i = 0; i < chain->n; i++)
        if (chain->at[i]->facet.type->exit != NULL)
            chain->at[i]->facet.type->exit(rt_facet_ready(chain, chain->at[i]),
                                           who, reason);
}

void
rt_facets_down(struct rt_facets *chain, struct plex_ref who, const char *reason,
               struct rt_facet_when when)
{
    rt_facet_begin(chain, NULL, when);
    for (size_t i = 0; i < chain->n; i++)
        if (chain->at[i]->facet.type->down != NULL)
            chain->at[i]->facet.type->down(rt_facet_ready(chain, chain->at[i]),
                                           who, reason);
}

/* -- time ------------------------------------------------------------------ */

uint64_t
rt_facets_due_ns(const struct rt_facets *chain)
{
    uint64_t due = UINT64_MAX;

    for (size_t i = 0; i < chain->n; i++)
        if (chain->at[i]->wake_ns < due)
            due = chain->at[i]->wake_ns;
    return due;
}

void
rt_facets_tick(struct rt_facets *chain, struct rt_facet_when when)
{
    rt_facet_begin(chain, NULL, when);
    for (size_t i = 0; i < chain->n; i++) {
        struct rt_facet_entry *entry = chain->at[i];

        if (entry->wake_ns > when.now_ns)
            continue;
        entry->wake_ns = UINT64_MAX;
        if (entry->facet.type->wake != NULL)
            entry->facet.type->wake(rt_facet_ready(chain, entry));
    }
}

/* -- asking ---------------------------------------------------------------- */

/* What every facet that keeps something can be asked for. */
static bool
state_op(struct plex_facet *facet, const char *op, const void *in, size_t len,
         struct plex_facet_out *out, int *status)
{
    const bool get = strcmp(op, "get_state") == 0;

    if (!get && strcmp(op, "set_state") != 0)
        return false;
    *status = 0;
    if (get ? facet->type->save == NULL : facet->type->restore == NULL)
        *status = -PLEX_UNSUPPORTED;
    else if (get)
        out->payload = facet->type->save(facet, &out->len);
    else if (facet->type->restore(facet, in, len) != 0)
        *status = -PLEX_INVALID;
    return true;
}

int
rt_facets_invoke(struct rt_facets *chain, const char *type, const char *op,
                 const void *in, size_t len, const void **answer,
                 size_t *answer_len, struct rt_facet_when when)
{
    struct rt_facet_entry *entry = rt_facet_find(chain, type);
    struct plex_facet_out out = {0};
    struct plex_facet *facet;
    int status;

    *answer = NULL;
    *answer_len = 0;
    if (entry == NULL)
        return -PLEX_NOT_FOUND;
    rt_facet_begin(chain, NULL, when);
    facet = rt_facet_ready(chain, entry);
    if (!state_op(facet, op, in, len, &out, &status))
        status = facet->type->invoke == NULL
                     ? -PLEX_UNSUPPORTED
                     : facet->type->invoke(facet, op, in, len, &out);
    *answer = out.payload;
    *answer_len = out.len;
    return status;
}

static int
request_list(struct rt_facets *chain, struct plex_facet_request *request)
{
    struct rt_facet_block *block;
    size_t size = 1;
    char *at;

    for (size_t i = 0; i < chain->n; i++)
        size += strlen(chain->at[i]->config.name) + 1;
    block = plex_calloc(1, sizeof *block + size);
    block->next = chain->scratch;
    chain->scratch = block;
    at = (char *)block->data;
    for (size_t i = 0; i < chain->n; i++) {
        at = stpcpy(at, chain->at[i]->config.name);
        *at++ = '\n';
    }
    request->answer = block->data;
    request->answer_len = size - 1;
    return 0;
}

static int
request_failed(struct rt_facets *chain, enum plex_status status,
               const struct plex_err *err)
{
    struct plex_facet facet = {.of = chain};
    const struct plex_facet_action action = {
        .kind = PLEX_FACET_LOG, .level = 1, .text = err->text};

    if (status != PLEX_OK)
        rt_facet_ops.act(&facet, &action);
    return -(int)status;
}

int
rt_facets_request(struct rt_facets *chain, const struct rt_facet_types *types,
                  struct plex_facet_request *request, struct rt_facet_when when)
{
    const struct rt_facet_spec spec = {request->facet, request->priority,
                                       request->config, request->n_config};
    struct plex_err err = {0};

    switch (request->verb) {
    case PLEX_FACET_ATTACH:
        return request_failed(
            chain, rt_facets_attach(chain, types, &spec, when, &err), &err);
    case PLEX_FACET_DETACH:
        return request_failed(
            chain, rt_facets_detach(chain, request->facet, when, &err), &err);
    case PLEX_FACET_LIST:
        rt_facet_begin(chain, NULL, when);
        return request_list(chain, request);
    case PLEX_FACET_INVOKE:
        return rt_facets_invoke(chain, request->facet, request->op,
                                request->payload, request->len,
                                &request->answer, &request->answer_len, when);
    }
    return -PLEX_INVALID;
}

/* -- keeping --------------------------------------------------------------- */

/* One facet: length of its name (1 byte), name, length (4 bytes, little
 * endian), bytes. */
const void *
rt_facets_save(struct rt_facets *chain, size_t *len, struct rt_facet_when when)
{
    struct plex_buf out = {.max = SIZE_MAX};

    rt_facet_begin(chain, NULL, when);
    for (size_t i = 0; i < chain->n; i++) {
        struct rt_facet_entry *entry = chain->at[i];
        const size_t name = strlen(entry->config.name);
        const void *state;
        size_t size = 0;
        uint8_t *at;

        if (entry->facet.type->save == NULL)
            continue;
        state = entry->facet.type->save(rt_facet_ready(chain, entry), &size);
        if (state == NULL || size > UINT32_MAX)
            continue;
        at = plex_buf_grow(&out, 5 + name + size);
        at[0] = (uint8_t)name;
        memcpy(at + 1, entry->config.name, name);
        for (int b = 0; b < 4; b++)
            at[1 + name + (size_t)b] = (uint8_t)(size >> (8 * b));
        memcpy(at + 5 + name, state, size);
    }
    free(chain->blob);
    chain->blob = (char *)out.data;
    *len = out.len;
    return chain->blob;
}

void
rt_facets_restore(struct rt_facets *chain, const void *blob, size_t len,
                  struct rt_facet_when when)
{
    const uint8_t *at = blob, *end = at + len;

    rt_facet_begin(chain, NULL, when);
    while (at < end) {
        const size_t name = at[0];
        char text[256];
        struct rt_facet_entry *entry;
        size_t size = 0;

        if ((size_t)(end - at) < 5 + name)
            return;
        memcpy(text, at + 1, name);
        text[name] = '\0';
        for (int b = 0; b < 4; b++)
            size |= (size_t)at[1 + name + (size_t)b] << (8 * b);
        at += 5 + name;
        if ((size_t)(end - at) < size)
            return;
        entry = rt_facet_find(chain, text);
        if (entry != NULL && entry->facet.type->restore != NULL)
            (void)entry->facet.type->restore(rt_facet_ready(chain, entry), at,
                                             size);
        at += size;
    }
}
