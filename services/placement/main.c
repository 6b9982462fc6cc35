#include "services/placement/service.h"

int
main(int argc, char **argv)
{
    return plex_service_main(&place_service, argc, argv);
}
