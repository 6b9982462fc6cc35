#ifndef SERVICES_GATEWAY_SERVICE_H
#define SERVICES_GATEWAY_SERVICE_H

#include "common/service.h"

extern const struct plex_service gate_service;

#endif
