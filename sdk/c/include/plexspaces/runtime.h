#ifndef PLEXSPACES_RUNTIME_H
#define PLEXSPACES_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The table through which an actor module reaches the runtime that loaded it.
 * Modules use the functions of actor.h; only runtimes fill this in. Members
 * are only ever added at the end, within one PLEX_ABI.
 */
struct plex_ctx;

struct plex_ctx_ops {
    uint32_t abi;
    const char *(*self)(struct plex_ctx *ctx, const char **tenant,
                        const char **ns, const char **type);
    uint64_t (*now_ms)(struct plex_ctx *ctx);
    uint64_t (*epoch)(struct plex_ctx *ctx);
    void (*random)(struct plex_ctx *ctx, void *out, size_t len);
    const void *(*state)(struct plex_ctx *ctx, size_t *len);
    void (*state_put)(struct plex_ctx *ctx, const void *state, size_t len);
    void (*reply)(struct plex_ctx *ctx, uint32_t http_status,
                  const char *content_type, const void *payload, size_t len);
    void (*reply_header)(struct plex_ctx *ctx, const char *name,
                         const char *value);
    int (*fail)(struct plex_ctx *ctx, const char *reason);
    void (*send)(struct plex_ctx *ctx, bool is_call, uint64_t tag,
                 uint64_t timeout_ms, const char *type, const char *key,
                 const void *payload, size_t len);
    void (*timer_set)(struct plex_ctx *ctx, const char *name, uint64_t delay_ms,
                      const void *payload, size_t len);
    void (*timer_cancel)(struct plex_ctx *ctx, const char *name);
    void (*log)(struct plex_ctx *ctx, int level, const char *text);
    /* Fields of a JSON object payload; for GET and DELETE the runtime makes
     * that object from the query parameters. 1 found, 0 absent, -1 there but
     * of another type (or the payload is no JSON object). */
    int (*json_text)(struct plex_ctx *ctx, const char *field, const char **out);
    int (*json_int)(struct plex_ctx *ctx, const char *field, int64_t *out);
    const char *(*header)(struct plex_ctx *ctx, const char *name);
    /* As reply, with an RFC 9457 problem made of `text`. */
    void (*problem)(struct plex_ctx *ctx, uint32_t http_status,
                    const char *text);
};
struct plex_ctx {
    const struct plex_ctx_ops *ops;
};

#endif
