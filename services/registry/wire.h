#ifndef SERVICES_REGISTRY_WIRE_H
#define SERVICES_REGISTRY_WIRE_H

#include "services/registry/core.h"

/*
 * Requests and replies of registry.v1, node.v1 and application.v1 as plain
 * structs. Decoded strings live in the arena. Encoders append to `out`.
 *
 * Errors of decoders: PLEX_INVALID for people. Of encoders: PLEX_TOO_LARGE.
 */
enum reg_method {
    REG_METHOD_ANNOUNCE = 101,
    REG_METHOD_WITHDRAW = 102,
    REG_METHOD_WATCH = 103,
    REG_METHOD_LIST_NODES = 201,
    REG_METHOD_GET_NODE = 202,
    REG_METHOD_DEPLOY = 301,
    REG_METHOD_LIST_APPS = 302,
    REG_METHOD_GET_APP = 303,
    REG_METHOD_STOP_APP = 304,
    REG_METHOD_START_APP = 305,
    REG_METHOD_UNDEPLOY = 306,
};

struct reg_request {
    enum reg_method method;
    struct reg_node node;    /* ANNOUNCE */
    const char *node_id;     /* WITHDRAW, GET_NODE */
    uint64_t incarnation;    /* WITHDRAW */
    uint64_t have_version;   /* WATCH */
    uint64_t timeout_ms;     /* WATCH */
    const char *kind;        /* LIST_NODES */
    uint32_t page_size;      /* lists; 1..REG_PAGE_MAX */
    const char *page_token;  /* lists */
    struct reg_app_full app; /* DEPLOY */
    const char *ns, *name;   /* the other applications' */
};
PLEX_MUST_USE enum plex_status reg_wire_request(enum reg_method method,
                                                struct plex_bytes in,
                                                struct plex_arena *arena,
                                                struct reg_request *out,
                                                struct plex_err *err);

PLEX_MUST_USE enum plex_status reg_wire_announced(uint64_t lease_ms,
                                                  uint64_t version,
                                                  struct plex_buf *out,
                                                  struct plex_err *err);
PLEX_MUST_USE enum plex_status reg_wire_unchanged(uint64_t version,
                                                  struct plex_buf *out,
                                                  struct plex_err *err);
/* The catalogue as it is. */
PLEX_MUST_USE enum plex_status reg_wire_catalog(const struct reg_core *core,
                                                uint64_t now_ns,
                                                struct plex_arena *arena,
                                                struct plex_buf *out,
                                                struct plex_err *err);
PLEX_MUST_USE enum plex_status reg_wire_nodes(const struct reg_core *core,
                                              const struct reg_request *request,
                                              uint64_t now_ns,
                                              struct plex_arena *arena,
                                              struct plex_buf *out,
                                              struct plex_err *err);
PLEX_MUST_USE enum plex_status reg_wire_node(const struct reg_node *node,
                                             struct plex_buf *out,
                                             struct plex_err *err);
/* Those of the tenant; the namespace comes from the request. */
PLEX_MUST_USE enum plex_status reg_wire_apps(const struct reg_core *core,
                                             const char *tenant,
                                             const struct reg_request *request,
                                             struct plex_arena *arena,
                                             struct plex_buf *out,
                                             struct plex_err *err);
/* The answer to DEPLOY, GET_APP, STOP_APP or START_APP. */
PLEX_MUST_USE enum plex_status reg_wire_app(enum reg_method method,
                                            const struct reg_app_full *app,
                                            struct plex_arena *arena,
                                            struct plex_buf *out,
                                            struct plex_err *err);

/* One application as the store keeps it. PLEX_CORRUPT when it cannot be read.
 */
PLEX_MUST_USE enum plex_status reg_wire_body_out(const struct reg_app_full *app,
                                                 struct plex_arena *arena,
                                                 struct plex_buf *out,
                                                 struct plex_err *err);
PLEX_MUST_USE enum plex_status reg_wire_body_in(struct plex_bytes in,
                                                struct plex_arena *arena,
                                                struct reg_app_full *out,
                                                struct plex_err *err);

#endif
