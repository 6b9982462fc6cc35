#ifndef SERVICES_TUPLESPACE_ENGINE_HASHED_H
#define SERVICES_TUPLESPACE_ENGINE_HASHED_H

#include "services/tuplespace/engine/index.h"

/* Zeroed before. `single`: all will have the same hash. */
void hashed_init(struct hashed *hashed, bool single);
void hashed_fini(struct hashed *hashed);
void hashed_insert(const struct shape *shape, struct hashed *hashed,
                   uint32_t pos, uint32_t hash);
void hashed_remove(struct hashed *hashed, uint32_t pos);
uint64_t hashed_bytes(const struct hashed *hashed);

#endif
