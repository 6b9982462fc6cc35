#include "services/placement/select.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { MILLION = 1000000 };
#define MIB (UINT64_C(1) << 20)

/* -- words and presets ----------------------------------------------------- */

static const char *const profile_words[] = {
    [PLACE_PROFILE_NONE] = "none",
    [PLACE_PROFILE_CPU_INTENSIVE] = "cpu_intensive",
    [PLACE_PROFILE_MEMORY_INTENSIVE] = "memory_intensive",
    [PLACE_PROFILE_IO_INTENSIVE] = "io_intensive",
    [PLACE_PROFILE_NETWORK_INTENSIVE] = "network_intensive",
    [PLACE_PROFILE_BALANCED] = "balanced",
};
static const char *const strategy_words[] = {
    [PLACE_BEST_FIT] = "best_fit",
    [PLACE_SPREAD] = "spread",
    [PLACE_RANDOM] = "random",
    [PLACE_PREFER_LOCAL] = "prefer_local",
};
#define COUNT(list) (sizeof(list) / sizeof *(list))

static const struct place_amounts presets[] = {
    [PLACE_PROFILE_NONE] = {{0}},
    [PLACE_PROFILE_CPU_INTENSIVE] =
        {{[PLACE_CPU] = 1000, [PLACE_MEMORY] = 256 * MIB}},
    [PLACE_PROFILE_MEMORY_INTENSIVE] =
        {{[PLACE_CPU] = 250, [PLACE_MEMORY] = 1024 * MIB}},
    [PLACE_PROFILE_IO_INTENSIVE] = {{[PLACE_CPU] = 250,
                                     [PLACE_MEMORY] = 256 * MIB,
                                     [PLACE_IO] = 50 * MIB}},
    [PLACE_PROFILE_NETWORK_INTENSIVE] = {{[PLACE_CPU] = 250,
                                          [PLACE_MEMORY] = 256 * MIB,
                                          [PLACE_NETWORK] = 50 * MIB}},
    [PLACE_PROFILE_BALANCED] =
        {{[PLACE_CPU] = 500, [PLACE_MEMORY] = 512 * MIB}},
};

static enum plex_status
word(const char *what, const char *const *words, size_t n, const char *text,
     size_t *out, struct plex_err *err)
{
    char known[160] = "";
    size_t len = 0;

    *out = 0;
    if (text[0] == '\0')
        return PLEX_OK;
    for (size_t i = 0; i < n; i++) {
        if (strcasecmp(words[i], text) == 0) {
            *out = i;
            return PLEX_OK;
        }
        len += (size_t)snprintf(known + len, sizeof known - len, "%s%s",
                                i == 0 ? "" : ", ", words[i]);
    }
    return plex_err_set(err, PLEX_INVALID,
                        "%s is \"%.40s\", it must be one of %s", what, text,
                        known);
}

enum plex_status
place_profile_parse(const char *text, enum place_profile *out,
                    struct plex_err *err)
{
    size_t n;
    const enum plex_status status =
        word("profile", profile_words, COUNT(profile_words), text, &n, err);

    *out = (enum place_profile)n;
    return status;
}

enum plex_status
place_strategy_parse(const char *text, enum place_strategy *out,
                     struct plex_err *err)
{
    size_t n;
    const enum plex_status status =
        word("strategy", strategy_words, COUNT(strategy_words), text, &n, err);

    *out = (enum place_strategy)n;
    return status;
}

void
place_profile_fill(enum place_profile profile, struct place_amounts *amounts)
{
    for (size_t i = 0; i < PLACE_RESOURCES; i++)
        if (amounts->of[i] == 0)
            amounts->of[i] = presets[profile].of[i];
}

/* -- who remains ----------------------------------------------------------- */

enum reason {
    FITS,
    NOT_READY,
    AVOIDED,
    UNREACHABLE,
    OTHER_LABELS,
    AFFINITY,
    TOO_LITTLE, /* + enum place_resource */
    REASONS = TOO_LITTLE + PLACE_RESOURCES
};
static const char *const reason_texts[REASONS] = {
    [NOT_READY] = "not ready",
    [AVOIDED] = "to be avoided",
    [UNREACHABLE] = "out of reach",
    [OTHER_LABELS] = "with other labels",
    [AFFINITY] = "ruled out by affinity",
    [TOO_LITTLE + PLACE_CPU] = "with too little cpu left",
    [TOO_LITTLE + PLACE_MEMORY] = "with too little memory left",
    [TOO_LITTLE + PLACE_DISK] = "with too little disk left",
    [TOO_LITTLE + PLACE_IO] = "with too little io left",
    [TOO_LITTLE + PLACE_NETWORK] = "with too little network left",
    [TOO_LITTLE + PLACE_GPU] = "with too few gpus left",
};

