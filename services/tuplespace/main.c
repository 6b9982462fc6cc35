#include "services/tuplespace/service.h"

int
main(int argc, char **argv)
{
    return plex_service_main(&tspace_service, argc, argv);
}
