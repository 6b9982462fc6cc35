#ifndef TESTS_INTEGRATION_TUPLESPACE_CALLER_H
#define TESTS_INTEGRATION_TUPLESPACE_CALLER_H

#include "common/service.h"

#include <protobuf-c/protobuf-c.h>

/* A service that only calls others, driven from the test's thread. */
struct caller;

struct caller *caller_start(const char *url, const char *registry_url);
void caller_stop(struct caller *caller); /* accepts NULL */

/* Begin a call in default/default; wait for it with caller_wait(). */
struct caller_call;
struct caller_call *caller_begin(struct caller *caller, const char *peer,
                                 uint32_t method,
                                 const ProtobufCMessage *request);
/* The status. With PLEX_OK *reply is unpacked (free_unpacked it); `type` and
 * `reply` may be NULL. Frees the call. */
enum plex_status caller_wait(struct caller_call *call,
                             const ProtobufCMessageDescriptor *type,
                             ProtobufCMessage **reply);
/* The text of the last call that failed. */
const char *caller_text(const struct caller *caller);

#endif
