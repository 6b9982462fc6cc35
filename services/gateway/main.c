#include "services/gateway/service.h"

int
main(int argc, char **argv)
{
    return plex_service_main(&gate_service, argc, argv);
}
