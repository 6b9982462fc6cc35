#ifndef TESTS_INTEGRATION_TUPLESPACE_TWO_SPACES_H
#define TESTS_INTEGRATION_TUPLESPACE_TWO_SPACES_H

#include "tests/integration/gateway/http_client.h"

#include <stdint.h>

/* Two tuple spaces that share the shards of one store (in memory), registry and
 * gateway, each on a thread; asked over HTTP in JSON. */
#define BASE "/api/v1/tuplespace"
#define TWO_SPACES_PORT 18487

/* What was answered last. */
extern struct http_answer answer;

void two_spaces_start(void); /* returns when every shard has its owner */
void two_spaces_stop(void);
void ask(const char *method, const char *target, const char *body);
void post(const char *target, const char *body);
void post_keyed(const char *target, const char *key, const char *body);
/* The answer has this status, and these words in its body. */
void is(int status, const char *words);
/* A member of the answer that is a number. */
uint64_t number(const char *name);

#endif
