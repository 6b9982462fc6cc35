/* What the suite consists of and what each part is told. */
#include "cli/dev.h"

#include "services/channel-broker/service.h"
#include "services/gateway/service.h"
#include "services/journal/service.h"
#include "services/placement/service.h"
#include "services/registry/service.h"
#include "services/tuplespace/service.h"
#include "services/worker/service.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum part_store { STORE_NONE, STORE_OWN_FILE, STORE_SHARED };

struct part_kind {
    const char *service;
    const struct plex_service *code;
    enum part_store store;
    unsigned stage;
};

/* Callers stop before those they call. */
static const struct part_kind kinds[] = {
    {"registry", &reg_service, STORE_SHARED, 5},
    {"placement", &place_service, STORE_SHARED, 3},
    {"journal", &journal_service, STORE_SHARED, 4},
    {"gateway", &gate_service, STORE_NONE, 0},
    {"worker", &work_service, STORE_NONE, 1},
    {"tuplespace", &tspace_service, STORE_OWN_FILE, 2},
    {"channel-broker", &broker_service, STORE_OWN_FILE, 2},
};

static void
part_set(struct dev_part *part, const char *name, const char *value)
{
    size_t used = 0;

    while (part->settings[used].name != NULL)
        used++;
    assert(used < DEV_SETTINGS_MAX);
    part->settings[used] = (struct plex_setting){name, value};
}

static void
part_url(const struct dev *dev, struct dev_part *part)
{
    char url[sizeof part->listen_url];

    if (dev->config.processes)
        (void)snprintf(url, sizeof url, "ipc://%.100s/%.31s.sock", dev->sockets,
                       part->name);
    else
        (void)snprintf(url, sizeof url, "inproc://plexspaces-%ld-%.31s",
                       (long)getpid(), part->name);
    memcpy(part->listen_url, url, sizeof url);
}

static void
part_store(const struct dev *dev, const struct part_kind *kind,
           struct dev_part *part)
{
    const char *store = dev->config.store;

    if (kind->store == STORE_NONE)
        return;
    if (strcmp(store, "mem:") == 0 ||
        (kind->store == STORE_SHARED && strncmp(store, "sqlite", 6) != 0))
        (void)snprintf(part->store_dsn, sizeof part->store_dsn, "%s", store);
    else
        (void)snprintf(part->store_dsn, sizeof part->store_dsn,
                       "sqlite:%s/%s.db", dev->data, kind->service);
    part_set(part, "store_dsn", part->store_dsn);
}

static void
part_add(struct dev *dev, const struct part_kind *kind, unsigned number)
{
    struct dev_part *part = &dev->parts[dev->count++];

    assert(dev->count <= DEV_PARTS_MAX);
    *part = (struct dev_part){
        .service = kind->service, .code = kind->code, .stage = kind->stage};
    if (number > 0)
        (void)snprintf(part->name, sizeof part->name, "%s-%u", kind->service,
                       number);
    else
        (void)snprintf(part->name, sizeof part->name, "%s", kind->service);
    part_url(dev, part);
    part_set(part, "node", part->name);
    part_set(part, "listen_url", part->listen_url);
    /* The registry is the first part. */
    part_set(part, "registry_url", dev->parts[0].listen_url);
    part_set(part, "admin_addr", "127.0.0.1:0");
    part_set(part, "log_level", dev->config.log_level);
    part_store(dev, kind, part);
    if (strcmp(kind->service, "journal") == 0) {
        (void)snprintf(dev->backups, sizeof dev->backups, "%s/backups",
                       dev->data);
        part_set(part, "backup_folder", dev->backups);
    }
    if (strcmp(kind->service, "gateway") == 0)
        part_set(part, "http_addr", dev->http);
    if (strcmp(kind->service, "worker") == 0) {
        part_set(part, "module_dir", dev->modules);
        (void)snprintf(dev->logs, sizeof dev->logs, "%s/logs", dev->data);
        part_set(part, "facet_log_dir", dev->logs);
    }
}

/* Workers have numbers, journals where there are several. */
static void
parts_add(struct dev *dev, const struct part_kind *kind)
{
    const bool worker = strcmp(kind->service, "worker") == 0;
    const unsigned journals =
        strcmp(kind->service, "journal") == 0 ? dev->config.journals : 1;
    const unsigned n = worker ? dev->config.workers : journals;

    for (unsigned i = 1; i <= n; i++)
        part_add(dev, kind, worker || n > 1 ? i : 0);
}

enum plex_status
dev_plan(struct dev *dev, struct plex_err *err)
{
    const char *store = dev->config.store;

    if (strcmp(store, "sqlite") != 0 && strcmp(store, "sqlite:") != 0 &&
        strcmp(store, "mem:") != 0 && strncmp(store, "postgres://", 11) != 0 &&
        strncmp(store, "postgresql://", 13) != 0)
        return plex_err_set(err, PLEX_INVALID,
                            "option store is \"%.80s\", it must be sqlite, "
                            "mem: or postgres://...",
                            store);
    if (dev->config.journals > 1 && strncmp(store, "postgres", 8) != 0)
        return plex_err_set(err, PLEX_INVALID,
                            "option journals is %u: several can share only a "
                            "store of postgres://..., not %.80s",
                            dev->config.journals, store);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        parts_add(dev, &kinds[i]);
    return PLEX_OK;
}
