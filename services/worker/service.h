#ifndef SERVICES_WORKER_SERVICE_H
#define SERVICES_WORKER_SERVICE_H

#include "common/service.h"

extern const struct plex_service work_service;

#endif
