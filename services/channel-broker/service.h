#ifndef SERVICES_CHANNEL_BROKER_SERVICE_H
#define SERVICES_CHANNEL_BROKER_SERVICE_H

#include "common/service.h"

extern const struct plex_service broker_service;

#endif
