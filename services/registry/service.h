#ifndef SERVICES_REGISTRY_SERVICE_H
#define SERVICES_REGISTRY_SERVICE_H

#include "common/service.h"

extern const struct plex_service reg_service;

#endif