static bool
listed(const char *const *ids, size_t n, const char *id)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(ids[i], id) == 0)
            return true;
    return false;
}

static bool
labelled(const struct place_label *labels, size_t n,
         const struct place_label *wanted)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(labels[i].key, wanted->key) == 0)
            return strcmp(labels[i].value, wanted->value) == 0;
    return false;
}

static bool
lives_with(const struct place_candidate *candidate,
           const struct place_affinity *affinity)
{
    for (size_t i = 0; i < candidate->n_residents; i++) {
        const struct place_resident *resident = &candidate->residents[i];

        if (affinity->actor != NULL
                ? strcmp(resident->actor, affinity->actor) == 0
                : labelled(resident->labels, resident->n_labels,
                           &affinity->label))
            return true;
    }
    return false;
}

static enum reason
room(const struct place_candidate *candidate, const struct place_amounts *need)
{
    for (unsigned i = 0; i < PLACE_RESOURCES; i++) {
        const uint64_t capacity = candidate->capacity.of[i];
        const uint64_t reserved = candidate->reserved.of[i];

        /* Nothing is always there, also on a worker that is overbooked. */
        if (need->of[i] == 0 || capacity == PLACE_UNLIMITED)
            continue;
        if (reserved > capacity || need->of[i] > capacity - reserved)
            return (enum reason)(TOO_LITTLE + i);
    }
    return FITS;
}

static enum reason
judge(const struct place_candidate *candidate,
      const struct place_requirement *need)
{
    if (!candidate->ready)
        return NOT_READY;
    if (listed(need->avoid, need->n_avoid, candidate->node_id))
        return AVOIDED;
    if (listed(need->unreachable, need->n_unreachable, candidate->node_id))
        return UNREACHABLE;
    for (size_t i = 0; i < need->n_labels; i++)
        if (!labelled(candidate->labels, candidate->n_labels, &need->labels[i]))
            return OTHER_LABELS;
    for (size_t i = 0; i < need->n_affinity; i++)
        if (lives_with(candidate, &need->affinity[i]) ==
            need->affinity[i].apart)
            return AFFINITY;
    return room(candidate, &need->amounts);
}

/* "; asked for 4000 cpu, the most that is free is 1500 on w2": of those that
 * may be chosen and have too little of it. */
static size_t
shortage(const struct place_candidate *candidates, size_t n,
         const struct place_requirement *need, char *out, size_t size)
{
    static const char *const units[] = {
        [PLACE_CPU] = " thousandths of a core",
        [PLACE_MEMORY] = " bytes of memory",
        [PLACE_DISK] = " bytes of disk",
        [PLACE_IO] = " bytes/s of io",
        [PLACE_NETWORK] = " bytes/s of network",
        [PLACE_GPU] = " gpus",
    };
    const struct place_candidate *best = NULL;
    enum place_resource what = PLACE_CPU;
    uint64_t most = 0;
    int len;

    for (size_t i = 0; i < n; i++) {
        const enum reason reason = judge(&candidates[i], need);
        uint64_t left;

        if (reason < TOO_LITTLE)
            continue;
        what = best == NULL ? (enum place_resource)(reason - TOO_LITTLE) : what;
        if (reason != (enum reason)(TOO_LITTLE + what))
            continue;
        left = candidates[i].reserved.of[what] < candidates[i].capacity.of[what]
                   ? candidates[i].capacity.of[what] -
                         candidates[i].reserved.of[what]
                   : 0;
        if (best == NULL || left > most) {
            best = &candidates[i];
            most = left;
        }
    }
    if (best == NULL)
        return 0;
    len = snprintf(out, size,
                   "; asked for %" PRIu64
                   "%s, the most that is left is %" PRIu64 " on %s",
                   need->amounts.of[what], units[what], most, best->node_id);
    return len < 0 ? 0 : (size_t)len;
}

static enum plex_status
nobody(const struct place_candidate *candidates, size_t n,
       const struct place_requirement *need, const unsigned *counts,
       struct plex_err *err)
{
    char text[224] = "";
    size_t len = 0;

