#ifndef TESTS_INTEGRATION_GATEWAY_FAKE_CLIENTS_H
#define TESTS_INTEGRATION_GATEWAY_FAKE_CLIENTS_H

#include "common/loop.h"

/* The loop of the gateway under test, on its own thread. */
extern _Thread_local struct plex_loop *fake_loop;

#endif
