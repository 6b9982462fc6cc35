#ifndef SERVICES_REGISTRY_STORE_H
#define SERVICES_REGISTRY_STORE_H

#include "common/bytes.h"

/*
 * What the registry keeps: deployed applications, each as one opaque body
 * (application.v1 Application), and the highest revision ever given.
 *
 * A store belongs to one thread; calls block. Back ends by DSN: "mem:",
 * "sqlite:PATH", "postgres://...". Every failure of the back end itself is
 * PLEX_UNAVAILABLE (the outcome of a write is then unknown), a full disk
 * PLEX_LIMIT, damaged data PLEX_CORRUPT.
 */
struct reg_store;

enum { REG_BODY_MAX = 4 << 20 }; /* bytes of one application */

struct reg_store_app {
    const char *tenant, *ns, *name; /* as name.h says, never NULL */
    uint64_t revision;
    struct plex_bytes body;
};

/* PLEX_INVALID for a DSN that names no back end. */
PLEX_MUST_USE enum plex_status reg_store_check(const char *dsn,
                                               struct plex_err *err);
PLEX_MUST_USE enum plex_status reg_store_open(struct reg_store **out,
                                              const char *dsn,
                                              struct plex_err *err);
void reg_store_close(struct reg_store *store); /* accepts NULL */

/* In order of tenant, namespace, name; `each` stops it by an error. */
typedef enum plex_status (*reg_store_fn)(void *arg,
                                         const struct reg_store_app *app,
                                         struct plex_err *err);
/* *revision is the highest one ever put, 0 for none. */
PLEX_MUST_USE enum plex_status reg_store_load(struct reg_store *store,
                                              reg_store_fn each, void *arg,
                                              uint64_t *revision,
                                              struct plex_err *err);
/* Insert or replace; durable on PLEX_OK. PLEX_TOO_LARGE. */
PLEX_MUST_USE enum plex_status reg_store_put(struct reg_store *store,
                                             const struct reg_store_app *app,
                                             struct plex_err *err);
/* PLEX_OK also when there is none. */
PLEX_MUST_USE enum plex_status reg_store_delete(struct reg_store *store,
                                                const char *tenant,
                                                const char *ns,
                                                const char *name,
                                                struct plex_err *err);

#endif
