#ifndef SERVICES_PLACEMENT_SERVICE_H
#define SERVICES_PLACEMENT_SERVICE_H

#include "common/service.h"

extern const struct plex_service place_service;

#endif
