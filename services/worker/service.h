#ifndef SERVICES_WORKER_SERVICE_H
#define SERVICES_WORKER_SERVICE_H

#include "common/service.h"

extern const struct plex_service work_service;

/* The method of a work_message (client.h) to the process that `timer` names:
 * process_kind says how, tag is its priority, ttl_ms how long it may wait in
 * the mailbox. Answered with a work_reply. */
enum { WORK_POST_METHOD = 624 };

#endif
