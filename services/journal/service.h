#ifndef SERVICES_JOURNAL_SERVICE_H
#define SERVICES_JOURNAL_SERVICE_H

#include "common/service.h"

extern const struct plex_service journal_service;

#endif
