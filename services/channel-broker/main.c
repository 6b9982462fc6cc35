#include "services/channel-broker/service.h"

int
main(int argc, char **argv)
{
    return plex_service_main(&broker_service, argc, argv);
}
