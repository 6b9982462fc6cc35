#include "services/registry/service.h"

int
main(int argc, char **argv)
{
    return plex_service_main(&reg_service, argc, argv);
}
