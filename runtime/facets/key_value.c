/* What an actor may do with keys (sdk's kv.h): its prefix, its TTL. The worker
 * asks the registry. */
#include "runtime/facets/facets.h"
#include "sdk/c/include/plexspaces/kv.h"

#include <stdio.h>
#include <string.h>

struct config {
    const char *prefix;
    uint64_t default_ttl;
    bool read_only;
    /* Known, so that it can be said what they are here. */
    const char *store_type, *connection_string;
    bool enable_cache;
};

static const struct plex_facet_key keys[] = {
    RT_FACET_KEY(prefix, TEXT, "", 0, 256),
    RT_FACET_KEY(default_ttl, DURATION, "0", 0, 0),
    RT_FACET_KEY(read_only, BOOL, "false", 0, 0),
    RT_FACET_KEY(store_type, TEXT, "registry", 0, 64),
    RT_FACET_KEY(connection_string, TEXT, "", 0, 1024),
    RT_FACET_KEY(enable_cache, BOOL, "false", 0, 0),
    {0},
};

static int
check(void *values, char *why, size_t size)
{
    const struct config *config = values;

    if (strcmp(config->store_type, "registry") != 0 ||
        config->connection_string[0] != '\0') {
        (void)snprintf(why, size,
                       "config.%s: the registry keeps the keys of all, in "
                       "its store (kv_dsn)",
                       config->connection_string[0] != '\0'
                           ? "connection_string"
                           : "store_type");
        return -1;
    }
    if (!config->enable_cache)
        return 0;
    (void)snprintf(why, size,
                   "config.enable_cache: others change keys too, so each is "
                   "read where it is kept");
    return -1;
}

static bool
is_reading(uint32_t op)
{
    return op == PLEX_KV_GET || op == PLEX_KV_LIST || op == PLEX_KV_WATCH;
}

/* "request": a struct plex_kv_wire and what belongs to it, in and out. */
static int
invoke(struct plex_facet *facet, const char *op, const void *in, size_t len,
       struct plex_facet_out *out)
{
    const struct config *config = facet->config;
    const size_t prefix = strlen(config->prefix);
    const char *slash = strchr(facet->actor, '/');
    struct plex_kv_wire wire;
    unsigned char *to;
    size_t where;

    if (strcmp(op, "request") != 0)
        return -PLEX_UNSUPPORTED;
    if (len < sizeof wire)
        return -PLEX_INVALID;
    memcpy(&wire, in, sizeof wire);
    if (len - sizeof wire !=
            (size_t)wire.key_len + wire.value_len + wire.expected_len ||
        wire.op < PLEX_KV_GET || wire.op > PLEX_KV_WATCH)
        return -PLEX_INVALID;
    if (config->read_only && !is_reading(wire.op))
        return -PLEX_DENIED;
    if (wire.op == PLEX_KV_PUT && wire.ttl_ms == 0)
        wire.ttl_ms = config->default_ttl;
    /* Of "tenant/namespace/type/key" the first two. */
    slash = slash == NULL ? NULL : strchr(slash + 1, '/');
    where = slash == NULL ? 0 : (size_t)(slash - facet->actor);
    wire.where_len = (uint32_t)where;
    wire.key_len += (uint32_t)prefix;
    wire.strip = (uint32_t)prefix;
    to = plex_facet_alloc(facet, len + prefix + where);
    memcpy(to, &wire, sizeof wire);
    memcpy(to + sizeof wire, config->prefix, prefix);
    memcpy(to + sizeof wire + prefix, (const unsigned char *)in + sizeof wire,
           len - sizeof wire);
    memcpy(to + len + prefix, facet->actor, where);
    out->payload = to;
    out->len = len + prefix + where;
    return 0;
}

const struct plex_facet_type rt_facet_key_value = {
    .name = "key_value",
    .priority = 30,
    .keys = keys,
    .config_size = sizeof(struct config),
    .check = check,
    .invoke = invoke,
};
