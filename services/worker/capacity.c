#include "services/worker/capacity.h"

#include "common/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

static enum plex_status
label_check(const char *key, const char *value, struct plex_err *err)
{
    const size_t key_len = strlen(key), value_len = strlen(value);

    if (key_len == 0 || key_len > PLACE_LABEL_BYTES_MAX ||
        value_len > PLACE_LABEL_BYTES_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "labels: \"%.70s=%.70s\" must have 1 to %d bytes "
                            "before the = and at most as many behind it",
                            key, value, PLACE_LABEL_BYTES_MAX);
    return PLEX_OK;
}

/* Cuts `text` into labels that point into it. */
static enum plex_status
labels_parse(char *text, struct place_label out[PLACE_LABELS_MAX], size_t *n,
             struct plex_err *err)
{
    char *next, *value;

    *n = 0;
    for (char *at = text; at != NULL && *at != '\0'; at = next) {
        next = strchr(at, ',');
        if (next != NULL)
            *next++ = '\0';
        value = strchr(at, '=');
        if (value == NULL)
            return plex_err_set(err, PLEX_INVALID,
                                "labels: \"%.70s\" must be KEY=VALUE", at);
        *value++ = '\0';
        if (label_check(at, value, err) != PLEX_OK)
            return err->status;
        if (*n == PLACE_LABELS_MAX)
            return plex_err_set(err, PLEX_INVALID,
                                "labels: more than %d are given",
                                PLACE_LABELS_MAX);
        for (size_t i = 0; i < *n; i++)
            if (strcmp(out[i].key, at) == 0)
                return plex_err_set(err, PLEX_INVALID,
                                    "labels: \"%.70s\" is given twice", at);
        out[(*n)++] = (struct place_label){at, value};
    }
    return PLEX_OK;
}

enum plex_status
work_capacity_check(const struct work_offer_options *options,
                    struct plex_err *err)
{
    struct place_label labels[PLACE_LABELS_MAX];
    char *text = plex_strdup(options->labels);
    enum plex_status status;
    size_t n;

    status = labels_parse(text, labels, &n, err);
    free(text);
    return status;
}

/* A container sees the machine's memory, but may not use all of it. */
static uint64_t
group_memory(const char *path)
{
    FILE *file = fopen(path, "re");
    unsigned long long bytes = 0;

    if (file == NULL)
        return UINT64_MAX;
    if (fscanf(file, "%llu", &bytes) != 1)
        bytes = 0;
    (void)fclose(file);
    return bytes == 0 ? UINT64_MAX : bytes;
}

static uint64_t
memory_of_machine(void)
{
    static const char *const limits[] = {
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    };
    uint64_t bytes = UINT64_MAX;
    struct sysinfo info;

    if (sysinfo(&info) == 0)
        bytes = (uint64_t)info.totalram * info.mem_unit;
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        const uint64_t limit = group_memory(limits[i]);

        bytes = limit < bytes ? limit : bytes;
    }
    return bytes;
}

static uint64_t
or_unlimited(uint64_t value)
{
    return value == 0 ? PLACE_UNLIMITED : value;
}

void
work_capacity_init(struct work_capacity *capacity,
                   const struct work_offer_options *options)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct plex_err err;

    capacity->text = plex_strdup(options->labels);
    if (labels_parse(capacity->text, capacity->labels,
                     &capacity->offer.n_labels, &err) != PLEX_OK)
        capacity->offer.n_labels = 0; /* it has been checked */
    capacity->offer.labels = capacity->labels;
    capacity->offer.amounts = (struct place_amounts){{
        [PLACE_CPU] = options->cpu_cores != 0
                          ? options->cpu_cores * UINT64_C(1000)
                          : (uint64_t)(cores < 1 ? 1 : cores) * 1000,
        [PLACE_MEMORY] = options->memory_bytes != 0 ? options->memory_bytes
                                                    : memory_of_machine(),
        [PLACE_DISK] = or_unlimited(options->disk_bytes),
        [PLACE_IO] = or_unlimited(options->io_bytes),
        [PLACE_NETWORK] = or_unlimited(options->network_bytes),
        [PLACE_GPU] = options->gpus,
    }};
}

void
work_capacity_fini(struct work_capacity *capacity)
{
    free(capacity->text);
    capacity->text = NULL;
}
