#include "services/journal/service.h"

int
main(int argc, char **argv)
{
    return plex_service_main(&journal_service, argc, argv);
}
