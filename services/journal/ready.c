#include "services/journal/ready.h"

#include "common/log.h"

#include <stdio.h>
#include <string.h>

static void
say(struct journal_ready *ready)
{
    char why[sizeof ready->other + 80];

    if (ready->draining) {
        reg_client_status(ready->registry, REG_NODE_DRAINING, "draining");
    } else if (!ready->open) {
        reg_client_status(ready->registry, REG_NODE_STARTING, ready->closed);
    } else if (!ready->catalogued) {
        reg_client_status(ready->registry, REG_NODE_STARTING,
                          "waiting for the catalogue");
    } else if (ready->other[0] != '\0') {
        (void)snprintf(why, sizeof why,
                       "journal %s is in use and does not share this store",
                       ready->other);
        reg_client_status(ready->registry, REG_NODE_STARTING, why);
    } else {
        reg_client_status(ready->registry, REG_NODE_READY, "");
    }
}

void
journal_ready_init(struct journal_ready *ready, struct reg_client *registry,
                   const char *node)
{
    *ready = (struct journal_ready){.registry = registry, .node = node};
}

void
journal_ready_open(struct journal_ready *ready,
                   const struct journal_store *store)
{
    (void)snprintf(ready->shared, sizeof ready->shared, "%s",
                   journal_store_shared(store));
    ready->open = true;
    say(ready);
}

void
journal_ready_closed(struct journal_ready *ready, const char *why)
{
    (void)snprintf(ready->closed, sizeof ready->closed, "%s", why);
    ready->open = false;
    say(ready);
}

void
journal_ready_drain(struct journal_ready *ready)
{
    ready->draining = true;
    say(ready);
}

/* The catalogue may be from before our last announcement: what it says of us
 * is left out. */
void
journal_ready_catalog(struct journal_ready *ready,
                      const struct reg_catalog *catalog)
{
    const struct reg_node *first;
    char other[sizeof ready->other] = "";

    if (reg_catalog_replicas(catalog, "journal", &first, 1) == 1 &&
        first->status == REG_NODE_READY &&
        strcmp(first->node_id, ready->node) != 0 &&
        (ready->shared[0] == '\0' || strcmp(first->store, ready->shared) != 0))
        (void)snprintf(other, sizeof other, "%s", first->node_id);
    if (other[0] != '\0' && strcmp(other, ready->other) != 0 && ready->open)
        plex_log(PLEX_LOG_ERROR, "journal-not-shared",
                 "journal %s is in use and does not share this store: this "
                 "one is not used",
                 other);
    (void)snprintf(ready->other, sizeof ready->other, "%s", other);
    ready->catalogued = true;
    say(ready);
}
