#ifndef TESTS_SIM_TUPLESPACE_HISTORY_H
#define TESTS_SIM_TUPLESPACE_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

/*
 * What clients of one space did, and whether an order of it exists that the
 * model of a space explains (Wing and Gong): calls that overlap may be in any
 * order. A tuple is (key, n); every n is written once; 0 stands for none.
 */
enum { HISTORY_MAX = 64, SPACE_MAX = 64 };

enum step_kind {
    STEP_WRITE,  /* n */
    STEP_READ,   /* answer */
    STEP_TAKE,   /* answer */
    STEP_SWAP,   /* the oldest of `key` becomes n; answer: 1 if there was one */
    STEP_CLAIM,  /* answer: hidden until it lapses */
    STEP_LAPSE,  /* of the claim `of` */
    STEP_EXPIRE, /* of what the write `of` wrote */
    STEP_ALL,    /* n_all, all: everything, the oldest first */
};
struct step {
    enum step_kind kind;
    int key, n, answer, of;
    uint64_t begin, end; /* the answer is at `end` */
};
struct history {
    struct step steps[HISTORY_MAX];
    int n;
    int all[SPACE_MAX];
    int n_all;
};

bool history_is_linearizable(const struct history *history);

#endif
