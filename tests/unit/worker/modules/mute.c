#include <plexspaces/actor.h>

static const struct plex_behaviour behaviours[] = {{.name = "mute"}, {0}};
PLEX_MODULE(behaviours);
