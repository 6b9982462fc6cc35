#ifndef TESTS_CONTRACT_JOURNAL_FAULT_VFS_H
#define TESTS_CONTRACT_JOURNAL_FAULT_VFS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A layer below SQLite that fails on purpose and knows what a disk would have
 * after a crash: what was flushed, and of what was written since then
 * anything: all, nothing, some of it, halves of sectors' runs. Nothing is
 * flushed for real. Operations (write, truncate, flush, delete) are counted.
 */
enum fault {
    FAULT_NONE,
    FAULT_CRASH,      /* this operation and all after it fail */
    FAULT_WRITE,      /* EIO, nothing written */
    FAULT_WRITE_PART, /* EIO, half of it written */
    FAULT_FULL,       /* no space */
    FAULT_SYNC,       /* a flush fails, nothing is flushed */
    FAULT_LIE,        /* a flush says it was done, nothing is flushed */
};

/* Make it SQLite's default. Once per process. */
void fault_vfs_install(void);
/* Forget all files; the `at`th operation from now on (from 1) fails if it is
 * of the fault's kind; `times` of them do. */
void fault_vfs_arm(enum fault fault, uint64_t at, uint64_t times);
bool fault_vfs_hit(void); /* did it happen? */
/* Write what a disk could have into `to` for the database `from` and its log.
 * 0: only what was flushed; 1: all; else something in between, by that seed. */
void fault_vfs_image(const char *from, const char *to, unsigned seed);

#endif
