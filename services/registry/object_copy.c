#include "services/registry/object_private.h"

#include <string.h>

/* Once to count, once with `at` to copy. */
struct copier {
    uint8_t *at;
    size_t size;
};

static const char *
text(struct copier *to, const char *from)
{
    const size_t len = strlen(from) + 1;
    char *copy = (char *)(to->at == NULL ? NULL : to->at + to->size);

    if (copy != NULL)
        memcpy(copy, from, len);
    to->size += len;
    return copy;
}

/* Arrays come before all texts: their sizes keep them aligned. */
static void *
array(struct copier *to, const void *from, size_t n, size_t each)
{
    void *copy = to->at == NULL ? NULL : to->at + to->size;

    if (copy != NULL && n > 0)
        memcpy(copy, from, n * each);
    to->size += n * each;
    return copy;
}

static void
texts(struct copier *to, const struct reg_texts *from, const char **copy)
{
    for (size_t i = 0; i < from->n; i++) {
        const char *one = text(to, from->at[i]);

        if (copy != NULL)
            copy[i] = one;
    }
}

static struct reg_object *
run(struct copier *to, const struct reg_object *from)
{
    struct reg_object out = *from;
    struct reg_object *object = array(to, from, 1, sizeof *from);
    struct reg_metric *metrics =
        array(to, from->metrics, from->n_metrics, sizeof *metrics);
    struct reg_pair *pairs =
        array(to, from->metadata, from->n_metadata, sizeof *pairs);
    const char **capabilities =
        array(to, from->capabilities.at, from->capabilities.n, sizeof(char *));
    const char **labels =
        array(to, from->labels.at, from->labels.n, sizeof(char *));

    out.tenant = text(to, from->tenant);
    out.ns = text(to, from->ns);
    out.id = text(to, from->id);
    out.category = text(to, from->category);
    out.node_id = text(to, from->node_id);
    out.address = text(to, from->address);
    out.version = text(to, from->version);
    out.reason = text(to, from->reason);
    texts(to, &from->capabilities, capabilities);
    texts(to, &from->labels, labels);
    for (size_t i = 0; i < from->n_metadata; i++) {
        const struct reg_pair pair = {text(to, from->metadata[i].key),
                                      text(to, from->metadata[i].value)};

        if (pairs != NULL)
            pairs[i] = pair;
    }
    for (size_t i = 0; i < from->n_metrics; i++) {
        const char *name = text(to, from->metrics[i].name);

        if (metrics != NULL)
            metrics[i].name = name;
    }
    out.capabilities.at = capabilities;
    out.labels.at = labels;
    out.metadata = pairs;
    out.metrics = metrics;
    if (object != NULL)
        *object = out;
    return object;
}

size_t
reg_object_size(const struct reg_object *object)
{
    struct copier to = {0};

    (void)run(&to, object);
    return to.size;
}

struct reg_object *
reg_object_copy(const struct reg_object *object)
{
    struct copier to = {.at = plex_calloc(1, reg_object_size(object))};

    return run(&to, object);
}
