#ifndef SERVICES_WORKER_CAPACITY_H
#define SERVICES_WORKER_CAPACITY_H

#include "common/err.h"
#include "services/placement/client.h"

/* What the worker lets processes reserve on it, by its options and by what the
 * machine has. */
struct work_offer_options {
    const char *labels;    /* "zone=a,disk=ssd" */
    uint32_t cpu_cores;    /* 0: those of the machine */
    uint64_t memory_bytes; /* 0: the machine's, or its control group's */
    uint64_t disk_bytes, io_bytes, network_bytes; /* 0: not counted */
    uint32_t gpus;
};
struct work_capacity {
    struct place_offer offer;
    struct place_label labels[PLACE_LABELS_MAX];
    char *text; /* of the labels */
};

PLEX_MUST_USE enum plex_status work_capacity_check(
    const struct work_offer_options *options, struct plex_err *err);
/* The options have been checked. */
void work_capacity_init(struct work_capacity *capacity,
                        const struct work_offer_options *options);
void work_capacity_fini(struct work_capacity *capacity);

#endif
