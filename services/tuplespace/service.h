#ifndef SERVICES_TUPLESPACE_SERVICE_H
#define SERVICES_TUPLESPACE_SERVICE_H

#include "common/service.h"

extern const struct plex_service tspace_service;

#endif
