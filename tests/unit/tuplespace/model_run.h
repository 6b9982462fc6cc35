#ifndef TESTS_UNIT_TUPLESPACE_MODEL_RUN_H
#define TESTS_UNIT_TUPLESPACE_MODEL_RUN_H

#include "tests/unit/tuplespace/drive.h"

enum { MODEL_WHAT = 160 };

/* Random requests from `seed` to a core, which is kept in `backend` (NULL: in
 * memory), and to the model. True if all answers were the same; else `what`
 * is the first difference. */
bool model_run(uint64_t seed, const struct drive_backend *backend,
               unsigned unsafe, char what[MODEL_WHAT]);

#endif
