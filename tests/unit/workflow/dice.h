#ifndef TESTS_WORKFLOW_DICE_H
#define TESTS_WORKFLOW_DICE_H

#include <jansson.h>
#include <stdint.h>

struct dice {
    uint64_t state;
};

static inline unsigned
roll(struct dice *dice, unsigned sides)
{
    dice->state = dice->state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(dice->state >> 33) % sides;
}

/* A random state machine of the Amazon States Language. */
json_t *dice_machine(struct dice *dice, unsigned depth);

#endif
