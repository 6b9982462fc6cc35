#include "services/worker/service.h"

int
main(int argc, char **argv)
{
    return plex_service_main(&work_service, argc, argv);
}