    if (n == 0)
        return plex_err_set(err, PLEX_UNAVAILABLE,
                            "no worker has said what it can hold");
    for (size_t i = FITS + 1; i < REASONS && len < sizeof text; i++)
        if (counts[i] > 0)
            len += (size_t)snprintf(text + len, sizeof text - len, "%s%u %s",
                                    len == 0 ? "" : ", ", counts[i],
                                    reason_texts[i]);
    if (len < sizeof text)
        len += shortage(candidates, n, need, text + len, sizeof text - len);
    return plex_err_set(err, PLEX_UNAVAILABLE, "none of %zu workers fits: %s",
                        n, text);
}

/* -- the best of them ------------------------------------------------------ */

/* In millionths; overbooked is full. */
static uint32_t
use(const struct place_candidate *candidate, const struct place_amounts *more,
    enum place_resource resource)
{
    const uint64_t capacity = candidate->capacity.of[resource];
    const uint64_t reserved = candidate->reserved.of[resource];
    const uint64_t want = more->of[resource];

    if (capacity == 0 || capacity == PLACE_UNLIMITED)
        return 0;
    if (reserved >= capacity || want >= capacity - reserved)
        return MILLION;
    return (uint32_t)((double)(reserved + want) / (double)capacity * MILLION);
}

uint32_t
place_score(const struct place_candidate *candidate,
            const struct place_amounts *more)
{
    const uint32_t cpu = use(candidate, more, PLACE_CPU);
    const uint32_t memory = use(candidate, more, PLACE_MEMORY);
    const uint32_t apart = cpu > memory ? cpu - memory : memory - cpu;

    return (4 * cpu + 4 * memory + 2 * (MILLION - apart)) / 10;
}

static uint32_t
fullness(const struct place_candidate *candidate,
         const struct place_amounts *more)
{
    const uint32_t cpu = use(candidate, more, PLACE_CPU);
    const uint32_t memory = use(candidate, more, PLACE_MEMORY);

    return cpu > memory ? cpu : memory;
}

static bool
better(const struct place_candidate *a, const struct place_candidate *b,
       const struct place_requirement *need)
{
    uint32_t of_a, of_b;

    if (need->strategy == PLACE_SPREAD) {
        if (a->n_residents != b->n_residents)
            return a->n_residents < b->n_residents;
        of_a = fullness(b, &need->amounts);
        of_b = fullness(a, &need->amounts);
    } else {
        of_a = place_score(a, &need->amounts);
        of_b = place_score(b, &need->amounts);
    }
    return of_a != of_b ? of_a > of_b : strcmp(a->node_id, b->node_id) < 0;
}

struct survey {
    unsigned counts[REASONS];
    size_t fit, preferred;
};

static struct survey
look(const struct place_candidate *candidates, size_t n,
     const struct place_requirement *need)
{
    struct survey survey = {0};

    for (size_t i = 0; i < n; i++) {
        const enum reason reason = judge(&candidates[i], need);

        survey.counts[reason]++;
        if (reason != FITS)
            continue;
        survey.fit++;
        survey.preferred +=
            listed(need->prefer, need->n_prefer, candidates[i].node_id);
    }
    return survey;
}

enum plex_status
place_select(const struct place_candidate *candidates, size_t n,
             const struct place_requirement *need, size_t *out,
             struct plex_err *err)
{
    const struct survey survey = look(candidates, n, need);
    const size_t left = survey.preferred > 0 ? survey.preferred : survey.fit;
    const struct place_candidate *best = NULL;
    size_t skip;

    if (left == 0)
        return nobody(candidates, n, need, survey.counts, err);
    skip = (size_t)(need->randomness % left);
    for (size_t i = 0; i < n; i++) {
        const struct place_candidate *candidate = &candidates[i];

        if (judge(candidate, need) != FITS ||
            (survey.preferred > 0 &&
             !listed(need->prefer, need->n_prefer, candidate->node_id)))
            continue;
        if (need->strategy == PLACE_RANDOM) {
            if (skip-- > 0)
                continue;
            best = candidate;
            break;
        }
        if (need->strategy == PLACE_PREFER_LOCAL && need->local != NULL &&
            strcmp(candidate->node_id, need->local) == 0) {
            best = candidate;
            break;
        }
        if (best == NULL || better(candidate, best, need))
            best = candidate;
    }
    *out = (size_t)(best - candidates);
    return PLEX_OK;
}
