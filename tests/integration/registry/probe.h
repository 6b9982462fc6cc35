#ifndef TESTS_INTEGRATION_REGISTRY_PROBE_H
#define TESTS_INTEGRATION_REGISTRY_PROBE_H

#include "common/service.h"
#include "services/registry/client.h"

#include <pthread.h>

/*
 * A service of the suite with nothing in it but a reg_client, in a thread of
 * its own, and a way for the test's thread to call others through its link.
 */
enum { PROBE_PAYLOAD_MAX = 1 << 20 };

struct probe {
    struct plex_instance *instance;
    const struct plex_host *host;
    struct reg_client *client;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Under the lock. */
    unsigned refusals;
    unsigned catalogs;
    struct reg_catalog *catalog; /* a copy's reference, made on the loop */
    size_t fewest_nodes;         /* of any catalogue since it was set */
};
struct probe_result {
    enum plex_status status;
    char text[PLEX_ERR_TEXT_MAX];
    uint8_t payload[PROBE_PAYLOAD_MAX];
    size_t len;
};

/* Announces itself READY as `node`. */
struct probe *probe_start(const char *node, const char *url,
                          const char *registry_url);
void probe_stop(struct probe *probe);
void probe_kill(struct probe *probe);
/* Wait for the answer. */
void probe_call(struct probe *probe, const char *peer, uint32_t method,
                const char *tenant, struct plex_bytes payload,
                struct probe_result *out);
/* Wait up to 10 s until `test` is true of the catalogue. */
bool probe_until(struct probe *probe,
                 bool (*test)(struct reg_catalog *catalog, void *arg),
                 void *arg);

#endif
